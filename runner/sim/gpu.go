package sim

// GPU is one row of the hardware catalogue.
type GPU struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	// MemoryGB and BandwidthTBs are of the data sheet, in 10⁹ B and 10¹² B/s.
	MemoryGB     float64 `json:"memory_gb"`
	BandwidthTBs float64 `json:"bandwidth_tb_s"`
	// BF16 and FP8 are dense peaks in TFLOP/s; FP8 0 = no profile for it.
	BF16 float64 `json:"bf16_tflops"`
	FP8  float64 `json:"fp8_tflops,omitempty"`
	// Source says where the data sheet's figures were read, Efficiency where the
	// attainable shares of them come from.
	Source     string `json:"source"`
	Efficiency string `json:"efficiency_source"`
	// Calibration says how far the model is from published runs on this GPU, and
	// over which loads: simulated against measured, of runs that no constant of
	// the GPU was fitted to. It is a band of the rows that were seen, so another
	// load, model or server may lie outside. TTFT under load is not in it: it hangs
	// on how the clients of a run fall into step.
	Calibration string `json:"calibration"`

	bf16, fp8 kernels
	// attend is the share of the bandwidth that decode attention reaches with
	// 16-bit and with 8-bit keys and values; prefillAttend is the share of the
	// BF16 peak that prefill attention reaches.
	attend16, attend8, prefillAttend float64
	// decode is a fixed cost per layer of a step that decodes, in µs.
	decode float64
	link   link
	// large marks the GPUs to which vLLM gives its larger default batch.
	large bool
}

// kernels is what matrix kernels of one precision reach.
type kernels struct {
	memory  float64 // share of the bandwidth
	compute float64 // share of the peak
	launch  float64 // µs of each kernel that neither bandwidth nor peak explains
}

// Where the kernel figures come from.
const (
	aicKernels = "aiconfigurator: regression over measured GEMM and attention kernels (vLLM 0.24)"
	guess      = "guess from GPUs of the same generation"
)

// gpus is in the order in which the catalogue is shown. e_m, e_c and the launch
// time of NVIDIA's data-centre parts are regressions of kernel time against
// bytes over aiconfigurator's measured GEMMs.
var gpus = []GPU{
	{
		Name: "a10g", Title: "NVIDIA A10G 24 GB", MemoryGB: 24, BandwidthTBs: 0.600, BF16: 70,
		Source:     "bandwidth: Baseten's A10 guide; peak: the dense BF16 rate that published A10G runs imply",
		Efficiency: guess, Calibration: "checked: time per token ±10 % of one vLLM 0.4.3 curve at c=1, 4 and 16 (Llama-3-8B)",
		bf16:     kernels{memory: .80, compute: .85, launch: 3},
		attend16: .70, prefillAttend: .50, decode: 13, link: pcie,
	},
	{
		Name: "l4", Title: "NVIDIA L4 24 GB", MemoryGB: 24, BandwidthTBs: 0.300, BF16: 121, FP8: 242,
		Source: "aiconfigurator, system l4", Efficiency: guess, Calibration: "checked: time per token ±25 %, single points by a factor of 2 (one published curve)",
		bf16:     kernels{memory: .85, compute: .50, launch: 1},
		fp8:      kernels{memory: .73, compute: .40, launch: 2},
		attend16: .75, attend8: .75, prefillAttend: .40, decode: 10, link: pcie,
	},
	{
		Name: "rtx-4090", Title: "NVIDIA GeForce RTX 4090 24 GB", MemoryGB: 24, BandwidthTBs: 1.008, BF16: 165.2,
		Source: "two agreeing specification pages; BF16 with FP32 accumulation", Efficiency: guess, Calibration: uncalibrated,
		bf16:     kernels{memory: .85, compute: .70, launch: 1},
		attend16: .75, prefillAttend: .50, decode: 10, link: pcie,
	},
	{
		Name: "l40s", Title: "NVIDIA L40S 48 GB", MemoryGB: 48, BandwidthTBs: 0.864, BF16: 362, FP8: 733,
		Source: "aiconfigurator, system l40s", Efficiency: aicKernels,
		Calibration: "checked: ±23 % of two points of TensorRT-LLM's table (Llama-2-7B FP8: throughput of 64 sequences, first token of one)",
		bf16:        kernels{memory: .85, compute: .68, launch: 1},
		fp8:         kernels{memory: .73, compute: .50, launch: 2},
		attend16:    .75, attend8: .75, prefillAttend: .48, decode: 10, link: pcie,
	},
	{
		Name: "a100-40", Title: "NVIDIA A100 SXM 40 GB", MemoryGB: 40, BandwidthTBs: 1.555, BF16: 312,
		Source: "Hugging Face hardware catalogue", Efficiency: aicKernels + "; memory share raised from .72 to .80 after published A100 runs",
		Calibration: "checked: ±16 % of one vLLM 0.23 curve at c=1 and 8 (Llama-3.1-8B)",
		bf16:        kernels{memory: .80, compute: .72, launch: 2},
		attend16:    .70, prefillAttend: .50, decode: 13, link: nvlink3,
	},
	{
		Name: "a100-80-sxm", Title: "NVIDIA A100 SXM 80 GB", MemoryGB: 80, BandwidthTBs: 2.039, BF16: 312,
		Source: "aiconfigurator, system a100_sxm", Efficiency: aicKernels + "; memory share raised from .72 to .80 after published A100 runs",
		Calibration: "checked: ±20 % of TensorRT-LLM and NeMo tables (Llama-2-7B), time per token −35 to −3 % of NIM to c=200 (8B, 70B)",
		bf16:        kernels{memory: .80, compute: .72, launch: 2},
		attend16:    .70, prefillAttend: .50, decode: 13, link: nvlink3,
	},
	{
		Name: "h100-sxm", Title: "NVIDIA H100 SXM 80 GB", MemoryGB: 80, BandwidthTBs: 3.35, BF16: 989, FP8: 1979,
		Source: "aiconfigurator, system h100_sxm", Efficiency: aicKernels,
		Calibration: "checked: time per token ±13 % of vLLM at c=4 to 128 (Llama-70B FP8, Qwen3-32B BF16), −36 to +6 % of NIM to c=250 (8B, 70B)",
		bf16:        kernels{memory: .81, compute: .76, launch: 2},
		fp8:         kernels{memory: .81, compute: .60, launch: 5},
		attend16:    .85, attend8: .80, prefillAttend: .55, decode: 12, link: nvlink4, large: true,
	},
	{
		Name: "h200-sxm", Title: "NVIDIA H200 SXM 141 GB", MemoryGB: 141, BandwidthTBs: 4.80, BF16: 989, FP8: 1979,
		Source: "aiconfigurator, system h200_sxm", Efficiency: aicKernels,
		Calibration: "checked: time per token ±13 % of 9 in 10 vLLM rows at c=4 to 64 (Llama-70B FP8)",
		bf16:        kernels{memory: .80, compute: .78, launch: 3},
		fp8:         kernels{memory: .77, compute: .64, launch: 5},
		attend16:    .80, attend8: .63, prefillAttend: .55, decode: 12, link: nvlink4, large: true,
	},
	{
		Name: "b200-sxm", Title: "NVIDIA B200 SXM 180 GB", MemoryGB: 180, BandwidthTBs: 7.70, BF16: 2250, FP8: 4500,
		Source: "aiconfigurator, system b200_sxm", Efficiency: aicKernels,
		Calibration: "checked: time per token ±25 % of 9 in 10 vLLM rows at c=4 to 64 (Llama-70B FP8)",
		bf16:        kernels{memory: .80, compute: .70, launch: 3},
		fp8:         kernels{memory: .85, compute: .58, launch: 7},
		attend16:    .82, attend8: .80, prefillAttend: .45, decode: 10, link: nvlink5, large: true,
	},
	{
		Name: "mi300x", Title: "AMD MI300X 192 GB", MemoryGB: 192, BandwidthTBs: 5.3, BF16: 1307, FP8: 2615,
		Source: "InferenceX, GPU table", Efficiency: guess, Calibration: "checked: time per token ±25 %, single points by a factor of 2 (one published curve)",
		bf16:     kernels{memory: .65, compute: .50, launch: 5},
		fp8:      kernels{memory: .60, compute: .40, launch: 7},
		attend16: .60, attend8: .60, prefillAttend: .35, decode: 15, link: noLink, large: true,
	},
}

// uncalibrated is the label of a profile that no published run was held against.
const uncalibrated = "uncalibrated"

// GPUs gives the hardware catalogue, small to large.
func GPUs() []GPU { return append([]GPU(nil), gpus...) }
