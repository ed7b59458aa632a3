package reports

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/instinct"
	"github.com/inferbook/inferbook/experiment"
)

// served makes the measured samples of an open loop over 40 s: at each rate a
// request has its first token after wait from when it leaves, and leaves late
// after it was due. The class of the i-th is class(i).
func served(rate float64, wait, late time.Duration, class func(i int) string) []experiment.Sample {
	var out []experiment.Sample
	for i := range int(rate * 40) {
		s := experiment.NewSample(i)
		s.Phase, s.Outcome, s.Finish, s.Counted = experiment.Measured, experiment.OK, "length", experiment.CountedUsage
		s.Scheduled = experiment.Instant(float64(i) / rate * 1e9)
		s.Sent = s.Scheduled.Add(late)
		s.FirstContent = s.Sent.Add(wait)
		s.LastContent = s.FirstContent.Add(time.Second)
		s.End = s.LastContent
		s.PromptTokens, s.OutputTokens = 500, 101
		if class != nil {
			s.Class = class(i)
		}
		out = append(out, s)
	}
	return out
}

// openItem is an experiment of open loops, one level for each set of samples.
func openItem(t *testing.T, spec experiment.Spec, loads []experiment.Load, samples ...[]experiment.Sample) Item {
	t.Helper()
	if err := spec.Validate(); err != nil {
		t.Fatal(err)
	}
	e := experiment.Experiment{ID: "01K5A0000000000000000000D4", Number: 4, Status: experiment.Complete, Spec: spec, Started: at(2026, 11, 2, 9, 0)}
	it := Item{Experiment: e}
	for i, load := range loads {
		p := experiment.Point{ID: load.String(), ExperimentID: e.ID, Load: load, Status: experiment.Complete,
			Window: experiment.Window{Rule: experiment.SteadyOpen, SendEnd: experiment.Instant(40 * time.Second), End: experiment.Instant(45 * time.Second)}}
		s, err := analysis.SummariseFor(p, &spec, func(yield func(experiment.Sample, error) bool) {
			for _, s := range samples[i] {
				if !yield(s, nil) {
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		it.Points = append(it.Points, s)
	}
	it.Curve = analysis.NewCurve(&it.Experiment, it.Points)
	return it
}

func openSpec(t *testing.T, arrival string, rates ...float64) experiment.Spec {
	t.Helper()
	spec := experiment.DefaultSpec()
	spec.Model, spec.BaseURL, spec.Stream, spec.Requests, spec.Concurrency, spec.Rate = "m", "http://10.0.0.7:8000/v1", true, 20, nil, rates
	var err error
	if spec.Arrival, err = experiment.ParseArrival(arrival); err != nil {
		t.Fatal(err)
	}
	if spec.SLO, err = experiment.ParseSLO("ttft.p50<500ms tpot<50ms"); err != nil {
		t.Fatal(err)
	}
	return spec
}

func rates(rs ...float64) []experiment.Load {
	var out []experiment.Load
	for _, r := range rs {
		out = append(out, experiment.Load{Rate: r})
	}
	return out
}

// requires checks that a text has some parts, and lacks others.
func requires(t *testing.T, what, got string, has, lacks []string) {
	t.Helper()
	for _, part := range has {
		if !strings.Contains(got, part) {
			t.Errorf("%s lacks %q:\n%s", what, part, got)
		}
	}
	for _, part := range lacks {
		if strings.Contains(got, part) {
			t.Errorf("%s has %q:\n%s", what, part, got)
		}
	}
}

// A report on open loops tells the two kinds of TTFT apart, has rates for levels,
// and says of no closed loop what only closed loops have.
func TestReportOnOpenLoops(t *testing.T) {
	spec := openSpec(t, "constant", 2, 4, 8)
	it := openItem(t, spec, rates(2, 4), served(2, 200*time.Millisecond, 0, nil), served(4, 300*time.Millisecond, 2*time.Second, nil))
	it.Curve.Levels[1].Oversaturated, it.Curve.Levels[1].Points[0].Oversaturated = true, true
	it.Findings = instinct.Validate(&instinct.Case{Experiment: &it.Experiment, Curves: []analysis.Curve{it.Curve}})
	m := Material{Experiments: []Item{it}}
	requires(t, "the table of levels", levelsBody(&m), []string{
		"| Load | Requests | Achieved rate | Output throughput | TTFT p50 | TTFT p95 | TTFT p95 from schedule | TTFT p99 | TTFT p99 from schedule |",
		"| Goodput | Within the SLO | Errors | SLO |", "| rate=4 **over-saturated**", "| 2.00 req/s |", "| 300 ms", "| 2,300 ms", "| holds |",
		"from schedule from when it was due",
	}, []string{"c=0"})
	requires(t, "the summary", summaryBody(&m), []string{
		"at 2 levels of load from rate=2 to rate=4", "highest throughput, where requests pile up", "Requests pile up at that load",
		"**Stable rate:** At rate=4", "**Service level:** At rate=4 ttft.p50\\<500ms tpot\\<50ms holds",
		"- **exp-4**: **do not quote.**\n", "  - **Level rate=4; V11.** Unstable: 4 req/s were offered",
	}, []string{"Knee"})
	requires(t, "the setup", setupBody(&m), []string{
		"open loop, `constant`: a schedule fixed before the first byte", "CV of the gaps", "**planned and not measured: rate=8**",
		"| Service level | `ttft.p50<500ms tpot<50ms` |", "or once requests pile up", "the first arrivals are warm-up",
	}, []string{"closed loop"})
	requires(t, "the shape", shapeBody(&m), []string{"**Stable rate: rate=4, with", "**Capacity within the service level: rate=4, with", "**Most goodput: rate=4, with"},
		[]string{"Knee", "Plateau", "Cost of one more request"})
	requires(t, "what was not measured", unmeasuredBody(&m), []string{"**Bursts.** The arrivals of exp-4"},
		[]string{"**Arrivals that do not wait.**", "**More load.**", "**Service level.**"})
}

// What was tried is not said to be unmeasured.
func TestUnmeasuredOpenLoops(t *testing.T) {
	burst := func(spec experiment.Spec) Item {
		s := served(2, 200*time.Millisecond, 0, nil)
		for i := range s { // eight at once, then nothing for a while
			back := s[i].Scheduled - s[i-i%8].Scheduled
			for _, at := range []*experiment.Instant{&s[i].Scheduled, &s[i].Sent, &s[i].FirstContent, &s[i].LastContent, &s[i].End} {
				*at -= back
			}
		}
		return openItem(t, spec, rates(2), s)
	}
	for _, c := range []struct {
		name       string
		change     func(*experiment.Spec)
		has, lacks string
	}{
		{"bursts", func(*experiment.Spec) {}, "**Kinds of traffic.**", "**Bursts.**"},
		{"no service level", func(s *experiment.Spec) { s.SLO = nil }, "**Service level.** exp-4 had no service level", "**Bursts.**"},
		{"a shared prefix", func(s *experiment.Spec) { s.Prefix = &experiment.Prefix{Share: 0.8, Tokens: 100, Groups: 3} },
			"80 % with a shared prefix of 100 tokens (3 of them)", "unique from its first token"},
		{"conversations", func(s *experiment.Spec) { s.Turns = experiment.Tokens(3) }, "3 turns", "**Conversations.**"},
		{"a data file", func(s *experiment.Spec) { s.Data = &experiment.Data{Path: "chat.jsonl", Format: "jsonl"} }, "the prompts are those of a file", "**Real texts.**"},
	} {
		spec := openSpec(t, "onoff:on=1s,off=3s", 2)
		c.change(&spec)
		m := Material{Experiments: []Item{burst(spec)}}
		requires(t, c.name, unmeasuredBody(&m), []string{c.has}, []string{c.lacks})
	}
}

// Kinds of traffic stand in a table of their own, each held to its own SLO.
func TestClassesApart(t *testing.T) {
	spec := openSpec(t, "poisson", 4)
	slo, err := experiment.ParseSLO("ttft.p50<100ms")
	if err != nil {
		t.Fatal(err)
	}
	spec.SLO, spec.Arrival, spec.Rate = nil, experiment.Arrival{}, nil
	spec.Classes = []experiment.Class{
		{Name: "chat|x", Rate: 2, Arrival: experiment.Arrival{Kind: experiment.PoissonArrival}, SLO: slo, InputTokens: experiment.Tokens(100)},
		{Name: "offline", Concurrency: 3},
	}
	load := experiment.Load{Concurrency: 3, Rate: 2}
	it := openItem(t, spec, []experiment.Load{load}, served(4, 200*time.Millisecond, 0, func(i int) string { return spec.Classes[i%2].Name }))
	m := Material{Experiments: []Item{it}}
	requires(t, "the table of levels", levelsBody(&m), []string{
		"Each kind of traffic by itself", "| Class | At | Requests |", "| chat\\|x", "| offline", "| c=3+rate=2 | 80 / 80 |", "**misses**",
	}, []string{"chat|x"})
	requires(t, "the summary", summaryBody(&m), []string{"**chat\\|x at c=3+rate=2:** TTFT p95 200 ms", "0 % of its requests were within ttft.p50\\<100ms"}, nil)
	requires(t, "the setup", setupBody(&m), []string{
		"chat\\|x open loop, 2 req/s, `poisson`; offline closed loop, c=3", "per point and class", "chat\\|x 100 → 128 tokens; offline 500 → 128 tokens",
	}, []string{"planned and not measured"})
	requires(t, "what was not measured", unmeasuredBody(&m), nil, []string{"**Arrivals that do not wait.**", "**Kinds of traffic.**"})
}

// The planned levels are those that a run of the specification would measure.
func TestPlannedLoads(t *testing.T) {
	ramp, err := experiment.ParseArrival("ramp:from=1,to=5")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		spec experiment.Spec
		want []experiment.Load
	}{
		{"a closed loop", experiment.Spec{Concurrency: []int{1, 8}}, []experiment.Load{{Concurrency: 1}, {Concurrency: 8}}},
		{"an open loop", experiment.Spec{Arrival: experiment.Arrival{Kind: experiment.PoissonArrival}, Rate: []float64{0.5, 2}}, rates(0.5, 2)},
		{"an arrival with a rate of its own", experiment.Spec{Arrival: ramp}, rates(3)},
		{"classes with loads of their own", experiment.Spec{Classes: []experiment.Class{{Rate: 2}, {Concurrency: 4}, {Rate: 1}}}, []experiment.Load{{Concurrency: 4, Rate: 3}}},
		{"a search finds its own", experiment.Spec{Search: &experiment.Search{Over: "rate", Points: 12}, Concurrency: []int{1}}, nil},
	} {
		if diff := cmp.Diff(c.want, plannedLoads(&Item{Experiment: experiment.Experiment{Spec: c.spec}})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// The variants of one experiment are told apart by their titles, and the experiment
// is named once where it alone is meant.
func TestVariantsOfOneExperiment(t *testing.T) {
	var m Material
	for _, n := range []string{"100", "900", "<b>|*x*"} {
		it := comparison().Experiments[0]
		it.Curve.Variant, it.Curve.Title = "input_tokens="+n, it.Experiment.Title()+" input_tokens="+n
		it.Curve.Workload = n + " → 128 tokens"
		for i := range it.Curve.Levels {
			it.Curve.Levels[i].Load.Variant = it.Curve.Variant
		}
		m.Experiments = append(m.Experiments, it)
	}
	requires(t, "the table of levels", levelsBody(&m), []string{"### exp-1 a10g chat input_tokens=100", "\n| c=64"}, []string{"c=64 input"})
	requires(t, "the summary", summaryBody(&m), []string{"exp-1 a10g chat input_tokens=900", "| knee of the curve |"}, nil)
	if got := summaryBody(&m) + setupBody(&m) + levelsBody(&m) + limitsBody(&m) + unmeasuredBody(&m) + shapeBody(&m); strings.Contains(got, "<b>") || strings.Contains(got, "|*") {
		t.Errorf("a variant's name brings markup along:\n%s", got)
	}
	if got := strings.Count(observationsBody(&m), "### note-1"); got != 1 {
		t.Errorf("a note is quoted %d times, want once", got)
	}
	if got := strings.Count(dataBody(&m), "inferbook run exp-1.yaml"); got != 1 {
		t.Errorf("the experiment can be run again in %d places, want 1", got)
	}
	if got := unmeasuredBody(&m); strings.Contains(got, "exp-1 and exp-1") {
		t.Errorf("an experiment is named twice:\n%s", got)
	}
}
