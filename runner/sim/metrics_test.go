package sim

import (
	"context"
	"io"
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
