package interval

import (
	"math"
	"slices"
)

// NestedRatio compares a figure of several runs a side, such as a quantile.
func NestedRatio(a, b [][]float64, stat func(sorted []float64) float64) Ratio {
	r := RepeatsRatio(each(a, stat), each(b, stat))
	r.Method = "hierarchical bootstrap"
	return r
}

func each(runs [][]float64, stat func(sorted []float64) float64) []float64 {
	out := make([]float64, len(runs))
	for i, run := range runs {
		if len(run) == 0 {
			out[i] = math.NaN()
			continue
		}
		out[i] = stat(slices.Sorted(slices.Values(run)))
	}
	return out
}
