package analysis

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

// The bars of [Saturation].
const (
	servedBar    = 0.95 // of the arrivals that must have ended
	growthBar    = 2.8  // standard deviations of a random walk
	leastArrived = 20
	leastGrowth  = 10 // what chance explains of the least that is looked at
	leastSpan    = 5 * time.Second
	// A server that fills up has more requests in flight all the while, and is
	// stable all the same. It is full after a few latencies, which the first
	// requests tell: they met it empty, and the others take up to three times as long.
	earlyCount    = 10
	earlyMultiple = 25
	mostMarks     = 512
)

// Saturation tells, while an open loop runs, whether its requests pile up: whether
// more arrive than the server serves, so that every latency grows with the run.
//
// It looks at the last three quarters of the time so far, of 5 s and 25 times the
// median latency of the first ten requests at least. Requests pile up when in them, and
// in their last third again, fewer than 95 % of those that arrived have ended, and
// the surplus is more than 2.8 standard deviations of what a queue at the very
// edge does by chance: with A arrivals whose gaps have the coefficient of variation
// c and D ends that is √(c²·A + D). The zero value is not usable. It is not safe
// for concurrent use.
type Saturation struct {
	period      time.Duration
	now         tally
	first, last experiment.Instant // arrivals
	gaps        struct{ n, sum, squares float64 }
	early       []early // the first requests
	marks       []tally // in order of time
	step        time.Duration
}

// early is one of the first requests; its end is Never while it is under way.
type early struct{ due, end experiment.Instant }

// tally is how many requests had arrived and ended at a time.
type tally struct {
	at             experiment.Instant
	arrived, ended int
}

// NewSaturation begins to watch an open loop. An arrival that repeats itself
// gives its period (see [Period]), so that a burst is not taken for a pile; 0 = none.
func NewSaturation(period time.Duration) *Saturation {
	return &Saturation{period: period, first: experiment.Never, now: tally{at: experiment.Never}}
}

// Sent takes a request that was due at the instant, whether it left or was held
// back. Requests come in the order of their schedule, about in order of time with
// the ends.
func (s *Saturation) Sent(due experiment.Instant) {
	if !s.first.Happened() {
		s.first, s.last = due, due
		s.marks = append(s.marks, tally{at: due})
	}
	s.advance(due)
	if s.now.arrived > 0 {
		gap := due.Sub(s.last).Seconds()
		s.gaps.n, s.gaps.sum, s.gaps.squares = s.gaps.n+1, s.gaps.sum+gap, s.gaps.squares+gap*gap
	}
	s.last = due
	if len(s.early) < earlyCount {
		s.early = append(s.early, early{due, experiment.Never})
	}
	s.now.arrived++
}

// Ended takes the end of a request, whatever its outcome, with the instant at
// which it was due.
func (s *Saturation) Ended(due, end experiment.Instant) {
	if !s.first.Happened() {
		return
	}
	s.advance(end)
	if i := slices.Index(s.early, early{due, experiment.Never}); i >= 0 {
		s.early[i].end = end
	}
	s.now.ended++
}

// advance moves the clock, and marks the counts up to then.
func (s *Saturation) advance(at experiment.Instant) {
	at = max(at, s.now.at)
	mark := func(at experiment.Instant) { s.marks = append(s.marks, tally{at, s.now.arrived, s.now.ended}) }
	newest := s.marks[len(s.marks)-1].at
	if s.period > 0 {
		if whole := at.Sub(s.first) / s.period * s.period; s.first.Add(whole) > newest {
			mark(s.first.Add(whole))
		}
	} else if at.Sub(newest) > s.step {
		mark(at)
	}
	s.now.at = at
	if len(s.marks) == mostMarks {
		for i := range mostMarks / 2 {
			s.marks[i] = s.marks[2*i]
		}
		s.marks = slices.Delete(s.marks, mostMarks/2, mostMarks)
		s.step = max(2*s.step, at.Sub(s.first)/mostMarks)
	}
}

// earlyLatency is the median latency of the first requests, and not their mean, so
// that one that hangs does not blind the watch; of one that has not ended it is the
// time so far.
func (s *Saturation) earlyLatency() time.Duration {
	var spent [earlyCount]time.Duration
	for i, e := range s.early {
		end := e.end
		if !end.Happened() {
			end = s.now.at
		}
		spent[i] = end.Sub(e.due)
	}
	list := spent[:len(s.early)]
	slices.Sort(list)
	return list[len(list)/2]
}

// since gives the newest mark that is not after the instant.
func (s *Saturation) since(at experiment.Instant) tally {
	i := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].at > at })
	return s.marks[max(i-1, 0)]
}

// Over reports whether requests pile up, with the figures that say so.
func (s *Saturation) Over() (bool, string) {
	if s.now.arrived < leastArrived || s.now.arrived-s.now.ended <= leastGrowth {
		return false, ""
	}
	end := s.now
	if s.period > 0 {
		end = s.marks[len(s.marks)-1]
	}
	span := end.at.Sub(s.first)
	if span < max(leastSpan, 4*s.period) {
		return false, ""
	}
	from, late := s.since(s.first.Add(span/4)), s.since(s.first.Add(span/4*3))
	arrived, ended := end.arrived-from.arrived, end.ended-from.ended
	if arrived < leastArrived || float64(ended) >= servedBar*float64(arrived) ||
		float64(end.ended-late.ended) >= servedBar*float64(end.arrived-late.arrived) {
		return false, ""
	}
	mean := ratio(s.gaps.sum, s.gaps.n)
	cv2 := ratio(s.gaps.squares/s.gaps.n-mean*mean, mean*mean)
	if math.IsNaN(cv2) || s.period > 0 { // over whole periods the arrivals are Poisson again
		cv2 = 1
	}
	chance := math.Sqrt(max(cv2, 0)*float64(arrived) + float64(ended))
	if float64(arrived-ended) <= growthBar*chance || span < earlyMultiple*s.earlyLatency() {
		return false, ""
	}
	return true, fmt.Sprintf("in %s %d requests arrived and %d ended, so that %d more were waiting or in flight at the end, where chance explains about %s",
		sentence.Seconds(end.at.Sub(from.at)), arrived, ended, arrived-ended, sentence.Short(chance))
}
