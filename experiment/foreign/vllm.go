// Package foreign writes the result files of other benchmarks, so that what reads
// theirs reads ours.
//
// It believes that a file in somebody's format must hold that somebody's
// definitions, under the same names and in the same units, or it misleads whoever
// puts two such files side by side. So the figures here are computed from the raw
// samples as the other tool would have computed them, and agree with our own only
// where the definitions do. Where a sample does not hold what the other tool looks
// at, or where an honest figure needs another answer, the deviation is named at the
// function that writes the file. A file is valid JSON and never holds NaN or an
// infinity.
package foreign

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// VLLMResult is what a result file of `vllm bench serve` is made of.
type VLLMResult struct {
	Experiment *experiment.Experiment
	Point      experiment.Point
	// Samples are those of the point. Only the measured ones enter the file, as
	// vLLM's own warm-up requests do not either.
	Samples iter.Seq2[experiment.Sample, error]
	// Date is when the result is saved. The file has it to the second, in its own zone.
	Date time.Time
	// Detailed keeps the values of each request: --save-detailed.
	Detailed bool
	// Percentiles are those of each latency, 0–100; nil = 99 alone: --metric-percentiles.
	Percentiles []float64
	// Goodput bounds ttft, tpot and e2e request by request: --goodput. Of two
	// bounds for one of them the lower counts, and other metrics do not.
	Goodput experiment.SLO
	// Metadata goes into the head of the file: --metadata. As with vLLM, a key of
	// the head is replaced by it, and a key of the results is not.
	Metadata map[string]string
	// Label begins the file's name; empty = the backend: --label.
	Label string
	// Backend is vLLM's name of the client; empty = openai-chat, openai,
	// openai-responses or openai-embeddings, by the endpoint.
	Backend string
}

// WriteVLLM writes the JSON that `vllm bench serve --save-result` saves for one
// point. The definitions are those of vllm/benchmarks/serve.py at commit 009e6d4
// and of the request functions beside it:
//
//   - ttft: first chunk with choices − start, so that a chunk with a role and no
//     text counts; start is when the request was handed to the HTTP client
//   - itl: each gap between successive chunks, of all successful requests together
//   - e2el: last chunk − start; tpot: (e2el − ttft)/(output tokens − 1), for 2 and more
//   - duration: the whole wall clock from the first arrival to the last end
//   - request and token throughput: over that duration, successful requests only
//   - std: of the population; percentiles: numpy's linear ones; without a value, 0
//   - client_queue_time: start − arrival
//
// Scalars that end in _ms are in milliseconds, everything else is in seconds.
// start_times count from the point's first instant. A failed request has 0 for its
// times and output, and the text of its error.
//
// It differs from vLLM in this: a success is [experiment.OK], where vLLM takes any
// stream that ends without an exception for one; a last chunk with a finish reason
// and no text is not counted, since a sample has no time of it; chunks that shared
// a read are 0 apart; an answer whose tokens nobody counted has one, since there is
// no tokenizer (tokenizer_id is null); queue times of a closed loop are its send
// lags, since its workers do not queue at a semaphore; an even arrival has the
// burstiness "inf", which vLLM writes as a bare Infinity, and one that no burstiness
// describes has null.
//
// A point without a measured request, one that was not streamed, and one with
// closed and open loops at once have no such form and are errors.
func WriteVLLM(w io.Writer, r VLLMResult) error {
	if err := r.writable(); err != nil {
		return fmt.Errorf("writing a vLLM result: %w", err)
	}
	requests, err := vllmRequests(r.Samples)
	if err == nil && len(requests) == 0 {
		err = fmt.Errorf("point %d of %s has no measured request; choose one that has", r.Point.Ordinal, r.Experiment.Alias())
	}
	if err != nil {
		return fmt.Errorf("writing a vLLM result: %w", err)
	}
	if len(r.Percentiles) == 0 {
		r.Percentiles = []float64{99}
	}
	o := &object{values: map[string]any{}}
	r.head(o, len(requests))
	if r.Experiment.Spec.Endpoint == experiment.Embeddings {
		r.embeddings(o, requests)
	} else {
		r.generation(o, requests)
	}
	if !r.Detailed {
		o.remove("input_lens", "output_lens", "start_times", "ttfts", "itls", "generated_texts", "errors")
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(o); err != nil {
		return fmt.Errorf("writing a vLLM result: %w", err)
	}
	return nil
}

// writable reports why a point has no form in vLLM's file.
func (r *VLLMResult) writable() error {
	s, load := &r.Experiment.Spec, r.Point.Load
	for _, p := range r.Percentiles {
		if !(p >= 0 && p <= 100) {
			return fmt.Errorf("%g is not a percentile; write numbers from 0 to 100", p)
		}
	}
	if load.Rate > 0 && load.Concurrency > 0 {
		return fmt.Errorf("point %d of %s has closed and open loops at once, and the format has room for one; choose another point", r.Point.Ordinal, r.Experiment.Alias())
	}
	if !s.Stream && s.Endpoint != experiment.Embeddings {
		return errors.New("the answers were not streamed, so there is no ttft; measure with stream: true (--stream)")
	}
	return nil
}

// VLLMName gives the name that `vllm bench serve` gives the file:
// {label}-{rate}qps[-concurrency{N}]-{model}-{date}.json, or for a ramp
// {label}-ramp-up-linear-{from}qps-{to}qps…. A slash in the label becomes a hyphen;
// of the model, only what follows its last slash is there.
func VLLMName(r VLLMResult) string {
	label := r.Label
	if label == "" {
		label = r.backend()
	}
	label = strings.NewReplacer("/", "-", `\`, "-").Replace(label)
	qps := "inf"
	if rate := r.Point.Load.Rate; rate > 0 {
		qps = pythonFloat(rate)
	}
	if a := r.Experiment.Spec.Arrival; r.ramp() {
		qps = fmt.Sprintf("ramp-up-linear-%gqps-%g", a.From, a.To)
	}
	limit := ""
	if n := r.maxConcurrency(); n != nil {
		limit = fmt.Sprint("-concurrency", n)
	}
	model := r.Experiment.Spec.Model
	model = model[strings.LastIndex(model, "/")+1:]
	return fmt.Sprintf("%s-%sqps%s-%s-%s.json", label, qps, limit, model, r.Date.Format(vllmDate))
}

const vllmDate = "20060102-150405"

// pythonFloat writes a positive number as Python's str does.
func pythonFloat(v float64) string {
	if v < 1e-4 || v >= 1e16 {
		return strconv.FormatFloat(v, 'e', -1, 64)
	}
	text := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

func (r *VLLMResult) backend() string {
	if r.Backend != "" {
		return r.Backend
	}
	switch e := r.Experiment.Spec.Endpoint; e {
	case experiment.Chat:
		return "openai-chat"
	case experiment.Completions:
		return "openai"
	default:
		return "openai-" + string(e)
	}
}

// maxConcurrency is the workers of a closed loop, which is how vLLM runs one, or
// the cap of an open loop; nil = none.
func (r *VLLMResult) maxConcurrency() any {
	n := r.Point.Load.Concurrency
	if r.Point.Load.Open() {
		n = r.Experiment.Spec.MaxConcurrency
	}
	if n == 0 {
		return nil
	}
	return n
}

// ramp reports whether the rate goes evenly from one to another, for which vLLM has
// keys of its own.
func (r *VLLMResult) ramp() bool {
	return r.Point.Load.Open() && r.Experiment.Spec.Arrival.Kind == experiment.RampArrival
}

// burstiness is vLLM's shape of the gamma distribution of the gaps, 1/CV²; a closed
// loop has its default.
func (r *VLLMResult) burstiness() any {
	a := r.Experiment.Spec.Arrival
	switch {
	case !r.Point.Load.Open():
		return 1.0
	case a.Kind == experiment.GammaArrival && a.CV > 1e-6:
		return 1 / (a.CV * a.CV)
	case a.Kind == experiment.ConstantArrival, a.Kind == experiment.GammaArrival: // as even as makes no odds
		return "inf"
	case a.Kind == experiment.PoissonArrival, a.Kind == experiment.RampArrival, a.Kind == experiment.StepsArrival:
		return 1.0
	default:
		return nil
	}
}

// head sets what the file says about the run.
func (r *VLLMResult) head(o *object, requests int) {
	var label any
	if r.Label != "" {
		label = r.Label
	}
	o.set("date", r.Date.Format(vllmDate))
	o.set("endpoint_type", r.backend())
	o.set("backend", r.backend())
	o.set("label", label)
	o.set("model_id", r.Experiment.Spec.Model)
	o.set("tokenizer_id", nil)
	o.set("num_prompts", requests)
	for _, key := range slices.Sorted(maps.Keys(r.Metadata)) {
		o.set(key, r.Metadata[key])
	}
	if r.Point.Load.Open() && !r.ramp() {
		o.set("request_rate", r.Point.Load.Rate)
	} else {
		o.set("request_rate", "inf")
	}
	o.set("burstiness", r.burstiness())
	o.set("max_concurrency", r.maxConcurrency())
	if a := r.Experiment.Spec.Arrival; r.ramp() {
		o.set("ramp_up_strategy", "linear")
		o.set("ramp_up_start_rps", a.From)
		o.set("ramp_up_end_rps", a.To)
	}
}

// object is a JSON object whose keys keep the order in which they were first set.
type object struct {
	keys   []string
	values map[string]any
}

func (o *object) set(key string, value any) {
	if _, there := o.values[key]; !there {
		o.keys = append(o.keys, key)
	}
	o.values[key] = value
}

func (o *object) remove(keys ...string) {
	o.keys = slices.DeleteFunc(o.keys, func(k string) bool { return slices.Contains(keys, k) })
}

// MarshalJSON writes the object in its order.
func (o *object) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for i, key := range o.keys {
		b.WriteByte("{,"[min(i, 1)])
		if err := encoder.Encode(key); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := encoder.Encode(o.values[key]); err != nil {
			return nil, fmt.Errorf("encoding %s: %w", key, err)
		}
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}

// over gives amount ÷ seconds, 0 where no time has passed.
func over(amount, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return amount / seconds
}
