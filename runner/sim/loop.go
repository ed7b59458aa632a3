package sim

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"time"
)

// Loop runs the engine as a discrete-event simulation: time jumps from event to
// event, so that an hour of load takes as long as its arithmetic. A Loop is used by
// one goroutine.
type Loop struct {
	d       Deployment
	fleet   *fleet
	live    map[string]*sequence
	done    func(Truth)
	running bool
	timers  timers
	set     int // timers so far
}

// NewLoop makes an idle engine at time 0. The seed and jitter, the lognormal σ
// of a step's duration, stand in for those of the deployment.
func NewLoop(d Deployment, seed uint64, jitter float64) *Loop {
	l := &Loop{d: d, live: make(map[string]*sequence)}
	l.fleet = newFleet(&l.d, seed, jitter, l)
	return l
}

// Now is the time of the last event. In the callback of [Loop.Run] it is when
// the request finished; for an aborted one, a nanosecond after it was cancelled.
func (l *Loop) Now() time.Duration { return l.fleet.now }

// Submit schedules the arrival of a request, at [Loop.Now] or later.
func (l *Loop) Submit(r Request) error {
	if r.Content != nil {
		r.PromptTokens = r.Content.Tokens()
	}
	switch {
	case r.Arrive < l.Now():
		return fmt.Errorf("request %q arrives at %s, but it is %s already", r.ID, r.Arrive, l.Now())
	case r.PromptTokens < 1 || r.OutputTokens < 1 || r.OutputTokens > r.MaxTokens:
		return fmt.Errorf("request %q has %d prompt tokens and %d of %d output tokens; each is at least 1, and the output within its limit",
			r.ID, r.PromptTokens, r.OutputTokens, r.MaxTokens)
	case l.live[r.ID] != nil:
		return fmt.Errorf("request %q is not finished yet; its ID cannot be used again", r.ID)
	}
	if err := l.d.check(r.PromptTokens, r.MaxTokens); err != nil {
		return fmt.Errorf("request %q: %w", r.ID, err)
	}
	l.live[r.ID] = l.fleet.submit(r)
	return nil
}

// Cancel says that the client of a request goes away now. A request that is
// finished or unknown is left alone.
func (l *Loop) Cancel(id string) { l.CancelAt(id, l.Now()) }

// CancelAt says that the client of a submitted request goes away at a time, now
// or later, as one does that has a time limit. If the request finishes by then,
// nothing happens.
func (l *Loop) CancelAt(id string, at time.Duration) {
	if s := l.live[id]; s != nil {
		l.fleet.cancel(s, max(at, l.Now()))
	}
}

// At calls f when the time has come, now or later, before anything that the
// engine does at that time; of several at one time, in the order in which they were set.
func (l *Loop) At(at time.Duration, f func()) {
	l.set++
	heap.Push(&l.timers, timer{max(at, l.Now()), l.set, f})
	l.look()
}

// look tells the fleet when the next timer is due.
func (l *Loop) look() {
	l.fleet.outside = forever
	if len(l.timers) > 0 {
		l.fleet.outside = l.timers[0].at
	}
}

// TokenTimes says whether truths have the time of each token, as they do unless this
// is called, before the first request is submitted. Planning does without them: a
// truth then has FirstToken, Finish and OutputTokens only.
func (l *Loop) TokenTimes(keep bool) { l.fleet.times = keep }

// Usage is what the deployment has done so far.
func (l *Loop) Usage() Usage { return l.fleet.usage() }

// timer is a call that is due.
type timer struct {
	at  time.Duration
	set int
	f   func()
}

// timers is a heap by time and, at one time, by the order of setting.
type timers []timer

func (t timers) Len() int      { return len(t) }
func (t timers) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)   { *t = append(*t, x.(timer)) }

func (t timers) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(t[i].at, t[j].at), cmp.Compare(t[i].set, t[j].set)) < 0
}

func (t *timers) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	(*t)[last] = timer{}
	*t = (*t)[:last]
	return x
}

// Run lets time pass until nothing is left to happen, no timer either. It calls done for each
// request when it is finished, in order of time; done may submit and cancel.
// The error is that Run was called from within done, or that requests are left
// which no step can serve, which no deployment made by [Config.Resolve] does.
func (l *Loop) Run(done func(Truth)) error {
	if l.running {
		return errors.New("running a loop that runs already: Run was called from its own callback")
	}
	l.running, l.done = true, done
	defer func() { l.running, l.done = false, nil }()
	for {
		t := l.fleet.next()
		if len(l.timers) > 0 && l.timers[0].at <= t {
			due := heap.Pop(&l.timers).(timer)
			l.look()
			l.fleet.now = max(l.fleet.now, due.at)
			due.f()
			continue
		}
		if t == forever {
			break
		}
		l.fleet.advance(t)
	}
	l.fleet.rest()
	if len(l.live) > 0 {
		return fmt.Errorf("running the loop: %d requests are left that no step can serve", len(l.live))
	}
	return nil
}

func (l *Loop) step(Step)                         {}
func (l *Loop) tokens(time.Duration, []*sequence) {}

func (l *Loop) closed(s *sequence) {
	delete(l.live, s.truth.ID)
	l.done(s.truth)
}
