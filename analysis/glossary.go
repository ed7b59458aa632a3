package analysis

import (
	"slices"
	"strings"
)

// Term is a word of this program, or of the trade, that is no metric.
type Term struct {
	Word    string   `json:"word"` // what a person types
	Also    []string `json:"also,omitempty"`
	Title   string   `json:"title"`
	Text    string   `json:"text"`              // whole sentences
	Formula string   `json:"formula,omitempty"` // empty = there is none
	Reading string   `json:"reading"`           // slug of the reading that explains it
	See     []string `json:"see,omitempty"`     // metrics and words beside it
}

var glossary = []Term{
	{Word: "~", Also: []string{"tilde", "no difference"}, Title: "No difference shown",
		Text:    "Where a difference could as well be chance, because the interval of the ratio holds 1 or the difference is under the noise of this machine, a ~ stands in place of better or worse. It says that the runs cannot tell, and not that the two are equal.",
		Reading: "nvidia-tensorrt-llm-tuning", See: []string{"interval", "noise", "repeat"}},
	{Word: "admission-limit", Also: []string{"admission"}, Title: "Admission limit",
		Text:    "The number of requests that the server decodes at once, however many are offered: b_run stays the same within 5 % while the load grows beyond it. It is a setting such as max_num_seqs, or the memory for keys and values.",
		Formula: "b_run flat within 5 % over two rising levels or more, and under 0.9 of the offered concurrency", Reading: "nvidia-tensorrt-llm-tuning", See: []string{"b_run", "kv-cache", "plateau"}},
	{Word: "chunked-prefill", Title: "Chunked prefill",
		Text:    "A long prompt is computed in pieces, and each step computes a piece beside the tokens of the running answers, so that a new prompt does not stop them all. It makes the gaps more even, and the prompt's own first token a little later.",
		Reading: "vllm-repository", See: []string{"prefill", "icl"}},
	{Word: "closed-loop", Also: []string{"closed", "concurrency"}, Title: "Closed loop",
		Text:    "A fixed number of users, each of whom sends the next request when the answer to the last is there. The load gives way when the server is slow, so that the latencies of an overloaded server look better than its users would find them.",
		Reading: "nvidia-fundamental-concepts", See: []string{"open-loop", "identity_ratio"}},
	{Word: "cool-down", Also: []string{"cooldown", "drain"}, Title: "Cool-down",
		Text:    "Requests that keep the load up until the last measured one has ended. They are kept and enter no figure.",
		Reading: "nvidia-genai-perf-nim", See: []string{"warm-up", "window"}},
	{Word: "coordinated-omission", Title: "Coordinated omission",
		Text:    "A client that sends late because it waits for the server, and counts the latency from when it sent, leaves the wait out. In an open loop the figures from the schedule have it in them.",
		Reading: "cheng-inference-benchmarking", See: []string{"ttft_sched", "e2e_sched", "send_lag"}},
	{Word: "decode", Title: "Decode",
		Text:    "The part of an answer after its first token: each step reads all the weights and the keys and values of each running request, and gives each one token. It is bound by memory bandwidth.",
		Reading: "databricks-inference-performance", See: []string{"prefill", "tpot", "mbu"}},
	{Word: "do-not-quote", Title: "The verdict: do not quote",
		Text:    "A rule about validity has found an error: the figures it concerns say something other than what their names say. `inferbook why` names the rule, the numbers that it looked at, and what to do.",
		Reading: "cheng-inference-benchmarking", See: []string{"sound", "sound-with-limits"}},
	{Word: "floor", Also: []string{"speed-of-light", "light"}, Title: "Speed of light of a decode step",
		Text:    "No step can be faster than reading its bytes once at the peak bandwidth of the memory. What a step takes beyond that is overhead, arithmetic, or waiting.",
		Formula: "(bytes of the weights that are read + batch × context × bytes of keys and values a token) ÷ peak bandwidth", Reading: "databricks-inference-performance", See: []string{"mbu", "tpot"}},
	{Word: "interval", Also: []string{"confidence", "95"}, Title: "Interval",
		Text:    "Where the true value lies with 95 % confidence. For a quantile it is bounded by two of the observations themselves, exactly and whatever their shape; a side that the count cannot support is ∞. It speaks of runs like this one: what another day brings needs repeats.",
		Reading: "nvidia-tensorrt-llm-tuning", See: []string{"percentile", "repeat", "~"}},
	{Word: "itl", Also: []string{"inter-token-latency", "inter-token latency"}, Title: "Inter-token latency",
		Text:    "A word with five meanings, so that no figure here has it for a name. Some tools take the gaps between chunks for it, some a mean of each request, with or without the wait for the first token. Here the first is icl and the second tpot.",
		Reading: "vllm-repository", See: []string{"icl", "tpot", "tokens_per_event"}},
	{Word: "knee", Title: "Knee",
		Text:    "The level at which the curve of throughput over load bends most: the share of the sweep's gain that has been reached is furthest above the share of its growth in load. Below it more load costs little, above it little is gained.",
		Formula: "the largest (X − X₁) ÷ (Xmax − X₁) − (C − C₁) ÷ (Clast − C₁) over the levels, if the curve falls below it again", Reading: "databricks-inference-performance", See: []string{"plateau", "output_throughput"}},
	{Word: "kv-cache", Also: []string{"kv"}, Title: "Keys and values",
		Text:    "What the model keeps of each token that it has seen, for each layer. It grows with each token of each running request, and when the memory for it is full, requests wait or are thrown out.",
		Formula: "2 × layers × key-value heads × head dimension × bytes a number, for each token", Reading: "vllm-pagedattention", See: []string{"admission-limit", "preemption", "prefix-cache"}},
	{Word: "mbu", Also: []string{"bandwidth"}, Title: "Model bandwidth utilisation",
		Text:    "How much of the peak memory bandwidth the decode steps take. Over 100 % says that an input is wrong, that not all weights are read, or that a step gives more than one token.",
		Formula: "(bytes of the weights that are read + batch × context × bytes of keys and values a token) ÷ (tpot × peak bandwidth)", Reading: "databricks-inference-performance", See: []string{"floor", "tpot", "mfu"}},
	{Word: "mfu", Title: "Model FLOP utilisation",
		Text:    "How much of the peak arithmetic the computing of prompts takes.",
		Formula: "2 × parameters that a token passes through × prompt tokens a second ÷ peak FLOP/s", Reading: "databricks-inference-performance", See: []string{"prefill", "mbu"}},
	{Word: "noise", Title: "Noise floor",
		Text:    "By how much two runs of the same configuration on this machine differ. A difference below it is printed as ~.",
		Reading: "nvidia-tensorrt-llm-tuning", See: []string{"~", "repeat"}},
	{Word: "ntpot", Also: []string{"normalised", "normalized"}, Title: "Normalised time per output token",
		Text:    "The whole latency of a request, the wait for the first token included, by its tokens. GuideLLM calls it TPOT, LLMPerf something close to it ITL.",
		Formula: "e2e ÷ N", Reading: "cheng-inference-benchmarking", See: []string{"tpot", "e2e"}},
	{Word: "open-loop", Also: []string{"open", "rate"}, Title: "Open loop",
		Text:    "Requests are sent by a schedule that was fixed before the first one, whether or not the server keeps up, as by many users who do not know of each other. Above the server's capacity they pile up, and every latency says how long the run was.",
		Reading: "cheng-inference-benchmarking", See: []string{"closed-loop", "offered_rate", "inflight_slope"}},
	{Word: "percentile", Also: []string{"quantile", "p50", "p95", "p99", "median"}, Title: "Percentile",
		Text:    "The value that a share of the observations does not exceed, by linear interpolation between the two around (n − 1)·q, which is numpy's default. Ten observations beyond it are needed before it is shown without a warning: 200 for p95, 1,000 for p99.",
		Reading: "nvidia-tensorrt-llm-tuning", See: []string{"interval"}},
	{Word: "plateau", Title: "Plateau",
		Text:    "The level from which more load buys next to nothing: throughput grows by less than a tenth of the growth in load, there and at every level beyond. A doubling buys under 10 %.",
		Formula: "(ΔX ÷ X) ÷ (ΔC ÷ C) < 0.1 for each step beyond it", Reading: "nvidia-genai-perf-nim", See: []string{"knee", "admission-limit"}},
	{Word: "preemption", Title: "Preemption",
		Text:    "A running request loses its keys and values because memory has run out, and is computed again later: one long gap in the middle of an answer, and work done twice.",
		Reading: "vllm-repository", See: []string{"kv-cache", "icl"}},
	{Word: "prefill", Title: "Prefill",
		Text:    "The computing of the prompt, all of its tokens together, which ends with the first token of the answer. It is bound by arithmetic, and is most of ttft where nothing waits.",
		Reading: "nvidia-fundamental-concepts", See: []string{"decode", "ttft", "chunked-prefill"}},
	{Word: "prefix-cache", Also: []string{"cache"}, Title: "Prefix cache",
		Text:    "The server keeps the keys and values of earlier prompts, and computes of a prompt that begins alike only what is new. A benchmark that repeats its prompts measures the cache.",
		Reading: "vllm-repository", See: []string{"cache_hit_share", "kv-cache"}},
	{Word: "repeat", Also: []string{"repeats"}, Title: "Repeat",
		Text:    "The same point measured again, in shuffled order. Repeats are never pooled into one quantile: the figure is the median over them, and their spread says what another run would be.",
		Reading: "nvidia-tensorrt-llm-tuning", See: []string{"interval", "noise"}},
	{Word: "role-chunk", Also: []string{"role"}, Title: "Role chunk",
		Text:    "The first event of many servers, with the role and no text. vLLM's benchmark counts it as the first token; it can come long before one.",
		Reading: "vllm-repository", See: []string{"ttft"}},
	{Word: "rule", Also: []string{"rules", "instinct", "finding"}, Title: "Rule",
		Text:    "What an experienced engineer sees at a glance, as data: what it needs, its thresholds with their reasons, what it means and what to try. I01 to I14 ask whether a run can be believed, the others what it says. `inferbook why --list` names them, and `inferbook explain I17` explains one.",
		Reading: "learning-path", See: []string{"sound"}},
	{Word: "slo", Also: []string{"objective"}, Title: "Service-level objective",
		Text:    "What the answers must keep to: ttft.p95<500ms bounds a quantile and judges a level, and every latency in it bounds each request for goodput.",
		Reading: "vllm-repository", See: []string{"goodput", "slo_attainment"}},
	{Word: "sound", Title: "The verdict: sound",
		Text:    "No rule about validity has found anything that speaks against the figures. It does not say that what could not be evaluated is well: those rules are listed as not evaluable.",
		Reading: "cheng-inference-benchmarking", See: []string{"sound-with-limits", "do-not-quote"}},
	{Word: "sound-with-limits", Also: []string{"limits", "limited"}, Title: "The verdict: sound with limits",
		Text:    "A rule about validity has a warning: the figures can be quoted with the limit beside them, such as too few requests for a p99.",
		Reading: "cheng-inference-benchmarking", See: []string{"sound", "do-not-quote"}},
	{Word: "warm-up", Also: []string{"warmup"}, Title: "Warm-up",
		Text:    "The first requests of a point, which meet an empty server. They are kept, and enter no figure; the window begins when the last of them has ended.",
		Reading: "nvidia-genai-perf-nim", See: []string{"cool-down", "window"}},
}

// Glossary lists the words that are no metrics, by the alphabet.
func Glossary() []Term { return slices.Clone(glossary) }

// TermByWord finds a term by its word or another name of it, in any case of letters and with
// spaces or underscores for hyphens.
func TermByWord(word string) (Term, bool) {
	plain := strings.NewReplacer(" ", "-", "_", "-")
	word = plain.Replace(strings.ToLower(word))
	for _, t := range glossary {
		for _, name := range append([]string{t.Word}, t.Also...) {
			if plain.Replace(strings.ToLower(name)) == word {
				return t, true
			}
		}
	}
	return Term{}, false
}
