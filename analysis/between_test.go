package analysis

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
)

func TestBetween(t *testing.T) {
	of := func(name string, spec experiment.Spec, simulated bool) Curve {
		e := testExperiment()
		e.Name, e.Spec = name, spec
		if simulated {
			e.Environment.Set(experiment.KeyRuntime, "vllm-like", experiment.Simulated)
		}
		return NewCurve(e, nil)
	}
	short, long := experiment.Spec{InputTokens: experiment.Tokens(500), OutputTokens: experiment.Tokens(128)}, experiment.Spec{InputTokens: experiment.Tokens(500), OutputTokens: experiment.Tokens(1)}
	fixed := experiment.Spec{Prompt: "Why?", OutputTokens: experiment.Tokens(128)}
	for _, tt := range []struct {
		name   string
		curves []Curve
		want   []string
	}{
		{"one", []Curve{of("a", short, true)}, nil},
		{"two alike", []Curve{of("a", short, false), of("b", short, false)}, nil},
		{"three workloads", []Curve{of("a", short, true), of("b", long, true), of("c", fixed, true)}, []string{
			"The prompts and answers differ in length (exp-3 a 500 → 128 tokens; exp-3 b 500 → 1 token; exp-3 c a fixed prompt of 4 characters → 128 tokens): " +
				"throughput, latency and cost depend on it, so side by side they rank the workloads as much as the servers."}},
		{"one of two simulated", []Curve{of("a", short, true), of("b", short, false)}, []string{
			"Some are simulated and others were measured: what lies between the two may be the simulator's error."}},
	} {
		if diff := cmp.Diff(tt.want, Between(tt.curves)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}
