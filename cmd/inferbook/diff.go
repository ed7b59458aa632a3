package main

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/compare"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

func (p *program) diffCommand() *cli.Command {
	return &cli.Command{
		Name: "diff", Usage: "two experiments: what differs in the setup, and then in the figures",
		UsageText: examples("inferbook diff exp-3 exp-9", `inferbook diff exp-3 exp-9 --at "ttft<500ms tpot<40ms @95%"`,
			"inferbook diff exp-3 exp-9 --metric tpot.p95,output_throughput"),
		Description: "The first is the baseline. Each load that both have is compared: the ratio with its 95 % interval, and better, worse or ~, which\n" +
			"is that no difference is shown. With --at each side is compared at the largest of its loads that holds the objectives.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "at", Usage: "compare where each side just holds these `OBJECTIVES`, such as \"ttft<500ms tpot<40ms @95%\""},
			&cli.StringFlag{Name: "metric", Usage: "the `FIGURES` to compare, such as ttft.p95,output_throughput", DefaultText: "ttft and tpot p50 and p95, e2e p95, output throughput"},
			anywayFlag(), jsonFlag(), dbFlag(),
		},
		Action: p.diffAction,
	}
}

func anywayFlag() cli.Flag {
	return &cli.BoolFlag{Name: "anyway", Usage: "compare although the two did different work"}
}

func (p *program) diffAction(c *cli.Context) error {
	if c.NArg() != 2 {
		return usage("diff compares two experiments and was given %d: write `inferbook diff exp-3 exp-9`, or `inferbook compare` for more", c.NArg())
	}
	figures, err := figuresFlag(c)
	if err != nil {
		return err
	}
	var at experiment.SLO
	if c.IsSet("at") {
		if at, err = compare.ParseAt(c.String("at")); err != nil {
			return usage("--at: %w", err)
		}
	}
	nb, err := p.look(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	list, err := p.experiments(c, nb)
	if err != nil {
		return err
	}
	if list[0].ID == list[1].ID {
		return usage("both arguments are %s; name two experiments", list[0].Title())
	}
	var runs [2]*compare.Run
	for i, e := range list {
		if runs[i], err = loadRun(c.Context, nb, e, at); err != nil {
			return err
		}
	}
	o := compare.Options{Figures: figures, Anyway: c.Bool("anyway")}
	if o.Floors, err = floors(c.Context, nb); err != nil {
		return err
	}
	return p.diff(c, runs, at, o)
}

// diff compares and prints.
func (p *program) diff(c *cli.Context, runs [2]*compare.Run, at experiment.SLO, o compare.Options) error {
	var points []compare.AtDiff
	var d *compare.Diff
	var err error
	if at == nil {
		d, err = compare.Loads(runs[0], runs[1], o)
	} else {
		d, points, err = compare.At(runs[0], runs[1], at, o)
	}
	if err != nil {
		return err
	}
	if c.Bool("json") {
		err = printJSON(p.out, newDiffJSON(d, at, points))
	} else {
		p.printSetup(d)
		switch {
		case d.Refused:
		case at != nil:
			p.printAt(d, at, points)
		default:
			p.printLoads(d)
		}
		p.printCaveats(d)
	}
	if err == nil && d.Refused {
		err = refusal(d.A.Experiment.Alias(), d.B.Experiment.Alias(), d.Unequal)
	}
	return err
}

// refusal says why two runs are not compared.
func refusal(a, b string, list []compare.Unequal) error {
	return usage("%s and %s did different work, so their figures are not compared (%s); --anyway compares them all the same", a, b, unequalText(list))
}

func unequalText(list []compare.Unequal) string {
	texts := make([]string, len(list))
	for i, u := range list {
		texts[i] = u.String()
	}
	return strings.Join(texts, "; ")
}

// figuresFlag reads --metric; nil where it is not given.
func figuresFlag(c *cli.Context) ([]compare.Figure, error) {
	if !c.IsSet("metric") {
		return nil, nil
	}
	figures, err := compare.ParseFigures(c.String("metric"))
	if err != nil {
		return nil, usage("--metric: %w", err)
	}
	return figures, nil
}

// loadRun gathers an experiment to compare. With an SLO its points are judged by that one.
func loadRun(ctx context.Context, nb *store.Notebook, e *experiment.Experiment, slo experiment.SLO) (*compare.Run, error) {
	points, err := nb.Points(ctx, e.ID)
	if err != nil {
		return nil, err
	}
	r := &compare.Run{Experiment: e, Samples: func(id string) iter.Seq2[experiment.Sample, error] { return nb.Samples(ctx, id) }}
	if slo == nil {
		r.Points, err = summaries(ctx, nb, e, points)
		return r, err
	}
	spec := e.Spec
	spec.SLO, spec.Classes = slo, nil
	for _, pt := range points {
		s, err := analysis.SummariseFor(pt, &spec, nb.Samples(ctx, pt.ID))
		if err != nil {
			return nil, fmt.Errorf("summarising %s of %s: %w", pt.Load, e.Alias(), err)
		}
		r.Points = append(r.Points, s)
	}
	return r, nil
}

// floors reads every noise floor of the notebook.
func floors(ctx context.Context, nb *store.Notebook) (compare.Floors, error) {
	list, err := nb.Noise(ctx, "", "")
	if err != nil {
		return nil, err
	}
	return compare.NewFloors(list), nil
}

// printSetup prints which two experiments are compared, and what differs in their setup.
func (p *program) printSetup(d *compare.Diff) {
	t := newTable(p.out)
	for _, r := range []*compare.Run{d.A, d.B} {
		t.AppendRow([]any{p.bold(r.Experiment.Title()), r.Experiment.Environment.Label(), analysis.WorkloadText(&r.Experiment.Spec)})
	}
	t.Render()
	fmt.Fprintf(p.out, "\n%s\n", p.bold(fmt.Sprintf("Setup (%d of %d differ)", len(d.Setup.Differences), d.Setup.Compared)))
	if len(d.Setup.Differences) > 0 {
		t = newTable(p.out, "", d.A.Experiment.Alias(), d.B.Experiment.Alias(), "")
		for _, x := range d.Setup.Differences {
			t.AppendRow([]any{"  " + x.Key, settingText(x.A), settingText(x.B), className(x.Class)})
		}
		t.Render()
	}
	if n := len(d.Setup.Unknown); n > 0 {
		fmt.Fprintf(p.out, "  known of neither, so they may differ too: %s\n", strings.Join(d.Setup.Unknown, ", "))
	}
}

// settingText cuts a long setting; --json has all of it.
func settingText(s string) string {
	const most = 40
	if s == "" {
		return "–"
	}
	if r := []rune(strings.ReplaceAll(s, "\n", " ")); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func className(c compare.Class) string {
	if c == compare.Confound || c == compare.Work {
		return "⚠ " + string(c)
	}
	return string(c)
}

// printLoads prints a block of figures for each load that both have.
func (p *program) printLoads(d *compare.Diff) {
	a, b := d.A.Experiment.Alias(), d.B.Experiment.Alias()
	if len(d.Levels) == 0 {
		fmt.Fprintf(p.out, "\nThe two have no load in common: %s has %s, and %s has %s. `--at` compares each at its own largest load that holds an SLO.\n",
			a, loadsText(d.OnlyA), b, loadsText(d.OnlyB))
		return
	}
	var rows [][]any
	for _, l := range d.Levels {
		rows = append(rows, figureRows(l.A.Load.String(), l.Rows)...)
	}
	fmt.Fprintln(p.out)
	p.fit([]any{"", "", a, b, "ratio [95 %]", "", "p, n"}, rows, "p, n")
	p.printLegend(d)
	for _, side := range []struct {
		name  string
		loads []experiment.Load
	}{{a, d.OnlyA}, {b, d.OnlyB}} {
		if len(side.loads) > 0 {
			fmt.Fprintf(p.out, "only %s has %s\n", side.name, loadsText(side.loads))
		}
	}
}

// figureRows are the lines of one load.
func figureRows(load string, list []compare.Row) [][]any {
	var rows [][]any
	for i, r := range list {
		if i > 0 {
			load = ""
		}
		rows = append(rows, []any{load, figureName(r.Figure), figureText(r.Figure, r.A), figureText(r.Figure, r.B), ratioText(r), wordText(r), chanceText(r)})
	}
	return rows
}

// figureName is a figure as a table names it.
func figureName(f compare.Figure) string {
	name := strings.ReplaceAll(f.String(), "_", " ")
	switch name {
	case "output throughput":
		return "out tok/s"
	case "output throughput per gpu":
		return "out tok/s/GPU"
	}
	for _, latency := range []string{"ttft", "tpot", "e2e", "icl"} {
		if rest, ok := strings.CutPrefix(name, latency); ok {
			return strings.ToUpper(latency) + strings.Replace(rest, ".", " ", 1)
		}
	}
	return strings.Replace(name, ".", " ", 1)
}

// figureText writes a value of the figure in its unit.
func figureText(f compare.Figure, v float64) string {
	if f.Metric.Unit == "ms" {
		return ms(v)
	}
	if f.Metric.Unit == "" && !math.IsNaN(v) {
		return fmt.Sprintf("%.3g", v)
	}
	return num(v)
}

// ratioText is a ratio with its interval, "0.962 [0.948, 0.976]".
func ratioText(r compare.Row) string {
	q := r.Ratio
	if math.IsNaN(q.Value) {
		return "–"
	}
	text := ratioNumber(q.Value)
	if !math.IsNaN(q.Low) && !math.IsNaN(q.High) && !(math.IsInf(q.Low, 0) && math.IsInf(q.High, 0)) {
		text += fmt.Sprintf(" [%s, %s]", bound(q.Low, ratioNumber), bound(q.High, ratioNumber))
	}
	return text
}

// ratioNumber shows a ratio near 1 to a thousandth, and others to three digits.
func ratioNumber(v float64) string {
	switch {
	case v < 0.1 || v >= 1000:
		return fmt.Sprintf("%.3g", v)
	case v < 10:
		return fmt.Sprintf("%.3f", v)
	}
	return num(v)
}

// wordText is what the comparison comes to.
func wordText(r compare.Row) string {
	if r.UnderFloor {
		return fmt.Sprintf("~ (under the noise floor of %.3g %%)", 100*r.Floor)
	}
	return string(r.Word)
}

// chanceText is the corrected probability and the counts, as benchstat has them.
func chanceText(r compare.Row) string {
	n := fmt.Sprintf("n=%d+%d", r.Ratio.NA, r.Ratio.NB)
	if r.Ratio.NA == r.Ratio.NB {
		n = fmt.Sprintf("n=%d", r.Ratio.NA)
	}
	switch p := r.Ratio.P; {
	case r.Word == compare.NoWord:
		return ""
	case math.IsNaN(p):
		return n
	case p < 0.001:
		return "p<0.001 " + n
	default:
		return fmt.Sprintf("p=%.3f %s", p, n)
	}
}

func loadsText(list []experiment.Load) string {
	texts := make([]string, len(list))
	for i, l := range list {
		texts[i] = l.String()
	}
	if len(texts) == 0 {
		return "none"
	}
	return strings.Join(texts, ", ")
}

// What the legends of diff and compare say of ~, and of the figures and ratios of several repeats.
const (
	noDifference = "~ = no difference shown: 1 lies within the interval, or p is 0.05 or more"
	ofRepeats    = "figures are medians over the repeats, a ratio is of geometric means"
)

// printLegend says what the words, p and n stand for.
func (p *program) printLegend(d *compare.Diff) {
	corrected := 0
	for _, l := range d.Levels {
		corrected = max(corrected, l.Corrected)
	}
	n, test, values := "repeats", "the exact test of Mann and Whitney", ofRepeats
	if d.Within {
		n, test, values = "requests of one run, or parts of its window", "what varies within the runs", "figures are of one run each"
	}
	family := ""
	if corrected > 1 {
		family = fmt.Sprintf(", corrected by Holm for the %d figures of each load", corrected)
	}
	fmt.Fprintf(p.out, "ratio: %s ÷ %s; %s; p by %s%s; n = %s; %s\n",
		d.B.Experiment.Alias(), d.A.Experiment.Alias(), noDifference, test, family, n, values)
	if d.Within {
		fmt.Fprintf(p.out, "%s\n", p.bold(compare.WithinOneRun))
	}
}

// printCaveats prints what keeps the comparison from saying more.
func (p *program) printCaveats(d *compare.Diff) {
	var list []string
	if len(d.Unequal) > 0 && !d.Refused {
		list = append(list, "Compared although the two did different work ("+unequalText(d.Unequal)+"): a ratio ranks the work as much as the servers.")
	}
	if n := d.Setup.Of(compare.Confound); len(n) > 0 && len(d.Levels) > 0 {
		keys := make([]string, len(n))
		for i, x := range n {
			keys[i] = x.Key
		}
		list = append(list, "A difference in the figures may come from "+strings.Join(keys, ", ")+", and not from what was to be compared.")
	}
	list = append(list, d.Notes...)
	for _, l := range d.Levels {
		for _, n := range l.Notes {
			list = append(list, l.A.Load.String()+": "+n)
		}
	}
	p.printUnsupported(append(list, lacks(d.Levels)...))
}

// printUnsupported prints, each once, what a comparison cannot support.
func (p *program) printUnsupported(list []string) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(p.out, "\n%s\n", p.bold("What this cannot support"))
	for _, text := range unique(list) {
		fmt.Fprintf(p.out, "  · %s\n", text)
	}
}

// lacks says what figures lack, those that lack the same in one line.
func lacks(levels []compare.LevelDiff) []string {
	var whys []string
	of := map[string][]string{}
	for _, l := range levels {
		for _, r := range l.Rows {
			var lacking []string
			if r.Within { // of repeats the notes tell
				lacking = slices.Clone(r.Ratio.Warnings)
			}
			if r.Why != "" {
				lacking = append(lacking, r.Why)
			}
			for _, why := range lacking {
				whys = append(whys, why)
				of[why] = append(of[why], r.Figure.String())
			}
		}
	}
	var list []string
	for _, why := range unique(whys) {
		list = append(list, strings.Join(unique(of[why]), ", ")+": "+why)
	}
	return list
}
