package figure

import (
	"fmt"
	"slices"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/inferbook/inferbook/analysis"
)

// offer is one point of a Pareto figure.
type offer struct {
	place
	entry  entry
	member bool
}

// Pareto draws the levels of several curves as output throughput of one GPU
// (tok/s) over interactivity (tok/s/user), and the frontier of those that no
// other beats in both: straight between measured points, and ending at the
// first and the last. Beaten points are hollow. Levels and curves without a
// place on it are left out and named in the caption; see [analysis.Pareto].
// The error wraps [ErrNoData] when no level has both numbers.
func Pareto(curves []analysis.Curve) (*Figure, error) {
	frontier := analysis.Pareto(curves)
	x := axis{title: "Interactivity, tok/s/user", unit: plain, labels: 9}
	y := axis{title: "Output throughput of one GPU, tok/s", unit: plain, labels: 7}
	var (
		offers  []offer
		ranges  bool
		xs, ys  []span
		entries []entry
		labels  []string
	)
	for _, c := range curves {
		e := entry{name: clean(c.Title), col: okabeIto(len(entries)), glyph: glyph(len(entries)), point: true}
		some := false
		for _, p := range frontier.Points {
			o := offer{place{x: spanOf(p.Interactivity), y: spanOf(p.PerGPU), label: loadName(c, p.Load)}, e, p.Member}
			if p.Title != c.Title || p.ExperimentID != c.ExperimentID || !x.drawable(o.x.at) || !y.drawable(o.y.at) {
				continue
			}
			some = true
			ranges = ranges || p.Interactivity.Repeats > 1
			offers = append(offers, o)
			xs, ys = append(xs, o.x), append(ys, o.y)
		}
		if some {
			entries, labels = append(entries, e), append(labels, joined(separator, c.Label, c.Workload))
		}
	}
	if len(offers) == 0 {
		return nil, fmt.Errorf("drawing a Pareto frontier: %w: no level of %d curves has an interactivity, a throughput and a known number of GPUs", ErrNoData, len(curves))
	}
	x.fit(xs)
	y.fit(ys)
	fr := frame{letters: newLetters(), title: "Throughput of one GPU against interactivity: the Pareto frontier",
		footer: fmt.Sprintf("x: %s (1/median TPOT); y: %s ÷ GPUs. Line: the frontier, straight between measured points. Hollow: another point is at least as good in both%s.",
			metricID("interactivity"), metricID("output_throughput"), onlyIf(ranges, "; whiskers: over repeats"))}
	var own []string
	fr.subtitle, own, fr.badge = shared(labels)
	if len(entries) == 1 {
		fr.subtitle = joined(" — ", entries[0].name, fr.subtitle)
	} else {
		for i := range entries {
			if own[i] != "" {
				entries[i].details = []string{own[i]}
			}
		}
		fr.legend = entries
	}
	caption := []string{"Up is more work of each GPU, right is a faster stream for each user. What lies on the line cannot be beaten in one without losing in the other; " +
		"points on the frontier are labelled with their load (" + loadKinds(curves) + ")."}
	for _, s := range slices.Concat(frontier.Warnings, frontier.LeftOut) {
		caption = append(caption, clean(s))
	}
	if note := fr.spell(); note != "" {
		caption = append(caption, note)
	}
	return &Figure{
		Name: "pareto", Title: fr.title, Caption: strings.Join(caption, " "), Alt: paretoAlt(&frontier),
		draw: func(c draw.Canvas) {
			p := panel{x: x, y: y}
			p.marks = append(p.marks, offersMark(fr.letters, offers, &x, &y))
			p.draw(fr.draw(c), fr.letters)
		},
	}, nil
}

// paretoAlt tells the members in words.
func paretoAlt(f *analysis.Frontier) string {
	var parts []string
	for _, p := range f.Members() {
		load := p.Load
		load.Variant = ""
		parts = append(parts, fmt.Sprintf("%s tok/s/user and %s tok/s of a GPU (%s, %s)",
			plain.value(p.Interactivity.Value), plain.value(p.PerGPU.Value), clean(p.Title), load))
	}
	return fmt.Sprintf("Pareto frontier of %s: %s. %s beaten.", counted(len(f.Points), "point", "points"), strings.Join(parts, "; "),
		counted(len(f.Points)-len(parts), "point is", "points are"))
}

// offersMark draws the frontier, then the ranges, then all points, then the labels of
// the members.
func offersMark(l letters, offers []offer, x, y *axis) mark {
	return func(c draw.Canvas, at func(x, y float64) vg.Point) {
		room := placer{area: vg.Rectangle{
			Min: vg.Point{X: c.Min.X + 2, Y: c.Min.Y + 2}, Max: vg.Point{X: c.Max.X + 12, Y: c.Max.Y + 4}}}
		var line []vg.Point
		members := slices.DeleteFunc(slices.Clone(offers), func(o offer) bool { return !o.member })
		slices.SortStableFunc(members, func(a, b offer) int {
			return int(1e3 * (at(a.x.at, a.y.at).X - at(b.x.at, b.y.at).X))
		})
		for i, o := range members {
			line = append(line, at(o.x.at, o.y.at))
			if i > 0 {
				room.lines = append(room.lines, [2]vg.Point{line[i-1], line[i]})
			}
		}
		c.StrokeLines(draw.LineStyle{Color: dark, Width: 1.2}, line)
		for _, o := range offers {
			pt := at(o.x.at, o.y.at)
			room.taken = append(room.taken, around(pt, glyphRadius, glyphRadius))
			for _, w := range [][2]span{{o.x, spot(o.y.at)}, {spot(o.x.at), o.y}} {
				across, _ := x.clip(w[0])
				up, _ := y.clip(w[1])
				if across.lo < across.hi || up.lo < up.hi {
					from, to := at(across.lo, up.lo), at(across.hi, up.hi)
					drawWhisker(&c, from, to, o.entry.col)
					room.lines = append(room.lines, [2]vg.Point{from, to})
				}
			}
		}
		for _, beaten := range []bool{true, false} { // members lie on top
			for _, o := range offers {
				if o.member != beaten {
					o.entry.glyph.draw(&c, at(o.x.at, o.y.at), glyphRadius, o.entry.col, !o.member)
				}
			}
		}
		for _, o := range members {
			pt, s := at(o.x.at, o.y.at), l.style(pointSize, o.entry.col.legible())
			if r, near, ok := room.place(pt, s.Width(o.label)+2, pointSize, false); ok {
				if !near {
					from, to := leaderOf(pt, r)
					c.StrokeLine2(draw.LineStyle{Color: o.entry.col, Width: 0.6}, from.X, from.Y, to.X, to.Y)
				}
				write(&c, s, vg.Point{X: r.Min.X + 1, Y: r.Min.Y + 1.5}, o.label)
			}
		}
	}
}
