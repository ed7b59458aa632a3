package analysis

import (
	"fmt"
	"math"
	"slices"

	"github.com/inferbook/inferbook/experiment"
)

// Direction says which way a metric is better.
type Direction string

const (
	LowerIsBetter  Direction = "lower"
	HigherIsBetter Direction = "higher"
	Neither        Direction = "neither" // it describes; nothing is won by moving it
)

// Metric is a named, versioned definition. A changed formula is a new version.
type Metric struct {
	Name      string // what a person types: "ttft"
	Version   int    // from 1
	Title     string
	Unit      string // "" for a pure number
	Formula   string // in the words of the sample's fields, with every exception
	Direction Direction
	Needs     string // what a run must have for the metric to exist; "" = nothing
	Reading   string // slug of the reading that explains it

	// Of gives the value of one sample, and false where the sample has none or
	// does not count (see [Counts]). It is nil for the metrics of a whole point.
	Of func(*experiment.Sample) (float64, bool)
	// OfPoint gives the value of a whole point, NaN where there is none. It is
	// nil for the metrics of samples, which a point has a [Distribution] of.
	OfPoint func(*PointSummary) float64

	dist func(*PointSummary) *Distribution
}

// ID is name and version: "ttft@1".
func (m Metric) ID() string { return fmt.Sprintf("%s@%d", m.Name, m.Version) }

// Metrics lists every metric: those of samples first, then those of points.
func Metrics() []Metric { return slices.Concat(sampleMetrics, pointMetrics) }

// MetricByName finds a metric by its name or its ID.
func MetricByName(name string) (Metric, bool) {
	for _, list := range [][]Metric{sampleMetrics, pointMetrics} {
		for _, m := range list {
			if m.Name == name || m.ID() == name {
				return m, true
			}
		}
	}
	return Metric{}, false
}

// Counts reports whether a sample has latencies that count: it was measured,
// sent, and ended well.
func Counts(s *experiment.Sample) bool {
	return s.Phase == experiment.Measured && s.Outcome == experiment.OK && s.Sent.Happened()
}

// between gives the milliseconds from a to b of a sample that counts.
func between(s *experiment.Sample, a, b experiment.Instant) (float64, bool) {
	if !Counts(s) || !a.Happened() || !b.Happened() {
		return math.NaN(), false
	}
	return float64(b.Sub(a)) / 1e6, true
}

func ttft(s *experiment.Sample) (float64, bool)       { return between(s, s.Sent, s.FirstText()) }
func ttftAnswer(s *experiment.Sample) (float64, bool) { return between(s, s.Sent, s.FirstContent) }
func e2e(s *experiment.Sample) (float64, bool)        { return between(s, s.Sent, lastText(s)) }

func ttftSched(s *experiment.Sample) (float64, bool) {
	return between(s, s.Scheduled, s.FirstText())
}

func e2eSched(s *experiment.Sample) (float64, bool) { return between(s, s.Scheduled, lastText(s)) }

// sendLag is of every measured request, whatever became of it.
func sendLag(s *experiment.Sample) (float64, bool) {
	if s.Phase != experiment.Measured || !s.Scheduled.Happened() || !s.Sent.Happened() {
		return math.NaN(), false
	}
	return float64(s.Sent.Sub(s.Scheduled)) / 1e6, true
}

// lastText is when the user had the whole answer: the last event with text, or
// the end where no such event came (an answer that was not streamed).
func lastText(s *experiment.Sample) experiment.Instant {
	if s.LastContent.Happened() {
		return s.LastContent
	}
	return s.End
}

// tpot is the time per output token after those that came first.
func tpot(s *experiment.Sample) (float64, bool) {
	decode, ok := between(s, s.FirstText(), s.LastContent)
	steps := visibleTokens(s) - firstTokens(s)
	// Text that came all at once has no observable time between its tokens.
	if !ok || decode <= 0 || steps < 1 {
		return math.NaN(), false
	}
	return decode / float64(steps), true
}

// visibleTokens counts the output tokens that the stream carried: reasoning
// that was counted but held back was over before the first text came. Reasoning
// that came as part of the content shows in there being too many events for the
// remaining tokens.
func visibleTokens(s *experiment.Sample) int {
	if s.OutputTokens == experiment.Unknown || s.Counted == experiment.CountedNone {
		return experiment.Unknown
	}
	rest := s.OutputTokens - max(s.ReasoningTokens, 0)
	if rest > 0 && !s.FirstReasoning.Happened() && textEvents(s) <= rest {
		return rest
	}
	return s.OutputTokens
}

// firstTokens is the number of tokens in the first event with text, where the
// server told; else 1.
func firstTokens(s *experiment.Sample) int {
	if len(s.TokensAt) > 0 && s.TokensAt[0] > 1 {
		return int(s.TokensAt[0])
	}
	return 1
}

// textEvents is the number of events with text: 0 for an answer not streamed.
func textEvents(s *experiment.Sample) int {
	if !s.FirstText().Happened() {
		return 0
	}
	return max(s.Events, len(s.Gaps)+1)
}
