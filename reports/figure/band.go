package figure

import (
	"cmp"
	"slices"

	"gonum.org/v1/plot/vg"
)

// tube is the region that a curve's intervals sweep: each point's interval is a
// rectangle, and between neighbours lies the hull of their two rectangles. That
// is the interval at each measured point and a straight interpolation between
// them; nothing is drawn beyond the first and the last. All parts run
// counter-clockwise in one path, so that one fill under the non-zero rule
// paints their union, evenly.
func tube(boxes []vg.Rectangle) vg.Path {
	var p vg.Path
	add := func(corners []vg.Point) {
		for i, q := range hull(corners) {
			if i == 0 {
				p.Move(q)
			} else {
				p.Line(q)
			}
		}
		p.Close()
	}
	if len(boxes) == 1 {
		add(corners(boxes[0]))
	}
	for i := 1; i < len(boxes); i++ {
		add(append(corners(boxes[i-1]), corners(boxes[i])...))
	}
	return p
}

// corners lists the corners of a rectangle.
func corners(r vg.Rectangle) []vg.Point {
	return []vg.Point{r.Min, {X: r.Max.X, Y: r.Min.Y}, r.Max, {X: r.Min.X, Y: r.Max.Y}}
}

// hull is the convex hull of points, counter-clockwise, by Andrew's monotone
// chain (A. M. Andrew, "Another efficient algorithm for convex hulls in two
// dimensions", 1979). Points on a line give the line there and back.
func hull(pts []vg.Point) []vg.Point {
	slices.SortFunc(pts, func(a, b vg.Point) int {
		return cmp.Or(cmp.Compare(a.X, b.X), cmp.Compare(a.Y, b.Y))
	})
	half := func(pts []vg.Point) []vg.Point {
		var h []vg.Point
		for _, p := range pts {
			for len(h) >= 2 && cross(h[len(h)-2], h[len(h)-1], p) <= 0 {
				h = h[:len(h)-1]
			}
			h = append(h, p)
		}
		return h[:len(h)-1]
	}
	lower := half(pts)
	slices.Reverse(pts)
	return append(lower, half(pts)...)
}

// cross is twice the area of the triangle o, a, b: positive where it turns left.
func cross(o, a, b vg.Point) vg.Length {
	return (a.X-o.X)*(b.Y-o.Y) - (a.Y-o.Y)*(b.X-o.X)
}
