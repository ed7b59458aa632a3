package sim

import (
	"math"
	"strings"
	"testing"
)

// Totals are those of the model cards, in 10⁹; keys and values follow from the
// published configurations.
func TestModelSizes(t *testing.T) {
	for _, tc := range []struct {
		model      string
		parameters float64
		kv         int // bytes a token in 16 bits
	}{
		{"llama-3.1-8b", 8.03, 131072},
		{"llama-3.1-70b", 70.55, 327680},
		{"qwen3-8b", 8.19, 36 * 4096},
		{"qwen3-32b", 32.76, 262144},
		{"llama-2-7b", 6.74, 524288}, // as many KV heads as heads
	} {
		m, err := find(models, func(m Model) string { return m.Name }, "model", tc.model)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Parameters() / 1e9; math.Abs(got/tc.parameters-1) > .005 {
			t.Errorf("%s has %.3f·10⁹ parameters, want %.2f within 0.5 %%", tc.model, got, tc.parameters)
		}
		if got := m.KVBytes(2); got != tc.kv {
			t.Errorf("%s takes %d bytes of KV a token, want %d", tc.model, got, tc.kv)
		}
		if m.KVBytes(1)*2 != m.KVBytes(2) {
			t.Errorf("%s: 8-bit keys and values do not take half of 16-bit ones", tc.model)
		}
	}
}

func TestRowsAreSourced(t *testing.T) {
	label := func(name, source, calibration string) {
		if source == "" {
			t.Errorf("%s has no source", name)
		}
		if calibration != uncalibrated && !(strings.HasPrefix(calibration, "checked") && strings.Contains(calibration, "±")) {
			t.Errorf("%s is labelled %q; want uncalibrated, or checked with its error band", name, calibration)
		}
	}
	for _, g := range GPUs() {
		label(g.Name, g.Source, g.Calibration)
		if g.Efficiency == "" {
			t.Errorf("%s does not say where its efficiencies come from", g.Name)
		}
		if (g.FP8 > 0) != (g.fp8 != kernels{} && g.attend8 > 0) {
			t.Errorf("%s has half of an fp8 profile", g.Name)
		}
	}
	for _, r := range Runtimes() {
		label(r.Name, r.Source, r.Calibration)
		// The engine's determinism rests on both: see the package comment.
		if r.Front <= 0 || r.Net <= 0 {
			t.Errorf("%s has a front end of %s and a net of %s; both must be above 0", r.Name, r.Front, r.Net)
		}
	}
	for _, m := range Models() {
		label(m.Name, m.Source, uncalibrated)
	}
}

func TestResolveErrors(t *testing.T) {
	for _, tc := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"an abbreviation finds the full name", Config{GPU: "h100"}, `unknown GPU "h100"; did you mean h100-sxm?`},
		{"a typing error finds the nearest", Config{Model: "lama-3.1-70b"}, "did you mean llama-3.1-70b?"},
		{"the longest common beginning comes before the fewest edits", Config{GPU: "h1000"}, "did you mean h100-sxm?"},
		{"nothing near: the names", Config{Model: "gpt-4"}, `unknown model "gpt-4"; there are llama-3.1-8b, `},
		{"one letter in common is not near", Config{GPU: "x"}, `unknown GPU "x"; there are `},
		{"case does not matter to the suggestion", Config{Runtime: "VLLM"}, "did you mean vllm-like?"},
		{"each unknown name is reported", Config{GPU: "x", Model: "y"}, "unknown model"},
		{"too large for one GPU, and by how much", Config{GPU: "h100-sxm", Model: "llama-3.1-70b"}, "each GPU is 73.0 GB short"},
		{"what would do is named", Config{GPU: "h100-sxm", Model: "llama-3.1-70b"}, "4 GPUs would do"},
		{"too large whatever the count", Config{GPU: "a10g", Model: "llama-3.1-70b", Count: 2}, "8 GPUs would do"},
		{"heads that cannot be divided", Config{GPU: "h100-sxm", Count: 3}, "count 3 does not divide the 32 heads"},
		{"more than a server", Config{GPU: "h100-sxm", Count: 16}, "at most the 8 GPUs of one server"},
		{"no arithmetic in 8 bits", Config{GPU: "a100-80-sxm", Precision: "fp8"}, "no fp8 profile of a100-80-sxm"},
		{"a runtime in 16 bits", Config{GPU: "h100-sxm", Runtime: "hf-static", Precision: "fp8"}, "hf-static runs in bf16 only"},
		{"another precision", Config{Precision: "int4"}, `precision is "int4"`},
		{"no published all-reduce", Config{GPU: "mi300x", Count: 2}, "its count must be 1"},
		{"a context beyond the pool", Config{MaxModelLen: 20000}, "the KV pool holds 15552"},
		{"a negative number", Config{MaxSeqs: -1}, "max seqs is -1"},
		{"a share that is none", Config{MemoryUtilization: 1.5}, "memory utilization is 1.5"},
		{"not a number", Config{Jitter: math.NaN()}, "jitter is NaN"},
	} {
		_, err := tc.cfg.Resolve()
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", tc.name, err, tc.want)
		}
	}
}

func TestResolveDefaults(t *testing.T) {
	for _, tc := range []struct {
		name   string
		cfg    Config
		pool   int // KV tokens
		seqs   int
		budget int
	}{
		{"the newcomer's", Config{}, 15552, 256, 2048},
		{"vLLM's on a large GPU", Config{GPU: "h100-sxm"}, 400080, 1024, 8192},
		{"vLLM counts an A100 among the small", Config{GPU: "a100-80-sxm"}, 400080, 256, 2048},
		{"8-bit keys double the pool, and weights make room", Config{GPU: "h100-sxm", Precision: "fp8"}, 906656, 1024, 8192},
		{"as many GPUs as KV heads", Config{GPU: "h100-sxm", Model: "llama-3.1-70b", Count: 8}, 1241744, 1024, 8192},
		{"a share of what is free", Config{GPU: "h100-sxm", Model: "llama-3.1-70b", Count: 2, Precision: "fp8", Runtime: "trtllm-like"}, 441344, 2048, 8192},
		{"static", Config{GPU: "h100-sxm", Runtime: "hf-static"}, 400085, 8, 0},
		{"what is given is kept", Config{MaxSeqs: 4, TokenBudget: 512, MemoryUtilization: .95, OtherMemoryGB: 2}, 36160, 4, 512},
	} {
		d, err := tc.cfg.Resolve()
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if d.KVTokens != tc.pool || d.MaxSeqs != tc.seqs || d.TokenBudget != tc.budget {
			t.Errorf("%s: pool %d, seqs %d, budget %d; want %d, %d, %d", tc.name, d.KVTokens, d.MaxSeqs, d.TokenBudget, tc.pool, tc.seqs, tc.budget)
		}
		if d.KVTokens != d.KVBlocks*d.BlockSize || d.MaxModelLen > d.KVTokens || d.MaxModelLen > d.Model.Context {
			t.Errorf("%s: %d blocks of %d, context %d do not go together", tc.name, d.KVBlocks, d.BlockSize, d.MaxModelLen)
		}
	}
}

func TestCalibrationIsThatOfTheWeakestPart(t *testing.T) {
	for _, tc := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"a GPU with published runs", Config{GPU: "h200-sxm"}, "±13 % of 9 in 10 vLLM rows"},
		{"a GPU without", Config{GPU: "rtx-4090"}, "uncalibrated"},
		{"a runtime without", Config{GPU: "h100-sxm", Runtime: "hf-static"}, "uncalibrated"},
		{"a runtime with its own band", Config{GPU: "h100-sxm", Runtime: "trtllm-like"}, "published maxima ±11 %"},
		{"a server that was measured with its own load", Config{GPU: "h100-sxm"}, "c=4 to 128"},
		{"a link without measurements", Config{GPU: "l40s", Count: 2}, "uncalibrated"},
	} {
		d, err := tc.cfg.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(d.Calibration, tc.want) || !strings.Contains(d.String(), d.Calibration) {
			t.Errorf("%s: %q, want %q in it and it in %q", tc.name, d.Calibration, tc.want, d)
		}
	}
}

func TestReduceFollowsItsTable(t *testing.T) {
	for _, tc := range []struct {
		name  string
		link  link
		n     int
		bytes float64
		want  float64 // µs
	}{
		{"a row of the table", nvlink4, 8, 2 << 20, 19.4},
		{"a row of the other", nvlink4, 2, 16 << 20, 81},
		{"four GPUs lie between two and eight", nvlink4, 4, 512 << 10, 9.15},
		{"nothing is faster than the smallest", nvlink4, 8, 1, 5.3},
		{"beyond the table it grows with the size", nvlink5, 8, 256 << 20, 884},
		{"alone there is nothing to reduce", nvlink4, 1, 2 << 20, 0},
		{"PCIe by the ring formula", pcie, 2, 32e6, 1010},
	} {
		if got := tc.link.reduce(tc.n, tc.bytes); math.Abs(got-tc.want) > 1e-9*tc.want+1e-12 {
			t.Errorf("%s: %g µs, want %g", tc.name, got, tc.want)
		}
	}
}
