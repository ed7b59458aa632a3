package instinct

import (
	"math"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// State is what came of a rule at one place.
type State string

const (
	Fired         State = "fired"
	Silent        State = "silent"
	NotEvaluable  State = "not evaluable"  // something that the rule needs was not recorded
	NotApplicable State = "not applicable" // the rule asks about another kind of run: a closed loop has no schedule to be late for
	Muted         State = "muted"          // the person has switched the rule off
)

// Input is a number that a rule looked at.
type Input struct {
	Name  string   `json:"name"`
	Value *float64 `json:"value"` // nil = not known
	Unit  string   `json:"unit,omitempty"`
}

// Finding is what a rule says about one place: a point's level, a step between two levels, a
// curve, or the whole case.
type Finding struct {
	Rule    string  `json:"rule"` // ID
	Title   string  `json:"title"`
	Section Section `json:"section"`
	State   State   `json:"state"`
	// Severity is the rule's, or that of this finding where a rule tells grades apart.
	Severity Severity `json:"severity"`
	// Loads are the levels that it is about; empty = the experiment as a whole.
	Loads []experiment.Load `json:"loads"`
	// Sentence says what was seen, with the numbers, or for a rule that is not evaluable what is missing. It
	// does not name the levels, and is empty where a rule is silent and has no more to say.
	Sentence   string      `json:"sentence"`
	Inputs     []Input     `json:"inputs"`
	Thresholds []Threshold `json:"thresholds"`
	Means      string      `json:"means"`
	Reading    string      `json:"reading"` // slug
	Try        string      `json:"try"`
}

// Case is what rules look at: one experiment and what is known around it.
type Case struct {
	Experiment *experiment.Experiment
	Curves     []analysis.Curve // one for each variant
	// Machine is what is known of hardware and model; nil = nothing.
	Machine *analysis.Machine
	// Settings are the person's changes to the rules.
	Settings Settings
	// Others are the notebook's other experiments, for the rules that compare: without Others of
	// their own.
	Others []Case
	// Price is what the hardware costs; nil = not recorded.
	Price *experiment.Price
}

// look is a rule at work on a case.
type look struct {
	*Case
	rule       Rule
	thresholds []Threshold
	findings   []Finding
}

// limit gives the threshold of a name as it counts. A name that the rule does not have is a
// mistake of the rule's author.
func (l *look) limit(name string) float64 {
	i := slices.IndexFunc(l.thresholds, func(t Threshold) bool { return t.Name == name })
	if i < 0 {
		panic("rule " + l.rule.ID + " has no threshold " + name)
	}
	return l.thresholds[i].Value
}

// in makes an input.
func in(name string, value float64, unit string) Input {
	i := Input{Name: name, Unit: unit}
	if !math.IsNaN(value) && !math.IsInf(value, 0) {
		i.Value = &value
	}
	return i
}

// say adds a finding about some levels.
func (l *look) say(state State, loads []experiment.Load, sentence string, inputs ...Input) {
	l.sayAs(l.rule.Severity, state, loads, sentence, inputs...)
}

// sayAs is say with a severity of the finding's own.
func (l *look) sayAs(severity Severity, state State, loads []experiment.Load, sentence string, inputs ...Input) {
	l.findings = append(l.findings, Finding{
		Rule: l.rule.ID, Title: l.rule.Title, Section: l.rule.Section, State: state, Severity: severity,
		Loads: append([]experiment.Load{}, loads...), Sentence: sentence, Inputs: append([]Input{}, inputs...), Thresholds: l.thresholds,
		Means: l.rule.Means, Reading: l.rule.Reading, Try: l.rule.Try,
	})
}

// Look runs every rule over a case, in the order of the telling. A rule that found
// no place to look at gives one finding that says it is not evaluable.
func Look(c *Case) []Finding { return run(c, rules) }

// Validate is [Look] with the rules about validity alone.
func Validate(c *Case) []Finding { return run(c, validityRules) }

func run(c *Case, rules []Rule) []Finding {
	var out []Finding
	for _, r := range rules {
		l := &look{Case: c, rule: r, thresholds: c.Settings.Apply(r)}
		if muted, why := c.Settings.Muted(r.ID); muted {
			l.say(Muted, nil, strings.TrimSpace("Muted. "+why))
		} else if r.look(l); len(l.findings) == 0 {
			l.say(NotEvaluable, nil, "It needs "+r.Needs+".")
		}
		out = append(out, l.findings...)
	}
	return out
}

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }

// join lists names: "a, b and c".
func join(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
