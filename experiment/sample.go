package experiment

import "time"

// Instant is a time in nanoseconds since the point's anchor, on the monotonic
// clock. [Never] says that the thing did not happen.
type Instant int64

// Never is the instant of what did not happen.
const Never Instant = -1

// Happened reports whether the instant is a time at all.
func (i Instant) Happened() bool { return i >= 0 }

// Sub gives i − j. It is meaningful only where both happened.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i - j) }

// Add gives i + d.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Unknown is a token count that nobody gave. It is not 0.
const Unknown = -1

// Phase says what a sample is used for.
type Phase string

// Only measured samples enter a figure. Warm-up and cool-down are kept to be looked at.
const (
	Warmup   Phase = "warmup"
	Measured Phase = "measured"
	Cooldown Phase = "cooldown"
)

// Outcome is how a request ended. Only [OK] has latencies that count.
type Outcome string

const (
	// OK ended with a finish reason and at least one output token.
	OK Outcome = "ok"
	// Empty ended well with no output at all.
	Empty Outcome = "empty"
	// Truncated ended without a finish reason: the stream was cut, however cleanly.
	Truncated Outcome = "truncated"
	// HTTPError was answered with a status other than 2xx, or with an error inside a 200.
	HTTPError Outcome = "http"
	// Protocol was answered with something that is not the API: HTML, a bare
	// JSON where a stream was asked for, JSON that does not parse.
	Protocol Outcome = "protocol"
	// Timeout met one of the client's own time limits.
	Timeout Outcome = "timeout"
	// Cancelled was stopped by the client: a person's Ctrl-C, or the run's end.
	Cancelled Outcome = "cancelled"
	// Cut is an answer to a prompt that the server silently cut: it counted far
	// fewer tokens than were sent.
	Cut Outcome = "cut"
	// Refused never reached a server: no connection, no such host, TLS refused.
	Refused Outcome = "refused"
)

// Outcomes lists every outcome, success first.
var Outcomes = []Outcome{OK, Empty, Truncated, HTTPError, Protocol, Timeout, Cancelled, Cut, Refused}

// Counted says who counted the output tokens.
type Counted string

const (
	CountedUsage      Counted = "usage"      // the final usage object of the server
	CountedContinuous Counted = "continuous" // cumulative usage on every chunk
	CountedTokenize   Counted = "tokenize"   // the server's /tokenize, afterwards
	CountedEvents     Counted = "events"     // content events; a lower bound, since an event may hold several tokens
	CountedNone       Counted = "none"       // nobody
)

// Gap is the time between two successive content events of a stream.
// An event that came in the same read as the one before it has [SameRead]:
// the client cannot tell how far apart the server sent them.
type Gap int64

// SameRead marks an event that shares a read with the one before it.
const SameRead Gap = -1

// Shared reports whether the event came in the same read as the one before it.
func (g Gap) Shared() bool { return g < 0 }

// Duration is the gap as observed: 0 for an event that shares a read.
func (g Gap) Duration() time.Duration { return time.Duration(max(g, 0)) }

// Sample is one request: its times, token counts, chunk gaps and outcome.
// Make one with [NewSample], so that what did not happen is marked so.
type Sample struct {
	// Seq counts the requests of a point in the order they were scheduled, from 0.
	Seq int `json:"seq"`
	// Worker is the closed-loop worker that sent it, from 0; 0 in an open loop.
	Worker int    `json:"worker"`
	Class  string `json:"class,omitempty"`
	// Replica is the server it was sent to, as an index into Spec.Replicas.
	Replica int `json:"replica,omitempty"`
	// Session and Turn place the request in a conversation: its number in the
	// point, from 0, and its place in it, from 0.
	Session int   `json:"session,omitempty"`
	Turn    int   `json:"turn,omitempty"`
	Phase   Phase `json:"phase"`

	// Scheduled is when the plan wanted it sent, Sent when it was handed to the
	// HTTP client. Connected is when it had a connection, Headers when the
	// response headers had come.
	Scheduled Instant `json:"scheduled"`
	Sent      Instant `json:"sent"`
	Connected Instant `json:"connected"`
	Headers   Instant `json:"headers"`
	// FirstEvent is the first event of any kind (a role-only chunk counts),
	// FirstReasoning and FirstContent the first with text in it, LastContent the
	// last with reasoning or content. End is when the answer was over.
	FirstEvent     Instant `json:"first_event"`
	FirstReasoning Instant `json:"first_reasoning"`
	FirstContent   Instant `json:"first_content"`
	LastContent    Instant `json:"last_content"`
	End            Instant `json:"end"`

	// Gaps holds the time between successive events with text (reasoning or
	// content): one fewer than the events.
	Gaps []Gap `json:"gaps,omitempty"`
	// TokensAt holds the tokens in each event with text where the server tells
	// them; nil otherwise. When not nil it is one longer than Gaps.
	TokensAt []int32 `json:"tokens_at,omitempty"`

	// Token counts; [Unknown] where nobody gave them. PromptAsked and
	// OutputAsked are what the workload wanted, the others what came.
	PromptAsked     int     `json:"prompt_asked"`
	OutputAsked     int     `json:"output_asked"`
	PromptTokens    int     `json:"prompt_tokens"`
	CachedTokens    int     `json:"cached_tokens"`
	OutputTokens    int     `json:"output_tokens"`
	ReasoningTokens int     `json:"reasoning_tokens"`
	Counted         Counted `json:"counted"`

	// Finish is the finish reason as the server gave it; empty = none came.
	Finish  string  `json:"finish,omitempty"`
	Outcome Outcome `json:"outcome"`
	// HTTPStatus is 0 when no answer came.
	HTTPStatus int `json:"http_status"`
	// Error is one sentence on what went wrong; empty for OK.
	Error string `json:"error,omitempty"`
	// RetryAfter is the server's Retry-After; 0 = none.
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	// Protocol is the HTTP version of the answer, such as "HTTP/1.1".
	Protocol string `json:"protocol,omitempty"`
	// Reused says that the request went out on a connection kept from before.
	Reused bool `json:"reused"`
	// Reads counts the reads of the body that returned bytes, Events the
	// events with text.
	Reads  int `json:"reads"`
	Events int `json:"events"`
	// FirstLag and MaxLag are how long after the kernel received them the first
	// event with text, and the latest-read one, were read; [Unknown] where the
	// arrivals are not the kernel's. They are in no other time.
	FirstLag time.Duration `json:"first_lag"`
	MaxLag   time.Duration `json:"max_lag"`
	// Lags are those of each event with text, while the sample is in memory; a
	// notebook keeps their quantiles in [Health].
	Lags []time.Duration `json:"-"`
	// ModelAsked is the model that the request named, where the run has several.
	ModelAsked string `json:"model_asked,omitempty"`
	// Model and Fingerprint are as answered.
	Model       string `json:"model,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
	// PromptHash and OutputHash are the first 16 hex digits of the SHA-256 of
	// the texts. The texts are kept only with Spec.KeepText.
	PromptHash string `json:"prompt_hash,omitempty"`
	OutputHash string `json:"output_hash,omitempty"`
	Prompt     string `json:"prompt,omitempty"`
	Output     string `json:"output,omitempty"`
	// Server is what the server said about this request's own timing (Ollama,
	// llama.cpp and the simulator do), as the JSON it sent; empty = nothing.
	Server string `json:"server,omitempty"`
}

// NewSample returns a sample in which nothing has happened yet and nothing is known.
func NewSample(seq int) Sample {
	return Sample{
		Seq: seq, Phase: Measured,
		Scheduled: Never, Sent: Never, Connected: Never, Headers: Never,
		FirstEvent: Never, FirstReasoning: Never, FirstContent: Never, LastContent: Never, End: Never,
		PromptAsked: Unknown, OutputAsked: Unknown,
		PromptTokens: Unknown, CachedTokens: Unknown, OutputTokens: Unknown, ReasoningTokens: Unknown,
		Counted: CountedNone, FirstLag: Unknown, MaxLag: Unknown,
	}
}

// FirstText is the earlier of the first reasoning and the first content:
// the end of TTFT. It is [Never] where no text came.
func (s *Sample) FirstText() Instant {
	switch {
	case !s.FirstReasoning.Happened():
		return s.FirstContent
	case !s.FirstContent.Happened():
		return s.FirstReasoning
	default:
		return min(s.FirstContent, s.FirstReasoning)
	}
}
