package figure

import (
	"math"

	"gonum.org/v1/plot"
)

// logTicks labels a logarithmic axis at 1-2-5, at every decade or every few
// decades where that would be more than most labels, at 1-5 where one decade alone
// would be left, and at even steps where the axis is narrower than 1-2-5 can tell.
type logTicks struct {
	unit unit
	most int // labels on the axis
}

// Ticks implements [plot.Ticker]. Both limits are above zero.
func (t logTicks) Ticks(lo, hi float64) []plot.Tick {
	first, last := decade(lo), decade(hi)
	for _, digits := range [][]float64{{1, 2, 5}, {1}, {1, 5}} {
		major := within(powers(first, last, 1, digits), lo, hi)
		if len(major) < 3 && len(digits) == 3 {
			return t.narrow(lo, hi)
		}
		if len(major) >= 2 && len(major) <= t.most {
			return t.label(major, within(powers(first, last, 1, []float64{1, 2, 3, 4, 5, 6, 7, 8, 9}), lo, hi))
		}
	}
	for every := 2; ; every++ {
		if major := within(powers(first, last, every, []float64{1}), lo, hi); len(major) <= t.most {
			return t.label(major, within(powers(first, last, 1, []float64{1}), lo, hi))
		}
	}
}

// narrow labels at even steps an axis of less than about a decade, the widest steps
// that leave it two labels.
func (t logTicks) narrow(lo, hi float64) []plot.Tick {
	for most := t.most; ; most++ {
		ticks, labels := linearTicks{unit: t.unit, most: most}.Ticks(lo, hi), 0
		for _, tick := range ticks {
			if tick.Label != "" {
				labels++
			}
		}
		if labels >= 2 {
			return ticks
		}
	}
}

// label makes major ticks of the values in major and minor ones of the others.
func (t logTicks) label(major, all []float64) []plot.Tick {
	ticks := make([]plot.Tick, 0, len(all))
	for _, v := range all {
		tick := plot.Tick{Value: v}
		for _, m := range major {
			if m == v {
				tick.Label = t.unit.tick(v, math.Pow(10, decade(v)))
			}
		}
		ticks = append(ticks, tick)
	}
	return ticks
}

// decade is the exponent of the power of ten at or below v.
func decade(v float64) float64 { return math.Floor(math.Log10(v) + 1e-9) }

// powers lists digit·10^k for the given digits and every k from first to last
// that is a multiple of every.
func powers(first, last float64, every int, digits []float64) []float64 {
	step := float64(every)
	var vs []float64
	for k := math.Ceil(first/step) * step; k <= last; k += step {
		for _, d := range digits {
			vs = append(vs, scaled(d, int(k)))
		}
	}
	return vs
}

// scaled is d·10^k, rounded once: for a negative k it divides, since the
// negative powers of ten are not representable.
func scaled(d float64, k int) float64 {
	if k < 0 {
		return d / math.Pow10(-k)
	}
	return d * math.Pow10(k)
}

// within keeps the values from lo to hi.
func within(vs []float64, lo, hi float64) []float64 {
	kept := vs[:0]
	for _, v := range vs {
		if v >= lo*(1-1e-12) && v <= hi*(1+1e-12) {
			kept = append(kept, v)
		}
	}
	return kept
}

// linearTicks labels a linear axis at multiples of 1, 2 or 5 times a power of
// ten, with minor ticks between them.
type linearTicks struct {
	unit unit
	most int // labels on the axis
	// whole keeps to whole numbers: what is counted has no half.
	whole bool
}

// Ticks implements [plot.Ticker].
func (t linearTicks) Ticks(lo, hi float64) []plot.Tick {
	digit, k := niceStep((hi - lo) / float64(t.most))
	parts := 5.0
	switch {
	case t.whole && k < 0:
		digit, k, parts = 1, 0, 1
	case t.whole && k == 0:
		parts = digit
	case digit == 2:
		parts = 4
	}
	step := scaled(digit, k)
	var ticks []plot.Tick
	first := math.Ceil(lo/step*parts - 1e-9)
	for i := range int(math.Floor(hi/step*parts+1e-9)-first) + 1 {
		n := first + float64(i)
		tick := plot.Tick{Value: n / parts * step}
		if major := n / parts; major == math.Trunc(major) {
			tick.Value = scaled(major*digit, k)
			tick.Label = t.unit.tick(tick.Value, step)
		}
		ticks = append(ticks, tick)
	}
	return ticks
}

// niceStep is the smallest of 1, 2 and 5 times a power of ten that is at least v.
func niceStep(v float64) (digit float64, k int) {
	k = int(math.Floor(math.Log10(v)))
	for _, digit := range []float64{1, 2, 5} {
		if scaled(digit, k) >= v*(1-1e-9) {
			return digit, k
		}
	}
	return 1, k + 1
}

// levelTicks marks the loads that were measured, since a load between two of
// them has no data. It labels as many as have room, the outermost first.
type levelTicks struct {
	levels []float64 // rising
	// gap is the least distance between two labels on a logarithmic axis, as
	// a share of its length.
	gap float64
}

// Ticks implements [plot.Ticker].
func (t levelTicks) Ticks(lo, hi float64) []plot.Tick {
	at := func(v float64) float64 { return math.Log(v/lo) / math.Log(hi/lo) }
	labelled := make([]bool, len(t.levels))
	try := func(i int) {
		for j, l := range t.levels {
			if labelled[j] && math.Abs(at(l)-at(t.levels[i])) < t.gap {
				return
			}
		}
		labelled[i] = true
	}
	if n := len(t.levels); n > 0 {
		try(0)
		try(n - 1)
	}
	ticks := make([]plot.Tick, len(t.levels))
	for i, l := range t.levels {
		try(i)
		ticks[i].Value = l
		if labelled[i] {
			ticks[i].Label = loadNumber(l)
		}
	}
	return ticks
}
