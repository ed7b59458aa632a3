package instinct

import (
	"fmt"
	"math"
	"slices"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// fired is the state of a rule whose condition could be looked at.
func fired(holds bool) State {
	if holds {
		return Fired
	}
	return Silent
}

// grade changes the severity of the finding that was said last, for a rule whose
// figure has a worse range.
func (l *look) grade(s Severity) { l.findings[len(l.findings)-1].Severity = s }

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

// closedLoop reports whether a level is a closed loop and nothing else.
func closedLoop(v *analysis.Level) bool { return v.Load.Concurrency > 0 && v.Load.Rate == 0 }

// levels visits every level of every curve.
func (l *look) levels(visit func(c *analysis.Curve, v *analysis.Level)) {
	for i := range l.Curves {
		for j := range l.Curves[i].Levels {
			visit(&l.Curves[i], &l.Curves[i].Levels[j])
		}
	}
}

// lowest visits the lowest closed-loop level of every curve.
func (l *look) lowest(visit func(c *analysis.Curve, v *analysis.Level)) {
	for i := range l.Curves {
		c := &l.Curves[i]
		if j := slices.IndexFunc(c.Levels, func(v analysis.Level) bool { return closedLoop(&v) }); j >= 0 {
			visit(c, &c.Levels[j])
		}
	}
}

// step is two neighbouring levels of a closed loop, the lower first.
type step struct {
	curve *analysis.Curve
	a, b  *analysis.Level
}

// steps visits every step of every curve.
func (l *look) steps(visit func(s step)) {
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
		if !closedLoop(v) {
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

// known reports whether none of some figures is missing.
func known(figures ...float64) bool {
	return !slices.ContainsFunc(figures, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
}

// figure writes a number with three digits, or as a whole one from 100 on.
func figure(x float64) string {
	switch {
	case math.IsNaN(x):
		return "unknown"
	case x < 0:
		return "−" + figure(-x)
	case x >= 1000:
		s := fmt.Sprintf("%.0f", x)
		for i := len(s) - 3; i > 0; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.3g", x)
}

// share writes a share of 1 as a percentage.
func share(x float64) string { return figure(100*x) + " %" }

// span writes a time in milliseconds.
func span(ms float64) string {
	if ms >= 1000 {
		return figure(ms/1000) + " s"
	}
	return figure(ms) + " ms"
}

// counted writes a count with its noun: "1 request", "2 requests".
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return figure(float64(n)) + " " + noun
}
