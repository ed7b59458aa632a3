package sim

import (
	"math"
	"time"
)

// pace is the server's clock: the engine's time as a function of the real one.
type pace struct {
	started time.Time // zero = not started
	scale   float64   // engine seconds a real second; 1 = real time
}

// The range of a time scale.
const (
	leastScale = 0.1
	mostScale  = 20
)

// now is the engine's time.
func (p *pace) now() time.Duration {
	since := time.Since(p.started)
	if p.scale == 1 {
		return since
	}
	// Rounded, so that what real gives is never found to be too early.
	return time.Duration(math.Round(float64(since) * p.scale))
}

// until is how long it is by the real clock until an engine's time.
func (p *pace) until(at time.Duration) time.Duration { return time.Until(p.started.Add(p.real(at))) }

// real is how long a span of the engine's time takes, rounded up.
func (p *pace) real(d time.Duration) time.Duration {
	if p.scale == 1 {
		return d
	}
	return time.Duration(math.Ceil(float64(d) / p.scale))
}

// timing is how well the server keeps the engine's time, by the real clock.
type timing struct {
	lateness spread // of each step's tokens
	steps    spread // how long the steps are
}

// Pace is how well a server keeps its engine's time. Its times are real ones.
type Pace struct {
	TimeScale   float64       `json:"time_scale"`
	Steps       int           `json:"steps"`
	StepP50     time.Duration `json:"step_p50_ns"`
	LatenessP50 time.Duration `json:"lateness_p50_ns"` // of the tokens of a step
	LatenessP99 time.Duration `json:"lateness_p99_ns"`
	Urgent      bool          `json:"urgent"` // the engine's thread runs before others
	Unreliable  bool          `json:"unreliable"`
	Verdict     string        `json:"verdict"`
}

// latenessShare is the 99th percentile of the lateness, as a share of the median
// step, over which the times that a client measures are not the engine's any more.
const latenessShare = .1

// Pace gives the server's timing since its start, or since it was last forgotten.
func (s *Server) Pace() Pace {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.soFar()
}

// forgetPace gives the timing so far, and begins anew.
func (s *Server) forgetPace() Pace {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.soFar()
	s.timing = timing{}
	return p
}

// soFar is Pace; s.mu is held.
func (s *Server) soFar() Pace {
	p := s.timing.pace(s.pace.scale)
	p.Urgent = s.hastened
	return p
}

func (t *timing) pace(scale float64) Pace {
	p := Pace{TimeScale: scale, Steps: t.steps.n, StepP50: t.steps.quantile(.5), LatenessP50: t.lateness.quantile(.5), LatenessP99: t.lateness.quantile(.99)}
	switch p.Unreliable = float64(p.LatenessP99) > latenessShare*float64(p.StepP50); {
	case p.Steps == 0:
		p.Unreliable, p.Verdict = false, "no step yet"
	case p.Unreliable:
		p.Verdict = "timing unreliable (host overloaded)"
	default:
		p.Verdict = "timing reliable"
	}
	return p
}

// spread counts times in classes 2 % wide, so that a quantile costs no list of all.
type spread struct {
	counts [classes]int
	n      int
}

const (
	classes    = 1400
	classWidth = 1.02
)

func (s *spread) add(d time.Duration) {
	class := 0
	if d > time.Microsecond {
		class = min(classes-1, 1+int(math.Log(float64(d)/1e3)/math.Log(classWidth)))
	}
	s.counts[class]++
	s.n++
}

// quantile is within 2 % of the time that a share of all is not over; up to 1 µs is 0.
func (s *spread) quantile(q float64) time.Duration {
	rank, seen := int(math.Ceil(q*float64(s.n))), 0
	for class, n := range s.counts {
		if seen += n; seen >= rank && seen > 0 {
			if class == 0 {
				return 0
			}
			return time.Duration(1e3 * math.Pow(classWidth, float64(class)))
		}
	}
	return 0
}
