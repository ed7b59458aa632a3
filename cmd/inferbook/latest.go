package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

// latest is the newest experiment that has a figure, with its numbers put into the formula. It is
// of the highest level that has the figure.
type latest struct {
	Experiment string          `json:"experiment"` // alias
	Title      string          `json:"title"`
	Load       experiment.Load `json:"load"`
	Repeat     int             `json:"repeat"`
	// Distribution is that of a metric of samples, and Request the one whose numbers are put in: that with
	// the value nearest to the median.
	Distribution *analysis.Distribution `json:"distribution,omitempty"`
	Request      *int                   `json:"request,omitempty"`
	Working      *analysis.Working      `json:"working,omitempty"`
	// Because is what the experiment says about a word such as knee.
	Because string `json:"because,omitempty"`
}

// otherVersion is a figure that the notebook keeps under an older version of the definitions too.
type otherVersion struct {
	Experiment string            `json:"experiment"`
	Load       experiment.Load   `json:"load"`
	Definition int               `json:"definition"`
	Then       *analysis.Amount  `json:"then"` // nil = it was not known
	Now        *analysis.Amount  `json:"now"`
	Redefined  bool              `json:"redefined"` // the formula is another one since
	Changes    []analysis.Change `json:"changes"`   // since that version
}

// look finds the topic in the notebook, the newest experiment first.
func (x *explanation) look(ctx context.Context, nb *store.Notebook, t topic) error {
	list, err := nb.List(ctx, store.Filter{})
	if err != nil {
		return err
	}
	for i := range list {
		e := &list[i].Experiment
		if list[i].Points == 0 {
			continue
		}
		if t.metric != nil && len(x.Versions) == 0 {
			if err := x.lookVersions(ctx, nb, e, *t.metric); err != nil {
				return err
			}
		}
		switch {
		case x.Latest != nil:
		case t.metric != nil:
			x.Latest, err = latestFigure(ctx, nb, e, *t.metric)
		case t.term != nil && onView[t.term.Word] != nil:
			x.Latest, err = latestSentence(ctx, nb, e, onView[t.term.Word])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// latestFigure puts the numbers of an experiment's highest level that has the metric into its
// formula; nil = none has it.
func latestFigure(ctx context.Context, nb *store.Notebook, e *experiment.Experiment, m analysis.Metric) (*latest, error) {
	points, err := nb.Points(ctx, e.ID)
	if err != nil {
		return nil, err
	}
	var best *analysis.PointSummary
	for _, pt := range points {
		s, err := summary(ctx, nb, e, pt)
		if err != nil {
			return nil, err
		}
		if !math.IsNaN(valueOf(m, &s).Value) && (best == nil || pt.Load.Level() > best.Point.Load.Level()) {
			best = &s
		}
	}
	if best == nil {
		return nil, nil
	}
	l := &latest{Experiment: e.Alias(), Title: e.Title(), Load: best.Point.Load, Repeat: best.Point.Repeat}
	d, ofSamples := best.DistributionOf(m.Name)
	if !ofSamples {
		if w, ok := analysis.Worked(m, best); ok {
			l.Working = &w
		}
		return l, nil
	}
	l.Distribution = &d
	if m.Of == nil {
		return l, nil
	}
	nearest := math.Inf(1)
	for s, err := range nb.Samples(ctx, best.Point.ID) {
		if err != nil {
			return nil, err
		}
		if w, ok := analysis.WorkedSample(m, &s); ok && math.Abs(w.Result.Value-d.P50.Value) < nearest {
			seq := s.Seq
			nearest, l.Request, l.Working = math.Abs(w.Result.Value-d.P50.Value), &seq, &w
		}
	}
	return l, nil
}

// valueOf is the point's figure: of a metric of samples the median.
func valueOf(m analysis.Metric, s *analysis.PointSummary) analysis.Amount {
	if m.OfPoint != nil {
		return analysis.Amount{Value: m.OfPoint(s), Unit: m.Unit}
	}
	d, ok := s.DistributionOf(m.Name)
	if !ok || d.N == 0 {
		return analysis.Amount{Value: math.NaN(), Unit: m.Unit}
	}
	return analysis.Amount{Value: d.P50.Value, Unit: m.Unit}
}

// lookVersions finds a figure that the notebook keeps under an older version of the definitions: that of
// the experiment's highest such level, under the newest of the older versions.
func (x *explanation) lookVersions(ctx context.Context, nb *store.Notebook, e *experiment.Experiment, m analysis.Metric) error {
	older, err := olderDefinition(ctx, nb, e)
	if err != nil || older == 0 {
		return err
	}
	points, err := nb.Points(ctx, e.ID)
	if err != nil {
		return err
	}
	level := math.Inf(-1)
	for _, pt := range points {
		cached, ok, err := nb.Summary(ctx, pt.ID, older)
		if err != nil {
			return err
		}
		if !ok || pt.Load.Level() <= level {
			continue
		}
		var then analysis.PointSummary
		if err := json.Unmarshal(cached, &then); err != nil {
			return fmt.Errorf("reading the summary of %s of %s under version %d: %w", pt.Load, e.Alias(), older, err)
		}
		now, err := summary(ctx, nb, e, pt)
		if err != nil {
			return err
		}
		v := otherVersion{Experiment: e.Alias(), Load: pt.Load, Definition: older, Then: knownAmount(valueOf(m, &then)), Now: knownAmount(valueOf(m, &now)),
			Changes: analysis.Changes(older, analysis.DefinitionVersion)}
		for _, c := range v.Changes {
			v.Redefined = v.Redefined || c.Redefines(m)
		}
		level, x.Versions = pt.Load.Level(), []otherVersion{v}
	}
	return nil
}

// knownAmount is an amount, nil for none.
func knownAmount(a analysis.Amount) *analysis.Amount {
	if math.IsNaN(a.Value) || math.IsInf(a.Value, 0) {
		return nil
	}
	return &a
}

// olderDefinition is the newest of the older versions of the definitions under which the notebook keeps
// figures of an experiment; 0 = there is none.
func olderDefinition(ctx context.Context, nb *store.Notebook, e *experiment.Experiment) (int, error) {
	versions, err := nb.Definitions(ctx, e.ID)
	if err != nil {
		return 0, err
	}
	older := 0
	for _, v := range versions {
		if v < analysis.DefinitionVersion {
			older = v
		}
	}
	return older, nil
}

// printVersions says which formulas have changed since figures of an experiment were first kept, so that
// nobody holds a figure that was written down then against one of today.
func (p *program) printVersions(ctx context.Context, nb *store.Notebook, e *experiment.Experiment) error {
	older, err := olderDefinition(ctx, nb, e)
	if err != nil || older == 0 {
		return err
	}
	for _, c := range analysis.Changes(older, analysis.DefinitionVersion) {
		if len(c.Metrics) > 0 {
			fmt.Fprintf(p.out, "\n%s\n  These figures are of version %d of the definitions; the notebook also keeps those of version %d, from before. Since then: %s\n",
				p.bold("Definitions"), analysis.DefinitionVersion, older, c.Sentence)
		}
	}
	return nil
}

// onView gives what a look at an experiment says about a word, and the level that it is about; "" = nothing.
// A word that is not here has no place in an experiment.
var onView = map[string]func(*view) (experiment.Load, string){
	"knee":            onCurve(func(c *analysis.Curve) *analysis.Landmark { return c.Knee }),
	"plateau":         onCurve(func(c *analysis.Curve) *analysis.Landmark { return c.Plateau }),
	"admission-limit": onCurve(func(c *analysis.Curve) *analysis.Landmark { return c.AdmissionLimit }),
	"preemption":      onCurve(func(c *analysis.Curve) *analysis.Landmark { return c.Preemption }),
	"mbu":             bandwidthOf, "floor": bandwidthOf,
	"mfu":   prefillOf,
	"sound": verdictOf, "sound-with-limits": verdictOf, "do-not-quote": verdictOf,
}

// bandwidthOf puts numbers into the utilisation of the memory bandwidth, which is the speed of light of a
// step ÷ what it took, at the highest level for which it is known.
func bandwidthOf(v *view) (load experiment.Load, sentence string) {
	for i := range v.Curves {
		c := &v.Curves[i]
		if c.Physics == nil {
			continue
		}
		for j := range c.Physics.Levels {
			if l := &c.Physics.Levels[j]; l.MBU.Known() {
				load, sentence = l.Load, fmt.Sprintf("speed of light %s ÷ tpot %s = %.3g %% of the bandwidth of %d × %s",
					ms(l.Floor), ms(c.Levels[j].TPOTP50.Value), 100*l.MBU.Value, c.Machine.GPUs, c.Machine.GPU)
			}
		}
	}
	return load, sentence
}

// prefillOf puts numbers into the utilisation of the arithmetic.
func prefillOf(v *view) (experiment.Load, string) {
	for i := range v.Curves {
		c := &v.Curves[i]
		if c.Physics == nil || c.Physics.Prefill == nil || math.IsNaN(c.Physics.Prefill.MFU) {
			continue
		}
		f := c.Physics.Prefill
		return f.Load, fmt.Sprintf("%s prompt tokens, read at %s tok/s or faster, take %.3g %% of the peak of %d × %s", num(f.Tokens), num(f.Rate), 100*f.MFU, c.Machine.GPUs, c.Machine.GPU)
	}
	return experiment.Load{}, ""
}

// verdictOf gives the verdict on the experiment and its levels.
func verdictOf(v *view) (experiment.Load, string) {
	return experiment.Load{}, "the verdict is " + strings.Join(v.verdictLines(), "; ")
}

// onCurve finds a landmark on the first of an experiment's curves that has it.
func onCurve(of func(*analysis.Curve) *analysis.Landmark) func(*view) (experiment.Load, string) {
	return func(v *view) (experiment.Load, string) {
		for i := range v.Curves {
			if mark := of(&v.Curves[i]); mark != nil {
				return mark.Load, mark.Because
			}
		}
		return experiment.Load{}, ""
	}
}

// latestSentence finds what an experiment says about a word; nil = nothing.
func latestSentence(ctx context.Context, nb *store.Notebook, e *experiment.Experiment, of func(*view) (experiment.Load, string)) (*latest, error) {
	v, err := loadView(ctx, nb, e)
	if err != nil {
		return nil, err
	}
	load, sentence := of(v)
	if sentence == "" {
		return nil, nil
	}
	return &latest{Experiment: e.Alias(), Title: e.Title(), Load: load, Because: sentence}, nil
}
