package peer

import (
	"iter"
	"math"
	"time"

	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// at makes an instant from milliseconds.
func at(ms float64) experiment.Instant { return experiment.Instant(math.Round(ms * 1e6)) }

// answer is a measured success with events of text at the given times in ms after it was sent, each of
// one token.
func answer(sent float64, times ...float64) experiment.Sample {
	s := experiment.NewSample(0)
	s.Scheduled, s.Sent = at(sent), at(sent)
	s.FirstEvent, s.FirstContent = at(sent+times[0]), at(sent+times[0])
	for i, t := range times[1:] {
		s.Gaps = append(s.Gaps, experiment.Gap(at(t)-at(times[i])))
	}
	s.LastContent = at(sent + times[len(times)-1])
	s.End = s.LastContent
	s.Events, s.PromptTokens, s.OutputTokens = len(times), 500, len(times)
	s.Counted, s.Finish, s.Outcome = experiment.CountedUsage, "length", experiment.OK
	return s
}

// awkward is an answer that every tool takes differently: sent 5 ms late, opened by an event with the role
// alone, two tokens of reasoning, several tokens an event, and an end after the last text.
func awkward() experiment.Sample {
	s := answer(1000, 200, 300, 400, 600)
	s.Scheduled = at(995)
	s.FirstEvent, s.FirstReasoning, s.FirstContent, s.End = at(1100), at(1200), at(1300), at(1650)
	s.OutputTokens, s.ReasoningTokens, s.TokensAt = 10, 2, []int32{2, 3, 3, 2}
	return s
}

func changed(s experiment.Sample, change func(*experiment.Sample)) experiment.Sample {
	change(&s)
	return s
}

func sequence(samples []experiment.Sample) iter.Seq2[experiment.Sample, error] {
	return func(yield func(experiment.Sample, error) bool) {
		for _, s := range samples {
			if !yield(s, nil) {
				return
			}
		}
	}
}

// point is a closed loop whose window reaches from the first measured send to the last end.
func point(users int) experiment.Point {
	return experiment.Point{ID: "p", Load: experiment.Load{Concurrency: users}, Window: experiment.Window{Rule: experiment.SteadyNone}}
}

// printed gives what a tool prints of some samples.
func printed(t rapid.TB, tool string, p experiment.Point, spec *experiment.Spec, samples ...experiment.Sample) *Printout {
	t.Helper()
	return printedBeside(t, tool, summarised(t, p, spec, samples), spec, samples)
}

func summarised(t rapid.TB, p experiment.Point, spec *experiment.Spec, samples []experiment.Sample) *analysis.PointSummary {
	t.Helper()
	s, err := analysis.SummariseFor(p, spec, sequence(samples))
	if err != nil {
		t.Fatal(err)
	}
	return &s
}

func printedBeside(t rapid.TB, tool string, s *analysis.PointSummary, spec *experiment.Spec, samples []experiment.Sample) *Printout {
	t.Helper()
	tl, ok := ByName(tool)
	if !ok {
		t.Fatalf("there is no tool %s", tool)
	}
	out, err := tl.Print(spec, s, sequence(samples))
	if err != nil {
		t.Fatal(err)
	}
	return &out
}

// row finds a row by its name.
func (p *Printout) row(t rapid.TB, name string) *Row {
	t.Helper()
	for i := range p.Rows {
		if p.Rows[i].Name == name {
			return &p.Rows[i]
		}
	}
	t.Fatalf("%s prints no %q", p.Tool, name)
	return nil
}

// value is the figure of a row that has one.
func (p *Printout) value(t rapid.TB, name string) float64 {
	t.Helper()
	r := p.row(t, name)
	if r.Value == nil {
		t.Fatalf("%s: %s is %s", p.Tool, name, r.Missing)
	}
	return *r.Value
}

// drawRun draws 2 to 12 streamed answers of one token an event, of 2 to 20 tokens each, whose times are
// whole microseconds.
func drawRun(t *rapid.T) []experiment.Sample {
	us := func(name string, least, most int) float64 {
		return float64(rapid.IntRange(least, most).Draw(t, name)) / 1e3
	}
	var samples []experiment.Sample
	for range rapid.IntRange(2, 12).Draw(t, "requests") {
		now := us("ttft", 1_000, 500_000)
		times := []float64{now}
		for range rapid.IntRange(1, 19).Draw(t, "further tokens") {
			now += us("gap", 1, 8_000)
			times = append(times, now)
		}
		s := answer(us("sent", 0, 3_000_000), times...)
		s.End = s.LastContent.Add(time.Duration(rapid.IntRange(0, 50_000).Draw(t, "tail")) * time.Microsecond)
		samples = append(samples, s)
	}
	return samples
}

func near(a, b float64) bool {
	d, size := a-b, max(a, -a, b, -b)
	return max(d, -d) <= 1e-9*max(size, 1)
}

var background = &experiment.Spec{}
