package workload

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Point is one probe and what the server counted for it.
type Point struct{ Chars, Tokens int }

// chars is how many characters make a prompt of so many tokens. It is below 1 where
// the template alone takes them all.
func (f Fit) chars(tokens int) int {
	return int(math.Round((float64(tokens) - f.Overhead) * f.CharsPerToken))
}

// tokens is what a prompt of so many characters is expected to count.
func (f Fit) tokens(chars int) int {
	return int(math.Round(float64(chars)/f.CharsPerToken + f.Overhead))
}

// Shortest is the number of tokens of the shortest synthetic prompt: the template
// and the words that make it unlike any other. A shorter one that is asked for is
// sent that long.
func (f Fit) Shortest() int { return f.tokens(ShortestText) }

func (f Fit) validate() error {
	if !(f.CharsPerToken > 0 && f.CharsPerToken <= maxCharsPerToken) || !(f.Overhead >= 0) || math.IsInf(f.Overhead, 1) {
		return fmt.Errorf("the fit has %g characters a token and an overhead of %g tokens; give more than 0 and at most %d characters, and an overhead from 0", f.CharsPerToken, f.Overhead, maxCharsPerToken)
	}
	return nil
}

const (
	// maxCharsPerToken is beyond any tokenizer: the synthetic words have three letters.
	maxCharsPerToken = 100
	// keptGrowth is the least growth of the counts with the characters, as a share of
	// that of the shortest probes, at which a prompt is taken to be counted whole.
	keptGrowth = 0.5
	// lineTolerance is how far a count may be off the line, as a share of the count;
	// lineTokens is what it may be off in any case.
	lineTolerance, lineTokens = 0.03, 3
)

// FitLine learns how a server counts from probes of two lengths or more: tokens =
// Overhead + chars/CharsPerToken, by least squares, with an overhead of at least 0.
// [ProbeChars] are good lengths. It is an error if the counts do not grow with the
// text, stop growing, as where a server cuts prompts, or are no line.
func FitLine(points []Point) (Fit, error) {
	sizes, err := bySize(points)
	if err != nil {
		return Fit{}, err
	}
	if err := growing(sizes); err != nil {
		return Fit{}, err
	}
	var n, x, y, xx, xy float64 // sums
	for _, p := range points {
		c, t := float64(p.Chars), float64(p.Tokens)
		n, x, y, xx, xy = n+1, x+c, y+t, xx+c*c, xy+c*t
	}
	slope := (n*xy - x*y) / (n*xx - x*x)
	overhead := (y - slope*x) / n
	if overhead < 0 { // then the line through the origin
		slope, overhead = xy/xx, 0
	}
	fit := Fit{CharsPerToken: 1 / slope, Overhead: overhead, Learned: true}
	for _, s := range sizes {
		want := overhead + slope*s.chars
		if off := math.Abs(s.tokens - want); off > max(lineTokens, lineTolerance*want) {
			return Fit{}, fmt.Errorf("the server counted %.0f tokens for a probe of %.0f characters, and a line through all %d probes gives %.0f; its counts are not proportional to the text, so give the characters a token yourself", s.tokens, s.chars, len(points), want)
		}
	}
	return fit, fit.validate()
}

// size is the mean of the probes of one length.
type size struct{ chars, tokens, n float64 }

func bySize(points []Point) ([]size, error) {
	var sizes []size
	for _, p := range slices.SortedFunc(slices.Values(points), func(a, b Point) int { return a.Chars - b.Chars }) {
		if p.Chars < 1 || p.Tokens < 1 {
			return nil, fmt.Errorf("the server counted %d tokens for a probe of %d characters; both have to be above 0", p.Tokens, p.Chars)
		}
		if len(sizes) == 0 || sizes[len(sizes)-1].chars != float64(p.Chars) {
			sizes = append(sizes, size{chars: float64(p.Chars)})
		}
		s := &sizes[len(sizes)-1]
		s.n++
		s.tokens += (float64(p.Tokens) - s.tokens) / s.n
	}
	if len(sizes) < 2 {
		return nil, errors.New("the probes have fewer than two different lengths; send at least two to learn the characters a token")
	}
	return sizes, nil
}

// growing reports counts that do not grow with the characters, or stop doing so.
func growing(sizes []size) error {
	first := (sizes[1].tokens - sizes[0].tokens) / (sizes[1].chars - sizes[0].chars)
	if first <= 0 {
		return fmt.Errorf("the server counted %.0f tokens for %.0f characters and %.0f for %.0f; it cuts prompts at about that many, or counts something else", sizes[0].tokens, sizes[0].chars, sizes[1].tokens, sizes[1].chars)
	}
	for i := 2; i < len(sizes); i++ {
		a, b := sizes[i-1], sizes[i]
		if (b.tokens-a.tokens)/(b.chars-a.chars) < keptGrowth*first {
			return fmt.Errorf("the server counted %.0f tokens for %.0f characters and only %.0f for %.0f; it cuts prompts at about %.0f tokens, so ask for shorter ones or raise its context length", a.tokens, a.chars, b.tokens, b.chars, max(a.tokens, b.tokens))
		}
	}
	return nil
}
