package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/workload"
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
	// Rule makes the rule by which a point may end early; nil = none does.
	Rule func(*experiment.Spec, experiment.Point) Rule
	// Next plans a further point once those of the plan are done, and ends the run
	// with false; nil = there is none. It is told the point before, with its samples
	// in the sink; nil before the first.
	Next func(before *experiment.Point) (PlannedPoint, bool)
	// Observe is told how the run goes, at most five times a second and at the end
	// of each point; nil = nobody watches. No worker waits for it, but the run
	// notices a stop only between two calls.
	Observe func(Progress)
}

// Do carries out the plan in real time. Closing stop ends sending: what is in
// flight is awaited and the point is saved as interrupted. When ctx is done, what
// is in flight is cancelled and saved as such. In both cases the status is
// [experiment.Interrupted] and the error nil; so it is where a limit on errors or
// cost ended the run. The error is an [*UnusableError] where the endpoint serves nothing,
// or the sink's; the status is then [experiment.Failed]. All samples are in the sink
// when Do returns.
func (r *Run) Do(ctx context.Context, stop <-chan struct{}) (experiment.Status, error) {
	if r.Client == nil {
		return experiment.Failed, errors.New("running the plan: there is no client")
	}
	return r.each(ctx, stop, time.Now, func(p *running) error {
		return newDrive(ctx, r, p).drive(stop)
	})
}

// running is a point while it runs.
type running struct {
	point experiment.Point
	spec  *experiment.Spec // of the point's variant
	// anchor is the point's instant 0. It has a monotonic reading in real time.
	anchor   time.Time
	salt     string // the experiment's ID
	gen      *workload.Generator
	lanes    []lane
	schedule []planned
	gate     *gate
	live     live
	vitals   vitals
	held     held
	total    int // measured requests; 0 = the point ends by time
	watch    func(Progress)
}

// workers is the number of workers of all closed lanes.
func (p *running) workers() int {
	n := 0
	for _, l := range p.lanes {
		n += l.workers
	}
	return n
}

// each runs the points in order. drive sets a point's window, health and status;
// anchor gives the instant 0 of the next point.
func (r *Run) each(ctx context.Context, stop <-chan struct{}, anchor func() time.Time, drive func(*running) error) (experiment.Status, error) {
	var before *experiment.Point
	for i := 0; ; i++ {
		if stopped(ctx, stop) {
			return experiment.Interrupted, nil
		}
		planned, ok := r.next(i, before)
		if !ok {
			return experiment.Complete, nil
		}
		p, err := r.prepare(planned)
		if err != nil {
			return experiment.Failed, fmt.Errorf("preparing point %d: %w", i, err)
		}
		p.begin(anchor())
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
		err = drive(p)
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
		before = &p.point
	}
}

// next gives the i-th point of the run.
func (r *Run) next(i int, before *experiment.Point) (PlannedPoint, bool) {
	if i < len(r.Plan.Points) {
		return r.Plan.Points[i], true
	}
	if r.Next == nil {
		return PlannedPoint{}, false
	}
	return r.Next(before)
}

// prepare does for a point what takes time, before its clock starts.
func (r *Run) prepare(planned PlannedPoint) (*running, error) {
	p := &running{spec: &planned.Spec, salt: r.ExperimentID, lanes: lanesOf(&planned.Spec, planned.Load), live: newLive()}
	var err error
	p.gen, err = workload.New(workload.Config{
		Spec: planned.Spec, Items: r.Plan.Items, Fit: r.Plan.Fit, Seed: planned.Seed, Salt: r.ExperimentID, Workers: p.workers(),
	})
	if err != nil {
		return nil, err
	}
	schedule := planned.Schedule
	if schedule == nil {
		if schedule, err = newSchedule(p.spec, p.lanes, p.gen, r.Plan.Items, planned.Seed); err != nil {
			return nil, err
		}
	}
	p.schedule = phases(p.spec, p.lanes, schedule)
	p.point = experiment.Point{
		ID: r.IDs.New(), ExperimentID: r.ExperimentID,
		Ordinal: planned.Ordinal, Repeat: planned.Repeat, Load: planned.Load, Seed: planned.Seed,
		Status:   experiment.Running,
		Window:   experiment.Window{Start: experiment.Never, SendEnd: experiment.Never, End: experiment.Never},
		Schedule: schedule,
	}
	var rule Rule
	if r.Rule != nil {
		rule = r.Rule(p.spec, p.point)
	}
	p.gate = newGate(p.spec, p.lanes, p.schedule, rule)
	p.total = p.gate.measured()
	return p, nil
}

// begin sets the point's instant 0.
func (p *running) begin(anchor time.Time) {
	p.anchor = anchor
	// The wall clock alone: no other process can use the monotonic one.
	p.point.Anchor = anchor.Round(0).UTC()
}

// finish puts into the point what its gate knows of how it ended.
func (g *gate) finish(pt *experiment.Point, sinkErr error) error {
	if !g.served && g.failed > 0 {
		g.giveUp() // fewer requests than it takes to be sure, but there were no others
	}
	pt.Window, pt.Ended = g.window(), g.ended
	switch {
	case sinkErr != nil:
		pt.Status = experiment.Failed
		return fmt.Errorf("saving a sample of point %d: %w", pt.Ordinal, sinkErr)
	case g.err != nil:
		pt.Status = experiment.Failed
		return g.err
	case g.halted.Happened() || g.ended == experiment.EndErrors || g.ended == experiment.EndCost:
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
