package capacity

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/arrival"
	"github.com/inferbook/inferbook/runner/sim"
)

// measurement is what came of a load.
type measurement struct {
	load     float64
	answers  []answer // of the measured requests
	steady   bool
	window   time.Duration // in which they arrived, or ended in a closed loop
	inFlight float64       // mean number in the server over the window
	tokens   float64       // output tokens of the window, a second
	usage    sim.Usage     // of the window
}

// answer is one measured request.
type answer struct {
	arrive, first, finish time.Duration
	output, preemptions   int
}

func (a *answer) ttft() time.Duration { return a.first - a.arrive }
func (a *answer) e2e() time.Duration  { return a.finish - a.arrive }

// tpot is the time per token after the first; false for an answer of one token.
func (a *answer) tpot() (time.Duration, bool) {
	if a.output < 2 {
		return 0, false
	}
	return (a.finish - a.first) / time.Duration(a.output-1), true
}

// ask is the length of a prompt and of its answer.
type ask struct{ prompt, output int }

// ask draws a request. A length without an end is cut at its longest, which one in a
// thousand exceeds.
func (w Workload) ask(rng *rand.Rand) ask {
	draw := func(l experiment.Length) int {
		nominal := min(l.Quantile(rng.Float64()), l.Longest())
		return w.stretch(nominal, 2*rng.Float64()-1)
	}
	prompt := draw(w.Input)
	return ask{prompt, draw(w.Output)}
}

// Streams of random numbers, so that lengths do not hang on how many other draws there are.
const (
	forLengths = 0x6c656e
	forUsers   = 0x757372
)

// open is a point of an open loop. Arrivals are set one after the other, so that none
// come once the last measured request has ended.
type open struct {
	loop  *sim.Loop
	times []time.Duration
	asks  []ask
	size  size

	first, finish []time.Duration // by request: its first token, or its end where it has none; Never while that is to come
	answers       []answer
	left          int // measured requests that have not ended
	before, after sim.Usage
	err           error
}

// rate sends a rate to replicas of a deployment.
func (q Question) rate(d sim.Deployment, seed uint64, rate float64, s size) (*measurement, error) {
	// The last measured requests end under load: as many follow as came before.
	n := 2*s.warmup + s.requests
	times, err := arrival.Times(q.Workload.Arrival, rate, n, 0, seed)
	if err != nil {
		return nil, err
	}
	if q.Workload.Arrival.Kind == experiment.ConstantArrival {
		// Requests that keep time with the steps would all meet them at one phase.
		shift := time.Duration(rand.New(rand.NewPCG(seed, forUsers)).Float64() / rate * 1e9)
		for i := range times {
			times[i] += shift
		}
	}
	o := &open{loop: sim.NewLoop(d, seed, d.Jitter), times: times, size: s, left: s.requests,
		asks: make([]ask, n), first: make([]time.Duration, n), finish: make([]time.Duration, n)}
	rng := rand.New(rand.NewPCG(seed, forLengths))
	for i := range o.asks {
		o.asks[i], o.first[i], o.finish[i] = q.Workload.ask(rng), sim.Never, sim.Never
	}
	o.loop.TokenTimes(false)
	o.feed(0)
	if err := cmp.Or(o.loop.Run(o.done), o.err); err != nil {
		return nil, fmt.Errorf("simulating %g requests a second: %w", rate, err)
	}
	return o.measurement(rate, q.Workload.Arrival.CV), nil
}

// feed sets the arrival of the i-th request, and from there on those after it.
func (o *open) feed(i int) {
	if i == len(o.times) {
		return
	}
	o.loop.At(o.times[i], func() {
		switch i {
		case o.size.warmup:
			o.before = o.loop.Usage()
		case o.size.warmup + o.size.requests:
			o.after = o.loop.Usage()
		}
		if o.left == 0 && i >= o.size.warmup+o.size.requests {
			return
		}
		o.err = cmp.Or(o.err, o.loop.Submit(sim.Request{ID: strconv.Itoa(i), Arrive: o.times[i],
			PromptTokens: o.asks[i].prompt, MaxTokens: o.asks[i].output, OutputTokens: o.asks[i].output}))
		o.feed(i + 1)
	})
}

func (o *open) done(t sim.Truth) {
	i, err := strconv.Atoi(t.ID)
	if err != nil {
		o.err = cmp.Or(o.err, err)
		return
	}
	o.first[i], o.finish[i] = t.FirstToken, t.Finish
	if t.FirstToken == sim.Never {
		o.first[i] = t.Finish
	}
	if i < o.size.warmup || i >= o.size.warmup+o.size.requests {
		return
	}
	o.answers = append(o.answers, answerOf(t))
	if o.left--; o.left > 0 {
		return
	}
	for j := range o.finish {
		if o.finish[j] == sim.Never && o.times[j] <= o.loop.Now() {
			o.loop.Cancel(strconv.Itoa(j))
		}
	}
}

func answerOf(t sim.Truth) answer {
	return answer{t.Arrive, t.FirstToken, t.Finish, t.OutputTokens, t.Preemptions}
}

const (
	// quarter is the part of the measured arrivals whose mean in the server is compared.
	quarter = 4
	// pilesBar is the share of the arrivals from one to the other that the number may grow by.
	pilesBar = 0.025
	// swing is the share by which the number of those under way changes by chance when
	// nothing piles up. It is that of a batch near its knee, where one more request slows all the others.
	swing = 0.25
)

func (o *open) measurement(rate, cv float64) *measurement {
	from, to := o.times[o.size.warmup], o.times[o.size.warmup+o.size.requests]
	slices.SortFunc(o.answers, func(a, b answer) int { return cmp.Compare(a.arrive, b.arrive) })
	return newMeasurement(rate, o.answers, o.steady(cv), inServer(o.times, o.finish, from, to), to-from, o.before, o.after)
}

// steady reports whether requests do not pile up: neither those without a first token
// nor all of them, of which an engine that fills up holds ever more.
func (o *open) steady(cv float64) bool {
	first, last := o.size.warmup, o.size.warmup+o.size.requests
	part := o.size.requests / quarter
	growth := func(until []time.Duration) (early, growth float64) {
		early = inServer(o.times, until, o.times[first], o.times[first+part])
		return early, inServer(o.times, until, o.times[last-part], o.times[last]) - early
	}
	// A Poisson stream's own noise stays in, and shows in what the seeds differ by.
	arrived := float64(o.size.requests - part)
	bar := pilesBar*arrived + burst(cv, arrived)
	_, waiting := growth(o.first)
	early, all := growth(o.finish)
	return waiting <= bar && all <= bar+swing*early
}

// burst is how much the number of arrivals in a time varies beyond a Poisson stream's
// when the gaps have a coefficient of variation, for so many of them on average: one
// standard deviation.
func burst(cv, arrived float64) float64 { return math.Sqrt(max(cv*cv-1, 0) * arrived) }

// inServer is the mean number of requests between two times that have arrived and are not
// at the time in until yet; one whose time is Never did not arrive.
func inServer(arrive, until []time.Duration, from, to time.Duration) float64 {
	if to <= from {
		return 0
	}
	sum := time.Duration(0)
	for i, end := range until {
		if end != sim.Never {
			sum += max(0, min(end, to)-max(arrive[i], from))
		}
	}
	return float64(sum) / float64(to-from)
}
