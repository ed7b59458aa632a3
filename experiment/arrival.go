package experiment

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ArrivalKind names a way to decide when requests are sent.
type ArrivalKind string

// The ways of an [Arrival]. All but the first are open loops: the schedule is
// fixed before the first byte and does not wait for answers.
const (
	ClosedLoop      ArrivalKind = ""         // each worker sends when its last request has ended
	ConstantArrival ArrivalKind = "constant" // evenly spaced
	PoissonArrival  ArrivalKind = "poisson"  // exponential gaps: CV 1
	GammaArrival    ArrivalKind = "gamma"    // gamma gaps with a CV: below 1 smoother, above 1 burstier than Poisson
	OnOffArrival    ArrivalKind = "onoff"    // Poisson bursts of length On, silence of length Off
	RampArrival     ArrivalKind = "ramp"     // Poisson with a rate that goes evenly From → To
	StepsArrival    ArrivalKind = "steps"    // Poisson with one rate after another
	TraceArrival    ArrivalKind = "trace"    // the times of the data file, divided by TimeScale
)

// Arrival says when requests are sent. Its text, as flags and files have it, is
// "closed", "constant", "poisson", "gamma:cv=3", "onoff:on=2s,off=8s",
// "ramp:from=1,to=20", "steps:1x30s,5x30s" or "trace:scale=2". The mean rate is the
// point's (see [Load]) except for ramp, steps and trace, which carry their own.
type Arrival struct {
	Kind ArrivalKind
	// CV is the coefficient of variation of a gamma process's gaps, above 0.
	// The burstiness parameter of vllm bench is 1/CV².
	CV float64
	// On and Off are the phases of an on/off process. All requests fall into On,
	// at rate·(On+Off)/On, so that the mean rate is the point's.
	On, Off Duration
	// From and To are the rates at the ends of a ramp, in requests per second.
	From, To float64
	// Steps are the levels of a stepped rate.
	Steps []RateStep
	// TimeScale divides the times of a trace: 2 replays it twice as fast.
	TimeScale float64
}

// RateStep is a rate in requests per second, held for a time.
type RateStep struct {
	Rate float64
	Hold Duration
}

// Open reports whether the arrivals do not wait for answers.
func (a Arrival) Open() bool { return a.Kind != ClosedLoop }

// IsZero reports whether the arrival is a closed loop, the default.
func (a Arrival) IsZero() bool { return a.Kind == ClosedLoop }

// OwnRate gives the mean rate in requests per second of an arrival that carries
// it, and false for one whose rate is the point's. A trace's rate is its file's.
func (a Arrival) OwnRate() (float64, bool) {
	switch a.Kind {
	case RampArrival:
		return (a.From + a.To) / 2, true
	case StepsArrival:
		sent, held := 0.0, 0.0
		for _, s := range a.Steps {
			seconds := time.Duration(s.Hold).Seconds()
			sent, held = sent+s.Rate*seconds, held+seconds
		}
		return sent / held, true
	default:
		return 0, false
	}
}

// String gives the text of the arrival.
func (a Arrival) String() string {
	d := func(d Duration) string { return time.Duration(d).String() }
	switch a.Kind {
	case ClosedLoop:
		return "closed"
	case GammaArrival:
		return fmt.Sprintf("gamma:cv=%g", a.CV)
	case OnOffArrival:
		return fmt.Sprintf("onoff:on=%s,off=%s", d(a.On), d(a.Off))
	case RampArrival:
		return fmt.Sprintf("ramp:from=%g,to=%g", a.From, a.To)
	case StepsArrival:
		var parts []string
		for _, s := range a.Steps {
			parts = append(parts, fmt.Sprintf("%gx%s", s.Rate, d(s.Hold)))
		}
		return "steps:" + strings.Join(parts, ",")
	case TraceArrival:
		if a.TimeScale != 1 {
			return fmt.Sprintf("trace:scale=%g", a.TimeScale)
		}
	}
	return string(a.Kind)
}

const arrivalForms = "write closed, constant, poisson, gamma:cv=3, onoff:on=2s,off=8s, ramp:from=1,to=20, steps:1x30s,5x30s or trace:scale=2"

// ParseArrival reads the text of an arrival, see [Arrival].
func ParseArrival(text string) (Arrival, error) {
	kind, rest, _ := strings.Cut(strings.TrimSpace(text), ":")
	a := Arrival{Kind: ArrivalKind(strings.ToLower(kind))}
	err := fmt.Errorf("%q is not an arrival; %s", text, arrivalForms)
	switch a.Kind {
	case "closed":
		a.Kind = ClosedLoop
	case ConstantArrival, PoissonArrival, GammaArrival, OnOffArrival, RampArrival, StepsArrival:
	case TraceArrival:
		a.TimeScale = 1
	default:
		return Arrival{}, err
	}
	if a.Kind == StepsArrival {
		if !a.parseSteps(rest) {
			return Arrival{}, err
		}
		return a, nil
	}
	for part := range strings.SplitSeq(rest, ",") {
		if rest != "" && !a.set(part) {
			return Arrival{}, err
		}
	}
	if !a.complete() {
		return Arrival{}, err
	}
	return a, nil
}

func (a *Arrival) parseSteps(text string) bool {
	for part := range strings.SplitSeq(text, ",") {
		rate, hold, found := strings.Cut(part, "x")
		v, err := strconv.ParseFloat(strings.TrimSpace(rate), 64)
		d, derr := time.ParseDuration(strings.TrimSpace(hold))
		if !found || err != nil || derr != nil || !(v >= 0 && v <= MaxRate) || d <= 0 {
			return false
		}
		a.Steps = append(a.Steps, RateStep{v, Duration(d)})
	}
	mean, _ := a.OwnRate()
	return mean > 0
}

// set takes one name=value of the text.
func (a *Arrival) set(part string) bool {
	name, value, _ := strings.Cut(part, "=")
	number, numErr := strconv.ParseFloat(strings.TrimSpace(value), 64)
	span, spanErr := time.ParseDuration(strings.TrimSpace(value))
	name = strings.TrimSpace(name)
	switch {
	case name == "cv" && a.Kind == GammaArrival:
		a.CV = number
	case name == "burstiness" && a.Kind == GammaArrival: // vllm bench's name for 1/CV²
		a.CV = 1 / math.Sqrt(number)
	case name == "from" && a.Kind == RampArrival:
		a.From = number
	case name == "to" && a.Kind == RampArrival:
		a.To = number
	case name == "scale" && a.Kind == TraceArrival:
		a.TimeScale = number
	case name == "on" && a.Kind == OnOffArrival:
		a.On, numErr = Duration(span), spanErr
	case name == "off" && a.Kind == OnOffArrival:
		a.Off, numErr = Duration(span), spanErr
	default:
		return false
	}
	return numErr == nil
}

// MaxRate is the highest rate that can be asked for, in requests per second.
const MaxRate = 1e6

// complete reports whether an arrival has all its parameters, each in its range.
func (a *Arrival) complete() bool {
	switch a.Kind {
	case GammaArrival:
		return a.CV > 0 && a.CV <= 100
	case OnOffArrival:
		return a.On > 0 && a.Off > 0 && a.On < maxDuration && a.Off < maxDuration
	case RampArrival:
		return a.From >= 0 && a.To >= 0 && a.From+a.To > 0 && a.From <= MaxRate && a.To <= MaxRate
	case TraceArrival:
		return a.TimeScale > 0 && a.TimeScale <= 1e6
	default:
		return true
	}
}

// MarshalText writes the arrival as ParseArrival reads it.
func (a Arrival) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the text of an arrival.
func (a *Arrival) UnmarshalText(b []byte) error {
	v, err := ParseArrival(string(b))
	if err == nil {
		*a = v
	}
	return err
}

// Pause is a distribution of think times. Its text is "5s", "exponential:5s" or
// "uniform:1s-9s"; the zero value is no pause at all.
type Pause struct {
	Exponential bool
	// Low and High bound the pause, equal for a fixed one; of an exponential pause
	// both are its mean.
	Low, High Duration
}

// IsZero reports whether there is no pause.
func (p Pause) IsZero() bool { return p == Pause{} }

// Mean is the mean pause.
func (p Pause) Mean() time.Duration { return (time.Duration(p.Low) + time.Duration(p.High)) / 2 }

// Quantile is the pause that a share u of the pauses, 0 ≤ u < 1, stays under.
func (p Pause) Quantile(u float64) time.Duration {
	if p.Exponential {
		return time.Duration(min(-float64(p.Low)*math.Log1p(-u), float64(maxDuration)))
	}
	return time.Duration(float64(p.Low) + u*float64(p.High-p.Low))
}

// String gives the text of the pause.
func (p Pause) String() string {
	low, high := time.Duration(p.Low).String(), time.Duration(p.High).String()
	switch {
	case p.Exponential:
		return "exponential:" + low
	case p.Low != p.High:
		return "uniform:" + low + "-" + high
	default:
		return low
	}
}

// MarshalText writes the pause as UnmarshalText reads it.
func (p Pause) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the text of a pause.
func (p *Pause) UnmarshalText(b []byte) error {
	kind, rest, found := strings.Cut(string(b), ":")
	if !found {
		kind, rest = "fixed", string(b)
	}
	low, high := rest, rest
	if kind == "uniform" {
		low, high, found = strings.Cut(rest, "-")
	}
	l, lerr := time.ParseDuration(low)
	h, herr := time.ParseDuration(high)
	if lerr != nil || herr != nil || l < 0 || h < l || Duration(h) > maxDuration ||
		kind != "fixed" && kind != "exponential" && (kind != "uniform" || !found) {
		return fmt.Errorf("%q is not a pause; write 5s, exponential:5s or uniform:1s-9s", b)
	}
	*p = Pause{Exponential: kind == "exponential", Low: Duration(l), High: Duration(h)}
	return nil
}
