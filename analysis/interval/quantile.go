package interval

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// draws is how many resamples a bootstrap of ratios makes: 100 of 4,000 lie beyond each bound.
const draws = 4000

// QuantileRatio compares the q-quantiles (0 < q < 1) of two runs, each a sorted sample of independent
// values. Value is the ratio of type 7 quantiles (Hyndman and Fan 1996). The interval is the
// bootstrap's by percentiles, without resampling: the k-th smallest of a resample of n is
// the value of rank ⌊n·U⌋ where U is Beta(k, n−k+1) (Efron 1979, section 3). P is twice the share
// of resamples on the other side of 1.
//
// A bound that a count cannot support, as [LeastCount] has it, is infinite: the largest of a
// sample bounds its quantile from above only where it is likely to lie beyond it. Where values are not
// independent, as requests to one server are not, the interval is too narrow: see [SeriesQuantileRatio].
func QuantileRatio(a, b []float64, q float64) Ratio {
	r := unknown(len(a), len(b))
	r.Method = "bootstrap of quantiles"
	if len(a) == 0 || len(b) == 0 {
		r.Warnings = []string{"A side has no value, so there is nothing to compare."}
		return r
	}
	if base := quantile(a, q); base > 0 {
		r.Value = quantile(b, q) / base
	} else {
		r.Warnings = []string{fmt.Sprintf("The first side's %s is %.4g; it must be above 0 for a ratio.", percentile(q), base)}
		return r
	}
	if min(len(a), len(b)) < LeastCount(q) {
		r.Warnings = []string{fmt.Sprintf("%s needs n ≥ %d for a two-sided interval; this has %s.",
			percentile(q), LeastCount(q), sides(len(a), len(b)))}
	}
	ratios := resampled(a, b, q)
	under, over := 1.0, 1.0 // resamples at 1 or on that side of it, and the sample itself
	for _, v := range ratios {
		if v <= 1 {
			under++
		}
		if v >= 1 {
			over++
		}
	}
	belowA, aboveA := supports(len(a), q)
	belowB, aboveB := supports(len(b), q)
	r.Low, r.High = math.Inf(-1), math.Inf(1)
	if belowB && aboveA {
		r.Low, r.P = min(r.Value, quantile(ratios, tail)), min(1, 2*under/(draws+1))
	}
	if belowA && aboveB {
		r.High = max(r.Value, quantile(ratios, 1-tail))
		if p := min(1, 2*over/(draws+1)); !(r.P <= p) {
			r.P = p
		}
	}
	return r
}

// resampled draws the ratio of the q-quantiles of resamples, and sorts them. It is infinite where a's is not above 0.
func resampled(a, b []float64, q float64) []float64 {
	src := rand.NewPCG(uint64(len(a)), uint64(len(b)))
	ra, rb := rank(len(a), q, src), rank(len(b), q, src)
	out := make([]float64, draws)
	for i := range out {
		out[i] = math.Inf(1)
		if under, over := a[ra()], b[rb()]; under > 0 {
			out[i] = over / under
		}
	}
	slices.Sort(out)
	return out
}

// rank draws the rank, from 0, that the q-quantile of a resample of n has in the sample.
func rank(n int, q float64, src rand.Source) func() int {
	k := math.Ceil(q * float64(n))
	beta := distuv.Beta{Alpha: k, Beta: float64(n) - k + 1, Src: src}
	return func() int { return min(n-1, int(beta.Rand()*float64(n))) }
}

// LeastCount is the least n for which both sides of the 95 % interval of the q-quantile (0 < q < 1)
// are finite: 6 for p50, 72 for p95, 368 for p99.
func LeastCount(q float64) int {
	return int(math.Ceil(math.Log(tail) / math.Log(max(q, 1-q))))
}

// supports reports whether some value of n is likely to lie below the q-quantile, and some above it, each
// except with probability 2.5 %.
func supports(n int, q float64) (below, above bool) {
	return float64(n) >= math.Log(tail)/math.Log1p(-q), float64(n) >= math.Log(tail)/math.Log(q)
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
