package interval

import "math"

// Line is a least-squares line y = α + β·x with 95 % t intervals.
type Line struct {
	Alpha, AlphaLow, AlphaHigh float64 // at x = 0, in y's unit
	Beta, BetaLow, BetaHigh    float64 // in y's unit per x's
	R2                         float64 // the share of y's variance that the line explains, 0 to 1
	N                          int

	alphaErr, betaErr, cov, df float64
}

// Fit fits a line to points, whose order does not matter. With two points the line is exact and its
// bounds are infinite; with fewer, or where all x are equal, everything is NaN. xs and ys have one length.
func Fit(xs, ys []float64) Line {
	nan := math.NaN()
	l := Line{Alpha: nan, AlphaLow: nan, AlphaHigh: nan, Beta: nan, BetaLow: nan, BetaHigh: nan, R2: nan, N: len(xs)}
	if len(xs) < 2 {
		return l
	}
	n, mx, my := float64(len(xs)), mean(xs), mean(ys)
	var sxx, sxy, syy float64
	for i, x := range xs {
		sxx += (x - mx) * (x - mx)
		sxy += (x - mx) * (ys[i] - my)
		syy += (ys[i] - my) * (ys[i] - my)
	}
	if sxx == 0 {
		return l
	}
	l.Beta = sxy / sxx
	l.Alpha = my - l.Beta*mx
	residual := max(0, syy-l.Beta*sxy)
	if syy > 0 {
		l.R2 = 1 - residual/syy
	}
	l.df = n - 2
	l.alphaErr, l.betaErr = math.Inf(1), math.Inf(1)
	if l.df > 0 {
		s2 := residual / l.df
		l.alphaErr, l.betaErr = math.Sqrt(s2*(1/n+mx*mx/sxx)), math.Sqrt(s2/sxx)
		l.cov = -s2 * mx / sxx
	}
	l.AlphaLow, l.AlphaHigh = l.alpha().limits(tail)
	l.BetaLow, l.BetaHigh = l.beta().limits(tail)
	return l
}

// Root is α ÷ β with Fieller's 95 % interval: the x at which β·x is as large as α. Its bounds are
// infinite where β's interval holds 0, and all three are NaN where β is 0 or there is no line.
func (l Line) Root() (value, low, high float64) {
	return fieller(l.alpha(), l.beta(), l.cov, l.df)
}

func (l Line) alpha() estimate { return estimate{value: l.Alpha, err: l.alphaErr, df: l.df} }
func (l Line) beta() estimate  { return estimate{value: l.Beta, err: l.betaErr, df: l.df} }
