package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

const (
	// searchWidth is the ratio of the two ends at which a bracket is narrow.
	searchWidth = 1.03
	// searchPoints is the most points that are measured when nobody said.
	searchPoints = 12
)

// Searcher looks for the largest load that holds an SLO. It is a state machine
// without a clock: Next says what to measure, Record tells it what came of it.
//
// From the start it goes ×2, and ×4 from then on (or ÷2, ÷4), until one level holds
// and one misses, and halves the bracket between them in the logarithm until its
// ends are within 3 %, or adjacent numbers of users. Then it measures the ends
// again, the upper one first, as far as the points go. A level whose measurements
// disagree is measured a third time, and the majority counts. From a start within 32
// times of the capacity that takes ten points, which leaves two for the repeats.
type Searcher struct {
	search experiment.Search
	start  float64
	trials []trial // in rising order of level
}

// trial is a level with what its measurements said.
type trial struct {
	level         float64
	holds, misses int
	unsure        int // measurements, of these, whose interval straddled a bound
}

func (t *trial) count() int { return t.holds + t.misses }

// NewSearcher begins a search at a load in the search's unit, of which 0 or less
// means 1. A Low or High of the search is taken for a bracket until a measurement
// at it says otherwise. Points = 0 means 12.
func NewSearcher(s experiment.Search, start float64) *Searcher {
	if !(start > 0) || math.IsInf(start, 0) {
		start = 1
	}
	if s.Points == 0 {
		s.Points = searchPoints
	}
	switch {
	case s.Low > 0 && s.High > 0:
		start = math.Sqrt(s.Low * s.High)
	case s.High > 0:
		start = min(start, s.High)
	default:
		start = max(start, s.Low)
	}
	return &Searcher{search: s, start: start}
}

func (s *Searcher) users() bool { return s.search.Over == "concurrency" }

// limits are the least and the largest load that can be asked for.
func (s *Searcher) limits() (least, most float64) {
	if s.users() {
		return 1, experiment.MaxConcurrency
	}
	return 1e-6, experiment.MaxRate
}

// round gives a level that can be asked for: a whole number of users, or a rate of
// four digits, as it is printed.
func (s *Searcher) round(level float64) float64 {
	least, most := s.limits()
	level = min(max(level, least), most)
	if s.users() {
		return math.Round(level)
	}
	v, err := strconv.ParseFloat(strconv.FormatFloat(level, 'e', 3, 64), 64)
	if err != nil {
		return level
	}
	return v
}

func (s *Searcher) measured() int {
	n := 0
	for i := range s.trials {
		n += s.trials[i].count()
	}
	return n
}

func (s *Searcher) at(level float64) *trial {
	i, ok := slices.BinarySearchFunc(s.trials, level, func(t trial, l float64) int { return cmp.Compare(t.level, l) })
	if !ok {
		return nil
	}
	return &s.trials[i]
}

// Record takes the verdict on a level: whether the SLO held there ([SLOResult.Leans]
// of an unsure one), and whether that was sure.
func (s *Searcher) Record(level float64, holds, sure bool) {
	i, ok := slices.BinarySearchFunc(s.trials, level, func(t trial, l float64) int { return cmp.Compare(t.level, l) })
	if !ok {
		s.trials = slices.Insert(s.trials, i, trial{level: level})
	}
	t := &s.trials[i]
	if holds {
		t.holds++
	} else {
		t.misses++
	}
	if !sure {
		t.unsure++
	}
}

// bracket gives the smallest level that does not hold, +∞ where all do, and the
// largest below it that does, 0 where none does. A level of which as many
// measurements hold as miss does not hold.
func (s *Searcher) bracket() (low, high float64) {
	for i := range s.trials {
		if t := &s.trials[i]; t.holds <= t.misses {
			return low, t.level
		}
		low = s.trials[i].level
	}
	return low, math.Inf(1)
}

// narrow reports whether nothing is left to measure between two levels.
func (s *Searcher) narrow(low, high float64) bool {
	if high <= searchWidth*low || s.users() && high-low <= 1 {
		return true
	}
	mid := s.middle(low, high)
	return mid <= low || mid >= high
}

// between gives the next level inside a bracket: its middle, or a level that makes
// it narrow next to an end whose measurements disagree, since the capacity is there.
func (s *Searcher) between(low, high float64) float64 {
	const step = 1 + (searchWidth-1)*0.8 // so that rounding does not make it too wide
	for _, near := range []struct {
		of    *trial
		level float64
	}{{s.at(low), low * step}, {s.at(high), high / step}} {
		level := s.round(near.level)
		if t := near.of; t != nil && t.holds > 0 && t.misses > 0 && level > low && level < high {
			return level
		}
	}
	return s.middle(low, high)
}

func (s *Searcher) middle(low, high float64) float64 {
	mid := s.round(math.Sqrt(low * high))
	if s.users() {
		mid = min(max(mid, low+1), high-1)
	}
	return mid
}

// Next gives the level to measure and how often it was measured before. It reports
// false when the search is over.
func (s *Searcher) Next() (level float64, repeat int, ok bool) {
	if s.measured() >= s.search.Points {
		return 0, 0, false
	}
	level, ok = s.next()
	if t := s.at(level); ok && t != nil {
		repeat = t.count()
	}
	return level, repeat, ok
}

func (s *Searcher) next() (level float64, ok bool) {
	if len(s.trials) == 0 {
		return s.round(s.start), true
	}
	for i := range s.trials {
		if t := &s.trials[i]; t.holds == t.misses {
			return t.level, true
		}
	}
	low, high := s.bracket()
	bottom, top := low, high // the bracket as far as it is known or given
	if low == 0 && s.search.Low > 0 && s.round(s.search.Low) < high {
		bottom = s.round(s.search.Low)
	}
	if math.IsInf(high, 1) && s.round(s.search.High) > low {
		top = s.round(s.search.High)
	}
	least, most := s.limits()
	switch {
	case math.IsInf(top, 1):
		level = s.round(low * s.stride())
		return level, low < most
	case bottom == 0:
		level = s.round(high / s.stride())
		return level, high > least
	case !s.narrow(bottom, top):
		return s.between(bottom, top), true
	case bottom != low:
		return bottom, true
	case top != high:
		return top, true
	}
	// The upper end first, since a miss by chance costs capacity. A repeat needs a
	// point in reserve for the third look, without which a disagreement says nothing.
	for _, end := range []float64{high, low} {
		if s.at(end).count() == 1 && s.search.Points-s.measured() >= 2 {
			return end, true
		}
	}
	return 0, false
}

// stride is the factor of the next step while one end of the bracket is missing.
func (s *Searcher) stride() float64 {
	if len(s.trials) == 1 {
		return 2
	}
	return 4
}

// SearchResult is what a search found.
type SearchResult struct {
	Over   string  `json:"over"`   // rate or concurrency
	Found  bool    `json:"found"`  // some level holds
	Level  float64 `json:"level"`  // the largest that holds, in req/s or users; NaN where none does
	Low    float64 `json:"low"`    // the same: the bracket's end that holds
	High   float64 `json:"high"`   // its end that misses; NaN where none does
	Points int     `json:"points"` // measured
	Sure   string  `json:"sure"`   // whole sentences on how sure that is
}

// MarshalJSON writes what is not known as null.
func (r SearchResult) MarshalJSON() ([]byte, error) { return marshalFinite(r) }

// UnmarshalJSON reads what [SearchResult.MarshalJSON] wrote.
func (r *SearchResult) UnmarshalJSON(data []byte) error {
	type plain SearchResult
	return unmarshalFinite(data, (*plain)(r))
}

// Answer gives what the measurements so far say.
func (s *Searcher) Answer() SearchResult {
	low, high := s.bracket()
	r := SearchResult{Over: s.search.Over, Found: low > 0, Level: low, Low: low, High: high, Points: s.measured()}
	switch {
	case len(s.trials) == 0:
		r.Sure = "Nothing was measured."
	case !r.Found:
		r.Level, r.Low = math.NaN(), math.NaN()
		r.Sure = fmt.Sprintf("No load was found that holds the SLO: the smallest that was measured, %s, misses it %s.", s.name(high), often(s.at(high).misses, s.at(high).count()))
	case math.IsInf(high, 1):
		r.High = math.NaN()
		r.Sure = fmt.Sprintf("The SLO holds at %s %s, the largest load that was measured, so the largest that holds it lies higher.",
			s.name(low), often(s.at(low).holds, s.at(low).count()))
	default:
		r.Sure = fmt.Sprintf("The SLO holds at %s %s and misses at %s %s: the two are %s apart.", s.name(low), often(s.at(low).holds, s.at(low).count()),
			s.name(high), often(s.at(high).misses, s.at(high).count()), sentence.Percent(high/low-1))
		if !s.narrow(low, high) {
			r.Sure += fmt.Sprintf(" The %d points that were allowed are used up, and the largest load may be anywhere between.", s.search.Points)
		}
	}
	for i := range s.trials {
		t := &s.trials[i]
		if (t.level == low || t.level == high) && t.unsure > 0 {
			r.Sure += fmt.Sprintf(" At %s the interval of a figure straddles its bound, so that more requests could turn the verdict.", s.name(t.level))
		}
		if t.level > high && t.holds > t.misses {
			r.Sure += fmt.Sprintf(" Though %s misses, %s held: more load should not help, so something else changed between them.", s.name(high), s.name(t.level))
		}
	}
	if math.IsInf(r.High, 1) {
		r.High = math.NaN()
	}
	return r
}

func (s *Searcher) name(level float64) string {
	if s.users() {
		return experiment.Load{Concurrency: int(level)}.String()
	}
	return experiment.Load{Rate: level}.String()
}

func often(n, of int) string {
	if of == 1 {
		return "(one measurement)"
	}
	return fmt.Sprintf("(%d of %d measurements)", n, of)
}
