package peer

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/foreign"
)

// Identities between the definitions, on answers of one token an event that open with text.
func TestIdentities(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := drawRun(t)
		var tokens, chunks, toLast, toEnd, after float64 // sums over the answers, the times in seconds
		for i := range samples {
			s := &samples[i]
			tokens, chunks = tokens+float64(s.OutputTokens), chunks+float64(s.Events)
			toLast, toEnd = toLast+s.LastContent.Sub(s.Sent).Seconds(), toEnd+s.End.Sub(s.Sent).Seconds()
			after += s.LastContent.Sub(s.FirstContent).Seconds()
		}
		n := float64(len(samples))
		s, out := summarised(t, point(1), background, samples), map[string]*Printout{}
		for _, name := range Names() {
			out[name] = printedBeside(t, name, s, background, samples)
		}
		v := func(tool, name string) float64 { return out[tool].value(t, name) }

		// Where the first event has text and an event is a token, these are ours.
		for _, tool := range []string{"vllm", "aiperf", "sglang"} {
			for i := range out[tool].Rows {
				r := &out[tool].Rows[i]
				same := strings.Contains(r.Name, "TTFT") || strings.Contains(r.Name, "First Token") || strings.Contains(r.Name, "ITL") || strings.Contains(r.Name, "Inter Token") ||
					tool == "vllm" && (strings.Contains(r.Name, "TPOT") || strings.Contains(r.Name, "E2EL"))
				if same && (r.Difference == nil || r.Differs()) {
					t.Fatalf("%s: %s is %v, ours %v", tool, r.Name, *r.Value, *r.OursValue)
				}
			}
		}
		for _, law := range []struct {
			name string
			a, b float64
		}{
			{"GuideLLM: TPOT, weighed by N, × ΣN = Σ(last − sent)", weighedMean(t, "guidellm", "TPOT ms", samples) * tokens, 1000 * toLast},
			{"GuideLLM: ITL, weighed by N − 1, × Σ(N − 1) = Σ(last − first)", weighedMean(t, "guidellm", "ITL ms", samples) * (tokens - n), 1000 * after},
			{"LLMPerf: Σ ITL·chunks = Σ(last − sent)", sumOf(t, "llmperf", "inter_token_latency_s", samples, func(q *request) float64 { return float64(q.events) }), toLast},
			{"inference-perf: Σ NTPOT·N = Σ(end − sent)", sumOf(t, "inference-perf", "successes.latency.normalized_time_per_output_token", samples, func(q *request) float64 { return float64(q.output) }), toEnd},
			{"inference-perf: mean ITL × Σ(N − 1) = Σ(last − first)", v("inference-perf", "successes.latency.inter_token_latency.mean") * (tokens - n), after},
			{"vLLM: mean ITL × Σ(chunks − 1) = Σ(last − first)", v("vllm", "Mean ITL (ms):") * (chunks - n), 1000 * after},
			{"SGLang: concurrency = request throughput × mean E2E", v("sglang", "Concurrency:"), v("sglang", "Request throughput (req/s):") * v("sglang", "Mean E2E Latency (ms):") / 1000},
			{"AIPerf: throughput × duration = N", v("aiperf", "Output Token Throughput (tokens/sec)") * v("aiperf", "Benchmark Duration (sec)"), tokens},
			{"LLMPerf: requests a minute = 60 × vLLM's a second, without a warm-up", v("llmperf", "Completed Requests Per Minute"), 60 * v("vllm", "Request throughput (req/s):")},
			{"GuideLLM: concurrency × duration = Σ(end − sent)", v("guidellm", "Requests Concurrency Mean") * v("guidellm", "Timings Dur Sec"), toEnd},
		} {
			if !near(law.a, law.b) {
				t.Fatalf("%s: %v is not %v", law.name, law.a, law.b)
			}
		}
	})
}

// gathered gives a metric of a tool and the requests that it looks at.
func gathered(t rapid.TB, tool, name string, samples []experiment.Sample) (*Metric, *run) {
	t.Helper()
	tl, _ := ByName(tool)
	r, err := gather(&tl, point(1), background, sequence(samples))
	if err != nil {
		t.Fatal(err)
	}
	for i := range tl.Metrics {
		if tl.Metrics[i].Name == name {
			return &tl.Metrics[i], r
		}
	}
	t.Fatalf("%s has no %s", tool, name)
	return nil, nil
}

// weighedMean is the mean of a metric by its own weights.
func weighedMean(t rapid.TB, tool, name string, samples []experiment.Sample) float64 {
	m, r := gathered(t, tool, name, samples)
	d := m.distribution(r)
	return d.mean()
}

// sumOf sums a metric's values, each times a number of its request.
func sumOf(t rapid.TB, tool, name string, samples []experiment.Sample, times func(*request) float64) float64 {
	m, r := gathered(t, tool, name, samples)
	sum := 0.0
	for q := range r.successes() {
		if v, ok := m.each(q); ok {
			sum += v * times(q)
		}
	}
	return sum
}

// The table of vLLM agrees with the file that `run --save-result` writes in vLLM's form, on
// answers that open with the role, bundle tokens, fail, or are warm-up.
func TestVLLMAgreesWithItsFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := drawRun(t)
		for i := range samples {
			s := &samples[i]
			s.FirstEvent = s.FirstContent.Add(-time.Duration(rapid.IntRange(0, 900).Draw(t, "role")) * time.Microsecond)
			s.OutputTokens += rapid.IntRange(0, 3).Draw(t, "bundled")
			s.Scheduled = max(0, s.Sent.Add(-time.Duration(rapid.IntRange(0, 9).Draw(t, "late"))*time.Millisecond))
			if i > 0 && rapid.IntRange(0, 5).Draw(t, "fate") == 0 {
				s.Outcome = experiment.Timeout
			}
		}
		warmup := changed(answer(0, 5, 10), func(s *experiment.Sample) { s.Phase = experiment.Warmup })
		samples = append(samples, warmup)
		e := &experiment.Experiment{Spec: experiment.DefaultSpec()}
		e.Spec.Stream = true
		slo, err := experiment.ParseSLO("ttft<250ms tpot<4ms")
		if err != nil {
			t.Fatal(err)
		}
		e.Spec.SLO = slo
		p := point(4)
		var b strings.Builder
		if err := foreign.WriteVLLM(&b, foreign.VLLMResult{Experiment: e, Point: p, Samples: sequence(samples), Goodput: slo, Percentiles: []float64{99}}); err != nil {
			t.Fatal(err)
		}
		var file map[string]any
		if err := json.Unmarshal([]byte(b.String()), &file); err != nil {
			t.Fatal(err)
		}
		out := printed(t, "vllm", p, &e.Spec, samples...)
		for name, key := range map[string]string{
			"Successful requests:": "completed", "Failed requests:": "failed", "Benchmark duration (s):": "duration", "Total input tokens:": "total_input_tokens",
			"Total generated tokens:": "total_output_tokens", "Request throughput (req/s):": "request_throughput", "Request goodput (req/s):": "request_goodput",
			"Output token throughput (tok/s):": "output_throughput", "Total token throughput (tok/s):": "total_token_throughput",
			"Peak output token throughput (tok/s):": "max_output_tokens_per_s", "Peak concurrent requests:": "max_concurrent_requests", "Maximum request concurrency:": "max_concurrency",
			"Mean TTFT (ms):": "mean_ttft_ms", "Median TTFT (ms):": "median_ttft_ms", "P99 TTFT (ms):": "p99_ttft_ms",
			"Mean TPOT (ms):": "mean_tpot_ms", "Median TPOT (ms):": "median_tpot_ms", "P99 TPOT (ms):": "p99_tpot_ms",
			"Mean ITL (ms):": "mean_itl_ms", "Median ITL (ms):": "median_itl_ms", "P99 ITL (ms):": "p99_itl_ms",
			"Mean E2EL (ms):": "mean_e2el_ms", "Median E2EL (ms):": "median_e2el_ms", "P99 E2EL (ms):": "p99_e2el_ms",
		} {
			if got, want := out.value(t, name), file[key].(float64); !near(got, want) {
				t.Fatalf("%s is %v, and %s in the file is %v", name, got, key, want)
			}
		}
	})
}

// What stands beside a tool's figure is what the summary says.
func TestOursIsTheSummary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := drawRun(t)
		s := summarised(t, point(1), background, samples)
		out := printedBeside(t, "inference-perf", s, background, samples)
		for name, d := range map[string]analysis.Distribution{"time_to_first_token": s.TTFT, "time_per_output_token": s.TPOT, "inter_token_latency": s.ICL, "request_latency": s.E2E} {
			for stat, want := range map[string]float64{"mean": d.Mean, "min": d.Min, "max": d.Max, "median": d.P50.Value, "p95": d.P95.Value, "p99": d.P99.Value} {
				r := out.row(t, "successes.latency."+name+"."+stat)
				if !near(*r.OursValue, want) {
					t.Fatalf("beside %s stands %v, and the summary says %v", r.Name, *r.OursValue, want)
				}
			}
		}
	})
}

// An error of the samples is the printout's, whichever reading meets it.
func TestErrorOfTheSamples(t *testing.T) {
	broken := errors.New("the disk is gone")
	for fails := range 2 {
		reading := -1
		samples := func(yield func(experiment.Sample, error) bool) {
			if reading++; reading == fails {
				yield(experiment.Sample{}, broken)
			}
		}
		if _, err := vllm.Print(background, &analysis.PointSummary{}, samples); !errors.Is(err, broken) {
			t.Errorf("reading %d fails with %v", fails+1, err)
		}
	}
}
