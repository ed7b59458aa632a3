package runner

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
)

// driveFour is four workers that would go on for a minute.
func driveFour(s *experiment.Spec) {
	s.Concurrency, s.Requests, s.Duration, s.Repeats = []int{4}, 0, experiment.Duration(time.Minute), 3
}

func TestStopDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stack := newDriveStack(t, drivePlan(t, driveFour), driveSimulator(t, sim.Config{GPU: "h100-sxm"}).Handler())
		stop := make(chan struct{})
		const at = 10 * time.Second
		time.AfterFunc(at, func() { close(stop) })
		status, err := stack.run.Do(t.Context(), stop)
		if status != experiment.Interrupted || err != nil {
			t.Fatal(status, err)
		}
		stack.sink.check(t)
		if len(stack.sink.points) != 1 {
			t.Fatalf("%d points were run", len(stack.sink.points))
		}
		p, drained := stack.sink.points[0], 0
		for _, s := range stack.sink.samples[0] {
			if s.Outcome != experiment.OK || s.Sent > experiment.Instant(at) {
				t.Errorf("request %d was sent at %d and ended as %s", s.Seq, s.Sent, s.Outcome)
			}
			if s.End > experiment.Instant(at) {
				drained++
			}
		}
		if drained != 4 {
			t.Errorf("%d requests were drained, not 4", drained)
		}
		if w := p.Window; p.Status != experiment.Interrupted || w.Rule != experiment.SteadyClosed || w.SendEnd != experiment.Instant(at) || w.End <= w.SendEnd {
			t.Errorf("point %s, window %+v", p.Status, w)
		}
	})
}

func TestCancelKeepsWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := driveSimulator(t, sim.Config{GPU: "h100-sxm"})
		stack := newDriveStack(t, drivePlan(t, driveFour), server.Handler())
		const at = 10 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), at)
		defer cancel()
		status, err := stack.run.Do(ctx, nil)
		if status != experiment.Interrupted || err != nil {
			t.Fatal(status, err)
		}
		stack.sink.check(t)
		cancelled := 0
		for _, s := range stack.sink.samples[0] {
			if s.Outcome == experiment.Cancelled {
				cancelled++
				if s.End != experiment.Instant(at) || s.Events == 0 || len(s.Gaps) != s.Events-1 {
					t.Errorf("request %d was cancelled at %d with %d events and %d gaps", s.Seq, s.End, s.Events, len(s.Gaps))
				}
			}
		}
		if p := stack.sink.points[0]; cancelled != 4 || p.Status != experiment.Interrupted {
			t.Errorf("%d cancelled requests; the point is %s", cancelled, p.Status)
		}
		time.Sleep(time.Second)
		if n := len(server.Truths()); n != len(stack.sink.samples[0]) {
			t.Errorf("%d samples of %d requests", len(stack.sink.samples[0]), n)
		}
	})
}

func TestStopBeforeTheFirstPoint(t *testing.T) {
	stop := make(chan struct{})
	close(stop)
	r, sink := driveRun(drivePlan(t, driveFour))
	status, err := r.DoVirtual(t.Context(), driveDeployment(t), stop, driveStart)
	if status != experiment.Interrupted || err != nil || len(sink.samples) != 0 {
		t.Errorf("%s, %v, %d points", status, err, len(sink.samples))
	}
}

func TestVirtualInterrupts(t *testing.T) {
	t.Run("stop", func(t *testing.T) {
		r, sink := driveRun(drivePlan(t, driveFour))
		stop := make(chan struct{})
		r.Sink = driveAfter{sink, 20, func() { close(stop) }}
		status, err := r.DoVirtual(t.Context(), driveDeployment(t), stop, driveStart)
		if status != experiment.Interrupted || err != nil {
			t.Fatal(status, err)
		}
		sink.check(t)
		if d := cmp.Diff(map[string]int{"warmup": 4, "measured": 19}, drivePhases(sink.samples[0])); d != "" {
			t.Errorf("20 requests and a drain of 3:\n%s", d)
		}
	})
	t.Run("cancel", func(t *testing.T) {
		r, sink := driveRun(drivePlan(t, driveFour))
		ctx, cancel := context.WithCancel(t.Context())
		r.Sink = driveAfter{sink, 20, cancel}
		status, err := r.DoVirtual(ctx, driveDeployment(t), nil, driveStart)
		if status != experiment.Interrupted || err != nil {
			t.Fatal(status, err)
		}
		sink.check(t)
		if d := cmp.Diff(map[string]int{"warmup": 4, "measured": 16, "measured!": 3}, drivePhases(sink.samples[0])); d != "" {
			t.Errorf("20 requests and 3 cancelled:\n%s", d)
		}
	})
}

// driveAfter calls a function when so many samples have come.
type driveAfter struct {
	*driveSink
	n    int
	call func()
}

func (d driveAfter) AddSample(id string, s experiment.Sample) error {
	err := d.driveSink.AddSample(id, s)
	if d.driveSink.n == d.n {
		d.call()
	}
	return err
}

func TestFullDiskEndsTheRun(t *testing.T) {
	t.Run("virtual", func(t *testing.T) {
		r, sink := driveRun(drivePlan(t, driveFour))
		sink.failAfter = 10
		status, err := r.DoVirtual(t.Context(), driveDeployment(t), nil, driveStart)
		if status != experiment.Failed || !errors.Is(err, errDriveDisk) || sink.points[0].Status != experiment.Failed {
			t.Error(status, err)
		}
	})
	t.Run("real", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			stack := newDriveStack(t, drivePlan(t, driveFour), driveSimulator(t, sim.Config{GPU: "h100-sxm"}).Handler())
			stack.sink.failAfter = 10
			status, err := stack.run.Do(t.Context(), nil)
			if status != experiment.Failed || !errors.Is(err, errDriveDisk) || stack.sink.points[0].Status != experiment.Failed {
				t.Error(status, err)
			}
			// The nine before, the one that failed, and the three that it cancelled.
			if n := len(stack.sink.samples[0]); n != 13 {
				t.Errorf("%d samples were handed over", n)
			}
		})
	})
}

// Requests that do not fit the context are refused one by one, as by a server.
func TestVirtualRefusal(t *testing.T) {
	r, sink := driveRun(drivePlan(t, func(s *experiment.Spec) { s.InputTokens = experiment.Tokens(150_000) }))
	status, err := r.DoVirtual(t.Context(), driveDeployment(t), nil, driveStart)
	if status != experiment.Complete || err != nil || len(sink.samples[0]) == 0 {
		t.Fatalf("%s, %v, %+v", status, err, sink.points)
	}
	for _, s := range sink.samples[0] {
		if s.Outcome != experiment.HTTPError || s.HTTPStatus != http.StatusBadRequest || !strings.Contains(s.Error, "the context holds") || s.End != s.Sent {
			t.Fatalf("%+v", s)
		}
	}
}

func TestUnusableEndpoint(t *testing.T) {
	refuse := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, `{"error":{"message":"no such thing"}}`)
		}
	}
	for _, tt := range []struct {
		name     string
		handler  http.Handler // nil = nobody listens
		edit     func(*experiment.Spec)
		unusable bool
		tried    int // requests of the first point
		points   int
	}{
		{"nobody listens", nil, func(*experiment.Spec) {}, true, 10, 1},
		{"the key is wrong", refuse(401), func(s *experiment.Spec) { s.Concurrency = []int{4} }, true, 10, 1},
		// Twice as many as there are workers, and what the others have in flight.
		{"many workers", refuse(404), func(s *experiment.Spec) { s.Concurrency = []int{8} }, true, 16, 1},
		{"fewer than ten in all", refuse(404), func(s *experiment.Spec) { s.Requests = 3 }, true, 4, 1},
		{"all measured", refuse(404), func(s *experiment.Spec) { s.Requests, s.Warmup = 3, 0 }, true, 3, 1},
		// Five tries and up to three cool-downs, of which some are cancelled.
		{"one measured request", refuse(404), func(s *experiment.Spec) { s.Requests, s.Concurrency = 1, []int{4} }, true, 5, 1},
		// The last of the five fails before the deadline, and its pause goes on beyond it.
		{"by time", nil, func(s *experiment.Spec) { s.Requests, s.Duration, s.Warmup = 0, experiment.Duration(2*time.Second), 0 }, true, 5, 1},
		// A server that is busy is measured.
		{"overloaded", refuse(429), func(s *experiment.Spec) { s.Requests = 20 }, false, 21, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				edit := func(s *experiment.Spec) { tt.edit(s); s.Repeats = 2 }
				stack := newDriveStack(t, drivePlan(t, edit), tt.handler)
				if tt.handler == nil {
					stack.pipes.Close()
				}
				status, err := stack.run.Do(t.Context(), nil)
				stack.sink.check(t)
				var unusable *UnusableError
				if errors.As(err, &unusable) != tt.unusable || (status == experiment.Failed) != tt.unusable {
					t.Fatalf("%s, %v", status, err)
				}
				if tt.unusable && !strings.HasSuffix(err.Error(), unusable.Last.Error) {
					t.Errorf("%q does not end with the cause %q", err, unusable.Last.Error)
				}
				counted := 0
				for _, s := range stack.sink.samples[0] {
					if s.Outcome != experiment.Cancelled {
						counted++
					}
				}
				if len(stack.sink.points) != tt.points || counted < tt.tried || counted >= tt.tried+stack.run.Plan.Points[0].Load.Concurrency {
					t.Errorf("%d points, %d requests, not %d and %d", len(stack.sink.points), counted, tt.points, tt.tried)
				}
				for _, p := range stack.sink.points {
					if (p.Status == experiment.Failed) != tt.unusable {
						t.Errorf("point %d is %s", p.Ordinal, p.Status)
					}
				}
			})
		})
	}
}

// An error pauses its worker, so that a loop around a dead server is no busy loop.
func TestErrorsPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		n := 0
		stack := newDriveStack(t, drivePlan(t, func(s *experiment.Spec) { s.Requests, s.Warmup = 10, 0 }),
			http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				if n++; n == 9 {
					w.Header().Set("Retry-After", "30")
				}
				w.WriteHeader(http.StatusServiceUnavailable)
			}))
		if status, err := stack.run.Do(t.Context(), nil); err != nil || status != experiment.Complete {
			t.Fatal(status, err)
		}
		var got []time.Duration
		samples := stack.sink.samples[0]
		for i := 1; i < len(samples); i++ {
			got = append(got, samples[i].Scheduled.Sub(samples[i-1].End))
			if samples[i].Sent != samples[i].Scheduled {
				t.Errorf("request %d was scheduled at %d and sent at %d: a pause is no send lag", i, samples[i].Scheduled, samples[i].Sent)
			}
		}
		const ms = time.Millisecond
		want := []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 5000 * ms, 5000 * ms, 30 * time.Second}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := drivePlan(t, func(s *experiment.Spec) { s.Concurrency, s.Requests = []int{2, 4}, 30 })
		stack := newDriveStack(t, p, driveSimulator(t, sim.Config{GPU: "h100-sxm"}).Handler())
		var seen []Progress
		var at []time.Time
		stack.run.Observe = func(p Progress) { seen, at = append(seen, p), append(at, time.Now()) }
		if _, err := stack.run.Do(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		finished := 0
		for i, p := range seen {
			if p.Points != 2 || p.PointIndex != finished || p.Total != 30 || p.Point.ID == "" {
				t.Errorf("progress %d: %+v", i, p)
			}
			if i > 0 && !p.Finished && !seen[i-1].Finished && (at[i].Sub(at[i-1]) < observeEvery || p.Done < seen[i-1].Done) {
				t.Errorf("progress %d came %s after the one before, with %d done after %d", i, at[i].Sub(at[i-1]), p.Done, seen[i-1].Done)
			}
			if p.Finished {
				finished++
				if p.Done != 30 || p.Errors != 0 || p.RequestRate <= 0 || p.OutputTokS < 100*p.RequestRate || p.TTFTP95 < 15*time.Millisecond {
					t.Errorf("the last word: %+v", p)
				}
			}
		}
		if finished != 2 || len(seen) < 20 {
			t.Errorf("told %d times, %d of them at the end of a point", len(seen), finished)
		}
	})
}

func TestVirtualIsReproducible(t *testing.T) {
	p := drivePlan(t, func(s *experiment.Spec) { s.Concurrency, s.Repeats = []int{1, 4, 16}, 2 })
	d, err := sim.Config{GPU: "a10g", Jitter: 0.02, Seed: 3}.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	var before *driveSink
	for range 2 {
		r, sink := driveRun(p)
		if status, err := r.DoVirtual(t.Context(), d, nil, driveStart); err != nil || status != experiment.Complete {
			t.Fatal(status, err)
		}
		sink.check(t)
		if before != nil {
			if diff := cmp.Diff(before.samples, sink.samples); diff != "" {
				t.Errorf("samples of the second run:\n%.2000s", diff)
			}
			if diff := cmp.Diff(before.points, sink.points); diff != "" {
				t.Errorf("points of the second run:\n%.2000s", diff)
			}
		}
		before = sink
	}
	// Points follow one another in virtual time.
	for i := 1; i < len(before.points); i++ {
		last, next := before.points[i-1], before.points[i]
		if gap := next.Anchor.Sub(last.Anchor.Add(time.Duration(last.Window.End))); gap < 0 || gap > time.Second {
			t.Errorf("point %d begins %s after the end of the one before", i, gap)
		}
	}
}

// What is sent keeps within the estimate, and follows the rules, whatever the specification.
func TestVirtualLaws(t *testing.T) {
	d := driveDeployment(t)
	rapid.Check(t, func(t *rapid.T) {
		spec := driveSpec(t)
		spec.Model, spec.Stream = "m", rapid.Bool().Draw(t, "stream")
		spec.Duration = min(spec.Duration, experiment.Duration(5*time.Second))
		plan, err := NewPlan(spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, sink := driveRun(plan)
		if status, err := r.DoVirtual(context.Background(), d, nil, driveStart); err != nil || status != experiment.Complete {
			t.Fatal(status, err)
		}
		sink.check(t)
		var sent Estimate
		for i, samples := range sink.samples {
			phases := map[experiment.Phase]int{}
			for _, s := range samples {
				phases[s.Phase]++
				sent.Requests++
				sent.PromptTokens += s.PromptAsked
				sent.OutputTokens += s.OutputAsked
			}
			c := sink.points[i].Load.Concurrency
			switch {
			case spec.Requests > 0 && phases[experiment.Measured] > spec.Requests,
				spec.Requests > 0 && spec.Duration == 0 && phases[experiment.Measured] != spec.Requests,
				phases[experiment.Measured] == 0,
				phases[experiment.Warmup] > c*spec.Warmup,
				phases[experiment.Cooldown] > c-1,
				spec.Warmup == 0 && len(phases) > 1:
				t.Fatalf("%s sent %v", sink.points[i].Load, phases)
			}
		}
		most := plan.Estimate()
		if !most.Unbounded && (sent.Requests > most.Requests || sent.PromptTokens > most.PromptTokens || sent.OutputTokens > most.OutputTokens) {
			t.Fatalf("sent %+v, estimated %+v", sent, most)
		}
	})
}

func TestSimulatorConfig(t *testing.T) {
	got, err := SimulatorConfig(experiment.Simulator{GPU: "l4", Count: 2, Model: "qwen3-8b", Runtime: "hf-static", Precision: "fp8",
		Options: map[string]string{"max-seqs": "8", "prefix-caching": "off", "speculate": "4:0.7:0.1"}, Profile: "gpus: []"}, 9)
	want := sim.Config{GPU: "l4", Count: 2, Model: "qwen3-8b", Runtime: "hf-static", Precision: "fp8", Seed: 9,
		MaxSeqs: 8, PrefixCaching: "off", Speculation: sim.Speculation{Tokens: 4, Acceptance: .7, DraftShare: .1}, Profiles: "gpus: []"}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
	if _, err := SimulatorConfig(experiment.Simulator{Options: map[string]string{"max-seq": "8"}}, 9); err == nil || err.Error() != `the simulated engine has no setting "max-seq"; did you mean max-seqs?` {
		t.Error(err)
	}
}
