package figure

import (
	"image/color"
	"math"
	"strings"
	"unicode"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// ink is a colour as 0xRRGGBBAA, not premultiplied.
type ink uint32

// The inks besides the series' own.
const (
	dark    ink = 0x222222ff // titles and labels
	soft    ink = 0x595959ff // everything that explains; 7:1 on white
	axisInk ink = 0x808080ff
	gridInk ink = 0xe4e4e4ff
	paper   ink = 0xffffffff
	badge   ink = 0xb33c00ff // behind white text; 6:1
	alarm   ink = 0xc1121fff // requests that failed
)

// RGBA implements [color.Color].
func (i ink) RGBA() (r, g, b, a uint32) {
	return color.NRGBA{R: uint8(i >> 24), G: uint8(i >> 16), B: uint8(i >> 8), A: uint8(i)}.RGBA()
}

// band is the colour of an interval's band around a line of this colour: two
// bands that overlap can still be told apart.
func (i ink) band() ink { return i&^0xff | 0x2e }

// legible darkens a series colour until small text in it reads well on white.
func (i ink) legible() ink {
	dim := func(shift int) ink { return ((i >> shift & 0xff) * 72 / 100) << shift }
	return dim(24) | dim(16) | dim(8) | 0xff
}

// okabeIto gives the colour of series i. The palette is Okabe and Ito's "Color
// Universal Design" (2008) without its yellow, which is too pale for a line on
// white; grey stands in its place.
func okabeIto(i int) ink {
	return [...]ink{
		0x0072b2ff, // blue
		0xd55e00ff, // vermillion
		0x009e73ff, // bluish green
		0xcc79a7ff, // reddish purple
		0xe69f00ff, // orange
		0x56b4e9ff, // sky blue
		0x000000ff, // black
		0x777777ff, // grey
	}[i%8]
}

// dashes gives the dash pattern of series i, so that lines without glyphs stay
// apart in greyscale. It is out of step with the eight colours, so that colour
// and pattern together repeat late.
func dashes(i int) []vg.Length {
	switch (i + i/8) % 4 {
	case 1:
		return []vg.Length{6, 2.5}
	case 2:
		return []vg.Length{2, 2}
	case 3:
		return []vg.Length{8, 2.5, 2, 2.5}
	}
	return nil
}

// The text sizes, in points at the figure's own size. The smallest is still
// read when a page shows the figure at two thirds.
const (
	titleSize  = vg.Length(16)
	bodySize   = vg.Length(10.5)
	tickSize   = vg.Length(10)
	pointSize  = vg.Length(9.5)
	footerSize = vg.Length(8.8)
)

const margin = vg.Length(14)

// letters gives text styles of the one typeface: Liberation Sans, which is
// bundled and has the metrics of Arial and Helvetica.
type letters struct {
	fonts   *font.Cache
	handler text.Handler
}

func newLetters() letters {
	fonts := font.NewCache(liberation.Collection())
	return letters{fonts: fonts, handler: text.Plain{Fonts: fonts}}
}

// style gives plain text of a size and colour, drawn rightward from its baseline.
func (l letters) style(size vg.Length, c color.Color) draw.TextStyle {
	return draw.TextStyle{
		Color: c, Handler: l.handler,
		Font: font.Font{Typeface: "Liberation", Variant: "Sans", Size: size},
	}
}

// bold gives bold text, likewise.
func (l letters) bold(size vg.Length, c color.Color) draw.TextStyle {
	s := l.style(size, c)
	s.Font.Weight = xfont.WeightBold
	return s
}

// write draws one line with its baseline at pt.
func write(c *draw.Canvas, s draw.TextStyle, pt vg.Point, line string) {
	if line == "" {
		return
	}
	// The text handler draws the baseline one size less the ascent above pt.
	pt.Y += s.FontExtents().Ascent - s.Font.Size
	c.FillText(s, pt, line)
}

// clean makes text of any origin fit to be drawn: one line, no run of blanks, no
// control characters and none of the others that XML has no way to hold.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar || r == '\ufffe' || r == '\uffff' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	return strings.Join(strings.Fields(s), " ")
}

// fit shortens a line to a width, with an ellipsis in place of what is cut.
func fit(s draw.TextStyle, line string, width vg.Length) string {
	if s.Width(line) <= width {
		return line
	}
	r := []rune(line)
	// A character is at least a tenth of the size wide: what is beyond cannot fit.
	r = r[:min(len(r), int(math.Ceil(float64(10*width/s.Font.Size))))]
	for len(r) > 0 && s.Width(string(r)+"…") > width {
		r = r[:len(r)-1]
	}
	return strings.TrimRight(string(r), " ·,") + "…"
}

// wrap breaks text between words into at most limit lines of a width; the last
// line is shortened when the text does not fit.
func wrap(s draw.TextStyle, txt string, width vg.Length, limit int) []string {
	if txt == "" {
		return nil
	}
	var lines []string
	// Only at the plain space: a no-break space holds a name together.
	words := strings.Split(txt, " ")
	for len(words) > 0 {
		if len(lines) == limit-1 {
			return append(lines, fit(s, strings.Join(words, " "), width))
		}
		n := 1
		for n < len(words) && s.Width(strings.Join(words[:n+1], " ")) <= width {
			n++
		}
		lines = append(lines, fit(s, strings.Join(words[:n], " "), width))
		words = words[n:]
	}
	return lines
}

// balanced wraps text into as few lines as wrap does, and makes these of about
// the same length, so that no word stands alone.
func balanced(s draw.TextStyle, txt string, width vg.Length, limit int) []string {
	lines := wrap(s, txt, width, limit)
	if len(lines) < 2 || len(lines) == limit {
		return lines
	}
	for share := vg.Length(0.5); share < 1; share += 0.05 {
		if even := wrap(s, txt, share*width, limit); len(even) == len(lines) {
			return even
		}
	}
	return lines
}
