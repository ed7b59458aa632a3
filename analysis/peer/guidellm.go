package peer

import (
	"cmp"
	"slices"

	"github.com/inferbook/inferbook/experiment"
)

const (
	weightedWhy = "Its median and p95 weigh a request by its tokens and are values of the sample."
	tokenSpan   = "it divides by the time from the first token of all to the last, and we by the window."
)

var typical = []Stat{percent("Mdn", 50), percent("p95", 95)}

var guideLLM = Tool{
	Name: "guidellm", Title: "GuideLLM",
	Source: "vllm-project/guidellm src/guidellm: schemas/request_stats.py and benchmark/schemas/generative/metrics.py at 06cef29, schemas/statistics.py at 03820eb, benchmark/outputs/console.py at 00f110c",
	Population: "It counts the requests within its measurement: all of them where neither warm-up nor cool-down is configured, else those between. " +
		"Ours are configured, so both are left out.",
	Phases:     measured,
	Percentile: "Percentiles are values of the sample and never between two: the first whose cumulated weight reaches the share. TPOT weighs a request by its tokens, ITL by its tokens less one.",
	Assumed: []string{
		"Its clock is the wall clock, which can step; ours is monotonic.",
		"Requests that failed are left out of the rates, to which it adds what they had got.",
		"It prints no more than these of the console's tables; its counts of words and characters need the text.",
	},
	label: "%[1]s %[2]s", decimals: 1, steps: true, stats: typical,
	Metrics: []Metric{
		{Name: "Timings Dur Sec", Unit: "s", Formula: "end − start of the measurement", Ours: "window",
			Why: "it has the start of the load and its end in it; our window is the steady part.", Needs: "requests", whole: guideDuration},
		{Name: "Input Tokens Comp Tot", Unit: "tok", Formula: "prompt tokens of completed requests", whole: (*run).promptTokens, Needs: "the prompt tokens of every request"},
		{Name: "Output Tokens Comp Tot", Unit: "tok", Formula: "output tokens of completed requests, by the usage object, else the iterations", whole: (*run).outputTokens, Needs: "the output tokens of every answer"},
		{Name: "Input Tok Per Req", Unit: "tok", Formula: "prompt tokens of a completed request", Needs: "the tokens of a prompt", each: func(q *request) (float64, bool) { return count(q.prompt) }},
		{Name: "Output Tok Per Req", Unit: "tok", Formula: "output tokens of a completed request", Needs: "the tokens of an answer", each: func(q *request) (float64, bool) { return count(q.output) }},
		{Name: "Total Tok Per Req", Unit: "tok", Formula: "both", Needs: "the tokens of prompt and answer", each: func(q *request) (float64, bool) {
			in, _ := count(q.prompt)
			out, ok := count(q.output)
			return in + out, ok && q.prompt != experiment.Unknown
		}},
		{Name: "Stream Iter Per Req", Formula: "events of the stream, with text or not", Needs: "the count of all events; a sample has those with text", stats: typical},
		{Name: "Output Tok Per Stream Iter", Unit: "tok", Formula: "1 for the first event with text, (N − 1) ÷ (events − 1) for each other", Needs: needsBoth, list: tokensPerIteration},
		{Name: "Request Latency Sec", Unit: "s", Word: "e2e", Formula: "end of the request − its start", Ours: "e2e", scale: 1000,
			Why: "it ends with the request, after the last text; its percentiles are values of the sample.", Needs: "a success",
			each: func(q *request) (float64, bool) { return seconds(q.sent, q.end) }},
		{Name: "TTFT ms", Unit: "ms", Word: "ttft", Formula: "first event with content, reasoning or a tool call − start; 0 where there is none", Ours: "ttft",
			Why: "its percentiles are values of the sample.", Needs: needsStream,
			each: func(q *request) (float64, bool) { return q.from(q.sent, q.text) }},
		{Name: "ITL ms", Unit: "ms", Word: "itl", Formula: "(last token − first token) ÷ (N − 1), one value a request, weighed by N − 1", Ours: "tpot",
			Why: "it takes the first event for one token. " + weightedWhy, Needs: needsBoth,
			each:  func(q *request) (float64, bool) { return q.perToken(q.text, q.last) },
			share: func(q *request) float64 { return float64(q.output - 1) }},
		{Name: "TPOT ms", Unit: "ms", Word: "tpot", Formula: "(last token − start) ÷ N, one value a request, weighed by N: the wait for the first token is in it", Ours: "tpot",
			Why: "it divides by all N tokens and counts the first token's wait. " + weightedWhy, Needs: "the tokens of an answer",
			each: func(q *request) (float64, bool) {
				ms, ok := milliseconds(q.sent, q.finished())
				return ms / float64(q.output), ok && q.output > 0
			},
			share: func(q *request) float64 { return float64(q.output) }},
		{Name: "Requests Concurrency", Unit: "requests", Formula: "requests in flight, weighed by how long", Ours: "mean_inflight", stats: []Stat{percent("Mdn", 50), mean("Mean")},
			Why: "it looks at the whole measurement, in which the load builds up and runs dry.", Needs: "requests", list: inFlight},
		{Name: "Requests Per Sec Mean", Unit: "req/s", Word: "request_rate", Formula: "requests that ended ÷ measurement", Ours: "request_rate",
			Why: "it divides by the whole measurement, and we by the window.", Needs: "requests",
			whole: func(r *run) float64 { return per(float64(len(r.requests)), guideDuration(r)) }},
		{Name: "Input Tokens Per Sec Mean", Unit: "tok/s", Formula: "prompt tokens ÷ (last − first of the first tokens)", Needs: "two streamed answers and the prompt tokens of every request",
			whole: func(r *run) float64 { return per(r.promptTokens(), r.span(textOf, textOf, false)) }},
		{Name: "Output Tokens Per Sec Mean", Unit: "tok/s", Word: "output_throughput", Formula: "output tokens ÷ (last token − first token of all)", Ours: "output_throughput", Why: tokenSpan,
			Needs: "streamed answers and the tokens of each", whole: func(r *run) float64 { return per(r.outputTokens(), r.span(textOf, lastOf, false)) }},
		{Name: "Total Tokens Per Sec Mean", Unit: "tok/s", Word: "total_throughput", Formula: "prompt and output tokens ÷ (last token − first token of all)", Ours: "total_throughput", Why: tokenSpan,
			Needs: "streamed answers and the tokens of each", whole: func(r *run) float64 { return per(r.promptTokens()+r.outputTokens(), r.span(textOf, lastOf, false)) }},
	},
}

func guideDuration(r *run) float64 { return r.span(sentOf, endOf, true) }

// tokensPerIteration takes the tokens after the first to be spread evenly over the events
// after the first.
func tokensPerIteration(r *run) []weighted {
	var list []weighted
	for q := range r.successes() {
		if q.output < 2 || q.events < 2 {
			continue
		}
		others := float64(q.events - 1)
		list = append(list, weighted{1, 1}, weighted{float64(q.output-1) / others, others})
	}
	return list
}

// inFlight gives each number of requests in flight with the seconds for which it was so.
func inFlight(r *run) []weighted {
	type change struct {
		at experiment.Instant
		by float64
	}
	var changes []change
	for i := range r.requests {
		if q := &r.requests[i]; q.end.Happened() {
			changes = append(changes, change{q.sent, 1}, change{q.end, -1})
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Compare(a.at, b.at) })
	var list []weighted
	now := 0.0
	for i, c := range changes {
		now += c.by
		if i+1 < len(changes) && changes[i+1].at > c.at {
			list = append(list, weighted{now, changes[i+1].at.Sub(c.at).Seconds()})
		}
	}
	return list
}
