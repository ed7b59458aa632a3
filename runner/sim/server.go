package sim

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
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
	wake     chan struct{} // something was handed to the engine
	stopped  chan struct{} // closed when the engine has stopped

	// mu guards the engine and all below it. It is never held while waiting.
	mu       sync.Mutex
	engine   *fleet
	pace     pace
	live     map[string]*sequence
	finished map[string]Truth
	order    []string   // IDs of finished, oldest first
	kept     int        // token times in finished
	keep     int        // the most of them to keep
	metrics  []*metrics // of each replica
	lateness *histogram // of the tokens of each step, real seconds
	timing   timing
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

// maxKept bounds the token times that a server remembers (64 MB). The oldest
// requests are forgotten first.
const maxKept = 8 << 20

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
		d: d, faults: v.Faults, maxQueue: v.MaxQueue, pace: pace{scale: cmp.Or(v.TimeScale, 1)},
		wake: make(chan struct{}, 1), stopped: make(chan struct{}), bodies: make(map[uint64]int),
		live: make(map[string]*sequence), finished: make(map[string]Truth), lateness: newHistogram(latenessBuckets), keep: maxKept,
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
		go s.drive(ctx)
	}
}

// drive is the engine's goroutine. It sleeps until the next event's own time,
// never for a duration that was added up, so being late once does not make it
// late again: what is overdue happens at once, with its true times, and goes out
// together.
func (s *Server) drive(ctx context.Context) {
	defer close(s.stopped)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		s.mu.Lock()
		s.engine.advance(s.pace.now())
		next := s.engine.next()
		s.mu.Unlock()
		// Only this goroutine touches the list.
		for i, st := range s.awake {
			st.wake()
			s.awake[i] = nil
		}
		s.awake = s.awake[:0]
		if next == forever {
			timer.Stop()
			continue
		}
		timer.Reset(s.pace.until(next))
	}
}

func (s *Server) nudge() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look in any case
	}
}

// submit hands the prompts of a request to the engine. The ID is the client's
// where it sent one. Else it follows from what was sent and when, and not from a
// counter, so that requests of one instant get the same IDs whichever handler
// runs first. The error is a *refusal.
func (s *Server) submit(id string, of uint64, arrive time.Duration, g *generation) ([]*stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.maxQueue > 0 && s.queued()+len(g.prompts) > s.maxQueue {
		return nil, &refusal{status: http.StatusTooManyRequests, kind: "RateLimitError", after: 1,
			message: fmt.Sprintf("%d requests wait already; this server lets at most %d wait", s.queued(), s.maxQueue)}
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
		r := Request{ID: own, Arrive: arrive, Content: p.content, MaxTokens: p.limit, OutputTokens: p.output}
		for n := 2; s.taken(r.ID); n++ {
			r.ID = fmt.Sprintf("%s-%d", own, n)
		}
		seq := s.engine.submit(r)
		streams[i] = &stream{id: r.ID, limit: p.limit, stopped: p.stopped, ready: ready, last: Never}
		seq.stream = streams[i]
		s.live[r.ID] = seq
	}
	s.nudge()
	return streams, nil
}

// queued counts the requests that no step has begun with; s.mu is held.
func (s *Server) queued() int {
	n := 0
	for _, seq := range s.live {
		if seq.truth.Scheduled == Never {
			n++
		}
	}
	return n
}

func (s *Server) taken(id string) bool {
	_, done := s.finished[id]
	return done || s.live[id] != nil
}

// cancel says that the client of some streams has gone.
func (s *Server) cancel(streams []*stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range streams {
		if seq := s.live[st.id]; seq != nil {
			s.engine.cancel(seq, s.pace.now())
			s.nudge()
		}
	}
}

// Truths gives what happened to the finished requests, in the order of arrival
// and, at one instant, of ID. A server remembers the last eight million tokens.
func (s *Server) Truths() []Truth {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Truth, 0, len(s.finished))
	for _, t := range s.finished {
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
	s.finished[t.ID] = t
	s.order = append(s.order, t.ID)
	s.kept += len(t.TokenTimes)
	for s.kept > s.keep && len(s.order) > 1 {
		s.kept -= len(s.finished[s.order[0]].TokenTimes)
		delete(s.finished, s.order[0])
		s.order = slices.Delete(s.order, 0, 1)
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

// arrival stamps a request that is received now. It reports false when the
// engine does not run.
func (s *Server) arrival() (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.stopped:
		return 0, false
	default:
		return s.pace.now(), !s.pace.started.IsZero()
	}
}
