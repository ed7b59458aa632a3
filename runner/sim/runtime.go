package sim

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Runtime is one row of the catalogue of serving runtimes: how it schedules and
// what it costs beside the GPU's work.
type Runtime struct {
	Name  string `json:"name" yaml:"name"`
	Title string `json:"title" yaml:"title"`

	Scheduling Scheduling `json:"scheduling" yaml:"scheduling"`
	BlockSize  int        `json:"block_size" yaml:"block_size"` // tokens of a KV block
	// MemoryUtilization is the share of each GPU's memory that may be used; where
	// MemoryOfFree, the share of what weights and other memory leave.
	MemoryUtilization float64 `json:"memory_utilization" yaml:"memory_utilization"`
	MemoryOfFree      bool    `json:"memory_of_free,omitempty" yaml:"memory_of_free"`
	// OtherMemoryGB is what activations, graphs and the framework take of each GPU.
	OtherMemoryGB float64 `json:"other_memory_gb" yaml:"other_memory_gb"`
	// MaxSeqs and TokenBudget are the defaults of a step; those with Large hold on
	// large GPUs. A budget of 0 is none.
	MaxSeqs          int  `json:"max_seqs" yaml:"max_seqs"`
	MaxSeqsLarge     int  `json:"max_seqs_large" yaml:"max_seqs_large"`
	TokenBudget      int  `json:"token_budget,omitempty" yaml:"token_budget"`
	TokenBudgetLarge int  `json:"token_budget_large,omitempty" yaml:"token_budget_large"`
	BF16Only         bool `json:"bf16_only,omitempty" yaml:"bf16_only"`

	Constants Constants         `json:"constants" yaml:"constants"`
	Sources   map[string]string `json:"sources" yaml:"sources"`

	// Front is the time the front end spends on a request, Net the time between
	// the end of a step and its tokens leaving the server. Both are above 0.
	Front time.Duration `json:"front_ns" yaml:"-"`
	Net   time.Duration `json:"net_ns" yaml:"-"`
}

// Constants are what a runtime costs beside the GPU's work. They are what a fit fits.
type Constants struct {
	// Step, Layer and Seq are the host's time of a step, of each layer and of each
	// sequence in it, in µs.
	Step  float64 `json:"step_us" yaml:"step_us"`
	Layer float64 `json:"layer_us" yaml:"layer_us"`
	Seq   float64 `json:"seq_us" yaml:"seq_us"`
	// Kernels multiplies the fixed times of kernels, Layer among them; Weights the
	// time of reading weights; Work all of the GPU's time. 0 = 1.
	Kernels float64 `json:"kernels" yaml:"kernels"`
	Weights float64 `json:"weights" yaml:"weights"`
	Work    float64 `json:"work" yaml:"work"`
	// Front is the front end's time of a request, Net the way to the client, in µs.
	Front float64 `json:"front_us" yaml:"front_us"`
	Net   float64 `json:"net_us" yaml:"net_us"`
	// Eager is the least time of a layer where the host launches each kernel, in
	// µs, for steps of more than EagerOver tokens; 0 = kernels are captured.
	Eager     float64 `json:"eager_us,omitempty" yaml:"eager_us"`
	EagerOver int     `json:"eager_over,omitempty" yaml:"eager_over"`
}

// Scheduling is how a runtime forms its steps and holds keys and values.
type Scheduling struct {
	// Batching is one of Mixed, PrefillFirst and Static.
	Batching string `json:"batching" yaml:"batching"`
	// Chunked says that a prompt may be computed over several steps.
	Chunked bool `json:"chunked,omitempty" yaml:"chunked"`
	// Reserve says that blocks for the longest possible answer are taken at admission.
	Reserve bool `json:"reserve,omitempty" yaml:"reserve"`
	// PrefixCaching says that blocks of a prompt that were computed before are used again.
	PrefixCaching bool `json:"prefix_caching,omitempty" yaml:"prefix_caching"`
	// LongPrefill caps what a step computes of one prompt, in tokens; 0 = the budget does.
	LongPrefill int `json:"long_prefill,omitempty" yaml:"long_prefill"`
	// WholePrompt says that a prompt is admitted only where all of its blocks fit, though
	// it is computed in chunks.
	WholePrompt bool `json:"whole_prompt,omitempty" yaml:"whole_prompt"`
}

// How a step is formed.
const (
	Mixed        = "mixed"         // the running sequences first, then prompts, in one step
	PrefillFirst = "prefill-first" // a step computes prompts while any can be admitted, else it decodes
	Static       = "static"        // a batch starts together and nobody joins
)

// setConstants makes constants the runtime's own, with their defaults filled in.
func (r *Runtime) setConstants(c Constants) {
	c.Kernels, c.Weights, c.Work = cmp.Or(c.Kernels, 1), cmp.Or(c.Weights, 1), cmp.Or(c.Work, 1)
	r.Constants = c
	r.Front, r.Net = micros(c.Front), micros(c.Net)
}

func micros(us float64) time.Duration { return time.Duration(us * float64(time.Microsecond)) }

func (r Runtime) check() error {
	errs := []error{r.Constants.check()}
	switch {
	case r.Name == "" || r.Title == "":
		errs = append(errs, errors.New("it needs a name and a title"))
	case r.Scheduling.Batching != Mixed && r.Scheduling.Batching != PrefillFirst && r.Scheduling.Batching != Static:
		errs = append(errs, fmt.Errorf("scheduling.batching is %q; it is %s, %s or %s", r.Scheduling.Batching, Mixed, PrefillFirst, Static))
	case r.BlockSize < 1 || r.MaxSeqs < 1 || r.MaxSeqsLarge < 1:
		errs = append(errs, errors.New("block_size, max_seqs and max_seqs_large are at least 1"))
	case r.Scheduling.Batching != Static && (r.TokenBudget < 1 || r.TokenBudgetLarge < 1):
		errs = append(errs, errors.New("token_budget and token_budget_large are at least 1"))
	case !(r.MemoryUtilization > 0 && r.MemoryUtilization <= 1) || !(r.OtherMemoryGB >= 0):
		errs = append(errs, errors.New("memory_utilization is a share from over 0 to 1, and other_memory_gb is not negative"))
	}
	for _, f := range []string{"scheduling", "defaults", "memory", "constants"} {
		if r.Sources[f] == "" {
			errs = append(errs, fmt.Errorf("%s has no source; say under sources where it was read", f))
		}
	}
	return errors.Join(errs...)
}

func (c Constants) check() error {
	for _, v := range []float64{c.Step, c.Layer, c.Seq, c.Kernels, c.Weights, c.Work, c.Eager, float64(c.EagerOver)} {
		if !(v >= 0) {
			return errors.New("constants are not negative")
		}
	}
	// The engine's determinism rests on both: see the package comment.
	if !(c.Front >= 1) || !(c.Net >= 1) {
		return errors.New("constants.front_us and constants.net_us are at least 1")
	}
	return nil
}
