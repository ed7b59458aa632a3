package interval

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// draws is how many resamples a bootstrap makes: the 2.5 % tail of 4,000 has 100 of them.
const draws = 4000

// QuantileRatio compares the q-quantiles (0 < q < 1) of two runs, each a sorted sample.
func QuantileRatio(a, b []float64, q float64) Ratio {
	r := Ratio{NA: len(a), NB: len(b), Method: "bootstrap of quantiles", Value: quantile(b, q) / quantile(a, q)}
	if len(a) == 0 || len(b) == 0 {
		r.Value, r.Low, r.High, r.P = math.NaN(), math.NaN(), math.NaN(), math.NaN()
		r.Warnings = []string{"A side has no value, so there is nothing to compare."}
		return r
	}
	rng := rand.New(rand.NewPCG(uint64(len(a)), uint64(len(b))))
	ratios := make([]float64, draws)
	da, db := rank(len(a), q, rng), rank(len(b), q, rng)
	for i := range ratios {
		ratios[i] = b[db()] / a[da()]
	}
	r.Low, r.High, r.P = percentiles(ratios)
	if n := min(len(a), len(b)); n < LeastCount(q) {
		r.Low, r.High = math.Inf(-1), math.Inf(1)
		r.Warnings = []string{fmt.Sprintf("p%g needs n ≥ %d for a two-sided interval; this has %s.", 100*q, LeastCount(q), sides(len(a), len(b)))}
	}
	return r
}

// rank draws the 0-based rank, in a sample of n, of the q-quantile of its resample: the k-th
// smallest uniform number of n is Beta(k, n−k+1).
func rank(n int, q float64, src rand.Source) func() int {
	k := math.Ceil(q * float64(n))
	beta := distuv.Beta{Alpha: k, Beta: float64(n) - k + 1, Src: src}
	return func() int { return min(n-1, int(beta.Rand()*float64(n))) }
}

// percentiles gives the 95 % interval of bootstrapped ratios and the p-value of their being 1. It sorts them.
func percentiles(ratios []float64) (low, high, p float64) {
	slices.Sort(ratios)
	under, over := 0, 0
	for _, v := range ratios {
		if v <= 1 {
			under++
		}
		if v >= 1 {
			over++
		}
	}
	n := float64(len(ratios))
	return quantile(ratios, tail), quantile(ratios, 1-tail), min(1, 2*(float64(min(under, over))+1)/(n+1))
}

// LeastCount is the least n for which both sides of a quantile's 95 % interval are finite:
// the largest value lies above the q-quantile, and the smallest below it, except with
// probability 2.5 %.
func LeastCount(q float64) int {
	return int(math.Ceil(math.Log(tail) / math.Log(max(q, 1-q))))
}

// quantile is type 7 of Hyndman and Fan (1996) of sorted values; NaN for none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	whole, frac := math.Modf(float64(len(sorted)-1) * q)
	i := int(whole)
	if frac == 0 {
		return sorted[i]
	}
	return sorted[i] + frac*(sorted[i+1]-sorted[i])
}
