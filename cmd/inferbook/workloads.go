package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/workload"
)

func (p *program) workloadsCommand() *cli.Command {
	return &cli.Command{
		Name:  "workloads",
		Usage: "list the workloads that run --workload knows, with their sources",
		UsageText: examples(
			"inferbook workloads",
			"inferbook run --workload azure-chat --rate 2 --stream --virtual -n 200"),
		Flags:  []cli.Flag{jsonFlag()},
		Action: p.workloadsAction,
	}
}

// workloadView is one preset.
type workloadView struct {
	Name         string              `json:"name"`
	Title        string              `json:"title"`
	InputTokens  experiment.Length   `json:"input_tokens"`
	OutputTokens experiment.Length   `json:"output_tokens"`
	Jitter       float64             `json:"jitter"`
	Arrival      *experiment.Arrival `json:"arrival"` // null = not known
	Source       string              `json:"source"`
}

func (p *program) workloadsAction(c *cli.Context) error {
	if c.NArg() > 0 {
		return usage("workloads takes no argument and was given %s; `inferbook run --workload %[1]s` runs one", c.Args().First())
	}
	list := workload.Presets()
	if c.Bool("json") {
		views := make([]workloadView, len(list))
		for i, w := range list {
			views[i] = workloadView{w.Name, w.Title, w.InputTokens, w.OutputTokens, w.Jitter, w.Arrival, w.Source}
		}
		return printJSON(p.out, struct {
			document
			Workloads []workloadView `json:"workloads"`
		}{document{"inferbook.workloads/1"}, views})
	}
	t := newTable(p.out, "workload", "prompt", "answer", "arrivals", "what it is")
	var sources []string
	of := map[string][]string{}
	for _, w := range list {
		arrival := "any"
		if w.Arrival != nil {
			arrival = w.Arrival.String()
		}
		t.AppendRow([]any{w.Name, analysis.LengthText(w.InputTokens), analysis.LengthText(w.OutputTokens), arrival, w.Title})
		if of[w.Source] == nil {
			sources = append(sources, w.Source)
		}
		of[w.Source] = append(of[w.Source], w.Name)
	}
	t.Render()
	fmt.Fprintf(p.out, "\n%s\n", p.bold("Sources"))
	for _, source := range sources {
		fmt.Fprintf(p.out, "  · %s: %s\n", strings.Join(of[source], ", "), source)
	}
	return nil
}
