package analysis

import (
	"fmt"

	"github.com/inferbook/inferbook/experiment"
)

// stableRate is the last rate below the first at which requests pile up.
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
				last.Load, short(last.RequestRate.Value), l.Load), "nvidia-fundamental-concepts")
		}
		last = l
	}
	if last == nil {
		return nil
	}
	return last.landmark(last.RequestRate.Value, fmt.Sprintf("At %s, the highest rate measured, the server completes %s req/s and requests do not pile up.",
		last.Load, short(last.RequestRate.Value)), "nvidia-fundamental-concepts")
}

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
	return best.landmark(best.Goodput.Value, fmt.Sprintf("At %s %s of %s req/s are within the SLO, more than at any other level.",
		best.Load, short(best.Goodput.Value), short(best.RequestRate.Value)), "vllm-repository")
}

// sloCapacity is the largest level that holds the SLO, below the first that misses
// it: one that holds above a miss holds by chance, or for another reason than its load.
func sloCapacity(levels []Level, slo experiment.SLO) *Landmark {
	if !slo.Judges() {
		return nil
	}
	var held, next *Level
	for i := range levels {
		l := &levels[i]
		if l.Ruling == Holds {
			held = l
		} else if l.Ruling == Misses {
			next = l
			break
		}
	}
	if held == nil {
		return nil
	}
	after := "no level above it misses"
	if next != nil {
		after = fmt.Sprintf("%s misses it", next.Load)
	}
	return held.landmark(held.RequestRate.Value, fmt.Sprintf("At %s %s holds, with %s req/s; %s.", held.Load, slo, short(held.RequestRate.Value), after), "vllm-repository")
}

func (l *Level) landmark(value float64, because, reading string) *Landmark {
	return &Landmark{Load: l.Load, Level: l.Load.Level(), Value: value, Because: because, Reading: reading}
}
