package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis/instinct"
)

// printVerdict says whether the figures can be believed: of the experiment, and of its
// levels where they differ from each other.
func (p *program) printVerdict(v *view) {
	fmt.Fprintf(p.out, "\n%s %s\n", p.bold("verdict:"), v.verdict())
	for _, line := range verdictLines(instinct.Verdicts(v.Findings)) {
		fmt.Fprintf(p.out, "  %s\n", line)
	}
}

// verdictLines tell the levels apart by their verdicts, worst first: "c=32: do not quote
// (I07)". There is none where all have the same.
func verdictLines(list []instinct.LevelVerdict) []string {
	first := func(l instinct.LevelVerdict) bool { return l.Verdict != list[0].Verdict }
	if !slices.ContainsFunc(list, first) {
		return nil
	}
	var out []string
	for _, verdict := range []instinct.Verdict{instinct.DoNotQuote, instinct.Limited, instinct.Sound} {
		var loads, rules []string
		for _, l := range list {
			if l.Verdict == verdict {
				loads, rules = append(loads, l.Load.String()), append(rules, l.Rules...)
			}
		}
		if len(loads) == 0 {
			continue
		}
		line := strings.Join(loads, ", ") + ": " + string(verdict)
		if len(rules) > 0 {
			line += " (" + strings.Join(unique(rules), ", ") + ")"
		}
		out = append(out, line)
	}
	return out
}

// printLimits prints what the rules about validity found, each thing once, what they could not
// look at, and what the person changed about them.
func (p *program) printLimits(v *view) {
	var lines []string
	for _, text := range v.Warnings {
		lines = append(lines, "· "+text)
	}
	for _, c := range v.Curves {
		for _, text := range c.Warnings {
			lines = append(lines, "· "+text)
		}
	}
	levels := len(instinct.Verdicts(v.Findings))
	for _, t := range instinct.Tell(v.Findings) {
		lines = append(lines, "· "+toldLine(t, levels))
	}
	lines = append(lines, instinct.Altered(v.Findings)...)
	if text := instinct.Unevaluated(v.Findings); text != "" {
		lines = append(lines, text)
	}
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(p.out, "\n%s\n", p.bold("What this cannot support"))
	for _, line := range unique(lines) {
		fmt.Fprintf(p.out, "  %s\n", line)
	}
}

// toldLine is a finding with its level, unless that is the only one, and the other levels of
// which it says the same.
func toldLine(t instinct.Told, levels int) string {
	line := t.Sentence
	if len(t.Loads) > 0 && levels > 1 {
		line = t.Loads[0].String() + ": " + line
	}
	if len(t.Also) > 0 {
		names := make([]string, len(t.Also))
		for i, l := range t.Also {
			names[i] = l.String()
		}
		line += " (and likewise at " + strings.Join(names, ", ") + ")"
	}
	return fmt.Sprintf("%s [%s %s]", line, t.Rule, t.Severity)
}
