package peer

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// Each tool on one awkward answer, by hand from the times in [awkward].
func TestAwkwardAnswer(t *testing.T) {
	for _, c := range []struct {
		tool, name string
		want       float64
	}{
		{"vllm", "Mean TTFT (ms):", 100},           // the event with the role alone
		{"vllm", "Mean TPOT (ms):", 500.0 / 9},     // from there, and one token in it
		{"vllm", "Mean ITL (ms):", 125},            // 100 to the first text, then 100, 100, 200
		{"vllm", "P99 ITL (ms):", 197},             // of those four
		{"vllm", "Mean E2EL (ms):", 600},           // to the last text
		{"vllm", "Benchmark duration (s):", 0.655}, // from when it was due
		{"sglang", "Mean TTFT (ms):", 200},         // reasoning is text
		{"sglang", "Mean TPOT (ms):", 50},          // to the end, at 650
		{"sglang", "Mean E2E Latency (ms):", 650},  //
		{"sglang", "Max ITL (ms):", 200},           // events with text alone
		{"sglang", "Concurrency:", 650.0 / 655},    //
		{"aiperf", "Time to First Token (ms) avg", 200},
		{"aiperf", "Time to Second Token (ms) avg", 100},
		{"aiperf", "Time to First Output Token (ms) avg", 300}, // the answer after the reasoning
		{"aiperf", "Request Latency (ms) avg", 600},
		{"aiperf", "Inter Token Latency (ms) avg", 400.0 / 9},
		{"aiperf", "Output Token Throughput Per User (tokens/sec/user) p50", 22.5},
		{"aiperf", "Output Sequence Length (tokens) avg", 10}, // with its reasoning
		{"genai-perf", "Time to first token (ms) avg", 300},   // it does not see reasoning
		{"genai-perf", "Inter token latency (ms) avg", 300.0 / 7},
		{"genai-perf", "Output sequence length avg", 8},
		{"genai-perf", "Output token throughput (per sec)", 8 / 0.6},
		{"guidellm", "TTFT ms Mdn", 200},
		{"guidellm", "ITL ms Mdn", 400.0 / 9},
		{"guidellm", "TPOT ms Mdn", 60}, // 600 ÷ 10: the wait is in it
		{"guidellm", "Request Latency Sec p95", 0.65},
		{"guidellm", "Output Tokens Per Sec Mean", 25},    // 10 from 200 to 600
		{"guidellm", "Output Tok Per Stream Iter p95", 3}, // 9 tokens over 3 events
		{"llmperf", "inter_token_latency_s mean", 0.12},   // 600 over the role and four others
		{"llmperf", "ttft_s mean", 0.3},                   //
		{"llmperf", "end_to_end_latency_s mean", 0.65},    //
		{"llmperf", "request_output_throughput_token_per_s p50", 8 / 0.65},
		{"inference-perf", "load_summary.schedule_delay.mean", 0.005},
		{"inference-perf", "successes.latency.time_to_first_token.mean", 0.3},
		{"inference-perf", "successes.latency.time_per_output_token.mean", 0.3 / 7},
		{"inference-perf", "successes.latency.normalized_time_per_output_token.mean", 0.65 / 8},
		{"inference-perf", "successes.latency.inter_token_latency.mean", 0.3 / 7}, // 100, 200 and five zeros
		{"inference-perf", "successes.latency.inter_token_latency.median", 0},
	} {
		if got := printed(t, c.tool, point(1), background, awkward()).value(t, c.name); !near(got, c.want) {
			t.Errorf("%s: %s is %v, want %v", c.tool, c.name, got, c.want)
		}
	}
	// Ours: from the first text, less the two tokens that came with it.
	r := printed(t, "vllm", point(1), background, awkward()).row(t, "Mean TPOT (ms):")
	if r.Ours != "tpot@1 mean" || *r.OursValue != 50 || !near(*r.Difference, 500.0/9/50-1) || !r.Differs() {
		t.Errorf("beside vLLM's TPOT stands %+v", r)
	}
}

// Who counts what: a warm-up request, a failed one, a cool-down.
func TestWhoIsCounted(t *testing.T) {
	samples := []experiment.Sample{
		changed(answer(0, 100, 200), func(s *experiment.Sample) { s.Phase = experiment.Warmup }),
		answer(300, 100, 200), answer(600, 100, 200),
		changed(answer(900, 100), func(s *experiment.Sample) { s.Outcome = experiment.Truncated }),
		changed(answer(1200, 100, 200), func(s *experiment.Sample) { s.Phase = experiment.Cooldown }),
		changed(experiment.NewSample(9), func(s *experiment.Sample) { s.Outcome = experiment.Cancelled }), // never sent
	}
	for _, c := range []struct {
		tool             string
		requests, failed int
		duration         string
		seconds          float64
	}{
		{"vllm", 3, 1, "Benchmark duration (s):", 0.7},
		{"guidellm", 3, 1, "Timings Dur Sec", 0.7},
		{"inference-perf", 3, 1, "benchmark_time_seconds", 0.7},
		{"aiperf", 3, 1, "Benchmark Duration (sec)", 0.5}, // of the successes
		{"llmperf", 4, 1, "", 0},                          // the warm-up too
	} {
		out := printed(t, c.tool, point(1), background, samples...)
		if out.Requests != c.requests || out.Failed != c.failed {
			t.Errorf("%s counts %d requests, %d failed; want %d and %d", c.tool, out.Requests, out.Failed, c.requests, c.failed)
		}
		if c.duration != "" && !near(out.value(t, c.duration), c.seconds) {
			t.Errorf("%s: %s is %v, want %v", c.tool, c.duration, out.value(t, c.duration), c.seconds)
		}
	}
	if got := printed(t, "llmperf", point(1), background, samples...).value(t, "Completed Requests Per Minute"); !near(got, 180) {
		t.Errorf("LLMPerf completes %v requests a minute, want 180: three in a second", got)
	}
}

// What a sample does not hold is missing, and says what it needs.
func TestMissing(t *testing.T) {
	whole := changed(answer(0, 100), func(s *experiment.Sample) {
		s.FirstEvent, s.FirstContent, s.LastContent, s.Events = experiment.Never, experiment.Never, experiment.Never, 0
	})
	uncounted := changed(answer(0, 100, 200), func(s *experiment.Sample) { s.Counted, s.OutputTokens = experiment.CountedNone, experiment.Unknown })
	bundled := changed(answer(0, 100, 200), func(s *experiment.Sample) { s.OutputTokens = 5 }) // two events, who knows which
	for _, c := range []struct {
		sample           experiment.Sample
		tool, name, want string
	}{
		{whole, "vllm", "Mean TTFT (ms):", "needs a streamed answer"},
		{whole, "vllm", "Peak output token throughput (tok/s):", "needs a streamed answer"},
		{uncounted, "vllm", "Mean TPOT (ms):", "and their count"},
		{uncounted, "vllm", "Output token throughput (tok/s):", "the output tokens of every answer"},
		{uncounted, "guidellm", "TPOT ms Mdn", "the tokens of an answer"},
		{uncounted, "llmperf", "number_output_tokens mean", "the tokens of an answer"},
		{bundled, "inference-perf", "successes.latency.inter_token_latency.mean", "the tokens of each chunk"},
		{bundled, "sglang", "Total generated tokens (retokenized):", "tokenizer"},
		{bundled, "guidellm", "Stream Iter Per Req", "all events"},
	} {
		r := printed(t, c.tool, point(1), background, c.sample).row(t, c.name)
		if r.Value != nil || r.Difference != nil || !strings.HasPrefix(r.Missing, "not computable: ") || !strings.Contains(r.Missing, c.want) {
			t.Errorf("%s: %s is %+v, want it to say %q", c.tool, c.name, r, c.want)
		}
	}
	if got := printed(t, "vllm", point(1), background, whole).value(t, "Mean E2EL (ms):"); got != 100 {
		t.Errorf("an answer that was not streamed takes %v ms, want 100", got)
	}
}

// An open loop has its own rows, and an SLO a goodput.
func TestRowsForTheLoad(t *testing.T) {
	open := point(0)
	open.Load = experiment.Load{Rate: 5}
	slo, err := experiment.ParseSLO("ttft<150ms tpot.p95<150ms")
	if err != nil {
		t.Fatal(err)
	}
	spec := &experiment.Spec{SLO: slo, MaxConcurrency: 4}
	samples := []experiment.Sample{answer(0, 100, 200), answer(200, 100, 300), answer(400, 100)} // the third has one token
	for _, c := range []struct {
		tool, name string
		want       float64
	}{
		{"vllm", "Request rate configured (RPS):", 5},
		{"vllm", "Maximum request concurrency:", 4},
		{"vllm", "Request goodput (req/s):", 4},               // the first and the third, whose TPOT it takes for 0, of 0.5 s
		{"aiperf", "Goodput (requests/sec)", 2},               // the first
		{"inference-perf", "load_summary.achieved_rate", 7.5}, // three by the two gaps between them
	} {
		if got := printed(t, c.tool, open, spec, samples...).value(t, c.name); !near(got, c.want) {
			t.Errorf("%s: %s is %v, want %v", c.tool, c.name, got, c.want)
		}
	}
	mixed := point(2)
	mixed.Load.Rate = 5
	if got := printed(t, "vllm", mixed, background, samples...); slices.ContainsFunc(got.Rows, func(r Row) bool { return strings.HasPrefix(r.Name, "Maximum") }) {
		t.Error("a rate beside a closed loop is capped by the loop")
	}
	closed := printed(t, "vllm", point(2), background, samples...)
	for _, absent := range []string{"Request rate configured (RPS):", "Request goodput (req/s):"} {
		if slices.ContainsFunc(closed.Rows, func(r Row) bool { return r.Name == absent }) {
			t.Errorf("a closed loop without an SLO has the row %s", absent)
		}
	}
}

// The statistics: linear between values, values alone by weight, and the two deviations.
func TestStatistics(t *testing.T) {
	d := newDistribution([]weighted{{4, 1}, {1, 1}, {2, 1}, {3, 1}})
	tokens := newDistribution([]weighted{{1, 90}, {2, 6}, {3, 4}})
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"numpy's median", d.of(percent("", 50), false, false), 2.5},
		{"numpy's p90", d.of(percent("", 90), false, false), 3.7},
		{"of counted values", tokens.of(percent("", 95), false, false), 2}, // rank 94.05 of 0 to 99
		{"a value of the sample", d.of(percent("", 50), true, false), 2},
		{"by weight", tokens.of(percent("", 95), true, false), 2},
		{"the last", tokens.of(percent("", 97), true, false), 3},
		{"of the population", d.of(std(""), false, false), math.Sqrt(1.25)},
		{"of a sample", d.of(std(""), false, true), math.Sqrt(5.0 / 3)},
		{"weighted mean", tokens.of(mean(""), false, false), 1.14},
		{"least", d.of(minimum(""), false, false), 1},
		{"most", d.of(maximum(""), false, false), 4},
	} {
		if !near(c.got, c.want) {
			t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
		}
	}
	none, one := newDistribution(nil), newDistribution([]weighted{{1, 1}})
	if !math.IsNaN(none.of(mean(""), false, false)) || !math.IsNaN(one.of(std(""), false, true)) {
		t.Error("nothing has a mean, or one value a deviation of a sample")
	}
}

func TestToolsAreComplete(t *testing.T) {
	for _, tool := range Tools() {
		if tool.Title == "" || tool.Source == "" || tool.Population == "" || tool.Percentile == "" || len(tool.Phases) == 0 || len(tool.stats) == 0 || tool.label == "" {
			t.Errorf("%s is incomplete", tool.Name)
		}
		if found, ok := ByName(strings.ToUpper(strings.ReplaceAll(tool.Name, "-", "_"))); !ok || found.Name != tool.Name {
			t.Errorf("%s is not found in capitals", tool.Name)
		}
		for _, m := range tool.Metrics {
			ways := 0
			for _, there := range []bool{m.each != nil, m.list != nil, m.whole != nil} {
				if there {
					ways++
				}
			}
			our, known := analysis.MetricByName(m.Ours)
			switch {
			case m.Name == "" || m.Formula == "" || m.Needs == "":
				t.Errorf("%s: %q lacks a formula or what it needs", tool.Name, m.Name)
			case ways > 1:
				t.Errorf("%s: %s is computed in %d ways", tool.Name, m.Name, ways)
			case m.Ours != "" && !known:
				t.Errorf("%s: %s stands beside %q, which is no metric", tool.Name, m.Name, m.Ours)
			case m.Ours != "" && m.whole != nil && our.OfPoint == nil:
				t.Errorf("%s: %s is of a point and stands beside %s, which is of samples", tool.Name, m.Name, m.Ours)
			case m.Ours == "icl" && (!tool.within.gaps || !slices.Equal(tool.Phases, measured)):
				t.Errorf("%s: %s stands beside our gaps, which are of the measured requests, and the tool counts others or no gaps", tool.Name, m.Name)
			case m.share != nil && !tool.steps:
				t.Errorf("%s: %s has weights that are no counts, and percentiles between values", tool.Name, m.Name)
			}
		}
	}
	if _, ok := ByName("tokenomics"); ok {
		t.Error("there is a tool tokenomics")
	}
}
