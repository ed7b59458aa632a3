package figure

import (
	"fmt"
	"slices"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/inferbook/inferbook/analysis"
)

// Series is one set of latencies to be compared with others.
type Series struct {
	Name string
	// Values are in milliseconds, in any order.
	Values []float64
}

// steps is a series ready to be drawn.
type steps struct {
	entry    entry
	values   []float64 // sorted, each above zero
	p50, p95 analysis.Estimate
}

// TTFTECDF draws the share of requests that had their first token within a
// time, a line a series, on a logarithmic axis. The legend has each series'
// count, median and 95th percentile (as analysis.QuantileOf gives them, so that
// they agree with the tables). Label says what was measured on what, as
// experiment.Environment.Label does. The error wraps [ErrNoData] when no series
// has a value above zero.
func TTFTECDF(title, label string, series []Series) (*Figure, error) {
	var (
		all   []steps
		spans []span
		lost  int
		empty []string
	)
	x := axis{title: "TTFT (log scale)", unit: milliseconds, log: true, labels: 9}
	y := axis{title: "Share of requests with a first token by then", unit: percent, labels: 6, lo: 0, hi: 102}
	for i, s := range series {
		st := steps{entry: entry{name: clean(s.Name), col: okabeIto(i), glyph: glyph(i), dashes: dashes(i)}}
		for _, v := range s.Values {
			if x.drawable(v) {
				st.values = append(st.values, v)
			} else {
				lost++
			}
		}
		if len(st.values) == 0 {
			empty = append(empty, st.entry.name)
			continue
		}
		slices.Sort(st.values)
		st.p50, st.p95 = analysis.QuantileOf(st.values, 0.50), analysis.QuantileOf(st.values, 0.95)
		st.entry.details = []string{
			"n = " + plain.tick(float64(len(st.values)), 1),
			fmt.Sprintf("p50 %s, p95 %s", milliseconds.value(st.p50.Value), milliseconds.value(st.p95.Value)),
		}
		all = append(all, st)
		first, last := st.values[0], st.values[len(st.values)-1]
		spans = append(spans, spot(first), spot(last))
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("drawing the distribution of TTFT: %w: none of %d series has a value above zero", ErrNoData, len(series))
	}
	x.fit(spans)
	fr := frame{letters: newLetters(), title: clean(title),
		footer: metricID("ttft") + ": sent to first text, successful measured requests. Points mark p50 and p95; a hollow one has an interval that n cannot support."}
	fr.subtitle, _, fr.badge = shared([]string{label})
	for _, s := range all {
		fr.legend = append(fr.legend, s.entry)
	}
	return &Figure{
		Name: "ecdf-ttft", Title: clean(title), Caption: joined(" ", ecdfCaption(lost, empty), fr.spell()), Alt: ecdfAlt(clean(title), all),
		draw: func(c draw.Canvas) {
			body := fr.draw(c)
			body.Max.X -= endLabelWidth
			p := panel{x: x, y: y}
			p.marks = append(p.marks, guides(fr.letters, x, 50, 95))
			for _, s := range all {
				p.marks = append(p.marks, s.line())
			}
			for _, s := range all {
				p.marks = append(p.marks, s.quantiles())
			}
			p.draw(body, fr.letters)
		},
	}, nil
}

// ecdfCaption says how to read the figure and what is not in it.
func ecdfCaption(lost int, empty []string) string {
	parts := []string{"Read across at a height: that share of the requests had a first token within the time below. " +
		"A line farther left is faster; a long foot to the right is the tail."}
	if lost > 0 {
		parts = append(parts, fmt.Sprintf("%s left out: not a number, or not above zero.", counted(lost, "value is", "values are")))
	}
	if len(empty) > 0 {
		parts = append(parts, "Nothing can be drawn of: "+strings.Join(empty, ", ")+".")
	}
	return strings.Join(parts, " ")
}

// ecdfAlt gives the numbers of the legend in words.
func ecdfAlt(title string, all []steps) string {
	parts := []string{strings.TrimSuffix(title, ".") + "."}
	for _, s := range all {
		parts = append(parts, fmt.Sprintf("%s: %s.", s.entry.name, strings.Join(s.entry.details, ", ")))
	}
	return strings.Join(parts, " ")
}

// guides draws horizontal lines at percentages, named at the right.
func guides(l letters, x axis, heights ...float64) mark {
	return func(c draw.Canvas, at func(x, y float64) vg.Point) {
		for _, h := range heights {
			pt := at(x.hi, h)
			c.StrokeLine2(draw.LineStyle{Color: axisInk, Width: 0.8, Dashes: []vg.Length{3, 2}}, c.Min.X, pt.Y, pt.X, pt.Y)
			write(&c, l.style(pointSize, soft), vg.Point{X: pt.X + 5, Y: pt.Y - 3}, fmt.Sprintf("p%g", h))
		}
	}
}

// line draws the steps. Steps finer than can be seen are joined, which keeps
// the file small for a hundred thousand values.
func (s steps) line() mark {
	return func(c draw.Canvas, at func(x, y float64) vg.Point) {
		const visible = vg.Length(0.25)
		n := float64(len(s.values))
		pts := []vg.Point{at(s.values[0], 0)}
		for i, v := range s.values {
			last := pts[len(pts)-1]
			next := at(v, 100*float64(i+1)/n)
			if next.X-last.X < visible && next.Y-last.Y < visible && i+1 < len(s.values) {
				continue
			}
			pts = append(pts, vg.Point{X: next.X, Y: last.Y}, next)
		}
		c.StrokeLines(draw.LineStyle{Color: s.entry.col, Width: 1.6, Dashes: s.entry.dashes}, pts)
	}
}

// quantiles draws the points at the median and the 95th percentile.
func (s steps) quantiles() mark {
	return func(c draw.Canvas, at func(x, y float64) vg.Point) {
		for _, q := range []struct {
			e analysis.Estimate
			h float64
		}{{s.p50, 50}, {s.p95, 95}} {
			s.entry.glyph.draw(&c, at(q.e.Value, q.h), glyphRadius, s.entry.col, spanOf(q.e).unbounded())
		}
	}
}
