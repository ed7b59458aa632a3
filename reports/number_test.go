package reports

import (
	"math"
	"testing"
	"time"

	"github.com/inferbook/inferbook/analysis"
)

func TestUnits(t *testing.T) {
	for _, c := range []struct {
		got, want string
	}{
		{latency(7.3849).text(7.3849), "7.38 ms"},
		{latency(412).text(412), "412 ms"},
		{latency(9994).text(9994), "9,990 ms"}, // milliseconds up to ten seconds
		{latency(10_000).text(10_000), "10.0 s"},
		{latency(0).text(0), "0 ms"},
		{latency(math.NaN()).text(math.NaN()), "–"}, // unknown is not zero
		{tokensPerSecond.text(13348), "13,300 tok/s"},
		{tokensPerSecond.text(999.6), "1,000 tok/s"}, // rounding adds a digit
		{tokensPerSecond.text(1_234_567), "1,230,000 tok/s"},
		{tokensPerSecond.text(0.04567), "0.0457 tok/s"},
		{dollars.text(0.4312), "$0.431"},
		{percent.text(0.00375), "0.375 %"},
		{plain.text(-1.5), "−1.50"},
		{plain.text(math.Inf(1)), "∞"},
		{price(2.5), "$2.50"},
		{price(1.006), "$1.006"}, // a price is not rounded
		{price(1250), "$1,250.00"},
		{share(0.02), "2 %"},
		{exact(4), "4"},
		{lasting(31 * time.Second), "31.0 s"},
		{lasting(820*time.Second + 500*time.Millisecond), "13m41s"},
		{counted(1, "request"), "1 request"},
		{counted(2400, "request"), "2,400 requests"},
		{listing(nil), ""},
		{listing([]string{"a"}), "a"},
		{listing([]string{"a", "b", "c"}), "a, b and c"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestEstimates(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		name         string
		e            analysis.Estimate
		cell, phrase string
	}{
		{"with everything", analysis.Estimate{Value: 412, Low: 380, High: 460, N: 600, Repeats: 3}, "412 ms *380–460*", "412 ms (380–460; n=600; 3 repeats)"},
		{"the value's unit is the interval's", analysis.Estimate{Value: 11_840, Low: 9_200, High: 14_000, N: 10}, "11.8 s *9.20–14.0*", "11.8 s (9.20–14.0; n=10)"},
		{"open above", analysis.Estimate{Value: 2584, Low: 2411, High: inf, N: 12, Repeats: 1}, "2,580 ms *2,410–∞*", "2,580 ms (2,410–∞; n=12; one repeat)"},
		{"open below", analysis.Estimate{Value: 5, Low: -inf, High: 9, N: 2}, "5.00 ms *up to 9.00*", "5.00 ms (up to 9.00; n=2)"},
		{"open on both sides", analysis.Estimate{Value: 5, Low: -inf, High: inf, N: 1}, "5.00 ms *no bound*", "5.00 ms (no bound; n=1)"},
		{"three repeats have a range", analysis.Estimate{Value: 312, Low: -inf, High: inf, Min: 298, Max: 340, N: 150, Repeats: 3}, "312 ms (298–340)", "312 ms (min–max 298–340; n=150; 3 repeats)"},
		{"no interval", analysis.Estimate{Value: 5, Low: nan, High: nan, N: 1}, "5.00 ms", "5.00 ms (no interval; n=1)"},
		{"nothing to estimate from", analysis.Estimate{Value: nan, Low: nan, High: nan}, "–", "not known"},
	} {
		u := latency(c.e.Value)
		if got := u.cell(c.e); got != c.cell {
			t.Errorf("%s: cell %q, want %q", c.name, got, c.cell)
		}
		if got := u.phrase(c.e); got != c.phrase {
			t.Errorf("%s: phrase %q, want %q", c.name, got, c.phrase)
		}
	}
}
