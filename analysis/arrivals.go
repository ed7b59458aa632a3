package analysis

import (
	"cmp"
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/inferbook/inferbook/experiment"
)

// arrivals watches when the measured requests of a point were due and when they left.
type arrivals struct {
	due, sent clock                // first and last
	n         int                  // measured requests that were sent
	starts    []experiment.Instant // when first turns were due: those are the arrival process
}

func (a *arrivals) add(s *experiment.Sample) {
	if a.n == 0 {
		a.due, a.sent = newClock(), newClock()
	}
	a.n++
	a.sent.widen(s.Sent)
	a.due.widen(due(s))
	if s.Turn == 0 {
		a.starts = append(a.starts, due(s))
	}
}

func (c *clock) widen(at experiment.Instant) {
	if !c.first.Happened() || at < c.first {
		c.first = at
	}
	c.last = max(c.last, at)
}

// rate is the mean rate of n instants in requests per second; NaN for fewer than two.
func (a *arrivals) rate(c clock) float64 {
	if a.n < 2 {
		return math.NaN()
	}
	return ratio(float64(a.n-1), c.length().Seconds())
}

// cv is the coefficient of variation of the gaps between arrivals; NaN for fewer
// than two gaps.
func (a *arrivals) cv() float64 {
	if len(a.starts) < 3 {
		return math.NaN()
	}
	slices.Sort(a.starts)
	var sum, squares float64
	for i := 1; i < len(a.starts); i++ {
		gap := a.starts[i].Sub(a.starts[i-1]).Seconds()
		sum, squares = sum+gap, squares+gap*gap
	}
	n := float64(len(a.starts) - 1)
	return ratio(math.Sqrt(max(0, (squares-sum*sum/n)/(n-1))), sum/n)
}

// openLoop fills in what only an open loop has.
func (c *Collector) openLoop(s *PointSummary, from, to experiment.Instant) {
	nan := math.NaN()
	s.OfferedRate, s.AchievedRate, s.ScheduledRate, s.ArrivalCV, s.InflightSlope, s.InflightSlopeP = nan, nan, nan, nan, nan, nan
	load := c.point.Load
	if load.Rate > 0 {
		s.OfferedRate = load.Rate
	}
	if !load.Open() {
		return
	}
	s.AchievedRate, s.ScheduledRate, s.ArrivalCV = c.arrivals.rate(c.arrivals.sent), c.arrivals.rate(c.arrivals.due), c.arrivals.cv()
	cv := s.ArrivalCV
	if math.IsNaN(cv) || Period(c.spec.Arrival) > 0 { // whole bursts are Poisson again
		cv = 1
	}
	s.InflightSlope, s.InflightSlopeP = inflightSlope(c.spans, from, to, cv)
	over, _ := c.saturation(to).Over()
	s.Oversaturated = over || c.point.Ended == experiment.EndOversaturated || c.falling(from, to, cv)
}

// The bars of falling.
const (
	behindBar  = 0.95 // of the arrivals within the window that must have ended
	slowingBar = 1.5  // median latency of the last third of the arrivals ÷ that of the first
)

// falling reports whether a point that was too short for [Saturation] fell behind all
// the same: fewer requests ended within the window than arrived, by more than chance
// explains, and the later ones took half as long again as the earlier ones. A
// server that only fills up does the first and not the second.
func (c *Collector) falling(from, to experiment.Instant, cv float64) bool {
	arrived, ended := 0, 0
	var due []span
	for _, s := range c.spans {
		if s.due >= from && s.due <= to {
			arrived++
			if s.end.Happened() {
				due = append(due, s)
			}
		}
		if s.end >= from && s.end <= to {
			ended++
		}
	}
	chance := math.Sqrt(max(cv*cv, 0)*float64(arrived) + float64(ended))
	if len(due) < leastArrived || float64(ended) >= behindBar*float64(arrived) || float64(arrived-ended) <= growthBar*chance {
		return false
	}
	slices.SortFunc(due, func(a, b span) int { return cmp.Compare(a.due, b.due) })
	median := func(list []span) float64 {
		spent := make([]float64, len(list))
		for i, s := range list {
			spent[i] = float64(s.end.Sub(s.due))
		}
		slices.Sort(spent)
		return interpolate(spent, 0.5)
	}
	third := len(due) / 3
	return median(due[2*third:]) >= slowingBar*median(due[:third])
}

// saturation replays the point's arrivals and ends up to an instant.
func (c *Collector) saturation(to experiment.Instant) *Saturation {
	type event struct{ at, due experiment.Instant }
	var events []event
	for _, s := range c.spans {
		if s.due <= to {
			events = append(events, event{s.due, experiment.Never})
		}
		if s.end.Happened() && s.end <= to {
			events = append(events, event{s.end, s.due})
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.due, b.due)) })
	out := NewSaturation(Period(c.spec.Arrival))
	for _, e := range events {
		if e.due.Happened() {
			out.Ended(e.due, e.at)
		} else {
			out.Sent(e.at)
		}
	}
	return out
}

// Period is the time after which an arrival repeats itself; 0 = it does not.
func Period(a experiment.Arrival) time.Duration {
	if a.Kind != experiment.OnOffArrival {
		return 0
	}
	return time.Duration(a.On) + time.Duration(a.Off)
}

// inflightSlope is the least-squares slope, in requests per second, of the number
// of requests that are due and not ended, over the window from–to, which the
// integral over each request's part of it gives exactly: 12·∫(t − m)·N(t)dt ÷ W³
// with m the window's middle and W its length.
//
// p is its one-sided probability at the edge of what a server serves, where that
// number walks at random: with A arrivals whose gaps have the given coefficient of
// variation and D ends, the variance of the walk is cv²·A + D over the
// window, and the slope of a line through a Brownian path has the variance
// 6 ÷ (5·W²) of that. A regression that took the counts for independent would find
// a slope in nearly every queue.
func inflightSlope(spans []span, from, to experiment.Instant, cv float64) (slope, p float64) {
	width, middle := to.Sub(from).Seconds(), from.Sub(0).Seconds()/2+to.Sub(0).Seconds()/2
	if !(width > 0) {
		return math.NaN(), math.NaN()
	}
	sum, walk := 0.0, 0.0
	for _, s := range spans {
		if s.due >= from && s.due <= to {
			walk += cv * cv
		}
		end := to
		if s.end.Happened() && s.end <= to {
			end = s.end
			if end >= from {
				walk++
			}
		}
		start := max(s.due, from)
		if start >= end {
			continue
		}
		a, b := start.Sub(0).Seconds()-middle, end.Sub(0).Seconds()-middle
		sum += (b - a) * (b + a) / 2
	}
	slope = 12 * sum / (width * width * width)
	return slope, distuv.UnitNormal.Survival(ratio(slope*width, math.Sqrt(1.2*walk)))
}
