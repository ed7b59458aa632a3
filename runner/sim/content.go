package sim

import (
	"encoding/binary"
	"math"
	"slices"
	"unicode/utf8"
)

// Message is one message of a chat.
type Message struct{ Role, Text string }

// Content is a prompt as the engine's approximate tokeniser sees it. Four
// characters of a text are a token, rounded up for each message. A message has
// three tokens of template before its text (start, role, end) and one after it,
// and the opening of the answer is the three of the assistant's role. So a prompt
// and its answer are together the beginning of the prompt that the conversation's
// next turn sends, which is what a prefix cache lives on. A Content does not change.
type Content struct {
	messages []Message // of a chat
	text     string
	ids      []int
	tokens   int
	digest   uint64 // of all tokens: the end of their chain
}

// The approximate tokeniser: four characters are a token, each message of a
// chat costs four tokens of template, and the opening of the answer three.
const (
	charactersPerToken = 4
	messageTokens      = 4
	answerTokens       = 3
)

// assistant is the role of an answer.
const assistant = "assistant"

// ChatContent is the prompt that the messages of a chat make, in their order. The
// slice is kept.
func ChatContent(messages []Message) *Content { return newContent(Content{messages: messages}) }

// TextContent is a prompt without a template.
func TextContent(text string) *Content { return newContent(Content{text: text}) }

// TokensContent is a prompt of token IDs, one token each. The slice is kept.
func TokensContent(ids []int) *Content { return newContent(Content{ids: ids}) }

func newContent(c Content) *Content {
	c.text = valid(c.text)
	for i, m := range c.messages {
		if text := valid(m.Text); text != m.Text {
			c.messages = slices.Clone(c.messages)
			c.messages[i].Text = text
		}
	}
	h := hasher{left: math.MaxInt}
	c.hash(&h)
	c.tokens, c.digest = math.MaxInt-h.left, h.sum
	return &c
}

// valid gives bytes that are no UTF-8 the form in which JSON would bring them.
func valid(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return string([]rune(text))
}

// Tokens is the length of the prompt in tokens.
func (c *Content) Tokens() int { return c.tokens }

// Answer is the text of the answer's tokens from one, counted from 0, up to
// another. It follows from the prompt alone, so whoever asks the same is answered
// the same. Each token is four bytes, and counts as one when the answer comes back.
func (c *Content) Answer(from, to int) string {
	out := make([]byte, 0, charactersPerToken*max(0, to-from))
	for i := from; i < to; i++ {
		out = append(out, c.word(i)...)
	}
	return string(out)
}

// words are the tokens of the simulated answers.
var words = [...]string{
	" the", " lab", " run", " set", " one", " two", " six", " ten", " add", " sum", " try", " map", " bit", " key", " row", " net",
	" hot", " dry", " low", " mid", " top", " end", " mix", " fit", " arc", " arm", " bay", " bow", " cap", " car", " day", " dot",
	" ear", " eye", " fan", " fog", " gap", " gas", " hat", " ice", " ink", " jar", " jet", " kit", " lap", " leg", " lid", " log",
	" mud", " nut", " oak", " oar", " pan", " pen", " pie", " pin", " rod", " rug", " sea", " sky", " sun", " tea", " tin", " web",
}

// word is token i of the answer.
func (c *Content) word(i int) string {
	// The finaliser of MurmurHash3 spreads neighbouring numbers.
	x := c.digest + uint64(i)*0x9e3779b97f4a7c15
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return words[x%uint64(len(words))]
}

// Tokens of the template, and marks that keep kinds of tokens apart.
const (
	tokenStart uint64 = 1<<32 + iota
	tokenEndOfRole
	tokenEndOfMessage
	markID   uint64 = 1 << 40
	markText uint64 = 1 << 41
)

// hash takes all tokens of the prompt into the chain.
func (c *Content) hash(h *hasher) {
	for _, m := range c.messages {
		h.role(m.Role)
		h.text(m.Text)
		h.token(tokenEndOfMessage)
	}
	if c.messages != nil {
		h.role(assistant)
	}
	h.text(c.text)
	for _, id := range c.ids {
		h.token(uint64(id) ^ markID)
	}
}

// hasher runs along tokens. The sum after a token depends on it and on all before
// it; after each whole block it is the block's key.
type hasher struct {
	sum  uint64
	left int // tokens to the end of the block
	size int // tokens of a block
	keys []uint64
}

func (h *hasher) token(t uint64) {
	// A round of the finaliser of MurmurHash3 for each token.
	x := (h.sum ^ t) * 0xff51afd7ed558ccd
	h.sum = x ^ x>>32
	if h.left--; h.left == 0 {
		h.keys = append(h.keys, h.sum)
		h.left = h.size
	}
}

func (h *hasher) role(name string) {
	h.token(tokenStart)
	h.token(fold(name))
	h.token(tokenEndOfRole)
}

// runeBytes is the length of a character by the upper half of its first byte.
var runeBytes = [16]uint8{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4}

// text takes in a text, four characters a token and the rest another one.
func (h *hasher) text(s string) {
	for len(s) > 0 {
		if len(s) >= charactersPerToken {
			// Plain ASCII is a character a byte.
			if t := binary.LittleEndian.Uint32([]byte(s[:charactersPerToken])); t&0x80808080 == 0 {
				h.token(uint64(t))
				s = s[charactersPerToken:]
				continue
			}
		}
		end := 0
		for n := 0; n < charactersPerToken && end < len(s); n++ {
			end += int(runeBytes[s[end]>>4])
		}
		h.token(fold(s[:end]))
		s = s[end:]
	}
}

// fold makes a number of a token's bytes.
func fold(s string) uint64 {
	const odd = 0xc4ceb9fe1a85ec53
	sum := uint64(len(s))
	for ; len(s) >= 8; s = s[8:] {
		sum = (sum ^ binary.LittleEndian.Uint64([]byte(s[:8]))) * odd
		sum ^= sum >> 32
	}
	word := uint64(0)
	for i := range len(s) {
		word = word<<8 | uint64(s[i])
	}
	return (sum^word)*odd | markText
}

// chain gives the keys of a sequence's blocks: of its prompt, and of its answer
// as far as that has come. They are computed when they are first asked for.
type chain struct {
	content *Content // nil: it has none, and shares nothing
	h       hasher
	hashed  int // tokens
}

// keys gives one key for each whole block among so many tokens of blocks of a size.
func (c *chain) keys(tokens, size int) []uint64 {
	if c.content == nil {
		return nil
	}
	if c.hashed == 0 {
		c.h = hasher{left: size, size: size, keys: make([]uint64, 0, c.content.tokens/size+1)}
		c.content.hash(&c.h)
		c.hashed = c.content.tokens
	}
	for ; c.hashed < tokens; c.hashed++ {
		c.h.text(c.content.word(c.hashed - c.content.tokens))
	}
	return c.h.keys[:tokens/size]
}
