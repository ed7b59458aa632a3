package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

// TestExample makes the example notebook again and compares it, byte for byte,
// with the one in the repository; then it opens that one and looks into it.
func TestExample(t *testing.T) {
	const committed = "../../experiments.db.example"
	want, err := os.ReadFile(committed)
	if err != nil {
		t.Fatal(err)
	}
	if len(want) >= 2_000_000 {
		t.Errorf("the example has %d bytes; it is to stay under 2 MB", len(want))
	}
	out := filepath.Join(t.TempDir(), "experiments.db.example")
	var said bytes.Buffer
	if err := still(t, &said, "").makeExample(t.Context(), out); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	// On another architecture a fused multiply-add may change the last bit of a
	// simulated step, and with it a microsecond here and there.
	if runtime.GOARCH == "amd64" && !bytes.Equal(got, want) {
		t.Errorf("the example made now differs from the one in the repository; `make example` makes it again")
	}

	nb, err := store.Open(t.Context(), out, store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer nb.Close()
	if err := nb.Check(t.Context()); err != nil {
		t.Error(err)
	}
	list, err := nb.List(t.Context(), store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	gpus, runtimes := map[string]bool{}, map[string]bool{}
	for _, l := range list {
		gpus[l.Environment.Get(experiment.KeyGPUModel).Value] = true
		runtimes[l.Environment.Get(experiment.KeyRuntime).Value] = true
		if !l.Environment.Simulated() || !l.Environment.Virtual() || l.Status != experiment.Complete {
			t.Errorf("%s is not a complete simulated run in virtual time", l.Title())
		}
	}
	if len(list) < 6 || len(gpus) < 3 || len(runtimes) < 2 {
		t.Errorf("the example has %d experiments on %d GPUs and %d runtimes, want at least 6, 3 and 2", len(list), len(gpus), len(runtimes))
	}
	noted, err := nb.Notes(t.Context(), store.NoteFilter{Reading: "vllm-pagedattention"})
	if err != nil {
		t.Fatal(err)
	}
	if len(noted) == 0 {
		t.Error("no note is linked to a reading")
	}
}
