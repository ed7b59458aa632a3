package interval

import (
	"fmt"
	"math"
)

const (
	// leastMean is the least number of values that [Mean] bounds: fewer do not show how one depends
	// on those before it.
	leastMean = 30
	// batchesWanted is how many batches a long series is cut into: with fewer the
	// t interval is wider than it need be, with more a queue's long memory escapes it.
	batchesWanted = 40
	// memoryMost keeps a series that may have no mean at all from having a variance without bound,
	// and memoryLeast one that alternates from having next to none.
	memoryMost, memoryLeast = 0.97, -0.5
	// memoryShows is the one-sided 10 % point of what has the standard normal distribution. Where a memory is too slight to
	// show, an interval that leaves it out covers almost as much.
	memoryShows = 1.28
)

// Mean bounds the mean of what a time-ordered series was taken from, such as latencies in the
// order of sending or counts in equal bins of time, with 95 % confidence, though each value may
// depend on those before it. Both bounds are NaN under 30 values, and where a value is.
//
// The series is averaged in 40 to 79 consecutive batches. Their variance and lag-1 autocorrelation,
// with the bias of a short series taken out (Marriott and Pope 1954), are those of a first-order
// autoregression seen through batches, which tells the variance of the mean; Student's t has as
// many degrees of freedom as an estimate so made is worth, and a skewed series moves the interval to its long
// side by Hall's transformation (1992). That is the idea of Skart (Tafazzoli and Wilson 2011)
// without its tests, which take more than a thousand values.
//
// Coverage falls short where a series is not some hundred times as long as its memory: nothing in
// a series tells of a swing longer than itself.
func Mean(values []float64) (low, high float64) {
	return correlated(values).limits(tail)
}

// correlated estimates the mean of a time-ordered series.
func correlated(values []float64) estimate {
	e := estimate{value: mean(values), err: math.NaN(), df: math.NaN()}
	if len(values) < leastMean || math.IsNaN(e.value) {
		return e
	}
	size := batchSize(len(values))
	batches := batched(values, size)
	n, m := float64(len(batches)), mean(batches)
	v := variance(batches, m)
	if v == 0 {
		e.err, e.df = 0, n-1
		return e
	}
	rho := autocorrelation(batches, m)
	inflation := batchInflation(rho, float64(size))
	v *= (n - 1) / max(n-inflation, 0.3*n) // n − 1 is for batches that are independent
	e.err = math.Sqrt(v * inflation / n)
	// Log err² has the variance 2/df: 2/n by the delta method for the variance of what the
	// autoregression leaves, and 4/(1−ρ)² times (1−ρ²)/n for ρ.
	e.df = max(1, n/(1+2*(1+rho)/(1-rho)))
	e.skew = skewness(batches, m) / (6 * math.Sqrt(n))
	return e
}

// batchSize is how many of n values make a batch.
func batchSize(n int) int { return max(1, n/batchesWanted) }

// remembers reports whether values that follow each other are alike by more than chance. A short memory shows in the values and
// a long one, under much that is of the moment, in batches of them, so the lag-1 autocorrelations at several sizes,
// each in its standard errors, are added up. Where there is no memory it says so of nine series in ten.
func remembers(values []float64) bool {
	sum, sizes := 0.0, 0.0
	for batches := values; len(batches) >= min(len(values), batchesWanted); batches = batched(batches, 5) {
		sum += autocorrelation(batches, mean(batches)) * math.Sqrt(float64(len(batches)))
		sizes++
	}
	return sum > memoryShows*math.Sqrt(sizes)
}

// autocorrelation is that of lag 1, with the bias of a short series taken out.
func autocorrelation(values []float64, m float64) float64 {
	var c0, c1 float64
	for i, v := range values {
		c0 += (v - m) * (v - m)
		if i > 0 {
			c1 += (v - m) * (values[i-1] - m)
		}
	}
	rho := c1 / c0
	rho += (1 + 3*rho) / float64(len(values))
	return min(max(rho, memoryLeast), memoryMost)
}

// batchInflation is how many times the variance of the mean of batches is what it would be if they
// were independent, where rho is the lag-1 autocorrelation of batches of that size of a
// first-order autoregression. With φ for the autoregression's own, the sums over a batch give
//
//	d = size·(1−φ²) − 2φ·(1−φ^size),  rho = φ·(1−φ^size)² ÷ d,  inflation = size·(1−φ²) ÷ d.
//
// Where rho is below 0 no φ does so for all sizes, and the batches are taken for the autoregression.
func batchInflation(rho, size float64) float64 {
	if rho <= 0 || size == 1 {
		return (1 + rho) / (1 - rho)
	}
	low, high := 0.0, math.Pow(memoryMost, 1/size)
	inflation := 1.0
	for range 50 {
		phi := (low + high) / 2
		rest := 1 - math.Pow(phi, size)
		d := size*(1-phi*phi) - 2*phi*rest
		inflation = size * (1 - phi*phi) / d
		if phi*rest*rest/d < rho {
			low = phi
		} else {
			high = phi
		}
	}
	return inflation
}

// batched averages consecutive values, size at a time; what is left over is dropped at the start.
func batched(values []float64, size int) []float64 {
	out := make([]float64, 0, len(values)/size)
	for i := len(values) % size; i < len(values); i += size {
		out = append(out, mean(values[i:i+size]))
	}
	return out
}

// skewness is the third standardised moment about m, corrected for n.
func skewness(values []float64, m float64) float64 {
	n, s := float64(len(values)), math.Sqrt(variance(values, m))
	sum := 0.0
	for _, v := range values {
		sum += math.Pow((v-m)/s, 3)
	}
	return n * sum / ((n - 1) * (n - 2))
}

// MeanRatio compares the means of two time-ordered series of one run each, as [Mean] bounds
// them: the two intervals are combined on a logarithmic scale by the method of variance
// estimates recovery (Donner and Zou 2012), which keeps their skewness, and P is where such an interval
// touches 1. It is about these two runs: what another start of the same server would change is
// in no run, and takes repeats to see.
func MeanRatio(a, b []float64) Ratio {
	r := unknown(len(a), len(b))
	r.Method = "batch means, intervals combined on a log scale"
	ea, eb := correlated(a), correlated(b)
	switch {
	case len(a) == 0 || len(b) == 0:
		r.Warnings = []string{"A side has no value, so there is nothing to compare."}
	case !(ea.value > 0 && eb.value > 0):
		r.Warnings = []string{fmt.Sprintf("The means are %.4g and %.4g; both must be above 0 for a ratio.", ea.value, eb.value)}
	case min(len(a), len(b)) < leastMean:
		r.Value = eb.value / ea.value
		r.Warnings = []string{fmt.Sprintf("The interval of a mean needs n ≥ %d; this has %s.", leastMean, sides(len(a), len(b)))}
	default:
		r.Value = eb.value / ea.value
		// Both intervals are taken at the degrees of freedom of their difference: each at its own would
		// allow twice for what is not known of the errors.
		df := eb.relative().minus(ea.relative()).df
		ea.df, eb.df = df, df
		bounds := func(tail float64) (low, high float64) { return recovered(ea.side(tail), eb.side(tail)) }
		r.Low, r.High = bounds(tail)
		r.P = touching(bounds)
	}
	return r
}
