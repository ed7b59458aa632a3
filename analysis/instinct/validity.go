package instinct

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// validityRules ask whether the run can be believed.
var validityRules = byID(slices.Concat(runRules, streamRules, tokenRules, steadyRules, loadRules))

// byID sorts rules by their IDs.
func byID(list []Rule) []Rule {
	slices.SortFunc(list, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// sight is what a check saw of one point, or of one class of it.
type sight struct {
	state    State
	severity Severity // of what fired; "" = the rule's
	// weight orders what fired with one severity: the heaviest of several repeats is told.
	weight   float64
	sentence string
	inputs   []Input
}

func fired(weight float64, format string, a ...any) sight {
	return sight{state: Fired, weight: weight, sentence: fmt.Sprintf(format, a...)}
}

func silent(inputs ...Input) sight { return sight{state: Silent, inputs: inputs} }

// missing says in a sentence what was not recorded.
func missing(sentence string) sight { return sight{state: NotEvaluable, sentence: sentence} }

// apart says in a sentence why the rule does not ask about such a run.
func apart(sentence string) sight { return sight{state: NotApplicable, sentence: sentence} }

func (s sight) as(severity Severity) sight {
	s.severity = severity
	return s
}

func (s sight) of(inputs ...Input) sight {
	s.inputs = inputs
	return s
}

// rank puts what was seen in order: the worst is the highest.
func (l *look) rank(s sight) int {
	switch s.state {
	case Fired:
		return 3 + slices.Index([]Severity{Note, Warning, Error}, cmp.Or(s.severity, l.rule.Severity))
	case Silent:
		return 2
	case NotEvaluable:
		return 1
	default:
		return 0
	}
}

// worse reports whether a is worse than b.
func (l *look) worse(a, b sight) bool {
	return cmp.Or(cmp.Compare(l.rank(a), l.rank(b)), cmp.Compare(a.weight, b.weight)) > 0
}

// check looks at one point.
type check func(l *look, s *analysis.PointSummary) sight

// noSuccess is why nothing can be said of the figures of a point without any.
const noSuccess = "No request succeeded."

// atEach looks at every level and tells of its worst repeat. A point without a success has
// no figures to look at.
func atEach(see check) func(*look) {
	return atEvery(func(l *look, s *analysis.PointSummary) sight {
		if s.OK == 0 {
			return missing(noSuccess)
		}
		return see(l, s)
	})
}

// atEvery is atEach for rules that have something to say of a point without a success.
func atEvery(see check) func(*look) {
	return func(l *look) {
		for i := range l.Curves {
			for j := range l.Curves[i].Levels {
				level := &l.Curves[i].Levels[j]
				worst := see(l, &level.Points[0])
				for k := 1; k < len(level.Points); k++ {
					if s := see(l, &level.Points[k]); l.worse(s, worst) {
						worst = s
					}
				}
				l.report(level.Load, worst)
			}
		}
	}
}

// atClasses is atEach, and then a finding for each class that is worse than the whole.
func atClasses(see check) func(*look) {
	return func(l *look) {
		atEach(see)(l)
		whole := slices.Clone(l.findings)
		for i := range l.Curves {
			for j := range l.Curves[i].Levels {
				level := &l.Curves[i].Levels[j]
				at := slices.IndexFunc(whole, func(f Finding) bool { return f.Loads[0] == level.Load })
				for _, c := range l.classes(level, see) {
					if whole[at].State == Fired && l.rank(c.sight) <= l.rank(sight{state: Fired, severity: whole[at].Severity}) {
						continue
					}
					c.sentence = "Of the class " + c.name + ": " + c.sentence
					l.report(level.Load, c.sight)
				}
			}
		}
	}
}

// classes gives what fired of each class of a level, its worst repeat, in the order of the
// specification.
func (l *look) classes(level *analysis.Level, see check) []classSight {
	var out []classSight
	for r := range level.Points {
		for k := range level.Points[r].Classes {
			class := &level.Points[r].Classes[k]
			if class.Summary.OK == 0 {
				continue
			}
			s := see(l, &class.Summary)
			i := slices.IndexFunc(out, func(c classSight) bool { return c.name == class.Name })
			switch {
			case s.state != Fired:
			case i < 0:
				out = append(out, classSight{class.Name, s})
			case l.worse(s, out[i].sight):
				out[i].sight = s
			}
		}
	}
	return out
}

// classSight is what was seen of one class.
type classSight struct {
	name string
	sight
}

// report makes a finding of what was seen at a level.
func (l *look) report(load experiment.Load, s sight) {
	l.sayAs(cmp.Or(s.severity, l.rule.Severity), s.state, []experiment.Load{load}, s.sentence, s.inputs...)
}

// spec is the specification; the zero one where the case has no experiment.
func (l *look) spec() *experiment.Spec {
	if l.Experiment == nil {
		return &experiment.Spec{}
	}
	return &l.Experiment.Spec
}

// closed reports whether the load is a closed loop and nothing else.
func closed(s *analysis.PointSummary) bool {
	return s.Point.Load.Concurrency > 0 && s.Point.Load.Rate == 0
}

// failing reports whether so many requests failed that those that succeeded do not
// account for the load.
func failing(s *analysis.PointSummary) bool { return s.ErrorRate > 0.01 }

// spread is the standard deviation of a normal distribution with the same p50 and p90:
// outliers do not swell it, and of an exponential one it is 1.26 times the true one, so that a bar
// of so many of them errs to the quiet side. NaN where either is not known.
func spread(d analysis.Distribution) float64 { return (d.P90.Value - d.P50.Value) / 1.2816 }

// deviation is how far a value is from a reference, as a share of the reference with its sign.
func deviation(value, reference float64) float64 {
	if d := value/reference - 1; !math.IsInf(d, 0) {
		return d
	}
	return math.NaN()
}

// moreOrLess puts the sign of a deviation into words.
func moreOrLess(off float64, more, less string) string {
	if off < 0 {
		return less
	}
	return more
}
