package interval

import (
	"fmt"
	"math"

	"github.com/aclements/go-moremath/stats"
)

// RepeatsRatio compares two sides by one value a repeat, in any order: the ratio of
// geometric means, its interval by Welch's t on the logarithms, and P by the exact test of
// Mann and Whitney, which asks nothing of the distribution. Where a value is not above 0 there is no
// logarithm, and the ratio is that of arithmetic means with Fieller's interval.
func RepeatsRatio(a, b []float64) Ratio {
	r := Ratio{NA: len(a), NB: len(b), Value: math.NaN(), Low: math.NaN(), High: math.NaN(), P: math.NaN()}
	if len(a) == 0 || len(b) == 0 {
		r.Warnings = []string{"A side has no repeat, so there is nothing to compare."}
		return r
	}
	la, okA := logs(a)
	lb, okB := logs(b)
	if okA && okB {
		r.Method = "Welch's t on logarithms, Mann–Whitney U"
		d := independent(lb).minus(independent(la))
		r.Value = math.Exp(d.value)
		r.Low, r.High = d.exponent()
	} else {
		r.Method = "Fieller's interval of means, Mann–Whitney U"
		r.Value, r.Low, r.High = quotient(independent(a), independent(b))
	}
	r.P = rankP(a, b)
	if least := LeastRepeats(alpha); min(len(a), len(b)) < least {
		r.Warnings = []string{fmt.Sprintf("A difference needs %d repeats a side at least to be called at p < %g; this has %s.",
			least, alpha, sides(len(a), len(b)))}
	}
	return r
}

// LeastRepeats is the number of repeats a side with which the test of Mann and Whitney can
// reach a p-value under level: with k a side and every value of one above every value of the
// other, p is 2 ÷ C(2k, k). The level for the first of m metrics under [Holm] is 0.05 ÷ m.
func LeastRepeats(level float64) int {
	p := 2.0
	for k := 1; ; k++ {
		p *= float64(k) / float64(2*(2*k-1)) // C(2k, k) = C(2k−2, k−1) · 2(2k−1) ÷ k
		if p < level {
			return k
		}
	}
}

// rankP is the two-sided p-value of Mann and Whitney, exact for small samples; 1 where all
// values are equal.
func rankP(a, b []float64) float64 {
	t, err := stats.MannWhitneyUTest(a, b, stats.LocationDiffers)
	if err != nil {
		return 1
	}
	return min(1, t.P)
}

// logs reports whether all values have a logarithm.
func logs(values []float64) (out []float64, ok bool) {
	out = make([]float64, len(values))
	for i, v := range values {
		if !(v > 0) {
			return nil, false
		}
		out[i] = math.Log(v)
	}
	return out, true
}

// exponent gives the t interval of a logarithm as that of the number; both sides are infinite where
// there is none.
func (e estimate) exponent() (low, high float64) {
	low, high = e.bounds()
	if math.IsInf(low, -1) {
		return low, high
	}
	return math.Exp(low), math.Exp(high)
}

// quotient is b ÷ a with Fieller's interval (1954), which is all numbers where a's own interval
// holds 0.
func quotient(a, b estimate) (value, low, high float64) {
	value = b.value / a.value
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return math.NaN(), math.NaN(), math.NaN()
	}
	return fieller(value, a, b.err*b.err, 0, b.minus(a).df)
}

// fieller gives the values θ with |b − θ·a| within the t interval: vb is b's variance, cov
// the covariance of the two.
func fieller(value float64, a estimate, vb, cov, df float64) (v, low, high float64) {
	if df <= 0 || math.IsInf(a.err, 1) || math.IsInf(vb, 1) {
		return value, math.Inf(-1), math.Inf(1)
	}
	t := student(df).Quantile(1 - tail)
	va := a.err * a.err
	g := t * t * va / (a.value * a.value)
	if g >= 1 {
		return value, math.Inf(-1), math.Inf(1)
	}
	centre := value - g*cov/orOne(va)
	root := vb - 2*value*cov + value*value*va - g*(vb-cov*cov/orOne(va))
	half := t / math.Abs(a.value) * math.Sqrt(max(0, root))
	return value, (centre - half) / (1 - g), (centre + half) / (1 - g)
}

// orOne keeps 0 ÷ 0 out where there is no variance, and so no covariance either.
func orOne(v float64) float64 {
	if v == 0 {
		return 1
	}
	return v
}

// sides says how many there are on each side.
func sides(a, b int) string {
	if a == b {
		return fmt.Sprint(a)
	}
	return fmt.Sprintf("%d and %d", a, b)
}
