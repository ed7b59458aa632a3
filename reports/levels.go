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

var (
	throughputColumn = column{"Output throughput", always(tokensPerSecond), func(l *analysis.Level) analysis.Estimate { return l.OutputThroughput }}
	achievedColumn   = column{"Achieved rate", always(perSecond), func(l *analysis.Level) analysis.Estimate { return l.AchievedRate }}
	firstColumns     = []column{
		{"TTFT p50", latency, func(l *analysis.Level) analysis.Estimate { return l.TTFTP50 }},
		{"TTFT p95", latency, func(l *analysis.Level) analysis.Estimate { return l.TTFTP95 }},
	}
	// scheduleColumns set TTFT from when a request was due beside TTFT from when it left.
	scheduleColumns = []column{
		{"TTFT p95 from schedule", latency, func(l *analysis.Level) analysis.Estimate { return l.TTFTSchedP95 }},
		{"TTFT p99", latency, func(l *analysis.Level) analysis.Estimate { return l.TTFTP99 }},
		{"TTFT p99 from schedule", latency, func(l *analysis.Level) analysis.Estimate { return l.TTFTSchedP99 }},
	}
	laterColumns = []column{
		{"TPOT p50", latency, func(l *analysis.Level) analysis.Estimate { return l.TPOTP50 }},
		{"TPOT p95", latency, func(l *analysis.Level) analysis.Estimate { return l.TPOTP95 }},
		{"E2E p95", latency, func(l *analysis.Level) analysis.Estimate { return l.E2EP95 }},
		{"B_run", always(plain), func(l *analysis.Level) analysis.Estimate { return l.BRun }},
	}
	serviceColumns = []column{
		{"Goodput", always(perSecond), func(l *analysis.Level) analysis.Estimate { return l.Goodput }},
		{"Within the SLO", always(percent), func(l *analysis.Level) analysis.Estimate { return l.GoodShare }},
	}
)

// columnsOf are the columns that some levels have something to say in: an open loop
// has rates and two kinds of TTFT, an experiment with an SLO has goodput.
func columnsOf(levels []analysis.Level, slo bool) []column {
	open := slices.ContainsFunc(levels, func(l analysis.Level) bool { return l.Load.Rate > 0 })
	var out []column
	if open {
		out = append(out, achievedColumn)
	}
	out = append(append(out, throughputColumn), firstColumns...)
	if open {
		out = append(out, scheduleColumns...)
	}
	out = append(out, laterColumns...)
	if slo {
		out = append(out, serviceColumns...)
	}
	return out
}

// columns are those of an item's table of levels.
func (it *Item) columns() []column {
	return columnsOf(it.Curve.Levels, len(it.Experiment.Spec.SLO) > 0)
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
		writeClasses(&b, it, &notes)
	}
	b.WriteString("In italics: 95 % intervals; ∞ says that the count cannot support that side. A dash: nothing to compute it from. " +
		"Requests are the measured ones, successful of sent." + openLegend(m) + spreadLegend(m) + "\n")
	b.WriteString(notes.definitions())
	return b.String()
}

// spreadLegend explains a range over repeats; empty where the report has none.
func spreadLegend(m *Material) string {
	for i := range m.Experiments {
		for j := range m.Experiments[i].Curve.Levels {
			l := &m.Experiments[i].Curve.Levels[j]
			if slices.ContainsFunc(m.Experiments[i].columns(), func(c column) bool { _, _, ok := c.value(l).Spread(); return ok }) {
				return " In parentheses after a median: the smallest and the largest of its repeats, which are too few for a 95 % interval (that needs 6)."
			}
		}
	}
	return ""
}

// openLegend explains what the tables of open loops have more; empty where there is none.
func openLegend(m *Material) string {
	if !slices.ContainsFunc(m.Experiments, func(it Item) bool { return someOpen(&it) }) {
		return ""
	}
	return " The load of an open loop is the rate offered; the achieved rate is that at which requests left. TTFT counts from when a request left, and from schedule from when it was due."
}

// itemHeading tells the experiments of a section apart; a report on one
// experiment needs none.
func itemHeading(m *Material, it *Item) string {
	if len(m.Experiments) == 1 {
		return ""
	}
	title := "### " + inline(it.title())
	if label := it.Experiment.Environment.Label(); label != "" {
		title += " · " + inline(label)
	}
	return title + "\n\n"
}

func writeLevels(b *strings.Builder, it *Item, notes *footnotes) {
	t := table{head: []string{"Load"}, columns: it.columns(), judged: it.Experiment.Spec.SLO.Judges()}
	for i := range it.Curve.Levels {
		l := &it.Curve.Levels[i]
		t.rows = append(t.rows, tableRow{[]string{it.load(l.Load)}, l})
	}
	t.write(b, notes)
}

// table is one of levels, of an experiment or of its classes.
type table struct {
	head    []string // of the columns that say which level it is; the first has the marks
	columns []column
	judged  bool // an SLO holds or not
	rows    []tableRow
}

type tableRow struct {
	lead  []string
	level *analysis.Level
}

func (t *table) write(b *strings.Builder, notes *footnotes) {
	head, align := append(slices.Clone(t.head), "Requests"), strings.Repeat("l", len(t.head))+"r"
	for _, c := range t.columns {
		head, align = append(head, c.title), align+"r"
	}
	head, align = append(head, "Errors"), align+"r"
	if t.judged {
		head, align = append(head, "SLO"), align+"l"
	}
	b.WriteString(row(head...) + rule(align))
	common := t.sharedWarnings()
	for _, r := range t.rows {
		sent, ok := requests(r.level.Points)
		whole := rowWarnings(r.level, t.columns)
		lead := slices.Clone(r.lead)
		for _, w := range levelState(r.level) {
			lead[0] += " " + w
		}
		for _, w := range whole {
			if !slices.Contains(common, w) {
				lead[0] += notes.mark(w)
			}
		}
		cells := append(lead, thousands(ok)+" / "+thousands(sent))
		for _, c := range t.columns {
			e := c.value(r.level)
			var marks []string
			for _, w := range e.Warnings {
				if !math.IsNaN(e.Value) && !slices.Contains(common, w) && !slices.Contains(whole, w) {
					marks = append(marks, notes.mark(w))
				}
			}
			cells = append(cells, c.unit(e.Value).cell(e, marks...))
		}
		cells = append(cells, percent.text(r.level.ErrorRate))
		if t.judged {
			cells = append(cells, rulingCell(r.level.Ruling))
		}
		b.WriteString(row(cells...))
	}
	b.WriteString("\n")
	for _, w := range common {
		b.WriteString("Every figure of this table: " + inline(w) + "\n\n")
	}
}

// rulingCell says whether a level held its SLO; a dash where it had none.
func rulingCell(r analysis.Ruling) string {
	switch r {
	case "":
		return "–"
	case analysis.Misses:
		return "**" + string(r) + "**"
	}
	return string(r)
}

// levelState marks a level of which a point did not come to its end, and one that
// was more than the server serves.
func levelState(l *analysis.Level) []string {
	var out []string
	if l.Oversaturated {
		out = append(out, "**over-saturated**")
	}
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
func rowWarnings(l *analysis.Level, columns []column) []string {
	var shared []string
	first := true
	for _, c := range columns {
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
func (t *table) sharedWarnings() []string {
	shared := rowWarnings(t.rows[0].level, t.columns)
	for _, r := range t.rows[1:] {
		other := rowWarnings(r.level, t.columns)
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
