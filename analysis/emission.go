package analysis

import (
	"math"

	"github.com/inferbook/inferbook/experiment"
)

// emission is when a request's output came: evenly from first to last, which is all
// that a half of a window needs to know.
type emission struct {
	first, last experiment.Instant
	tokens      int32 // Unknown where they were not counted, as in a stream that was cut off
	events      int32
}

// emitted gives the output of a request of any phase and outcome, since a window's throughput is the
// server's, and requests before and after the measured ones share it. An answer that was not
// streamed came at its end.
func emitted(s *experiment.Sample) (emission, bool) {
	e := emission{s.FirstText(), s.LastContent, int32(outputTokens(s)), int32(textEvents(s))}
	if !e.first.Happened() || !e.last.Happened() {
		if s.Outcome != experiment.OK || !s.End.Happened() {
			return emission{}, false
		}
		e.first, e.last = s.End, s.End
	}
	return e, true
}

// halves gives the output in tok/s of the two halves of a window. Tokens that nobody counted are taken
// from the events, at the tokens per event of the others.
func halves(written []emission, from, to experiment.Instant, perEvent float64) (first, second float64) {
	width := to.Sub(from).Seconds() / 2
	if !(width > 0) {
		return math.NaN(), math.NaN()
	}
	if math.IsNaN(perEvent) {
		perEvent = 1
	}
	middle := from + (to-from)/2
	for _, e := range written {
		tokens := float64(e.tokens)
		if e.tokens == experiment.Unknown {
			tokens = float64(e.events) * perEvent
		}
		first += tokens * e.within(from, middle)
		second += tokens * e.within(middle, to)
	}
	return ratio(first, width), ratio(second, width)
}

// within is the share of the output that came within (from, to].
func (e emission) within(from, to experiment.Instant) float64 {
	if e.first >= e.last {
		if e.last > from && e.last <= to {
			return 1
		}
		return 0
	}
	return float64(max(0, min(e.last, to)-max(e.first, from))) / float64(e.last-e.first)
}
