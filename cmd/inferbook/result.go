package main

import (
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

func (v *view) printJSON(w io.Writer) error { return printJSON(w, v.runView()) }

// printResult prints what a run found: the table, what the curve's shape says,
// and what the figures cannot support.
func (p *program) printResult(v *view) {
	e := v.Experiment
	fmt.Fprintf(p.out, "%s  %s\n", p.bold(e.Title()), e.Environment.Label())
	fmt.Fprintf(p.out, "%s\n\n", workloadLine(e))
	p.printLevels(v.Curve, e.Spec.Stream)
	p.printLandmarks(v.Curve)
	p.printFailures(v.Failures)
	p.printWarnings(v)
}

// printBarren prints a run in which nothing succeeded: what was tried, and no
// list of what that cannot support.
func (p *program) printBarren(v *view) {
	e := v.Experiment
	fmt.Fprintf(p.out, "%s  %s\n%s\n\n", p.bold(e.Title()), e.Environment.Label(), workloadLine(e))
	p.printLevels(v.Curve, e.Spec.Stream)
}

// workloadLine says in one line what was asked.
func workloadLine(e *experiment.Experiment) string {
	s := e.Spec
	parts := []string{fmt.Sprintf("%s, %s", s.Endpoint, streamWord(s.Stream))}
	if s.Prompt != "" {
		parts = append(parts, "a fixed prompt")
	} else {
		parts = append(parts, fmt.Sprintf("%s → %s tokens ±%g %%", s.InputTokens, s.OutputTokens, s.Jitter*100))
	}
	switch {
	case s.Requests > 0 && s.Duration > 0:
		parts = append(parts, fmt.Sprintf("n=%d or %s a point", s.Requests, time.Duration(s.Duration)))
	case s.Duration > 0:
		parts = append(parts, fmt.Sprintf("%s a point", time.Duration(s.Duration)))
	default:
		parts = append(parts, fmt.Sprintf("n=%d a point", s.Requests))
	}
	parts = append(parts, fmt.Sprintf("closed loop, %d warm-up a worker left out", s.Warmup), repeatsWord(s.Repeats))
	if e.Environment.Simulated() {
		parts = append(parts, "simulated ("+e.Environment.Get(experiment.KeyCalibration).Value+")")
	}
	return strings.Join(parts, " · ")
}

func streamWord(stream bool) string {
	if stream {
		return "streamed"
	}
	return "not streamed"
}

func repeatsWord(n int) string {
	if n == 1 {
		return "one repeat"
	}
	return fmt.Sprintf("%d repeats, shuffled", n)
}

// printLevels prints one line a load level. Square brackets hold 95 % intervals,
// parentheses the range over repeats that are too few for one.
func (p *program) printLevels(c analysis.Curve, stream bool) {
	rate, sure := "out tok/s", " [95 %]"
	repeats := mostRepeats(c)
	switch {
	case repeats >= analysis.RepeatsForInterval:
		rate += sure
	case repeats > 1:
		sure = " (min–max)"
		rate += sure
	}
	ttft, e2e := "TTFT p95"+sure, "E2E p95"+sure
	header := []any{"C", "ok/sent", rate, "req/s", "TTFT p50", ttft, "TPOT p50", "TPOT p95", "E2E p50", e2e, "decoding"}
	if !stream {
		header = []any{"C", "ok/sent", rate, "req/s", "E2E p50", e2e}
	}
	var rows [][]any
	for _, l := range c.Levels {
		ok, sent := 0, 0
		for _, pt := range l.Points {
			ok, sent = ok+pt.OK, sent+pt.Sent
		}
		row := []any{l.Load.Concurrency, fmt.Sprintf("%d/%d", ok, sent), interval(l.OutputThroughput, num), num(l.RequestRate.Value)}
		if stream {
			row = append(row, ms(l.TTFTP50.Value), interval(l.TTFTP95, ms),
				ms(l.TPOTP50.Value), ms(l.TPOTP95.Value))
		}
		row = append(row, ms(l.E2EP50.Value), interval(l.E2EP95, ms))
		if stream {
			row = append(row, num(l.BRun.Value))
		}
		rows = append(rows, row)
	}
	spare := []string{e2e, ttft, "decoding", "req/s", "TPOT p50", "E2E p50"}
	if repeats > 1 {
		spare = slices.Insert(spare, 2, rate)
	}
	printed := p.fit(header, rows, spare...)
	fmt.Fprintln(p.out, legend(repeats, slices.Contains(printed, any(e2e))))
}

// mostRepeats is the number of repeats of the level that has the most.
func mostRepeats(c analysis.Curve) int {
	most := 0
	for _, l := range c.Levels {
		most = max(most, len(l.Points))
	}
	return most
}

// legend says what stands beside the figures of a table of levels.
func legend(repeats int, all bool) string {
	switch {
	case !all:
		return "intervals are left out for want of room; a terminal of 140 columns and `show --json` have them"
	case repeats >= analysis.RepeatsForInterval:
		return "[95 %]: where the median of many such repeats lies with 95 % confidence, from the ranks of these repeats"
	case repeats > 1:
		return fmt.Sprintf("(min–max) over %d repeats; a 95 %% interval needs %d", repeats, analysis.RepeatsForInterval)
	}
	return "[95 %]: where the true p95 lies with 95 % confidence, from the ranks of this run's requests; ∞ = too few requests to bound that side"
}

// printLandmarks prints what the curve's shape says, each with its arithmetic.
func (p *program) printLandmarks(c analysis.Curve) {
	var lines []string
	if f := c.Fit; f != nil {
		sign := "+"
		if f.Beta < 0 {
			sign = "−"
		}
		lines = append(lines, fmt.Sprintf("TPOT ≈ %.2f ms %s %.3f ms × C  (R² %.3f, %d levels)", f.Alpha, sign, math.Abs(f.Beta), f.R2, f.N))
	}
	for _, l := range []struct {
		name string
		mark *analysis.Landmark
	}{{"knee", c.Knee}, {"plateau", c.Plateau}, {"admission limit", c.AdmissionLimit}} {
		if l.mark != nil {
			lines = append(lines, fmt.Sprintf("%s at C=%d: %s  [%s]", l.name, l.mark.Concurrency, l.mark.Because, l.mark.Reading))
		}
	}
	if len(lines) > 0 {
		fmt.Fprintf(p.out, "\n%s\n", strings.Join(lines, "\n"))
	}
}

// digits are what differs between the same warning at two levels.
var digits = regexp.MustCompile(`[0-9][0-9.,]*`)

// printWarnings prints every warning once. Warnings that differ only in their
// numbers are one: the first is printed, with the levels that it concerns.
func (p *program) printWarnings(v *view) {
	type warning struct {
		text   string
		levels []string
	}
	var list []*warning
	known := map[string]*warning{}
	add := func(level, text string) {
		shape := digits.ReplaceAllString(text, "#")
		w := known[shape]
		if w == nil {
			w = &warning{text: text}
			known[shape] = w
			list = append(list, w)
		}
		if level != "" && !slices.Contains(w.levels, level) {
			w.levels = append(w.levels, level)
		}
	}
	for _, text := range slices.Concat(v.Warnings, v.Curve.Warnings) {
		add("", text)
	}
	for _, l := range v.Curve.Levels {
		for _, pt := range l.Points {
			for _, text := range pt.Warnings {
				add(l.Load.String(), text)
			}
		}
	}
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(p.out, "\n%s\n", p.bold("What this cannot support"))
	for _, w := range list {
		switch n := len(w.levels); {
		case n == 0 || n == 1 && len(v.Curve.Levels) == 1:
			fmt.Fprintf(p.out, "  · %s\n", w.text)
		case n == 1:
			fmt.Fprintf(p.out, "  · %s: %s\n", w.levels[0], w.text)
		default:
			fmt.Fprintf(p.out, "  · %s: %s (and likewise at %s)\n", w.levels[0], w.text, strings.Join(w.levels[1:], ", "))
		}
	}
}

// printBetween prints what keeps experiments from being compared side by side.
func (p *program) printBetween(views []*view) {
	list := analysis.Between(curvesOf(views))
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(p.out, "\n%s\n", p.bold("Side by side"))
	for _, text := range list {
		fmt.Fprintf(p.out, "  · %s\n", text)
	}
}

// unique drops repeats and keeps the order.
func unique(list []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}
