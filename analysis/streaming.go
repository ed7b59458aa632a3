package analysis

import (
	"math"
	"slices"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// StreamingVerdict says whether the stream came as a stream.
type StreamingVerdict string

const (
	StreamEffective StreamingVerdict = "effective" // about one event a token, over time
	StreamChunked   StreamingVerdict = "chunked"   // several tokens an event, or several events a read
	StreamNone      StreamingVerdict = "none"      // not streamed, or buffered into one burst
	StreamUnknown   StreamingVerdict = "unknown"   // no successful answer was long enough to tell
)

const (
	// A burst is burstEvents of the events within burstSpan of the latency, at
	// less than burstPace from one to the next. A high TTFT ÷ E2E alone is no
	// sign of a buffer: a request that waits in a queue of sixteen for its turn
	// has 0.94 too. But no server writes 2,000 tokens a second for one user at
	// the end of such a wait.
	burstEvents = 0.9
	burstSpan   = 0.05
	burstPace   = 500 * time.Microsecond
	// severalTokens is the tokens per event from which an event is no longer a
	// token: a first event with only a role and odd merges stay below it. The
	// same bar holds for events per read.
	severalTokens = 1.2
)

// streams watches how the answers of a point came.
type streams struct {
	ratios []float64 // TTFT ÷ E2E of each streamed answer
	long   int       // streamed answers of two visible tokens or more, or of unknown length
	bursts int       // of these, the ones that came in one burst
	whole  int       // answers without any text event
	events int       // events with text
	// counted holds tokens and events of the streams whose tokens somebody
	// counted other than by counting events.
	counted struct{ tokens, events int }
}

func (st *streams) add(s *experiment.Sample) {
	n := textEvents(s)
	if n == 0 {
		st.whole++
		return
	}
	st.events += n
	if first, ok := ttft(s); ok {
		if last, ok := e2e(s); ok && last > 0 {
			st.ratios = append(st.ratios, first/last)
		}
	}
	tokens := visibleTokens(s)
	if tokens > 0 && s.Counted != experiment.CountedEvents {
		st.counted.tokens += tokens
		st.counted.events += n
	}
	if tokens == experiment.Unknown || tokens >= 2 {
		st.long++
		if burst(s, n) {
			st.bursts++
		}
	}
}

// burst reports whether nine tenths of the events came within a twentieth of
// the latency, wherever in it that was, and faster than anybody writes.
func burst(s *experiment.Sample, events int) bool {
	need := int(math.Ceil(burstEvents * float64(events)))
	if need > len(s.Gaps)+1 {
		return false
	}
	span := min(time.Duration(burstSpan*float64(s.LastContent.Sub(s.Sent))), time.Duration(need-1)*burstPace)
	var width time.Duration // of the need events up to the current one
	for i, gap := range s.Gaps {
		width += gap.Duration()
		if i >= need-1 {
			width -= s.Gaps[i-need+1].Duration()
		}
		if i >= need-2 && width <= span {
			return true
		}
	}
	return need == 1
}

// tokensPerEvent is NaN where nobody counted tokens.
func (st *streams) tokensPerEvent() float64 {
	return ratio(float64(st.counted.tokens), float64(st.counted.events))
}

// verdict weighs what the answers of a point looked like.
func (st *streams) verdict(sharedReads float64) StreamingVerdict {
	switch {
	case st.whole > len(st.ratios):
		return StreamNone
	case st.long == 0:
		return StreamUnknown
	case 2*st.bursts > st.long:
		return StreamNone
	case st.tokensPerEvent() > severalTokens, sharedReads > 1-1/severalTokens:
		return StreamChunked
	default:
		return StreamEffective
	}
}

// share is the median of TTFT ÷ E2E; NaN where nothing was streamed.
func (st *streams) share() float64 {
	if len(st.ratios) == 0 {
		return ratio(0, 0)
	}
	slices.Sort(st.ratios)
	return interpolate(st.ratios, 0.5)
}
