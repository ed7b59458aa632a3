package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

const (
	// PlateauGain is the relative gain in throughput per relative growth in load
	// under which more load buys next to nothing: a doubling buys under 10 %.
	PlateauGain = 0.1
	// Flatness is how far B_run may be from its mean and still be flat, as a share of it.
	Flatness = 0.05
	// AdmittedShare is the share of the offered requests under which B_run says
	// that some of them wait.
	AdmittedShare = 0.9
	// shapeLevels is the fewest levels that have a shape.
	shapeLevels = 3
)

// place is a level reduced to a load and one figure.
type place struct {
	users int
	value float64
}

// places gives the closed-loop levels that have the figure.
func places(levels []Level, of func(*Level) Estimate) []place {
	var out []place
	for i := range levels {
		e := of(&levels[i])
		if l := levels[i].Load; closed(l) && e.Known() {
			out = append(out, place{l.Concurrency, e.Value})
		}
	}
	return out
}

func throughputs(levels []Level) []place {
	return places(levels, func(l *Level) Estimate { return l.OutputThroughput })
}

// Gain is the relative growth of output throughput from one closed-loop level to a higher
// one, per relative growth in load: 1 = in proportion, 0 = none. NaN where a figure is not known.
func Gain(a, b *Level) float64 {
	return gain(place{a.Load.Concurrency, a.OutputThroughput.Value}, place{b.Load.Concurrency, b.OutputThroughput.Value})
}

// gain is the relative growth of a figure per relative growth in load.
func gain(a, b place) float64 {
	return ratio((b.value-a.value)/a.value, float64(b.users-a.users)/float64(a.users))
}

func plateau(levels []Level) *Landmark {
	ps := throughputs(levels)
	first := len(ps) - 1
	for first > 0 && gain(ps[first-1], ps[first]) < PlateauGain {
		first--
	}
	if first < 0 || first == len(ps)-1 {
		return nil
	}
	a, b := ps[first], ps[first+1]
	further := "this is the sweep's last step"
	if last := ps[len(ps)-1]; last != b {
		further = fmt.Sprintf("no further step up to c=%d buys a tenth of its own growth", last.users)
	}
	return &Landmark{
		Load: experiment.Load{Concurrency: a.users}, Level: float64(a.users), Value: a.value,
		Because: fmt.Sprintf("c=%d → c=%d takes output throughput from %s to %s tok/s: load grows by %s and %s, and %s.",
			a.users, b.users, sentence.Short(a.value), sentence.Short(b.value), sentence.Percent(float64(b.users-a.users)/float64(a.users)), bought((b.value-a.value)/a.value), further),
		Reading: "nvidia-genai-perf-nim",
	}
}

// bought says what more load brought, as a share of the throughput before it.
func bought(share float64) string {
	if share < 0 {
		return "throughput loses " + sentence.Percent(-share)
	}
	return "buys " + sentence.Percent(share) + ", under a tenth of its own growth"
}

func knee(levels []Level) *Landmark {
	ps := throughputs(levels)
	if len(ps) < shapeLevels {
		return nil
	}
	// The line ends at the highest throughput: what a server loses past it
	// (preemption, thrashing) is no part of how it got there.
	top := ps[0].value
	for _, p := range ps {
		top = max(top, p.value)
	}
	first, last := ps[0], ps[len(ps)-1]
	above := func(p place) float64 {
		return ratio(p.value-first.value, top-first.value) - float64(p.users-first.users)/float64(last.users-first.users)
	}
	best, height := 0, 0.0
	for i, p := range ps {
		if h := above(p); h > height {
			best, height = i, h
		}
	}
	spacing := 1 / float64(len(ps)-1)
	reached := false
	for _, p := range ps[best+1:] {
		reached = reached || above(p) < height-spacing
	}
	if best == 0 || !reached {
		return nil
	}
	k := ps[best]
	return &Landmark{
		Load: experiment.Load{Concurrency: k.users}, Level: float64(k.users), Value: k.value,
		Because: fmt.Sprintf("At c=%d the server gives %s of the sweep's gain in throughput for %s of its growth in load (c=%d to c=%d), "+
			"further apart than at any other level.", k.users, sentence.Percent(ratio(k.value-first.value, top-first.value)),
			sentence.Percent(float64(k.users-first.users)/float64(last.users-first.users)), first.users, last.users),
		Reading: "databricks-inference-performance",
	}
}

// AdmissionLimit looks for the levels at the end of the sweep between which
// B_run stays the same while more requests are offered than it: all within flatness of
// their mean, and under the share of what is offered. [Curve.AdmissionLimit] is that of
// [Flatness] and [AdmittedShare]; nil = there is none.
func AdmissionLimit(levels []Level, flatness, share float64) *Landmark {
	ps := places(levels, func(l *Level) Estimate { return l.BRun })
	first, average := -1, math.NaN()
	for i := len(ps) - 1; i >= 0; i-- {
		m, ok := flat(ps[i:], flatness)
		if !ok || ps[i].value >= share*float64(ps[i].users) {
			break
		}
		first, average = i, m
	}
	if first < 0 || first == len(ps)-1 {
		return nil
	}
	a, b := ps[first], ps[len(ps)-1]
	byValue := func(p, q place) int { return cmp.Compare(p.value, q.value) }
	least, most := slices.MinFunc(ps[first:], byValue), slices.MaxFunc(ps[first:], byValue)
	return &Landmark{
		Load: experiment.Load{Concurrency: a.users}, Level: float64(a.users), Value: average,
		Because: fmt.Sprintf("From c=%d to c=%d the server decodes %s requests at once (%s to %s, all within %s), "+
			"fewer than %s of what is offered: the others wait to be admitted.",
			a.users, b.users, sentence.Short(average), sentence.Short(least.value), sentence.Short(most.value), sentence.Percent(flatness), sentence.Percent(share)),
		Reading: "nvidia-tensorrt-llm-tuning",
	}
}

// flat gives the mean of some levels, and whether all are within flatness of it.
func flat(ps []place, flatness float64) (average float64, ok bool) {
	for _, p := range ps {
		average += p.value / float64(len(ps))
	}
	for _, p := range ps {
		if math.Abs(p.value-average) > flatness*average {
			return average, false
		}
	}
	return average, true
}
