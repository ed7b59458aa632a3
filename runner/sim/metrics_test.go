package sim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Prometheus' own parser reads the metrics, and they agree with the truths.
func TestMetrics(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, l *lab) {
		for i := range 3 {
			if _, err := l.stream("", chatBody(100, 10+i)); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second/10)
		resp, err := l.post(ctx, "/v1/chat/completions", "", chatBody(2000, 100))
		if err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		cancel()
		time.Sleep(time.Second)
		if resp, err = l.client.Get("http://sim/metrics"); err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		parser := expfmt.NewTextParser(model.LegacyValidation)
		got, err := parser.TextToMetricFamilies(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		truths, e2e := l.server.Truths(), 0.0
		for _, tr := range truths {
			if tr.OutputTokens > 0 {
				e2e += tr.E2E().Seconds()
			}
		}
		value := func(name string) float64 {
			f := got[name]
			if f == nil {
				t.Fatalf("there is no %s", name)
			}
			switch m := f.Metric[0]; f.GetType() {
			case dto.MetricType_GAUGE:
				return m.GetGauge().GetValue()
			case dto.MetricType_COUNTER:
				return m.GetCounter().GetValue()
			default:
				return m.GetHistogram().GetSampleSum()
			}
		}
		for name, want := range map[string]float64{
			"inferbook_simulated": 1, "vllm:num_requests_running": 0, "vllm:num_requests_waiting": 0, "vllm:kv_cache_usage_perc": 0,
			"vllm:prompt_tokens_total": 300, "vllm:generation_tokens_total": 33, "vllm:num_preemptions_total": 0,
			"vllm:request_generation_tokens": 33, "vllm:e2e_request_latency_seconds": e2e, "sim_step_lateness_seconds": 0,
			"vllm:cache_config_info": 1,
			// All prompts begin alike, with six blocks of sixteen tokens.
			"vllm:prompt_tokens_cached_total": 192, "vllm:prefix_cache_hits_total": 288, "vllm:prefix_cache_queries_total": 2300, "vllm:request_prefill_kv_computed_tokens": 2012, "sim_time_scale": 1,
			"vllm:spec_decode_num_drafts_total": 0, "vllm:spec_decode_num_draft_tokens_total": 0, "vllm:spec_decode_num_accepted_tokens_total": 0,
		} {
			if v := value(name); v < want-1e-9 || v > want+1e-9 {
				t.Errorf("%s is %g, want %g", name, v, want)
			}
		}
		reasons := map[string]float64{}
		for _, m := range got["vllm:request_success_total"].Metric {
			for _, p := range m.Label {
				if p.GetName() == "finished_reason" {
					reasons[p.GetValue()] = m.GetCounter().GetValue()
				}
			}
		}
		if diff := cmp.Diff(map[string]float64{"stop": 0, "length": 3, "abort": 1}, reasons); diff != "" {
			t.Errorf("requests by finish reason (−want +got):\n%s", diff)
		}
		if n := got["vllm:time_to_first_token_seconds"].Metric[0].GetHistogram().GetSampleCount(); n != 3 {
			t.Errorf("%d first tokens, want 3", n)
		}
	})
}

// Every name that vLLM has is there with its type, its labels and its buckets, for
// each replica.
func TestMetricNames(t *testing.T) {
	s, err := NewServer(Config{Replicas: 2})
	if err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	got, err := parser.TextToMetricFamilies(strings.NewReader(s.expose()))
	if err != nil {
		t.Fatal(err)
	}
	const gauge, counter, histogram = dto.MetricType_GAUGE, dto.MetricType_COUNTER, dto.MetricType_HISTOGRAM
	latency := []float64{.3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680}
	gaps := []float64{.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80}
	for _, tc := range []struct {
		name    string
		kind    dto.MetricType
		each    int // series of a replica
		buckets []float64
	}{
		{"num_requests_running", gauge, 1, nil}, {"num_requests_waiting", gauge, 1, nil}, {"num_requests_waiting_by_reason", gauge, 2, nil},
		{"kv_cache_usage_perc", gauge, 1, nil}, {"prefix_cache_queries_total", counter, 1, nil}, {"prefix_cache_hits_total", counter, 1, nil},
		{"num_preemptions_total", counter, 1, nil}, {"prompt_tokens_total", counter, 1, nil}, {"generation_tokens_total", counter, 1, nil},
		{"prompt_tokens_cached_total", counter, 1, nil}, {"prompt_tokens_by_source_total", counter, 2, nil}, {"request_success_total", counter, 3, nil},
		{"spec_decode_num_drafts_total", counter, 1, nil}, {"spec_decode_num_draft_tokens_total", counter, 1, nil}, {"spec_decode_num_accepted_tokens_total", counter, 1, nil},
		{"cache_config_info", gauge, 1, nil},
		{"iteration_tokens_total", histogram, 1, []float64{1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384}},
		{"request_prompt_tokens", histogram, 1, nil}, {"request_generation_tokens", histogram, 1, nil}, {"request_max_num_generation_tokens", histogram, 1, nil},
		{"request_params_n", histogram, 1, []float64{1, 2, 5, 10, 20}}, {"request_params_max_tokens", histogram, 1, nil}, {"request_prefill_kv_computed_tokens", histogram, 1, nil},
		{"time_to_first_token_seconds", histogram, 1, []float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560}},
		{"inter_token_latency_seconds", histogram, 1, gaps}, {"request_time_per_output_token_seconds", histogram, 1, gaps},
		{"e2e_request_latency_seconds", histogram, 1, latency}, {"request_queue_time_seconds", histogram, 1, latency}, {"request_inference_time_seconds", histogram, 1, latency},
		{"request_prefill_time_seconds", histogram, 1, latency}, {"request_decode_time_seconds", histogram, 1, latency},
	} {
		f := got["vllm:"+tc.name]
		if f == nil || f.GetType() != tc.kind || len(f.Metric) != 2*tc.each || !strings.HasSuffix(f.GetHelp(), "(simulated)") {
			t.Errorf("%s is %v; want a %s of %d series", tc.name, f, tc.kind, 2*tc.each)
			continue
		}
		engines := map[string]int{}
		for _, m := range f.Metric {
			labels := map[string]string{}
			for _, l := range m.Label {
				labels[l.GetName()] = l.GetValue()
			}
			engines[labels["engine"]]++
			if named := labels["model_name"] == "llama-3.1-8b"; named != (tc.name != "cache_config_info") {
				t.Errorf("%s has the labels %v", tc.name, labels)
			}
			if tc.buckets == nil {
				continue
			}
			var bounds []float64
			for _, b := range m.GetHistogram().Bucket {
				bounds = append(bounds, b.GetUpperBound())
			}
			if diff := cmp.Diff(append(slices.Clone(tc.buckets), math.Inf(1)), bounds); diff != "" {
				t.Errorf("%s: buckets (−want +got):\n%s", tc.name, diff)
			}
		}
		if engines["0"] != tc.each || engines["1"] != tc.each {
			t.Errorf("%s is told of the engines %v", tc.name, engines)
		}
	}
}

// Replicas, drafts and the prefix cache are told of as they were: the sums over the
// engines are those of the truths.
func TestMetricsOfReplicas(t *testing.T) {
	inBubble(t, Config{Replicas: 2, Speculation: Speculation{Tokens: 3, Acceptance: .7}}, func(t *testing.T, l *lab) {
		for i := range 4 {
			if got, err := l.stream(fmt.Sprint(i), chatBody(200, 40)); err != nil || len(got.content) != 40 || got.account.Replica != i%2 {
				t.Fatalf("%d tokens by replica %d: %v", len(got.content), got.account.Replica, err)
			}
		}
		resp, err := l.client.Get("http://sim/metrics")
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		parser := expfmt.NewTextParser(model.LegacyValidation)
		got, err := parser.TextToMetricFamilies(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		sum := func(name string) (total float64, least float64) {
			least = math.Inf(1)
			for _, m := range got["vllm:"+name].GetMetric() {
				v := m.GetCounter().GetValue()
				total, least = total+v, min(least, v)
			}
			return total, least
		}
		cached := 0
		for _, tr := range l.server.Truths() {
			cached += tr.CachedTokens
		}
		for name, want := range map[string]float64{"generation_tokens_total": 160, "prompt_tokens_total": 800, "prompt_tokens_cached_total": float64(cached), "prefix_cache_hits_total": float64(cached)} {
			if total, least := sum(name); total != want || least == 0 {
				t.Errorf("%s is %g with %g at the least, want %g", name, total, least, want)
			}
		}
		drafts, _ := sum("spec_decode_num_drafts_total")
		drafted, _ := sum("spec_decode_num_draft_tokens_total")
		passed, _ := sum("spec_decode_num_accepted_tokens_total")
		if cached == 0 || drafts == 0 || drafted < drafts || passed == 0 || passed > drafted {
			t.Errorf("%d cached tokens, %g drafts of %g tokens, of which %g were accepted", cached, drafts, drafted, passed)
		}
		var page struct{ Steps []Step }
		l.get(t, "/sim/steps", &page)
		replicas := map[int]int{}
		for _, step := range page.Steps {
			replicas[step.Replica]++
		}
		if len(replicas) != 2 {
			t.Errorf("the log has steps of the replicas %v", replicas)
		}
	})
}

// What the page of metrics is written from does not change while it is written.
func TestNumbersAreCopies(t *testing.T) {
	s, err := NewServer(Config{Replicas: 2})
	if err != nil {
		t.Fatal(err)
	}
	engines, lateness := s.numbers()
	before := s.expose()
	if lateness == s.lateness || &lateness.counts[0] == &s.lateness.counts[0] {
		t.Error("the lateness is no copy")
	}
	for i, e := range engines {
		of, copied := reflect.ValueOf(*s.metrics[i]), reflect.ValueOf(*e.metrics)
		for k := range of.NumField() {
			f := of.Type().Field(k)
			switch f.Type.Kind() {
			case reflect.Pointer, reflect.Map:
				if of.Field(k).Pointer() == copied.Field(k).Pointer() {
					t.Errorf("%s is no copy", f.Name)
				}
			}
		}
		e.ttft.observe(1)
		e.finished[FinishStop]++
	}
	if s.expose() != before {
		t.Error("the server's numbers change with a copy")
	}
}
