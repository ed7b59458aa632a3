package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis/instinct"
	"github.com/inferbook/inferbook/experiment"
)

// printVerdict says whether the figures can be believed.
func (p *program) printVerdict(v *view) {
	fmt.Fprintf(p.out, "\n%s %s\n", p.bold("verdict:"), strings.Join(v.verdictLines(), "\n  "))
}

// hintVerdicts says of each experiment that is drawn whether its figures can be believed.
func (p *program) hintVerdicts(views []*view) {
	for _, v := range views {
		lines := v.verdictLines()
		line := v.Experiment.Title() + ": " + lines[0]
		if len(lines) > 1 {
			line += " (" + strings.Join(lines[1:], "; ") + ")"
		}
		p.hint("%s", line)
	}
}

// experimentVerdict is the verdict on an experiment and its levels.
type experimentVerdict struct {
	Experiment string                  `json:"experiment"`
	Verdict    instinct.Verdict        `json:"verdict"`
	Levels     []instinct.LevelVerdict `json:"levels"`
}

func verdictsOf(views []*view) []experimentVerdict {
	var out []experimentVerdict
	for _, v := range views {
		out = append(out, experimentVerdict{v.Experiment.Alias(), v.verdict(), instinct.Verdicts(v.Findings)})
	}
	return out
}

// verdictLines are the verdict on the experiment, and where its levels differ one more for
// each of their verdicts, worst first: "c=32: do not quote (I07)".
func (v *view) verdictLines() []string {
	var of []string
	for _, verdict := range []instinct.Verdict{instinct.DoNotQuote, instinct.Limited, instinct.Sound} {
		var loads, rules []string
		for _, l := range instinct.Verdicts(v.Findings) {
			if l.Verdict == verdict {
				loads, rules = append(loads, l.Load.String()), append(rules, l.Rules...)
			}
		}
		if len(loads) == 0 {
			continue
		}
		line := string(verdict)
		if len(rules) > 0 {
			slices.Sort(rules)
			line += " (" + strings.Join(unique(rules), ", ") + ")"
		}
		of = append(of, strings.Join(loads, ", ")+": "+line)
		if len(loads) == len(v.levels()) {
			return []string{line}
		}
	}
	return append([]string{string(v.verdict())}, of...)
}

// levels are all the loads of the curves.
func (v *view) levels() []experiment.Load {
	var out []experiment.Load
	for _, c := range v.Curves {
		for _, l := range c.Levels {
			out = append(out, l.Load)
		}
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
	told := instinct.Tell(v.Findings)
	grave := slices.IndexFunc(told, func(t instinct.Told) bool { return t.Severity != instinct.Error })
	if grave < 0 {
		grave = len(told)
	}
	levels := len(v.levels())
	for _, t := range told[:grave] {
		lines = append(lines, "· "+toldLine(t, levels))
	}
	for _, c := range v.Curves {
		for _, text := range c.Warnings {
			lines = append(lines, "· "+text)
		}
	}
	for _, t := range told[grave:] {
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
	fmt.Fprintf(p.out, "  `inferbook why %s` gives each rule's inputs, its thresholds and why they are those, and what to try next\n", v.Experiment.Alias())
}

// toldLine is a finding with its level, unless that is the only one, and the other levels of
// which it says the same.
func toldLine(t instinct.Told, levels int) string {
	line := t.Sentence
	everywhere := levels > 1 && len(t.Loads) == 1 && 1+len(t.Also) == levels
	switch {
	case everywhere && !t.Differ:
		line = "At every level: " + line
	case len(t.Loads) > 0 && levels > 1:
		line = t.Loads[0].String() + ": " + line
	}
	switch {
	case everywhere && t.Differ:
		line += " (and likewise at every other level)"
	case len(t.Also) > 0 && !everywhere:
		names := make([]string, len(t.Also))
		for i, l := range t.Also {
			names[i] = l.String()
		}
		line += " (and likewise at " + strings.Join(names, ", ") + ")"
	}
	return fmt.Sprintf("%s [%s %s]", line, t.Rule, t.Severity)
}
