package sim

import "time"

// Never is the time of what did not happen.
const Never time.Duration = -1

// Finish reasons of a [Truth].
const (
	FinishStop   = "stop"   // it came to its own end before the limit
	FinishLength = "length" // it produced as many tokens as it was allowed
	FinishAbort  = "abort"  // the client went away
)

// Request is what a client asks of the engine.
type Request struct {
	// ID is unique among the requests that are not finished yet.
	ID string
	// Arrive is when the server receives it, since the engine's start.
	Arrive time.Duration
	// Content is the prompt. Nil is one that shares nothing with any other, and is
	// known by its length alone.
	Content *Content
	// PromptTokens and MaxTokens are ≥ 1; together they fit the context. PromptTokens
	// is taken from Content where there is one.
	PromptTokens, MaxTokens int
	// OutputTokens is how many tokens it will produce, 1 to MaxTokens.
	OutputTokens int
}

// Truth is what happened to a request, as the engine knows it. Times count from
// the engine's start; one that did not come to pass is [Never].
type Truth struct {
	ID string
	// Replica is the one that served it, from 0; 0 too for a request that was not routed.
	Replica int
	// Arrive is when the server received the request, Ready when the front end
	// had done with it, Scheduled when the first step with it began.
	Arrive, Ready, Scheduled time.Duration
	// FirstToken and Finish are when the first and the last token left the
	// server: the end of their step plus [Runtime].Net. Finish of an aborted
	// request is when it was cancelled.
	FirstToken, Finish time.Duration
	// TokenTimes has one time for each output token that left the server; drafts that
	// were accepted left together. It is nil where a [Loop] was told not to keep them.
	TokenTimes []time.Duration

	PromptTokens int
	CachedTokens int // prompt tokens found in the prefix cache when it was first scheduled
	OutputTokens int // tokens that left the server
	Preemptions  int // times it lost its KV blocks and was computed again
	FinishReason string
}

// Queue is the time between leaving the front end and the first step, as vLLM's
// request_queue_time_seconds; Never for a request that was not scheduled.
func (t Truth) Queue() time.Duration { return span(t.Ready, t.Scheduled) }

// Prefill is the time from the first step's start to the end of the step that
// gave the first token; net is the deployment's [Runtime].Net.
func (t Truth) Prefill(net time.Duration) time.Duration { return span(t.Scheduled, t.FirstToken-net) }

// TTFT is the time from arrival to the first token; Never without one.
func (t Truth) TTFT() time.Duration { return span(t.Arrive, t.FirstToken) }

// E2E is the time from arrival to the last token.
func (t Truth) E2E() time.Duration { return span(t.Arrive, t.Finish) }

func span(from, to time.Duration) time.Duration {
	if from < 0 || to < 0 {
		return Never
	}
	return to - from
}
