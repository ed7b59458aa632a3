package analysis

import (
	"math"

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
	seconds := width.Seconds()
	output, both, good := 0.0, 0.0, 0
	for _, e := range in {
		output += known(int(e.output))
		both += known(int(e.output)) + known(int(e.prompt))
		if e.good {
			good++
		}
	}
	s.RequestRate = ratio(float64(s.InWindow), seconds)
	s.OutputThroughput = ratio(output, seconds)
	s.TotalThroughput = ratio(both, seconds)
	s.RequestRateLow, s.RequestRateHigh = c.bound(s, s.RequestRate, wholeOf, from, to)
	s.OutputThroughputLow, s.OutputThroughputHigh = c.bound(s, s.OutputThroughput, outputOf, from, to)
	s.TotalThroughputLow, s.TotalThroughputHigh = c.bound(s, s.TotalThroughput, bothOf, from, to)
	s.Goodput = math.NaN()
	if len(c.service.slo) > 0 {
		s.Goodput = ratio(float64(good), seconds)
	}
}
