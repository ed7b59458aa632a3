package main

import (
	"context"
	"fmt"
	"math"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment/store"
)

func (p *program) calibrationCommand() *cli.Command {
	return &cli.Command{
		Name: "calibration", Usage: "how good your guesses have been, the ones made with run --expect",
		UsageText: examples("inferbook run --stream -n 50 --expect \"ttft.p95<300ms @80%\"   a guess, and how sure you are", "inferbook calibration", "inferbook calibration --json"),
		Description: "A guess about several levels is one guess, which has to hold at each of them. The hit rate leaves out those\n" +
			"that cannot be told, because the interval of the figure straddles the bound.",
		Flags:  []cli.Flag{jsonFlag(), dbFlag()},
		Action: p.calibrationAction,
	}
}

func (p *program) calibrationAction(c *cli.Context) error {
	if c.NArg() > 0 {
		return usage("calibration takes no argument; to see how one experiment's guesses came out use `inferbook show %s`", c.Args().First())
	}
	nb, err := p.look(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	scores, err := allScores(c.Context, nb)
	if err != nil {
		return err
	}
	cal := analysis.Calibrate(scores)
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			Calibration analysis.Calibration `json:"calibration"`
		}{document{"inferbook.calibration/1"}, cal})
	}
	if len(scores) == 0 {
		fmt.Fprintln(p.out, "There is no guess in this notebook: say what you expect before you measure, as in `inferbook run --stream -n 50 --expect \"ttft.p95<300ms @80%\"`.")
		return nil
	}
	p.printCalibration(&cal)
	return nil
}

// allScores gives the score of each expectation of the notebook, in the order in which
// they were made.
func allScores(ctx context.Context, nb *store.Notebook) ([]analysis.Score, error) {
	list, err := nb.Expectations(ctx, "")
	if err != nil {
		return nil, err
	}
	views := map[string]*view{}
	var out []analysis.Score
	for _, x := range list {
		v := views[x.ExperimentID]
		if v == nil {
			e, err := nb.Experiment(ctx, x.ExperimentID)
			if err != nil {
				return nil, err
			}
			if v, err = loadView(ctx, nb, e); err != nil {
				return nil, err
			}
			views[x.ExperimentID] = v
		}
		out = append(out, analysis.NewScore(x, v.Curves))
	}
	return out, nil
}

// printCalibration prints a line a metric, and what the figures come to.
func (p *program) printCalibration(c *analysis.Calibration) {
	t := newTable(p.out, "metric", "guesses", "held", "missed", "cannot tell", "hit rate [95 %]", "outcome ÷ bound [95 %]", "spread ×÷")
	for _, r := range append(c.Metrics, c.All) {
		factor, spread := interval(r.Factor, num), num(r.Spread)
		if r.Group == "all" && len(c.Metrics) > 1 {
			factor, spread = "", "" // of several metrics the factors say nothing together
		}
		t.AppendRow([]any{r.Group, r.Guesses, r.Held, r.Missed, r.Undecided, interval(r.HitRate, shareText), factor, spread})
	}
	t.Render()
	if len(c.Sentences) > 0 {
		fmt.Fprintln(p.out)
	}
	for _, s := range c.Sentences {
		fmt.Fprintf(p.out, "  · %s\n", s)
	}
}

// shareText writes a share of 1 in percent, and a dash for none.
func shareText(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100*v)
}
