package figure

import (
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis"
)

// simulatedMark is what a label ends with when its target was the simulated
// engine; see experiment.Environment.Label.
const simulatedMark = "SIMULATED"

// separator stands between the facts of a label; noBreak is the space at which
// no line ends.
const (
	separator = " · "
	noBreak   = "\u00a0"
)

// shared splits the labels of several curves into what all of them have in
// common and what is each one's own, so that a subtitle says the one and a
// legend the other. The badge says whether all or some of them are simulated;
// a mixture marks each simulated one in its own words.
func shared(labels []string) (common string, own []string, badge string) {
	parts := make([][]string, len(labels))
	simulated := make([]bool, len(labels))
	for i, l := range labels {
		for _, p := range strings.Split(clean(l), separator) {
			if p == simulatedMark {
				simulated[i] = true
			} else if p != "" {
				parts[i] = append(parts[i], p)
			}
		}
	}
	own = make([]string, len(labels))
	if len(labels) == 0 {
		return "", own, ""
	}
	switch {
	case !slices.Contains(simulated, false):
		badge = simulatedMark
	case slices.Contains(simulated, true):
		badge = "PARTLY " + simulatedMark
	}
	var all []string
	for _, p := range parts[0] {
		if !slices.ContainsFunc(parts, func(ps []string) bool { return !slices.Contains(ps, p) }) {
			all = append(all, p)
		}
	}
	for i, ps := range parts {
		rest := slices.DeleteFunc(ps, func(p string) bool { return slices.Contains(all, p) })
		if simulated[i] && badge != simulatedMark {
			rest = append(rest, simulatedMark)
		}
		// A legend is narrow: its lines break between facts, not within one.
		own[i] = strings.ReplaceAll(strings.ReplaceAll(strings.Join(rest, separator), " ", noBreak), "·"+noBreak, "· ")
	}
	return strings.Join(all, separator), own, badge
}

// joined joins the parts that are not empty.
func joined(sep string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), sep)
}

// metricID names a metric with its version, as "ttft@1".
func metricID(name string) string {
	if m, ok := analysis.MetricByName(name); ok {
		return m.ID()
	}
	return name
}

// counted writes a count and the noun that goes with it.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return plain.tick(float64(n), 1) + " " + many
}

// onlyIf gives s where the condition holds.
func onlyIf(cond bool, s string) string {
	if cond {
		return s
	}
	return ""
}
