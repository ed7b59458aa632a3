package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/inferbook/inferbook/experiment"
	work "github.com/inferbook/inferbook/runner/workload"
)

// Learned is what a client found out by asking a server before a run.
type Learned struct {
	// Fit is how the server counts our prompts; [work.DefaultFit] where it does not say.
	Fit work.Fit
	// How says in a few words what Fit rests on: "usage.prompt_tokens of 6 probes".
	How string
	// Requests is how many were sent.
	Requests int
	// FullLength says whether an answer that a model would keep short was as long as
	// its limit; it means nothing where FullLengthKnown is false.
	FullLength, FullLengthKnown bool
	// Context is the number of tokens beyond which the server silently cuts a
	// prompt; 0 = it was not seen to cut any.
	Context int
	// Warnings are whole sentences on what could not be learned, or is not as it should be.
	Warnings []string
}

const (
	// Texts of evenFirst + k·evenStep characters have each word of the vocabulary k
	// times, beside those that ask for a long answer: whatever a tokenizer makes of
	// single words, such texts count nearly alike.
	evenFirst = 31
	evenStep  = 1024
	smallStep = 224 // in place of evenStep, where the context is too small

	textsLeast = 2                // of each length; one more of the first, since two may be alike by chance
	textsFirst = 10               // of the first length, where the counts scatter
	textsLong  = 4                // of the longest, where they do
	textsTime  = 20 * time.Second // after which only the least are sent
	probeLimit = 8192             // tokens of the longest probe at most: the line goes on beyond it
	probeOver  = 1.2              // times the longest prompt of the run is what it aims at

	fullTokens = 32 // limit of the answer that tells whether its length can be forced
	fullPrompt = "%s: answer with the one word yes and nothing more"

	cutGrowth = 0.95 // a count below this share of what the shorter probes foretell is a cut one
)

// Learn asks the server how it counts prompts, by its tokenizer where the dialect
// has one and else by the usage of short answers, and whether it makes answers as
// long as they are to be. It sends eight requests, one after the other, and up to
// seventeen where texts of one length count differently. A
// server that is down, refuses, or gives no counts is no error: the fit is then a
// guess and the warnings say why. The error is that of ctx alone.
func (c *Client) Learn(ctx context.Context) (Learned, error) {
	l := learning{client: c, ctx: ctx, begun: time.Now(), Learned: Learned{Fit: work.DefaultFit, How: "a guess of 4 characters a token"}}
	if t := c.row.tokenizer; t != nil && t.counts(c.spec.Endpoint) {
		l.count, l.by = l.byTokenizer, "POST /tokenize"
		// What fails here is asked in the other way, so it is nothing to warn of.
		if err := l.fit(); err != nil {
			l.points, l.Context, l.Warnings = nil, 0, nil
		}
	}
	if !l.Fit.Learned && ctx.Err() == nil {
		l.count, l.by = l.byUsage, "usage.prompt_tokens"
		if err := l.fit(); err != nil {
			l.warn("the prompt lengths are guessed at 4 characters a token: %s", err)
		}
	}
	if l.Context > 0 {
		l.warn("the server silently cuts prompts at %d tokens: ask for shorter ones, or start it with a longer context", l.Context)
	}
	if l.alive && ctx.Err() == nil && c.spec.IgnoreEOS != "off" && c.spec.Endpoint != experiment.Embeddings {
		l.full()
	}
	return l.Learned, ctx.Err()
}

// learning is the state of one Learn.
type learning struct {
	Learned
	client *Client
	ctx    context.Context
	count  func(text string) (int, error)
	by     string
	points []work.Point
	begun  time.Time
	alive  bool // the server answered a request
	uneven bool // texts of one length count differently
}

func (l *learning) warn(format string, args ...any) {
	l.Warnings = append(l.Warnings, fmt.Sprintf(format, args...))
}

// pair is the mean count of the probes of one length.
type pair struct {
	chars, tokens float64
	same          bool // all of them counted alike, as they do at a cut
}

// errCut says that the probes were too long for the context to learn from.
var errCut = errors.New("the server cuts prompts that short already")

// fit draws a line through probes, shorter ones where the server cuts the first.
func (l *learning) fit() error {
	step := float64(evenStep)
	if n := l.client.maxLen; n > 0 && n < 2*evenStep { // a poor tokenizer makes a token of two characters
		step = smallStep
	}
	err := l.probe(step)
	if errors.Is(err, errCut) && step > smallStep {
		l.points = nil
		err = l.probe(smallStep)
	}
	return err
}

// probe sends probes of three lengths, the last chosen by what the others counted.
func (l *learning) probe(step float64) error {
	first, err := l.pair(evenFirst+step, textsLeast+1, textsFirst)
	if err != nil {
		return err
	}
	middle, err := l.pair(evenFirst+2*step, textsLeast, textsLeast)
	if err != nil {
		return err
	}
	if first.same && middle.same && middle.tokens == first.tokens {
		l.Context = int(middle.tokens)
		return errCut
	}
	if middle.tokens <= first.tokens {
		return fmt.Errorf("the server counted %.0f tokens for %.0f characters and %.0f for %.0f, so it counts something else", first.tokens, first.chars, middle.tokens, middle.chars)
	}
	perToken := (middle.chars - first.chars) / (middle.tokens - first.tokens)
	steps := 3.0
	if step == evenStep {
		aim := first.chars + (l.client.longestProbe()-first.tokens)*perToken
		steps = max(steps, math.Round((aim-evenFirst)/step))
	}
	long, err := l.pair(evenFirst+steps*step, textsLeast, textsLong)
	if err != nil {
		// A prompt that is refused leaves the two lengths that were counted.
		l.warn("a prompt of about %.0f tokens was not counted: %s", first.tokens+(long.chars-first.chars)/perToken, err)
		return l.line()
	}
	if foretold := first.tokens + (long.chars-first.chars)/perToken; long.same && long.tokens < cutGrowth*foretold {
		l.Context = int(long.tokens)
		l.points = slices.DeleteFunc(l.points, func(p work.Point) bool { return float64(p.Chars) == long.chars })
		if middle.tokens > cutGrowth*long.tokens { // perhaps cut itself
			return errCut
		}
	}
	return l.line()
}

func (l *learning) line() error {
	fit, err := work.FitLine(l.points)
	if err == nil {
		l.Fit, l.How = fit, fmt.Sprintf("%s of %d probes", l.by, len(l.points))
	}
	return err
}

// pair has some probes of one length counted: the least number of them, or the
// most where their counts differ and the server is quick enough.
func (l *learning) pair(chars float64, least, most int) (pair, error) {
	p := pair{chars: chars, same: true}
	first, sum, sent := 0, 0, 0
	for sent < least || sent < most && l.uneven && time.Since(l.begun) < textsTime {
		n, err := l.count(work.Probe(l.Requests, int(chars), l.client.salt))
		if err != nil {
			return p, err
		}
		if sent == 0 {
			first = n
		}
		if n != first {
			p.same, l.uneven = false, true
		}
		sent++
		sum += n
		l.points = append(l.points, work.Point{Chars: int(chars), Tokens: n})
	}
	p.tokens = float64(sum) / float64(sent)
	return p, nil
}

// longestProbe is how many tokens the longest probes aim at.
func (c *Client) longestProbe() float64 {
	s := &c.spec
	longest := s.InputTokens.Longest()
	for _, class := range s.Classes {
		if !class.InputTokens.IsZero() {
			longest = max(longest, class.InputTokens.Longest())
		}
	}
	aim := min(probeOver*float64(longest), probeLimit)
	if c.maxLen > 0 {
		const room = 0.9 // for the template, the answer and a tokenizer that counts more
		aim = min(aim, room*float64(c.maxLen))
	}
	return aim
}

// ask sends one request of Learn's.
func (l *learning) ask(text string, limit int) experiment.Sample {
	if l.client.spec.Endpoint == experiment.Responses {
		limit = max(limit, 16) // the least that OpenAI takes there
	}
	r := Request{Sample: experiment.NewSample(l.Requests), ID: l.id(), Prompt: text, MaxTokens: limit}
	r.Sample.Phase = experiment.Warmup
	l.Requests++
	return l.client.Do(l.ctx, time.Now(), r)
}

func (l *learning) id() string { return fmt.Sprintf("%s-learn-%d", l.client.salt, l.Requests) }

// byUsage has a probe counted by the usage of an answer of one token.
func (l *learning) byUsage(text string) (int, error) {
	s := l.ask(text, 1)
	if s.Outcome != experiment.OK && s.Outcome != experiment.Empty {
		return 0, errors.New(s.Error)
	}
	l.alive = true
	if s.PromptTokens <= 0 {
		return 0, errors.New("the server answered without usage.prompt_tokens")
	}
	return s.PromptTokens, nil
}

// byTokenizer has a probe counted by the server's tokenizer.
func (l *learning) byTokenizer(text string) (int, error) {
	c, t := l.client, l.client.row.tokenizer
	chat := c.spec.Endpoint == experiment.Chat || c.spec.Endpoint == ""
	body, err := json.Marshal(t.body(c.spec.Model, text, chat))
	if err != nil {
		return 0, fmt.Errorf("encoding a probe: %w", err)
	}
	ctx, cancel := context.WithTimeout(l.ctx, time.Duration(c.spec.FirstByteTimeout))
	defer cancel()
	address := strings.TrimSuffix(c.replicas[0].base, "/v1") + "/tokenize"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("preparing a probe: %w", err)
	}
	c.dress(req)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Request-Id", l.id())
	l.Requests++
	resp, err := c.transport.RoundTrip(req) // which follows no redirect
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, completeLimit))
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK || !gjson.ValidBytes(answer) {
		return 0, fmt.Errorf("the tokenizer answered %d", resp.StatusCode)
	}
	n := t.count(gjson.ParseBytes(answer))
	if n <= 0 {
		return 0, errors.New("the tokenizer gives no count")
	}
	l.alive = true
	return n, nil
}

// full asks once for an answer that a model would keep short, and looks whether it
// has its full length: a server that ignores a field does not refuse it.
func (l *learning) full() {
	s := l.ask(fmt.Sprintf(fullPrompt, l.client.salt), fullTokens)
	counted := s.Counted == experiment.CountedUsage || s.Counted == experiment.CountedContinuous
	if s.Outcome != experiment.OK || s.Finish != "length" && !counted {
		return
	}
	l.FullLengthKnown = true
	l.FullLength = s.Finish == "length" || s.OutputTokens >= fullTokens
	if l.FullLength {
		return
	}
	ended := "before its limit of"
	if counted {
		ended = fmt.Sprintf("after %d of", s.OutputTokens)
	}
	if fields := l.client.tongue.inForce(); len(fields) > 0 {
		l.client.tongue.short.Store(true)
		l.warn("the server takes %s and ended an answer %s %d tokens all the same: outputs will be shorter than asked", strings.Join(fields, " and "), ended, fullTokens)
		return
	}
	l.warn("nothing forces the length of an answer, and one ended %s %d tokens: outputs will be shorter than asked", ended, fullTokens)
}
