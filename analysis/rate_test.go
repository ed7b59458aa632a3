package analysis

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/inferbook/inferbook/experiment"
)

// renewal is a closed loop of 4 users over 20 s whose answers of 20 tokens take 200 ms on average, evenly
// spread over 100 to 300 ms; what is on its way at the end is cut off. Its true rates are 20 req/s, 400 and 10,400 tok/s.
func renewal(rng *rand.Rand, streamed bool) (experiment.Point, []experiment.Sample) {
	const end = 20_000.0
	p := point(4, end)
	p.Window.Rule = experiment.SteadyLoaded
	var out []experiment.Sample
	for range p.Load.Concurrency {
		for at := -300 * rng.Float64(); at < end; {
			took := 100 + 200*rng.Float64()
			s := whole(at, took, 20)
			if streamed {
				s = stream(at, took/20, 20, took/20)
			}
			s.Seq = len(out)
			switch {
			case at < 0:
				s.Sent, s.Phase = 0, experiment.Warmup
			case at+took > end:
				s = with(stream(at, took/20, 1+int((end-at)/took*20), took/20), func(s *experiment.Sample) {
					s.Outcome, s.OutputTokens, s.PromptTokens, s.Counted, s.Phase = experiment.Cancelled, experiment.Unknown, experiment.Unknown, experiment.CountedNone, experiment.Cooldown
				})
				if !streamed {
					s = failed(at, end-at, experiment.Cancelled)
				}
				s.Seq = len(out)
			}
			out = append(out, s)
			at += took
		}
	}
	return p, out
}

// The intervals of the rates hold the truth in about 95 % of runs, and of them those of a
// steady server's output are far narrower than counting what ended would make them.
func TestRatesAreBounded(t *testing.T) {
	if racing() {
		t.Skip("one goroutine's arithmetic; make theory runs it without the race detector")
	}
	for _, streamed := range []bool{true, false} {
		rng := rand.New(rand.NewPCG(5, 8))
		const runs = 100
		hits := map[string]int{}
		for range runs {
			p, samples := renewal(rng, streamed)
			s := collect(p, samples...)
			for _, r := range []struct {
				name             string
				value, low, high float64
				truth            float64
			}{
				{"requests", s.RequestRate, s.RequestRateLow, s.RequestRateHigh, 20},
				{"output", s.OutputThroughput, s.OutputThroughputLow, s.OutputThroughputHigh, 400},
				{"total", s.TotalThroughput, s.TotalThroughputLow, s.TotalThroughputHigh, 10_400},
			} {
				if r.low <= r.truth && r.truth <= r.high {
					hits[r.name]++
				}
				if !(r.low < r.value && r.value < r.high) {
					t.Fatalf("%s: %v is not within [%v, %v]", r.name, r.value, r.low, r.high)
				}
			}
		}
		for name, n := range hits {
			if share := float64(n) / runs; share < 0.88 || share > 0.995 {
				t.Errorf("streamed %v: the interval of %s holds the truth in %.1f %% of runs", streamed, name, 100*share)
			}
		}
	}
}

// Users in step end together, every time. That is no sign that the rate is not known.
func TestRateOfUsersInStep(t *testing.T) {
	p, samples := loop(4, 100, 100*145, 50, 20, 5)
	s := collect(p, samples...)
	if half := (s.RequestRateHigh - s.RequestRateLow) / 2; !(half < 0.05*s.RequestRate) {
		t.Errorf("%v req/s is bounded by [%v, %v]", s.RequestRate, s.RequestRateLow, s.RequestRateHigh)
	}
	// Of one repeat that is the interval of the level, of two there is the range.
	one := newLevel([]PointSummary{s}, nil)
	if e := one.RequestRate; e.Low != s.RequestRateLow || e.High != s.RequestRateHigh || e.N != s.InWindow {
		t.Errorf("the level has %+v", e)
	}
	if e := newLevel([]PointSummary{s, s}, nil).OutputThroughput; e.Bounded() {
		t.Errorf("two repeats have %+v", e)
	}
	// Four requests bound nothing.
	p, samples = loop(4, 1, 145, 50, 20, 5)
	if s := collect(p, samples...); !math.IsNaN(s.RequestRateLow) || !math.IsNaN(s.OutputThroughputHigh) || !math.IsNaN(s.TTFT.MeanLow) {
		t.Errorf("four requests are bounded by %v, %v and %v", s.RequestRateLow, s.OutputThroughputHigh, s.TTFT.MeanLow)
	}
}

// The mean of latencies that go up and down slowly is known less well than that of the same ones in
// any order, and the order is that of sending.
func TestMeanInTheOrderOfSending(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	samples := answers(400, func(i int, s *experiment.Sample) { ttftOf(s, 50+20*math.Sin(float64(i)/20)) })
	rng.Shuffle(len(samples), func(i, j int) { samples[i], samples[j] = samples[j], samples[i] })
	slow := collect(point(1, 40_000), samples...).TTFT
	for i := range samples { // what is sent when is drawn anew
		by := at(100*float64(i)) - samples[i].Sent
		samples[i].Seq = i
		samples[i].Sent, samples[i].FirstContent, samples[i].LastContent = samples[i].Sent+by, samples[i].FirstContent+by, samples[i].LastContent+by
	}
	mixed := collect(point(1, 40_000), samples...).TTFT
	near(t, "the mean", slow.Mean, mixed.Mean)
	if a, b := slow.MeanHigh-slow.MeanLow, mixed.MeanHigh-mixed.MeanLow; !(a > 2*b) {
		t.Errorf("slow swings have an interval of %v ms, the same values in any order one of %v", a, b)
	}
}
