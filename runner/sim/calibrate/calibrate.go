// Package calibrate fits the simulated engine to a person's own measured sweep. It
// believes that five numbers are enough, since the shape of a load curve comes from
// the step loop, and that a fit is worth what it says of points it has not seen.
package calibrate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/optimize"

	"github.com/inferbook/inferbook/runner/sim"
)

// Point is one measured level of a closed loop.
type Point struct {
	Name    string // where it comes from, such as "exp-5 c=4"
	Workers int
	// Requests are the lengths of all requests in the order in which they were sent,
	// the warm-up first.
	Requests []Request
	// TPOT and TTFT are the medians of the measured requests in ms; Warmup requests
	// are not among these.
	TPOT, TTFT float64
	Warmup     int
}

// Request is the length of one request in tokens.
type Request struct{ Prompt, Output int }

// Result is what a fit found.
type Result struct {
	Constants sim.Constants
	// Memory and Compute are the shares of bandwidth and peak that matrix products
	// reach. A share that no point depends on is left at the catalogue's, and 0 here.
	Memory, Compute float64
	// Residuals compare each point with the fit, Before with the catalogue as it is.
	Residuals []Residual
	Before    Errors
	After     Errors
	// HeldOut is the error of points at loads that a fit to the others did not see,
	// each quarter of the loads in its turn. It is what the profile claims.
	HeldOut Errors
	// Weak names the constants that the points say little about.
	Weak []string
	// Evaluations counts the simulated sweeps.
	Evaluations int
}

// Residual is one point under the fit, in ms.
type Residual struct {
	Name                         string
	TPOT, TPOTFit, TTFT, TTFTFit float64
}

// Errors are mean and 90 % quantile of |simulated ÷ measured − 1| of the time per
// token, and the mean of that of TTFT.
type Errors struct{ TPOT, TPOT90, TTFT float64 }

// What a fit asks for.
const (
	// MinPoints is how many different loads five constants need at the least.
	MinPoints = 6
	minLevels = 3
	// contradiction is by how much two points of one load may differ.
	contradiction = 1.25
	// hopeless is the error of the time per token that no choice of constants
	// should leave; a fit that does is refused.
	hopeless = 0.35
	folds    = 4
	// Workers of a run start so far apart, and all within staggerMax.
	staggerStep = 10 * time.Millisecond
	staggerMax  = time.Second
	// ttftWeight is what TTFT counts beside the time per token: it hangs on how
	// clients fall into step, which is chance.
	ttftWeight = 0.3
)

// Fit finds the constants under which the simulated engine of cfg comes nearest to
// the points. The error says what the points lack: there are too few, of too few
// levels, they contradict each other, or nothing explains them.
func Fit(cfg sim.Config, points []Point) (Result, error) {
	if err := check(points); err != nil {
		return Result{}, err
	}
	d, err := cfg.Resolve()
	if err != nil {
		return Result{}, fmt.Errorf("fitting the simulated engine: %w", err)
	}
	f := newFitter(d)
	start := f.start()
	for i := range points { // what the engine cannot serve, it cannot explain
		if _, _, err := f.simulate(start, &points[i]); err != nil {
			return Result{}, fmt.Errorf("%s: %w", points[i].Name, err)
		}
	}
	best, err := f.minimise(points, 300)
	if err != nil {
		return Result{}, err
	}
	r := Result{Before: f.errors(start, points), Weak: f.weak(best, points)}
	for _, i := range []int{memory, compute} { // what the points do not tell stays the catalogue's
		if slices.Contains(r.Weak, parameterNames[i]) {
			best[i] = start[i]
		}
	}
	r.After = f.errors(best, points)
	for i := range points {
		p := &points[i]
		tpot, ttft, _ := f.simulate(best, p)
		r.Residuals = append(r.Residuals, Residual{p.Name, p.TPOT, tpot, p.TTFT, ttft})
	}
	if r.After.TPOT > hopeless {
		worst := slices.MaxFunc(r.Residuals, func(a, b Residual) int {
			return cmp.Compare(math.Abs(math.Log(a.TPOTFit/a.TPOT)), math.Abs(math.Log(b.TPOTFit/b.TPOT)))
		})
		return Result{}, fmt.Errorf("no constants explain these points: the best leave %.0f %% on average, and %s was measured at %.3g ms a token where they give %.3g; is it the right GPU, model, precision and runtime?",
			100*r.After.TPOT, worst.Name, worst.TPOT, worst.TPOTFit)
	}
	if r.HeldOut, err = f.holdOut(points); err != nil {
		return Result{}, err
	}
	r.Constants, r.Memory, r.Compute = f.result(best)
	if slices.Contains(r.Weak, parameterNames[memory]) {
		r.Memory = 0
	}
	if slices.Contains(r.Weak, parameterNames[compute]) {
		r.Compute = 0
	}
	r.Evaluations = f.evaluations
	return r, nil
}

func check(points []Point) error {
	levels := map[int]bool{}
	for _, p := range points {
		if p.Workers < 1 || len(p.Requests) <= p.Warmup || !(p.TPOT > 0) || !(p.TTFT > 0) {
			return fmt.Errorf("%s has no workers, no measured requests, or no time per token and to first token; it must be a streamed closed loop", p.Name)
		}
		if n := len(p.Requests) - p.Warmup; n < p.Workers {
			return fmt.Errorf("%s has %d measured requests for %d workers; give each at least one with -n %d, better four", p.Name, n, p.Workers, p.Workers)
		}
		levels[p.Workers] = true
	}
	if loads := distinct(points); loads[len(loads)-1]+1 < MinPoints || len(levels) < minLevels {
		return fmt.Errorf("%d loads at %d levels are too few for five constants, which need at least %d loads at %d levels; measure for example c=1, 4, 16 and 64 at two prompt lengths",
			loads[len(loads)-1]+1, len(levels), MinPoints, minLevels)
	}
	for i, p := range points {
		for _, q := range points[:i] {
			if p.Workers == q.Workers && alike(p.mean(), q.mean()) && math.Max(p.TPOT/q.TPOT, q.TPOT/p.TPOT) > contradiction {
				return fmt.Errorf("%s and %s contradict each other: one load, and %.3g against %.3g ms a token; measure again, or leave one out", q.Name, p.Name, q.TPOT, p.TPOT)
			}
		}
	}
	return nil
}

// distinct numbers the loads of the points, those of one load alike, from 0; the last
// element is the highest number.
func distinct(points []Point) []int {
	numbers, most := make([]int, len(points)+1), -1
	for i := range points {
		numbers[i] = -1
		for j := range points[:i] {
			if points[i].Workers == points[j].Workers && alike(points[i].mean(), points[j].mean()) {
				numbers[i] = numbers[j]
				break
			}
		}
		if numbers[i] < 0 {
			most++
			numbers[i] = most
		}
	}
	numbers[len(points)] = most
	return numbers
}

// mean is the mean length of the requests.
func (p *Point) mean() Request {
	var sum Request
	for _, r := range p.Requests {
		sum.Prompt, sum.Output = sum.Prompt+r.Prompt, sum.Output+r.Output
	}
	n := len(p.Requests)
	return Request{sum.Prompt / n, sum.Output / n}
}

// alike reports lengths within a tenth of each other.
func alike(a, b Request) bool {
	near := func(x, y int) bool { return 10*max(x-y, y-x) <= max(x, y) }
	return near(a.Prompt, b.Prompt) && near(a.Output, b.Output)
}

// fitter holds the deployment whose constants vary. Parameters are logarithms.
type fitter struct {
	d           sim.Deployment
	eager       bool // the host launches each kernel: its floor is fitted in place of a step's constant
	kernels     sim.Kernels
	evaluations int
}

// The parameters of a fit, in this order.
const (
	host = iota // µs a step, or µs a layer where kernels are launched one by one
	perSequence
	memory
	compute
	way // µs from a step's end to the client
	parameters
)

var parameterNames = [parameters]string{"the time of a step", "the time of a sequence", "the share of the bandwidth", "the share of the peak", "the way to the client"}

// bounds keep a parameter where it means something.
var bounds = [parameters][2]float64{host: {1, 1e6}, perSequence: {0.1, 1e4}, memory: {0.02, 1}, compute: {0.01, 1}, way: {1, 1e7}}

func newFitter(d sim.Deployment) *fitter {
	return &fitter{d: d, eager: d.Runtime.Constants.Eager > 0, kernels: d.Arithmetic()}
}

// start is the catalogue as it is.
func (f *fitter) start() []float64 {
	return f.logarithms(f.d.Runtime.Constants, f.kernels)
}

// starts are the catalogue as it is, and a server near by with a slower GPU.
func (f *fitter) starts() [][]float64 {
	near := f.d.Runtime.Constants
	near.Net, near.Seq = 3000, 30
	slower := f.kernels
	slower.Memory, slower.Compute = .8*slower.Memory, .8*slower.Compute
	return [][]float64{f.start(), f.logarithms(near, slower)}
}

func (f *fitter) logarithms(c sim.Constants, k sim.Kernels) []float64 {
	first := c.Step
	if f.eager {
		first = c.Eager
	}
	x := make([]float64, parameters)
	for i, v := range [parameters]float64{host: first, perSequence: max(c.Seq, 10), memory: k.Memory, compute: k.Compute, way: c.Net} {
		x[i] = math.Log(v)
	}
	return x
}

// value is a parameter within its bounds.
func value(x []float64, i int) float64 {
	return min(max(math.Exp(x[i]), bounds[i][0]), bounds[i][1])
}

// deployment gives the deployment with the parameters in their places.
func (f *fitter) deployment(x []float64) sim.Deployment {
	c := f.d.Runtime.Constants
	if f.eager {
		c.Eager = value(x, host)
	} else {
		c.Step = value(x, host)
	}
	c.Seq, c.Net = value(x, perSequence), value(x, way)
	return f.d.WithConstants(c, value(x, memory), value(x, compute))
}

func (f *fitter) result(x []float64) (c sim.Constants, mem, comp float64) {
	d := f.deployment(x)
	c = d.Runtime.Constants
	for _, v := range []*float64{&c.Step, &c.Eager, &c.Seq, &c.Net} {
		*v = threeDigits(*v)
	}
	return c, threeDigits(value(x, memory)), threeDigits(value(x, compute))
}

// threeDigits is more than a fit knows.
func threeDigits(v float64) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow(10, 2-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// simulate gives the medians of a point in ms under the parameters: as many workers
// send the same requests one after the other, and go on as those of a run do until the
// last measured one has ended.
func (f *fitter) simulate(x []float64, p *Point) (tpot, ttft float64, err error) {
	loop := sim.NewLoop(f.deployment(x), 1, 0)
	next, left := 0, len(p.Requests)
	submit := func(at time.Duration) {
		r := p.Requests[next%len(p.Requests)]
		e := loop.Submit(sim.Request{ID: fmt.Sprintf("%06d", next), Arrive: at, PromptTokens: r.Prompt, MaxTokens: r.Output, OutputTokens: r.Output})
		err = errors.Join(err, e)
		next++
	}
	// Workers start a little apart, as those of a run do.
	for i := range p.Workers {
		submit(min(staggerStep, staggerMax/time.Duration(p.Workers)) * time.Duration(i))
	}
	var tpots, ttfts []float64
	ends := loop.Run(func(t sim.Truth) {
		number := number(t.ID)
		if number < len(p.Requests) {
			left--
		}
		if number >= p.Warmup && number < len(p.Requests) {
			ttfts = append(ttfts, t.TTFT().Seconds()*1e3)
			if t.OutputTokens > 1 {
				tpots = append(tpots, (t.Finish-t.FirstToken).Seconds()*1e3/float64(t.OutputTokens-1))
			}
		}
		if left > 0 && err == nil {
			submit(loop.Now())
		}
	})
	if err = errors.Join(err, ends); err != nil {
		return 0, 0, err
	}
	return median(tpots), median(ttfts), nil
}

func number(id string) int {
	n := 0
	for _, c := range []byte(id) {
		n = 10*n + int(c-'0')
	}
	return n
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// deviation is |log ratio| for what is far off, so that one outlier does not rule, and
// its square for what is near, so that a simplex finds the bottom (Huber 1964).
func deviation(ratio float64) float64 {
	const near = .05
	x := math.Abs(math.Log(ratio))
	if x < near {
		return x * x / (2 * near)
	}
	return x - near/2
}

// loss is the mean deviation over the points, and a little for each parameter beyond
// its bounds.
func (f *fitter) loss(x []float64, points []Point) float64 {
	f.evaluations++
	sum := 0.0
	for i := range points {
		p := &points[i]
		tpot, ttft, err := f.simulate(x, p)
		if err != nil || math.IsNaN(tpot) {
			return math.Inf(1)
		}
		sum += deviation(tpot/p.TPOT) + ttftWeight*deviation(ttft/p.TTFT)
	}
	sum /= float64(len(points))
	for i := range x {
		sum += math.Abs(x[i] - math.Log(value(x, i)))
	}
	return sum
}

// minimise runs the simplex of Nelder and Mead (1965) from each start, and from the best
// end once more: a simplex that has collapsed onto a ridge is opened again.
func (f *fitter) minimise(points []Point, evaluations int) ([]float64, error) {
	var best []float64
	least := math.Inf(1)
	starts := f.starts()
	for i := 0; i <= len(starts); i++ {
		x := best
		if i < len(starts) {
			x = starts[i]
		}
		problem := optimize.Problem{Func: func(x []float64) float64 { return f.loss(x, points) }}
		settings := &optimize.Settings{FuncEvaluations: evaluations, Converger: &optimize.FunctionConverge{Absolute: 1e-5, Iterations: 40}}
		r, err := optimize.Minimize(problem, x, settings, &optimize.NelderMead{SimplexSize: 0.4})
		if err != nil && (r == nil || !slices.Contains([]optimize.Status{optimize.FunctionEvaluationLimit, optimize.FunctionConvergence}, r.Status)) {
			return nil, fmt.Errorf("fitting the simulated engine: %w", err)
		}
		if r.F < least {
			best, least = r.X, r.F
		}
	}
	return best, nil
}

// errors holds the points against the parameters.
func (f *fitter) errors(x []float64, points []Point) Errors {
	var tpots []float64
	ttft := 0.0
	for i := range points {
		p := &points[i]
		a, b, err := f.simulate(x, p)
		if err != nil {
			return Errors{math.Inf(1), math.Inf(1), math.Inf(1)}
		}
		tpots = append(tpots, math.Abs(a/p.TPOT-1))
		ttft += math.Abs(b/p.TTFT-1) / float64(len(points))
	}
	return summary(tpots, ttft)
}

func summary(tpots []float64, ttft float64) Errors {
	slices.Sort(tpots)
	mean := 0.0
	for _, v := range tpots {
		mean += v / float64(len(tpots))
	}
	at := .9 * float64(len(tpots)-1)
	low := int(at)
	high := min(low+1, len(tpots)-1)
	return Errors{mean, tpots[low] + (at-float64(low))*(tpots[high]-tpots[low]), ttft}
}

// holdOut fits to three quarters of the loads, each time others, and holds the points of
// the fourth against that.
func (f *fitter) holdOut(points []Point) (Errors, error) {
	var tpots []float64
	ttft := 0.0
	loads := distinct(points)
	for k := range folds {
		var seen, unseen []Point
		for i, p := range points {
			if loads[i]%folds == k { // repeats of a load are unseen together
				unseen = append(unseen, p)
			} else {
				seen = append(seen, p)
			}
		}
		x, err := f.minimise(seen, 120)
		if err != nil {
			return Errors{}, err
		}
		for i := range unseen {
			p := &unseen[i]
			a, b, err := f.simulate(x, p)
			if err != nil {
				return Errors{}, err
			}
			tpots = append(tpots, math.Abs(a/p.TPOT-1))
			ttft += math.Abs(b/p.TTFT-1) / float64(len(points))
		}
	}
	return summary(tpots, ttft), nil
}

// weak names the parameters that can be half or double without the fit getting worse
// by one percent.
func (f *fitter) weak(best []float64, points []Point) []string {
	var names []string
	at := f.loss(best, points)
	for i := range best {
		worse := 0.0
		for _, by := range []float64{-math.Ln2, math.Ln2} {
			x := slices.Clone(best)
			x[i] += by
			if i == memory || i == compute { // a share of more than one is none
				x[i] = min(x[i], 0)
			}
			worse = max(worse, f.loss(x, points)-at)
		}
		if worse < .005 {
			names = append(names, parameterNames[i])
		}
	}
	return names
}
