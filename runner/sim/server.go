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
	d       Deployment
	wake    chan struct{} // something was handed to the engine
	stopped chan struct{} // closed when the engine has stopped

	// mu guards the engine and all below it. It is never held while waiting.
	mu       sync.Mutex
	engine   *fleet
	started  time.Time // zero = not started
	live     map[string]*sequence
	finished map[string]Truth
	order    []string // IDs of finished, oldest first
	kept     int      // token times in finished
	keep     int      // the most of them to keep
	metrics  *metrics
}

// maxKept bounds the token times that a server remembers (64 MB). The oldest
// requests are forgotten first.
const maxKept = 8 << 20

// NewServer resolves the configuration. The server answers requests once it is started.
func NewServer(cfg Config) (*Server, error) {
	d, err := cfg.Resolve()
	if err != nil {
		return nil, fmt.Errorf("setting up the simulated engine: %w", err)
	}
	s := &Server{
		d: d, wake: make(chan struct{}, 1), stopped: make(chan struct{}),
		live: make(map[string]*sequence), finished: make(map[string]Truth), metrics: newMetrics(d.MaxModelLen), keep: maxKept,
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
	if s.started.IsZero() {
		s.started = time.Now()
		go s.drive(ctx)
	}
}

// drive is the engine's goroutine. It sleeps until the next event's own time,
// never for a duration that was added up, so being late once does not make it
// late again: what is overdue happens at once, with its true times.
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
		s.engine.advance(s.now())
		next := s.engine.next()
		s.mu.Unlock()
		if next == forever {
			timer.Stop()
			continue
		}
		timer.Reset(time.Until(s.started.Add(next)))
	}
}

// now is the time since the engine's start. It is meaningful once that is set.
func (s *Server) now() time.Duration { return time.Since(s.started) }

func (s *Server) nudge() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look in any case
	}
}

// submit hands a request to the engine. The ID is the client's where it sent
// one. Else it follows from what was sent and when, and not from a counter, so
// that requests of one instant get the same IDs whichever handler runs first.
func (s *Server) submit(id string, digest uint64, r Request) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == "" {
		h := fnv.New64a()
		fmt.Fprintf(h, "%d %x", r.Arrive, digest)
		id = fmt.Sprintf("sim-%016x", h.Sum64())
	}
	r.ID = id
	for n := 2; s.taken(r.ID); n++ {
		r.ID = fmt.Sprintf("%s-%d", id, n)
	}
	seq := s.engine.submit(r)
	seq.stream = &stream{id: r.ID, ready: make(chan struct{}, 1), last: Never}
	s.live[r.ID] = seq
	s.nudge()
	return seq.stream
}

func (s *Server) taken(id string) bool {
	_, done := s.finished[id]
	return done || s.live[id] != nil
}

// cancel says that the client of a stream has gone.
func (s *Server) cancel(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq := s.live[st.id]; seq != nil {
		s.engine.cancel(seq, s.now())
		s.nudge()
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

func (s *Server) step(p Step) { s.metrics.iteration.observe(float64(p.Tokens)) }

func (s *Server) closed(seq *sequence) {
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
	s.metrics.request(t, seq.limit, s.d.Runtime.Net)
	seq.stream.finish(t)
}

func (s *Server) tokens(at time.Duration, seqs []*sequence) {
	s.metrics.lateness.observe((s.now() - at).Seconds())
	for _, seq := range seqs {
		if seq.truth.FinishReason == FinishAbort {
			continue // nobody reads it
		}
		s.metrics.generated++
		if last := seq.stream.push(at, seq.truth.CachedTokens); last != Never {
			s.metrics.gap.observe((at - last).Seconds())
		} else {
			s.metrics.prompt += seq.prompt
		}
	}
}

// Handler serves the API. It may be used before Start, and then refuses requests.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) { s.generate(w, r, chat) })
	mux.HandleFunc("POST /v1/completions", func(w http.ResponseWriter, r *http.Request) { s.generate(w, r, completion) })
	mux.HandleFunc("POST /tokenize", s.tokenize)
	mux.HandleFunc("GET /v1/models", s.models)
	mux.HandleFunc("GET /version", s.version)
	mux.HandleFunc("GET /health", s.health)
	mux.HandleFunc("GET /metrics", s.exposition)
	mux.HandleFunc("GET /sim/config", s.config)
	mux.HandleFunc("GET /sim/requests/{id}", s.request)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Inferbook-Simulated", "true")
		mux.ServeHTTP(w, r)
	})
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
		return s.now(), !s.started.IsZero()
	}
}
