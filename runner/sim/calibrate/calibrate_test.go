package calibrate

import (
	"math"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/inferbook/inferbook/runner/sim"
)

// measured makes the points of a sweep of an engine whose constants are known.
func measured(t *testing.T, cfg sim.Config, c sim.Constants, memory, compute float64, levels []int, shapes []Request) []Point {
	t.Helper()
	cfg.Unfitted = true
	d, err := cfg.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	f := newFitter(d.WithConstants(c, memory, compute))
	var points []Point
	for _, shape := range shapes {
		for _, n := range levels {
			p := Point{Name: "exp-1 c=" + string(rune('0'+n%10)), Workers: n, Warmup: n}
			for i := range 4*n + 8 {
				p.Requests = append(p.Requests, Request{shape.Prompt + i%7, shape.Output + i%5})
			}
			p.TPOT, p.TTFT, err = f.simulate(f.start(), &p)
			if err != nil {
				t.Fatal(err)
			}
			points = append(points, p)
		}
	}
	return points
}

// alone skips a test that the race detector makes slow and finds nothing in.
func alone(t *testing.T) {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("thousands of simulated sweeps in one goroutine; make theory runs them without the race detector")
	}
}

// From eight points the constants come back that made them, where they matter, and
// points that were held out are foretold.
func TestFitFindsWhatMadeThePoints(t *testing.T) {
	alone(t)
	cfg := sim.Config{GPU: "a100-80-sxm"}
	truth := sim.Constants{Step: 2500, Layer: 10, Seq: 120, Front: 2000, Net: 12000}
	points := measured(t, cfg, truth, .66, .55, []int{1, 4, 16, 48}, []Request{{200, 60}, {1500, 60}})
	r, err := Fit(cfg, points)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v\nmemory %.3f compute %.3f, before %+v, after %+v, held out %+v, weak %q, %d evaluations", r.Constants, r.Memory, r.Compute, r.Before, r.After, r.HeldOut, r.Weak, r.Evaluations)
	if r.Before.TPOT < .10 || r.After.TPOT > .01 || r.After.TTFT > .03 || r.HeldOut.TPOT > .04 {
		t.Errorf("before %+v, after %+v, held out %+v", r.Before, r.After, r.HeldOut)
	}
	if math.Abs(r.Constants.Seq/truth.Seq-1) > .25 || math.Abs(r.Compute/.55-1) > .15 || math.Abs(r.Constants.Net/truth.Net-1) > .3 {
		t.Errorf("constants %+v, compute %g; they were %+v and 0.55", r.Constants, r.Compute, truth)
	}
	// A step's constant and the bandwidth add up to one time per token at one request:
	// only their sum is known from one model.
	d, _ := cfg.Resolve()
	alone := func(step, share float64) float64 { return step + d.WeightsGB/d.GPU.BandwidthTBs*1e3/share }
	if got, want := alone(r.Constants.Step, r.Memory), alone(truth.Step, .66); math.Abs(got/want-1) > .03 {
		t.Errorf("step and bandwidth give %.0f µs for one token, and did %.0f", got, want)
	}
}

// A runtime that launches each kernel has the floor of a layer to fit.
func TestFitOfALaunchBoundRuntime(t *testing.T) {
	alone(t)
	cfg := sim.Config{GPU: "h100-sxm", Runtime: "hf-static"}
	truth := sim.Constants{Step: 1000, Layer: 10, Seq: 30, Front: 2000, Net: 5000, Eager: 640, Work: 1.15}
	r, err := Fit(cfg, measured(t, cfg, truth, 0, 0, []int{1, 2, 4, 8}, []Request{{200, 40}, {1000, 40}}))
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(r.Constants.Eager/640-1) > .03 || r.After.TPOT > .01 {
		t.Errorf("a layer takes %g µs and took 640; %+v", r.Constants.Eager, r.After)
	}
	if !strings.Contains(strings.Join(r.Weak, ", "), "the share of the bandwidth") {
		t.Errorf("reading weights is hidden behind the host, and not said to be unknown: %q", r.Weak)
	}
}

func TestFitRefuses(t *testing.T) {
	alone(t)
	cfg := sim.Config{GPU: "h100-sxm"}
	good := measured(t, cfg, sim.Constants{Step: 900, Seq: 50, Front: 2000, Net: 5000}, 0, 0, []int{1, 4, 16}, []Request{{200, 20}, {900, 20}})
	with := func(change func([]Point) []Point) []Point {
		points := append([]Point(nil), good...)
		return change(points)
	}
	for _, tc := range []struct {
		name   string
		points []Point
		want   string
	}{
		{"too few", with(func(p []Point) []Point { return p[:3] }), "3 loads at 3 levels are too few"},
		{"repeats are no further loads", with(func(p []Point) []Point { return append(p[:3], p[:3]...) }), "3 loads at 3 levels are too few"},
		{"too few levels", with(func(p []Point) []Point {
			for i := range p {
				p[i].Workers = 4
			}
			return p
		}), "2 loads at 1 levels are too few"},
		{"one load, two times", with(func(p []Point) []Point {
			q := p[0]
			q.Name, q.TPOT = "exp-2 c=1", 2*q.TPOT
			return append(p, q)
		}), "exp-1 c=1 and exp-2 c=1 contradict each other"},
		{"no stream", with(func(p []Point) []Point { p[2].TPOT = math.NaN(); return p }), "it must be a streamed closed loop"},
		{"faster the more there are", with(func(p []Point) []Point {
			for i := range p {
				p[i].TPOT = 500 / float64(p[i].Workers*p[i].Workers)
			}
			return p
		}), "no constants explain these points"},
		{"a prompt that does not fit", with(func(p []Point) []Point {
			p[0].Requests = []Request{{200_000, 10}, {200_000, 10}}
			return p
		}), "the context holds"},
	} {
		if _, err := Fit(cfg, tc.points); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q in it", tc.name, err, tc.want)
		}
	}
}
