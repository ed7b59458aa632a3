package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

// failure is one cause for which measured requests failed.
type failure struct {
	Cause    string             `json:"cause"`
	Outcome  experiment.Outcome `json:"outcome"`
	Requests int                `json:"requests"`
}

// failures counts the measured requests that failed by their cause, the most
// frequent first. Only points with a failure in them are read.
func failures(ctx context.Context, nb *store.Notebook, points []analysis.PointSummary) ([]failure, error) {
	counts := map[failure]int{}
	for _, pt := range points {
		if pt.OK == pt.Sent {
			continue
		}
		for s, err := range nb.Samples(ctx, pt.Point.ID) {
			if err != nil {
				return nil, fmt.Errorf("reading why requests failed: %w", err)
			}
			if s.Phase != experiment.Measured || s.Outcome == experiment.OK {
				continue
			}
			cause := s.Error
			if cause == "" {
				cause = fmt.Sprintf("%s, HTTP status %d", s.Outcome, s.HTTPStatus)
			}
			counts[failure{Cause: cause, Outcome: s.Outcome}]++
		}
	}
	list := []failure{}
	for f, n := range counts {
		f.Requests = n
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b failure) int {
		return cmp.Or(b.Requests-a.Requests, cmp.Compare(a.Cause, b.Cause))
	})
	return list, nil
}

// causesShown is how many causes are printed. A server that repeats the prompt
// in its message gives a cause a request.
const causesShown = 5

// printFailures prints why requests failed.
func (p *program) printFailures(list []failure) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(p.out, "\n%s\n", p.bold("Failed requests"))
	for _, f := range list[:min(len(list), causesShown)] {
		fmt.Fprintf(p.out, "  · %d × %s\n", f.Requests, f.Cause)
	}
	if more := len(list) - causesShown; more > 0 {
		fmt.Fprintf(p.out, "  · and %s; `inferbook show --samples` has each request\n", plural(more, "other cause"))
	}
}

// barren says why an experiment measured nothing at all; nil where some request
// succeeded, or none was measured.
func (v *view) barren() error {
	sent := 0
	for _, pt := range v.Points {
		if pt.OK > 0 {
			return nil
		}
		sent += pt.Sent
	}
	if sent == 0 || len(v.Failures) == 0 {
		return nil
	}
	most := v.Failures[0]
	if most.Requests == sent {
		return fmt.Errorf("none of %s succeeded: %s", plural(sent, "request"), most.Cause)
	}
	return fmt.Errorf("none of %s succeeded, for %d causes that `inferbook show %s` lists, such as: %s",
		plural(sent, "request"), len(v.Failures), v.Experiment.Alias(), most.Cause)
}
