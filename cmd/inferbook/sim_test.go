package main

import (
	"bytes"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
	"github.com/inferbook/inferbook/runner/sim"
)

// A simulator whose clock is scaled is measured only where its own factor was
// accepted, and what was measured says so wherever it is shown.
func TestScaledSimulatorIsNotMistaken(t *testing.T) {
	server, err := sim.Serving{TimeScale: 20}.NewServer(sim.Config{GPU: "h100-sxm"})
	if err != nil {
		t.Fatal(err)
	}
	server.Start(t.Context())
	web := httptest.NewServer(server.Handler())
	defer web.Close()
	db := filepath.Join(t.TempDir(), "lab.db")
	run := func(want int, args ...string) (stdout, stderr string) {
		t.Helper()
		var out bytes.Buffer
		p := still(t, &out, db)
		p.in = strings.NewReader("")
		if got := p.run(t.Context(), append([]string{"run", "--base-url", web.URL + "/v1", "--stream", "-n", "2", "--warmup", "0", "--output-tokens", "3", "--input-tokens", "20"}, args...)); got != want {
			t.Errorf("%q: exit status %d, want %d: %s", args, got, want, p.err)
		}
		return out.String(), p.err.(*bytes.Buffer).String()
	}
	if _, said := run(exitUsage); !strings.Contains(said, "whose clock goes 20 times as fast as time") || !strings.Contains(said, "give --accept-time-scale 20") {
		t.Errorf("the refusal is %q", said)
	}
	if _, said := run(exitUsage, "--accept-time-scale", "10"); !strings.Contains(said, "--accept-time-scale is 10 and the clock of") {
		t.Errorf("the refusal is %q", said)
	}
	out, said := run(0, "--accept-time-scale", "20")
	for _, text := range []string{out, said} {
		if !strings.Contains(text, "SIMULATED, time scaled ×20") {
			t.Errorf("what is printed does not say that time was scaled:\n%s", text)
		}
	}
	if !strings.Contains(out, "clock was scaled ×20: every time here is the engine's divided by that factor") {
		t.Errorf("what this cannot support says nothing of the scale:\n%s", out)
	}
	nb, err := store.Open(t.Context(), db, store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer nb.Close()
	exp, err := nb.Experiment(t.Context(), "last")
	if err != nil {
		t.Fatal(err)
	}
	want := experiment.Fact{Key: experiment.KeyTime, Value: "scaled ×20", Source: experiment.Simulated}
	if got := exp.Environment.Get(experiment.KeyTime); got != want || exp.Environment.Virtual() {
		t.Errorf("recorded as %+v", got)
	}
}

// A run on its own simulator records how well that kept its time.
func TestLatenessIsRecorded(t *testing.T) {
	if got := paceLine(sim.Pace{Steps: 1200, StepP50: 20e6, LatenessP50: 3e5, LatenessP99: 11e5, Verdict: "timing reliable"}); got !=
		"lateness of a step's tokens p50 0.30 ms, p99 1.10 ms; median step 20.0 ms; 1,200 steps; timing reliable" {
		t.Error(got)
	}
}

// The figures of a profile are the leaves of its JSON, in its order.
func TestFigures(t *testing.T) {
	got, err := figures(struct {
		A struct {
			B int     `json:"b_ns"`
			C float64 `json:"c"`
		} `json:"a"`
		L []string `json:"l"`
		N int
	}{L: []string{"x", "y"}, N: 12345})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range got {
		lines = append(lines, f.name+"="+f.value)
	}
	if text := strings.Join(lines, " "); text != "a.b_ns=0.00 ms a.c=0 l.0=x l.1=y N=12,345" {
		t.Error(text)
	}
}
