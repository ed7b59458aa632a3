package capacity

// STAND-IN: the whole file goes when sim.Loop has TokenTimes, Usage and replicas. Then
// newLoop is sim.NewLoop, loop is sim.Loop, usage is sim.Usage, and [point.run] is one call.

import (
	"time"

	"github.com/inferbook/inferbook/runner/sim"
)

type usage struct {
	Elapsed, Busy, Front                                                   time.Duration
	Steps, Computed, PromptTokens, CachedTokens, OutputTokens, Preemptions int
	Running, Waiting, KVShare                                              float64
	HeldByKV, HeldBySeqs, HeldByBudget                                     time.Duration
}

func (u usage) Limit() string { return "none" }

type loop struct {
	*sim.Loop
	tokens int
}

func newLoop(d sim.Deployment, seed uint64, jitter float64) *loop {
	return &loop{Loop: sim.NewLoop(d, seed, jitter)}
}

func (l *loop) TokenTimes(bool) {}
func (l *loop) Usage() usage    { return usage{Elapsed: l.Now(), OutputTokens: l.tokens} }

func (l *loop) Run(done func(sim.Truth)) error {
	return l.Loop.Run(func(t sim.Truth) { l.tokens += t.OutputTokens; done(t) })
}

// onReplicas runs each replica by itself with an even part of the load, and puts them
// together: what a router does that draws lots.
func (q Question) onReplicas(d sim.Deployment, seed uint64, load float64, lone time.Duration, run func(sim.Deployment, uint64, float64, int) (*measurement, error)) (*measurement, error) {
	k := d.Replicas
	d.Replicas = 1
	var all *measurement
	for i := range k {
		part := load / float64(k)
		if q.Users {
			part = float64(int(load) / k)
			if i < int(load)%k {
				part++
			}
			if part == 0 {
				continue
			}
		}
		m, err := run(d, seed+uint64(1000*i), part, 1)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = m
			continue
		}
		all.answers = append(all.answers, m.answers...)
		all.steady = all.steady && m.steady
		all.tokens += m.tokens
		all.inFlight += m.inFlight
	}
	all.load = load
	return all, nil
}
