package interval

import (
	"encoding/json"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// level is what an interval promises, tail what each side of it may miss, and alpha the
// p-value under which a difference is called.
const (
	level = 0.95
	tail  = (1 - level) / 2
	alpha = 1 - level
)

// Ratio compares two sides: b ÷ a, so that 1.05 says that b is 5 % more.
type Ratio struct {
	// Value is NaN where there is no such ratio.
	Value float64
	// Low and High bound the 95 % interval. An infinite bound says that the count
	// cannot support that side; both NaN says that no interval was made.
	Low, High float64
	// P is the probability of a difference at least as large where there is none; NaN where it
	// cannot be told. A caller that looks at several ratios puts [Holm]'s in its place.
	P float64
	// Method names what Low, High and P come from.
	Method string
	// NA and NB are the numbers of values, of runs or of repeats on each side.
	NA, NB int
	// Warnings are whole sentences.
	Warnings []string
}

// Distinguishable reports whether the two sides differ by more than chance does: the
// interval leaves 1 out, and P is under 0.05. Both are asked, since they come from
// different assumptions, and a difference that only one of them sees is not yet one.
func (r Ratio) Distinguishable() bool { return r.P < alpha && (r.Low > 1 || r.High < 1) }

// MarshalJSON writes what is not finite as null.
func (r Ratio) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Value           *float64 `json:"value"`
		Low             *float64 `json:"low"`
		High            *float64 `json:"high"`
		P               *float64 `json:"p"`
		Distinguishable bool     `json:"distinguishable"`
		Method          string   `json:"method"`
		NA              int      `json:"n_a"`
		NB              int      `json:"n_b"`
		Warnings        []string `json:"warnings,omitempty"`
	}{known(r.Value), known(r.Low), known(r.High), known(r.P), r.Distinguishable(), r.Method, r.NA, r.NB, r.Warnings})
}

// known is nil for what JSON has no word for.
func known(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// estimate is a mean with what is known of its error.
type estimate struct {
	value float64
	err   float64 // the standard error; infinite where one value gives none
	df    float64 // the degrees of freedom of err²
}

// bounds gives the t interval.
func (e estimate) bounds() (low, high float64) {
	half := e.half()
	return e.value - half, e.value + half
}

func (e estimate) half() float64 {
	switch {
	case math.IsInf(e.err, 1) || e.df <= 0:
		return math.Inf(1)
	case e.err == 0:
		return 0
	}
	return e.err * student(e.df).Quantile(1-tail)
}

// p is the two-sided p-value of the value's being 0.
func (e estimate) p() float64 {
	switch {
	case math.IsInf(e.err, 1) || e.df <= 0:
		return math.NaN()
	case e.err == 0 && e.value == 0:
		return 1
	case e.err == 0:
		return 0
	}
	return 2 * student(e.df).CDF(-math.Abs(e.value)/e.err)
}

func student(df float64) distuv.StudentsT { return distuv.StudentsT{Sigma: 1, Nu: df} }

// minus is b − a for independent estimates, with the degrees of freedom of Welch
// and Satterthwaite.
func (e estimate) minus(a estimate) estimate {
	va, vb := a.err*a.err, e.err*e.err
	d := estimate{value: e.value - a.value, err: math.Sqrt(va + vb), df: min(a.df, e.df)}
	if sum := va*va/a.df + vb*vb/e.df; sum > 0 && !math.IsInf(sum, 1) {
		d.df = (va + vb) * (va + vb) / sum
	}
	return d
}

// independent estimates the mean of independent values.
func independent(values []float64) estimate {
	n := float64(len(values))
	m := mean(values)
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
