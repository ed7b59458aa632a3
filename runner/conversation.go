package runner

import (
	"fmt"
	"strings"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/dataset"
	"github.com/inferbook/inferbook/runner/workload"
)

// conversation is what a worker or an arrival sends, one turn after another.
type conversation struct {
	lane   int
	worker int // of the point's workers; −1 = it is an arrival of an open lane
	place  workload.Place
	entry  experiment.Entry
	number int // of the conversation in the point, from 0
	first  workload.Content

	history []dataset.Message
	// counted is what the server counted in the turn before: its prompt and its
	// answer; Unknown where it did not say.
	counted int
}

// conversation prepares the k-th of a worker of a closed lane.
func (p *running) conversation(lane, worker, k int) *conversation {
	l := p.lanes[lane]
	c := &conversation{
		lane: lane, worker: l.first + worker, number: k*p.workers() + l.first + worker,
		place: workload.Place{Class: l.class, Worker: l.first + worker, K: k}, counted: experiment.Unknown,
	}
	c.entry = p.gen.Entry(c.place)
	if k == 0 && p.spec.Warmup > 0 && l.workers > 1 && p.spec.ThinkTime.IsZero() && p.spec.Endpoint != experiment.Embeddings {
		// See "Steady state" in the package comment.
		c.entry.Turns[0].Output = p.gen.FirstOutput(c.place, c.entry.Turns[0].Output)
	}
	c.first = p.gen.Content(c.place, c.entry, 0)
	return c
}

// arrival prepares the conversation of an entry of the schedule.
func (p *running) arrival(i int) *conversation {
	e := &p.schedule[i]
	c := &conversation{
		lane: e.lane, worker: -1, number: i,
		place: workload.Place{Class: p.lanes[e.lane].class, K: e.k}, entry: e.Entry, counted: experiment.Unknown,
	}
	c.first = p.gen.Content(c.place, c.entry, 0)
	return c
}

// request makes the request of a turn. sent is the number of requests that the
// worker has sent in the point before it.
func (p *running) request(c *conversation, turn, sent int, t ticket, due experiment.Instant) Request {
	content := c.first
	if turn > 0 {
		content = p.gen.Content(c.place, c.entry, turn)
	}
	s := experiment.NewSample(t.seq)
	s.Worker, s.Phase, s.Scheduled, s.Replica, s.ModelAsked = max(c.worker, 0), t.phase, due, content.Replica, content.Model
	s.PromptAsked, s.OutputAsked = content.PromptTokens, content.OutputTokens
	if turn > 0 {
		// What the server made of the conversation so far, and the new text.
		s.PromptAsked = experiment.Unknown
		if c.counted >= 0 && content.PromptTokens >= 0 {
			s.PromptAsked = c.counted + content.PromptTokens
		}
	}
	if len(c.entry.Turns) > 1 {
		s.Session, s.Turn = c.number, turn
	}
	if len(p.spec.Classes) > 0 {
		s.Class = p.spec.Classes[c.entry.Class].Name
	}
	c.history = append(c.history, content.History...)
	return Request{
		Sample: s, ID: p.salt + "-" + p.requestID(c, turn, sent), Prompt: content.Prompt, History: c.history, Body: content.Body,
		Model: content.Model, Replica: content.Replica, MaxTokens: content.OutputTokens,
	}
}

// requestID names a request within the experiment. No other one has the name, and
// another run of the same plan gives the same names.
func (p *running) requestID(c *conversation, turn, sent int) string {
	switch {
	case c.worker >= 0:
		return fmt.Sprintf("%d-%d-%d", p.point.Ordinal, c.worker, sent)
	case turn > 0:
		return fmt.Sprintf("%d-a-%d.%d", p.point.Ordinal, c.number, turn)
	default:
		return fmt.Sprintf("%d-a-%d", p.point.Ordinal, c.number)
	}
}

// answered takes a turn's answer into the conversation. It reports whether there
// is a next turn: an answer that failed ends the conversation.
func (c *conversation) answered(r *Request, s *experiment.Sample, text string, turn int) bool {
	if s.Outcome != experiment.OK || turn+1 >= len(c.entry.Turns) {
		return false
	}
	c.history = append(c.history[:len(c.history):len(c.history)],
		dataset.Message{Role: "user", Content: r.Prompt}, dataset.Message{Role: "assistant", Content: strings.ToValidUTF8(text, "\uFFFD")})
	c.counted = experiment.Unknown
	if s.PromptTokens >= 0 && s.OutputTokens >= 0 && s.Counted != experiment.CountedNone {
		c.counted = s.PromptTokens + s.OutputTokens
	}
	return true
}
