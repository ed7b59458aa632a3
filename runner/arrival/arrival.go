// Package arrival says when the requests of an open loop are sent.
//
// It believes that a run should offer the load that was asked for, and not one
// random draw of it: of 10,000 Poisson arrivals the mean rate has a standard
// deviation of 1 %, of as many gamma arrivals with CV 3 one of 3 %, and such noise
// would stand in every comparison of two runs. So the gaps are stratified. The n gaps
// of a run are quantiles of the gap's distribution, one from each of n shares of
// equal probability, put into a random order by the seed and scaled to the
// exact mean. This means:
//
//   - each seed has the asked distribution of gaps, with its mean and, as far as
//     n gaps can show it, its coefficient of variation (CV);
//   - the order is random, so gaps that follow one another are independent but for
//     one part in n, and the counts in windows short against the run are those
//     of the renewal process: as bursty as was asked;
//   - the total over the run is fixed, so counts in windows that are a good part of
//     the run vary less than those of a renewal process.
//
// The highest of the n shares has no upper end. A draw from it alone would
// undo the CV of a very bursty process (by 4 % at CV 13 and n = 10,000), so its gap is the
// mean of the share. A CV of √n or more needs more than n gaps, and is not reached.
//
// A process begins at 0 as if a request had been sent then: its first arrival comes after
// its first gap. Constant arrivals alone begin with one at 0.
//
// It is arithmetic: it reads no clock, and the same arguments give the same times.
package arrival

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// Most is the highest number of arrivals of one schedule, and Longest its longest time.
const (
	Most    = 10_000_000
	Longest = 10 * 365 * 24 * time.Hour
)

// Times gives the times of the arrivals from the start of the run, in
// non-decreasing order. The rate is their mean in requests per second, over 0 to
// [experiment.MaxRate]; a ramp and steps carry their own, and it is not looked at.
//
// There are n arrivals (n > 0), or those before until (until > 0), whichever are
// fewer; steps need neither and end with their last. Without n the time until holds
// exactly as many as the rate says, rounded; the silence after the last one is a gap too.
// A ramp lasts until, or without it the time in which n arrivals fall.
//
// It is an error to ask for a closed loop, which has no schedule, for a trace, whose
// times are in its file (see [Replay]), for nothing that ends the
// arrivals, or for more than [Most] of them or longer than [Longest].
func Times(a experiment.Arrival, rate float64, n int, until time.Duration, seed uint64) ([]time.Duration, error) {
	if err := check(a, rate, n, until); err != nil {
		return nil, err
	}
	c := clockOf(a, rate, n, until)
	if a.Kind == experiment.ConstantArrival {
		return constant(c, n, until)
	}
	expected := c.mass // arrivals until the end; infinite without one
	count, gaps, sum := n, n, float64(n)
	if whole := math.Round(expected); n == 0 || whole <= float64(n) {
		if whole > Most {
			return nil, tooMany(whole)
		}
		count, gaps, sum = int(whole), int(whole)+1, expected
	}
	if count == 0 {
		return nil, nil
	}
	at := make([]time.Duration, count)
	if _, carries := a.OwnRate(); !carries && !(sum/rate < Longest.Seconds()) {
		return nil, tooLong()
	}
	law := exponential(gaps)
	if a.Kind == experiment.GammaArrival {
		law = gamma(1/(a.CV*a.CV), gaps)
	}
	passed := 0.0
	units := stratified(law, gaps, sum, seed)
	for i := range at {
		passed += units[i]
		t := c.at(min(passed, sum))
		if !(t < Longest.Seconds()) {
			return nil, tooLong()
		}
		at[i] = c.wall(time.Duration(math.Round(t * 1e9)))
	}
	return within(at, until), nil
}

// within keeps rounding from putting the last arrivals at the end, or beyond it.
func within(at []time.Duration, until time.Duration) []time.Duration {
	for i := len(at) - 1; until > 0 && i >= 0 && at[i] >= until; i-- {
		at[i] = until - 1
	}
	return at
}

func constant(c clock, n int, until time.Duration) ([]time.Duration, error) {
	count := float64(n)
	if until > 0 {
		if whole := math.Ceil(c.mass); n == 0 || whole < count {
			count = whole
		}
	}
	if count > Most {
		return nil, tooMany(count)
	}
	if !(c.at(count) < Longest.Seconds()) {
		return nil, tooLong()
	}
	at := make([]time.Duration, 0, int(count))
	for i := range int(count) {
		t := time.Duration(math.Round(c.at(float64(i)) * 1e9))
		if until > 0 && t >= until { // the product rate·until was rounded up
			break
		}
		at = append(at, t)
	}
	return at, nil
}

func check(a experiment.Arrival, rate float64, n int, until time.Duration) error {
	switch a.Kind {
	case experiment.ClosedLoop:
		return errors.New("a closed loop has no schedule: its requests follow the answers; ask for an open arrival such as poisson")
	case experiment.TraceArrival:
		return errors.New("the times of a trace are in its data file; replay those")
	}
	if _, err := experiment.ParseArrival(a.String()); err != nil {
		return err
	}
	_, carries := a.OwnRate()
	switch {
	case !carries && !(rate > 0 && rate <= experiment.MaxRate):
		return fmt.Errorf("the rate is %g; write one over 0 to %g requests per second", rate, float64(experiment.MaxRate))
	case n < 0 || until < 0:
		return fmt.Errorf("%d arrivals in %s cannot be; write a number and a time from 0", n, until)
	case n == 0 && until == 0 && a.Kind != experiment.StepsArrival:
		return fmt.Errorf("the arrival %s has no end; give a number of arrivals or a time", a)
	case n > Most:
		return tooMany(float64(n))
	case until > Longest:
		return tooLong()
	}
	return nil
}

func tooMany(n float64) error {
	return fmt.Errorf("the schedule would have %.0f arrivals, and %d is the most; lower the rate, the time or the number", n, Most)
}

func tooLong() error {
	return errors.New("the schedule would last longer than ten years; raise the rate, or lower the time or the number of arrivals")
}

// CV gives the coefficient of variation, standard deviation ÷ mean, that the gaps of
// the arrival have in theory at a mean rate in requests per second. It is NaN for a ramp,
// steps, a trace and a closed loop, whose gaps have no one distribution.
//
// For on/off: let X be the time of On between two arrivals, exponential of rate
// λ = rate·(On+Off)/On, a = λ·On the arrivals in a phase, and N the number of phase
// ends between the two. As the earlier arrival lies anywhere in its phase alike,
// N given X is X/On rounded up or down with X/On as its mean, so
//
//	E[N] = 1/a,  E[X·N] = 2·On/a²,  E[N²] = E[(X/On)²] + E[f − f²] = coth(a/2)/a
//
// with f the fraction of X/On. The gap is X + Off·N; its mean is (On+Off)/a = 1/rate and
//
//	CV² = (2·On² + 4·On·Off + Off²·a·coth(a/2)) / (On+Off)² − 1
func CV(a experiment.Arrival, rate float64) float64 {
	switch a.Kind {
	case experiment.ConstantArrival:
		return 0
	case experiment.PoissonArrival:
		return 1
	case experiment.GammaArrival:
		return a.CV
	case experiment.OnOffArrival:
		on, off := time.Duration(a.On).Seconds(), time.Duration(a.Off).Seconds()
		inPhase := rate * (on + off)
		square := 2*on*on + 4*on*off + off*off*inPhase/math.Tanh(inPhase/2)
		return math.Sqrt(square/((on+off)*(on+off)) - 1)
	default:
		return math.NaN()
	}
}

// Replay gives the times of a trace divided by the scale, which is above 0: 2 replays it
// twice as fast. A time beyond [Longest] becomes that.
func Replay(at []time.Duration, scale float64) []time.Duration {
	out := make([]time.Duration, len(at))
	for i, t := range at {
		out[i] = time.Duration(math.Round(min(float64(t)/scale, float64(Longest))))
	}
	return out
}

// Observe gives the mean rate in requests per second that a schedule has, and the CV of
// its gaps. The gaps are those from 0 to the first arrival, unless that is at 0, and from each
// to the next. Both are NaN where there is no gap, or none above 0.
func Observe(times []time.Duration) (rate, cv float64) {
	if len(times) > 0 && times[0] == 0 {
		times = times[1:]
	}
	if len(times) == 0 || times[len(times)-1] <= 0 {
		return math.NaN(), math.NaN()
	}
	n := float64(len(times))
	mean := float64(times[len(times)-1]) / n
	last, squares := time.Duration(0), 0.0
	for _, t := range times {
		d := float64(t-last) - mean
		squares, last = squares+d*d, t
	}
	return 1e9 / mean, math.Sqrt(squares/n) / mean
}
