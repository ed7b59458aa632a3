package sim

import (
	"math"
	"strings"
	"testing"
	"time"
)

// Totals are those of the model cards, in 10⁹; keys and values follow from the
// published configurations.
func TestModelSizes(t *testing.T) {
	for _, tc := range []struct {
		model         string
		total, active float64
		kv            int // bytes a token in 16 bits
	}{
		{"llama-3.1-8b", 8.03, 7.50, 131072},
		{"llama-3.1-70b", 70.55, 69.5, 327680},
		{"llama-3.1-405b", 405.9, 403.8, 516096},
		{"qwen3-8b", 8.19, 7.57, 36 * 4096},
		{"qwen3-32b", 32.76, 32.0, 262144},
		{"qwen3-30b-a3b", 30.53, 3.04, 98304},
		{"qwen3-235b-a22b", 235.1, 21.6, 94 * 2048},
		{"gpt-oss-20b", 20.9, 3.6, 24576},
		{"gpt-oss-120b", 116.8, 5.1, 36864},
		{"mixtral-8x7b", 46.7, 12.8, 131072},
		{"deepseek-v3", 671.0, 36.6, 70272},
		{"llama-2-7b", 6.74, 6.61, 524288}, // as many KV heads as heads
		{"llama-2-70b", 68.98, 68.7, 327680},
	} {
		m, err := Builtin().model(tc.model)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Parameters() / 1e9; math.Abs(got/tc.total-1) > .005 {
			t.Errorf("%s has %.3f·10⁹ parameters, want %.2f within 0.5 %%", tc.model, got, tc.total)
		}
		if got := m.ActiveParameters() / 1e9; math.Abs(got/tc.active-1) > .02 {
			t.Errorf("%s has %.3f·10⁹ active parameters, want %.2f within 2 %%", tc.model, got, tc.active)
		}
		if got := m.KVBytes(2); got != tc.kv {
			t.Errorf("%s takes %d bytes of KV a token, want %d", tc.model, got, tc.kv)
		}
		if m.KVBytes(1)*2 != m.KVBytes(2) {
			t.Errorf("%s: 8-bit keys and values do not take half of 16-bit ones", tc.model)
		}
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
		{"nothing near: the names", Config{Model: "opt-13b"}, `unknown model "opt-13b"; there are llama-3.1-8b, `},
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
		{"another precision", Config{Precision: "int3"}, `precision is "int3"; it is one of bf16, fp8, nvfp4, int4, mxfp4`},
		{"no arithmetic in 4 bits", Config{GPU: "h100-sxm", Precision: "nvfp4"}, "no nvfp4 profile of h100-sxm"},
		{"another precision of keys and values", Config{KVPrecision: "int8"}, "the precision of keys and values is"},
		{"a router that is none", Config{Router: "random"}, "unknown router"},
		{"drafts that are sure", Config{Speculation: Speculation{Tokens: 4, Acceptance: 1.5}}, "the acceptance of drafts is 1.5"},
		{"a profile that is none", Config{Profiles: "gpus:\n  - nam: x\n"}, "reading a profile"},
		{"a model that only sees windows", Config{Profiles: "models:\n  - {name: x, family: f, layers: 2, hidden: 1, heads: 1, kv_heads: 1, head_dim: 1, inner: 1, vocabulary: 1, context: 2000, window: {tokens: 8, layers: 2}, source: s}\n"}, "at least one layer has no window"},
		{"a row without a source", Config{Profiles: "models:\n  - {name: x, family: f, layers: 1, hidden: 1, heads: 1, kv_heads: 1, head_dim: 1, inner: 1, vocabulary: 1, context: 1}\n"}, `model "x": it needs a name, a family and a source`},
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

func TestCalibrationIsOfThePart(t *testing.T) {
	for _, tc := range []struct {
		name string
		cfg  Config
		fit  string
		want string
	}{
		{"what was fitted", Config{GPU: "h200-sxm", Model: "llama-3.1-70b", Precision: "fp8"}, "vllm-hopper", "fitted: time per token ±5.5 % on average, 9 in 10 within ±11 %; TTFT ±7.6 % of 60 measured rows"},
		{"another model of the family has a wider band", Config{GPU: "h200-sxm"}, "vllm-hopper", "checked: time per token ±14 % on average, 9 in 10 within ±32 %"},
		{"a precision that no row had", Config{GPU: "h100-sxm", Precision: "int4"}, "vllm-hopper", "uncalibrated"},
		{"a width that no row had", Config{GPU: "a100-40", Count: 2}, "", "uncalibrated"},
		{"another family with that fit", Config{GPU: "h100-sxm", Model: "qwen3-32b", Count: 2}, "vllm-hopper", "checked: time per token ±5.3 %"},
		{"without the fit its error is not known", Config{GPU: "h200-sxm", Unfitted: true}, "", "uncalibrated"},
		{"nor is it where the band is called checked", Config{GPU: "h100-sxm", Model: "qwen3-32b", Count: 2, Unfitted: true}, "", "uncalibrated"},
		{"a band of unfitted constants stays", Config{Unfitted: true}, "", "checked"},
		{"a family that was left out", Config{GPU: "h100-sxm", Model: "mixtral-8x7b", Count: 2}, "", "uncalibrated"},
		{"a GPU with one curve", Config{}, "", "checked: time per token ±9.1 % on average of 3 measured rows"},
		{"a GPU without any", Config{GPU: "rtx-4090"}, "", "uncalibrated"},
		{"a runtime without any", Config{GPU: "h200-sxm", Runtime: "hf-static"}, "", "uncalibrated"},
		{"a link without measurements", Config{GPU: "a10g", Count: 2}, "", "uncalibrated"},
		{"drafts, whose acceptance nobody knows", Config{GPU: "h100-sxm", Speculation: Speculation{Tokens: 3, Acceptance: .7}}, "vllm-hopper", "uncalibrated: the acceptance of drafts is an assumption"},
	} {
		d := resolve(t, tc.cfg)
		if d.Fit != tc.fit {
			t.Errorf("%s: the fit is %q, want %q", tc.name, d.Fit, tc.fit)
		}
		if !strings.HasPrefix(d.Calibration, tc.want) || !strings.Contains(d.String(), d.Calibration) {
			t.Errorf("%s: %q, want it to begin with %q and be in %q", tc.name, d.Calibration, tc.want, d)
		}
	}
}

// A person's own rows stand beside the built-in ones and in their place.
func TestProfileAddsRows(t *testing.T) {
	const profile = `
gpus:
  - name: my-gpu
    title: The one under my desk
    generation: ada
    memory_gb: 24
    bandwidth_tb_s: 1
    bf16_tflops: 165
    kernels: {bf16: {memory: 0.8, compute: 0.7, launch_us: 1}}
    attention: {decode_bf16: 0.75, prefill: 0.5, layer_us: 10}
    sources: {memory_gb: mine, bandwidth_tb_s: mine, bf16_tflops: mine, kernels: mine, attention: mine}
fits:
  - name: mine
    for: {runtime: vllm-like, gpu: my-gpu}
    constants: {step_us: 900, seq_us: 30, front_us: 100, net_us: 200}
    memory: 0.7
    basis: 8 points of exp-5
    source: my notebook
checks:
  - {for: {runtime: vllm-like, gpu: my-gpu}, status: fitted, tpot: 0.03, rows: 8, basis: exp-5, source: my notebook}
`
	d := resolve(t, Config{GPU: "my-gpu", Profiles: profile})
	if d.Fit != "mine" || d.Runtime.Constants.Step != 900 || d.GPU.Kernels.BF16.Memory != .7 || d.Runtime.Net != 200*time.Microsecond || d.Trust.TPOT != .03 {
		t.Errorf("the profile's constants are not used: %+v", d)
	}
	// Rows of one's own come before finer built-in ones, and take their bands away.
	const wide = "fits:\n- {name: mine, for: {runtime: vllm-like, gpu: h100-sxm}, constants: {step_us: 50000, front_us: 1, net_us: 1}, basis: b, source: s}\n"
	const band = "checks:\n- {for: {runtime: vllm-like, gpu: h100-sxm}, status: fitted, tpot: 0.9, rows: 8, basis: b, source: s}\n"
	const gpu = `gpus: [{name: h100-sxm, title: t, generation: hopper, memory_gb: 80, bandwidth_tb_s: 1, bf16_tflops: 300, kernels: {bf16: {memory: 0.8, compute: 0.7}}, attention: {decode_bf16: 0.7, prefill: 0.5},
  sources: {memory_gb: m, bandwidth_tb_s: m, bf16_tflops: m, kernels: m, attention: m}}]`
	seventy := Config{GPU: "h100-sxm", Model: "llama-3.1-70b", Precision: "fp8", Count: 4}
	for rows, want := range map[string]Check{wide: {Status: Uncalibrated}, wide + band: {Status: Fitted, TPOT: .9}} {
		seventy.Profiles = rows
		if d := resolve(t, seventy); d.Fit != "mine" || d.Trust.Status != want.Status || d.Trust.TPOT != want.TPOT {
			t.Errorf("%s: fit %s, %+v", rows, d.Fit, d.Trust)
		}
	}
	if d := resolve(t, Config{GPU: "h100-sxm", Profiles: gpu}); d.Trust.Status != Uncalibrated || d.GPU.BandwidthTBs != 1 {
		t.Errorf("another GPU under a built-in name has its band: %+v", d.Trust)
	}
	if resolve(t, Config{Profiles: profile}).GPU.Name != "a10g" {
		t.Error("a profile hides the built-in rows")
	}
	if _, err := (Config{GPU: "my-gpu"}).Resolve(); err == nil {
		t.Error("a profile outlives its configuration")
	}
}

func TestExpertsAndWindows(t *testing.T) {
	m, err := Builtin().model("mixtral-8x7b")
	if err != nil {
		t.Fatal(err)
	}
	// 1 token meets 2 experts of 8, 4 meet 8·(1−0.75⁴) = 5.47, many meet all.
	for n, want := range map[int]float64{1: 2, 4: 5.46875, 500: 8} {
		if got := m.Experts.touched(n); math.Abs(got-want) > 1e-9 {
			t.Errorf("%d tokens touch %g experts, want %g", n, got, want)
		}
	}
	step := func(cfg Config, n, context int) float64 {
		d := resolve(t, cfg)
		var w work
		for range n {
			w.add(1, context)
		}
		w.sampled = n
		return newCosts(&d).parts(w).total()
	}
	moe := Config{GPU: "h100-sxm", Model: "qwen3-30b-a3b"}
	if one, eight := step(moe, 1, 100), step(moe, 8, 100); eight < 1.5*one {
		t.Errorf("eight sequences take %.0f µs and one %.0f; they should touch far more experts", eight, one)
	}
	window, whole := Config{GPU: "h100-sxm", Model: "gpt-oss-20b"}, Config{GPU: "h100-sxm", Model: "llama-3.1-8b"}
	grow := func(cfg Config) float64 { return step(cfg, 32, 8000) - step(cfg, 32, 4000) }
	d := resolve(t, window)
	half := 32 * 4000 * float64(d.Model.KVBytes(2)) / (3.35e6 * .85)
	if got := grow(window); math.Abs(got/half-1) > .01 {
		t.Errorf("4,000 more tokens of context cost %.0f µs, want the %.0f of the layers without a window", got, half)
	}
	if grow(whole) < grow(window) {
		t.Error("a window does not spare anything")
	}
	// Eight GPUs share the weights of attention by latent vectors, and all read them all.
	latent := Config{GPU: "h200-sxm", Model: "deepseek-v3", Count: 8}
	if d := resolve(t, latent); d.kvShare() != 1 || d.Model.KVBytes(2) != 70272 {
		t.Errorf("latent vectors are spread over %d GPUs", d.kvShare())
	}
}

func TestReduceFollowsItsTable(t *testing.T) {
	for _, tc := range []struct {
		name  string
		link  string
		n     int
		bytes float64
		want  float64 // µs
	}{
		{"a row of the table", "nvlink4", 8, 2 << 20, 19.4},
		{"a row of the other", "nvlink4", 2, 16 << 20, 81},
		{"four GPUs lie between two and eight", "nvlink4", 4, 512 << 10, 9.15},
		{"nothing is faster than the smallest", "nvlink4", 8, 1, 5.3},
		{"beyond the table it grows with the size", "nvlink5", 8, 256 << 20, 884},
		{"alone there is nothing to reduce", "nvlink4", 1, 2 << 20, 0},
		{"PCIe by the ring formula", "pcie", 2, 32e6, 1010},
	} {
		link := Builtin().link(tc.link)
		if got := link.reduce(tc.n, tc.bytes); math.Abs(got-tc.want) > 1e-9*tc.want+1e-12 {
			t.Errorf("%s: %g µs, want %g", tc.name, got, tc.want)
		}
	}
}
