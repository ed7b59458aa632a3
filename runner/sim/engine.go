package sim

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// engine is one replica of a [fleet]: a front end, a queue, a scheduler, and the
// step that is being computed. It holds no clock. The fleet says when its turn
// is, and no later than its own next event.
//
// At one instant T the order is: tokens leave the server; the front end's
// finished requests queue up; the step that ends at T is committed; what clients that
// went away before T hold is freed; the next step is planned.
type engine struct {
	fleet     *fleet
	replica   int
	d         *Deployment
	costs     *costs
	scheduler scheduler
	jitter    func() float64

	frontFree time.Duration
	front     queue // with the front end, in the order of Ready
	waiting   queue
	// outstanding is how many requests were routed here and are not finished.
	outstanding int

	busy    bool // a step is being computed
	work    work
	stepEnd time.Duration
	log     stepLog
	// repeats is how many steps before the one that is being computed are not in the
	// scheduler's books, and since the first of them.
	repeats int
	since   mark

	left   time.Duration // when the last tokens leave the server
	outbox []delivery    // in the order of time
	spare  []delivery    // used up; their slices are filled again
	// leaving have a closed truth but still hold a place in the batch.
	leaving []*sequence

	meter meter
}

// delivery is what leaves the server at one time.
type delivery struct {
	at   time.Duration
	each bool // the audience wants every token
	// emitted has a sequence once for each of its tokens.
	emitted, finished []*sequence
	tokens            int
}

func newEngine(f *fleet, costs *costs, replica int, seed uint64, jitter float64) *engine {
	e := &engine{fleet: f, replica: replica, d: f.d, costs: costs, jitter: func() float64 { return 1 }}
	e.scheduler = newScheduler(f.d, seed, &e.meter.tally)
	if jitter > 0 {
		rng := rand.New(rand.NewPCG(seed, 0x736d+uint64(replica)))
		// A mean of 1 leaves throughput where it is.
		e.jitter = func() float64 { return math.Exp(jitter*rng.NormFloat64() - jitter*jitter/2) }
	}
	return e
}

const forever = time.Duration(math.MaxInt64)

// next gives the time of the next event; forever = nothing will happen without
// an arrival.
func (e *engine) next() time.Duration {
	t := forever
	if len(e.outbox) > 0 {
		t = e.outbox[0].at
	}
	switch {
	case e.busy:
		// The front end's requests wait for the end of the step in any case.
		t = min(t, e.stepEnd)
	case e.front.len() > 0:
		t = min(t, e.front.front.truth.Ready)
	}
	return t
}

// receive gives an arrival to the front end, which serves one at a time.
func (e *engine) receive(s *sequence) {
	s.engine = e
	s.truth.Replica = e.replica
	e.outstanding++
	e.frontFree = max(e.frontFree, s.truth.Arrive) + e.d.Runtime.Front
	s.truth.Ready = e.frontFree
	e.front.push(s)
	e.meter.front += e.d.Runtime.Front
}

// turn lets everything happen that is due.
func (e *engine) turn(now time.Duration) {
	e.deliver(now)
	e.enqueue(now)
	if e.busy && e.stepEnd <= now {
		e.commit()
	}
	if !e.busy {
		e.meter.until(e, now)
		e.drop()
		e.plan(now)
	}
}

func (e *engine) deliver(now time.Duration) {
	for len(e.outbox) > 0 && e.outbox[0].at <= now {
		o := e.outbox[0]
		e.outbox = slices.Delete(e.outbox, 0, 1)
		for _, s := range o.finished {
			if !s.closed {
				s.end(e.fleet.times)
				e.outstanding--
				if len(e.fleet.engines) > 1 {
					e.fleet.router.answered(s)
				}
				e.fleet.audience.closed(s)
			}
		}
		if o.each {
			e.fleet.audience.tokens(o.at, o.emitted)
		}
		clear(o.emitted)
		clear(o.finished)
		e.spare = append(e.spare, o)
	}
}

func (e *engine) enqueue(now time.Duration) {
	for e.front.len() > 0 && e.front.front.truth.Ready <= now {
		s := e.front.pop()
		e.meter.until(e, s.truth.Ready)
		e.waiting.push(s)
	}
}

// commit ends the step that is being computed.
func (e *engine) commit() {
	e.meter.until(e, e.stepEnd)
	e.busy = false
	var o delivery
	if n := len(e.spare); n > 0 {
		o, e.spare = e.spare[n-1], e.spare[:n-1]
	}
	o = delivery{at: e.stepEnd + e.d.Runtime.Net, each: e.fleet.stepwise, emitted: o.emitted[:0], finished: o.finished[:0]}
	end := e.log.add(o.at)
	if e.repeats == 0 {
		e.since = end
	}
	e.scheduler.commit(&o, e.since, e.repeats+1)
	e.meter.output += o.tokens
	e.repeats = 0
	if o.tokens > 0 {
		e.left = o.at
	}
	if len(o.emitted)+len(o.finished) > 0 {
		e.outbox = append(e.outbox, o)
	}
}

// settle enters into the books the steps that were repeated, so that every
// sequence knows its tokens.
func (e *engine) settle() {
	if e.repeats == 0 {
		return
	}
	var o delivery
	e.scheduler.commit(&o, e.since, e.repeats)
	e.meter.output += o.tokens
	e.repeats = 0
}

// abort closes the truth of a sequence whose client went away before now.
func (e *engine) abort(s *sequence, at time.Duration) {
	e.settle()
	e.scheduler.sync(s)
	e.enqueue(at)
	e.meter.until(e, at)
	if !e.front.remove(s) && !e.waiting.remove(s) {
		e.leaving = append(e.leaving, s)
	}
	s.abort(at, e.fleet.times)
	e.outstanding--
}

// drop frees what clients that have left still hold, which happens between two steps.
func (e *engine) drop() {
	for _, s := range e.leaving {
		if !e.waiting.remove(s) { // where it went when it was preempted
			e.scheduler.remove(s)
		}
	}
	e.leaving = e.leaving[:0]
}

func (e *engine) plan(now time.Duration) {
	preemptions := e.meter.preemptions
	e.work = e.scheduler.plan(now, &e.waiting)
	_, _, e.meter.held = e.scheduler.load()
	if e.work.tokens == 0 {
		return
	}
	took := e.costs.step(e.work, e.jitter())
	e.busy, e.stepEnd = true, now+took
	e.meter.step(e, e.work, 1, took)
	if e.fleet.stepwise {
		e.fleet.audience.step(e.report(now, took, e.meter.preemptions-preemptions))
		return
	}
	e.rush()
}

// rush takes a step after another while nothing but the same can happen. No other
// event falls between them, and each takes as long as it would by itself.
func (e *engine) rush() {
	limit := e.fleet.horizon(e)
	if e.stepEnd >= limit {
		return
	}
	w, steps, took := e.work, 0, time.Duration(0)
	for e.stepEnd < limit {
		e.meter.until(e, e.stepEnd)
		if !e.scheduler.repeat() {
			break
		}
		end := e.log.add(e.stepEnd + e.d.Runtime.Net)
		if e.repeats == 0 {
			e.since = end
		}
		e.repeats++
		e.work.decodeRead += float64(e.work.seqs)
		t := e.costs.step(e.work, e.jitter())
		e.stepEnd += t
		steps++
		took += t
	}
	if steps > 0 {
		// The work of a step in the middle stands for all of them.
		w.decodeRead = (w.decodeRead + float64(w.seqs) + e.work.decodeRead) / 2
		e.meter.step(e, w, steps, took)
	}
}
