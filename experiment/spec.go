package experiment

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Endpoint is which of the OpenAI API's calls a run uses.
type Endpoint string

const (
	Chat        Endpoint = "chat"        // POST /chat/completions
	Completions Endpoint = "completions" // POST /completions
)

// Spec is everything that a person decided about a run, and enough to repeat it.
// It holds no secret: keys come from the environment or a file and stay there.
type Spec struct {
	// BaseURL is the API's root, such as "http://127.0.0.1:8000/v1", without
	// user, password and query. Empty = the simulated engine.
	BaseURL string `json:"base_url,omitempty" yaml:"base_url,omitempty"`
	// Simulator configures the simulated engine; nil = a real endpoint.
	Simulator *Simulator `json:"simulator,omitempty" yaml:"simulator,omitempty"`

	Endpoint Endpoint `json:"endpoint" yaml:"endpoint"`
	Model    string   `json:"model" yaml:"model"`
	Stream   bool     `json:"stream" yaml:"stream"`

	// InputTokens and OutputTokens are the nominal lengths of prompt and answer.
	InputTokens  int `json:"input_tokens" yaml:"input_tokens"`
	OutputTokens int `json:"output_tokens" yaml:"output_tokens"`
	// Jitter spreads both lengths uniformly over nominal·(1 ± Jitter), so that
	// requests do not finish in lock step. 0 ≤ Jitter < 1.
	Jitter float64 `json:"jitter" yaml:"jitter"`
	// Prompt is a fixed text used instead of synthetic prompts; empty = synthetic.
	Prompt string `json:"prompt,omitempty" yaml:"prompt,omitempty"`

	// Concurrency lists the points: the number of workers of each.
	Concurrency []int `json:"concurrency" yaml:"concurrency"`
	// Requests is the number of measured requests per point; 0 = until Duration.
	Requests int `json:"requests,omitempty" yaml:"requests,omitempty"`
	// Duration is how long a point sends measured requests; 0 = until Requests.
	Duration Duration `json:"duration,omitempty" yaml:"duration,omitempty"`
	// Warmup is the number of requests each worker sends before it is measured.
	Warmup int `json:"warmup" yaml:"warmup"`
	// Repeats is how often each point is measured; the order is shuffled per round.
	Repeats int    `json:"repeats" yaml:"repeats"`
	Seed    uint64 `json:"seed" yaml:"seed"`

	// Temperature is sent as it is, 0 too.
	Temperature float64 `json:"temperature" yaml:"temperature"`
	// MaxTokensField is the name of the output limit: "max_tokens",
	// "max_completion_tokens", or "auto" (the first, and the second once the server asks for it).
	MaxTokensField string `json:"max_tokens_field" yaml:"max_tokens_field"`
	// Extra is merged into each request body, over what the client put there.
	Extra map[string]any `json:"extra,omitempty" yaml:"extra,omitempty"`

	// ConnectTimeout bounds the connection, FirstByteTimeout the wait for the
	// first event of the answer, IdleTimeout the time without progress after it
	// (a keep-alive comment is no progress), TotalTimeout the whole request.
	ConnectTimeout   Duration `json:"connect_timeout" yaml:"connect_timeout"`
	FirstByteTimeout Duration `json:"first_byte_timeout" yaml:"first_byte_timeout"`
	IdleTimeout      Duration `json:"idle_timeout" yaml:"idle_timeout"`
	TotalTimeout     Duration `json:"total_timeout" yaml:"total_timeout"`

	// KeepText stores prompts and answers in the notebook.
	KeepText bool `json:"keep_text,omitempty" yaml:"keep_text,omitempty"`
}

// Simulator says which engine to simulate. Names are those of `inferbook sim gpus|models|runtimes`.
type Simulator struct {
	GPU       string `json:"gpu" yaml:"gpu"`
	Count     int    `json:"count" yaml:"count"` // tensor-parallel GPUs, from 1
	Model     string `json:"model" yaml:"model"`
	Runtime   string `json:"runtime" yaml:"runtime"`
	Precision string `json:"precision" yaml:"precision"`
	// Virtual runs the engine as a discrete-event loop, with no HTTP and no waiting.
	Virtual bool `json:"virtual,omitempty" yaml:"virtual,omitempty"`
}

// DefaultSpec is what a run does when told nothing.
func DefaultSpec() Spec {
	return Spec{
		Endpoint: Chat, InputTokens: 500, OutputTokens: 128, Jitter: 0.02,
		Concurrency: []int{1}, Warmup: 1, Repeats: 1, Seed: 1, MaxTokensField: "auto",
		ConnectTimeout: Duration(10 * time.Second), FirstByteTimeout: Duration(2 * time.Minute),
		IdleTimeout: Duration(time.Minute), TotalTimeout: Duration(15 * time.Minute),
	}
}

// maxDuration, ten years, is longer than any run and short enough that no sum of
// an [Instant] and a few limits overflows.
const maxDuration = Duration(10 * 365 * 24 * time.Hour)

// Validate reports everything that makes the specification impossible to run,
// each as one sentence that names the field and what to write instead.
func (s *Spec) Validate() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if s.Endpoint != Chat && s.Endpoint != Completions {
		bad("endpoint is %q; write chat or completions", s.Endpoint)
	}
	if s.InputTokens < 1 && s.Prompt == "" {
		bad("input_tokens is %d; write 1 or more", s.InputTokens)
	}
	if s.OutputTokens < 1 {
		bad("output_tokens is %d; write 1 or more", s.OutputTokens)
	}
	if !(s.Jitter >= 0 && s.Jitter < 1) { // NaN is refused too
		bad("jitter is %g; write a share from 0 up to, and without, 1", s.Jitter)
	}
	if len(s.Concurrency) == 0 {
		bad("concurrency is empty; write at least one level, such as 1,2,4,8")
	}
	for _, c := range s.Concurrency {
		if c < 1 {
			bad("concurrency has the level %d; a level is 1 or more", c)
		}
	}
	if !(s.Temperature >= 0) || math.IsInf(s.Temperature, 0) { // NaN is refused too
		bad("temperature is %g; write a number from 0, such as 0 or 0.7", s.Temperature)
	}
	if s.Duration > maxDuration {
		bad("duration is %s; write a time below ten years", time.Duration(s.Duration))
	}
	if s.Requests < 0 || s.Duration < 0 {
		bad("requests and duration cannot be negative")
	}
	if s.Requests == 0 && s.Duration == 0 {
		bad("neither requests nor duration is given, so a point would never end; give one of them")
	}
	if s.Warmup < 0 || s.Repeats < 1 {
		bad("warmup is %d and repeats is %d; write warmup ≥ 0 and repeats ≥ 1", s.Warmup, s.Repeats)
	}
	switch s.MaxTokensField {
	case "auto", "max_tokens", "max_completion_tokens":
	default:
		bad("max_tokens_field is %q; write auto, max_tokens or max_completion_tokens", s.MaxTokensField)
	}
	for _, t := range []struct {
		name string
		d    Duration
	}{{"connect_timeout", s.ConnectTimeout}, {"first_byte_timeout", s.FirstByteTimeout},
		{"idle_timeout", s.IdleTimeout}, {"total_timeout", s.TotalTimeout}} {
		if t.d <= 0 || t.d > maxDuration {
			bad("%s is %s; write a time above 0 and below ten years, such as 30s", t.name, time.Duration(t.d))
		}
	}
	return errors.Join(errs...)
}

// Duration is a time.Duration that is written as text, such as "1m30s".
type Duration time.Duration

// MarshalText writes the duration as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads "90s" or "1m30s". A bare number is refused, since it has no unit.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is not a duration; write a number with a unit, such as 90s or 5m", b)
	}
	*d = Duration(v)
	return nil
}
