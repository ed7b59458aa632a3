package sim

import "time"

// Account is what the engine says of one request's own time, so that a client's
// stamps can be checked against it. It goes out beside the usage, and a virtual
// run records the same. front + queue + prefill + net = ttft; a span that has no
// end is −1. Times are the engine's, whatever scale its clock has.
type Account struct {
	Simulated    bool   `json:"simulated"`
	ID           string `json:"id"`
	Preemptions  int    `json:"preemptions"`
	CachedTokens int    `json:"cached_tokens,omitzero"`
	Replica      int    `json:"replica,omitzero"`
	// TimeScale is the engine's seconds in a real second, where they differ.
	TimeScale float64       `json:"time_scale,omitzero"`
	Arrival   time.Duration `json:"arrival_ns"` // since the engine's start
	Front     time.Duration `json:"front_ns"`   // arrival to the end of the front end, its queue included
	Queue     time.Duration `json:"queue_ns"`   // to the start of the first step
	Prefill   time.Duration `json:"prefill_ns"` // to the end of the step that gave the first token
	Net       time.Duration `json:"net_ns"`     // from the end of a step to its tokens leaving the server
	TTFT      time.Duration `json:"ttft_ns"`    // arrival to the first token leaving
	Decode    time.Duration `json:"decode_ns"`  // first token to last
	E2E       time.Duration `json:"e2e_ns"`     // arrival to the last token leaving
}

// Account gives the account of a request that this deployment served.
func (d Deployment) Account(t Truth) Account {
	net := d.Runtime.Net
	return Account{
		Simulated: true, ID: t.ID, Preemptions: t.Preemptions, CachedTokens: t.CachedTokens, Replica: t.Replica, Arrival: t.Arrive,
		Front: span(t.Arrive, t.Ready), Queue: t.Queue(), Prefill: t.Prefill(net), Net: net,
		TTFT: t.TTFT(), Decode: span(t.FirstToken, t.Finish), E2E: t.E2E(),
	}
}

// JSON gives the account as a virtual run records it.
func (a Account) JSON() []byte { return mustJSON(a) }

// about says what is simulated, how far that may be trusted, and how fast the
// engine's clock goes. It stands beside the account in each answer.
type about struct {
	Profile     string  `json:"profile"`
	Calibration string  `json:"calibration"`
	TimeScale   float64 `json:"time_scale"`
}

func (s *Server) about() about { return about{s.d.Profile(), s.d.Calibration, s.pace.scale} }

func (s *Server) account(t Truth) Account {
	a := s.d.Account(t)
	if s.pace.scale != 1 {
		a.TimeScale = s.pace.scale
	}
	return a
}

// truth gives the members that end an answer: the account, and what it is an account of.
func (s *Server) truth(t Truth) []byte {
	out := append([]byte(`,"sim":`), s.account(t).JSON()...)
	out = append(out, `,"simulator":`...)
	return append(out, mustJSON(s.about())...)
}

// fullAccount is all that is known of a request: what GET /sim/requests/{id} answers.
type fullAccount struct {
	Account
	Simulator    about           `json:"simulator"`
	FinishReason string          `json:"finish_reason"`
	PromptTokens int             `json:"prompt_tokens"`
	OutputTokens int             `json:"output_tokens"`
	TokenTimes   []time.Duration `json:"token_times_ns"` // each token leaving, since arrival
}

func (s *Server) fullAccount(t Truth) fullAccount {
	a := fullAccount{
		Account: s.account(t), Simulator: s.about(), FinishReason: t.FinishReason,
		PromptTokens: t.PromptTokens, OutputTokens: t.OutputTokens,
		TokenTimes: make([]time.Duration, len(t.TokenTimes)),
	}
	for i, at := range t.TokenTimes {
		a.TokenTimes[i] = at - t.Arrive
	}
	return a
}
