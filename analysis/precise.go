package analysis

import (
	"math"
	"slices"

	"github.com/inferbook/inferbook/experiment"
)

// Precise reports whether a point's figure is as well known as was asked, and half
// the width of its 95 % interval as a share of it: NaN where the point has no such
// figure, infinite where its count cannot support an interval. Of the quantiles a
// summary has p50, p90, p95 and p99.
func Precise(p experiment.Precision, s *PointSummary) (reached bool, half float64) {
	if !slices.Contains(shownQuantiles[:], p.Quantile) {
		return false, math.NaN()
	}
	half = halfWidth(figureOf(experiment.Objective{Metric: p.Metric, Quantile: p.Quantile}, s))
	return half <= p.Share, half
}

// halfWidth is half the width of the interval ÷ the value.
func halfWidth(e Estimate) float64 {
	if math.IsInf(e.Low, 0) || math.IsInf(e.High, 0) {
		return math.Inf(1)
	}
	return ratio((e.High-e.Low)/2, e.Value)
}

// lookAgain is the growth in samples after which [Narrowing] looks again.
const lookAgain = 1.1

// Narrowing watches, while a point runs, how well one figure is known.
//
// It looks whenever there are a tenth more samples than at the last look, which
// costs little and is seldom enough. It takes the plain interval each time. A rule
// that stops at the first narrow interval prefers those that are narrow by chance,
// so the interval at which it stops covers the truth in somewhat fewer than 95 % of
// the runs; a point that ended so warns of it. It is not safe for concurrent use.
type Narrowing struct {
	precision experiment.Precision
	of        func(*experiment.Sample) (float64, bool)
	values    []float64
	next      int // samples at which to look
	half      float64
}

// NewNarrowing begins to watch. The zero precision, and one of a metric that
// samples do not have, are never reached.
func NewNarrowing(p experiment.Precision) *Narrowing {
	n := &Narrowing{precision: p, half: math.NaN()}
	if m, ok := MetricByName(p.Metric); ok && p.Quantile > 0 && p.Quantile < 1 {
		n.of, n.next = m.Of, minCount(p.Quantile)
	}
	return n
}

// Add takes one sample; those that do not count are left out.
func (n *Narrowing) Add(s *experiment.Sample) {
	if n.of == nil || n.reached() {
		return
	}
	v, ok := n.of(s)
	if !ok {
		return
	}
	n.values = append(n.values, v)
	if len(n.values) >= n.next {
		slices.Sort(n.values)
		n.half = halfWidth(QuantileOf(n.values, n.precision.Quantile))
		n.next = int(math.Ceil(lookAgain * float64(n.next)))
	}
}

// Reached reports whether the figure was as well known as asked at the last look.
// Once it was, it stays so. half is the width seen then, see [Precise].
func (n *Narrowing) Reached() (reached bool, half float64) { return n.reached(), n.half }

func (n *Narrowing) reached() bool { return n.half <= n.precision.Share }
