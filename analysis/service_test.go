package analysis

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

// Ten requests, each with its own time to first token of 10, 20, … 100 ms.
func tenRequests(n int) []experiment.Sample {
	var out []experiment.Sample
	for i := range n {
		out = append(out, stream(float64(1000*i), float64(10*(i%10)+10), 5, 2))
	}
	return out
}

func TestAttainment(t *testing.T) {
	p := point(1, 10_000)
	samples := append(tenRequests(8), failed(8000, 5, experiment.Timeout),
		with(stream(9000, 90, 1, 0), func(s *experiment.Sample) {})) // one token: no TPOT that could be too long
	s := collectFor(p, &experiment.Spec{SLO: slo(t, "ttft.p50<60ms ttft<85ms tpot<3ms errors<20% goodput>=50%")}, samples...)
	share := map[string]float64{}
	for _, a := range s.Attainment {
		share[a.Objective] = a.Share
	}
	want := map[string]float64{"ttft.p50<60ms": 0.6, "ttft<85ms": 0.8, "tpot<3ms": 0.9, "errors<20%": 0.9, "goodput>=50%": 0.6}
	if diff := cmp.Diff(want, share); diff != "" {
		t.Error(diff)
	}
	near(t, "joint", s.GoodShare, 0.6)
	near(t, "goodput", s.Goodput, 6/10.0)
	near(t, "median", s.Attainment[0].Value.Value, 50) // of 10…80 and 90
	if s.Attainment[1].Value.Known() {
		t.Error("a bound without a quantile has a value")
	}
	none := collect(p, samples...)
	if none.SLO != "" || !math.IsNaN(none.Goodput) || !math.IsNaN(none.GoodShare) || none.Attainment != nil {
		t.Errorf("without an SLO: %+v", none.Attainment)
	}
}

// The exact interval of a share: the values are those of Clopper and Pearson's tables.
func TestShareOf(t *testing.T) {
	for _, tt := range []struct {
		k, n      int
		low, high float64
	}{
		{0, 10, 0, 0.3085}, {1, 10, 0.0025, 0.4450}, {5, 10, 0.1871, 0.8129}, {10, 10, 0.6915, 1}, {2, 100, 0.0024, 0.0704},
	} {
		e := shareOf(tt.k, tt.n)
		if math.Abs(e.Low-tt.low) > 5e-5 || math.Abs(e.High-tt.high) > 5e-5 || e.Value != float64(tt.k)/float64(tt.n) {
			t.Errorf("%d of %d: %v to %v, want %v to %v", tt.k, tt.n, e.Low, e.High, tt.low, tt.high)
		}
	}
	if e := shareOf(0, 0); e.Known() || e.N != 0 {
		t.Errorf("nothing of nothing is %+v", e)
	}
}

func TestVerdict(t *testing.T) {
	samples := tenRequests(1000)
	for i := range samples {
		if i%100 == 99 {
			samples[i].Outcome = experiment.Timeout
		}
	}
	p := point(1, 1_000_000)
	full := collect(p, samples...)
	few := collect(p, samples[:20]...)
	dead := collect(p, failed(0, 5, experiment.Refused))
	pile := collect(p, samples...)
	pile.Oversaturated = true
	for _, tt := range []struct {
		name  string
		slo   string
		s     *PointSummary
		want  Ruling
		leans bool
		says  string
	}{
		{"well within", "ttft.p95<500ms errors<5%", &full, Holds, true, "The SLO holds: ttft.p95<500ms holds at 100 ms [100 ms to 100 ms]; errors<5% holds at 1 % [0.481 % to 1.83 %]."},
		{"the bound itself is kept", "ttft.p95<100ms", &full, Holds, true, "holds"},
		{"far off", "ttft.p50<20ms", &full, Misses, false, "The SLO is missed: ttft.p50<20ms is missed at 50 ms [50 ms to 60 ms]."},
		{"one part missed is missed", "ttft.p95<500ms ttft.p50<20ms", &full, Misses, false, "is missed"},
		{"the share of errors may be on either side", "errors<1.5%", &full, Unsure, true, "The SLO may or may not hold: errors<1.5% is unsure at 1 % [0.481 % to 1.83 %]."},
		{"too few for an upper bound", "ttft.p95<500ms", &few, Unsure, true, "is unsure at 100 ms [90 ms to ∞]"},
		{"few that miss by far", "ttft.p95<50ms", &few, Misses, false, "is missed at 100 ms [90 ms to ∞]"},
		{"a quantile that nobody kept", "ttft.p80<500ms", &full, Unsure, false, "cannot be judged"},
		{"goodput that nobody counted", "goodput>=90%", &full, Unsure, false, "cannot be judged"},
		{"nothing succeeded", "ttft.p95<500ms", &dead, Misses, false, "no request succeeded"},
		{"requests pile up", "ttft.p95<500ms", &pile, Misses, false, "pile up"},
		{"a bound that judges no point", "ttft<500ms", &full, Unsure, false, "no part that a point is judged by"},
	} {
		got := Verdict(slo(t, tt.slo), tt.s)
		if got.Ruling != tt.want || got.Leans != tt.leans || !strings.Contains(got.Sentence, tt.says) {
			t.Errorf("%s: %s, leans %v: %s", tt.name, got.Ruling, got.Leans, got.Sentence)
		}
		roundTrip(t, got)
	}
	// A summary that was judged by an SLO has its quantiles and shares, also under another bound.
	judged := collectFor(p, &experiment.Spec{SLO: slo(t, "ttft.p80<500ms goodput>=90%")}, samples...)
	if got := Verdict(slo(t, "ttft.p80<500ms goodput>=95%"), &judged); got.Ruling != Holds {
		t.Errorf("%+v", got)
	}
	// Which requests were good depends on the latency bounds.
	if got := Verdict(slo(t, "ttft.p80<70ms goodput>=90%"), &judged); got.Objectives[0].Ruling != Misses || got.Objectives[1].Ruling != Unsure {
		t.Errorf("%+v", got)
	}
}

// A wider bound never turns a verdict for the worse.
func TestVerdictIsMonotone(t *testing.T) {
	order := map[Ruling]int{Misses: 0, Unsure: 1, Holds: 2}
	rapid.Check(t, func(t *rapid.T) {
		p, samples := queue(0.7, rapid.IntRange(1, 300).Draw(t, "n"), rapid.Uint64Range(1, 1000).Draw(t, "seed"), 1)
		s := collect(p, samples...)
		o := experiment.Objective{Metric: "e2e", Quantile: rapid.SampledFrom(shownQuantiles[:]).Draw(t, "q"), Bound: rapid.Float64Range(1, 10_000).Draw(t, "bound")}
		wider := o
		wider.Bound *= 2
		a, b := Verdict(experiment.SLO{o}, &s), Verdict(experiment.SLO{wider}, &s)
		if order[a.Ruling] > order[b.Ruling] || a.Leans && !b.Leans {
			t.Fatalf("%s at %s, %s at %s", a.Ruling, o, b.Ruling, wider)
		}
	})
}
