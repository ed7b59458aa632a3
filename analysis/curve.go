package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// Level is one load of an experiment over its repeats. Repeats are never pooled
// into one quantile: each figure is the median over repeats with the interval
// between them. One repeat says so: a quantile has the interval within the run
// then, and a rate has none.
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
	OutputThroughput Estimate `json:"output_throughput_tok_s"`  // tok/s
	TotalThroughput  Estimate `json:"total_throughput_tok_s"`   // tok/s
	RequestRate      Estimate `json:"request_rate_req_s"`       // req/s
	Interactivity    Estimate `json:"interactivity_tok_s_user"` // tok/s/user
	BRun             Estimate `json:"b_run"`
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

// Curve is a sweep over load, in rising order, and what its shape says.
type Curve struct {
	ExperimentID string    `json:"experiment_id"`
	Title        string    `json:"title"`     // the experiment's title
	Label        string    `json:"label"`     // model, runtime, hardware, SIMULATED
	Workload     string    `json:"workload"`  // the lengths asked for: "500 → 128 tokens"
	Started      time.Time `json:"started"`   // when the experiment began
	Hardware     string    `json:"hardware"`  // the fact gpu.model; "" = unknown
	Simulated    bool      `json:"simulated"` // the target was the simulated engine
	Levels       []Level   `json:"levels"`

	// Fit is TPOT = α + β·C over the levels below the admission limit, or below
	// the first at which requests visibly wait; nil when fewer than three levels
	// can be used, or when the line makes no sense.
	Fit *LineFit `json:"fit"`
	// NoFit is a whole sentence on why a line makes no sense; "" = it does, or
	// there is none.
	NoFit string `json:"no_fit"`
	// Knee is the level at which output throughput lies furthest above the
	// straight line from the sweep's first level to its highest throughput, both
	// axes scaled to 1: beyond it each user brings less than the sweep's
	// average. That is the knee of Satopaa et al., "Finding a Kneedle in a
	// Haystack" (ICDCSW 2011), without its smoothing, since a level is a median
	// already. nil = not reached: the distance does not fall again by the mean
	// spacing of the levels. It belongs to the sweep: one that goes much further
	// may put it higher.
	Knee *Landmark `json:"knee"`
	// Plateau is the first level from which more load buys under a tenth of its
	// own growth in throughput, up to the end of the sweep; nil = not reached.
	Plateau *Landmark `json:"plateau"`
	// AdmissionLimit is the number of requests the server decodes at once however
	// many are offered, read off B_run; nil = not reached.
	AdmissionLimit *Landmark `json:"admission_limit"`

	Warnings []string `json:"warnings"`
}

// MarshalJSON writes nil slices as empty ones.
func (c Curve) MarshalJSON() ([]byte, error) { return marshalFinite(c) }

// LineFit is a least-squares line.
type LineFit struct {
	Alpha float64 `json:"alpha_ms"`         // ms: what a step costs however few there are
	Beta  float64 `json:"beta_ms_per_user"` // ms per request in flight
	R2    float64 `json:"r2"`               // share of the variance that the line explains, 0–1
	N     int     `json:"n"`                // levels
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

// Landmark is a place on the curve, and the arithmetic that put it there.
type Landmark struct {
	Concurrency int     `json:"concurrency"` // the level
	Value       float64 `json:"value"`       // tok/s for knee and plateau, requests for the admission limit
	Because     string  `json:"because"`     // the inputs and the threshold, in one sentence
	Reading     string  `json:"reading"`     // slug of the reading that explains it
}

// MarshalJSON writes what is not known as null.
func (l Landmark) MarshalJSON() ([]byte, error) { return marshalFinite(l) }

// UnmarshalJSON reads what [Landmark.MarshalJSON] wrote.
func (l *Landmark) UnmarshalJSON(data []byte) error {
	type plain Landmark
	return unmarshalFinite(data, (*plain)(l))
}

// Level finds the level of a load.
func (c *Curve) Level(load experiment.Load) (*Level, bool) {
	i := slices.IndexFunc(c.Levels, func(l Level) bool { return l.Load == load })
	if i < 0 {
		return nil, false
	}
	return &c.Levels[i], true
}

// NewCurve puts the points of an experiment in order of load, takes each level's
// medians over its repeats, and reads the landmarks off them.
func NewCurve(e *experiment.Experiment, points []PointSummary) Curve {
	c := Curve{
		ExperimentID: e.ID, Title: e.Title(), Label: e.Environment.Label(), Workload: workloadOf(&e.Spec),
		Started: e.Started, Simulated: e.Environment.Simulated(),
	}
	if gpu := e.Environment.Get(experiment.KeyGPUModel); gpu.Source != experiment.UnknownValue {
		c.Hardware = gpu.Value
	}
	sorted := slices.Clone(points)
	slices.SortStableFunc(sorted, func(a, b PointSummary) int {
		return cmp.Or(cmp.Compare(a.Point.Load.Concurrency, b.Point.Load.Concurrency), cmp.Compare(a.Point.Repeat, b.Point.Repeat))
	})
	for len(sorted) > 0 {
		n := 1
		for n < len(sorted) && sorted[n].Point.Load == sorted[0].Point.Load {
			n++
		}
		c.Levels = append(c.Levels, newLevel(sorted[:n:n]))
		sorted = sorted[n:]
	}
	c.AdmissionLimit = admissionLimit(c.Levels)
	c.Fit, c.NoFit = fitTPOT(c.Levels, c.AdmissionLimit)
	c.Plateau = plateau(c.Levels)
	c.Knee = knee(c.Levels)
	c.Warnings = curveWarnings(e, &c)
	return c
}

func newLevel(repeats []PointSummary) Level {
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
		{&l.OutputThroughput, func(s *PointSummary) Estimate { return single(s.OutputThroughput, s.InWindow) }},
		{&l.TotalThroughput, func(s *PointSummary) Estimate { return single(s.TotalThroughput, s.InWindow) }},
		{&l.RequestRate, func(s *PointSummary) Estimate { return single(s.RequestRate, s.InWindow) }},
		{&l.Interactivity, func(s *PointSummary) Estimate { return single(s.Interactivity, s.TPOT.N) }},
		{&l.BRun, func(s *PointSummary) Estimate { return single(s.BRun, s.InWindow) }},
	} {
		*f.to = overRepeats(repeats, f.of)
	}
	sent, failed := 0, 0
	for _, p := range repeats {
		sent, failed = sent+p.Sent, failed+p.Sent-p.OK
	}
	l.ErrorRate = ratio(float64(failed), float64(sent))
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

// RepeatsForInterval is the fewest repeats whose median has a 95 % interval: all
// of five lie on one side of the median too often, with probability 2 × 0.5⁵ = 6.25 %.
const RepeatsForInterval = 6

// repeatWarning says what k repeats do not support.
func repeatWarning(k int) string {
	switch {
	case k == 1:
		return "One repeat: how far another run would be from it is not known."
	case k < RepeatsForInterval:
		return fmt.Sprintf("%d repeats: an interval between repeats needs %d.", k, RepeatsForInterval)
	default:
		return ""
	}
}

// curveWarnings says what the sweep as a whole does not support.
func curveWarnings(e *experiment.Experiment, c *Curve) []string {
	var out []string
	if c.Simulated {
		w := "Every figure here comes from the simulated engine."
		if cal := e.Environment.Get(experiment.KeyCalibration); cal.Source != experiment.UnknownValue {
			w += " Its calibration: " + strings.TrimSuffix(cal.Value, ".") + "."
		}
		out = append(out, w)
	}
	if len(c.Levels) == 0 {
		return append(out, "There is no point to make a curve from.")
	}
	least := math.MaxInt
	var cut []string
	for _, l := range c.Levels {
		least = min(least, len(l.Points))
		for _, p := range l.Points {
			if s := p.Point.Status; s == experiment.Interrupted || s == experiment.Failed {
				cut = append(cut, l.Load.String())
			}
		}
	}
	if w := repeatWarning(least); w != "" {
		out = append(out, w)
	}
	// A run that was cut short says so itself, once for all of its points.
	if len(cut) > 0 && e.Status != experiment.Interrupted && e.Status != experiment.Failed {
		out = append(out, fmt.Sprintf("The measuring at %s stopped early, so it may have fewer requests than were asked for.", list(distinct(cut))))
	}
	var absent []string
	for _, n := range e.Spec.Concurrency {
		if load := (experiment.Load{Concurrency: n}); !slices.ContainsFunc(c.Levels, func(l Level) bool { return l.Load == load }) {
			absent = append(absent, load.String())
		}
	}
	if len(absent) > 0 {
		out = append(out, fmt.Sprintf("The plan has %s, of which nothing was recorded.", list(absent)))
	}
	if len(c.Levels) < 3 {
		out = append(out, fmt.Sprintf("%s cannot show a shape: knee, plateau and fit need three or more.", plural(len(c.Levels), "level")))
	}
	if c.NoFit != "" {
		out = append(out, c.NoFit)
	}
	return out
}
