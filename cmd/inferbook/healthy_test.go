package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/inferbook/inferbook/analysis/instinct"
	"github.com/inferbook/inferbook/experiment"
)

// healthyRuns is how many runs the rate of false alarms rests on.
func healthyRuns() int {
	if testing.Short() {
		return 50
	}
	return 200
}

// healthySpec draws a deployment, lengths and loads that it serves with room to spare, and enough
// requests for what is said of them. The engine's steps vary by up to 5 %.
func healthySpec(r *rand.Rand, s *experiment.Spec) {
	s.Seed = r.Uint64()
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	s.Simulator.GPU = pick("a100-80-sxm", "h100-sxm", "h200-sxm", "l40s", "a10g")
	s.Simulator.Runtime = pick("vllm-like", "trtllm-like", "sglang-like", "nim-like")
	s.Simulator.Model = pick("llama-3.1-8b", "qwen3-8b")
	if s.Simulator.GPU == "h100-sxm" || s.Simulator.GPU == "h200-sxm" {
		s.Simulator.Precision = pick("bf16", "fp8")
		if r.IntN(3) == 0 {
			s.Simulator.Model, s.Simulator.Count = "llama-3.1-70b", 4
		}
	}
	s.Simulator.Options["step-jitter"] = fmt.Sprintf("%.3f", 0.05*r.Float64())
	s.InputTokens, s.OutputTokens = experiment.Tokens(100+r.IntN(700)), experiment.Tokens(60+r.IntN(140))
	if r.IntN(3) == 0 {
		s.InputTokens = experiment.Length{Kind: experiment.UniformLength, Low: 50, High: 800}
	}
	top := 2 + r.IntN(7)
	s.Concurrency, s.Requests = []int{1, top}, 400
	if r.IntN(3) > 0 {
		return
	}
	openAt(600, pick("poisson", "constant"), 0.2+0.6*r.Float64())(s)
}

// Of healthy runs at most one in a hundred has a false alarm of any rule whose firing says that figures
// must not be quoted.
func TestHealthyRuns(t *testing.T) {
	if racing() {
		t.Skip("virtual runs alone; make theory runs them without the race detector")
	}
	r := rand.New(rand.NewPCG(17, 200))
	fired := map[instinct.Severity]map[string]int{instinct.Error: {}, instinct.Warning: {}, instinct.Note: {}}
	for run := range healthyRuns() {
		c := new(engine).measure(t, func(s *experiment.Spec) { healthySpec(r, s) }, run+1)
		worst := map[string]instinct.Severity{}
		for _, f := range instinct.Look(&c) {
			if f.State != instinct.Fired {
				continue
			}
			if f.Severity != instinct.Note {
				t.Logf("run %d, %s, %s: %s %s at %s: %s", run, c.Experiment.Environment.Label(), c.Curves[0].Workload, f.Severity, f.Rule, places(f), f.Sentence)
			}
			if before, seen := worst[f.Rule]; !seen || f.Severity == instinct.Error || before == instinct.Note {
				worst[f.Rule] = f.Severity
			}
		}
		for rule, s := range worst {
			fired[s][rule]++
		}
	}
	for _, severity := range []instinct.Severity{instinct.Error, instinct.Warning, instinct.Note} {
		var parts []string
		for _, rule := range slices.Sorted(maps.Keys(fired[severity])) {
			parts = append(parts, fmt.Sprintf("%s %.1f %%", rule, 100*float64(fired[severity][rule])/float64(healthyRuns())))
		}
		t.Logf("%s in %d healthy runs: %s", severity, healthyRuns(), strings.Join(parts, ", "))
	}
	for rule, n := range fired[instinct.Error] {
		if 100*n > healthyRuns() {
			t.Errorf("%s is a false alarm in %d of %d healthy runs", rule, n, healthyRuns())
		}
	}
}
