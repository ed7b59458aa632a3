// Package instinct holds what an experienced engineer sees in a run at a glance, as
// rules: first whether the run can be believed, then where the time went, what binds,
// what would help, for whom it is good enough, and what it costs.
//
// It believes that
//
//   - a rule is data: what it needs, its thresholds and why they are those, what it means,
//     the reading that explains it, and what to try next;
//   - a finding prints its inputs, so that a reader can disagree;
//   - what cannot be evaluated is "not evaluable", never "passed";
//   - a threshold is the person's to change, and a changed one says so.
//
// The rules and their thresholds are those of the reading notes; I01 to I14 ask whether
// the measurement is believable, the others what it means. Pure functions: values in,
// values out.
package instinct

import (
	"fmt"
	"slices"

	"github.com/inferbook/inferbook/experiment"
)

// Severity is how much a finding matters when its rule fires.
type Severity string

const (
	// Error says that the figures it concerns must not be quoted.
	Error Severity = "error"
	// Warning says that they can be, with the limit beside them.
	Warning Severity = "warning"
	// Note explains; nothing is wrong.
	Note Severity = "note"
)

// Section is the part of the story that a rule belongs to, in the order of the telling.
type Section int

// The sections, in the order in which they are told.
const (
	Validity Section = iota // can the run be believed?
	Time                    // where is the time?
	Binds                   // what binds?
	Helps                   // what would help?
	Whom                    // for whom is it good enough?
	Money                   // what does it cost?
)

// String gives the section as a heading.
func (s Section) String() string {
	return [...]string{"Can it be believed?", "Where is the time?", "What binds?", "What would help?", "For whom?", "What does it cost?"}[s]
}

// sectionNames are the sections as data has them.
var sectionNames = [...]string{"validity", "time", "binds", "helps", "whom", "money"}

// MarshalText writes the section's name: validity, time, binds, helps, whom or money.
func (s Section) MarshalText() ([]byte, error) { return []byte(sectionNames[s]), nil }

// UnmarshalText reads what [Section.MarshalText] wrote.
func (s *Section) UnmarshalText(text []byte) error {
	i := slices.Index(sectionNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("%q is no section; they are %s", text, join(sectionNames[:]))
	}
	*s = Section(i)
	return nil
}

// Threshold is a number that a rule compares with, and why it is that number.
type Threshold struct {
	Name  string  `json:"name"` // what a person types: "gain"
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"` // "" for a ratio or a share
	Why   string  `json:"why"`            // one sentence
	// Default is the rule's own value where the person has changed it; else equal to Value.
	Default float64 `json:"default"`
}

// Changed reports whether the person has set it.
func (t Threshold) Changed() bool { return t.Value != t.Default }

// Rule is one instinct.
type Rule struct {
	ID       string // "I17"
	Title    string // a few words: "Queueing"
	Section  Section
	Severity Severity
	Needs    string // what must have been recorded
	Fires    string // the condition in words, with the `thresholds` by name
	// Thresholds are the numbers in the condition.
	Thresholds []Threshold
	Means      string // what it says about the system or the run, one or two sentences
	Reading    string // slug of the reading that explains it
	Try        string // what to do next, one sentence

	// look evaluates the rule over a case: one finding for each place that it looked at.
	look func(l *look)
}

// Rules lists all rules by section, then by ID.
func Rules() []Rule { return append([]Rule(nil), rules...) }

// ByID finds a rule, in any case of letters.
func ByID(id string) (Rule, bool) {
	for _, r := range rules {
		if equalFold(r.ID, id) {
			return r, true
		}
	}
	return Rule{}, false
}

// Settings are the person's changes: the last of a rule and threshold counts.
type Settings []experiment.RuleSetting

// Muted reports whether a rule is muted, and the person's reason.
func (s Settings) Muted(rule string) (muted bool, why string) {
	for _, x := range s {
		if equalFold(x.Rule, rule) && x.Threshold == "" {
			muted, why = x.Muted && !x.Reset, x.Why
		}
	}
	return muted, why
}

// Apply gives the rule's thresholds as they count.
func (s Settings) Apply(r Rule) []Threshold {
	out := make([]Threshold, len(r.Thresholds))
	for i, t := range r.Thresholds {
		t.Default = t.Value
		for _, x := range s {
			switch {
			case !equalFold(x.Rule, r.ID) || x.Threshold != t.Name:
			case x.Reset:
				t.Value = t.Default
			default:
				t.Value = x.Value
			}
		}
		out[i] = t
	}
	return out
}

// Check says what is wrong with a setting: no such rule, or no such threshold.
func Check(x experiment.RuleSetting) error {
	r, ok := ByID(x.Rule)
	if !ok {
		return fmt.Errorf("there is no rule %q; `inferbook why --list` names them", x.Rule)
	}
	if x.Threshold == "" {
		return nil
	}
	var names []string
	for _, t := range r.Thresholds {
		if t.Name == x.Threshold {
			return nil
		}
		names = append(names, t.Name)
	}
	if len(names) == 0 {
		return fmt.Errorf("%s has no threshold", r.ID)
	}
	return fmt.Errorf("%s has no threshold %q; it has %s", r.ID, x.Threshold, join(names))
}
