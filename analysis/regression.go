package analysis

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/inferbook/inferbook/experiment"
)

const (
	// growingGaps is how many gaps a stream needs for its growth to be told.
	growingGaps = 20
	// spreadBar is the coefficient of variation of a length from which a latency can be regressed on it.
	spreadBar = 0.1
	// togetherBar is the correlation from which two lengths cannot be told apart.
	togetherBar = 0.9
	// trendBatches is how many means a trend is looked for in.
	trendBatches = 30
)

// gapGrowth is the least-squares slope of the gaps over their place × (gaps − 1) ÷ their mean.
func gapGrowth(gaps []experiment.Gap) float64 {
	n := len(gaps)
	if n < growingGaps {
		return math.NaN()
	}
	sum, moment := 0.0, 0.0
	for i, gap := range gaps {
		ns := float64(gap.Duration())
		sum += ns
		moment += float64(i) * ns
	}
	k := float64(n)
	slope := (moment - sum*(k-1)/2) / (k * (k*k - 1) / 12)
	return ratio(slope*(k-1)*k, sum)
}

// trend is the t-statistic of the least-squares slope of y over x, both in order of x.
// Of more than trendBatches values it is that of the means of as many batches: neighbours in a
// queue are alike, and taken one by one they would count as evidence many times over.
func trend(x, y []float64) float64 {
	if n := len(x); n > trendBatches {
		var bx, by []float64
		for b := range trendBatches {
			lo, hi := b*n/trendBatches, (b+1)*n/trendBatches
			bx, by = append(bx, mean(x[lo:hi])), append(by, mean(y[lo:hi]))
		}
		x, y = bx, by
	}
	n := len(x)
	if n < 3 || stat.Variance(x, nil) == 0 {
		return math.NaN()
	}
	if slices.Min(y) == slices.Max(y) {
		return 0
	}
	r := stat.Correlation(x, y, nil)
	return r * math.Sqrt(float64(n-2)/max(1-r*r, 1e-12))
}

// step is the t-statistic of the mean of b less that of a, which follow on one another, from the means of batches.
func step(a, b []float64) float64 {
	const each = trendBatches / 2
	if len(a) < each || len(b) < each {
		return math.NaN()
	}
	var x, y []float64
	for i := range each {
		x = append(x, mean(a[i*len(a)/each:(i+1)*len(a)/each]))
		y = append(y, mean(b[i*len(b)/each:(i+1)*len(b)/each]))
	}
	difference := mean(y) - mean(x)
	if difference == 0 {
		return 0
	}
	return ratio(difference, math.Sqrt((stat.Variance(x, nil)+stat.Variance(y, nil))/each))
}

// peaks gives Sarle's coefficient of bimodality and the standard deviation of the logarithms of the known,
// positive values.
func peaks(values []float64) (bimodality, spread float64) {
	logs := make([]float64, 0, len(values))
	for _, v := range values {
		if v > 0 {
			logs = append(logs, math.Log(v))
		}
	}
	n := float64(len(logs))
	if n < 4 {
		return math.NaN(), math.NaN()
	}
	if slices.Min(logs) == slices.Max(logs) {
		return math.NaN(), 0
	}
	skew, kurtosis := stat.Skew(logs, nil), stat.ExKurtosis(logs, nil)
	return ratio(skew*skew+1, kurtosis+3*(n-1)*(n-1)/((n-2)*(n-3))), stat.StdDev(logs, nil)
}

// pairs gives the rows in which all columns are known, column by column.
func pairs(columns ...[]float64) [][]float64 {
	out := make([][]float64, len(columns))
	for i := range columns[0] {
		if slices.ContainsFunc(columns, func(c []float64) bool { return math.IsNaN(c[i]) }) {
			continue
		}
		for j, c := range columns {
			out[j] = append(out[j], c[i])
		}
	}
	return out
}

// spreads reports whether lengths differ enough for a regression on them.
func spreads(lengths []float64) bool {
	return len(lengths) >= 3 && stat.StdDev(lengths, nil) >= spreadBar*stat.Mean(lengths, nil)
}

// overLength fits y over one length.
func overLength(length, y []float64) (start, slope, r2 float64) {
	both := pairs(length, y)
	if !spreads(both[0]) {
		return math.NaN(), math.NaN(), math.NaN()
	}
	start, slope = stat.LinearRegression(both[0], both[1], nil, false)
	r := stat.Correlation(both[0], both[1], nil)
	return start, slope, ratio(r*r, 1)
}

// overLengths gives the slopes of y over two lengths at once.
func overLengths(a, b, y []float64) (slopeA, slopeB float64) {
	all := pairs(a, b, y)
	if !spreads(all[0]) || !spreads(all[1]) {
		return math.NaN(), math.NaN()
	}
	together := stat.Correlation(all[0], all[1], nil)
	if math.Abs(together) > togetherBar {
		return math.NaN(), math.NaN()
	}
	va, vb := stat.Variance(all[0], nil), stat.Variance(all[1], nil)
	ca, cb, cab := stat.Covariance(all[0], all[2], nil), stat.Covariance(all[1], all[2], nil), stat.Covariance(all[0], all[1], nil)
	det := va*vb - cab*cab
	return ratio(ca*vb-cb*cab, det), ratio(cb*va-ca*cab, det)
}
