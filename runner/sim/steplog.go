package sim

import (
	"net/http"
	"strconv"
	"time"
)

// stepRecord is one step in the log of GET /sim/steps.
type stepRecord struct {
	At        time.Duration `json:"t_ns"` // its start, since the engine's start
	Took      time.Duration `json:"dt_ns"`
	Replica   int           `json:"replica"`
	Tokens    int           `json:"tokens"` // computed by it
	Sequences int           `json:"sequences"`
	Running   int           `json:"running"`     // sequences admitted
	Waiting   int           `json:"waiting"`     // sequences that wait
	Free      int           `json:"free_blocks"` // of the KV pool
	Limit     string        `json:"limit"`       // the class of operator that took most of its time
}

// stepLog keeps the last steps in a ring.
type stepLog struct {
	ring  []stepRecord
	total int // steps so far
}

// maxSteps bounds the log: twenty minutes of 20 ms steps in 6 MB.
const maxSteps = 1 << 16

func (l *stepLog) add(r stepRecord) {
	if len(l.ring) < maxSteps {
		l.ring = append(l.ring, r)
	} else {
		l.ring[l.total%maxSteps] = r
	}
	l.total++
}

// since gives the steps that started at a time or later, oldest first. Steps of
// one replica are in the order of time; those of several nearly are.
func (l *stepLog) since(at time.Duration) []stepRecord {
	out := []stepRecord{}
	for i := range l.ring {
		if r := l.ring[(l.total+i)%len(l.ring)]; r.At >= at {
			out = append(out, r)
		}
	}
	return out
}

// limit names the class of operator that takes most of a step.
func (p parts) limit() string {
	name, most := "", -1.0
	for _, c := range []struct {
		name string
		time float64
	}{
		{"weights", p.weights}, {"compute", p.compute}, {"prefill-attention", p.prefill}, {"decode-attention", p.decode},
		{"all-reduce", p.reduce}, {"launch", p.launch}, {"host", p.host + p.hostBound},
	} {
		if c.time > most {
			name, most = c.name, c.time
		}
	}
	return name
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
