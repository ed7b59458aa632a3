package interval

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Quantile bounds the q-quantile (0 < q < 1) of what a time-ordered series was taken from, with
// 95 % confidence, though each value may depend on those before it. sorted has the same values, the least first.
// worth is how many independent values bound it as well. Both bounds are NaN under 30 values, where the count is taken as
// it is, and one is infinite where the series is not worth enough independent values to support it.
//
// Whether a value lies at or under the quantile is a series of ones and zeros, and the error of its mean, as
// [Mean] tells it, says how many independent values would be worth as much: all of them where neither the ones and zeros nor
// their batches show a memory. The bounds are the order statistics at the ranks that so many support, as a survey's
// are (Woodruff 1952, Korn and Graubard 1998).
func Quantile(values, sorted []float64, q float64) (low, high, worth float64) {
	s := newSeries(values, sorted, q)
	low, high = s.limits(tail)
	return low, high, s.worth(tail)
}

// SeriesQuantileRatio compares the q-quantiles of two runs, each a series in the order of time, whose intervals are
// those of [Quantile], combined as in [MeanRatio].
func SeriesQuantileRatio(a, b []float64, q float64) Ratio {
	r := unknown(len(a), len(b))
	r.Method = "order statistics at the count that correlated values are worth"
	if len(a) == 0 || len(b) == 0 {
		r.Warnings = []string{"A side has no value, so there is nothing to compare."}
		return r
	}
	sa, sb := newSeries(a, slices.Sorted(slices.Values(a)), q), newSeries(b, slices.Sorted(slices.Values(b)), q)
	if !(sa.value > 0 && sb.value > 0) {
		r.Warnings = []string{fmt.Sprintf("The %s are %.4g and %.4g; both must be above 0 for a ratio.", percentile(q), sa.value, sb.value)}
		return r
	}
	r.Value = sb.value / sa.value
	if min(len(a), len(b)) < leastMean {
		r.Warnings = []string{fmt.Sprintf("The interval of a quantile of a series needs n ≥ %d; this has %s.", leastMean, sides(len(a), len(b)))}
		return r
	}
	df := sb.below.minus(sa.below).df
	sa.below.df, sb.below.df = df, df
	bounds := func(tail float64) (low, high float64) { return recovered(sa.side(tail), sb.side(tail)) }
	r.Low, r.High = bounds(tail)
	if !math.IsInf(r.Low, 0) || !math.IsInf(r.High, 0) {
		r.P = touching(bounds)
	}
	if na, nb := int(sa.worth(tail)), int(sb.worth(tail)); min(na, nb) < LeastCount(q) {
		has := sides(len(a), len(b))
		if na < len(a) || nb < len(b) {
			has += fmt.Sprintf(", worth %s independent ones", sides(na, nb))
		}
		r.Warnings = []string{fmt.Sprintf("%s needs n ≥ %d for a two-sided interval; this has %s.", percentile(q), LeastCount(q), has)}
	}
	return r
}

// series is a time-ordered series with what it says of one quantile.
type series struct {
	q, value float64
	sorted   []float64
	below    estimate // of the share of values at or under value
	alike    bool     // whether values that follow each other are
}

func newSeries(values, sorted []float64, q float64) series {
	s := series{q: q, value: math.NaN(), sorted: sorted}
	if len(values) == 0 {
		return s
	}
	s.value = quantile(s.sorted, q)
	under := make([]float64, len(values))
	for i, v := range values {
		if v <= s.value {
			under[i] = 1
		}
	}
	s.below, s.alike = correlated(under), remembers(under)
	return s
}

// worth is the count of independent values that bounds the share as well, and so the quantile: the series'
// own count at most, and less by the square of Student's t over the normal's where the error is itself uncertain.
func (s series) worth(tail float64) float64 {
	n := float64(len(s.sorted))
	if !s.alike || !(s.below.err > 0) {
		return n
	}
	t := student(s.below.df).Quantile(1-tail) / distuv.UnitNormal.Quantile(1-tail)
	return min(n, s.q*(1-s.q)/math.Pow(s.below.err*t, 2))
}

// limits gives the order statistics that miss the quantile with probability tail on each side.
func (s series) limits(tail float64) (low, high float64) {
	if len(s.sorted) < leastMean {
		return math.NaN(), math.NaN()
	}
	n := s.worth(tail)
	k, last := s.q*n, float64(len(s.sorted)-1)
	low, high = math.Inf(-1), math.Inf(1)
	if math.Pow(1-s.q, n) <= tail {
		low = s.sorted[int(math.Floor(last*distuv.Beta{Alpha: k, Beta: n - k + 1}.Quantile(tail)))]
	}
	if math.Pow(s.q, n) <= tail {
		high = s.sorted[int(math.Ceil(last*distuv.Beta{Alpha: k + 1, Beta: n - k}.Quantile(1-tail)))]
	}
	return min(low, s.value), max(high, s.value)
}

func (s series) side(tail float64) side {
	low, high := s.limits(tail)
	return side{s.value, low, high}
}

// LeastCount is the least n for which both sides of the 95 % interval of the q-quantile (0 < q < 1)
// are finite: 6 for p50, 72 for p95, 368 for p99.
func LeastCount(q float64) int {
	return int(math.Ceil(math.Log(tail) / math.Log(max(q, 1-q))))
}

// percentile names a quantile: p95, p99.9.
func percentile(q float64) string { return fmt.Sprintf("p%g", math.Round(q*1e8)/1e6) }

// quantile is type 7 of sorted values, one at least.
func quantile(sorted []float64, q float64) float64 {
	whole, frac := math.Modf(float64(len(sorted)-1) * q)
	i := int(whole)
	if frac == 0 || sorted[i] == sorted[i+1] {
		return sorted[i]
	}
	return sorted[i] + frac*(sorted[i+1]-sorted[i])
}
