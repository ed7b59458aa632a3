package sim

// STAND-IN, deleted at the merge: content.go of the scheduler's branch has these.

import (
	"hash/fnv"
	"strings"
	"time"
	"unicode/utf8"
)

// words are the tokens of the simulated answers. Each is four bytes with its
// leading space, so that an answer of n tokens counts n tokens again when it
// comes back as a prompt.
var words = [...]string{
	" the", " lab", " run", " set", " one", " two", " six", " ten", " add", " sum", " try", " map", " bit", " key", " row", " net",
	" hot", " dry", " low", " mid", " top", " end", " mix", " fit", " arc", " arm", " bay", " bow", " cap", " car", " day", " dot",
	" ear", " eye", " fan", " fog", " gap", " gas", " hat", " ice", " ink", " jar", " jet", " kit", " lap", " leg", " lid", " log",
	" mud", " nut", " oak", " oar", " pan", " pen", " pie", " pin", " rod", " rug", " sea", " sky", " sun", " tea", " tin", " web",
}

// word is token i of an answer; the same request gets the same answer.
func word(digest uint64, i int) string {
	// The finaliser of MurmurHash3 spreads neighbouring numbers.
	x := digest + uint64(i)*0x9e3779b97f4a7c15
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return words[x%uint64(len(words))]
}

// The approximate tokeniser: four characters are a token, each message of a
// chat costs four tokens of template, and the opening of the answer three.
const (
	charactersPerToken = 4
	messageTokens      = 4
	answerTokens       = 3
)

func countText(s string) int {
	return (utf8.RuneCountInString(s) + charactersPerToken - 1) / charactersPerToken
}

// Message is one message of a chat.
type Message struct{ Role, Text string }

// Content is what a request is about.
type Content struct {
	tokens int
	digest uint64
}

// ChatContent is the content of a chat.
func ChatContent(messages []Message) *Content {
	c, h := &Content{tokens: answerTokens}, fnv.New64a()
	for _, m := range messages {
		c.tokens += messageTokens + countText(m.Text)
		h.Write([]byte(m.Role + "\x00" + m.Text + "\x00"))
	}
	c.digest = h.Sum64()
	return c
}

// TextContent is the content of a completion.
func TextContent(text string) *Content {
	h := fnv.New64a()
	h.Write([]byte(text))
	return &Content{countText(text), h.Sum64()}
}

// TokensContent is a prompt in tokens.
func TokensContent(ids []int) *Content {
	h := fnv.New64a()
	for _, id := range ids {
		h.Write([]byte{byte(id), byte(id >> 8), byte(id >> 16)})
	}
	return &Content{len(ids), h.Sum64()}
}

// Tokens is the length of the prompt.
func (c *Content) Tokens() int { return c.tokens }

// Answer is the text of the answer's tokens from one up to another.
func (c *Content) Answer(from, to int) string {
	if to == from+1 {
		return word(c.digest, from)
	}
	var b strings.Builder
	for i := from; i < to; i++ {
		b.WriteString(word(c.digest, i))
	}
	return b.String()
}

// replicaOf is Truth.Replica.
func replicaOf(Truth) int { return 0 }

// Step is one step as a log has it.
type Step struct {
	Start      time.Duration `json:"start_ns"` // since the engine's start
	Took       time.Duration `json:"took_ns"`
	Replica    int           `json:"replica"`
	Tokens     int           `json:"tokens"`      // computed
	Sequences  int           `json:"sequences"`   // with tokens in the step
	Running    int           `json:"running"`     // sequences admitted
	Waiting    int           `json:"waiting"`     // sequences not admitted
	FreeBlocks int           `json:"free_blocks"` // KV blocks that can be had, cached ones included
	Limit      string        `json:"limit"`       // the class of operator that took the longest
}

// step is the audience's, in today's form.
func (s *Server) step(w work, took time.Duration) {
	running, used, _ := s.engine.scheduler.counts()
	s.stepped(Step{
		Start: s.engine.now, Took: took, Tokens: w.tokens, Sequences: w.seqs, Running: running,
		Waiting: s.engine.waiting.len(), FreeBlocks: s.d.KVBlocks - used, Limit: s.engine.costs.parts(w).limit(),
	})
}

// limit names the class of operator that takes most of a step.
func (p parts) limit() string {
	name, most := "", -1.0
	for _, c := range []struct {
		name string
		time float64
	}{
		{"weights", p.weights}, {"matrix arithmetic", p.compute}, {"prefill attention", p.prefill}, {"decode attention", p.decode},
		{"all-reduce", p.reduce}, {"kernel launches", p.launch}, {"host", p.host + p.hostBound},
	} {
		if c.time > most {
			name, most = c.name, c.time
		}
	}
	return name
}

// gauges reads an engine; s.mu is held.
func (s *Server) gauges(replica int) gauges {
	if replica > 0 {
		return gauges{}
	}
	running, blocks, preemptions := s.engine.scheduler.counts()
	return gauges{running: running, waiting: s.engine.waiting.len(), blocks: blocks, preemptions: preemptions}
}
