package experiment_test

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

func TestParseArrival(t *testing.T) {
	for _, c := range []struct {
		text, want string // empty = refused
	}{
		{"closed", "closed"},
		{"constant", "constant"},
		{" Poisson ", "poisson"},
		{"gamma:cv=13.15", "gamma:cv=13.15"},
		{"gamma:burstiness=0.25", "gamma:cv=2"}, // vllm bench's 1/CV²
		{"onoff: on = 2s, off = 8s", "onoff:on=2s,off=8s"},
		{"ramp:from=0,to=20", "ramp:from=0,to=20"},
		{"ramp:to=20", "ramp:from=0,to=20"},
		{"steps:1x30s, 0x10s ,5x30s", "steps:1x30s,0x10s,5x30s"},
		{"trace", "trace"},
		{"trace:scale=2", "trace:scale=2"},
		{"trace:scale=1", "trace"},
		{"", ""},
		{"uniform", ""},
		{"closed:cv=1", ""},
		{"poisson:rate=2", ""}, // the rate is the point's
		{"gamma", ""},
		{"gamma:cv=0", ""},
		{"gamma:cv=-1", ""},
		{"gamma:cv=NaN", ""},
		{"gamma:cv=101", ""},
		{"gamma:burstiness=0", ""},
		{"gamma:burstiness=-1", ""},
		{"gamma:cv", ""},
		{"onoff:on=2s", ""},
		{"onoff:on=2,off=8", ""}, // of what?
		{"onoff:on=2s,off=0s", ""},
		{"onoff:on=2s,off=876000h", ""},
		{"ramp", ""},
		{"ramp:from=0,to=0", ""},
		{"ramp:from=-1,to=2", ""},
		{"ramp:from=1,to=inf", ""},
		{"steps", ""},
		{"steps:1", ""},
		{"steps:1x0s", ""},
		{"steps:0x10s", ""}, // nothing ever arrives
		{"steps:-1x10s", ""},
		{"steps:2000000x10s", ""},
		{"trace:scale=0", ""},
		{"trace:speed=2", ""},
	} {
		a, err := experiment.ParseArrival(c.text)
		switch {
		case c.want == "" && (err == nil || !strings.Contains(err.Error(), "is not an arrival; write closed, constant, poisson")):
			t.Errorf("%q: %v, %v; want what to write instead", c.text, a, err)
		case c.want != "" && (err != nil || a.String() != c.want):
			t.Errorf("%q: %v, %v; want %s", c.text, a, err, c.want)
		}
	}
}

func drawArrival(t *rapid.T) experiment.Arrival {
	span := rapid.Map(rapid.Int64Range(1, int64(10*365*24*time.Hour)-1), func(n int64) experiment.Duration { return experiment.Duration(n) })
	rate := rapid.Float64Range(0, experiment.MaxRate)
	a := experiment.Arrival{Kind: rapid.SampledFrom([]experiment.ArrivalKind{
		experiment.ClosedLoop, experiment.ConstantArrival, experiment.PoissonArrival, experiment.GammaArrival,
		experiment.OnOffArrival, experiment.RampArrival, experiment.StepsArrival, experiment.TraceArrival}).Draw(t, "kind")}
	switch a.Kind {
	case experiment.GammaArrival:
		a.CV = rapid.Float64Range(math.SmallestNonzeroFloat64, 100).Draw(t, "cv")
	case experiment.OnOffArrival:
		a.On, a.Off = span.Draw(t, "on"), span.Draw(t, "off")
	case experiment.RampArrival:
		a.From, a.To = rate.Draw(t, "from"), rapid.Float64Range(1e-9, experiment.MaxRate).Draw(t, "to")
	case experiment.StepsArrival:
		a.Steps = []experiment.RateStep{{Rate: 1, Hold: span.Draw(t, "first")}} // one that is not 0
		for range rapid.IntRange(0, 5).Draw(t, "steps") {
			a.Steps = append(a.Steps, experiment.RateStep{Rate: rate.Draw(t, "rate"), Hold: span.Draw(t, "hold")})
		}
	case experiment.TraceArrival:
		a.TimeScale = rapid.Float64Range(1e-9, 1e6).Draw(t, "scale")
	}
	return a
}

func TestArrivalRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawArrival(t)
		if got, err := experiment.ParseArrival(want.String()); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %+v, %v; want %+v", want, got, err, want)
		}
		if want.Open() == want.IsZero() {
			t.Fatalf("%s is open and the default, or neither", want)
		}
	})
}

func TestOwnRate(t *testing.T) {
	for _, c := range []struct {
		text string
		rate float64
		own  bool
	}{
		{"closed", 0, false},
		{"poisson", 0, false},
		{"trace", 0, false}, // its file's
		{"ramp:from=1,to=20", 10.5, true},
		{"steps:1x30s,5x10s", 2, true},
	} {
		a, err := experiment.ParseArrival(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if rate, own := a.OwnRate(); rate != c.rate || own != c.own {
			t.Errorf("%s: %g, %v; want %g, %v", c.text, rate, own, c.rate, c.own)
		}
	}
}

func TestPause(t *testing.T) {
	for _, c := range []struct {
		text, want string // empty = refused
		mean       time.Duration
		ninety     time.Duration // that 90 % stay under
	}{
		{"5s", "5s", 5 * time.Second, 5 * time.Second},
		{"0s", "0s", 0, 0},
		{"uniform:1s-9s", "uniform:1s-9s", 5 * time.Second, 8200 * time.Millisecond},
		{"uniform:5s-5s", "5s", 5 * time.Second, 5 * time.Second},
		{"exponential:5s", "exponential:5s", 5 * time.Second, 11512925464},
		{"", "", 0, 0},
		{"5", "", 0, 0}, // of what?
		{"-5s", "", 0, 0},
		{"uniform:9s-1s", "", 0, 0},
		{"uniform:5s", "", 0, 0},
		{"normal:5s", "", 0, 0},
		{":5s", "", 0, 0},
		{"1000000h", "", 0, 0},
	} {
		var p experiment.Pause
		err := p.UnmarshalText([]byte(c.text))
		if c.want == "" {
			if err == nil || !strings.Contains(err.Error(), "is not a pause; write 5s") {
				t.Errorf("%q: %v, %v; want what to write instead", c.text, p, err)
			}
			continue
		}
		if err != nil || p.String() != c.want || p.Mean() != c.mean || p.Quantile(0.9).Round(100) != c.ninety.Round(100) {
			t.Errorf("%q: %v, %v, mean %s, 90 %% under %s; want %s, %s, %s", c.text, p, err, p.Mean(), p.Quantile(0.9), c.want, c.mean, c.ninety)
		}
	}
}

func TestPauseLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := rapid.Int64Range(0, int64(10*365*24*time.Hour))
		low, high := span.Draw(t, "low"), span.Draw(t, "high")
		want := experiment.Pause{Low: experiment.Duration(min(low, high)), High: experiment.Duration(max(low, high))}
		if rapid.Bool().Draw(t, "exponential") {
			want.Exponential, want.High = true, want.Low
		}
		var got experiment.Pause
		if err := got.UnmarshalText([]byte(want.String())); err != nil || got != want {
			t.Fatalf("%s: %+v, %v; want %+v", want, got, err, want)
		}
		u := rapid.Float64Range(0, math.Nextafter(1, 0))
		a, b := u.Draw(t, "a"), u.Draw(t, "b")
		if p, q := want.Quantile(min(a, b)), want.Quantile(max(a, b)); p < 0 || p > q {
			t.Fatalf("%s: quantiles %s and %s", want, p, q)
		}
	})
}

func FuzzParseArrival(f *testing.F) {
	for _, s := range []string{"closed", "poisson", "gamma:cv=3", "gamma:burstiness=2", "onoff:on=2s,off=8s", "ramp:from=1,to=20", "steps:1x30s,5x30s", "trace:scale=2", "steps:x", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := experiment.ParseArrival(text)
		if err != nil {
			return
		}
		if again, err := experiment.ParseArrival(a.String()); err != nil || !reflect.DeepEqual(again, a) {
			t.Fatalf("%q became %s and then %v, %v", text, a, again, err)
		}
	})
}
