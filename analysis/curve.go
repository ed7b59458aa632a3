package analysis

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// Curve is a sweep over load, in rising order, and what its shape says.
type Curve struct {
	ExperimentID string    `json:"experiment_id"`
	Title        string    `json:"title"`     // the experiment's title, with the variant behind it
	Variant      string    `json:"variant"`   // the combination of the matrix's values; "" = no matrix
	Label        string    `json:"label"`     // model, runtime, hardware, SIMULATED
	Workload     string    `json:"workload"`  // the lengths asked for: "500 → 128 tokens"
	Started      time.Time `json:"started"`   // when the experiment began
	Hardware     string    `json:"hardware"`  // the fact gpu.model; "" = unknown
	GPUs         int       `json:"gpus"`      // the fact gpu.count, of all servers of the run; 0 = unknown
	Simulated    bool      `json:"simulated"` // the target was the simulated engine
	// Calibration says how far the simulated engine may be trusted; "" = it was none, or that is not recorded.
	Calibration string `json:"calibration,omitempty"`
	// TimeScale says that the simulated engine\'s clock was "scaled ×4", say; "" = it was not.
	TimeScale string  `json:"time_scale,omitempty"`
	Levels    []Level `json:"levels"`

	// Fit is TPOT = α + β·C over the levels below the admission limit, or below
	// the first at which requests visibly wait; nil when fewer than three levels
	// can be used, or when the line makes no sense.
	Fit *LineFit `json:"fit"`
	// NoFit is a whole sentence on why a line makes no sense; "" = it does, or
	// there is none.
	NoFit string `json:"no_fit"`
	// Free is the end of the free batching region: the load up to which TPOT is by less than a fifth
	// above what it would be alone, by the line, and within the levels that the line was fitted to. nil =
	// there is no line, or it does not rise measurably, or the second user costs more than that.
	Free *Landmark `json:"free"`
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
	// Preemption is the first level at which the server says that it took the keys
	// and values of running requests away; its value is their share. nil = no server said so.
	Preemption *Landmark `json:"preemption"`

	// StableRate is the highest rate of an open loop below the first at which
	// requests pile up; nil = no rate was stable.
	StableRate *Landmark `json:"stable_rate"`
	// BestGoodput is the level with the most requests per second within the SLO; nil = none.
	BestGoodput *Landmark `json:"best_goodput"`
	// SLOCapacity is the largest level that holds the SLO; nil = none does.
	SLOCapacity *Landmark `json:"slo_capacity"`

	// Machine is the hardware and the model that the figures were held against, and Physics what came of
	// it; see [Curve.Explain]. nil = not known.
	Machine *Machine `json:"machine"`
	Physics *Physics `json:"physics"`

	Warnings []string `json:"warnings"`
}

// MarshalJSON writes nil slices as empty ones.
func (c Curve) MarshalJSON() ([]byte, error) { return marshalFinite(c) }

// Landmark is a place on the curve, and the arithmetic that put it there.
type Landmark struct {
	Load    experiment.Load `json:"load"`
	Level   float64         `json:"level"`   // the load as one number: users, or requests per second
	Value   float64         `json:"value"`   // tok/s for knee and plateau, requests for the admission limit, a share of the requests for preemption, req/s for the others
	Because string          `json:"because"` // the inputs and the threshold, in one sentence
	Reading string          `json:"reading"` // slug of the reading that explains it
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

// NewCurves makes one curve for each variant of the experiment's matrix that has
// points, in the order of their names; one curve where there is no matrix.
func NewCurves(e *experiment.Experiment, points []PointSummary) []Curve {
	of := map[string][]PointSummary{}
	for _, p := range points {
		of[p.Point.Load.Variant] = append(of[p.Point.Load.Variant], p)
	}
	if len(of) == 0 {
		return []Curve{NewCurve(e, nil)}
	}
	var out []Curve
	for _, name := range slices.Sorted(maps.Keys(of)) {
		out = append(out, NewCurve(e, of[name]))
	}
	return out
}

// NewCurve puts points of one variant of an experiment in order of load, takes
// each level's medians over its repeats, and reads the landmarks off them: knee,
// plateau, line and admission limit where the loop is closed, the stable rate
// where it is open.
func NewCurve(e *experiment.Experiment, points []PointSummary) Curve {
	c := Curve{
		ExperimentID: e.ID, Title: e.Title(), Label: e.Environment.Label(), Workload: WorkloadText(&e.Spec),
		Started: e.Started, Simulated: e.Environment.Simulated(),
	}
	c.TimeScale = e.Environment.Scaled()
	if cal := e.Environment.Get(experiment.KeyCalibration); cal.Source != experiment.UnknownValue {
		c.Calibration = cal.Value
	}
	if len(points) > 0 && points[0].Point.Load.Variant != "" {
		c.Variant = points[0].Point.Load.Variant
		c.Title += " " + c.Variant
		c.Workload = WorkloadText(variantSpec(&e.Spec, c.Variant))
	}
	if gpu := e.Environment.Get(experiment.KeyGPUModel); gpu.Source != experiment.UnknownValue {
		c.Hardware = gpu.Value
	}
	if n, err := strconv.Atoi(e.Environment.Get(experiment.KeyGPUCount).Value); err == nil {
		c.GPUs = max(0, n) * max(1, len(e.Spec.Replicas))
	}
	sorted := slices.Clone(points)
	slices.SortStableFunc(sorted, func(a, b PointSummary) int {
		return cmp.Or(a.Point.Load.Compare(b.Point.Load), cmp.Compare(a.Point.Repeat, b.Point.Repeat))
	})
	for len(sorted) > 0 {
		n := 1
		for n < len(sorted) && sorted[n].Point.Load == sorted[0].Point.Load {
			n++
		}
		c.Levels = append(c.Levels, newLevel(sorted[:n:n], e.Spec.SLO))
		sorted = sorted[n:]
	}
	c.AdmissionLimit = AdmissionLimit(c.Levels, Flatness, AdmittedShare)
	c.Preemption = preemption(c.Levels)
	c.Fit, c.NoFit = fitTPOT(c.Levels, c.AdmissionLimit)
	c.Free = freeBatching(c.Fit)
	c.Plateau = plateau(c.Levels)
	c.Knee = knee(c.Levels)
	c.StableRate = stableRate(c.Levels)
	c.BestGoodput = bestGoodput(c.Levels)
	c.SLOCapacity = sloCapacity(c.Levels, e.Spec.SLO)
	c.Warnings = curveWarnings(e, &c)
	return c
}

// variantSpec is the specification of a variant; the whole one where it has none of that name.
func variantSpec(s *experiment.Spec, name string) *experiment.Spec {
	variants, err := s.Variants()
	if i := slices.IndexFunc(variants, func(v experiment.Variant) bool { return v.Name == name }); err == nil && i >= 0 {
		return &variants[i].Spec
	}
	return s
}
