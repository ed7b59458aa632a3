package runner

import (
	"fmt"
	"net/http"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// Pauses after errors, see the package comment.
const (
	pauseFirst = 100 * time.Millisecond
	pauseMax   = 5 * time.Second
	retryMax   = time.Minute
)

// pause is how long a worker waits after its n-th error in a row, n from 1.
// A server's own Retry-After goes first.
func pause(n int, retryAfter time.Duration) time.Duration {
	if retryAfter > 0 {
		return min(retryAfter, retryMax)
	}
	if n > 6 { // 100 ms · 2⁶ is above the maximum
		return pauseMax
	}
	return min(pauseFirst<<(n-1), pauseMax)
}

// UnusableError ends a run whose endpoint does not serve what was asked. Each of
// the first max(10, 2C) requests of a point, or all of them where there were
// fewer, was refused or answered with 401, 403 or 404, so that the requests still
// to come would only repeat it.
type UnusableError struct {
	Requests int               // how many were tried in the point
	Last     experiment.Sample // the last of them
}

// Error carries the cause as the last request met it.
func (e *UnusableError) Error() string {
	cause := e.Last.Error
	if cause == "" {
		cause = fmt.Sprintf("%s, HTTP status %d", e.Last.Outcome, e.Last.HTTPStatus)
	}
	if e.Requests == 1 {
		return "the only request failed: " + cause
	}
	return fmt.Sprintf("all of the first %d requests failed, the last with: %s", e.Requests, cause)
}

// unusable reports whether the outcome says that the endpoint, the key or the
// model is wrong rather than that the server is busy.
func unusable(s *experiment.Sample) bool {
	switch s.Outcome {
	case experiment.Refused:
		return true
	case experiment.HTTPError:
		return s.HTTPStatus == http.StatusUnauthorized || s.HTTPStatus == http.StatusForbidden || s.HTTPStatus == http.StatusNotFound
	default:
		return false
	}
}

// ticket is the permission to send one request.
type ticket struct {
	seq   int
	phase experiment.Phase
}

// gate decides what each worker of a closed loop sends next, and keeps the
// point's window. It holds the rules of the package comment and no clock, so the
// run in real time and the one in virtual time cannot differ in them. It is not
// safe for concurrent use.
type gate struct {
	spec    experiment.Spec
	workers int

	seq                        int
	sent                       []int  // requests admitted, by worker
	cooled                     []bool // whether the worker has sent its cool-down request
	measuredSent, measuredDone int
	deadline                   experiment.Instant // end of measured sending by time; Never until the first
	halted                     experiment.Instant // when sending was stopped from outside; Never = it was not

	firstSent, firstEnd, lastEnd experiment.Instant   // of measured requests: first Sent, first End, last End
	warm                         []experiment.Instant // Ends of warm-ups
	end                          experiment.Instant   // last End of any

	served  bool              // whether some request met a usable endpoint
	failed  int               // requests that did not, as long as none did
	failure experiment.Sample // the last that failed
	err     error             // *UnusableError once the endpoint is given up
}

func newGate(spec experiment.Spec, workers int) *gate {
	return &gate{
		spec: spec, workers: workers, sent: make([]int, workers), cooled: make([]bool, workers),
		deadline: experiment.Never, halted: experiment.Never,
		firstSent: experiment.Never, firstEnd: experiment.Never, lastEnd: experiment.Never,
		end: experiment.Never,
	}
}

// admit gives worker, which is free at now, its next request. It reports false
// when there is none: the worker is done with the point.
func (g *gate) admit(worker int, now experiment.Instant) (ticket, bool) {
	t := ticket{seq: g.seq}
	switch {
	case g.halted.Happened():
		return t, false
	case !g.over(now) && g.sent[worker] < g.spec.Warmup:
		t.phase = experiment.Warmup
	case !g.over(now):
		t.phase = experiment.Measured
		g.measuredSent++
		if g.spec.Duration > 0 && !g.deadline.Happened() {
			g.deadline = now.Add(time.Duration(g.spec.Duration))
		}
	case g.spec.Warmup > 0 && !g.cooled[worker] && g.measuredDone < g.measuredSent:
		t.phase = experiment.Cooldown
		g.cooled[worker] = true
	default:
		return t, false
	}
	g.seq++
	g.sent[worker]++
	return t, true
}

// over reports whether the last measured request has been sent.
func (g *gate) over(now experiment.Instant) bool {
	return g.spec.Requests > 0 && g.measuredSent == g.spec.Requests ||
		g.deadline.Happened() && now >= g.deadline
}

// settled reports whether no measured request is in flight or still to be sent:
// whatever else is in flight has served its purpose.
func (g *gate) settled(now experiment.Instant) bool {
	return (g.halted.Happened() || g.over(now)) && g.measuredDone == g.measuredSent
}

// halt stops sending at now, for a reason outside the plan. A point that is
// settled has nothing more to send, so it stays complete.
func (g *gate) halt(now experiment.Instant) {
	if !g.halted.Happened() && !g.settled(now) {
		g.halted = now
	}
}

// done takes note of a request that has ended.
func (g *gate) done(s *experiment.Sample) {
	g.end = max(g.end, s.End)
	switch s.Phase {
	case experiment.Measured:
		g.measuredDone++
		g.firstSent = earlier(g.firstSent, s.Sent)
		g.firstEnd = earlier(g.firstEnd, s.End)
		g.lastEnd = max(g.lastEnd, s.End)
	case experiment.Warmup:
		if s.Outcome != experiment.Cancelled {
			g.warm = append(g.warm, s.End)
		}
	}
	g.judge(s)
}

// judge gives the endpoint up once enough requests have shown that it serves nothing.
func (g *gate) judge(s *experiment.Sample) {
	switch {
	case g.served || s.Outcome == experiment.Cancelled:
	case !unusable(s):
		g.served = true
	default:
		g.failed++
		g.failure = *s
		if g.failed >= max(10, 2*g.workers) {
			g.giveUp()
			g.halt(s.End)
		}
	}
}

// giveUp says that the endpoint serves nothing. A person who has stopped the
// point before has had the last word.
func (g *gate) giveUp() {
	if g.err == nil && !g.halted.Happened() {
		g.err = &UnusableError{Requests: g.failed, Last: g.failure}
	}
}

// earlier is the smaller of two instants, of those that happened.
func earlier(a, b experiment.Instant) experiment.Instant {
	if !a.Happened() || b.Happened() && b < a {
		return b
	}
	return a
}

// window gives the point's window, once all its requests have ended.
func (g *gate) window() experiment.Window {
	w := experiment.Window{Start: g.firstSent, SendEnd: g.lastEnd, End: g.end, Rule: experiment.SteadyLoaded}
	switch {
	case g.spec.Warmup == 0:
		w.Rule = experiment.SteadyNone
		return w
	case g.halted.Happened():
		w.Rule = experiment.SteadyClosed
		// Never stays Never. A request may have been on its way out when sending stopped.
		w.SendEnd = min(w.SendEnd, max(g.halted, w.Start))
	}
	for _, end := range g.warm {
		if end < g.firstEnd && end < w.SendEnd {
			w.Start = max(w.Start, end)
		}
	}
	return w
}
