package foreign

import (
	"cmp"
	"iter"
	"math"
	"slices"

	"github.com/inferbook/inferbook/experiment"
)

// vllmRequest is one request as vLLM's client would have recorded it. All times are
// in seconds; start, arrival and end count from the point's anchor.
type vllmRequest struct {
	ok                  bool
	arrival, start, end float64
	ttft, latency       float64 // from start; 0 for a failed request
	itl                 []float64
	input, output       int // tokens
	text, failure       string
}

// queue is how long the client kept the request back.
func (q *vllmRequest) queue() float64 { return q.start - q.arrival }

// tpot is 0 for an answer of one token, as vLLM has it for goodput.
func (q *vllmRequest) tpot() float64 {
	if q.output < 2 {
		return 0
	}
	return (q.latency - q.ttft) / float64(q.output-1)
}

// vllmRequests gives the measured requests.
func vllmRequests(samples iter.Seq2[experiment.Sample, error]) ([]vllmRequest, error) {
	var requests []vllmRequest
	for s, err := range samples {
		if err != nil {
			return nil, err
		}
		if s.Phase == experiment.Measured {
			requests = append(requests, vllmRequestOf(&s))
		}
	}
	return requests, nil
}

func vllmRequestOf(s *experiment.Sample) vllmRequest {
	sent := s.Sent
	if !sent.Happened() { // refused before it could be sent
		sent = max(s.Scheduled, 0)
	}
	arrival := s.Scheduled
	if !arrival.Happened() {
		arrival = sent
	}
	q := vllmRequest{
		ok:      s.Outcome == experiment.OK && s.Sent.Happened(),
		arrival: arrival.Sub(0).Seconds(), start: sent.Sub(0).Seconds(), end: max(s.End, s.LastContent, sent).Sub(0).Seconds(),
		input: max(s.PromptAsked, 0), text: s.Output, itl: []float64{},
	}
	if !q.ok {
		q.failure = cmp.Or(s.Error, string(s.Outcome), "unknown")
		return q
	}
	if s.PromptTokens >= 0 {
		q.input = s.PromptTokens
	}
	q.output = max(s.OutputTokens, 1)
	last := s.LastContent
	if !last.Happened() {
		last = max(s.End, sent)
	}
	first := s.FirstEvent
	if text := s.FirstText(); !first.Happened() || !text.Happened() {
		first = max(text, first)
	} else if first < text {
		q.itl = append(q.itl, text.Sub(first).Seconds()) // the chunk with the role alone comes first
	}
	if !first.Happened() {
		first = last
	}
	q.ttft, q.latency = first.Sub(sent).Seconds(), last.Sub(sent).Seconds()
	for _, g := range s.Gaps {
		q.itl = append(q.itl, g.Duration().Seconds())
	}
	return q
}

// vllmDuration is the wall clock from the first arrival to the last end, in seconds.
func vllmDuration(requests []vllmRequest) float64 {
	first, last := math.Inf(1), math.Inf(-1)
	for _, q := range requests {
		first, last = min(first, q.arrival), max(last, q.end)
	}
	return last - first
}

// peaks gives the most chunks that came in one second, counted from the first
// start, and the most requests in flight at once; of successful requests only. A
// request that ends at the instant at which another starts does not overlap it.
func peaks(requests []vllmRequest) (chunks float64, inFlight int) {
	type change struct {
		at float64
		by int
	}
	var changes []change
	first := math.Inf(1)
	for _, q := range requests {
		if q.ok {
			first = min(first, q.start)
			changes = append(changes, change{q.start, 1}, change{q.start + q.latency, -1})
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.by, b.by)) })
	now := 0
	for _, c := range changes {
		now += c.by
		inFlight = max(inFlight, now)
	}
	perSecond := map[int]int{}
	most := 0
	for _, q := range requests {
		if !q.ok {
			continue
		}
		at := q.start + q.ttft - first
		for i := -1; i < len(q.itl); i++ {
			if i >= 0 {
				at += q.itl[i]
			}
			perSecond[int(at)]++
			most = max(most, perSecond[int(at)])
		}
	}
	return float64(most), inFlight
}
