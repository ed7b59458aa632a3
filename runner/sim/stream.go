package sim

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// stream carries tokens from the engine to the handler of one request.
type stream struct {
	id    string
	ready chan struct{} // of capacity one: there is something to take

	mu     sync.Mutex
	left   int           // tokens that have left the server
	last   time.Duration // when the last of them did
	cached int           // prompt tokens found in the prefix cache; known with the first token
	final  *Truth
}

// push counts one token that leaves now, and gives when the one before it did.
func (s *stream) push(at time.Duration, cached int) time.Duration {
	s.mu.Lock()
	s.cached = cached
	before := s.last
	s.left++
	s.last = at
	s.mu.Unlock()
	select {
	case s.ready <- struct{}{}:
	default: // the handler has not taken what came before
	}
	return before
}

// finish hands over the truth. The last token follows and wakes the handler.
func (s *stream) finish(t Truth) {
	s.mu.Lock()
	s.final = &t
	s.mu.Unlock()
}

// take gives the number of tokens that have left so far, the prompt tokens that
// were cached, and the truth once all tokens have left.
func (s *stream) take() (left, cached int, final *Truth) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.final != nil && s.left == s.final.OutputTokens {
		return s.left, s.cached, s.final
	}
	return s.left, s.cached, nil
}

// wait blocks until there is something to take. It reports false when the
// client has gone or the engine has stopped.
func (s *stream) wait(ctx context.Context, stopped <-chan struct{}) bool {
	select {
	case <-s.ready:
		return true
	case <-ctx.Done():
		return false
	case <-stopped:
		return false
	}
}

// send writes the answer of one request to its client. The tokens of a step go out in
// one write and one flush, since that is how a server that keeps up sends them.
func (s *Server) send(w http.ResponseWriter, r *http.Request, st *stream, g generation) {
	defer s.cancel(st) // leaves a finished request alone
	c := newChunks(g, st.id, s.d.ServedName, time.Now().Unix())
	flusher := http.NewResponseController(w)
	w.Header().Set("X-Request-Id", st.id)
	if g.stream {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		w.WriteHeader(http.StatusOK)
		if flusher.Flush() != nil {
			return
		}
	}
	var out []byte
	sent := 0
	for st.wait(r.Context(), s.stopped) {
		left, cached, final := st.take()
		c.cached = cached
		if !g.stream {
			if final == nil {
				continue
			}
			w.Header().Set("Content-Type", "application/json")
			w.Write(c.whole(*final, s.d.Account(*final)))
			return
		}
		out = c.tokens(out[:0], sent, left)
		sent = left
		if final != nil {
			out = c.end(out, *final, s.d.Account(*final))
		}
		if len(out) == 0 {
			continue
		}
		if _, err := w.Write(out); err != nil {
			return
		}
		if flusher.Flush() != nil || final != nil {
			return
		}
	}
	if !g.stream {
		refuse(w, notRunning())
	}
}
