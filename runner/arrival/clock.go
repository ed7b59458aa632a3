package arrival

import (
	"math"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// clock turns a process of rate one into one whose rate varies in time: an arrival
// that comes when u arrivals are expected comes at the time when the integral of the
// rate, the cumulative rate, is u.
type clock struct {
	// mass is the cumulative rate at the end; infinite where nothing but the number
	// of arrivals ends them.
	mass float64
	// at gives the time in seconds at which the cumulative rate is u, 0 ≤ u ≤ mass. It is
	// called with u that never falls.
	at func(u float64) float64
	// wall turns the time that at gives into the run's.
	wall func(time.Duration) time.Duration
}

func clockOf(a experiment.Arrival, rate float64, n int, until time.Duration) clock {
	end := math.Inf(1)
	if until > 0 {
		end = until.Seconds()
	}
	switch a.Kind {
	case experiment.RampArrival:
		return rampClock(a.From, a.To, n, until)
	case experiment.StepsArrival:
		return stepsClock(a.Steps, end)
	case experiment.OnOffArrival:
		return onOffClock(a, rate, until)
	default:
		return clock{mass: rate * end, at: func(u float64) float64 { return u / rate }, wall: same}
	}
}

func same(t time.Duration) time.Duration { return t }

// onOffClock runs during On only.
func onOffClock(a experiment.Arrival, rate float64, until time.Duration) clock {
	on, off := time.Duration(a.On), time.Duration(a.Off)
	within := rate * ((on + off).Seconds() / on.Seconds())
	mass := math.Inf(1)
	if until > 0 {
		cycles, rest := until/(on+off), until%(on+off)
		mass = within * (cycles*on + min(rest, on)).Seconds()
	}
	return clock{
		mass: mass,
		at:   func(u float64) float64 { return u / within },
		wall: func(t time.Duration) time.Duration { return t + t/on*off },
	}
}

// rampClock inverts from·t + (to−from)·t²/2T, in the form of the quadratic formula
// that has no difference of near numbers.
func rampClock(from, to float64, n int, until time.Duration) clock {
	length := until.Seconds()
	if until == 0 {
		length = float64(n) / ((from + to) / 2)
	}
	slope := (to - from) / length
	return clock{
		mass: (from + to) / 2 * length,
		at: func(u float64) float64 {
			if u <= 0 {
				return 0
			}
			return 2 * u / (from + math.Sqrt(max(from*from+2*slope*u, 0)))
		},
		wall: same,
	}
}

func stepsClock(steps []experiment.RateStep, end float64) clock {
	var ends, masses []float64 // of each step
	t, mass := 0.0, 0.0
	for _, s := range steps {
		hold := min(time.Duration(s.Hold).Seconds(), end-t)
		t, mass = t+hold, mass+s.Rate*hold
		ends, masses = append(ends, t), append(masses, mass)
	}
	i := 0
	return clock{
		mass: mass,
		at: func(u float64) float64 {
			for i < len(steps)-1 && u > masses[i] {
				i++
			}
			if steps[i].Rate == 0 {
				return ends[i]
			}
			return max(ends[i]-(masses[i]-u)/steps[i].Rate, 0)
		},
		wall: same,
	}
}
