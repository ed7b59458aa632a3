package interval

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// NestedRatio compares a figure, such as a quantile, of several runs a side: the ratio of the
// geometric means of the runs' own figures, since runs are never pooled into one. Each run is a series
// in the order of time. stat is given a run's values or a resample of them, sorted, which it must leave as they are;
// what their count does not support is for the caller to say.
//
// There are two levels of chance. Between runs it is Welch's t on the logarithms of the figures.
// Within a run, blocks of consecutive values are resampled (Künsch 1989), long enough to keep what
// one value has to do with the next. The interval is the wider of the two, and P the larger: runs
// that agree by luck say no more than the requests in them do. The textbook's hierarchical
// bootstrap, which resamples runs and then blocks within them, is not used: with five runs a side
// it covers 88 % where runs differ by much, since five values resampled vary by 4/5 of what
// they should and are held against no t, and 99 % where they do not differ.
//
// With one run on a side the interval is that within runs, and a warning says so.
func NestedRatio(a, b [][]float64, stat func(sorted []float64) float64) Ratio {
	r := unknown(len(a), len(b))
	if len(a) == 0 || len(b) == 0 {
		r.Warnings = []string{"A side has no run, so there is nothing to compare."}
		return r
	}
	betweenA, withinA := levels(a, stat)
	betweenB, withinB := levels(b, stat)
	between, within := betweenB.minus(betweenA), withinB.minus(withinA)
	if math.IsNaN(between.value) {
		r.Warnings = []string{"A run has no value, or a figure that is not above 0, so there is no ratio."}
		return r
	}
	r.Value = math.Exp(between.value)
	r.Low, r.High = within.factors()
	r.P = within.p()
	if min(len(a), len(b)) == 1 {
		r.Method = "blocks resampled within runs"
		r.Warnings = []string{fmt.Sprintf("The interval holds for these runs only: what another start of the server would change takes 2 runs a side to see; this has %s.",
			sides(len(a), len(b)))}
		return r
	}
	r.Method = "Welch's t over runs, no narrower than blocks resampled within them"
	low, high := between.factors()
	r.Low, r.High, r.P = min(r.Low, low), max(r.High, high), max(r.P, between.p())
	return r
}

// levels estimates the mean logarithm of the runs' figures, with its error as it shows between runs and
// as it shows within them. The value is NaN where a run has no such figure.
func levels(runs [][]float64, stat func(sorted []float64) float64) (between, within estimate) {
	figures := make([]float64, len(runs))
	variances, blocks := 0.0, 0.0
	for i, run := range runs {
		if len(run) == 0 {
			figures[i] = math.NaN()
			continue
		}
		figures[i] = logarithm(stat(slices.Sorted(slices.Values(run))))
		size := blockLength(run)
		variances += blockVariance(run, size, stat)
		blocks += float64(len(run)) / float64(size)
	}
	k := float64(len(runs))
	between = independent(figures)
	return between, estimate{value: between.value, err: math.Sqrt(variances) / k, df: max(1, blocks-k)}
}

// logarithm is NaN for what is not above 0.
func logarithm(x float64) float64 {
	if x > 0 {
		return math.Log(x)
	}
	return math.NaN()
}

// blockVariance is the variance of the logarithm of a run's figure by a moving-block bootstrap
// with blocks of that size; 0 for a single value.
func blockVariance(run []float64, size int, stat func(sorted []float64) float64) float64 {
	n := len(run)
	// A resample is a count for each value in the order of size, which is written out sorted at once.
	bySize := make([]int32, n)
	for i := range bySize {
		bySize[i] = int32(i)
	}
	slices.SortFunc(bySize, func(i, j int32) int { return cmp.Compare(run[i], run[j]) })
	sorted, rank := make([]float64, n), make([]int32, n)
	for i, at := range bySize {
		sorted[i], rank[at] = run[at], int32(i)
	}
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	counts, resample := make([]int32, n), make([]float64, 0, n)
	var figures []float64
	for range min(max(50, 40_000_000/n), 200) {
		clear(counts)
		for left := n; left > 0; left -= size {
			start := rng.IntN(n - size + 1)
			for _, i := range rank[start : start+min(size, left)] {
				counts[i]++
			}
		}
		resample = resample[:0]
		for i, v := range sorted {
			for range counts[i] {
				resample = append(resample, v)
			}
		}
		if f := logarithm(stat(resample)); !math.IsNaN(f) {
			figures = append(figures, f)
		}
	}
	if len(figures) < 2 {
		return math.NaN()
	}
	return variance(figures, mean(figures))
}

// blockLength is what makes the error of a moving-block bootstrap's variance least for a
// first-order autoregression of the same lag-1 autocorrelation (Künsch 1989), and a fifth of the series at most.
func blockLength(run []float64) int {
	n := float64(len(run))
	m := mean(run)
	if len(run) < 2 || variance(run, m) == 0 {
		return 1
	}
	rho := max(0, autocorrelation(run, m))
	length := math.Cbrt(1.5*n) * math.Pow(2*rho/(1-rho*rho), 2.0/3)
	return int(max(1, min(math.Ceil(length), n/5)))
}
