package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// short prints a number with three digits, or as a whole one from 100 on, from 1,000 on with
// its thousands set apart.
func short(x float64) string {
	if x < 0 {
		return "−" + short(-x)
	}
	if x >= 100 {
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

// list joins names as English does: "a", "a and b", "a, b and c".
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// distinct keeps the first of equal sentences.
func distinct(sentences []string) []string {
	var out []string
	for _, s := range sentences {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
