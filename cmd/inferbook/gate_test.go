package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// TestGateDecides holds runs against a baseline: what comes of it is the exit status.
func TestGateDecides(t *testing.T) {
	if racing() {
		t.Skip("virtual runs alone; make theory runs them without the race detector")
	}
	var out, errs bytes.Buffer
	p := still(t, &out, filepath.Join(t.TempDir(), "experiments.db"))
	p.err = &errs
	for _, flags := range []string{
		"-c 4,8 --repeat 6 --tag main",
		"-c 4,8 --repeat 6 --seed 2",                                   // exp-2: the same, by another seed
		"-c 4,8 --repeat 6 --seed 3 --sim max-seqs=5 --name a|b",       // exp-3: no room for eight
		"-c 4,16 --seed 4 --output-tokens 200",                         // exp-4: other work
		"-c 4,16 --repeat 6 --seed 4",                                  // exp-5: one level in common
		"-c 4,8 --repeat 6 --seed 3 --max-cost 0.01 --token-price 1,1", // exp-6: ended by its cost
		"-c 4,8 --seed 7 --tag single",                                 // exp-7 and exp-8: one repeat each
		"-c 4,8 --seed 8",
	} {
		args := append(strings.Fields("run --virtual --gpu a10g --stream -n 60"), strings.Fields(flags)...)
		p.run(t.Context(), args)
	}
	for _, c := range []struct {
		args string
		code int
		want []string // of standard output and error together
	}{
		{"exp-2 -b @main --metric ttft.p50:+5% --metric output_throughput:-3%", exitOK, []string{
			"exp-2 is ok against its baseline exp-1", "What differs besides, and may explain a difference: seed (1 → 2).", " worse, 3 % allowed"}},
		{"exp-3 -b @main --metric ttft.p50:+5% --metric tpot.p50:+5%", exitConflict, []string{
			"exp-3 a|b is worse than its baseline exp-1", " % worse, 5 % allowed", "What was changed: simulator.options.max-seqs (– → 5)", "worse than the baseline by more than is allowed"}},
		{"exp-3 -b @main --metric ttft.p50:+5% --load c=4", exitOK, []string{"exp-3 a|b is ok against"}},
		{"exp-3 -b @main --metric ttft.p50:+5% --markdown --load c=8", exitConflict, []string{"### ❌ exp-3 a\\|b is worse than its baseline exp-1\n\n| load | metric |", "\n| c=8 | ttft.p50 | ", " | +5% | ❌ worse | at least "}},
		{"exp-3 -b @main --metric ttft.p50:+5% --json", exitConflict, []string{`"schema": "inferbook.gate/1"`, `"verdict": "worse"`, `"allowance": "ttft.p50:+5%"`}},
		{"exp-5 -b @main --metric ttft.p50:+5%", exitOK, []string{"Only exp-1 has c=8, so nothing is decided there.", "Only exp-5 has c=16"}},
		{"exp-4 -b @main --metric ttft.p50:+5%", exitUsage, []string{"did different work", "--anyway"}},
		{"exp-4 -b @main --metric e2e.p50:+5% --metric tpot.p50:+5% --anyway", exitUsage, []string{"e2e.p50 is left out"}},
		{"exp-5 -b @main --metric ttft.p50:+5% --load c=16", exitUsage, []string{"exp-1 has no load c=16; it has c=4, c=8"}},
		{"exp-6 -b @main --metric ttft.p50:+5%", exitFailure, []string{"exp-6 is not complete but interrupted"}},
		{"exp-8 -b @single --metric ttft.p99:+1%", exitInconclusive, []string{"exp-8 cannot be told from something worse than its baseline exp-7", "`inferbook noise --like exp-7` finds the floor", "--allow-inconclusive"}},
		{"exp-8 -b @single --metric ttft.p99:+1% --allow-inconclusive", exitOK, nil},
		{"exp-3 -b @main --metric ttft.p50:+5% --allow-inconclusive", exitConflict, nil},
		{"@main -b exp-1 --metric ttft.p50:+5%", exitUsage, []string{"exp-1 is both the candidate and the baseline"}},
		{"exp-2 -b @release --metric ttft.p50:+5%", exitFailure, []string{`no complete experiment has the tag "release"`}},
		{"exp-2 -b @main", exitUsage, []string{"--metric ttft.p95:+5%"}},
		{"exp-2 --metric ttft.p50:+5%", exitUsage, []string{"--baseline @main"}},
		{"exp-2 -b @main --metric ttft.p50:+5% --metric ttft.p50:+6%", exitUsage, []string{"ttft.p50 twice"}},
		{"exp-2 -b @main --metric ttft.p50:+5% --json --markdown", exitUsage, []string{"give one"}},
	} {
		out.Reset()
		errs.Reset()
		code := p.run(t.Context(), append([]string{"gate"}, strings.Fields(c.args)...))
		said := out.String() + errs.String()
		if code != c.code {
			t.Errorf("gate %s: exit status %d, want %d\n%s", c.args, code, c.code, said)
		}
		for _, want := range c.want {
			if !strings.Contains(said, want) {
				t.Errorf("gate %s: %q is not said in\n%s", c.args, want, said)
			}
		}
	}
}
