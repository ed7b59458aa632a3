package analysis

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

// found runs a search against an oracle.
func found(t interface{ Fatalf(string, ...any) }, s *Searcher, holds func(level float64, repeat int) bool) SearchResult {
	for n := 0; ; n++ {
		level, repeat, ok := s.Next()
		if !ok {
			return s.Answer()
		}
		if n > 100 {
			t.Fatalf("the search does not end: %+v", s.trials)
		}
		s.Record(level, holds(level, repeat), true)
	}
}

// The capacity is found within 3 % in 12 points from any start within 32 times of
// it, and it lies in the bracket.
func TestSearchFindsCapacity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := math.Exp(rapid.Float64Range(math.Log(0.01), math.Log(1e4)).Draw(t, "log capacity"))
		start := capacity * math.Exp(rapid.Float64Range(-math.Log(31.9), math.Log(31.9)).Draw(t, "log start"))
		s := NewSearcher(experiment.Search{Over: "rate"}, start)
		r := found(t, s, func(level float64, _ int) bool { return level <= capacity })
		if !r.Found || r.Points > 12 || r.Low > capacity || r.High <= capacity || r.Level != r.Low || math.Abs(r.Level/capacity-1) > 0.03 {
			t.Fatalf("capacity %v from %v: %+v", capacity, start, r)
		}
		if s.at(r.High).count() != 2 {
			t.Fatalf("the level that misses was measured %d times", s.at(r.High).count())
		}
		roundTrip(t, r)
	})
}

// Users are whole: the largest number that holds is found itself, or within 3 %.
func TestSearchFindsUsers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(1, 5000).Draw(t, "capacity")
		start := float64(capacity) * math.Exp(rapid.Float64Range(-3, 3).Draw(t, "log start"))
		r := found(t, NewSearcher(experiment.Search{Over: "concurrency", Points: 14}, start), func(level float64, _ int) bool {
			if level != math.Trunc(level) || level < 1 {
				t.Fatalf("%v users", level)
			}
			return level <= float64(capacity)
		})
		near := r.Level == float64(capacity) || float64(capacity) < 1.03*r.Level
		if !r.Found || !near || r.Level > float64(capacity) {
			t.Fatalf("capacity %d from %v: %+v", capacity, start, r)
		}
		if capacity <= 32 && (r.Level != float64(capacity) || r.High != float64(capacity+1)) {
			t.Fatalf("capacity %d from %v: %+v", capacity, start, r)
		}
	})
}

// With verdicts that are a toss near the bound, each end of the bracket stays on
// its side up to the noise, and nearly every search is within 3 %.
func TestSearchUnderNoise(t *testing.T) {
	const runs, width = 2000, 0.005
	r := rand.New(rand.NewPCG(3, 5))
	off := 0
	for range runs {
		capacity := math.Exp(r.Float64()*math.Log(1e6) + math.Log(0.01))
		start := capacity * math.Exp((2*r.Float64()-1)*math.Log(32))
		got := found(t, NewSearcher(experiment.Search{Over: "rate"}, start), func(level float64, _ int) bool {
			return math.Log(level/capacity) < width*r.NormFloat64()
		})
		if got.Points > 12 {
			t.Fatalf("%d points", got.Points)
		}
		if math.Abs(got.Level/capacity-1) > 0.03 {
			off++
		}
	}
	t.Logf("%d of %d searches are off by more than 3 %%", off, runs)
	if off > runs/50 {
		t.Errorf("%d of %d searches are off by more than 3 %%", off, runs)
	}
}

func TestSearchSays(t *testing.T) {
	upTo := func(capacity float64) func(float64, int) bool {
		return func(level float64, _ int) bool { return level <= capacity }
	}
	for _, tt := range []struct {
		name   string
		search experiment.Search
		start  float64
		oracle func(float64, int) bool
		want   string // of the sentences
		level  float64
	}{
		{"a rate", experiment.Search{Over: "rate"}, 4, upTo(10), "The SLO holds at rate=9.932 (2 of 2 measurements) and misses at rate=10.15 (2 of 2 measurements): the two are 2.19 % apart.", 9.932},
		{"users next to each other", experiment.Search{Over: "concurrency"}, 1, upTo(6), "The SLO holds at c=6 (2 of 2 measurements) and misses at c=7 (2 of 2 measurements): the two are 16.7 % apart.", 6},
		{"one user is too many", experiment.Search{Over: "concurrency"}, 1, upTo(0), "No load was found that holds the SLO: the smallest that was measured, c=1, misses it (one measurement).", math.NaN()},
		{"a server without a limit", experiment.Search{Over: "rate", Points: 4}, 1, upTo(1e9), "The SLO holds at rate=32 (one measurement), the largest load that was measured, so the largest that holds it lies higher.", 32},
		{"few points", experiment.Search{Over: "rate", Points: 4}, 1, upTo(10), "The 4 points that were allowed are used up, and the largest load may be anywhere between.", 8},
		{"a bracket is given", experiment.Search{Over: "rate", Low: 8, High: 12}, 1, upTo(10), "rate=9.798", 9.798},
		{"a bracket that lies too low", experiment.Search{Over: "rate", Low: 1, High: 2}, 0, upTo(10), "misses at", 9.75},
		{"a lower end alone", experiment.Search{Over: "rate", Low: 8}, 0, upTo(10), "misses at", 9.932},
		{"more load helps, which it should not", experiment.Search{Over: "rate"}, 8, func(level float64, repeat int) bool {
			return level < 5 && (level != 4.96 || repeat == 0) || level == 8 && repeat > 0
		}, "misses at", 4.96},
	} {
		r := found(t, NewSearcher(tt.search, tt.start), tt.oracle)
		if !strings.Contains(r.Sure, tt.want) {
			t.Errorf("%s: %s", tt.name, r.Sure)
		}
		if math.IsNaN(tt.level) != math.IsNaN(r.Level) || math.Abs(r.Level-tt.level) > 0.03*tt.level {
			t.Errorf("%s: found %v, want %v", tt.name, r.Level, tt.level)
		}
	}
}

// Verdicts that disagree are broken by a third, unsure ones are told, and a level
// that holds above one that misses is told too.
func TestSearchDoubts(t *testing.T) {
	s := NewSearcher(experiment.Search{Over: "concurrency"}, 4)
	next := func(want float64, repeat int) {
		t.Helper()
		if level, r, ok := s.Next(); !ok || level != want || r != repeat {
			t.Errorf("next is c=%v, repeat %d, %v; want c=%v, repeat %d", level, r, ok, want, repeat)
		}
	}
	next(4, 0)
	s.Record(4, true, true)
	next(8, 0)
	s.Record(8, false, false)
	s.Record(8, true, true)
	next(8, 2)
	s.Record(8, true, true)
	next(32, 0)
	s.Record(32, false, true)
	s.Record(4, false, true)
	next(4, 2)
	s.Record(4, false, false)
	r := s.Answer()
	for _, want := range []string{"No load was found", "Though c=4 misses, c=8 held", "At c=4 the interval of a figure straddles"} {
		if !strings.Contains(r.Sure, want) {
			t.Errorf("%q is missing in %q", want, r.Sure)
		}
	}
	if got := NewSearcher(experiment.Search{Over: "rate"}, 0).Answer(); got.Sure != "Nothing was measured." || got.Found {
		t.Errorf("%+v", got)
	}
	b, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(b), `"level":null`) {
		t.Errorf("%s, %v", b, err)
	}
}
