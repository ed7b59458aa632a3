package sim

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Config says what to simulate. The zero value of a field means its default.
type Config struct {
	GPU     string // a name of [GPUs]; default a10g
	Count   int    // GPUs of one tensor-parallel group; default 1
	Model   string // a name of [Models]; default llama-3.1-8b
	Runtime string // a name of [Runtimes]; default vllm-like
	// Precision is one of [Precisions]; default that of the model's weights as
	// published, which is bf16 for most.
	Precision string
	// KVPrecision is "bf16" or "fp8"; default fp8 where Precision is fp8 or nvfp4.
	KVPrecision string
	// Profiles is strict YAML with the user's own rows of the catalogue; see [Catalogue.With].
	Profiles string
	// Unfitted leaves the fits of the catalogue out, and takes each runtime's own constants.
	Unfitted bool

	MaxSeqs     int // sequences a step; default the runtime's
	TokenBudget int // tokens a step; default the runtime's
	MaxModelLen int // prompt and output of a request; default what model and KV pool allow
	// MemoryUtilization is the share of each GPU that may be used, over 0 to 1;
	// default the runtime's.
	MemoryUtilization float64
	// OtherMemoryGB is memory of each GPU taken by neither weights nor KV, in
	// 10⁹ B; default the runtime's.
	OtherMemoryGB float64

	// PrefixCaching is "on" or "off"; default the runtime's.
	PrefixCaching string
	// Speculation drafts tokens ahead; the zero value does not.
	Speculation Speculation
	// Replicas are engines alike behind one router; default 1.
	Replicas int
	// Router is a name of [Routers]; default round-robin.
	Router string

	Seed   uint64
	Jitter float64 // σ of the lognormal factor of each step, 0 to 1; 0 = none
	// ServedName is the model's name on the wire; default Model.
	ServedName string
}

// Precisions of a [Config].
const (
	bf16  = "bf16"  // weights, arithmetic, keys and values in 16 bits
	fp8   = "fp8"   // all of them in 8 bits
	nvfp4 = "nvfp4" // weights and arithmetic in 4 bits, keys and values in 8
	int4  = "int4"  // weights in 4 bits, all else in 16
	mxfp4 = "mxfp4" // weights of feed-forward blocks and experts in 4 bits, all else in 16
)

// Precisions lists the names that a Precision may have.
func Precisions() []string { return []string{bf16, fp8, nvfp4, int4, mxfp4} }

// Bytes of a 4-bit weight with its scales.
const (
	nvfp4Bytes = 0.5625 // a scale of 8 bits for 16 weights
	int4Bytes  = 0.53   // a scale of 16 bits for 128 weights, or of 8 for 32 (MXFP4)
)

// minContext is the least number of tokens a KV pool must hold to be of use.
const minContext = 1024

// maxReplicas bounds the engines behind a router.
const maxReplicas = 256

// Resolve fills in every default and computes the KV pool. Its error says what
// cannot be: a name that is not in the catalogue (and what is), a
// model that does not fit (and by how many GB), a count that does not divide
// the heads, a precision that the GPU lacks.
func (c Config) Resolve() (Deployment, error) {
	catalogue, err := Builtin().With(c.Profiles)
	if err != nil {
		return Deployment{}, err
	}
	d := Deployment{Count: cmp.Or(c.Count, 1), Seed: c.Seed, Jitter: c.Jitter}
	var errG, errM, errR error
	d.GPU, errG = catalogue.gpu(cmp.Or(c.GPU, "a10g"))
	d.Model, errM = catalogue.model(cmp.Or(c.Model, "llama-3.1-8b"))
	d.Runtime, errR = catalogue.runtime(cmp.Or(c.Runtime, "vllm-like"))
	if err := errors.Join(errG, errM, errR); err != nil {
		return Deployment{}, err
	}
	d.link = catalogue.link(d.GPU.Link)
	d.Precision = cmp.Or(c.Precision, d.Model.Native, bf16)
	d.KVPrecision = c.KVPrecision
	if d.KVPrecision == "" {
		d.KVPrecision = bf16
		if d.Precision == fp8 || d.Precision == nvfp4 {
			d.KVPrecision = fp8
		}
	}
	d.ServedName = cmp.Or(c.ServedName, d.Model.Name)
	if err := c.checkNumbers(); err != nil {
		return Deployment{}, err
	}
	if err := d.checkParts(); err != nil {
		return Deployment{}, err
	}
	d.MemoryUtilization = cmp.Or(c.MemoryUtilization, d.Runtime.MemoryUtilization)
	d.OtherMemoryGB = cmp.Or(c.OtherMemoryGB, d.Runtime.OtherMemoryGB)
	d.MaxSeqs, d.TokenBudget = d.Runtime.MaxSeqs, d.Runtime.TokenBudget
	if d.GPU.Large {
		d.MaxSeqs, d.TokenBudget = d.Runtime.MaxSeqsLarge, d.Runtime.TokenBudgetLarge
	}
	d.PrefixCaching = d.Runtime.Scheduling.PrefixCaching
	if c.PrefixCaching != "" {
		d.PrefixCaching = c.PrefixCaching == "on"
	}
	d.Speculation, d.Replicas, d.Router = c.Speculation, cmp.Or(c.Replicas, 1), cmp.Or(c.Router, RoundRobin)
	d.MaxSeqs, d.TokenBudget = cmp.Or(c.MaxSeqs, d.MaxSeqs), cmp.Or(c.TokenBudget, d.TokenBudget)
	if err := d.fillMemory(); err != nil {
		return Deployment{}, err
	}
	if err := d.limitContext(c.MaxModelLen); err != nil {
		return Deployment{}, err
	}
	if !c.Unfitted {
		d.fit(catalogue)
	}
	d.Trust = d.trust(catalogue)
	if c.Unfitted && d.fits(catalogue) { // the band was found with the fit
		d.Trust = Check{Status: Uncalibrated}
	}
	d.Calibration = d.label()
	return d, nil
}

func (c Config) checkNumbers() error {
	var errs []error
	for _, f := range []struct {
		name  string
		value int
	}{{"count", c.Count}, {"max seqs", c.MaxSeqs}, {"token budget", c.TokenBudget}, {"max model length", c.MaxModelLen}} {
		if f.value < 0 {
			errs = append(errs, fmt.Errorf("%s is %d; it cannot be negative", f.name, f.value))
		}
	}
	if !(c.MemoryUtilization >= 0 && c.MemoryUtilization <= 1) {
		errs = append(errs, fmt.Errorf("memory utilization is %g; give a share from over 0 to 1, such as 0.9", c.MemoryUtilization))
	}
	if !(c.OtherMemoryGB >= 0) || math.IsInf(c.OtherMemoryGB, 1) {
		errs = append(errs, fmt.Errorf("other memory is %g GB; it cannot be negative", c.OtherMemoryGB))
	}
	if c.PrefixCaching != "" && c.PrefixCaching != "on" && c.PrefixCaching != "off" {
		errs = append(errs, fmt.Errorf("prefix caching is %q; it is on or off", c.PrefixCaching))
	}
	if c.Replicas < 0 || c.Replicas > maxReplicas {
		errs = append(errs, fmt.Errorf("replicas is %d; give 1 to %d", c.Replicas, maxReplicas))
	}
	if c.Router != "" && !slices.Contains(Routers(), c.Router) {
		errs = append(errs, fmt.Errorf("unknown router %q; there are %s", c.Router, strings.Join(Routers(), ", ")))
	}
	if err := c.Speculation.check(); err != nil {
		errs = append(errs, err)
	}
	if !(c.Jitter >= 0 && c.Jitter <= 1) {
		errs = append(errs, fmt.Errorf("jitter is %g; give a σ from 0 to 1, such as 0.02", c.Jitter))
	}
	return errors.Join(errs...)
}

// checkParts reports parts that do not go together.
func (d *Deployment) checkParts() error {
	var errs []error
	switch {
	case !slices.Contains(Precisions(), d.Precision):
		errs = append(errs, fmt.Errorf("precision is %q; it is one of %s", d.Precision, strings.Join(Precisions(), ", ")))
	case d.Precision == fp8 && d.GPU.FP8 == 0 || d.Precision == nvfp4 && d.GPU.FP4 == 0:
		errs = append(errs, fmt.Errorf("there is no %s profile of %s; use bf16, or a GPU such as %s", d.Precision, d.GPU.Name, map[string]string{fp8: "h100-sxm or l40s", nvfp4: "b200-sxm"}[d.Precision]))
	case d.Precision != bf16 && d.Runtime.BF16Only:
		errs = append(errs, fmt.Errorf("%s runs in bf16 only", d.Runtime.Name))
	}
	if d.KVPrecision != bf16 && d.KVPrecision != fp8 {
		errs = append(errs, fmt.Errorf("the precision of keys and values is %q; it is bf16 or fp8", d.KVPrecision))
	}
	m := d.Model
	switch {
	case d.Count > maxCount:
		errs = append(errs, fmt.Errorf("count is %d; a tensor-parallel group is at most the %d GPUs of one server", d.Count, maxCount))
	case m.Latent != Latent{} && m.Heads%d.Count == 0: // every GPU holds all of the compressed vectors
	case m.Heads%d.Count != 0 || (m.KVHeads%d.Count != 0 && d.Count%m.KVHeads != 0):
		errs = append(errs, fmt.Errorf("count %d does not divide the %d heads and %d KV heads of %s; use 1, 2, 4 or 8", d.Count, m.Heads, m.KVHeads, m.Name))
	case d.Count > 1 && d.GPU.Link == "":
		errs = append(errs, fmt.Errorf("there are no published all-reduce times of %s, so its count must be 1", d.GPU.Name))
	}
	return errors.Join(errs...)
}
