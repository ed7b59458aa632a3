package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

func (p *program) showCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "show one experiment: what ran, what came out, what was noted",
		UsageText: examples("inferbook show exp-3", "inferbook show last --json", "inferbook show exp-3 --env      every recorded fact with its source",
			"inferbook show exp-3 --samples  every request, one JSON object a line",
			"inferbook show exp-3 --as guidellm --at 8   what that tool would have printed"),
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "env", Usage: "every recorded fact about hardware, runtime and client"},
			&cli.BoolFlag{Name: "samples", Usage: "the raw samples as JSON lines"},
			asFlag(), &cli.Float64Flag{Name: "at", Usage: "with --as, the load `LEVEL` alone, a concurrency or a rate", DefaultText: "every level"},
			jsonFlag(), dbFlag(),
		},
		Action: p.showAction,
	}
}

func (p *program) showAction(c *cli.Context) error {
	ref, err := oneRef(c, "an experiment")
	if err != nil {
		return err
	}
	as, err := toolFlag(c)
	if err != nil {
		return err
	}
	nb, err := p.look(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	e, err := nb.Experiment(c.Context, ref)
	if err != nil {
		return err
	}
	if as != nil {
		return p.showAs(c, nb, e, as)
	}
	if c.Bool("samples") {
		return p.printSamples(c.Context, nb, e)
	}
	v, err := loadView(c.Context, nb, e)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return v.printJSON(p.out)
	}
	p.printResult(v)
	if err := p.printVersions(c.Context, nb, e); err != nil {
		return err
	}
	p.printRecord(e, c.Bool("env"))
	return p.printNotes(c.Context, nb, v.Notes)
}

// printRecord prints when and why the run was made, and the facts about it.
func (p *program) printRecord(e *experiment.Experiment, all bool) {
	fmt.Fprintf(p.out, "\n%s\n", p.bold("Record"))
	t := newTable(p.out)
	t.AppendRow([]any{"  id", e.ID})
	t.AppendRow([]any{"  status", string(e.Status)})
	t.AppendRow([]any{"  started", when(e.Started)})
	t.AppendRow([]any{"  ended", when(e.Ended)})
	for _, row := range [][2]string{{"why", e.Message}, {"tags", strings.Join(e.Tags, " ")}} {
		if row[1] != "" {
			t.AppendRow([]any{"  " + row[0], row[1]})
		}
	}
	main := map[string]bool{experiment.KeyGPUModel: true, experiment.KeyGPUCount: true, experiment.KeyRuntime: true, experiment.KeyRuntimeVersion: true,
		experiment.KeyModel: true, experiment.KeyPrecision: true, experiment.KeyEndpoint: true, experiment.KeyCalibration: true, experiment.KeyTime: true, experiment.KeyLateness: true}
	for _, f := range e.Environment.Facts {
		if all || main[f.Key] {
			t.AppendRow([]any{"  " + f.Key, f.Value + "  (" + string(f.Source) + ")"})
		}
	}
	t.Render()
}

// printNotes prints an experiment's notes, each with the readings it is linked to.
func (p *program) printNotes(ctx context.Context, nb *store.Notebook, list []experiment.Note) error {
	if len(list) == 0 {
		return nil
	}
	fmt.Fprintf(p.out, "\n%s\n", p.bold("Notes"))
	for _, n := range list {
		fmt.Fprintf(p.out, "  note-%d  %s  %s\n", n.Number, when(n.Created), strings.ReplaceAll(n.Text, "\n", "\n          "))
		for _, slug := range n.Readings {
			r, err := nb.Reading(ctx, slug)
			if err != nil {
				return err
			}
			fmt.Fprintf(p.out, "          ↳ %s: %s (%s)\n", r.Slug, r.Title, r.Status)
		}
	}
	return nil
}

// printSamples streams the raw samples, each with the load that it belongs to.
func (p *program) printSamples(ctx context.Context, nb *store.Notebook, e *experiment.Experiment) error {
	points, err := nb.Points(ctx, e.ID)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(p.out)
	for _, pt := range points {
		for s, err := range nb.Samples(ctx, pt.ID) {
			if err != nil {
				return err
			}
			line := struct {
				document
				Experiment string          `json:"experiment"`
				Load       experiment.Load `json:"load"`
				Repeat     int             `json:"repeat"`
				experiment.Sample
			}{document{"inferbook.sample/1"}, e.Alias(), pt.Load, pt.Repeat, s}
			if err := enc.Encode(line); err != nil {
				return err
			}
		}
	}
	return nil
}
