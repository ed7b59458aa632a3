package analysis

import (
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// DefinitionVersion numbers the set of definitions that a [PointSummary] was
// computed with. A cached summary of another version is computed again.
const DefinitionVersion = 5

// PointSummary is everything computed from the samples of one point. Latencies
// are in milliseconds and come from measured samples with the outcome ok, also
// those that completed in the drain. A float that is not known is NaN. In JSON
// the keys carry the unit, and what is not known is null.
type PointSummary struct {
	Point      experiment.Point `json:"point"`
	Definition int              `json:"definition"` // DefinitionVersion

	Sent      int                        `json:"sent"`       // measured requests that were sent
	OK        int                        `json:"ok"`         // of these, the successful ones
	InWindow  int                        `json:"in_window"`  // the ones that count for throughput: of these those that ended within the window, under [experiment.SteadyOpen] of any phase
	WarmedUp  int                        `json:"warmed_up"`  // requests excluded as warm-up
	Outcomes  map[experiment.Outcome]int `json:"outcomes"`   // of the measured requests
	Finishes  map[string]int             `json:"finishes"`   // finish reasons of the successful ones
	CountedBy map[experiment.Counted]int `json:"counted_by"` // who counted the output tokens of the successful ones

	WallClock time.Duration `json:"wall_clock_ns"` // first Sent of any phase to last End of any phase
	// MeasuredClock is first Sent to last End of the measured phase, drain
	// included: the wall clock of the seed's own harness, which has no warm-up.
	MeasuredClock time.Duration `json:"measured_clock_ns"`
	// Window is the span that throughput is counted over: the point's window, or
	// first Sent to last End of the measured phase under [experiment.SteadyNone]
	// and for a run that crashed.
	Window time.Duration `json:"window_ns"`

	TTFT       Distribution `json:"ttft"`
	TTFTAnswer Distribution `json:"ttft_answer"`
	E2E        Distribution `json:"e2e"`
	TPOT       Distribution `json:"tpot"`
	ICL        Distribution `json:"icl"`
	TTFTSched  Distribution `json:"ttft_sched"`
	E2ESched   Distribution `json:"e2e_sched"`
	// SendLag is over all measured requests, also those that failed.
	SendLag Distribution `json:"send_lag"`

	OutputThroughput float64 `json:"output_throughput_tok_s"` // tok/s: output tokens of the requests in InWindow ÷ window
	TotalThroughput  float64 `json:"total_throughput_tok_s"`  // tok/s: prompt and output tokens, likewise
	RequestRate      float64 `json:"request_rate_req_s"`      // req/s: InWindow ÷ window
	// The 95 % intervals of the three rates within this run, from the parts of the window in their order, see
	// [interval.Mean]; NaN where too few requests ended in it. Another run may differ by more.
	OutputThroughputLow  float64 `json:"output_throughput_low_tok_s"`
	OutputThroughputHigh float64 `json:"output_throughput_high_tok_s"`
	TotalThroughputLow   float64 `json:"total_throughput_low_tok_s"`
	TotalThroughputHigh  float64 `json:"total_throughput_high_tok_s"`
	RequestRateLow       float64 `json:"request_rate_low_req_s"`
	RequestRateHigh      float64 `json:"request_rate_high_req_s"`

	ErrorRate     float64 `json:"error_rate"`               // share of measured requests that were not ok, 0–1
	Interactivity float64 `json:"interactivity_tok_s_user"` // tok/s/user: 1 ÷ median TPOT
	BRun          float64 `json:"b_run"`                    // requests decoding: output throughput × mean TPOT
	MeanInflight  float64 `json:"mean_inflight"`            // time-weighted requests in flight within the window, of any phase and outcome
	MaxInflight   int     `json:"max_inflight"`             // most requests in flight at once within the window
	LittleRatio   float64 `json:"little_ratio"`             // request rate × mean E2E ÷ mean in flight; 1 = consistent
	IdentityRatio float64 `json:"identity_ratio"`           // output throughput ÷ (C·N/(TTFT+(N−1)·TPOT)); 1 = consistent

	// OfferedRate is the mean rate of the open loops as planned; NaN where all are
	// closed. The others below are of an open loop alone, else NaN.
	OfferedRate  float64 `json:"offered_rate_req_s"`
	AchievedRate float64 `json:"achieved_rate_req_s"` // req/s: (measured requests − 1) ÷ (last − first sent)
	// ScheduledRate is the rate of the same requests as they were scheduled, in req/s: by chance it is not quite the one offered.
	ScheduledRate float64 `json:"scheduled_rate_req_s"`
	ArrivalCV     float64 `json:"arrival_cv"` // standard deviation ÷ mean of the gaps between the scheduled times of measured first turns
	// InflightSlope is by how many requests a second the number of those scheduled
	// and not ended grows within the window, by least squares, held-back ones included.
	InflightSlope float64 `json:"inflight_slope_req_s"`
	// InflightSlopeP is the probability of such a slope, or a steeper one, at a
	// load that the server just about serves; see [inflightSlope].
	InflightSlopeP float64 `json:"inflight_slope_p"`
	// Oversaturated says that requests pile up: the point was ended for it, or
	// [Saturation] says so of its window.
	Oversaturated bool `json:"oversaturated"`

	// SLO is the text of the objectives that the point was judged by; "" = none.
	SLO        string       `json:"slo"`
	Attainment []Attainment `json:"slo_attainment"` // one an objective, in the order of the SLO
	// GoodShare is the share of the measured requests that were ok and within all
	// latencies of the SLO at once, 0–1; Goodput is the rate of such requests in
	// req/s, counted as RequestRate. Both are NaN without an SLO.
	GoodShare float64 `json:"slo_attainment_joint"`
	Goodput   float64 `json:"goodput_req_s"`

	HeldBack   int     `json:"held_back"`       // measured requests that waited for the cap on concurrency
	HeldMax    float64 `json:"held_max_ms"`     // the longest such wait
	ReadLagP50 float64 `json:"read_lag_p50_ms"` // from the kernel's stamp of an event to our read; NaN where stamps are not the kernel's
	ReadLagP99 float64 `json:"read_lag_p99_ms"`
	ReadLagMax float64 `json:"read_lag_max_ms"`

	PromptTokens int `json:"prompt_tokens" missing:"-1"` // summed over successful samples; experiment.Unknown where nobody counted any
	OutputTokens int `json:"output_tokens" missing:"-1"` // likewise
	CachedTokens int `json:"cached_tokens" missing:"-1"` // experiment.Unknown where no server said
	// Preempted is how many successful requests lost their keys and values while they
	// ran, by the server's own account; experiment.Unknown where none says.
	Preempted  int     `json:"preempted" missing:"-1"`
	MeanPrompt float64 `json:"mean_prompt_tokens"` // tokens per request
	PromptP50  float64 `json:"prompt_p50_tokens"`
	PromptP95  float64 `json:"prompt_p95_tokens"`
	MeanOutput float64 `json:"mean_output_tokens"`
	OutputP50  float64 `json:"output_p50_tokens"`
	OutputP95  float64 `json:"output_p95_tokens"`
	// CacheHitShare is cached ÷ prompt tokens over the successful requests of
	// which the server told both, 0–1.
	CacheHitShare float64 `json:"cache_hit_share"`

	// EventsPerOutput is output tokens ÷ events with text; 1 = one token an event.
	// NaN where the events themselves were the count.
	EventsPerOutput float64          `json:"tokens_per_event"`
	MeanEvents      float64          `json:"events_per_response"` // events with text per streamed answer
	SharedReads     float64          `json:"shared_reads"`        // share of gaps whose event came in one read with the one before, 0–1
	TTFTOverE2E     float64          `json:"ttft_over_e2e"`       // median of TTFT ÷ E2E
	Streaming       StreamingVerdict `json:"streaming"`

	// Signs are further evidence, for the rules.
	Signs Signs `json:"signs"`

	// Classes are the summaries of the classes, each by its own SLO and of its own
	// load, in the order of the specification; empty = one kind of traffic.
	Classes []ClassSummary `json:"classes"`
}

// MarshalJSON writes what is not known as null.
func (s PointSummary) MarshalJSON() ([]byte, error) { return marshalFinite(s) }

// UnmarshalJSON reads what [PointSummary.MarshalJSON] wrote.
func (s *PointSummary) UnmarshalJSON(data []byte) error {
	type plain PointSummary
	return unmarshalFinite(data, (*plain)(s))
}

// DistributionOf gives the distribution of a per-sample metric by its name, such
// as "ttft". It reports false for a metric that has none.
func (s *PointSummary) DistributionOf(metric string) (Distribution, bool) {
	m, ok := MetricByName(metric)
	if !ok || m.dist == nil {
		return Distribution{}, false
	}
	return *m.dist(s), true
}
