package sim

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Server runs the engine against the clock and serves it over HTTP, as vLLM's
// OpenAI-compatible server does.
type Server struct {
	d        Deployment
	faults   []Fault
	maxQueue int
	urgent   bool          // the engine's thread is to run before others
	stopped  chan struct{} // closed when the engine has stopped

	// mu guards the engine and all below it. It is never held while waiting.
	mu       sync.Mutex
	engine   *fleet
	pace     pace
	alarm    alarm // it rings when something was handed to the engine; nil = not started
	live     map[string]*sequence
	finished *archive
	asked    int        // requests that were submitted
	unbegun  int        // of these, those that closed before a step had begun with them
	metrics  []*metrics // of each replica
	lateness *histogram // of the tokens of each step, real seconds
	timing   timing
	hastened bool // the system lets the engine's thread run before others
	log      trail
	bodies   map[uint64]int // how often a body has come, by its digest
	awake    []*stream      // streams that the engine has given tokens in this wake-up
}

// Serving says how a server presents its engine. The zero value is an ordinary
// server in real time.
type Serving struct {
	// TimeScale is the engine's seconds in a real second, 0.1 to 20; 0 = 1. At any
	// other than 1 a client measures times that are the engine's divided by it.
	TimeScale float64
	// MaxQueue is the most requests that wait to be scheduled before more are
	// refused with 429; 0 = there is no limit, as in vLLM.
	MaxQueue int
	// Faults are what the server does wrong.
	Faults []Fault
	// Urgent asks the system to run the engine's thread before others, since it
	// stands for a machine of its own and a client on this one is not to make it
	// late. Not every user may; [Pace] tells.
	Urgent bool
}

// check says what is out of its range.
func (v Serving) check() error {
	switch {
	case v.TimeScale != 0 && !(v.TimeScale >= leastScale && v.TimeScale <= mostScale):
		return fmt.Errorf("the time scale is %g; give a factor from %g to %d", v.TimeScale, leastScale, mostScale)
	case v.MaxQueue < 0:
		return fmt.Errorf("max queue is %d; it cannot be negative", v.MaxQueue)
	}
	return nil
}

// NewServer resolves the configuration. The server answers requests once it is started.
func NewServer(cfg Config) (*Server, error) { return Serving{}.NewServer(cfg) }

// NewServer resolves the configuration of a server that presents its engine so.
func (v Serving) NewServer(cfg Config) (*Server, error) {
	d, err := cfg.Resolve()
	if err == nil {
		err = v.check()
	}
	if err != nil {
		return nil, fmt.Errorf("setting up the simulated engine: %w", err)
	}
	s := &Server{
		d: d, faults: v.Faults, maxQueue: v.MaxQueue, urgent: v.Urgent, pace: pace{scale: cmp.Or(v.TimeScale, 1)},
		stopped: make(chan struct{}), bodies: make(map[uint64]int),
		live: make(map[string]*sequence), finished: newArchive(maxKept), lateness: newHistogram(latenessBuckets),
	}
	for range max(1, d.Replicas) {
		s.metrics = append(s.metrics, newMetrics(d.MaxModelLen))
	}
	s.engine = newFleet(&s.d, d.Seed, d.Jitter, s)
	s.engine.stepwise = true
	return s, nil
}

// Deployment is what the server simulates.
func (s *Server) Deployment() Deployment { return s.d }

// Start sets the engine's time to 0 and runs it until the context ends. After that
// streams that are open break off, and requests are refused. A second call does
// nothing.
func (s *Server) Start(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pace.started.IsZero() {
		s.pace.started = time.Now()
		if s.alarm = newChannelAlarm(); s.urgent {
			s.alarm = newThreadAlarm()
		}
		go s.drive(ctx)
	}
}

// drive is the engine's goroutine. It sleeps until the next event's own time,
// never for a duration that was added up, so being late once does not make it
// late again: what is overdue happens at once, with its true times, and goes out
// together.
func (s *Server) drive(ctx context.Context) {
	defer close(s.stopped)
	if s.urgent {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		s.mu.Lock()
		s.hastened = hasten()
		s.mu.Unlock()
	}
	defer s.alarm.close()
	defer context.AfterFunc(ctx, s.alarm.ring)()
	for ctx.Err() == nil {
		s.mu.Lock()
		s.engine.advance(s.pace.now())
		next := s.engine.next()
		s.mu.Unlock()
		// Only this goroutine touches the list.
		deliver(s.awake, runtime.GOMAXPROCS(0))
		clear(s.awake)
		s.awake = s.awake[:0]
		if next == forever {
			s.alarm.wait(-1)
			continue
		}
		s.alarm.wait(max(0, s.pace.until(next)))
	}
}

// submit hands the prompts of a request to the engine. They arrive now, once all of
// the body has been read: no event of the engine can be later, since its goroutine
// lets none happen before its time, and both hold mu. The ID is the client's
// where it sent one. Else it follows from what was sent and when, and not from a
// counter, so that requests of one instant get the same IDs whichever handler
// runs first. The error is a *refusal.
func (s *Server) submit(id string, of uint64, g *generation) ([]*stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	arrive, running := s.clock()
	if !running {
		return nil, notRunning()
	}
	if n := s.queued(); s.maxQueue > 0 && n+len(g.prompts) > s.maxQueue {
		return nil, &refusal{status: http.StatusTooManyRequests, kind: "RateLimitError", after: 1,
			message: fmt.Sprintf("%d requests wait already; this server lets at most %d wait", n, s.maxQueue)}
	}
	if id == "" {
		h := fnv.New64a()
		fmt.Fprintf(h, "%d %x", arrive, of)
		id = fmt.Sprintf("sim-%016x", h.Sum64())
	}
	ready := make(chan struct{}, 1)
	streams := make([]*stream, len(g.prompts))
	for i := range g.prompts {
		p := &g.prompts[i]
		own := id
		if i > 0 {
			own = fmt.Sprintf("%s-p%d", id, i)
		}
		name := s.finished.name(own, s.taken)
		r := Request{ID: name.id, Arrive: arrive, Content: p.content, MaxTokens: p.limit, OutputTokens: p.output}
		seq := s.engine.submit(r)
		streams[i] = &stream{id: r.ID, sent: name.sent, limit: p.limit, stopped: p.stopped, ready: ready, last: Never}
		seq.stream = streams[i]
		s.live[r.ID] = seq
		s.asked++
	}
	s.alarm.ring()
	return streams, nil
}

// queued counts the requests that no step has begun with; s.mu is held.
func (s *Server) queued() int {
	n := s.asked - s.unbegun
	for _, e := range s.engine.engines {
		n -= e.meter.requests
	}
	return n
}

func (s *Server) taken(id string) bool {
	_, done := s.finished.truths[id]
	return done || s.live[id] != nil
}

// cancel says that the client of some streams has gone.
func (s *Server) cancel(streams []*stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range streams {
		if seq := s.live[st.id]; seq != nil {
			s.engine.cancel(seq, s.pace.now())
			s.alarm.ring()
		}
	}
}

// Truths gives what happened to the finished requests, in the order of arrival
// and, at one instant, of ID. A server remembers the last eight million tokens, and
// each request counts as 32 more.
func (s *Server) Truths() []Truth {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Truth, 0, len(s.finished.truths))
	for _, t := range s.finished.truths {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b Truth) int {
		return cmp.Or(cmp.Compare(a.Arrive, b.Arrive), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// step, closed and tokens make Server the engine's audience; s.mu is held.

func (s *Server) step(p Step) {
	s.metrics[p.Replica].iteration.observe(float64(p.Tokens))
	s.timing.steps.add(s.pace.real(p.Took))
	s.log.add(p)
}

func (s *Server) closed(seq *sequence) {
	if st := seq.stream; st.stopped && seq.truth.FinishReason == FinishLength {
		seq.truth.FinishReason = FinishStop // the stop text is in its last token
	}
	t := seq.truth
	delete(s.live, t.ID)
	s.finished.add(t, seq.stream.sent)
	if t.Scheduled == Never {
		s.unbegun++
	}
	s.metrics[t.Replica].request(t, seq.stream.limit, s.d.Runtime.Net)
	seq.stream.finish(t)
}

func (s *Server) tokens(at time.Duration, seqs []*sequence) {
	late := s.pace.real(s.pace.now() - at)
	s.timing.lateness.add(late)
	s.lateness.observe(late.Seconds())
	for _, seq := range seqs {
		if seq.truth.FinishReason == FinishAbort {
			continue // nobody reads it
		}
		m := s.metrics[seq.truth.Replica]
		m.generated++
		if last := seq.stream.push(at); last != Never {
			m.gap.observe((at - last).Seconds())
		} else {
			m.first(&seq.truth)
		}
		s.awake = append(s.awake, seq.stream)
	}
}

// now is the engine's time. It reports false when the engine does not run.
func (s *Server) now() (at time.Duration, running bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock()
}

// clock is now; s.mu is held.
func (s *Server) clock() (at time.Duration, running bool) {
	select {
	case <-s.stopped:
		return 0, false
	default:
		return s.pace.now(), !s.pace.started.IsZero()
	}
}
