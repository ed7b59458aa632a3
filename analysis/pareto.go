package analysis

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

// paretoNoise is the relative difference under which two runs without repeats are not
// told apart: a guide of NVIDIA calls 1.6 % noise for one of them.
const paretoNoise = 0.03

// Frontier is what several curves offer between the speed that one user feels and the work that a
// GPU does: the measured levels that no other level beats in both.
type Frontier struct {
	// Points are all levels that have both figures, the members first in falling interactivity, then
	// the others in the order of the curves.
	Points []ParetoPoint `json:"points"`
	// LeftOut says in whole sentences what has no place on it, and Warnings what makes it less than it seems.
	LeftOut  []string `json:"left_out"`
	Warnings []string `json:"warnings"`
}

// MarshalJSON writes nil slices as empty ones.
func (f Frontier) MarshalJSON() ([]byte, error) { return marshalFinite(f) }

// ParetoPoint is one level of one curve.
type ParetoPoint struct {
	ExperimentID  string          `json:"experiment_id"`
	Title         string          `json:"title"` // of the curve
	Load          experiment.Load `json:"load"`
	GPUs          int             `json:"gpus"`
	Interactivity Estimate        `json:"interactivity_tok_s_user"` // 1 ÷ median TPOT
	PerGPU        Estimate        `json:"output_throughput_tok_s_gpu"`

	// Member says that no other point is at least as good in both and better in one.
	Member bool `json:"member"`
	// By names the member that beats it by the most, "exp-3 b8, c=64"; "" = it is a member.
	By string `json:"dominated_by"`
	// Close says that who beats it does so by less than the runs spread: in neither figure do the ranges over
	// repeats lie apart. Where a point has no repeats its range is taken to be ±1.5 %.
	Close bool `json:"close"`
}

// Members are the points on the frontier, in falling interactivity.
func (f *Frontier) Members() []ParetoPoint {
	n := 0
	for n < len(f.Points) && f.Points[n].Member {
		n++
	}
	return f.Points[:n]
}

// Pareto finds the frontier of several curves. A level that has no TPOT or no throughput, at which requests pile up, or
// at which over 1 % of them failed is left out; so is a curve of which the number of GPUs is not known. Nothing lies between
// measured points but a straight line, and nothing beyond them.
func Pareto(curves []Curve) Frontier {
	f := Frontier{Warnings: Between(curves)}
	models := map[string]bool{}
	once := false
	for i := range curves {
		c := &curves[i]
		if c.GPUs < 1 {
			f.LeftOut = append(f.LeftOut, fmt.Sprintf("%s is left out: how many GPUs it used is not known, so there is no throughput of one.", c.Title))
			continue
		}
		left := map[string][]string{}
		for j := range c.Levels {
			l := &c.Levels[j]
			if why := unfit(l); why != "" {
				left[why] = append(left[why], bare(l.Load))
				continue
			}
			once = once || !(len(l.Points) > 1)
			f.Points = append(f.Points, ParetoPoint{ExperimentID: c.ExperimentID, Title: c.Title, Load: l.Load, GPUs: c.GPUs,
				Interactivity: l.Interactivity, PerGPU: times(l.OutputThroughput, 1/float64(c.GPUs))})
		}
		for _, why := range []string{noStream, failing, pilingUp} {
			if at := left[why]; len(at) > 0 {
				f.LeftOut = append(f.LeftOut, fmt.Sprintf("%s at %s is left out: %s.", c.Title, list(at), why))
			}
		}
		if c.Machine != nil {
			models[c.Machine.Model] = true
		}
	}
	if len(models) > 1 {
		f.Warnings = append(f.Warnings, "The models differ: a smaller one is faster, and whether its answers are as good is not measured here.")
	}
	if once {
		f.Warnings = append(f.Warnings, fmt.Sprintf("Some points are of one repeat: a difference under %s is taken for noise there.", sentence.Percent(paretoNoise)))
	}
	f.judge()
	return f
}

// Why a level has no place on a frontier.
const (
	noStream = "it has no TPOT or no throughput"
	failing  = "over 1 % of its requests failed"
	pilingUp = "requests pile up, so that its figures say how long the run was"
)

func unfit(l *Level) string {
	switch {
	case !(l.Interactivity.Value > 0) || !(l.OutputThroughput.Value > 0):
		return noStream
	case l.ErrorRate > errorBar:
		return failing
	case l.Oversaturated:
		return pilingUp
	}
	return ""
}

// bare is a load without its variant, which the curve's title names.
func bare(l experiment.Load) string {
	l.Variant = ""
	return l.String()
}

// beats reports whether a is at least as good as b in both figures and better in one.
func (a *ParetoPoint) beats(b *ParetoPoint) bool {
	x, y := a.Interactivity.Value, a.PerGPU.Value
	return x >= b.Interactivity.Value && y >= b.PerGPU.Value && (x > b.Interactivity.Value || y > b.PerGPU.Value)
}

// judge finds the members, and for each other point the member that beats it by the most:
// the largest product of both ratios.
func (f *Frontier) judge() {
	for i := range f.Points {
		p := &f.Points[i]
		p.Member = !slices.ContainsFunc(f.Points, func(q ParetoPoint) bool { return q.beats(p) })
	}
	for i := range f.Points {
		p := &f.Points[i]
		if p.Member {
			continue
		}
		most := 0.0
		p.Close = true
		for j := range f.Points {
			q := &f.Points[j]
			if !q.beats(p) {
				continue
			}
			p.Close = p.Close && !above(q.Interactivity, p.Interactivity) && !above(q.PerGPU, p.PerGPU)
			if by := q.Interactivity.Value / p.Interactivity.Value * q.PerGPU.Value / p.PerGPU.Value; q.Member && by > most {
				most, p.By = by, q.Title+", "+bare(q.Load)
			}
		}
	}
	slices.SortStableFunc(f.Points, func(a, b ParetoPoint) int {
		switch {
		case a.Member != b.Member:
			return cmp.Compare(truth(b.Member), truth(a.Member))
		case a.Member:
			return cmp.Compare(b.Interactivity.Value, a.Interactivity.Value)
		}
		return 0
	})
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// above reports whether the range of a lies above that of b.
func above(a, b Estimate) bool {
	low, _ := repeatRange(a)
	_, high := repeatRange(b)
	return low > high
}

// repeatRange is how far repeats of a figure lie: the 95 % interval between them, else their range, else
// half of [paretoNoise] to each side.
func repeatRange(e Estimate) (low, high float64) {
	if e.Repeats > 1 && e.Bounded() {
		return e.Low, e.High
	}
	if least, most, ok := e.Spread(); ok {
		return least, most
	}
	return e.Value * (1 - paretoNoise/2), e.Value * (1 + paretoNoise/2)
}
