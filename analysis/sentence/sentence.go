// Package sentence writes numbers as people read them within a sentence.
package sentence

import (
	"fmt"
	"math"
	"time"
)

// Short writes a number with three digits, or as a whole one from 100 on, from 1,000 on with
// its thousands set apart.
func Short(x float64) string {
	switch {
	case x < 0:
		return "−" + Short(-x)
	case x >= 100:
		return Rounded(x)
	}
	return fmt.Sprintf("%.3g", x)
}

// Rounded writes a number without decimals: "12,345".
func Rounded(x float64) string {
	s := fmt.Sprintf("%.0f", x)
	for i := len(s) - 3; i > 0 && x < math.MaxInt64; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Percent writes a share of 1: "2.5 %".
func Percent(share float64) string { return Short(100*share) + " %" }

// Seconds writes a duration: "2.5 s".
func Seconds(d time.Duration) string { return Short(d.Seconds()) + " s" }

// Plural writes a count with its noun: "1 request", "2 requests".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
