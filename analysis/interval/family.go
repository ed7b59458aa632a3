package interval

import (
	"cmp"
	"math"
	"slices"
)

// Holm adjusts the p-values of a family of tests, so that the chance of calling any difference
// where there is none stays under the level of one (Holm 1979). The order is kept; one that is NaN
// stays so, and counts as no test.
func Holm(p []float64) []float64 {
	out := slices.Clone(p)
	var order []int
	for i, v := range p {
		if !math.IsNaN(v) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(p[i], p[j]) })
	least := 0.0
	for rank, i := range order {
		least = max(least, min(1, p[i]*float64(len(order)-rank)))
		out[i] = least
	}
	return out
}

// Geomean is the geometric mean; NaN for nothing and where a value is not above 0.
func Geomean(xs []float64) float64 {
	ls, ok := logs(xs)
	if !ok {
		return math.NaN()
	}
	return math.Exp(mean(ls))
}
