package experiment_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

// An environment is a map with an order: it agrees with a map after any sequence
// of facts, and its facts stay sorted by key.
func TestEnvironmentLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fact := rapid.Custom(func(t *rapid.T) experiment.Fact {
			return experiment.Fact{
				Key:    rapid.SampledFrom([]string{"", "a", "b", "gpu", "gpu.count", "gpu.model", "gpü", "z"}).Draw(t, "key"),
				Value:  rapid.String().Draw(t, "value"),
				Source: rapid.SampledFrom([]experiment.Source{experiment.Detected, experiment.Declared, experiment.UnknownValue}).Draw(t, "source"),
			}
		})
		var env experiment.Environment
		want := map[string]experiment.Fact{}
		for _, f := range rapid.SliceOf(fact).Draw(t, "facts") {
			env.Set(f.Key, f.Value, f.Source)
			want[f.Key] = f
			if got := env.Get(f.Key); got != f {
				t.Fatalf("what was set is %+v, want %+v", got, f)
			}
		}
		if len(env.Facts) != len(want) {
			t.Fatalf("%d facts, want %d", len(env.Facts), len(want))
		}
		for key, f := range want {
			if got := env.Get(key); got != f {
				t.Fatalf("%q: %+v, want %+v", key, got, f)
			}
		}
		if !slices.IsSortedFunc(env.Facts, func(a, b experiment.Fact) int { return strings.Compare(a.Key, b.Key) }) {
			t.Fatalf("not sorted: %+v", env.Facts)
		}
		if got := env.Get("never set"); got != (experiment.Fact{Key: "never set", Value: "unknown", Source: experiment.UnknownValue}) {
			t.Fatalf("a fact nobody looked for: %+v", got)
		}
	})
}

func TestEnvironmentLabel(t *testing.T) {
	fact := func(key, value string, s experiment.Source) experiment.Fact {
		return experiment.Fact{Key: key, Value: value, Source: s}
	}
	for _, c := range []struct {
		name      string
		facts     []experiment.Fact
		want      string
		simulated bool
	}{
		{"nothing is known", nil, "unknown · unknown runtime · unknown GPU", false},
		{"looked for and not found", []experiment.Fact{fact(experiment.KeyGPUModel, "", experiment.UnknownValue)}, "unknown · unknown runtime · unknown GPU", false},
		{"one GPU is not counted", []experiment.Fact{
			fact(experiment.KeyGPUModel, "h100-sxm", experiment.Detected), fact(experiment.KeyGPUCount, "1", experiment.Detected),
			fact(experiment.KeyModel, "llama", experiment.Declared), fact(experiment.KeyRuntime, "vllm", experiment.Detected),
			fact(experiment.KeyRuntimeVersion, "0.11", experiment.Detected)}, "llama · vllm 0.11 · h100-sxm", false},
		{"four are", []experiment.Fact{
			fact(experiment.KeyGPUModel, "h100-sxm", experiment.Detected), fact(experiment.KeyGPUCount, "4", experiment.Declared)},
			"unknown · unknown runtime · 4× h100-sxm", false},
		{"a simulated engine says so, and has no version", []experiment.Fact{
			fact(experiment.KeyGPUModel, "h100-sxm", experiment.Simulated), fact(experiment.KeyModel, "llama", experiment.Simulated),
			fact(experiment.KeyRuntime, "vllm-like", experiment.Simulated), fact(experiment.KeyRuntimeVersion, "1", experiment.Simulated)},
			"llama · vllm-like · h100-sxm · SIMULATED", true},
	} {
		var env experiment.Environment
		for _, f := range c.facts {
			env.Set(f.Key, f.Value, f.Source)
		}
		if got := env.Label(); got != c.want || env.Simulated() != c.simulated {
			t.Errorf("%s: %q, simulated %v; want %q, %v", c.name, got, env.Simulated(), c.want, c.simulated)
		}
	}
	var env experiment.Environment
	if env.Virtual() {
		t.Error("time is virtual where nobody said so")
	}
	if env.Set(experiment.KeyTime, "virtual", experiment.Simulated); !env.Virtual() {
		t.Error("time is real where it was said to be virtual")
	}
}
