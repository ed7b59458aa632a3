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
	var limits []instinct.Told // one a rule
	for _, t := range instinct.Tell(it.Findings) {
		i := slices.IndexFunc(limits, func(l instinct.Told) bool { return l.Rule == t.Rule })
		switch {
		case t.Severity == instinct.Error:
			fmt.Fprintf(&b, "  - **%s; %s.** %s\n", it.places(&t), t.Rule, inline(t.Sentence))
		case t.Severity == instinct.Warning && i < 0:
			limits = append(limits, t)
		case t.Severity == instinct.Warning:
			limits[i].Also = append(limits[i].Also, append(t.Loads, t.Also...)...)
		}
	}
	names := make([]string, len(limits))
	for i, t := range limits {
		where := it.places(&t) // in the middle of a sentence
		names[i] = fmt.Sprintf("%s (%s; %s%s)", t.Title, t.Rule, strings.ToLower(where[:1]), where[1:])
	}
	if len(names) > 0 {
		fmt.Fprintf(&b, "  - Limits: %s.\n", strings.Join(names, ", "))
	}
	return b.String()
}
