package runner

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

// driveSpec draws a valid specification that ends by count, by time or by both.
func driveSpec(t *rapid.T) experiment.Spec {
	s := experiment.DefaultSpec()
	s.Model = "m"
	s.InputTokens = experiment.Tokens(rapid.IntRange(1, 300).Draw(t, "input"))
	s.OutputTokens = experiment.Tokens(rapid.IntRange(1, 300).Draw(t, "output"))
	s.Jitter = rapid.Float64Range(0, 0.99).Draw(t, "jitter")
	s.Concurrency = rapid.SliceOfN(rapid.IntRange(1, 9), 1, 5).Draw(t, "levels")
	s.Requests = rapid.IntRange(0, 30).Draw(t, "requests")
	if s.Requests == 0 || rapid.Bool().Draw(t, "timed") {
		s.Duration = experiment.Duration(rapid.Int64Range(1, 100e9).Draw(t, "duration"))
	}
	s.Warmup = rapid.IntRange(0, 3).Draw(t, "warmup")
	s.Repeats = rapid.IntRange(1, 4).Draw(t, "repeats")
	s.Seed = rapid.Uint64().Draw(t, "seed")
	return s
}

func TestPlanLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := driveSpec(t)
		p, err := NewPlan(spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := NewPlan(spec, nil)
		if d := cmp.Diff(p, again); d != "" {
			t.Fatalf("the same specification gave another plan:\n%s", d)
		}
		n := len(spec.Concurrency)
		if len(p.Points) != n*spec.Repeats {
			t.Fatalf("%d points for %d levels and %d repeats", len(p.Points), n, spec.Repeats)
		}
		want := slices.Sorted(slices.Values(spec.Concurrency))
		seeds := map[uint64]bool{}
		for i, pt := range p.Points {
			if pt.Ordinal != i || pt.Repeat != i/n {
				t.Fatalf("point %d has ordinal %d and repeat %d", i, pt.Ordinal, pt.Repeat)
			}
			seeds[pt.Seed] = true
			if i%n == n-1 {
				var got []int
				for _, q := range p.Points[i-n+1 : i+1] {
					got = append(got, q.Load.Concurrency)
				}
				if slices.Sort(got); !slices.Equal(got, want) {
					t.Fatalf("round %d ran the levels %v, not %v", pt.Repeat, got, want)
				}
			}
		}
		if len(seeds) != len(p.Points) {
			t.Fatalf("%d points have %d different seeds", len(p.Points), len(seeds))
		}
	})
}

func TestPlanShufflesEachRound(t *testing.T) {
	spec := experiment.DefaultSpec()
	spec.Requests, spec.Repeats, spec.Concurrency = 10, 6, []int{1, 2, 4, 8, 16, 32}
	p, err := NewPlan(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	orders := map[string]bool{}
	for round := range spec.Repeats {
		var b strings.Builder
		for _, pt := range p.Points[round*6 : round*6+6] {
			b.WriteString(pt.Load.String() + " ")
		}
		orders[b.String()] = true
	}
	if len(orders) < 5 {
		t.Errorf("6 rounds of 6 levels came in %d orders only: %v", len(orders), orders)
	}
	if orders["c=1 c=2 c=4 c=8 c=16 c=32 "] {
		t.Error("with this seed no round is expected in rising order")
	}
}

func TestPlanRefusesWhatCannotRun(t *testing.T) {
	if _, err := NewPlan(experiment.DefaultSpec(), nil); err == nil || !strings.Contains(err.Error(), "neither requests nor duration") {
		t.Errorf("a plan that never ends gave %v", err)
	}
}

func TestPlanWarnings(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*experiment.Spec)
		want []string // a part of each warning
	}{
		{"nothing to say", func(*experiment.Spec) {}, nil},
		{"one text for all", func(s *experiment.Spec) { s.Prompt = "hello" }, []string{"prefix cache"}},
		{"fewer than two a worker", func(s *experiment.Spec) { s.Concurrency = []int{1, 6} }, []string{"10 requests at concurrency 6"}},
		// Without warm-up there is no steady state to be short of.
		{"few, and all measured", func(s *experiment.Spec) { s.Concurrency, s.Warmup = []int{6}, 0 }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := experiment.DefaultSpec()
			spec.Requests = 10
			tt.edit(&spec)
			p, err := NewPlan(spec, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Warnings) != len(tt.want) {
				t.Fatalf("warnings %q", p.Warnings)
			}
			for i, w := range tt.want {
				if !strings.Contains(p.Warnings[i], w) {
					t.Errorf("warning %q does not speak of %q", p.Warnings[i], w)
				}
			}
		})
	}
}

func TestEstimate(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*experiment.Spec)
		want Estimate
	}{
		// 1 warm-up and 10 measured; 510 and 131 tokens at most.
		{"one worker", func(*experiment.Spec) {}, Estimate{Requests: 11, PromptTokens: 11 * 510, OutputTokens: 11 * 131}},
		// 4 + 10 + 3 of cool-down.
		{"four workers", func(s *experiment.Spec) { s.Concurrency = []int{4} }, Estimate{Requests: 17, PromptTokens: 17 * 510, OutputTokens: 17 * 131}},
		{"all measured", func(s *experiment.Spec) { s.Concurrency, s.Warmup, s.Jitter = []int{4}, 0, 0 },
			Estimate{Requests: 10, PromptTokens: 5000, OutputTokens: 1280}},
		{"by time alone", func(s *experiment.Spec) { s.Requests, s.Duration, s.Repeats = 0, 1, 3 },
			Estimate{Requests: 3, PromptTokens: 3 * 510, OutputTokens: 3 * 131, Unbounded: true}},
		// 12 characters are counted as 4 tokens.
		{"a fixed text", func(s *experiment.Spec) { s.Prompt = "Why is it so" }, Estimate{Requests: 11, PromptTokens: 44, OutputTokens: 11 * 131}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := experiment.DefaultSpec()
			spec.Requests = 10
			tt.edit(&spec)
			p, err := NewPlan(spec, nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, p.Estimate()); d != "" {
				t.Error(d)
			}
		})
	}
}
