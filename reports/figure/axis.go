package figure

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/inferbook/inferbook/analysis"
)

// smallest and largest bound what is drawn: beyond them lies no latency, rate
// or count, and arithmetic on axis limits would lose its precision.
const (
	smallest = 1e-100
	largest  = 1e100
)

// axis is one axis of a panel, with its limits.
type axis struct {
	title  string
	unit   unit
	log    bool
	lo, hi float64
	// down says that the axis counts from the top.
	down bool
	// labels is about how many tick labels the axis has room for.
	labels int
	// ticks is used instead of the ordinary ticks where it is not nil.
	ticks plot.Ticker
}

// drawable reports whether a value has a place on the axis.
func (a *axis) drawable(v float64) bool {
	if a.log {
		return v >= smallest && v <= largest
	}
	return v >= 0 && v <= largest
}

// span is a value with its 95 % interval, as it is drawn: each bound is finite
// only where there is one.
type span struct {
	at, lo, hi float64
	// whisker says that lo and hi are the range over repeats that are too few for
	// an interval.
	whisker bool
}

// spot is a span of nothing but a value.
func spot(v float64) span { return span{at: v, lo: v, hi: v} }

// spanOf makes a span of an estimate. A side without an interval is the value itself.
func spanOf(e analysis.Estimate) span {
	s := span{at: e.Value, lo: e.Low, hi: e.High}
	if least, most, ok := e.Spread(); ok {
		s.lo, s.hi, s.whisker = least, most, true
	}
	if math.IsNaN(s.lo) || s.lo > s.at {
		s.lo = s.at
	}
	if math.IsNaN(s.hi) || s.hi < s.at {
		s.hi = s.at
	}
	return s
}

// unbounded reports whether the count cannot support one of the sides.
func (s span) unbounded() bool { return math.IsInf(s.lo, 0) || math.IsInf(s.hi, 0) }

// fit sets the limits so that every value is inside with a margin, and the
// intervals too unless they are several times wider than the values reach. A
// linear axis starts at zero.
func (a *axis) fit(spans []span) {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, s := range spans {
		lo, hi = min(lo, s.at), max(hi, s.at)
	}
	if !a.log {
		reach := hi
		for _, s := range spans {
			if !math.IsInf(s.hi, 0) {
				reach = max(reach, min(s.hi, 1.3*hi))
			}
		}
		a.lo, a.hi = 0, 1.07*reach
		if a.hi < smallest {
			a.hi = 1
		}
		return
	}
	least, most := lo, hi
	for _, s := range spans {
		if s.lo > 0 {
			least = min(least, max(s.lo, lo/3))
		}
		if !math.IsInf(s.hi, 0) {
			most = max(most, min(s.hi, hi*3))
		}
	}
	pad := math.Pow(most/least, 0.06)
	// All values (nearly) equal still need an axis with some labels on it.
	pad = max(pad, math.Sqrt(1.6/(most/least)))
	a.lo, a.hi = least/pad, most*pad
}

// clip cuts a span's interval at the axis, and reports whether anything was
// cut. A side without a bound has no band: it ends at the value, see [open].
func (a *axis) clip(s span) (span, bool) {
	c := s
	if math.IsInf(s.lo, 0) {
		c.lo, s.lo = s.at, s.at
	}
	if math.IsInf(s.hi, 0) {
		c.hi, s.hi = s.at, s.at
	}
	c.lo, c.hi = max(c.lo, a.lo), min(c.hi, a.hi)
	return c, c != s
}

// band is the part of a span that a band covers: its interval, cut at the axis. A
// whisker has none.
func (a *axis) band(s span) span {
	if s.whisker {
		return spot(s.at)
	}
	c, _ := a.clip(s)
	return c
}

// install gives the axis to a plot.
func (a *axis) install(p *plot.Axis, l letters) {
	p.Min, p.Max = a.lo, a.hi
	p.Padding = 0
	p.LineStyle = draw.LineStyle{Color: axisInk, Width: 0.75}
	p.Label.Text = a.title
	p.Label.TextStyle.Font = l.style(bodySize, dark).Font
	p.Label.TextStyle.Color = dark
	p.Label.TextStyle.Handler = l.handler
	p.Label.Padding = 4
	p.Tick.Label.Font = l.style(tickSize, dark).Font
	p.Tick.Label.Color = dark
	p.Tick.Label.Handler = l.handler
	p.Tick.LineStyle = draw.LineStyle{Color: axisInk, Width: 0.75}
	p.Tick.Length = 4
	switch {
	case a.ticks != nil:
		p.Tick.Marker = a.ticks
	case a.log:
		p.Tick.Marker = logTicks{unit: a.unit, most: a.labels}
	default:
		p.Tick.Marker = linearTicks{unit: a.unit, most: a.labels}
	}
	p.Scale = plot.LinearScale{}
	if a.log {
		p.Scale = plot.LogScale{}
	}
	if a.down {
		p.Scale = plot.InvertedScale{Normalizer: p.Scale}
	}
}

// panel is one pair of axes with what is drawn between them. The title of the
// vertical axis stands above it, where it is read without turning the head.
type panel struct {
	x, y  axis
	marks []plot.Plotter
}

// headline is the height that a panel's vertical title takes above the axes.
const headline = vg.Length(20)

// plot makes gonum's plot of the panel. Limits, scales and values have been
// checked before, so that drawing it cannot fail.
func (p *panel) plot(l letters) *plot.Plot {
	g := plot.New()
	g.BackgroundColor = nil
	p.x.install(&g.X, l)
	p.y.install(&g.Y, l)
	g.Y.Label.Text = "" // see panel.drawTitle
	thin := draw.LineStyle{Color: gridInk, Width: 0.6}
	g.Add(&plotter.Grid{Vertical: thin, Horizontal: thin})
	g.Add(p.marks...)
	return g
}

// drawTitle writes the vertical axis's title above a panel that fills area.
func (p *panel) drawTitle(c *draw.Canvas, l letters, area vg.Rectangle) {
	write(c, l.style(bodySize, dark), vg.Point{X: area.Min.X, Y: area.Max.Y + 7}, p.y.title)
}

// draw draws a panel that stands alone.
func (p *panel) draw(c draw.Canvas, l letters) {
	c.Max.Y -= headline
	p.drawTitle(&c, l, c.Rectangle)
	p.plot(l).Draw(c)
}

// mark is a plotter made of a function, for marks that have nothing to tell an
// axis: limits are set beforehand.
type mark func(c draw.Canvas, at func(x, y float64) vg.Point)

// Plot implements [plot.Plotter].
func (m mark) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	m(c, func(vx, vy float64) vg.Point { return vg.Point{X: x(vx), Y: y(vy)} })
}
