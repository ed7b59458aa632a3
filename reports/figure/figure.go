// Package figure draws the notebook's figures in one house style. It is the
// only door to gonum/plot.
//
// It believes that a figure is read away from the text around it, by somebody
// who did not run the experiment. So each one carries its own definitions,
// counts and repeats, shows the interval of every number that has one, says on
// its face when it was simulated, and tells series apart by shape as well as by
// colour. What cannot be drawn (a latency of zero on a logarithmic axis, a
// value that is not a number) is left out before drawing and counted in the
// caption, so that drawing itself cannot fail. The same input gives the same
// SVG, byte for byte.
package figure

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgpdf"
	"gonum.org/v1/plot/vg/vgsvg"
)

// ErrNoData says that nothing in the input can be drawn. The error that wraps
// it says what was missing.
var ErrNoData = errors.New("nothing to draw")

// Format is a file format, named by its extension.
type Format string

// The formats. SVG is byte-identical between runs; PDF carries its creation time.
const (
	SVG Format = "svg"
	PNG Format = "png"
	PDF Format = "pdf"
)

// FormatOf tells the format from a path's extension, in either case.
func FormatOf(path string) (Format, error) {
	ext := filepath.Ext(path)
	switch f := Format(strings.ToLower(strings.TrimPrefix(ext, "."))); f {
	case SVG, PNG, PDF:
		return f, nil
	}
	return "", fmt.Errorf("the extension of %q is %q; write .svg, .png or .pdf", path, ext)
}

// The size of every figure, and the resolution of a PNG: 1728 × 1056 pixels,
// twice what a Markdown page shows.
const (
	width  = 9 * vg.Inch
	height = 5.5 * vg.Inch
	pngDPI = 192
)

// Figure is drawn on demand, from values copied when it was made. It may be
// drawn by several goroutines at once.
type Figure struct {
	Name  string // a stem for file names, such as "curve-ttft"
	Title string
	// Caption says what to read off the figure, and what was left out of it and why.
	Caption string
	// Alt describes the figure to somebody who cannot see it, with its numbers.
	Alt string

	draw func(draw.Canvas)
}

// Write draws the figure.
func (f *Figure) Write(w io.Writer, format Format) error {
	var out io.WriterTo
	switch format {
	case SVG:
		c := vgsvg.New(width, height)
		f.draw(draw.New(c))
		var b bytes.Buffer
		if _, err := c.WriteTo(&b); err != nil {
			return fmt.Errorf("drawing %s as SVG: %w", f.Name, err)
		}
		out = bytes.NewReader(f.describe(b.Bytes()))
	case PNG:
		c := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(pngDPI))}
		f.draw(draw.New(c))
		out = c
	case PDF:
		c := vgpdf.New(width, height)
		if err := drawPDF(c, f.draw); err != nil {
			return fmt.Errorf("drawing %s as PDF: %w", f.Name, err)
		}
		out = c
	default:
		return fmt.Errorf("drawing %s: unknown format %q; use svg, png or pdf", f.Name, format)
	}
	if _, err := out.WriteTo(w); err != nil {
		return fmt.Errorf("writing %s as %s: %w", f.Name, format, err)
	}
	return nil
}

// Save writes the figure to a file, in the format that its extension names.
// A file is written only once the figure is whole.
func (f *Figure) Save(path string) error {
	format, err := FormatOf(path)
	if err != nil {
		return fmt.Errorf("saving figure %s: %w", f.Name, err)
	}
	var b bytes.Buffer
	if err := f.Write(&b, format); err != nil {
		return err
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("saving figure %s: %w", f.Name, err)
	}
	return nil
}
