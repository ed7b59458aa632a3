package main

import (
	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/runner/sim"
)

func (p *program) simFaults(c *cli.Context) error {
	list := sim.FaultKinds()
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			Faults []sim.FaultKind `json:"faults"`
		}{document{"inferbook.sim-faults/1"}, list})
	}
	t := newTable(p.out, "fault", "what the server does")
	for _, k := range list {
		form := k.Name
		if k.Args != "" {
			form += ":" + k.Args
		}
		t.AppendRow([]any{form, k.Title})
	}
	t.Render()
	p.hint("as --fault NAME[:ARGS][@CHANCE] for every request, or as the header X-Sim-Fault: NAME[:ARGS] with one")
	return nil
}
