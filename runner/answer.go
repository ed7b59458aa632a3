package runner

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// serverLimit bounds what a sample keeps of the server's own timing.
const serverLimit = 64 << 10

// firstGaps is how many gaps an answer has room for at first. An answer that
// comes to nothing, or is one of thousands, then costs little.
const firstGaps = 256

// answer gathers the chunks of one answer into its sample.
type answer struct {
	s       *experiment.Sample
	forms   classifier
	text    []byte // reasoning and content in the order they came
	keep    bool   // content is wanted too
	content []byte // without the reasoning
	garbled string // an event that is no chunk; the stream is not read past it
	fault   string // what the server said went wrong, in a chunk
	over    bool   // the chunk came that is always the last

	last     experiment.Instant // the last event of any kind
	lastRead int                // the read that the last text came in
	usage    usage
	cached   int
	byIDs    tally
	byUsage  tally
}

func newAnswer(s *experiment.Sample, capacity int) *answer {
	s.Gaps = make([]experiment.Gap, 0, min(max(capacity, 0), firstGaps))
	return &answer{s: s, last: experiment.Never, usage: noUsage, cached: experiment.Unknown}
}

// event takes one event of a stream. It reports whether the event was progress,
// and false, false for one that cannot be understood.
func (a *answer) event(raw []byte, at arrival) (progress, ok bool) {
	c, ok := a.forms.classify(raw)
	if !ok {
		a.garbled = string(raw)
		return false, false
	}
	return a.chunk(&c, at), true
}

// chunk takes what an event says, and reports whether it was progress.
func (a *answer) chunk(c *chunk, at arrival) (progress bool) {
	s := a.s
	first := !s.FirstEvent.Happened()
	if first {
		s.FirstEvent = at.at
	}
	a.last = at.at
	if len(c.reasoning) > 0 && !s.FirstReasoning.Happened() {
		s.FirstReasoning = at.at
	}
	if len(c.content) > 0 && !s.FirstContent.Happened() {
		s.FirstContent = at.at
	}
	if c.hasText() {
		a.arrived(at)
	}
	a.take(c)
	return first || c.progress || c.hasText() || c.finish != "" || c.usage.told()
}

// arrived stamps an event with text.
func (a *answer) arrived(at arrival) {
	s := a.s
	switch {
	case s.Events == 0:
	case at.read == a.lastRead:
		s.Gaps = append(s.Gaps, experiment.SameRead)
	default:
		s.Gaps = append(s.Gaps, experiment.Gap(at.at.Sub(s.LastContent)))
	}
	s.Events++
	s.LastContent, a.lastRead = at.at, at.read
	a.lagged(at.lag)
}

// lagged keeps how late the event that has just arrived was read. Lags stay
// nil as long as the kernel has stamped none.
func (a *answer) lagged(lag time.Duration) {
	s := a.s
	if lag == experiment.Unknown && s.Lags == nil {
		return
	}
	for len(s.Lags) < s.Events-1 {
		s.Lags = append(s.Lags, experiment.Unknown)
	}
	s.Lags = append(s.Lags, lag)
	if s.Events == 1 {
		s.FirstLag = lag
	}
	s.MaxLag = max(s.MaxLag, lag)
}

// take adds what a chunk says to the answer, its times apart.
func (a *answer) take(c *chunk) {
	s := a.s
	a.text = append(append(a.text, c.reasoning...), c.content...)
	if a.keep {
		a.content = append(a.content, c.content...)
	}
	a.over = a.over || c.last
	if c.fault != "" {
		a.fault = c.fault
	}
	a.byIDs.add(max(c.tokens, 0), c.tokens >= 0, c.hasText())
	a.byUsage.add(c.usage.output-a.byUsage.total, c.usage.output > 0, c.hasText())
	if c.usage.told() {
		a.usage = c.usage
	}
	if c.cached >= 0 {
		a.cached = c.cached
	}
	if c.finish != "" {
		s.Finish = c.finish
	}
	if s.Model == "" {
		s.Model = c.model
	}
	if s.Fingerprint == "" {
		s.Fingerprint = c.fingerprint
	}
	if c.server != "" && len(c.server) <= serverLimit {
		s.Server = c.server
	}
}

// settle fills the counts and hashes once the answer is over, however it ended.
func (a *answer) settle(prompt string, keep bool) {
	s := a.s
	s.PromptTokens, s.CachedTokens, s.ReasoningTokens = a.usage.prompt, a.usage.cached, a.usage.reasoning
	if s.CachedTokens == experiment.Unknown {
		s.CachedTokens = a.cached
	}
	ids, continuous := a.byIDs.complete(s.Events, 1), a.byUsage.complete(s.Events, 2)
	switch {
	case a.usage.output > 0 || a.usage.output == 0 && s.Events == 0 && len(a.text) == 0:
		s.OutputTokens, s.Counted = a.usage.output, experiment.CountedUsage
		if continuous {
			s.Counted = experiment.CountedContinuous
		}
	case ids:
		s.OutputTokens, s.Counted = a.byIDs.total, experiment.CountedContinuous
	case s.FirstEvent.Happened():
		s.OutputTokens, s.Counted = s.Events, experiment.CountedEvents
	}
	switch {
	case ids:
		s.TokensAt = a.byIDs.at
	case continuous:
		s.TokensAt = a.byUsage.at
	}
	if len(s.Gaps) == 0 {
		s.Gaps = nil
	}
	s.PromptHash, s.OutputHash = textHash([]byte(prompt)), textHash(a.text)
	if keep {
		s.Prompt, s.Output = prompt, string(bytes.ToValidUTF8(a.text, []byte("\uFFFD")))
	}
}

// tally is the tokens in each event with text, by one of the server's ways to
// tell them. Tokens that come with no text are counted to the next event that
// has some: its text is theirs.
type tally struct {
	at      []int32
	total   int
	pending int
	broken  bool // an event with text did not tell
}

func (t *tally) add(tokens int, told, text bool) {
	if told {
		t.total += tokens
		t.pending += tokens
	}
	switch {
	case t.broken || !text:
	case !told || t.pending < 0:
		t.broken, t.at = true, nil
	default:
		t.at = append(t.at, int32(t.pending))
		t.pending = 0
	}
}

// complete reports whether each of the events told its tokens, and at least
// least of them did: one event with the usage of the whole answer is no count as it goes.
func (t *tally) complete(events, least int) bool {
	return !t.broken && len(t.at) == events && events >= least
}

// textHash is the first 16 hex digits of the SHA-256; empty for no text.
func textHash(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
