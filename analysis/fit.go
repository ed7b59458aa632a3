package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis/interval"
	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

// freeShare is the share of C* = α ÷ β up to which batching is called free: there a
// step takes a fifth longer than for one request alone.
const freeShare = 0.2

// LineFit is a least-squares line through levels, with 95 % t intervals for its
// parameters: how far they are known if the levels scatter about a straight line.
// A bound that the levels cannot support is NaN.
type LineFit struct {
	Alpha     float64 `json:"alpha_ms"` // ms: what a step costs however few there are
	AlphaLow  float64 `json:"alpha_low_ms"`
	AlphaHigh float64 `json:"alpha_high_ms"`
	Beta      float64 `json:"beta_ms_per_user"` // ms per request in flight
	BetaLow   float64 `json:"beta_low_ms_per_user"`
	BetaHigh  float64 `json:"beta_high_ms_per_user"`
	// Double is C* = α ÷ β, the load at which TPOT is twice its floor, with Fieller's interval: below a fifth
	// of it another user costs the others next to nothing. NaN where TPOT does not rise with load.
	Double     float64 `json:"doubling_users"`
	DoubleLow  float64 `json:"doubling_low_users"`
	DoubleHigh float64 `json:"doubling_high_users"`
	R2         float64 `json:"r2"` // share of the variance that the line explains, 0–1
	N          int     `json:"n"`  // levels
	// From and To are the lowest and the highest load that was fitted, Mean that of all.
	From float64 `json:"from_users"`
	To   float64 `json:"to_users"`
	Mean float64 `json:"mean_users"`
}

// MarshalJSON writes what is not known as null.
func (f LineFit) MarshalJSON() ([]byte, error) { return marshalFinite(f) }

// UnmarshalJSON reads what [LineFit.MarshalJSON] wrote.
func (f *LineFit) UnmarshalJSON(data []byte) error {
	type plain LineFit
	return unmarshalFinite(data, (*plain)(f))
}

// Doubling is the concurrency at which TPOT is twice its floor, α ÷ β: below a
// fifth of it, another user costs the others next to nothing. NaN where TPOT
// does not rise with load.
func (f LineFit) Doubling() float64 {
	if f.Beta <= 0 || f.Alpha <= 0 {
		return math.NaN()
	}
	return ratio(f.Alpha, f.Beta)
}

// At gives TPOT on the line in ms at a number of users, and the 95 % bounds of the
// line there; NaN where it has none. It is for users from From to To.
//
// With s² the variance about the line, the half-width of α's interval is a = t·s·√(1/n + m²/S), that of
// β's b = t·s/√S, and that of the line at x is t·s·√(1/n + (x−m)²/S) = √(a² − b²m² + b²(x−m)²).
func (f LineFit) At(users float64) (value, low, high float64) {
	a, b, away := f.AlphaHigh-f.Alpha, f.BetaHigh-f.Beta, users-f.Mean
	half := math.Sqrt(max(0, a*a-b*b*f.Mean*f.Mean) + b*b*away*away)
	value = f.Alpha + f.Beta*users
	if !finite(half) {
		return value, math.NaN(), math.NaN()
	}
	return value, value - half, value + half
}

// String writes the line as an equation, the intervals in brackets: "TPOT ≈ 7.38 ms [7.2, 7.5] + 0.085 ms [0.084, 0.086] × C".
func (f LineFit) String() string {
	sign, slope, low, high := "+", f.Beta, f.BetaLow, f.BetaHigh
	if slope < 0 {
		sign, slope, low, high = "−", -slope, -high, -low
	}
	return fmt.Sprintf("TPOT ≈ %.2f ms%s %s %.3f ms%s × C", f.Alpha, bounds(f.AlphaLow, f.AlphaHigh, "%.2f"), sign, slope, bounds(low, high, "%.3f"))
}

// bounds writes a 95 % interval; nothing for one with a side that is not known.
func bounds(low, high float64, format string) string {
	if !finite(low) || !finite(high) || low == 0 && high == 0 {
		return ""
	}
	return strings.ReplaceAll(fmt.Sprintf(" ["+format+", "+format+"]", low, high), "-", "−")
}

// fitTPOT fits the median TPOT below the admission limit, where each offered
// request is in the batch.
//
// A line that starts below zero is none, since a step costs something even for
// the first request; refused says so.
func fitTPOT(levels []Level, limit *Landmark) (fit *LineFit, refused string) {
	end := firstWaiting(levels)
	if limit != nil {
		end = min(end, limit.Load.Concurrency)
	}
	var xs, ys []float64
	for _, p := range places(levels, func(l *Level) Estimate { return l.TPOTP50 }) {
		if p.users < end {
			xs, ys = append(xs, float64(p.users)), append(ys, p.value)
		}
	}
	if len(xs) < shapeLevels {
		return nil, ""
	}
	line := interval.Fit(xs, ys)
	if line.Alpha < 0 {
		return nil, fmt.Sprintf("No line is fitted to TPOT: a straight line through these levels would start below zero, at %s ms, "+
			"so TPOT does not grow in proportion to load here.", sentence.Short(line.Alpha))
	}
	fit = &LineFit{
		Alpha: line.Alpha, AlphaLow: line.AlphaLow, AlphaHigh: line.AlphaHigh, Beta: line.Beta, BetaLow: line.BetaLow, BetaHigh: line.BetaHigh,
		R2: line.R2, N: line.N, From: slices.Min(xs), To: slices.Max(xs), Mean: mean(xs),
	}
	if math.IsNaN(fit.R2) { // all are equal: there is no variance to explain, and the line misses none of the points
		fit.R2 = 1
	}
	if fit.Double, fit.DoubleLow, fit.DoubleHigh = line.Root(); !(fit.Double > 0) {
		fit.Double, fit.DoubleLow, fit.DoubleHigh = math.NaN(), math.NaN(), math.NaN()
	}
	for _, bound := range []*float64{&fit.AlphaLow, &fit.AlphaHigh, &fit.BetaLow, &fit.BetaHigh, &fit.DoubleLow, &fit.DoubleHigh} {
		if !finite(*bound) {
			*bound = math.NaN()
		}
	}
	return fit, ""
}

// firstWaiting is the load from which requests visibly wait to be admitted, also
// where one level alone shows it, which is too little for an admission limit:
// B_run is under 90 % of the load, and grew less than half as fast as the load
// from the level before. Without the second part a workload that spends its time
// on prompts, and so never decodes 90 % of its requests, would seem to wait.
func firstWaiting(levels []Level) int {
	ps := places(levels, func(l *Level) Estimate { return l.BRun })
	for i := 1; i < len(ps); i++ {
		if ps[i].value < AdmittedShare*float64(ps[i].users) && gain(ps[i-1], ps[i]) < 0.5 {
			return ps[i].users
		}
	}
	return math.MaxInt
}

// freeBatching is the end of the region in which another user costs next to nothing.
// A slope that may be zero has none: the levels do not tell where it would end.
func freeBatching(f *LineFit) *Landmark {
	if f == nil || math.IsNaN(f.Double) || !(f.BetaLow > 0) {
		return nil
	}
	end := freeShare * f.Double
	if end < max(2, f.From) {
		return nil
	}
	sure := ""
	if finite(f.DoubleLow) && finite(f.DoubleHigh) {
		sure = fmt.Sprintf(", 95 %% %s to %s", sentence.Short(f.DoubleLow), sentence.Short(f.DoubleHigh))
	}
	because := fmt.Sprintf("Up to here another user costs the others next to nothing: TPOT doubles at C* = α/β = %s users%s, and a fifth of that is %s.",
		sentence.Short(f.Double), sure, sentence.Short(end))
	if end > f.To {
		because = fmt.Sprintf("As far as the line was fitted another user costs the others next to nothing: TPOT would double at C* = α/β = %s users%s, and a fifth of that, %s, is beyond c=%s.",
			sentence.Short(f.Double), sure, sentence.Short(end), sentence.Short(f.To))
		end = f.To
	}
	return &Landmark{Load: experiment.Load{Concurrency: int(end)}, Level: math.Floor(end), Value: end, Because: because, Reading: "databricks-inference-performance"}
}
