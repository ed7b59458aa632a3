package experiment

import (
	"fmt"
	"time"
)

// Endpoint is which of the OpenAI API's calls a run uses.
type Endpoint string

const (
	Chat        Endpoint = "chat"        // POST /chat/completions
	Completions Endpoint = "completions" // POST /completions
	Responses   Endpoint = "responses"   // POST /responses
	Embeddings  Endpoint = "embeddings"  // POST /embeddings: no stream, no output tokens
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

	// Preset names the workload that the lengths and the arrival come from, such as
	// azure-chat; empty = they were given one by one.
	Preset string `json:"preset,omitempty" yaml:"preset,omitempty"`
	// InputTokens and OutputTokens are the lengths of prompt and answer.
	InputTokens  Length `json:"input_tokens" yaml:"input_tokens"`
	OutputTokens Length `json:"output_tokens" yaml:"output_tokens"`
	// Jitter spreads fixed lengths uniformly over nominal·(1 ± Jitter), so that
	// requests do not finish in lock step. 0 ≤ Jitter < 1.
	Jitter float64 `json:"jitter" yaml:"jitter"`
	// Prompt is a fixed text used instead of synthetic prompts; empty = synthetic.
	Prompt string `json:"prompt,omitempty" yaml:"prompt,omitempty"`
	// Data is the file that the requests come from; nil = they are synthetic.
	Data *Data `json:"data,omitempty" yaml:"data,omitempty"`
	// Prefix makes prompts begin alike; nil = each is unique from its first word.
	Prefix *Prefix `json:"prefix,omitempty" yaml:"prefix,omitempty"`
	// Turns is the number of requests in a conversation, whose prompt grows by the
	// server's own answers; zero = 1. ThinkTime is the pause between an answer and
	// the request after it; in a closed loop also between conversations.
	Turns     Length `json:"turns,omitzero" yaml:"turns,omitempty"`
	ThinkTime Pause  `json:"think_time,omitzero" yaml:"think_time,omitempty"`
	// Classes are the kinds of traffic; empty = one kind.
	Classes []Class `json:"classes,omitempty" yaml:"classes,omitempty"`
	// Models spreads the requests over models or adapters; empty = Model alone.
	Models []ModelShare `json:"models,omitempty" yaml:"models,omitempty"`
	// Matrix lists values of other fields; each combination is a variant, and has
	// all the points.
	Matrix map[string][]any `json:"matrix,omitempty" yaml:"matrix,omitempty"`

	// Arrival says when requests are sent; zero = closed loop.
	Arrival Arrival `json:"arrival,omitzero" yaml:"arrival,omitempty"`
	// Concurrency lists the points of a closed loop: the number of workers of each.
	Concurrency []int `json:"concurrency,omitempty" yaml:"concurrency,omitempty"`
	// Rate lists the points of an open loop: requests per second.
	Rate []float64 `json:"rate,omitempty" yaml:"rate,omitempty"`
	// MaxConcurrency caps the requests in flight of an open loop; those beyond it
	// are sent late. 0 = no cap.
	MaxConcurrency int `json:"max_concurrency,omitempty" yaml:"max_concurrency,omitempty"`
	// Requests is the number of measured requests per point; 0 = until Duration.
	Requests int `json:"requests,omitempty" yaml:"requests,omitempty"`
	// Duration is how long a point sends measured requests; 0 = until Requests.
	Duration Duration `json:"duration,omitempty" yaml:"duration,omitempty"`
	// Warmup is the number of requests each worker of a closed loop sends before it
	// is measured; of an open loop, the number of its first arrivals that are not measured.
	Warmup int `json:"warmup" yaml:"warmup"`
	// Repeats is how often each point is measured; the order is shuffled per round.
	Repeats int    `json:"repeats" yaml:"repeats"`
	Seed    uint64 `json:"seed" yaml:"seed"`

	// SLO is what each point is judged by; empty = by nothing.
	SLO SLO `json:"slo,omitempty" yaml:"slo,omitempty"`
	// Search finds the largest load that holds the SLO; nil = the levels are listed.
	Search *Search `json:"search,omitempty" yaml:"search,omitempty"`
	// Until ends a point once a figure is known that well; zero = it does not.
	Until Precision `json:"until,omitzero" yaml:"until,omitempty"`
	// MaxErrors and MaxErrorShare end the run after so many failed requests of a
	// point, or once more than that share of at least 20 has failed; 0 = never.
	MaxErrors     int     `json:"max_errors,omitempty" yaml:"max_errors,omitempty"`
	MaxErrorShare float64 `json:"max_error_share,omitempty" yaml:"max_error_share,omitempty"`
	// MaxCost ends the run before it has cost more, in US dollars; 0 = no limit.
	MaxCost float64 `json:"max_cost_usd,omitempty" yaml:"max_cost_usd,omitempty"`
	// TokenPrice is what the endpoint charges; nil = not known.
	TokenPrice *TokenPrice `json:"token_price,omitempty" yaml:"token_price,omitempty"`
	// Grace is how long requests in flight are waited for once sending has stopped
	// by time or by a rule; 0 = until they end.
	Grace Duration `json:"grace,omitempty" yaml:"grace,omitempty"`
	// KeepOversaturated lets a point go on although its load is more than the server serves.
	KeepOversaturated bool `json:"keep_oversaturated,omitempty" yaml:"keep_oversaturated,omitempty"`

	// Replicas are the servers of a run over several; empty = BaseURL alone.
	Replicas []Replica `json:"replicas,omitempty" yaml:"replicas,omitempty"`
	// Dialect is what the server speaks: auto, or a name of runner/probe's table.
	Dialect string `json:"dialect,omitempty" yaml:"dialect,omitempty"`
	// IgnoreEOS says whether answers are forced to their full length: auto (where
	// the server can), on or off.
	IgnoreEOS string `json:"ignore_eos,omitempty" yaml:"ignore_eos,omitempty"`
	// Headers are sent with each request. They hold no secret.
	Headers map[string]string `json:"headers,omitempty" yaml:"headers,omitempty"`
	// KeyHeader is the header that carries the key as it is; empty = Authorization: Bearer.
	KeyHeader string `json:"key_header,omitempty" yaml:"key_header,omitempty"`
	// APIVersion is sent as the query api-version, as Azure asks; empty = none.
	APIVersion string `json:"api_version,omitempty" yaml:"api_version,omitempty"`

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
	// Options are further settings of the engine by name, such as max-seqs.
	Options map[string]string `json:"options,omitempty" yaml:"options,omitempty"`
	// Profile is YAML with the person's own rows of the engine's catalogue.
	Profile string `json:"profile,omitempty" yaml:"profile,omitempty"`
	// Virtual runs the engine as a discrete-event loop, with no HTTP and no waiting.
	Virtual bool `json:"virtual,omitempty" yaml:"virtual,omitempty"`
}

// DefaultSpec is what a run does when told nothing.
func DefaultSpec() Spec {
	return Spec{
		Endpoint: Chat, InputTokens: Tokens(500), OutputTokens: Tokens(128), Jitter: 0.02,
		Concurrency: []int{1}, Warmup: 1, Repeats: 1, Seed: 1, MaxTokensField: "auto",
		ConnectTimeout: Duration(10 * time.Second), FirstByteTimeout: Duration(2 * time.Minute),
		IdleTimeout: Duration(time.Minute), TotalTimeout: Duration(15 * time.Minute),
	}
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
