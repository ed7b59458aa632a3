package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/instinct"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

// view is one experiment as a person looks at it: what was recorded, and what
// is computed from it.
type view struct {
	Experiment *experiment.Experiment
	Points     []analysis.PointSummary
	// Curves has one for each variant of the matrix; Curve is the first.
	Curves []analysis.Curve
	Curve  analysis.Curve
	// Search is what a search found; nil = there was none.
	Search   *analysis.SearchResult
	Notes    []experiment.Note
	Failures []failure
	// Settings are the person's changes to the rules, and Findings what the rules about
	// validity say under them.
	Settings instinct.Settings
	Findings []instinct.Finding
	// Scores say how what was expected came out.
	Scores []analysis.Score
	// Warnings concern the record of the experiment as a whole.
	Warnings []string
}

// loadView gathers an experiment. Summaries come from the notebook's cache; a
// point without one under the present definitions is computed from its samples,
// and kept unless the notebook can only be read.
func loadView(ctx context.Context, nb *store.Notebook, e *experiment.Experiment) (*view, error) {
	points, err := nb.Points(ctx, e.ID)
	if err != nil {
		return nil, err
	}
	v := &view{Experiment: e}
	if v.Points, err = summaries(ctx, nb, e, points); err != nil {
		return nil, err
	}
	v.Curves, v.Search = analysis.NewCurves(e, v.Points), found(&e.Spec, v.Points)
	machine := machineOf(e)
	for i := range v.Curves {
		v.Curves[i].Explain(machine)
	}
	if v.Curve = analysis.NewCurve(e, v.Points); len(v.Curves) > 0 {
		v.Curve = v.Curves[0]
	}
	if v.Failures, err = failures(ctx, nb, v.Points); err != nil {
		return nil, err
	}
	if v.Notes, err = nb.Notes(ctx, store.NoteFilter{ExperimentID: e.ID}); err != nil {
		return nil, err
	}
	if v.Scores, err = scores(ctx, nb, v); err != nil {
		return nil, err
	}
	if !e.Deleted.IsZero() {
		v.Warnings = append(v.Warnings, "this experiment is in the trash; `inferbook restore "+e.Alias()+"` brings it back")
	}
	if f := e.Environment.Get(experiment.KeyDialect); f.Source == experiment.Detected {
		v.Warnings = append(v.Warnings, f.Value)
	}
	if v.Settings, err = nb.RuleSettings(ctx); err != nil {
		return nil, err
	}
	c := caseOf(v)
	v.Findings = instinct.Validate(&c)
	return v, nil
}

// caseOf is what rules look at in a view: the experiment and its curves under the
// person's settings. What else is known, of hardware and of other experiments, is for the caller to add.
func caseOf(v *view) instinct.Case {
	return instinct.Case{Experiment: v.Experiment, Curves: v.Curves, Settings: v.Settings}
}

// verdict says whether the experiment as a whole can be believed.
func (v *view) verdict() instinct.Verdict { return instinct.Judge(v.Findings, nil) }

// endedBy is the limit that ended the run; empty = none did.
func (v *view) endedBy() experiment.EarlyEnd {
	for i := range v.Points {
		if e := v.Points[i].Point.Ended; e == experiment.EndErrors || e == experiment.EndCost {
			return e
		}
	}
	return ""
}

// summariesAtOnce bounds how many points are summarised at once, each of which takes a processor, and a few
// hundred bytes of memory a request.
const summariesAtOnce = 4

// summaries gives the points' summaries, in their order. They are computed side by side and kept in
// that order, so that the same runs make the same file.
func summaries(ctx context.Context, nb *store.Notebook, e *experiment.Experiment, points []experiment.Point) ([]analysis.PointSummary, error) {
	out, kept := make([]analysis.PointSummary, len(points)), make([]bool, len(points))
	all, within := errgroup.WithContext(ctx)
	all.SetLimit(min(runtime.GOMAXPROCS(0), summariesAtOnce))
	for i, pt := range points {
		all.Go(func() (err error) {
			out[i], kept[i], err = computed(within, nb, e, pt)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	for i := range out {
		if !kept[i] {
			if err := keep(ctx, nb, &out[i]); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// summary gives a point's summary, from the cache where it is current.
func summary(ctx context.Context, nb *store.Notebook, e *experiment.Experiment, pt experiment.Point) (analysis.PointSummary, error) {
	s, kept, err := computed(ctx, nb, e, pt)
	if err == nil && !kept {
		err = keep(ctx, nb, &s)
	}
	return s, err
}

// computed gives a point's summary, and whether it comes from the cache.
func computed(ctx context.Context, nb *store.Notebook, e *experiment.Experiment, pt experiment.Point) (s analysis.PointSummary, kept bool, err error) {
	cached, ok, err := nb.Summary(ctx, pt.ID, analysis.DefinitionVersion)
	if err == nil && ok {
		err = json.Unmarshal(cached, &s)
	} else if err == nil {
		s, err = analysis.SummariseFor(pt, &e.Spec, nb.Samples(ctx, pt.ID))
	}
	if err != nil {
		err = fmt.Errorf("summarising %s of %s: %w", pt.Load, e.Alias(), err)
	}
	return s, ok, err
}

// keep puts the summary of a point that is over into the cache.
func keep(ctx context.Context, nb *store.Notebook, s *analysis.PointSummary) error {
	pt := s.Point
	if pt.Status == experiment.Running {
		return nil
	}
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("writing the summary: %w", err)
	}
	err = nb.PutSummary(ctx, store.PointFigures{
		PointID: pt.ID, Load: pt.Load, Repeat: pt.Repeat, Definition: analysis.DefinitionVersion,
		Sent: s.Sent, OK: s.OK, OutputTokS: s.OutputThroughput, TTFTP95ms: s.TTFT.P95.Value, TPOTP95ms: s.TPOT.P95.Value,
	}, b)
	// A notebook that can only be read is still a notebook to look at: its
	// summaries are computed each time.
	var refused *store.Error
	if errors.As(err, &refused) && refused.Code == store.ReadOnly {
		err = nil
	}
	return err
}

// showSchema names the form of runView. Of /1 it differs in what says how far the figures can be believed: /1 has
// sentences as points[].warnings, and /2 has verdict, verdicts and findings, of which each names its rule and levels.
const showSchema = "inferbook.show/2"

// runView is what `run --json` and `show --json` print.
type runView struct {
	document
	Experiment *experiment.Experiment  `json:"experiment"`
	Alias      string                  `json:"alias"`
	Seed       []analysis.SeedSummary  `json:"runs"`
	Points     []analysis.PointSummary `json:"points"`
	Curve      analysis.Curve          `json:"curve"`
	Curves     []analysis.Curve        `json:"curves"`
	Search     *analysis.SearchResult  `json:"search"`
	Notes      []experiment.Note       `json:"notes"`
	Failures   []failure               `json:"failures"`
	Verdict    instinct.Verdict        `json:"verdict"`
	Verdicts   []instinct.LevelVerdict `json:"verdicts"`
	Findings   []instinct.Finding      `json:"findings"`
	Scores     []analysis.Score        `json:"expectations"`
	Warnings   []string                `json:"warnings"`
}

func (v *view) runView() runView {
	r := runView{document: document{showSchema}, Experiment: v.Experiment, Alias: v.Experiment.Alias(),
		Points: v.Points, Curve: v.Curve, Curves: v.Curves, Search: v.Search, Notes: v.Notes, Failures: v.Failures, Scores: v.Scores, Warnings: v.Warnings,
		Verdict: v.verdict(), Verdicts: instinct.Verdicts(v.Findings), Findings: v.Findings}
	for _, s := range v.Points {
		r.Seed = append(r.Seed, s.SeedJSON())
	}
	return r
}
