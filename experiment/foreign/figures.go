package foreign

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/inferbook/inferbook/experiment"
)

// generation sets the results of requests that generate text.
func (r *VLLMResult) generation(o *object, requests []vllmRequest) {
	var input, output, completed, good int
	var ttfts, tpots, itls, e2els []float64
	bounds := goodput(r.Goodput)
	for i := range requests {
		q := &requests[i]
		if !q.ok {
			continue
		}
		completed++
		input, output = input+q.input, output+q.output
		ttfts, e2els, itls = append(ttfts, q.ttft), append(e2els, q.latency), append(itls, q.itl...)
		if q.output > 1 {
			tpots = append(tpots, q.tpot())
		}
		if q.ttft <= bounds.ttft && q.tpot() <= bounds.tpot && q.latency <= bounds.e2el {
			good++
		}
	}
	seconds := vllmDuration(requests)
	var goodRate any
	if bounds.given {
		goodRate = over(float64(good), seconds)
	}
	o.set("duration", seconds)
	o.set("completed", completed)
	o.set("failed", len(requests)-completed)
	o.set("total_input_tokens", input)
	o.set("total_output_tokens", output)
	o.set("request_throughput", over(float64(completed), seconds))
	o.set("request_goodput", goodRate)
	o.set("output_throughput", over(float64(output), seconds))
	o.set("total_token_throughput", over(float64(input+output), seconds))
	o.set("input_lens", each(requests, func(q *vllmRequest) int { return q.input }))
	o.set("output_lens", each(requests, func(q *vllmRequest) int { return q.output }))
	o.set("ttfts", each(requests, func(q *vllmRequest) float64 { return q.ttft }))
	o.set("itls", each(requests, func(q *vllmRequest) []float64 { return q.itl }))
	o.set("latencies", each(requests, func(q *vllmRequest) float64 { return q.latency }))
	o.set("start_times", each(requests, func(q *vllmRequest) float64 { return q.start }))
	o.set("queue_times", each(requests, (*vllmRequest).queue))
	o.set("generated_texts", each(requests, func(q *vllmRequest) string { return q.text }))
	o.set("errors", each(requests, func(q *vllmRequest) string { return q.failure }))
	chunks, inFlight := peaks(requests)
	o.set("max_output_tokens_per_s", chunks)
	o.set("max_concurrent_requests", inFlight)
	o.set("rtfx", 0.0)
	r.spread(o, "ttft", ttfts)
	r.spread(o, "tpot", tpots)
	r.spread(o, "itl", itls)
	r.latencies(o, requests, e2els)
}

// embeddings sets the results of requests that generate none.
func (r *VLLMResult) embeddings(o *object, requests []vllmRequest) {
	var input, completed int
	var e2els []float64
	for i := range requests {
		if q := &requests[i]; q.ok {
			completed++
			input += q.input
			e2els = append(e2els, q.latency)
		}
	}
	seconds := vllmDuration(requests)
	o.set("duration", seconds)
	o.set("completed", completed)
	o.set("total_input_tokens", input)
	o.set("total_input_sequences", completed)
	o.set("request_throughput", over(float64(completed), seconds))
	o.set("input_sequence_throughput", over(float64(completed), seconds))
	o.set("total_token_throughput", over(float64(input), seconds))
	o.set("input_lens", each(requests, func(q *vllmRequest) int { return q.input }))
	o.set("latencies", each(requests, func(q *vllmRequest) float64 { return q.latency }))
	o.set("queue_times", each(requests, (*vllmRequest).queue))
	o.set("errors", each(requests, func(q *vllmRequest) string { return q.failure }))
	r.latencies(o, requests, e2els)
}

// latencies sets e2el and, where a cap on the requests in flight may hold one back,
// the time in the client's queue; with a rate, also both together.
func (r *VLLMResult) latencies(o *object, requests []vllmRequest, e2els []float64) {
	r.spread(o, "e2el", e2els)
	if r.maxConcurrency() == nil {
		return
	}
	var queue, both []float64
	for i := range requests {
		if q := &requests[i]; q.ok {
			queue, both = append(queue, q.queue()), append(both, q.queue()+q.latency)
		}
	}
	r.spread(o, "client_queue_time", queue)
	if r.Point.Load.Open() && !r.ramp() {
		r.spread(o, "e2el_including_client_queue", both)
	}
}

// spread sets mean, median, standard deviation and percentiles of a latency, in ms.
func (r *VLLMResult) spread(o *object, name string, seconds []float64) {
	sorted := slices.Sorted(slices.Values(seconds))
	mean, std := meanAndStd(sorted)
	o.set("mean_"+name+"_ms", mean*1000)
	o.set("median_"+name+"_ms", percentile(sorted, 50)*1000)
	o.set("std_"+name+"_ms", std*1000)
	for _, p := range r.Percentiles {
		o.set(fmt.Sprintf("p%s_%s_ms", strconv.FormatFloat(p, 'f', -1, 64), name), percentile(sorted, p)*1000)
	}
}

// meanAndStd gives the mean and the standard deviation of the population, both 0
// for no values.
func meanAndStd(values []float64) (mean, std float64) {
	if len(values) == 0 {
		return 0, 0
	}
	for _, v := range values {
		mean += v
	}
	mean /= float64(len(values))
	for _, v := range values {
		std += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(std / float64(len(values)))
}

// percentile gives numpy's linear percentile, 0 ≤ p ≤ 100, of sorted values: type 7
// of Hyndman and Fan (1996), interpolated from the nearer neighbour as numpy does
// for the rounding's sake; 0 for no values.
func percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	whole, t := math.Modf(float64(len(sorted)-1) * (p / 100))
	low := int(whole)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	a, b := sorted[low], sorted[low+1]
	if t >= 0.5 {
		return b - (b-a)*(1-t)
	}
	return a + (b-a)*t
}

// vllmBounds are what a good request stays within, in seconds; infinite = not bounded.
type vllmBounds struct {
	ttft, tpot, e2el float64
	given            bool
}

func goodput(s experiment.SLO) vllmBounds {
	b := vllmBounds{ttft: math.Inf(1), tpot: math.Inf(1), e2el: math.Inf(1)}
	for _, objective := range s {
		var bound *float64
		switch objective.Metric {
		case "ttft":
			bound = &b.ttft
		case "tpot":
			bound = &b.tpot
		case "e2e":
			bound = &b.e2el
		default:
			continue
		}
		*bound = min(*bound, objective.Bound/1000)
		b.given = true
	}
	return b
}

// each gives one value of each request.
func each[T any](requests []vllmRequest, value func(*vllmRequest) T) []T {
	values := make([]T, len(requests))
	for i := range requests {
		values[i] = value(&requests[i])
	}
	return values
}
