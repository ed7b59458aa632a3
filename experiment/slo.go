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
	// Quantile is where the latency is looked at, 0.5 for p50, a multiple of 10⁻⁸; 0 = at no quantile:
	// the bound counts for goodput, request by request, and for nothing else.
	Quantile float64
	// Bound is the latency in milliseconds, up to a day, that must not be exceeded, or the
	// share, 0–1 in multiples of 10⁻⁸, that errors must stay under or goodput must reach.
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
	percent := func(v float64) string { return percentText(v) + "%" }
	switch {
	case o.Metric == "goodput":
		return "goodput>=" + percent(o.Bound)
	case o.Metric == "errors":
		return "errors<" + percent(o.Bound)
	case o.Quantile > 0:
		return fmt.Sprintf("%s.p%s<%sms", o.Metric, percentText(o.Quantile), number(o.Bound))
	default:
		return fmt.Sprintf("%s<%sms", o.Metric, number(o.Bound))
	}
}

// percentText writes a share in percent. Both it and what reads it round to six
// decimals, so that 99.9 is not 99.90000000000001 and a text gives the same share again.
func percentText(share float64) string {
	return strconv.FormatFloat(math.Round(share*1e8)/1e6, 'f', -1, 64)
}

func fromPercent(percent float64) float64 { return math.Round(percent*1e6) / 1e8 }

// String gives the text of the SLO.
func (s SLO) String() string {
	parts := make([]string, len(s))
	for i, o := range s {
		parts[i] = o.String()
	}
	return strings.Join(parts, " ")
}

var aroundComparison = regexp.MustCompile(`\s*(<=|<|>=|>)\s*`)

var objectiveForm = regexp.MustCompile(`^([a-z_0-9]+)(?:\.p([0-9.]+))?(<=|<|>=|>)(.+)$`)

// sloLatencies are the latencies that an objective may bound.
var sloLatencies = []string{"ttft", "ttft_answer", "tpot", "e2e", "ttft_sched", "e2e_sched"}

// ParseSLO reads the text of an SLO.
func ParseSLO(text string) (SLO, error) {
	var s SLO
	text = aroundComparison.ReplaceAllString(strings.ReplaceAll(text, ",", " "), "$1")
	for _, part := range strings.Fields(text) {
		o, err := parseObjective(part)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(s, func(p Objective) bool { return p.Metric == o.Metric && p.Quantile == o.Quantile }) {
			return nil, fmt.Errorf("the SLO bounds %s twice; keep one of them", part[:strings.IndexAny(part, "<>")])
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
		o.Quantile = fromPercent(q)
		if err != nil || !(o.Quantile > 0 && o.Quantile < 1) {
			return wrong("a quantile lies between p0 and p100")
		}
	}
	upper := strings.HasPrefix(m[3], "<")
	switch {
	case o.Share():
		v, err := strconv.ParseFloat(strings.TrimSuffix(m[4], "%"), 64)
		if !strings.HasSuffix(m[4], "%") {
			v *= 100
		}
		v = fromPercent(v)
		if err != nil || !(v >= 0 && v <= 1) || o.Quantile > 0 {
			return wrong("its bound is a share, such as 1%")
		}
		if upper == (o.Metric == "goodput") {
			return wrong("errors have an upper bound and goodput a lower one")
		}
		o.Bound = v
	case slices.Contains(sloLatencies, o.Metric):
		d, err := time.ParseDuration(m[4])
		if err != nil || d <= 0 || d > 24*time.Hour {
			return wrong("its bound is a time with a unit, up to a day, such as 500ms")
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
	return fmt.Sprintf("%s.p%s ±%s%%", p.Metric, percentText(p.Quantile), percentText(p.Share))
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
		q, share = fromPercent(q), fromPercent(share)
		if qerr == nil && serr == nil && q > 0 && q < 1 && share > 0 && share < 1 {
			*p = Precision{m[1], q, share}
			return nil
		}
	}
	return fmt.Errorf("%q is not a precision; write a quantile of %s and how narrow it must be, such as \"ttft.p95 ±5%%\"", b, strings.Join(sloLatencies, ", "))
}
