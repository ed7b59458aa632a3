package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
	"github.com/inferbook/inferbook/reports/figure"
)

// figureKinds are the figures that curve draws, by the name a person gives.
var figureKinds = []string{"ttft", "interactivity", "pareto", "load", "ecdf", "timeline"}

// sharedKinds is how many of the first figureKinds show several experiments at once.
const sharedKinds = 3

func (p *program) curveCommand() *cli.Command {
	return &cli.Command{
		Name: "curve", Usage: "throughput against latency: the table, what its shape says, and figures",
		UsageText: examples("inferbook curve exp-3", "inferbook curve exp-3 exp-4 -o curve.svg", "inferbook curve exp-3 --figure load -o load.png",
			"inferbook curve exp-3 --figure timeline --at 8 -o timeline.pdf", "inferbook curve exp-3 -o figures/                every figure",
			"inferbook curve --pareto exp-3 exp-4 exp-5 -o pareto.svg"),
		Description: "--pareto asks which of several experiments offer something that no other beats, between the speed of one\n" +
			"user's stream and the work of one GPU.\n\nFigures: " + strings.Join(figureKinds, ", ") + ". The format is the file's ending: svg, png or pdf.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "draw into `FILE`, or every figure into FOLDER/"},
			&cli.StringFlag{Name: "figure", Usage: "`KIND` of figure: " + strings.Join(figureKinds, ", "), Value: "ttft"},
			&cli.Float64Flag{Name: "at", Usage: "the load `LEVEL` of a timeline, a concurrency or a rate", DefaultText: "the highest"},
			&cli.BoolFlag{Name: "pareto", Usage: "the Pareto frontier of several experiments: which levels no other beats"},
			jsonFlag(), dbFlag(),
		},
		Action: p.curveAction,
	}
}

func (p *program) curveAction(c *cli.Context) error {
	kind := c.String("figure")
	if c.Bool("pareto") && !c.IsSet("figure") {
		kind = "pareto"
	}
	if !slices.Contains(figureKinds, kind) {
		return usage("there is no figure %q; write one of %s", kind, strings.Join(figureKinds, ", "))
	}
	out := c.String("output")
	if out != "" && !isFolder(out) {
		if _, err := figure.FormatOf(out); err != nil {
			return usage("%w", err)
		}
	}
	nb, err := p.look(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	views, err := p.views(c, nb)
	if err != nil {
		return err
	}
	switch {
	case c.Bool("pareto") && c.Bool("json"):
		if err := p.printFrontierJSON(views); err != nil {
			return err
		}
	case c.Bool("pareto") && !isFolder(out):
		p.printFrontier(views)
	case c.Bool("json"):
		if err := printJSON(p.out, struct {
			document
			Curves   []analysis.Curve    `json:"curves"`
			Verdicts []experimentVerdict `json:"verdicts"`
		}{document{"inferbook.curve/1"}, curvesOf(views), verdictsOf(views)}); err != nil {
			return err
		}
	case out == "":
		for i, v := range views {
			if i > 0 {
				fmt.Fprintln(p.out)
			}
			p.printResult(v)
		}
		p.printBetween(views)
	}
	if out == "" {
		return nil
	}
	if !c.Bool("json") {
		p.hintVerdicts(views)
	}
	if isFolder(out) {
		_, err = p.drawAll(c.Context, nb, views, out, figure.SVG)
		return err
	}
	f, err := drawOne(c.Context, nb, views, kind, c.Float64("at"))
	if err != nil {
		return err
	}
	if err := f.Save(out); err != nil {
		return err
	}
	if !c.Bool("json") {
		fmt.Fprintln(p.out, out)
	}
	return nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return strings.HasSuffix(path, "/") || err == nil && info.IsDir()
}

// views loads the experiments that the arguments name.
func (p *program) views(c *cli.Context, nb *store.Notebook) ([]*view, error) {
	list, err := p.experiments(c, nb)
	if err != nil {
		return nil, err
	}
	var views []*view
	for _, e := range list {
		v, err := loadView(c.Context, nb, e)
		if err != nil {
			return nil, err
		}
		views = append(views, v)
	}
	return views, nil
}

// curvesOf gives the curve of each view.
func curvesOf(views []*view) []analysis.Curve {
	var curves []analysis.Curve
	for _, v := range views {
		curves = append(curves, v.Curves...)
	}
	return curves
}

// drawOne draws one figure of the kind asked for.
func drawOne(ctx context.Context, nb *store.Notebook, views []*view, kind string, at float64) (*figure.Figure, error) {
	switch kind {
	case "ttft":
		return figure.ThroughputVsTTFT(curvesOf(views))
	case "interactivity":
		return figure.ThroughputVsInteractivity(curvesOf(views))
	case "pareto":
		return figure.Pareto(curvesOf(views))
	}
	if len(views) != 1 {
		return nil, usage("the figure %s shows one experiment and was given %d", kind, len(views))
	}
	v := views[0]
	switch kind {
	case "load":
		return figure.LatencyVsLoad(v.Curve)
	case "ecdf":
		return drawECDF(ctx, nb, v)
	}
	return drawTimeline(ctx, nb, v, at)
}

// drawECDF draws the distribution of TTFT at each level: of the first repeat,
// since repeats are never pooled.
func drawECDF(ctx context.Context, nb *store.Notebook, v *view) (*figure.Figure, error) {
	ttft, _ := analysis.MetricByName("ttft")
	var series []figure.Series
	for _, l := range v.Curve.Levels {
		pt := l.Points[0].Point
		one := figure.Series{Name: pt.Load.String()}
		for s, err := range nb.Samples(ctx, pt.ID) {
			if err != nil {
				return nil, err
			}
			if s.Phase != experiment.Measured || s.Outcome != experiment.OK {
				continue
			}
			if x, ok := ttft.Of(&s); ok {
				one.Values = append(one.Values, x)
			}
		}
		if len(one.Values) > 0 {
			series = append(series, one)
		}
	}
	if len(series) == 0 {
		return nil, fmt.Errorf("%s has no TTFT to draw: it was not streamed, or nothing succeeded; run with --stream", v.Experiment.Alias())
	}
	title := "TTFT of each request, " + v.Curve.Title
	if v.Experiment.Spec.Repeats > 1 {
		title += " (first repeat)"
	}
	return figure.TTFTECDF(title, v.Curve.Label, series)
}

// drawTimeline draws the requests of one point.
func drawTimeline(ctx context.Context, nb *store.Notebook, v *view, at float64) (*figure.Figure, error) {
	if len(v.Points) == 0 {
		return nil, fmt.Errorf("%s has no point to draw", v.Experiment.Alias())
	}
	var found *analysis.PointSummary
	var have []string
	for i := range v.Curve.Levels {
		l := &v.Curve.Levels[i]
		have = append(have, num(l.Load.Level()))
		if l.Load.Level() == at || at == 0 {
			found = &l.Points[0]
		}
	}
	if found == nil {
		return nil, usage("%s has no level %g; it has %s", v.Experiment.Alias(), at, strings.Join(have, ", "))
	}
	var samples []experiment.Sample
	for s, err := range nb.Samples(ctx, found.Point.ID) {
		if err != nil {
			return nil, err
		}
		samples = append(samples, s)
	}
	return figure.Timeline("Timeline of "+v.Curve.Title+", "+found.Point.Load.String(), v.Curve.Label, samples, found.Point.Window)
}

// drawnFigure is a figure and the file that it was written to.
type drawnFigure struct {
	*figure.Figure
	Path string
}

// drawAll draws every figure that the experiments can support into a folder. A
// figure that they cannot support is left out, and why is said.
func (p *program) drawAll(ctx context.Context, nb *store.Notebook, views []*view, folder string, format figure.Format) ([]drawnFigure, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder for figures: %w", err)
	}
	type task struct {
		views        []*view
		kind, prefix string
	}
	var tasks []task
	for _, kind := range figureKinds[:sharedKinds] {
		if kind == "pareto" && len(curvesOf(views)) < 2 {
			continue // the frontier of one curve is that curve
		}
		tasks = append(tasks, task{views, kind, ""})
	}
	for _, v := range views {
		for _, kind := range figureKinds[sharedKinds:] {
			tasks = append(tasks, task{[]*view{v}, kind, v.Experiment.Alias() + "-"})
		}
	}
	var drawn []drawnFigure
	for _, t := range tasks {
		f, err := drawOne(ctx, nb, t.views, t.kind, 0)
		if err != nil {
			p.hint("figure %s%s left out: %v", t.prefix, t.kind, err)
			continue
		}
		path := filepath.Join(folder, t.prefix+f.Name+"."+strings.ToLower(string(format)))
		if err := f.Save(path); err != nil {
			return nil, err
		}
		p.hint("wrote %s", path)
		drawn = append(drawn, drawnFigure{f, path})
	}
	return drawn, nil
}
