package analysis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

// RepeatsForInterval is the fewest repeats whose median has a 95 % interval: all
// of five lie on one side of the median too often, with probability 2 × 0.5⁵ = 6.25 %.
const RepeatsForInterval = 6

// repeatWarning says what k repeats do not support.
func repeatWarning(k int) string {
	switch {
	case k == 1:
		return "One repeat: how far another run would be from it is not known."
	case k < RepeatsForInterval:
		return fmt.Sprintf("%d repeats: an interval between repeats needs %d.", k, RepeatsForInterval)
	default:
		return ""
	}
}

// calibration says how far the simulated engine may be trusted, as a further sentence;
// empty = that is not recorded.
func (c *Curve) calibration() string {
	if c.Calibration == "" {
		return ""
	}
	return " Its calibration: " + strings.TrimSuffix(c.Calibration, ".") + "."
}

// curveWarnings says what the shape of the sweep does not support. What its points do not
// support, the rules about validity say.
func curveWarnings(e *experiment.Experiment, c *Curve) []string {
	if len(c.Levels) == 0 {
		return []string{"There is no point to make a curve from."}
	}
	var out []string
	var absent []string
	for _, load := range planned(&e.Spec, c.Variant) {
		if !slices.ContainsFunc(c.Levels, func(l Level) bool { return l.Load == load }) {
			absent = append(absent, load.String())
		}
	}
	if len(absent) > 0 {
		out = append(out, fmt.Sprintf("The plan has %s, of which nothing was recorded.", list(absent)))
	}
	if loops := len(throughputs(c.Levels)); loops < shapeLevels && e.Spec.Search == nil && !slices.ContainsFunc(c.Levels, func(l Level) bool { return !closed(l.Load) }) {
		out = append(out, fmt.Sprintf("%s cannot show a shape: knee, plateau and fit need three or more.", sentence.Plural(len(c.Levels), "level")))
	}
	if i := slices.IndexFunc(c.Levels, func(l Level) bool { return l.Load.Open() }); i >= 0 && c.Levels[i].Oversaturated {
		out = append(out, fmt.Sprintf("Requests pile up at the lowest rate already, %s: the highest that is stable lies below it.", c.Levels[i].Load))
	}
	if c.NoFit != "" {
		out = append(out, c.NoFit)
	}
	return out
}

// planned lists the loads that a specification names.
func planned(s *experiment.Spec, variant string) []experiment.Load {
	var out []experiment.Load
	switch {
	case s.Search != nil || len(s.Classes) > 0 && s.Classes[0].Weight == 0:
	case s.Arrival.Open():
		for _, r := range s.Rate {
			out = append(out, experiment.Load{Rate: r, Variant: variant})
		}
	default:
		for _, n := range s.Concurrency {
			out = append(out, experiment.Load{Concurrency: n, Variant: variant})
		}
	}
	return out
}
