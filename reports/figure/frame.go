package figure

import (
	"bytes"
	"encoding/xml"
	"fmt"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// frame is what stands around the panels of every figure: title and subtitle at
// the top left, a badge where something was simulated, the legend in a column
// of its own, and the definitions at the foot.
type frame struct {
	letters
	title    string
	subtitle string
	badge    string // empty = nothing was simulated
	legend   []entry
	footer   string
}

// entry is one line of a legend.
type entry struct {
	name    string
	details []string // smaller lines below the name

	col    ink
	glyph  glyph       // of a series with points
	dashes []vg.Length // of a series with a line
	bar    bool        // the swatch is a bar instead of a line and a glyph
	point  bool        // the swatch is the glyph alone
	line   bool        // the swatch is the line alone
	cross  bool        // the swatch is the cross of a failed request
}

const (
	legendWidth = vg.Length(166)
	swatchWidth = vg.Length(24)
)

// draw draws the frame and gives the canvas that is left inside it.
func (f *frame) draw(c draw.Canvas) draw.Canvas {
	c.SetColor(paper)
	c.Fill(box(c.Rectangle))
	in := draw.Crop(c, margin, -margin, margin, -margin)

	width := in.Max.X - in.Min.X
	if f.badge != "" {
		width -= f.drawBadge(in) + 12
	}
	title := f.bold(titleSize, dark)
	in.Max.Y -= titleSize
	write(&in, title, vg.Point{X: in.Min.X, Y: in.Max.Y + 2}, fit(title, f.title, width))
	in.Max.Y -= 3

	sub := f.style(bodySize, soft)
	for _, line := range wrap(sub, f.subtitle, in.Max.X-in.Min.X, 2) {
		in.Max.Y -= bodySize + 2
		write(&in, sub, vg.Point{X: in.Min.X, Y: in.Max.Y + 2}, line)
	}
	in.Max.Y -= 12

	foot := f.style(footerSize, soft)
	lines := balanced(foot, f.footer, in.Max.X-in.Min.X, 3)
	for i := len(lines) - 1; i >= 0; i-- {
		write(&in, foot, vg.Point{X: in.Min.X, Y: in.Min.Y + 1}, lines[i])
		in.Min.Y += footerSize + 2
	}
	in.Min.Y += 6

	if len(f.legend) > 0 {
		in.Max.X -= legendWidth
		f.drawLegend(draw.Crop(in, in.Max.X-in.Min.X+16, legendWidth, 0, 0))
	}
	return in
}

// drawBadge draws the badge at the top right and gives its width.
func (f *frame) drawBadge(in draw.Canvas) vg.Length {
	s := f.bold(bodySize, paper)
	w := s.Width(f.badge) + 14
	r := vg.Rectangle{Min: vg.Point{X: in.Max.X - w, Y: in.Max.Y - bodySize - 7}, Max: in.Max}
	in.SetColor(badge)
	in.Fill(box(r))
	write(&in, s, vg.Point{X: r.Min.X + 7, Y: r.Min.Y + 5}, f.badge)
	return w
}

// drawLegend lists the entries from the top, closer together the more there
// are, then without their details, and at last counts those without room.
func (f *frame) drawLegend(c draw.Canvas) {
	name, detail := f.bold(tickSize, dark), f.style(footerSize, soft)
	x, y := c.Min.X+swatchWidth+6, c.Max.Y-headline/2
	room, width := y-c.Min.Y, c.Max.X-x
	const tight, loose = vg.Length(1.5), vg.Length(7)
	lay := func(details bool) (names, smaller [][]string, need vg.Length) {
		for _, e := range f.legend {
			n, d := wrap(name, e.name, width, 2), []string(nil)
			for _, line := range e.details {
				if details {
					d = append(d, wrap(detail, line, width, 3)...)
				}
			}
			names, smaller = append(names, n), append(smaller, d)
			need += vg.Length(len(n))*(tickSize+2) + vg.Length(len(d))*(footerSize+1.5)
		}
		return names, smaller, need
	}
	count := vg.Length(len(f.legend))
	names, details, need := lay(true)
	if need+(count-1)*tight > room {
		names, details, need = lay(false)
	}
	gap := max(tight, min(loose, (room-need)/max(1, count-1)))
	for i, e := range f.legend {
		if rest := len(f.legend) - i; y-3*tickSize < c.Min.Y && rest > 1 {
			write(&c, detail, vg.Point{X: x, Y: y - footerSize}, fmt.Sprintf("and %d more", rest))
			return
		}
		f.drawSwatch(&c, e, vg.Point{X: c.Min.X, Y: y - tickSize/2})
		for _, line := range names[i] {
			y -= tickSize
			write(&c, name, vg.Point{X: x, Y: y + 1}, line)
			y -= 2
		}
		for _, line := range details[i] {
			y -= footerSize
			write(&c, detail, vg.Point{X: x, Y: y + 1}, line)
			y -= 1.5
		}
		y -= gap
	}
}

// drawSwatch draws the sign of an entry, starting at its left end.
func (f *frame) drawSwatch(c *draw.Canvas, e entry, left vg.Point) {
	mid := vg.Point{X: left.X + swatchWidth/2, Y: left.Y}
	switch {
	case e.bar:
		c.SetColor(e.col)
		c.Fill(box(around(mid, swatchWidth/2, 3.5)))
	case e.cross:
		drawCross(c, mid, 3.2, e.col)
	case e.point:
		e.glyph.draw(c, mid, glyphRadius, e.col, false)
	case e.line:
		c.StrokeLines(draw.LineStyle{Color: e.col, Width: 0.9, Dashes: e.dashes},
			[]vg.Point{left, {X: left.X + swatchWidth, Y: left.Y}})
	default:
		c.StrokeLines(draw.LineStyle{Color: e.col, Width: 1.6, Dashes: e.dashes},
			[]vg.Point{left, {X: left.X + swatchWidth, Y: left.Y}})
		e.glyph.draw(c, mid, glyphRadius, e.col, false)
	}
}

// drawCross draws the sign of a failed request.
func drawCross(c *draw.Canvas, at vg.Point, r vg.Length, col ink) {
	c.StrokeLines(draw.LineStyle{Color: col, Width: 1.2},
		[]vg.Point{{X: at.X - r, Y: at.Y - r}, {X: at.X + r, Y: at.Y + r}},
		[]vg.Point{{X: at.X - r, Y: at.Y + r}, {X: at.X + r, Y: at.Y - r}})
}

// describe gives an SVG what the canvas leaves out: a role, a title and a
// description for those who do not see it, and typefaces of the same metrics
// for readers without Liberation Sans.
func (f *Figure) describe(svg []byte) []byte {
	escape := func(s string) []byte {
		var b bytes.Buffer
		// Writing to a bytes.Buffer cannot fail.
		_ = xml.EscapeText(&b, []byte(clean(s)))
		return b.Bytes()
	}
	const open = `xmlns:xlink="http://www.w3.org/1999/xlink">`
	svg = bytes.Replace(svg, []byte(open), fmt.Appendf(nil,
		"role=\"img\">\n<title>%s</title>\n<desc>%s</desc>", escape(f.Title), escape(f.Alt)), 1)
	return bytes.ReplaceAll(svg, []byte("font-family:Liberation Sans;font-variant:normal;"),
		[]byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
}
