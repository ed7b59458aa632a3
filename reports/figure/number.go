package figure

import (
	"math"
	"strconv"
	"strings"
)

// unit says how the numbers of an axis are written.
type unit int

const (
	plain        unit = iota // a count or a rate: 12,000
	milliseconds             // a latency kept in ms: 500 ms, 2 s
	seconds                  // a clock kept in s: 12
	percent                  // a share kept as 0–100: 95 %
)

// tick writes a tick's value. Step is the distance to the next tick and decides
// how many decimals are worth showing.
func (u unit) tick(v, step float64) string {
	switch u {
	case milliseconds:
		f, name := latencyUnit(math.Max(math.Abs(v), step))
		return number(v/f, step/f) + " " + name
	case percent:
		return number(v, step) + " %"
	default:
		return number(v, step)
	}
}

// value writes a measured value with its unit, to three significant digits.
func (u unit) value(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return u.tick(v, 1)
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
	if err != nil {
		rounded = v
	}
	// The step of the third digit, but never finer than the value's own digits.
	step := math.Pow(10, math.Floor(math.Log10(math.Abs(rounded)))-2)
	s := u.tick(rounded, step)
	num, rest, _ := strings.Cut(s, " ")
	if strings.Contains(num, ".") && !strings.Contains(num, "e") {
		num = strings.TrimRight(strings.TrimRight(num, "0"), ".")
	}
	return strings.TrimSpace(num + " " + rest)
}

// latencyUnit picks the unit in which a latency of so many milliseconds is read
// most easily, and says how many milliseconds it has.
func latencyUnit(ms float64) (perUnit float64, name string) {
	switch {
	case ms >= 1000*(1-1e-9):
		return 1000, "s"
	case ms >= 1-1e-9 || ms < 1e-6:
		return 1, "ms"
	case ms >= 1e-3*(1-1e-9):
		return 1e-3, "µs"
	default:
		return 1e-6, "ns"
	}
}

// number writes v with thousands separated, and with the decimals that step
// asks for. From ten million on it uses SI prefixes, and powers of ten where
// those end.
func number(v, step float64) string {
	abs := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return strconv.FormatFloat(v, 'g', -1, 64)
	case abs != 0 && (abs < 1e-4 || abs >= 1e15*(1-1e-9)):
		return strings.Replace(strconv.FormatFloat(v, 'g', 3, 64), "e+", "e", 1)
	case abs >= 1e7*(1-1e-9):
		f, prefix := 1e6, "M"
		if abs >= 1e12*(1-1e-9) {
			f, prefix = 1e12, "T"
		} else if abs >= 1e9*(1-1e-9) {
			f, prefix = 1e9, "G"
		}
		return grouped(v/f, decimals(step/f)) + prefix
	default:
		return grouped(v, decimals(step))
	}
}

// decimals is how many decimals tell two ticks apart that are a step apart.
func decimals(step float64) int {
	if !(step > 0) || math.IsInf(step, 0) {
		return 0
	}
	for d := range 6 {
		scaled := step * math.Pow(10, float64(d))
		if scaled >= 1-1e-9 && math.Abs(scaled-math.Round(scaled)) < 1e-6*scaled {
			return d
		}
	}
	return 6
}

// grouped writes v with a comma after each thousand.
func grouped(v float64, decimals int) string {
	s := strconv.FormatFloat(v, 'f', decimals, 64)
	sign, s := s[:len(s)-len(strings.TrimPrefix(s, "-"))], strings.TrimPrefix(s, "-")
	whole, frac, hasFrac := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if hasFrac {
		whole += "." + frac
	}
	if strings.Trim(whole, "0,.") == "" {
		sign = "" // no minus before a zero
	}
	return sign + whole
}
