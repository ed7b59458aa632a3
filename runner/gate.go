package runner

import (
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// ticket is the permission to send one request.
type ticket struct {
	seq   int
	phase experiment.Phase
}

// gate decides what may be sent next, and keeps the point's window. It holds the
// rules of the package comment and no clock, so the run in real time and the one in
// virtual time cannot differ in them. It is not safe for concurrent use.
type gate struct {
	spec  *experiment.Spec
	lanes []laneState
	rule  Rule

	seq, inflight              int
	measuredSent, measuredDone int
	halted                     experiment.Instant // when sending was stopped from outside; Never = it was not
	stopped                    experiment.Instant // when a rule ended sending; Never = none did
	ended                      experiment.EarlyEnd

	firstSent, firstEnd, lastEnd experiment.Instant   // of measured requests: first Sent, first End, last End
	warm                         []experiment.Instant // Ends of warm-ups
	end                          experiment.Instant   // last End of any

	served  bool              // whether some request met a usable endpoint
	failed  int               // requests that did not, as long as none did
	failure experiment.Sample // the last that failed
	err     error             // *UnusableError once the endpoint is given up
}

// laneState is how far a lane has come.
type laneState struct {
	lane
	// left is the number of measured requests that an open lane has still to send.
	left int

	sent         []int  // requests admitted, by worker of a closed lane
	cooled       []bool // whether the worker has sent its cool-down request
	measuredSent int
	deadline     experiment.Instant // end of measured sending by time, of a closed lane; Never until the first

	firstSent, lastSent experiment.Instant // of measured requests
}

func newGate(spec *experiment.Spec, lanes []lane, schedule []planned, rule Rule) *gate {
	g := &gate{
		spec: spec, rule: rule, halted: experiment.Never, stopped: experiment.Never,
		firstSent: experiment.Never, firstEnd: experiment.Never, lastEnd: experiment.Never, end: experiment.Never,
	}
	for _, l := range lanes {
		g.lanes = append(g.lanes, laneState{
			lane: l, sent: make([]int, l.workers), cooled: make([]bool, l.workers),
			deadline: experiment.Never, firstSent: experiment.Never, lastSent: experiment.Never,
		})
	}
	for i := range schedule {
		if schedule[i].phase == experiment.Measured {
			g.lanes[schedule[i].lane].left += len(schedule[i].Turns)
		}
	}
	return g
}

// admit gives a worker of a closed lane, counted from the lane's first, which is
// free at now, its next request. It reports false when there is none: the worker is
// done with the point.
func (g *gate) admit(n, worker int, now experiment.Instant) (ticket, bool) {
	l := &g.lanes[n]
	var phase experiment.Phase
	switch {
	case g.halted.Happened():
		return ticket{}, false
	case !g.over(n, now) && l.sent[worker] < g.spec.Warmup:
		phase = experiment.Warmup
	case !g.over(n, now):
		phase = experiment.Measured
		if g.spec.Duration > 0 && !l.deadline.Happened() {
			l.deadline = now.Add(time.Duration(g.spec.Duration))
		}
	case g.spec.Warmup > 0 && (!l.cooled[worker] || len(g.lanes) > 1) && !g.settled(now) && g.keepsUp():
		phase = experiment.Cooldown
		l.cooled[worker] = true
	default:
		return ticket{}, false
	}
	l.sent[worker]++
	return g.take(l, phase, now), true
}

// admitArrival gives an open lane's next request its ticket. It reports false when
// it is not to be sent any more.
func (g *gate) admitArrival(n int, phase experiment.Phase, now experiment.Instant) (ticket, bool) {
	if g.stopped.Happened() && phase == experiment.Measured {
		phase = experiment.Cooldown
	}
	if g.halted.Happened() || !g.keepsUp() || phase == experiment.Cooldown && g.settled(now) {
		return ticket{}, false
	}
	l := &g.lanes[n]
	if phase == experiment.Measured {
		l.left--
	}
	return g.take(l, phase, now), true
}

// keepsUp reports whether the load goes on until the last measured request has
// ended. It does not where a rule found that load to be the trouble.
func (g *gate) keepsUp() bool { return !g.stopped.Happened() || g.ended == experiment.EndPrecise }

// abandon says that a conversation has ended before its last n turns, which an open
// lane had counted on.
func (g *gate) abandon(lane, n int, phase experiment.Phase) {
	if phase == experiment.Measured {
		g.lanes[lane].left -= n
	}
}

func (g *gate) take(l *laneState, phase experiment.Phase, now experiment.Instant) ticket {
	t := ticket{seq: g.seq, phase: phase}
	g.seq++
	g.inflight++
	if phase == experiment.Measured {
		g.measuredSent++
		l.measuredSent++
		l.firstSent = earlier(l.firstSent, now)
		l.lastSent = max(l.lastSent, now)
	}
	return t
}

// arrive says that a request of an open lane was due, and is sent now or waits.
func (g *gate) arrive(due experiment.Instant) { g.apply(Event{At: due, Due: due}) }

// apply asks the point's rule, and ends sending where it says so.
func (g *gate) apply(e Event) {
	if g.rule == nil || g.stopped.Happened() || g.halted.Happened() {
		return
	}
	if why := g.rule(e); why != "" && !g.settled(e.At) {
		g.stopped, g.ended = e.At, why
	}
}

// over reports whether a lane has sent its last measured request.
func (g *gate) over(n int, now experiment.Instant) bool {
	l := &g.lanes[n]
	switch {
	case g.stopped.Happened():
		return true
	case l.workers == 0:
		return l.left <= 0
	default:
		return g.spec.Requests > 0 && l.measuredSent == g.spec.Requests || l.deadline.Happened() && now >= l.deadline
	}
}

// allOver reports whether no measured request is left to be sent.
func (g *gate) allOver(now experiment.Instant) bool {
	for n := range g.lanes {
		if !g.over(n, now) {
			return false
		}
	}
	return true
}

// settled reports whether no measured request is in flight or still to be sent:
// whatever else is in flight has served its purpose.
func (g *gate) settled(now experiment.Instant) bool {
	return g.measuredDone == g.measuredSent && (g.halted.Happened() || g.allOver(now))
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
	g.inflight--
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
	g.apply(Event{At: s.End, Due: s.Scheduled, Sample: s})
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
		workers := 0
		for i := range g.lanes {
			workers += g.lanes[i].workers
		}
		if g.failed >= max(10, 2*workers) {
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
	closed := len(g.lanes) == 1 && g.lanes[0].workers > 0
	switch {
	case g.spec.Warmup == 0 || !closed && warmup(g.spec) == 0:
		w.Rule = experiment.SteadyNone
		return w
	case !closed:
		return g.openWindow(w)
	case g.halted.Happened() || g.stopped.Happened():
		w.Rule = experiment.SteadyClosed
		stop := max(g.halted, g.stopped)
		if g.ended == experiment.EndPrecise { // the load stays until the last measured request has ended
			w.Rule, stop = experiment.SteadyLoaded, w.SendEnd
		}
		// Never stays Never. A request may have been on its way out when sending stopped.
		w.SendEnd = min(w.SendEnd, max(stop, w.Start))
	}
	for _, end := range g.warm {
		if end < g.firstEnd && end < w.SendEnd {
			w.Start = max(w.Start, end)
		}
	}
	return w
}

// openWindow is the span in which every lane was sending measured requests, or
// where there is none the whole of their sending.
func (g *gate) openWindow(w experiment.Window) experiment.Window {
	w.Rule = experiment.SteadyOpen
	first, last := experiment.Never, experiment.Never
	start, end := experiment.Never, experiment.Never
	for i := range g.lanes {
		l := &g.lanes[i]
		if !l.firstSent.Happened() {
			continue
		}
		first, last = earlier(first, l.firstSent), max(last, l.lastSent)
		start, end = max(start, l.firstSent), earlier(end, l.lastSent)
	}
	if start >= end {
		start, end = first, last
	}
	w.Start, w.SendEnd = start, end
	return w
}

// deadline is the last deadline of a closed lane; Never while some lane has none.
func (g *gate) deadline() experiment.Instant {
	last := experiment.Never
	for i := range g.lanes {
		if l := &g.lanes[i]; l.workers > 0 {
			if !l.deadline.Happened() {
				return experiment.Never
			}
			last = max(last, l.deadline)
		}
	}
	return last
}

// patience is how long requests in flight are still waited for at now; 0 = there is
// no limit, or sending goes on.
func (g *gate) patience(now experiment.Instant) time.Duration {
	grace := time.Duration(g.spec.Grace)
	if grace == 0 && g.ended == experiment.EndOversaturated {
		grace = overloadGrace
	}
	if !g.allOver(now) && !g.halted.Happened() {
		return 0
	}
	return grace
}

// graceError is the cause of a request that was not waited for any longer.
func graceError(after time.Duration) *limitError {
	return &limitError{field: "grace", after: after, said: "sending had stopped and the answer was not complete",
		next: "raise the limit, or lower the load"}
}

// measured is the number of measured requests that are planned; 0 = a closed lane
// ends by time.
func (g *gate) measured() int {
	n := 0
	for i := range g.lanes {
		switch l := &g.lanes[i]; {
		case l.workers == 0:
			n += l.left
		case g.spec.Requests == 0:
			return 0
		default:
			n += g.spec.Requests
		}
	}
	return n
}
