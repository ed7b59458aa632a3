package experiment_test

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

func TestParseLength(t *testing.T) {
	for _, c := range []struct {
		text, want string // empty = refused
	}{
		{"500", "500"},
		{" 500 ", "500"},
		{"128_000", "128000"},
		{"uniform:100-900", "uniform:100-900"},
		{"Uniform: 100 - 900", "uniform:100-900"},
		{"uniform:5-5", "uniform:5-5"},
		{"normal:500,100", "normal:500,100"},
		{"lognormal:1155.5,1200", "lognormal:1155.5,1200"},
		{"exponential:1e3", "exponential:1000"},
		{"histogram:10*28,100*4", "histogram:10*28,100*4"},
		{"histogram:10,100", "histogram:10*1,100*1"}, // no weight is one
		{"quantiles:2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", "quantiles:2,3,4,5,6,7,8,9,10,11,12,13,14,15,16"},
		{"", ""},
		{"0", ""}, // no request has no token
		{"-5", ""},
		{"1.5", ""},
		{"100000001", ""}, // above MaxLength
		{"about 500", ""},
		{":500", ""},
		{"fixed:500", ""},
		{"uniform:", ""},
		{"uniform:900-100", ""},
		{"uniform:0-10", ""},
		{"uniform:100", ""},
		{"normal:500", ""},
		{"normal:500,0", ""}, // that is 500
		{"lognormal:NaN,1", ""},
		{"exponential:inf", ""},
		{"histogram:", ""},
		{"histogram:10*0", ""},
		{"histogram:10*-1", ""},
		{"quantiles:1,2,3", ""}, // not one a level
		{"quantiles:2,1,4,5,6,7,8,9,10,11,12,13,14,15,16", ""}, // falling
		{"quantiles:2*2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", ""},
	} {
		l, err := experiment.ParseLength(c.text)
		switch {
		case c.want == "" && (err == nil || !strings.Contains(err.Error(), "is not a length; write a number such as 500")):
			t.Errorf("%q: %v, %v; want what to write instead", c.text, l, err)
		case c.want != "" && (err != nil || l.String() != c.want):
			t.Errorf("%q: %v, %v; want %s", c.text, l, err, c.want)
		}
	}
}

// drawLength draws any distribution that a text can have.
func drawLength(t *rapid.T) experiment.Length {
	whole := rapid.Map(rapid.IntRange(1, experiment.MaxLength), func(n int) float64 { return float64(n) })
	real := rapid.Float64Range(1e-3, experiment.MaxLength)
	l := experiment.Length{Kind: rapid.SampledFrom([]experiment.LengthKind{
		experiment.FixedLength, experiment.UniformLength, experiment.NormalLength, experiment.LognormalLength,
		experiment.ExponentialLength, experiment.HistogramLength, experiment.QuantileLength}).Draw(t, "kind")}
	switch l.Kind {
	case experiment.FixedLength:
		l.Mean = whole.Draw(t, "length")
	case experiment.UniformLength:
		l.Low, l.High = whole.Draw(t, "low"), whole.Draw(t, "high")
		l.Low, l.High = min(l.Low, l.High), max(l.Low, l.High)
	case experiment.NormalLength, experiment.LognormalLength:
		l.Mean, l.Spread = real.Draw(t, "mean"), real.Draw(t, "sd")
	case experiment.ExponentialLength:
		l.Mean = real.Draw(t, "mean")
	case experiment.HistogramLength:
		n := rapid.IntRange(1, 20).Draw(t, "n")
		l.Values = rapid.SliceOfN(whole, n, n).Draw(t, "values")
		l.Weights = rapid.SliceOfN(real, n, n).Draw(t, "weights")
	case experiment.QuantileLength:
		n := len(experiment.QuantileLevels)
		l.Values = rapid.SliceOfN(whole, n, n).Draw(t, "values")
		slices.Sort(l.Values)
	}
	return l
}

func TestLengthRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawLength(t)
		if got, err := experiment.ParseLength(want.String()); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %+v, %v; want %+v", want, got, err, want)
		}
		var got experiment.Length
		j, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(j, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %+v, %v; want %+v", j, got, err, want)
		}
		var document struct{ L experiment.Length }
		y, err := yaml.Marshal(struct{ L experiment.Length }{want})
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalWithOptions(y, &document, yaml.Strict()); err != nil || !reflect.DeepEqual(document.L, want) {
			t.Fatalf("%s: %+v, %v; want %+v", y, document.L, err, want)
		}
	})
}

// TestQuantileIsMonotone holds for any distribution but a histogram, whose lengths
// stand in the order that they were given in.
func TestQuantileIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLength(t)
		if l.Kind == experiment.HistogramLength {
			slices.Sort(l.Values)
		}
		p := rapid.SliceOfN(rapid.Float64Range(0, math.Nextafter(1, 0)), 2, 20).Draw(t, "p")
		slices.Sort(p)
		last := 0
		for _, p := range p {
			n := l.Quantile(p)
			if n < max(last, 1) || n > experiment.MaxLength {
				t.Fatalf("%s: the quantile %g is %d after %d", l, p, n, last)
			}
			last = n
		}
	})
}

// TestQuantileMean averages the quantiles at the middles of many equal shares.
func TestQuantileMean(t *testing.T) {
	for _, c := range []struct {
		text    string
		average float64
		within  float64 // relative
	}{
		{"500", 500, 0},
		{"uniform:100-900", 500, 1e-4},
		{"uniform:1-2", 1.5, 1e-4},
		{"normal:500,100", 500, 1e-4},
		{"lognormal:1155,1200", 1155, 0.01}, // Azure's chat prompts
		{"lognormal:28,60", 28, 0.02},       // Azure's code answers; what lies below a token is raised to one
		{"exponential:200", 200, 1e-3},
		{"histogram:10*28,100*4", 21.25, 1e-4},
		{"quantiles:10,10,10,10,10,10,10,20,20,20,20,20,20,20,20", 10*0.4 + 0.1*15 + 20*0.5, 0.02},
		{"quantiles:2,29,59,80,181,300,500,900,1300,1800,2500,4000,5000,7000,8000", 1497.49, 1e-3},
	} {
		l, err := experiment.ParseLength(c.text)
		if err != nil {
			t.Fatal(err)
		}
		const n = 100_000
		sum := 0
		for i := range n {
			sum += l.Quantile((float64(i) + 0.5) / n)
		}
		if got := float64(sum) / n; math.Abs(got/c.average-1) > c.within || math.Abs(l.Average()/c.average-1) > 1e-9 {
			t.Errorf("%s: mean %g and average %g, want %g", c.text, got, l.Average(), c.average)
		}
	}
}

func TestQuantileAtTheEnds(t *testing.T) {
	for _, c := range []struct {
		text       string
		low, high  int // at 0, and just below 1
		longest    int
		lowest     float64 // share at which it is asked
		atTheShare int
	}{
		{"500", 500, 500, 500, 0.5, 500},
		{"uniform:3-5", 3, 5, 5, 0.5, 4},
		{"histogram:10*28,100*4", 10, 100, 100, 0.875, 100}, // the 28 of 32 end here
		{"quantiles:2,29,59,80,181,300,500,900,1300,1800,2500,4000,5000,7000,8000", 2, 8000, 8000, 0.5, 900},
		{"normal:500,100", 1, 1321, 809, 0.5, 500},
		{"exponential:200", 1, 7347, 1382, 0.5, 139},
	} {
		l, err := experiment.ParseLength(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if low, high := l.Quantile(0), l.Quantile(math.Nextafter(1, 0)); low != c.low || high != c.high || l.Longest() != c.longest {
			t.Errorf("%s: from %d to %d, longest %d; want %d to %d, %d", c.text, low, high, l.Longest(), c.low, c.high, c.longest)
		}
		if got := l.Quantile(c.lowest); got != c.atTheShare {
			t.Errorf("%s: %d at %g, want %d", c.text, got, c.lowest, c.atTheShare)
		}
	}
}

// TestLengthOfOldSpecs reads what stands in notebooks of the time when a length was a number.
func TestLengthOfOldSpecs(t *testing.T) {
	var s experiment.Spec
	if err := json.Unmarshal([]byte(`{"endpoint":"chat","input_tokens":500,"output_tokens":0,"turns":null,"concurrency":[1]}`), &s); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(s.InputTokens, experiment.Tokens(500)) || !s.OutputTokens.IsZero() || !s.Turns.IsZero() {
		t.Errorf("%+v", s)
	}
	for _, bad := range []string{`{"input_tokens":1.5}`, `{"input_tokens":"many"}`, `{"input_tokens":-1}`, `{"input_tokens":[1]}`} {
		if err := json.Unmarshal([]byte(bad), &s); err == nil || !strings.Contains(err.Error(), "is not a length") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func FuzzParseLength(f *testing.F) {
	for _, s := range []string{"500", "uniform:1-9", "normal:5,1", "lognormal:1155,1200", "exponential:2e3", "histogram:10*28,100*4",
		"quantiles:1,2,3,4,5,6,7,8,9,10,11,12,13,14,15", "histogram:1*1e-300", "uniform:-", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := experiment.ParseLength(text)
		if err != nil {
			return
		}
		again, err := experiment.ParseLength(l.String())
		if err != nil || !reflect.DeepEqual(again, l) {
			t.Fatalf("%q became %s and then %v, %v", text, l, again, err)
		}
		for _, p := range []float64{0, 0.5, math.Nextafter(1, 0)} {
			if n := l.Quantile(p); n < 1 || n > experiment.MaxLength {
				t.Errorf("%q: %d at %g", text, n, p)
			}
		}
	})
}
