package analysis

import (
	"math"

	"github.com/inferbook/inferbook/experiment"
)

// SeedSummary is a point under the keys of the reading list's own harness,
// verbatim, for whoever compares with a summary made by such a script. What is
// not known is null, never 0: an answer that was not streamed has no TTFT.
//
// Three of its figures are not the windowed ones of [PointSummary], which leave
// out warm-up and drain: wall_clock_s runs from the first send to the last end
// of the measured requests, drain included, and throughput_tok_s and
// total_throughput_tok_s are all their tokens ÷ wall_clock_s. The request rate,
// b_run and the two ratios are windowed, over window_s.
type SeedSummary struct {
	Requests    int     `json:"n_requests"` // measured requests sent
	OK          int     `json:"n_ok"`
	Errors      int     `json:"n_errors"`
	Concurrency int     `json:"concurrency"`
	WallClock   float64 `json:"wall_clock_s"`
	Window      float64 `json:"window_s"`

	TTFTP50 float64 `json:"ttft_p50_ms"`
	TTFTP95 float64 `json:"ttft_p95_ms"`
	E2EP50  float64 `json:"e2e_p50_ms"`
	E2EP95  float64 `json:"e2e_p95_ms"`

	Throughput      float64 `json:"throughput_tok_s"`
	TotalThroughput float64 `json:"total_throughput_tok_s"` // prompt and output ÷ wall clock
	TotalTokens     int     `json:"total_tokens" missing:"-1"`
	PromptTokens    int     `json:"prompt_tokens_total" missing:"-1"`
	OutputTokens    int     `json:"completion_tokens_total" missing:"-1"`

	// TokenSource is who counted the output tokens: an [experiment.Counted],
	// "mixed", or "missing".
	TokenSource   string                     `json:"token_source"`
	FinishReasons map[string]int             `json:"finish_reason_counts"`
	Outcomes      map[experiment.Outcome]int `json:"outcome_counts"`

	TPOTMean float64 `json:"tpot_mean_ms"`
	TPOTP50  float64 `json:"tpot_p50_ms"`
	TPOTP95  float64 `json:"tpot_p95_ms"`
	ICLP50   float64 `json:"icl_p50_ms"`
	ICLP95   float64 `json:"icl_p95_ms"`
	ICLP99   float64 `json:"icl_p99_ms"`

	ChunksPerResponse float64          `json:"chunks_per_response_mean"`
	TokensPerChunk    float64          `json:"tokens_per_chunk_mean"`
	TTFTOverE2E       float64          `json:"ttft_over_e2e_p50"`
	Streaming         StreamingVerdict `json:"streaming_verdict"`

	MeanInflight  float64 `json:"mean_inflight"`
	RequestRate   float64 `json:"request_throughput_rps"`
	BRun          float64 `json:"b_run"`
	LittleRatio   float64 `json:"little_ratio"`
	IdentityRatio float64 `json:"identity_ratio"`
}

// MarshalJSON writes what is not known as null.
func (s SeedSummary) MarshalJSON() ([]byte, error) { return marshalFinite(s) }

// UnmarshalJSON reads what [SeedSummary.MarshalJSON] wrote.
func (s *SeedSummary) UnmarshalJSON(data []byte) error {
	type plain SeedSummary
	return unmarshalFinite(data, (*plain)(s))
}

// SeedJSON gives the point under the seed's keys.
func (s PointSummary) SeedJSON() SeedSummary {
	wall := s.MeasuredClock.Seconds()
	total := experiment.Unknown
	if s.PromptTokens != experiment.Unknown && s.OutputTokens != experiment.Unknown {
		total = s.PromptTokens + s.OutputTokens
	}
	return SeedSummary{
		Requests: s.Sent, OK: s.OK, Errors: s.Sent - s.OK, Concurrency: s.Point.Load.Concurrency,
		WallClock: wall, Window: s.Window.Seconds(),
		TTFTP50: s.TTFT.P50.Value, TTFTP95: s.TTFT.P95.Value,
		E2EP50: s.E2E.P50.Value, E2EP95: s.E2E.P95.Value,
		Throughput: perSecond(s.OutputTokens, wall), TotalThroughput: perSecond(total, wall),
		TotalTokens: total, PromptTokens: s.PromptTokens, OutputTokens: s.OutputTokens,
		TokenSource: tokenSource(s.CountedBy), FinishReasons: s.Finishes, Outcomes: s.Outcomes,
		TPOTMean: s.TPOT.Mean, TPOTP50: s.TPOT.P50.Value, TPOTP95: s.TPOT.P95.Value,
		ICLP50: s.ICL.P50.Value, ICLP95: s.ICL.P95.Value, ICLP99: s.ICL.P99.Value,
		ChunksPerResponse: s.MeanEvents, TokensPerChunk: s.EventsPerOutput,
		TTFTOverE2E: s.TTFTOverE2E, Streaming: s.Streaming,
		MeanInflight: s.MeanInflight, RequestRate: s.RequestRate, BRun: s.BRun,
		LittleRatio: s.LittleRatio, IdentityRatio: s.IdentityRatio,
	}
}

// perSecond is a count over a time; NaN where either is not known.
func perSecond(count int, seconds float64) float64 {
	return ratio(known(count), seconds)
}

// tokenSource names who counted, where it was one and the same for all answers.
func tokenSource(by map[experiment.Counted]int) string {
	if len(by) > 1 {
		return "mixed"
	}
	for who := range by {
		if who != experiment.CountedNone {
			return string(who)
		}
	}
	return "missing"
}

// SeedCurve is a sweep under the keys of the reading list's third step: the
// points in rising load, repeat after repeat, and what their shape says.
type SeedCurve struct {
	Points []SeedSummary `json:"points"`
	Fit    *LineFit      `json:"fit"`
	// Knee and Saturation are concurrencies, AdmissionLimit is in requests; null = not reached.
	Knee           float64 `json:"knee_concurrency"`
	Saturation     float64 `json:"saturation_concurrency"`
	AdmissionLimit float64 `json:"admission_limit"`
}

// MarshalJSON writes what is not known as null.
func (c SeedCurve) MarshalJSON() ([]byte, error) { return marshalFinite(c) }

// UnmarshalJSON reads what [SeedCurve.MarshalJSON] wrote.
func (c *SeedCurve) UnmarshalJSON(data []byte) error {
	type plain SeedCurve
	return unmarshalFinite(data, (*plain)(c))
}

// SeedJSON gives the curve under the seed's keys.
func (c Curve) SeedJSON() SeedCurve {
	out := SeedCurve{Points: []SeedSummary{}, Fit: c.Fit, Knee: math.NaN(), Saturation: math.NaN(), AdmissionLimit: math.NaN()}
	for _, l := range c.Levels {
		for _, p := range l.Points {
			out.Points = append(out.Points, p.SeedJSON())
		}
	}
	if c.Knee != nil {
		out.Knee = c.Knee.Level
	}
	if c.Plateau != nil {
		out.Saturation = c.Plateau.Level
	}
	if c.AdmissionLimit != nil {
		out.AdmissionLimit = c.AdmissionLimit.Value
	}
	return out
}
