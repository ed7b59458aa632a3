package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
	"github.com/inferbook/inferbook/runner"
)

func expectFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "expect", Category: aboutRecord, Usage: "`WHAT` you expect, recorded before the first byte and scored after the last: " +
		"\"ttft.p95<300ms @80%\", \"output_throughput>1000 @c=8\", \"errors<1%\", \"knee=16..32\" (may be repeated)"}
}

// expectations reads --expect. What could never be scored by this run is refused
// before anything is sent.
func expectations(c *cli.Context, plan *runner.Plan) ([]experiment.Expectation, error) {
	var loads []experiment.Load
	for _, pt := range plan.Points {
		loads = append(loads, pt.Load)
	}
	var out []experiment.Expectation
	for _, text := range c.StringSlice("expect") {
		claim, err := experiment.ParseClaim(text)
		if err != nil {
			return nil, usage("--expect: %w", err)
		}
		if err := analysis.CheckClaim(claim, &plan.Spec, loads); err != nil {
			return nil, usage("--expect %q: %w", text, err)
		}
		out = append(out, experiment.Expectation{Text: text, Confidence: claim.Confidence})
	}
	return out, nil
}

// keepExpectations records what is expected of the run, which has not begun.
func (s *session) keepExpectations(ctx context.Context) error {
	for i := range s.expect {
		s.expect[i].ExperimentID = s.exp.ID
		if err := s.nb.AddExpectation(ctx, &s.expect[i]); err != nil {
			return err
		}
	}
	return nil
}

// scores holds what was expected of an experiment against what its view shows.
func scores(ctx context.Context, nb *store.Notebook, v *view) ([]analysis.Score, error) {
	list, err := nb.Expectations(ctx, v.Experiment.ID)
	if err != nil {
		return nil, err
	}
	out := []analysis.Score{} // an empty list in JSON
	for _, x := range list {
		out = append(out, analysis.NewScore(x, v.Curves))
	}
	return out, nil
}

// printExpectations prints what was expected, and what it came to.
func (p *program) printExpectations(scores []analysis.Score) {
	if len(scores) == 0 {
		return
	}
	fmt.Fprintln(p.out)
	for _, s := range scores {
		sure := ""
		if s.Confidence > 0 { // not NaN
			sure = fmt.Sprintf(" (sure to %.3g %%)", 100*s.Confidence)
		}
		mark, verdict := map[analysis.Ruling]string{analysis.Holds: "✓", analysis.Misses: "✗", analysis.Unsure: "?"}[s.Ruling],
			map[analysis.Ruling]string{analysis.Holds: "held", analysis.Misses: "did not hold", analysis.Unsure: "cannot tell"}[s.Ruling]
		fmt.Fprintf(p.out, "expected %s%s  %s %s: %s\n", s.Claim, sure, mark, verdict, s.Finding)
	}
}
