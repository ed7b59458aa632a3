package workload

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/xrash/smetrics"

	"github.com/inferbook/inferbook/experiment"
)

// Preset is a workload that others have published, by name.
type Preset struct {
	Name, Title string
	// Source says where the lengths come from, under which licence, and what is
	// approximate about them.
	Source                    string
	InputTokens, OutputTokens experiment.Length
	// Jitter is that of fixed lengths.
	Jitter float64
	// Arrival is how the published requests came, at any rate; nil = not known.
	Arrival *experiment.Arrival
}

const (
	nvidia = "NVIDIA, \"LLM Performance Benchmarking: Measuring NVIDIA NIM Performance with GenAI-Perf\", https://developer.nvidia.com/blog/llm-performance-benchmarking-measuring-nvidia-nim-performance-with-genai-perf/; lengths are jittered by 2 %"
	infx   = "SemiAnalysis, InferenceMAX (InferenceX), 2025, its method and no data, https://github.com/InferenceMAX/InferenceMAX; 1k is 1,024, and each length is uniform over 80 to 100 % of nominal, so its mean is 90 %"
	azure  = "Azure LLM inference trace 2023, CC-BY, https://github.com/Azure/AzurePublicDataset; Patel et al., \"Splitwise\", ISCA 2024; prompt and answer are drawn independently, as they are in the trace (correlation of the logarithms below 0.1)"
	vidur  = "arXiv summarisation trace of Vidur, MIT, https://github.com/microsoft/vidur; Agrawal et al., \"Vidur\", MLSys 2024; " + four + ""
	burst  = "Wang et al., \"BurstGPT\", arXiv 2401.17644, data CC-BY-4.0, https://github.com/HPMLL/BurstGPT; not the trace but the authors' model of it with the defaults of their generator, which are no fit to the trace: gamma gaps of shape 0.5, and lengths by Zipf's law with exponent 1.1 up to 1,023, here by their quantiles; read the trace itself as a data file for the lengths that were seen"
	moon   = "Mooncake traces, Apache-2.0, https://github.com/kvcache-ai/Mooncake; Qin et al., \"Mooncake\", FAST 2025; "
)

// four is the note on a table that was made from a mean and three quantiles.
const four = "an approximation: the mean and the 50, 90 and 99 % quantiles are the trace's, and the table goes smoothly between them so that it keeps the mean"

// Presets are the workloads that can be asked for by name. The caller may change
// what it is given.
func Presets() []Preset {
	fixed := func(name, use string, in, out int) Preset {
		return Preset{name, fmt.Sprintf("%s: %d tokens in, %d out", use, in, out), nvidia, experiment.Tokens(in), experiment.Tokens(out), 0.02, nil}
	}
	ranged := func(name string, in, out float64) Preset {
		eighty := func(n float64) experiment.Length {
			return experiment.Length{Kind: experiment.UniformLength, Low: math.Round(0.8 * n), High: n}
		}
		return Preset{name, fmt.Sprintf("InferenceMAX: at most %g tokens in, %g out", in, out), infx, eighty(in), eighty(out), 0, nil}
	}
	table := func(values ...float64) experiment.Length {
		return experiment.Length{Kind: experiment.QuantileLength, Values: values}
	}
	gamma := func(cv float64) *experiment.Arrival {
		return &experiment.Arrival{Kind: experiment.GammaArrival, CV: cv}
	}
	lognormal := func(mean, cv float64) experiment.Length {
		return experiment.Length{Kind: experiment.LognormalLength, Mean: mean, Spread: math.Round(mean * cv)}
	}
	return []Preset{
		fixed("chat-200-200", "translation and short chat", 200, 200),
		fixed("chat-200-5", "classification", 200, 5),
		fixed("chat-1000-200", "summary", 1000, 200),
		fixed("chat-200-1000", "writing", 200, 1000),
		ranged("infx-1k-1k", 1024, 1024),
		ranged("infx-1k-8k", 1024, 8192),
		ranged("infx-8k-1k", 8192, 1024),
		{"azure-chat", "Azure conversation 2023: 1,155 tokens in, 211 out on average", azure + "; gaps between arrivals have a CV of 1.09",
			table(2, 29, 181, 207, 387, 403, 703, 1020, 1071, 1130, 1315, 2734, 4083, 4142, 14050),
			table(7, 16, 41, 54, 77, 91, 103, 129, 177, 384, 400, 424, 451, 601, 1000), 0, gamma(1.09)},
		// The trace's longest answer is 1,899 tokens; a straight line from the 99 %
		// quantile to it would make the mean 36.
		{"azure-code", "Azure code completion 2023: 2,048 tokens in, 28 out on average", azure + "; gaps between arrivals have a CV of 13.15; the longest hundredth of the answers is drawn up to 400 tokens, not the trace's 1,899, which keeps the mean of 28",
			table(3, 17, 75, 147, 386, 770, 1075, 1469, 1909, 2433, 3192, 5188, 7303, 7436, 7437),
			table(6, 6, 6, 7, 8, 9, 11, 13, 16, 20, 29, 55, 90, 251, 400), 0, gamma(13.15)},
		{"mooncake-conversation", "Mooncake conversation: 12,035 tokens in, 343 out on average", moon + "lengths only: read the trace itself as a data file for its shared prefixes; gaps between arrivals have a CV of 3.0, for times that were recorded in batches",
			table(891, 894, 901, 964, 1662, 3263, 4993, 6909, 9570, 13196, 17869, 27367, 39550, 85400, 126195),
			table(1, 3, 10, 24, 100, 213, 291, 350, 399, 447, 504, 597, 698, 1119, 2000), 0, gamma(3)},
		{"mooncake-synthetic", "Mooncake synthetic: 15,325 tokens in, 149 out on average", moon + four + "; without its shared prefixes",
			table(20, 100, 400, 800, 1800, 3200, 5800, 11587, 14000, 18000, 25000, 38611, 50000, 66456, 80000),
			table(8, 8, 10, 12, 19, 29, 45, 69, 106, 164, 252, 389, 568, 768, 1000), 0, nil},
		{"mooncake-toolagent", "Mooncake tool and agent: 8,596 tokens in, 182 out on average", moon + "an approximation: only the means are published, and the lengths are lognormal with the CVs of the conversation trace (1.34 in, 0.73 out)",
			lognormal(8596, 1.34), lognormal(182, 0.73), 0, nil},
		{"sharegpt", "ShareGPT: 230 tokens in, 250 out on average", "lengths of 320 ShareGPT prompts, counted with Mistral's tokenizer, in the results of https://github.com/LambdaLabsML/vllm-benchmark; quantiles only",
			table(4, 4, 8, 10, 18, 28, 46, 84, 186, 345, 435, 701, 831, 919, 964),
			table(1, 6, 10, 14, 25, 50, 129, 221, 276, 349, 441, 565, 660, 881, 966), 0, nil},
		{"arxiv-summarization", "summaries of arXiv papers (Vidur): 2,588 tokens in, 291 out on average", vidur,
			table(940, 976, 1119, 1298, 1656, 2014, 2372, 2730, 2946, 3179, 3431, 3702, 3829, 3933, 4000),
			table(20, 21, 25, 31, 47, 71, 109, 167, 204, 249, 304, 372, 1000, 3271, 3300), 0, nil},
		{"burstgpt-model", "BurstGPT's own generator: bursty arrivals, about 100 tokens in and out, most far shorter", burst,
			table(1, 1, 1, 1, 2, 3, 6, 12, 25, 57, 136, 355, 594, 916, 1023),
			table(1, 1, 1, 1, 2, 3, 6, 12, 25, 57, 136, 355, 594, 916, 1023), 0, gamma(1.414)},
		{"head-of-line", "one answer in eight has 100 tokens, the others 10", "exercise on continuous batching of the course \"Efficiently Serving LLMs\" (DeepLearning.AI and Predibase), there with 32 requests in batches of 8; the prompts of 64 tokens are a choice of this program, and the long answers come at random, not every eighth",
			experiment.Tokens(64), experiment.Length{Kind: experiment.HistogramLength, Values: []float64{10, 100}, Weights: []float64{7, 1}}, 0.02, nil},
	}
}

// PresetByName finds a preset. An unknown name is an error with the nearest name and all names.
func PresetByName(name string) (Preset, error) {
	presets := Presets()
	names := make([]string, len(presets))
	for i, p := range presets {
		names[i] = p.Name
	}
	i := slices.Index(names, strings.ToLower(name))
	if i < 0 {
		nearest := slices.MinFunc(names, func(a, b string) int {
			return cmp.Or(common(name, b)-common(name, a), smetrics.WagnerFischer(name, a, 1, 1, 1)-smetrics.WagnerFischer(name, b, 1, 1, 1))
		})
		return Preset{}, fmt.Errorf("there is no preset %q; the nearest is %s of %s", name, nearest, strings.Join(names, ", "))
	}
	return presets[i], nil
}

// Apply gives a specification the lengths and the jitter of a preset, and its
// arrivals where the specification has rates, or searches one, and no arrival yet. The error
// is that of [PresetByName].
func Apply(name string, s *experiment.Spec) error {
	p, err := PresetByName(name)
	if err != nil {
		return err
	}
	s.Preset, s.InputTokens, s.OutputTokens, s.Jitter = p.Name, p.InputTokens, p.OutputTokens, p.Jitter
	open := len(s.Rate) > 0 || s.Search != nil && s.Search.Over == "rate"
	if p.Arrival != nil && s.Arrival.IsZero() && open {
		s.Arrival = *p.Arrival
	}
	return nil
}

// common is how many bytes two names have in common at their beginning.
func common(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
