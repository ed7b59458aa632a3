package sim

import (
	"maps"
	"slices"
	"time"
)

// metrics counts what vLLM counts of one engine, under vLLM's names and in vLLM's
// buckets, so that whatever reads one server can read the other.
type metrics struct {
	prompt    int            // prompt tokens of the requests that have a first token
	cached    int            // of these, tokens that the prefix cache had
	generated int            // output tokens
	finished  map[string]int // requests by finish reason

	iteration                                   *histogram // tokens of a step
	promptTokens, outputTokens, limits, choices *histogram
	computed                                    *histogram // prompt tokens that the cache did not have
	ttft, gap, perToken                         *histogram
	e2e, queue, inference, prefill, decode      *histogram
}

// gauges is what an engine holds at a moment, and what it has counted itself.
type gauges struct {
	running, waiting, blocks int
	preemptions              int
	queried, hit             int // tokens looked up and found in the prefix cache
	drafts, drafted, passed  int // speculation: verifications, draft tokens, accepted ones
}

// gauges is what there is to tell of an engine.
func (e *engine) gauges() gauges {
	e.settle()
	running, blocks, _ := e.scheduler.load()
	t := e.meter.tally
	g := gauges{running: running, waiting: e.waiting.len(), blocks: blocks, preemptions: t.preemptions,
		drafts: t.drafts, drafted: t.drafted, passed: t.draftsPassed}
	if e.d.PrefixCaching { // without one nothing is looked up
		g.queried, g.hit = t.prompt, t.cached
	}
	return g
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
		limits: newHistogram(counts), computed: newHistogram(counts), choices: newHistogram(choiceBuckets),
		ttft: newHistogram(ttftBuckets), gap: newHistogram(gapBuckets), perToken: newHistogram(gapBuckets),
		e2e: newHistogram(latencyBuckets), queue: newHistogram(latencyBuckets), inference: newHistogram(latencyBuckets),
		prefill: newHistogram(latencyBuckets), decode: newHistogram(latencyBuckets),
	}
}

// clone copies the counts of a moment.
func (m *metrics) clone() *metrics {
	c := *m
	c.finished = maps.Clone(m.finished)
	for _, h := range []**histogram{&c.iteration, &c.promptTokens, &c.outputTokens, &c.limits, &c.choices, &c.computed,
		&c.ttft, &c.gap, &c.perToken, &c.e2e, &c.queue, &c.inference, &c.prefill, &c.decode} {
		*h = (*h).clone()
	}
	return &c
}

// first counts the prompt of a request that has its first token.
func (m *metrics) first(t *Truth) {
	m.prompt += t.PromptTokens
	m.cached += t.CachedTokens
}

// request counts a finished request. Spans without an end are not observed.
func (m *metrics) request(t Truth, limit int, net time.Duration) {
	m.finished[t.FinishReason]++
	m.promptTokens.observe(float64(t.PromptTokens))
	m.outputTokens.observe(float64(t.OutputTokens))
	m.limits.observe(float64(limit))
	m.choices.observe(1)
	m.computed.observe(float64(t.PromptTokens - t.CachedTokens))
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

func (h *histogram) clone() *histogram {
	return &histogram{bounds: h.bounds, counts: slices.Clone(h.counts), sum: h.sum}
}
