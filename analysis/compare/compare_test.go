package compare

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/interval"
	"github.com/inferbook/inferbook/experiment"
)

// lab makes an experiment of a number, with some facts.
func lab(number int, facts ...string) *experiment.Experiment {
	e := &experiment.Experiment{ID: fmt.Sprint("ID", number), Number: number, Spec: experiment.DefaultSpec()}
	for i := 0; i < len(facts); i += 2 {
		e.Environment.Set(facts[i], facts[i+1], experiment.Declared)
	}
	return e
}

// repeats makes the points of a load, one for each value of TPOT p50; the throughput is 1000 ÷ that.
func repeats(e *experiment.Experiment, users int, values ...float64) []analysis.PointSummary {
	var out []analysis.PointSummary
	for i, v := range values {
		s := analysis.NewCollector(experiment.Point{ID: fmt.Sprintf("%s-%d-%d", e.ID, users, i), ExperimentID: e.ID, Repeat: i, Load: experiment.Load{Concurrency: users}}).Summary()
		s.TPOT.P50.Value, s.OutputThroughput = v, 1000/v
		s.Sent, s.OK, s.ErrorRate, s.OutputTokens, s.PromptTokens = 100, 100, 0, 12800, 50000
		out = append(out, s)
	}
	return out
}

func figure(t *testing.T, text string) Figure {
	t.Helper()
	f, err := ParseFigure(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestParseFigure(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"ttft.p95", "ttft.p95"},
		{"tpot.mean", "tpot.mean"},
		{"output_throughput", "output_throughput"},
		{"ttft", "say which figure of them"},
		{"ttft.95", "is not a figure of ttft"},
		{"ttft.p93", "is not a figure of ttft"},
		{"error_rate.p50", "has no p50"},
		{"itl.p50", `no metric "itl"`},
	} {
		f, err := ParseFigure(test.text)
		if got := f.String(); err != nil && !strings.Contains(err.Error(), test.want) || err == nil && got != test.want {
			t.Errorf("%s: %q, %v", test.text, got, err)
		}
	}
	if got := len(Primary()); got != len(primary) {
		t.Errorf("%d primary figures", got)
	}
}

// What a difference in the setup means depends on what differs beside it.
func TestSetupClasses(t *testing.T) {
	type facts []string
	for _, test := range []struct {
		name string
		a, b facts
		want map[string]Class
	}{
		{"a version alone is what is compared",
			facts{"runtime.name", "vllm", "runtime.version", "0.11.0"}, facts{"runtime.name", "vllm", "runtime.version", "0.11.1"},
			map[string]Class{"runtime.version": Intended}},
		{"beside another GPU it confounds, and the GPU's own limits follow",
			facts{"gpu.model", "4090", "gpu.power_limit", "450", "gpu.driver", "570", "runtime.version", "0.11.0"},
			facts{"gpu.model", "h100", "gpu.power_limit", "700", "gpu.driver", "575", "runtime.version", "0.11.1"},
			map[string]Class{"gpu.model": Intended, "gpu.power_limit": Consequence, "gpu.driver": Confound, "runtime.version": Confound}},
		{"of another runtime it follows",
			facts{"runtime.name", "vllm", "runtime.version", "0.11.0"}, facts{"runtime.name", "sglang", "runtime.version", "0.5"},
			map[string]Class{"runtime.name": Intended, "runtime.version": Consequence}},
		{"a power limit of the same GPU confounds", facts{"gpu.model", "h100", "gpu.power_limit", "700"}, facts{"gpu.model", "h100", "gpu.power_limit", "500"},
			map[string]Class{"gpu.power_limit": Confound}},
		{"more of the same GPUs are what is compared", facts{"gpu.count", "1"}, facts{"gpu.count", "2"}, map[string]Class{"gpu.count": Intended}},
		{"an engine's setting is, and what passes is not",
			facts{"server.config", `{"args":{"max_num_seqs":64},"uptime":12}`}, facts{"server.config", `{"args":{"max_num_seqs":256},"uptime":90}`},
			map[string]Class{"server.config.args.max_num_seqs": Intended, "server.config.uptime": Procedure}},
		{"another client", facts{"client.cpu", "x"}, facts{"client.cpu", "y"}, map[string]Class{"client.cpu": Confound}},
		{"which has no part in virtual time", facts{"client.cpu", "x", "simulator.time", "virtual"}, facts{"client.cpu", "y", "simulator.time", "virtual"}, map[string]Class{}},
		{"nobody knows", facts{"rack", "7"}, facts{"rack", "8"}, map[string]Class{"rack": Confound}},
	} {
		got := map[string]Class{}
		for _, d := range NewSetup(&Run{Experiment: lab(1, test.a...)}, &Run{Experiment: lab(2, test.b...)}).Differences {
			got[d.Key] = d.Class
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
	a, b := lab(1), lab(2)
	b.Spec.Seed, b.Spec.Requests, b.Spec.OutputTokens = 7, 50, experiment.Tokens(64)
	a.Environment.Set("gpu.driver", "", experiment.UnknownValue)
	b.Environment.Set("gpu.driver", "", experiment.UnknownValue)
	a.Environment.Set("gpu.memory", "", experiment.UnknownValue) // which b does not have
	s := NewSetup(&Run{Experiment: a}, &Run{Experiment: b})
	want := []Difference{{"output_tokens", "128 ±2 %", "64 ±2 %", Work}, {"seed", "1", "7", Confound}, {"requests", "", "50", Procedure}}
	if diff := cmp.Diff(want, s.Differences); diff != "" || !slices.Equal(s.Unknown, []string{"gpu.driver", "gpu.memory"}) {
		t.Errorf("unknown %v, differences %s", s.Unknown, diff)
	}
}

// Summaries of other definitions are said to be, since the same samples would give other figures.
func TestOtherDefinitions(t *testing.T) {
	a, b := lab(1), lab(2)
	old := repeats(a, 1, 10)
	old[0].Definition = 2
	d, err := Loads(&Run{Experiment: a, Points: old}, &Run{Experiment: b, Points: repeats(b, 1, 10)}, Options{})
	if err != nil || !slices.ContainsFunc(d.Notes, func(s string) bool { return strings.Contains(s, "exp-1 are of definitions 2") }) || d.Setup.Differences[0].Key != "definitions" {
		t.Errorf("%v, %v, %v", d.Notes, d.Setup.Differences, err)
	}
}

func TestUnequals(t *testing.T) {
	base := func() (Level, Level) {
		a, b := lab(1), lab(2)
		ra, rb := &Run{Experiment: a, Points: repeats(a, 4, 10)}, &Run{Experiment: b, Points: repeats(b, 4, 10)}
		return ra.Levels()[0], rb.Levels()[0]
	}
	for _, test := range []struct {
		change func(s *experiment.Spec, p *analysis.PointSummary)
		want   string
	}{
		{func(*experiment.Spec, *analysis.PointSummary) {}, ""},
		{func(s *experiment.Spec, p *analysis.PointSummary) {
			s.Seed = 9
			s.SLO = experiment.SLO{{Metric: "ttft", Bound: 5}}
		}, ""},
		{func(s *experiment.Spec, p *analysis.PointSummary) { s.Stream = true }, "stream: false against true"},
		{func(s *experiment.Spec, p *analysis.PointSummary) { s.Jitter = 0 }, "input tokens: 500 ±2 % against 500"},
		{func(s *experiment.Spec, p *analysis.PointSummary) { s.Arrival.Kind = experiment.PoissonArrival }, "arrival: closed against poisson"},
		{func(s *experiment.Spec, p *analysis.PointSummary) {
			s.Data = &experiment.Data{Path: "a.jsonl", SHA256: "ffaa", Items: 3}
		}, "data: none against a file of 3 items with the hash ffaa"},
		{func(s *experiment.Spec, p *analysis.PointSummary) { p.OutputTokens = 13500 }, "mean output tokens at c=4: 128 against 135"}, // 5.5 % more
		{func(s *experiment.Spec, p *analysis.PointSummary) { p.OutputTokens = 13400 }, ""},                                           // 4.7 % more
		{func(s *experiment.Spec, p *analysis.PointSummary) { p.OutputTokens = experiment.Unknown }, ""},                              // nobody counted
		{func(s *experiment.Spec, p *analysis.PointSummary) { p.PromptTokens = 1000 }, "mean prompt tokens at c=4: 500 against 10"},
	} {
		a, b := base()
		test.change(&b.Run.Experiment.Spec, b.Points[0])
		got := Unequals(a, b)
		if test.want == "" && len(got) > 0 || test.want != "" && (len(got) == 0 || got[0].String() != test.want) {
			t.Errorf("%v, want %q", got, test.want)
		}
	}
	a, b := base() // a cache that one of the two had
	a.Points[0].CachedTokens, b.Points[0].CachedTokens = 0, 3000
	if got := Unequals(a, b); len(got) != 1 || got[0].String() != "cached share at c=4: 0 % against 6 %" {
		t.Error(got)
	}
}

// Loads that both have are compared; others are named.
func TestLoads(t *testing.T) {
	a, b := lab(1), lab(2)
	ra := &Run{Experiment: a, Points: append(repeats(a, 8, 10, 10.1, 10.2, 9.9, 10.3), repeats(a, 1, 5)...)}
	rb := &Run{Experiment: b, Points: append(repeats(b, 8, 11, 11.1, 11.2, 10.9, 11.3), repeats(b, 2, 5)...)}
	figures := []Figure{figure(t, "tpot.p50"), figure(t, "output_throughput"), figure(t, "error_rate"), figure(t, "b_run")}
	compared := func(floors Floors) []Row {
		d, err := Loads(ra, rb, Options{Figures: figures, Floors: floors})
		if err != nil || len(d.Levels) != 1 || d.OnlyA[0].Concurrency != 1 || d.OnlyB[0].Concurrency != 2 || d.Levels[0].Corrected != 2 {
			t.Fatalf("%+v, %v", d, err)
		}
		return d.Levels[0].Rows
	}
	for i, want := range []Row{
		{A: 10.1, B: 11.1, RawP: 2.0 / 252, Word: Worse}, // 2 ÷ C(10, 5): no value of one side among the other's
		{A: 1000 / 10.1, B: 1000 / 11.1, RawP: 2.0 / 252, Word: Worse},
		{RawP: math.NaN(), Word: Same}, // no error on either side
		{A: math.NaN(), B: math.NaN(), RawP: math.NaN(), Word: NoWord, Why: "Neither side has such a figure."},
	} {
		got := compared(nil)[i]
		near := func(x, y float64) bool { return math.Abs(x-y) < 1e-9 || math.IsNaN(x) && math.IsNaN(y) }
		if !near(got.A, want.A) || !near(got.B, want.B) || !near(got.RawP, want.RawP) || got.Word != want.Word || got.Why != want.Why {
			t.Errorf("%s: %+v", got.Figure, got)
		}
		if i < 2 && !near(got.Ratio.P, 2*want.RawP) {
			t.Errorf("%s: p is %v after Holm, want twice %v", got.Figure, got.Ratio.P, want.RawP)
		}
	}
	// A floor over the difference of 10 % takes the word away; the larger of the two sides' counts.
	noise := func(e *experiment.Experiment, floor float64) experiment.Noise {
		return experiment.Noise{Host: Host(e), Config: Config(e, experiment.Load{Concurrency: 8}), Metric: "tpot.p50", Floor: floor}
	}
	b.Spec.Requests = 77 // another configuration than a's
	rows := compared(NewFloors([]experiment.Noise{noise(a, 0.5), noise(a, 0.02), noise(b, 0.12)}))
	if rows[0].Word != Same || !rows[0].UnderFloor || rows[0].Floor != 0.12 || rows[1].Word != Worse {
		t.Errorf("%+v", rows[:2])
	}
	rows = compared(NewFloors([]experiment.Noise{noise(a, 0.5), noise(a, 0.02)}))
	if rows[0].Word != Worse || rows[0].UnderFloor || rows[0].Floor != 0.02 {
		t.Errorf("%+v", rows[0])
	}
}

// A throughput's parts within the window have the throughput as their mean.
func TestPartsOfAWindow(t *testing.T) {
	e := lab(1)
	point := experiment.Point{ID: "P", Load: experiment.Load{Concurrency: 1}, Window: experiment.Window{Start: 100, SendEnd: experiment.Instant(10 * time.Second), Rule: experiment.SteadyLoaded}}
	var samples []experiment.Sample
	for i := range 100 {
		s := experiment.NewSample(i)
		s.Phase, s.Outcome, s.Sent, s.End = experiment.Measured, experiment.OK, experiment.Instant(i*1e8), experiment.Instant(i*1e8+99e6)
		s.OutputTokens, s.Counted = 10+i%7, experiment.CountedUsage
		samples = append(samples, s)
	}
	c := analysis.NewCollector(point)
	all := func(string) iter.Seq2[experiment.Sample, error] {
		return func(yield func(experiment.Sample, error) bool) {
			for _, s := range samples {
				if !yield(s, nil) {
					return
				}
			}
		}
	}
	for i := range samples {
		c.Add(&samples[i])
	}
	l := (&Run{Experiment: e, Points: []analysis.PointSummary{c.Summary()}, Samples: all}).Levels()[0]
	for _, name := range []string{"output_throughput", "request_rate"} {
		f := figure(t, name)
		parts, err := f.series(l)
		sum := 0.0
		for _, v := range parts {
			sum += v
		}
		if want := f.Of(l.Points[0]); err != nil || len(parts) != slicesOfWindow || math.Abs(sum/slicesOfWindow-want) > 1e-9*want {
			t.Errorf("%s: the parts have the mean %v, want %v (%v)", name, sum/slicesOfWindow, want, err)
		}
	}
	r, err := compareFigure(figure(t, "e2e.p50"), l, l, nil)
	if err != nil || !r.Within || r.Ratio.Value != 1 || r.Ratio.NA != 100 {
		t.Errorf("%+v, %v", r, err)
	}
}

// The chance that runs of one configuration are told apart in any of the figures of a load stays
// under 5 %, though six of them are looked at: Holm's correction holds for dependent figures too.
func TestSameConfigurationIsRarelyToldApart(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	figures := []Figure{figure(t, "tpot.p50"), figure(t, "tpot.p95"), figure(t, "ttft.p50"), figure(t, "ttft.p95"), figure(t, "e2e.p95"), figure(t, "output_throughput")}
	e := lab(1)
	blank := repeats(e, 8, 10, 10, 10, 10, 10)
	draw := func(slower float64) Level {
		points := slices.Clone(blank)
		for i := range points {
			common := math.Exp(0.01 * rng.NormFloat64()) // a run is slow in all its figures
			of := func() float64 { return 10 * slower * common * math.Exp(0.005*rng.NormFloat64()) }
			p := &points[i]
			p.TPOT.P50.Value, p.TPOT.P95.Value, p.TTFT.P50.Value, p.TTFT.P95.Value, p.E2E.P95.Value, p.OutputThroughput = of(), of(), of(), of(), of(), 1/of()
		}
		return (&Run{Experiment: e, Points: points}).Levels()[0]
	}
	called := func(slower float64) (called int) {
		for range 500 {
			d, err := CompareLevels(draw(1), draw(slower), figures, nil)
			if err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(d.Rows, func(r Row) bool { return r.Word != Same }) {
				called++
			}
		}
		return called
	}
	if n := called(1); n > 25 {
		t.Errorf("%d of 500 pairs of equals are told apart, want 25 at most", n)
	} else {
		t.Logf("%d of 500 pairs of equals are told apart", n)
	}
	if n := called(1.05); n < 400 {
		t.Errorf("a difference of 5 %% is found in %d of 500 pairs, want 400 at least", n)
	} else {
		t.Logf("a difference of 5 %% is found in %d of 500", n)
	}
}

// What is 0 on one side alone differs, and by no ratio: it is not called the same.
func TestZeroOnOneSide(t *testing.T) {
	for _, test := range []struct {
		a, b float64
		want Word
	}{{0, 0, Same}, {0, 0.2, NoWord}, {0.2, 0, NoWord}} {
		r := Row{A: test.a, B: test.b, Ratio: interval.RepeatsRatio([]float64{test.a, test.a}, []float64{test.b, test.b})}
		if r.say(); r.Word != test.want {
			t.Errorf("%g and %g are %q, want %q", test.a, test.b, r.Word, test.want)
		}
	}
}
