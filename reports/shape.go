package reports

import (
	"fmt"
	"math"
	"strings"

	"github.com/inferbook/inferbook/analysis"
)

// shapeBody says what the form of each curve means, with the arithmetic and the
// reading that explains it.
func shapeBody(m *Material) string {
	var b strings.Builder
	for i := range m.Experiments {
		it := &m.Experiments[i]
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(itemHeading(m, it))
		c := &it.Curve
		if len(c.Levels) < 2 {
			b.WriteString("A curve needs at least two levels of load, and this experiment has " + counted(len(c.Levels), "level") + ".\n")
			continue
		}
		if someOpen(it) {
			writeOpenLandmarks(&b, m, it)
		}
		if someClosed(it) {
			writeClosedLandmarks(&b, m, it)
		}
		for _, w := range c.Warnings {
			if w != c.NoFit { // the sentence on the fit says it
				b.WriteString("- Mind: " + inline(w) + "\n")
			}
		}
	}
	return b.String()
}

func writeClosedLandmarks(b *strings.Builder, m *Material, it *Item) {
	c := &it.Curve
	within := fmt.Sprintf("not reached between %s and %s.", it.load(c.Levels[0].Load), it.load(c.Levels[len(c.Levels)-1].Load))
	b.WriteString("- " + landmark(m, "Knee", tokensPerSecond, c.Knee, within))
	b.WriteString("- " + landmark(m, "Plateau", tokensPerSecond, c.Plateau, within))
	b.WriteString("- " + landmark(m, "Admission limit", unit{"", " requests decoding at once", 1}, c.AdmissionLimit, within))
	if c.Preemption != nil {
		b.WriteString("- " + landmark(m, "Preemption", unit{"", " % of the requests", 0.01}, c.Preemption, ""))
	}
	b.WriteString("- " + fitSentence(c))
	if !someOpen(it) {
		writeServiceLandmarks(b, m, it)
	}
}

func writeOpenLandmarks(b *strings.Builder, m *Material, it *Item) {
	b.WriteString("- " + landmark(m, "Stable rate", perSecond, it.Curve.StableRate, "none, since requests pile up at the lowest rate already."))
	writeServiceLandmarks(b, m, it)
}

// writeServiceLandmarks tells what the service level allows, where there is one.
func writeServiceLandmarks(b *strings.Builder, m *Material, it *Item) {
	slo := it.Experiment.Spec.SLO
	if slo.Judges() {
		b.WriteString("- " + landmark(m, "Capacity within the service level", perSecond, it.Curve.SLOCapacity, "no level was shown to hold "+inline(slo.String())+"."))
	}
	if len(slo) > 0 {
		b.WriteString("- " + landmark(m, "Most goodput", perSecond, it.Curve.BestGoodput, "no request was within "+inline(slo.String())+"."))
	}
}

func landmark(m *Material, name string, u unit, l *analysis.Landmark, absent string) string {
	if l == nil {
		return "**" + name + ":** " + absent + "\n"
	}
	s := fmt.Sprintf("**%s: %s, from %s.** %s", name, u.text(l.Value), inline(l.Load.String()), inline(l.Because))
	if name != "Plateau" && name != "Admission limit" { // which go on to the end of the sweep
		s = fmt.Sprintf("**%s: %s, with %s.** %s", name, inline(l.Load.String()), u.text(l.Value), inline(l.Because))
	}
	if l.Reading != "" {
		s += " Reading: " + readingLink(m, l.Reading) + "."
	}
	return s + "\n"
}

// fitSentence tells the line of TPOT over load, and where on it TPOT doubles: a
// place that may lie beyond the loads that the line holds for.
func fitSentence(c *analysis.Curve) string {
	f := c.Fit
	switch {
	case f == nil && c.NoFit != "":
		return "**Cost of one more request:** " + inline(c.NoFit) + "\n"
	case f == nil:
		return "**Cost of one more request:** no line was fitted, since fewer than three levels can be used.\n"
	}
	sign, slope := "+", f.Beta
	if slope < 0 {
		sign, slope = "−", -slope
	}
	s := fmt.Sprintf("**Cost of one more request: TPOT = %s %s %s × c** (least squares over %s, R² = %s).",
		latency(f.Alpha).text(f.Alpha), sign, latency(slope).text(slope), counted(f.N, "level"), digits(f.R2))
	double := f.Doubling()
	if math.IsNaN(double) {
		return s + "\n"
	}
	s += " The first term is what a step costs alone, the second what each further request in flight adds; "
	last := c.Levels[len(c.Levels)-1].Load
	last.Variant = ""
	switch at := digits(double); {
	case c.AdmissionLimit != nil && double > c.AdmissionLimit.Value:
		s += fmt.Sprintf("on that line TPOT would double at c = %s, but no more than %s requests are decoded at once.", at, digits(c.AdmissionLimit.Value))
	case double > last.Level():
		s += fmt.Sprintf("on that line TPOT would double at c = %s, beyond the highest level, %s.", at, last)
	default:
		s += fmt.Sprintf("TPOT has doubled at c = %s.", at)
	}
	return s + "\n"
}
