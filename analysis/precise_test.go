package analysis

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

func TestPrecise(t *testing.T) {
	p, samples := queue(0.5, 4000, 5, 1)
	s := collect(p, samples...)
	few := collect(p, samples[:20]...)
	for _, tt := range []struct {
		name string
		p    experiment.Precision
		s    *PointSummary
		want bool
	}{
		{"the median of 4,000 within 10 %", experiment.Precision{Metric: "e2e", Quantile: 0.5, Share: 0.1}, &s, true},
		{"and not within 1 %", experiment.Precision{Metric: "e2e", Quantile: 0.5, Share: 0.01}, &s, false},
		{"20 have no interval of p95", experiment.Precision{Metric: "e2e", Quantile: 0.95, Share: 0.99}, &few, false},
		{"a quantile that a summary does not have", experiment.Precision{Metric: "e2e", Quantile: 0.8, Share: 0.99}, &s, false},
		{"a metric that the point does not have", experiment.Precision{Metric: "tpot", Quantile: 0.5, Share: 0.99}, &s, false},
	} {
		got, half := Precise(tt.p, tt.s)
		if got != tt.want || got != (half <= tt.p.Share) {
			t.Errorf("%s: %v, half width %v", tt.name, got, half)
		}
	}
}

// What the watch says at the sample where it is reached is what a summary of the
// samples so far says, and it costs a look for each tenth of growth.
func TestNarrowing(t *testing.T) {
	if racing() {
		t.Skip("one goroutine's arithmetic; make theory runs it without the race detector")
	}
	rapid.Check(t, func(t *rapid.T) {
		p, samples := queue(0.5, 3000, rapid.Uint64Range(1, 1000).Draw(t, "seed"), 1)
		want := experiment.Precision{Metric: "e2e", Quantile: rapid.SampledFrom([]float64{0.5, 0.9}).Draw(t, "q"), Share: 0.15}
		n := NewNarrowing(want)
		for i := range samples {
			n.Add(&samples[i])
			if reached, half := n.Reached(); reached {
				ok, now := Precise(want, new(collect(p, samples[:i+1]...)))
				if !ok || math.Abs(now-half) > 1e-12 {
					t.Fatalf("reached at %d with %v, a summary has %v", i+1, half, now)
				}
				n.Add(&samples[i])
				if len(n.values) != i+1 {
					t.Fatal("it goes on after it was reached")
				}
				return
			}
		}
	})
}

func TestNarrowingNeverReached(t *testing.T) {
	for _, p := range []experiment.Precision{{}, {Metric: "output_throughput", Quantile: 0.5, Share: 1}, {Metric: "e2e", Quantile: 0.5, Share: 1e-9}} {
		n := NewNarrowing(p)
		_, samples := queue(0.5, 200, 1, 1)
		for i := range samples {
			n.Add(&samples[i])
		}
		n.Add(new(failed(0, 1, experiment.Timeout)))
		if reached, _ := n.Reached(); reached {
			t.Errorf("%+v is reached", p)
		}
	}
}

// Stopping at the first narrow interval costs coverage, and not much: of exponential
// latencies with the mean 1 s the median is ln 2 s.
func TestNarrowingCovers(t *testing.T) {
	if racing() {
		t.Skip("one goroutine's arithmetic; make theory runs it without the race detector")
	}
	const runs = 200
	covered := 0
	for seed := range uint64(runs) {
		_, samples := queue(0.001, 1500, seed+1, 1) // hardly any of them waits
		want := experiment.Precision{Metric: "e2e", Quantile: 0.5, Share: 0.1}
		n := NewNarrowing(want)
		for i := range samples {
			n.Add(&samples[i])
			if reached, _ := n.Reached(); reached {
				break
			}
		}
		e := n.estimate()
		if truth := 1000 * math.Ln2; e.Low <= truth && truth <= e.High {
			covered++
		}
	}
	t.Logf("%d of %d intervals hold the truth", covered, runs)
	if covered < runs*90/100 {
		t.Errorf("%d of %d intervals hold the truth", covered, runs)
	}
}
