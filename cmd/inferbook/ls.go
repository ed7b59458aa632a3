package main

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

func (p *program) lsCommand() *cli.Command {
	return &cli.Command{
		Name: "ls", Aliases: []string{"list"}, Usage: "list the experiments",
		UsageText: examples("inferbook ls", "inferbook ls --tag baseline", "inferbook ls --text h100 --json", "inferbook ls --trash"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "tag", Usage: "only those with this `TAG`"},
			&cli.StringFlag{Name: "text", Usage: "only those with this `TEXT` in name, message, model, runtime or hardware"},
			&cli.IntFlag{Name: "limit", Aliases: []string{"n"}, Usage: "at most `N`, newest first; 0 = all", Value: 50},
			&cli.BoolFlag{Name: "trash", Usage: "the deleted ones instead"},
			jsonFlag(), dbFlag(),
		},
		Action: p.lsAction,
	}
}

// lsView is one line of `ls --json`.
type lsView struct {
	Alias        string            `json:"alias"`
	ID           string            `json:"id"`
	Name         string            `json:"name"`
	Status       experiment.Status `json:"status"`
	Started      string            `json:"started"`
	Label        string            `json:"label"`
	Simulated    bool              `json:"simulated"`
	Tags         []string          `json:"tags"`
	Points       int               `json:"points"`
	OK           int               `json:"ok"`
	Sent         int               `json:"sent"`
	PeakTokS     *float64          `json:"peak_output_tok_s"`
	PeakLoad     experiment.Load   `json:"peak_load"`
	Workload     string            `json:"workload"`
	TTFTP95      *float64          `json:"ttft_p95_ms_at_peak"`
	OutputTokens int               `json:"output_tokens"`
	InputTokens  int               `json:"input_tokens"`
}

func (p *program) lsAction(c *cli.Context) error {
	if c.NArg() > 0 {
		return usage("ls takes no argument; to filter use --tag or --text, to look at one use `inferbook show %s`", c.Args().First())
	}
	if c.Int("limit") < 0 {
		return usage("--limit is %d; write how many lines, or 0 for all", c.Int("limit"))
	}
	nb, err := p.look(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	list, err := listFresh(c.Context, nb, store.Filter{Tag: c.String("tag"), Text: c.String("text"), Trash: c.Bool("trash"), Limit: c.Int("limit")})
	if err != nil {
		return err
	}
	views := make([]lsView, len(list))
	for i, l := range list {
		views[i] = lsViewOf(l)
	}
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			Experiments []lsView `json:"experiments"`
		}{document{"inferbook.ls/1"}, views})
	}
	if len(views) == 0 {
		p.hint("no experiment matches; `inferbook run` records one")
		return nil
	}
	var rows [][]any
	for i, v := range views {
		name := v.Name
		if v.Status != experiment.Complete {
			name = strings.TrimSpace(name + " (" + string(v.Status) + ")")
		}
		rows = append(rows, []any{v.Alias, name, when(list[i].Started), v.Label, v.Workload, v.Points,
			fmt.Sprintf("%d/%d", v.OK, v.Sent), num(orNaN(v.PeakTokS)), atLoad(v.PeakLoad), ms(orNaN(v.TTFTP95)), strings.Join(v.Tags, " ")})
	}
	p.fit([]any{"", "name", "when", "what ran", "asked for", "points", "ok/sent", "peak tok/s", "at", "TTFT p95 there", "tags"}, rows,
		"points", "asked for", "tags", "TTFT p95 there", "when", "ok/sent")
	return nil
}

// listFresh lists the experiments from their cached figures. A run that was
// killed, or was summarised under older definitions, has none; its samples are
// read once and its figures are there from then on.
func listFresh(ctx context.Context, nb *store.Notebook, f store.Filter) ([]store.Listed, error) {
	list, err := nb.List(ctx, f)
	if err != nil {
		return nil, err
	}
	stale := false
	for i := range list {
		if list[i].Status == experiment.Running || current(list[i]) {
			continue
		}
		if _, err := loadView(ctx, nb, &list[i].Experiment); err != nil {
			return nil, err
		}
		stale = true
	}
	if !stale {
		return list, nil
	}
	return nb.List(ctx, f)
}

// current reports whether every point has figures under today's definitions.
func current(l store.Listed) bool {
	n := 0
	for _, f := range l.Figures {
		if f.Definition == analysis.DefinitionVersion {
			n++
		}
	}
	return n >= l.Points
}

// lsViewOf finds an experiment's best level from the summaries in its rows.
func lsViewOf(l store.Listed) lsView {
	v := lsView{Alias: l.Alias(), ID: l.ID, Name: l.Name, Status: l.Status, Started: l.Started.UTC().Format("2006-01-02T15:04:05Z"),
		Label: l.Environment.Label(), Simulated: l.Environment.Simulated(), Tags: l.Tags, Points: l.Points,
		InputTokens: l.Spec.InputTokens.Nominal(), OutputTokens: l.Spec.OutputTokens.Nominal(),
		Workload: analysis.WorkloadText(&l.Spec)}
	for _, f := range l.Figures {
		v.OK, v.Sent = v.OK+f.OK, v.Sent+f.Sent
		if math.IsNaN(f.OutputTokS) || v.PeakTokS != nil && f.OutputTokS <= *v.PeakTokS {
			continue
		}
		v.PeakTokS, v.PeakLoad = &f.OutputTokS, f.Load
		v.TTFTP95 = nil
		if !math.IsNaN(f.TTFTP95ms) {
			v.TTFTP95 = &f.TTFTP95ms
		}
	}
	return v
}

func orNaN(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

func atLoad(l experiment.Load) string {
	if l == (experiment.Load{}) {
		return "–"
	}
	return l.String()
}
