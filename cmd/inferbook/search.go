package main

import (
	"context"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner"
)

// search looks for the largest load that holds the SLO, point by point.
type search struct {
	session  *session
	searcher *analysis.Searcher
	p        *program
	err      error
}

// next takes the point that has ended into account and plans the one to follow.
func (q *search) next(ctx context.Context) func(*experiment.Point) (runner.PlannedPoint, bool) {
	ordinal := 0
	q.searcher = analysis.NewSearcher(*q.session.plan.Spec.Search, 0)
	return func(before *experiment.Point) (runner.PlannedPoint, bool) {
		if before != nil {
			summary, err := summary(ctx, q.session.nb, q.session.exp, *before)
			if err != nil {
				q.err = err
				return runner.PlannedPoint{}, false
			}
			q.p.hint("  %-22s %s", before.Load, record(q.searcher, &q.session.plan.Spec, &summary))
		}
		level, repeat, ok := q.searcher.Next()
		if !ok {
			return runner.PlannedPoint{}, false
		}
		ordinal++
		return q.session.plan.Point(loadOf(q.session.plan.Spec.Search, level), repeat, ordinal-1), true
	}
}

// loadOf is a level of a search as a load.
func loadOf(s *experiment.Search, level float64) experiment.Load {
	if s.Over == "concurrency" {
		return experiment.Load{Concurrency: int(level)}
	}
	return experiment.Load{Rate: level}
}

// record tells a searcher how a measured point stands to the SLO, and gives the
// sentence that says so.
func record(s *analysis.Searcher, spec *experiment.Spec, summary *analysis.PointSummary) string {
	v := analysis.Verdict(spec.SLO, summary)
	s.Record(summary.Point.Load.Level(), v.Leans, v.Ruling != analysis.Unsure)
	return v.Sentence
}

// found repeats a search over the points that it has measured, and gives its answer.
func found(spec *experiment.Spec, points []analysis.PointSummary) *analysis.SearchResult {
	if spec.Search == nil {
		return nil
	}
	s := analysis.NewSearcher(*spec.Search, 0)
	for i := range points {
		if points[i].Point.Status == experiment.Complete {
			record(s, spec, &points[i])
		}
	}
	answer := s.Answer()
	return &answer
}
