package analysis

import (
	"fmt"
	"math"
	"slices"

	"github.com/inferbook/inferbook/experiment"
)

// Level is one load of an experiment over its repeats. Repeats are never pooled
// into one quantile: each figure is the median over repeats with the interval
// between them. One repeat says so: quantiles, throughputs and the request rate have the
// interval within the run then, the other figures none.
type Level struct {
	Load   experiment.Load `json:"load"`
	Points []PointSummary  `json:"points"` // one a repeat, in the order of the repeats

	TTFTP50          Estimate `json:"ttft_p50_ms"`
	TTFTP95          Estimate `json:"ttft_p95_ms"`
	TTFTP99          Estimate `json:"ttft_p99_ms"`
	TPOTP50          Estimate `json:"tpot_p50_ms"`
	TPOTP95          Estimate `json:"tpot_p95_ms"`
	TPOTP99          Estimate `json:"tpot_p99_ms"`
	E2EP50           Estimate `json:"e2e_p50_ms"`
	E2EP95           Estimate `json:"e2e_p95_ms"`
	E2EP99           Estimate `json:"e2e_p99_ms"`
	TTFTSchedP50     Estimate `json:"ttft_sched_p50_ms"`
	TTFTSchedP95     Estimate `json:"ttft_sched_p95_ms"`
	TTFTSchedP99     Estimate `json:"ttft_sched_p99_ms"`
	E2ESchedP95      Estimate `json:"e2e_sched_p95_ms"`
	E2ESchedP99      Estimate `json:"e2e_sched_p99_ms"`
	OutputThroughput Estimate `json:"output_throughput_tok_s"`  // tok/s
	TotalThroughput  Estimate `json:"total_throughput_tok_s"`   // tok/s
	RequestRate      Estimate `json:"request_rate_req_s"`       // req/s
	Interactivity    Estimate `json:"interactivity_tok_s_user"` // tok/s/user
	BRun             Estimate `json:"b_run"`
	AchievedRate     Estimate `json:"achieved_rate_req_s"`  // req/s
	Goodput          Estimate `json:"goodput_req_s"`        // req/s
	GoodShare        Estimate `json:"slo_attainment_joint"` // share of 1
	// Ruling is that of most repeats on the experiment's SLO, unsure where they do
	// not agree; "" = it has none.
	Ruling Ruling `json:"slo_ruling"`
	// Oversaturated says that requests piled up in at least half of the repeats.
	Oversaturated bool `json:"oversaturated"`
	// ErrorRate is the share of the measured requests of all repeats that were not ok, 0–1.
	ErrorRate float64 `json:"error_rate"`
}

// MarshalJSON writes what is not known as null.
func (l Level) MarshalJSON() ([]byte, error) { return marshalFinite(l) }

// UnmarshalJSON reads what [Level.MarshalJSON] wrote.
func (l *Level) UnmarshalJSON(data []byte) error {
	type plain Level
	return unmarshalFinite(data, (*plain)(l))
}

func newLevel(repeats []PointSummary, slo experiment.SLO) Level {
	l := Level{Load: repeats[0].Point.Load, Points: repeats}
	for _, f := range []struct {
		to *Estimate
		of func(*PointSummary) Estimate
	}{
		{&l.TTFTP50, func(s *PointSummary) Estimate { return s.TTFT.P50 }},
		{&l.TTFTP95, func(s *PointSummary) Estimate { return s.TTFT.P95 }},
		{&l.TTFTP99, func(s *PointSummary) Estimate { return s.TTFT.P99 }},
		{&l.TPOTP50, func(s *PointSummary) Estimate { return s.TPOT.P50 }},
		{&l.TPOTP95, func(s *PointSummary) Estimate { return s.TPOT.P95 }},
		{&l.TPOTP99, func(s *PointSummary) Estimate { return s.TPOT.P99 }},
		{&l.E2EP50, func(s *PointSummary) Estimate { return s.E2E.P50 }},
		{&l.E2EP95, func(s *PointSummary) Estimate { return s.E2E.P95 }},
		{&l.E2EP99, func(s *PointSummary) Estimate { return s.E2E.P99 }},
		{&l.TTFTSchedP50, func(s *PointSummary) Estimate { return s.TTFTSched.P50 }},
		{&l.TTFTSchedP95, func(s *PointSummary) Estimate { return s.TTFTSched.P95 }},
		{&l.TTFTSchedP99, func(s *PointSummary) Estimate { return s.TTFTSched.P99 }},
		{&l.E2ESchedP95, func(s *PointSummary) Estimate { return s.E2ESched.P95 }},
		{&l.E2ESchedP99, func(s *PointSummary) Estimate { return s.E2ESched.P99 }},
		{&l.OutputThroughput, func(s *PointSummary) Estimate {
			return within(s.OutputThroughput, s.OutputThroughputLow, s.OutputThroughputHigh, s.InWindow)
		}},
		{&l.TotalThroughput, func(s *PointSummary) Estimate {
			return within(s.TotalThroughput, s.TotalThroughputLow, s.TotalThroughputHigh, s.InWindow)
		}},
		{&l.RequestRate, func(s *PointSummary) Estimate {
			return within(s.RequestRate, s.RequestRateLow, s.RequestRateHigh, s.InWindow)
		}},
		{&l.Interactivity, func(s *PointSummary) Estimate { return single(s.Interactivity, s.TPOT.N) }},
		{&l.BRun, func(s *PointSummary) Estimate { return single(s.BRun, s.InWindow) }},
		{&l.AchievedRate, func(s *PointSummary) Estimate { return single(s.AchievedRate, s.Sent) }},
		{&l.Goodput, func(s *PointSummary) Estimate { return single(s.Goodput, s.InWindow) }},
		{&l.GoodShare, goodShare},
	} {
		*f.to = overRepeats(repeats, f.of)
	}
	sent, failed := 0, 0
	for _, p := range repeats {
		sent, failed = sent+p.Sent, failed+p.Sent-p.OK
	}
	l.ErrorRate = ratio(float64(failed), float64(sent))
	l.rule(slo)
	return l
}

// overRepeats gives the median of a figure over repeats and the order statistics
// that bound it with 95 % confidence, and its range. Repeats without the figure
// are left out, and said so. One repeat keeps the interval within it, where it
// has one: that is what is known, and its warning says what is not.
func overRepeats(repeats []PointSummary, of func(*PointSummary) Estimate) Estimate {
	e := unknown()
	var values []float64
	for i := range repeats {
		one := of(&repeats[i])
		if !one.Known() {
			continue
		}
		values = append(values, one.Value)
		e.N += one.N
		e.Warnings = append(e.Warnings, one.Warnings...)
	}
	e.Repeats = len(values)
	if len(values) == 0 {
		return e
	}
	slices.Sort(values)
	e.Value = interpolate(values, 0.5)
	e.Low, e.High = orderInterval(values, 0.5)
	if len(values) > 1 {
		e.Min, e.Max = values[0], values[len(values)-1]
	}
	if len(repeats) == 1 {
		one := of(&repeats[0])
		e.Low, e.High = one.Low, one.High
	}
	if missing := len(repeats) - len(values); missing > 0 {
		e.Warnings = append(e.Warnings, fmt.Sprintf("%d of %d repeats have no such figure.", missing, len(repeats)))
	}
	if w := repeatWarning(len(values)); w != "" {
		e.Warnings = append(e.Warnings, w)
	}
	e.Warnings = distinct(e.Warnings)
	return e
}

// goodShare is the share of requests within the SLO, with its interval within the run.
func goodShare(s *PointSummary) Estimate {
	if s.SLO == "" {
		return unknown()
	}
	return shareOf(int(math.Round(s.GoodShare*float64(s.Sent))), s.Sent)
}

// rule judges the level by its repeats.
func (l *Level) rule(slo experiment.SLO) {
	over := 0
	rulings := map[Ruling]int{}
	for i := range l.Points {
		if l.Points[i].Oversaturated {
			over++
		}
		rulings[Verdict(slo, &l.Points[i]).Ruling]++
	}
	l.Oversaturated = over > 0 && 2*over >= len(l.Points)
	if !slo.Judges() {
		return
	}
	l.Ruling = Unsure
	for _, r := range []Ruling{Holds, Misses} {
		if 2*rulings[r] > len(l.Points) {
			l.Ruling = r
		}
	}
}
