package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis/sentence"
)

// figure is one number that people speak of by a name: a metric with its statistic,
// such as ttft.p95, or a place on the curve, such as knee.
type figure struct {
	name  string
	unit  string // "" for a pure number
	share bool   // of 1, which people write in percent
	// needs is what a run must have for the figure to exist; "" = nothing.
	needs string
	// ofLevel gives it for a level over its repeats; nil = a curve has one of it.
	ofLevel func(*Level) Estimate
	// ofCurve gives it for a whole curve, NaN where it does not show; nil = each level has one.
	ofCurve func(*Curve) float64
}

// curveFigures are the figures that a curve has one of.
var curveFigures = []figure{
	{name: "knee", unit: "users", ofCurve: func(c *Curve) float64 { return levelOf(c.Knee) }},
	{name: "plateau", unit: "users", ofCurve: func(c *Curve) float64 { return levelOf(c.Plateau) }},
	{name: "admission_limit", unit: "requests", needs: needsLoop, ofCurve: func(c *Curve) float64 {
		if c.AdmissionLimit == nil {
			return math.NaN()
		}
		return c.AdmissionLimit.Value
	}},
	{name: "stable_rate", unit: "req/s", needs: needsOpen, ofCurve: func(c *Curve) float64 { return levelOf(c.StableRate) }},
	{name: "slo_capacity", needs: needsSLO, ofCurve: func(c *Curve) float64 { return levelOf(c.SLOCapacity) }},
}

func levelOf(l *Landmark) float64 {
	if l == nil {
		return math.NaN()
	}
	return l.Level
}

// shareMetrics are the metrics that are a share of 1.
var shareMetrics = []string{"error_rate", "slo_attainment", "ttft_over_e2e", "cache_hit_share"}

// figureByName finds a figure: the name of a metric, with .p50, .p90, .p95, .p99 or .mean
// where each request has the metric, or a place on the curve. "errors" is error_rate.
func figureByName(name string) (figure, error) {
	if i := slices.IndexFunc(curveFigures, func(f figure) bool { return f.name == name }); i >= 0 {
		return curveFigures[i], nil
	}
	metric, statistic, _ := strings.Cut(name, ".")
	if metric == "errors" {
		metric = "error_rate"
	}
	m, ok := MetricByName(metric)
	if !ok {
		return figure{}, fmt.Errorf("there is no figure %q; there are %s", name, strings.Join(figureNames(), ", "))
	}
	f := figure{name: name, unit: m.Unit, share: slices.Contains(shareMetrics, m.Name), needs: m.Needs}
	switch {
	case m.dist != nil && statistic == "mean":
		f.ofLevel = ofPoints(func(s *PointSummary) Estimate { return single(m.dist(s).Mean, m.dist(s).N) })
	case m.dist != nil:
		i := slices.IndexFunc(shownQuantiles[:], func(q float64) bool { return percentile(q) == statistic })
		if i < 0 {
			return f, fmt.Errorf("%q is not one figure of a level; write %[2]s.p50, %[2]s.p90, %[2]s.p95, %[2]s.p99 or %[2]s.mean", name, m.Name)
		}
		f.ofLevel = ofPoints(func(s *PointSummary) Estimate { return *m.dist(s).quantile(i) })
	case statistic != "":
		return f, fmt.Errorf("a point has one %[1]s; write %[1]s without .%[2]s", metric, statistic)
	case m.Name == "error_rate":
		f.ofLevel = pooledErrors
	case m.Name == "slo_attainment":
		f.ofLevel = func(l *Level) Estimate { return l.GoodShare }
	default:
		f.ofLevel = ofPoints(func(s *PointSummary) Estimate { return single(m.OfPoint(s), s.OK) })
	}
	return f, nil
}

func ofPoints(of func(*PointSummary) Estimate) func(*Level) Estimate {
	return func(l *Level) Estimate { return overRepeats(l.Points, of) }
}

// pooledErrors is the share of errors over the requests of all repeats.
func pooledErrors(l *Level) Estimate {
	failed, sent := 0, 0
	for i := range l.Points {
		failed, sent = failed+l.Points[i].Sent-l.Points[i].OK, sent+l.Points[i].Sent
	}
	return shareOf(failed, sent)
}

// figureNames lists what a figure may be called: each metric, with a quantile where it takes one.
func figureNames() []string {
	var out []string
	for _, m := range Metrics() {
		name := m.Name
		if m.dist != nil {
			name += ".p95"
		}
		out = append(out, name)
	}
	for _, f := range curveFigures {
		out = append(out, f.name)
	}
	return append(out, "errors")
}

// write prints a value of the figure with its unit: "563 ms", "2.5 %", "1.2 s".
func (f *figure) write(v float64) string {
	switch {
	case f.share:
		return sentence.Percent(v)
	case f.unit == "":
		return sentence.Short(v)
	case f.unit == "ms" && v >= 1000:
		return sentence.Short(v/1000) + " s"
	}
	return sentence.Short(v) + " " + f.unit
}

// writeEstimate prints a value with its interval: "563 ms [490, 710]", or with the range
// over repeats that are too few for one: "563 ms (490–710)".
func (f *figure) writeEstimate(e Estimate) string {
	value := f.write(e.Value)
	_, unit, _ := strings.Cut(value, " ")
	number := func(v float64) string {
		switch {
		case math.IsInf(v, 1):
			return "∞"
		case math.IsInf(v, -1):
			return "−∞"
		}
		return strings.TrimSuffix(f.write(v), " "+unit)
	}
	if least, most, ok := e.Spread(); ok {
		return fmt.Sprintf("%s (%s–%s)", value, number(least), number(most))
	}
	if math.IsNaN(e.Low) || math.IsInf(e.Low, 0) && math.IsInf(e.High, 0) {
		return value
	}
	return fmt.Sprintf("%s [%s, %s]", value, number(e.Low), number(e.High))
}
