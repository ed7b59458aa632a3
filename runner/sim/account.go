package sim

import (
	"encoding/json"
	"time"
)

// account is a [Truth] as it goes over the wire, beside the usage. Each span is
// there in seconds, for people, and in nanoseconds, for checks. front + queue +
// prefill + net = ttft; a span that has no end is −1.
type account struct {
	Simulated   bool   `json:"simulated"`
	Profile     string `json:"profile"`
	Calibration string `json:"calibration"`
	ID          string `json:"id"`

	FinishReason string `json:"finish_reason"`
	PromptTokens int    `json:"prompt_tokens"`
	CachedTokens int    `json:"cached_tokens"`
	OutputTokens int    `json:"output_tokens"`
	Preemptions  int    `json:"preemptions"`

	ArrivalS float64 `json:"arrival_s"` // since the engine's start
	FrontS   float64 `json:"front_s"`   // arrival to the end of the front end, its queue included
	QueueS   float64 `json:"queue_s"`   // to the start of the first step
	PrefillS float64 `json:"prefill_s"` // to the end of the step that gave the first token
	NetS     float64 `json:"net_s"`     // from the end of a step to its tokens leaving the server
	TTFTS    float64 `json:"ttft_s"`    // arrival to the first token leaving
	DecodeS  float64 `json:"decode_s"`  // first token to last
	E2ES     float64 `json:"e2e_s"`     // arrival to the last token leaving

	ArrivalNS  int64   `json:"arrival_ns"`
	FrontNS    int64   `json:"front_ns"`
	QueueNS    int64   `json:"queue_ns"`
	PrefillNS  int64   `json:"prefill_ns"`
	NetNS      int64   `json:"net_ns"`
	TTFTNS     int64   `json:"ttft_ns"`
	DecodeNS   int64   `json:"decode_ns"`
	E2ENS      int64   `json:"e2e_ns"`
	TokenTimes []int64 `json:"token_times_ns"` // each token leaving, since arrival
}

func (s *Server) account(t Truth) account {
	net := s.d.Runtime.Net
	front, decode := span(t.Arrive, t.Ready), span(t.FirstToken, t.Finish)
	a := account{
		Simulated: true, Profile: s.d.Profile(), Calibration: s.d.Calibration, ID: t.ID,
		FinishReason: t.FinishReason, PromptTokens: t.PromptTokens, CachedTokens: t.CachedTokens,
		OutputTokens: t.OutputTokens, Preemptions: t.Preemptions,
		ArrivalS: seconds(t.Arrive), FrontS: seconds(front), QueueS: seconds(t.Queue()), PrefillS: seconds(t.Prefill(net)),
		NetS: seconds(net), TTFTS: seconds(t.TTFT()), DecodeS: seconds(decode), E2ES: seconds(t.E2E()),
		ArrivalNS: int64(t.Arrive), FrontNS: int64(front), QueueNS: int64(t.Queue()), PrefillNS: int64(t.Prefill(net)),
		NetNS: int64(net), TTFTNS: int64(t.TTFT()), DecodeNS: int64(decode), E2ENS: int64(t.E2E()),
		TokenTimes: make([]int64, len(t.TokenTimes)),
	}
	for i, at := range t.TokenTimes {
		a.TokenTimes[i] = int64(at - t.Arrive)
	}
	return a
}

// seconds keeps Never recognisable.
func seconds(d time.Duration) float64 {
	if d == Never {
		return -1
	}
	return d.Seconds()
}

func (a account) json() []byte {
	b, err := json.Marshal(a)
	if err != nil {
		panic("sim: an account has finite numbers and text only: " + err.Error())
	}
	return b
}
