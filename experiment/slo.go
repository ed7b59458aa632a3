package experiment

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SLO is a service-level objective: the parts that must all hold. Its text is the
// parts with spaces between them, "ttft.p95<500ms tpot.p95<40ms errors<1%".
type SLO []Objective

// Objective is one part of an [SLO].
type Objective struct {
	// Metric is ttft, ttft_answer, tpot, e2e, ttft_sched or e2e_sched, a latency; errors, the
	// share of requests that were not ok; or goodput, the share that was ok and
	// within all the latencies of the SLO at once.
	Metric string
	// Quantile is where the latency is looked at, 0.5 for p50; 0 = at no quantile:
	// the bound counts for goodput, request by request, and for nothing else.
	Quantile float64
	// Bound is the latency in milliseconds that must not be exceeded, or the
	// share, 0–1, that errors must stay under or goodput must reach.
	Bound float64
}

// Share reports whether the bound is a share and not a latency.
func (o Objective) Share() bool { return o.Metric == "errors" || o.Metric == "goodput" }

// Judges reports whether the objective alone decides whether a point holds.
func (o Objective) Judges() bool { return o.Share() || o.Quantile > 0 }

// Judges reports whether some part of the SLO decides whether a point holds it.
func (s SLO) Judges() bool { return slices.ContainsFunc(s, Objective.Judges) }

// String gives the text of the objective.
func (o Objective) String() string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	percent := func(v float64) string { return number(math.Round(v*1e8)/1e6) + "%" }
	switch {
	case o.Metric == "goodput":
		return "goodput>=" + percent(o.Bound)
	case o.Metric == "errors":
		return "errors<" + percent(o.Bound)
	case o.Quantile > 0:
		return fmt.Sprintf("%s.p%s<%sms", o.Metric, number(math.Round(o.Quantile*1e8)/1e6), number(o.Bound))
	default:
		return fmt.Sprintf("%s<%sms", o.Metric, number(o.Bound))
	}
}

// String gives the text of the SLO.
func (s SLO) String() string {
	parts := make([]string, len(s))
	for i, o := range s {
		parts[i] = o.String()
	}
	return strings.Join(parts, " ")
}

var objectiveForm = regexp.MustCompile(`^([a-z_0-9]+)(?:\.p([0-9.]+))?(<=|<|>=|>)(.+)$`)

// sloLatencies are the latencies that an objective may bound.
var sloLatencies = []string{"ttft", "ttft_answer", "tpot", "e2e", "ttft_sched", "e2e_sched"}

// ParseSLO reads the text of an SLO.
func ParseSLO(text string) (SLO, error) {
	var s SLO
	for _, part := range strings.Fields(strings.NewReplacer(",", " ", " <", "<", "< ", "<", " >", ">", "> ", ">", "= ", "=").Replace(text)) {
		o, err := parseObjective(part)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(s, func(p Objective) bool { return p.Metric == o.Metric && p.Quantile == o.Quantile }) {
			return nil, fmt.Errorf("the SLO bounds %s twice; keep one of them", strings.TrimRight(part, "0123456789.ms%"))
		}
		s = append(s, o)
	}
	if len(s) == 0 {
		return nil, fmt.Errorf("the SLO is empty; write one such as ttft.p95<500ms tpot.p95<40ms")
	}
	return s, nil
}

func parseObjective(part string) (Objective, error) {
	wrong := func(why string) (Objective, error) {
		return Objective{}, fmt.Errorf("%q is not an objective: %s; write one such as ttft.p95<500ms, errors<1%% or goodput>=90%%", part, why)
	}
	m := objectiveForm.FindStringSubmatch(part)
	if m == nil {
		return wrong("it has no metric, comparison and bound")
	}
	o := Objective{Metric: m[1]}
	if m[2] != "" {
		q, err := strconv.ParseFloat(m[2], 64)
		if err != nil || !(q > 0 && q < 100) {
			return wrong("a quantile lies between p0 and p100")
		}
		o.Quantile = q / 100
	}
	upper := strings.HasPrefix(m[3], "<")
	switch {
	case o.Share():
		v, err := strconv.ParseFloat(strings.TrimSuffix(m[4], "%"), 64)
		if strings.HasSuffix(m[4], "%") {
			v /= 100
		}
		if err != nil || !(v >= 0 && v <= 1) || o.Quantile > 0 {
			return wrong("its bound is a share, such as 1%")
		}
		if upper == (o.Metric == "goodput") {
			return wrong("errors have an upper bound and goodput a lower one")
		}
		o.Bound = v
	case slices.Contains(sloLatencies, o.Metric):
		d, err := time.ParseDuration(m[4])
		if err != nil || d <= 0 {
			return wrong("its bound is a time with a unit, such as 500ms")
		}
		if !upper {
			return wrong("a latency has an upper bound")
		}
		o.Bound = float64(d) / 1e6
	default:
		return wrong("it may bound " + strings.Join(sloLatencies, ", ") + ", errors or goodput")
	}
	return o, nil
}

// MarshalText writes the SLO as ParseSLO reads it.
func (s SLO) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the text of an SLO.
func (s *SLO) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*s = nil
		return nil
	}
	v, err := ParseSLO(string(b))
	if err == nil {
		*s = v
	}
	return err
}

// Precision is how well a figure is to be known before a point may end. Its text
// is "ttft.p95 ±5%". The zero value asks for nothing.
type Precision struct {
	Metric   string  // one of the latencies of an [Objective]
	Quantile float64 // over 0 to 1
	// Share is half the width of the 95 % interval ÷ the figure, over 0 to 1.
	Share float64
}

// IsZero reports whether nothing is asked for.
func (p Precision) IsZero() bool { return p == Precision{} }

// String gives the text of the precision.
func (p Precision) String() string {
	return fmt.Sprintf("%s.p%g ±%g%%", p.Metric, math.Round(p.Quantile*1e8)/1e6, math.Round(p.Share*1e8)/1e6)
}

var precisionForm = regexp.MustCompile(`^([a-z_0-9]+)\.p([0-9.]+)\s*(?:±|\+-|\+/-)\s*([0-9.]+)\s*%$`)

// MarshalText writes the precision as UnmarshalText reads it.
func (p Precision) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the text of a precision; "+-" stands for "±" too.
func (p *Precision) UnmarshalText(b []byte) error {
	m := precisionForm.FindStringSubmatch(strings.TrimSpace(string(b)))
	if m != nil && slices.Contains(sloLatencies, m[1]) {
		q, qerr := strconv.ParseFloat(m[2], 64)
		share, serr := strconv.ParseFloat(m[3], 64)
		if qerr == nil && serr == nil && q > 0 && q < 100 && share > 0 && share < 100 {
			*p = Precision{m[1], q / 100, share / 100}
			return nil
		}
	}
	return fmt.Errorf("%q is not a precision; write a quantile of %s and how narrow it must be, such as \"ttft.p95 ±5%%\"", b, strings.Join(sloLatencies, ", "))
}
