package figure

import (
	"fmt"
	"math"

	"github.com/inferbook/inferbook/analysis"
)

// repeats gathers what stands behind the estimates of a figure.
type repeats struct {
	levels                 int
	fewest, most           int // repeats a level
	fewestCount, mostCount int // requests a level
	intervals              bool
	unbounded              bool // some interval lacks a bound
	ranges                 bool // some repeats are too few for an interval
}

// add takes one level's estimates into account.
func (r *repeats) add(l analysis.Level, es ...analysis.Estimate) {
	n, reps := 0, len(l.Points)
	for _, p := range l.Points {
		n += p.OK
	}
	for _, e := range es {
		reps = max(reps, e.Repeats)
		if n == 0 {
			n = e.N
		}
		if _, _, ok := e.Spread(); ok {
			r.ranges = true
			continue
		}
		r.unbounded = r.unbounded || math.IsInf(e.Low, 0) || math.IsInf(e.High, 0)
		r.intervals = r.intervals || !math.IsNaN(e.Low) && !math.IsNaN(e.High)
	}
	reps = max(reps, 1)
	if r.levels == 0 {
		r.fewest, r.fewestCount = reps, n
	}
	r.levels++
	r.fewest, r.most = min(r.fewest, reps), max(r.most, reps)
	r.fewestCount, r.mostCount = min(r.fewestCount, n), max(r.mostCount, n)
}

// String says it in half a sentence.
func (r repeats) String() string {
	var s string
	switch {
	case r.most <= 1:
		s = "one repeat"
	case r.fewest == r.most:
		s = fmt.Sprintf("median of %d repeats", r.most)
	default:
		s = fmt.Sprintf("median of %d to %d repeats", r.fewest, r.most)
	}
	if r.mostCount > 0 {
		s += fmt.Sprintf(", n = %s", plain.tick(float64(r.fewestCount), 1))
		if r.mostCount != r.fewestCount {
			s += fmt.Sprintf(" to %s", plain.tick(float64(r.mostCount), 1))
		}
		s += " requests a level"
	}
	if r.ranges {
		s += fmt.Sprintf("; whisker: smallest and largest repeat (a 95 %% interval needs %d)", analysis.RepeatsForInterval)
	}
	switch {
	case !r.intervals && r.ranges:
	case !r.intervals:
		s += "; no interval"
	case r.most <= 1:
		s += "; band: 95 % within the run"
	case r.fewest <= 1:
		s += "; band: 95 % between repeats, or within the run where there is one"
	default:
		s += "; band: 95 % between repeats"
	}
	if r.unbounded {
		s += "; hollow with an arrow: no bound on that side at this n"
	}
	return s
}
