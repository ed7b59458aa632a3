package sim

import "time"

// Runtime is one row of the catalogue of serving runtimes: how it schedules and
// what it costs beside the GPU's work.
type Runtime struct {
	Name        string `json:"name"`
	Title       string `json:"title"`
	Source      string `json:"source"`
	Calibration string `json:"calibration"`

	BlockSize         int     `json:"block_size"` // tokens of a KV block
	MemoryUtilization float64 `json:"memory_utilization"`
	// OtherMemoryGB is what activations, graphs and the framework take of each GPU.
	OtherMemoryGB float64 `json:"other_memory_gb"`
	// Front is the time the front end spends on a request, Net the time between
	// the end of a step and its tokens leaving the server. Both are above 0.
	Front time.Duration `json:"front_ns"`
	Net   time.Duration `json:"net_ns"`

	maxSeqs, maxSeqsLarge int
	budget, budgetLarge   int // tokens a step; 0 = no limit

	Scheduling Scheduling `json:"scheduling"`
	// step, layer and seq are the host's time per step, per layer and per
	// sequence of a step, in µs.
	step, layer, seq float64
	// eager is the least time of a layer where the host launches each kernel, in
	// µs; work multiplies the GPU's time.
	eager, work float64
	bf16Only    bool
}

// Scheduling is how a runtime forms its steps and holds keys and values.
type Scheduling struct {
	// Batching is one of Mixed, PrefillFirst and Static.
	Batching string `json:"batching"`
	// Chunked says that a prompt may be computed over several steps.
	Chunked bool `json:"chunked,omitempty"`
	// Reserve says that blocks for the longest possible answer are taken at admission.
	Reserve bool `json:"reserve,omitempty"`
	// PrefixCaching says that blocks of a prompt that were computed before are used again.
	PrefixCaching bool `json:"prefix_caching,omitempty"`
	// LongPrefill caps what a step computes of one prompt, in tokens; 0 = the budget does.
	LongPrefill int `json:"long_prefill,omitempty"`
}

// How a step is formed.
const (
	Mixed        = "mixed"         // the running sequences first, then prompts, in one step
	PrefillFirst = "prefill-first" // a step computes prompts while any can be admitted, else it decodes
	Static       = "static"        // a batch starts together and nobody joins
)

// other is aiconfigurator's other_mem for vLLM and TensorRT-LLM: GB beside weights and KV.
const other = 3.5

// The constants of every runtime: 1 ms a step, 10 µs a layer, 2 ms front end,
// 5 ms net. They are round figures, chosen before any end-to-end run was looked
// at, and fitted to none.
const (
	stepMicros  = 1000
	layerMicros = 10
	frontTime   = 2 * time.Millisecond
	netTime     = 5 * time.Millisecond
)

// servedSeqMicros is what a Python server spends on the host for each sequence
// of a step: sampling, detokenising, writing a chunk. It is the slope of the
// linear law fitted to the 787 rows of NVIDIA's sizing course (NIM, Llama-3 8B
// and 70B on A100 and H100), taken over as it is. Held against rows that had no
// part in that fit, the mean error per token falls from 8.6 % without it to 4.0 %
// (19 vLLM rows, Llama-70B FP8 and Qwen3-32B BF16 on H100 and B200, c = 4 to
// 128); on the course's own 8B rows up to c = 250 it falls from 19 % to 9 %, where
// throughput without it is up to 1.69 times the measured one. TensorRT-LLM's
// engine under its own benchmark has no such cost: with it the seven published
// maxima on Hopper are missed by 23 % on average, without it by 5 %.
const servedSeqMicros = 45

var runtimes = []Runtime{
	{
		Name: "vllm-like", Title: "continuous batching, chunked prefill, blocks allocated as tokens come, preemption by recomputation",
		Source:      "vLLM v1 scheduler and its defaults for an API server (2,048 tokens and 256 sequences a step; 8,192 and 1,024 on large GPUs)",
		Calibration: "checked: time per token ±13 % of 19 vLLM rows on H100 and B200, 4 % on average, c=4 to 128",
		BlockSize:   16, MemoryUtilization: 0.9, OtherMemoryGB: other, Front: frontTime, Net: netTime,
		maxSeqs: 256, maxSeqsLarge: 1024, budget: 2048, budgetLarge: 8192,
		Scheduling: Scheduling{Batching: Mixed, Chunked: true, PrefixCaching: true}, step: stepMicros, layer: layerMicros, seq: servedSeqMicros, work: 1,
	},
	{
		Name: "trtllm-like", Title: "continuous batching, whole prompts, blocks for the longest answer reserved at admission, no preemption",
		Source:      "TensorRT-LLM documentation: in-flight batching with GUARANTEED_NO_EVICT, its default",
		Calibration: "checked on Hopper in FP8: published maxima ±11 %, time per token −10 to +23 % of servers of a 70B to c=150 and down to −57 % of NIM's 8B at c=200",
		BlockSize:   32, MemoryUtilization: 0.9, OtherMemoryGB: other, Front: frontTime, Net: netTime,
		maxSeqs: 2048, maxSeqsLarge: 2048, budget: 8192, budgetLarge: 8192,
		Scheduling: Scheduling{Batching: Mixed, Reserve: true, PrefixCaching: true}, step: stepMicros, layer: layerMicros, work: 1,
	},
	{
		Name: "hf-static", Title: "static batching: a batch is padded to its longest prompt, runs until its longest answer ends, and nobody joins",
		Source:      "Hugging Face generate; launch-bound floor of 1.0 ms a layer between PyTorch's simple implementation (1.22, A100) and a published RTX 4090 run (0.72)",
		Calibration: uncalibrated,
		BlockSize:   1, MemoryUtilization: 0.9, OtherMemoryGB: other, Front: frontTime, Net: netTime,
		maxSeqs: 8, maxSeqsLarge: 8,
		Scheduling: Scheduling{Batching: Static}, step: stepMicros, layer: layerMicros, eager: 1000, work: 1.15, bf16Only: true,
	},
}

// Runtimes gives the catalogue of runtimes.
func Runtimes() []Runtime { return append([]Runtime(nil), runtimes...) }
