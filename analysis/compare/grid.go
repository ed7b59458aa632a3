package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/interval"
	"github.com/inferbook/inferbook/analysis/sentence"
)

// Grid compares levels of many experiments: a table for each figure, with a column that
// everything is compared with, the first.
type Grid struct {
	RowKeys, ColKeys []string
	Rows, Cols       [][]string // the values of the keys
	Tables           []Table
	// Unequal holds what differs in the work of columns that would be compared, a sentence each pair.
	// Refused says that nothing was compared for it.
	Unequal []UnequalPair
	Refused bool
	// Corrected is the most comparisons that Holm's correction was made for: those of one row.
	Corrected int
	Within    bool     // some comparison is of one run each
	Notes     []string // whole sentences
}

// UnequalPair is two experiments that did different work.
type UnequalPair struct {
	A    string    `json:"a"`
	B    string    `json:"b"`
	Work []Unequal `json:"work"`
}

// Table is one figure of a grid, by row and column.
type Table struct {
	Figure Figure
	Cells  [][]Cell
	// Geomean is a column's geometric mean over the rows in which every column has a value above 0.
	Geomean []Mean
	// MeanRows is how many rows that are.
	MeanRows int
}

// Cell is the repeats of a figure in one row and column.
type Cell struct {
	Value float64 // the median over the repeats; NaN = the cell is blank
	N     int     // repeats
	// Row compares it with the first column; nil in that column and beside a blank.
	Row *Row
}

// Mean is the geometric mean of a column's values, and that of its ratios to the first column; NaN in that column.
type Mean struct{ Value, Ratio float64 }

// DefaultFigures are those that a grid compares unless others are named.
var DefaultFigures = []string{"ttft.p95", "tpot.p95", "output_throughput"}

// NewGrid puts levels into a table by the keys of rows and columns, and compares each column with the
// first. A cell's repeats are those of all its levels; a cell whose levels ran on different things, or
// under different loads, is an error that names the key to tell them apart by.
func NewGrid(levels []Level, rows, cols []string, o Options) (*Grid, error) {
	g := &Grid{RowKeys: rows, ColKeys: cols, Rows: labels(rows, levels), Cols: labels(cols, levels)}
	cells := make([][]*Level, len(g.Rows))
	for i, row := range g.Rows {
		cells[i] = make([]*Level, len(g.Cols))
		for j, col := range g.Cols {
			in := slices.DeleteFunc(slices.Clone(levels), func(l Level) bool { return !has(l, rows, row) || !has(l, cols, col) })
			merged, err := g.merge(in, row, col)
			if err != nil {
				return nil, err
			}
			cells[i][j] = merged
			if merged != nil && j > 0 && cells[i][0] != nil {
				g.unequal(*cells[i][0], *merged)
			}
		}
	}
	if len(g.Unequal) > 0 && !o.Anyway {
		g.Refused = true
		return g, nil
	}
	figures := o.Figures
	if slices.ContainsFunc(g.Unequal, func(p UnequalPair) bool { return otherLengths(p.Work) }) {
		var note string
		if figures, note = perToken(figures); note != "" {
			g.Notes = append(g.Notes, note)
		}
	}
	return g, g.fill(cells, figures, o.Floors)
}

func has(l Level, names, values []string) bool {
	for i, n := range names {
		if l.Key(n) != values[i] {
			return false
		}
	}
	return true
}

// merge makes one level of those of a cell; nil for none.
func (g *Grid) merge(in []Level, row, col []string) (*Level, error) {
	if len(in) == 0 {
		return nil, nil
	}
	out := in[0]
	out.Points = slices.Clone(out.Points)
	for _, l := range in[1:] {
		key, a, b := "", "", ""
		if l.Load != out.Load {
			key, a, b = "load", out.Load.String(), l.Load.String()
		} else if d := NewSetup(out.Run, l.Run).Of(Intended); len(d) > 0 {
			key, a, b = d[0].Key, d[0].A, d[0].B
		}
		if key != "" {
			return nil, fmt.Errorf("%s and %s share the cell %s, %s and differ in %s (%s and %s); add it to --row or --col, or choose one with --filter",
				out.Run.Experiment.Alias(), l.Run.Experiment.Alias(), place(g.RowKeys, row), place(g.ColKeys, col), key, orNone(a), orNone(b))
		}
		g.unequal(out, l)
		out.Points = append(out.Points, l.Points...)
	}
	return &out, nil
}

func place(names, values []string) string {
	parts := make([]string, len(names))
	for i := range names {
		parts[i] = names[i] + "=" + orNone(values[i])
	}
	return strings.Join(parts, " ")
}

// column names a column in a sentence: an experiment by its name alone.
func column(names, values []string) string {
	if len(names) == 1 && names[0] == "experiment" {
		return values[0]
	}
	return place(names, values)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// unequal records that two levels did different work, once for each pair of experiments.
func (g *Grid) unequal(a, b Level) {
	work := Unequals(a, b)
	na, nb := a.Run.Experiment.Alias(), b.Run.Experiment.Alias()
	if len(work) > 0 && !slices.ContainsFunc(g.Unequal, func(p UnequalPair) bool { return p.A == na && p.B == nb }) {
		g.Unequal = append(g.Unequal, UnequalPair{na, nb, work})
	}
}

// fill compares the cells of each row with its first.
func (g *Grid) fill(cells [][]*Level, figures []Figure, floors Floors) error {
	g.Tables = make([]Table, len(figures))
	for k, f := range figures {
		g.Tables[k] = Table{Figure: f, Cells: make([][]Cell, len(cells))}
		for i := range cells {
			g.Tables[k].Cells[i] = make([]Cell, len(g.Cols))
			for j, l := range cells[i] {
				c := Cell{Value: math.NaN()}
				if l != nil {
					values := f.Values(*l)
					c.Value, c.N = median(values), len(values)
				}
				g.Tables[k].Cells[i][j] = c
			}
		}
	}
	for i := range cells {
		if err := g.compareRow(i, cells[i], floors); err != nil {
			return err
		}
	}
	for k := range g.Tables {
		g.Tables[k].mean(len(g.Cols))
	}
	g.note(cells)
	g.alsoDiffer(cells)
	return nil
}

// compareRow compares the cells of one row, all figures of it as one family.
func (g *Grid) compareRow(i int, cells []*Level, floors Floors) error {
	var rows []Row
	var to []*Cell
	for k := range g.Tables {
		for j := 1; j < len(cells); j++ {
			if cells[0] == nil || cells[j] == nil {
				continue
			}
			row, err := compareFigure(g.Tables[k].Figure, *cells[0], *cells[j], floors)
			if err != nil {
				return err
			}
			rows, to = append(rows, row), append(to, &g.Tables[k].Cells[i][j])
		}
	}
	g.Corrected = max(g.Corrected, judge(rows))
	for n := range rows {
		g.Within = g.Within || rows[n].Within
		if !math.IsNaN(rows[n].A) && !math.IsNaN(rows[n].B) {
			to[n].Row = &rows[n]
		}
	}
	return nil
}

// mean takes the geometric means of the columns.
func (t *Table) mean(cols int) {
	values, ratios := make([][]float64, cols), make([][]float64, cols)
	for _, row := range t.Cells {
		if slices.ContainsFunc(row, func(c Cell) bool { return !(c.Value > 0) }) {
			continue
		}
		t.MeanRows++
		for j, c := range row {
			values[j] = append(values[j], c.Value)
			if c.Row != nil {
				ratios[j] = append(ratios[j], c.Row.Ratio.Value)
			}
		}
	}
	for j := range values {
		m := Mean{interval.Geomean(values[j]), math.NaN()}
		if j > 0 {
			m.Ratio = interval.Geomean(ratios[j])
		}
		t.Geomean = append(t.Geomean, m)
	}
}

// note says what the grid cannot support.
func (g *Grid) note(cells [][]*Level) {
	repeats, simulated, all := math.MaxInt, map[string]bool{}, 0
	definitions := map[string]bool{}
	runs := map[string]bool{}
	for _, row := range cells {
		for _, l := range row {
			if l == nil {
				continue
			}
			g.Notes = append(g.Notes, l.troubles()...)
			repeats = min(repeats, len(l.Points))
			e := l.Run.Experiment
			runs[e.ID], definitions[l.Run.definitions()] = true, true
			if e.Environment.Simulated() {
				simulated[e.ID] = true
			}
			all = len(runs)
		}
	}
	if need := interval.LeastRepeats(Alpha / float64(max(1, g.Corrected))); repeats < need && !g.Within && g.Corrected > 0 {
		g.Notes = append(g.Notes, fmt.Sprintf("Some cells have %s, and for %s in a row no difference can be called under %d a side (--metric or --filter compares fewer).",
			sentence.Plural(repeats, "repeat"), sentence.Plural(g.Corrected, "comparison"), need))
	}
	switch {
	case all > 0 && len(simulated) == all:
		g.Notes = append(g.Notes, "All of it is simulated: a difference is one between settings of the simulator.")
	case len(simulated) > 0:
		g.Notes = append(g.Notes, "Some are simulated and others were measured: what lies between the two may be the simulator's error.")
	}
	if len(definitions) > 1 {
		g.Notes = append(g.Notes, "The figures are not all of the same version of their definitions: the same samples would give other figures.")
	}
	for _, t := range g.Tables {
		if t.Figure.Metric.Direction == analysis.Neither {
			g.Notes = append(g.Notes, fmt.Sprintf("%s has no better side: it differs or it does not.", t.Figure))
		}
	}
}

// alsoDiffer says, of each column, what sets it apart from the first beside the keys of the table: what is put down
// to those keys may come from there.
func (g *Grid) alsoDiffer(cells [][]*Level) {
	named := func(key string) bool {
		return slices.ContainsFunc(slices.Concat(g.RowKeys, g.ColKeys), func(n string) bool {
			return longKey(n) == key || n == "settings" && strings.HasPrefix(key, optionPrefix)
		})
	}
	for j := 1; j < len(g.Cols); j++ {
		var list []string
		for i := range cells {
			if cells[i][0] == nil || cells[i][j] == nil || cells[i][0].Run == cells[i][j].Run {
				continue
			}
			for _, d := range NewSetup(cells[i][0].Run, cells[i][j].Run).Differences {
				if (d.Class == Confound || d.Class == Intended) && !named(d.Key) && !slices.Contains(list, d.Key) {
					list = append(list, d.Key)
				}
			}
		}
		if len(list) > 0 {
			g.Notes = append(g.Notes, fmt.Sprintf("%s and %s differ in %s too, which may explain some of it.",
				column(g.ColKeys, g.Cols[0]), column(g.ColKeys, g.Cols[j]), strings.Join(list, ", ")))
		}
	}
}
