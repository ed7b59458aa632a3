package analysis

// Signs are what a point's samples show beside its figures: the evidence that rules
// about validity and about causes look at. They are of the measured requests, and the
// latencies among them of the successful ones. What is not known is NaN, or
// experiment.Unknown for a count.
type Signs struct {
	// EarlyTTFT and LaterTTFT are mean TTFTs in ms: of the first max(C, 5 %) of the measured
	// requests with a TTFT by the time they were sent, and of the others. A closed loop begins with C
	// prompts at once, which wait for one another however warm the server is: those of them that are not
	// warm-up are left out of both. ColdTTFT is that of the very first request of the point,
	// warm-up included; NaN where it failed.
	EarlyTTFT float64 `json:"early_ttft_ms"`
	LaterTTFT float64 `json:"later_ttft_ms"`
	ColdTTFT  float64 `json:"cold_ttft_ms"`
	// FirstHalf and SecondHalf are the output in tok/s of the two halves of the window. It is what the
	// server wrote then, whatever the phase and the end of the request: tokens count evenly from a stream's
	// first event to its last, and else from the sending to the end, so that a half is not judged by which
	// requests happen to end in it. HalvesT is the t-statistic of the second half less the first, from the means
	// of 15 parts of each, since under random arrivals of requests of random length halves differ
	// by chance; NaN for fewer than 30 requests in the window.
	FirstHalf  float64 `json:"first_half_tok_s"`
	SecondHalf float64 `json:"second_half_tok_s"`
	HalvesT    float64 `json:"halves_t"`
	// The means over the first and the last third of the measured requests by the time they
	// were sent, in ms.
	FirstThirdTTFT float64 `json:"first_third_ttft_ms"`
	LastThirdTTFT  float64 `json:"last_third_ttft_ms"`
	FirstThirdTPOT float64 `json:"first_third_tpot_ms"`
	LastThirdTPOT  float64 `json:"last_third_tpot_ms"`
	// TTFTSlopeT is the t-statistic of the least-squares slope of TTFT over the time sent, of more than 30
	// requests that of the means of 30 batches of neighbours: requests that wait in one queue are alike,
	// and one by one they would count as evidence many times over. 0 for TTFTs that are all the same.
	TTFTSlopeT float64 `json:"ttft_slope_t"`

	// EmptyStart is the median time in ms from the first event of any kind to the first
	// with text over the streamed answers, EmptyStartShare that time as a share of the median TTFT.
	EmptyStart      float64 `json:"empty_start_ms"`
	EmptyStartShare float64 `json:"empty_start_share"`
	// HiddenReasoning counts successful streams whose reasoning tokens were counted and not streamed,
	// as the metric tpot tells.
	HiddenReasoning int `json:"hidden_reasoning"`
	// RateLimited counts measured requests that were answered with 429 or told when to retry.
	RateLimited int `json:"rate_limited"`

	// PromptsHashed is how many successful requests have a hash of their prompt, and RepeatedPrompts
	// how many of these have that of an earlier one or of a warm-up request. FreshTTFT and RepeatTTFT are
	// the median TTFTs in ms of those that were new and of those that were not.
	PromptsHashed   int     `json:"prompts_hashed"`
	RepeatedPrompts int     `json:"repeated_prompts"`
	FreshTTFT       float64 `json:"fresh_ttft_ms"`
	RepeatTTFT      float64 `json:"repeat_ttft_ms"`
	// SamePrompt counts the successful requests that share their prompt with another one of the point,
	// where both answers have a hash, and DistinctAnswers the distinct pairs of prompt and answer among them; of SamePrompt
	// requests over SamePromptGroups prompts, equal answers would give SamePromptGroups.
	SamePrompt       int `json:"same_prompt"`
	SamePromptGroups int `json:"same_prompt_groups"`
	DistinctAnswers  int `json:"distinct_answers"`
	// Answers are the first answers to the 50 prompts whose hashes come first in the alphabet: points that
	// were asked the same prompts name the same ones, so that their answers can be compared.
	Answers []Answer `json:"answers"`
	// Models and Fingerprints count the distinct names and fingerprints in the successful answers.
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

	// Stalled counts successful streams with a gap longer than 10 times the point's median gap and than
	// 250 ms, LongestGap is the longest of all in ms.
	Stalled    int     `json:"stalled"`
	LongestGap float64 `json:"longest_gap_ms"`
	// GapCV is the coefficient of variation of the gaps.
	GapCV float64 `json:"gap_cv"`
	// SlowGaps is the share of gaps of at least five times the median gap; NaN where that is 0, as in
	// streams of which most events share a read.
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
	// Rushed counts streamed answers of 20 tokens or more that had 90 % or more of their latency behind them at the first token.
	Rushed int `json:"rushed"`

	// TTFTBimodality and TPOTBimodality are Sarle's coefficients, (skewness² + 1) ÷ kurtosis
	// with the correction for small counts, of the logarithms: of latencies as they are, a single
	// population with an exponential tail would have the 5/9 of a uniform distribution. Two far peaks have 1.
	// TTFTSpread and TPOTSpread are the standard deviations of the logarithms, about the coefficient of variation
	// where it is small: peaks that are hardly apart mean little.
	TTFTBimodality float64 `json:"ttft_bimodality"`
	TPOTBimodality float64 `json:"tpot_bimodality"`
	TTFTSpread     float64 `json:"ttft_log_spread"`
	TPOTSpread     float64 `json:"tpot_log_spread"`

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

// Answer is what a prompt was answered with, both as their hashes.
type Answer struct {
	Prompt string `json:"prompt"`
	Answer string `json:"answer"`
}

// MarshalJSON writes what is not known as null.
func (s Signs) MarshalJSON() ([]byte, error) { return marshalFinite(s) }

// UnmarshalJSON reads what [Signs.MarshalJSON] wrote.
func (s *Signs) UnmarshalJSON(data []byte) error {
	type plain Signs
	return unmarshalFinite(data, (*plain)(s))
}
