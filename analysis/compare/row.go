package compare

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/interval"
)

// Word is what a comparison comes to.
type Word string

const (
	Better  Word = "better"
	Worse   Word = "worse"
	Differs Word = "differs" // of a figure that has no better side
	Same    Word = "~"       // no difference is shown, which is not to show that there is none
	NoWord  Word = "–"       // there is nothing to compare
)

// Alpha is the p-value, corrected for the number of comparisons, under which a difference
// is called.
const Alpha = 0.05

// Row compares one figure of two levels.
type Row struct {
	Figure Figure
	// A and B are the medians over the repeats; NaN where no repeat has the figure.
	A, B float64
	// Ratio is B ÷ A. Its P is corrected.
	Ratio interval.Ratio
	// RawP is P before it was corrected.
	RawP float64
	// Floor is the noise floor that counts, as a share of the value; NaN = none is known.
	Floor float64
	// UnderFloor says that the difference is smaller than the floor, and so not called.
	UnderFloor bool
	// Within says that one run each is compared: nothing is said about another run.
	Within bool
	Word   Word
	// Why says, as a whole sentence about the figure, what it lacks; "" = nothing.
	Why string
}

// MarshalJSON writes what is not known as null.
func (r Row) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Metric     string             `json:"metric"` // "ttft.p95"
		Definition string             `json:"definition"`
		Unit       string             `json:"unit"`
		Direction  analysis.Direction `json:"better_is"`
		A          *float64           `json:"a"`
		B          *float64           `json:"b"`
		Ratio      interval.Ratio     `json:"ratio"` // b ÷ a, with the corrected p
		RawP       *float64           `json:"p_uncorrected"`
		Floor      *float64           `json:"noise_floor"`
		UnderFloor bool               `json:"under_noise_floor"`
		Within     bool               `json:"within_one_run"`
		Word       Word               `json:"word"`
		Why        string             `json:"why,omitempty"`
	}{r.Figure.String(), r.Figure.Metric.ID(), r.Figure.Metric.Unit, r.Figure.Metric.Direction, known(r.A), known(r.B), r.Ratio, known(r.RawP),
		known(r.Floor), r.UnderFloor, r.Within, r.Word, r.Why})
}

// known is nil for what JSON has no word for.
func known(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// compareFigure compares one figure of two levels, without a word yet.
func compareFigure(f Figure, a, b Level, floors Floors) (Row, error) {
	nan := math.NaN()
	va, vb := f.Values(a), f.Values(b)
	r := Row{Figure: f, A: median(va), B: median(vb), Floor: nan, RawP: nan, Ratio: interval.Ratio{Value: nan, Low: nan, High: nan, P: nan, NA: len(va), NB: len(vb)}}
	for _, floor := range []float64{floors.Of(a, f), floors.Of(b, f)} {
		if !math.IsNaN(floor) && !(floor <= r.Floor) {
			r.Floor = floor
		}
	}
	switch {
	case len(va) == 0 && len(vb) == 0:
		r.Why = "Neither side has such a figure."
		return r, nil
	case len(va) == 0, len(vb) == 0:
		without := a
		if len(vb) == 0 {
			without = b
		}
		r.Why = without.Run.Experiment.Alias() + " has no such figure."
		return r, nil
	case slices.Max(va) == 0 && slices.Max(vb) == 0: // no errors on either side, say
		return r, nil
	}
	if len(va) == 1 && len(vb) == 1 {
		ratio, ok, err := withinRuns(f, a, b)
		if err != nil {
			return r, err
		}
		if r.Within = true; ok {
			r.Ratio = ratio
		} else {
			r.Ratio.Value = r.B / r.A
			r.Why = "It has no interval within a run."
		}
	} else {
		r.Ratio = interval.RepeatsRatio(va, vb)
	}
	if r.RawP = r.Ratio.P; r.oneIsZero() {
		r.Ratio.Value, r.Ratio.Warnings, r.Why = nan, nil, "It is 0 on one side, so there is no ratio to call better or worse."
	}
	return r, nil
}

// oneIsZero reports whether one side is 0 and the other is not: they differ, and have no ratio.
func (r *Row) oneIsZero() bool { return (r.A == 0) != (r.B == 0) }

// judge corrects the probabilities of the rows of one level by Holm, and gives each row
// its word. It gives the number of comparisons that were corrected for.
func judge(rows []Row) int {
	p := make([]float64, len(rows))
	n := 0
	for i, r := range rows {
		p[i] = r.RawP
		if !math.IsNaN(r.RawP) {
			n++
		}
	}
	for i, q := range interval.Holm(p) {
		rows[i].Ratio.P = q
		rows[i].say()
	}
	return n
}

func (r *Row) say() {
	ratio := r.Ratio.Value
	apart := math.Max(ratio, 1/ratio) - 1
	r.UnderFloor = apart < r.Floor && apart > 0
	switch {
	case math.IsNaN(r.A) || math.IsNaN(r.B) || r.oneIsZero():
		r.Word = NoWord
	case !r.Ratio.Distinguishable() || r.UnderFloor:
		r.Word = Same
	case r.Figure.Metric.Direction == analysis.Neither:
		r.Word = Differs
	case (ratio > 1) == (r.Figure.Metric.Direction == analysis.HigherIsBetter):
		r.Word = Better
	default:
		r.Word = Worse
	}
}

// outlier says where the repeats of a side are so uneven that the ratio of the medians, which are shown, lies outside
// the interval of the ratio; "" = it does not.
func (r *Row) outlier() string {
	medians := r.B / r.A
	if r.Within || !(medians < r.Ratio.Low || medians > r.Ratio.High) || math.Abs(math.Log(medians/r.Ratio.Value)) < math.Log1p(outlierBar) {
		return ""
	}
	return fmt.Sprintf("the ratio of the medians is %.3g and that of the geometric means %.3g, so some repeat lies far off the others.", medians, r.Ratio.Value)
}

// outlierBar is how far apart the two ratios are, as a share, before it is worth a sentence.
const outlierBar = 0.05

// median is that of several values in any order; NaN for none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}
