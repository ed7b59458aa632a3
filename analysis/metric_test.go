package analysis

import (
	"math"
	"regexp"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/notes"
)

func TestSampleMetrics(t *testing.T) {
	none := math.NaN()
	base := stream(100, 50, 11, 10) // ttft 50, e2e 150, tpot 10
	tests := []struct {
		name   string
		sample experiment.Sample
		want   map[string]float64
	}{
		{"a plain stream", base,
			map[string]float64{"ttft": 50, "ttft_answer": 50, "e2e": 150, "tpot": 10, "ttft_sched": 50, "e2e_sched": 150}},
		{"sent 20 ms late: only the latencies from the schedule say so",
			with(base, func(s *experiment.Sample) { s.Scheduled -= at(20) }),
			map[string]float64{"ttft": 50, "e2e": 150, "ttft_sched": 70, "e2e_sched": 170}},
		{"reasoning comes first, the answer 40 ms later",
			with(base, func(s *experiment.Sample) { s.FirstReasoning = s.FirstContent; s.FirstContent += at(40) }),
			map[string]float64{"ttft": 50, "ttft_answer": 90, "e2e": 150, "tpot": 10}},
		{"reasoning and no answer: text came all the same",
			with(base, func(s *experiment.Sample) {
				s.FirstReasoning, s.FirstContent = s.FirstContent, experiment.Never
			}),
			map[string]float64{"ttft": 50, "ttft_answer": none, "e2e": 150, "tpot": 10}},
		{"a role-only event is no token", with(base, func(s *experiment.Sample) { s.FirstEvent = at(101) }),
			map[string]float64{"ttft": 50}},
		{"the end comes after the last text: E2E stops at the text", with(base, func(s *experiment.Sample) { s.End += at(500) }),
			map[string]float64{"e2e": 150, "tpot": 10}},
		{"not streamed: E2E ends with the answer, and there is no first token", whole(100, 300, 64),
			map[string]float64{"ttft": none, "ttft_answer": none, "e2e": 300, "tpot": none, "ttft_sched": none, "e2e_sched": 300}},
		{"one token has no time per token", stream(0, 50, 1, 0), map[string]float64{"ttft": 50, "e2e": 50, "tpot": none}},
		{"two tokens have one", stream(0, 50, 2, 30), map[string]float64{"tpot": 30}},
		{"the server says that the first event held 6 tokens: 5 steps remain",
			with(base, func(s *experiment.Sample) { s.TokensAt = []int32{6, 1, 1, 1, 1, 1} }),
			map[string]float64{"tpot": 20}},
		{"all tokens in the first event", with(base, func(s *experiment.Sample) { s.TokensAt = []int32{11} }),
			map[string]float64{"tpot": none}},
		{"all text at one instant: no time between tokens was seen",
			with(base, func(s *experiment.Sample) { s.LastContent = s.FirstContent }),
			map[string]float64{"ttft": 50, "e2e": 50, "tpot": none}},
		{"nobody counted tokens",
			with(base, func(s *experiment.Sample) {
				s.OutputTokens, s.Counted = experiment.Unknown, experiment.CountedNone
			}),
			map[string]float64{"ttft": 50, "e2e": 150, "tpot": none}},
		{"89 tokens of reasoning were counted and held back: 11 tokens were streamed",
			with(base, func(s *experiment.Sample) { s.OutputTokens, s.ReasoningTokens = 100, 89 }),
			map[string]float64{"tpot": 10}},
		{"6 tokens of reasoning came as content: all 11 were streamed",
			with(base, func(s *experiment.Sample) { s.ReasoningTokens = 6 }),
			map[string]float64{"tpot": 10}},
		{"a warm-up has no latency that counts", with(base, func(s *experiment.Sample) { s.Phase = experiment.Warmup }),
			map[string]float64{"ttft": none, "e2e": none, "tpot": none, "e2e_sched": none}},
		{"nor has a truncated stream", with(base, func(s *experiment.Sample) { s.Outcome = experiment.Truncated }),
			map[string]float64{"ttft": none, "e2e": none, "tpot": none}},
		{"no schedule was kept", with(base, func(s *experiment.Sample) { s.Scheduled = experiment.Never }),
			map[string]float64{"ttft": 50, "ttft_sched": none, "e2e_sched": none}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, want := range tt.want {
				m, ok := MetricByName(name)
				if !ok || m.Of == nil {
					t.Fatalf("no metric of samples called %q", name)
				}
				got, ok := m.Of(&tt.sample)
				if ok == math.IsNaN(want) || (ok && math.Abs(got-want) > 1e-9) {
					t.Errorf("%s = %v, %v; want %v", name, got, ok, want)
				}
			}
		})
	}
}

// The parts of a latency add up to it, whatever the stream looked like.
func TestLatencyIdentity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 500).Draw(t, "tokens")
		s := stream(rapid.Float64Range(0, 1e6).Draw(t, "sent"), rapid.Float64Range(0.1, 1e5).Draw(t, "ttft"),
			n, rapid.Float64Range(0.01, 1e3).Draw(t, "tpot"))
		first, _ := ttft(&s)
		all, _ := e2e(&s)
		step, ok := tpot(&s)
		if sum := first + float64(n-1)*step; !ok || math.Abs(sum-all) > 1e-6*all {
			t.Fatalf("TTFT %v + %d·TPOT %v = %v, E2E is %v", first, n-1, step, sum, all)
		}
	})
}

// readings are the slugs of the reading list.
func readings(t *testing.T) []string {
	t.Helper()
	list, err := notes.List()
	if err != nil {
		t.Fatal(err)
	}
	var slugs []string
	for _, r := range list {
		slugs = append(slugs, r.Slug)
	}
	return slugs
}

func TestMetricsAreComplete(t *testing.T) {
	name := regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)
	seen, readings := map[string]bool{}, readings(t)
	for _, m := range Metrics() {
		if !name.MatchString(m.Name) || m.Version < 1 || m.Title == "" || m.Formula == "" || seen[m.Name] {
			t.Errorf("%+v is incomplete or named twice", m)
		}
		seen[m.Name] = true
		if !slices.Contains(readings, m.Reading) {
			t.Errorf("%s has the reading %q, which is not on the list", m.Name, m.Reading)
		}
		if !slices.Contains([]Direction{LowerIsBetter, HigherIsBetter, Neither}, m.Direction) {
			t.Errorf("%s has the direction %q", m.Name, m.Direction)
		}
		if (m.dist == nil) == (m.OfPoint == nil) || (m.Of != nil && m.dist == nil) {
			t.Errorf("%s must be of samples or of points", m.Name)
		}
		if byID, ok := MetricByName(m.ID()); !ok || byID.Name != m.Name || m.Version > DefinitionVersion {
			t.Errorf("%s is not found by its ID %s", m.Name, m.ID())
		}
	}
	for _, absent := range []string{"", "ttft@2", "itl"} {
		if _, ok := MetricByName(absent); ok {
			t.Errorf("there is a metric %q", absent)
		}
	}
}

// Every metric gives a figure on an ordinary point, and NaN on an empty one.
func TestMetricsOnPoints(t *testing.T) {
	p, samples := loop(4, 30, 4000, 50, 20, 5)
	full, empty := collect(p, samples...), collect(point(4, 4000))
	open, arrived := queue(5, 20, 1, 1)
	served := collectFor(open, &experiment.Spec{SLO: slo(t, "e2e.p50<1s")}, arrived...)
	for _, m := range Metrics() {
		full := &full
		if m.Needs == needsOpen || m.Needs == needsSLO || m.Name == "cache_hit_share" {
			full = &served
		}
		if m.OfPoint == nil {
			d, ok := full.DistributionOf(m.Name)
			if !ok || d.N == 0 || d.Metric != m.ID() || d.Unit != m.Unit {
				t.Errorf("%s has the distribution %+v", m.Name, d)
			}
			if d, _ := empty.DistributionOf(m.Name); d.N != 0 || d.P50.Known() || !math.IsNaN(d.Mean) {
				t.Errorf("%s of nothing is %+v", m.Name, d)
			}
			continue
		}
		if v := m.OfPoint(full); math.IsNaN(v) {
			t.Errorf("%s is not known", m.Name)
		}
		if v := m.OfPoint(&empty); v != 0 && !math.IsNaN(v) {
			t.Errorf("%s of nothing is %v", m.Name, v)
		}
		if _, ok := full.DistributionOf(m.Name); ok {
			t.Errorf("%s has a distribution", m.Name)
		}
	}
}
