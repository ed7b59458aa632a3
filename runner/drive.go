package runner

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/workload"
)

// overloadGrace is how long the requests of an over-saturated point are waited for
// where the specification does not say: they may be in a queue without end.
const overloadGrace = 30 * time.Second

// drive runs one point against the clock.
type drive struct {
	*running
	run *Run

	// ctx bounds every request. load, under it, bounds the warm-up and cool-down
	// requests and ends when the point is settled. sending, under that, ends also
	// when the point is halted or stopped, and with it every wait for a next request.
	ctx, load, sending        context.Context
	cancelAll                 context.CancelCauseFunc
	cancelLoad, cancelSending context.CancelFunc
	loops                     sync.WaitGroup // workers, the dispatcher of arrivals, and arrivals

	mu      sync.Mutex // guards the gate, live, vitals and what follows
	busy    int        // requests of open lanes in flight, or about to be
	waiting []waiter   // first come, first served
	ending  *time.Timer
	grace   *time.Timer
	sinkErr error
}

func newDrive(ctx context.Context, r *Run, p *running) *drive {
	d := &drive{running: p, run: r}
	d.ctx, d.cancelAll = context.WithCancelCause(ctx)
	d.load, d.cancelLoad = context.WithCancel(d.ctx)
	d.sending, d.cancelSending = context.WithCancel(d.load)
	return d
}

// drive runs workers and arrivals until none is left.
func (d *drive) drive(stop <-chan struct{}) error {
	defer d.cancelAll(nil)
	var first []*conversation
	for n, l := range d.lanes {
		for i := range l.workers {
			first = append(first, d.conversation(n, i, 0))
		}
	}
	before := observeProcess()
	begin := d.now() // preparing the point is no lag of its first requests
	for i, c := range first {
		d.loops.Go(func() { d.worker(c, begin.Add(stagger(d.spec, len(first), i))) })
	}
	if len(d.schedule) > 0 {
		d.loops.Go(func() { d.arrivals(begin) })
	}
	finished := make(chan struct{})
	go func() { d.loops.Wait(); close(finished) }()

	d.wait(finished, stop)
	for _, t := range []*time.Timer{d.ending, d.grace} {
		if t != nil {
			t.Stop()
		}
	}
	d.point.Health = d.vitals.health(stampRead)
	before.addTo(&d.point.Health)
	d.held.addTo(&d.point.Health)
	err := d.gate.finish(&d.point, d.sinkErr)
	last := d.progress(max(d.gate.end, 0))
	last.Finished = true
	d.watch(last)
	return err
}

// wait returns when all loops have finished. Until then it passes on a stop and
// tells the watcher.
func (d *drive) wait(finished, stop <-chan struct{}) {
	var tick <-chan time.Time
	if d.run.Observe != nil {
		t := time.NewTicker(observeEvery)
		defer t.Stop()
		tick = t.C
	}
	cancelled := d.ctx.Done()
	for {
		select {
		case <-finished:
			return
		case <-stop:
			stop = nil
			d.halt()
		case <-cancelled:
			cancelled = nil
			if limit := (*limitError)(nil); !errors.As(context.Cause(d.ctx), &limit) { // the end of the grace is in the plan
				d.halt()
			}
		case <-tick:
			d.mu.Lock()
			p := d.progress(d.now())
			d.mu.Unlock()
			d.watch(p)
		}
	}
}

func (d *drive) now() experiment.Instant { return experiment.Instant(time.Since(d.anchor)) }

// worker sends conversations one after another until the gate has no more for it.
// next is its first one, due when it is scheduled. Each is built while the one before
// it is in flight, so that none is built between two requests.
func (d *drive) worker(next *conversation, due experiment.Instant) {
	lane, id := next.lane, next.worker-d.lanes[next.lane].first
	ahead := make(chan *conversation)
	go func() {
		defer close(ahead)
		for k := 1; ; k++ {
			select {
			case ahead <- d.conversation(lane, id, k):
			case <-d.sending.Done():
				return
			}
		}
	}()
	sent, failures := 0, 0
	for {
		c := next
		for turn := 0; ; turn++ {
			if !d.until(due) {
				return
			}
			t, ok := d.admit(func() (ticket, bool) { return d.gate.admit(lane, id, due) }, due)
			if !ok {
				return
			}
			s, more := d.send(c, turn, sent, t, due)
			sent++
			due = s.End
			if failures++; s.Outcome == experiment.OK {
				failures = 0
			} else {
				due = due.Add(pause(failures, s.RetryAfter))
			}
			if !more {
				break
			}
			due = due.Add(c.entry.Turns[turn+1].Think)
		}
		var ok bool
		if next, ok = <-ahead; !ok {
			return
		}
		due = due.Add(d.gen.Pause(next.place, next.entry.Class))
	}
}

// arrivals sends the conversations of the schedule, each at its time or, where the
// cap holds it back, as soon as there is room: late, and none is left out.
func (d *drive) arrivals(begin experiment.Instant) {
	ahead := make(chan *conversation, 64)
	go func() {
		defer close(ahead)
		for i := range d.schedule {
			select {
			case ahead <- d.arrival(i):
			case <-d.sending.Done():
				return
			}
		}
	}()
	for c := range ahead {
		due := begin.Add(d.schedule[c.number].At)
		if !d.until(due) {
			return
		}
		d.enter(c, 0, due)
	}
}

// waiter is a turn that waits for room under the cap.
type waiter struct {
	conversation *conversation
	turn         int
	due          experiment.Instant
}

// enter sends a turn of an arrival that is due, or queues it, first come first
// served, where the cap leaves no room.
func (d *drive) enter(c *conversation, turn int, due experiment.Instant) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gate.arrive(due)
	if limit := d.spec.MaxConcurrency; limit > 0 && d.busy >= limit {
		c.first = workload.Content{} // a long queue of prompts would fill the memory
		d.waiting = append(d.waiting, waiter{c, turn, due})
		return
	}
	d.busy++
	d.loops.Go(func() { d.arrivalTurn(c, turn, due) })
}

// leave gives a turn's room under the cap to the next one that waits.
func (d *drive) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy--
	if len(d.waiting) == 0 || d.sending.Err() != nil {
		return
	}
	w := d.waiting[0]
	d.waiting = d.waiting[1:]
	d.busy++
	d.held.add(d.schedule[w.conversation.number].phase, d.now().Sub(w.due))
	d.loops.Go(func() {
		if w.turn == 0 {
			w.conversation.first = d.gen.Content(w.conversation.place, w.conversation.entry, 0)
		}
		d.arrivalTurn(w.conversation, w.turn, w.due)
	})
}

// arrivalTurn sends a turn of an arrival's conversation, and enters the next one
// when it is due.
func (d *drive) arrivalTurn(c *conversation, turn int, due experiment.Instant) {
	e := &d.schedule[c.number]
	now, rest := max(due, d.now()), len(c.entry.Turns)-turn
	t, ok := d.admit(func() (ticket, bool) { return d.gate.admitArrival(e.lane, e.phase, now) }, now)
	if !ok {
		d.abandon(e, rest)
		d.leave()
		return
	}
	s, more := d.send(c, turn, 0, t, due)
	if !more {
		d.abandon(e, rest-1)
	}
	d.leave()
	if !more {
		return
	}
	next := s.End.Add(c.entry.Turns[turn+1].Think)
	if d.until(next) {
		d.enter(c, turn+1, next)
	}
}

// abandon says that the last n turns of an entry are not sent.
func (d *drive) abandon(e *planned, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gate.abandon(e.lane, n, e.phase)
	d.check(d.now())
}

// send makes one request and takes note of its end. It reports whether the
// conversation goes on.
func (d *drive) send(c *conversation, turn, sent int, t ticket, due experiment.Instant) (experiment.Sample, bool) {
	ctx := d.ctx
	if t.phase != experiment.Measured {
		ctx = d.load
	}
	r := d.request(c, turn, sent, t, due)
	s, text := d.run.Client.Ask(ctx, d.anchor, r)
	if !s.End.Happened() {
		s.End = d.now()
	}
	d.done(&s)
	return s, c.answered(&r, &s, text, turn)
}

// until waits for an instant. It reports false where sending ended before it.
func (d *drive) until(due experiment.Instant) bool {
	left := due.Sub(d.now())
	if left <= 0 {
		return d.sending.Err() == nil
	}
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-t.C:
		return d.sending.Err() == nil
	case <-d.sending.Done():
		return false
	}
}

// admit asks the gate for a request at an instant, and looks what follows from it.
func (d *drive) admit(ask func() (ticket, bool), now experiment.Instant) (ticket, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t, ok := ask()
	d.check(now)
	if deadline := d.gate.deadline(); d.ending == nil && deadline.Happened() {
		d.ending = time.AfterFunc(deadline.Sub(d.now()), d.settle)
	}
	return t, ok
}

// settle looks at the point at its deadline: workers that sit out a pause after an
// error have nothing to wait for.
func (d *drive) settle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.check(d.now())
}

// check does what follows from the gate's state at an instant. d.mu is held.
func (d *drive) check(now experiment.Instant) {
	if d.gate.err != nil {
		d.cancelAll(nil)
	}
	if d.gate.settled(now) {
		d.cancelLoad()
	}
	if !d.gate.keepsUp() {
		d.cancelSending()
	}
	if wait := d.gate.patience(now); wait > 0 && d.grace == nil {
		d.grace = time.AfterFunc(wait, func() { d.cancelAll(graceError(wait)) })
	}
}

// done takes note of a request that has ended, and hands it over.
func (d *drive) done(s *experiment.Sample) {
	d.mu.Lock()
	d.gate.done(s)
	d.live.add(s)
	d.vitals.add(s)
	d.check(s.End)
	d.mu.Unlock()
	if err := d.run.Sink.AddSample(d.point.ID, *s); err != nil {
		d.mu.Lock()
		if d.sinkErr == nil {
			d.sinkErr = err
			d.gate.halt(s.End)
			d.cancelAll(nil)
		}
		d.mu.Unlock()
	}
}

// halt stops sending for a reason outside the plan.
func (d *drive) halt() {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	d.gate.halt(now)
	d.cancelSending()
	d.check(now)
}
