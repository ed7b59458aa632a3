package sim

import (
	"cmp"
	"container/heap"
	"time"
)

// fleet is the pure simulation: replicas of one engine behind a router, and events
// in virtual time, in one fixed order. It holds no clock. A driver asks for the time of
// the next event and then advances the fleet to it.
//
// At one instant T the order is: arrivals before T are routed, in the order of
// time and ID; clients that went away before T are forgotten; each replica has its
// turn. So an arrival or a cancellation at T has no part in what happens at T, and
// it does not matter when, within the instant, a driver hands it over.
type fleet struct {
	d        *Deployment
	engines  []*engine
	router   router
	audience audience
	// stepwise says that the audience wants each step and each token by itself.
	stepwise bool
	// times says that truths have the time of each token.
	times bool

	now time.Duration
	// outside is when the driver itself will act, at the earliest.
	outside time.Duration

	arrivals arrivals // not yet routed
	aborts   aborts   // not yet in effect
	set      int      // aborts so far

	// What was noted of each replica, after its last turn or what has come to it since:
	due     agenda // its next event
	heard   agenda // when the outside may hear of a request next: from its outbox, or its step
	pending []bool // it has requests, and computes nothing
	pended  int    // how many are pending
}

// audience is told what the engine does, in order. It must not keep a slice.
type audience interface {
	// step is told of each step when it is planned, if the fleet goes stepwise.
	step(Step)
	// closed is told of a sequence whose truth is final, before its last token.
	closed(s *sequence)
	// tokens is told of the sequences that have a token leaving now, once for each
	// token, if the fleet goes stepwise.
	tokens(at time.Duration, seqs []*sequence)
}

func newFleet(d *Deployment, seed uint64, jitter float64, a audience) *fleet {
	f := &fleet{d: d, audience: a, times: true, outside: forever}
	costs := newCosts(d)
	for i := range max(1, d.Replicas) {
		f.engines = append(f.engines, newEngine(f, costs, i, seed, jitter))
	}
	n := len(f.engines)
	f.due, f.heard, f.pending = newAgenda(n), newAgenda(n), make([]bool, n)
	f.router = newRouter(d)
	return f
}

// submit hands over a request that arrives no earlier than the last event.
func (f *fleet) submit(r Request) *sequence {
	s := newSequence(r)
	heap.Push(&f.arrivals, s)
	return s
}

// cancel says that the client of a sequence goes away at a time no earlier than
// the last event. What leaves the server up to then has been delivered.
func (f *fleet) cancel(s *sequence, at time.Duration) {
	if !s.closed {
		f.set++
		heap.Push(&f.aborts, abort{s, max(at, s.truth.Arrive), f.set})
	}
}

// next gives the time of the next event; forever = nothing will happen without
// an arrival.
func (f *fleet) next() time.Duration {
	for len(f.aborts) > 0 && f.aborts[0].seq.closed {
		heap.Pop(&f.aborts)
	}
	t := forever
	if len(f.aborts) > 0 {
		t = f.aborts[0].at + 1
	}
	if len(f.arrivals) > 0 {
		t = min(t, f.arrivals[0].truth.Arrive+f.d.Runtime.Front)
	}
	return min(t, f.due.earliest())
}

// note looks at a replica to which something has happened.
func (f *fleet) note(e *engine) {
	f.due.set(e.replica, e.next())
	heard := forever
	if len(e.outbox) > 0 {
		heard = e.outbox[0].at
	}
	if e.busy {
		heard = min(heard, e.stepEnd+f.d.Runtime.Net)
	}
	f.heard.set(e.replica, heard)
	if pending := !e.busy && e.outstanding > 0; pending != f.pending[e.replica] {
		f.pending[e.replica] = pending
		if pending {
			f.pended++
		} else {
			f.pended--
		}
	}
}

// advance lets everything happen that is due up to and including the given time.
func (f *fleet) advance(until time.Duration) {
	for {
		t := f.next()
		if t > until || t == forever {
			return
		}
		f.now = max(f.now, t)
		f.receive()
		f.forget()
		for i := f.due.from(0, f.now); i >= 0; i = f.due.from(i+1, f.now) {
			f.engines[i].turn(f.now)
			f.note(f.engines[i])
		}
	}
}

// rest lets the last tokens leave, which nobody may have waited for, once nothing
// else is left to happen.
func (f *fleet) rest() {
	for _, e := range f.engines {
		f.now = max(f.now, e.left)
	}
}

// receive routes the arrivals before now.
func (f *fleet) receive() {
	for len(f.arrivals) > 0 && f.arrivals[0].truth.Arrive < f.now {
		s := heap.Pop(&f.arrivals).(*sequence)
		i := 0
		if len(f.engines) > 1 {
			i = f.router.route(s, f.engines)
		}
		f.engines[i].receive(s)
		f.note(f.engines[i])
	}
}

// forget closes the truths of clients that went away before now.
func (f *fleet) forget() {
	// The audience may cancel more while it is told, but none before now.
	for len(f.aborts) > 0 && f.aborts[0].at < f.now {
		a := heap.Pop(&f.aborts).(abort)
		if a.seq.closed {
			continue
		}
		e := a.seq.engine
		e.abort(a.seq, a.at)
		f.note(e)
		if !e.busy {
			f.due.set(e.replica, f.now)
		}
		f.audience.closed(a.seq)
	}
}

// horizon is the first time at which something may happen that bears on an engine
// and does not come from its own steps.
func (f *fleet) horizon(e *engine) time.Duration {
	t := f.outside
	if e.front.len() > 0 {
		t = min(t, e.front.front.truth.Ready)
	}
	if len(f.arrivals) > 0 {
		t = min(t, f.arrivals[0].truth.Arrive+f.d.Runtime.Front)
	}
	if len(f.aborts) > 0 {
		t = min(t, f.aborts[0].at+1)
	}
	// Who hears of a finished request may cancel or send another.
	if len(e.outbox) > 0 {
		t = min(t, e.outbox[0].at)
	}
	t = min(t, f.heard.others(e.replica))
	pended := f.pended
	if f.pending[e.replica] {
		pended--
	}
	if pended > 0 {
		t = min(t, f.now+f.d.Runtime.Net)
	}
	return t
}

// arrivals is a heap by time of arrival and, at one instant, by ID.
type arrivals []*sequence

func (a arrivals) Len() int      { return len(a) }
func (a arrivals) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *arrivals) Push(x any)   { *a = append(*a, x.(*sequence)) }

func (a arrivals) Less(i, j int) bool {
	x, y := &a[i].truth, &a[j].truth
	if x.Arrive != y.Arrive {
		return x.Arrive < y.Arrive
	}
	return x.ID < y.ID
}

func (a *arrivals) Pop() any {
	last := len(*a) - 1
	s := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	return s
}

// abort is a client that goes away.
type abort struct {
	seq *sequence
	at  time.Duration
	set int
}

// aborts is a heap by time and, at one time, by the order of setting.
type aborts []abort

func (a aborts) Len() int      { return len(a) }
func (a aborts) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *aborts) Push(x any)   { *a = append(*a, x.(abort)) }

func (a aborts) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(a[i].at, a[j].at), cmp.Compare(a[i].set, a[j].set)) < 0
}

func (a *aborts) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	(*a)[last] = abort{}
	*a = (*a)[:last]
	return x
}
