package figure

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// byLoad sorts levels by rising load.
func byLoad(a, b analysis.Level) int { return a.Load.Compare(b.Load) }

// loadName is how a level is labelled on its curve, whose title names the variant.
func loadName(c analysis.Curve, l experiment.Load) string {
	if l.Variant == c.Variant {
		l.Variant = ""
	}
	return clean(l.String())
}

// loadKinds explains the labels of the levels.
func loadKinds(curves []analysis.Curve) string {
	var closed, open bool
	for _, c := range curves {
		for _, l := range c.Levels {
			closed = closed || l.Load.Concurrency > 0
			open = open || l.Load.Rate > 0
		}
	}
	var kinds []string
	if closed || !open {
		kinds = append(kinds, "c = concurrency")
	}
	if open {
		kinds = append(kinds, "rate = requests per second offered")
	}
	return strings.Join(kinds, ", ")
}

// pilingNote says, for the caption, which levels are drawn as doubtful since they
// are more than the server serves; empty where none is.
func pilingNote(curves []analysis.Curve) string {
	n := 0
	for _, c := range curves {
		for _, l := range c.Levels {
			if l.Oversaturated {
				n++
			}
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s hollow, since requests pile up there: a latency says how long the run was.", counted(n, "level is", "levels are"))
}

// scale is what a curve's levels are told apart by.
type scale struct {
	open  bool
	title string // of the axis
}

// scaleOf is the offered rate where all levels are open loops, else the concurrency.
func scaleOf(c analysis.Curve) scale {
	if len(c.Levels) > 0 && !slices.ContainsFunc(c.Levels, func(l analysis.Level) bool { return !l.Load.Open() }) {
		return scale{true, "Requests per second offered (log scale)"}
	}
	return scale{false, "Concurrency: requests in flight (log scale)"}
}

// of gives a load's place; false for one that has none on this scale.
func (s scale) of(l experiment.Load) (float64, bool) {
	if s.open {
		return l.Rate, l.Rate >= smallest && l.Rate <= largest
	}
	return float64(l.Concurrency), l.Concurrency > 0
}

// place names a place in words.
func (s scale) place(v float64) string {
	if s.open {
		return loadNumber(v) + " req/s"
	}
	return "concurrency " + loadNumber(v)
}

// symbol is what a load of this scale is written after.
func (s scale) symbol() string {
	if s.open {
		return "rate = "
	}
	return "c = "
}

// loadNumber writes a load: a count in full, a rate to four digits as
// [experiment.Load] has it.
func loadNumber(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e7 {
		return plain.tick(v, 1)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
