package sim

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// exposition answers with the metrics in Prometheus' text format.
func (s *Server) exposition(w http.ResponseWriter, _ *http.Request) {
	text := s.expose()
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = io.WriteString(w, text)
}

// sources of prompt tokens.
const (
	fromCompute = "local_compute"
	fromCache   = "local_cache_hit"
)

// numbers copies all that is told of the engines, and how late tokens have left, at one moment.
func (s *Server) numbers() (engines []engineMetrics, lateness *histogram) {
	s.mu.Lock()
	defer s.mu.Unlock()
	engines = make([]engineMetrics, len(s.metrics))
	for i, m := range s.metrics {
		engines[i] = engineMetrics{metrics: m.clone(), gauges: s.engine.engines[i].gauges()}
	}
	return engines, s.lateness.clone()
}

// expose writes all metrics. The engine goes on meanwhile: it waits for the numbers alone.
func (s *Server) expose() string {
	engines, lateness := s.numbers()
	for i := range engines {
		engines[i].labels = fmt.Sprintf(`engine="%d",model_name=%s`, i, strconv.Quote(s.d.ServedName))
	}
	p := &page{}
	p.head("inferbook_simulated", "gauge", "1: every figure here comes from a simulated engine")
	p.line("inferbook_simulated", "", 1)
	p.head("sim_time_scale", "gauge", "the engine's seconds in a real second; its times below are the engine's")
	p.line("sim_time_scale", "", s.pace.scale)
	p.histogram("sim_step_lateness_seconds", "how late the tokens of a step left by the clock", "", lateness)
	pool := float64(s.d.KVBlocks)
	for _, f := range []struct {
		name, kind, help, extra string
		value                   func(*engineMetrics) float64
	}{
		{"vllm:num_requests_running", "gauge", "requests in the running batch", "", func(e *engineMetrics) float64 { return float64(e.running) }},
		{"vllm:num_requests_waiting", "gauge", "requests waiting to be admitted", "", func(e *engineMetrics) float64 { return float64(e.waiting) }},
		{"vllm:num_requests_waiting_by_reason", "gauge", "requests waiting to be admitted, by what they wait for", `reason="capacity"`, func(e *engineMetrics) float64 { return float64(e.waiting) }},
		{"vllm:num_requests_waiting_by_reason", "", "", `reason="deferred"`, func(*engineMetrics) float64 { return 0 }},
		{"vllm:kv_cache_usage_perc", "gauge", "share of the KV blocks held, 0 to 1", "", func(e *engineMetrics) float64 { return float64(e.blocks) / pool }},
		{"vllm:prefix_cache_queries_total", "counter", "tokens looked up in the prefix cache", "", func(e *engineMetrics) float64 { return float64(e.queried) }},
		{"vllm:prefix_cache_hits_total", "counter", "tokens found in the prefix cache", "", func(e *engineMetrics) float64 { return float64(e.hit) }},
		{"vllm:num_preemptions_total", "counter", "requests that lost their KV blocks", "", func(e *engineMetrics) float64 { return float64(e.preemptions) }},
		{"vllm:prompt_tokens_total", "counter", "prompt tokens of requests with a first token", "", func(e *engineMetrics) float64 { return float64(e.prompt) }},
		{"vllm:prompt_tokens_cached_total", "counter", "prompt tokens that the prefix cache had", "", func(e *engineMetrics) float64 { return float64(e.cached) }},
		{"vllm:prompt_tokens_by_source_total", "counter", "prompt tokens by where their keys and values came from", `source="` + fromCompute + `"`, func(e *engineMetrics) float64 { return float64(e.prompt - e.cached) }},
		{"vllm:prompt_tokens_by_source_total", "", "", `source="` + fromCache + `"`, func(e *engineMetrics) float64 { return float64(e.cached) }},
		{"vllm:generation_tokens_total", "counter", "output tokens", "", func(e *engineMetrics) float64 { return float64(e.generated) }},
		{"vllm:request_success_total", "counter", "finished requests", `finished_reason="stop"`, func(e *engineMetrics) float64 { return float64(e.finished[FinishStop]) }},
		{"vllm:request_success_total", "", "", `finished_reason="length"`, func(e *engineMetrics) float64 { return float64(e.finished[FinishLength]) }},
		{"vllm:request_success_total", "", "", `finished_reason="abort"`, func(e *engineMetrics) float64 { return float64(e.finished[FinishAbort]) }},
		{"vllm:spec_decode_num_drafts_total", "counter", "verifications of drafts", "", func(e *engineMetrics) float64 { return float64(e.drafts) }},
		{"vllm:spec_decode_num_draft_tokens_total", "counter", "draft tokens", "", func(e *engineMetrics) float64 { return float64(e.drafted) }},
		{"vllm:spec_decode_num_accepted_tokens_total", "counter", "draft tokens that were accepted", "", func(e *engineMetrics) float64 { return float64(e.passed) }},
	} {
		if f.kind != "" { // else it goes on with the family before
			p.head(f.name, f.kind, f.help)
		}
		for i := range engines {
			p.line(f.name, join(engines[i].labels, f.extra), f.value(&engines[i]))
		}
	}
	s.exposeCache(p)
	exposeHistograms(p, engines)
	return p.String()
}

// engineMetrics is all that is told of one engine.
type engineMetrics struct {
	*metrics
	gauges
	labels string
}

// exposeCache writes the configuration of the KV cache, which in vLLM has no model_name.
func (s *Server) exposeCache(p *page) {
	const name = "vllm:cache_config_info"
	caching := "False"
	if s.d.PrefixCaching {
		caching = "True"
	}
	p.head(name, "gauge", "the KV cache")
	for i := range s.metrics {
		p.line(name, fmt.Sprintf(`block_size="%d",enable_prefix_caching="%s",engine="%d",gpu_memory_utilization="%g",num_gpu_blocks="%d"`,
			s.d.BlockSize, caching, i, s.d.MemoryUtilization, s.d.KVBlocks), 1)
	}
}

func exposeHistograms(p *page, engines []engineMetrics) {
	for _, f := range []struct {
		name, help string
		of         func(*metrics) *histogram
	}{
		{"vllm:iteration_tokens_total", "tokens of a step", func(m *metrics) *histogram { return m.iteration }},
		{"vllm:request_prompt_tokens", "prompt tokens of a request", func(m *metrics) *histogram { return m.promptTokens }},
		{"vllm:request_generation_tokens", "output tokens of a request", func(m *metrics) *histogram { return m.outputTokens }},
		{"vllm:request_max_num_generation_tokens", "output tokens a request was allowed", func(m *metrics) *histogram { return m.limits }},
		{"vllm:request_params_max_tokens", "max_tokens of a request", func(m *metrics) *histogram { return m.limits }},
		{"vllm:request_params_n", "n of a request", func(m *metrics) *histogram { return m.choices }},
		{"vllm:request_prefill_kv_computed_tokens", "prompt tokens of a request that the prefix cache did not have", func(m *metrics) *histogram { return m.computed }},
		{"vllm:time_to_first_token_seconds", "arrival to first token", func(m *metrics) *histogram { return m.ttft }},
		{"vllm:inter_token_latency_seconds", "time between two tokens of a request", func(m *metrics) *histogram { return m.gap }},
		{"vllm:request_time_per_output_token_seconds", "mean time between the tokens of a request", func(m *metrics) *histogram { return m.perToken }},
		{"vllm:e2e_request_latency_seconds", "arrival to last token", func(m *metrics) *histogram { return m.e2e }},
		{"vllm:request_queue_time_seconds", "ready to scheduled", func(m *metrics) *histogram { return m.queue }},
		{"vllm:request_prefill_time_seconds", "scheduled to first token", func(m *metrics) *histogram { return m.prefill }},
		{"vllm:request_decode_time_seconds", "first token to last", func(m *metrics) *histogram { return m.decode }},
		{"vllm:request_inference_time_seconds", "scheduled to last token", func(m *metrics) *histogram { return m.inference }},
	} {
		p.head(f.name, "histogram", f.help)
		for i := range engines {
			p.buckets(f.name, engines[i].labels, f.of(engines[i].metrics))
		}
	}
}

// page is a page of Prometheus' text format.
type page struct{ strings.Builder }

func (p *page) head(name, kind, help string) {
	fmt.Fprintf(p, "# HELP %s %s (simulated)\n# TYPE %s %s\n", name, help, name, kind)
}

func (p *page) line(name, labels string, v float64) {
	if labels != "" {
		labels = "{" + labels + "}"
	}
	fmt.Fprintf(p, "%s%s %s\n", name, labels, strconv.FormatFloat(v, 'g', -1, 64))
}

func (p *page) histogram(name, help, labels string, h *histogram) {
	p.head(name, "histogram", help)
	p.buckets(name, labels, h)
}

func (p *page) buckets(name, labels string, h *histogram) {
	total := 0
	for i, n := range h.counts {
		total += n
		bound := "+Inf"
		if i < len(h.bounds) {
			bound = strconv.FormatFloat(h.bounds[i], 'g', -1, 64)
		}
		p.line(name+"_bucket", join(labels, `le="`+bound+`"`), float64(total))
	}
	p.line(name+"_sum", labels, h.sum)
	p.line(name+"_count", labels, float64(total))
}

// join puts two lists of labels together.
func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "," + b
}
