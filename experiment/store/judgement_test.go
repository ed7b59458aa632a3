package store

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
)

// TestJudgementsComeBack writes one of each kind and reads it back.
func TestJudgementsComeBack(t *testing.T) {
	ctx := t.Context()
	n := mustOpen(t, filepath.Join(t.TempDir(), "a.db"), Options{Create: true})
	e := &experiment.Experiment{Status: experiment.Complete}
	if err := n.CreateExperiment(ctx, e); err != nil {
		t.Fatal(err)
	}
	sure := experiment.Expectation{ExperimentID: e.ID, Text: "ttft.p95<300ms", Confidence: 0.8}
	open := experiment.Expectation{ExperimentID: e.ID, Text: "tpot.p50<20ms"}
	muted := experiment.RuleSetting{Rule: "I33", Muted: true, Why: "a VPN"}
	moved := experiment.RuleSetting{Rule: "I25", Threshold: "gain", Value: 0.05}
	back := experiment.RuleSetting{Rule: "I25", Threshold: "gain", Reset: true}
	floor := experiment.Noise{Host: "h", Config: "c", Metric: "ttft.p95", Floor: 0.021, Runs: 4, Experiments: []string{e.ID}}
	for _, err := range []error{n.AddExpectation(ctx, &sure), n.AddExpectation(ctx, &open),
		n.AddRuleSetting(ctx, &muted), n.AddRuleSetting(ctx, &moved), n.AddRuleSetting(ctx, &back), n.AddNoise(ctx, &floor)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	xs, err := n.Expectations(ctx, "")
	if diff := cmp.Diff([]experiment.Expectation{sure, open}, xs); err != nil || diff != "" {
		t.Error(err, diff)
	}
	settings, err := n.RuleSettings(ctx)
	if diff := cmp.Diff([]experiment.RuleSetting{muted, moved, back}, settings); err != nil || diff != "" {
		t.Error(err, diff)
	}
	floors, err := n.Noise(ctx, "h", "c")
	if diff := cmp.Diff([]experiment.Noise{floor}, floors); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if none, err := n.Noise(ctx, "h", "another"); err != nil || len(none) > 0 {
		t.Errorf("another configuration has %v, %v", none, err)
	}

	wantCode(t, n.AddExpectation(ctx, &experiment.Expectation{ExperimentID: e.ID, Text: "x", Confidence: 1}), Invalid, "cannot be recorded")
	wantCode(t, n.AddRuleSetting(ctx, &experiment.RuleSetting{}), Invalid, "no rule")
	wantCode(t, n.AddNoise(ctx, &experiment.Noise{Metric: "ttft.p95", Runs: 1}), Invalid, "two runs")
}
