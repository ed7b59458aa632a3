package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"

	"github.com/inferbook/inferbook/analysis"
)

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// document is the head of everything printed as JSON: the schema says what
// follows, and grows by addition only.
type document struct {
	Schema string `json:"schema"`
}

// printJSON writes v, which embeds a document, in indented form.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false) // it is read by people and programs, not by browsers
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	return nil
}

// newTable is the house style of a table: no borders, two spaces between columns.
// It is rendered to w; with nil only Render gives it.
func newTable(w io.Writer, header ...any) table.Writer {
	t := table.NewWriter()
	if w != nil {
		t.SetOutputMirror(w)
	}
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format = table.FormatOptions{}
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	if len(header) > 0 {
		t.AppendHeader(header)
	}
	return t
}

// fit prints a table without what its reader's terminal has no room for: the
// columns named in spare go, in that order. A pipe gets all of them. It gives the
// header as it was printed.
func (p *program) fit(header []any, rows [][]any, spare ...string) []any {
	width := p.width()
	for {
		t := newTable(nil, header...)
		for _, row := range rows {
			t.AppendRow(row)
		}
		table := t.Render()
		if width == 0 || len(spare) == 0 || longestLine(table) <= width {
			fmt.Fprintln(p.out, table)
			return header
		}
		if i := slices.Index(header, any(spare[0])); i >= 0 {
			header = narrow(header, i, spare[0])
			for r := range rows {
				rows[r] = narrow(rows[r], i, spare[0])
			}
		}
		spare = spare[1:]
	}
}

// narrow gives a copy of a row without its i-th cell, or without that cell's
// interval or range where the column has such.
func narrow(row []any, i int, column string) []any {
	row = slices.Clone(row)
	if !strings.HasSuffix(column, "]") && !strings.HasSuffix(column, ")") {
		return slices.Delete(row, i, i+1)
	}
	cell := fmt.Sprint(row[i])
	if end := strings.IndexAny(cell, "[("); end > 0 {
		cell = strings.TrimSpace(cell[:end])
	}
	row[i] = cell
	return row
}

// longestLine is the width of a text in terminal columns.
func longestLine(s string) int {
	most := 0
	for line := range strings.SplitSeq(s, "\n") {
		most = max(most, text.StringWidthWithoutEscSequences(line))
	}
	return most
}

// width is how many columns the output has; 0 = no limit.
func (p *program) width() int {
	if n, err := strconv.Atoi(p.env("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if p.columns == nil || !p.outTTY {
		return 0
	}
	return p.columns()
}

// terminalColumns is the width of the terminal on standard output; 0 = it has none.
func terminalColumns() int {
	n, _, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		return 0
	}
	return n
}

// bold marks a heading on a terminal that wants colour.
func (p *program) bold(s string) string {
	if !p.outTTY || p.env("NO_COLOR") != "" || p.env("TERM") == "dumb" {
		return s
	}
	return "\x1b[1m" + s + "\x1b[0m"
}

// ms writes a latency in milliseconds as a person reads it; a dash for none.
func ms(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case math.IsInf(v, 0):
		return "∞"
	case v < 0:
		return "−" + ms(-v)
	case v >= 10_000:
		return fmt.Sprintf("%.1f s", v/1000)
	case v >= 1_000:
		return fmt.Sprintf("%.2f s", v/1000)
	case v >= 100:
		return fmt.Sprintf("%.0f ms", v)
	case v >= 10:
		return fmt.Sprintf("%.1f ms", v)
	}
	return fmt.Sprintf("%.2f ms", v)
}

// num writes a number with three significant digits, and a dash for none.
func num(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case math.IsInf(v, 0):
		return "∞"
	case v < 0:
		return "−" + num(-v)
	case v >= 1000:
		return thousands(int64(math.Round(v)))
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// plural writes a count with its noun: "1 note", "2 notes".
func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%s %s", thousands(int64(n)), noun)
}

// thousands writes 12345 as "12,345".
func thousands(n int64) string {
	if n < 0 {
		return "−" + thousands(-n)
	}
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// interval writes an estimate with its 95 % interval, "312 ms [298 ms, 340 ms]",
// or with its range over repeats that are too few for one: "312 ms (298–340)".
// A bound that the count cannot support is shown as ∞; with neither bound there
// is no interval to show.
func interval(e analysis.Estimate, unit func(float64) string) string {
	if math.IsNaN(e.Value) {
		return "–"
	}
	if least, most, ok := e.Spread(); ok {
		return unit(e.Value) + " (" + between(unit(least), unit(most), unit(e.Value)) + ")"
	}
	if math.IsNaN(e.Low) || math.IsNaN(e.High) || math.IsInf(e.Low, 0) && math.IsInf(e.High, 0) {
		return unit(e.Value)
	}
	return fmt.Sprintf("%s [%s, %s]", unit(e.Value), bound(e.Low, unit), bound(e.High, unit))
}

// between writes a range after a value, without units where all three have the same.
func between(least, most, value string) string {
	_, unit, _ := strings.Cut(value, " ")
	if a, ok := strings.CutSuffix(least, " "+unit); ok {
		if b, ok := strings.CutSuffix(most, " "+unit); ok {
			return a + "–" + b
		}
	}
	return least + "–" + most
}

func bound(v float64, unit func(float64) string) string {
	switch {
	case math.IsInf(v, 1):
		return "∞"
	case math.IsInf(v, -1):
		return "−∞"
	}
	return unit(v)
}

// when writes a time in the person's own zone, to the minute.
func when(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.Local().Format("2006-01-02 15:04")
}
