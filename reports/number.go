package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/inferbook/inferbook/analysis"
)

// unit is how a quantity is written: value ÷ divisor between prefix and suffix.
type unit struct {
	prefix, suffix string
	divisor        float64
}

var (
	tokensPerSecond = unit{"", " tok/s", 1}
	perSecond       = unit{"", " req/s", 1}
	plain           = unit{"", "", 1}
	percent         = unit{"", " %", 0.01}
	dollars         = unit{"$", "", 1}
)

// latency is milliseconds below ten seconds and seconds from there on. The value
// decides for its interval too.
func latency(ms float64) unit {
	if math.Abs(ms) >= 10_000 {
		return unit{"", " s", 1000}
	}
	return unit{"", " ms", 1}
}

// text is the value with its unit, to three significant digits; a dash where
// there is no value.
func (u unit) text(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return u.prefix + digits(v/u.divisor) + u.suffix
}

// interval is the 95 % interval in the same unit, without repeating it; empty
// where none was made.
func (u unit) interval(e analysis.Estimate) string {
	lowNaN, highNaN := math.IsNaN(e.Low), math.IsNaN(e.High)
	if math.IsNaN(e.Value) || lowNaN && highNaN {
		return ""
	}
	if math.IsInf(e.Low, -1) && math.IsInf(e.High, 1) {
		return "no bound"
	}
	side := func(v float64) string {
		if math.IsNaN(v) {
			return "?"
		}
		return digits(v / u.divisor)
	}
	if math.IsInf(e.Low, -1) {
		return "up to " + side(e.High)
	}
	return side(e.Low) + "–" + side(e.High)
}

// spread is the range over repeats that are too few for an interval, in the same
// unit; empty where there is none.
func (u unit) spread(e analysis.Estimate) string {
	least, most, ok := e.Spread()
	if !ok {
		return ""
	}
	return digits(least/u.divisor) + "–" + digits(most/u.divisor)
}

// cell is an estimate in a table: the value, the marks of its footnotes, and its
// interval in italics, or the range over a few repeats in parentheses.
func (u unit) cell(e analysis.Estimate, marks ...string) string {
	s := u.text(e.Value) + strings.Join(marks, "")
	if r := u.spread(e); r != "" {
		s += " (" + r + ")"
	} else if i := u.interval(e); i != "" {
		s += " *" + i + "*"
	}
	return s
}

// phrase is an estimate in a sentence: value, interval, count and repeats.
func (u unit) phrase(e analysis.Estimate) string {
	if math.IsNaN(e.Value) {
		return "not known"
	}
	var about []string
	if r := u.spread(e); r != "" {
		about = append(about, "min–max "+r)
	} else if i := u.interval(e); i != "" {
		about = append(about, i)
	} else {
		about = append(about, "no interval")
	}
	about = append(about, "n="+thousands(e.N))
	switch {
	case e.Repeats == 1:
		about = append(about, "one repeat")
	case e.Repeats > 1:
		about = append(about, fmt.Sprintf("%d repeats", e.Repeats))
	}
	return u.text(e.Value) + " (" + strings.Join(about, "; ") + ")"
}

// digits writes three significant digits, whole numbers with thousands separators.
func digits(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "∞"
	case math.IsInf(v, -1):
		return "−∞"
	case v == 0:
		return "0"
	}
	// The rounding comes first: 999.6 has four digits before the point once it is 1,000.
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'e', 2, 64), 64)
	if err != nil {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	decimals := 2 - int(math.Floor(math.Log10(math.Abs(rounded))))
	return separate(strconv.FormatFloat(rounded, 'f', max(decimals, 0), 64))
}

// thousands writes a count with separators.
func thousands(n int) string { return separate(strconv.Itoa(n)) }

// separate puts a comma between each three digits before the decimal point.
func separate(s string) string {
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "−", s[1:]
	}
	whole, fraction, hasFraction := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if hasFraction {
		whole += "." + fraction
	}
	return sign + whole
}

// price writes dollars as they were given, with at least the cents.
func price(usd float64) string {
	s := strconv.FormatFloat(usd, 'f', -1, 64)
	if _, fraction, _ := strings.Cut(s, "."); len(fraction) < 2 {
		s = strconv.FormatFloat(usd, 'f', 2, 64)
	}
	return "$" + separate(s)
}

// exact writes a number that somebody chose, as it was chosen.
func exact(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// share writes a chosen share of one in per cent.
func share(v float64) string { return exact(v*100) + " %" }

// lasting writes how long something took, to what a reader needs.
func lasting(d time.Duration) string {
	if d < time.Minute {
		return digits(d.Seconds()) + " s"
	}
	return d.Round(time.Second).String()
}

// counted writes a number with its noun: "1 request", "2 requests".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(n) + " " + noun + "s"
}

// listing joins words as a sentence does: "a, b and c".
func listing(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
