package experiment_test

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

func TestParseSLO(t *testing.T) {
	for _, c := range []struct {
		text, want string
		err        string // part of the error; empty = none
	}{
		{"ttft.p95<500ms tpot.p95<40ms", "ttft.p95<500ms tpot.p95<40ms", ""},
		{"ttft.p95 < 0.5s, e2e.p99.9<= 1m", "ttft.p95<500ms e2e.p99.9<60000ms", ""},
		{"ttft<500ms tpot<40ms goodput>=90%", "ttft<500ms tpot<40ms goodput>=90%", ""},
		{"ttft_sched.p50<1us", "ttft_sched.p50<0.001ms", ""},
		{"errors<0.01", "errors<1%", ""},
		{"errors < 0.1 %", "", `it has no metric`},
		{"goodput > 0.9", "goodput>=90%", ""},
		{"ttft.p50<1s ttft.p99<2s ttft<3s", "ttft.p50<1000ms ttft.p99<2000ms ttft<3000ms", ""},
		{"", "", "the SLO is empty; write one such as ttft.p95<500ms"},
		{" , ", "", "the SLO is empty"},
		{"fast", "", `"fast" is not an objective: it has no metric`},
		{"ttft.p95<500", "", "its bound is a time with a unit, up to a day, such as 500ms"},
		{"ttft.p95<0ms", "", "its bound is a time"},
		{"ttft.p95<25h", "", "its bound is a time"},
		{"ttft.p95>500ms", "", "a latency has an upper bound"},
		{"ttft.p0<500ms", "", "a quantile lies between p0 and p100"},
		{"ttft.p100<500ms", "", "a quantile lies between p0 and p100"},
		{"ttft.p99.999999999<500ms", "", "a quantile lies between p0 and p100"}, // that is p100
		{"ttft.p9.5.1<500ms", "", "a quantile lies between p0 and p100"},
		{"itl.p95<50ms", "", "it may bound ttft, ttft_answer, tpot, e2e, ttft_sched, e2e_sched, errors or goodput"},
		{"errors>1%", "", "errors have an upper bound and goodput a lower one"},
		{"goodput<90%", "", "errors have an upper bound and goodput a lower one"},
		{"errors<101%", "", "its bound is a share, such as 1%"},
		{"errors<nan", "", "its bound is a share"},
		{"errors.p95<1%", "", "its bound is a share"},
		{"ttft.p95<1s ttft.p95<2s", "", "the SLO bounds ttft.p95 twice; keep one of them"},
		{"errors<1% errors<2%", "", "the SLO bounds errors twice"},
	} {
		s, err := experiment.ParseSLO(c.text)
		switch {
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%q: %v, %v; want an error with %q", c.text, s, err, c.err)
		case c.err == "" && (err != nil || s.String() != c.want):
			t.Errorf("%q: %v, %v; want %s", c.text, s, err, c.want)
		}
	}
}

func TestJudges(t *testing.T) {
	for _, c := range []struct {
		text string
		want bool
	}{
		{"ttft.p95<500ms", true},
		{"errors<1%", true},
		{"ttft<500ms goodput>=90%", true},
		{"ttft<500ms tpot<40ms", false}, // each request has a verdict, and the point none
	} {
		s, err := experiment.ParseSLO(c.text)
		if err != nil || s.Judges() != c.want {
			t.Errorf("%q: %v, %v; want %v", c.text, s.Judges(), err, c.want)
		}
	}
}

// latencies are those of the objectives.
var latencies = []string{"ttft", "ttft_answer", "tpot", "e2e", "ttft_sched", "e2e_sched"}

// drawShare draws a share that a text can have: in millionths of a percent.
func drawShare(t *rapid.T, name string) float64 {
	return float64(rapid.IntRange(1, 1e8-1).Draw(t, name)) / 1e8
}

func drawSLO(t *rapid.T) experiment.SLO {
	var s experiment.SLO
	bound := rapid.Map(rapid.Int64Range(1, 24*3600e9), func(ns int64) float64 { return float64(ns) / 1e6 })
	for _, metric := range rapid.SliceOfNDistinct(rapid.SampledFrom(latencies), 1, -1, rapid.ID).Draw(t, "metrics") {
		o := experiment.Objective{Metric: metric, Bound: bound.Draw(t, "bound")}
		if rapid.Bool().Draw(t, "at a quantile") {
			o.Quantile = drawShare(t, "quantile")
		}
		s = append(s, o)
	}
	for _, metric := range []string{"errors", "goodput"} {
		if rapid.Bool().Draw(t, metric) {
			s = append(s, experiment.Objective{Metric: metric, Bound: drawShare(t, "share")})
		}
	}
	return s
}

func TestSLORoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawSLO(t)
		var got experiment.SLO
		if err := got.UnmarshalText([]byte(want.String())); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %+v, %v; want %+v", want, got, err, want)
		}
	})
	s := experiment.SLO{{Metric: "errors"}}
	if err := s.UnmarshalText(nil); err != nil || s != nil {
		t.Errorf("no text: %v, %v; want no SLO", s, err)
	}
}

func TestPrecision(t *testing.T) {
	for _, c := range []struct {
		text, want string // empty = refused
	}{
		{"ttft.p95 ±5%", "ttft.p95 ±5%"},
		{" e2e_sched.p99.9+-0.5 % ", "e2e_sched.p99.9 ±0.5%"},
		{"tpot.p50 +/-10%", "tpot.p50 ±10%"},
		{"ttft.p0.000001 ±0.000001%", "ttft.p0.000001 ±0.000001%"},
		{"", ""},
		{"ttft ±5%", ""},
		{"ttft.p95 ±5", ""},
		{"ttft.p95 5%", ""},
		{"ttft.p100 ±5%", ""},
		{"ttft.p95 ±0%", ""},
		{"ttft.p95 ±100%", ""},
		{"ttft.p95 ±0.0000001%", ""},
		{"goodput.p95 ±5%", ""},
	} {
		var p experiment.Precision
		err := p.UnmarshalText([]byte(c.text))
		switch {
		case c.want == "" && (err == nil || !p.IsZero() || !strings.Contains(err.Error(), "is not a precision; write a quantile of ttft")):
			t.Errorf("%q: %v, %v; want what to write instead", c.text, p, err)
		case c.want != "" && (err != nil || p.String() != c.want):
			t.Errorf("%q: %v, %v; want %s", c.text, p, err, c.want)
		}
	}
}

func TestPrecisionRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := experiment.Precision{Metric: rapid.SampledFrom(latencies).Draw(t, "metric"), Quantile: drawShare(t, "quantile"), Share: drawShare(t, "share")}
		var got experiment.Precision
		if err := got.UnmarshalText([]byte(want.String())); err != nil || got != want {
			t.Fatalf("%s: %+v, %v; want %+v", want, got, err, want)
		}
	})
}

func FuzzParseSLO(f *testing.F) {
	for _, s := range []string{"ttft.p95<500ms tpot.p95<40ms", "errors<1%,goodput>=90%", "e2e.p99.9 <= 1m", "ttft<1ns", "errors<1e-9", "ttft.p99.99999999<23h59m59.999999999s", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := experiment.ParseSLO(text)
		if err != nil {
			return
		}
		if again, err := experiment.ParseSLO(s.String()); err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("%q became %s and then %v, %v", text, s, again, err)
		}
	})
}

func FuzzPrecision(f *testing.F) {
	for _, s := range []string{"ttft.p95 ±5%", "tpot.p50 +-0.000001%", "e2e.p99.99999999 ±99.99999999%", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var p, again experiment.Precision
		if p.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(p.String())); err != nil || again != p {
			t.Fatalf("%q became %s and then %v, %v", text, p, again, err)
		}
	})
}
