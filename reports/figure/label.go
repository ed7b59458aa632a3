package figure

import (
	"math"
	"slices"

	"gonum.org/v1/plot/vg"
)

// placer finds room for labels among what is already on a panel. It never puts
// one label on another; a label that finds no room is left out.
type placer struct {
	area  vg.Rectangle   // labels stay inside
	taken []vg.Rectangle // glyphs and labels, which none may cover
	lines [][2]vg.Point  // strokes, which a label crosses only where it must
}

// place finds where a label of a size goes near a point, and claims the room.
// Near says that it stands next to the point; otherwise it needs a line to it. A
// label that must be may cross one line.
func (p *placer) place(at vg.Point, w, h vg.Length, must bool) (r vg.Rectangle, near, ok bool) {
	// Right, left, above and below come first, then the corners.
	directions := [][2]vg.Length{{1, 0}, {-1, 0}, {0, 1}, {0, -1}, {0.8, 0.8}, {-0.8, 0.8}, {0.8, -0.8}, {-0.8, -0.8},
		{1, 0.6}, {-1, 0.6}, {1, -0.6}, {-1, -0.6}}
	ring := func(far vg.Length) []vg.Rectangle {
		var rs []vg.Rectangle
		for _, d := range directions {
			center := vg.Point{X: at.X + d[0]*(far+w/2), Y: at.Y + d[1]*(far+h/2)}
			rs = append(rs, around(center, w/2, h/2))
		}
		return rs
	}
	const beside = glyphRadius + 2.5
	if r, ok := p.best(ring(beside), 0); ok {
		return r, true, true
	}
	for _, far := range []vg.Length{beside + 8, beside + 16} {
		clear := slices.DeleteFunc(ring(far), func(r vg.Rectangle) bool {
			from, to := leaderOf(at, r)
			return p.obstructed(from, to)
		})
		if r, ok := p.best(clear, 0); ok {
			from, to := leaderOf(at, r)
			p.lines = append(p.lines, [2]vg.Point{from, to})
			return r, false, true
		}
	}
	if must {
		r, ok = p.best(ring(beside), 1)
	}
	return r, true, ok
}

// leaderOf gives the ends of the line between a point and its label.
func leaderOf(at vg.Point, label vg.Rectangle) (from, to vg.Point) {
	to = vg.Point{X: max(label.Min.X, min(at.X, label.Max.X)), Y: max(label.Min.Y, min(at.Y, label.Max.Y))}
	way := to.Sub(at)
	return at.Add(way.Scale((glyphRadius + 1.5) / vg.Length(math.Hypot(float64(way.X), float64(way.Y))))), to
}

// obstructed reports whether a line would run over anything that is taken, or
// over another line.
func (p *placer) obstructed(from, to vg.Point) bool {
	return slices.ContainsFunc(p.taken, func(t vg.Rectangle) bool { return crosses(from, to, t) }) ||
		slices.ContainsFunc(p.lines, func(l [2]vg.Point) bool {
			return cross(from, to, l[0])*cross(from, to, l[1]) < 0 && cross(l[0], l[1], from)*cross(l[0], l[1], to) < 0
		})
}

// best claims the first of the candidates that covers nothing and crosses the
// fewest lines, but no more than most.
func (p *placer) best(candidates []vg.Rectangle, most int) (vg.Rectangle, bool) {
	fewest := most + 1
	var best vg.Rectangle
	for _, r := range candidates {
		if r.Min.X < p.area.Min.X || r.Max.X > p.area.Max.X || r.Min.Y < p.area.Min.Y || r.Max.Y > p.area.Max.Y {
			continue
		}
		if p.covers(r) {
			continue
		}
		if n := p.crossings(r); n < fewest {
			fewest, best = n, r
		}
	}
	if fewest > most {
		return best, false
	}
	p.taken = append(p.taken, best)
	return best, true
}

// covers reports whether a rectangle lies on anything that is taken.
func (p *placer) covers(r vg.Rectangle) bool {
	for _, t := range p.taken {
		if r.Min.X < t.Max.X && t.Min.X < r.Max.X && r.Min.Y < t.Max.Y && t.Min.Y < r.Max.Y {
			return true
		}
	}
	return false
}

// crossings counts the lines that run through a rectangle.
func (p *placer) crossings(r vg.Rectangle) int {
	n := 0
	for _, l := range p.lines {
		if crosses(l[0], l[1], r) {
			n++
		}
	}
	return n
}

// crosses reports whether the segment from a to b touches r, by cutting it at
// each side in turn (Liang and Barsky, 1984).
func crosses(a, b vg.Point, r vg.Rectangle) bool {
	from, to := vg.Length(0), vg.Length(1)
	for _, side := range [4][2]vg.Length{
		{a.X - b.X, a.X - r.Min.X}, {b.X - a.X, r.Max.X - a.X},
		{a.Y - b.Y, a.Y - r.Min.Y}, {b.Y - a.Y, r.Max.Y - a.Y},
	} {
		switch d, q := side[0], side[1]; {
		case d == 0 && q < 0:
			return false
		case d < 0:
			from = max(from, q/d)
		case d > 0:
			to = min(to, q/d)
		}
	}
	return from <= to
}

// around is the rectangle of half-sizes w and h around a point.
func around(pt vg.Point, w, h vg.Length) vg.Rectangle {
	return vg.Rectangle{Min: vg.Point{X: pt.X - w, Y: pt.Y - h}, Max: vg.Point{X: pt.X + w, Y: pt.Y + h}}
}

// spread moves heights apart until neighbours are at least gap from each other,
// keeping their order and staying between lo and hi where there is room. The
// heights rise; so does the result.
func spread(heights []vg.Length, gap, lo, hi vg.Length) []vg.Length {
	out := append([]vg.Length(nil), heights...)
	for i := range out {
		out[i] = max(out[i], lo+vg.Length(i)*gap)
		if i > 0 {
			out[i] = max(out[i], out[i-1]+gap)
		}
	}
	// What was pushed past the top comes back down, and takes along what is in its way.
	limit := hi
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = min(out[i], limit)
		limit = out[i] - gap
	}
	return out
}
