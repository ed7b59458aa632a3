package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/compare"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

func (p *program) noiseCommand() *cli.Command {
	return &cli.Command{
		Name: "noise", Usage: "run one configuration several times: how far do its figures lie apart by themselves?",
		UsageText: examples(
			"inferbook noise --like exp-3                        as it was run, A B B A",
			"inferbook noise --like exp-3 --rounds 2             eight runs, for a lower floor",
			"inferbook noise --base-url http://localhost:8000/v1 --stream -c 8 -n 200",
			"inferbook noise --list                              what is known"),
		Description: "It takes the flags of run. The runs are recorded with the tags noise-a and noise-b, in the order A B B A, so that\n" +
			"a drift does not look like a difference between the two. The floor is by how much two single runs differ at most, with\n" +
			"95 % confidence; it is kept for this machine, this configuration and each load. diff and gate call no difference that is\n" +
			"smaller. In virtual time each run has a seed of its own; else all send the same requests.",
		Flags: append(noiseRunFlags(),
			&cli.IntFlag{Name: "rounds", Usage: "go through A B B A `N` times", Value: 1},
			&cli.BoolFlag{Name: "list", Usage: "print the floors that the notebook has, and run nothing"}),
		Action: p.noiseAction,
	}
}

// noiseRunFlags are run's flags without what only one run has.
func noiseRunFlags() []cli.Flag {
	without := []string{"repeat", "expect", "search", "search-points", "save-result", "save-detailed", "result-dir", "result-filename", "metric-percentiles"}
	return slices.DeleteFunc(runFlags(), func(f cli.Flag) bool { return slices.Contains(without, f.Names()[0]) })
}

func (p *program) noiseAction(c *cli.Context) error {
	if c.Bool("list") {
		return p.listNoise(c)
	}
	if n := c.Int("rounds"); n < 1 {
		return usage("--rounds is %d; write 1 or more", n)
	}
	sides, err := p.recordNoise(c)
	if err != nil {
		return err
	}
	nb, err := p.open(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	m, err := measureNoise(c.Context, nb, sides)
	if err != nil {
		return err
	}
	if err := m.keep(c.Context, nb); err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(p.out, m)
	}
	p.printNoise(m)
	return nil
}

// recordNoise runs the configuration A B B A as often as was asked, and gives the
// experiments of each side.
func (p *program) recordNoise(c *cli.Context) (sides [2][]string, err error) {
	order := strings.Repeat("abba", c.Int("rounds"))
	for i, side := range order {
		p.hint("noise     run %d of %d, %c", i+1, len(order), side-'a'+'A')
		o := occasion{tag: "noise-" + string(side), asked: i > 0, vary: func(s *experiment.Spec) (bool, error) { return vary(c, s, i) }}
		s, status, err := p.record(c, o)
		if s == nil {
			return sides, err
		}
		if err := errors.Join(err, s.nb.Close()); err != nil {
			return sides, err
		}
		if status != experiment.Complete {
			return sides, &exitError{exitInterrupted, fmt.Errorf("%s was interrupted; what was measured is saved, and no floor is found from it", s.exp.Alias())}
		}
		sides[side-'a'] = append(sides[side-'a'], s.exp.ID)
	}
	return sides, nil
}

// vary makes the specification of the i-th run. A floor is one of single runs. Virtual
// time has no chance of its own, so there another seed draws lengths, prompts and arrivals anew.
func vary(c *cli.Context, s *experiment.Spec, i int) (anew bool, err error) {
	if s.Search != nil {
		return false, usage("a search chooses its loads by what it finds, so no two need be the same; give a level with --concurrency or --rate")
	}
	s.Repeats = 1
	if virtual(c, s) {
		s.Seed += uint64(i)
		return i > 0, nil
	}
	return false, nil
}

func virtual(c *cli.Context, s *experiment.Spec) bool {
	return c.Bool("virtual") || s.Simulator != nil && s.Simulator.Virtual
}

// noiseView is what `noise --json` prints.
type noiseView struct {
	document
	Host string `json:"host"`
	// Configs names the configuration of each load, in the order of the levels.
	Configs []string        `json:"configs"`
	Sides   [2][]string     `json:"experiments"` // of A and of B
	Differs string          `json:"what_differs"`
	Floors  []compare.Noise `json:"floors"`
	Notes   []string        `json:"notes"`
	ids     []string
	configs map[experiment.Load]string
}

// measureNoise compares the runs of both sides, load by load.
func measureNoise(ctx context.Context, nb *store.Notebook, sides [2][]string) (*noiseView, error) {
	m := &noiseView{document: document{"inferbook.noise/1"}, configs: map[experiment.Load]string{}}
	var levels [2]map[experiment.Load][]compare.Level
	var loads []experiment.Load
	for i, ids := range sides {
		levels[i] = map[experiment.Load][]compare.Level{}
		for _, id := range ids {
			e, err := nb.Experiment(ctx, id)
			if err != nil {
				return nil, err
			}
			r, err := loadRun(ctx, nb, e, nil)
			if err != nil {
				return nil, err
			}
			m.Host, m.Sides[i], m.ids = compare.Host(e), append(m.Sides[i], e.Alias()), append(m.ids, id)
			m.Differs = whatDiffers(e)
			for _, l := range r.Levels() {
				levels[i][l.Load] = append(levels[i][l.Load], l)
				if _, known := m.configs[l.Load]; !known {
					m.configs[l.Load] = compare.Config(e, l.Load)
					loads = append(loads, l.Load)
				}
			}
		}
	}
	for _, load := range loads {
		m.Configs = append(m.Configs, m.configs[load])
		if slices.ContainsFunc(append(slices.Clone(levels[0][load]), levels[1][load]...), oversaturated) {
			m.Notes = append(m.Notes, fmt.Sprintf("Requests pile up at %s, so its figures say how long the runs were, and no floor is found there.", load))
			continue
		}
		for _, f := range compare.NoiseFigures() {
			if n, ok := compare.NewNoise(f, levels[0][load], levels[1][load]); ok {
				m.Floors = append(m.Floors, n)
			}
		}
	}
	if len(m.Floors) == 0 {
		why := append(m.Notes, "No figure is known of all these runs, so there is no floor.")
		return nil, &exitError{exitInconclusive, errors.New(why[0])}
	}
	return m, nil
}

func oversaturated(l compare.Level) bool {
	return slices.ContainsFunc(l.Points, func(s *analysis.PointSummary) bool { return s.Oversaturated })
}

// whatDiffers says what the runs of one configuration differ in.
func whatDiffers(e *experiment.Experiment) string {
	switch {
	case e.Environment.Virtual():
		return "Virtual time has no chance of its own, so each run has another seed: lengths, prompts and arrivals are drawn anew, and nothing else differs."
	case e.Environment.Simulated():
		return "Each run sends the same requests to the simulated engine; what differs is how this machine keeps time. Runs of another seed lie further apart."
	}
	return "Each run sends the same requests, with prompts that no cache has seen; what differs is the server, the network and this machine. Runs of another seed lie further apart."
}

// keep records the floors.
func (m *noiseView) keep(ctx context.Context, nb *store.Notebook) error {
	for _, n := range m.Floors {
		x := experiment.Noise{Host: m.Host, Config: m.configs[n.Load], Metric: n.Figure.String(), Floor: n.Floor, Runs: len(n.A) + len(n.B), Experiments: m.ids}
		if err := nb.AddNoise(ctx, &x); err != nil {
			return err
		}
	}
	return nil
}

// printNoise prints the floors of what is compared when nobody names figures.
func (p *program) printNoise(m *noiseView) {
	fmt.Fprintf(p.out, "%s  A %s · B %s · %s\n", p.bold("Noise"), strings.Join(m.Sides[0], ", "), strings.Join(m.Sides[1], ", "), m.Host)
	for _, text := range m.Configs {
		fmt.Fprintf(p.out, "  %s\n", text)
	}
	fmt.Fprintln(p.out)
	t := newTable(p.out, "load", "metric", "runs", "mean", "spread", "floor", "B ÷ A [95 %]")
	for _, n := range m.Floors {
		if primary(n.Figure.String()) {
			t.AppendRow([]any{n.Load.String(), n.Figure.String(), len(n.A) + len(n.B), figureText(n.Figure, n.Mean), floorText(n.Spread), floorText(n.Floor), ratioText(compare.Row{Ratio: n.Ratio})})
		}
	}
	t.Render()
	fmt.Fprintf(p.out, "spread: standard deviation of the logarithms; floor: what two single runs differ by at most, with 95 %% confidence (e^(t·spread·√2) − 1)\n")
	for _, text := range append([]string{m.Differs}, m.Notes...) {
		fmt.Fprintf(p.out, "%s\n", text)
	}
	p.hint("%d floors are kept; `inferbook diff` and `inferbook gate` take them into account, and `inferbook noise --list` prints them", len(m.Floors))
}

// primary reports whether a figure is compared when nobody names any.
func primary(figure string) bool {
	return slices.ContainsFunc(compare.Primary(), func(f compare.Figure) bool { return f.String() == figure })
}

func floorText(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%.3g %%", 100*v)
}

// listNoise prints the newest floor of each figure.
func (p *program) listNoise(c *cli.Context) error {
	if c.NArg() > 0 {
		return usage("noise --list takes no argument")
	}
	nb, err := p.look(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	all, err := nb.Noise(c.Context, "", "")
	if err != nil {
		return err
	}
	list := []experiment.Noise{}
	for i, n := range all {
		if !slices.ContainsFunc(all[i+1:], func(m experiment.Noise) bool { return m.Host == n.Host && m.Config == n.Config && m.Metric == n.Metric }) {
			list = append(list, n)
		}
	}
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			Floors []experiment.Noise `json:"floors"`
		}{document{"inferbook.noise-list/1"}, list})
	}
	if len(list) == 0 {
		fmt.Fprintln(p.out, "This notebook knows no noise floor: `inferbook noise --like exp-3` runs exp-3 four times more and finds it.")
		return nil
	}
	before := ""
	for len(list) > 0 {
		first := list[0]
		if first.Host != before {
			fmt.Fprintf(p.out, "%s\n", p.bold(first.Host))
			before = first.Host
		}
		same := func(n experiment.Noise) bool { return n.Host == first.Host && n.Config == first.Config }
		fmt.Fprintf(p.out, "  %s  (%s, %s)\n", first.Config, plural(first.Runs, "run"), when(first.Created))
		var parts []string
		for _, n := range list {
			if same(n) && primary(n.Metric) {
				parts = append(parts, n.Metric+" "+floorText(n.Floor))
			}
		}
		fmt.Fprintf(p.out, "    %s\n", strings.Join(parts, " · "))
		list = slices.DeleteFunc(list, same)
	}
	p.hint("--json has the floors of all other figures too")
	return nil
}
