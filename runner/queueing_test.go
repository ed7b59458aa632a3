package runner

import (
	"cmp"
	"math"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/dataset"
	"github.com/inferbook/inferbook/runner/sim"
)

// queueSlot is a server that serves one request at a time. Its front end takes no
// time, since in theory there is none.
func queueSlot(t *testing.T) sim.Deployment {
	t.Helper()
	d, err := sim.Config{GPU: "h100-sxm", MaxSeqs: 1}.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	d.Runtime.Front = time.Nanosecond
	return d
}

// queuePlan is an open loop of requests that differ in the length of the answer alone.
func queuePlan(t *testing.T, requests int, rate float64, output experiment.Length) Plan {
	t.Helper()
	return drivePlan(t, func(s *experiment.Spec) {
		openAt(s, rate)
		s.Requests, s.Warmup, s.Stream, s.Jitter = requests, 0, false, 0
		s.Prompt, s.OutputTokens = "go", output
	})
}

// queueFigures are the moments of a queue that theory speaks of, in s.
type queueFigures struct {
	rate            float64 // of the measured arrivals, 1/s
	service, square float64 // mean time in the slot, and mean of its square
	wait            float64 // mean time from when a request was due to when it got the slot
	lindley         float64 // the same by the recursion of Lindley (1952) over the schedule and the times in the slot
}

// queueRun sends the load to the single slot, and holds each sample against the
// engine's account and the recursion: a request gets the slot when it has come and the one
// before it has left.
func queueRun(t *testing.T, d sim.Deployment, p Plan) queueFigures {
	t.Helper()
	r, sink := driveRun(p)
	if status, err := r.DoVirtual(t.Context(), d, nil, driveStart); status != experiment.Complete || err != nil {
		t.Fatal(status, err)
	}
	sink.check(t)
	samples := slices.SortedFunc(slices.Values(sink.samples[0]), func(a, b experiment.Sample) int { return cmp.Compare(a.Sent, b.Sent) })
	var f queueFigures
	n, off := 0.0, 0
	first, last, free := experiment.Never, experiment.Never, experiment.Instant(0)
	for i := range samples {
		s := &samples[i]
		if s.Phase == experiment.Cooldown {
			continue
		}
		account := gjson.GetMany(s.Server, "queue_ns", "prefill_ns", "decode_ns", "front_ns", "net_ns")
		queue, front, net := time.Duration(account[0].Int()), time.Duration(account[3].Int()), time.Duration(account[4].Int())
		slot := time.Duration(account[1].Int() + account[2].Int())
		wait := s.End.Sub(s.Scheduled) - front - slot - net
		if s.Sent != s.Scheduled || wait != queue {
			off++
		}
		begin := max(s.Scheduled.Add(front), free)
		free = begin.Add(slot)
		if s.Phase != experiment.Measured {
			continue
		}
		if n == 0 {
			first = s.Scheduled
		}
		last = s.Scheduled
		n++
		f.service += slot.Seconds()
		f.square += slot.Seconds() * slot.Seconds()
		f.wait += wait.Seconds()
		f.lindley += begin.Sub(s.Scheduled.Add(front)).Seconds()
	}
	if off > 0 || int(n) != p.Spec.Requests {
		t.Errorf("%d of %d samples were sent late or say another wait than the engine", off, int(n))
	}
	f.rate = (n - 1) / last.Sub(first).Seconds()
	f.service, f.square, f.wait, f.lindley = f.service/n, f.square/n, f.wait/n, f.lindley/n
	return f
}

// Poisson arrivals at a server of one slot wait as long as queueing theory says: for
// ρ·s/(2(1−ρ)) where each service takes the same s (M/D/1), for ρ·s/(1−ρ) where their times are
// exponential (M/M/1). Both are cases of the formula of Pollaczek and Khinchine,
// λE[S²]/(2(1−ρ)), which is checked with the measured moments too, since lengths are whole
// tokens and so not quite exponential. Of independent draws the mean wait of so many
// requests has a standard error of 1 to 2 % of it, and in M/M/1 at ρ = 0.8 of 3.5 % (Daley
// 1968); with stratified gaps it is 2.4 % over eight seeds.
func TestWaitsAreThoseOfTheory(t *testing.T) {
	if queueRaces() {
		t.Skip("it takes six times as long under the race detector, and fewer requests are too noisy")
	}
	const requests, tokens = 100_000, 15
	deterministic, exponential := experiment.Tokens(1), experiment.Length{Kind: experiment.ExponentialLength, Mean: tokens}
	d := queueSlot(t)
	for _, tt := range []struct {
		name   string
		rho    float64
		output experiment.Length
		theory func(rho float64) float64 // mean wait ÷ mean service
	}{
		{"M/D/1 at 0.5", 0.5, deterministic, func(rho float64) float64 { return rho / (2 * (1 - rho)) }},
		{"M/D/1 at 0.8", 0.8, deterministic, func(rho float64) float64 { return rho / (2 * (1 - rho)) }},
		{"M/M/1 at 0.5", 0.5, exponential, func(rho float64) float64 { return rho / (1 - rho) }},
		{"M/M/1 at 0.8", 0.8, exponential, func(rho float64) float64 { return rho / (1 - rho) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// An answer of the mean length takes about the mean time.
			alone := queueRun(t, d, queuePlan(t, 10, 1, experiment.Tokens(tt.output.Nominal()))).service
			f := queueRun(t, d, queuePlan(t, requests, tt.rho/alone, tt.output))
			rho := f.rate * f.service
			theory := tt.theory(rho) * f.service
			khinchine := f.rate * f.square / (2 * (1 - rho))
			t.Logf("ρ = %.4f, service %.3f ms with CV² %.4f: mean wait %.3f ms, theory %.3f (%+.2f %%), from the measured moments %.3f (%+.2f %%)",
				rho, 1e3*f.service, f.square/(f.service*f.service)-1, 1e3*f.wait,
				1e3*theory, 100*(f.wait/theory-1), 1e3*khinchine, 100*(f.wait/khinchine-1))
			if math.Abs(rho-tt.rho) > 0.01 {
				t.Errorf("ρ is %g", rho)
			}
			for _, want := range []float64{theory, khinchine} {
				if math.Abs(f.wait/want-1) > 0.05 {
					t.Errorf("the mean wait is %g s, not %g", f.wait, want)
				}
			}
			if math.Abs(f.wait-f.lindley) > 1e-8 {
				t.Errorf("the mean wait is %g s, and %g by the recursion", f.wait, f.lindley)
			}
		})
	}
}

// queueRaces reports whether the race detector is on. It shows nothing in a virtual run,
// which is one goroutine.
func queueRaces() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// Whatever the arrivals, each request leaves at the nanosecond of the schedule that is kept
// with the point; the same seed makes the same schedule, and another one another.
func TestSendsAreTheSchedule(t *testing.T) {
	items := make([]dataset.Item, 300)
	for i := range items {
		items[i].At = time.Duration(i*i) * time.Millisecond
		items[i].Turns = []dataset.Turn{{Prompt: 50, Output: 5}}
	}
	for _, tt := range []struct {
		arrival string
		rate    float64 // 0 = its own
		random  bool
	}{
		{"constant", 40, false},
		{"poisson", 40, true},
		{"gamma:cv=3", 40, true},
		{"gamma:cv=0.3", 40, true},
		{"onoff:on=2s,off=3s", 40, true},
		{"ramp:from=1,to=80", 0, true},
		{"steps:10x3s,0x2s,90x3s", 0, true},
		{"trace:scale=2", 0, false},
	} {
		t.Run(tt.arrival, func(t *testing.T) {
			run := func(seed uint64) experiment.Schedule {
				spec := experiment.DefaultSpec()
				spec.Model, spec.Seed, spec.Concurrency, spec.Requests, spec.OutputTokens = "llama-3.1-8b", seed, nil, 300, experiment.Tokens(5)
				var err error
				if spec.Arrival, err = experiment.ParseArrival(tt.arrival); err != nil {
					t.Fatal(err)
				}
				if tt.rate > 0 {
					spec.Rate = []float64{tt.rate}
				}
				var requests []dataset.Item
				if spec.Arrival.Kind == experiment.TraceArrival {
					spec.Data, requests = &experiment.Data{Path: "trace.jsonl"}, items
				}
				p, err := NewPlan(spec, requests)
				if err != nil {
					t.Fatal(err)
				}
				return queueSends(t, p)
			}
			first, again, other := run(1), run(1), run(2)
			bytes := func(s experiment.Schedule) string {
				b, err := s.MarshalBinary()
				if err != nil {
					t.Fatal(err)
				}
				return string(b)
			}
			if bytes(first) != bytes(again) {
				t.Error("the same seed made two schedules")
			}
			times := func(s experiment.Schedule) (at []time.Duration) {
				for _, e := range s {
					at = append(at, e.At)
				}
				return at
			}
			if slices.Equal(times(first), times(other)) == tt.random {
				t.Errorf("another seed makes other times: %v", !tt.random)
			}
		})
	}
}

// queueSends runs a plan of one point, holds its sends against the schedule and gives it.
func queueSends(t *testing.T, p Plan) experiment.Schedule {
	t.Helper()
	r, sink := driveRun(p)
	if status, err := r.DoVirtual(t.Context(), driveDeployment(t), nil, driveStart); status != experiment.Complete || err != nil {
		t.Fatal(status, err)
	}
	sink.check(t)
	schedule, samples := sink.points[0].Schedule, sink.samples[0]
	slices.SortFunc(samples, func(a, b experiment.Sample) int { return cmp.Compare(a.Seq, b.Seq) })
	measured := 0
	for i, s := range samples {
		if at := experiment.Instant(schedule[i].At); s.Sent != at || s.Scheduled != at {
			t.Fatalf("request %d was due at %d and sent at %d, and the schedule says %d", i, s.Scheduled, s.Sent, at)
		}
		if s.Phase == experiment.Measured {
			measured++
		}
	}
	if measured < 250 {
		t.Errorf("only %d measured requests", measured)
	}
	return schedule
}
