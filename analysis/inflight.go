package analysis

import (
	"cmp"
	"slices"

	"github.com/inferbook/inferbook/experiment"
)

// span is a request in flight: sent, ended, and when it was due. The end is Never
// where the record does not have it.
type span struct{ sent, end, due experiment.Instant }

// due is when the plan wanted the request sent; when it was sent, where no plan was kept.
func due(s *experiment.Sample) experiment.Instant {
	if s.Scheduled.Happened() {
		return s.Scheduled
	}
	return s.Sent
}

// inflight sweeps a line over the window and gives the time-weighted mean and
// the maximum of the requests in flight. The mean is NaN for an empty window.
func inflight(spans []span, from, to experiment.Instant) (average float64, most int) {
	type edge struct {
		at   experiment.Instant
		step int
	}
	edges := make([]edge, 0, 2*len(spans))
	for _, s := range spans {
		end := s.end
		if !end.Happened() {
			end = to
		}
		if start, end := max(s.sent, from), min(end, to); start < end {
			edges = append(edges, edge{start, +1}, edge{end, -1})
		}
	}
	// At one instant the ends come first: a worker's next request begins when
	// its last one ends, and the two are never in flight together.
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.step, b.step)) })
	now, area, last := 0, 0.0, from
	for _, e := range edges {
		area += float64(now) * float64(e.at-last)
		last = e.at
		now += e.step
		most = max(most, now)
	}
	return ratio(area, float64(to-from)), most
}
