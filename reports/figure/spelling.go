package figure

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/image/font/sfnt"
	"gonum.org/v1/plot/font"
)

// tofu stands for a character that the typeface has no glyph for; it has one for
// this. Drawn as it came, such a character would leave no trace in PNG and PDF.
const tofu = '□'

// spelling replaces what a typeface lacks, and remembers it.
type spelling struct {
	face   *font.Face
	buffer sfnt.Buffer
	lacks  []rune
}

// spell gives the text as it can be drawn. Joiners and variation selectors draw
// nothing themselves, and go with the characters that they shape.
func (s *spelling) spell(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Variation_Selector, r):
			return -1
		case s.has(r):
			return r
		}
		if !slices.Contains(s.lacks, r) {
			s.lacks = append(s.lacks, r)
		}
		return tofu
	}, text)
}

// has reports whether the typeface has a glyph for a character.
func (s *spelling) has(r rune) bool {
	index, err := s.face.Face.GlyphIndex(&s.buffer, r)
	return err == nil && index != 0
}

// spell makes the frame's text such as can be drawn, and says for the caption
// what could not; empty = nothing.
func (f *frame) spell() string {
	style := f.style(bodySize, dark)
	face := f.fonts.Lookup(style.Font, bodySize)
	s := spelling{face: &face}
	f.title, f.subtitle, f.footer = s.spell(f.title), s.spell(f.subtitle), s.spell(f.footer)
	f.legend = slices.Clone(f.legend)
	for i := range f.legend {
		e := &f.legend[i]
		e.name, e.details = s.spell(e.name), slices.Clone(e.details)
		for j := range e.details {
			e.details[j] = s.spell(e.details[j])
		}
	}
	if len(s.lacks) == 0 {
		return ""
	}
	const most = 20 // characters named: a title can hold many
	named := string(s.lacks[:min(len(s.lacks), most)])
	if len(s.lacks) > most {
		named += "…"
	}
	return "The typeface lacks some characters (" + named + "), for each of which " + string(tofu) + " is drawn."
}
