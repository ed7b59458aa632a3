package workload

import (
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

//go:embed vocabulary.txt
var vocabularyText string

// vocabulary has 256 different words of three letters, so that a byte picks one.
// Each is so common that byte-pair tokenizers keep it, with the space before it, as
// one token. As all are equally long, a text's length decides how many there are.
var vocabulary = strings.Fields(vocabularyText)

// spaced are the words as they stand in a text, each with the space before it.
var spaced = func() (w [256][wordRoom]byte) {
	for i := range w {
		copy(w[i][:], " "+vocabulary[i])
	}
	return w
}()

// A text ends on whole words: these fill what is not a multiple of [wordRoom].
var (
	shortWords = [8]string{" as", " at", " do", " in", " it", " of", " to", " up"}
	longWords  = [8]string{" come", " down", " from", " good", " home", " over", " time", " work"}
)

const (
	// wordRoom is what a word of the vocabulary takes, with the space before it.
	wordRoom = 4
	// nonceRoom is what the first eight words take, which no other prompt begins with.
	// A word is a token or more and a block of a prefix cache at least sixteen tokens,
	// so that no cache finds anything to reuse.
	nonceRoom = 8 * wordRoom
)

// lead asks for a long answer. It has no punctuation and as many characters a word
// as the vocabulary, so that most tokenizers count it as any other eight words; probes
// have it too, so that what another one makes of it is in the template's tokens. Texts of
// fewer than 17 words have no room for it.
const (
	lead     = " tell me a long tale of all this"
	leadRoom = 17 * wordRoom
)

// script writes one synthetic text. A key fixes its words.
type script struct {
	text []byte
	coin byte
	rng  rand.PCG
	// deck is the vocabulary in a random order, used up before it is shuffled again:
	// a long text has each word equally often, so that words which a tokenizer splits
	// cost all texts of one length nearly the same, and those of whole decks exactly.
	deck [256]byte
	used int
}

// begin starts to write another text behind what is there. 128 bits of the key's
// SHA-256 fix the order of the words.
func (s *script) begin(key string, args ...any) {
	sum := sha256.Sum256(fmt.Appendf(nil, key, args...))
	s.coin = sum[0]
	s.rng.Seed(binary.LittleEndian.Uint64(sum[16:]), binary.LittleEndian.Uint64(sum[24:]))
	for i := range s.deck {
		s.deck[i] = byte(i)
	}
	s.used = 0
}

// own writes a text of room characters, counting the space before it, that begins
// as no other does. Below [nonceRoom] there is no room for that.
func (s *script) own(room int) {
	if room >= nonceRoom {
		room -= s.spell()
	}
	s.words(room)
}

// ask is own with the lead, where there is room for it.
func (s *script) ask(room int) {
	if room >= leadRoom {
		room -= s.spell() + len(lead)
		s.text = append(s.text, lead...)
		s.words(room)
		return
	}
	s.own(room)
}

// spell writes the first eight words, of which there are 2⁶⁴ sequences, and gives the
// room that they take.
func (s *script) spell() int {
	for range nonceRoom / wordRoom {
		s.word()
	}
	return nonceRoom
}

// word writes a word that the deck has left, by a step of Fisher and Yates's shuffle.
func (s *script) word() {
	if s.used == len(s.deck) {
		s.used = 0
	}
	left := uint64(len(s.deck) - s.used)
	pick := s.used + int(s.rng.Uint64()>>32*left>>32)
	s.deck[s.used], s.deck[pick] = s.deck[pick], s.deck[s.used]
	s.text = append(s.text, spaced[s.deck[s.used]][:]...)
	s.used++
}

// words writes whole words of exactly room characters with their spaces. Over the
// texts of one room the mean number of words is room/4: where that is no whole number,
// some texts have one more than others.
func (s *script) words(room int) {
	s.text = slices.Grow(s.text, room)
	n, short, long := split(room, s.coin)
	for range n {
		s.word()
	}
	for i := range short {
		s.text = append(s.text, shortWords[(s.coin>>2+byte(i))%8]...)
	}
	for i := range long {
		s.text = append(s.text, longWords[(s.coin>>2+byte(i))%8]...)
	}
	switch room { // too little for a word
	case 1:
		s.text = append(s.text, 's') // the plural of the last one
	case 2:
		s.text = append(s.text, " a"...)
	}
}

// split says how many words of three, two and four letters fill room. Two bits of the
// coin decide between the number of words just above and just below room/4, by how
// near each is; with little room there is not always a choice.
func split(room int, coin byte) (words, short, long int) {
	n, more := room/wordRoom, int(coin&3) < room%wordRoom
	switch rest := room % wordRoom; {
	case rest == 1 && more && n > 1: // 4n+1 = 4(n−2) + 3·3
		return n - 2, 3, 0
	case rest == 1 && n > 0: // 4n+1 = 4(n−1) + 5
		return n - 1, 0, 1
	case rest == 2 && !more && n > 1: // 4n+2 = 4(n−2) + 2·5
		return n - 2, 0, 2
	case rest == 2 && n > 0: // 4n+2 = 4(n−1) + 2·3
		return n - 1, 2, 0
	case rest == 3 && !more && n > 2: // 4n+3 = 4(n−3) + 3·5
		return n - 3, 0, 3
	case rest == 3: // 4n+3 = 4n + 3
		return n, 1, 0
	default:
		return n, 0, 0
	}
}

// String is the text without the space that each word has before it.
func (s *script) String() string { return string(s.text[1:]) }

// ShortestText is the number of characters of the shortest text that begins as no
// other does.
const ShortestText = nonceRoom - 1

// ProbeChars are the lengths of probe to learn a fit from, one of each: whole decks and
// the words that ask for a long answer, so that each has each word equally often. The longest is about 1,024 tokens, which any
// server's context holds and any server reads soon.
var ProbeChars = [...]int{1055, 2079, 3103, 4127}

// Probe gives the n-th text of exactly chars characters, from [ShortestText], that
// is made as prompts are, so that a [Fit] learned from probes holds for prompts. Equal arguments give equal texts, and
// texts of different ones share no beginning that a cache could keep.
func Probe(n int, chars int, salt string) string {
	var s script
	s.begin("%s/probe/%d/%d", salt, n, chars)
	s.ask(max(chars, ShortestText) + 1)
	return s.String()
}
