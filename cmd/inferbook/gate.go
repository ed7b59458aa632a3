package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/compare"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

func (p *program) gateCommand() *cli.Command {
	return &cli.Command{
		Name: "gate", Usage: "is an experiment worse than its baseline? for CI, by its exit status",
		UsageText: examples(
			"inferbook gate exp-9 --baseline exp-3 --metric ttft.p95:+5% --metric output_throughput:-3%",
			"inferbook gate last --baseline @main --metric tpot.p50:+2% --markdown >> \"$GITHUB_STEP_SUMMARY\"",
			"inferbook gate last --baseline @main --metric ttft.p95:+5% --load c=8"),
		Description: "Each figure has a change that is allowed. It is ok where the whole 95 % interval of the ratio lies within that, worse where the\n" +
			"whole of it lies beyond and chance is ruled out for all figures and loads at once (Holm), else inconclusive. @NAME is the newest\n" +
			"complete experiment with that tag. The exit status is 0 for ok, 3 for worse and 4 for inconclusive.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "baseline", Aliases: []string{"b"}, Usage: "the `EXPERIMENT` to hold it against, or @TAG"},
			&cli.StringSliceFlag{Name: "metric", Usage: "a `FIGURE:CHANGE` that is allowed, such as ttft.p95:+5% (may be repeated)"},
			&cli.StringSliceFlag{Name: "load", Usage: "only at this `LOAD`, such as c=8 or rate=2 (may be repeated)", DefaultText: "all that both have"},
			&cli.BoolFlag{Name: "allow-inconclusive", Usage: "exit with 0 where nothing is worse, even if not everything is known to be ok"},
			&cli.BoolFlag{Name: "markdown", Usage: "print Markdown, for a comment on a pull request"},
			anywayFlag(), jsonFlag(), dbFlag(),
		},
		Action: p.gateAction,
	}
}

func (p *program) gateAction(c *cli.Context) error {
	ref, err := oneRef(c, "an experiment")
	if err != nil {
		return err
	}
	allowances, err := allowancesOf(c)
	if err != nil {
		return err
	}
	nb, err := p.look(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	d, err := gateDiff(c, nb, ref, allowances)
	if err != nil {
		return err
	}
	g, err := compare.NewGate(d, allowances)
	if err != nil {
		return err
	}
	switch {
	case c.Bool("json"):
		err = printJSON(p.out, newGateJSON(d, g))
	case c.Bool("markdown"):
		p.printGateMarkdown(d, g)
	default:
		p.printGate(d, g)
	}
	return cmp.Or(err, gateStatus(g, c.Bool("allow-inconclusive")))
}

// allowancesOf reads the flags.
func allowancesOf(c *cli.Context) ([]compare.Allowance, error) {
	if !c.IsSet("baseline") {
		return nil, usage("gate needs a baseline; give --baseline exp-3, or --baseline @main for the newest experiment with the tag main")
	}
	if c.Bool("json") && c.Bool("markdown") {
		return nil, usage("gate was given both --json and --markdown; give one")
	}
	var out []compare.Allowance
	for _, text := range c.StringSlice("metric") {
		a, err := compare.ParseAllowance(text)
		if err != nil {
			return nil, usage("--metric: %w", err)
		}
		if slices.ContainsFunc(out, func(b compare.Allowance) bool { return b.Figure.String() == a.Figure.String() }) {
			return nil, usage("--metric names %s twice; keep one of them", a.Figure)
		}
		out = append(out, a)
	}
	if len(out) == 0 {
		return nil, usage("gate needs a figure and the change that is allowed, such as --metric ttft.p95:+5%%")
	}
	return out, nil
}

// gateDiff compares the candidate with its baseline.
func gateDiff(c *cli.Context, nb *store.Notebook, ref string, allowances []compare.Allowance) (*compare.Diff, error) {
	var runs [2]*compare.Run
	for i, name := range []string{c.String("baseline"), ref} {
		e, err := tagged(c.Context, nb, name)
		if err != nil {
			return nil, err
		}
		if e.Status != experiment.Complete {
			return nil, fmt.Errorf("%s is not complete but %s, so nothing is decided by it", e.Title(), e.Status)
		}
		if runs[i], err = loadRun(c.Context, nb, e, nil); err != nil {
			return nil, err
		}
		if err := onlyLoads(runs[i], c.StringSlice("load")); err != nil {
			return nil, err
		}
	}
	a, b := runs[0].Experiment, runs[1].Experiment
	if a.ID == b.ID {
		return nil, usage("%s is both the candidate and the baseline; name two experiments", a.Title())
	}
	o := compare.Options{Anyway: c.Bool("anyway")}
	for _, x := range allowances {
		o.Figures = append(o.Figures, x.Figure)
	}
	var err error
	if o.Floors, err = floors(c.Context, nb); err != nil {
		return nil, err
	}
	d, err := compare.Loads(runs[0], runs[1], o)
	switch {
	case err != nil:
		return nil, err
	case d.Refused:
		return nil, refusal(a.Alias(), b.Alias(), d.Unequal)
	case len(d.Levels) == 0:
		return nil, usage("the two have no load in common: %s has %s, and %s has %s", a.Alias(), loadsText(d.OnlyA), b.Alias(), loadsText(d.OnlyB))
	case len(d.Levels[0].Rows) < len(allowances):
		return nil, usage("%s", d.Notes[0]) // which figures cannot be compared for the work they did
	}
	return d, nil
}

// tagged finds an experiment by its name, or for @NAME the newest complete one with
// that tag.
func tagged(ctx context.Context, nb *store.Notebook, name string) (*experiment.Experiment, error) {
	tag, ok := strings.CutPrefix(name, "@")
	if !ok {
		return nb.Experiment(ctx, name)
	}
	list, err := nb.List(ctx, store.Filter{Tag: tag, Status: experiment.Complete, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no complete experiment has the tag %q; `inferbook tag exp-3 %[1]s` sets it", tag)
	}
	return &list[0].Experiment, nil
}

// onlyLoads leaves the named loads of a run, in any variant; none named = all.
func onlyLoads(r *compare.Run, names []string) error {
	if len(names) == 0 {
		return nil
	}
	var have []string
	bare := func(l experiment.Load) string { l.Variant = ""; return l.String() }
	for i := range r.Points {
		have = append(have, bare(r.Points[i].Point.Load))
	}
	for _, n := range names {
		if !slices.Contains(have, n) {
			return usage("%s has no load %s; it has %s", r.Experiment.Alias(), n, strings.Join(unique(have), ", "))
		}
	}
	r.Points = slices.DeleteFunc(r.Points, func(s analysis.PointSummary) bool { return !slices.Contains(names, bare(s.Point.Load)) })
	return nil
}

// gateStatus gives the exit status of a gate.
func gateStatus(g *compare.Gate, allow bool) error {
	switch {
	case g.Verdict == compare.Fail:
		return &exitError{exitConflict, errors.New("worse than the baseline by more than is allowed")}
	case g.Verdict == compare.Inconclusive && !allow:
		return &exitError{exitInconclusive, errors.New("inconclusive: the intervals reach beyond what is allowed; more requests or repeats narrow them, and --allow-inconclusive lets this pass")}
	}
	return nil
}

// gateJSON is what `gate --json` prints.
type gateJSON struct {
	document
	Baseline  string            `json:"baseline"`
	Candidate string            `json:"candidate"`
	Verdict   compare.Verdict   `json:"verdict"`
	Tests     int               `json:"tests_corrected_for"`
	Loads     []gateLoadJSON    `json:"loads"`
	OnlyA     []experiment.Load `json:"only_in_baseline"`
	OnlyB     []experiment.Load `json:"only_in_candidate"`
	Setup     compare.Setup     `json:"setup"`
	Notes     []string          `json:"notes"`
}

type gateLoadJSON struct {
	Load    experiment.Load  `json:"load"`
	Rulings []compare.Ruling `json:"rulings"`
}

func newGateJSON(d *compare.Diff, g *compare.Gate) gateJSON {
	j := gateJSON{document: document{"inferbook.gate/1"}, Baseline: d.A.Experiment.Alias(), Candidate: d.B.Experiment.Alias(),
		Verdict: g.Verdict, Tests: g.Tests, OnlyA: orEmpty(d.OnlyA), OnlyB: orEmpty(d.OnlyB), Setup: d.Setup, Notes: orEmpty(g.Notes)}
	for n, l := range d.Levels {
		j.Loads = append(j.Loads, gateLoadJSON{l.A.Load, g.Rulings[n]})
	}
	return j
}

// gateRow is one ruling as it is printed.
func gateRow(l compare.LevelDiff, r compare.Ruling) []string {
	figure := func(v float64) string { return figureText(r.Figure, v) }
	allowed := r.Allowance.String()
	return []string{l.A.Load.String(), r.Figure.String(), figure(r.A), figure(r.B), changeText(r), allowed[strings.Index(allowed, ":")+1:], string(r.Verdict), r.Because}
}

// changeText writes a ratio to the baseline and its interval as changes: "+7.2 % [+3.1, +11]".
func changeText(r compare.Ruling) string {
	change := func(ratio float64) string {
		switch {
		case math.IsInf(ratio, 1):
			return "∞"
		case math.IsInf(ratio, -1):
			return "−∞"
		}
		text := fmt.Sprintf("%+.3g", 100*(ratio-1))
		if ratio > 11 {
			text = fmt.Sprintf("%+.0f", 100*(ratio-1))
		}
		return strings.Replace(text, "-", "−", 1)
	}
	switch {
	case math.IsNaN(r.Ratio.Value):
		return "–"
	case math.IsNaN(r.Low) || math.IsInf(r.Low, 0) && math.IsInf(r.High, 0):
		return change(r.Ratio.Value) + " %"
	}
	return fmt.Sprintf("%s %% [%s, %s]", change(r.Ratio.Value), change(r.Low), change(r.High))
}

var gateHeader = []string{"load", "metric", "baseline", "candidate", "change [95 %]", "allowed", "verdict", "because"}

// gateHead says what was compared and what came of it.
func gateHead(d *compare.Diff, g *compare.Gate) string {
	what := map[compare.Verdict]string{compare.Pass: "is ok against", compare.Fail: "is worse than", compare.Inconclusive: "cannot be told from something worse than"}
	return fmt.Sprintf("%s %s its baseline %s", d.B.Experiment.Title(), what[g.Verdict], d.A.Experiment.Title())
}

func (p *program) printGate(d *compare.Diff, g *compare.Gate) {
	fmt.Fprintf(p.out, "%s\n", p.bold(gateHead(d, g)))
	for _, r := range []*compare.Run{d.A, d.B} {
		fmt.Fprintf(p.out, "  %s  %s · %s\n", r.Experiment.Alias(), r.Experiment.Environment.Label(), analysis.WorkloadText(&r.Experiment.Spec))
	}
	fmt.Fprintln(p.out)
	header := make([]any, len(gateHeader))
	for i, h := range gateHeader {
		header[i] = h
	}
	var rows [][]any
	for n, l := range d.Levels {
		for _, r := range g.Rulings[n] {
			var row []any
			for _, cell := range gateRow(l, r) {
				row = append(row, cell)
			}
			rows = append(rows, row)
		}
	}
	p.fit(header, rows, "because")
	if notes := gateNotes(d, g); len(notes) > 0 {
		fmt.Fprintln(p.out)
		for _, text := range notes {
			fmt.Fprintf(p.out, "  · %s\n", text)
		}
	}
}

// printGateMarkdown prints the same for a comment on a pull request.
func (p *program) printGateMarkdown(d *compare.Diff, g *compare.Gate) {
	mark := map[compare.Verdict]string{compare.Pass: "✅", compare.Fail: "❌", compare.Inconclusive: "❔"}
	cell := strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;")
	fmt.Fprintf(p.out, "### %s %s\n\n", mark[g.Verdict], cell.Replace(gateHead(d, g)))
	fmt.Fprintf(p.out, "| %s |\n|%s\n", strings.Join(gateHeader, " | "), strings.Repeat(" --- |", len(gateHeader)))
	for n, l := range d.Levels {
		for _, r := range g.Rulings[n] {
			row := gateRow(l, r)
			row[6] = mark[r.Verdict] + " " + row[6]
			for i := range row {
				row[i] = cell.Replace(row[i])
			}
			fmt.Fprintf(p.out, "| %s |\n", strings.Join(row, " | "))
		}
	}
	fmt.Fprintln(p.out)
	for _, r := range []*compare.Run{d.A, d.B} {
		fmt.Fprintf(p.out, "- %s: %s · %s\n", r.Experiment.Alias(), cell.Replace(r.Experiment.Environment.Label()), cell.Replace(analysis.WorkloadText(&r.Experiment.Spec)))
	}
	for _, text := range gateNotes(d, g) {
		fmt.Fprintf(p.out, "- %s\n", cell.Replace(text))
	}
}

// gateNotes says what the verdict rests on beside its figures.
func gateNotes(d *compare.Diff, g *compare.Gate) []string {
	var out []string
	for _, c := range []compare.Class{compare.Intended, compare.Confound} {
		var keys []string
		for _, x := range d.Setup.Of(c) {
			keys = append(keys, fmt.Sprintf("%s (%s → %s)", x.Key, settingText(x.A), settingText(x.B)))
		}
		if len(keys) > 0 {
			what := map[compare.Class]string{compare.Intended: "What was changed", compare.Confound: "What differs besides, and may explain a difference"}[c]
			out = append(out, what+": "+strings.Join(keys, ", ")+".")
		}
	}
	for _, side := range []struct {
		run   *compare.Run
		loads []experiment.Load
	}{{d.A, d.OnlyA}, {d.B, d.OnlyB}} {
		if len(side.loads) > 0 {
			out = append(out, fmt.Sprintf("Only %s has %s, so nothing is decided there.", side.run.Experiment.Alias(), loadsText(side.loads)))
		}
	}
	return append(out, g.Notes...)
}
