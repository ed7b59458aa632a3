package peer

import (
	"math"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

const (
	stageTime   = "it divides by the time from the first send to the last end, and we by the window."
	retokenised = "the tokens as this run counted them stand in for those of its own tokenizer."
)

var inferencePerf = Tool{
	Name: "inference-perf", Title: "inference-perf",
	Source: "kubernetes-sigs/inference-perf inference_perf/reportgen/base.py at 010d12f and apis/streaming_parser.py at 35d21d6",
	Population: "It counts the requests of a load stage, and divides by the time from their first send to their last end. " +
		"It has no warm-up but a stage before, which it reports apart, so our warm-up is left out, and so is our cool-down.",
	Phases:     measured,
	Percentile: "Percentiles are numpy's linear ones, as ours.",
	Assumed: []string{
		"It counts the tokens of each chunk with its own tokenizer; the run's own count stands in for it.",
		"It prints all decimals; six digits are shown.",
	},
	label: "%[1]s.%[2]s", decimals: exact, within: detail{gaps: true, tokens: true},
	stats: []Stat{mean("mean"), minimum("min"), maximum("max"), percent("p0.1", 0.1), percent("p1", 1), percent("p5", 5), percent("p10", 10), percent("p25", 25),
		percent("median", 50), percent("p75", 75), percent("p90", 90), percent("p95", 95), percent("p99", 99), percent("p99.9", 99.9)},
	Metrics: []Metric{
		{Name: "benchmark_time_seconds", Unit: "s", Formula: "last end − first send, of all requests", Ours: "window",
			Why: "it has the start of the load and its end in it; our window is the steady part.", Needs: "requests", whole: stageClock},
		{Name: "load_summary.count", Formula: "requests", count: true, Needs: "requests", whole: func(r *run) float64 { return float64(len(r.requests)) }},
		{Name: "load_summary.schedule_delay", Unit: "s", Word: "send_lag", Formula: "sent − scheduled, of all requests", Ours: "send_lag", scale: 1000,
			Needs: "a schedule", list: func(r *run) []weighted {
				var list []weighted
				for i := range r.requests {
					s, _ := seconds(r.requests[i].due, r.requests[i].sent)
					list = append(list, weighted{s, 1})
				}
				return list
			}},
		{Name: "load_summary.send_duration", Unit: "s", Formula: "last send − first send", Needs: "two requests", only: (*run).open, whole: sendClock},
		{Name: "load_summary.requested_rate", Unit: "req/s", Formula: "the stage's rate", Ours: "offered_rate", Needs: "an open loop", only: (*run).open,
			whole: func(r *run) float64 { return r.point.Load.Rate }},
		{Name: "load_summary.achieved_rate", Unit: "req/s", Formula: "requests ÷ send_duration", Ours: "achieved_rate", Needs: "two requests", only: (*run).open,
			Why:   "it divides n requests by the n − 1 gaps between them.",
			whole: func(r *run) float64 { return per(float64(len(r.requests)), sendClock(r)) }},
		{Name: "successes.count", Formula: "requests without an error", count: true, whole: (*run).completed, Needs: "requests"},
		{Name: "successes.latency.request_latency", Unit: "s", Word: "e2e", Formula: "end of the answer − sent", Ours: "e2e", scale: 1000,
			Why: "it ends when the stream is closed; we end at the last text.", Needs: "a success",
			each: func(q *request) (float64, bool) { return seconds(q.sent, q.end) }},
		{Name: "successes.latency.normalized_time_per_output_token", Unit: "s", Word: "ntpot", Formula: "request latency ÷ N, one value a request; 0 where there is no token", Ours: "tpot", scale: 1000,
			Why:           "it divides the whole latency, the wait for the first token included, by all N tokens.",
			Approximation: retokenised, Needs: "the tokens of an answer", each: func(q *request) (float64, bool) {
				s, ok := seconds(q.sent, q.end)
				if q.answer() == 0 {
					return 0, ok
				}
				return s / float64(q.answer()), ok && q.answer() > 0
			}},
		{Name: "successes.latency.time_per_output_token", Unit: "s", Word: "tpot", Formula: "(last − first token's chunk) ÷ (N − 1), one value a request, for N ≥ 2", Ours: "tpot", scale: 1000,
			Why:           "it looks at the content alone, and takes the first chunk for one token.",
			Approximation: retokenised, Needs: needsBoth, each: func(q *request) (float64, bool) {
				s, ok := seconds(q.content, q.last)
				return s / float64(q.answer()-1), ok && q.answer() > 1
			}},
		{Name: "successes.latency.time_to_first_token", Unit: "s", Word: "ttft", Formula: "first chunk with content − sent, of answers of two tokens or more; reasoning does not count", Ours: "ttft", scale: 1000,
			Why: "it does not see reasoning, and leaves out answers of one token.", Needs: needsStream,
			each: func(q *request) (float64, bool) {
				s, ok := seconds(q.sent, q.content)
				return s, ok && (q.answer() > 1 || q.events > 1)
			}},
		{Name: "successes.latency.inter_token_latency", Unit: "s", Word: "itl", Formula: "each gap between successive tokens, of all requests together; 0 between the tokens of a chunk", Ours: "icl", scale: 1000,
			Why:   "it has a 0 for each further token of a chunk, and the content alone; ours are between events.",
			Needs: "the tokens of each chunk, which the server did not tell for some answer whose chunks are not its tokens", list: func(r *run) []weighted {
				if r.opaque > 0 {
					return nil
				}
				return r.tokenGaps.in(time.Second)
			}},
		{Name: "successes.throughput.input_tokens_per_sec", Unit: "tok/s", Formula: "prompt tokens of the successes ÷ benchmark time",
			Needs: "the prompt tokens of every request", whole: func(r *run) float64 { return per(r.promptTokens(), stageClock(r)) }},
		{Name: "successes.throughput.output_tokens_per_sec", Unit: "tok/s", Word: "output_throughput", Formula: "output tokens of the successes ÷ benchmark time", Ours: "output_throughput", Why: stageTime,
			Approximation: retokenised, Needs: "the output tokens of every answer", whole: func(r *run) float64 { return per(r.answerTokens(), stageClock(r)) }},
		{Name: "successes.throughput.total_tokens_per_sec", Unit: "tok/s", Word: "total_throughput", Formula: "prompt and output tokens of the successes ÷ benchmark time", Ours: "total_throughput", Why: stageTime,
			Approximation: retokenised, Needs: "the prompt and output tokens of every answer", whole: func(r *run) float64 { return per(r.promptTokens()+r.answerTokens(), stageClock(r)) }},
		{Name: "successes.throughput.requests_per_sec", Unit: "req/s", Word: "request_rate", Formula: "successes ÷ benchmark time", Ours: "request_rate", Why: stageTime,
			Needs: "requests", whole: func(r *run) float64 { return per(r.completed(), stageClock(r)) }},
		{Name: "successes.prompt_tokens", Unit: "tok", Formula: "prompt tokens by the usage object, else by its tokenizer", Ours: "mean_prompt",
			Needs: "the tokens of a prompt", each: func(q *request) (float64, bool) { return count(q.prompt) }},
		{Name: "successes.output_len", Unit: "tok", Formula: "tokens of the content by its tokenizer", Ours: "mean_output", Approximation: retokenised,
			Why: "it does not count reasoning.", Needs: "the tokens of an answer", each: func(q *request) (float64, bool) { return count(q.answer()) }},
		{Name: "successes.goodput_metrics.request_goodput", Unit: "req/s", Word: "goodput", Formula: "successes within each constraint ÷ benchmark time", Ours: "goodput", Why: "it divides by the time from the first send to the last end, and takes its own latencies.",
			Needs: "an SLO with a latency", only: (*run).judged, whole: func(r *run) float64 { return per(r.good(stageLatencies), stageClock(r)) }},
		{Name: "failures.count", Formula: "requests with an error", count: true, whole: (*run).failed, Needs: "requests"},
	},
}

var stageLatencies = map[string]measure{
	"ttft": func(q *request) (float64, bool) { return milliseconds(q.sent, q.content) },
	"tpot": func(q *request) (float64, bool) {
		ms, ok := milliseconds(q.content, q.last)
		return ms / float64(q.answer()-1), ok && q.answer() > 1
	},
	"e2e": func(q *request) (float64, bool) { return milliseconds(q.sent, q.end) },
}

func stageClock(r *run) float64 { return r.span(sentOf, endOf, true) }

// sendClock is the seconds from the first to the last send; NaN where that is no time.
func sendClock(r *run) float64 {
	s := r.span(sentOf, func(q *request) experiment.Instant { return q.sent }, true)
	if s <= 0 {
		return math.NaN()
	}
	return s
}
