package compare_test

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/compare"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner"
	"github.com/inferbook/inferbook/runner/sim"
)

// summaries is a sink that keeps the summary of each point.
type summaries struct {
	spec    *experiment.Spec
	samples []experiment.Sample
	points  []analysis.PointSummary
}

func (s *summaries) StartPoint(context.Context, experiment.Point) error { return nil }

func (s *summaries) AddSample(_ string, x experiment.Sample) error {
	s.samples = append(s.samples, x)
	return nil
}

func (s *summaries) EndPoint(_ context.Context, p experiment.Point) error {
	c := analysis.NewCollectorFor(p, s.spec)
	for i := range s.samples {
		c.Add(&s.samples[i])
	}
	s.samples, s.points = s.samples[:0], append(s.points, c.Summary())
	return nil
}

// Of 500 pairs of experiments with five repeats each on the simulated engine, whose steps
// take ±2 % longer or shorter by chance, few equals are told apart, and most that differ by 5 % are.
func TestSimulatedPairs(t *testing.T) {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("5,000 simulated load levels take minutes under the race detector")
	}
	const repeats = 5
	pairs := 500
	if testing.Short() {
		pairs = 100
	}
	spec := experiment.DefaultSpec()
	spec.Simulator, spec.Model, spec.Stream = &experiment.Simulator{GPU: "a10g", Count: 1, Model: "llama-3.1-8b", Runtime: "vllm-like"}, "llama-3.1-8b", true
	spec.Concurrency, spec.Requests, spec.OutputTokens, spec.Repeats = []int{8}, 100, experiment.Tokens(64), 2*pairs*repeats
	plan, err := runner.NewPlan(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := sim.Config{GPU: "a10g", Jitter: 0.02, Seed: 1}.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	sink := &summaries{spec: &spec}
	r := &runner.Run{ExperimentID: "E", Plan: plan, Sink: sink, IDs: experiment.NewIDs()}
	if status, err := r.DoVirtual(t.Context(), d, nil, time.Unix(0, 0)); err != nil || status != experiment.Complete {
		t.Fatal(status, err)
	}
	// An engine that is slower in everything by a factor has just these figures.
	slower := func(list []analysis.PointSummary, factor float64) []analysis.PointSummary {
		out := slices.Clone(list)
		for i := range out {
			p := &out[i]
			for _, v := range []*float64{&p.TTFT.P50.Value, &p.TTFT.P95.Value, &p.TPOT.P50.Value, &p.TPOT.P95.Value, &p.E2E.P95.Value} {
				*v *= factor
			}
			p.OutputThroughput /= factor
		}
		return out
	}
	run := func(n int, points []analysis.PointSummary) *compare.Run {
		return &compare.Run{Experiment: &experiment.Experiment{ID: fmt.Sprint(n), Number: n, Spec: spec}, Points: points}
	}
	any, of := map[float64]int{}, map[float64]map[string]int{1: {}, 1.05: {}}
	for i := range pairs {
		a, b := sink.points[2*i*repeats:(2*i+1)*repeats], sink.points[(2*i+1)*repeats:(2*i+2)*repeats]
		for factor := range of {
			d, err := compare.Loads(run(1, a), run(2, slower(b, factor)), compare.Options{})
			if err != nil || len(d.Levels) != 1 {
				t.Fatal(d, err)
			}
			called := false
			for _, row := range d.Levels[0].Rows {
				if row.Word != compare.Same {
					called = true
					of[factor][row.Figure.String()]++
				}
			}
			if called {
				any[factor]++
			}
		}
	}
	t.Logf("of %d pairs of equals %d are told apart in any of six figures, %v", pairs, any[1], of[1])
	t.Logf("of %d pairs that differ by 5 %% %d are, %v", pairs, any[1.05], of[1.05])
	if any[1] > pairs/20 {
		t.Errorf("%d of %d pairs of equals are told apart, want %d at most", any[1], pairs, pairs/20)
	}
	if got := of[1.05]["output_throughput"]; got < 8*pairs/10 {
		t.Errorf("a difference of 5 %% in throughput is found in %d of %d pairs, want %d at least", got, pairs, 8*pairs/10)
	}
}
