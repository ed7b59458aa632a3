package analysis

import (
	"math"

	"github.com/inferbook/inferbook/analysis/interval"
	"github.com/inferbook/inferbook/experiment"
)

// emission is a request's output on its way: evenly from first to last. That of a stream comes
// from its first event to its last, that of an answer that was not streamed from its sending to its end.
//
// What a server wrote in a part of a window is told by emissions and not by which requests ended in it: users
// that began together end together, request after request, and their ends would come in waves.
type emission struct {
	first, last    experiment.Instant
	prompt, output int32 // tokens, Unknown where they were not counted
	events         int32
	cut            bool // at the end of the run
}

// emitted gives the output of a request of any phase, since requests before and after the measured ones share
// the window with them; none for one that failed without text.
func emitted(s *experiment.Sample) (emission, bool) {
	e := emission{s.FirstText(), s.LastContent, int32(s.PromptTokens), int32(outputTokens(s)), int32(textEvents(s)), s.Outcome == experiment.Cancelled}
	if !e.first.Happened() || !e.last.Happened() {
		e.first, e.last = s.Sent, s.End
		if s.Outcome != experiment.OK && !e.cut {
			return emission{}, false
		}
	}
	return e, e.last.Happened()
}

// quantity is what is added up of emissions: one request, its output tokens, or those of prompt and output.
type quantity func(s *PointSummary, e *emission) float64

// wholeOf is how much of a request an emission is, where the others tell how long one is.
func wholeOf(s *PointSummary, e *emission) float64 {
	switch {
	case !e.cut:
		return 1
	case s.MeanEvents > 0: // one that waited for its first text gave nothing yet
		return float64(e.events) / s.MeanEvents
	default:
		return e.last.Sub(e.first).Seconds() * 1e3 / s.E2E.Mean
	}
}

func outputOf(s *PointSummary, e *emission) float64 {
	if e.output != experiment.Unknown {
		return float64(e.output)
	}
	return wholeOf(s, e) * s.MeanOutput
}

func bothOf(s *PointSummary, e *emission) float64 {
	prompt := s.MeanPrompt
	if e.prompt != experiment.Unknown {
		prompt = float64(e.prompt)
	}
	return wholeOf(s, e)*prompt + outputOf(s, e)
}

// windowParts is into how many equal parts a window is cut, at most, to look at how a rate varies.
const windowParts = 200

// course gives how much of a quantity came in each of equal parts of a window: an even number of parts, and about
// as many as requests count for throughput.
func (c *Collector) course(s *PointSummary, of quantity, from, to experiment.Instant) []float64 {
	parts := make([]float64, min(s.InWindow, windowParts)&^1)
	width := float64(to-from) / float64(len(parts))
	if !(width > 0) {
		return nil
	}
	for i := range c.evidence.written {
		e := &c.evidence.written[i]
		begin, end := float64(e.first-from)/width, float64(e.last-from)/width
		if end <= 0 || begin >= float64(len(parts)) {
			continue
		}
		amount := of(s, e)
		if end <= begin { // all in one event
			parts[int(begin)] += amount
			continue
		}
		for part := max(0, int(begin)); part < len(parts) && float64(part) < end; part++ {
			parts[part] += amount * (min(end, float64(part+1)) - max(begin, float64(part))) / (end - begin)
		}
	}
	return parts
}

// bound gives the 95 % interval of a rate within the run: as wide, as a share, as that of the mean of
// its course. NaN where that reaches down to 0.
func (c *Collector) bound(s *PointSummary, rate float64, of quantity, from, to experiment.Instant) (low, high float64) {
	parts := c.course(s, of, from, to)
	low, high = interval.Mean(parts)
	if low <= 0 {
		return math.NaN(), math.NaN() // the parts differ so much that they bound nothing
	}
	scale := ratio(rate, mean(parts))
	return ratio(low*scale, 1), ratio(high*scale, 1)
}

// halves gives the output in tok/s of the two halves of the window, and the t-statistic of the second less the first.
func (c *Collector) halves(s *PointSummary, from, to experiment.Instant) (first, second, t float64) {
	parts := c.course(s, outputOf, from, to)
	if len(parts) < 2 {
		return math.NaN(), math.NaN(), math.NaN()
	}
	half := len(parts) / 2
	perPart := s.Window.Seconds() / float64(len(parts))
	a, b := parts[:half], parts[half:]
	return ratio(mean(a), perPart), ratio(mean(b), perPart), step(a, b)
}
