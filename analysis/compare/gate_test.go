package compare

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// gateLevel has a repeat for each row of values: request_rate, output_throughput and
// error_rate. It has no samples.
func gateLevel(number int, rows ...[3]float64) Level {
	l := Level{Run: &Run{Experiment: &experiment.Experiment{Number: number}}, Load: experiment.Load{Concurrency: 8}}
	for _, v := range rows {
		l.Points = append(l.Points, &analysis.PointSummary{Sent: 100, OK: 100, RequestRate: v[0], OutputThroughput: v[1], ErrorRate: v[2]})
	}
	return l
}

// gateOf holds b against a.
func gateOf(t *testing.T, a, b Level, floors Floors, allowed ...string) *Gate {
	t.Helper()
	var list []Allowance
	var figures []Figure
	for _, text := range allowed {
		x, err := ParseAllowance(text)
		if err != nil {
			t.Fatal(err)
		}
		list, figures = append(list, x), append(figures, x.Figure)
	}
	l, err := CompareLevels(a, b, figures, floors)
	if err != nil {
		t.Fatal(err)
	}
	g, err := NewGate(&Diff{A: a.Run, B: b.Run, Levels: []LevelDiff{l}}, list)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// around gives k repeats of three figures about means, with a spread of 1 %.
func around(rng *rand.Rand, k int, means [3]float64) [][3]float64 {
	out := make([][3]float64, k)
	for i := range out {
		for j, m := range means {
			out[i][j] = m * math.Exp(0.01*rng.NormFloat64())
		}
	}
	return out
}

func TestGate(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	base := gateLevel(1, around(rng, 6, [3]float64{10, 1000, 0.1})...)
	level := func(rate, tok, errors float64) Level {
		return gateLevel(2, around(rng, 6, [3]float64{rate, tok, errors})...)
	}
	all := []string{"request_rate:-5%", "output_throughput:-5%", "error_rate:+5%"}
	failing := level(10, 1000, 0.1)
	for _, p := range failing.Points {
		p.OK = 90
	}
	barren := gateLevel(2, [3]float64{0, 0, 1})
	barren.Points[0].OK = 0
	piled := level(10, 1000, 0.1)
	piled.Points[0].Oversaturated = true
	nan := math.NaN()
	one := gateLevel(1, [3]float64{10, 1000, 0})
	floors := Floors{{Host(one.Run.Experiment), Config(one.Run.Experiment, one.Load), "request_rate"}: 0.02}
	for _, c := range []struct {
		name    string
		a, b    Level
		allowed []string
		want    []Verdict
		because string // of the first
	}{
		{"all the same", base, level(10, 1000, 0.1), all, []Verdict{Pass, Pass, Pass}, "worse, 5 % allowed"},
		{"better", base, level(12, 1000, 0.08), all, []Verdict{Pass, Pass, Pass}, "better"},
		// A throughput is worse when it falls, an error rate when it rises.
		{"all worse", base, level(8, 800, 0.12), all, []Verdict{Fail, Fail, Fail}, "at least"},
		{"as much worse as is allowed", base, level(9.5, 950, 0.105), all, []Verdict{Inconclusive, Inconclusive, Inconclusive}, "from"},
		{"one of three", base, level(10, 800, 0.1), all, []Verdict{Pass, Fail, Pass}, "at most"},
		// Four repeats a side can show one figure at a time, not three.
		{"four repeats", gateLevel(1, around(rng, 4, [3]float64{10, 1000, 0.1})...), gateLevel(2, around(rng, 4, [3]float64{8, 800, 0.12})...), all,
			[]Verdict{Inconclusive, Inconclusive, Inconclusive}, "but p = 0.086 with all"},
		{"four repeats, one figure", gateLevel(1, around(rng, 4, [3]float64{10, 1000, 0.1})...), gateLevel(2, around(rng, 4, [3]float64{8, 800, 0.12})...), all[:1],
			[]Verdict{Fail}, "at least"},
		{"nothing fails", gateLevel(1, [3]float64{10, 1, 0}, [3]float64{10, 1, 0}), gateLevel(2, [3]float64{10, 1, 0}, [3]float64{10, 1, 0}), all[2:], []Verdict{Pass}, "both are 0"},
		{"the baseline lacks it", gateLevel(1, [3]float64{nan, 1, 0}), gateLevel(2, [3]float64{10, 1, 0}), all[:1], []Verdict{Inconclusive}, "exp-1 has no such figure"},
		{"the candidate lacks it", gateLevel(1, [3]float64{10, 1, 0}), gateLevel(2, [3]float64{nan, 1, 0}), all[:1], []Verdict{Fail}, "exp-2 has no such figure, and the baseline has"},
		{"nothing succeeds", one, barren, all, []Verdict{Fail, Fail, Fail}, "none of its requests succeeded"},
		{"its requests fail", base, failing, all[:1], []Verdict{Inconclusive}, "10 % of its requests failed"},
		{"its requests pile up", base, piled, all[:1], []Verdict{Inconclusive}, "requests pile up"},
		{"one run each without samples", one, gateLevel(2, [3]float64{10, 1, 0}), all[1:2], []Verdict{Inconclusive}, "it has no interval within a run"},
		// The floor of 2 % is the interval of two single runs.
		{"one run each, under the floor", one, gateLevel(2, [3]float64{9.9, 1000, 0}), []string{"request_rate:-5%"}, []Verdict{Pass}, "at most 2.94 % worse"},
		{"one run each, beyond the floor", one, gateLevel(2, [3]float64{9, 1000, 0}), []string{"request_rate:-5%"}, []Verdict{Fail}, "at least 8.2 % worse"},
		{"one run each, about the bound", one, gateLevel(2, [3]float64{9.5, 1000, 0}), []string{"request_rate:-5%"}, []Verdict{Inconclusive}, "from 3.1 % worse to 6.86 % worse"},
	} {
		g := gateOf(t, c.a, c.b, floors, c.allowed...)
		worst := Pass
		for i, r := range g.Rulings[0] {
			if r.Verdict != c.want[i] {
				t.Errorf("%s: %s is %s (%s), want %s", c.name, r.Figure, r.Verdict, r.Because, c.want[i])
			}
			if r.Verdict == Fail || worst == Pass {
				worst = r.Verdict
			}
		}
		if got := g.Rulings[0][0].Because; !strings.Contains(got, c.because) {
			t.Errorf("%s: because %q, want %q", c.name, got, c.because)
		}
		if g.Verdict != worst {
			t.Errorf("%s: the gate says %s, want %s", c.name, g.Verdict, worst)
		}
	}
}

// TestGateAtTheBound counts how often a gate of three figures finds one worse where each has
// become exactly as much worse as is allowed: not in more than 2.5 % of the gates, the
// chance that Holm's correction leaves to one side.
func TestGateAtTheBound(t *testing.T) {
	const gates = 500
	rng := rand.New(rand.NewPCG(2, 2))
	found := 0
	for range gates {
		a, b := gateLevel(1, around(rng, 6, [3]float64{10, 1000, 0.1})...), gateLevel(2, around(rng, 6, [3]float64{9.5, 950, 0.105})...)
		if gateOf(t, a, b, nil, "request_rate:-5%", "output_throughput:-5%", "error_rate:+5%").Verdict == Fail {
			found++
		}
	}
	if most := int(0.025*gates + 3*math.Sqrt(0.025*gates)); found > most {
		t.Errorf("%d of %d gates found something worse, want at most %d", found, gates, most)
	}
}

func TestParseAllowance(t *testing.T) {
	for text, want := range map[string]string{ // "" = it is refused
		"ttft.p95:+5%":             "ttft.p95:+5%",
		"ttft.p95: 2.5 %":          "ttft.p95:+2.5%",
		"output_throughput:-3%":    "output_throughput:-3%",
		"output_throughput:−0%":    "output_throughput:-0%",
		"tpot.mean:+100%":          "tpot.mean:+100%",
		"output_throughput:-100%":  "",
		"output_throughput:+3%":    "",
		"ttft.p95:-5%":             "",
		"ttft.p95:+5":              "",
		"ttft:+5%":                 "",
		"b_run:+5%":                "",
		"output_throughput.p5:-1%": "",
		":+5%":                     "",
		"ttft.p95:+1.2.3%":         "",
	} {
		a, err := ParseAllowance(text)
		if err != nil && want != "" || err == nil && a.String() != want {
			t.Errorf("%q is read as %q (%v), want %q", text, a, err, want)
		}
	}
}

// TestNoise finds the floor of four runs whose figure spreads by 3 %, again and again: 5 % of
// the pairs of fresh runs lie further apart.
func TestNoise(t *testing.T) {
	const times = 3000
	f := mustFigure("request_rate")
	rng := rand.New(rand.NewPCG(3, 3))
	run := func() float64 { return 10 * math.Exp(0.03*rng.NormFloat64()) }
	side := func() []Level {
		return []Level{gateLevel(1, [3]float64{run(), 1, 0}), gateLevel(1, [3]float64{run(), 1, 0})}
	}
	beyond := 0
	for range times {
		n, ok := NewNoise(f, side(), side())
		if !ok {
			t.Fatal("there is no floor")
		}
		if a, b := run(), run(); max(a/b, b/a)-1 > n.Floor {
			beyond++
		}
	}
	if share := float64(beyond) / times; share < 0.04 || share > 0.06 {
		t.Errorf("%.3g of the pairs lie further apart than the floor, want 0.05", share)
	}
	// Of a figure that some run does not have, or that is 0, there is none.
	for _, v := range []float64{math.NaN(), 0} {
		if n, ok := NewNoise(f, side(), []Level{gateLevel(1, [3]float64{v, 1, 0})}); ok {
			t.Errorf("of %g there is a floor: %+v", v, n)
		}
	}
	for _, f := range NoiseFigures() {
		if f.Metric.Direction == analysis.Neither {
			t.Errorf("%s has a floor and no better side", f)
		}
	}
}
