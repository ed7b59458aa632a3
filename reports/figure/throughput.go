package figure

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/inferbook/inferbook/analysis"
)

// tradeoff is a figure of output throughput against what a user feels.
type tradeoff struct {
	name, title string
	x           axis
	xMetric     string // as the footer names it
	xShort      string // as the caption names it
	xUnit       string // what a number of it is followed by, where its axis does not say
	felt        func(analysis.Level) analysis.Estimate
	reading     string // how to read it, for the caption
	light       bool   // what memory bandwidth allows can be drawn in it
}

// ThroughputVsTTFT draws, for each curve, output throughput (tok/s) over the
// 95th percentile of the time to first token (ms, logarithmic), a labelled
// point a level. Intervals are bands. It draws any number of curves; about six
// can be told apart at a glance. The error wraps [ErrNoData] when no level has
// both numbers.
func ThroughputVsTTFT(curves []analysis.Curve) (*Figure, error) {
	return tradeoff{
		name: "curve-ttft", title: "Output throughput against TTFT p95",
		x:       axis{title: "TTFT p95 (log scale)", unit: milliseconds, log: true, labels: 9},
		xMetric: metricID("ttft") + " p95", xShort: "TTFT p95",
		felt:    func(l analysis.Level) analysis.Estimate { return l.TTFTP95 },
		reading: "Up is more work done, left is a shorter wait. Where a curve turns flat, more load buys waiting and no throughput.",
	}.figure(curves)
}

// ThroughputVsInteractivity draws, for each curve, output throughput (tok/s)
// over interactivity (tok/s/user = 1/TPOT), a labelled point a level. Intervals
// are bands. Where the hardware and the model are known, up to three dashed lines say
// what memory bandwidth alone would allow. The error wraps [ErrNoData] when no level has both numbers.
func ThroughputVsInteractivity(curves []analysis.Curve) (*Figure, error) {
	return tradeoff{
		name: "curve-interactivity", title: "Output throughput against interactivity",
		x:       axis{title: "Interactivity, tok/s/user", unit: plain, labels: 9},
		xMetric: metricID("interactivity") + " (1/median TPOT)", xShort: "interactivity", xUnit: " tok/s/user",
		felt:    func(l analysis.Level) analysis.Estimate { return l.Interactivity },
		reading: "Up is more work done, right is a faster stream for each user. A curve that lies up and to the right of another gives more of both.",
		light:   true,
	}.figure(curves)
}

// place is one level as a point of a trade-off.
type place struct {
	x, y  span
	label string
	piled bool // the load is more than the server serves
}

// hollow reports whether the place is drawn as doubtful.
func (p place) hollow() bool { return p.piled || p.unbounded() }

// unbounded reports whether the count cannot support one of the four bounds.
func (p place) unbounded() bool { return p.x.unbounded() || p.y.unbounded() }

// open draws an arrow towards each side without a bound, and gives their tips.
func (p place) open(c *draw.Canvas, at vg.Point, col ink) []vg.Point {
	var tips []vg.Point
	for _, side := range []struct {
		bound   float64
		towards vg.Point
	}{{p.x.lo, vg.Point{X: -1}}, {p.x.hi, vg.Point{X: 1}}, {p.y.lo, vg.Point{Y: -1}}, {p.y.hi, vg.Point{Y: 1}}} {
		if math.IsInf(side.bound, 0) {
			tips = append(tips, open(c, at, side.towards, col))
		}
	}
	return tips
}

// whiskers gives the ends of the ranges over few repeats, cut at the axes.
func (p place) whiskers(x, y *axis, at func(x, y float64) vg.Point) [][2]vg.Point {
	var ends [][2]vg.Point
	if s, _ := x.clip(p.x); s.whisker {
		ends = append(ends, [2]vg.Point{at(s.lo, p.y.at), at(s.hi, p.y.at)})
	}
	if s, _ := y.clip(p.y); s.whisker {
		ends = append(ends, [2]vg.Point{at(p.x.at, s.lo), at(p.x.at, s.hi)})
	}
	return ends
}

// trace is the drawable part of one curve.
type trace struct {
	entry  entry
	places []place // in order of load
}

// figure lays out the trade-off. Everything that depends on data is decided
// here, so that drawing only draws.
func (t tradeoff) figure(curves []analysis.Curve) (*Figure, error) {
	y := axis{title: "Output throughput, tok/s", unit: plain, labels: 7}
	var (
		traces  []trace
		xs, ys  []span
		left    int // levels left out
		labels  []string
		drawn   []analysis.Curve
		support repeats
	)
	for i, curve := range curves {
		tr := trace{entry: entry{name: clean(curve.Title), col: okabeIto(i), glyph: glyph(i)}}
		levels := slices.Clone(curve.Levels)
		slices.SortStableFunc(levels, byLoad)
		for _, l := range levels {
			p := place{x: spanOf(t.felt(l)), y: spanOf(l.OutputThroughput), label: loadName(curve, l.Load), piled: l.Oversaturated}
			if !t.x.drawable(p.x.at) || !y.drawable(p.y.at) {
				left++
				continue
			}
			support.add(l, t.felt(l), l.OutputThroughput)
			tr.places = append(tr.places, p)
			xs, ys = append(xs, p.x), append(ys, p.y)
		}
		if len(tr.places) > 0 {
			traces, drawn = append(traces, tr), append(drawn, curve)
			labels = append(labels, joined(separator, curve.Label, curve.Workload))
		}
	}
	if len(xs) == 0 {
		return nil, fmt.Errorf("drawing throughput against %s: %w: none of %d levels in %d curves has both numbers",
			t.xShort, ErrNoData, left, len(curves))
	}
	lights, lightNotes := t.layOut(drawn, xs, ys, &y)
	fr := frame{letters: newLetters(), title: t.title, footer: t.footer(support)}
	fr.name(traces, labels, lights)
	caption := []string{t.reading, "Each point is a level of load, labelled with it where there is room (" + loadKinds(drawn) + "); the line joins neighbours and is not a measurement."}
	for _, s := range analysis.Between(drawn) {
		caption = append(caption, clean(s))
	}
	caption = append(caption, cuts(xs, ys, t.x, y)...)
	if note := pilingNote(drawn); note != "" {
		caption = append(caption, note)
	}
	caption = append(caption, lightNotes...)
	if left > 0 {
		caption = append(caption, fmt.Sprintf("%s left out: %s or throughput is missing, not a number%s.",
			counted(left, "level is", "levels are"), t.xShort, onlyIf(t.x.log, ", or not above zero")))
	}
	if note := fr.spell(); note != "" {
		caption = append(caption, note)
	}
	return &Figure{
		Name: t.name, Title: t.title, Caption: strings.Join(caption, " "), Alt: t.alt(traces),
		draw: func(c draw.Canvas) {
			p := panel{x: t.x, y: y}
			for _, tr := range traces {
				p.marks = append(p.marks, tr.band(&t.x, &y))
			}
			for _, l := range lights {
				p.marks = append(p.marks, l.mark())
			}
			p.marks = append(p.marks, tracks(fr.letters, traces, &t.x, &y, lights))
			p.draw(fr.draw(c), fr.letters)
		},
	}, nil
}

// layOut sets the limits of both axes, and gives what memory bandwidth allows of the curves, as far as they show it, with
// sentences for the caption.
func (t *tradeoff) layOut(curves []analysis.Curve, xs, ys []span, y *axis) (lights []curved, notes []string) {
	crowded := false
	if t.light {
		lights, crowded = tradeLights(curves)
	}
	t.x.fit(slices.Concat(xs, lightReach(lights, xs)))
	y.fit(ys)
	lights, beyond := visible(lights, t.x, *y)
	switch {
	case crowded:
		notes = append(notes, "What memory bandwidth would allow is not drawn: the curves have too many kinds of hardware for it to be told apart.")
	case len(lights) > 0:
		notes = append(notes, "Dashed: what memory bandwidth alone would allow, if each step read the weights and all keys and values once and took no longer, from one request to as many as memory has room for.")
	}
	if beyond > 0 {
		notes = append(notes, fmt.Sprintf("%s beyond the axes.", counted(beyond, "such line lies", "such lines lie")))
	}
	return lights, notes
}

// name puts what the curves are into the subtitle, the badge and the legend.
func (f *frame) name(traces []trace, labels []string, lights []curved) {
	var own []string
	f.subtitle, own, f.badge = shared(labels)
	if len(traces) == 1 {
		f.subtitle = joined(" — ", traces[0].entry.name, f.subtitle)
		return
	}
	for i := range traces {
		if own[i] != "" {
			traces[i].entry.details = []string{own[i]}
		}
		f.legend = append(f.legend, traces[i].entry)
	}
	if len(lights) > 0 {
		f.legend = append(f.legend, entry{name: lightName, details: []string{"in the colour of each"}, col: soft, dashes: lightDashes, line: true})
	}
}

// footer says what the numbers are and what stands behind them.
func (t tradeoff) footer(r repeats) string {
	return fmt.Sprintf("x: %s; y: %s (successful requests within the window); %s.", t.xMetric, metricID("output_throughput"), r)
}

// alt gives the ends of each curve in words.
func (t tradeoff) alt(traces []trace) string {
	parts := []string{t.title + "."}
	for _, tr := range traces {
		first, last := tr.places[0], tr.places[len(tr.places)-1]
		s := fmt.Sprintf("%s: %s tok/s at %s %s (%s)", tr.entry.name,
			plain.value(first.y.at), t.xShort, t.x.unit.value(first.x.at)+t.xUnit, first.label)
		if len(tr.places) > 1 {
			s += fmt.Sprintf(" to %s tok/s at %s (%s)", plain.value(last.y.at), t.x.unit.value(last.x.at)+t.xUnit, last.label)
		}
		parts = append(parts, s+".")
	}
	return strings.Join(parts, " ")
}

// band draws the intervals of a trace.
func (tr trace) band(x, y *axis) mark {
	return func(c draw.Canvas, at func(x, y float64) vg.Point) {
		var boxes []vg.Rectangle
		for _, p := range tr.places {
			px, py := x.band(p.x), y.band(p.y)
			boxes = append(boxes, vg.Rectangle{Min: at(px.lo, py.lo), Max: at(px.hi, py.hi)})
		}
		c.SetColor(tr.entry.col.band())
		c.Fill(tube(boxes))
	}
}

// tracks draws all lines, then all points, then the labels that find room: the
// ends of the curves first, since they say which way the load rises. A single bound is named
// beside its line; several are in the legend.
func tracks(l letters, traces []trace, x, y *axis, lights []curved) mark {
	return func(c draw.Canvas, at func(x, y float64) vg.Point) {
		room := placer{area: vg.Rectangle{
			Min: vg.Point{X: c.Min.X + 2, Y: c.Min.Y + 2}, Max: vg.Point{X: c.Max.X + 12, Y: c.Max.Y + 4}}}
		for _, bound := range lights {
			room.lines = append(room.lines, bound.strokes(at)...)
		}
		points := make([][]vg.Point, len(traces))
		for i, tr := range traces {
			for j, p := range tr.places {
				q := at(p.x.at, p.y.at)
				points[i] = append(points[i], q)
				room.taken = append(room.taken, around(q, glyphRadius, glyphRadius))
				if j > 0 {
					room.lines = append(room.lines, [2]vg.Point{points[i][j-1], q})
				}
			}
			c.StrokeLines(draw.LineStyle{Color: tr.entry.col, Width: 1.6}, points[i])
		}
		for i, tr := range traces {
			for j, q := range points[i] {
				for _, w := range tr.places[j].whiskers(x, y, at) {
					drawWhisker(&c, w[0], w[1], tr.entry.col)
					room.lines = append(room.lines, w)
				}
				for _, tip := range tr.places[j].open(&c, q, tr.entry.col) {
					room.lines = append(room.lines, [2]vg.Point{q, tip})
				}
				tr.entry.glyph.draw(&c, q, glyphRadius, tr.entry.col, tr.places[j].hollow())
			}
		}
		label := func(i, j int, must bool) {
			s := l.style(pointSize, traces[i].entry.col.legible())
			txt := traces[i].places[j].label
			r, near, ok := room.place(points[i][j], s.Width(txt)+2, pointSize, must)
			if !ok {
				return
			}
			if !near {
				from, to := leaderOf(points[i][j], r)
				c.StrokeLine2(draw.LineStyle{Color: traces[i].entry.col, Width: 0.6}, from.X, from.Y, to.X, to.Y)
			}
			write(&c, s, vg.Point{X: r.Min.X + 1, Y: r.Min.Y + 1.5}, txt)
		}
		for i, tr := range traces {
			label(i, 0, true)
			if n := len(tr.places); n > 1 {
				label(i, n-1, true)
			}
		}
		for i, tr := range traces {
			for j := 1; j < len(tr.places)-1; j++ {
				label(i, j, false)
			}
		}
		if len(lights) == 1 && len(traces) == 1 {
			lights[0].writeName(&c, l, &room, at)
		}
	}
}

// cuts says, for the caption, which intervals do not end inside the axes.
func cuts(xs, ys []span, x, y axis) []string {
	unbounded, cut := 0, 0
	for i := range xs {
		_, cx := x.clip(xs[i])
		_, cy := y.clip(ys[i])
		switch {
		case xs[i].unbounded() || ys[i].unbounded():
			unbounded++
		case cx || cy:
			cut++
		}
	}
	var s []string
	if unbounded > 0 {
		s = append(s, fmt.Sprintf("%s hollow, since the count supports no bound of the interval on the arrow's side.",
			counted(unbounded, "point is", "points are")))
	}
	if cut > 0 {
		s = append(s, fmt.Sprintf("%s beyond the axes and cut there.", counted(cut, "interval reaches", "intervals reach")))
	}
	return s
}
