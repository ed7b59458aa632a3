package runner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// Run carries out the plan of one experiment.
type Run struct {
	ExperimentID string
	Plan         Plan
	Sink         Sink
	// IDs names the points.
	IDs *experiment.IDs
	// Client sends the requests; nil for a run in virtual time.
	Client *Client
	// Observe is told how the run goes, at most five times a second and at the end
	// of each point; nil = nobody watches. No worker waits for it, but the run
	// notices a stop only between two calls.
	Observe func(Progress)
}

// Do carries out the plan in real time. Closing stop ends sending: what is in
// flight is awaited and the point is saved as interrupted. When ctx is done, what
// is in flight is cancelled and saved as such. In both cases the status is
// [experiment.Interrupted] and the error nil. The error is an [*UnusableError]
// where the endpoint serves nothing, or the sink's; the status is then
// [experiment.Failed]. All samples are in the sink when Do returns.
func (r *Run) Do(ctx context.Context, stop <-chan struct{}) (experiment.Status, error) {
	if r.Client == nil {
		return experiment.Failed, errors.New("running the plan: there is no client")
	}
	return r.each(ctx, stop, time.Now, func(p *running) error {
		return newClosedLoop(ctx, r, p).drive(stop)
	})
}

// running is a point while it runs.
type running struct {
	point experiment.Point
	// anchor is the point's instant 0. It has a monotonic reading in real time.
	anchor time.Time
	work   workload
	watch  func(Progress)
}

// each runs the points in order. drive sets a point's window, health and status;
// anchor gives the instant 0 of the next point.
func (r *Run) each(ctx context.Context, stop <-chan struct{}, anchor func() time.Time, drive func(*running) error) (experiment.Status, error) {
	for i, planned := range r.Plan.Points {
		if stopped(ctx, stop) {
			return experiment.Interrupted, nil
		}
		p := &running{
			anchor: anchor(),
			work:   workload{spec: r.Plan.Spec, seed: planned.Seed, ordinal: planned.Ordinal, workers: planned.Load.Concurrency, salt: r.ExperimentID},
		}
		p.point = experiment.Point{
			ID: r.IDs.New(), ExperimentID: r.ExperimentID,
			Ordinal: planned.Ordinal, Repeat: planned.Repeat, Load: planned.Load, Seed: planned.Seed,
			Status: experiment.Running,
			// The wall clock alone: no other process can use the monotonic one.
			Anchor: p.anchor.Round(0).UTC(),
			Window: experiment.Window{Start: experiment.Never, SendEnd: experiment.Never, End: experiment.Never},
		}
		p.watch = func(now Progress) {
			if r.Observe != nil {
				now.Point, now.PointIndex, now.Points = p.point, i, len(r.Plan.Points)
				r.Observe(now)
			}
		}
		if err := r.Sink.StartPoint(ctx, p.point); err != nil {
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				return experiment.Interrupted, nil // the sink was waiting, and the person was not
			}
			return experiment.Failed, fmt.Errorf("saving the start of point %d: %w", i, err)
		}
		err := drive(p)
		// A cancelled run still saves what it has.
		if endErr := r.Sink.EndPoint(context.WithoutCancel(ctx), p.point); endErr != nil && err == nil {
			err = fmt.Errorf("saving the end of point %d: %w", i, endErr)
		}
		switch {
		case err != nil:
			return experiment.Failed, err
		case p.point.Status != experiment.Complete:
			return p.point.Status, nil
		}
	}
	return experiment.Complete, nil
}

// finish puts into the point what its gate knows of how it ended.
func (g *gate) finish(pt *experiment.Point, sinkErr error) error {
	if !g.served && g.failed > 0 {
		g.giveUp() // fewer requests than it takes to be sure, but there were no others
	}
	pt.Window = g.window()
	switch {
	case sinkErr != nil:
		pt.Status = experiment.Failed
		return fmt.Errorf("saving a sample of point %d: %w", pt.Ordinal, sinkErr)
	case g.err != nil:
		pt.Status = experiment.Failed
		return g.err
	case g.halted.Happened():
		pt.Status = experiment.Interrupted
	default:
		pt.Status = experiment.Complete
	}
	return nil
}

func stopped(ctx context.Context, stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// closedLoop runs one point against the clock.
type closedLoop struct {
	*running
	run *Run

	// ctx bounds every request. load, under it, bounds the warm-up and cool-down
	// requests and ends when the point is settled. sending, under that, ends also
	// when the point is halted, and with it every wait for a next request.
	ctx, load, sending                   context.Context
	cancelAll, cancelLoad, cancelSending context.CancelFunc

	mu      sync.Mutex // guards what follows
	gate    *gate
	ending  *time.Timer // runs at the gate's deadline; nil = it has none yet
	live    live
	vitals  vitals
	sinkErr error
}

func newClosedLoop(ctx context.Context, r *Run, p *running) *closedLoop {
	l := &closedLoop{running: p, run: r, gate: newGate(p.work.spec, p.work.workers), live: newLive()}
	l.ctx, l.cancelAll = context.WithCancel(ctx)
	l.load, l.cancelLoad = context.WithCancel(l.ctx)
	l.sending, l.cancelSending = context.WithCancel(l.load)
	return l
}

// drive runs the workers until none is left.
func (l *closedLoop) drive(stop <-chan struct{}) error {
	defer l.cancelAll()
	first := make([]asked, l.work.workers)
	for i := range first {
		first[i] = l.work.request(i, 0)
	}
	before := observeProcess()
	begin := l.now() // preparing the point is no lag of its first requests
	var workers sync.WaitGroup
	for i := range first {
		workers.Go(func() { l.worker(i, first[i], begin.Add(l.work.stagger(i))) })
	}
	finished := make(chan struct{})
	go func() { workers.Wait(); close(finished) }()

	l.wait(finished, stop)
	if l.ending != nil {
		l.ending.Stop()
	}

	l.point.Health = l.vitals.health(stampRead)
	before.addTo(&l.point.Health)
	err := l.gate.finish(&l.point, l.sinkErr)
	last := l.live.progress(l.work.spec, max(l.gate.end, 0))
	last.Finished = true
	l.watch(last)
	return err
}

// wait returns when the workers have finished. Until then it passes on a stop
// and tells the watcher.
func (l *closedLoop) wait(finished, stop <-chan struct{}) {
	var tick <-chan time.Time
	if l.run.Observe != nil {
		t := time.NewTicker(observeEvery)
		defer t.Stop()
		tick = t.C
	}
	cancelled := l.ctx.Done()
	for {
		select {
		case <-finished:
			return
		case <-stop:
			stop = nil
			l.halt()
		case <-cancelled:
			cancelled = nil
			l.halt()
		case <-tick:
			l.mu.Lock()
			p := l.live.progress(l.work.spec, l.now())
			l.mu.Unlock()
			l.watch(p)
		}
	}
}

func (l *closedLoop) now() experiment.Instant { return experiment.Instant(time.Since(l.anchor)) }

// worker sends requests one after another until the gate has no more for it.
// next is its first one, due when it is scheduled.
func (l *closedLoop) worker(id int, next asked, due experiment.Instant) {
	following := l.work.ahead(l.sending, id)
	failures := 0
	for k := 0; ; k++ {
		if !l.until(due) {
			return
		}
		t, ok := l.admit(id, due)
		if !ok {
			return
		}
		ctx := l.ctx
		if t.phase != experiment.Measured {
			ctx = l.load
		}
		s := l.run.Client.Do(ctx, l.anchor, l.work.address(id, k, next, t, due))
		if !s.End.Happened() {
			s.End = l.now()
		}
		l.done(&s)
		due = s.End
		if failures++; s.Outcome == experiment.OK {
			failures = 0
		} else {
			due = due.Add(pause(failures, s.RetryAfter))
		}
		if next, ok = <-following; !ok {
			return
		}
	}
}

// until waits for an instant. It reports false where sending ended before it.
func (l *closedLoop) until(due experiment.Instant) bool {
	d := due.Sub(l.now())
	if d <= 0 {
		return l.sending.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return l.sending.Err() == nil
	case <-l.sending.Done():
		return false
	}
}

func (l *closedLoop) admit(id int, due experiment.Instant) (ticket, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.gate.admit(id, due)
	if l.gate.settled(due) {
		l.cancelLoad()
	}
	if l.ending == nil && l.gate.deadline.Happened() {
		l.ending = time.AfterFunc(l.gate.deadline.Sub(l.now()), l.settle)
	}
	return t, ok
}

// settle ends the point at its deadline if no measured request is in flight
// then: workers that sit out a pause after an error have nothing to wait for.
func (l *closedLoop) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gate.settled(l.now()) {
		l.cancelLoad()
	}
}

// done takes note of a request that has ended, and hands it over.
func (l *closedLoop) done(s *experiment.Sample) {
	l.mu.Lock()
	l.gate.done(s)
	l.live.add(s)
	l.vitals.add(s)
	switch {
	case l.gate.err != nil:
		l.cancelAll()
	case l.gate.settled(s.End):
		l.cancelLoad()
	}
	l.mu.Unlock()
	if err := l.run.Sink.AddSample(l.point.ID, *s); err != nil {
		l.mu.Lock()
		if l.sinkErr == nil {
			l.sinkErr = err
			l.gate.halt(s.End)
			l.cancelAll()
		}
		l.mu.Unlock()
	}
}

// halt stops sending for a reason outside the plan.
func (l *closedLoop) halt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.gate.halt(now)
	l.cancelSending()
	if l.gate.settled(now) {
		l.cancelLoad()
	}
}
