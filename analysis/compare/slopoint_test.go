package compare

import (
	"math"
	"strings"
	"testing"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

func TestParseAt(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"ttft<500ms tpot<40ms @95%", "ttft<500ms tpot<40ms goodput>=95%"},
		{"ttft<500ms @ 99.5 %", "ttft<500ms goodput>=99.5%"},
		{"ttft.p95<500ms errors<1%", "ttft.p95<500ms errors<1%"},
		{"ttft<500ms", "does not say how many of the requests"},
		{"ttft<500ms @95", "does not end in a share"},
		{"ttft<500ms goodput>=90% @95%", "bounds goodput"},
		{"@95% ttft<500ms", "does not end in a share"},
		{"ttft<500ms @200%", "the share @200% does not lie"},
		{"tftt<500ms @95%", "is not an objective"},
	} {
		slo, err := ParseAt(test.text)
		if got := slo.String(); err != nil && !strings.Contains(err.Error(), test.want) || err == nil && got != test.want {
			t.Errorf("%q: %q, %v", test.text, got, err)
		}
	}
}

// The SLO point is the largest load that surely holds, below the first that surely does not.
func TestCapacity(t *testing.T) {
	slo, err := ParseAt("ttft<500ms @95%")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		shares  [][]float64 // by level of 1, 2, 4 … users and repeat, of 100 requests each
		load    int
		next    int
		atLeast bool
	}{
		{"a clear step", [][]float64{{1, 1}, {1, 1}, {0.5, 0.5}, {0, 0}}, 2, 4, false},
		{"100 requests of which 96 are good show no 95 %, 1,000 do", [][]float64{{1, 1}, {0.97, 0.97}}, 1, 2, false},
		{"1,000 of which 97 % are", [][]float64{{1, 1}, {0.97, 0.97, 0.97, 0.97, 0.97, 0.97, 0.97, 0.97, 0.97, 0.97}}, 2, 0, true},
		{"most repeats miss, and the mean does not", [][]float64{{1, 1, 1}, {1, 0.94, 0.94, 1, 0.94}}, 1, 2, false},
		{"one that holds above a miss holds by chance", [][]float64{{1, 1}, {0, 0}, {1, 1}}, 1, 2, false},
		{"an unsure one is passed over", [][]float64{{1, 1}, {0.95, 0.95}, {1, 1}, {0, 0}}, 4, 8, false},
		{"the sweep ends before the SLO does", [][]float64{{1, 1}, {1, 1}}, 2, 0, true},
		{"nothing holds", [][]float64{{0.5, 0.5}}, 0, 1, false},
	} {
		e := lab(1)
		r := &Run{Experiment: e}
		for i, shares := range test.shares {
			points := repeats(e, 1<<i, make([]float64, len(shares))...)
			for j := range points {
				points[j].GoodShare = shares[j]
			}
			r.Points = append(r.Points, points...)
		}
		c := CapacityOf(r.Levels(), slo)
		load, next := 0, 0
		if c.Level != nil {
			load = c.Level.Load.Concurrency
		}
		if c.Next != nil {
			next = c.Next.Load.Concurrency
		}
		if load != test.load || next != test.next || c.AtLeast() != test.atLeast {
			t.Errorf("%s: c=%d, next c=%d, at least %v: %s", test.name, load, next, c.AtLeast(), c.Because)
		}
	}
}

// What the steps of two sweeps leave open bounds the ratio of their loads, and throughput is told a GPU too.
func TestAt(t *testing.T) {
	slo, err := ParseAt("ttft<500ms @95%")
	if err != nil {
		t.Fatal(err)
	}
	sweep := func(number int, gpus string, held, missed int) *Run {
		e := lab(number, experiment.KeyGPUCount, gpus)
		r := &Run{Experiment: e}
		for _, users := range []int{held, missed} {
			if users == 0 {
				continue
			}
			points := repeats(e, users, 1, 1, 1, 1)
			for i := range points {
				points[i].OutputThroughput = float64(100*users) * (1 + 0.001*float64(i))
				if points[i].GoodShare = 1; users == missed {
					points[i].GoodShare = 0
				}
			}
			r.Points = append(r.Points, points...)
		}
		return r
	}
	for _, test := range []struct {
		a, b      *Run
		low, high float64
		word      Word
		perGPU    float64
	}{
		{sweep(1, "1", 8, 16), sweep(2, "4", 32, 64), 2, 8, Better, 1},
		{sweep(1, "2", 8, 16), sweep(2, "2", 8, 16), 0.5, 2, Same, 1},
		{sweep(1, "1", 8, 16), sweep(2, "1", 16, 0), 1, math.Inf(1), Better, math.NaN()},
		{sweep(1, "1", 16, 32), sweep(2, "1", 4, 8), 0.125, 0.5, Worse, math.NaN()},
	} {
		d, points, err := At(test.a, test.b, slo, Options{})
		if err != nil || d.Refused || len(points) != 1 {
			t.Fatal(d, points, err)
		}
		x := points[0]
		if x.LoadLow != test.low || x.LoadHigh != test.high || x.LoadWord != test.word {
			t.Errorf("the load's ratio is %v {%v, %v} %s, want {%v, %v} %s", x.Load, x.LoadLow, x.LoadHigh, x.LoadWord, test.low, test.high, test.word)
		}
		got := math.NaN()
		for _, r := range x.Diff.Rows {
			if r.Figure.Metric.Name == perGPU {
				got = r.Ratio.Value
			}
		}
		if !(math.Abs(got-test.perGPU) < 1e-9) && !(math.IsNaN(got) && math.IsNaN(test.perGPU)) {
			t.Errorf("the ratio of throughputs a GPU is %v, want %v", got, test.perGPU)
		}
	}
	open := sweep(3, "1", 8, 16)
	open.Experiment.Spec.Arrival.Kind = experiment.PoissonArrival
	if d, points, err := At(sweep(1, "1", 8, 16), open, slo, Options{}); err != nil || !d.Refused || points != nil {
		t.Errorf("an open loop is held against a closed one: %+v, %v", points, err)
	}
}

// A level of which nothing succeeded holds nothing, whatever else is said of it.
func TestNothingSucceeded(t *testing.T) {
	e := lab(1)
	r := &Run{Experiment: e, Points: repeats(e, 1, 1, 1)}
	for i := range r.Points {
		r.Points[i].OK, r.Points[i].GoodShare = 0, 1
	}
	slo, err := ParseAt("ttft.p95<500ms")
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Levels()[0].rule(slo); got != analysis.Misses {
		t.Errorf("it %s", got)
	}
	if got := r.Levels()[0].troubles(); len(got) != 1 || got[0] != "No request of exp-1 at c=1 succeeded." {
		t.Error(got)
	}
}
