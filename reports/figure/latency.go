package figure

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/inferbook/inferbook/analysis"
)

// logFrom is the ratio of the largest to the smallest latency from which a
// panel is logarithmic. Under it a linear axis from zero shows proportions better.
const logFrom = 8

// lateBar is the ratio of TTFT from schedule to TTFT from send above which both are
// drawn. Under it two panels would look alike.
const lateBar = 1.05

// endLabelWidth is the room for the name at the right end of a line.
const endLabelWidth = vg.Length(26)

// rung is one level of one quantile's line.
type rung struct {
	load float64
	span
	piled bool // the load is more than the server serves
}

// hollow reports whether the rung is drawn as doubtful.
func (r rung) hollow() bool { return r.piled || r.unbounded() }

// line is one quantile over load.
type line struct {
	name  string
	col   ink
	glyph glyph
	rungs []rung
}

// LatencyVsLoad draws p50, p95 and p99 of TTFT and of TPOT (ms) over load, in
// one panel each, with the landmarks that the curve has. The load of a curve of
// open loops is the rate offered, in requests per second; else it is the concurrency.
// Where requests left so late that TTFT from schedule is longer by a twentieth at
// some level, it has a panel too. A panel is logarithmic when its latencies span a factor of eight,
// and starts at zero otherwise. A metric without a single value has no panel;
// the error wraps [ErrNoData] when neither has.
func LatencyVsLoad(c analysis.Curve) (*Figure, error) {
	sc := scaleOf(c)
	ttft, lost1 := quantileLines(sc, c.Levels, func(l analysis.Level) [3]analysis.Estimate {
		return [3]analysis.Estimate{l.TTFTP50, l.TTFTP95, l.TTFTP99}
	})
	tpot, lost2 := quantileLines(sc, c.Levels, func(l analysis.Level) [3]analysis.Estimate {
		return [3]analysis.Estimate{l.TPOTP50, l.TPOTP95, l.TPOTP99}
	})
	metrics := []struct {
		title string
		lines []line
	}{{"TTFT", ttft}, {"TPOT", tpot}}
	if late(c.Levels) {
		sched, lost := quantileLines(sc, c.Levels, func(l analysis.Level) [3]analysis.Estimate {
			return [3]analysis.Estimate{l.TTFTSchedP50, l.TTFTSchedP95, l.TTFTSchedP99}
		})
		metrics = slices.Insert(metrics, 1, struct {
			title string
			lines []line
		}{"TTFT from schedule", sched})
		lost2 += lost
	}
	ladder := loads(ttft, tpot)
	if len(ladder) == 0 {
		return nil, fmt.Errorf("drawing latency against load: %w: none of %d levels has a load and a latency above zero",
			ErrNoData, len(c.Levels))
	}
	marks := landmarks(c, sc)
	x := axis{title: sc.title, log: true, ticks: levelTicks{levels: ladder, gap: 0.045}}
	x.fit(loadSpans(ladder, marks))

	var chart latencyChart
	caption := []string{"How long a user waits for the first token (TTFT) and for each further one (TPOT) as load rises. " +
		"Lines join measured levels; the distance from p50 to p99 is what differs between requests of one level."}
	for _, m := range metrics {
		var computed []curved
		if m.title == "TPOT" {
			computed = computedLines(c, sc)
		}
		if y, ok := latencyAxis(m.title, m.lines, computed); ok {
			computed, _ = visible(computed, x, y)
			for _, l := range computed {
				caption = append(caption, l.caption)
			}
			chart.add(x, y, m.lines, computed)
			caption = append(caption, quantileCuts(m.title, m.lines, y)...)
		} else {
			caption = append(caption, m.title+" has no panel: no level has a value for it.")
		}
	}
	chart.landmarks = marks
	if len(metrics) > 2 {
		caption = append(caption, "Requests left later than they were due; TTFT from schedule counts from then, as whoever waits does.")
	}
	for _, m := range marks {
		caption = append(caption, m.because...)
	}
	if note := pilingNote([]analysis.Curve{c}); note != "" {
		caption = append(caption, note)
	}
	if lost := lost1 + lost2; lost > 0 {
		caption = append(caption, fmt.Sprintf("%s left out: the level has no place on the axis of loads, or the value is missing, not a number or not above zero.",
			counted(lost, "value is", "values are")))
	}
	fr := frame{letters: newLetters(), title: "Latency against load", footer: latencyFooter(c.Levels)}
	var common string
	common, _, fr.badge = shared([]string{joined(separator, c.Label, c.Workload)})
	fr.subtitle = joined(" — ", clean(c.Title), common)
	if note := fr.spell(); note != "" {
		caption = append(caption, note)
	}
	// The picture has the curve's name below its title; a caption has one line for both.
	title := joined(": ", fr.title, clean(c.Title))
	return &Figure{
		Name: "latency-load", Title: title, Caption: strings.Join(caption, " "),
		Alt:  joined(" ", title+".", endsOf(sc, "TTFT", ttft), endsOf(sc, "TPOT", tpot)),
		draw: func(c draw.Canvas) { chart.draw(fr.draw(c), fr.letters) },
	}, nil
}

// late reports whether some level's requests left so late that it matters when
// their wait is counted from.
func late(levels []analysis.Level) bool {
	return slices.ContainsFunc(levels, func(l analysis.Level) bool {
		return l.TTFTSchedP50.Value > lateBar*l.TTFTP50.Value || l.TTFTSchedP95.Value > lateBar*l.TTFTP95.Value || l.TTFTSchedP99.Value > lateBar*l.TTFTP99.Value
	})
}

// quantileLines gathers the three lines of a metric, and counts the values that
// have no place on logarithmic axes.
func quantileLines(sc scale, levels []analysis.Level, of func(analysis.Level) [3]analysis.Estimate) ([]line, int) {
	lines := []line{
		{name: "p50", col: okabeIto(0), glyph: 0},
		{name: "p95", col: okabeIto(2), glyph: 1},
		{name: "p99", col: okabeIto(1), glyph: 2},
	}
	sorted := slices.Clone(levels)
	slices.SortStableFunc(sorted, byLoad)
	positive := axis{log: true}
	lost := 0
	for _, l := range sorted {
		for i, e := range of(l) {
			load, ok := sc.of(l.Load)
			if !ok || !positive.drawable(e.Value) {
				lost++
				continue
			}
			lines[i].rungs = append(lines[i].rungs, rung{load, spanOf(e), l.Oversaturated})
		}
	}
	return lines, lost
}

// loads lists the loads of all lines, rising, each once.
func loads(groups ...[]line) []float64 {
	var ls []float64
	for _, g := range groups {
		for _, l := range g {
			for _, r := range l.rungs {
				ls = append(ls, r.load)
			}
		}
	}
	slices.Sort(ls)
	return slices.Compact(ls)
}

// loadSpans gives what the load axis has to reach.
func loadSpans(ladder []float64, marks []landmark) []span {
	var s []span
	for _, l := range ladder {
		s = append(s, spot(l))
	}
	for _, m := range marks {
		s = append(s, spot(m.load))
	}
	return s
}

// latencyAxis makes the vertical axis of a panel; false when there is nothing to draw. It reaches
// to a computed line that lies within a factor of ten of what was measured.
func latencyAxis(metric string, lines []line, computed []curved) (axis, bool) {
	var spans []span
	lo, hi := math.Inf(1), 0.0
	for _, l := range lines {
		for _, r := range l.rungs {
			spans = append(spans, r.span)
			lo, hi = min(lo, r.at), max(hi, r.at)
		}
	}
	if len(spans) == 0 {
		return axis{}, false
	}
	least, most := lo, hi
	for _, l := range computed {
		if !slices.ContainsFunc(l.points, func(p spot2) bool { return !(p.y.at >= least/10 && p.y.at <= most*10) }) {
			for _, p := range l.points {
				spans, lo, hi = append(spans, spot(p.y.at)), min(lo, p.y.at), max(hi, p.y.at)
			}
		}
	}
	y := axis{title: metric, unit: milliseconds, labels: 5}
	if hi >= logFrom*lo {
		y.log, y.title = true, metric+" (log scale)"
	}
	y.fit(spans)
	return y, true
}

// quantileCuts says, for the caption, which intervals are not whole.
func quantileCuts(metric string, lines []line, y axis) []string {
	unbounded, cut := 0, 0
	for _, l := range lines {
		for _, r := range l.rungs {
			if _, c := y.clip(r.span); r.unbounded() {
				unbounded++
			} else if c {
				cut++
			}
		}
	}
	var s []string
	if unbounded > 0 {
		s = append(s, fmt.Sprintf("%s: %s hollow, since the count supports no bound of the interval on the arrow's side.",
			metric, counted(unbounded, "point is", "points are")))
	}
	if cut > 0 {
		s = append(s, fmt.Sprintf("%s: %s beyond the axis and cut there.", metric, counted(cut, "interval reaches", "intervals reach")))
	}
	return s
}

// latencyFooter says what the numbers are and what stands behind them.
func latencyFooter(levels []analysis.Level) string {
	var r repeats
	for _, l := range levels {
		r.add(l, l.TTFTP50, l.TTFTP95, l.TTFTP99, l.TPOTP50, l.TPOTP95, l.TPOTP99)
	}
	return fmt.Sprintf("%s: sent to first text; %s: (E2E − TTFT)/(N − 1); %s.", metricID("ttft"), metricID("tpot"), r)
}

// endsOf gives the ends of a metric's lines in words.
func endsOf(sc scale, metric string, lines []line) string {
	var parts []string
	for _, l := range lines {
		if n := len(l.rungs); n > 0 {
			a, b := l.rungs[0], l.rungs[n-1]
			part := fmt.Sprintf("%s %s %s at %s", metric, l.name, milliseconds.value(a.at), sc.place(a.load))
			if n > 1 {
				part += fmt.Sprintf(", %s at %s", milliseconds.value(b.at), loadNumber(b.load))
			}
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, "; ") + "."
}

// latencyChart is the stack of panels.
type latencyChart struct {
	panels    []panel
	lines     [][]line   // of each panel
	computed  [][]curved // likewise
	landmarks []landmark
}

// add puts a panel below the others.
func (ch *latencyChart) add(x, y axis, lines []line, computed []curved) {
	if n := len(ch.panels); n > 0 {
		ch.panels[n-1].x.title = ""
	}
	ch.panels = append(ch.panels, panel{x: x, y: y})
	ch.lines, ch.computed = append(ch.lines, lines), append(ch.computed, computed)
}

// draw stacks the panels with their axes aligned.
func (ch *latencyChart) draw(c draw.Canvas, l letters) {
	c.Max.X -= endLabelWidth / 2 // the other half is what the axis leaves beyond its last level
	rows := make([][]*plot.Plot, len(ch.panels))
	named := make([]bool, len(ch.landmarks))
	for i := range ch.panels {
		p := ch.panels[i]
		p.marks = append(p.marks, landmarksMark(l, p.y, ch.lines[i], ch.landmarks, named))
		for _, computed := range ch.computed[i] {
			p.marks = append(p.marks, computed.mark())
		}
		p.marks = append(p.marks, linesMark(l, ch.lines[i], p.y), namesMark(l, p.y, ch.lines[i], ch.computed[i], ch.landmarks))
		rows[i] = []*plot.Plot{p.plot(l)}
	}
	tiles := draw.Tiles{Cols: 1, Rows: len(rows), PadTop: headline, PadY: headline + 6}
	for i, row := range plot.Align(rows, tiles, c) {
		ch.panels[i].drawTitle(&c, l, vg.Rectangle{Min: c.Min, Max: vg.Point{X: c.Max.X, Y: row[0].Max.Y}})
		rows[i][0].Draw(row[0])
	}
}

// linesMark draws bands, lines, points and the names at the right ends.
func linesMark(l letters, lines []line, y axis) mark {
	return func(c draw.Canvas, at func(x, y float64) vg.Point) {
		type end struct {
			line line
			at   vg.Point
		}
		var ends []end
		for _, ln := range lines {
			var boxes []vg.Rectangle
			for _, r := range ln.rungs {
				s := y.band(r.span)
				boxes = append(boxes, vg.Rectangle{Min: at(r.load, s.lo), Max: at(r.load, s.hi)})
			}
			c.SetColor(ln.col.band())
			c.Fill(tube(boxes))
		}
		for _, ln := range lines {
			var pts []vg.Point
			for _, r := range ln.rungs {
				pts = append(pts, at(r.load, r.at))
			}
			c.StrokeLines(draw.LineStyle{Color: ln.col, Width: 1.6}, pts)
			for i, pt := range pts {
				r := ln.rungs[i]
				if r.whisker {
					s, _ := y.clip(r.span)
					drawWhisker(&c, at(r.load, s.lo), at(r.load, s.hi), ln.col)
				}
				if math.IsInf(r.hi, 0) {
					open(&c, pt, vg.Point{Y: 1}, ln.col)
				}
				if math.IsInf(r.lo, 0) {
					open(&c, pt, vg.Point{Y: -1}, ln.col)
				}
				ln.glyph.draw(&c, pt, glyphRadius, ln.col, r.hollow())
			}
			if n := len(pts); n > 0 {
				ends = append(ends, end{ln, pts[n-1]})
			}
		}
		slices.SortStableFunc(ends, func(a, b end) int {
			return int(math.Copysign(1, float64(a.at.Y-b.at.Y)))
		})
		var heights []vg.Length
		for _, e := range ends {
			heights = append(heights, e.at.Y)
		}
		for i, h := range spread(heights, pointSize+1.5, c.Min.Y, c.Max.Y) {
			write(&c, l.bold(pointSize, ends[i].line.col.legible()), vg.Point{X: ends[i].at.X + glyphRadius + 5, Y: h - 3}, ends[i].line.name)
		}
	}
}
