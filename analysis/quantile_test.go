package analysis

import (
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/analysis/interval"
)

func TestQuantileOf(t *testing.T) {
	inf := math.Inf(1)
	seq := func(n int) []float64 { // 1, 2, … n
		out := make([]float64, n)
		for i := range out {
			out[i] = float64(i + 1)
		}
		return out
	}
	tests := []struct {
		name     string
		sorted   []float64
		q        float64
		want     Estimate
		warnings []string
	}{
		{"one observation is its own median and bounds nothing", []float64{7}, 0.5, Estimate{Value: 7, Low: -inf, High: inf, N: 1},
			[]string{"p50 needs n ≥ 6 for a two-sided interval, and n ≥ 20 for ten observations beyond it; this has 1."}},
		{"five repeats are one too few: each side would miss with 3.1 %", seq(5), 0.5, Estimate{Value: 3, Low: -inf, High: inf, N: 5},
			[]string{"p50 needs n ≥ 6 for a two-sided interval, and n ≥ 20 for ten observations beyond it; this has 5."}},
		{"six are enough: 1.6 %", seq(6), 0.5, Estimate{Value: 3.5, Low: 1, High: 6, N: 6},
			[]string{"p50 needs n ≥ 20 for ten observations beyond it; this has 6."}},
		{"ranks 6 and 15 of 20, as in every table of the sign test", seq(20), 0.5, Estimate{Value: 10.5, Low: 6, High: 15, N: 20}, nil},
		{"p95 of 50 has no upper bound", seq(50), 0.95, Estimate{Value: 47.55, Low: 44, High: inf, N: 50},
			[]string{"p95 needs n ≥ 72 for a two-sided interval, and n ≥ 200 for ten observations beyond it; this has 50."}},
		{"p95 of 71: 0.95^71 is 2.6 %", seq(71), 0.95, Estimate{Value: 67.5, Low: 63, High: inf, N: 71},
			[]string{"p95 needs n ≥ 72 for a two-sided interval, and n ≥ 200 for ten observations beyond it; this has 71."}},
		{"p95 of 72: 0.95^72 is 2.5 %", seq(72), 0.95, Estimate{Value: 68.45, Low: 64, High: 72, N: 72},
			[]string{"p95 needs n ≥ 200 for ten observations beyond it; this has 72."}},
		{"p99 of 1000 is the first without a warning", seq(1000), 0.99, Estimate{Value: 990.01, Low: 983, High: 997, N: 1000}, nil},
		{"p99 of 2: rank 2 bounds it from below, and yet the value lies under rank 2", seq(2), 0.99, Estimate{Value: 1.99, Low: 1.99, High: inf, N: 2},
			[]string{"p99 needs n ≥ 368 for a two-sided interval, and n ≥ 1000 for ten observations beyond it; this has 2."}},
		{"low quantiles mirror high ones", seq(50), 0.05, Estimate{Value: 3.45, Low: -inf, High: 7, N: 50},
			[]string{"p5 needs n ≥ 72 for a two-sided interval, and n ≥ 200 for ten observations beyond it; this has 50."}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Warnings, tt.want.Min, tt.want.Max = tt.warnings, math.NaN(), math.NaN()
			if diff := cmp.Diff(tt.want, QuantileOf(tt.sorted, tt.q), cmpopts.EquateApprox(0, 1e-9), cmpopts.EquateNaNs()); diff != "" {
				t.Error(diff)
			}
		})
	}
	none := QuantileOf(nil, 0.5)
	if none.Known() || !math.IsNaN(none.Low) || !math.IsNaN(none.High) || len(none.Warnings) != 1 {
		t.Errorf("the median of nothing is %+v", none)
	}
}

// The least counts are those of the literature.
func TestLeastCounts(t *testing.T) {
	for _, tt := range []struct {
		q            float64
		bound, shown int
	}{{0.5, 6, 20}, {0.9, 36, 100}, {0.95, 72, 200}, {0.99, 368, 1000}, {0.999, 3688, 10000}} {
		if got := interval.LeastCount(tt.q); got != tt.bound {
			t.Errorf("a two-sided interval of %s needs %d, want %d", percentile(tt.q), got, tt.bound)
		}
		if got := shownCount(tt.q); got != tt.shown {
			t.Errorf("showing %s needs %d, want %d", percentile(tt.q), got, tt.shown)
		}
		_, u := intervalRanks(tt.bound, tt.q)
		_, short := intervalRanks(tt.bound-1, tt.q)
		if u > tt.bound || short != tt.bound {
			t.Errorf("the upper rank of %s is %d of %d and %d of %d", percentile(tt.q), u, tt.bound, short, tt.bound-1)
		}
	}
}

// The ranks are the tightest for which neither side misses with more than 2.5 %,
// by summing the binomial distribution term by term.
func TestIntervalRanksAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 400).Draw(t, "n")
		q := rapid.Float64Range(0.01, 0.99).Draw(t, "q")
		cdf := func(k int) float64 { // P(B ≤ k)
			sum := 0.0
			for i := 0; i <= k; i++ {
				a, _ := math.Lgamma(float64(n + 1))
				b, _ := math.Lgamma(float64(i + 1))
				c, _ := math.Lgamma(float64(n - i + 1))
				sum += math.Exp(a - b - c + float64(i)*math.Log(q) + float64(n-i)*math.Log(1-q))
			}
			return sum
		}
		const near = 1e-9
		l, u := intervalRanks(n, q)
		if l >= 1 && cdf(l-1) > tail+near || l < n && cdf(l) < tail-near {
			t.Errorf("lower rank %d of %d for q=%v: it misses with %v, the next with %v", l, n, q, cdf(l-1), cdf(l))
		}
		if u <= n && 1-cdf(u-1) > tail+near || u > 1 && 1-cdf(u-2) < tail-near {
			t.Errorf("upper rank %d of %d for q=%v: it misses with %v, the one before with %v", u, n, q, 1-cdf(u-1), 1-cdf(u-2))
		}
	})
}

func TestQuantileLiesInItsInterval(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		xs := rapid.SliceOfN(rapid.Float64Range(0, 1e6), 1, 600).Draw(t, "xs")
		slices.Sort(xs)
		q := rapid.SampledFrom([]float64{0.01, 0.05, 0.25, 0.5, 0.9, 0.95, 0.99}).Draw(t, "q")
		e := QuantileOf(xs, q)
		if e.Value < e.Low || e.Value > e.High || e.Value < xs[0] || e.Value > xs[len(xs)-1] {
			t.Errorf("%v is outside [%v, %v]", e.Value, e.Low, e.High)
		}
		if len(xs) >= interval.LeastCount(q) != e.Bounded() {
			t.Errorf("n = %d, bounded %v", len(xs), e.Bounded())
		}
	})
}

// Of 2,000 runs whose true quantile is known, 93 to 98 % have it in their interval.
func TestCoverage(t *testing.T) {
	if racing() {
		t.Skip("one goroutine's arithmetic; make theory runs it without the race detector")
	}
	rng := rand.New(rand.NewPCG(2026, 1))
	const runs = 2000
	for _, tt := range []struct {
		q float64
		n int
	}{{0.5, 50}, {0.5, 300}, {0.9, 200}, {0.95, 200}, {0.95, 500}, {0.99, 1000}} {
		hits := 0
		truth := math.Exp(0.8 * math.Sqrt2 * math.Erfinv(2*tt.q-1)) // log-normal, as latencies are
		for range runs {
			xs := make([]float64, tt.n)
			for i := range xs {
				xs[i] = math.Exp(0.8 * rng.NormFloat64())
			}
			slices.Sort(xs)
			if e := QuantileOf(xs, tt.q); e.Low <= truth && truth <= e.High {
				hits++
			}
		}
		if share := float64(hits) / runs; share < 0.93 || share > 0.98 {
			t.Errorf("%s of %d: the interval holds the truth in %.1f %% of %d runs", percentile(tt.q), tt.n, 100*share, runs)
		}
	}
}

// What follows each other in a queue is worth less than its number; what is drawn one by one, or
// is too short to show a memory, has the exact interval: nine times in ten, and this is one of the nine.
func TestQuantileOver(t *testing.T) {
	_, samples := queue(0.8, 400, 4, 1)
	waits := make([]float64, len(samples))
	for i := range samples {
		waits[i], _ = ttft(&samples[i])
	}
	shuffled := slices.Clone(waits)
	rand.New(rand.NewPCG(2, 1)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for _, tt := range []struct {
		name   string
		values []float64
		wider  bool
		says   string
	}{
		{"a queue in its order", waits, true, "p95 needs n ≥ 72 for a two-sided interval; this has 400 requests, worth "},
		{"the same in any order", shuffled, false, ""},
		{"the first 29 of the queue", waits[:29], false, "p95 needs n ≥ 72 for a two-sided interval, and n ≥ 200 for ten observations beyond it; this has 29."},
		{"nothing", nil, false, "There is no observation"},
	} {
		sorted := slices.Sorted(slices.Values(tt.values))
		got, exact := quantileOver(tt.values, sorted, 0.95), QuantileOf(sorted, 0.95)
		if wider := got.Low < exact.Low && got.High > exact.High; wider != tt.wider || !tt.wider && !cmp.Equal(got, exact, cmpopts.EquateNaNs()) {
			t.Errorf("%s: [%v, %v], and [%v, %v] as if independent", tt.name, got.Low, got.High, exact.Low, exact.High)
		}
		if said := strings.Join(got.Warnings, " "); !strings.HasPrefix(said, tt.says) || (said == "") != (tt.says == "") {
			t.Errorf("%s: it says %q, want %q", tt.name, said, tt.says)
		}
	}
}

// A server that is busy half of the time makes requests wait for those before them, so that long waits come together. Its
// time to first token, the wait and the service, is exponential with a mean of 2 s. The interval covers its
// quantiles about as often as it says, where one that takes requests for independent covers p95 half as often.
func TestCoverageOfAQueue(t *testing.T) {
	if racing() {
		t.Skip("it takes a minute under the race detector, and has nothing that races")
	}
	const runs, requests = 600, 2000
	inside, naive := map[float64]int{}, map[float64]int{}
	for seed := range uint64(runs) {
		p, samples := queue(0.5, requests, seed+1, 1)
		s := collect(p, samples...)
		values := make([]float64, requests)
		for i := range samples {
			values[i], _ = ttft(&samples[i])
		}
		slices.Sort(values)
		for q, e := range map[float64]Estimate{0.50: s.TTFT.P50, 0.95: s.TTFT.P95} {
			truth := -2000 * math.Log(1-q)
			if e.Low <= truth && truth <= e.High {
				inside[q]++
			}
			if e := QuantileOf(values, q); e.Low <= truth && truth <= e.High {
				naive[q]++
			}
		}
	}
	for _, q := range []float64{0.50, 0.95} {
		share, plain := float64(inside[q])/runs, float64(naive[q])/runs
		t.Logf("%s: the interval holds the truth in %.1f %% of %d runs, and as if requests were independent in %.1f %%", percentile(q), 100*share, runs, 100*plain)
		if share < 0.90 || share > 0.97 || plain > 0.75 {
			t.Errorf("%s: %.1f %%, and as if requests were independent %.1f %%", percentile(q), 100*share, 100*plain)
		}
	}
}

// racing reports whether the test runs under the race detector.
func racing() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
