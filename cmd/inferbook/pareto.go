package main

import (
	"fmt"

	"github.com/inferbook/inferbook/analysis"
)

func (p *program) printFrontierJSON(views []*view) error {
	return printJSON(p.out, struct {
		document
		Frontier analysis.Frontier `json:"frontier"`
	}{document{"inferbook.pareto/1"}, analysis.Pareto(curvesOf(views))})
}

// printFrontier prints which levels of several experiments no other beats, and by
// whom the others are beaten.
func (p *program) printFrontier(views []*view) {
	f := analysis.Pareto(curvesOf(views))
	if members := len(f.Members()); members > 0 {
		fmt.Fprintf(p.out, "%s %d of %s are beaten by no other in both the speed of a user's stream and the work of a GPU.\n",
			p.bold("Pareto frontier:"), members, plural(len(f.Points), "level"))
		for _, v := range views {
			fmt.Fprintf(p.out, "%s  %s\n", v.Experiment.Title(), v.Experiment.Environment.Label())
		}
		fmt.Fprintln(p.out)
		var rows [][]any
		uncertain := false
		for _, pt := range f.Points {
			verdict := "member"
			if !pt.Member {
				verdict = "beaten by " + pt.By
			}
			if pt.Close {
				verdict, uncertain = "~ "+verdict, true
			}
			load := pt.Load
			load.Variant = ""
			rows = append(rows, []any{pt.Title, load.String(), pt.GPUs, interval(pt.Interactivity, num), interval(pt.PerGPU, num), verdict})
		}
		p.fit([]any{"experiment", "load", "GPUs", "tok/s/user", "out tok/s/GPU", ""}, rows, "GPUs")
		if uncertain {
			fmt.Fprintln(p.out, "~ = by less than the runs spread, so this is no difference shown")
		}
	}
	for _, s := range append(f.LeftOut, f.Warnings...) {
		fmt.Fprintf(p.out, "  · %s\n", s)
	}
}
