package compare

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/inferbook/inferbook/analysis"
)

// Figure is one number of a point: a metric of the whole point, or a quantile or
// the mean of a metric of its requests.
type Figure struct {
	Metric analysis.Metric
	// Quantile of a metric of requests, 0.5 for p50; 0 = its mean, or a metric of the point.
	Quantile float64
}

// quantiles are those that a summary has.
var quantiles = []float64{0.50, 0.90, 0.95, 0.99}

// primary are the figures that are compared unless others are named. They were chosen
// before any comparison: two of each latency that a user feels, and what the hardware earns.
var primary = []string{"ttft.p50", "ttft.p95", "tpot.p50", "tpot.p95", "e2e.p95", "output_throughput"}

// Primary gives the figures that are compared unless others are named.
func Primary() []Figure {
	out := make([]Figure, len(primary))
	for i, name := range primary {
		f, err := ParseFigure(name)
		if err != nil {
			panic(err) // the list is a constant, and a test reads it
		}
		out[i] = f
	}
	return out
}

// ParseFigure reads "ttft.p95", "tpot.mean" or "output_throughput".
func ParseFigure(text string) (Figure, error) {
	name, of, dotted := strings.Cut(strings.TrimSpace(text), ".")
	m, ok := analysis.MetricByName(name)
	if !ok {
		return Figure{}, fmt.Errorf("there is no metric %q; there are %s", name, strings.Join(metricNames(), ", "))
	}
	f := Figure{Metric: m}
	switch {
	case m.OfPoint != nil && dotted:
		return f, fmt.Errorf("%s is one number of a whole point and has no %s; write %s", name, of, name)
	case m.OfPoint != nil || of == "mean":
		return f, nil
	case !dotted:
		return f, fmt.Errorf("%s has a value for each request; say which figure of them, as in %s.p95 or %s.mean", name, name, name)
	}
	q, err := strconv.ParseFloat(strings.TrimPrefix(of, "p"), 64)
	if err != nil || !strings.HasPrefix(of, "p") || !slices.Contains(quantiles, q/100) {
		return f, fmt.Errorf("%q is not a figure of %s; write %s.p50, .p90, .p95, .p99 or .mean", of, name, name)
	}
	f.Quantile = q / 100
	return f, nil
}

// ParseFigures reads several figures with commas or spaces between them.
func ParseFigures(text string) ([]Figure, error) {
	var out []Figure
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		f, err := ParseFigure(part)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(g Figure) bool { return g.String() == f.String() }) {
			return nil, fmt.Errorf("%s is named twice", f)
		}
		out = append(out, f)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no metric is named; write some such as ttft.p95,output_throughput")
	}
	return out, nil
}

func metricNames() []string {
	var names []string
	for _, m := range analysis.Metrics() {
		names = append(names, m.Name)
	}
	return names
}

// String is the figure as a person types it.
func (f Figure) String() string {
	switch {
	case f.Metric.OfPoint != nil:
		return f.Metric.Name
	case f.Quantile == 0:
		return f.Metric.Name + ".mean"
	}
	return fmt.Sprintf("%s.p%g", f.Metric.Name, math.Round(100*f.Quantile))
}

// Of gives the figure of a point; NaN where it has none.
func (f Figure) Of(s *analysis.PointSummary) float64 {
	if f.Metric.OfPoint != nil {
		return f.Metric.OfPoint(s)
	}
	d, ok := s.DistributionOf(f.Metric.Name)
	if !ok {
		return math.NaN()
	}
	switch f.Quantile {
	case 0:
		return d.Mean
	case 0.50:
		return d.P50.Value
	case 0.90:
		return d.P90.Value
	case 0.95:
		return d.P95.Value
	default:
		return d.P99.Value
	}
}

// Values gives the figure of each repeat of a level that has it.
func (f Figure) Values(l Level) []float64 {
	var out []float64
	for _, p := range l.Points {
		if v := f.Of(p); !math.IsNaN(v) {
			out = append(out, v)
		}
	}
	return out
}

// perToken reports whether the figure means the same for answers of different lengths.
func (f Figure) perToken() bool {
	return !slices.Contains([]string{"e2e", "e2e_sched", "request_rate", "goodput", "slo_attainment", "mean_output", "ttft_over_e2e"}, f.Metric.Name)
}
