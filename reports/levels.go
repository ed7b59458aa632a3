package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// curveBody shows the figures.
func curveBody(m *Material) string {
	if len(m.Figures) == 0 {
		return fmt.Sprintf("This report has no figure. %s draws one.\n", code("inferbook curve "+m.Experiments[0].Experiment.Alias()+" -o curve.svg"))
	}
	var b strings.Builder
	for i, f := range m.Figures {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "![%s](%s)\n\n", inline(f.Alt), imagePath(f.Path))
		caption := fmt.Sprintf("Figure %d.", i+1)
		for _, s := range []string{f.Title, f.Caption} {
			if s = strings.TrimRight(inline(s), "."); s != "" {
				caption += " " + s + "."
			}
		}
		b.WriteString("*" + caption + "*\n")
	}
	return b.String()
}

// column is one estimate of the table of levels.
type column struct {
	title string
	unit  func(float64) unit
	value func(*analysis.Level) analysis.Estimate
}

func always(u unit) func(float64) unit { return func(float64) unit { return u } }

var levelColumns = []column{
	{"Output throughput", always(tokensPerSecond), func(l *analysis.Level) analysis.Estimate { return l.OutputThroughput }},
	{"TTFT p50", latency, func(l *analysis.Level) analysis.Estimate { return l.TTFTP50 }},
	{"TTFT p95", latency, func(l *analysis.Level) analysis.Estimate { return l.TTFTP95 }},
	{"TPOT p50", latency, func(l *analysis.Level) analysis.Estimate { return l.TPOTP50 }},
	{"TPOT p95", latency, func(l *analysis.Level) analysis.Estimate { return l.TPOTP95 }},
	{"E2E p95", latency, func(l *analysis.Level) analysis.Estimate { return l.E2EP95 }},
	{"B_run", always(plain), func(l *analysis.Level) analysis.Estimate { return l.BRun }},
}

// levelsBody is one table an experiment, one row a level.
func levelsBody(m *Material) string {
	var b strings.Builder
	notes := footnotes{prefix: "level"}
	for i := range m.Experiments {
		it := &m.Experiments[i]
		b.WriteString(itemHeading(m, it))
		if len(it.Curve.Levels) == 0 {
			b.WriteString("No level was measured.\n\n")
			continue
		}
		writeLevels(&b, it, &notes)
	}
	b.WriteString("In italics: 95 % intervals; ∞ says that the count cannot support that side. A dash: nothing to compute it from. " +
		"Requests are the measured ones, successful of sent." + spreadLegend(m) + "\n")
	b.WriteString(notes.definitions())
	return b.String()
}

// spreadLegend explains a range over repeats; empty where the report has none.
func spreadLegend(m *Material) string {
	for i := range m.Experiments {
		for j := range m.Experiments[i].Curve.Levels {
			l := &m.Experiments[i].Curve.Levels[j]
			if slices.ContainsFunc(levelColumns, func(c column) bool { _, _, ok := c.value(l).Spread(); return ok }) {
				return " In parentheses after a median: the smallest and the largest of its repeats, which are too few for a 95 % interval (that needs 6)."
			}
		}
	}
	return ""
}

// itemHeading tells the experiments of a section apart; a report on one
// experiment needs none.
func itemHeading(m *Material, it *Item) string {
	if len(m.Experiments) == 1 {
		return ""
	}
	title := "### " + inline(it.Experiment.Title())
	if label := it.Experiment.Environment.Label(); label != "" {
		title += " · " + inline(label)
	}
	return title + "\n\n"
}

func writeLevels(b *strings.Builder, it *Item, notes *footnotes) {
	head, align := []string{"Load", "Requests"}, "lr"
	for _, c := range levelColumns {
		head, align = append(head, c.title), align+"r"
	}
	b.WriteString(row(append(head, "Errors")...) + rule(align+"r"))
	levels := it.Curve.Levels
	common := sharedWarnings(levels)
	for i := range levels {
		l := &levels[i]
		sent, ok := requests(l.Points)
		whole := rowWarnings(l)
		load := l.Load.String()
		for _, w := range levelState(l) {
			load += " " + w
		}
		for _, w := range whole {
			if !slices.Contains(common, w) {
				load += notes.mark(w)
			}
		}
		cells := []string{load, thousands(ok) + " / " + thousands(sent)}
		for _, c := range levelColumns {
			e := c.value(l)
			var marks []string
			for _, w := range e.Warnings {
				if !math.IsNaN(e.Value) && !slices.Contains(common, w) && !slices.Contains(whole, w) {
					marks = append(marks, notes.mark(w))
				}
			}
			cells = append(cells, c.unit(e.Value).cell(e, marks...))
		}
		b.WriteString(row(append(cells, percent.text(l.ErrorRate))...))
	}
	b.WriteString("\n")
	for _, w := range common {
		b.WriteString("Every figure of this table: " + inline(w) + "\n\n")
	}
}

// levelState marks a level of which a point did not come to its end.
func levelState(l *analysis.Level) []string {
	var out []string
	for i := range l.Points {
		if s := l.Points[i].Point.Status; s != experiment.Complete && s != "" {
			if mark := "**" + inline(string(s)) + "**"; !slices.Contains(out, mark) {
				out = append(out, mark)
			}
		}
	}
	return out
}

// rowWarnings are the warnings that every known estimate of a level has, in the
// order of the first: they are said once for the row.
func rowWarnings(l *analysis.Level) []string {
	var shared []string
	first := true
	for _, c := range levelColumns {
		e := c.value(l)
		if math.IsNaN(e.Value) {
			continue
		}
		if first {
			shared, first = slices.Clone(e.Warnings), false
			continue
		}
		shared = slices.DeleteFunc(shared, func(w string) bool { return !slices.Contains(e.Warnings, w) })
	}
	return shared
}

// sharedWarnings are the warnings that hold for every row.
func sharedWarnings(levels []analysis.Level) []string {
	shared := rowWarnings(&levels[0])
	for i := range levels[1:] {
		other := rowWarnings(&levels[i+1])
		shared = slices.DeleteFunc(shared, func(w string) bool { return !slices.Contains(other, w) })
	}
	return shared
}

// footnotes numbers warnings, each text once.
type footnotes struct {
	prefix string // keeps these apart from the person's own
	texts  []string
}

// mark gives the reference to a footnote.
func (f *footnotes) mark(text string) string {
	i := slices.Index(f.texts, text)
	if i < 0 {
		f.texts = append(f.texts, text)
		i = len(f.texts) - 1
	}
	return fmt.Sprintf("[^%s-%d]", f.prefix, i+1)
}

// definitions gives the footnotes, after a blank line; empty without any.
func (f *footnotes) definitions() string {
	var b strings.Builder
	for i, t := range f.texts {
		fmt.Fprintf(&b, "\n[^%s-%d]: %s\n", f.prefix, i+1, inline(t))
	}
	return b.String()
}
