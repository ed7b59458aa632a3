package peer

import (
	"math"
	"time"
)

var sglang = Tool{
	Name: "sglang", Title: "sglang bench_serving",
	Source: "sgl-project/sglang python/sglang/benchmark/serving.py at 00f9ec4, with an OpenAI backend",
	Population: "It counts every request of its main run, and divides by the wall clock from the first arrival until it has asked the server for /server_info after the last end. " +
		"Its one warm-up request comes before, so our warm-up is left out, and so is our cool-down, which it has not.",
	Phases:     measured,
	Percentile: "Percentiles are numpy's linear ones, as ours.",
	Assumed: []string{
		"The end of our last request stands in for the end of its clock, which runs on until /server_info is answered.",
		"It opens a connection for each request, so that connecting is part of its TTFT; ours were sent as this run sent them.",
	},
	label: "%[2]s %[1]s (%[3]s):", decimals: 2, within: detail{gaps: true, seconds: true},
	stats: []Stat{mean("Mean"), percent("Median", 50), percent("P90", 90), percent("P95", 95), percent("P99", 99)},
	Metrics: []Metric{
		{Name: "Traffic request rate:", Unit: "req/s", Formula: "--request-rate", Ours: "offered_rate", Needs: "an open loop",
			whole: func(r *run) float64 { return r.point.Load.Rate }, only: (*run).open},
		{Name: "Max request concurrency:", Formula: "--max-concurrency", count: true, whole: (*run).cap, only: (*run).capped, Needs: "a cap"},
		{Name: "Successful requests:", Formula: "requests answered with 200 whose stream ended without an exception", count: true, whole: (*run).completed, Needs: "requests"},
		{Name: "Benchmark duration (s):", Unit: "s", Formula: "from the first arrival to the answer of /server_info after the last request", Ours: "window",
			Why:           "it is the whole wall clock, in which the load builds up and runs dry; our window is the steady part.",
			Approximation: "the last end stands in for the answer of /server_info.", Needs: "requests", whole: (*run).wall},
		{Name: "Total input tokens:", Formula: "prompt tokens of the successes, by its tokenizer", Approximation: promptsAsCounted,
			count: true, whole: (*run).promptTokens, Needs: "the prompt tokens of every request"},
		{Name: "Total generated tokens:", Formula: "output tokens by the usage object, else as many as were asked for",
			count: true, whole: (*run).outputTokens, Needs: "the output tokens of every answer"},
		{Name: "Total generated tokens (retokenized):", Formula: "output tokens of the text by its tokenizer", count: true,
			Needs: "the model's tokenizer and the text of the answers"},
		{Name: "Request throughput (req/s):", Unit: "req/s", Word: "request_rate", Formula: "successes ÷ duration", Ours: "request_rate",
			Why: "it divides by the whole wall clock, and we by the window.", Needs: "requests",
			whole: func(r *run) float64 { return per(r.completed(), r.wall()) }},
		{Name: "Input token throughput (tok/s):", Unit: "tok/s", Formula: "prompt tokens of the successes ÷ duration",
			Needs: "the prompt tokens of every request", whole: func(r *run) float64 { return per(r.promptTokens(), r.wall()) }},
		{Name: "Output token throughput (tok/s):", Unit: "tok/s", Word: "output_throughput", Formula: "output tokens of the successes ÷ duration", Ours: "output_throughput",
			Why: "it divides by the whole wall clock, and we by the window.", Needs: "the output tokens of every answer",
			whole: func(r *run) float64 { return per(r.outputTokens(), r.wall()) }},
		{Name: "Peak output token throughput (tok/s):", Unit: "tok/s", Formula: "most chunks with text in one second, from the first send", Why: peakWhy,
			Needs: needsStream, whole: func(r *run) float64 { return r.peakSecond(false) }},
		{Name: "Peak concurrent requests:", Formula: "most successful requests that touch one second, from the first send",
			Why: "it counts every request that touches a second, so that two that follow each other count as two at once; we have no such figure.", count: true, Needs: "a success", whole: peakTouching},
		{Name: "Total token throughput (tok/s):", Unit: "tok/s", Word: "total_throughput", Formula: "prompt and output tokens of the successes ÷ duration", Ours: "total_throughput",
			Why: "it divides by the whole wall clock, and we by the window.", Needs: "the prompt and output tokens of every answer",
			whole: func(r *run) float64 { return per(r.promptTokens()+r.outputTokens(), r.wall()) }},
		{Name: "Concurrency:", Formula: "sum of E2E latencies ÷ duration", Ours: "mean_inflight",
			Why: "it averages over the whole wall clock, and over successes alone; we count every request in flight within the window.", Needs: "a success",
			whole: func(r *run) float64 {
				sum := 0.0
				for q := range r.successes() {
					s, _ := seconds(q.sent, q.end)
					sum += s
				}
				return per(sum, r.wall())
			}},
		{Name: "E2E Latency", Unit: "ms", Word: "e2e", Formula: "the line [DONE] − sent", Ours: "e2e",
			Why:           "it ends with [DONE], which comes after the last text.",
			Approximation: "the end of the answer stands in for the line [DONE].",
			Needs:         "a success", each: func(q *request) (float64, bool) { return milliseconds(q.sent, q.end) }},
		{Name: "TTFT", Unit: "ms", Word: "ttft", Formula: "first chunk with content or reasoning − sent", Ours: "ttft",
			Needs: needsStream, each: func(q *request) (float64, bool) { return q.from(q.sent, q.text) }},
		{Name: "TPOT", Unit: "ms", Word: "tpot", Formula: "(E2E latency − TTFT) ÷ (N − 1), one value a request, for N ≥ 2", Ours: "tpot",
			Why:   "it ends with [DONE] and counts one token in the first chunk; we end at the last text, less the tokens that came first.",
			Needs: needsBoth, each: func(q *request) (float64, bool) { return q.perToken(q.text, q.end) }},
		{Name: "ITL", Unit: "ms", Word: "itl", Formula: "each gap between successive chunks with text, of all requests together; its native API splits a gap over the tokens in it", Ours: "icl",
			Needs: needsStream, list: func(r *run) []weighted { return r.gaps.in(time.Millisecond) },
			stats: []Stat{mean("Mean"), percent("Median", 50), percent("P90", 90), percent("P95", 95), percent("P99", 99), maximum("Max")}},
	},
}

// peakTouching is the most successful requests that are in flight at some time of one
// second, of those counted from the first send.
func peakTouching(r *run) float64 {
	perSecond := map[int]int{}
	for q := range r.successes() {
		if !q.end.Happened() {
			continue
		}
		for s := int(q.sent.Sub(r.origin).Seconds()); s <= int(q.end.Sub(r.origin).Seconds()); s++ {
			perSecond[s]++
		}
	}
	most := math.NaN()
	for _, n := range perSecond {
		if v := float64(n); !(v <= most) {
			most = v
		}
	}
	return most
}
