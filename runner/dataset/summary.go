package dataset

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Summary describes a set in a few numbers.
type Summary struct {
	Items, Turns int
	// Times says whether the items have times.
	Times bool
	// Rate is the mean rate of the items per second, (n − 1) / (last − first), and GapCV
	// the standard deviation of the gaps between them (with n − 1) over their mean;
	// Unknown for fewer than two or three items or for items that are all at once.
	Rate, GapCV float64
	// Input and Output are over the turns.
	Input, Output Lengths
}

// Lengths describes numbers of tokens.
type Lengths struct {
	// Known is the number of turns whose length the file gives.
	Known int
	// Mean, P50 and P95 are in tokens, rounded; the quantiles are values that occur
	// (nearest rank). Unknown where no length is known.
	Mean, P50, P95 int
}

// Summary describes the set.
func (s *Set) Summary() Summary {
	sum := Summary{Items: len(s.Items), Rate: Unknown, GapCV: Unknown}
	var input, output []int
	for _, item := range s.Items {
		sum.Turns += len(item.Turns)
		for _, t := range item.Turns {
			if t.Prompt != Unknown {
				input = append(input, t.Prompt)
			}
			if t.Output != Unknown {
				output = append(output, t.Output)
			}
		}
	}
	sum.Input, sum.Output = lengthsOf(input), lengthsOf(output)
	n := len(s.Items)
	if n == 0 || s.Items[0].At == Unknown {
		return sum
	}
	sum.Times = true
	span := (s.Items[n-1].At - s.Items[0].At).Seconds()
	if span <= 0 {
		return sum
	}
	sum.Rate = float64(n-1) / span
	if n > 2 {
		mean, squares := span/float64(n-1), 0.0
		for i := 1; i < n; i++ {
			d := (s.Items[i].At - s.Items[i-1].At).Seconds() - mean
			squares += d * d
		}
		sum.GapCV = math.Sqrt(squares/float64(n-2)) / mean
	}
	return sum
}

func lengthsOf(tokens []int) Lengths {
	n := len(tokens)
	if n == 0 {
		return Lengths{Mean: Unknown, P50: Unknown, P95: Unknown}
	}
	slices.Sort(tokens)
	total := 0
	for _, v := range tokens {
		total += v
	}
	rank := func(percent int) int { return tokens[(n*percent+99)/100-1] }
	return Lengths{Known: n, Mean: int(math.Round(float64(total) / float64(n))), P50: rank(50), P95: rank(95)}
}

// String is one line to print before a run.
func (s Summary) String() string {
	parts := []string{count(s.Items, "item")}
	if s.Turns != s.Items {
		parts[0] += " of " + count(s.Turns, "turn")
	}
	switch {
	case !s.Times:
		parts = append(parts, "without times")
	case s.Rate == Unknown:
		parts = append(parts, "all at one time")
	case s.GapCV == Unknown:
		parts = append(parts, fmt.Sprintf("%.3g/s", s.Rate))
	default:
		parts = append(parts, fmt.Sprintf("%.3g/s (gap CV %.2f)", s.Rate, s.GapCV))
	}
	for _, l := range []struct {
		name string
		Lengths
	}{{"input", s.Input}, {"output", s.Output}} {
		switch {
		case l.Known == 0:
			parts = append(parts, l.name+" tokens unknown")
		default:
			text := fmt.Sprintf("%s tokens mean %d, p50 %d, p95 %d", l.name, l.Mean, l.P50, l.P95)
			if l.Known < s.Turns {
				text += fmt.Sprintf(" (known for %d)", l.Known)
			}
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, "; ")
}

func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
