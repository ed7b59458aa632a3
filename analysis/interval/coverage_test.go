package interval_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/interval"
)

// synthetic is how many samples of known truth each row draws. The share of them that an interval of
// 95 % covers has a standard error of 0.5 %.
const synthetic = 2000

// covered draws samples, and gives the share of intervals that hold the truth and their median width.
func covered(truth float64, bounds func(r *rand.Rand) (low, high float64)) (share, width float64) {
	inside := 0
	widths := make([]float64, synthetic)
	for seed := range widths {
		low, high := bounds(rand.New(rand.NewPCG(uint64(seed), 95)))
		if low <= truth && truth <= high {
			inside++
		}
		widths[seed] = high - low
	}
	return float64(inside) / synthetic, sorted(widths)[synthetic/2]
}

func mean(d draw, n int) func(r *rand.Rand) (low, high float64) {
	return func(r *rand.Rand) (low, high float64) { return interval.Mean(d(r, n)) }
}

func serial(d draw, n int, q float64) func(r *rand.Rand) (low, high float64) {
	return func(r *rand.Rand) (low, high float64) {
		values := d(r, n)
		low, high, _ = interval.Quantile(values, sorted(slices.Clone(values)), q)
		return low, high
	}
}

func quantile(n int, q float64) func(r *rand.Rand) (low, high float64) {
	return func(r *rand.Rand) (low, high float64) {
		e := analysis.QuantileOf(sorted(lognormal(1)(r, n)), q)
		return e.Low, e.High
	}
}

func bounds(r interval.Ratio) (low, high float64) { return r.Low, r.High }

// exactly is the coverage that the binomial distribution gives the order statistics that bound a
// quantile: their ranks are those of the sample 1, 2 … n.
func exactly(n int, q float64) float64 {
	ranks := make([]float64, n)
	for i := range ranks {
		ranks[i] = float64(i + 1)
	}
	e := analysis.QuantileOf(ranks, q)
	below := distuv.Binomial{N: float64(n), P: q}
	return below.CDF(e.High-1) - below.CDF(e.Low-1)
}

// row is an interval with what it bounds, and the shares of samples between which it is to cover that.
type row struct {
	name   string
	truth  float64
	bounds func(r *rand.Rand) (low, high float64)
	shares [2]float64
}

var (
	usual        = [2]float64{0.93, 0.97}
	conservative = [2]float64{0.93, 0.99} // steps of the order statistics on two sides, each rounded outward
)

// TestCoverage is the proof of what "95 %" means here: go test -v -run TestCoverage prints the table.
func TestCoverage(t *testing.T) {
	if racing() {
		t.Skip("it takes minutes under the race detector, and has nothing that races")
	}
	rows := slices.Concat(singles, ratios)
	shares, widths := make([]float64, len(rows)), make([]float64, len(rows))
	var wg sync.WaitGroup
	for i, row := range rows {
		wg.Go(func() { shares[i], widths[i] = covered(row.truth, row.bounds) })
	}
	wg.Wait()
	for i, row := range rows {
		t.Logf("%-56s covers %5.2f %%  median width %.3g", row.name, 100*shares[i], widths[i])
		if shares[i] < row.shares[0] || shares[i] > row.shares[1] {
			t.Errorf("%s: the interval covers %.2f %% of %d samples, which is not between %.0f and %.0f %%",
				row.name, 100*shares[i], synthetic, 100*row.shares[0], 100*row.shares[1])
		}
	}
}

// singles are of one sample.
var singles = []row{
	// the order statistics of package analysis, of lognormal latencies
	{fmt.Sprintf("p50, n=400 (exact: %.2f %%)", 100*exactly(400, 0.50)), 1, quantile(400, 0.50), usual},
	{fmt.Sprintf("p95, n=1000 (exact: %.2f %%)", 100*exactly(1000, 0.95)), math.Exp(distuv.UnitNormal.Quantile(0.95)), quantile(1000, 0.95), usual},

	// a mean: independent, with memory, of counts, and of a queue
	{"mean, independent, n=200", 10, mean(autoregression(0), 200), usual},
	{"mean, independent, n=2000", 10, mean(autoregression(0), 2000), usual},
	{"mean, lognormal, n=500", math.Exp(0.5), mean(lognormal(1), 500), usual},
	{"mean, AR(1) φ=0.5, n=200", 10, mean(autoregression(0.5), 200), usual},
	{"mean, AR(1) φ=0.5, n=2000", 10, mean(autoregression(0.5), 2000), usual},
	{"mean, AR(1) φ=0.8, n=200", 10, mean(autoregression(0.8), 200), usual},
	{"mean, AR(1) φ=0.8, n=500", 10, mean(autoregression(0.8), 500), usual},
	{"mean, AR(1) φ=0.8, n=2000", 10, mean(autoregression(0.8), 2000), usual},
	{"rate, Poisson counts, n=60", 10, mean(bins, 60), usual},
	{"mean, queue at load 0.5, n=500", 1, mean(waits(0.5), 500), usual},
	{"mean, queue at load 0.5, n=2000", 1, mean(waits(0.5), 2000), usual},
	{"mean, queue at load 0.7, n=5000", 7.0 / 3, mean(waits(0.7), 5000), usual},
	// a queue whose memory is long against the series: what the method is known to fall short by
	{"mean, queue at load 0.5, n=200", 1, mean(waits(0.5), 200), [2]float64{0.90, 0.97}},
	{"mean, queue at load 0.7, n=1000", 7.0 / 3, mean(waits(0.7), 1000), [2]float64{0.90, 0.97}},
	{"mean, queue at load 0.8, n=2000", 4, mean(waits(0.8), 2000), [2]float64{0.88, 0.97}},

	// a quantile of what has memory
	{"p50, lognormal, φ=0.5, n=500", 1, serial(correlated(0.5), 500, 0.50), usual},
	{"p95, lognormal, φ=0.5, n=500", math.Exp(0.5 * distuv.UnitNormal.Quantile(0.95)), serial(correlated(0.5), 500, 0.95), usual},
	{"p95, lognormal, φ=0.8, n=2000", math.Exp(0.5 * distuv.UnitNormal.Quantile(0.95)), serial(correlated(0.8), 2000, 0.95), usual},
	{"p50, independent, n=400", 1, serial(lognormal(1), 400, 0.50), usual},
	{"p95, independent, n=400", math.Exp(distuv.UnitNormal.Quantile(0.95)), serial(lognormal(1), 400, 0.95), conservative},
	{"p95, lognormal, φ=0.1, n=1000", math.Exp(0.5 * distuv.UnitNormal.Quantile(0.95)), serial(correlated(0.1), 1000, 0.95), usual},
	{"p95, lognormal, φ=0.3, n=200", math.Exp(0.5 * distuv.UnitNormal.Quantile(0.95)), serial(correlated(0.3), 200, 0.95), conservative},
	{"p95, lognormal, noise over φ=0.98, n=2000", math.Exp(0.5 * distuv.UnitNormal.Quantile(0.95)), serial(swell, 2000, 0.95), [2]float64{0.91, 0.97}},
	{"p95, queue at load 0.5, n=500", math.Log(0.5/0.05) / 0.5, serial(waits(0.5), 500, 0.95), [2]float64{0.88, 0.97}},
	{"p95, queue at load 0.5, n=2000", math.Log(0.5/0.05) / 0.5, serial(waits(0.5), 2000, 0.95), [2]float64{0.90, 0.97}},

	// the line of a curve: y = 20 + 0.5·x, of which α/β is 40
	{"slope of a line of 8 points", 0.5, func(r *rand.Rand) (low, high float64) { l := line(r); return l.BetaLow, l.BetaHigh }, usual},
	{"α/β of a line of 8 points", 40, func(r *rand.Rand) (low, high float64) { _, low, high = line(r).Root(); return low, high }, usual},
}

// ratios are of two sides.
var ratios = []row{
	// ratios of one run each
	{"ratio of means, AR(1) φ=0.5, n=500", 1.2, func(r *rand.Rand) (low, high float64) {
		return bounds(interval.MeanRatio(autoregression(0.5)(r, 500), times(autoregression(0.5)(r, 500), 1.2)))
	}, usual},
	{"ratio of means, AR(1) φ=0.8, n=500", 1.2, func(r *rand.Rand) (low, high float64) {
		return bounds(interval.MeanRatio(autoregression(0.8)(r, 500), times(autoregression(0.8)(r, 500), 1.2)))
	}, usual},
	{"ratio of means, queue at load 0.5, n=1000", 1.2, func(r *rand.Rand) (low, high float64) {
		return bounds(interval.MeanRatio(waits(0.5)(r, 1000), times(waits(0.5)(r, 1000), 1.2)))
	}, usual},
	{"ratio of p50, independent, n=300", 1.2, func(r *rand.Rand) (low, high float64) {
		return bounds(interval.SeriesQuantileRatio(lognormal(1)(r, 300), times(lognormal(1)(r, 300), 1.2), 0.5))
	}, conservative},
	{"ratio of p95, independent, n=400 and 600", 1.2, func(r *rand.Rand) (low, high float64) {
		return bounds(interval.SeriesQuantileRatio(lognormal(1)(r, 400), times(lognormal(1)(r, 600), 1.2), 0.95))
	}, conservative},
	{"ratio of p95, lognormal, φ=0.5, n=500", 1.2, func(r *rand.Rand) (low, high float64) {
		return bounds(interval.SeriesQuantileRatio(correlated(0.5)(r, 500), times(correlated(0.5)(r, 500), 1.2), 0.95))
	}, conservative},
	{"ratio of p95, queue at load 0.5, n=1000", 1.2, func(r *rand.Rand) (low, high float64) {
		return bounds(interval.SeriesQuantileRatio(waits(0.5)(r, 1000), times(waits(0.5)(r, 1000), 1.2), 0.95))
	}, conservative},

	// ratios over repeats
	{"ratio over repeats, 3 a side, spread 2 %", 1.05, func(r *rand.Rand) (low, high float64) {
		return bounds(interval.RepeatsRatio(lognormal(0.02)(r, 3), times(lognormal(0.02)(r, 3), 1.05)))
	}, usual},
	{"ratio over repeats, 5 a side, spread 2 and 4 %", 1.05, func(r *rand.Rand) (low, high float64) {
		return bounds(interval.RepeatsRatio(lognormal(0.02)(r, 5), times(lognormal(0.04)(r, 5), 1.05)))
	}, usual},
}

// line fits levels of load from 1 to 128 with normal errors.
func line(r *rand.Rand) interval.Line {
	var xs, ys []float64
	for x := 1.0; x <= 128; x *= 2 {
		xs, ys = append(xs, x), append(ys, 20+0.5*x+r.NormFloat64())
	}
	return interval.Fit(xs, ys)
}

// calls gives the share of pairs that [interval.RepeatsRatio] calls different, where the second
// side is factor times the first.
func calls(k int, spread, factor float64) float64 {
	called := 0
	for seed := range synthetic {
		r := rand.New(rand.NewPCG(uint64(seed), 5))
		if interval.RepeatsRatio(lognormal(spread)(r, k), times(lognormal(spread)(r, k), factor)).Distinguishable() {
			called++
		}
	}
	return float64(called) / synthetic
}

// TestCallsOfRepeats holds the two errors of a comparison to what is promised: no more than 5 % of pairs that
// do not differ are called, and no fewer than 80 % of those that differ by 5 %.
func TestCallsOfRepeats(t *testing.T) {
	if racing() {
		t.Skip("it takes minutes under the race detector, and has nothing that races")
	}
	for _, tt := range []struct {
		k              int
		spread, factor float64
		least, most    float64
	}{
		{3, 0.02, 1, 0, 0}, // three a side cannot show a difference
		{4, 0.02, 1, 0, 0.05},
		{5, 0.01, 1, 0, 0.05},
		{5, 0.02, 1, 0, 0.05},
		{10, 0.02, 1, 0, 0.05},
		{4, 0.01, 1.05, 0.80, 1},
		{5, 0.010, 1.05, 0.80, 1},
		{5, 0.015, 1.05, 0.80, 1},
		{5, 0.020, 1.05, 0.80, 1},
		{5, 0.020, 1 / 1.05, 0.80, 1},
	} {
		share := calls(tt.k, tt.spread, tt.factor)
		t.Logf("%2d repeats a side, spread %.1f %%, b = %.3f·a: %5.1f %% called", tt.k, 100*tt.spread, tt.factor, 100*share)
		if share < tt.least || share > tt.most {
			t.Errorf("%d repeats, spread %g, factor %g: %.1f %% called", tt.k, tt.spread, tt.factor, 100*share)
		}
	}
}

// TestHolmKeepsAFamilyAtItsLevel: of ten metrics that do not differ, the chance of calling any is under 5 %
// adjusted, and far above unadjusted.
func TestHolmKeepsAFamilyAtItsLevel(t *testing.T) {
	if racing() {
		t.Skip("it takes minutes under the race detector, and has nothing that races")
	}
	plain, adjusted := 0, 0
	for seed := range synthetic {
		r := rand.New(rand.NewPCG(uint64(seed), 6))
		ratios, ps := make([]interval.Ratio, 10), make([]float64, 10)
		for i := range ratios {
			ratios[i] = interval.RepeatsRatio(lognormal(0.02)(r, 7), lognormal(0.02)(r, 7))
			ps[i] = ratios[i].P
		}
		before, after := false, false
		for i, p := range interval.Holm(ps) {
			before = before || ratios[i].Distinguishable()
			ratios[i].P = p
			after = after || ratios[i].Distinguishable()
		}
		if before {
			plain++
		}
		if after {
			adjusted++
		}
	}
	t.Logf("families of ten metrics with a difference called: %.1f %%, and by Holm %.1f %%", 100*float64(plain)/synthetic, 100*float64(adjusted)/synthetic)
	if adjusted > synthetic/20 || plain < synthetic/5 {
		t.Errorf("of %d families without a difference %d have one called, and %d by Holm", synthetic, plain, adjusted)
	}
}
