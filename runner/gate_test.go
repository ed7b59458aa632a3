package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
)

// driveSink keeps what a run hands over, and checks the order of the calls.
type driveSink struct {
	mu      sync.Mutex
	points  []experiment.Point // as they ended
	samples [][]experiment.Sample
	open    string // ID of the point that is running
	faults  []string
	// errDriveDisk is returned by AddSample once this many samples have come; 0 = never.
	failAfter int
	n         int
}

var errDriveDisk = errors.New("the disk is full")

func (d *driveSink) StartPoint(_ context.Context, p experiment.Point) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open != "" || p.Status != experiment.Running || p.ID == "" {
		d.faults = append(d.faults, fmt.Sprintf("StartPoint of %+v while %q runs", p, d.open))
	}
	d.open = p.ID
	d.samples = append(d.samples, nil)
	return nil
}

func (d *driveSink) AddSample(id string, s experiment.Sample) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if id != d.open {
		d.faults = append(d.faults, fmt.Sprintf("sample of point %q while %q runs", id, d.open))
	}
	last := len(d.samples) - 1
	d.samples[last] = append(d.samples[last], s)
	d.n++
	if d.failAfter > 0 && d.n >= d.failAfter {
		return errDriveDisk
	}
	return nil
}

func (d *driveSink) EndPoint(ctx context.Context, p experiment.Point) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.ID != d.open || ctx.Err() != nil {
		d.faults = append(d.faults, fmt.Sprintf("EndPoint of %q while %q runs, %v", p.ID, d.open, ctx.Err()))
	}
	d.open = ""
	d.points = append(d.points, p)
	return nil
}

// check reports broken rules that hold for every run.
func (d *driveSink) check(t interface {
	Helper()
	Errorf(string, ...any)
}) {
	t.Helper()
	for _, f := range d.faults {
		t.Errorf("%s", f)
	}
	if d.open != "" {
		t.Errorf("point %s was never ended", d.open)
	}
	for i, p := range d.points {
		driveCheckPoint(t, p, d.samples[i])
	}
}

// driveCheckPoint holds the samples of a point against the rules of the loop.
func driveCheckPoint(t interface {
	Helper()
	Errorf(string, ...any)
}, p experiment.Point, samples []experiment.Sample) {
	t.Helper()
	seen := map[int]bool{}
	busy := make(map[int]experiment.Instant)
	for _, s := range slices.SortedFunc(slices.Values(samples), func(a, b experiment.Sample) int { return int(a.Sent - b.Sent) }) {
		if seen[s.Seq] {
			t.Errorf("%s: two requests have the number %d", p.Load, s.Seq)
		}
		seen[s.Seq] = true
		if s.Worker < 0 || s.Worker >= max(1, p.Load.Concurrency) {
			t.Errorf("%s: request %d is of worker %d", p.Load, s.Seq, s.Worker)
		}
		// At most one in flight for each of C workers is at most C in flight.
		if s.Sent < busy[s.Worker] && p.Load.Rate == 0 {
			t.Errorf("%s: worker %d sent request %d at %d, before the last one's end at %d", p.Load, s.Worker, s.Seq, s.Sent, busy[s.Worker])
		}
		if s.Sent < s.Scheduled || s.End < s.Sent {
			t.Errorf("%s: request %d was scheduled at %d, sent at %d and ended at %d", p.Load, s.Seq, s.Scheduled, s.Sent, s.End)
		}
		busy[s.Worker] = s.End
		if s.End > p.Window.End {
			t.Errorf("%s: request %d ended at %d, the point at %d", p.Load, s.Seq, s.End, p.Window.End)
		}
	}
	if w := p.Window; w.Start.Happened() && w.SendEnd.Happened() && (w.Start > w.SendEnd || w.SendEnd > w.End) {
		t.Errorf("%s: the window %+v is out of order", p.Load, w)
	}
}

// drivePlan makes a plan of the default specification with changes.
func drivePlan(t interface {
	Helper()
	Fatal(...any)
}, edit func(*experiment.Spec)) Plan {
	t.Helper()
	spec := experiment.DefaultSpec()
	spec.Model, spec.Stream, spec.Requests = "llama-3.1-8b", true, 40
	edit(&spec)
	p, err := NewPlan(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var driveStart = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func driveRun(p Plan) (*Run, *driveSink) {
	sink := &driveSink{}
	ids := experiment.NewSeededIDs(p.Spec.Seed, func() time.Time { return driveStart })
	return &Run{ExperimentID: "01J0000000000000000000000", Plan: p, Sink: sink, IDs: ids}, sink
}

func driveDeployment(t interface {
	Helper()
	Fatal(...any)
}) sim.Deployment {
	t.Helper()
	d, err := sim.Config{GPU: "h100-sxm"}.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// drivePhases counts the requests of each phase, and with "!" the ones that are not ok.
func drivePhases(samples []experiment.Sample) map[string]int {
	n := map[string]int{}
	for _, s := range samples {
		key := string(s.Phase)
		if s.Outcome != experiment.OK {
			key += "!"
		}
		n[key]++
	}
	return n
}

func TestVirtualPhases(t *testing.T) {
	for _, tt := range []struct {
		name   string
		edit   func(*experiment.Spec)
		phases map[string]int
		rule   experiment.SteadyState
	}{
		{"a synchronous runner", func(s *experiment.Spec) { s.Warmup, s.Jitter = 0, 0 },
			map[string]int{"measured": 40}, experiment.SteadyNone},
		// One worker has nobody to keep the load up for.
		{"one worker", func(*experiment.Spec) {},
			map[string]int{"warmup": 1, "measured": 40}, experiment.SteadyLoaded},
		// The first workers to run out send one more each; the last to measure does not.
		{"four workers", func(s *experiment.Spec) { s.Concurrency = []int{4} },
			map[string]int{"warmup": 4, "measured": 40, "cooldown!": 3}, experiment.SteadyLoaded},
		{"twice as warm", func(s *experiment.Spec) { s.Concurrency, s.Warmup = []int{4}, 2 },
			map[string]int{"warmup": 8, "measured": 40, "cooldown!": 3}, experiment.SteadyLoaded},
		{"four at once, all measured", func(s *experiment.Spec) { s.Concurrency, s.Warmup = []int{4}, 0 },
			map[string]int{"measured": 40}, experiment.SteadyNone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, sink := driveRun(drivePlan(t, tt.edit))
			status, err := r.DoVirtual(t.Context(), driveDeployment(t), nil, driveStart)
			if status != experiment.Complete || err != nil {
				t.Fatal(status, err)
			}
			sink.check(t)
			if d := cmp.Diff(tt.phases, drivePhases(sink.samples[0])); d != "" {
				t.Error(d)
			}
			if w := sink.points[0].Window; w.Rule != tt.rule {
				t.Errorf("the rule is %q", w.Rule)
			}
		})
	}
}

// A synchronous runner measures everything: the window is from the first byte to
// the last, and each request leaves when the one before it has ended.
func TestVirtualSynchronous(t *testing.T) {
	r, sink := driveRun(drivePlan(t, func(s *experiment.Spec) {
		s.Warmup, s.Jitter, s.Stream, s.OutputTokens = 0, 0, false, experiment.Tokens(20)
	}))
	if _, err := r.DoVirtual(t.Context(), driveDeployment(t), nil, driveStart); err != nil {
		t.Fatal(err)
	}
	free := experiment.Instant(0)
	for i, s := range sink.samples[0] {
		if s.Seq != i || s.Sent != free || s.OutputTokens != 20 {
			t.Errorf("request %d: number %d, sent at %d (free at %d), %d tokens", i, s.Seq, s.Sent, free, s.OutputTokens)
		}
		if s.FirstText().Happened() || s.LastContent != s.End || s.Events != 0 {
			t.Errorf("request %d was not streamed and has stream times: %+v", i, s)
		}
		free = s.End
	}
	if w := sink.points[0].Window; w.Start != 0 || w.SendEnd != free || w.End != free {
		t.Errorf("window %+v, last end %d", w, free)
	}
}

// What the window is for: requests that end within it ÷ its length is the rate
// of a long run, although it is short.
func TestWindowIsUnbiased(t *testing.T) {
	if queueRaces() {
		t.Skip("one goroutine's arithmetic; make theory runs it without the race detector")
	}
	d := driveDeployment(t)
	rate := func(requests, concurrency int, seed uint64) float64 {
		r, sink := driveRun(drivePlan(t, func(s *experiment.Spec) {
			s.Concurrency, s.Requests, s.Seed = []int{concurrency}, requests, seed
		}))
		if _, err := r.DoVirtual(t.Context(), d, nil, driveStart); err != nil {
			t.Fatal(err)
		}
		w, n := sink.points[0].Window, 0
		for _, s := range sink.samples[0] {
			if s.Phase == experiment.Measured && s.End > w.Start && s.End <= w.SendEnd {
				n++
			}
		}
		if n != requests {
			t.Errorf("%d of %d measured requests ended within the window", n, requests)
		}
		return float64(n) / w.SendEnd.Sub(w.Start).Seconds()
	}
	for _, c := range []int{1, 4, 8, 16} {
		long := rate(3000, c, 1)
		short := 0.0
		const runs = 20
		for seed := range uint64(runs) {
			short += rate(5*c, c, seed+2) / runs
		}
		t.Logf("c=%d: %.3f req/s over 3,000 requests, %.3f over %d", c, long, short, 5*c)
		if off := short/long - 1; off < -0.02 || off > 0.02 {
			t.Errorf("at C = %d the rate of a short run is %.1f %% off", c, 100*off)
		}
	}
}

func TestHistogramQuantile(t *testing.T) {
	var h histogram
	if h.quantile(0.95) != 0 {
		t.Error("an empty histogram has a quantile")
	}
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Millisecond)
	}
	for _, q := range []float64{0.5, 0.95, 1} {
		want := q * 1000
		if got := float64(h.quantile(q)) / 1e6; got < 0.985*want || got > 1.015*want {
			t.Errorf("quantile %g is %.1f ms, not %.0f", q, got, want)
		}
	}
	h.add(0)
	h.add(100 * time.Hour) // off both ends of the scale
}
