package peer

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// What vllm and sglang print alike, which descend from one script.
const (
	promptsAsCounted = "the server's count stands in for the count of its own tokenizer."
	peakWhy          = "it counts events and not tokens, in the fullest second of those counted from the first send; we have no such figure."
)

var vllm = Tool{
	Name: "vllm", Title: "vllm bench serve",
	Source: "vllm-project/vllm vllm/benchmarks/serve.py and the request functions beside it, at 009e6d4",
	Population: "It counts every request of its main run, and divides by the wall clock from the first arrival to the last end, ramp and drain included. " +
		"Its warm-up requests come before that run, so our warm-up is left out, and so is our cool-down, which it has not.",
	Phases:     measured,
	Percentile: "Percentiles are numpy's linear ones, as ours.",
	Assumed: []string{
		"The first event of any kind stands in for the first chunk with choices; an opening chunk without choices, as Azure sends, would be taken for it.",
		"A success is an answer with a finish reason; it takes any stream that ends without an exception for one.",
		"E2EL is printed where --percentile-metrics names it.",
	},
	label: "%[2]s %[1]s (%[3]s):", decimals: 2, within: detail{gaps: true, seconds: true}, stats: []Stat{mean("Mean"), percent("Median", 50), percent("P99", 99)},
	Metrics: []Metric{
		{Name: "Successful requests:", Formula: "requests that ended without an exception", count: true, whole: (*run).completed, Needs: "requests"},
		{Name: "Failed requests:", Formula: "the other requests", count: true, whole: (*run).failed, Needs: "requests"},
		{Name: "Maximum request concurrency:", Formula: "--max-concurrency, a semaphore over the rate", count: true, whole: (*run).cap, only: (*run).capped, Needs: "a cap"},
		{Name: "Request rate configured (RPS):", Unit: "req/s", Formula: "--request-rate", Ours: "offered_rate", Needs: "an open loop",
			whole: func(r *run) float64 { return r.point.Load.Rate }, only: (*run).open},
		{Name: "Benchmark duration (s):", Unit: "s", Formula: "from the first arrival to the end of the last request", Ours: "window",
			Why:   "it is the whole wall clock, in which the load builds up and runs dry; our window is the steady part.",
			Needs: "requests", whole: (*run).wall},
		{Name: "Total input tokens:", Formula: "prompt tokens of the successes, by its tokenizer", Approximation: promptsAsCounted,
			count: true, whole: (*run).promptTokens, Needs: "the prompt tokens of every request"},
		{Name: "Total generated tokens:", Formula: "output tokens of the successes, by the usage object, else by its tokenizer",
			count: true, whole: (*run).outputTokens, Needs: "the output tokens of every answer"},
		{Name: "Request throughput (req/s):", Unit: "req/s", Word: "request_rate", Formula: "successes ÷ duration", Ours: "request_rate",
			Why: "it divides by the whole wall clock, and we by the window.", Needs: "requests",
			whole: func(r *run) float64 { return per(r.completed(), r.wall()) }},
		{Name: "Request goodput (req/s):", Unit: "req/s", Word: "goodput", Formula: "successes within each of --goodput ttft, tpot and e2el ÷ duration; tpot is 0 for one token", Ours: "goodput",
			Why: "it divides by the whole wall clock, and takes its own ttft and tpot.", Needs: "an SLO with a latency",
			only: (*run).judged, whole: func(r *run) float64 { return per(r.good(vllmLatencies), r.wall()) }},
		{Name: "Output token throughput (tok/s):", Unit: "tok/s", Word: "output_throughput", Formula: "output tokens of the successes ÷ duration", Ours: "output_throughput",
			Why: "it divides by the whole wall clock, and we by the window.", Needs: "the output tokens of every answer",
			whole: func(r *run) float64 { return per(r.outputTokens(), r.wall()) }},
		{Name: "Peak output token throughput (tok/s):", Unit: "tok/s", Formula: "most chunks in one second, from the first send", Why: peakWhy,
			Needs: "a streamed answer", whole: func(r *run) float64 { return r.peakSecond(true) }},
		{Name: "Peak concurrent requests:", Formula: "most successful requests in flight at once", count: true, whole: (*run).peakInFlight, Needs: "a success"},
		{Name: "Total token throughput (tok/s):", Unit: "tok/s", Word: "total_throughput", Formula: "prompt and output tokens of the successes ÷ duration", Ours: "total_throughput",
			Why: "it divides by the whole wall clock, and we by the window.", Needs: "the prompt and output tokens of every answer",
			whole: func(r *run) float64 { return per(r.promptTokens()+r.outputTokens(), r.wall()) }},
		{Name: "TTFT", Unit: "ms", Word: "ttft", Formula: "first chunk with choices − sent; a chunk with the role alone counts", Ours: "ttft",
			Why:   "it counts an opening chunk with the role and no text as the first token.",
			Needs: needsStream, each: func(q *request) (float64, bool) { return q.from(q.sent, q.first()) }},
		{Name: "TPOT", Unit: "ms", Word: "tpot", Formula: "(last chunk − first chunk) ÷ (N − 1), one value a request, for N ≥ 2", Ours: "tpot",
			Why:   "it begins at the first chunk, text or not, and counts one token in it; we begin at the first text, less the tokens that came with it, and leave out reasoning that was never streamed.",
			Needs: needsBoth, each: func(q *request) (float64, bool) { return q.perToken(q.first(), q.last) }},
		{Name: "ITL", Unit: "ms", Word: "itl", Formula: "each gap between successive chunks, of all requests together; the finish chunk counts", Ours: "icl",
			Why:           "it has one more gap for each answer that opens with a chunk without text, from that chunk to the first text.",
			Approximation: "the gap before a last chunk without text is left out; a sample has no time of such a chunk.",
			Needs:         needsStream, list: (*run).chunkGaps},
		{Name: "E2EL", Unit: "ms", Word: "e2e", Formula: "last chunk − sent", Ours: "e2e",
			Approximation: "the last event with text stands in for the last chunk; a finish chunk without text may come a little later.",
			Needs:         "a success", each: func(q *request) (float64, bool) { return milliseconds(q.sent, q.finished()) }},
	},
}

const (
	needsStream = "a streamed answer"
	needsBoth   = "a streamed answer of two tokens or more, and their count"
)

// from gives the milliseconds between two instants of a streamed answer.
func (r *request) from(a, b experiment.Instant) (float64, bool) {
	if !r.text.Happened() {
		return math.NaN(), false
	}
	return milliseconds(a, b)
}

// perToken gives the milliseconds from a to b of a streamed answer ÷ (output tokens − 1).
func (r *request) perToken(a, b experiment.Instant) (float64, bool) {
	ms, ok := r.from(a, b)
	if !ok || r.output < 2 {
		return math.NaN(), false
	}
	return ms / float64(r.output-1), true
}

func (r *run) capped() bool { return r.cap() > 0 }

// wall is the seconds from the first arrival to the last end.
func (r *run) wall() float64 { return r.span(dueOf, endOf, true) }

// chunkGaps are the gaps in ms between all events that are known, the opening one included.
func (r *run) chunkGaps() []weighted {
	list := r.gaps.in(time.Millisecond)
	for q := range r.successes() {
		if d, ok := q.opened(); ok {
			list = append(list, weighted{float64(d) / 1e6, 1})
		}
	}
	return list
}

// peakSecond is the most events in one second from the first send, with or without
// those that open a stream without text.
func (r *run) peakSecond(opening bool) float64 {
	most, counts := math.NaN(), r.perSecond
	if opening && r.eventful > 0 {
		counts = map[int]int{}
		for second, n := range r.perSecond {
			counts[second] = n
		}
		for q := range r.successes() {
			if _, ok := q.opened(); ok {
				counts[int(q.first().Sub(r.origin).Seconds())]++
			}
		}
	}
	for _, n := range counts {
		if v := float64(n); !(v <= most) {
			most = v
		}
	}
	return most
}

// peakInFlight is the most successful requests at once; one that ends at the instant at
// which another begins does not overlap it.
func (r *run) peakInFlight() float64 {
	type change struct {
		at experiment.Instant
		by int
	}
	var changes []change
	for q := range r.successes() {
		changes = append(changes, change{q.sent, 1}, change{q.finished(), -1})
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.by, b.by)) })
	now, most := 0, math.NaN()
	for _, c := range changes {
		now += c.by
		if !(float64(now) <= most) {
			most = float64(now)
		}
	}
	return most
}

// bounds gives the lowest bound in ms on each latency that a tool has a word for.
func bounds(slo experiment.SLO) map[string]float64 {
	low := map[string]float64{}
	for _, o := range slo {
		if before, there := low[o.Metric]; slices.Contains([]string{"ttft", "tpot", "e2e"}, o.Metric) && (!there || o.Bound < before) {
			low[o.Metric] = o.Bound
		}
	}
	return low
}

// measure is how a tool takes one latency of a request, in ms.
type measure func(*request) (float64, bool)

// good counts the successes within every bound of the SLO. What a bounded latency has no value of is
// not good.
func (r *run) good(of map[string]measure) float64 {
	limits, good := bounds(r.spec.SLO), 0.0
	for q := range r.successes() {
		within := true
		for metric, limit := range limits {
			v, ok := of[metric](q)
			within = within && ok && v <= limit
		}
		if within {
			good++
		}
	}
	return good
}

// judged reports whether the SLO bounds a latency that the tools have a word for.
func (r *run) judged() bool { return len(bounds(r.spec.SLO)) > 0 }

var vllmLatencies = map[string]measure{
	"ttft": func(q *request) (float64, bool) { return q.from(q.sent, q.first()) },
	"tpot": func(q *request) (float64, bool) {
		if q.output == 0 || q.output == 1 {
			return 0, true
		}
		return q.perToken(q.first(), q.last)
	},
	"e2e": func(q *request) (float64, bool) { return milliseconds(q.sent, q.finished()) },
}
