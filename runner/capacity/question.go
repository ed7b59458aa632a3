// Package capacity asks the simulated engine what would be: the largest load that a
// deployment serves within an SLO, and how many of it a demand takes. It runs in virtual
// time, on no server and no clock, and the same question has the same answer to the
// last bit.
//
// It believes that a capacity is a load and not a speed: the largest at which the
// objectives hold while requests do not pile up. It is looked for as [analysis.Searcher]
// does, by doubling and by halving the bracket in the logarithm to 3 %, once for each of several
// seeds. A seed has arrivals, lengths and think times of its own, and keeps them at
// each load: the gaps are the same but for their scale, and but for the phases of on/off
// arrivals, which keep their lengths. So within a seed a higher load asks
// the same of the engine in less time, and chance hardly turns a verdict between two
// points. What chance does to the result is what the seeds differ by, and is shown.
//
// # Steady state
//
// The engine is empty at first, and what meets an empty engine is served too well. Of each
// point the first requests are left out: a quarter as many as are measured, and at least
// three times as many as the engine can run at once. By Little's law the latter is three
// mean stays, after which few are left that met the empty engine. Requests go on until the last
// measured one has ended. Requests pile up when over the last quarter of the measured
// arrivals more of them are in the server than over the first, on average, by more than
// 2.5 % of those that arrive from the one to the other: of those without a first token, or of
// all, whose number near the knee swings by a quarter of itself besides.
//
// In a closed loop of N users the first requests of all are spread over a think time
// and a lone answer; 3·N requests at least are left out and 5·N measured, by the order of
// their ends, so that X = N/(R+Z), the interactive response-time law, holds of what is
// measured.
package capacity

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
)

// Question is what to look for.
type Question struct {
	// Deployment is one replica. Of its replicas and router only the router is looked
	// at, and only with a demand; its jitter applies, and Seed stands in for its seed.
	Deployment sim.Deployment
	Workload   Workload
	SLO        experiment.SLO
	// Users searches over the number of users of a closed loop, else the search is over the rate
	// of an open one.
	Users bool
	// Demand is a load to be served, in requests a second or users; 0 = none.
	Demand float64

	// Requests is how many are measured at a point; 0 = 2,000. Arrivals whose gaps have a CV
	// above 1.5 need more, by its square and up to ten times as many, and get them; so do
	// many replicas and many users.
	Requests int
	Seeds    int    // searches, 1 to 100; 0 = 5
	Seed     uint64 // of the first; the others follow it
}

// Workload is what is asked of the engine. Prompts share no beginnings, so that a router
// by prefix finds none to go by, and each answer is as long as its limit.
type Workload struct {
	Name          string // of a preset; "" = none
	Input, Output experiment.Length
	// Jitter is the share by which each length is off at most, evenly, 0–1.
	Jitter float64
	// Arrival is constant, poisson, gamma or onoff; the zero value means poisson. With users it is not
	// looked at.
	Arrival experiment.Arrival
	// Think is the pause of a user between an answer and the next request.
	Think experiment.Pause
}

const (
	defaultRequests = 2000
	defaultSeeds    = 5
	mostSeeds       = 100
	leastRequests   = 100
	mostRequests    = 1_000_000
	// bursty is the CV of gaps from which on more requests are needed.
	bursty = 1.5
	// mostReplicas is the most engines behind a router.
	mostReplicas = 256
)

// Check reports what makes a question impossible to answer, in one sentence for each: an SLO that
// judges nothing or bounds what a simulation does not have, a workload that the
// deployment cannot hold, a number out of range.
func (q Question) Check() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if !q.SLO.Judges() {
		bad("the SLO has no part that a load is judged by; give a quantile, as in ttft.p95<500ms, or a share, as in goodput>=95%%")
	}
	if latency := func(o experiment.Objective) bool { return o.Judges() && o.Metric != "errors" }; q.Users && q.SLO.Judges() && !slices.ContainsFunc(q.SLO, latency) {
		bad("the SLO bounds errors alone, which no number of users makes; give a latency at a quantile, as in ttft.p95<500ms")
	}
	if slices.ContainsFunc(q.SLO, func(o experiment.Objective) bool { return o.Metric == "tpot" }) && q.Workload.Output.Longest() < 2 {
		bad("the SLO bounds tpot, and answers of one token have no time per token; leave it out, or give longer answers")
	}
	if q.Workload.Input.IsZero() || q.Workload.Output.IsZero() {
		bad("the workload has no lengths; give those of the prompt and of the answer")
	}
	if !(q.Workload.Jitter >= 0 && q.Workload.Jitter < 1) {
		bad("jitter is %g; give a share from 0 up to, and without, 1", q.Workload.Jitter)
	}
	switch q.Workload.Arrival.Kind {
	case experiment.ClosedLoop, experiment.ConstantArrival, experiment.PoissonArrival, experiment.GammaArrival, experiment.OnOffArrival:
	default:
		bad("the arrival %s brings its own load, and the search looks for one; give constant, poisson, gamma or onoff", q.Workload.Arrival)
	}
	if !q.Users && !q.Workload.Think.IsZero() {
		bad("a think time is a user's, and the search is over a rate; search over users")
	}
	if q.Requests < 0 || q.Requests > 0 && q.Requests < leastRequests || q.Requests > mostRequests {
		bad("requests is %d; give %d to %d", q.Requests, leastRequests, mostRequests)
	}
	if q.Seeds < 0 || q.Seeds > mostSeeds {
		bad("seeds is %d; give 1 to %d", q.Seeds, mostSeeds)
	}
	most := experiment.MaxRate
	if q.Users {
		most = experiment.MaxConcurrency
	}
	if !(q.Demand >= 0 && q.Demand <= most) || q.Users && q.Demand != math.Trunc(q.Demand) {
		bad("the demand is %g; give a load over 0 to %g, of users a whole number", q.Demand, most)
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	return q.fits()
}

// fits reports a workload whose longest request the deployment cannot serve.
func (q Question) fits() error {
	in, out := q.Workload.stretch(q.Workload.Input.Longest(), 1), q.Workload.stretch(q.Workload.Output.Longest(), 1)
	err := sim.NewLoop(q.Deployment, 0, 0).Submit(sim.Request{ID: "longest", PromptTokens: in, MaxTokens: out, OutputTokens: out})
	if err != nil {
		return fmt.Errorf("%s cannot serve every request of the workload: %w", name(q.Deployment), err)
	}
	return nil
}

// withDefaults fills in what is zero.
func (q Question) withDefaults() Question {
	if q.Requests == 0 {
		q.Requests = defaultRequests
	}
	if q.Seeds == 0 {
		q.Seeds = defaultSeeds
	}
	if q.Workload.Arrival.Kind == experiment.ClosedLoop {
		q.Workload.Arrival.Kind = experiment.PoissonArrival
	}
	q.Deployment.Replicas = 1
	return q
}

// stretch is a nominal length with its jitter at a place u from −1 to 1.
func (w Workload) stretch(nominal int, u float64) int {
	return max(1, int(math.Round(float64(nominal)*(1+w.Jitter*u))))
}

// text names the workload and how it comes.
func (q Question) text() string {
	w := q.Workload
	text := analysis.LengthText(w.Input) + " → " + analysis.LengthText(w.Output) + " tokens"
	if w.Name != "" {
		text = w.Name + ": " + text
	}
	switch {
	case !q.Users:
		return text + ", arrivals " + w.Arrival.String()
	case w.Think.IsZero():
		return text + ", users who do not pause"
	default:
		return text + ", users who think for " + w.Think.String()
	}
}

// name names a replica in a few words.
func name(d sim.Deployment) string {
	return fmt.Sprintf("%d× %s %s %s %s", d.Count, d.GPU.Name, d.Model.Name, d.Precision, d.Runtime.Name)
}

// size is how many requests of a point come before the measured ones, and how many those are.
type size struct{ warmup, requests int }

// size gives that of a point with replicas and, in a closed loop, users.
func (q Question) size(replicas, users int) size {
	if q.Users {
		n := max(q.Requests, 5*users)
		return size{max(q.Requests/4, 3*users), n}
	}
	n := q.Requests
	if cv := q.Workload.Arrival.CV; cv > bursty {
		n = int(math.Ceil(float64(n) * min(cv*cv, 10)))
	}
	n = max(n, replicas*max(n/10, q.atOnce()))
	return size{max(n/4, 3*replicas*q.atOnce()), n}
}

// atOnce is about how many requests of the workload a replica can run at once.
func (q Question) atOnce() int {
	stay := q.Workload.Input.Average() + q.Workload.Output.Average()/2
	return max(1, min(q.Deployment.MaxSeqs, int(float64(q.Deployment.KVTokens)/stay)))
}

// lone is how long an answer of mean length takes that has the engine to itself.
func (q Question) lone() (time.Duration, error) {
	loop := sim.NewLoop(q.Deployment, 0, 0)
	loop.TokenTimes(false)
	out := q.Workload.Output.Nominal()
	if err := loop.Submit(sim.Request{ID: "lone", PromptTokens: max(1, q.Workload.Input.Nominal()), MaxTokens: max(1, out), OutputTokens: max(1, out)}); err != nil {
		return 0, err
	}
	var took time.Duration
	err := loop.Run(func(t sim.Truth) { took = t.E2E() })
	return took, err
}
