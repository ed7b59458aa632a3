package peer

import "github.com/inferbook/inferbook/experiment"

const (
	llamaTokens = "the tokens as this run counted them stand in for those of the Llama tokenizer that it uses for every model."
	wholeClock  = "it divides by the whole wall clock and counts the warm-up too; we count the window."
)

var llmperf = Tool{
	Name: "llmperf", Title: "LLMPerf",
	Source: "ray-project/llmperf token_benchmark_ray.py at f1d6bed and openai_chat_completions_client.py at 0451d33",
	Population: "It has no warm-up: every request counts from the first on, and the clock runs from before the first thread starts until the last has ended. " +
		"So our warm-up requests are counted, which in a closed loop have other lengths, so that its users do not go in step; those of the cool-down are beyond the number that it would have asked for. " +
		"A run with --warmup 0 measures what it does.",
	Phases:     []experiment.Phase{experiment.Warmup, experiment.Measured},
	Percentile: "Percentiles are pandas' linear ones, which are ours; stddev is that of a sample (n − 1).",
	Assumed: []string{
		"Its clients are Ray actors whose own delays are in its times; ours are those of this client.",
		"It prints all decimals; six digits are shown.",
	},
	label: "%[1]s %[2]s", decimals: exact,
	stats: []Stat{percent("p25", 25), percent("p50", 50), percent("p75", 75), percent("p90", 90), percent("p95", 95), percent("p99", 99), mean("mean"), minimum("min"), maximum("max"), std("stddev")},
	Metrics: []Metric{
		{Name: "inter_token_latency_s", Unit: "s", Word: "itl", Formula: "(last chunk with content − sent) ÷ chunks, one value a request: the wait for the first token is in it, and chunks without text count", Ours: "tpot", scale: 1000,
			Why:           "it spreads the wait for the first token over the chunks, and divides by all chunks and not by the tokens after the first.",
			Approximation: "the chunks are those with text and one that came before them; a last chunk without text, which it counts too, is not in a sample.",
			Needs:         needsStream, each: func(q *request) (float64, bool) {
				s, ok := seconds(q.sent, q.last)
				chunks := q.events
				if _, opened := q.opened(); opened {
					chunks++
				}
				return s / float64(chunks), ok && chunks > 0
			}},
		{Name: "ttft_s", Unit: "s", Word: "ttft", Formula: "first chunk with content − sent; reasoning does not count", Ours: "ttft", scale: 1000,
			Why: "it counts the warm-up requests too, and does not see reasoning.", Needs: needsStream,
			each: func(q *request) (float64, bool) { return seconds(q.sent, q.content) }},
		{Name: "end_to_end_latency_s", Unit: "s", Word: "e2e", Formula: "end of the answer − sent", Ours: "e2e", scale: 1000,
			Why: "it counts the warm-up requests too, and ends when the connection is done; we end at the last text.", Needs: "a success",
			each: func(q *request) (float64, bool) { return seconds(q.sent, q.end) }},
		{Name: "request_output_throughput_token_per_s", Unit: "token/s", Word: "interactivity", Formula: "N ÷ end_to_end_latency_s, one value a request: the wait for the first token is in it", Ours: "interactivity", oursAt: "p50",
			Why:           "the wait for the first token is in it, and in ours only the time between tokens.",
			Approximation: llamaTokens, Needs: "the tokens of an answer", each: func(q *request) (float64, bool) {
				n, known := count(q.answer())
				s, ok := seconds(q.sent, q.end)
				return n / s, known && ok && s > 0
			}},
		{Name: "number_input_tokens", Unit: "token", Formula: "prompt tokens by the Llama tokenizer", Ours: "mean_prompt", Approximation: llamaTokens,
			Why: "it counts the warm-up requests too.", Needs: "the tokens of a prompt", each: func(q *request) (float64, bool) { return count(q.prompt) }},
		{Name: "number_output_tokens", Unit: "token", Formula: "tokens of the content by the Llama tokenizer", Ours: "mean_output", Approximation: llamaTokens,
			Why: "it counts the warm-up requests too, and no reasoning.", Needs: "the tokens of an answer", each: func(q *request) (float64, bool) { return count(q.answer()) }},
		{Name: "Number Of Errored Requests", Formula: "requests that raised an exception", count: true, whole: (*run).failed, Needs: "requests"},
		{Name: "Overall Output Throughput", Unit: "token/s", Word: "output_throughput", Formula: "output tokens of the successes ÷ wall clock", Ours: "output_throughput", Why: wholeClock, Approximation: llamaTokens,
			Needs: "the output tokens of every answer", whole: func(r *run) float64 { return per(r.answerTokens(), llmperfClock(r)) }},
		{Name: "Number Of Completed Requests", Formula: "successes", count: true, whole: (*run).completed, Needs: "requests"},
		{Name: "Completed Requests Per Minute", Unit: "req/min", Word: "request_rate", Formula: "60 × successes ÷ wall clock", Ours: "request_rate", scale: 1.0 / 60, Why: wholeClock,
			Needs: "requests", whole: func(r *run) float64 { return 60 * per(r.completed(), llmperfClock(r)) }},
	},
}

func llmperfClock(r *run) float64 { return r.span(sentOf, endOf, true) }
