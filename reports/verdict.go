package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis/instinct"
)

// verdictLines are the verdict on an experiment, those on its levels where they differ,
// and the findings that forbid or limit quoting it. All of them stand under the limits in full.
func verdictLines(it *Item) string {
	var b strings.Builder
	fmt.Fprintf(&b, "- %s: **%s.**", strong(it.title()), instinct.Judge(it.Findings, nil))
	levels := instinct.Verdicts(it.Findings)
	if slices.ContainsFunc(levels, func(l instinct.LevelVerdict) bool { return l.Verdict != levels[0].Verdict }) {
		for _, verdict := range []instinct.Verdict{instinct.DoNotQuote, instinct.Limited, instinct.Sound} {
			var names []string
			for _, l := range levels {
				if l.Verdict == verdict {
					names = append(names, it.load(l.Load))
				}
			}
			if len(names) > 0 {
				fmt.Fprintf(&b, " %s: %s.", strings.Join(names, ", "), verdict)
			}
		}
	}
	b.WriteString("\n")
	var limits []string
	for _, t := range instinct.Tell(it.Findings) {
		switch t.Severity {
		case instinct.Error:
			fmt.Fprintf(&b, "  - **%s; %s.** %s\n", it.places(&t), t.Rule, inline(t.Sentence))
		case instinct.Warning:
			limits = append(limits, fmt.Sprintf("%s (%s; %s)", lowerFirst(t.Title), t.Rule, lowerFirst(it.places(&t))))
		}
	}
	if len(limits) > 0 {
		fmt.Fprintf(&b, "  - Limits: %s.\n", strings.Join(limits, ", "))
	}
	return b.String()
}

// lowerFirst takes the capital off a title, unless it is of a name such as TTFT.
func lowerFirst(s string) string {
	if len(s) > 1 && s[1] >= 'A' && s[1] <= 'Z' {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
