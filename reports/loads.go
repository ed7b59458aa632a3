package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// load names a load of the item as text, without the variant, which its title has.
func (it *Item) load(l experiment.Load) string {
	if l.Variant == it.Curve.Variant {
		l.Variant = ""
	}
	return inline(l.String())
}

// someOpen reports whether some requests of an experiment were sent by a schedule
// that does not wait for answers.
func someOpen(it *Item) bool {
	return slices.ContainsFunc(it.Curve.Levels, func(l analysis.Level) bool { return l.Load.Rate > 0 })
}

// someClosed reports whether some of them waited for an answer before, or whether
// nothing was measured at all.
func someClosed(it *Item) bool {
	return len(it.Curve.Levels) == 0 || slices.ContainsFunc(it.Curve.Levels, func(l analysis.Level) bool { return !l.Load.Open() })
}

// piledUp reports whether some level was more than the server serves.
func piledUp(it *Item) bool {
	return slices.ContainsFunc(it.Curve.Levels, func(l analysis.Level) bool { return l.Oversaturated })
}

// plannedLoads are the levels that a specification asks for; empty for a search,
// which finds its own.
func plannedLoads(it *Item) []experiment.Load {
	s := &it.Experiment.Spec
	variant := it.Curve.Variant
	own, carries := s.Arrival.OwnRate()
	switch {
	case s.Search != nil:
		return nil
	case ownLoads(s):
		l := experiment.Load{Variant: variant}
		for i := range s.Classes {
			l.Concurrency += s.Classes[i].Concurrency
			l.Rate += s.Classes[i].Rate
		}
		return []experiment.Load{l}
	case carries:
		return []experiment.Load{{Rate: own, Variant: variant}}
	}
	var out []experiment.Load
	if s.Arrival.Open() {
		for _, r := range s.Rate {
			out = append(out, experiment.Load{Rate: r, Variant: variant})
		}
		return out
	}
	for _, c := range s.Concurrency {
		out = append(out, experiment.Load{Concurrency: c, Variant: variant})
	}
	return out
}

// ownLoads reports whether the classes have loads of their own, and so are the
// experiment's one level.
func ownLoads(s *experiment.Spec) bool { return len(s.Classes) > 0 && s.Classes[0].Weight == 0 }

// arrivalCell says when requests were sent, and how far from evenly they came.
func arrivalCell(it *Item) string {
	s := &it.Experiment.Spec
	const fixed = "closed loop: a fixed number of requests in flight"
	var parts []string
	switch {
	case ownLoads(s):
		for i := range s.Classes {
			c := &s.Classes[i]
			if c.Concurrency > 0 {
				parts = append(parts, fmt.Sprintf("%s closed loop, c=%d", inline(c.Name), c.Concurrency))
			} else {
				parts = append(parts, fmt.Sprintf("%s open loop, %s req/s, %s", inline(c.Name), exact(c.Rate), arrivalName(c.Arrival)))
			}
		}
	case !someOpen(it):
		parts = append(parts, fixed)
	case someClosed(it):
		parts = append(parts, "open loop, "+arrivalName(s.Arrival)+", at some levels; "+fixed+" at the others")
	default:
		parts = append(parts, "open loop, "+arrivalName(s.Arrival)+": a schedule fixed before the first byte, which does not wait for answers")
	}
	if low, high := arrivalSpread(it.Points); high >= 0 {
		text := digits(low)
		if digits(high) != text {
			text += "–" + digits(high)
		}
		parts = append(parts, "CV of the gaps "+text)
	}
	if n := s.MaxConcurrency; n > 0 {
		held := 0
		for i := range it.Points {
			held += it.Points[i].HeldBack
		}
		parts = append(parts, fmt.Sprintf("never more than %s in flight, for which %s waited", thousands(n), counted(held, "request")))
	}
	if !s.ThinkTime.IsZero() {
		parts = append(parts, "a user pauses for "+inline(s.ThinkTime.String()))
	}
	return strings.Join(parts, "; ")
}

// arrivalName is the text of an arrival process as flags have it, poisson where
// a rate was given alone.
func arrivalName(a experiment.Arrival) string {
	if !a.Open() {
		return code(string(experiment.PoissonArrival))
	}
	return code(a.String())
}

// arrivalSpread is the range of the coefficients of variation of the gaps between
// arrivals over the points, or their classes beside a closed loop; high is under 0
// where nothing is an open loop.
func arrivalSpread(points []analysis.PointSummary) (low, high float64) {
	low, high = math.Inf(1), -1
	see := func(p *analysis.PointSummary) {
		if p.Point.Load.Open() && p.ArrivalCV >= 0 {
			cv := math.Round(1000*p.ArrivalCV) / 1000 // an even schedule's is a little more than 0
			low, high = min(low, cv), max(high, cv)
		}
	}
	for i := range points {
		see(&points[i])
		if !points[i].Point.Load.Open() {
			for j := range points[i].Classes {
				see(&points[i].Classes[j].Summary)
			}
		}
	}
	return low, high
}

// levelsCell names the levels, and those that the plan has and the record has not.
func levelsCell(it *Item) string {
	s := &it.Experiment.Spec
	var names []string
	for i := range it.Curve.Levels {
		names = append(names, it.load(it.Curve.Levels[i].Load))
	}
	if len(names) == 0 {
		return "none"
	}
	text := strings.Join(names, ", ")
	switch planned := max(s.Repeats, 1); {
	case s.Search != nil:
		text += fmt.Sprintf("; found by a search over %s, of at most %s", inline(s.Search.Over), counted(s.Search.Points, "point"))
	case planned > 1:
		text += "; " + counted(planned, "repeat") + " each, in an order shuffled per round"
	default:
		text += "; 1 repeat each"
	}
	var missing []string
	for _, l := range plannedLoads(it) {
		if levelAt(it.Curve.Levels, l) == nil {
			missing = append(missing, it.load(l))
		}
	}
	if len(missing) > 0 {
		text += "; **planned and not measured: " + strings.Join(missing, ", ") + "**"
	}
	return text
}

// serviceCell is what each level is judged by, and each class that has its own.
func serviceCell(it *Item) string {
	s := &it.Experiment.Spec
	var parts []string
	if len(s.SLO) > 0 {
		parts = append(parts, code(s.SLO.String()))
	}
	for i := range s.Classes {
		if c := &s.Classes[i]; len(c.SLO) > 0 {
			parts = append(parts, inline(c.Name)+" "+code(c.SLO.String()))
		}
	}
	return strings.Join(parts, "; ")
}
