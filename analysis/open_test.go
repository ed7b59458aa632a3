package analysis

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

// A server behind a cap of one stalls once. 10,000 requests are due every 10 ms and
// take 5 ms each; the one at stall takes 10 s more. From the send nobody but that one
// waits. From the schedule the one that is j behind it waits 10,005 − 5j ms, down to 5.
func TestCoordinatedOmission(t *testing.T) {
	const n, stall, service, pause, gap = 10_000, 3000, 5.0, 10_000.0, 10.0
	var samples []experiment.Sample
	free := 0.0
	for i := range n {
		due := gap * float64(i)
		sent := max(due, free)
		took := service
		if i == stall {
			took += pause
		}
		free = sent + took
		samples = append(samples, with(stream(sent, took, 1, 0), func(s *experiment.Sample) { s.Seq, s.Scheduled = i, at(due) }))
	}
	p := point(0, 0)
	p.Load = experiment.Load{Rate: 1000 / gap}
	p.Window = experiment.Window{SendEnd: at(gap * (n - 1)), End: at(free), Rule: experiment.SteadyOpen}
	p.Health.HeldBack, p.Health.HeldMax = 2000, 9_995e6
	s := collectFor(p, &experiment.Spec{MaxConcurrency: 1}, samples...)

	// The p99 lies between the 100th and the 101st largest.
	near(t, "p99 from the send", s.E2E.P99.Value, service)
	near(t, "p99 from the schedule", s.E2ESched.P99.Value, pause+service-5*100+5*0.01)
	near(t, "the longest from the send", s.E2E.Max, pause+service)
	near(t, "the longest from the schedule", s.E2ESched.Max, pause+service)
	near(t, "TTFT from the schedule", s.TTFTSched.P99.Value, s.E2ESched.P99.Value)
	// Of 2,000 waits the j-th is 10,000 − 5j: their mean over all requests.
	near(t, "mean send lag", s.SendLag.Mean, (2000*pause-5*2000*2001/2)/n)
	near(t, "longest send lag", s.SendLag.Max, pause-5)
	near(t, "burstiness", s.ArrivalCV, 0)
	near(t, "offered", s.OfferedRate, 100)
	near(t, "achieved", s.AchievedRate, 100)
	near(t, "requests", s.RequestRate, 9999/99.99) // the last one ends 5 ms after the window
	if s.Oversaturated {
		t.Error("a server that catches up is over-saturated")
	}
}

// Under the open rule throughput counts whatever ended within the window, and
// latency only what was measured.
func TestOpenWindow(t *testing.T) {
	phase := func(p experiment.Phase) func(*experiment.Sample) {
		return func(s *experiment.Sample) { s.Phase = p }
	}
	samples := []experiment.Sample{
		with(stream(0, 90, 10, 1), phase(experiment.Warmup)),  // ends at 99, before the window
		with(stream(50, 90, 10, 1), phase(experiment.Warmup)), // ends at 149, in it
		stream(100, 40, 10, 1), stream(200, 40, 10, 1),        // in it
		stream(300, 40, 10, 1),                                     // measured, ends after the last arrival
		with(stream(250, 1, 10, 1), phase(experiment.Cooldown)),    // in it
		with(failed(150, 10, experiment.Timeout), phase("warmup")), // no success
	}
	p := point(0, 0)
	p.Load = experiment.Load{Rate: 10}
	p.Window = experiment.Window{Start: at(100), SendEnd: at(300), End: at(400), Rule: experiment.SteadyOpen}
	s := collectFor(p, &experiment.Spec{SLO: slo(t, "ttft<50ms e2e.p50<1s")}, samples...)
	if s.InWindow != 4 || s.Sent != 3 || s.OK != 3 || s.TTFT.N != 3 || s.Window != 200*time.Millisecond {
		t.Errorf("in window %d, sent %d, ok %d, TTFT of %d, window %v", s.InWindow, s.Sent, s.OK, s.TTFT.N, s.Window)
	}
	near(t, "request rate", s.RequestRate, 20)
	near(t, "output", s.OutputThroughput, 200)
	near(t, "goodput", s.Goodput, 15) // all but the warm-up that had its first token after 90 ms
	near(t, "joint", s.GoodShare, 1)
	near(t, "burstiness", s.ArrivalCV, 0)
	if !math.IsNaN(s.IdentityRatio) {
		t.Errorf("an open loop has the closed loop's identity %v", s.IdentityRatio)
	}
	// The same load beside a closed loop is neither, and has no warning of either.
	p.Load.Concurrency = 50
	mixed := collect(p, samples...)
	if !math.IsNaN(mixed.AchievedRate) || !math.IsNaN(mixed.InflightSlope) || mixed.OfferedRate != 10 || !math.IsNaN(mixed.IdentityRatio) {
		t.Errorf("a mixed load: %+v", mixed)
	}
}

// The slope is that of the line through the staircase, and its chance is small for
// a pile and not for a queue.
func TestInflightSlope(t *testing.T) {
	if racing() {
		t.Skip("one goroutine's arithmetic; make theory runs it without the race detector")
	}
	// One more request every second and none ends: the line through ⌊t⌋ + 1.
	var pile []span
	for i := range 100 {
		pile = append(pile, span{at(float64(1000 * i)), experiment.Never, at(float64(1000 * i))})
	}
	slope, p := inflightSlope(pile, 0, at(100_000), 0)
	if math.Abs(slope-1) > 1e-4 {
		t.Errorf("the slope is %v", slope)
	}
	if p > 1e-9 && !math.IsNaN(p) {
		t.Errorf("its chance is %v", p)
	}
	steady := []span{{0, at(1000), 0}, {at(500), experiment.Never, at(500)}, {0, at(500), 0}}
	if slope, _ := inflightSlope(steady, 0, at(1000), 1); math.Abs(slope) > 1e-12 {
		t.Errorf("two in flight all the while have the slope %v", slope)
	}
	if slope, p := inflightSlope(steady, 5, 5, 1); !math.IsNaN(slope) || !math.IsNaN(p) {
		t.Errorf("an empty window has %v, %v", slope, p)
	}
	unlikely := 0
	for seed := range uint64(100) {
		point, samples := queue(0.9, 2000, seed+1, 1)
		if s := collect(point, samples...); s.InflightSlopeP < 0.01 {
			unlikely++
		}
	}
	if unlikely > 2 {
		t.Errorf("%d of 100 stable queues have a slope with a chance under 1 %%", unlikely)
	}
}

func TestPile(t *testing.T) {
	p, samples := queue(2, 500, 3, 1)
	s := collect(p, samples...)
	if !s.Oversaturated {
		t.Error("a pile is not over-saturated")
	}
	if s.InflightSlopeP > 0.01 || math.Abs(s.InflightSlope-1) > 0.3 {
		t.Errorf("a pile grows by %v a second, chance %v", s.InflightSlope, s.InflightSlopeP)
	}
}

// The samples of classes add up to the point's, and each class has its own SLO and load.
func TestClasses(t *testing.T) {
	spec := experiment.Spec{SLO: slo(t, "ttft.p50<60ms"), Classes: []experiment.Class{
		{Name: "chat", Rate: 10, SLO: slo(t, "ttft.p50<40ms")}, {Name: "offline", Concurrency: 2}, {Name: "nobody", Rate: 1},
	}}
	var samples []experiment.Sample
	for i := range 40 {
		samples = append(samples,
			with(stream(100*float64(i), 50, 5, 2), func(s *experiment.Sample) { s.Class = "chat" }),
			with(stream(100*float64(i), 50, 15, 3), func(s *experiment.Sample) { s.Class = "offline" }))
	}
	p := point(2, 4100)
	p.Load.Rate = 11
	p.Health.CPUShare = 0.9
	s := collectFor(p, &spec, samples...)
	if len(s.Classes) != 3 || s.Classes[0].Name != "chat" || s.Classes[2].Name != "nobody" {
		t.Fatalf("%d classes", len(s.Classes))
	}
	chat, offline := s.Classes[0].Summary, s.Classes[1].Summary
	if chat.Sent+offline.Sent != s.Sent || chat.Sent != 40 || s.Classes[2].Summary.Sent != 0 {
		t.Errorf("%d + %d of %d", chat.Sent, offline.Sent, s.Sent)
	}
	if !chat.Point.Load.Open() || offline.Point.Load != (experiment.Load{Concurrency: 2}) {
		t.Errorf("loads %s and %s", chat.Point.Load, offline.Point.Load)
	}
	if chat.Point.Health.CPUShare >= 0 {
		t.Error("what the client observed about itself is told of a class")
	}
	near(t, "chat within its SLO", chat.GoodShare, 0)
	near(t, "offline within the run's", offline.GoodShare, 1)
	near(t, "all within the run's", s.GoodShare, 1)
	near(t, "throughput adds up", chat.OutputThroughput+offline.OutputThroughput, s.OutputThroughput)
	roundTrip(t, s)
	weighted := experiment.Spec{Classes: []experiment.Class{{Name: "a", Weight: 3}, {Name: "b", Weight: 1}}}
	if got := classLoad(experiment.Load{Rate: 8}, &weighted, &weighted.Classes[0]); got != (experiment.Load{Rate: 6}) {
		t.Errorf("three quarters of 8 req/s are %s", got)
	}
}

// Of any samples, the rates of an open loop and its lags fit together.
func TestOpenLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, samples := queue(rapid.Float64Range(0.1, 3).Draw(t, "rate"), rapid.IntRange(2, 60).Draw(t, "n"), rapid.Uint64Range(0, 1000).Draw(t, "seed"), 1)
		objectives := slo(t, "e2e<2s e2e_sched.p90<3s errors<5% goodput>=50%")
		for i := range samples {
			samples[i].Outcome = rapid.SampledFrom([]experiment.Outcome{experiment.OK, experiment.OK, experiment.Timeout}).Draw(t, "outcome")
		}
		s := collectFor(p, &experiment.Spec{SLO: objectives}, samples...)
		for _, a := range s.Attainment {
			if a.Share < s.GoodShare-1e-12 || a.Share > 1-s.ErrorRate+1e-12 {
				t.Fatalf("%s is kept by %v, all by %v, %v failed", a.Objective, a.Share, s.GoodShare, s.ErrorRate)
			}
			if a.Value.Known() && (a.Value.Low > a.Value.Value || a.Value.High < a.Value.Value) {
				t.Fatalf("%s: %+v", a.Objective, a.Value)
			}
		}
		if s.Goodput > s.RequestRate+1e-9 || s.SendLag.Max != 0 {
			t.Fatalf("goodput %v of %v, lag %v", s.Goodput, s.RequestRate, s.SendLag.Max)
		}
		roundTrip(t, s)
	})
}
