package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

var iclMetric, _ = MetricByName("icl")

// A selection without sorting gives what sorting gives, over the whole range.
func TestGapOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.OneOf(rapid.Uint32(), rapid.Uint32Range(9_990, 10_010), rapid.Uint32Range(65_530, 65_540)), 1, 300).Draw(t, "µs")
		var g gaps
		for _, v := range values {
			g.add([]experiment.Gap{experiment.Gap(v) * 1000})
		}
		ranks := rapid.SliceOfN(rapid.IntRange(0, len(values)-1), 1, 8).Draw(t, "ranks")
		got := g.order(ranks)
		slices.Sort(values)
		for i, rank := range ranks {
			if got[i] != values[rank] {
				t.Errorf("rank %d is %d µs, want %d", rank, got[i], values[rank])
			}
		}
	})
}

func TestGapDistribution(t *testing.T) {
	// 12 requests of 100 gaps over 2 blocks' worth of bins, one of which is slow.
	var g gaps
	var all []float64
	for r := range 12 {
		var list []experiment.Gap
		for i := range 100 {
			us := 10_000 + 10*i + r
			if r == 11 {
				us += 100_000
			}
			list = append(list, experiment.Gap(us)*1000)
			all = append(all, float64(us)/1000)
		}
		g.add(list)
	}
	slices.Sort(all)
	d := g.distribution(iclMetric)
	want := distribution(iclMetric, all, all)
	if d.N != 1200 || math.Abs(d.Mean-want.Mean) > 1e-9 || d.Min != want.Min || d.Max != want.Max {
		t.Errorf("%+v, want %+v", d, want)
	}
	for i, q := range shownQuantiles {
		e, naive := *d.quantile(i), QuantileOf(all, q)
		if math.Abs(e.Value-naive.Value) > 1e-9 {
			t.Errorf("%s is %v, want %v", percentile(q), e.Value, naive.Value)
		}
		if e.Low > naive.Low || e.High < naive.High {
			t.Errorf("%s: [%v, %v] is narrower than if gaps were independent, [%v, %v]", percentile(q), e.Low, e.High, naive.Low, naive.High)
		}
	}
	// A twelfth of the gaps is slow, all of it in one request: p90 and beyond rest on that request.
	if d.P90.Bounded() || len(d.P90.Warnings) == 0 {
		t.Errorf("p90 has the interval [%v, %v] and says %q", d.P90.Low, d.P90.High, d.P90.Warnings)
	}
}

func TestGapEdges(t *testing.T) {
	var g gaps
	if d := g.distribution(iclMetric); d.N != 0 || d.P50.Known() {
		t.Errorf("no gaps give %+v", d)
	}
	g.add([]experiment.Gap{experiment.SameRead, 1499, 1500, 1 << 60})
	if want := []uint32{0, 1, 2, math.MaxUint32}; !slices.Equal(g.order([]int{0, 1, 2, 3}), want) {
		t.Errorf("gaps are held as %v µs, want %v", g.order([]int{0, 1, 2, 3}), want)
	}
	if d := g.distribution(iclMetric); g.shared != 1 || d.Min != 0 || d.P50.Bounded() {
		t.Errorf("shared %d, %+v", g.shared, d)
	}
}

// With requests that differ from one another, the interval between requests
// holds the true median in about 95 % of runs; one that takes gaps as
// independent would in far fewer.
func TestGapCoverage(t *testing.T) {
	if racing() {
		t.Skip("one goroutine's arithmetic; make theory runs it without the race detector")
	}
	rng := rand.New(rand.NewPCG(7, 7))
	const runs, requests, events = 500, 40, 50
	hits, naive := 0, 0
	for range runs {
		var g gaps
		var all []float64
		for range requests {
			own := 20e6 * math.Exp(0.3*rng.NormFloat64()) // this request's place in the batch, ns
			list := make([]experiment.Gap, events)
			for i := range list {
				list[i] = experiment.Gap(own * math.Exp(0.1*rng.NormFloat64()))
				all = append(all, float64(list[i])/1e6)
			}
			g.add(list)
		}
		if e := g.distribution(iclMetric).P50; e.Low <= 20 && 20 <= e.High {
			hits++
		}
		slices.Sort(all)
		if low, high := orderInterval(all, 0.5); low <= 20 && 20 <= high {
			naive++
		}
	}
	if share := float64(hits) / runs; share < 0.91 || share > 0.98 {
		t.Errorf("the interval between requests holds the truth in %.1f %% of runs", 100*share)
	}
	if share := float64(naive) / runs; share > 0.6 {
		t.Errorf("gaps taken as independent do it in %.1f %%, so this test shows nothing", 100*share)
	}
}

// Of a million gaps and more, those of about half the requests are kept, and the
// interval is that of all: two kinds of requests that take turns.
func TestGapsOfSomeRequests(t *testing.T) {
	var g gaps
	const requests, events = 3000, 400
	list := make([]experiment.Gap, events)
	for r := range requests {
		for i := range list {
			list[i] = experiment.Gap(10+r%2) * 1e6
		}
		g.add(list)
	}
	if n := len(g.of); n < 1200 || n > 1800 || len(g.kept) != n*events || g.n != requests*events || g.requests != requests {
		t.Errorf("%d gaps of %d of %d requests are kept", len(g.kept), n, g.requests)
	}
	if got, want := g.shareErrors([]float64{10_500})[0], 0.5/math.Sqrt(requests); math.Abs(got-want) > 0.02*want {
		t.Errorf("the share of gaps up to 10.5 ms has the standard error %v, want %v", got, want)
	}
}
