// Package peer prints what other benchmarks would have printed from our samples.
//
// It believes that
//
//   - a word such as ITL means what the tool that printed it computed, so that two
//     tools can be compared only from raw samples, each under its own definitions;
//   - a tool is a table: its names in its order and its units, each with its formula
//     and with the reason why it differs from ours;
//   - what a sample does not hold is "not computable", with what would be needed, and
//     what stands in for something else says so. Nothing is guessed.
//
// The tables follow the tools' source as it was at the commit that each names. Pure
// functions: values in, values out.
package peer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/experiment"
)

// Tool is another benchmark, as a table of what it prints.
type Tool struct {
	Name   string // what a person types: "vllm"
	Title  string // what it is called: "vllm bench serve"
	Source string // the files and commits whose behaviour the table follows

	// Population says which requests it counts and over which time, and how that fits
	// our warm-up and cool-down. Phases are those of our samples that stand for them.
	Population string
	Phases     []experiment.Phase
	// Percentile says how it takes percentiles and spreads.
	Percentile string
	// Assumed are the approximations that concern all of its figures.
	Assumed []string
	Metrics []Metric // in the order of its output

	// label is a format for the name of a statistic, with the metric's name first, the
	// statistic's word second and the unit third.
	label    string
	stats    []Stat // that it prints of a metric that has none of its own
	decimals int    // that it prints; exact = all of them
	steps    bool   // a percentile is one of the values, by weight, and not between two
	bessel   bool   // the standard deviation is that of a sample, by n − 1
	within   detail // what it looks at within a stream
}

// exact says that a tool prints its numbers in full.
const exact = -1

// Metric is one quantity that a tool prints.
type Metric struct {
	Name    string // as it prints it
	Unit    string // its own; "" for a count or a ratio
	Word    string // the word for the quantity that people use across tools: "itl"
	Formula string // its definition

	// Ours is the name of our metric for the same thing; "" = we have none.
	Ours string
	// Why says in a sentence why its figure differs from ours; "" = the definitions agree.
	Why string
	// Approximation says what stands in for what a sample does not hold; "" = nothing does.
	Approximation string
	// Needs is what a run must have recorded for the figure to be there.
	Needs string

	scale  float64         // how many of our units are one of its; 0 = 1
	oursAt string          // the statistic that our figure, if it is of the whole point, is like; "" = mean
	stats  []Stat          // nil = the tool's
	only   func(*run) bool // whether it is printed; nil = always
	count  bool            // a whole number

	// One of these computes it; none = it never is from our samples.
	each  func(*request) (value float64, ok bool) // one value of each successful request
	share func(*request) float64                  // its weight, nil = 1
	list  func(*run) []weighted
	whole func(*run) float64 // one figure of the run, NaN = not known
}

// Tools lists the tools, in the order of the alphabet.
func Tools() []Tool {
	return []Tool{aiperf, genaiPerf, guideLLM, inferencePerf, llmperf, sglang, vllm}
}

// Names lists their names.
func Names() []string {
	var names []string
	for _, t := range Tools() {
		names = append(names, t.Name)
	}
	return names
}

// ByName finds a tool in any case of letters, whatever stands between its words.
func ByName(name string) (Tool, bool) {
	bare := func(s string) string {
		return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(s))
	}
	for _, t := range Tools() {
		if bare(t.Name) == bare(name) || bare(t.Title) == bare(name) {
			return t, true
		}
	}
	return Tool{}, false
}

// Definition is what one tool means by a word.
type Definition struct {
	Tool    string `json:"tool"`
	Name    string `json:"name"` // as the tool prints it
	Formula string `json:"formula"`
	Source  string `json:"source"`
}

// Definitions gives what the tools mean by a word, such as "itl", and what they call the thing that
// our metric of that name is.
func Definitions(word string) []Definition {
	var list []Definition
	for _, t := range Tools() {
		for _, m := range t.Metrics {
			if (m.Word == word || m.Ours == word) && m.Formula != "" {
				list = append(list, Definition{t.Name, m.Name, m.Formula, t.Source})
			}
		}
	}
	return list
}

// Words lists the words that the tools use for what they print.
func Words() []string {
	var words []string
	for _, t := range Tools() {
		for _, m := range t.Metrics {
			if m.Word != "" {
				words = append(words, m.Word)
			}
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// row names one statistic of a metric.
func (t *Tool) row(m *Metric, s Stat) string { return fmt.Sprintf(t.label, m.Name, s.Word, m.Unit) }

var measured = []experiment.Phase{experiment.Measured}
