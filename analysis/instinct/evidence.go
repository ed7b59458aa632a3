package instinct

import (
	"fmt"
	"math"
	"slices"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

// whether gives the state of a rule whose condition could be looked at.
func whether(holds bool) State {
	if holds {
		return Fired
	}
	return Silent
}

// over gives the median over a level's repeats of a point's figure; NaN where no
// repeat has it. Repeats are never pooled.
func over(v *analysis.Level, of func(*analysis.PointSummary) float64) float64 {
	var values []float64
	for i := range v.Points {
		if x := of(&v.Points[i]); !math.IsNaN(x) {
			values = append(values, x)
		}
	}
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// total sums a count over a level's repeats; [experiment.Unknown] where none of them has it.
func total(v *analysis.Level, of func(*analysis.PointSummary) int) int {
	sum := experiment.Unknown
	for i := range v.Points {
		if n := of(&v.Points[i]); n != experiment.Unknown {
			sum = max(sum, 0) + n
		}
	}
	return sum
}

func meanTTFT(s *analysis.PointSummary) float64   { return s.TTFT.Mean }
func meanTPOT(s *analysis.PointSummary) float64   { return s.TPOT.Mean }
func meanE2E(s *analysis.PointSummary) float64    { return s.E2E.Mean }
func meanPrompt(s *analysis.PointSummary) float64 { return s.MeanPrompt }
func meanOutput(s *analysis.PointSummary) float64 { return s.MeanOutput }
func okCount(s *analysis.PointSummary) int        { return s.OK }

// looped reports whether a level is a closed loop and nothing else.
func looped(v *analysis.Level) bool { return v.Load.Concurrency > 0 && v.Load.Rate == 0 }

// levels visits every level of every curve.
func (l *look) levels(visit func(c *analysis.Curve, v *analysis.Level)) {
	for i := range l.Curves {
		for j := range l.Curves[i].Levels {
			visit(&l.Curves[i], &l.Curves[i].Levels[j])
		}
	}
}

// lowest visits the lowest level of every curve.
func (l *look) lowest(visit func(c *analysis.Curve, v *analysis.Level)) {
	for i := range l.Curves {
		if c := &l.Curves[i]; len(c.Levels) > 0 {
			visit(c, &c.Levels[0])
		}
	}
}

// sweeps reports whether a level is a closed loop, for the rules that ask what more users bring; where there
// are levels and none is, it says so.
func (l *look) sweeps() bool {
	some, closed := false, false
	l.levels(func(_ *analysis.Curve, v *analysis.Level) { some, closed = true, closed || looped(v) })
	if some && !closed {
		l.say(NotApplicable, nil, "It asks what more users bring, and an open loop has none.")
	}
	return closed
}

// step is two neighbouring levels of a closed loop, the lower first.
type step struct {
	curve *analysis.Curve
	a, b  *analysis.Level
}

// steps visits every step of every curve.
func (l *look) steps(visit func(s step)) {
	if !l.sweeps() {
		return
	}
	for i := range l.Curves {
		for _, s := range stepsOf(&l.Curves[i]) {
			visit(s)
		}
	}
}

func stepsOf(c *analysis.Curve) []step {
	var out []step
	var last *analysis.Level
	for i := range c.Levels {
		v := &c.Levels[i]
		if !looped(v) {
			continue
		}
		if last != nil {
			out = append(out, step{c, last, v})
		}
		last = v
	}
	return out
}

func (s step) loads() []experiment.Load { return []experiment.Load{s.a.Load, s.b.Load} }

// String names a step: "c=50 → c=100".
func (s step) String() string { return fmt.Sprintf("%s → %s", s.a.Load, s.b.Load) }

// grows is the factor between the two levels of a figure.
func (s step) grows(of func(*analysis.PointSummary) float64) float64 {
	return quotient(over(s.b, of), over(s.a, of))
}

// load is the factor between the two concurrencies.
func (s step) load() float64 {
	return quotient(float64(s.b.Load.Concurrency), float64(s.a.Load.Concurrency))
}

// quotient is NaN where there is nothing to divide by.
func quotient(a, b float64) float64 {
	if b == 0 {
		return math.NaN()
	}
	return a / b
}

// only makes a list of one load.
func only(v *analysis.Level) []experiment.Load { return []experiment.Load{v.Load} }

// given reports whether none of some figures is missing.
func given(figures ...float64) bool {
	return !slices.ContainsFunc(figures, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
}

// span writes a time in milliseconds.
func span(ms float64) string {
	if ms >= 1000 {
		return sentence.Short(ms/1000) + " s"
	}
	return sentence.Short(ms) + " ms"
}
