package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/instinct"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/notes"
)

// Each rule about validity names a reading that the program comes with.
func TestRulesNameReadings(t *testing.T) {
	list, err := notes.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range instinct.Rules() {
		if !slices.ContainsFunc(list, func(e experiment.ReadingEntry) bool { return e.Slug == r.Reading }) {
			t.Errorf("%s names the reading %q, which is not there", r.ID, r.Reading)
		}
	}
}

func TestVerdictLines(t *testing.T) {
	at := func(n int) experiment.Load { return experiment.Load{Concurrency: n} }
	says := func(rule string, severity instinct.Severity, state instinct.State, loads ...experiment.Load) instinct.Finding {
		return instinct.Finding{Rule: rule, Severity: severity, State: state, Loads: loads, Sentence: "It is so."}
	}
	for _, tt := range []struct {
		findings []instinct.Finding
		want     []string
	}{
		{[]instinct.Finding{says("I07", instinct.Warning, instinct.Silent, at(1), at(2))}, []string{"sound"}},
		{[]instinct.Finding{says("I07", instinct.Warning, instinct.Fired, at(1)), says("I11", instinct.Warning, instinct.Fired, at(1), at(2))}, []string{"sound with limits (I07, I11)"}},
		{[]instinct.Finding{says("I07", instinct.Error, instinct.Fired, at(2)), says("I11", instinct.Warning, instinct.Silent, at(1))},
			[]string{"sound with limits", "c=2: do not quote (I07)", "c=1: sound"}},
		{[]instinct.Finding{says("V14", instinct.Error, instinct.Fired), says("I11", instinct.Warning, instinct.Silent, at(1), at(2))}, []string{"do not quote (V14)"}},
	} {
		v := &view{Findings: tt.findings, Curves: []analysis.Curve{{Levels: []analysis.Level{{Load: at(1)}, {Load: at(2)}}}}}
		if diff := cmp.Diff(tt.want, v.verdictLines()); diff != "" {
			t.Error(diff)
		}
	}
	told := instinct.Told{Finding: says("I07", instinct.Warning, instinct.Fired, at(1)), Also: []experiment.Load{at(2), at(4)}}
	for _, tt := range []struct {
		levels int
		differ bool
		want   string
	}{
		{4, false, "c=1: It is so. (and likewise at c=2, c=4) [I07 warning]"},
		{3, false, "At every level: It is so. [I07 warning]"},
		{3, true, "c=1: It is so. (and likewise at every other level) [I07 warning]"},
	} {
		if told.Differ = tt.differ; toldLine(told, tt.levels) != tt.want {
			t.Errorf("%q, want %q", toldLine(told, tt.levels), tt.want)
		}
	}
	told.Also = nil
	if got := toldLine(told, 1); strings.Contains(got, "c=1") {
		t.Errorf("the only level is named in %q", got)
	}
}
