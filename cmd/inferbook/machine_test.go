package main

import (
	"math"
	"strings"
	"testing"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
)

// facts makes an experiment whose server or person said so much; what is empty was not found.
func facts(gpu, count, model, precision, runtime string) *experiment.Experiment {
	var e experiment.Experiment
	for key, value := range map[string]string{experiment.KeyGPUModel: gpu, experiment.KeyGPUCount: count,
		experiment.KeyModel: model, experiment.KeyPrecision: precision, experiment.KeyRuntime: runtime} {
		if value == "" {
			e.Environment.Set(key, "unknown", experiment.UnknownValue)
		} else {
			e.Environment.Set(key, value, experiment.Detected)
		}
	}
	return &e
}

func TestMachineOfRealNames(t *testing.T) {
	for _, test := range []struct {
		gpu, count, model, precision, runtime string

		row, modelRow      string // "" = no machine
		bandwidth, weights float64
		kv                 float64
		says               string // in the source
	}{
		// as vLLM and the driver name them
		{"NVIDIA H100 80GB HBM3", "1", "meta-llama/Llama-3.1-8B-Instruct", "", "vllm", "h100-sxm", "llama-3.1-8b", 3.35e12, 16.06e9, 131072, "taken to be in bf16, as the model is published"},
		// the first Llama 3 has the same shape
		{"NVIDIA A100-SXM4-80GB", "2", "meta-llama/Meta-Llama-3-8B-Instruct", "torch.float16", "tgi", "a100-80-sxm", "llama-3.1-8b", 2 * 2.039e12, 16.06e9, 131072, "All 2 GPUs are taken to share the model."},
		// the precision in the model's name, keys and values as vLLM has them
		{"NVIDIA H200", "4", "RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "", "vllm", "h200-sxm", "llama-3.1-70b", 4 * 4.8e12, 72.65e9, 327680, "in fp8, by the model's name"},
		// the same on NVIDIA's server, which has them in 8 bits
		{"NVIDIA H100 80GB HBM3", "2", "nvidia/Llama-3.3-70B-Instruct-FP8", "", "nim", "h100-sxm", "llama-3.1-70b", 2 * 3.35e12, 72.65e9, 163840, "taken to be in fp8, as nim has them"},
		// a server that says what it computes in, and a name that says what it reads
		{"NVIDIA L40S", "1", "hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", "torch.float16", "tgi", "l40s", "llama-3.1-8b", 0.864e12, 5.8e9, 131072, "in int4, by the model's name"},
		// a model published in 4 bits
		{"AMD Instinct MI300X", "1", "openai/gpt-oss-120b", "", "vllm", "mi300x", "gpt-oss-120b", 5.3e12, 65.2e9, 36864, "taken to be in mxfp4, as the model is published"},
		// a distilled model, a card of which only the memory is said
		{"A100 80GB", "1", "deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "bfloat16", "sglang", "a100-80-sxm", "llama-3.1-8b", 2.039e12, 16.06e9, 131072, "a PCIe card has 5 % less bandwidth"},
		// compressed keys and values, a copy of them on each GPU
		{"NVIDIA B200", "8", "deepseek-ai/DeepSeek-R1-0528", "fp8", "sglang", "b200-sxm", "deepseek-v3", 8 * 7.7e12, 672.9e9, 8 * 70272, "in fp8, as the server says"},
		// mixture of experts, a date in its name
		{"NVIDIA RTX PRO 6000 Blackwell Server Edition", "1", "Qwen/Qwen3-30B-A3B-Instruct-2507", "", "vllm", "rtx-pro-6000", "qwen3-30b-a3b", 1.792e12, 61.06e9, 98304, ""},

		{"NVIDIA H100 NVL", "1", "meta-llama/Llama-3.1-8B-Instruct", "", "vllm", "", "", 0, 0, 0, ""},       // another memory
		{"NVIDIA A100 80GB PCIe", "1", "meta-llama/Llama-3.1-8B-Instruct", "", "vllm", "", "", 0, 0, 0, ""}, // not in the catalogue
		{"H100", "1", "meta-llama/Llama-3.1-8B-Instruct", "", "vllm", "", "", 0, 0, 0, ""},                  // SXM or PCIe
		{"NVIDIA L40", "1", "meta-llama/Llama-3.1-8B-Instruct", "", "vllm", "", "", 0, 0, 0, ""},            // no L40S, and no L4
		{"NVIDIA H200", "", "meta-llama/Llama-3.1-8B-Instruct", "", "vllm", "", "", 0, 0, 0, ""},            // how many is not known
		{"NVIDIA H200", "1", "meta-llama/Llama-3.2-11B-Vision-Instruct", "", "vllm", "", "", 0, 0, 0, ""},   // another model
		{"NVIDIA H200", "1", "Qwen/Qwen3-VL-8B-Instruct", "", "vllm", "", "", 0, 0, 0, ""},                  // and more than the model
		{"NVIDIA H200", "1", "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", "", "vllm", "", "", 0, 0, 0, ""},   // a Qwen 2.5
		{"NVIDIA H200", "1", "my-assistant", "", "vllm", "", "", 0, 0, 0, ""},                               // an alias
		{"NVIDIA GeForce RTX 4090", "1", "llama3.1:8b", "", "ollama", "", "", 0, 0, 0, ""},                  // quantised unasked
		{"NVIDIA H200", "1", "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8", "", "vllm", "", "", 0, 0, 0, ""},
		{"NVIDIA H200", "1", "meta-llama/Llama-3.1-8B-Instruct", "compressed-tensors", "sglang", "", "", 0, 0, 0, ""},
	} {
		name := test.gpu + "/" + test.model
		m := machineOf(facts(test.gpu, test.count, test.model, test.precision, test.runtime))
		if m == nil || test.row == "" {
			if m != nil || test.row != "" {
				t.Errorf("%s: the machine is %+v, want %q", name, m, test.row)
			}
			continue
		}
		near := func(got, want float64) bool { return math.Abs(got-want) <= 0.005*want }
		if m.GPU != test.row || m.Model != test.modelRow || !near(m.Bandwidth, test.bandwidth) || !near(m.WeightBytes, test.weights) || m.KVPerToken != test.kv {
			t.Errorf("%s: %s with %s, %.4g B/s, weights of %.4g B, %g B of KV a token", name, m.GPU, m.Model, m.Bandwidth, m.WeightBytes, m.KVPerToken)
		}
		if !strings.Contains(m.Source, test.says) {
			t.Errorf("%s: the source is %q", name, m.Source)
		}
	}
}

// The bytes of keys and values of a token in 16 bits, and what published tables make of them: their GB are GiB, with 10⁹ B
// they would miss by 7 %.
func TestKeyValueSizes(t *testing.T) {
	const gib = 1 << 30
	opt := sim.Model{Name: "opt-13b", Layers: 40, Heads: 40, KVHeads: 40, HeadDim: 128} // and LLaMA-13B
	for _, row := range []struct {
		model string
		want  float64 // bytes a token
		batch float64
		gib   float64 // of 1,024 tokens a sequence
	}{
		{"llama-2-70b", 327680, 1, 0.3125}, {"llama-2-70b", 327680, 16, 5}, {"llama-2-70b", 327680, 32, 10}, {"llama-2-70b", 327680, 64, 20},
		{"llama-3.1-8b", 131072, 1, 0.125},
		{"opt-13b", 800 << 10, 2, 1.5625}, // 2,048 tokens: 1.68 GB, published as 1.7
	} {
		model, ok := modelNamed(sim.Builtin(), row.model)
		if !ok {
			model = opt
		}
		m := newMachine(sim.GPU{BandwidthTBs: 1}, 1, model, "bf16", "bf16")
		bytes := row.batch * 1024 * m.KVPerToken
		if m.KVPerToken != row.want || bytes/gib != row.gib || math.Abs(bytes/1e9/row.gib-1.074) > 0.001 {
			t.Errorf("%s: %g B a token, %g GiB at batch %g, want %g and %g", row.model, m.KVPerToken, bytes/gib, row.batch, row.want, row.gib)
		}
		if half := newMachine(sim.GPU{BandwidthTBs: 1}, 1, model, "bf16", "fp8"); half.KVPerToken != row.want/2 {
			t.Errorf("%s: %g B a token in 8 bits", row.model, half.KVPerToken)
		}
	}
}

// MBU of published runs of Llama-2-7B, alone, 128 tokens in and out, through the catalogue: within a point of what was computed
// from all 6.74 billion parameters. The catalogue leaves the embedding out, of which a step reads a row, and counts keys and values.
func TestPublishedMBUByCatalogue(t *testing.T) {
	for _, row := range []struct {
		gpu, precision string
		tpot, want     float64 // ms, %
	}{
		{"NVIDIA A100-SXM4-80GB", "float16", 10.167, 65.0}, {"NVIDIA H100 80GB HBM3", "float16", 6.762, 59.5}, {"NVIDIA H100 80GB HBM3", "fp8", 4.098, 49.1},
		{"NVIDIA H200", "fp8", 3.609, 38.9}, {"NVIDIA L40S", "fp8", 11.54, 67.6},
	} {
		m := machineOf(facts(row.gpu, "1", "meta-llama/Llama-2-7b-chat-hf", row.precision, "tensorrt-llm"))
		if got := 100 * m.MBU(row.tpot, 1, 128+64); math.Abs(got-row.want) > 1 {
			t.Errorf("%s %s: MBU %.2f %%, published as %g %%", row.gpu, row.precision, got, row.want)
		}
	}
}

// What SGLang says of its memory counts before what is assumed.
func TestMachineOfWhatTheServerSays(t *testing.T) {
	e := facts("NVIDIA H100 80GB HBM3", "1", "meta-llama/Llama-3.1-8B-Instruct", "bfloat16", "sglang")
	e.Environment.Set("server.config", `{"kv_cache_dtype":"fp8_e5m2","mem_fraction_static":0.83,"max_total_num_tokens":700000,"max_running_requests":128}`, experiment.Detected)
	m := machineOf(e)
	if m == nil || m.KVPerToken != 65536 || m.MemoryShare != 0.83 || m.Sequences(1000) != 700 || m.MaxSequences != 128 {
		t.Errorf("the machine is %+v", m)
	}
}

// A simulated deployment's figures are those that the engine computes with.
func TestMachineOfSimulation(t *testing.T) {
	simulated := func(s *experiment.Simulator) *experiment.Experiment {
		e := &experiment.Experiment{Spec: experiment.Spec{Simulator: s}}
		spec := e.Spec
		if spec.Simulator == nil {
			spec.Simulator = &experiment.Simulator{GPU: "h100-sxm", Count: 2, Model: "llama-3.1-70b", Runtime: "vllm-like", Precision: "fp8"}
		}
		if err := virtualEnvironment(&spec, &e.Environment); err != nil {
			t.Fatal(err)
		}
		return e
	}
	// A server that stands by itself, known by what it says.
	m := machineOf(simulated(nil))
	if m == nil || m.GPUs != 2 || m.Bandwidth != 6.7e12 || m.Peak != 2*1979e12 || m.KVPerToken != 163840 || !(m.KVTokens > 100_000) {
		t.Errorf("the machine is %+v", m)
	}
	// Replicas are not one machine, and settings of the engine count.
	e := simulated(&experiment.Simulator{GPU: "a100-80-sxm", Count: 1, Model: "llama-3.1-8b", Runtime: "vllm-like", Precision: "bf16",
		Options: map[string]string{"replicas": "3", "max-seqs": "16"}})
	if m := machineOf(e); m == nil || m.GPUs != 1 || m.Replicas != 3 || m.MaxSequences != 16 {
		t.Errorf("the machine of replicas is %+v", m)
	}
	e.Environment.Set(experiment.KeyTime, experiment.ScaledTime(20), experiment.Simulated)
	if m := machineOf(e); m != nil {
		t.Errorf("a scaled clock has the machine %+v", m)
	}
	e = simulated(nil)
	e.Spec.Matrix = map[string][]any{"model": {"a", "b"}}
	if m := machineOf(e); m != nil {
		t.Errorf("several models have the machine %+v", m)
	}
}
