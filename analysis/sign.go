package analysis

// Signs are what a point's samples show beside its figures: the evidence that rules
// about validity and about causes look at. They are of the measured requests, and the
// latencies among them of the successful ones. What is not known is NaN, or
// experiment.Unknown for a count.
type Signs struct {
	// EarlyTTFT and LaterTTFT are mean TTFTs in ms: of the first max(C, 5 %) measured
	// requests by the time they were sent, and of the others. ColdTTFT is that of the
	// very first request of the point, warm-up included.
	EarlyTTFT float64 `json:"early_ttft_ms"`
	LaterTTFT float64 `json:"later_ttft_ms"`
	ColdTTFT  float64 `json:"cold_ttft_ms"`
	// FirstHalf and SecondHalf are the output throughputs in tok/s of the two halves of
	// the window.
	FirstHalf  float64 `json:"first_half_tok_s"`
	SecondHalf float64 `json:"second_half_tok_s"`
	// The means over the first and the last third of the measured requests by the time they
	// were sent, in ms.
	FirstThirdTTFT float64 `json:"first_third_ttft_ms"`
	LastThirdTTFT  float64 `json:"last_third_ttft_ms"`
	FirstThirdTPOT float64 `json:"first_third_tpot_ms"`
	LastThirdTPOT  float64 `json:"last_third_tpot_ms"`
	// TTFTSlopeT is the t-statistic of the slope of TTFT over the time sent.
	TTFTSlopeT float64 `json:"ttft_slope_t"`

	// EmptyStart is the median time in ms from the first event of any kind to the first
	// with text, EmptyStartShare that time as a share of the median TTFT.
	EmptyStart      float64 `json:"empty_start_ms"`
	EmptyStartShare float64 `json:"empty_start_share"`
	// HiddenReasoning counts successful answers whose reasoning tokens were counted and not streamed.
	HiddenReasoning int `json:"hidden_reasoning"`
	// RateLimited counts measured requests that were answered with 429 or told when to retry.
	RateLimited int `json:"rate_limited"`

	// PromptsHashed is how many successful requests have a hash of their prompt, and RepeatedPrompts
	// how many of these have that of an earlier one.
	PromptsHashed   int `json:"prompts_hashed"`
	RepeatedPrompts int `json:"repeated_prompts"`
	// SamePrompt counts the successful requests that share their prompt with another one of the point,
	// and DistinctAnswers the distinct pairs of prompt and answer among them; of SamePrompt
	// requests over SamePromptGroups prompts, equal answers would give SamePromptGroups.
	SamePrompt       int `json:"same_prompt"`
	SamePromptGroups int `json:"same_prompt_groups"`
	DistinctAnswers  int `json:"distinct_answers"`
	// Models and Fingerprints count the distinct names and fingerprints in the answers.
	Models       int `json:"models"`
	Fingerprints int `json:"fingerprints"`

	// OutputCV and PromptCV are the coefficients of variation of the token counts.
	OutputCV float64 `json:"output_cv"`
	PromptCV float64 `json:"prompt_cv"`
	// PromptAsked and PromptCounted are summed over the successful requests for which a length was
	// asked and counted; 0 = none. OffLength is the share of answers over 5 % off the
	// length asked for, of the OutputsAsked for which one was; Stopped counts those that ended by themselves.
	PromptAsked   int     `json:"prompt_asked_tokens"`
	PromptCounted int     `json:"prompt_counted_tokens"`
	OutputsAsked  int     `json:"outputs_asked"`
	OffLength     float64 `json:"off_length_share"`
	Stopped       int     `json:"stopped"`

	// Stalled counts successful streams with a gap longer than 10 times the median gap and 250 ms,
	// LongestGap is the longest of all in ms.
	Stalled    int     `json:"stalled"`
	LongestGap float64 `json:"longest_gap_ms"`
	// SlowGaps is the share of gaps of at least five times the median gap.
	SlowGaps float64 `json:"slow_gaps_share"`
	// DelayedAckGaps is the share of gaps within 5 % of 40 or 200 ms while the median is under half of
	// that: the marks of delayed acknowledgements and of proxy buffers.
	DelayedAckGaps float64 `json:"delayed_ack_gaps_share"`
	// GapGrowth is by how much the time between events grows from the first to the last of an answer,
	// as a share of its mean: the mean over streams of at least 20 gaps of the least-squares slope × (gaps − 1) ÷ mean.
	GapGrowth float64 `json:"gap_growth_share"`
	// MultiTokenEvents is the share of events that hold more than one token, over streams that tell.
	MultiTokenEvents float64 `json:"multi_token_events_share"`
	// Bursts counts streamed answers that came in one burst, of Streams with two tokens or more.
	Bursts  int `json:"bursts"`
	Streams int `json:"streams"`
	// Rushed counts streamed answers of 20 tokens or more that had over 90 % of their latency behind them at the first token.
	Rushed int `json:"rushed"`

	// TTFTBimodality and TPOTBimodality are Sarle's coefficients, (skewness² + 1) ÷ kurtosis
	// with the correction for small counts; a uniform distribution has 5/9, one of two far peaks 1.
	TTFTBimodality float64 `json:"ttft_bimodality"`
	TPOTBimodality float64 `json:"tpot_bimodality"`

	// TTFTPerPrompt is the slope in ms per prompt token of TTFT over the prompt's length and TTFTAtZero the
	// line's start in ms, TTFTPromptR2 the share of the variance that it explains; NaN where prompts have a
	// coefficient of variation under 10 %.
	TTFTPerPrompt float64 `json:"ttft_ms_per_prompt_token"`
	TTFTAtZero    float64 `json:"ttft_at_zero_ms"`
	TTFTPromptR2  float64 `json:"ttft_prompt_r2"`
	// E2EPerOutput and E2EPerPrompt are the slopes in ms per token of E2E over both lengths; NaN where one of them
	// has a coefficient of variation under 10 %, or they go together (correlation beyond ±0.9).
	E2EPerOutput float64 `json:"e2e_ms_per_output_token"`
	E2EPerPrompt float64 `json:"e2e_ms_per_prompt_token"`

	// IdentityError is the largest difference between E2E and TTFT + TPOT·(N − 1) as a share of E2E; it is above
	// 0 where the first event held several tokens, or reasoning was counted and not shown.
	IdentityError float64 `json:"identity_error"`
}

// MarshalJSON writes what is not known as null.
func (s Signs) MarshalJSON() ([]byte, error) { return marshalFinite(s) }

// UnmarshalJSON reads what [Signs.MarshalJSON] wrote.
func (s *Signs) UnmarshalJSON(data []byte) error {
	type plain Signs
	return unmarshalFinite(data, (*plain)(s))
}
