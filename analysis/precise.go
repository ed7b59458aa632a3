package analysis

import (
	"cmp"
	"math"
	"slices"

	"github.com/inferbook/inferbook/analysis/interval"
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

// leastAlike is the least number of requests that show whether those that follow each other are alike.
const leastAlike = 30

// lookAgain is the growth in samples after which [Narrowing] looks again.
const lookAgain = 1.1

// Narrowing watches, while a point runs, how well one figure is known.
//
// It looks at the samples so far as a summary of them does, in the order in which they were
// sent, whenever there are a tenth more than at the last look, which costs little and is
// seldom enough. It takes the plain interval each time. A rule that stops at the first
// narrow interval prefers those that are narrow by chance, so the interval at which it
// stops covers the truth in somewhat fewer than 95 % of the runs. A point that ended so
// warns of it, and says where its own figure, which has the requests that were in flight
// then, is less precise. It is not safe for concurrent use.
type Narrowing struct {
	precision experiment.Precision
	of        func(*experiment.Sample) (float64, bool)
	values    []timed
	next      int // samples at which to look
	half      float64
}

// NewNarrowing begins to watch. The zero precision, and one of a metric that
// samples do not have, are never reached.
func NewNarrowing(p experiment.Precision) *Narrowing {
	n := &Narrowing{precision: p, half: math.NaN()}
	if m, ok := MetricByName(p.Metric); ok && p.Quantile > 0 && p.Quantile < 1 {
		n.of, n.next = m.Of, max(interval.LeastCount(p.Quantile), leastAlike)
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
	n.values = append(n.values, timed{s.Sent, s.Seq, v})
	if len(n.values) >= n.next {
		n.half = halfWidth(n.estimate())
		n.next = int(math.Ceil(lookAgain * float64(n.next)))
	}
}

// timed is the value of one sample, with what puts it in the order of sending.
type timed struct {
	sent  experiment.Instant
	seq   int
	value float64
}

// estimate is what a summary of the samples so far says of the figure.
func (n *Narrowing) estimate() Estimate {
	slices.SortFunc(n.values, func(a, b timed) int { return cmp.Or(cmp.Compare(a.sent, b.sent), cmp.Compare(a.seq, b.seq)) })
	values := make([]float64, len(n.values))
	for i, v := range n.values {
		values[i] = v.value
	}
	return quantileOver(values, slices.Sorted(slices.Values(values)), n.precision.Quantile)
}

// Reached reports whether the figure was as well known as asked at the last look.
// Once it was, it stays so. half is the width seen then, see [Precise].
func (n *Narrowing) Reached() (reached bool, half float64) { return n.reached(), n.half }

func (n *Narrowing) reached() bool { return n.half <= n.precision.Share }
