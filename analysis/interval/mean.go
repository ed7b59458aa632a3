package interval

import "math"

// leastMean is the least number of values that [Mean] bounds: ten batches of two.
const leastMean = 20

// Mean bounds the mean of what a time-ordered series was taken from, with 95 % confidence,
// though its values depend on those before them. Both are NaN under 20 values.
func Mean(values []float64) (low, high float64) {
	return correlated(values).bounds()
}

// correlated estimates the mean of a series.
func correlated(values []float64) estimate {
	if len(values) < leastMean {
		return estimate{value: mean(values), err: math.NaN(), df: math.NaN()}
	}
	size := max(1, len(values)/20)
	var batches []float64
	for i := 0; i+size <= len(values); i += size {
		batches = append(batches, mean(values[i:i+size]))
	}
	e := independent(batches)
	e.value = mean(values)
	return e
}

// MeanRatio compares the means of two time-ordered series of one run each.
func MeanRatio(a, b []float64) Ratio {
	r := Ratio{NA: len(a), NB: len(b), Method: "batch means, Fieller's interval"}
	ea, eb := correlated(a), correlated(b)
	r.Value, r.Low, r.High = quotient(ea, eb)
	r.P = eb.minus(ea).p()
	return r
}
