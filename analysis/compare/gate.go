package compare

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/interval"
	"github.com/inferbook/inferbook/analysis/sentence"
)

// Allowance is how much worse a figure may become.
type Allowance struct {
	Figure Figure
	// Share of the baseline by which it may become worse, 0 or more.
	Share float64
}

// String is the allowance as a person types it: "ttft.p95:+5%".
func (a Allowance) String() string {
	sign := "+"
	if a.Figure.Metric.Direction == analysis.HigherIsBetter {
		sign = "-"
	}
	return fmt.Sprintf("%s:%s%s%%", a.Figure, sign, strconv.FormatFloat(math.Round(a.Share*1e8)/1e6, 'f', -1, 64))
}

var allowanceForm = regexp.MustCompile(`^([^:]+):([-+−]?)([0-9.]+)%$`)

// ParseAllowance reads a figure and the change that is allowed: "ttft.p95:+5%",
// "output_throughput:-3%". The sign says which way is worse, and may be left out; the
// other sign is refused, since nobody who writes it means it.
func ParseAllowance(text string) (Allowance, error) {
	m := allowanceForm.FindStringSubmatch(strings.ReplaceAll(text, " ", ""))
	if m == nil {
		return Allowance{}, fmt.Errorf("%q is not a figure and the change that is allowed; write one such as ttft.p95:+5%% or output_throughput:-3%%", text)
	}
	f, err := ParseFigure(m[1])
	if err != nil {
		return Allowance{}, err
	}
	v, err := strconv.ParseFloat(m[3], 64)
	a := Allowance{f, v / 100}
	lower := f.Metric.Direction == analysis.LowerIsBetter
	switch {
	case err != nil || !(v < 1000) || !lower && v >= 100:
		return a, fmt.Errorf("%q allows a change of %s%%, which is none that can be held", text, m[3])
	case f.Metric.Direction == analysis.Neither:
		return a, fmt.Errorf("%s has no better side, so it cannot become worse; name another figure", f)
	case m[2] == "+" && !lower, m[2] != "+" && m[2] != "" && lower:
		return a, fmt.Errorf("%s becomes worse in the other direction; write %s", f, a)
	}
	return a, nil
}

// bound is the ratio to the baseline that is just allowed.
func (a Allowance) bound() float64 {
	if a.Figure.Metric.Direction == analysis.LowerIsBetter {
		return 1 + a.Share
	}
	return 1 - a.Share
}

// worse gives how much worse a ratio to the baseline is, as a share of it; below 0 = it is
// better.
func (a Allowance) worse(ratio float64) float64 {
	if a.Figure.Metric.Direction == analysis.LowerIsBetter {
		return ratio - 1
	}
	return 1 - ratio
}

// Verdict is what a gate says.
type Verdict string

const (
	Pass         Verdict = "ok"           // the whole interval lies within what is allowed
	Fail         Verdict = "worse"        // the whole interval lies beyond it, and chance is ruled out as below
	Inconclusive Verdict = "inconclusive" // neither
)

// Ruling is the verdict on one figure at one load.
type Ruling struct {
	Row
	Allowance Allowance
	// Low and High bound the ratio to the baseline. Where one run each is compared and the noise
	// floor is known, they are at least as wide as the floor, which holds two single runs.
	Low, High float64
	// P is the probability of a ratio at least as far beyond the allowance where it is just
	// used up, corrected by Holm for all rulings of the gate; NaN where it cannot be told.
	P       float64
	Verdict Verdict
	Because string // in a few words, with the numbers
}

// MarshalJSON writes what is not known as null.
func (r Ruling) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Row       Row      `json:"comparison"`
		Allowance string   `json:"allowance"`
		Bound     float64  `json:"allowed_ratio"`
		Low       *float64 `json:"low"`
		High      *float64 `json:"high"`
		P         *float64 `json:"p"` // that it is within the allowance, corrected
		Verdict   Verdict  `json:"verdict"`
		Because   string   `json:"because"`
	}{r.Row, r.Allowance.String(), r.Allowance.bound(), known(r.Low), known(r.High), known(r.P), r.Verdict, r.Because})
}

// Gate is a comparison with a verdict.
type Gate struct {
	Verdict Verdict    // worse if any is, else inconclusive if any is
	Rulings [][]Ruling // by level of the comparison
	Tests   int        // that were corrected for
	Notes   []string   // whole sentences on what the verdict cannot support
}

// NewGate judges a comparison of exactly the allowances' figures. To find one worse takes
// an interval beyond the allowance and a probability that is corrected for how many
// were looked at. To find one ok takes an interval within it, without a correction,
// since a gate passes only if all of them are. An error is one of reading samples.
func NewGate(d *Diff, allowances []Allowance) (*Gate, error) {
	g := &Gate{Verdict: Pass}
	var p []float64
	for _, l := range d.Levels {
		var list []Ruling
		for _, row := range l.Rows {
			i := slices.IndexFunc(allowances, func(a Allowance) bool { return a.Figure.String() == row.Figure.String() })
			r := Ruling{Row: row, Allowance: allowances[i]}
			r.Low, r.High = row.Ratio.Low, row.Ratio.High
			r.widen()
			var err error
			if r.P, err = beyond(r.Allowance, l.A, l.B); err != nil {
				return nil, err
			}
			p, list = append(p, r.P), append(list, r)
		}
		g.Rulings = append(g.Rulings, list)
	}
	corrected := interval.Holm(p)
	for n, list := range g.Rulings {
		for i := range list {
			list[i].P, corrected = corrected[0], corrected[1:]
			list[i].judge()
			switch l := d.Levels[n]; {
			case l.B.ok() == 0 && l.A.ok() > 0: // also where what is 0 for it has no ratio to the baseline
				list[i].Verdict, list[i].Because = Fail, "none of its requests succeeded"
			case list[i].Verdict == Pass && l.doubt() != "":
				list[i].Verdict, list[i].Because = Inconclusive, l.doubt()
			}
			if v := list[i].Verdict; v == Fail || v == Inconclusive && g.Verdict == Pass {
				g.Verdict = v
			}
		}
	}
	for _, v := range p {
		if !math.IsNaN(v) {
			g.Tests++
		}
	}
	g.Notes = g.notes(d)
	return g, nil
}

// doubt says why the figures of b may be good for the wrong reason; "" = nothing does.
func (l LevelDiff) doubt() string {
	over := func(l Level) bool {
		return slices.ContainsFunc(l.Points, func(p *analysis.PointSummary) bool { return p.Oversaturated })
	}
	switch share := l.B.errorShare(); {
	case share > l.A.errorShare()+errorBar:
		return fmt.Sprintf("%.3g %% of its requests failed, and the figure is of the others", 100*share)
	case over(l.B) && !over(l.A):
		return "requests pile up in it, so its latencies say how long the run was"
	}
	return ""
}

// notes says what the verdict cannot support.
func (g *Gate) notes(d *Diff) []string {
	var out []string
	single, floored, repeats := false, false, 0
	for n, list := range g.Rulings {
		for i := range list {
			known := !math.IsNaN(list[i].Floor)
			single, floored = single || list[i].Within && !known, floored || list[i].Within && known
		}
		if k := min(len(d.Levels[n].A.Points), len(d.Levels[n].B.Points)); repeats == 0 || k < repeats {
			repeats = k
		}
		out = append(out, d.Levels[n].Notes...)
	}
	if single {
		out = append(out, fmt.Sprintf("One run each is compared and no noise floor is known for it, so these intervals say nothing about another run of the two; "+
			"`inferbook noise --like %s` finds the floor, and --repeat 5 does without.", d.A.Experiment.Alias()))
	}
	if floored {
		out = append(out, "One run each is compared, with intervals no narrower than the noise floor that two single runs have.")
	}
	if need := interval.LeastRepeats(Alpha / float64(max(1, g.Tests))); repeats > 1 && repeats < need {
		out = append(out, fmt.Sprintf("Nothing can be found worse with %s a side: for %s at once it takes %d.", sentence.Plural(repeats, "repeat"), sentence.Plural(g.Tests, "figure"), need))
	}
	return append(out, notes(d.A, d.B, nil)...)
}

// widen takes the noise floor into account where one run each is compared. A
// run that cannot bound the ratio itself leaves it to the floor.
func (r *Ruling) widen() {
	if !r.Within || math.IsNaN(r.Floor) || math.IsNaN(r.Ratio.Value) {
		return
	}
	low, high := r.Ratio.Value/(1+r.Floor), r.Ratio.Value*(1+r.Floor)
	if math.IsNaN(r.Low) || math.IsInf(r.Low, 0) || math.IsInf(r.High, 0) {
		r.Low, r.High = low, high
	}
	r.Low, r.High = min(r.Low, low), max(r.High, high)
}

// beyond is the two-sided p-value of the ratio's being the one that is just allowed: that
// of no difference, with the baseline moved by the allowance.
func beyond(a Allowance, la, lb Level) (float64, error) {
	f := a.Figure
	va, vb := f.Values(la), f.Values(lb)
	switch {
	case len(va) == 0 || len(vb) == 0:
		return math.NaN(), nil
	case len(va) > 1 || len(vb) > 1:
		return interval.RepeatsRatio(scaled(va, a.bound()), vb).P, nil
	}
	sa, sb, ok, err := f.bothSeries(la, lb)
	if err != nil || !ok {
		return math.NaN(), err
	}
	return f.ratioOf(scaled(sa, a.bound()), sb).P, nil
}

func scaled(values []float64, by float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = v * by
	}
	return out
}

// judge gives the verdict and its reason.
func (r *Ruling) judge() {
	a := r.Allowance
	least, most := a.worse(r.Low), a.worse(r.High)
	if least > most {
		least, most = most, least
	}
	allowed := fmt.Sprintf("%s allowed", share(a.Share))
	r.Verdict = Inconclusive
	switch {
	case math.IsNaN(r.A) && math.IsNaN(r.B), math.IsNaN(r.A):
		r.Because = r.why()
	case math.IsNaN(r.B):
		// The work was the same, so what the candidate lacks is its answers.
		r.Verdict, r.Because = Fail, r.why()+", and the baseline has"
	case r.A == 0 && r.B == 0:
		r.Verdict, r.Because = Pass, "both are 0"
	case math.IsNaN(r.Low) || math.IsInf(least, 0) && math.IsInf(most, 0):
		r.Because = r.unbounded()
	case most < 0:
		r.Verdict, r.Because = Pass, "at least "+side(most)
	case most <= a.Share:
		r.Verdict, r.Because = Pass, fmt.Sprintf("at most %s, %s", side(most), allowed)
	case least <= a.Share:
		r.Because = fmt.Sprintf("from %s to %s, %s", side(least), side(most), allowed)
	case r.UnderFloor:
		r.Because = fmt.Sprintf("at least %s, %s, but the noise floor is %s", side(least), allowed, share(r.Floor))
	case !(r.P < Alpha) && !math.IsNaN(r.P):
		r.Because = fmt.Sprintf("at least %s, %s, but p = %.2g with all that was looked at", side(least), allowed, r.P)
	default:
		r.Verdict, r.Because = Fail, fmt.Sprintf("at least %s, %s", side(least), allowed)
	}
}

// unbounded says why there is no interval.
func (r *Ruling) unbounded() string {
	switch {
	case r.A == 0:
		return "the baseline is 0, so there is no ratio to it"
	case r.Why != "":
		return r.why() + "; --repeat 5, or a noise floor, gives one"
	case r.Within && len(r.Ratio.Warnings) > 0:
		return strings.TrimSuffix(r.Ratio.Warnings[0], ".")
	}
	return fmt.Sprintf("%d and %d repeats give no interval", r.Ratio.NA, r.Ratio.NB)
}

// why is the row's reason as a part of a sentence.
func (r *Ruling) why() string {
	return strings.TrimSuffix(strings.Replace(r.Why, "It ", "it ", 1), ".")
}

// side writes how much worse something is, in words.
func side(worse float64) string {
	switch {
	case math.IsInf(worse, 0):
		return "any amount"
	case worse < 0:
		return share(-worse) + " better"
	}
	return share(worse) + " worse"
}

// share writes a share of 1 in percent, with three digits.
func share(v float64) string {
	if v >= 10 {
		return fmt.Sprintf("%.0f %%", 100*v)
	}
	return fmt.Sprintf("%.3g %%", 100*v)
}
