package figure

import (
	"image/color"
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// glyphRadius is the size of a point; every shape has about the same area.
const glyphRadius = vg.Length(3.9)

// glyph is the shape of the points of one series.
type glyph int

// shapes is the number of glyphs before they repeat.
const shapes = 7

// outline gives the shape around pt.
func (g glyph) outline(pt vg.Point, r vg.Length) vg.Path {
	switch g % shapes {
	case 0:
		return disc(pt, r)
	case 1:
		return regular(pt, 1.25*r, 4, math.Pi/4) // square
	case 2:
		return regular(pt, 1.4*r, 3, math.Pi/2) // triangle
	case 3:
		return regular(pt, 1.35*r, 4, 0) // diamond
	case 4:
		return regular(pt, 1.4*r, 3, -math.Pi/2) // triangle on its tip
	case 5:
		return star(pt, 1.5*r, 4, 0) // four-pointed star
	default:
		return star(pt, 1.5*r, 5, math.Pi/2)
	}
}

// draw draws a glyph with a thin edge of paper, so that glyphs on top of one
// another stay apart. A hollow one says that the number is weakly supported.
func (g glyph) draw(c *draw.Canvas, pt vg.Point, r vg.Length, col color.Color, hollow bool) {
	path := g.outline(pt, r)
	fill, edge, w := col, color.Color(paper), vg.Length(0.8)
	if hollow {
		fill, edge, w = paper, col, 1.3
	}
	c.SetColor(fill)
	c.Fill(path)
	c.SetLineStyle(draw.LineStyle{Color: edge, Width: w})
	c.Stroke(path)
}

// open draws an arrow from a point towards the side on which its interval has
// no bound, and gives its tip; it gives the point itself where the edge of the
// axes leaves no room. A band to the edge would be as true, and would cover
// everything there.
func open(c *draw.Canvas, pt, towards vg.Point, col color.Color) vg.Point {
	const start, length, head = glyphRadius + 1, vg.Length(15), vg.Length(2.6)
	tip := pt.Add(towards.Scale(length))
	tip = vg.Point{X: max(c.Min.X, min(tip.X, c.Max.X)), Y: max(c.Min.Y, min(tip.Y, c.Max.Y))}
	if tip.Sub(pt).Dot(towards) < start+head {
		return pt
	}
	back := tip.Sub(towards.Scale(head))
	side := vg.Point{X: -towards.Y * head, Y: towards.X * head}
	c.StrokeLines(draw.LineStyle{Color: col, Width: 1},
		[]vg.Point{pt.Add(towards.Scale(start)), tip}, []vg.Point{back.Add(side), tip, back.Sub(side)})
	return tip
}

// drawWhisker draws a range as a thin line with a cap at each end.
func drawWhisker(c *draw.Canvas, from, to vg.Point, col color.Color) {
	end := vg.Point{X: 2.2}
	if from.Y == to.Y {
		end = vg.Point{Y: 2.2}
	}
	c.StrokeLines(draw.LineStyle{Color: col, Width: 0.9}, []vg.Point{from, to},
		[]vg.Point{from.Sub(end), from.Add(end)}, []vg.Point{to.Sub(end), to.Add(end)})
}

// disc is a circle of four cubic curves. An arc would do for two of the three
// formats; the PDF canvas fills each arc on its own.
func disc(pt vg.Point, r vg.Length) vg.Path {
	const k = 0.5523 // the usual constant for a quarter circle
	at := func(x, y float64) vg.Point {
		return vg.Point{X: pt.X + r*vg.Length(x), Y: pt.Y + r*vg.Length(y)}
	}
	var p vg.Path
	p.Move(at(1, 0))
	p.CubeTo(at(1, k), at(k, 1), at(0, 1))
	p.CubeTo(at(-k, 1), at(-1, k), at(-1, 0))
	p.CubeTo(at(-1, -k), at(-k, -1), at(0, -1))
	p.CubeTo(at(k, -1), at(1, -k), at(1, 0))
	p.Close()
	return p
}

// regular is a regular polygon with its first corner at an angle.
func regular(pt vg.Point, r vg.Length, corners int, angle float64) vg.Path {
	return ring(pt, corners, angle, func(int) vg.Length { return r })
}

// star is a star with its first tip at an angle.
func star(pt vg.Point, r vg.Length, tips int, angle float64) vg.Path {
	return ring(pt, 2*tips, angle, func(i int) vg.Length {
		if i%2 == 1 {
			return 0.48 * r
		}
		return r
	})
}

// ring is a closed path of corners at even angles.
func ring(pt vg.Point, corners int, angle float64, radius func(i int) vg.Length) vg.Path {
	var p vg.Path
	for i := range corners {
		sin, cos := math.Sincos(angle + 2*math.Pi*float64(i)/float64(corners))
		q := vg.Point{X: pt.X + radius(i)*vg.Length(cos), Y: pt.Y + radius(i)*vg.Length(sin)}
		if i == 0 {
			p.Move(q)
		} else {
			p.Line(q)
		}
	}
	p.Close()
	return p
}

// box is a rectangle as a closed path that runs counter-clockwise.
func box(r vg.Rectangle) vg.Path {
	var p vg.Path
	p.Move(r.Min)
	p.Line(vg.Point{X: r.Max.X, Y: r.Min.Y})
	p.Line(r.Max)
	p.Line(vg.Point{X: r.Min.X, Y: r.Max.Y})
	p.Close()
	return p
}
