package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/runner/sim"
	"github.com/inferbook/inferbook/runner/sim/published"
)

func (p *program) simGPUs(c *cli.Context) error {
	list := sim.GPUs()
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			GPUs []sim.GPU `json:"gpus"`
		}{document{"inferbook.sim-gpus/1"}, list})
	}
	t := newTable(p.out, "GPU", "memory GB", "bandwidth TB/s", "bf16 TFLOP/s", "fp8 TFLOP/s", "fp4 TFLOP/s", "checked with", "sources")
	for _, g := range list {
		t.AppendRow([]any{g.Name, num(g.MemoryGB), num(g.BandwidthTBs), num(g.BF16), orDash(g.FP8), orDash(g.FP4), checkedWith(g.Name), sources(g.Sources)})
	}
	t.Render()
	p.hint("checked with: the runtimes of which published runs on that GPU were held against the simulation; inferbook sim published shows them")
	return nil
}

// orDash writes a figure that a GPU may not have.
func orDash(v float64) string {
	if v == 0 {
		return "–"
	}
	return num(v)
}

// checkedWith lists the runtimes that have an error band on a GPU.
func checkedWith(gpu string) string {
	names := map[string]bool{}
	for _, k := range sim.Builtin().Checks {
		if k.For.GPU == gpu {
			names[k.For.Runtime] = true
		}
	}
	if len(names) == 0 {
		return "–"
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), ", ")
}

// sources lists the places that figures were read in, each once.
func sources(of map[string]string) string {
	seen := map[string]bool{}
	for _, s := range of {
		seen[s] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(seen)), "; ")
}

func (p *program) simModels(c *cli.Context) error {
	list := sim.Models()
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			Models []sim.Model `json:"models"`
		}{document{"inferbook.sim-models/1"}, list})
	}
	t := newTable(p.out, "model", "layers", "hidden", "heads/kv/dim", "parameters", "active", "KV bytes/token bf16", "published in", "source")
	for _, m := range list {
		heads := fmt.Sprintf("%d/%d/%d", m.Heads, m.KVHeads, m.HeadDim)
		if m.Latent != (sim.Latent{}) {
			heads = fmt.Sprintf("%d, latent %d+%d", m.Heads, m.Latent.KV, m.Latent.Rope)
		}
		t.AppendRow([]any{m.Name, m.Layers, m.Hidden, heads, fmt.Sprintf("%.2f B", m.Parameters()/1e9), fmt.Sprintf("%.2f B", m.ActiveParameters()/1e9),
			thousands(int64(m.KVBytes(2))), cmp.Or(m.Native, "bf16"), m.Source})
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
			Fits     []sim.Fit     `json:"fits"`
			Checks   []sim.Check   `json:"checks"`
		}{document{"inferbook.sim-runtimes/1"}, list, sim.Builtin().Fits, sim.Builtin().Checks})
	}
	t := newTable(p.out, "runtime", "what it does", "sources")
	for _, r := range list {
		t.AppendRow([]any{r.Name, r.Title, sources(r.Sources)})
	}
	t.Render()
	fmt.Fprintln(p.out)
	t = newTable(p.out, "fit", "holds for", "µs a step", "µs a sequence", "front end ms", "net ms", "fitted to")
	for _, f := range sim.Builtin().Fits {
		t.AppendRow([]any{f.Name, scope(f.For), num(f.Constants.Step), num(f.Constants.Seq), num(f.Constants.Front / 1e3), num(f.Constants.Net / 1e3), f.Basis})
	}
	t.Render()
	fmt.Fprintln(p.out)
	t = newTable(p.out, "error band of", "calibration")
	for _, k := range sim.Builtin().Checks {
		t.AppendRow([]any{scope(k.For), k.String()})
	}
	t.Render()
	return nil
}

// scope says in short which deployments a fit or a band is about.
func scope(s sim.Scope) string {
	parts := []string{s.Runtime}
	for _, part := range []string{s.GPU, s.Generation, strings.Join(s.Families, "|"), strings.Join(s.Models, "|"), strings.Join(s.Precisions, "|")} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, " · ")
}

func (p *program) simPublishedCommand() *cli.Command {
	return &cli.Command{
		Name: "published", Usage: "the simulated engine against runs that others measured and published",
		UsageText: examples("inferbook sim published", "inferbook sim published --rows"),
		Flags:     []cli.Flag{jsonFlag(), &cli.BoolFlag{Name: "rows", Usage: "each figure, not only each group"}},
		Action:    p.simPublished,
	}
}

// publishedRow is a row of the table as JSON.
type publishedRow struct {
	Set       string  `json:"set"`
	Group     string  `json:"group"`
	Use       string  `json:"use"`
	Source    string  `json:"source"`
	C         int     `json:"c"`
	Metric    string  `json:"metric"`
	Measured  float64 `json:"measured"`
	Unfitted  float64 `json:"unfitted"`
	Simulated float64 `json:"simulated"`
}

func (p *program) simPublished(c *cli.Context) error {
	table, err := published.Table()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		rows := make([]publishedRow, len(table))
		for i, f := range table {
			rows[i] = publishedRow{f.Set.ID, f.Set.Group, f.Set.Use, f.Set.Source, f.C, f.Metric, f.Measured, f.Unfitted, f.Simulated}
		}
		return printJSON(p.out, struct {
			document
			Rows []publishedRow `json:"rows"`
		}{document{"inferbook.sim-published/1"}, rows})
	}
	if c.Bool("rows") {
		t := newTable(p.out, "published", "load", "metric", "measured", "simulated", "ratio", "unfitted", "use", "source")
		for _, f := range table {
			t.AppendRow([]any{f.Set.ID, fmt.Sprintf("%d × %d→%d, %s", f.C, f.Set.Load.Prompt, f.Set.Load.Output, f.Set.Load.Kind), f.Metric,
				num(f.Measured), num(f.Simulated), fmt.Sprintf("%.2f", f.Ratio()), fmt.Sprintf("%.2f", f.Unfitted/f.Measured), f.Set.Use, f.Set.Source})
		}
		t.Render()
		return nil
	}
	t := newTable(p.out, "group", "metric", "n", "ratio", "median error", "mean", "p90", "mean unfitted", "bar", "use")
	var misses []string
	for _, g := range published.Groups(table) {
		misses = append(misses, g.Misses()...)
		bar := "–"
		switch {
		case g.Metric == "TPOT ms" && g.Bar.TPOT > 0:
			bar = fmt.Sprintf("%.1f %%, p90 %.1f %%", 100*g.Bar.TPOT, 100*g.Bar.TPOT90)
		case g.Metric == "TTFT ms" && g.Bar.TTFT > 0:
			bar = fmt.Sprintf("%.1f %%", 100*g.Bar.TTFT)
		}
		percent := func(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }
		t.AppendRow([]any{g.Name, g.Metric, g.N, fmt.Sprintf("%.2f", g.Ratio), percent(g.Median), percent(g.Mean), percent(g.Ninetieth), percent(g.Before.Mean), bar, g.Use})
	}
	t.Render()
	for _, m := range misses {
		fmt.Fprintln(p.out, m)
	}
	p.hint("bar: the error that a group is held to; mean unfitted: the mean error without any fit; ratio: geometric mean of simulated over measured; fit: its constants were fitted to runs of that kind; looked-at: a constant was chosen with these rows in sight; hold-out: neither. inferbook sim published --rows shows each figure.")
	return nil
}

// simSettings lists what --sim can set.
func (p *program) simSettings(c *cli.Context) error {
	settings := sim.Options()
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			Settings map[string]string `json:"settings"`
		}{document{"inferbook.sim-settings/1"}, settings})
	}
	t := newTable(p.out, "setting", "what it is")
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		t.AppendRow([]any{name, settings[name]})
	}
	t.Render()
	return nil
}

// printRows prints the rows that a deployment is made of as a person's own profile.
func (p *program) printRows(cfg sim.Config) error {
	cfg.Unfitted = true // the runtime's own constants
	d, err := cfg.Resolve()
	if err != nil {
		return usage("%w", err)
	}
	text, err := yaml.MarshalWithOptions(sim.Catalogue{GPUs: []sim.GPU{d.GPU}, Models: []sim.Model{d.Model}, Runtimes: []sim.Runtime{d.Runtime}}, yaml.OmitEmpty())
	if err != nil {
		return fmt.Errorf("writing the rows: %w", err)
	}
	fmt.Fprintf(p.out, "# Rows of the simulated engine's catalogue. Give a row another name or keep it to stand in for the built-in one; drop what stays as it is.\n%s", text)
	return nil
}
