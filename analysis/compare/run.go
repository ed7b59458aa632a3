// Package compare holds experiments against each other.
//
// It believes that
//
//   - what differs in the setup comes before what differs in the figures: a ratio
//     between two runs that differ in five things explains none of them;
//   - two runs that did different work are not compared, unless somebody insists;
//   - repeats are what a claim about another run rests on. Where there is one
//     repeat on each side, what is compared is those two runs, and it says so;
//   - no difference shown is a result, written ~, and not the same as no difference;
//   - who asks ten questions gets a wrong yes sooner than who asks one: the
//     probabilities are corrected for the number of figures compared.
//
// It is pure: values in, values out, no I/O.
package compare

import (
	"cmp"
	"iter"
	"slices"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// Run is an experiment to be compared.
type Run struct {
	Experiment *experiment.Experiment
	Points     []analysis.PointSummary
	// Samples gives the samples of a point by its ID, in any order. They are looked at only where
	// there are too few repeats to compare. nil = there are none.
	Samples func(pointID string) iter.Seq2[experiment.Sample, error]
}

// Level is one load of a run, with its repeats.
type Level struct {
	Run    *Run
	Load   experiment.Load
	Points []*analysis.PointSummary // in the order of the repeats
}

// Levels gives the loads of the run in rising order.
func (r *Run) Levels() []Level {
	points := make([]*analysis.PointSummary, len(r.Points))
	for i := range r.Points {
		points[i] = &r.Points[i]
	}
	slices.SortStableFunc(points, func(a, b *analysis.PointSummary) int {
		return cmp.Or(a.Point.Load.Compare(b.Point.Load), cmp.Compare(a.Point.Repeat, b.Point.Repeat))
	})
	var out []Level
	for _, p := range points {
		if n := len(out); n > 0 && out[n-1].Load == p.Point.Load {
			out[n-1].Points = append(out[n-1].Points, p)
			continue
		}
		out = append(out, Level{Run: r, Load: p.Point.Load, Points: []*analysis.PointSummary{p}})
	}
	return out
}

// spec is what the level asked for: its variant of the specification.
func (l Level) spec() *experiment.Spec {
	s := &l.Run.Experiment.Spec
	if l.Load.Variant == "" {
		return s
	}
	variants, err := s.Variants()
	if err != nil {
		return s
	}
	for i := range variants {
		if variants[i].Name == l.Load.Variant {
			return &variants[i].Spec
		}
	}
	return s
}

// ok is the number of successful requests.
func (l Level) ok() int {
	n := 0
	for _, p := range l.Points {
		n += p.OK
	}
	return n
}

// errorShare is the share of the measured requests that failed, 0–1.
func (l Level) errorShare() float64 {
	sent := 0
	for _, p := range l.Points {
		sent += p.Sent
	}
	if sent == 0 {
		return 0
	}
	return 1 - float64(l.ok())/float64(sent)
}
