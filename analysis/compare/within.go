package compare

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/interval"
	"github.com/inferbook/inferbook/experiment"
)

// slicesOfWindow is into how many equal parts the window of a point is cut to see how its
// throughput varies: two for each of the ten batches that its interval rests on.
const slicesOfWindow = 40

// withinRuns compares a figure of one run each by what varies within them. It reports
// false for a figure that has no such interval, and where there are no samples.
func withinRuns(f Figure, a, b Level) (interval.Ratio, bool, error) {
	perRequest := f.Metric.Of != nil
	if !perRequest && f.tokens() == nil || a.Run.Samples == nil || b.Run.Samples == nil {
		return interval.Ratio{}, false, nil
	}
	sa, err := f.series(a)
	if err != nil {
		return interval.Ratio{}, false, err
	}
	sb, err := f.series(b)
	if err != nil {
		return interval.Ratio{}, false, err
	}
	if len(sa) == 0 || len(sb) == 0 {
		return interval.Ratio{}, false, nil
	}
	if f.Quantile > 0 {
		slices.Sort(sa)
		slices.Sort(sb)
		return interval.QuantileRatio(sa, sb, f.Quantile), true, nil
	}
	r := interval.MeanRatio(sa, sb)
	if !perRequest { // the parts of two windows have different lengths, the throughputs do not
		scale := median(f.Values(b)) / median(f.Values(a)) / r.Value
		r.Value, r.Low, r.High = r.Value*scale, r.Low*scale, r.High*scale
	}
	return r, true, nil
}

// tokens gives what a request adds to a throughput; nil for any other figure.
func (f Figure) tokens() func(*experiment.Sample) float64 {
	switch f.Metric.Name {
	case "output_throughput", perGPU:
		return func(s *experiment.Sample) float64 { return float64(s.OutputTokens) }
	case "total_throughput":
		return func(s *experiment.Sample) float64 { return float64(s.OutputTokens + s.PromptTokens) }
	case "request_rate":
		return func(*experiment.Sample) float64 { return 1 }
	}
	return nil
}

// series gives the values of one run's requests in the order in which they were
// sent, or of a throughput what ended in each part of the window.
func (f Figure) series(l Level) ([]float64, error) {
	p := l.Points[slices.IndexFunc(l.Points, func(p *analysis.PointSummary) bool {
		return len(f.Values(Level{Points: []*analysis.PointSummary{p}})) > 0
	})]
	var samples []experiment.Sample
	for s, err := range l.Run.Samples(p.Point.ID) {
		if err != nil {
			return nil, fmt.Errorf("reading the samples of %s of %s: %w", l.Load, l.Run.Experiment.Alias(), err)
		}
		if s.Sent.Happened() {
			s.Gaps, s.TokensAt, s.Lags = nil, nil, nil
			samples = append(samples, s)
		}
	}
	if of := f.tokens(); of != nil {
		return parts(p, samples, of), nil
	}
	slices.SortStableFunc(samples, func(a, b experiment.Sample) int { return cmp.Compare(a.Sent, b.Sent) })
	var out []float64
	for i := range samples {
		if v, ok := f.Metric.Of(&samples[i]); ok {
			out = append(out, v)
		}
	}
	return out, nil
}

// parts sums what the requests that count for throughput add to it in each part of the window.
func parts(p *analysis.PointSummary, samples []experiment.Sample, of func(*experiment.Sample) float64) []float64 {
	w := p.Point.Window
	from := max(w.Start, 0)
	if w.Rule == experiment.SteadyNone || w.SendEnd <= 0 { // the measured requests from the first to the last
		from = experiment.Never
		for _, s := range samples {
			if s.Phase == experiment.Measured && (!from.Happened() || s.Sent < from) {
				from = s.Sent
			}
		}
	}
	out := make([]float64, slicesOfWindow)
	for i := range samples {
		s := &samples[i]
		if s.Outcome != experiment.OK || s.Phase != experiment.Measured && w.Rule != experiment.SteadyOpen {
			continue
		}
		at := s.End.Sub(from)
		if at < 0 || at > p.Window || p.Window <= 0 {
			continue
		}
		out[min(slicesOfWindow-1, int(slicesOfWindow*at/p.Window))] += of(s)
	}
	return out
}
