// Package published holds the simulated engine against runs that others measured and
// published. It believes that a simulator is worth what its error table is worth, so
// the table is made by whoever asks for it, from the rows themselves.
package published

import (
	_ "embed"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/inferbook/inferbook/runner/sim"
)

// Set is one published curve: a deployment, a load and its rows.
type Set struct {
	ID     string `yaml:"id"`
	Group  string `yaml:"group"`
	Use    string `yaml:"use"` // "fit", "looked-at" or "hold-out"
	Source string `yaml:"source"`
	// Bar is the error that the group is held to; zero = none.
	Bar Bar `yaml:"bar"`

	GPU         string  `yaml:"gpu"`
	Count       int     `yaml:"count"`
	Model       string  `yaml:"model"`
	Runtime     string  `yaml:"runtime"`
	Precision   string  `yaml:"precision"`
	TokenBudget int     `yaml:"token_budget"`
	Utilization float64 `yaml:"utilization"`
	Unfitted    bool    `yaml:"unfitted"`

	Load Load  `yaml:"load"`
	Rows []Row `yaml:"rows"`
}

// Bar is an error of a group, as shares: mean and 90 % quantile of the absolute error
// of the time per token, and mean of that of TTFT.
type Bar struct {
	TPOT   float64 `yaml:"tpot"`
	TPOT90 float64 `yaml:"tpot_p90"`
	TTFT   float64 `yaml:"ttft"`
}

// Load is how the published run sent its requests; see the data file for the kinds.
type Load struct {
	Kind   string  `yaml:"kind"`
	Prompt int     `yaml:"prompt"`
	Output int     `yaml:"output"`
	Span   float64 `yaml:"span"`
}

// Row is one load level: C workers, or C requests in a burst or a batch, and the
// published figures; 0 = not published.
type Row struct {
	C          int     `yaml:"c"`
	TPOT       float64 `yaml:"tpot_ms"`
	TTFT       float64 `yaml:"ttft_ms"`
	EngineTTFT float64 `yaml:"engine_ttft_ms"` // without the front end and the way to the client
	E2E        float64 `yaml:"e2e_ms"`
	Tokens     float64 `yaml:"tokens_s"`
	Requests   float64 `yaml:"requests_s"`
}

//go:embed published.yaml
var text string

var sets = sync.OnceValues(func() ([]Set, error) {
	var file struct {
		Sets []Set `yaml:"sets"`
	}
	err := yaml.UnmarshalWithOptions([]byte(text), &file, yaml.Strict())
	return file.Sets, err
})

// Sets gives the published curves.
func Sets() ([]Set, error) {
	s, err := sets()
	if err != nil {
		return nil, fmt.Errorf("reading the published runs: %w", err)
	}
	return slices.Clone(s), nil
}

// Config is the simulated engine of a set, with its prefix cache off: the prompts of
// such runs are random.
func (s Set) Config() sim.Config {
	return sim.Config{
		GPU: s.GPU, Count: s.Count, Model: s.Model, Runtime: s.Runtime, Precision: s.Precision,
		TokenBudget: s.TokenBudget, MemoryUtilization: s.Utilization, PrefixCaching: "off", Unfitted: s.Unfitted,
	}
}

// Simulate gives the row that the simulated engine measures under the same load.
func (s Set) Simulate(cfg sim.Config, c int) (Row, error) {
	if s.Load.Kind == "batch" {
		cfg.MaxSeqs = c
	}
	d, err := cfg.Resolve()
	if err != nil {
		return Row{}, fmt.Errorf("%s: %w", s.ID, err)
	}
	return newRun(s, d, c).row(c)
}

func newRun(s Set, d sim.Deployment, c int) *run {
	total := 10 * c
	switch s.Load.Kind {
	case "steady":
		total = max(total, 30)
	case "burst", "batch":
		total = c
	}
	return &run{set: s, d: d, loop: sim.NewLoop(d, 1, 0), rng: rand.New(rand.NewPCG(1, uint64(c))), total: total}
}

// run is one simulated load level.
type run struct {
	set   Set
	d     sim.Deployment
	loop  *sim.Loop
	rng   *rand.Rand
	total int
	sent  int
	done  []sim.Truth
	err   error
}

func (r *run) submit(at time.Duration) {
	length := func(n int) int {
		return max(1, n-int(r.rng.Float64()*(1-r.set.Load.Span)*float64(n)))
	}
	q := sim.Request{ID: fmt.Sprintf("%06d", r.sent), Arrive: at, PromptTokens: length(r.set.Load.Prompt), MaxTokens: length(r.set.Load.Output)}
	q.OutputTokens = q.MaxTokens
	r.sent++
	if err := r.loop.Submit(q); err != nil && r.err == nil {
		r.err = err
	}
}

func (r *run) row(c int) (Row, error) {
	if r.set.Load.Kind == "batch" {
		// One request of one token keeps the engine busy while the front end takes the
		// batch in, so that all of it starts together.
		r.d.Runtime.Front = time.Microsecond
		r.d.KVTokens = max(r.d.KVTokens, c*(r.set.Load.Prompt+r.set.Load.Output)) // it did fit
		r.loop = sim.NewLoop(r.d, 1, 0)
		if err := r.loop.Submit(sim.Request{ID: "-", PromptTokens: 1, MaxTokens: 1, OutputTokens: 1}); err != nil {
			return Row{}, err
		}
	}
	// Workers of a steady load start one after the other, so that they do not fall
	// into step; those of the others start together, as in the published runs.
	for i := range c {
		at := time.Duration(0)
		if r.set.Load.Kind == "steady" {
			at = time.Duration(i) * 100 * time.Millisecond
		}
		r.submit(at)
	}
	var from, to time.Duration // of full load
	err := r.loop.Run(func(t sim.Truth) {
		if t.ID == "-" {
			return
		}
		r.done = append(r.done, t)
		if len(r.done) == c {
			from = r.loop.Now()
		}
		if r.sent < r.total && r.err == nil {
			to = r.loop.Now()
			r.submit(to)
		}
	})
	if err == nil {
		err = r.err
	}
	if err != nil {
		return Row{}, fmt.Errorf("%s at %d: %w", r.set.ID, c, err)
	}
	if r.set.Load.Kind != "steady" {
		from, to = 0, r.loop.Now()
	}
	return r.measure(c, from, to), nil
}

// measure gives means over the requests that arrived in a window, and rates in it.
func (r *run) measure(c int, from, to time.Duration) Row {
	out := Row{C: c}
	n, tokens, finished := 0.0, 0, 0
	for _, t := range r.done {
		for _, at := range t.TokenTimes {
			if at >= from && at <= to {
				tokens++
			}
		}
		if t.Finish >= from && t.Finish <= to {
			finished++
		}
		if r.set.Load.Kind == "steady" && (t.Arrive < from || t.Arrive >= to) {
			continue
		}
		n++
		out.TTFT += ms(t.TTFT())
		out.EngineTTFT += ms(t.FirstToken - r.d.Runtime.Net - t.Scheduled)
		out.E2E += ms(t.E2E())
		if t.OutputTokens > 1 {
			out.TPOT += ms(t.Finish-t.FirstToken) / float64(t.OutputTokens-1)
		}
	}
	out.TTFT, out.EngineTTFT, out.E2E, out.TPOT = out.TTFT/n, out.EngineTTFT/n, out.E2E/n, out.TPOT/n
	span := (to - from).Seconds()
	if r.set.Load.Kind == "batch" { // an engine's own benchmark has no front end
		span = (to - r.d.Runtime.Net - r.done[0].Scheduled).Seconds()
		out.E2E = 1e3 * span
	}
	out.Tokens, out.Requests = float64(tokens)/span, float64(finished)/span
	return out
}

func ms(d time.Duration) float64 { return d.Seconds() * 1e3 }

// Comparison is one published figure beside the simulated one.
type Comparison struct {
	Set                 *Set
	C                   int
	Metric              string
	Measured, Simulated float64
}

// Ratio is simulated over measured.
func (c Comparison) Ratio() float64 { return c.Simulated / c.Measured }

// Compare gives each published figure of a row beside the simulated one.
func (s *Set) Compare(published, simulated Row) []Comparison {
	var out []Comparison
	for _, f := range []struct {
		name        string
		want, given float64
	}{
		{"TPOT ms", published.TPOT, simulated.TPOT}, {"TTFT ms", published.TTFT, simulated.TTFT},
		{"first token ms", published.EngineTTFT, simulated.EngineTTFT}, {"E2E ms", published.E2E, simulated.E2E},
		{"tok/s", published.Tokens, simulated.Tokens}, {"req/s", published.Requests, simulated.Requests},
	} {
		if f.want > 0 {
			out = append(out, Comparison{s, published.C, f.name, f.want, f.given})
		}
	}
	return out
}

// Errors sums up the ratios of a group: their geometric mean, and median, mean and 90 %
// quantile of |ratio − 1|.
type Errors struct {
	N                              int
	Ratio, Median, Mean, Ninetieth float64
}

// Sum sums up comparisons.
func Sum(all []Comparison) Errors {
	var off []float64
	e := Errors{N: len(all)}
	if e.N == 0 {
		return e
	}
	for _, c := range all {
		e.Ratio += math.Log(c.Ratio()) / float64(e.N)
		e.Mean += math.Abs(c.Ratio()-1) / float64(e.N)
		off = append(off, math.Abs(c.Ratio()-1))
	}
	e.Ratio = math.Exp(e.Ratio)
	slices.Sort(off)
	at := func(q float64) float64 {
		i := q * float64(len(off)-1)
		low := int(i)
		return off[low] + (i-float64(low))*(off[min(low+1, len(off)-1)]-off[low])
	}
	e.Median, e.Ninetieth = at(.5), at(.9)
	return e
}
