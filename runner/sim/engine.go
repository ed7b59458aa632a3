package sim

import (
	"cmp"
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// engine is the pure simulation: events in virtual time, in one fixed order. It
// holds no clock. A driver asks for the time of the next event and then
// advances the engine to it.
//
// At one instant T the order is: arrivals before T enter the front end; tokens
// leave the server; the front end's finished requests queue up; the step that
// ends at T is committed; clients that went away before T are forgotten; the
// next step is planned. So an arrival or a cancellation at T has no part in
// what happens at T, and it does not matter when, within the instant, a driver
// hands it over.
type engine struct {
	d         *Deployment
	costs     *costs
	scheduler scheduler
	audience  audience
	jitter    func() float64

	now time.Duration

	arrivals  arrivals // not yet with the front end
	frontFree time.Duration
	front     []*sequence // with the front end, in the order of Ready
	waiting   queue

	busy    bool // a step is being computed
	stepEnd time.Duration

	outbox []delivery // in the order of time
	spare  []delivery // used up; their slices are filled again

	aborts []abort // not yet in effect
	// leaving have a closed truth but still hold a place in the scheduler.
	leaving []*sequence
}

// audience is told what the engine does, in order. It must not keep a slice.
type audience interface {
	// step is told of each step when it is planned.
	step(w work, took time.Duration)
	// closed is told of a sequence whose truth is final, before its last token.
	closed(s *sequence)
	// tokens is told of the sequences that have one more token leaving now.
	tokens(at time.Duration, seqs []*sequence)
}

// delivery is what leaves the server at one time.
type delivery struct {
	at                time.Duration
	emitted, finished []*sequence
}

type abort struct {
	seq *sequence
	at  time.Duration
}

func newEngine(d *Deployment, seed uint64, jitter float64, a audience) *engine {
	e := &engine{d: d, costs: newCosts(d), scheduler: newScheduler(d), audience: a, jitter: func() float64 { return 1 }}
	if jitter > 0 {
		rng := rand.New(rand.NewPCG(seed, 0x736d))
		// A mean of 1 leaves throughput where it is.
		e.jitter = func() float64 { return math.Exp(jitter*rng.NormFloat64() - jitter*jitter/2) }
	}
	return e
}

// submit hands over a request that arrives no earlier than the last event.
func (e *engine) submit(r Request) *sequence {
	if r.Content != nil {
		r.PromptTokens = r.Content.Tokens()
	}
	s := &sequence{
		truth: Truth{
			ID: r.ID, Arrive: r.Arrive, Ready: Never, Scheduled: Never, FirstToken: Never, Finish: Never,
			PromptTokens: r.PromptTokens,
		},
		prompt: r.PromptTokens, limit: r.MaxTokens, output: r.OutputTokens,
		chain: chain{content: r.Content},
	}
	heap.Push(&e.arrivals, s)
	return s
}

// cancel says that the client of a sequence goes away at a time no earlier than
// the last event. What leaves the server up to then has been delivered.
func (e *engine) cancel(s *sequence, at time.Duration) {
	if !s.closed {
		e.aborts = append(e.aborts, abort{s, max(at, s.truth.Arrive)})
	}
}

const forever = time.Duration(math.MaxInt64)

// next gives the time of the next event; forever = nothing will happen without
// an arrival.
func (e *engine) next() time.Duration {
	t := forever
	if len(e.outbox) > 0 {
		t = e.outbox[0].at
	}
	for _, a := range e.aborts {
		t = min(t, a.at+1)
	}
	if e.busy {
		// Arrivals wait for the end of the step in any case.
		return min(t, e.stepEnd)
	}
	if len(e.front) > 0 {
		t = min(t, e.front[0].truth.Ready)
	}
	if len(e.arrivals) > 0 {
		t = min(t, e.arrivals[0].truth.Arrive+e.d.Runtime.Front)
	}
	return t
}

// advance lets everything happen that is due up to and including the given time.
func (e *engine) advance(until time.Duration) {
	for {
		t := e.next()
		if t > until || t == forever {
			return
		}
		e.now = max(e.now, t)
		e.receive()
		e.deliver()
		e.enqueue()
		if e.busy && e.stepEnd <= e.now {
			e.commit()
		}
		e.forget()
		if !e.busy {
			e.plan()
		}
	}
}

// receive gives the arrivals before now to the front end, which serves one at a time.
func (e *engine) receive() {
	for len(e.arrivals) > 0 && e.arrivals[0].truth.Arrive < e.now {
		s := heap.Pop(&e.arrivals).(*sequence)
		e.frontFree = max(e.frontFree, s.truth.Arrive) + e.d.Runtime.Front
		s.truth.Ready = e.frontFree
		e.front = append(e.front, s)
	}
}

func (e *engine) deliver() {
	for len(e.outbox) > 0 && e.outbox[0].at <= e.now {
		o := e.outbox[0]
		e.outbox = slices.Delete(e.outbox, 0, 1)
		for _, s := range o.finished {
			if !s.closed {
				s.close()
				e.audience.closed(s)
			}
		}
		e.audience.tokens(o.at, o.emitted)
		e.spare = append(e.spare, o)
	}
}

func (e *engine) enqueue() {
	n := 0
	for ; n < len(e.front) && e.front[n].truth.Ready <= e.now; n++ {
		if !e.front[n].closed {
			e.waiting.push(e.front[n])
		}
	}
	e.front = slices.Delete(e.front, 0, n)
}

func (e *engine) commit() {
	e.busy = false
	var o delivery
	if n := len(e.spare); n > 0 {
		o, e.spare = e.spare[n-1], e.spare[:n-1]
	}
	o.at = e.stepEnd + e.d.Runtime.Net
	o.emitted, o.finished = e.scheduler.commit(o.at, o.emitted[:0], o.finished[:0])
	if len(o.emitted) > 0 {
		e.outbox = append(e.outbox, o)
	}
}

// forget closes the truths of clients that went away before now. What they hold
// is freed between two steps.
func (e *engine) forget() {
	// The audience may cancel more while it is told.
	for i := 0; i < len(e.aborts); {
		a := e.aborts[i]
		if a.at >= e.now {
			i++
			continue
		}
		e.aborts = slices.Delete(e.aborts, i, i+1)
		if !a.seq.closed {
			a.seq.abort(a.at)
			e.leaving = append(e.leaving, a.seq)
			e.audience.closed(a.seq)
		}
	}
	if e.busy || len(e.leaving) == 0 {
		return
	}
	for _, s := range e.leaving {
		if !e.waiting.remove(s) {
			e.scheduler.remove(s)
		}
	}
	e.leaving = e.leaving[:0]
}

func (e *engine) plan() {
	w := e.scheduler.plan(e.now, &e.waiting)
	if w.tokens == 0 {
		return
	}
	took := e.costs.step(w, e.jitter())
	e.busy, e.stepEnd = true, e.now+took
	e.audience.step(w, took)
}

// arrivals is a heap by time of arrival and, at one instant, by ID.
type arrivals []*sequence

func (a arrivals) Len() int      { return len(a) }
func (a arrivals) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *arrivals) Push(x any)   { *a = append(*a, x.(*sequence)) }

func (a arrivals) Less(i, j int) bool {
	x, y := &a[i].truth, &a[j].truth
	return cmp.Or(cmp.Compare(x.Arrive, y.Arrive), cmp.Compare(x.ID, y.ID)) < 0
}

func (a *arrivals) Pop() any {
	last := len(*a) - 1
	s := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	return s
}
