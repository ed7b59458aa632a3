package foreign

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

func of(samples ...experiment.Sample) iter.Seq2[experiment.Sample, error] {
	return func(yield func(experiment.Sample, error) bool) {
		for _, s := range samples {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func ms(n int) experiment.Instant { return experiment.Instant(n) * 1e6 }

// four are a warm-up request, which enters nothing, and four measured ones.
func four() []experiment.Sample {
	warm := experiment.NewSample(0)
	warm.Phase, warm.Outcome, warm.Sent, warm.End, warm.LastContent = experiment.Warmup, experiment.OK, 0, ms(900), ms(900)

	plain := experiment.NewSample(1) // text at 1.1, 1.2 and 1.4 s
	plain.Scheduled, plain.Sent, plain.FirstEvent, plain.FirstContent, plain.LastContent, plain.End = ms(1000), ms(1000), ms(1100), ms(1100), ms(1400), ms(1410)
	plain.Gaps = []experiment.Gap{100e6, 200e6}
	plain.Outcome, plain.PromptTokens, plain.PromptAsked, plain.OutputTokens, plain.Output = experiment.OK, 10, 11, 3, "<a & b>"

	held := experiment.NewSample(2) // held back by 500 ms; a chunk with the role at 2.2 s; text at 2.3, 2.3 and 2.6 s
	held.Scheduled, held.Sent, held.FirstEvent, held.FirstReasoning, held.FirstContent, held.LastContent, held.End = ms(1500), ms(2000), ms(2200), ms(2300), ms(2600), ms(2600), ms(2600)
	held.Gaps = []experiment.Gap{experiment.SameRead, 300e6}
	held.Outcome, held.PromptAsked, held.OutputTokens = experiment.OK, 20, 5

	failed := experiment.NewSample(3)
	failed.Scheduled, failed.Sent, failed.End = ms(2000), ms(2000), ms(2250)
	failed.Outcome, failed.PromptAsked, failed.Error = experiment.HTTPError, 30, "429 Too Many Requests"

	short := experiment.NewSample(4) // one token, at 2.8 s, that nobody counted
	short.Scheduled, short.Sent, short.FirstEvent, short.FirstContent, short.LastContent, short.End = ms(2500), ms(2500), ms(2800), ms(2800), ms(2800), ms(3500)
	short.Outcome, short.PromptTokens = experiment.OK, 40
	return []experiment.Sample{warm, plain, held, failed, short}
}

func slo(t *testing.T, text string) experiment.SLO {
	t.Helper()
	s, err := experiment.ParseSLO(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// result is a point with a rate of 2 and a cap of 4.
func result(samples ...experiment.Sample) VLLMResult {
	spec := experiment.DefaultSpec()
	spec.Model, spec.Stream, spec.MaxConcurrency = "meta/llama", true, 4
	spec.Arrival = experiment.Arrival{Kind: experiment.PoissonArrival}
	return VLLMResult{
		Experiment: &experiment.Experiment{Number: 7, Spec: spec}, Point: experiment.Point{Load: experiment.Load{Rate: 2}},
		Samples: of(samples...), Date: time.Date(2026, 1, 5, 9, 7, 3, 0, time.UTC),
	}
}

func written(t testing.TB, r VLLMResult) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteVLLM(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// keysOf gives the keys of a JSON object in their order.
func keysOf(t testing.TB, text []byte) []string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	var keys []string
	for depth := 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return keys
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		default:
			if depth == 1 {
				keys = append(keys, token.(string))
				var value json.RawMessage
				if err := d.Decode(&value); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// The figures of the golden file are worked out by hand from the times in four.
func TestWriteVLLM(t *testing.T) {
	r := result(four()...)
	r.Detailed, r.Percentiles, r.Label = true, []float64{50, 99}, "lab"
	r.Goodput = slo(t, "ttft<250ms tpot<120ms tpot.p99<900ms errors<1%") // the request held back meets both; of two bounds the lower counts
	r.Metadata = map[string]string{"version": "0.3.3", "tp": "4", "completed": "no: a result stays"}
	got := written(t, r)
	golden, err := os.ReadFile("testdata/vllm.json")
	if err != nil {
		t.Fatal(err)
	}
	var have, want map[string]any
	if err := errors.Join(json.Unmarshal(got, &have), json.Unmarshal(golden, &want)); err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	if diff := cmp.Diff(want, have, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Error("(-want +got)\n", diff)
	}
	if !bytes.Contains(got, []byte("<a & b>")) || bytes.Count(got, []byte("\n")) != 1 {
		t.Errorf("the file is one line, and its texts are as they came:\n%s", got)
	}
}

const (
	headKeys     = "date endpoint_type backend label model_id tokenizer_id num_prompts request_rate burstiness max_concurrency "
	totalKeys    = "duration completed failed total_input_tokens total_output_tokens request_throughput request_goodput output_throughput total_token_throughput "
	peakKeys     = "max_output_tokens_per_s max_concurrent_requests rtfx "
	embedKeys    = "duration completed total_input_tokens total_input_sequences request_throughput input_sequence_throughput total_token_throughput "
	rampKeys     = "ramp_up_strategy ramp_up_start_rps ramp_up_end_rps "
	detailedKeys = "input_lens output_lens ttfts itls latencies start_times queue_times generated_texts errors "
)

func latencyKeys(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "mean_%[1]s_ms median_%[1]s_ms std_%[1]s_ms p99_%[1]s_ms ", n)
	}
	return b.String()
}

func TestVLLMKeys(t *testing.T) {
	generated := latencyKeys("ttft", "tpot", "itl", "e2el")
	for _, c := range []struct {
		name string
		set  func(*VLLMResult)
		want string
		head string // rate, burstiness and limit as they stand in the file
	}{
		{"--save-result alone keeps latencies and queue times", func(r *VLLMResult) {},
			headKeys + totalKeys + "latencies queue_times " + peakKeys + generated + latencyKeys("client_queue_time", "e2el_including_client_queue"),
			`"request_rate":2,"burstiness":1,"max_concurrency":4,`},
		{"--save-detailed", func(r *VLLMResult) { r.Detailed, r.Experiment.Spec.MaxConcurrency = true, 0 },
			headKeys + totalKeys + detailedKeys + peakKeys + generated,
			`"request_rate":2,"burstiness":1,"max_concurrency":null,`},
		{"a closed loop has no rate, and its workers are the limit", func(r *VLLMResult) {
			r.Experiment.Spec.Arrival, r.Point.Load = experiment.Arrival{}, experiment.Load{Concurrency: 8}
		}, headKeys + totalKeys + "latencies queue_times " + peakKeys + generated + latencyKeys("client_queue_time"),
			`"request_rate":"inf","burstiness":1,"max_concurrency":8,`},
		{"gamma", func(r *VLLMResult) {
			r.Experiment.Spec.Arrival = experiment.Arrival{Kind: experiment.GammaArrival, CV: 2}
		}, "",
			`"request_rate":2,"burstiness":0.25,"max_concurrency":4,`},
		{"even arrivals are infinitely little bursty", func(r *VLLMResult) { r.Experiment.Spec.Arrival.Kind = experiment.ConstantArrival }, "",
			`"request_rate":2,"burstiness":"inf","max_concurrency":4,`},
		{"a gamma process that is even", func(r *VLLMResult) {
			r.Experiment.Spec.Arrival = experiment.Arrival{Kind: experiment.GammaArrival, CV: 1e-200}
		}, "",
			`"request_rate":2,"burstiness":"inf","max_concurrency":4,`},
		{"bursts of another kind", func(r *VLLMResult) { r.Experiment.Spec.Arrival.Kind = experiment.OnOffArrival }, "",
			`"request_rate":2,"burstiness":null,"max_concurrency":4,`},
		{"a ramp has no rate", func(r *VLLMResult) {
			r.Experiment.Spec.Arrival = experiment.Arrival{Kind: experiment.RampArrival, From: 1, To: 3}
		}, headKeys + rampKeys + totalKeys + "latencies queue_times " + peakKeys + generated + latencyKeys("client_queue_time"),
			`"request_rate":"inf","burstiness":1,"max_concurrency":4,"ramp_up_strategy":"linear","ramp_up_start_rps":1,"ramp_up_end_rps":3,`},
		{"embeddings", func(r *VLLMResult) {
			r.Detailed, r.Experiment.Spec.Endpoint, r.Experiment.Spec.Stream, r.Experiment.Spec.MaxConcurrency = true, experiment.Embeddings, false, 0
		}, headKeys + embedKeys + "input_lens latencies queue_times errors " + latencyKeys("e2el"), `"request_rate":2,"burstiness":1,"max_concurrency":null,`},
	} {
		r := result(four()...)
		c.set(&r)
		got := written(t, r)
		if want := strings.Fields(c.want); c.want != "" && !slices.Equal(keysOf(t, got), want) {
			t.Errorf("%s: (-want +got)\n%s", c.name, cmp.Diff(want, keysOf(t, got)))
		}
		if !bytes.Contains(got, []byte(c.head)) {
			t.Errorf("%s: %s; want %s", c.name, got, c.head)
		}
	}
}

func TestVLLMEmbeddings(t *testing.T) {
	s := experiment.NewSample(0) // no event, so that the answer's end is its only time
	s.Scheduled, s.Sent, s.End, s.Outcome, s.PromptTokens = 0, ms(10), ms(60), experiment.OK, 8
	failed := experiment.NewSample(1)
	failed.Scheduled, failed.Outcome, failed.PromptAsked = ms(20), experiment.Refused, 9
	r := result(s, failed)
	r.Detailed, r.Experiment.Spec.Endpoint, r.Experiment.Spec.Stream = true, experiment.Embeddings, false
	var got map[string]any
	if err := json.Unmarshal(written(t, r), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"duration": 0.06, "completed": 1.0, "total_input_tokens": 8.0, "total_input_sequences": 1.0, "request_throughput": 1 / 0.06,
		"total_token_throughput": 8 / 0.06, "mean_e2el_ms": 50.0, "p99_client_queue_time_ms": 10.0, "endpoint_type": "openai-embeddings",
		"input_lens": []any{8.0, 9.0}, "latencies": []any{0.05, 0.0}, "queue_times": []any{0.01, 0.0}, "errors": []any{"", "refused"},
	} {
		if diff := cmp.Diff(want, got[key], cmpopts.EquateApprox(1e-9, 0)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", key, diff)
		}
	}
}

func TestVLLMName(t *testing.T) {
	for _, c := range []struct {
		set  func(*VLLMResult)
		want string
	}{
		{func(r *VLLMResult) {}, "openai-chat-2.0qps-concurrency4-llama-20260105-090703.json"},
		{func(r *VLLMResult) { r.Experiment.Spec.MaxConcurrency, r.Point.Load.Rate = 0, 2.25 }, "openai-chat-2.25qps-llama-20260105-090703.json"},
		{func(r *VLLMResult) { r.Point.Load, r.Backend = experiment.Load{Concurrency: 8}, "vllm" }, "vllm-infqps-concurrency8-llama-20260105-090703.json"},
		{func(r *VLLMResult) { r.Label, r.Point.Load.Rate = "a/b", 1e-5 }, "a-b-1e-05qps-concurrency4-llama-20260105-090703.json"},
		{func(r *VLLMResult) {
			r.Experiment.Spec.Arrival, r.Experiment.Spec.Endpoint = experiment.Arrival{Kind: experiment.RampArrival, From: 1, To: 20}, experiment.Completions
		}, "openai-ramp-up-linear-1qps-20qps-concurrency4-llama-20260105-090703.json"},
		{func(r *VLLMResult) { r.Experiment.Spec.Endpoint, r.Experiment.Spec.Model = experiment.Responses, "gpt" }, "openai-responses-2.0qps-concurrency4-gpt-20260105-090703.json"},
	} {
		r := result()
		c.set(&r)
		if got := VLLMName(r); got != c.want {
			t.Errorf("%s; want %s", got, c.want)
		}
	}
}

func TestVLLMRefuses(t *testing.T) {
	broken := func(yield func(experiment.Sample, error) bool) {
		yield(experiment.Sample{}, errors.New("the disk has gone"))
	}
	for _, c := range []struct {
		want string
		set  func(*VLLMResult)
	}{
		{"point 0 of exp-7 has no measured request", func(r *VLLMResult) { r.Samples = of(four()[0]) }},
		{"the disk has gone", func(r *VLLMResult) { r.Samples = broken }},
		{"were not streamed", func(r *VLLMResult) { r.Experiment.Spec.Stream = false }},
		{"closed and open loops at once", func(r *VLLMResult) { r.Point.Load.Concurrency = 3 }},
		{"101 is not a percentile", func(r *VLLMResult) { r.Percentiles = []float64{101} }},
	} {
		r := result(four()...)
		c.set(&r)
		var b bytes.Buffer
		if err := WriteVLLM(&b, r); err == nil || !strings.Contains(err.Error(), "writing a vLLM result: ") || !strings.Contains(err.Error(), c.want) || b.Len() > 0 {
			t.Errorf("%v, with %d bytes written; want %q", err, b.Len(), c.want)
		}
	}
}

// Whatever a point holds, its file is JSON, in which there is no NaN, and the gaps
// of an answer lead from its first chunk to its last.
func TestVLLMIsAlwaysJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		instant := rapid.OneOf(rapid.Just(experiment.Never), rapid.Map(rapid.Int64Range(0, 1<<45), func(n int64) experiment.Instant { return experiment.Instant(n) }))
		count := rapid.IntRange(-1, 1<<20)
		samples := make([]experiment.Sample, rapid.IntRange(1, 6).Draw(t, "samples"))
		for i := range samples {
			s := experiment.NewSample(i)
			for _, at := range []*experiment.Instant{&s.Scheduled, &s.Sent, &s.FirstEvent, &s.FirstReasoning, &s.FirstContent, &s.LastContent, &s.End} {
				*at = instant.Draw(t, "instant")
			}
			s.Outcome = rapid.SampledFrom(experiment.Outcomes).Draw(t, "outcome")
			s.PromptAsked, s.PromptTokens, s.OutputTokens = count.Draw(t, "asked"), count.Draw(t, "prompt"), count.Draw(t, "output")
			s.Gaps = rapid.SliceOfN(rapid.Map(rapid.Int64Range(-1, 1<<33), func(n int64) experiment.Gap { return experiment.Gap(n) }), 0, 3).Draw(t, "gaps")
			s.Output, s.Error = rapid.String().Draw(t, "text"), rapid.String().Draw(t, "error")
			samples[i] = s
		}
		r := result(samples...)
		r.Detailed = rapid.Bool().Draw(t, "detailed")
		r.Goodput = experiment.SLO{{Metric: "ttft", Bound: 500}}
		if rapid.Bool().Draw(t, "embeddings") {
			r.Experiment.Spec.Endpoint = experiment.Embeddings
		}
		var b bytes.Buffer
		if err := WriteVLLM(&b, r); err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
		if got["num_prompts"] != float64(len(samples)) {
			t.Errorf("%v requests, want %d", got["num_prompts"], len(samples))
		}
	})
}

func TestPercentileIsNumpys(t *testing.T) {
	for _, c := range []struct {
		values []float64
		p      float64
		want   float64 // numpy.percentile(values, p), as numpy 2.4 prints it
	}{
		{nil, 99, 0}, // of "values or 0", as vLLM calls it
		{[]float64{5}, 99, 5},
		{[]float64{1, 2, 3, 4}, 0, 1},
		{[]float64{1, 2, 3, 4}, 50, 2.5},
		{[]float64{1, 2, 3, 4}, 99, 3.9699999999999998},
		{[]float64{1, 2, 3, 4}, 100, 4},
		{[]float64{1, 10}, 99.9, 9.991000000000001},
		{[]float64{1, 2, 3, 7, 9}, 25, 2},
		{[]float64{1, 2, 3, 7, 9}, 37.3, 2.492},
		{[]float64{0.1, 0.25, 0.7, 1.3}, 66.6, 0.6990999999999998},
	} {
		if got := percentile(c.values, c.p); math.Abs(got-c.want) > 1e-15*c.want { // a fused multiply-add may change the last bit
			t.Errorf("p%g of %v is %v, want %v", c.p, c.values, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		sorted := slices.Sorted(slices.Values(rapid.SliceOfN(rapid.Float64Range(0, 1e6), 1, 300).Draw(t, "values")))
		p := rapid.Float64Range(0, 100).Draw(t, "p")
		// The same by exact fractions: value k lies at k/(n−1).
		place := new(big.Rat).Mul(new(big.Rat).SetFloat64(p), big.NewRat(int64(len(sorted)-1), 100))
		low := int(new(big.Int).Quo(place.Num(), place.Denom()).Int64())
		high := min(low+1, len(sorted)-1)
		step := new(big.Rat).Sub(new(big.Rat).SetFloat64(sorted[high]), new(big.Rat).SetFloat64(sorted[low]))
		exact, _ := step.Mul(step, new(big.Rat).Sub(place, big.NewRat(int64(low), 1))).Add(step, new(big.Rat).SetFloat64(sorted[low])).Float64()
		got := percentile(sorted, p)
		if span := sorted[len(sorted)-1]; got < exact-1e-9*span || got > exact+1e-9*span {
			t.Errorf("p%g is %v, want %v", p, got, exact)
		}
		if q := rapid.Float64Range(p, 100).Draw(t, "q"); percentile(sorted, q) < got {
			t.Errorf("p%g is below p%g", q, p)
		}
	})
}
