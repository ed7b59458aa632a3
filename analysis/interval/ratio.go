package interval

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// level is what an interval promises, tail what each side of it may miss, and alpha the
// p-value under which a difference is called.
const (
	level = 0.95
	tail  = (1 - level) / 2
	alpha = 1 - level
)

// Ratio compares two sides: b ÷ a, so that 1.05 says that b is 5 % more.
type Ratio struct {
	// Value is NaN where there is no such ratio.
	Value float64
	// Low and High bound the 95 % interval. An infinite bound says that the count
	// cannot support that side; both NaN says that no interval was made.
	Low, High float64
	// P is the probability of a difference at least as large where there is none; NaN where it
	// cannot be told. A caller that looks at several ratios puts [Holm]'s in its place.
	P float64
	// Method names what Low, High and P come from.
	Method string
	// NA and NB are the numbers of values, of runs or of repeats on each side.
	NA, NB int
	// Warnings are whole sentences.
	Warnings []string
}

// Distinguishable reports whether the two sides differ by more than chance does: the
// interval leaves 1 out, and P is under 0.05. Both are asked, since they come from
// different assumptions, and a difference that only one of them sees is not yet one.
func (r Ratio) Distinguishable() bool { return r.P < alpha && (r.Low > 1 || r.High < 1) }

// MarshalJSON writes what is not finite as null.
func (r Ratio) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Value           *float64 `json:"value"`
		Low             *float64 `json:"low"`
		High            *float64 `json:"high"`
		P               *float64 `json:"p"`
		Distinguishable bool     `json:"distinguishable"`
		Method          string   `json:"method"`
		NA              int      `json:"n_a"`
		NB              int      `json:"n_b"`
		Warnings        []string `json:"warnings,omitempty"`
	}{known(r.Value), known(r.Low), known(r.High), known(r.P), r.Distinguishable(), r.Method, r.NA, r.NB, r.Warnings})
}

// known is nil for what JSON has no word for.
func known(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// touching gives the two-sided p-value that belongs to an interval: twice the tail with which it just
// touches 1.
func touching(bounds func(tail float64) (low, high float64)) float64 {
	none, out := -50.0, math.Log(0.5) // logarithms of tails: that of none holds 1 whatever the interval
	for range 30 {
		middle := (none + out) / 2
		if low, high := bounds(math.Exp(middle)); low > 1 || high < 1 {
			out = middle
		} else {
			none = middle
		}
	}
	return 2 * math.Exp(out)
}

// unknown is a ratio of which nothing is known but the counts.
func unknown(na, nb int) Ratio {
	nan := math.NaN()
	return Ratio{Value: nan, Low: nan, High: nan, P: nan, NA: na, NB: nb}
}

// sides says how many there are on each side.
func sides(a, b int) string {
	if a == b {
		return strconv.Itoa(a)
	}
	return fmt.Sprintf("%d and %d", a, b)
}
