package analysis

import "slices"

// Change is what one version of the definitions changed.
type Change struct {
	Version  int    `json:"version"` // see [DefinitionVersion]
	Sentence string `json:"sentence"`
	// Metrics are the IDs that the version gave a new formula; empty = it changed none.
	Metrics []string `json:"metrics"`
}

var history = []Change{
	{1, "The first definitions: latencies from the actual send, throughput over the window.", nil},
	{2, "In an open loop, throughput counts whatever ends within the window, of any phase, and the window reaches from the first measured arrival to the last; " +
		"goodput, attainment of the SLO, send lag and the figures of open loops came to it.",
		[]string{"output_throughput@2", "total_throughput@2", "request_rate@2", "window@2"}},
	{3, "Signs, the evidence that the rules look at, stand beside the figures, and intervals beside more of them; no formula changed.", nil},
	{4, "What the rules about validity find takes the place of a point's warnings, and the rate of the schedule stands beside the one achieved; no formula changed.", nil},
	{5, "The interval of a quantile within a run allows for requests that are alike because they follow each other, as in a queue; no formula changed.", nil},
}

// History lists the versions of the definitions, the first one first.
func History() []Change { return slices.Clone(history) }

// Changes lists what changed between two versions of the definitions, in whichever order
// they are given: those after the lower, up to the higher.
func Changes(a, b int) []Change {
	var list []Change
	for _, c := range history {
		if c.Version > min(a, b) && c.Version <= max(a, b) {
			list = append(list, c)
		}
	}
	return list
}

// Redefines reports whether the version gave the metric a new formula.
func (c Change) Redefines(m Metric) bool { return slices.Contains(c.Metrics, m.ID()) }
