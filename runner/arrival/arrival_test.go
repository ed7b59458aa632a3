package arrival_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/arrival"
)

func parse(t testing.TB, text string) experiment.Arrival {
	t.Helper()
	a, err := experiment.ParseArrival(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func times(t testing.TB, text string, rate float64, n int, until time.Duration, seed uint64) []time.Duration {
	t.Helper()
	at, err := arrival.Times(parse(t, text), rate, n, until, seed)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return at
}

// gaps are those from 0 on.
func gaps(at []time.Duration) []float64 {
	out, last := make([]float64, len(at)), time.Duration(0)
	for i, t := range at {
		out[i], last = (t - last).Seconds(), t
	}
	return out
}

// TestOfferedLoad is the package's promise: for every seed, what was asked.
func TestOfferedLoad(t *testing.T) {
	const n, rate = 10_000, 10.
	for _, text := range []string{
		"constant", "poisson",
		"gamma:cv=0.001", "gamma:cv=0.2", "gamma:cv=0.5", "gamma:cv=1",
		"gamma:cv=1.09", // Azure's chat trace
		"gamma:cv=3", "gamma:cv=6",
		"gamma:cv=13.15",     // Azure's code trace
		"onoff:on=2s,off=8s", // 100 arrivals in a phase
		"onoff:on=1s,off=200ms",
		"onoff:on=50ms,off=200ms", // 2.5
		"onoff:on=10ms,off=40ms",  // half the phases are empty
		"onoff:on=1ms,off=40ms",
	} {
		want := arrival.CV(parse(t, text), rate)
		for seed := range uint64(20) {
			gotRate, gotCV := arrival.Observe(times(t, text, rate, n, 0, seed))
			if math.Abs(gotRate/rate-1) > 0.002 || math.Abs(gotCV-want) > 0.025*want {
				t.Errorf("%s, seed %d: rate %.4g and CV %.4g, want %g and %.4g", text, seed, gotRate, gotCV, rate, want)
			}
		}
	}
}

// TestOfferedLoadForATime has the same promise, and the exact count.
func TestOfferedLoadForATime(t *testing.T) {
	const rate, until = 10., 1000 * time.Second
	for _, text := range []string{"constant", "poisson", "gamma:cv=0.2", "gamma:cv=3", "gamma:cv=13.15", "onoff:on=2s,off=8s"} {
		for seed := range uint64(10) {
			at := times(t, text, rate, 0, until, seed)
			if len(at) != 10_000 || at[len(at)-1] >= until {
				t.Errorf("%s, seed %d: %d arrivals, the last at %s", text, seed, len(at), at[len(at)-1])
			}
			want := arrival.CV(parse(t, text), rate)
			if _, cv := arrival.Observe(at); math.Abs(cv-want) > 0.05*want {
				t.Errorf("%s, seed %d: CV %.4g, want %.4g", text, seed, cv, want)
			}
		}
	}
}

func TestConstant(t *testing.T) {
	at := times(t, "constant", 4, 4, 0, 1)
	if want := []time.Duration{0, 250e6, 500e6, 750e6}; !slices.Equal(at, want) {
		t.Errorf("%v, want %v", at, want)
	}
	for _, c := range []struct {
		name  string
		until time.Duration
		want  int
	}{
		{"the one at the end is not before it", time.Second, 4},
		{"a little longer", time.Second + 1, 5},
		{"shorter than a gap", time.Nanosecond, 1},
	} {
		if at := times(t, "constant", 4, 0, c.until, 1); len(at) != c.want {
			t.Errorf("%s: %v, want %d", c.name, at, c.want)
		}
	}
}

// TestOrderIsRandom: gaps that follow one another have nothing in common.
func TestOrderIsRandom(t *testing.T) {
	for _, text := range []string{"poisson", "gamma:cv=0.2", "gamma:cv=3"} {
		for seed := range uint64(10) {
			g := gaps(times(t, text, 10, 10_000, 0, seed))
			var along, across float64
			for i := range g {
				along += (g[i] - 0.1) * (g[i] - 0.1)
				if i > 0 {
					across += (g[i] - 0.1) * (g[i-1] - 0.1)
				}
			}
			if r := across / along; math.Abs(r) > 0.04 { // four standard deviations
				t.Errorf("%s, seed %d: autocorrelation %g", text, seed, r)
			}
		}
	}
}

// TestIndexOfDispersion looks at the counts in windows of 1 % or less of the run: their
// variance ÷ mean is 1 for Poisson, and nears CV² for a renewal process as the window
// grows.
func TestIndexOfDispersion(t *testing.T) {
	for _, c := range []struct {
		text   string
		window float64 // in mean gaps
		want   float64
	}{
		{"poisson", 1, 1},
		{"poisson", 100, 1},
		{"gamma:cv=0.5", 100, 0.25},
		{"gamma:cv=2", 500, 4},
		{"gamma:cv=3", 1000, 9},
	} {
		const n, seeds = 100_000, 10
		dispersion := 0.0
		for seed := range uint64(seeds) {
			counts := make([]float64, int(n/c.window))
			for _, at := range times(t, c.text, 1000, n, 0, seed) {
				if i := int(at.Seconds() * 1000 / c.window); i < len(counts) {
					counts[i]++
				}
			}
			squares := 0.0
			for _, k := range counts {
				squares += (k - c.window) * (k - c.window)
			}
			dispersion += squares / float64(len(counts)) / c.window / seeds
		}
		if math.Abs(dispersion/c.want-1) > 0.12 {
			t.Errorf("%s in windows of %g: index of dispersion %.3g, want %g", c.text, c.window, dispersion, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		a     experiment.Arrival
		rate  float64
		n     int
		until time.Duration
		want  string
	}{
		{"a closed loop", experiment.Arrival{}, 1, 1, 0, "has no schedule"},
		{"a trace", experiment.Arrival{Kind: experiment.TraceArrival, TimeScale: 1}, 1, 1, 0, "in its data file"},
		{"no such arrival", experiment.Arrival{Kind: "pareto"}, 1, 1, 0, "not an arrival"},
		{"a gamma without a CV", experiment.Arrival{Kind: experiment.GammaArrival}, 1, 1, 0, "not an arrival"},
		{"steps without any", experiment.Arrival{Kind: experiment.StepsArrival}, 1, 1, 0, "not an arrival"},
		{"no rate", parse(t, "poisson"), 0, 1, 0, "the rate is 0"},
		{"a rate that is no number", parse(t, "poisson"), math.NaN(), 1, 0, "the rate is NaN"},
		{"too high a rate", parse(t, "onoff:on=1s,off=1s"), 2e6, 1, 0, "the rate is 2e+06"},
		{"no end", parse(t, "poisson"), 1, 0, 0, "has no end"},
		{"a negative number", parse(t, "poisson"), 1, -1, 0, "cannot be"},
		{"a negative time", parse(t, "poisson"), 1, 0, -1, "cannot be"},
		{"too many", parse(t, "poisson"), 1, arrival.Most + 1, 0, "is the most"},
		{"too many in a time", parse(t, "poisson"), 1e6, 0, time.Hour, "would have 3600000000 arrivals"},
		{"too many constant ones", parse(t, "constant"), 1e6, 0, time.Hour, "is the most"},
		{"too long", parse(t, "poisson"), 1e-9, 1000, 0, "ten years"},
		{"too long, constant", parse(t, "constant"), 1e-9, 1000, 0, "ten years"},
		{"too long, on and off", parse(t, "onoff:on=1ns,off=8760h"), 1e-9, 1000, 0, "ten years"},
		{"too long a ramp", parse(t, "ramp:from=0,to=1e-9"), 0, 1000, 0, "ten years"},
		{"too long a time", parse(t, "poisson"), 1e-9, 0, math.MaxInt64, "ten years"},
	} {
		at, err := arrival.Times(c.a, c.rate, c.n, c.until, 1)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d arrivals and %v, want an error with %q", c.name, len(at), err, c.want)
		}
	}
	// Too few to arrive at all is no error: it is what the rate says.
	if at := times(t, "poisson", 0.001, 0, time.Minute, 1); len(at) != 0 {
		t.Errorf("%v, want none", at)
	}
}

func drawArrival(t *rapid.T) experiment.Arrival {
	span := func(name string) experiment.Duration {
		return experiment.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, name))
	}
	rate := rapid.Float64Range(0.001, 1000)
	a := experiment.Arrival{Kind: rapid.SampledFrom([]experiment.ArrivalKind{
		experiment.ConstantArrival, experiment.PoissonArrival, experiment.GammaArrival,
		experiment.OnOffArrival, experiment.RampArrival, experiment.StepsArrival}).Draw(t, "kind")}
	switch a.Kind {
	case experiment.GammaArrival:
		a.CV = rapid.Float64Range(1e-9, 100).Draw(t, "cv")
	case experiment.OnOffArrival:
		a.On, a.Off = span("on"), span("off")
	case experiment.RampArrival:
		a.From, a.To = rate.Draw(t, "from"), rapid.OneOf(rate, rapid.Just(0.)).Draw(t, "to")
	case experiment.StepsArrival:
		for range rapid.IntRange(1, 5).Draw(t, "steps") {
			a.Steps = append(a.Steps, experiment.RateStep{Rate: rate.Draw(t, "rate"), Hold: experiment.Duration(rapid.Int64Range(1, 10e9).Draw(t, "hold"))})
		}
	}
	return a
}

// TestLaws holds for any arrival: in order, as many as asked, in time, and the same again.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawArrival(t)
		rate := rapid.Float64Range(0.001, 1000).Draw(t, "rate")
		n := rapid.IntRange(0, 1000).Draw(t, "n")
		until := time.Duration(rapid.Int64Range(0, 10e9).Draw(t, "until"))
		seed := rapid.Uint64().Draw(t, "seed")
		if n == 0 && until == 0 {
			n = 1
		}
		at, err := arrival.Times(a, rate, n, until, seed)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSorted(at) || len(at) > 0 && at[0] < 0 {
			t.Fatalf("%v are not in order", at)
		}
		switch {
		case n > 0 && len(at) > n:
			t.Fatalf("%d arrivals, and %d were asked for", len(at), n)
		case n > 0 && until == 0 && a.Kind != experiment.StepsArrival && len(at) != n:
			t.Fatalf("%d arrivals, want %d", len(at), n)
		case until > 0 && len(at) > 0 && at[len(at)-1] >= until:
			t.Fatalf("the last arrival is at %s, and the run ends at %s", at[len(at)-1], until)
		}
		if own, ok := a.OwnRate(); ok {
			rate = own
		}
		if until > 0 && n == 0 && a.Kind != experiment.OnOffArrival && a.Kind != experiment.StepsArrival &&
			math.Abs(float64(len(at))-rate*until.Seconds()) > 1+1e-6 {
			t.Fatalf("%d arrivals in %s at a rate of %g", len(at), until, rate)
		}
		again, _ := arrival.Times(a, rate, n, until, seed)
		if !slices.Equal(at, again) {
			t.Fatal("the same arguments gave other times")
		}
	})
}

func TestSeedsDiffer(t *testing.T) {
	if slices.Equal(times(t, "poisson", 1, 100, 0, 1), times(t, "poisson", 1, 100, 0, 2)) {
		t.Error("two seeds gave the same times")
	}
}

func TestReplay(t *testing.T) {
	for _, c := range []struct {
		name  string
		scale float64
		want  []time.Duration
	}{
		{"as it was", 1, []time.Duration{0, 3, 1000}},
		{"twice as fast, rounded", 2, []time.Duration{0, 2, 500}},
		{"slower", 0.5, []time.Duration{0, 6, 2000}},
		{"so slow that the times would overflow", 1e-300, []time.Duration{0, arrival.Longest, arrival.Longest}},
	} {
		if got := arrival.Replay([]time.Duration{0, 3, 1000}, c.scale); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestObserve(t *testing.T) {
	for _, c := range []struct {
		name     string
		at       []time.Duration
		rate, cv float64
	}{
		{"even, from 0", []time.Duration{0, 1e9, 2e9, 3e9}, 1, 0},
		{"even, after a first gap", []time.Duration{1e9, 2e9, 3e9}, 1, 0},
		{"gaps of 1 and 3 s", []time.Duration{1e9, 4e9}, 0.5, 0.5},
		{"no gap", []time.Duration{0}, math.NaN(), math.NaN()},
		{"all at once", []time.Duration{0, 0, 0}, math.NaN(), math.NaN()},
		{"none", nil, math.NaN(), math.NaN()},
	} {
		rate, cv := arrival.Observe(c.at)
		same := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
		if !same(rate, c.rate) || !same(cv, c.cv) {
			t.Errorf("%s: %g and %g, want %g and %g", c.name, rate, cv, c.rate, c.cv)
		}
	}
}

// TestCV checks the limits of the formula for on/off: no Off is Poisson, many
// short phases are Poisson too, and few long ones leave Off²·a/(On+Off)².
func TestCV(t *testing.T) {
	for _, c := range []struct {
		text       string
		rate, want float64
	}{
		{"constant", 1, 0},
		{"poisson", 1, 1},
		{"gamma:cv=3", 1, 3},
		{"onoff:on=1s,off=1ns", 1, 1},
		{"onoff:on=1us,off=1us", 1, 1},
		{"onoff:on=1s,off=1s", 1e6, math.Sqrt(1e6/2 + 0.5)},
		{"ramp:from=1,to=2", 1, math.NaN()},
		{"steps:1x1s", 1, math.NaN()},
		{"trace", 1, math.NaN()},
		{"closed", 1, math.NaN()},
	} {
		got := arrival.CV(parse(t, c.text), c.rate)
		if !(math.Abs(got-c.want) < 1e-6*(1+c.want)) && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%s: %g, want %g", c.text, got, c.want)
		}
	}
}

func BenchmarkTimes(b *testing.B) {
	for _, text := range []string{"constant", "poisson", "gamma:cv=13.15", "onoff:on=2s,off=8s", "ramp:from=1,to=1000", "steps:1000x600s,1000x600s"} {
		b.Run(text, func(b *testing.B) {
			for b.Loop() {
				if at := times(b, text, 1000, 1_000_000, 0, 1); len(at) != 1_000_000 {
					b.Fatal(len(at))
				}
			}
		})
	}
}
