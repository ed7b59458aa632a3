package sim

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// metrics counts what vLLM counts, under vLLM's names and in vLLM's buckets, so
// that whatever reads one server can read the other.
type metrics struct {
	prompt    int            // prompt tokens of the requests that have a first token
	generated int            // output tokens
	finished  map[string]int // requests by finish reason

	iteration                                   *histogram // tokens of a step
	promptTokens, outputTokens, limits, choices *histogram
	ttft, gap, perToken                         *histogram
	e2e, queue, inference, prefill, decode      *histogram
	// lateness is how far behind its own time a step's tokens left: the error of
	// the simulator on a busy machine.
	lateness *histogram
}

// The buckets of vLLM's loggers, in seconds and in tokens.
var (
	ttftBuckets      = []float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560}
	gapBuckets       = []float64{.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80}
	latencyBuckets   = []float64{.3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680}
	iterationBuckets = []float64{1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384}
	choiceBuckets    = []float64{1, 2, 5, 10, 20}
	latenessBuckets  = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1}
)

func newMetrics(context int) *metrics {
	var counts []float64
	for decade := 1; ; decade *= 10 {
		for _, m := range []int{1, 2, 5} {
			if m*decade <= context {
				counts = append(counts, float64(m*decade))
			}
		}
		if decade > context {
			break
		}
	}
	return &metrics{
		finished:  map[string]int{FinishStop: 0, FinishLength: 0, FinishAbort: 0},
		iteration: newHistogram(iterationBuckets), promptTokens: newHistogram(counts), outputTokens: newHistogram(counts),
		limits: newHistogram(counts), choices: newHistogram(choiceBuckets),
		ttft: newHistogram(ttftBuckets), gap: newHistogram(gapBuckets), perToken: newHistogram(gapBuckets),
		e2e: newHistogram(latencyBuckets), queue: newHistogram(latencyBuckets), inference: newHistogram(latencyBuckets),
		prefill: newHistogram(latencyBuckets), decode: newHistogram(latencyBuckets), lateness: newHistogram(latenessBuckets),
	}
}

// request counts a finished request. Spans without an end are not observed.
func (m *metrics) request(t Truth, limit int, net time.Duration) {
	m.finished[t.FinishReason]++
	m.promptTokens.observe(float64(t.PromptTokens))
	m.outputTokens.observe(float64(t.OutputTokens))
	m.limits.observe(float64(limit))
	m.choices.observe(1)
	if t.OutputTokens == 0 {
		return
	}
	last := t.TokenTimes[len(t.TokenTimes)-1]
	decode := last - t.FirstToken
	m.ttft.observe(t.TTFT().Seconds())
	m.e2e.observe(t.E2E().Seconds())
	m.queue.observe(t.Queue().Seconds())
	m.prefill.observe(t.Prefill(net).Seconds())
	m.decode.observe(decode.Seconds())
	m.inference.observe((last - net - t.Scheduled).Seconds())
	if t.OutputTokens > 1 {
		m.perToken.observe(decode.Seconds() / float64(t.OutputTokens-1))
	}
}

// histogram counts observations in buckets, each with its upper bound.
type histogram struct {
	bounds []float64
	counts []int // one more than bounds: the rest
	sum    float64
}

func newHistogram(bounds []float64) *histogram {
	return &histogram{bounds: bounds, counts: make([]int, len(bounds)+1)}
}

func (h *histogram) observe(v float64) {
	i, _ := slices.BinarySearch(h.bounds, v)
	h.counts[i]++
	h.sum += v
}

// exposition answers with the metrics in Prometheus' text format.
func (s *Server) exposition(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	text := s.expose()
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = io.WriteString(w, text)
}

// expose writes all metrics; s.mu is held.
func (s *Server) expose() string {
	use := s.engine.counts()
	m, p := s.metrics, &page{labels: fmt.Sprintf(`engine="0",model_name=%s`, strconv.Quote(s.d.ServedName))}
	pool := s.d.KVBlocks * len(s.engine.engines)

	p.single("inferbook_simulated", "gauge", "1: every figure here comes from a simulated engine", "", 1)
	p.single("vllm:num_requests_running", "gauge", "requests in the running batch", "", float64(use.running))
	p.single("vllm:num_requests_waiting", "gauge", "requests waiting to be admitted", "", float64(use.waiting))
	p.single("vllm:kv_cache_usage_perc", "gauge", "share of the KV blocks held, 0 to 1", "", float64(use.blocks)/float64(pool))
	p.single("vllm:prefix_cache_queries_total", "counter", "tokens looked up in the prefix cache", "", float64(use.prompt))
	p.single("vllm:prefix_cache_hits_total", "counter", "tokens found in the prefix cache", "", float64(use.cached))
	p.single("vllm:num_preemptions_total", "counter", "requests that lost their KV blocks", "", float64(use.preemptions))
	p.single("vllm:prompt_tokens_total", "counter", "prompt tokens computed", "", float64(m.prompt))
	p.single("vllm:generation_tokens_total", "counter", "output tokens computed", "", float64(m.generated))
	p.head("vllm:request_success_total", "counter", "finished requests")
	for _, reason := range []string{FinishStop, FinishLength, FinishAbort} {
		p.line("vllm:request_success_total", fmt.Sprintf(`finished_reason="%s"`, reason), float64(m.finished[reason]))
	}
	p.single("vllm:cache_config_info", "gauge", "the KV cache",
		fmt.Sprintf(`block_size="%d",enable_prefix_caching="False",gpu_memory_utilization="%g",num_gpu_blocks="%d"`, s.d.BlockSize, s.d.MemoryUtilization, pool), 1)

	p.histogram("vllm:iteration_tokens_total", "tokens of a step", m.iteration)
	p.histogram("vllm:request_prompt_tokens", "prompt tokens of a request", m.promptTokens)
	p.histogram("vllm:request_generation_tokens", "output tokens of a request", m.outputTokens)
	p.histogram("vllm:request_max_num_generation_tokens", "output tokens a request was allowed", m.limits)
	p.histogram("vllm:request_params_max_tokens", "max_tokens of a request", m.limits)
	p.histogram("vllm:request_params_n", "n of a request", m.choices)
	p.histogram("vllm:time_to_first_token_seconds", "arrival to first token", m.ttft)
	p.histogram("vllm:inter_token_latency_seconds", "time between two tokens of a request", m.gap)
	p.histogram("vllm:request_time_per_output_token_seconds", "mean time between the tokens of a request", m.perToken)
	p.histogram("vllm:e2e_request_latency_seconds", "arrival to last token", m.e2e)
	p.histogram("vllm:request_queue_time_seconds", "ready to scheduled", m.queue)
	p.histogram("vllm:request_prefill_time_seconds", "scheduled to first token", m.prefill)
	p.histogram("vllm:request_decode_time_seconds", "first token to last", m.decode)
	p.histogram("vllm:request_inference_time_seconds", "scheduled to last token", m.inference)
	p.histogram("sim_step_lateness_seconds", "how late the tokens of a step left by the clock", m.lateness)
	return p.String()
}

// page is a page of Prometheus' text format. Each line has the labels.
type page struct {
	strings.Builder
	labels string
}

func (p *page) head(name, kind, help string) {
	fmt.Fprintf(p, "# HELP %s %s (simulated)\n# TYPE %s %s\n", name, help, name, kind)
}

func (p *page) line(name, extra string, v float64) {
	labels := p.labels
	if extra != "" {
		labels += "," + extra
	}
	fmt.Fprintf(p, "%s{%s} %s\n", name, labels, strconv.FormatFloat(v, 'g', -1, 64))
}

func (p *page) single(name, kind, help, extra string, v float64) {
	p.head(name, kind, help)
	p.line(name, extra, v)
}

func (p *page) histogram(name, help string, h *histogram) {
	p.head(name, "histogram", help)
	total := 0
	for i, n := range h.counts {
		total += n
		bound := "+Inf"
		if i < len(h.bounds) {
			bound = strconv.FormatFloat(h.bounds[i], 'g', -1, 64)
		}
		p.line(name+"_bucket", `le="`+bound+`"`, float64(total))
	}
	p.line(name+"_sum", "", h.sum)
	p.line(name+"_count", "", float64(total))
}
