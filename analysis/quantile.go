package analysis

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/inferbook/inferbook/analysis/interval"
)

// tail is what each side of a 95 % interval may miss.
const tail = 0.025

// beyond is how many observations must lie beyond a quantile before it is shown
// without a warning: with fewer, p99 is the maximum by another name.
const beyond = 10

// QuantileOf estimates the q-quantile (0 < q < 1) of a population from a sorted
// sample of it, each observation of which is independent of the others. Requests to
// one server are not: [Distribution] has their quantiles.
//
// Value is the linear interpolation between the order statistics around
// (n−1)·q: type 7 of Hyndman and Fan (1996), numpy's default, and so the value
// that vLLM's own benchmark prints. Low and High are the order statistics that
// bound the population's quantile with 95 % confidence, exactly, by the binomial
// distribution and without an assumption on the shape; each side misses with
// probability 2.5 % at most. They are moved out to Value where a handful of
// observations would leave it outside. A side that n cannot support is infinite
// and said so. For n = 0 all three are NaN.
func QuantileOf(sorted []float64, q float64) Estimate {
	n := len(sorted)
	if n == 0 {
		e := unknown()
		e.Warnings = []string{fmt.Sprintf("There is no observation to take %s from.", percentile(q))}
		return e
	}
	e := single(interpolate(sorted, q), n)
	e.Low, e.High = orderInterval(sorted, q)
	e.Low, e.High = min(e.Low, e.Value), max(e.High, e.Value)
	e.Warnings = countWarnings(n, float64(n), q)
	return e
}

// quantileOver is [QuantileOf] for values in the order of time, each of which may depend on
// those before it; sorted has the same in ascending order. Where those that follow each other are alike, the
// interval is that of [interval.Quantile], at the count of independent values that they are worth, and no narrower than that of
// QuantileOf. Where they are not alike, and where they are too few to show it (under 30), it is QuantileOf's.
func quantileOver(values, sorted []float64, q float64) Estimate {
	e := QuantileOf(sorted, q)
	low, high, worth := interval.Quantile(values, sorted, q)
	if worth < float64(e.N) {
		e.Low, e.High = min(e.Low, low), max(e.High, high)
		e.Warnings = countWarnings(e.N, worth, q)
	}
	return e
}

// interpolate gives the type 7 quantile of a sorted, non-empty sample.
func interpolate(sorted []float64, q float64) float64 {
	lo, frac := position(len(sorted), q)
	if frac == 0 {
		return sorted[lo]
	}
	return sorted[lo] + frac*(sorted[lo+1]-sorted[lo])
}

// position splits (n−1)·q into an index and the way towards the next one.
func position(n int, q float64) (index int, frac float64) {
	whole, frac := math.Modf(float64(n-1) * q)
	return int(whole), frac
}

// orderInterval gives the order statistics that bound the q-quantile.
func orderInterval(sorted []float64, q float64) (low, high float64) {
	l, u := intervalRanks(len(sorted), q)
	low, high = math.Inf(-1), math.Inf(1)
	if l >= 1 {
		low = sorted[l-1]
	}
	if u <= len(sorted) {
		high = sorted[u-1]
	}
	return low, high
}

// intervalRanks gives the 1-based ranks of the bounding order statistics; 0 and
// n+1 where there is none. The number B of observations under the quantile is
// binomial(n, q): the l-th lies above the quantile when B ≤ l−1, the u-th below
// it when B ≥ u.
func intervalRanks(n int, q float64) (l, u int) {
	b := distuv.Binomial{N: float64(n), P: q}
	l = sort.Search(n, func(k int) bool { return b.CDF(float64(k)) > tail })
	u = 1 + sort.Search(n, func(k int) bool { return 1-b.CDF(float64(k)) <= tail })
	return l, u
}

// shownCount is the least n that leaves ten observations beyond the quantile.
func shownCount(q float64) int {
	// The small subtraction keeps 10/(1−0.95) at 200 in spite of binary fractions.
	return int(math.Ceil(beyond/min(q, 1-q) - 1e-6))
}

// countWarnings says what n observations, worth so many independent ones, do not support; nil where they support all.
func countWarnings(n int, worth, q float64) []string {
	var needs []string
	has := strconv.Itoa(n)
	if least := interval.LeastCount(q); worth < float64(least) {
		needs = append(needs, fmt.Sprintf("n ≥ %d for a two-sided interval", least))
		if worth < float64(n) {
			has = fmt.Sprintf("%d requests, worth %d independent ones", n, int(worth))
		}
	}
	if n < shownCount(q) {
		needs = append(needs, fmt.Sprintf("n ≥ %d for ten observations beyond it", shownCount(q)))
	}
	if needs == nil {
		return nil
	}
	return []string{fmt.Sprintf("%s needs %s; this has %s.", percentile(q), strings.Join(needs, ", and "), has)}
}

// percentile names a quantile: p95, p99.9.
func percentile(q float64) string { return fmt.Sprintf("p%g", math.Round(q*1e8)/1e6) }

// distribution describes values under a metric, in the order of time; sorted has the same in ascending order.
func distribution(m Metric, values, sorted []float64) Distribution {
	nan := math.NaN()
	d := Distribution{Metric: m.ID(), Unit: m.Unit, N: len(values), Mean: nan, Min: nan, Max: nan}
	if len(values) > 0 {
		d.Mean, d.Min, d.Max = mean(sorted), sorted[0], sorted[len(sorted)-1]
	}
	d.MeanLow, d.MeanHigh = interval.Mean(values)
	for i, q := range shownQuantiles {
		*d.quantile(i) = quantileOver(values, sorted, q)
	}
	return d
}

// shownQuantiles are those that a [Distribution] has.
var shownQuantiles = [...]float64{0.50, 0.90, 0.95, 0.99}

func (d *Distribution) quantile(i int) *Estimate {
	return [...]*Estimate{&d.P50, &d.P90, &d.P95, &d.P99}[i]
}

// mean is the arithmetic mean; NaN for nothing.
func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return ratio(sum, float64(len(values)))
}

// ratio is a ÷ b, and NaN where there is no such number, so that no infinity
// gets into a summary.
func ratio(a, b float64) float64 {
	if r := a / b; finite(r) {
		return r
	}
	return math.NaN()
}
