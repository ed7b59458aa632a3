package main

import (
	"encoding/csv"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis/compare"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

func (p *program) compareCommand() *cli.Command {
	return &cli.Command{
		Name: "compare", Usage: "many experiments in one table: rows and columns by what differs, each column against the first",
		UsageText: examples("inferbook compare --col runtime --row concurrency exp-3..exp-9", "inferbook compare --col gpu,precision --filter \"concurrency:>=8 -tag:draft\" exp-3..exp-9",
			"inferbook compare exp-3 exp-5 --metric ttft.p95,output_throughput --csv"),
		Description: "Keys are experiment, name, tag, model, runtime, version, gpu, gpus, precision, settings, load, variant, concurrency and rate, and every fact and\n" +
			"field of a specification, such as gpu.driver or output_tokens. Repeats of all experiments in a cell are taken together as repeats.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "col", Usage: "`KEYS` that make the columns; the first column is the baseline", Value: "experiment"},
			&cli.StringFlag{Name: "row", Usage: "`KEYS` that make the rows", Value: "load"},
			&cli.StringFlag{Name: "filter", Usage: "only levels that hold `TERMS`, such as \"gpu:h100* concurrency:8,16 -tag:draft\""},
			&cli.StringFlag{Name: "metric", Usage: "the `FIGURES` to compare", Value: strings.Join(compare.DefaultFigures, ",")},
			&cli.BoolFlag{Name: "csv", Usage: "print CSV, a line a cell"},
			anywayFlag(), jsonFlag(), dbFlag(),
		},
		Action: p.compareAction,
	}
}

func (p *program) compareAction(c *cli.Context) error {
	figures, err := compare.ParseFigures(c.String("metric"))
	if err != nil {
		return usage("--metric: %w", err)
	}
	if c.Bool("csv") && c.Bool("json") {
		return usage("--csv and --json are two forms of one thing; give one of them")
	}
	nb, err := p.look(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	list, err := p.ranges(c, nb)
	if err != nil {
		return err
	}
	var levels []compare.Level
	for _, e := range list {
		run, err := loadRun(c.Context, nb, e, nil)
		if err != nil {
			return err
		}
		levels = append(levels, run.Levels()...)
	}
	o := compare.Options{Figures: figures, Anyway: c.Bool("anyway")}
	if o.Floors, err = floors(c.Context, nb); err != nil {
		return err
	}
	g, err := grid(c, levels, o)
	if err != nil {
		return err
	}
	if g.Refused {
		u := g.Unequal[0]
		return refusal(u.A, u.B, u.Work)
	}
	switch {
	case c.Bool("json"):
		return printJSON(p.out, newGridJSON(g))
	case c.Bool("csv"):
		return p.gridCSV(g)
	}
	p.printGrid(g)
	return nil
}

// grid reads the keys and the filter, and compares.
func grid(c *cli.Context, levels []compare.Level, o compare.Options) (*compare.Grid, error) {
	rows, err := compare.ParseKeys(c.String("row"), levels)
	if err != nil {
		return nil, usage("--row: %w", err)
	}
	cols, err := compare.ParseKeys(c.String("col"), levels)
	if err != nil {
		return nil, usage("--col: %w", err)
	}
	if i := slices.IndexFunc(rows, func(k string) bool { return slices.Contains(cols, k) }); i >= 0 {
		return nil, usage("%s is in --row and in --col; leave it in one of them", rows[i])
	}
	filter, err := compare.ParseFilter(c.String("filter"), levels)
	if err != nil {
		return nil, usage("--filter: %w", err)
	}
	if levels = filter.Choose(levels); len(levels) == 0 {
		return nil, usage("no load of these experiments is left to compare; --filter %q lets none through", c.String("filter"))
	}
	g, err := compare.NewGrid(levels, rows, cols, o)
	if err != nil {
		return nil, usage("%w", err)
	}
	return g, nil
}

// ranges looks up each argument, of which exp-3..exp-9 is every experiment from one to the other
// that is not in the trash.
func (p *program) ranges(c *cli.Context, nb *store.Notebook) ([]*experiment.Experiment, error) {
	if c.NArg() == 0 {
		return nil, usage("compare needs experiments, such as exp-3..exp-9 (`inferbook ls` lists them)")
	}
	var all []*experiment.Experiment
	add := func(e *experiment.Experiment) {
		if !slices.ContainsFunc(all, func(x *experiment.Experiment) bool { return x.ID == e.ID }) {
			all = append(all, e)
		}
	}
	for _, ref := range c.Args().Slice() {
		first, last, isRange := strings.Cut(ref, "..")
		if !isRange {
			e, err := nb.Experiment(c.Context, ref)
			if err != nil {
				return nil, err
			}
			add(e)
			continue
		}
		a, err := nb.Experiment(c.Context, first)
		if err != nil {
			return nil, err
		}
		b, err := nb.Experiment(c.Context, last)
		if err != nil {
			return nil, err
		}
		if a.Number > b.Number {
			return nil, usage("the range %s begins after its end; write %s..%s", ref, last, first)
		}
		list, err := nb.List(c.Context, store.Filter{})
		if err != nil {
			return nil, err
		}
		for _, l := range slices.Backward(list) {
			if l.Number >= a.Number && l.Number <= b.Number {
				add(&l.Experiment)
			}
		}
	}
	return all, nil
}

// printGrid prints a table for each figure.
func (p *program) printGrid(g *compare.Grid) {
	for k, t := range g.Tables {
		if k > 0 {
			fmt.Fprintln(p.out)
		}
		unit := ""
		if u := t.Figure.Metric.Unit; u != "" && u != "ms" { // a latency has its unit with it
			unit = " (" + u + ")"
		}
		fmt.Fprintln(p.out, p.bold(t.Figure.String()+unit))
		var header []any
		for _, key := range g.RowKeys {
			header = append(header, key)
		}
		for j := range g.Cols {
			if header = append(header, keyText(g.ColKeys, g.Cols[j])); j > 0 {
				header = append(header, "÷ "+keyText(g.ColKeys, g.Cols[0]), "")
			}
		}
		tw := newTable(p.out, header...)
		for i, cells := range t.Cells {
			var row []any
			for _, v := range g.Rows[i] {
				row = append(row, dash(v))
			}
			for j, cell := range cells {
				row = append(row, cellText(t.Figure, cell)...)
				if j > 0 && cell.Row == nil {
					row = append(row, "", "")
				}
			}
			tw.AppendRow(row)
		}
		tw.AppendRow(geomeanRow(g, t))
		tw.Render()
		if n := len(t.Cells); t.MeanRows < n && t.MeanRows > 0 {
			fmt.Fprintf(p.out, "geomean over the %d of %d rows that all columns have\n", t.MeanRows, n)
		}
	}
	p.printGridLegend(g)
}

// cellText is a value, and in a later column its ratio to the first and the word.
func cellText(f compare.Figure, c compare.Cell) []any {
	value := ""
	if !math.IsNaN(c.Value) {
		value = figureText(f, c.Value)
	}
	if c.Row == nil {
		return []any{value}
	}
	return []any{value, ratioText(*c.Row), wordText(*c.Row) + " " + chanceText(*c.Row)}
}

func geomeanRow(g *compare.Grid, t compare.Table) []any {
	row := make([]any, len(g.RowKeys))
	row[0] = "geomean"
	for j := 1; j < len(row); j++ {
		row[j] = ""
	}
	for j, m := range t.Geomean {
		value := ""
		if !math.IsNaN(m.Value) {
			value = figureText(t.Figure, m.Value)
		}
		if row = append(row, value); j > 0 {
			ratio := ""
			if !math.IsNaN(m.Ratio) {
				ratio = ratioNumber(m.Ratio)
			}
			row = append(row, ratio, "")
		}
	}
	return row
}

// printGridLegend says what the words, p and n stand for, and what the grid cannot support.
func (p *program) printGridLegend(g *compare.Grid) {
	if g.Corrected > 0 {
		n, test := "repeats", "the exact test of Mann and Whitney"
		if g.Within {
			n, test = "repeats, or where there is one on each side requests of one run or parts of its window", test+", or by what varies within one run each"
		}
		family := ""
		if g.Corrected > 1 {
			family = fmt.Sprintf(", corrected by Holm for the comparisons of a row (up to %d)", g.Corrected)
		}
		fmt.Fprintf(p.out, "\n[95 %%]; %s; p by %s%s; n = %s; %s\n", noDifference, test, family, n, ofRepeats)
	}
	if g.Within {
		fmt.Fprintf(p.out, "%s\n", p.bold(compare.WithinOneRun))
	}
	var list []string
	for _, u := range g.Unequal {
		list = append(list, fmt.Sprintf("Compared although %s and %s did different work (%s).", u.A, u.B, unequalText(u.Work)))
	}
	p.printUnsupported(append(list, g.Notes...))
}

// keyText names a column by the values of its keys; a number says which key it is of.
func keyText(keys, values []string) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = dash(v)
		if _, err := strconv.ParseFloat(v, 64); err == nil || v == "" {
			texts[i] = keys[i] + "=" + texts[i]
		}
	}
	return strings.Join(texts, " ")
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// gridCSV writes a line for each cell that has a value.
func (p *program) gridCSV(g *compare.Grid) error {
	w := csv.NewWriter(p.out)
	header := append([]string{"metric", "unit"}, g.RowKeys...)
	header = append(append(header, g.ColKeys...), "value", "n", "ratio", "ratio_low", "ratio_high", "p", "word")
	if err := w.Write(header); err != nil {
		return err
	}
	for _, t := range g.Tables {
		for i, cells := range t.Cells {
			for j, c := range cells {
				if math.IsNaN(c.Value) {
					continue
				}
				line := append([]string{t.Figure.String(), t.Figure.Metric.Unit}, g.Rows[i]...)
				line = append(append(line, g.Cols[j]...), csvNumber(c.Value), strconv.Itoa(c.N))
				if r := c.Row; r != nil {
					line = append(line, csvNumber(r.Ratio.Value), csvNumber(r.Ratio.Low), csvNumber(r.Ratio.High), csvNumber(r.Ratio.P), string(r.Word))
				} else {
					line = append(line, "", "", "", "", "")
				}
				if err := w.Write(line); err != nil {
					return err
				}
			}
		}
	}
	w.Flush()
	return w.Error()
}

// csvNumber is empty for what is not known.
func csvNumber(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}
