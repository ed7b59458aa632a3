package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
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
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}

// newTable is the house style of a table: no borders, two spaces between columns.
func newTable(w io.Writer, header ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(w)
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
	case math.Abs(v) >= 10_000:
		return fmt.Sprintf("%.1f s", v/1000)
	case math.Abs(v) >= 1_000:
		return fmt.Sprintf("%.2f s", v/1000)
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f ms", v)
	case math.Abs(v) >= 10:
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
	case math.Abs(v) >= 1000:
		return thousands(int64(math.Round(v)))
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// thousands writes 12345 as "12,345".
func thousands(n int64) string {
	if n < 0 {
		return "-" + thousands(-n)
	}
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// interval writes an estimate with its 95 % interval: "312 ms [298 ms, 340 ms]".
// A bound that the count cannot support is shown as ∞.
func interval(e analysis.Estimate, unit func(float64) string) string {
	if math.IsNaN(e.Value) {
		return "–"
	}
	if math.IsNaN(e.Low) || math.IsNaN(e.High) {
		return unit(e.Value)
	}
	return fmt.Sprintf("%s [%s, %s]", unit(e.Value), bound(e.Low, unit), bound(e.High, unit))
}

func bound(v float64, unit func(float64) string) string {
	if math.IsInf(v, 0) {
		return "∞"
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
