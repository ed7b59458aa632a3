package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis/peer"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

func asFlag() cli.Flag {
	return &cli.StringFlag{Name: "as", Usage: "what `TOOL` would have printed from the same samples, beside ours: " + strings.Join(peer.Names(), ", ")}
}

// toolFlag gives the tool that --as names; nil = the flag is not given.
func toolFlag(c *cli.Context) (*peer.Tool, error) {
	if !c.IsSet("as") {
		if c.IsSet("at") {
			return nil, usage("--at chooses a level for --as; add --as with one of %s", strings.Join(peer.Names(), ", "))
		}
		return nil, nil
	}
	for _, other := range []string{"env", "samples"} {
		if c.Bool(other) {
			return nil, usage("--as prints another tool's figures, and --%s something else; give one of them", other)
		}
	}
	name := c.String("as")
	t, ok := peer.ByName(name)
	if ok {
		return &t, nil
	}
	if near := nearest(peer.Names(), strings.ToLower(name)); near != "" {
		return nil, usage("--as does not know the tool %q; did you mean %s?", name, near)
	}
	return nil, usage("--as does not know the tool %q; it knows %s", name, strings.Join(peer.Names(), ", "))
}

// showAs prints what a tool would have printed for each point, or for those of one level.
func (p *program) showAs(c *cli.Context, nb *store.Notebook, e *experiment.Experiment, t *peer.Tool) error {
	points, err := nb.Points(c.Context, e.ID)
	if err != nil {
		return err
	}
	if c.IsSet("at") {
		if _, err := pointAt(c.Context, nb, e, c.Float64("at")); err != nil {
			return err
		}
		points = slices.DeleteFunc(points, func(pt experiment.Point) bool { return pt.Load.Level() != c.Float64("at") })
	}
	all, err := summaries(c.Context, nb, e, points)
	if err != nil {
		return err
	}
	list := []peer.Printout{}
	for i := range all {
		printout, err := t.Print(&e.Spec, &all[i], nb.Samples(c.Context, points[i].ID))
		if err != nil {
			return err
		}
		list = append(list, printout)
	}
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			Experiment string          `json:"experiment"`
			Points     []peer.Printout `json:"points"`
		}{document{"inferbook.as/1"}, e.Alias(), list})
	}
	if len(list) == 0 {
		return fmt.Errorf("%s has no point yet, so there is nothing that %s would have printed", e.Alias(), t.Title)
	}
	fmt.Fprintf(p.out, "%s  as %s would have printed it\n%s\n", p.bold(e.Title()), t.Title, t.Source)
	for i := range list {
		p.printAs(&list[i], e.Spec.Repeats)
	}
	p.printReasons(list)
	fmt.Fprintf(p.out, "\n%s\n", p.bold("What it counts"))
	for _, sentence := range append([]string{t.Population, t.Percentile}, t.Assumed...) {
		fmt.Fprintf(p.out, "  · %s\n", sentence)
	}
	return nil
}

// Of a metric of which a tool prints more than manyStats, the table has fewStats.
const manyStats = 10

var fewStats = []string{"mean", "p50", "p90", "p99"}

// printAs prints the table of one point.
func (p *program) printAs(a *peer.Printout, repeats int) {
	title := a.Load.String()
	if repeats > 1 {
		title += fmt.Sprintf(", repeat %d of %d", a.Repeat+1, repeats)
	}
	counted := plural(a.Requests, "request")
	if a.Failed > 0 {
		counted += fmt.Sprintf(", %s of them failed", thousands(int64(a.Failed)))
	}
	fmt.Fprintf(p.out, "\n%s, %s\n\n", p.bold(title), counted)
	var rows [][]any
	left := 0
	for i := range a.Rows {
		r := &a.Rows[i]
		if a.Stats(r.Metric) > manyStats && !slices.Contains(fewStats, r.Stat) {
			left++
			continue
		}
		its, ours, value := r.Text, r.Ours, ""
		if r.Value == nil {
			its = "–"
		}
		if ours != "" {
			value = "–"
		}
		if r.OursValue != nil {
			value = measure(*r.OursValue, r.OursUnit)
		}
		rows = append(rows, []any{r.Name, its, ours, value, difference(r)})
	}
	p.fit([]any{"its name", "its value", "ours", "our value", "it is"}, rows, "ours")
	if left > 0 {
		fmt.Fprintf(p.out, "%s of these metrics are in --json\n", plural(left, "more statistic"))
	}
}

// printReasons prints, in a line each, why a figure differs, what stands in for something else, and what is missing.
func (p *program) printReasons(list []peer.Printout) {
	is := func(of func(*peer.Printout, string) bool, metric string) bool {
		return slices.ContainsFunc(list, func(a peer.Printout) bool { return of(&a, metric) })
	}
	differs := func(metric string) bool { return is((*peer.Printout).Differs, metric) }
	compared := func(metric string) bool { return is((*peer.Printout).Compared, metric) }
	for _, section := range []struct {
		title string
		of    func(*peer.Row) string
	}{
		{"Why its figures differ", func(r *peer.Row) string {
			if compared(r.Metric) && !differs(r.Metric) {
				return ""
			}
			return r.Why
		}},
		{"Defined otherwise, and the same here", func(r *peer.Row) string {
			if !compared(r.Metric) || differs(r.Metric) {
				return ""
			}
			return r.Why
		}},
		{"What stands in for what a sample does not hold", func(r *peer.Row) string { return r.Approximation }},
		{"What is missing", func(r *peer.Row) string { return r.Missing }},
	} {
		if lines := peer.Reasons(list, section.of); len(lines) > 0 {
			fmt.Fprintf(p.out, "\n%s\n  · %s\n", p.bold(section.title), strings.Join(lines, "\n  · "))
		}
	}
}

// measure writes one of our figures with its unit.
func measure(v float64, unit string) string {
	switch unit {
	case "ms":
		return ms(v)
	case "":
		return num(v)
	}
	return num(v) + " " + unit
}

// difference writes how far a figure is from ours.
func difference(r *peer.Row) string {
	if r.Difference == nil {
		return ""
	}
	if !r.Differs() {
		return "the same"
	}
	size, sign := math.Abs(100**r.Difference), "+"
	if *r.Difference < 0 {
		sign = "−"
	}
	if size < 0.095 {
		return fmt.Sprintf("%s%.3f %%", sign, size)
	}
	return fmt.Sprintf("%s%.1f %%", sign, size)
}
