package interval

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// estimate is a mean with what is known of its error.
type estimate struct {
	value float64
	err   float64 // the standard error; infinite where one value gives none
	df    float64 // the degrees of freedom of err²
	skew  float64 // the values' skewness ÷ 6√n; 0 for none
}

// limits gives the t interval that misses with probability tail on each side.
func (e estimate) limits(tail float64) (low, high float64) {
	switch {
	case math.IsNaN(e.err): // looking for the quantile of a t that is none takes a million steps
		return e.err, e.err
	case math.IsInf(e.err, 1):
		return math.Inf(-1), math.Inf(1)
	case e.err == 0:
		return e.value, e.value
	}
	t := student(e.df).Quantile(1 - tail)
	return e.value - e.err*unskew(t, e.skew), e.value - e.err*unskew(-t, e.skew)
}

// unskew turns a quantile of Student's t into that of the studentised mean of skewed values: Hall's
// transformation (1992) solved for the mean, as in Willink (2005).
func unskew(t, skew float64) float64 {
	if math.Abs(skew) < 1e-3 {
		return t
	}
	return (math.Cbrt(1+6*skew*(t-skew)) - 1) / (2 * skew)
}

// student is Student's t; it is the normal distribution to six digits from a million degrees of freedom on.
func student(df float64) distuv.StudentsT { return distuv.StudentsT{Sigma: 1, Nu: min(df, 1e6)} }

// minus is the difference from an independent estimate, with the degrees of freedom of Welch and
// Satterthwaite.
func (e estimate) minus(a estimate) estimate {
	va, vb := a.err*a.err, e.err*e.err
	d := estimate{value: e.value - a.value, err: math.Sqrt(va + vb)}
	if va+vb > 0 && !math.IsInf(va+vb, 1) {
		// Each part is divided by the sum first, which keeps small ones from vanishing when squared.
		va, vb = va/(va+vb), vb/(va+vb)
		d.df = 1 / (part(va, a.df) + part(vb, e.df))
	}
	return d
}

// part is share²/df, and 0 where there is no such part.
func part(share, df float64) float64 {
	if share == 0 {
		return 0
	}
	return share * share / df
}

// relative is an estimate as a share of its value, which is the error of its logarithm.
func (e estimate) relative() estimate {
	return estimate{value: 1, err: e.err / e.value, df: e.df}
}

// side is an estimate with its interval.
type side struct{ value, low, high float64 }

func (e estimate) side(tail float64) side {
	low, high := e.limits(tail)
	return side{e.value, low, high}
}

// recovered gives the interval of b ÷ a from those of two values above 0. A side is infinite where the bound that it
// rests on is, or reaches 0.
func recovered(a, b side) (low, high float64) {
	d := math.Log(b.value / a.value)
	low, high = math.Inf(-1), math.Inf(1)
	if b.low > 0 && !math.IsInf(a.high, 1) {
		low = math.Exp(d - math.Hypot(math.Log(b.value/b.low), math.Log(a.high/a.value)))
	}
	if a.low > 0 && !math.IsInf(b.high, 1) {
		high = math.Exp(d + math.Hypot(math.Log(b.high/b.value), math.Log(a.value/a.low)))
	}
	return low, high
}

// independent estimates the mean of independent values.
func independent(values []float64) estimate {
	n, m := float64(len(values)), mean(values)
	if n < 2 {
		return estimate{value: m, err: math.Inf(1)}
	}
	return estimate{value: m, err: math.Sqrt(variance(values, m) / n), df: n - 1}
}

// mean is NaN for nothing.
func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// variance is the unbiased one about m, of two values or more.
func variance(values []float64, m float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += (v - m) * (v - m)
	}
	return sum / float64(len(values)-1)
}
