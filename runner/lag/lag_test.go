package lag

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestHistogram holds the histogram against the list that it stands for.
func TestHistogram(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(0, 300), rapid.Int64Range(0, 1<<48-1)), 1, 200).Draw(t, "ns")
		q := rapid.Float64Range(0.001, 1).Draw(t, "q")
		var l Histogram
		for _, ns := range list {
			l.Add(ns)
		}
		slices.Sort(list)
		want := list[int(math.Ceil(q*float64(len(list))))-1]
		if got := l.Quantile(q); math.Abs(float64(got-want)) > float64(want)/256 {
			t.Fatalf("the %g-quantile is %d, not %d", q, got, want)
		}
		if l.Max() != list[len(list)-1] {
			t.Fatalf("the maximum is %d, not %d", l.Max(), list[len(list)-1])
		}
	})
	var l Histogram
	if l.Quantile(0.5) != -1 || l.Max() != -1 {
		t.Error("an empty histogram has quantiles")
	}
	l.Add(-5)
	l.Add(math.MaxInt64) // off both ends of the scale
	if l.Quantile(0.5) != 0 || l.Quantile(1) < 1<<47 {
		t.Errorf("%d to %d", l.Quantile(0.5), l.Quantile(1))
	}
}
