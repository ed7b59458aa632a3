package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

// Score is how an expectation came out: the claim held against what was measured.
type Score struct {
	Text       string  `json:"text"`       // as it was typed
	Figure     string  `json:"figure"`     // "ttft.p95"
	Unit       string  `json:"unit"`       // of the value; "" = a pure number
	Confidence float64 `json:"confidence"` // 0–1; NaN = did not say
	// Ruling is holds if the figure keeps the claim at each level that it is about, with
	// its whole interval, and misses if at one of them the whole interval is beyond it.
	// A figure that has no interval, as a rate of one repeat, is judged by its value.
	Ruling Ruling `json:"ruling"`
	// Load is the level that decided: the one furthest beyond the bound, else the
	// nearest to it; zero = the curve as a whole did, or nothing was measured.
	Load  experiment.Load `json:"load"`
	Value Estimate        `json:"value"` // there
	// Factor is value ÷ bound there, for a range value ÷ its geometric middle. NaN
	// where either is 0 or not known.
	Factor float64 `json:"factor"`
	// Claim is the claim written out, "ttft.p95 < 300 ms", and Finding what became of it.
	Claim   string `json:"claim"`
	Finding string `json:"finding"`
}

// MarshalJSON writes what is not known as null.
func (s Score) MarshalJSON() ([]byte, error) { return marshalFinite(s) }

// UnmarshalJSON reads what [Score.MarshalJSON] wrote.
func (s *Score) UnmarshalJSON(data []byte) error {
	type plain Score
	return unmarshalFinite(data, (*plain)(s))
}

// figureOfClaim finds what a claim is about. A goodput in percent is a share of the
// requests, as in an SLO, and not a rate.
func figureOfClaim(c *experiment.Claim) (figure, error) {
	name := c.Figure()
	if name == "goodput" && c.Unit == "%" {
		name = "slo_attainment"
	}
	f, err := figureByName(name)
	if err != nil {
		return f, err
	}
	f.name = c.Figure()
	unit := f.unit
	if f.share {
		unit = "%"
	}
	switch {
	case c.Unit == "" && unit == "ms":
		return f, fmt.Errorf("its bound is a time, so write a unit, as in 300ms")
	case c.Unit == "" && f.share && (c.High > 1 && !math.IsInf(c.High, 1) || c.Low > 1):
		return f, fmt.Errorf("%s is a share, so its bound lies under 100%%", f.name)
	case c.Unit == "", c.Unit == unit, c.Unit == "ms" && unit == "s":
		return f, nil
	}
	if unit == "" {
		return f, fmt.Errorf("%s has no unit, and its bound is in %s", f.name, c.Unit)
	}
	return f, fmt.Errorf("%s is in %s, and its bound in %s", f.name, unit, c.Unit)
}

// CheckClaim says before a run what would keep a claim from ever being scored by it: no
// such figure, a figure that a run of this specification does not have, or a level that
// is not among the planned loads (empty = they are not known yet).
func CheckClaim(c experiment.Claim, spec *experiment.Spec, loads []experiment.Load) error {
	f, err := figureOfClaim(&c)
	if err != nil {
		return err
	}
	open := len(loads) == 0 || slices.ContainsFunc(loads, func(l experiment.Load) bool { return l.Rate > 0 })
	closed := len(loads) == 0 || slices.ContainsFunc(loads, closed)
	streams := f.needs == needsStream || f.needs == needsBoth || f.needs == needsLoop
	switch {
	case streams && !spec.Stream && len(spec.Matrix) == 0:
		return fmt.Errorf("%s needs a streamed answer; add --stream", f.name)
	case f.needs == needsSLO && len(spec.SLO) == 0 && len(spec.Classes) == 0:
		return fmt.Errorf("%s needs an SLO to say what is good; add --slo, such as --slo \"ttft<500ms tpot<40ms\"", f.name)
	case f.needs == needsOpen && !open:
		return fmt.Errorf("%s needs an open loop; give a --rate", f.name)
	case f.needs == needsLoop && !closed:
		return fmt.Errorf("%s needs a closed loop; give --concurrency", f.name)
	case f.ofCurve != nil && c.At != experiment.Load{}:
		return fmt.Errorf("%s is one figure of the whole curve; leave the level out", f.name)
	}
	if c.At == (experiment.Load{}) || len(loads) == 0 || slices.ContainsFunc(loads, func(l experiment.Load) bool { return about(&c, l) }) {
		return nil
	}
	var have []string
	for _, l := range loads {
		l.Variant = ""
		have = append(have, l.String())
	}
	return fmt.Errorf("the run has no level %s; it has %s", c.At, list(distinct(have)))
}

// about reports whether a claim is about a load: its concurrency or its rate, in any
// variant.
func about(c *experiment.Claim, l experiment.Load) bool {
	l.Variant = ""
	return c.At == experiment.Load{} || c.At == l
}

// stand is how the figure of a claim stands to it at one level.
type stand struct {
	load   experiment.Load
	value  Estimate
	ruling Ruling
	beyond float64 // by how much the value lies beyond the bound, as a logarithm; below 0 = it keeps it
	piled  bool    // requests pile up there, so that a latency says how long the run was
}

// NewScore holds an expectation against the curves of its experiment, one a variant. A
// claim about several levels has to hold at each of them.
func NewScore(x experiment.Expectation, curves []Curve) Score {
	s := Score{Text: x.Text, Confidence: math.NaN(), Ruling: Unsure, Value: unknown(), Factor: math.NaN(), Claim: x.Text}
	if x.Confidence > 0 {
		s.Confidence = x.Confidence
	}
	c, err := experiment.ParseClaim(x.Text)
	if err == nil {
		var f figure
		if f, err = figureOfClaim(&c); err == nil {
			s.judge(&c, &f, curves)
			return s
		}
	}
	s.Finding = "it cannot be scored: " + err.Error()
	return s
}

// judge fills in how the claim came out.
func (s *Score) judge(c *experiment.Claim, f *figure, curves []Curve) {
	if f.unit == "s" && c.Unit == "ms" {
		c.Low, c.High = c.Low/1000, c.High/1000
	}
	s.Figure, s.Unit, s.Claim = f.name, f.unit, writeClaim(c, f)
	by, levels := map[Ruling][]stand{}, 0
	for i := range curves {
		for _, st := range stands(c, f, &curves[i]) {
			by[st.ruling] = append(by[st.ruling], st)
			levels++
		}
	}
	for _, r := range []Ruling{Misses, Unsure, Holds} {
		if len(by[r]) == 0 {
			continue
		}
		worst := slices.MaxFunc(by[r], func(a, b stand) int { return cmp.Compare(a.beyond, b.beyond) }) // NaN is the least
		s.Ruling, s.Load, s.Value, s.Factor = r, worst.load, worst.value, factor(c, worst.value.Value)
		s.Finding = finding(c, f, &worst, by[r], levels)
		return
	}
	s.Finding = fmt.Sprintf("there is no %s, since no level of the kind was measured", f.name)
}

// stands holds a claim against each level of a curve that it is about, or against
// the curve as a whole.
func stands(c *experiment.Claim, f *figure, curve *Curve) []stand {
	if f.ofCurve != nil {
		v := f.ofCurve(curve)
		st := stand{value: single(v, len(curve.Levels))}
		st.judge(c, f)
		st.load.Variant = curve.Variant
		return []stand{st}
	}
	var out []stand
	for i := range curve.Levels {
		l := &curve.Levels[i]
		if !about(c, l.Load) {
			continue
		}
		st := stand{load: l.Load, value: f.ofLevel(l), piled: l.Oversaturated && f.unit == "ms"}
		st.judge(c, f)
		out = append(out, st)
	}
	return out
}

// judge holds the value with its interval against the bounds. Of a few repeats, which
// give no interval, each has to be on one side.
func (st *stand) judge(c *experiment.Claim, f *figure) {
	e := st.value
	st.ruling, st.beyond = Unsure, math.NaN()
	if !e.Known() {
		return
	}
	low, high := e.Low, e.High
	if least, most, ok := e.Spread(); ok {
		low, high = least, most
	} else if math.IsNaN(low) && math.IsNaN(high) {
		low, high = e.Value, e.Value
	}
	st.beyond = math.Inf(-1)
	if !math.IsInf(c.High, 1) {
		st.beyond = math.Log(e.Value / c.High)
	}
	if !math.IsInf(c.Low, -1) {
		st.beyond = max(st.beyond, math.Log(c.Low/e.Value))
	}
	switch {
	case allowed(c, low) && allowed(c, high):
		st.ruling = Holds
	case overBound(c, low) || below(c, high):
		st.ruling = Misses
	}
	if st.piled && st.ruling == Holds {
		st.ruling = Unsure
	}
}

func overBound(c *experiment.Claim, v float64) bool {
	return v > c.High || c.Strict && finite(v) && v == c.High
}

func below(c *experiment.Claim, v float64) bool {
	return v < c.Low || c.Strict && finite(v) && v == c.Low
}

func allowed(c *experiment.Claim, v float64) bool { return !overBound(c, v) && !below(c, v) }

// factor is the value ÷ the bound, for a range ÷ its geometric middle.
func factor(c *experiment.Claim, v float64) float64 {
	bound := c.High
	switch {
	case math.IsInf(c.High, 0):
		bound = c.Low
	case !math.IsInf(c.Low, 0):
		bound = math.Sqrt(c.Low * c.High)
	}
	if v == 0 {
		return math.NaN()
	}
	return ratio(v, bound)
}

// writeClaim writes a claim as a person reads it: "ttft.p95 < 300 ms at c=8".
func writeClaim(c *experiment.Claim, f *figure) string {
	equal := "="
	if c.Strict {
		equal = ""
	}
	text := f.name
	switch {
	case math.IsInf(c.Low, 0):
		text += " <" + equal + " " + f.write(c.High)
	case math.IsInf(c.High, 0):
		text += " >" + equal + " " + f.write(c.Low)
	case c.Low == c.High:
		text += " = " + f.write(c.Low)
	default:
		_, unit, _ := strings.Cut(f.write(c.High), " ")
		text += " from " + strings.TrimSuffix(f.write(c.Low), " "+unit) + " to " + f.write(c.High)
	}
	if c.At != (experiment.Load{}) {
		text += " at " + c.At.String()
	}
	return text
}

// finding says what a claim came to, by the level that decided it. alike are those
// with the same ruling, of all levels that the claim is about.
func finding(c *experiment.Claim, f *figure, worst *stand, alike []stand, levels int) string {
	at := ""
	if f.ofLevel != nil {
		at = " at " + worst.load.String()
	} else if worst.load.Variant != "" {
		at = " with " + worst.load.Variant
	}
	e := worst.value
	if !e.Known() {
		if f.ofCurve != nil {
			return fmt.Sprintf("no %s shows%s in this sweep", f.name, at)
		}
		return fmt.Sprintf("there is no %s%s", f.name, at)
	}
	text := fmt.Sprintf("it was %s%s", f.writeEstimate(e), at)
	if how := distance(c, e.Value, worst.ruling); how != "" {
		text += ", " + how
	}
	switch {
	case worst.piled:
		text += "; requests pile up there, so a latency says how long the run was"
	case worst.ruling == Unsure:
		text += "; the bound lies within its interval"
	}
	if worst.ruling != Holds && len(alike) > 1 {
		text += "; likewise at " + others(alike, worst, levels)
	} else if worst.ruling == Holds && levels > 1 && f.ofLevel != nil {
		text += fmt.Sprintf(", the nearest of %d levels", levels)
	}
	return text
}

// others names the levels beside the one that was told of.
func others(alike []stand, told *stand, levels int) string {
	if len(alike) == levels {
		return fmt.Sprintf("each of the %d levels", levels)
	}
	var names []string
	for _, st := range alike {
		if st.load != told.load {
			names = append(names, st.load.String())
		}
	}
	return list(names)
}

// distance says by how much a value lies beyond the bound or within it: "1.88 × the
// bound". Of a range it tells the end that was passed.
func distance(c *experiment.Claim, v float64, r Ruling) string {
	bound, name := c.High, "the bound"
	ranged := !math.IsInf(c.Low, 0) && !math.IsInf(c.High, 0)
	switch {
	case math.IsInf(c.High, 0):
		bound = c.Low
	case ranged && r == Holds:
		return ""
	case ranged && v < c.Low:
		bound, name = c.Low, "the lower bound"
	case ranged:
		name = "the upper bound"
	}
	if !finite(v/bound) || v == 0 || c.Low == c.High {
		return ""
	}
	return fmt.Sprintf("%s × %s", sentence.Short(v/bound), name)
}
