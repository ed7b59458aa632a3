package sim

import (
	"net/http"
	"strconv"
	"time"
)

// trail keeps the last steps in a ring.
type trail struct {
	ring  []Step
	total int // steps so far
}

// maxSteps bounds the log: twenty minutes of 20 ms steps in 6 MB.
const maxSteps = 1 << 16

func (l *trail) add(r Step) {
	if len(l.ring) < maxSteps {
		l.ring = append(l.ring, r)
	} else {
		l.ring[l.total%maxSteps] = r
	}
	l.total++
}

// since gives the steps that started at a time or later, oldest first. Steps of
// one replica are in the order of time; those of several nearly are.
func (l *trail) since(at time.Duration) []Step {
	out := []Step{}
	for i := range l.ring {
		if r := l.ring[(l.total+i)%len(l.ring)]; r.Start >= at {
			out = append(out, r)
		}
	}
	return out
}

// steps answers with the log of steps since a time in seconds.
func (s *Server) steps(w http.ResponseWriter, r *http.Request) {
	since := 0.0
	if text := r.URL.Query().Get("since"); text != "" {
		var err error
		if since, err = strconv.ParseFloat(text, 64); err != nil || !(since >= 0 && since < 1e9) {
			refuse(w, badRequest("since", "since is %q; it is a number of seconds since the engine's start", text))
			return
		}
	}
	s.mu.Lock()
	list, total := s.log.since(time.Duration(since*1e9)), s.log.total
	s.mu.Unlock()
	answer(w, http.StatusOK, map[string]any{"simulated": true, "time_scale": s.pace.scale, "now_ns": s.pace.now(), "steps_total": total, "steps": list})
}
