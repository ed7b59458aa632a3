package runner

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/inferbook/inferbook/experiment"
	pacing "github.com/inferbook/inferbook/runner/arrival"
	"github.com/inferbook/inferbook/runner/dataset"
	"github.com/inferbook/inferbook/runner/workload"
)

// The start of a warm-up: workers begin staggerStep apart, all within staggerMax.
const (
	staggerStep = 10 * time.Millisecond
	staggerMax  = time.Second
)

// lane is one stream of load within a point: a closed loop, or an open one. A point
// has one lane, or one for each class with a load of its own.
type lane struct {
	// class is the index of the class that all of its requests are of; −1 = classes
	// are drawn by weight, or there are none.
	class int
	// workers is that of a closed loop; 0 = an open one.
	workers int
	// first is the number of the lane's first worker among those of the point.
	first   int
	arrival experiment.Arrival
	rate    float64 // requests per second, of an open loop
}

// lanesOf gives the lanes of a point.
func lanesOf(s *experiment.Spec, load experiment.Load) []lane {
	if len(s.Classes) > 0 && s.Classes[0].Weight == 0 {
		var out []lane
		workers := 0
		for i, c := range s.Classes {
			l := lane{class: i, workers: c.Concurrency, first: workers, rate: c.Rate, arrival: c.Arrival}
			if c.Rate > 0 && !c.Arrival.Open() {
				l.arrival = experiment.Arrival{Kind: experiment.PoissonArrival}
			}
			workers += c.Concurrency
			out = append(out, l)
		}
		return out
	}
	if load.Open() {
		a := s.Arrival
		if !a.Open() { // a search over rates
			a.Kind = experiment.PoissonArrival
		}
		return []lane{{class: -1, arrival: a, rate: load.Rate}}
	}
	return []lane{{class: -1, workers: load.Concurrency}}
}

// warmup is the number of arrivals of an open loop that are not measured. A load
// whose rate changes by its own plan is measured from its start.
func warmup(s *experiment.Spec) int {
	switch s.Arrival.Kind {
	case experiment.RampArrival, experiment.StepsArrival, experiment.TraceArrival:
		return 0
	default:
		return s.Warmup
	}
}

// cooldown is how many arrivals a schedule has behind the measured ones, to keep
// the load up until these have ended. Those that nobody needs are never sent.
func cooldown(measured int) int { return max(10, measured) }

// newSchedule makes the schedule of a point's open lanes.
func newSchedule(s *experiment.Spec, lanes []lane, gen *workload.Generator, items []dataset.Item, seed uint64) (experiment.Schedule, error) {
	var all experiment.Schedule
	for i := range lanes {
		if lanes[i].workers > 0 {
			continue
		}
		entries, err := lanes[i].schedule(s, gen, items, seed+uint64(i)<<56)
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
	}
	slices.SortStableFunc(all, func(a, b experiment.Entry) int { return cmp.Compare(a.At, b.At) })
	return all, nil
}

// schedule makes the arrivals of an open lane: warm-up, measured and cool-down,
// each with the asked mean rate of its own, one after another.
func (l *lane) schedule(s *experiment.Spec, gen *workload.Generator, items []dataset.Item, seed uint64) (experiment.Schedule, error) {
	if l.arrival.Kind == experiment.TraceArrival {
		return l.replay(s, gen, items), nil
	}
	turns := turnsOf(s, l.class)
	if len(items) > 0 {
		turns = meanTurns(s, items)
	}
	rate := l.rate / turns // conversations per second
	var out experiment.Schedule
	begin := time.Duration(0)
	add := func(n int, until time.Duration, part uint64) (int, error) {
		times, err := pacing.Times(l.arrival, rate, n, until, seed^part*0x9e3779b97f4a7c15)
		if err != nil {
			return 0, fmt.Errorf("making the schedule: %w", err)
		}
		for _, t := range times {
			e := gen.Entry(workload.Place{Class: l.class, K: len(out)})
			e.At = begin + t
			out = append(out, e)
		}
		if len(out) > 0 {
			begin = out[len(out)-1].At
		}
		return len(times), nil
	}
	warm := warmup(s)
	if warm > 0 {
		if _, err := add(warm, 0, 1); err != nil {
			return nil, err
		}
	}
	n, end := l.conversations(s, gen, warm), begin+time.Duration(s.Duration)
	measured, err := add(n, time.Duration(s.Duration), 2)
	if err != nil || warm == 0 {
		return out, err
	}
	if n == 0 || measured < n {
		begin = end // what comes before the end by time is measured
	}
	_, err = add(cooldown(measured), 0, 3)
	return out, err
}

// conversations is how many conversations it takes to make Spec.Requests measured
// requests, the warm-up's left out; 0 = as many as the duration holds.
func (l *lane) conversations(s *experiment.Spec, gen *workload.Generator, warm int) int {
	n := 0
	for requests := 0; requests < s.Requests; n++ {
		requests += len(gen.Entry(workload.Place{Class: l.class, K: warm + n}).Turns)
	}
	return n
}

// replay makes the schedule of a trace: its items at their own times.
func (l *lane) replay(s *experiment.Spec, gen *workload.Generator, items []dataset.Item) experiment.Schedule {
	times := make([]time.Duration, len(items))
	for i := range items {
		times[i] = items[i].At
	}
	var out experiment.Schedule
	requests := 0
	for i, at := range pacing.Replay(times, l.arrival.TimeScale) {
		if s.Duration > 0 && at >= time.Duration(s.Duration) || s.Requests > 0 && requests >= s.Requests {
			break
		}
		e := gen.Entry(workload.Place{Class: l.class, K: i})
		e.At = at
		requests += len(e.Turns)
		out = append(out, e)
	}
	return out
}

// planned is an entry of the schedule with what its lane makes of it.
type planned struct {
	experiment.Entry
	lane, k int // k counts the lane's entries
	phase   experiment.Phase
}

// phases tells for each entry which lane sends it and in which phase: a lane's
// first arrivals are warm-up, then Spec.Requests requests or those within Spec.Duration
// are measured, the others are there to keep the load up.
func phases(s *experiment.Spec, lanes []lane, schedule experiment.Schedule) []planned {
	type state struct {
		k, requests int
		start       time.Duration // the measured phase's
	}
	states := make([]state, len(lanes))
	warm := warmup(s)
	out := make([]planned, len(schedule))
	for i, e := range schedule {
		n := max(0, slices.IndexFunc(lanes, func(l lane) bool { return l.workers == 0 && (l.class < 0 || l.class == e.Class) }))
		st := &states[n]
		p := planned{Entry: e, lane: n, k: st.k, phase: experiment.Cooldown}
		within := s.Duration == 0 || e.At < st.start+time.Duration(s.Duration) || s.Arrival.Kind == experiment.TraceArrival
		switch {
		case st.k < warm:
			p.phase = experiment.Warmup
			st.start = e.At
		case within && (s.Requests == 0 || st.requests < s.Requests):
			p.phase = experiment.Measured
			st.requests += len(e.Turns)
		}
		st.k++
		out[i] = p
	}
	return out
}

// stagger is how long after the point's start a worker sends its first request.
func stagger(s *experiment.Spec, workers, worker int) time.Duration {
	if s.Warmup == 0 {
		return 0
	}
	return min(staggerStep, staggerMax/time.Duration(workers)) * time.Duration(worker)
}
