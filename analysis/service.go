package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

// Attainment is how a point stands to one objective of an SLO.
type Attainment struct {
	Objective string `json:"objective"` // as [experiment.Objective] writes it
	// Share of the measured requests that kept it, 0–1. A request that failed kept
	// nothing, whatever its time; for errors it is the share of successes, and for
	// goodput that of the requests within all latencies.
	Share float64 `json:"share"`
	// Value is what is held against the bound: the latency's quantile in ms, or the
	// share of errors or of good requests with its exact binomial interval
	// (Clopper and Pearson 1934). It is not known where the objective names no quantile.
	Value Estimate `json:"value"`
}

// MarshalJSON writes what is not known as null.
func (a Attainment) MarshalJSON() ([]byte, error) { return marshalFinite(a) }

// UnmarshalJSON reads what [Attainment.MarshalJSON] wrote.
func (a *Attainment) UnmarshalJSON(data []byte) error {
	type plain Attainment
	return unmarshalFinite(data, (*plain)(a))
}

// service counts the measured requests that kept the objectives.
type service struct {
	slo    experiment.SLO
	of     []func(*experiment.Sample) (float64, bool) // by objective; nil for a share
	within []int                                      // by objective
	all    int                                        // those that kept every latency
}

func newService(slo experiment.SLO) service {
	v := service{slo: slices.Clone(slo), of: make([]func(*experiment.Sample) (float64, bool), len(slo)), within: make([]int, len(slo))}
	for i, o := range slo {
		if m, ok := MetricByName(o.Metric); ok && !o.Share() {
			v.of[i] = m.Of
		}
	}
	return v
}

func (v *service) add(s *experiment.Sample) {
	for i := range v.slo {
		if v.keeps(i, s) {
			v.within[i]++
		}
	}
	if v.good(s) {
		v.all++
	}
}

// good reports whether a request of any phase was ok and within all the latencies.
func (v *service) good(s *experiment.Sample) bool {
	if s.Outcome != experiment.OK {
		return false
	}
	if len(v.slo) > 0 && s.Phase != experiment.Measured { // whose latencies do not count else
		measured := *s
		measured.Phase = experiment.Measured
		s = &measured
	}
	for i := range v.slo {
		if !v.keeps(i, s) {
			return false
		}
	}
	return true
}

// keeps reports whether one request keeps the i-th objective. An answer of one token has
// no time per token that could be too long; one without text has no first token,
// and keeps no bound on it.
func (v *service) keeps(i int, s *experiment.Sample) bool {
	if s.Outcome != experiment.OK || v.of[i] == nil {
		return s.Outcome == experiment.OK
	}
	o := v.slo[i]
	latency, ok := v.of[i](s)
	return ok && latency <= o.Bound || !ok && o.Metric == "tpot"
}

// judge fills in how the point stands to its SLO. columns has the values of each of
// sampleMetrics in ascending order.
func (c *Collector) judge(s *PointSummary, columns [][]float64) {
	s.SLO, s.GoodShare = c.service.slo.String(), math.NaN()
	if len(c.service.slo) == 0 {
		return
	}
	s.GoodShare = ratio(float64(c.service.all), float64(s.Sent))
	for i, o := range c.service.slo {
		a := Attainment{Objective: o.String(), Share: ratio(float64(c.service.within[i]), float64(s.Sent)), Value: unknown()}
		switch {
		case o.Metric == "errors":
			a.Value = shareOf(s.Sent-s.OK, s.Sent)
		case o.Metric == "goodput":
			a.Share, a.Value = s.GoodShare, shareOf(c.service.all, s.Sent)
		case o.Quantile > 0:
			i := slices.IndexFunc(sampleMetrics, func(m Metric) bool { return m.Name == o.Metric })
			a.Value = quantileOver(c.latencies(i), columns[i], o.Quantile)
		}
		s.Attainment = append(s.Attainment, a)
	}
}

// shareOf estimates a probability from k of n.
func shareOf(k, n int) Estimate {
	e := single(ratio(float64(k), float64(n)), n)
	if n == 0 {
		return e
	}
	e.Low, e.High = 0, 1
	if k > 0 {
		e.Low = distuv.Beta{Alpha: float64(k), Beta: float64(n - k + 1)}.Quantile(tail)
	}
	if k < n {
		e.High = distuv.Beta{Alpha: float64(k + 1), Beta: float64(n - k)}.Quantile(1 - tail)
	}
	return e
}

// Ruling says whether an SLO was held.
type Ruling string

const (
	Holds  Ruling = "holds"  // the whole interval is on the right side of the bound
	Misses Ruling = "misses" // the whole interval is on the wrong side of it
	Unsure Ruling = "unsure" // the interval straddles the bound, or nothing was observed
)

// ObjectiveResult is the ruling on one part of an SLO.
type ObjectiveResult struct {
	Objective string   `json:"objective"`
	Bound     float64  `json:"bound"` // in ms, or a share of 1
	Value     Estimate `json:"value"` // in the bound's unit
	Ruling    Ruling   `json:"ruling"`
}

// SLOResult is the ruling on a point: it holds if every part does, and misses if any does.
type SLOResult struct {
	Ruling Ruling `json:"ruling"`
	// Leans says what the values alone say, without their intervals: whether every
	// part lies on the right side of its bound. It is what an unsure ruling comes down to.
	Leans      bool              `json:"leans"`
	Objectives []ObjectiveResult `json:"objectives"` // those that a point is judged by
	Sentence   string            `json:"sentence"`
}

// Verdict holds a point against an SLO. The figures are those of the summary's own
// SLO where it has the objective, else its p50, p90, p95 and p99; one that it does not
// have makes the ruling unsure. A point of which nothing succeeded misses, and so
// does one whose requests pile up: its latencies say how long the run was.
func Verdict(slo experiment.SLO, s *PointSummary) SLOResult {
	out := SLOResult{Ruling: Holds, Leans: true, Objectives: []ObjectiveResult{}}
	var parts []string
	for _, o := range slo {
		if !o.Judges() {
			continue
		}
		r := ObjectiveResult{Objective: o.String(), Bound: o.Bound, Value: figureOf(o, s)}
		if o.Metric == "goodput" && !sameLatencies(slo, s.SLO) {
			r.Value = unknown() // other requests were good by the summary's own bounds
		}
		var right bool
		r.Ruling, right = rule(o, r.Value)
		out.Leans = out.Leans && right
		if r.Ruling == Misses || r.Ruling == Unsure && out.Ruling == Holds {
			out.Ruling = r.Ruling
		}
		out.Objectives = append(out.Objectives, r)
		parts = append(parts, r.sentence(o))
	}
	switch {
	case len(out.Objectives) == 0:
		out.Ruling, out.Leans = Unsure, false
		out.Sentence = "The SLO has no part that a point is judged by; give a quantile, as in ttft.p95<500ms."
		return out
	case s.Sent > 0 && s.OK == 0:
		out.Ruling, out.Leans = Misses, false
		parts = append(parts, "no request succeeded")
	case s.Oversaturated:
		out.Ruling, out.Leans = Misses, false
		parts = append(parts, "requests pile up, so that no latency of this load is one")
	}
	out.Sentence = fmt.Sprintf("The SLO %s: %s.", map[Ruling]string{Holds: "holds", Misses: "is missed", Unsure: "may or may not hold"}[out.Ruling],
		strings.Join(parts, "; "))
	return out
}

// figureOf finds what an objective is about.
func figureOf(o experiment.Objective, s *PointSummary) Estimate {
	if i := slices.IndexFunc(s.Attainment, func(a Attainment) bool { return sameFigure(o, a.Objective) }); i >= 0 {
		return s.Attainment[i].Value
	}
	if o.Metric == "errors" {
		return shareOf(s.Sent-s.OK, s.Sent)
	}
	if d, ok := s.DistributionOf(o.Metric); ok {
		for i, q := range shownQuantiles {
			if q == o.Quantile {
				return *d.quantile(i)
			}
		}
	}
	return unknown()
}

// sameLatencies reports whether an SLO bounds the same latencies as a text of one.
func sameLatencies(slo experiment.SLO, text string) bool {
	other, err := experiment.ParseSLO(text)
	if err != nil {
		return false
	}
	share := experiment.Objective.Share
	return slices.Equal(slices.DeleteFunc(slices.Clone(slo), share), slices.DeleteFunc(other, share))
}

// sameFigure reports whether an objective's text is about the same figure, with
// whatever bound.
func sameFigure(o experiment.Objective, text string) bool {
	if o.Metric == "goodput" {
		return strings.HasPrefix(text, "goodput")
	}
	i := strings.IndexByte(text, '<')
	own := o.String()
	return i > 0 && own[:strings.IndexByte(own, '<')] == text[:i]
}

// rule holds a value and its interval against a bound; right is what the value
// alone says.
func rule(o experiment.Objective, e Estimate) (r Ruling, right bool) {
	switch {
	case !e.Known():
		return Unsure, false
	case o.Metric == "goodput":
		right = e.Value >= o.Bound
		if e.Low >= o.Bound {
			return Holds, right
		} else if e.High < o.Bound {
			return Misses, right
		}
	default:
		right = e.Value <= o.Bound
		if e.High <= o.Bound {
			return Holds, right
		} else if e.Low > o.Bound {
			return Misses, right
		}
	}
	return Unsure, right
}

func (r *ObjectiveResult) sentence(o experiment.Objective) string {
	if !r.Value.Known() {
		return r.Objective + " cannot be judged, since there is no such figure"
	}
	show := func(v float64) string {
		switch {
		case math.IsInf(v, 0):
			return "∞"
		case o.Share():
			return sentence.Percent(v)
		default:
			return sentence.Short(v) + " ms"
		}
	}
	low := show(r.Value.Low)
	if math.IsInf(r.Value.Low, 0) {
		low = "−∞"
	}
	return fmt.Sprintf("%s %s at %s [%s to %s]", r.Objective, map[Ruling]string{Holds: "holds", Misses: "is missed", Unsure: "is unsure"}[r.Ruling],
		show(r.Value.Value), low, show(r.Value.High))
}
