package analysis

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

// offers makes a curve on so many GPUs from triples of users, tok/s/user and tok/s.
func offers(title string, gpus int, triples ...float64) Curve {
	c := Curve{Title: title, GPUs: gpus}
	for i := 0; i < len(triples); i += 3 {
		s := summaryOf(int(triples[i]), 0, 100, 1000/triples[i+1], 100, triples[i+2])
		c.Levels = append(c.Levels, newLevel([]PointSummary{s}, nil))
	}
	return c
}

func TestPareto(t *testing.T) {
	failed := offers("failed", 1, 4, 200, 9000)
	failed.Levels[0].ErrorRate = 0.02
	piled := offers("piled", 1, 4, 200, 9000)
	piled.Levels[0].Oversaturated = true
	mute := offers("mute", 1, 4, 200, 9000)
	mute.Levels[0].Interactivity = unknown()
	f := Pareto([]Curve{
		offers("one", 1, 1, 100, 100, 8, 60, 480, 64, 20, 1280),
		offers("two", 2, 1, 150, 150, 8, 61, 970, 64, 19.9, 2550), // of each GPU 75, 485 and 1275
		offers("lost", 0, 1, 500, 500), failed, piled, mute,
	})
	var got []string
	for _, p := range f.Points {
		got = append(got, fmt.Sprintf("%s %s %.4g×%.4g %t %q %t", p.Title, p.Load, p.Interactivity.Value, p.PerGPU.Value, p.Member, p.By, p.Close))
	}
	want := []string{
		`two c=1 150×75 true "" false`,
		`one c=1 100×100 true "" false`,
		`two c=8 61×485 true "" false`,
		`one c=64 20×1280 true "" false`,
		`one c=8 60×480 false "two, c=8" true`,      // by 1.7 % and 1.0 %: within the noise of one repeat
		`two c=64 19.9×1275 false "one, c=64" true`, // by half a percent
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the points are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(f.Members()) != 4 {
		t.Errorf("%d members", len(f.Members()))
	}
	said := strings.Join(append(f.LeftOut, f.Warnings...), "\n")
	for _, want := range []string{"lost is left out: how many GPUs", "failed at c=4 is left out: over 1 %", "piled at c=4 is left out: requests pile up",
		"mute at c=4 is left out: it has no TPOT", "Some points are of one repeat: a difference under 3 %"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not said in\n%s", want, said)
		}
	}
}

// Repeats that lie apart decide what one run would leave open, and the other way round.
func TestParetoOfRepeats(t *testing.T) {
	repeated := func(title string, gap float64) Curve {
		var points []PointSummary
		for i, shift := range []float64{-gap, 0, gap} {
			points = append(points, summaryOf(8, i, 100, 1000/(50*(1+shift)), 100, 400*(1+shift)))
		}
		return Curve{Title: title, GPUs: 1, Levels: []Level{newLevel(points, nil)}}
	}
	better := func(c Curve, by float64) Curve {
		c.Title = "better"
		c.Levels[0].Interactivity, c.Levels[0].OutputThroughput = times(c.Levels[0].Interactivity, by), times(c.Levels[0].OutputThroughput, by)
		return c
	}
	for _, test := range []struct {
		gap, by float64
		close   bool
	}{
		{0.001, 1.01, false}, // 1 % apart, and repeats within 0.1 %
		{0.05, 1.06, true},   // 6 % apart, and repeats within 5 %
	} {
		f := Pareto([]Curve{repeated("worse", test.gap), better(repeated("", test.gap), test.by)})
		if p := f.Points[1]; p.Member || p.By != "better, c=8" || p.Close != test.close {
			t.Errorf("gap %g, better by %g: %+v", test.gap, test.by, p)
		}
	}
}

// The members are those that the definition names, whatever the points: none beats another, each other point is beaten by the
// member that it names, and going along the frontier one figure falls as the other rises.
func TestParetoLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var curves []Curve
		for i := range rapid.IntRange(1, 3).Draw(t, "curves") {
			c := Curve{Title: fmt.Sprint(i), GPUs: rapid.IntRange(1, 8).Draw(t, "gpus")}
			for j := range rapid.IntRange(1, 6).Draw(t, "levels") {
				x, y := float64(rapid.IntRange(1, 9).Draw(t, "x")), float64(rapid.IntRange(1, 9).Draw(t, "y"))
				c.Levels = append(c.Levels, Level{Load: experiment.Load{Concurrency: j + 1}, Interactivity: single(x, 1), OutputThroughput: single(y, 1)})
			}
			curves = append(curves, c)
		}
		f := Pareto(curves)
		members := f.Members()
		name := map[string]*ParetoPoint{}
		for i := range members {
			name[members[i].Title+", "+members[i].Load.String()] = &members[i]
			if i > 0 && (members[i].Interactivity.Value > members[i-1].Interactivity.Value || members[i].PerGPU.Value < members[i-1].PerGPU.Value) {
				t.Fatalf("member %d is faster or does less than the one before it", i)
			}
		}
		for i := range f.Points {
			p := &f.Points[i]
			beaten := false
			for j := range f.Points {
				beaten = beaten || f.Points[j].beats(p)
			}
			if p.Member == beaten || !p.Member && (name[p.By] == nil || !name[p.By].beats(p)) {
				t.Fatalf("%+v with members %v", p, name)
			}
		}
		if math.IsNaN(f.Points[0].PerGPU.Value) || len(members) == 0 {
			t.Fatal("no members")
		}
	})
}
