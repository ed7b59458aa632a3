package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner"
)

func (p *program) specCommand() *cli.Command {
	return &cli.Command{
		Name:  "spec",
		Usage: "write, or look through, the file that says what a run does",
		UsageText: examples(
			"inferbook spec show exp-7 > spec.yaml       the file that repeats an experiment",
			"inferbook spec plan spec.yaml               the points it expands to, and what they would ask for",
			"inferbook run spec.yaml --seed 2            run it; flags go over the file"),
		Subcommands: []*cli.Command{
			{
				Name: "show", Usage: "print an experiment's specification as YAML",
				UsageText: examples("inferbook spec show exp-7 > spec.yaml"),
				Flags:     []cli.Flag{dbFlag()},
				Action:    p.specShow,
			},
			{
				Name: "plan", Usage: "list the points of a specification, without running it",
				UsageText: examples("inferbook spec plan spec.yaml"),
				Flags:     []cli.Flag{jsonFlag()},
				Action:    p.specPlan,
			},
		},
	}
}

func (p *program) specShow(c *cli.Context) error {
	ref, err := oneRef(c, "an experiment")
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
	b, err := yaml.Marshal(e.Spec)
	if err != nil {
		return fmt.Errorf("writing the specification: %w", err)
	}
	fmt.Fprintf(p.out, "# %s of %s: %s\n%s", e.Title(), e.Started.UTC().Format(time.DateOnly), analysis.WorkloadText(&e.Spec), b)
	return nil
}

// planView is one planned point.
type planView struct {
	Ordinal int    `json:"ordinal"`
	Repeat  int    `json:"repeat"`
	Load    string `json:"load"`
	Asks    string `json:"asks"`
	Seed    uint64 `json:"seed"`
}

func (p *program) specPlan(c *cli.Context) error {
	if c.NArg() != 1 {
		return usage("spec plan takes one argument, a spec file; `inferbook spec show exp-7` prints one")
	}
	path := c.Args().First()
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return usage("there is no file %s; `inferbook spec show exp-7 > spec.yaml` writes one", path)
	}
	spec := experiment.DefaultSpec()
	spec.Concurrency = nil
	if err := readSpec(path, &spec); err != nil {
		return err
	}
	if err := settle(c, &spec, true); err != nil {
		return err
	}
	items, err := p.readData(&spec)
	if err != nil {
		return err
	}
	plan, err := runner.NewPlan(spec, items)
	if err != nil {
		return usage("%w", err)
	}
	var rows []planView
	for _, pt := range plan.Points {
		rows = append(rows, planView{pt.Ordinal, pt.Repeat, pt.Load.String(), analysis.WorkloadText(&pt.Spec), pt.Seed})
	}
	e := plan.Estimate()
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			Points   []planView      `json:"points"`
			Estimate runner.Estimate `json:"estimate"`
			Warnings []string        `json:"warnings"`
		}{document{"inferbook.plan/1"}, rows, e, plan.Warnings})
	}
	t := newTable(p.out, "#", "repeat", "load", "asks for")
	for _, r := range rows {
		t.AppendRow([]any{r.Ordinal, r.Repeat + 1, r.Load, r.Asks})
	}
	t.Render()
	if spec.Search != nil {
		fmt.Fprintf(p.out, "a search over %s for %s, of at most %d points, chosen as the answers come\n", spec.Search.Over, spec.SLO, spec.Search.Points)
	}
	fmt.Fprintf(p.out, "%s\n", amount(plan, e))
	if len(plan.Warnings) > 0 {
		p.hint("warning: %s", strings.Join(plan.Warnings, "\nwarning: "))
	}
	return nil
}

// amount says what a run would ask for.
func amount(plan runner.Plan, e runner.Estimate) string {
	if e.Unbounded {
		return fmt.Sprintf("load for %s; how many requests and tokens that is depends on the server",
			time.Duration(plan.Spec.Duration)*time.Duration(len(plan.Points)))
	}
	text := fmt.Sprintf("up to %s requests, %s prompt tokens and %s output tokens",
		thousands(int64(e.Requests)), thousands(int64(e.PromptTokens)), thousands(int64(e.OutputTokens)))
	if t := plan.Spec.TokenPrice; t != nil {
		text += fmt.Sprintf(", up to %s", usd((t.Input*float64(e.PromptTokens)+t.Output*float64(e.OutputTokens))/1e6))
	}
	return text
}
