package peer

import (
	"math"

	"github.com/inferbook/inferbook/experiment"
)

// AIPerf and its predecessor GenAI-Perf have their words and formulas in common.
const tokenizerOf = "the tokens as this run counted them stand in for those of its own tokenizer."

var aiperf = Tool{
	Name: "aiperf", Title: "AIPerf",
	Source: "ai-dynamo/aiperf docs/metrics-reference.md at 0176f59, README.md at 012a5b3 and src/aiperf/metrics at 0fec57a",
	Population: "It counts the requests of its profiling phase, and divides by the time from their first send to their last response. " +
		"Its warm-up is a phase of its own, so our warm-up is left out, and so is our cool-down.",
	Phases:     measured,
	Percentile: "Percentiles are numpy's linear ones, as ours.",
	Assumed: []string{
		"Tokens are counted by its own tokenizer unless --use-server-token-count is given; the run's own count stands in for it.",
		"Latencies count from the actual send; for a rate the time that a request waited for its turn is in none of them.",
	},
	label: "%[1]s (%[3]s) %[2]s", decimals: 2,
	stats: []Stat{mean("avg"), minimum("min"), maximum("max"), percent("p99", 99), percent("p90", 90), percent("p50", 50), std("std")},
	Metrics: []Metric{
		{Name: "Time to First Token", Unit: "ms", Word: "ttft", Formula: "first chunk with content or reasoning − sent", Ours: "ttft",
			Needs: needsStream, each: func(q *request) (float64, bool) { return q.from(q.sent, q.text) }},
		{Name: "Time to Second Token", Unit: "ms", Word: "ttst", Formula: "second chunk with text − first", Needs: "a streamed answer of two chunks or more", each: secondChunk},
		{Name: "Time to First Output Token", Unit: "ms", Word: "ttfo", Formula: "first chunk with content, not reasoning − sent", Ours: "ttft_answer",
			Needs: needsStream, each: func(q *request) (float64, bool) { return q.from(q.sent, q.content) }},
		{Name: "Request Latency", Unit: "ms", Word: "e2e", Formula: "last chunk with text − sent", Ours: "e2e",
			Needs: "a success", each: func(q *request) (float64, bool) { return milliseconds(q.sent, q.finished()) }},
		{Name: "Inter Token Latency", Unit: "ms", Word: "itl", Formula: "(request latency − TTFT) ÷ (N − 1), one value a request, for N ≥ 2", Ours: "tpot",
			Why:   "it takes the first chunk for one token unless --per-chunk-usage is given, where we subtract what the server told; and we leave out reasoning that was never streamed.",
			Needs: needsBoth, each: func(q *request) (float64, bool) { return q.perToken(q.text, q.last) }},
		{Name: "Output Token Throughput Per User", Unit: "tokens/sec/user", Word: "interactivity", Formula: "1 ÷ inter token latency, one value a request", Ours: "interactivity", oursAt: "p50",
			Why:   "its p50 is the median of the inverses and ours the inverse of the median, each of its own time per token.",
			Needs: needsBoth, each: func(q *request) (float64, bool) {
				v, ok := q.perToken(q.text, q.last)
				return 1000 / v, ok && v > 0
			}},
		{Name: "Output Sequence Length", Unit: "tokens", Formula: "output and reasoning tokens, by its tokenizer", Ours: "mean_output", Approximation: tokenizerOf,
			Needs: "the tokens of an answer", each: func(q *request) (float64, bool) { return count(q.output) }},
		{Name: "Input Sequence Length", Unit: "tokens", Formula: "prompt tokens, by its tokenizer and without the chat template", Ours: "mean_prompt", Approximation: tokenizerOf,
			Needs: "the tokens of a prompt", each: func(q *request) (float64, bool) { return count(q.prompt) }},
		{Name: "Output Token Throughput (tokens/sec)", Unit: "tokens/sec", Word: "output_throughput", Formula: "output tokens of the successes ÷ benchmark duration", Ours: "output_throughput",
			Why: "it divides by the time from the first send to the last response, and we by the window.", Needs: "the output tokens of every answer",
			whole: func(r *run) float64 { return per(r.outputTokens(), aiperfDuration(r)) }},
		{Name: "Request Throughput (requests/sec)", Unit: "requests/sec", Word: "request_rate", Formula: "successes ÷ benchmark duration", Ours: "request_rate",
			Why: "it divides by the time from the first send to the last response, and we by the window.", Needs: "requests",
			whole: func(r *run) float64 { return per(r.completed(), aiperfDuration(r)) }},
		{Name: "Goodput (requests/sec)", Unit: "requests/sec", Word: "goodput", Formula: "successes within each bound of --goodput ÷ benchmark duration", Ours: "goodput", Why: "it divides by the time from the first send to the last response.",
			Needs: "an SLO with a latency", only: (*run).judged, whole: func(r *run) float64 { return per(r.good(aiperfLatencies), aiperfDuration(r)) }},
		{Name: "Request Count (requests)", Unit: "requests", Formula: "successes", count: true, whole: (*run).completed, Needs: "requests"},
		{Name: "Benchmark Duration (sec)", Unit: "sec", Formula: "last response − first send", Ours: "window",
			Why: "it has the start of the load and its end in it; our window is the steady part.", Needs: "requests", whole: aiperfDuration},
	},
}

var genaiPerf = Tool{
	Name: "genai-perf", Title: "GenAI-Perf",
	Source: "triton-inference-server/perf_analyzer genai-perf: profile_data_parser at 00168fe, docs/tutorial.md at 00d6a46",
	Population: "It counts the requests that perf_analyzer recorded, and divides by the time from their first send to their last chunk with content. " +
		"Its warm-up requests come before, so our warm-up is left out, and so is our cool-down.",
	Phases:     measured,
	Percentile: "Percentiles are numpy's linear ones, as ours.",
	Assumed:    []string{"Tokens are those of its own tokenizer; the run's own count stands in for it."},
	label:      "%[1]s %[2]s", decimals: 2,
	stats: []Stat{mean("avg"), minimum("min"), maximum("max"), percent("p99", 99), percent("p90", 90), percent("p75", 75)},
	Metrics: []Metric{
		{Name: "Time to first token (ms)", Unit: "ms", Word: "ttft", Formula: "first chunk with content − sent; a chunk of reasoning alone counts as empty", Ours: "ttft",
			Why: "it does not see reasoning, so that the first token is the first of the answer.", Needs: needsStream, each: func(q *request) (float64, bool) { return q.from(q.sent, q.content) }},
		{Name: "Inter token latency (ms)", Unit: "ms", Word: "itl", Formula: "(request latency − TTFT) ÷ (N − 1), one value a request, for N ≥ 2; until 2024 each gap ÷ the tokens in the later chunk", Ours: "tpot",
			Why:           "it begins at the first content, and N is what its tokenizer makes of the content alone.",
			Approximation: tokenizerOf, Needs: needsBoth, each: func(q *request) (float64, bool) {
				ms, ok := q.from(q.content, q.last)
				return ms / float64(q.answer()-1), ok && q.answer() > 1
			}},
		{Name: "Request latency (ms)", Unit: "ms", Word: "e2e", Formula: "last chunk with content − sent", Ours: "e2e",
			Needs: "a success", each: func(q *request) (float64, bool) { return milliseconds(q.sent, q.finished()) }},
		{Name: "Output sequence length", Formula: "tokens of the content, by its tokenizer", Ours: "mean_output", Approximation: tokenizerOf,
			Why: "it does not count reasoning.", Needs: "the tokens of an answer", each: func(q *request) (float64, bool) { return count(q.answer()) }},
		{Name: "Input sequence length", Formula: "tokens of the messages, by its tokenizer and without the chat template", Ours: "mean_prompt", Approximation: tokenizerOf,
			Needs: "the tokens of a prompt", each: func(q *request) (float64, bool) { return count(q.prompt) }},
		{Name: "Output token throughput (per sec)", Unit: "tokens/sec", Word: "output_throughput", Formula: "tokens of the content ÷ benchmark duration", Ours: "output_throughput", Approximation: tokenizerOf,
			Why: "it divides by the time from the first send to the last chunk, and we by the window.", Needs: "the output tokens of every answer",
			whole: func(r *run) float64 { return per(r.answerTokens(), genaiDuration(r)) }},
		{Name: "Request throughput (per sec)", Unit: "requests/sec", Word: "request_rate", Formula: "requests ÷ benchmark duration", Ours: "request_rate",
			Why: "it divides by the time from the first send to the last chunk, and we by the window.", Needs: "requests",
			whole: func(r *run) float64 { return per(r.completed(), genaiDuration(r)) }},
	},
}

var aiperfLatencies = map[string]measure{
	"ttft": func(q *request) (float64, bool) { return q.from(q.sent, q.text) },
	"tpot": func(q *request) (float64, bool) { return q.perToken(q.text, q.last) },
	"e2e":  func(q *request) (float64, bool) { return milliseconds(q.sent, q.finished()) },
}

func secondChunk(q *request) (float64, bool) { return float64(q.second) / 1e6, q.second >= 0 }

// count is a number of tokens, and false where nobody counted.
func count(n int) (float64, bool) {
	if n == experiment.Unknown {
		return math.NaN(), false
	}
	return float64(n), true
}

func aiperfDuration(r *run) float64 { return r.span(sentOf, endOf, false) }

func genaiDuration(r *run) float64 {
	return r.span(sentOf, (*request).finished, false)
}
