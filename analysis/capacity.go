package analysis

import (
	"fmt"
	"slices"

	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

const (
	// shownBar is the share of the arrivals that a point's answers must reach within its
	// window for the point to show that its rate is served.
	shownBar = 0.9
	errorBar = 0.01 // a p99 of survivors is no p99 once 1 % did not survive
	heldBar  = 0.01 // of the requests: from there on p99 of the lag is the cap's
)

// stableRate is the last rate below the first at which requests pile up. A level
// that cannot tell is passed over: one without throughput, one too short for its
// answers to have come within it, one where requests failed, as those do that a server
// sheds, or whose cap on concurrency held them back, so that they piled up at the client.
func stableRate(levels []Level) *Landmark {
	var last *Level
	for i := range levels {
		l := &levels[i]
		if !l.Load.Open() {
			continue
		}
		if l.Oversaturated {
			if last == nil {
				return nil
			}
			return last.landmark(last.RequestRate.Value, fmt.Sprintf("At %s the server completes %s req/s and requests do not pile up; at %s they do.",
				last.Load, sentence.Short(last.RequestRate.Value), l.Load), "nvidia-fundamental-concepts")
		}
		if l.RequestRate.Value > 0 && !(l.RequestRate.Value < shownBar*l.AchievedRate.Value) && !(l.ErrorRate > errorBar) && !slices.ContainsFunc(l.Points, func(s PointSummary) bool { return capped(&s) }) {
			last = l
		}
	}
	if last == nil {
		return nil
	}
	above := ", the highest rate measured,"
	if last != &levels[len(levels)-1] {
		above = ", the highest rate at which this run can tell,"
	}
	return last.landmark(last.RequestRate.Value, fmt.Sprintf("At %s%s the server completes %s req/s and requests do not pile up.",
		last.Load, above, sentence.Short(last.RequestRate.Value)), "nvidia-fundamental-concepts")
}

// capped reports whether a cap on concurrency held back so many requests that the
// server did not get the rate in the point's name.
func capped(s *PointSummary) bool { return float64(s.HeldBack) > heldBar*float64(s.Sent) }

func bestGoodput(levels []Level) *Landmark {
	var best *Level
	for i := range levels {
		if v := levels[i].Goodput.Value; v > 0 && (best == nil || v > best.Goodput.Value) {
			best = &levels[i]
		}
	}
	if best == nil {
		return nil
	}
	rest := ""
	if len(levels) > 1 {
		rest = ", more than at any other level"
	}
	return best.landmark(best.Goodput.Value, fmt.Sprintf("At %s %s of %s req/s are within the SLO%s.",
		best.Load, sentence.Short(best.Goodput.Value), sentence.Short(best.RequestRate.Value), rest), "vllm-repository")
}

// sloCapacity is the largest level that holds the SLO, below the first that misses
// it: one that holds above a miss holds by chance, or for another reason than its load.
func sloCapacity(levels []Level, slo experiment.SLO) *Landmark {
	if !slo.Judges() {
		return nil
	}
	var held, next, unsure *Level
	for i := range levels {
		l := &levels[i]
		if l.Ruling == Holds {
			held, unsure = l, nil
		} else if l.Ruling == Misses {
			next = l
			break
		} else if unsure == nil {
			unsure = l
		}
	}
	if held == nil {
		return nil
	}
	after := "no level above it misses"
	switch {
	case next != nil:
		after = fmt.Sprintf("%s misses it", next.Load)
	case unsure != nil:
		after = fmt.Sprintf("at %s its interval straddles the bound", unsure.Load)
	}
	return held.landmark(held.RequestRate.Value, fmt.Sprintf("At %s %s holds, with %s req/s; %s.", held.Load, slo, sentence.Short(held.RequestRate.Value), after), "vllm-repository")
}

func (l *Level) landmark(value float64, because, reading string) *Landmark {
	return &Landmark{Load: l.Load, Level: l.Load.Level(), Value: value, Because: because, Reading: reading}
}
