package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/inferbook/inferbook/analysis/compare"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

// A difference smaller than a recorded noise floor is not called, in diff and in compare;
// a simulation is told from a measurement, and a failed point from a good one.
func TestDiffHeedsTheNotebook(t *testing.T) {
	var out bytes.Buffer
	db := filepath.Join(t.TempDir(), "lab.db")
	p := still(t, &out, db)
	inferbook := func(args ...string) string {
		t.Helper()
		out.Reset()
		if got := p.run(t.Context(), args); got != exitOK {
			t.Fatalf("%q: exit status %d: %s", args, got, p.err)
		}
		return out.String()
	}
	inferbook("run", "--virtual", "--stream", "-n", "30", "--warmup", "0", "-c", "4", "--repeat", "5", "--output-tokens", "20")
	inferbook("run", "--virtual", "--stream", "-n", "30", "--warmup", "0", "-c", "4", "--repeat", "5", "--output-tokens", "20", "--gpu", "h100-sxm")
	if got := inferbook("diff", "exp-1", "exp-2", "--metric", "tpot.p50"); !strings.Contains(got, "better") || !strings.Contains(got, "Both are simulated") {
		t.Errorf("without a floor:\n%s", got)
	}
	nb, err := store.Open(t.Context(), db, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer nb.Close()
	e, err := nb.Experiment(t.Context(), "exp-1")
	if err != nil {
		t.Fatal(err)
	}
	err = nb.AddNoise(t.Context(), &experiment.Noise{Host: compare.Host(e), Config: compare.Config(e, experiment.Load{Concurrency: 4}), Metric: "tpot.p50", Floor: 9, Runs: 4})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"diff", "exp-1", "exp-2"}, {"compare", "exp-1", "exp-2"}} {
		got := inferbook(append(command, "--metric", "tpot.p50,tpot.p95")...)
		if !strings.Contains(got, "~ (under the noise floor of 900 %)") || strings.Count(got, "better") != 1 {
			t.Errorf("%s with a floor:\n%s", command[0], got)
		}
	}
	e.Environment.Set(experiment.KeyRuntime, "vllm", experiment.Detected)
	if err := nb.SetEnvironment(t.Context(), e.ID, e.Environment); err != nil {
		t.Fatal(err)
	}
	if got := inferbook("diff", "exp-1", "exp-2"); !strings.Contains(got, "exp-2 is simulated and exp-1 was measured") {
		t.Errorf("a simulation beside a measurement:\n%s", got)
	}
}
