package interval_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/analysis/interval"
)

var (
	nan, inf = math.NaN(), math.Inf(1)
	close6   = cmp.Options{cmpopts.EquateApprox(1e-5, 1e-9), cmpopts.EquateNaNs()}
)

func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// numbers are what a ratio says, for a comparison in one go.
func numbers(r interval.Ratio) [4]float64 { return [4]float64{r.Value, r.Low, r.High, r.P} }

// check holds a ratio against its numbers and against a part of its one warning, if any.
func check(t *testing.T, name string, got interval.Ratio, want [4]float64, warning string) {
	t.Helper()
	if diff := cmp.Diff(want, numbers(got), close6); diff != "" {
		t.Errorf("%s: value, low, high and p differ (-want +got):\n%s", name, diff)
	}
	all := strings.Join(got.Warnings, " ")
	if (warning == "") != (all == "") || !strings.Contains(all, warning) {
		t.Errorf("%s: the warnings are %q, which is not %q", name, all, warning)
	}
}

// The intervals were worked out apart from this program, by the formula of Welch and by looking for
// the roots of Fieller's; p is a count of orders.
func TestRepeatsRatio(t *testing.T) {
	for _, tt := range []struct {
		name    string
		a, b    []float64
		want    [4]float64
		warning string
	}{
		// five above five: p is 2 of the 252 ways to choose 5 of 10
		{"apart", []float64{100, 101, 102, 103, 104}, []float64{110, 111, 112, 113, 114}, [4]float64{1.0980572, 1.0745318, 1.1220978, 2.0 / 252}, ""},
		// three above three are 2 of 20 ways
		{"three a side", []float64{100, 101, 102}, []float64{110, 111, 112}, [4]float64{1.0990161, 1.0756030, 1.1229388, 0.1}, "takes 4 repeats a side at least; this has 3."},
		{"one a side", []float64{100}, []float64{110}, [4]float64{1.1, -inf, inf, 1}, "this has 1."},
		{"one and five", []float64{100}, []float64{110, 111, 112, 113, 114}, [4]float64{1.1199107, -inf, inf, 1.0 / 3}, "this has 1 and 5."},
		// a simulated engine repeats itself to the digit
		{"no spread", []float64{5, 5, 5, 5}, []float64{5, 5, 5, 5}, [4]float64{1, 1, 1, 1}, ""},
		{"a ratio with no spread", []float64{4, 4, 4, 4}, []float64{5, 5, 5, 5}, [4]float64{1.25, 1.25, 1.25, 2.0 / 70}, ""},
		// error shares: no logarithm of 0, so Fieller's interval of the means
		{"zeros in the second", []float64{4, 5, 6, 5}, []float64{0, 1, 0, 1}, [4]float64{0.1, -0.0454660, 0.2542661, 2.0 / 70}, ""},
		{"the first may be 0", []float64{0, 0, 0, 1}, []float64{2, 3, 2, 3}, [4]float64{10, -inf, inf, 2.0 / 70}, ""},
		{"the first is 0", []float64{0, 0, 0, 0}, []float64{2, 3, 2, 3}, [4]float64{nan, nan, nan, 2.0 / 70}, "The first side's mean is 0"},
		{"nothing", nil, []float64{1}, [4]float64{nan, nan, nan, nan}, "A side has no repeat"},
		{"one is not known", []float64{1, nan}, []float64{1, 2}, [4]float64{nan, nan, nan, nan}, "A repeat has no figure"},
	} {
		check(t, tt.name, interval.RepeatsRatio(tt.a, tt.b), tt.want, tt.warning)
	}
}

// A difference is called where the interval leaves 1 out and p is under 0.05: either alone is not enough.
func TestDistinguishable(t *testing.T) {
	for _, tt := range []struct {
		low, high, p float64
		want         bool
	}{
		{1.01, 1.10, 0.01, true},
		{0.90, 0.99, 0.01, true},
		{1.01, inf, 0.01, true}, // how much is open, but not that
		{1.01, 1.10, 0.05, false},
		{0.99, 1.10, 0.01, false},
		{1, 1.10, 0.01, false},
		{-inf, inf, 0.01, false},
		{1.01, 1.10, nan, false},
		{nan, nan, 0.01, false},
	} {
		if got := (interval.Ratio{Low: tt.low, High: tt.high, P: tt.p}).Distinguishable(); got != tt.want {
			t.Errorf("[%g, %g] with p = %g: %v", tt.low, tt.high, tt.p, got)
		}
	}
}

// The counts are those from which 2 ÷ C(2k, k) is under the level: 2/70 = 0.029, 2/252 = 0.008, 2/924 = 0.002.
func TestLeastRepeats(t *testing.T) {
	for level, want := range map[float64]int{0.5: 2, 0.05: 4, 0.05 / 2: 5, 0.05 / 6: 5, 0.05 / 7: 6, 0.05 / 20: 6} {
		if got := interval.LeastRepeats(level); got != want {
			t.Errorf("under %g: %d repeats, not %d", level, got, want)
		}
	}
}

// The counts are those of every table of order statistics: ln 0.025 ÷ ln q, rounded up.
func TestLeastCount(t *testing.T) {
	for q, want := range map[float64]int{0.5: 6, 0.9: 36, 0.1: 36, 0.95: 72, 0.99: 368, 0.999: 3688} {
		if got := interval.LeastCount(q); got != want {
			t.Errorf("p%g: %d, not %d", 100*q, got, want)
		}
	}
}

// The sides of a comparison can be swapped, and units be changed.
func TestRatiosTurnOver(t *testing.T) {
	if racing() {
		t.Skip("it takes ten seconds under the race detector, and has nothing that races")
	}
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(1, 1000), 30, 60)
		a, b, scale := values.Draw(t, "a"), values.Draw(t, "b"), rapid.Float64Range(0.01, 100).Draw(t, "scale")
		for name, of := range map[string]func(a, b []float64) interval.Ratio{"repeats": interval.RepeatsRatio, "means": interval.MeanRatio,
			"quantiles": func(a, b []float64) interval.Ratio { return interval.SeriesQuantileRatio(a, b, 0.5) }} {
			r, turned := of(a, b), of(times(slices.Clone(b), scale), times(slices.Clone(a), scale))
			if diff := cmp.Diff(numbers(r), [4]float64{1 / turned.Value, over(turned.High), over(turned.Low), turned.P}, close6); diff != "" {
				t.Errorf("%s: turning the sides over changes more than their order:\n%s", name, diff)
			}
			if !(r.Low <= r.Value && r.Value <= r.High) {
				t.Errorf("%s: %v", name, numbers(r))
			}
		}
	})
}

// over is 1 ÷ x, where an infinite bound stays one.
func over(x float64) float64 {
	if math.IsInf(x, 0) {
		return -x
	}
	return 1 / x
}

func TestMeanOfWhatHasNone(t *testing.T) {
	for _, tt := range []struct {
		name      string
		values    []float64
		low, high float64
	}{
		{"nothing", nil, nan, nan},
		{"29 values", autoregression(0)(random(), 29), nan, nan},
		{"all the same", slices.Repeat([]float64{7}, 100), 7, 7},
		{"one that is not known", append(slices.Repeat([]float64{7}, 100), nan), nan, nan},
	} {
		low, high := interval.Mean(tt.values)
		if diff := cmp.Diff([2]float64{tt.low, tt.high}, [2]float64{low, high}, close6); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestMeanRatioOfWhatHasNone(t *testing.T) {
	long := autoregression(0)(random(), 100)
	for _, tt := range []struct {
		name    string
		a, b    []float64
		want    [4]float64
		warning string
	}{
		{"nothing", nil, long, [4]float64{nan, nan, nan, nan}, "A side has no value"},
		{"short", slices.Repeat([]float64{5}, 20), slices.Repeat([]float64{6}, 40), [4]float64{1.2, nan, nan, nan}, "n ≥ 30; this has 20 and 40."},
		{"a mean of 0", slices.Repeat([]float64{0}, 100), long, [4]float64{nan, nan, nan, nan}, "both must be above 0"},
	} {
		check(t, tt.name, interval.MeanRatio(tt.a, tt.b), tt.want, tt.warning)
	}
}

func TestSeriesQuantileRatioSaysWhatACountIsWorth(t *testing.T) {
	queue, independent := waits(0.7)(random(), 400), lognormal(1)(random(), 400)
	for _, tt := range []struct {
		name    string
		a, b    []float64
		q       float64
		finite  bool // whether both bounds are
		warning string
	}{
		{"enough", independent, independent, 0.9, true, ""},
		// the queue's 400 waits swing up and down a few times only
		{"enough in number, and not in worth", queue, queue, 0.95, false, "p95 needs n ≥ 72 for a two-sided interval; this has 400, worth"},
		{"too few to see a memory", independent[:29], independent, 0.5, false, "n ≥ 30; this has 29 and 400."},
		{"nothing", nil, queue, 0.5, false, "A side has no value"},
		{"a quantile of 0", slices.Repeat([]float64{0}, 100), independent, 0.5, false, "both must be above 0"},
		{"all the same", slices.Repeat([]float64{3}, 100), slices.Repeat([]float64{3}, 100), 0.5, true, ""},
	} {
		r := interval.SeriesQuantileRatio(tt.a, tt.b, tt.q)
		check(t, tt.name, r, numbers(r), tt.warning)
		if got := r.High-r.Low < inf; got != tt.finite {
			t.Errorf("%s: %v", tt.name, numbers(r))
		}
		if r.Distinguishable() {
			t.Errorf("%s: %v is called a difference", tt.name, numbers(r))
		}
	}
	larger := interval.SeriesQuantileRatio(independent, times(slices.Clone(independent), 1.5), 0.5)
	if !larger.Distinguishable() || math.Abs(larger.Value-1.5) > 1e-9 {
		t.Errorf("half as much again: %v", numbers(larger))
	}
}

func TestHolm(t *testing.T) {
	for _, tt := range []struct{ p, want []float64 }{
		{[]float64{0.01, 0.04, 0.03}, []float64{0.03, 0.06, 0.06}}, // 3·0.01; 2·0.03; 0.04 is no less than the one before
		{[]float64{0.04}, []float64{0.04}},                         // one is none to correct for
		{[]float64{0.6, nan, 0.9}, []float64{1, nan, 1}},           // what was not tested does not count, and no p is above 1
		{nil, nil},
	} {
		if diff := cmp.Diff(tt.want, interval.Holm(tt.p), close6, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("Holm(%v):\n%s", tt.p, diff)
		}
	}
}

func TestGeomean(t *testing.T) {
	for _, tt := range []struct {
		xs   []float64
		want float64
	}{
		{[]float64{1, 10, 100}, 10},
		{[]float64{0.5, 2}, 1}, // half and double cancel
		{[]float64{1, 0}, nan},
		{[]float64{1, nan}, nan},
		{nil, nan},
	} {
		if got := interval.Geomean(tt.xs); !cmp.Equal(tt.want, got, close6) {
			t.Errorf("of %v: %g, not %g", tt.xs, got, tt.want)
		}
	}
}

// The fit of five points worked out by hand: Σ(x−3)² is 10, the residuals' squares add up to 0.107, and t is 3.18245.
func TestFit(t *testing.T) {
	l := interval.Fit([]float64{5, 1, 2, 3, 4}, []float64{10.1, 2.1, 3.9, 6.2, 7.8})
	want := interval.Line{Alpha: 0.05, AlphaLow: -0.580360, AlphaHigh: 0.680360, Beta: 1.99, BetaLow: 1.799939, BetaHigh: 2.180061, R2: 0.9973053, N: 5}
	exported := cmp.Options{close6, cmpopts.IgnoreUnexported(interval.Line{})}
	if diff := cmp.Diff(want, l, exported); diff != "" {
		t.Error(diff)
	}
	// Fieller's bounds are where (α − θβ)² is t² times its variance.
	value, low, high := l.Root()
	if diff := cmp.Diff([3]float64{0.0251256, -0.2686346, 0.3745829}, [3]float64{value, low, high}, close6); diff != "" {
		t.Error(diff)
	}
	for _, tt := range []struct {
		name   string
		xs, ys []float64
		want   interval.Line
		root   [3]float64
	}{
		{"two points", []float64{1, 2}, []float64{3, 5},
			interval.Line{Alpha: 1, AlphaLow: -inf, AlphaHigh: inf, Beta: 2, BetaLow: -inf, BetaHigh: inf, R2: 1, N: 2}, [3]float64{0.5, -inf, inf}},
		{"on a line", []float64{1, 2, 3}, []float64{3, 5, 7},
			interval.Line{Alpha: 1, AlphaLow: 1, AlphaHigh: 1, Beta: 2, BetaLow: 2, BetaHigh: 2, R2: 1, N: 3}, [3]float64{0.5, 0.5, 0.5}},
		// a slope that may be 0 may put α/β anywhere
		{"level", []float64{1, 2, 3, 4}, []float64{5, 6, 5, 6},
			interval.Line{Alpha: 5, AlphaLow: 1.6671795, AlphaHigh: 8.3328205, Beta: 0.2, BetaLow: -1.0169740, BetaHigh: 1.4169740, R2: 0.2, N: 4}, [3]float64{25, -inf, inf}},
		{"one level", []float64{4, 4, 4}, []float64{5, 6, 5},
			interval.Line{Alpha: nan, AlphaLow: nan, AlphaHigh: nan, Beta: nan, BetaLow: nan, BetaHigh: nan, R2: nan, N: 3}, [3]float64{nan, nan, nan}},
		{"one point", []float64{4}, []float64{5},
			interval.Line{Alpha: nan, AlphaLow: nan, AlphaHigh: nan, Beta: nan, BetaLow: nan, BetaHigh: nan, R2: nan, N: 1}, [3]float64{nan, nan, nan}},
	} {
		l := interval.Fit(tt.xs, tt.ys)
		if diff := cmp.Diff(tt.want, l, exported); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		value, low, high := l.Root()
		if diff := cmp.Diff(tt.root, [3]float64{value, low, high}, close6); diff != "" {
			t.Errorf("%s: α/β: %s", tt.name, diff)
		}
	}
}

// JSON has no word for what is not known or without bound.
func TestRatioInJSON(t *testing.T) {
	got, err := json.Marshal(interval.RepeatsRatio([]float64{2}, []float64{2}))
	want := `{"value":1,"low":null,"high":null,"p":1,"distinguishable":false,"method":"Welch's t on logarithms, Mann–Whitney U",` +
		`"n_a":1,"n_b":1,"warnings":["A difference is called at p \u003c 0.05, which takes 4 repeats a side at least; this has 1."]}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
}

func BenchmarkIntervals(b *testing.B) {
	const n = 1_000_000
	series := waits(0.5)(random(), n)
	ordered := sorted(slices.Clone(series))
	shifted := autoregression(0.8)(random(), n)
	for name, f := range map[string]func(){
		"mean of a million":                     func() { interval.Mean(series) },
		"ratio of means of a million":           func() { interval.MeanRatio(series, shifted) },
		"ratio of p95 of a series of a million": func() { interval.SeriesQuantileRatio(series, shifted, 0.95) },
		"p95 of a series of a million":          func() { interval.Quantile(series, ordered, 0.95) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
		})
	}
}
