package arrival

import (
	"math"
	"math/rand/v2"
	"sort"

	"gonum.org/v1/gonum/mathext"
)

// law is a distribution of gaps with mean one.
type law struct {
	// quantile gives the gap that a share p of the gaps stays under; q is 1−p, given
	// apart since it is exact where p is next to one. Both are above 0.
	quantile func(p, q float64) float64
	// top is the mean of the highest of the n shares.
	top float64
}

// stream is the second half of the generator's seed, so that the arrivals share no
// random number with what else is drawn from a run's seed.
const stream = 0xa771_7a15

// stratified gives n gaps of the law with the given sum.
func stratified(l law, n int, sum float64, seed uint64) []float64 {
	random := rand.New(rand.NewPCG(seed, stream))
	gaps := make([]float64, n)
	total := l.top
	gaps[n-1] = l.top
	for i := range n - 1 {
		v := (float64(random.Uint64()>>11) + 0.5) / (1 << 53) // never 0 and, but for n of one, never in the next share
		gaps[i] = l.quantile((float64(i)+v)/float64(n), (float64(n-i)-v)/float64(n))
		total += gaps[i]
	}
	for i := range gaps {
		gaps[i] *= sum / total
	}
	random.Shuffle(n, func(i, j int) { gaps[i], gaps[j] = gaps[j], gaps[i] })
	return gaps
}

// exponential is the law of Poisson arrivals. The mean of its gaps beyond ln n is ln n + 1.
func exponential(n int) law {
	return law{func(_, q float64) float64 { return -math.Log(q) }, math.Log(float64(n)) + 1}
}

// smooth is the shape above which the quantiles of the gamma distribution are
// taken from the approximation of Wilson and Hilferty, which is right to 10⁻⁶ there.
const smooth = 10_000

// gamma is the law with a shape above 0 and the mean one, so with the scale 1/shape; its CV is
// 1/√shape. The mean of its gaps beyond x is that of the share of a gamma
// distribution of shape+1 that lies there, since x·f(x; k) = k·f(x; k+1).
func gamma(shape float64, n int) law {
	if shape > smooth {
		cube := func(p, _ float64) float64 {
			z := mathext.NormalQuantile(p)
			return math.Pow(1-1/(9*shape)+z/(3*math.Sqrt(shape)), 3)
		}
		// The middle of the highest share by mass; the laws are so narrow here that it is its mean.
		return law{cube, cube(1-0.5/float64(n), 0)}
	}
	t := newTable(shape)
	edge := 0.0
	if n > 1 {
		edge = t.quantile(1-1/float64(n), 1/float64(n))
	}
	return law{
		func(p, q float64) float64 { return t.quantile(p, q) / shape },
		float64(n) * mathext.GammaIncRegComp(shape+1, edge),
	}
}

// table holds the inverse of the distribution function of a gamma distribution of scale
// one. Solving for each gap costs microseconds, and fails in the general
// libraries for shapes as small as 0.006, whose median is about 10⁻⁵²; so the function itself is
// taken at knots, from low to high, and the inverse runs between them. Both sides are
// bent to be nearly straight: the logarithm of the gap over the logit of its share,
// by cubics with the exact slopes (Hermite). Below the first knot the function is
// the power law x^shape/Γ(shape+1), or the share is below 10⁻¹².
type table struct {
	shape, logGamma float64 // of the power law
	logit, log      []float64
	slope           []float64
}

const knots = 1024

func newTable(shape float64) *table {
	logGamma, _ := math.Lgamma(shape + 1)
	t := &table{shape: shape, logGamma: logGamma}
	below := func(y float64) float64 { return mathext.GammaIncReg(shape, math.Exp(y)) }
	above := func(y float64) float64 { return mathext.GammaIncRegComp(shape, math.Exp(y)) }
	// The power law is an upper bound of the distribution function, and short of it by
	// less than 10⁻¹⁰ at its end.
	const small = 1e-12
	low := (math.Log(small) + logGamma) / shape
	if powerLaw := math.Log(1e-10 * (1 + 1/shape)); low < powerLaw {
		low = powerLaw
	} else {
		low = bisect(low, math.Log(shape), func(y float64) bool { return below(y) >= small })
	}
	high := bisect(low, math.Log(50+shape+10*math.Sqrt(shape)), func(y float64) bool { return above(y) < small })
	for i := range knots {
		y := low + (high-low)*float64(i)/(knots-1)
		p, q := below(y), above(y)
		// The slope is dy/dlogit = p·q/(x·f(x)) with x·f(x) = x^shape·e^−x/Γ(shape).
		density := math.Exp(shape*y-math.Exp(y)-logGamma) * shape
		t.logit = append(t.logit, math.Log(p)-math.Log(q))
		t.log = append(t.log, y)
		t.slope = append(t.slope, p*q/density)
	}
	return t
}

// bisect gives the logarithm above which a condition that holds from some
// point on holds.
func bisect(low, high float64, holds func(float64) bool) float64 {
	for range 60 {
		if middle := low + (high-low)/2; holds(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}

func (t *table) quantile(p, q float64) float64 {
	z := math.Log(p) - math.Log(q)
	if z <= t.logit[0] {
		return math.Exp(min((math.Log(p)+t.logGamma)/t.shape, t.log[0]))
	}
	i := min(max(1, sort.SearchFloat64s(t.logit, z)), knots-1)
	width := t.logit[i] - t.logit[i-1]
	s := (z - t.logit[i-1]) / width
	// The cubic of Hermite, in the form that keeps the knots exact.
	rise := t.log[i] - t.log[i-1]
	left, right := t.slope[i-1]*width-rise, t.slope[i]*width-rise
	return math.Exp(t.log[i-1] + s*rise + s*(1-s)*(left*(1-s)-right*s))
}
