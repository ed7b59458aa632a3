package analysis

import (
	"math"
	"slices"
	"time"

	"github.com/inferbook/inferbook/analysis/interval"
	"github.com/inferbook/inferbook/experiment"
)

// completion is what a successful request adds to the throughput, if it ended
// within the window. A count may be Unknown.
type completion struct {
	end            experiment.Instant
	prompt, output int32
	measured, good bool // good = within all latencies of the SLO
}

// throughput counts what ended within the window: the measured requests, and in
// an open loop whatever ended in it, since arrivals go on before and after. A sum
// is known only when each of its parts is. With successes none of which ended in
// time there is no throughput to tell, which is not the same as none.
func (c *Collector) throughput(s *PointSummary, from, to experiment.Instant) {
	var in []completion
	for _, e := range c.ended {
		if (e.measured || c.point.Window.Rule == experiment.SteadyOpen) && e.end.Happened() && e.end >= from && e.end <= to {
			in = append(in, e)
		}
	}
	s.InWindow = len(in)
	width := s.Window
	if s.OK > 0 && s.InWindow == 0 {
		width = 0
	}
	one := func(completion) float64 { return 1 }
	output := func(e completion) float64 { return known(int(e.output)) }
	both := func(e completion) float64 { return known(int(e.output)) + known(int(e.prompt)) }
	s.RequestRate, s.RequestRateLow, s.RequestRateHigh = rate(in, one, from, width)
	s.OutputThroughput, s.OutputThroughputLow, s.OutputThroughputHigh = rate(in, output, from, width)
	s.TotalThroughput, s.TotalThroughputLow, s.TotalThroughputHigh = rate(in, both, from, width)
	s.Goodput = math.NaN()
	if len(c.service.slo) > 0 {
		good := slices.DeleteFunc(in, func(e completion) bool { return !e.good })
		s.Goodput = ratio(float64(len(good)), width.Seconds())
	}
}

// rateParts is into how many equal parts a window is cut, at most, for the interval of a rate.
const rateParts = 200

// rate adds up something of what ended within a window, per second. Its interval is that of the mean over equal
// parts of the window, in their order; both bounds are NaN where that has none.
func rate(in []completion, of func(completion) float64, from experiment.Instant, width time.Duration) (value, low, high float64) {
	parts := make([]float64, min(len(in), rateParts))
	sum := 0.0
	for _, e := range in {
		v := of(e)
		sum += v
		if width > 0 {
			parts[min(int(float64(e.end.Sub(from))/float64(width)*float64(len(parts))), len(parts)-1)] += v
		}
	}
	value = ratio(sum, width.Seconds())
	low, high = interval.Mean(parts)
	scale := float64(len(parts)) / width.Seconds()
	if math.IsNaN(value) || !finite(low*scale) || !finite(high*scale) {
		return value, math.NaN(), math.NaN()
	}
	return value, max(0, low*scale), high * scale
}
