package analysis

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// event is a send, or the end of the request that was due then.
type event struct {
	at, due experiment.Instant
	end     bool
}

// events puts the sends and ends of requests in order of time.
func events(samples []experiment.Sample) []event {
	var out []event
	for _, s := range samples {
		out = append(out, event{s.Scheduled, s.Scheduled, false}, event{s.End, s.Scheduled, true})
	}
	slices.SortStableFunc(out, func(a, b event) int { return int(a.at - b.at) })
	return out
}

// firesAt gives the number of requests that had arrived when piling up was found,
// of those that arrived while sending went on; 0 = it was not found.
func firesAt(period time.Duration, samples []experiment.Sample) int {
	s, n := NewSaturation(period), 0
	for _, e := range events(samples) {
		if e.end {
			s.Ended(e.due, e.at)
		} else {
			s.Sent(e.at)
			n++
		}
		if over, _ := s.Over(); over {
			return n
		}
		if n == len(samples) {
			break
		}
	}
	return 0
}

// queueFiresAt is firesAt for a queue before one server that takes 1 s over a
// request: there the requests end in the order in which they came.
func queueFiresAt(load float64, n int, seed uint64) int {
	r := rand.New(rand.NewPCG(seed, 7))
	s := NewSaturation(0)
	var due, end []experiment.Instant
	arrival, free, next := 0.0, 0.0, 0
	for i := range n {
		arrival += r.ExpFloat64() / load
		free = max(free, arrival) + r.ExpFloat64()
		due, end = append(due, at(1000*arrival)), append(end, at(1000*free))
		for ; end[next] < due[i]; next++ {
			s.Ended(due[next], end[next])
		}
		s.Sent(due[i])
		if over, _ := s.Over(); over {
			return i + 1
		}
	}
	return 0
}

// A queue at nine tenths of what its server can do swings far and is stable; at
// twelve tenths it is not. The server takes 1 s over a request.
func TestSaturationOfQueues(t *testing.T) {
	if racing() {
		t.Skip("one goroutine's arithmetic; make theory runs it without the race detector")
	}
	const seeds = 100
	for _, tt := range []struct {
		name     string
		load     float64
		n        int
		least    int // seeds in which it must be found
		most     int // seeds in which it may be found
		foundOne int // requests after which it is found in every seed that finds it
	}{
		{"half loaded", 0.5, 2000, 0, 0, 0},
		{"nine tenths", 0.9, 10_000, 0, 1, 10_000},
		{"twelve tenths", 1.2, 3000, seeds, seeds, 2600},
		{"twice what it can do", 2, 1000, seeds, seeds, 500},
	} {
		var found []int
		for seed := range uint64(seeds) {
			if n := queueFiresAt(tt.load, tt.n, seed+1); n > 0 {
				found = append(found, n)
			}
		}
		slices.Sort(found)
		if len(found) < tt.least || len(found) > tt.most {
			t.Errorf("%s: found in %d of %d seeds, after %v", tt.name, len(found), seeds, found)
			continue
		}
		if len(found) > 0 {
			t.Logf("%s: found in %d of %d seeds, after %d requests at the median, %d to %d", tt.name, len(found), seeds, found[len(found)/2], found[0], found[len(found)-1])
			if last := found[len(found)-1]; last > tt.foundOne {
				t.Errorf("%s: found after %d requests at last", tt.name, last)
			}
		}
	}
}

// What fills up, bursts or pauses is no pile.
func TestSaturationOfOthers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	parallel := func(n int, arrive func(i int) float64, latency func(at float64, i int) float64) []experiment.Sample {
		var out []experiment.Sample
		for i := range n {
			at := arrive(i)
			out = append(out, stream(1000*at, 1000*latency(at, i), 1, 0))
		}
		return out
	}
	poisson := func(rate float64) func(int) float64 {
		at := 0.0
		return func(int) float64 { at += r.ExpFloat64() / rate; return at }
	}
	for _, tt := range []struct {
		name    string
		period  time.Duration
		samples []experiment.Sample
		want    bool
	}{
		{"every request takes 20 s: 200 are in flight once it is full", 0,
			parallel(5000, poisson(10), func(float64, int) float64 { return 20 }), false},
		{"latencies spread, and are three times as long in the full server", 0,
			parallel(5000, poisson(10), func(at float64, _ int) float64 { return 5 * r.ExpFloat64() * min(3, 1+at/20) }), false},
		{"bursts of 2 s in 10 s, served at their mean rate with a fifth to spare", 10 * time.Second,
			func() []experiment.Sample {
				free := 0.0
				return parallel(2000, func(i int) float64 { return float64(i/100)*10 + float64(i%100)/50 },
					func(at float64, _ int) float64 { free = max(free, at) + 0.08; return free - at })
			}(), false},
		{"the same bursts, served too slowly", 10 * time.Second,
			func() []experiment.Sample {
				free := 0.0
				return parallel(2000, func(i int) float64 { return float64(i/100)*10 + float64(i%100)/50 },
					func(at float64, _ int) float64 { free = max(free, at) + 0.13; return free - at })
			}(), true},
		{"nineteen requests of which none ever ends", 0,
			parallel(19, func(i int) float64 { return float64(i) }, func(float64, int) float64 { return 1e6 }), false},
		{"in less than 5 s nothing is called a pile", 0,
			parallel(1000, func(i int) float64 { return float64(i) / 250 }, func(at float64, _ int) float64 { return 0.001 + at/2 }), false},
	} {
		if got := firesAt(tt.period, tt.samples); (got > 0) != tt.want {
			t.Errorf("%s: found after %d requests", tt.name, got)
		}
	}
}

// A watcher of a run of a million requests stays small, and says its figures.
func TestSaturationStaysSmall(t *testing.T) {
	s := NewSaturation(0)
	s.Ended(0, 5) // the end of a request from before the first arrival counts for nothing
	for i := range 300_000 {
		s.Sent(at(float64(i)))
		if i%3 > 0 {
			s.Ended(at(float64(i)), at(float64(i)))
		}
	}
	if len(s.marks) > mostMarks || cap(s.marks) > 2*mostMarks {
		t.Errorf("%d marks", len(s.marks))
	}
	over, why := s.Over()
	if !over || !strings.Contains(why, " requests arrived and 15") {
		t.Errorf("%v: %s", over, why)
	}
}

func BenchmarkSaturation(b *testing.B) {
	s := NewSaturation(0)
	for i := range b.N {
		s.Sent(at(float64(i)))
		s.Ended(at(float64(i)), at(float64(i)))
		s.Over()
	}
}
