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
// throughput varies: as many as the batches that [interval.MeanRatio] looks at, so that each part is one.
const slicesOfWindow = 40

// withinRuns compares a figure of one run each by what varies within them. It reports
// false for a figure that has no such interval, and where there are no samples.
func withinRuns(f Figure, a, b Level) (interval.Ratio, bool, error) {
	sa, sb, ok, err := f.bothSeries(a, b)
	if err != nil || !ok {
		return interval.Ratio{}, false, err
	}
	return f.ratioOf(sa, sb), true, nil
}

// bothSeries gives the values of one run each, see [Figure.series]. It reports false where
// one of them has none.
func (f Figure) bothSeries(a, b Level) (sa, sb []float64, ok bool, err error) {
	if f.Metric.Of == nil && f.tokens() == nil || a.Run.Samples == nil || b.Run.Samples == nil {
		return nil, nil, false, nil
	}
	if sa, err = f.series(a); err == nil {
		sb, err = f.series(b)
	}
	return sa, sb, err == nil && len(sa) > 0 && len(sb) > 0, err
}

// ratioOf compares the series of one run each.
func (f Figure) ratioOf(sa, sb []float64) interval.Ratio {
	if f.Quantile > 0 {
		return interval.SeriesQuantileRatio(sa, sb, f.Quantile)
	}
	return interval.MeanRatio(sa, sb)
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
// sent, or of a throughput its value in each part of the window.
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
		out := parts(p, samples, of)
		if f.Metric.Name == perGPU {
			for i := range out {
				out[i] *= f.Of(p) / p.OutputThroughput
			}
		}
		return out, nil
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

// parts gives a throughput in each part of the window. Their mean is that of the point.
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
	if p.Window <= 0 {
		return nil
	}
	out := make([]float64, slicesOfWindow)
	part := p.Window.Seconds() / slicesOfWindow
	for i := range samples {
		s := &samples[i]
		if s.Outcome != experiment.OK || s.Phase != experiment.Measured && w.Rule != experiment.SteadyOpen {
			continue
		}
		at := s.End.Sub(from)
		if at < 0 || at > p.Window {
			continue
		}
		out[min(slicesOfWindow-1, int(slicesOfWindow*at/p.Window))] += of(s) / part
	}
	return out
}
