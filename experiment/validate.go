package experiment

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// maxDuration, ten years, is longer than any run and short enough that no sum of
// an [Instant] and a few limits overflows.
const maxDuration = Duration(10 * 365 * 24 * time.Hour)

// MaxConcurrency is the highest number of requests in flight that can be asked for:
// each takes a connection and some tens of kilobytes.
const MaxConcurrency = 100_000

// faults gathers what is wrong with a specification.
type faults []error

func (f *faults) bad(format string, a ...any) { *f = append(*f, fmt.Errorf(format, a...)) }

// Validate reports everything that makes the specification impossible to run,
// each as one sentence that names the field and what to write instead.
func (s *Spec) Validate() error {
	var f faults
	s.validateRequests(&f)
	s.validateLoad(&f)
	s.validateClasses(&f)
	s.validateRules(&f)
	s.validateServer(&f)
	if len(f) == 0 && len(s.Matrix) > 0 {
		if _, err := s.Variants(); err != nil {
			f = append(f, err)
		}
	}
	return errors.Join(f...)
}

func (s *Spec) validateRequests(f *faults) {
	switch s.Endpoint {
	case Chat, Completions, Responses, Embeddings:
	default:
		f.bad("endpoint is %q; write chat, completions, responses or embeddings", s.Endpoint)
	}
	if s.Endpoint == Embeddings && s.Stream {
		f.bad("stream is set and embeddings are never streamed; leave it out")
	}
	if !(s.InputTokens.Average() >= 1) && s.Prompt == "" && s.Data == nil {
		f.bad("input_tokens is %s; write 1 or more", s.InputTokens)
	}
	if !(s.OutputTokens.Average() >= 1) && s.Endpoint != Embeddings {
		f.bad("output_tokens is %s; write 1 or more", s.OutputTokens)
	}
	if !(s.Jitter >= 0 && s.Jitter < 1) { // NaN is refused too
		f.bad("jitter is %g; write a share from 0 up to, and without, 1", s.Jitter)
	}
	if s.Prompt != "" && (s.Data != nil || s.Prefix != nil) {
		f.bad("prompt is given beside data or prefix; keep one of them")
	}
	s.Prefix.validate(f, "prefix")
	if s.Endpoint == Embeddings && (!s.Turns.IsZero() || len(s.Classes) > 0 && slices.ContainsFunc(s.Classes, func(c Class) bool { return !c.Turns.IsZero() })) {
		f.bad("turns are given and embeddings have no answers to go on from; leave them out")
	}
	if d := s.Data; d != nil {
		if d.Path == "" {
			f.bad("data has no path; write the file's name")
		}
		switch d.Format {
		case "", "auto", "jsonl", "sharegpt", "mooncake", "azure", "burstgpt", "openai-batch":
		default:
			f.bad("data.format is %q; write auto, jsonl, sharegpt, mooncake, azure, burstgpt or openai-batch", d.Format)
		}
	}
	if !(s.Temperature >= 0) || math.IsInf(s.Temperature, 0) {
		f.bad("temperature is %g; write a number from 0, such as 0 or 0.7", s.Temperature)
	}
	for i, m := range s.Models {
		if m.Model == "" || !(m.Weight > 0) || math.IsInf(m.Weight, 0) {
			f.bad("models[%d] is %q with weight %g; write a name and a weight above 0", i, m.Model, m.Weight)
		}
	}
}

func (p *Prefix) validate(f *faults, field string) {
	if p == nil {
		return
	}
	if !(p.Share > 0 && p.Share <= 1) || p.Tokens < 1 || p.Tokens > MaxLength || p.Groups < 1 || p.Groups > 1_000_000 || !(p.Zipf >= 0 && p.Zipf <= 10) {
		f.bad("%s has share %g, tokens %d, groups %d and zipf %g; write a share over 0 to 1, tokens and groups from 1, and zipf from 0 to 10", field, p.Share, p.Tokens, p.Groups, p.Zipf)
	}
}

func (s *Spec) validateLoad(f *faults) {
	own, carries := s.Arrival.OwnRate()
	separate := len(s.Classes) > 0 && s.Classes[0].Weight == 0
	switch {
	case s.Search != nil:
		if carries || s.Arrival.Kind == TraceArrival {
			f.bad("search looks for a load, and the arrival %s brings its own; leave one of them out", s.Arrival)
		} else if s.Search.Over == "concurrency" && (len(s.Rate) > 0 || s.Arrival.Open()) {
			f.bad("search is over the concurrency of a closed loop, and an arrival or a rate is given; leave them out, or search over rate")
		}
	case separate:
	case s.Arrival.Open():
		if len(s.Rate) == 0 && !carries && s.Arrival.Kind != TraceArrival {
			f.bad("the arrival is %s and rate is empty; write at least one rate in requests per second, such as 2", s.Arrival)
		}
		if len(s.Rate) > 0 && (carries || s.Arrival.Kind == TraceArrival) {
			f.bad("rate is given, and the arrival %s brings its own; leave rate out (its mean is %g requests per second)", s.Arrival, own)
		}
		if s.Arrival.Kind == TraceArrival && s.Data == nil {
			f.bad("the arrival is trace and data is empty; write the file whose times are to be replayed")
		}
	case len(s.Rate) > 0:
		f.bad("rate is given and the arrival is closed; write an arrival such as poisson")
	case len(s.Concurrency) == 0:
		f.bad("concurrency is empty; write at least one level, such as 1,2,4,8")
	}
	for _, c := range s.Concurrency {
		if c < 1 || c > MaxConcurrency {
			f.bad("concurrency has the level %d; a level is from 1 to %d", c, MaxConcurrency)
		}
	}
	for _, r := range s.Rate {
		if !(r > 0 && r <= MaxRate) {
			f.bad("rate has the level %g; a level is over 0 to %g requests per second", r, float64(MaxRate))
		}
	}
	if s.MaxConcurrency < 0 || s.MaxConcurrency > MaxConcurrency {
		f.bad("max_concurrency is %d; write a number from 1 to %d, or 0 for no cap", s.MaxConcurrency, MaxConcurrency)
	}
	if s.Duration > maxDuration {
		f.bad("duration is %s; write a time below ten years", time.Duration(s.Duration))
	}
	if s.Requests < 0 || s.Duration < 0 {
		f.bad("requests and duration cannot be negative")
	}
	if s.Requests == 0 && s.Duration == 0 && s.Arrival.Kind != TraceArrival && s.Arrival.Kind != StepsArrival {
		f.bad("neither requests nor duration is given, so a point would never end; give one of them")
	}
	if s.Warmup < 0 || s.Repeats < 1 {
		f.bad("warmup is %d and repeats is %d; write warmup ≥ 0 and repeats ≥ 1", s.Warmup, s.Repeats)
	}
}

func (s *Spec) validateClasses(f *faults) {
	names := map[string]bool{}
	weighted := 0
	for i, c := range s.Classes {
		field := fmt.Sprintf("classes[%d]", i)
		if c.Name == "" || names[c.Name] {
			f.bad("%s has the name %q; give each class a name of its own", field, c.Name)
		}
		names[c.Name] = true
		c.Prefix.validate(f, field+".prefix")
		loads := 0
		for _, given := range []bool{c.Weight > 0, c.Concurrency > 0, c.Rate > 0} {
			if given {
				loads++
			}
		}
		if c.Weight > 0 {
			weighted++
		}
		if loads != 1 || !(c.Weight >= 0 && c.Weight <= 1e9) || c.Concurrency < 0 || c.Concurrency > MaxConcurrency || !(c.Rate >= 0 && c.Rate <= MaxRate) {
			f.bad("%s %s has weight %g, concurrency %d and rate %g; give exactly one of them", field, c.Name, c.Weight, c.Concurrency, c.Rate)
		}
		if _, carries := c.Arrival.OwnRate(); carries || c.Arrival.Kind == TraceArrival || c.Arrival.Open() && c.Rate == 0 {
			f.bad("%s %s has the arrival %s; a class takes constant, poisson, gamma or onoff, beside a rate", field, c.Name, c.Arrival)
		}
	}
	if weighted > 0 && weighted < len(s.Classes) {
		f.bad("some classes have a weight and some a load of their own; give all of them the one or the other")
	}
	if len(s.Classes) > 0 && s.Data != nil {
		f.bad("classes are given beside data; keep one of them")
	}
}

func (s *Spec) validateRules(f *faults) {
	if !(s.MaxErrorShare >= 0 && s.MaxErrorShare < 1) || s.MaxErrors < 0 {
		f.bad("max_errors is %d and max_error_share %g; write a number from 0, and a share from 0 up to 1", s.MaxErrors, s.MaxErrorShare)
	}
	if !(s.MaxCost >= 0) || math.IsInf(s.MaxCost, 0) {
		f.bad("max_cost_usd is %g; write an amount from 0", s.MaxCost)
	}
	if p := s.TokenPrice; p != nil && !(p.Input >= 0 && p.Output >= 0 && p.Input+p.Output > 0 && !math.IsInf(p.Input+p.Output, 0)) {
		f.bad("token_price is %g for input and %g for output; write US dollars per million tokens", p.Input, p.Output)
	}
	if s.Grace < 0 || s.Grace > maxDuration {
		f.bad("grace is %s; write a time from 0, such as 30s", time.Duration(s.Grace))
	}
	if q := s.Search; q != nil {
		if q.Over != "rate" && q.Over != "concurrency" {
			f.bad("search.over is %q; write rate or concurrency", q.Over)
		}
		if !(q.Low >= 0 && q.High >= 0 && q.High <= MaxRate) || q.High > 0 && q.High <= q.Low || q.Points < 3 {
			f.bad("search has low %g, high %g and %d points; write 0 ≤ low < high and at least 3 points", q.Low, q.High, q.Points)
		}
		if !s.SLO.Judges() {
			f.bad("search needs an SLO that says at which quantile a latency counts; write one such as ttft.p95<500ms")
		}
		if len(s.Classes) > 0 || len(s.Matrix) > 0 {
			f.bad("search varies one load, and classes or a matrix vary others; leave them out")
		}
	}
	if !s.Stream && strings.HasPrefix(s.Until.Metric, "t") {
		f.bad("until looks at %s, which only a stream has; add stream: true (--stream)", s.Until.Metric)
	}
	for _, latency := range s.SLO {
		if !s.Stream && strings.HasPrefix(latency.Metric, "t") {
			f.bad("the SLO bounds %s, which only a stream has; add stream: true (--stream)", latency.Metric)
			break
		}
	}
}

func (s *Spec) validateServer(f *faults) {
	for i, r := range s.Replicas {
		if r.BaseURL == "" || !(r.Weight > 0) || math.IsInf(r.Weight, 0) {
			f.bad("replicas[%d] is %q with weight %g; write an address and a weight above 0", i, r.BaseURL, r.Weight)
		}
	}
	switch s.IgnoreEOS {
	case "", "auto", "on", "off":
	default:
		f.bad("ignore_eos is %q; write auto, on or off", s.IgnoreEOS)
	}
	for name := range s.Headers {
		if SecretName(name) {
			f.bad("headers has %s, which looks like a secret, and headers are stored; use --api-key-file or OPENAI_API_KEY, with key_header for its name", name)
		}
	}
	switch s.MaxTokensField {
	case "auto", "max_tokens", "max_completion_tokens":
	default:
		f.bad("max_tokens_field is %q; write auto, max_tokens or max_completion_tokens", s.MaxTokensField)
	}
	for _, t := range []struct {
		name string
		d    Duration
	}{{"connect_timeout", s.ConnectTimeout}, {"first_byte_timeout", s.FirstByteTimeout},
		{"idle_timeout", s.IdleTimeout}, {"total_timeout", s.TotalTimeout}} {
		if t.d <= 0 || t.d > maxDuration {
			f.bad("%s is %s; write a time above 0 and below ten years, such as 30s", t.name, time.Duration(t.d))
		}
	}
}

// SecretName reports whether a field or header of that name is likely to hold a
// secret, which must not be stored.
func SecretName(name string) bool {
	n := strings.ToLower(name)
	for _, part := range []string{"key", "secret", "password", "authorization", "cookie", "credential"} {
		if strings.Contains(n, part) {
			return true
		}
	}
	return strings.Contains(n, "token") && (strings.Contains(n, "auth") || strings.Contains(n, "access") || strings.HasSuffix(n, "-token"))
}
