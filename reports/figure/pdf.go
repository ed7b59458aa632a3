package figure

import (
	"fmt"
	"image/color"

	xfont "golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/encoding/charmap"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgpdf"
)

// pdfCanvas is a PDF canvas on which text and colours come out as on the others.
// The canvas below it embeds one face only, in Windows-1252 but takes bytes as
// they are, and takes premultiplied colours for plain ones.
type pdfCanvas struct{ *vgpdf.Canvas }

// drawPDF draws on a PDF canvas. The canvas prepares fonts in temporary files
// and panics where it cannot write them; that becomes an error here.
func drawPDF(c *vgpdf.Canvas, picture func(draw.Canvas)) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("embedding the font: %v", r)
		}
	}()
	picture(draw.New(pdfCanvas{c}))
	return nil
}

// SetColor sets the colour of what is drawn next.
func (c pdfCanvas) SetColor(col color.Color) { c.Canvas.SetColor(straight{col}) }

// FillString draws text: as text, which can be searched and copied, where the
// embedded face has it, and as outlines where it is bold or beyond Windows-1252.
func (c pdfCanvas) FillString(f font.Face, pt vg.Point, s string) {
	if b, ok := windows1252(s); ok && f.Font.Weight == xfont.WeightNormal {
		c.Canvas.FillString(f, pt, b)
		return
	}
	c.Fill(outlines(f, pt, s))
}

// straight is a colour whose channels are not premultiplied with its alpha;
// [pdfCanvas] says why.
type straight struct{ color.Color }

// RGBA gives the channels as they are.
func (s straight) RGBA() (r, g, b, a uint32) {
	n := color.NRGBA64Model.Convert(s.Color).(color.NRGBA64)
	return uint32(n.R), uint32(n.G), uint32(n.B), uint32(n.A)
}

// windows1252 encodes text; false when it has a character that the encoding lacks.
func windows1252(s string) (string, bool) {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		c, ok := charmap.Windows1252.EncodeRune(r)
		if !ok {
			return "", false
		}
		b = append(b, c)
	}
	return string(b), true
}

// outlines gives the shapes of a line of text whose baseline begins at pt. A
// glyph that cannot be loaded leaves its room empty.
func outlines(f font.Face, pt vg.Point, s string) vg.Path {
	var (
		path vg.Path
		buf  sfnt.Buffer
		// At this size a coordinate is a whole number of font units.
		em    = fixed.Int26_6(f.Face.UnitsPerEm())
		scale = f.Font.Size / vg.Length(em)
	)
	for i, r := range s {
		index, err := f.Face.GlyphIndex(&buf, r)
		if err != nil {
			continue
		}
		segments, err := f.Face.LoadGlyph(&buf, index, em, nil)
		if err != nil {
			continue
		}
		left := pt.X + f.Width(s[:i])
		at := func(p fixed.Point26_6) vg.Point { // font coordinates run downward
			return vg.Point{X: left + scale*vg.Length(p.X), Y: pt.Y - scale*vg.Length(p.Y)}
		}
		open := false
		for _, seg := range segments {
			switch seg.Op {
			case sfnt.SegmentOpMoveTo:
				if open {
					path.Close()
				}
				open = true
				path.Move(at(seg.Args[0]))
			case sfnt.SegmentOpLineTo:
				path.Line(at(seg.Args[0]))
			case sfnt.SegmentOpQuadTo:
				path.QuadTo(at(seg.Args[0]), at(seg.Args[1]))
			case sfnt.SegmentOpCubeTo:
				path.CubeTo(at(seg.Args[0]), at(seg.Args[1]), at(seg.Args[2]))
			}
		}
		if open {
			path.Close()
		}
	}
	return path
}
