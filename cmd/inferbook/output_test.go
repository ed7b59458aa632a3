package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/inferbook/inferbook/analysis"
)

// TestUSD: three significant digits, with their zeros.
func TestUSD(t *testing.T) {
	for _, tc := range []struct {
		v    float64
		want string
	}{{14.306, "$14.31"}, {290.4, "$290"}, {0.2, "$0.200"}, {0.11, "$0.110"}, {0.00709, "$0.00709"}, {0, "$0.00"}} {
		if got := usd(tc.v); got != tc.want {
			t.Errorf("usd(%v) = %s, want %s", tc.v, got, tc.want)
		}
	}
}

// TestFitCountsWideCharacters: a name in Japanese takes two columns a character.
func TestFitCountsWideCharacters(t *testing.T) {
	for _, tc := range []struct{ columns, want string }{{"", "tags"}, {"24", "tags"}, {"22", "name"}} {
		var out bytes.Buffer
		p := &program{out: &out, env: func(string) string { return tc.columns }}
		header := p.fit([]any{"name", "tags"}, [][]any{{"日本語の名前", "größe 1234"}}, "tags")
		if got := header[len(header)-1]; got != tc.want {
			t.Errorf("at %q columns the last column is %v, want %s:\n%s", tc.columns, got, tc.want, &out)
		}
	}
}

// TestInterval: an interval in brackets, a range over few repeats in parentheses,
// its unit said once where it is the same.
func TestInterval(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	repeats := func(v, least, most float64) analysis.Estimate {
		return analysis.Estimate{Value: v, Low: -inf, High: inf, Min: least, Max: most, Repeats: 3}
	}
	for _, tc := range []struct {
		e    analysis.Estimate
		unit func(float64) string
		want string
	}{
		{analysis.Estimate{Value: 312, Low: 298, High: 340}, ms, "312 ms [298 ms, 340 ms]"},
		{analysis.Estimate{Value: 312, Low: 298, High: inf}, ms, "312 ms [298 ms, ∞]"},
		{repeats(312, 298, 340), ms, "312 ms (298–340)"},
		{repeats(998, 950, 1020), ms, "998 ms (950 ms–1.02 s)"},
		{repeats(1234, 998, 1300), num, "1,234 (998–1,300)"},
		{repeats(0.2, 0.19, 0.21), usd, "$0.200 ($0.190–$0.210)"},
		{analysis.Estimate{Value: 5, Low: -inf, High: inf, Min: nan, Max: nan, Repeats: 1}, ms, "5.00 ms"},
		{analysis.Estimate{Value: -5, Low: nan, High: nan}, ms, "−5.00 ms"},
		{analysis.Estimate{Value: -12345, Low: nan, High: nan}, num, "−12,345"},
	} {
		if got := interval(tc.e, tc.unit); got != tc.want {
			t.Errorf("%+v is %q, want %q", tc.e, got, tc.want)
		}
	}
}

// TestNarrow: where there is no room, an interval or a range goes and its figure stays.
func TestNarrow(t *testing.T) {
	for _, tc := range []struct{ column, cell, want string }{
		{"TTFT p95 [95 %]", "312 ms [298 ms, ∞]", "[312 ms]"},
		{"TTFT p95 (min–max)", "312 ms (298–340)", "[312 ms]"},
		{"TTFT p95 (min–max)", "–", "[–]"},
		{"TTFT p95 [95 %]", "TTFT p95 [95 %]", "[TTFT p95]"},
		{"decoding", "7.1", "[]"},
	} {
		if got := fmt.Sprint(narrow([]any{tc.cell}, 0, tc.column)); got != tc.want {
			t.Errorf("%s of %s is %s, want %s", tc.column, tc.cell, got, tc.want)
		}
	}
}

// TestLegend: what stands beside the figures is explained in plain words.
func TestLegend(t *testing.T) {
	for _, tc := range []struct {
		repeats int
		all     bool
		want    string
	}{
		{1, true, "where the true p95 lies with 95 % confidence"},
		{3, true, "(min–max) over 3 repeats; a 95 % interval needs 6"},
		{6, true, "from the ranks of these repeats"},
		{3, false, "for want of room"},
	} {
		if got := legend(tc.repeats, tc.all); !strings.Contains(got, tc.want) {
			t.Errorf("%d repeats: %q, want %q in it", tc.repeats, got, tc.want)
		}
	}
}

// fullDisk takes no byte.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// TestLostOutputIsAFailure: a table that could not be written was not printed.
func TestLostOutputIsAFailure(t *testing.T) {
	var said bytes.Buffer
	p := &program{out: fullDisk{}, err: &said, env: func(string) string { return "" }}
	if code := p.run(context.Background(), []string{"version"}); code != exitFailure {
		t.Errorf("exit status %d, want %d", code, exitFailure)
	}
	if !strings.Contains(said.String(), "no space left on device") {
		t.Errorf("stderr says %q", said.String())
	}
}
