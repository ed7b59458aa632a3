package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/instinct"
	"github.com/inferbook/inferbook/analysis/peer"
	"github.com/inferbook/inferbook/experiment"
)

// directions says which way a metric is better.
var directions = map[analysis.Direction]string{
	analysis.LowerIsBetter: "lower is better", analysis.HigherIsBetter: "higher is better", analysis.Neither: "neither way is better",
}

// printExplanation prints what there is to say about a word; with a notebook, also its numbers.
func (p *program) printExplanation(x *explanation, t topic, notebook bool) {
	switch {
	case x.Metric != nil:
		p.printMetric(x, t)
	case x.Rule != nil:
		p.printRule(x.Rule)
	case x.Term == nil:
		fmt.Fprintf(p.out, "%s  a word of other tools; no figure here has it for a name\n", p.bold(x.Word))
	}
	if t := x.Term; t != nil {
		if x.Metric == nil {
			fmt.Fprintf(p.out, "%s  %s\n", p.bold(t.Word), t.Title)
		}
		fmt.Fprintf(p.out, "\n%s\n", t.Text)
		if t.Formula != "" && x.Metric == nil {
			fmt.Fprintf(p.out, "\n  formula  %s\n", t.Formula)
		}
	}
	p.printLatest(x, notebook)
	p.printOtherVersions(x.Versions)
	if len(x.Others) > 0 {
		fmt.Fprintf(p.out, "\n%s\n", p.bold("What other tools mean by it"))
		table := newTable(p.out)
		for _, o := range x.Others {
			table.AppendRow([]any{"  " + o.Tool, strings.TrimSuffix(o.Name, ":"), o.Formula})
		}
		table.Render()
		example := "exp-3"
		if x.Latest != nil {
			example = x.Latest.Experiment
		}
		fmt.Fprintf(p.out, "  `inferbook show %s --as TOOL` computes them from the samples\n", example)
	}
	if len(x.Readings) > 0 {
		fmt.Fprintf(p.out, "\n%s\n", p.bold("Readings"))
		for _, r := range x.Readings {
			status := ""
			if r.Status != "" {
				status = " (" + string(r.Status) + ")"
			}
			fmt.Fprintf(p.out, "  %s: %s%s\n", r.Slug, r.Title, status)
		}
	}
	if x.Term != nil && len(x.Term.See) > 0 {
		fmt.Fprintf(p.out, "\nsee also: %s\n", strings.Join(x.Term.See, ", "))
	}
}

func (p *program) printMetric(x *explanation, t topic) {
	m := x.Metric
	fmt.Fprintf(p.out, "%s  %s\n\n", p.bold(m.ID), m.Title)
	table := newTable(p.out)
	unit := m.Unit
	if unit == "" {
		unit = "a pure number"
	}
	needs := m.Needs
	if needs == "" {
		needs = "nothing beyond requests"
	}
	table.AppendRow([]any{"  formula", m.Formula})
	table.AppendRow([]any{"  unit", unit + "; " + directions[m.Direction]})
	table.AppendRow([]any{"  needs", needs})
	version := fmt.Sprint(m.Version)
	if t.asked > 0 {
		version = fmt.Sprintf("%d; %s@%d is an older formula, under which nothing is computed", m.Version, m.Name, t.asked)
	}
	table.AppendRow([]any{"  version", version})
	for _, c := range x.Changes {
		table.AppendRow([]any{"  changed", fmt.Sprintf("by version %d of the definitions: %s", c.Version, c.Sentence)})
	}
	table.Render()
}

// printLatest prints the formula with the notebook's newest numbers in it.
func (p *program) printLatest(x *explanation, notebook bool) {
	l := x.Latest
	if l == nil {
		if notebook && x.Metric != nil {
			needs := x.Metric.Needs
			if needs == "" {
				needs = "a point with requests"
			}
			fmt.Fprintf(p.out, "\n%s\n  no experiment has it; it needs %s\n", p.bold("In this notebook"), needs)
		}
		return
	}
	text := l.Because
	if l.Working != nil {
		text = working(l.Working, l.Request != nil)
	}
	if l.Request != nil {
		text += fmt.Sprintf(" (request %d)", *l.Request)
	}
	if d := l.Distribution; d != nil {
		if text != "" {
			text += "; "
		}
		of := "request"
		if l.Request == nil {
			of = "gap"
		}
		text += fmt.Sprintf("median %s, p95 %s over %s", measure(d.P50.Value, d.Unit), measure(d.P95.Value, d.Unit), plural(d.N, of))
	}
	place := l.Title
	if l.Load != (experiment.Load{}) {
		place += ", " + l.Load.String()
	}
	fmt.Fprintf(p.out, "\n%s\n  %s: %s\n", p.bold("In this notebook"), place, text)
}

// working writes a formula with its numbers. Instants keep their tenths of a millisecond, however large.
func working(w *analysis.Working, instants bool) string {
	var values []any
	for _, f := range w.Values {
		if instants && f.Unit == "ms" {
			values = append(values, instantText(f.Value))
		} else {
			values = append(values, withUnit(f))
		}
	}
	result := withUnit(w.Result)
	if w.Pattern == "" {
		return result
	}
	return fmt.Sprintf(w.Pattern, values...) + " = " + result
}

// instantText writes a time in ms with its tenths: "12,345.6 ms".
func instantText(v float64) string {
	tenths := int64(math.Round(v * 10))
	return fmt.Sprintf("%s.%d ms", thousands(tenths/10), tenths%10)
}

// withUnit writes an amount: a whole number without decimals, unless it is a time.
func withUnit(a analysis.Amount) string {
	if a.Value != math.Trunc(a.Value) || math.Abs(a.Value) > 1e15 || a.Unit == "ms" || a.Unit == "s" {
		return measure(a.Value, a.Unit)
	}
	return strings.TrimSpace(thousands(int64(a.Value)) + " " + a.Unit)
}

// printOtherVersions prints what a figure was under older definitions, and what has changed.
func (p *program) printOtherVersions(list []otherVersion) {
	for _, v := range list {
		then, now := "not known", "not known"
		if v.Then != nil {
			then = withUnit(*v.Then)
		}
		if v.Now != nil {
			now = withUnit(*v.Now)
		}
		formula := "Its own formula is the same in both."
		if v.Redefined {
			formula = "Its formula is another one: do not hold the two against each other."
		}
		fmt.Fprintf(p.out, "\n%s\n  %s, %s was summarised under version %d of the definitions too: %s then, %s under version %d. %s\n",
			p.bold("Across versions of the definitions"), v.Experiment, v.Load, v.Definition, then, now, analysis.DefinitionVersion, formula)
		for _, c := range v.Changes {
			fmt.Fprintf(p.out, "  · version %d: %s\n", c.Version, c.Sentence)
		}
	}
}

// explainable lists everything that can be explained.
func (p *program) explainable(asJSON bool) error {
	metrics, terms, rules := analysis.Metrics(), analysis.Glossary(), instinct.Rules()
	words := slices.DeleteFunc(peer.Words(), func(word string) bool {
		_, metric := analysis.MetricByName(word)
		_, term := analysis.TermByWord(word)
		return metric || term
	})
	if asJSON {
		var ids []string
		for _, m := range metrics {
			ids = append(ids, m.ID())
		}
		var names []string
		for _, t := range terms {
			names = append(names, t.Word)
		}
		ruleIDs := []string{}
		for _, r := range rules {
			ruleIDs = append(ruleIDs, r.ID)
		}
		return printJSON(p.out, struct {
			document
			Metrics []string          `json:"metrics"`
			Words   []string          `json:"words"`
			Rules   []string          `json:"rules"`
			Others  []string          `json:"words_of_other_tools"`
			History []analysis.Change `json:"history"`
		}{document{"inferbook.explainable/1"}, ids, names, ruleIDs, words, analysis.History()})
	}
	section := func(title string, rows [][2]string) {
		if len(rows) == 0 {
			return
		}
		fmt.Fprintln(p.out, p.bold(title))
		table := newTable(p.out)
		for _, r := range rows {
			table.AppendRow([]any{"  " + r[0], r[1]})
		}
		table.Render()
		fmt.Fprintln(p.out)
	}
	var rows [][2]string
	for _, m := range metrics {
		rows = append(rows, [2]string{m.ID(), m.Title})
	}
	section("Metrics", rows)
	rows = nil
	for _, t := range terms {
		rows = append(rows, [2]string{t.Word, t.Title})
	}
	section("Words", rows)
	rows = nil
	for _, r := range rules {
		rows = append(rows, [2]string{r.ID, r.Title})
	}
	section("Rules", rows)
	fmt.Fprintf(p.out, "%s\n  %s\n", p.bold("Words of other tools"), strings.Join(words, ", "))
	return nil
}
