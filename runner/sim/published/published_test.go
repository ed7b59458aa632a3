package published

import (
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/inferbook/inferbook/runner/sim"
)

var table = sync.OnceValues(Table)

func groups(t *testing.T) []Group {
	t.Helper()
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("a hundred load levels in one goroutine, in which the race detector finds nothing; make theory runs them")
	}
	all, err := table()
	if err != nil {
		t.Fatal(err)
	}
	return Groups(all)
}

// No group is further from its published rows than its bar.
func TestGroupsHoldTheirBars(t *testing.T) {
	for _, g := range groups(t) {
		t.Logf("%-36s %-14s n=%d ratio %.2f median %.1f %% mean %.1f %% p90 %.1f %% (before any fit %.1f %%)",
			g.Name, g.Metric, g.N, g.Ratio, 100*g.Median, 100*g.Mean, 100*g.Ninetieth, 100*g.Before.Mean)
		for _, m := range g.Misses() {
			t.Error(m)
		}
	}
}

// claims names the deployment whose band rests on a group, and the rows of it.
var claims = map[string]struct {
	cfg  sim.Config
	rows int
}{
	"vLLM A10G 8B BF16":                {sim.Config{}, 3},
	"vLLM A100-40 8B BF16":             {sim.Config{GPU: "a100-40"}, 2},
	"TRT-LLM maxima H100 8B FP8":       {sim.Config{GPU: "h100-sxm", Runtime: "trtllm-like", Precision: "fp8"}, 5},
	"TRT-LLM maxima H100 70B FP8":      {sim.Config{GPU: "h100-sxm", Count: 2, Model: "llama-3.1-70b", Runtime: "trtllm-like", Precision: "fp8"}, 1},
	"TRT-LLM maxima H100 405B FP8":     {sim.Config{GPU: "h100-sxm", Count: 8, Model: "llama-3.1-405b", Runtime: "trtllm-like", Precision: "fp8"}, 1},
	"TRT-LLM maxima H200 FP8":          {sim.Config{GPU: "h200-sxm", Runtime: "trtllm-like", Precision: "fp8"}, 3},
	"NIM H100 8B BF16":                 {sim.Config{GPU: "h100-sxm", Runtime: "nim-like"}, 10},
	"NIM A100 8B BF16":                 {sim.Config{GPU: "a100-80-sxm", Runtime: "nim-like"}, 3},
	"NIM H100 70B":                     {sim.Config{GPU: "h100-sxm", Count: 4, Model: "llama-3.1-70b", Runtime: "nim-like"}, 6},
	"NIM H100 70B FP8":                 {sim.Config{GPU: "h100-sxm", Count: 2, Model: "llama-3.1-70b", Runtime: "nim-like", Precision: "fp8"}, 6},
	"static A100 7B":                   {sim.Config{GPU: "a100-80-sxm", Model: "llama-2-7b", Runtime: "static-graph"}, 3},
	"static H100 7B FP8":               {sim.Config{GPU: "h100-sxm", Model: "llama-2-7b", Runtime: "static-graph", Precision: "fp8"}, 2},
	"static L40S 7B FP8":               {sim.Config{GPU: "l40s", Model: "llama-2-7b", Runtime: "static-graph", Precision: "fp8"}, 1},
	"static A100-40 MPT-7B":            {sim.Config{GPU: "a100-40", Model: "mpt-7b", Runtime: "static-graph"}, 6},
	"HF generate H100 8B":              {sim.Config{GPU: "h100-sxm", Runtime: "hf-static"}, 10},
	"vLLM 0.5.4 A100 Mistral-7B burst": {sim.Config{GPU: "a100-80-sxm", Runtime: "vllm-0.5-like"}, 1},
	"vLLM 0.5.4 H100 Mistral-7B burst": {sim.Config{GPU: "h100-sxm", Runtime: "vllm-0.5-like"}, 1},
}

// The bands that the catalogue claims for these rows are those of this table: each figure
// of each, and how many rows it rests on.
func TestLabelsAreThoseOfTheTable(t *testing.T) {
	all := groups(t)
	for group, claim := range claims {
		d, err := claim.cfg.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		k, found := d.Trust, 0
		if k.Rows != claim.rows {
			t.Errorf("%s: the label says %d rows (%s), want %d", group, k.Rows, k, claim.rows)
		}
		for _, g := range all {
			if g.Name != group {
				continue
			}
			of := func(what string, says, is float64) {
				if found++; says > 0 && math.Abs(is-says) > .003 {
					t.Errorf("%s, %s: the label says ±%.1f %%, the table %.1f %%", group, what, 100*says, 100*is)
				}
			}
			switch g.Metric {
			case "TPOT ms":
				of("mean of TPOT", k.TPOT, g.Mean)
				of("90 % of TPOT", k.TPOT90, g.Ninetieth)
			case "TTFT ms":
				of("TTFT", k.TTFT, g.Mean)
			case "tok/s", "req/s":
				of("throughput", k.Throughput, g.Mean)
			}
		}
		if found == 0 {
			t.Errorf("there is no group %q", group)
		}
	}
}

// steady is a level of a closed loop with a given number of sequences at most.
func steady(t *testing.T, cfg sim.Config, cap, c, prompt, output int) Row {
	t.Helper()
	d, err := cfg.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	if cap > 0 {
		d.MaxSeqs, d.KVBlocks = cap, cap*(prompt+output)/d.BlockSize+cap
		d.KVTokens = d.KVBlocks * d.BlockSize
	}
	s := Set{ID: t.Name(), Load: Load{Kind: "steady", Prompt: prompt, Output: output, Span: .96}}
	r := newRun(s, d, c)
	row, err := r.row(c)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// Llama-3.3-70B on two H100, 5,000 in and 500 out, given that 85.5 requests fit: about
// 85 decode at once, throughput stays at 920 tok/s, and each user above the limit waits
// 0.54 s longer.
func TestAdmissionLimitOf70B(t *testing.T) {
	cfg := sim.Config{GPU: "h100-sxm", Count: 2, Model: "llama-3.1-70b", Runtime: "nim-like", Precision: "fp8", PrefixCaching: "off"}
	at := map[int]Row{}
	for _, c := range []int{150, 200, 250} {
		r := steady(t, cfg, 85, c, 5000, 500)
		at[c] = r
		running := r.Tokens * r.TPOT / 1e3
		t.Logf("c=%d: %.0f tok/s, ITL %.1f ms, decoding %.1f, TTFT %.0f ms", c, r.Tokens, r.TPOT, running, r.TTFT)
		if math.Abs(running/85-1) > .05 {
			t.Errorf("c=%d: %.1f requests decode at once, published 85 within 5 %%", c, running)
		}
		if math.Abs(r.Tokens/920-1) > .10 {
			t.Errorf("c=%d: %.0f tok/s, published 920 within 10 %%", c, r.Tokens)
		}
	}
	slope := (at[250].TTFT - at[150].TTFT) / 100 / 1e3
	t.Logf("TTFT grows by %.3f s a user", slope)
	if math.Abs(slope/.54-1) > .10 {
		t.Errorf("TTFT grows by %.3f s a user above the limit, published 0.54 within 10 %%", slope)
	}
}

// The course's 8B rows, each throughput within 15 %, and the ratio of time per token of
// H100 to A100 at one request, 0.605 within 5 %.
func TestSizingCourse(t *testing.T) {
	groups(t) // skips where the table is not made
	all, err := table()
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, f := range all {
		if f.Set.Group != "NIM H100 8B BF16" || f.Metric != "tok/s" {
			continue
		}
		if rows++; math.Abs(f.Ratio()-1) > .15 {
			t.Errorf("c=%d: %.0f tok/s of the published %.0f", f.C, f.Simulated, f.Measured)
		}
	}
	if rows != 10 {
		t.Errorf("%d rows", rows)
	}
	h := steady(t, sim.Config{GPU: "h100-sxm", Runtime: "nim-like"}, 0, 1, 200, 1000)
	a := steady(t, sim.Config{GPU: "a100-80-sxm", Runtime: "nim-like"}, 0, 1, 200, 1000)
	t.Logf("H100 %.2f ms, A100 %.2f ms: %.3f", h.TPOT, a.TPOT, h.TPOT/a.TPOT)
	if r := h.TPOT / a.TPOT; math.Abs(r/.605-1) > .05 {
		t.Errorf("time per token of H100 is %.3f of A100's, published 0.605 within 5 %%", r)
	}
}

// Databricks' static batches on an A100: throughput and latency over those of a batch of
// one, within 20 %.
func TestShapeOfStaticBatches(t *testing.T) {
	all, err := Sets()
	if err != nil {
		t.Fatal(err)
	}
	s := all[slices.IndexFunc(all, func(s Set) bool { return s.ID == "Databricks A100-40" })]
	var one Row
	for _, tc := range []struct {
		b                   int
		throughput, latency float64
	}{{1, 1, 1}, {4, 3.6, 1.1}, {8, 5.9, 1.4}, {16, 8.9, 1.8}, {32, 11.7, 2.7}, {64, 13.9, 4.6}} {
		r, err := s.Simulate(s.Config(), tc.b)
		if err != nil {
			t.Fatal(err)
		}
		if tc.b == 1 {
			one = r
		}
		x, l := r.Requests/one.Requests, r.E2E/one.E2E
		t.Logf("batch of %d: throughput ×%.1f (published ×%.1f), latency ×%.1f (×%.1f)", tc.b, x, tc.throughput, l, tc.latency)
		if math.Abs(x/tc.throughput-1) > .2 || math.Abs(l/tc.latency-1) > .2 {
			t.Errorf("batch of %d: throughput ×%.2f and latency ×%.2f, published ×%.1f and ×%.1f within 20 %%", tc.b, x, l, tc.throughput, tc.latency)
		}
	}
}

// Whole prompts stall those who decode: the mean gap is far above the 95 % quantile
// of gaps or many gaps are five times the median. Chunks of a small budget do not.
func TestWholePromptsStallDecodes(t *testing.T) {
	stalls := func(cfg sim.Config) (share float64) {
		d, err := cfg.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		r := newRun(Set{ID: t.Name(), Load: Load{Kind: "steady", Prompt: 7000, Output: 300, Span: .8}}, d, 24)
		if _, err := r.row(24); err != nil {
			t.Fatal(err)
		}
		var gaps []time.Duration
		for _, tr := range r.done {
			for i := 1; i < len(tr.TokenTimes); i++ {
				gaps = append(gaps, tr.TokenTimes[i]-tr.TokenTimes[i-1])
			}
		}
		slices.Sort(gaps)
		long, _ := slices.BinarySearch(gaps, 5*gaps[len(gaps)/2])
		return 1 - float64(long)/float64(len(gaps))
	}
	whole := stalls(sim.Config{GPU: "h100-sxm", Runtime: "trtllm-like"})
	chunked := stalls(sim.Config{GPU: "h100-sxm", Runtime: "vllm-like", TokenBudget: 512})
	t.Logf("gaps of five times the median and more: whole prompts %.2f %%, chunks of 512 tokens %.3f %%", 100*whole, 100*chunked)
	if whole <= .01 || chunked > .01 {
		t.Errorf("%.2f %% of gaps are five times the median with whole prompts and %.2f %% with chunks; want over and under 1 %%", 100*whole, 100*chunked)
	}
}

func TestSetsAreSound(t *testing.T) {
	all, err := Sets()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, s := range all {
		if seen[s.ID] || s.Source == "" || !slices.Contains([]string{"fit", "looked-at", "hold-out"}, s.Use) || len(s.Rows) == 0 {
			t.Errorf("%q is not a sound set", s.ID)
		}
		seen[s.ID] = true
		if _, err := s.Config().Resolve(); err != nil {
			t.Error(fmt.Errorf("%s: %w", s.ID, err))
		}
	}
}
