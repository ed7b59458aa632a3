package analysis

// The definitions of [DefinitionVersion]. DESIGN.md, "Metrics", fixes them; how
// other tools define the same words is told where they are imported.

const (
	needsStream = "a streamed answer"
	needsTokens = "a token count"
	needsBoth   = "a streamed answer with a token count"
	needsLoop   = "a closed loop, a streamed answer and a token count"
	needsOpen   = "an open loop"
	needsSLO    = "an SLO"
)

var sampleMetrics = []Metric{
	{
		Name: "ttft", Version: 1, Title: "Time to first token", Unit: "ms", Direction: LowerIsBetter,
		Formula: "first event with non-empty content or reasoning − sent; a role-only event is not text",
		Needs:   needsStream, Reading: "nvidia-fundamental-concepts",
		Of: ttft, dist: func(s *PointSummary) *Distribution { return &s.TTFT },
	},
	{
		Name: "ttft_answer", Version: 1, Title: "Time to first token of the answer", Unit: "ms", Direction: LowerIsBetter,
		Formula: "first event with non-empty content (not reasoning) − sent",
		Needs:   needsStream, Reading: "nvidia-fundamental-concepts",
		Of: ttftAnswer, dist: func(s *PointSummary) *Distribution { return &s.TTFTAnswer },
	},
	{
		Name: "e2e", Version: 1, Title: "End-to-end latency", Unit: "ms", Direction: LowerIsBetter,
		Formula: "last event with content or reasoning − sent; end of the answer − sent where no event carried text",
		Reading: "databricks-inference-performance",
		Of:      e2e, dist: func(s *PointSummary) *Distribution { return &s.E2E },
	},
	{
		Name: "tpot", Version: 1, Title: "Time per output token", Unit: "ms", Direction: LowerIsBetter,
		Formula: "(e2e − ttft) ÷ (N − 1), or ÷ (N − k) where the server told that the first event held k tokens (as MLPerf counts); " +
			"N leaves out reasoning tokens that were counted but never streamed; undefined for N < 2 and for text that came all at once",
		Needs: needsBoth, Reading: "cheng-inference-benchmarking",
		Of: tpot, dist: func(s *PointSummary) *Distribution { return &s.TPOT },
	},
	{
		Name: "icl", Version: 1, Title: "Inter-chunk latency", Unit: "ms", Direction: LowerIsBetter,
		Formula: "time between successive events with text, over all events of all requests, to 1 µs; 0 for events that share a read. " +
			"An event may hold several tokens, so this is not the time between tokens",
		Needs: needsStream, Reading: "vllm-repository",
		dist: func(s *PointSummary) *Distribution { return &s.ICL },
	},
	{
		Name: "ttft_sched", Version: 1, Title: "Time to first token from the schedule", Unit: "ms", Direction: LowerIsBetter,
		Formula: "first event with non-empty content or reasoning − scheduled, so that a late send is charged to the latency",
		Needs:   needsStream, Reading: "cheng-inference-benchmarking",
		Of: ttftSched, dist: func(s *PointSummary) *Distribution { return &s.TTFTSched },
	},
	{
		Name: "e2e_sched", Version: 1, Title: "End-to-end latency from the schedule", Unit: "ms", Direction: LowerIsBetter,
		Formula: "last event with content or reasoning (or end of the answer) − scheduled",
		Reading: "cheng-inference-benchmarking",
		Of:      e2eSched, dist: func(s *PointSummary) *Distribution { return &s.E2ESched },
	},
	{
		Name: "send_lag", Version: 1, Title: "Send lag", Unit: "ms", Direction: LowerIsBetter,
		Formula: "sent − scheduled, of every measured request, also those that failed: how late the client was, the wait for a cap on concurrency included",
		Reading: "cheng-inference-benchmarking",
		Of:      sendLag, dist: func(s *PointSummary) *Distribution { return &s.SendLag },
	},
}

var pointMetrics = []Metric{
	{
		Name: "output_throughput", Version: 2, Title: "Output throughput", Unit: "tok/s", Direction: HigherIsBetter,
		Formula: "output tokens of the measured, successful requests that ended within the window ÷ window; in an open loop those of any phase, since arrivals go on before and after it",
		Needs:   needsTokens, Reading: "nvidia-fundamental-concepts",
		OfPoint: func(s *PointSummary) float64 { return s.OutputThroughput },
	},
	{
		Name: "total_throughput", Version: 2, Title: "Total throughput", Unit: "tok/s", Direction: HigherIsBetter,
		Formula: "prompt and output tokens of the measured, successful requests that ended within the window ÷ window; in an open loop those of any phase, since arrivals go on before and after it",
		Needs:   needsTokens, Reading: "nvidia-inference-cost",
		OfPoint: func(s *PointSummary) float64 { return s.TotalThroughput },
	},
	{
		Name: "request_rate", Version: 2, Title: "Request throughput", Unit: "req/s", Direction: HigherIsBetter,
		Formula: "measured, successful requests that ended within the window ÷ window; in an open loop those of any phase, since arrivals go on before and after it",
		Reading: "databricks-llm-inference-search",
		OfPoint: func(s *PointSummary) float64 { return s.RequestRate },
	},
	{
		Name: "error_rate", Version: 1, Title: "Error rate", Direction: LowerIsBetter,
		Formula: "measured requests with any outcome but ok ÷ measured requests sent, as a share of 1",
		Reading: "cheng-inference-benchmarking",
		OfPoint: func(s *PointSummary) float64 { return s.ErrorRate },
	},
	{
		Name: "interactivity", Version: 1, Title: "Interactivity", Unit: "tok/s/user", Direction: HigherIsBetter,
		Formula: "1000 ÷ median tpot",
		Needs:   needsBoth, Reading: "medium-llm-benchmarks",
		OfPoint: func(s *PointSummary) float64 { return s.Interactivity },
	},
	{
		Name: "b_run", Version: 1, Title: "Requests decoding", Unit: "requests", Direction: Neither,
		Formula: "output_throughput × mean tpot: Little's law on the decode phase",
		Needs:   needsBoth, Reading: "nvidia-tensorrt-llm-tuning",
		OfPoint: func(s *PointSummary) float64 { return s.BRun },
	},
	{
		Name: "mean_inflight", Version: 1, Title: "Mean requests in flight", Unit: "requests", Direction: Neither,
		Formula: "time-weighted mean over the window of requests sent and not ended, of any phase and outcome",
		Reading: "nvidia-tensorrt-llm-tuning",
		OfPoint: func(s *PointSummary) float64 { return s.MeanInflight },
	},
	{
		Name: "wall_clock", Version: 1, Title: "Wall clock", Unit: "s", Direction: Neither,
		Formula: "first send to last end over all phases, warm-up and drain included",
		Reading: "nvidia-fundamental-concepts",
		OfPoint: func(s *PointSummary) float64 { return s.WallClock.Seconds() },
	},
	{
		Name: "window", Version: 2, Title: "Measurement window", Unit: "s", Direction: Neither,
		Formula: "from the last end of a warm-up request that comes before the first measured end (first measured send where there is no warm-up) " +
			"to the last measured end, or to the end of sending where an interruption left a drain; " +
			"in an open loop from the first measured arrival to the last; the point's steady-state rule says which",
		Reading: "nvidia-genai-perf-nim",
		OfPoint: func(s *PointSummary) float64 { return s.Window.Seconds() },
	},
	{
		Name: "little_ratio", Version: 1, Title: "Little's law", Direction: Neither,
		Formula: "request_rate × mean e2e ÷ mean_inflight; 1 = the figures are of one population",
		Reading: "nvidia-tensorrt-llm-tuning",
		OfPoint: func(s *PointSummary) float64 { return s.LittleRatio },
	},
	{
		Name: "identity_ratio", Version: 1, Title: "Closed-loop identity", Direction: Neither,
		Formula: "output_throughput ÷ (C·N ÷ (mean ttft + (N − 1)·mean tpot)), N = mean output tokens; 1 = C requests were kept in flight",
		Needs:   needsLoop, Reading: "nvidia-fundamental-concepts",
		OfPoint: func(s *PointSummary) float64 { return s.IdentityRatio },
	},
	{
		Name: "tokens_per_event", Version: 1, Title: "Tokens per event", Unit: "tok", Direction: Neither,
		Formula: "output tokens ÷ events with text, over streamed answers; 1 = one token an event",
		Needs:   needsBoth, Reading: "vllm-repository",
		OfPoint: func(s *PointSummary) float64 { return s.EventsPerOutput },
	},
	{
		Name: "ttft_over_e2e", Version: 1, Title: "Share of the wait before the first token", Direction: Neither,
		Formula: "median over requests of ttft ÷ e2e; near 1 = the stream did not come as a stream",
		Needs:   needsStream, Reading: "learning-path",
		OfPoint: func(s *PointSummary) float64 { return s.TTFTOverE2E },
	},
	{
		Name: "mean_prompt", Version: 1, Title: "Prompt length", Unit: "tok", Direction: Neither,
		Formula: "mean prompt tokens of the successful requests, as the server counted",
		Needs:   needsTokens, Reading: "databricks-llm-inference-search",
		OfPoint: func(s *PointSummary) float64 { return s.MeanPrompt },
	},
	{
		Name: "mean_output", Version: 1, Title: "Output length", Unit: "tok", Direction: Neither,
		Formula: "mean output tokens of the successful requests",
		Needs:   needsTokens, Reading: "databricks-inference-performance",
		OfPoint: func(s *PointSummary) float64 { return s.MeanOutput },
	},
	{
		Name: "goodput", Version: 1, Title: "Goodput", Unit: "req/s", Direction: HigherIsBetter,
		Formula: "requests counted by request_rate that were within all latency bounds of the SLO at once ÷ window; a request that failed is a miss",
		Needs:   needsSLO, Reading: "vllm-repository",
		OfPoint: func(s *PointSummary) float64 { return s.Goodput },
	},
	{
		Name: "slo_attainment", Version: 1, Title: "SLO attainment", Direction: HigherIsBetter,
		Formula: "measured requests that were ok and within all latency bounds of the SLO at once ÷ measured requests sent, as a share of 1",
		Needs:   needsSLO, Reading: "vllm-repository",
		OfPoint: func(s *PointSummary) float64 { return s.GoodShare },
	},
	{
		Name: "offered_rate", Version: 1, Title: "Offered rate", Unit: "req/s", Direction: Neither,
		Formula: "mean rate of the open loops, as planned",
		Needs:   needsOpen, Reading: "cheng-inference-benchmarking",
		OfPoint: func(s *PointSummary) float64 { return s.OfferedRate },
	},
	{
		Name: "achieved_rate", Version: 1, Title: "Achieved rate", Unit: "req/s", Direction: Neither,
		Formula: "(measured requests − 1) ÷ (last sent − first sent)",
		Needs:   needsOpen, Reading: "cheng-inference-benchmarking",
		OfPoint: func(s *PointSummary) float64 { return s.AchievedRate },
	},
	{
		Name: "arrival_cv", Version: 1, Title: "Burstiness of the arrivals", Direction: Neither,
		Formula: "standard deviation ÷ mean of the gaps between the scheduled times of measured first turns; 0 = evenly spaced, 1 = Poisson",
		Needs:   needsOpen, Reading: "vllm-repository",
		OfPoint: func(s *PointSummary) float64 { return s.ArrivalCV },
	},
	{
		Name: "inflight_slope", Version: 1, Title: "Growth of the requests in flight", Unit: "req/s", Direction: Neither,
		Formula: "least-squares slope over the window of the number of requests scheduled and not ended, of any phase and outcome; 0 = the server keeps up",
		Needs:   needsOpen, Reading: "nvidia-fundamental-concepts",
		OfPoint: func(s *PointSummary) float64 { return s.InflightSlope },
	},
	{
		Name: "cache_hit_share", Version: 1, Title: "Prompt tokens from the cache", Direction: Neither,
		Formula: "cached ÷ prompt tokens over the successful requests of which the server told both, as a share of 1",
		Needs:   "a server that tells cached tokens", Reading: "vllm-repository",
		OfPoint: func(s *PointSummary) float64 { return s.CacheHitShare },
	},
}
