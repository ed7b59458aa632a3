package sim

import (
	"errors"
	"fmt"
)

// GPU is one row of the hardware catalogue.
type GPU struct {
	Name       string `json:"name" yaml:"name"`
	Title      string `json:"title" yaml:"title"`
	Generation string `json:"generation" yaml:"generation"` // "hopper" and so on
	// MemoryGB and BandwidthTBs are of the data sheet, in 10⁹ B and 10¹² B/s.
	MemoryGB     float64 `json:"memory_gb" yaml:"memory_gb"`
	BandwidthTBs float64 `json:"bandwidth_tb_s" yaml:"bandwidth_tb_s"`
	// BF16, FP8 and FP4 are dense peaks in TFLOP/s; 0 = the GPU has none, or no profile of it.
	BF16 float64 `json:"bf16_tflops" yaml:"bf16_tflops"`
	FP8  float64 `json:"fp8_tflops,omitempty" yaml:"fp8_tflops"`
	FP4  float64 `json:"fp4_tflops,omitempty" yaml:"fp4_tflops"`

	Kernels   KernelTable `json:"kernels" yaml:"kernels"`
	Attention Attention   `json:"attention" yaml:"attention"`
	// Link names a [Link]; empty = no published all-reduce times, so one GPU only.
	Link string `json:"link,omitempty" yaml:"link"`
	// Large marks the GPUs to which vLLM gives its larger default batch.
	Large bool `json:"large,omitempty" yaml:"large"`
	// Sources says of each figure where it was read.
	Sources map[string]string `json:"sources" yaml:"sources"`
}

// KernelTable is what matrix products reach in each precision of arithmetic.
type KernelTable struct {
	BF16 Kernels `json:"bf16" yaml:"bf16"`
	FP8  Kernels `json:"fp8,omitzero" yaml:"fp8"`
	FP4  Kernels `json:"fp4,omitzero" yaml:"fp4"`
}

// Kernels is what matrix products of one precision reach.
type Kernels struct {
	Memory  float64 `json:"memory" yaml:"memory"`       // share of the bandwidth
	Compute float64 `json:"compute" yaml:"compute"`     // share of the peak
	Launch  float64 `json:"launch_us" yaml:"launch_us"` // of each kernel, that neither explains
}

// Attention is what attention reaches.
type Attention struct {
	// DecodeBF16 and DecodeFP8 are shares of the bandwidth, with 16-bit and with
	// 8-bit keys and values.
	DecodeBF16 float64 `json:"decode_bf16" yaml:"decode_bf16"`
	DecodeFP8  float64 `json:"decode_fp8,omitempty" yaml:"decode_fp8"`
	// Prefill is the share of the BF16 peak.
	Prefill float64 `json:"prefill" yaml:"prefill"`
	// Layer is a fixed time of each layer of a step that decodes, in µs.
	Layer float64 `json:"layer_us" yaml:"layer_us"`
}

// gpuFigures are those that need a source.
func (g GPU) figures() []string {
	f := []string{"memory_gb", "bandwidth_tb_s", "bf16_tflops", "kernels", "attention"}
	if g.FP8 > 0 {
		f = append(f, "fp8_tflops")
	}
	if g.FP4 > 0 {
		f = append(f, "fp4_tflops")
	}
	if g.Link != "" {
		f = append(f, "link")
	}
	return f
}

func (g GPU) check(c *Catalogue) error {
	var errs []error
	if g.Name == "" {
		errs = append(errs, errors.New("it has no name"))
	}
	if !(g.MemoryGB > 0 && g.BandwidthTBs > 0 && g.BF16 > 0) {
		errs = append(errs, errors.New("memory_gb, bandwidth_tb_s and bf16_tflops are above 0"))
	}
	share := func(what string, v float64, needed bool) {
		if v < 0 || v > 1 || needed && v == 0 {
			errs = append(errs, fmt.Errorf("%s is %g; it is a share from over 0 to 1", what, v))
		}
	}
	for _, k := range []struct {
		name string
		Kernels
		used bool
	}{{"bf16", g.Kernels.BF16, true}, {"fp8", g.Kernels.FP8, g.FP8 > 0}, {"fp4", g.Kernels.FP4, g.FP4 > 0}} {
		share("kernels."+k.name+".memory", k.Memory, k.used)
		share("kernels."+k.name+".compute", k.Compute, k.used)
		if k.Launch < 0 {
			errs = append(errs, fmt.Errorf("kernels.%s.launch_us is negative", k.name))
		}
	}
	share("attention.decode_bf16", g.Attention.DecodeBF16, true)
	share("attention.decode_fp8", g.Attention.DecodeFP8, g.FP8 > 0)
	share("attention.prefill", g.Attention.Prefill, true)
	if g.Link != "" && c.link(g.Link).Name == "" {
		errs = append(errs, fmt.Errorf("there is no link %q", g.Link))
	}
	for _, f := range g.figures() {
		if g.Sources[f] == "" {
			errs = append(errs, fmt.Errorf("%s has no source; say under sources where it was read", f))
		}
	}
	return errors.Join(errs...)
}
