package instinct

import (
	"fmt"
	"math"
	"time"
	"unicode"
	"unicode/utf8"
)

// short prints a number with three digits, or as a whole one from 100 on, from 1,000 on with
// its thousands set apart.
func short(x float64) string {
	switch {
	case x < 0:
		return "−" + short(-x)
	case x >= 100:
		return rounded(x)
	}
	return fmt.Sprintf("%.3g", x)
}

// rounded prints a number without decimals: "12,345".
func rounded(x float64) string {
	s := fmt.Sprintf("%.0f", x)
	for i := len(s) - 3; i > 0 && x < math.MaxInt64; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// percent prints a share of 1: "2.5 %".
func percent(share float64) string { return short(100*share) + " %" }

func seconds(d time.Duration) string { return short(d.Seconds()) + " s" }

// plural prints a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// capital begins a sentence.
func capital(s string) string {
	for i, r := range s {
		return string(unicode.ToUpper(r)) + s[i+utf8.RuneLen(r):]
	}
	return s
}
