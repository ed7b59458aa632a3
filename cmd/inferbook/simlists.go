package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/runner/sim"
)

func (p *program) simGPUs(c *cli.Context) error {
	list := sim.GPUs()
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			GPUs []sim.GPU `json:"gpus"`
		}{document{"inferbook.sim-gpus/1"}, list})
	}
	t := newTable(p.out, "GPU", "memory GB", "bandwidth TB/s", "bf16 TFLOP/s", "fp8 TFLOP/s", "calibration", "source")
	for _, g := range list {
		fp8 := "–"
		if g.FP8 > 0 {
			fp8 = num(g.FP8)
		}
		t.AppendRow([]any{g.Name, num(g.MemoryGB), num(g.BandwidthTBs), num(g.BF16), fp8, g.Calibration, g.Source})
	}
	t.Render()
	return nil
}

func (p *program) simModels(c *cli.Context) error {
	list := sim.Models()
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			Models []sim.Model `json:"models"`
		}{document{"inferbook.sim-models/1"}, list})
	}
	t := newTable(p.out, "model", "layers", "hidden", "heads/kv/dim", "parameters", "KV bytes/token bf16", "source")
	for _, m := range list {
		t.AppendRow([]any{m.Name, m.Layers, m.Hidden, fmt.Sprintf("%d/%d/%d", m.Heads, m.KVHeads, m.HeadDim),
			fmt.Sprintf("%.2f B", m.Parameters()/1e9), thousands(int64(m.KVBytes(2))), m.Source})
	}
	t.Render()
	return nil
}

func (p *program) simRuntimes(c *cli.Context) error {
	list := sim.Runtimes()
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			Runtimes []sim.Runtime `json:"runtimes"`
		}{document{"inferbook.sim-runtimes/1"}, list})
	}
	t := newTable(p.out, "runtime", "what it does", "calibration", "source")
	for _, r := range list {
		t.AppendRow([]any{r.Name, r.Title, r.Calibration, r.Source})
	}
	t.Render()
	return nil
}

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
