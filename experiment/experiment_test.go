package experiment_test

import (
	"slices"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

func TestParseAlias(t *testing.T) {
	for _, c := range []struct {
		text string
		want int // 0 = no alias
	}{
		{"exp-12", 12},
		{"12", 12},
		{"exp-1", 1},
		{"exp-0", 0}, // numbers begin at 1
		{"-3", 0},
		{"exp--3", 0},
		{"exp-", 0},
		{"", 0},
		{"exp", 0},
		{"exp-exp-3", 0},
		{"Exp-3", 0}, // names may look like this
		{"12x", 0},
		{"1e3", 0},
		{"note-3", 0},
		{"99999999999999999999", 0},       // beyond an int
		{"01JZ0AAAAAAAAAAAAAAAAAAAAA", 0}, // a ULID
	} {
		n, ok := experiment.ParseAlias(c.text)
		if ok != (c.want > 0) || (ok && n != c.want) {
			t.Errorf("%q: %d, %v; want %d", c.text, n, ok, c.want)
		}
	}
}

func TestAliasRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := experiment.Experiment{Number: rapid.IntMin(1).Draw(t, "number")}
		if n, ok := experiment.ParseAlias(e.Alias()); !ok || n != e.Number {
			t.Fatalf("%q: %d, %v", e.Alias(), n, ok)
		}
	})
}

func FuzzParseAlias(f *testing.F) {
	f.Add("exp-12")
	f.Add("-0")
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := experiment.ParseAlias(s); ok && n < 1 {
			t.Errorf("%q is %d", s, n)
		}
	})
}

func TestTitle(t *testing.T) {
	for want, e := range map[string]experiment.Experiment{
		"exp-3":          {Number: 3},
		"exp-3 baseline": {Number: 3, Name: "baseline"},
	} {
		if got := e.Title(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestFirstText(t *testing.T) {
	const never = experiment.Never
	for _, c := range []struct {
		name                     string
		reasoning, content, want experiment.Instant
	}{
		{"no text came", never, never, never},
		{"an answer without reasoning", never, 7, 7},
		{"reasoning without an answer", 5, never, 5},
		{"reasoning first", 5, 7, 5},
		{"content first", 9, 7, 7},
		{"at the anchor itself", 0, 7, 0},
	} {
		s := experiment.NewSample(0)
		s.FirstReasoning, s.FirstContent = c.reasoning, c.content
		if got := s.FirstText(); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// A new sample claims nothing: no time is 0 and no count is 0 where they are unknown.
func TestNewSampleKnowsNothing(t *testing.T) {
	s := experiment.NewSample(3)
	for _, i := range []experiment.Instant{s.Scheduled, s.Sent, s.Connected, s.Headers, s.FirstEvent, s.FirstReasoning, s.FirstContent, s.LastContent, s.End} {
		if i.Happened() {
			t.Errorf("something has happened at %d", i)
		}
	}
	for _, n := range []int{s.PromptAsked, s.OutputAsked, s.PromptTokens, s.CachedTokens, s.OutputTokens, s.ReasoningTokens} {
		if n != experiment.Unknown {
			t.Errorf("a count is %d", n)
		}
	}
	if s.Seq != 3 || s.Phase != experiment.Measured || s.Counted != experiment.CountedNone {
		t.Errorf("%+v", s)
	}
}

func TestGap(t *testing.T) {
	for _, c := range []struct {
		gap    experiment.Gap
		shared bool
		want   time.Duration
	}{
		{experiment.SameRead, true, 0},
		{0, false, 0}, // two reads within one tick of the clock
		{1500, false, 1500},
	} {
		if c.gap.Shared() != c.shared || c.gap.Duration() != c.want {
			t.Errorf("%d: %v, %v", c.gap, c.gap.Shared(), c.gap.Duration())
		}
	}
}

func TestSeededIDs(t *testing.T) {
	clock := func() func() time.Time {
		now := time.UnixMilli(1_770_000_000_000)
		return func() time.Time {
			now = now.Add(time.Millisecond / 4) // several IDs share a millisecond
			return now
		}
	}
	take := func(ids *experiment.IDs) (taken []string) {
		for range 1000 {
			taken = append(taken, ids.New())
		}
		return taken
	}
	first := take(experiment.NewSeededIDs(7, clock()))
	if !slices.Equal(first, take(experiment.NewSeededIDs(7, clock()))) {
		t.Error("the same seed and clock give other IDs")
	}
	if slices.Equal(first, take(experiment.NewSeededIDs(8, clock()))) {
		t.Error("another seed gives the same IDs")
	}
	for name, ids := range map[string][]string{"seeded": first, "ordinary": take(experiment.NewIDs())} {
		if !slices.IsSorted(ids) || len(slices.Compact(ids)) != 1000 {
			t.Errorf("%s: not rising", name)
		}
		for _, id := range ids {
			if _, err := ulid.ParseStrict(id); err != nil {
				t.Fatalf("%s: %q: %v", name, id, err)
			}
		}
	}
}
