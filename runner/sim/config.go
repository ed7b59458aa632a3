package sim

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/xrash/smetrics"
)

// Config says what to simulate. The zero value of a field means its default.
type Config struct {
	GPU     string // a name of [GPUs]; default a10g
	Count   int    // GPUs of one tensor-parallel group; default 1
	Model   string // a name of [Models]; default llama-3.1-8b
	Runtime string // a name of [Runtimes]; default vllm-like
	// Precision is "bf16" or "fp8"; default bf16. fp8 holds for the layers'
	// weights, their arithmetic, and the keys and values.
	Precision string

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
	bf16 = "bf16"
	fp8  = "fp8"
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
	d := Deployment{Count: cmp.Or(c.Count, 1), Precision: cmp.Or(c.Precision, bf16), Seed: c.Seed, Jitter: c.Jitter}
	var errG, errM, errR error
	d.GPU, errG = find(gpus, func(g GPU) string { return g.Name }, "GPU", cmp.Or(c.GPU, "a10g"))
	d.Model, errM = find(models, func(m Model) string { return m.Name }, "model", cmp.Or(c.Model, "llama-3.1-8b"))
	d.Runtime, errR = find(runtimes, func(r Runtime) string { return r.Name }, "runtime", cmp.Or(c.Runtime, "vllm-like"))
	if err := errors.Join(errG, errM, errR); err != nil {
		return Deployment{}, err
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
	d.MaxSeqs, d.TokenBudget = d.Runtime.maxSeqs, d.Runtime.budget
	if d.GPU.large {
		d.MaxSeqs, d.TokenBudget = d.Runtime.maxSeqsLarge, d.Runtime.budgetLarge
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
	d.Calibration = d.calibration()
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
	case d.Precision != bf16 && d.Precision != fp8:
		errs = append(errs, fmt.Errorf("precision is %q; it is bf16 or fp8", d.Precision))
	case d.Precision == fp8 && d.GPU.FP8 == 0:
		errs = append(errs, fmt.Errorf("there is no fp8 profile of %s; use bf16, or a GPU such as h100-sxm or l40s", d.GPU.Name))
	case d.Precision == fp8 && d.Runtime.bf16Only:
		errs = append(errs, fmt.Errorf("%s runs in bf16 only", d.Runtime.Name))
	}
	m := d.Model
	switch {
	case d.Count > maxCount:
		errs = append(errs, fmt.Errorf("count is %d; a tensor-parallel group is at most the %d GPUs of one server", d.Count, maxCount))
	case m.Heads%d.Count != 0 || (m.KVHeads%d.Count != 0 && d.Count%m.KVHeads != 0):
		errs = append(errs, fmt.Errorf("count %d does not divide the %d heads and %d KV heads of %s; use 1, 2, 4 or 8", d.Count, m.Heads, m.KVHeads, m.Name))
	case d.Count > 1 && d.GPU.link == noLink:
		errs = append(errs, fmt.Errorf("there are no published all-reduce times of %s, so its count must be 1", d.GPU.Name))
	}
	return errors.Join(errs...)
}

// find gives the row with a name, or an error with the nearest name and all names.
func find[T any](rows []T, name func(T) string, kind, want string) (T, error) {
	for _, r := range rows {
		if name(r) == want {
			return r, nil
		}
	}
	var zero T
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = name(r)
	}
	if near := nearest(want, names); near != "" {
		return zero, fmt.Errorf("unknown %s %q; did you mean %s? There are %s", kind, want, near, strings.Join(names, ", "))
	}
	return zero, fmt.Errorf("unknown %s %q; there are %s", kind, want, strings.Join(names, ", "))
}

// nearest gives the name that begins most like what was typed, by two characters
// or more, or else one that a third of its characters turns into; "" = none.
// "h1000" means an H100, though "a10g" is no more edits away. Case does not count.
func nearest(want string, names []string) string {
	want = strings.ToLower(want)
	best := slices.MinFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(begin(want, b), begin(want, a)), cmp.Compare(distance(want, a), distance(want, b)))
	})
	if begin(want, best) >= 2 {
		return best
	}
	best = slices.MinFunc(names, func(a, b string) int { return cmp.Compare(distance(want, a), distance(want, b)) })
	if 3*distance(want, best) > len(want) {
		return ""
	}
	return best
}

// begin is how many bytes two names have in common at their beginning.
func begin(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// distance is the Levenshtein distance in bytes.
func distance(a, b string) int { return smetrics.WagnerFischer(a, b, 1, 1, 1) }
