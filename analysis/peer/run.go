package peer

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// request is one request, as far as any tool looks at it.
type request struct {
	ok bool
	// due is when the plan wanted it sent. event is the first event of any kind, text and content
	// the first with reasoning or content and with content, last the last with either.
	due, sent, event, text, content, last, end experiment.Instant
	second                                     time.Duration // from the first event with text to the second; −1 = there is none
	prompt, output, reasoning                  int           // tokens; experiment.Unknown
	events                                     int           // with text
}

// seconds gives the time from one instant to another, and false where one did not happen.
func seconds(from, to experiment.Instant) (float64, bool) {
	if !from.Happened() || !to.Happened() {
		return math.NaN(), false
	}
	return to.Sub(from).Seconds(), true
}

func milliseconds(from, to experiment.Instant) (float64, bool) {
	s, ok := seconds(from, to)
	return s * 1000, ok
}

// first is the first event of any kind where it is known, else the first with text.
func (r *request) first() experiment.Instant {
	if !r.text.Happened() || !r.event.Happened() {
		return max(r.text, r.event)
	}
	return min(r.event, r.text)
}

// opened reports whether an event without text came before the first with text, and
// how long before.
func (r *request) opened() (time.Duration, bool) {
	if !r.text.Happened() || r.first() == r.text {
		return 0, false
	}
	return r.text.Sub(r.first()), true
}

// finished is the last event with text, or the end of an answer that was not streamed.
func (r *request) finished() experiment.Instant {
	if r.last.Happened() {
		return r.last
	}
	return r.end
}

// answer is the tokens of the answer without those of the reasoning.
func (r *request) answer() int {
	if r.output == experiment.Unknown {
		return experiment.Unknown
	}
	return r.output - max(r.reasoning, 0)
}

// run is the requests that a tool would have counted, and what we say of the same point.
type run struct {
	point    experiment.Point
	spec     *experiment.Spec
	requests []request // that were sent

	origin    experiment.Instant // the first Sent of a successful request
	gaps      tally              // between the events with text of each successful stream
	tokenGaps tally              // between tokens of the content: 0 within an event
	opaque    int                // streams of which nobody told the tokens in each event
	perSecond map[int]int        // events with text in each second from origin
	// eventful is how many streams had an event without text first.
	eventful int

	ours map[string][]weighted // our values by the name of the metric
}

// detail is what a tool looks at within a stream, which takes a walk along its events.
type detail struct{ gaps, tokens, seconds bool }

// gather reads the samples twice: once for the first send, from which seconds are counted,
// and once for everything else.
func gather(t *Tool, p experiment.Point, spec *experiment.Spec, samples iter.Seq2[experiment.Sample, error]) (*run, error) {
	r := &run{point: p, spec: spec, origin: experiment.Never, perSecond: map[int]int{}, ours: map[string][]weighted{}}
	counts := func(s *experiment.Sample) bool { return s.Sent.Happened() && slices.Contains(t.Phases, s.Phase) }
	for s, err := range samples {
		if err != nil {
			return nil, fmt.Errorf("reading the samples of %s: %w", p.Load, err)
		}
		if counts(&s) && s.Outcome == experiment.OK && (!r.origin.Happened() || s.Sent < r.origin) {
			r.origin = s.Sent
		}
	}
	ours := t.ours()
	for s, err := range samples {
		if err != nil {
			return nil, fmt.Errorf("reading the samples of %s: %w", p.Load, err)
		}
		if counts(&s) {
			r.add(&s, t.within)
		}
		r.addOurs(&s, ours)
	}
	return r, nil
}

// ours lists those of our metrics of samples that the tool's are held against, but that of gaps, which are
// the tool's own.
func (t *Tool) ours() []analysis.Metric {
	var list []analysis.Metric
	for _, m := range t.Metrics {
		our, ok := analysis.MetricByName(m.Ours)
		known := slices.ContainsFunc(list, func(o analysis.Metric) bool { return o.Name == our.Name })
		if ok && our.Of != nil && !known {
			list = append(list, our)
		}
	}
	return list
}

func (r *run) addOurs(s *experiment.Sample, ours []analysis.Metric) {
	for _, m := range ours {
		if v, ok := m.Of(s); ok {
			r.ours[m.Name] = append(r.ours[m.Name], weighted{v, 1})
		}
	}
}

func (r *run) add(s *experiment.Sample, within detail) {
	q := request{
		ok: s.Outcome == experiment.OK, due: s.Scheduled, sent: s.Sent, event: s.FirstEvent, text: s.FirstText(), content: s.FirstContent,
		last: s.LastContent, end: s.End, second: -1, prompt: s.PromptTokens, output: s.OutputTokens, reasoning: s.ReasoningTokens,
	}
	if s.Counted == experiment.CountedNone {
		q.output = experiment.Unknown
	}
	if !q.due.Happened() {
		q.due = q.sent
	}
	if q.text.Happened() {
		q.events = max(s.Events, len(s.Gaps)+1)
	}
	if len(s.Gaps) > 0 {
		q.second = s.Gaps[0].Duration()
	}
	r.requests = append(r.requests, q)
	if !q.ok || !q.text.Happened() {
		return
	}
	if _, opened := q.opened(); opened {
		r.eventful++
	}
	if within.gaps {
		for _, g := range s.Gaps {
			r.gaps.add(g.Duration(), 1)
		}
	}
	if within.seconds {
		r.addSeconds(s, &q)
	}
	if within.tokens {
		r.addTokens(s, &q)
	}
}

// addSeconds counts the events with text of a stream, second by second.
func (r *run) addSeconds(s *experiment.Sample, q *request) {
	at := q.text.Sub(r.origin)
	second, n := at/time.Second, 1
	for _, g := range s.Gaps {
		if at += g.Duration(); at/time.Second != second {
			r.perSecond[int(second)] += n
			second, n = at/time.Second, 0
		}
		n++
	}
	r.perSecond[int(second)] += n
}

// addTokens counts the gaps between the tokens of a stream's content.
func (r *run) addTokens(s *experiment.Sample, q *request) {
	tokens, told := tokensOf(s)
	if !told {
		r.opaque++
		return
	}
	at, before := q.text, experiment.Never // before is the event with content before this one
	for i := 0; ; i++ {
		// Arrivals are kept to a microsecond, the first content to a nanosecond.
		if q.content.Happened() && at.Add(time.Microsecond) > q.content {
			if before.Happened() {
				r.tokenGaps.add(at.Sub(before), 1)
			}
			if further := tokens(i) - 1; further > 0 {
				r.tokenGaps.add(0, further)
			}
			before = at
		}
		if i == len(s.Gaps) {
			return
		}
		at = at.Add(s.Gaps[i].Duration())
	}
}

// tokensOf gives the tokens in each event with text, and false where they are not known:
// the server has not told, and the tokens are not as many as the events.
func tokensOf(s *experiment.Sample) (of func(i int) int, told bool) {
	if len(s.TokensAt) == len(s.Gaps)+1 {
		return func(i int) int { return max(1, int(s.TokensAt[i])) }, true
	}
	one := func(int) int { return 1 }
	return one, s.Counted == experiment.CountedEvents || s.OutputTokens == len(s.Gaps)+1
}

// successes are the requests that ended well.
func (r *run) successes() iter.Seq[*request] {
	return func(yield func(*request) bool) {
		for i := range r.requests {
			if q := &r.requests[i]; q.ok && !yield(q) {
				return
			}
		}
	}
}

func (r *run) completed() float64 {
	n := 0
	for range r.successes() {
		n++
	}
	return float64(n)
}

func (r *run) failed() float64 { return float64(len(r.requests)) - r.completed() }

// sum adds up a count over the successes. It is known only when each part is.
func (r *run) sum(of func(*request) int) float64 {
	sum := 0.0
	for q := range r.successes() {
		n := of(q)
		if n == experiment.Unknown {
			return math.NaN()
		}
		sum += float64(n)
	}
	return sum
}

func (r *run) promptTokens() float64 { return r.sum(func(q *request) int { return q.prompt }) }
func (r *run) outputTokens() float64 { return r.sum(func(q *request) int { return q.output }) }
func (r *run) answerTokens() float64 { return r.sum((*request).answer) }

// span is the seconds from the earliest of some instants to the latest of others, over all
// requests or the successful ones; NaN where there is neither.
func (r *run) span(from, to func(*request) experiment.Instant, all bool) float64 {
	first, last := experiment.Never, experiment.Never
	for i := range r.requests {
		q := &r.requests[i]
		if !all && !q.ok {
			continue
		}
		if at := from(q); at.Happened() && (!first.Happened() || at < first) {
			first = at
		}
		last = max(last, to(q))
	}
	s, ok := seconds(first, last)
	if !ok || s < 0 {
		return math.NaN()
	}
	return s
}

// per gives an amount ÷ seconds, NaN where no time has passed.
func per(amount, seconds float64) float64 {
	if !(seconds > 0) {
		return math.NaN()
	}
	return amount / seconds
}

// open reports whether the load is a rate.
func (r *run) open() bool { return r.point.Load.Open() }

// cap is the most requests that may be in flight; 0 = any number, as where one of several classes is an open loop.
func (r *run) cap() float64 {
	if r.point.Load.Rate > 0 {
		return float64(r.spec.MaxConcurrency)
	}
	return float64(r.point.Load.Concurrency)
}

func dueOf(q *request) experiment.Instant  { return q.due }
func sentOf(q *request) experiment.Instant { return q.sent }
func endOf(q *request) experiment.Instant  { return q.end }
func lastOf(q *request) experiment.Instant { return q.last }
func textOf(q *request) experiment.Instant { return q.text }
