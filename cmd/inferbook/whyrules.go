package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis/instinct"
	"github.com/inferbook/inferbook/experiment"
)

// ruleView is a rule as it counts in a notebook.
type ruleView struct {
	ID         string               `json:"id"`
	Title      string               `json:"title"`
	Section    instinct.Section     `json:"section"`
	Severity   instinct.Severity    `json:"severity"`
	Needs      string               `json:"needs"`
	Fires      string               `json:"fires"`
	Thresholds []instinct.Threshold `json:"thresholds"`
	Means      string               `json:"means"`
	Reading    string               `json:"reading"`
	Try        string               `json:"try"`
	Muted      bool                 `json:"muted"`
	MutedWhy   string               `json:"muted_why,omitempty"`

	settings instinct.Settings
}

func viewRule(r instinct.Rule, settings instinct.Settings) ruleView {
	v := ruleView{ID: r.ID, Title: r.Title, Section: r.Section, Severity: r.Severity, Needs: r.Needs, Fires: r.Fires,
		Thresholds: settings.Apply(r), Means: r.Means, Reading: r.Reading, Try: r.Try, settings: settings}
	v.Muted, v.MutedWhy = settings.Muted(r.ID)
	return v
}

// whyList lists the rules as this notebook has them; where there is none, as they are.
func (p *program) whyList(c *cli.Context) error {
	var settings instinct.Settings
	_, exists, err := p.notebookPath(c)
	if err != nil {
		return err
	}
	if exists {
		nb, err := p.look(c)
		if err != nil {
			return err
		}
		defer nb.Close()
		if settings, err = nb.RuleSettings(c.Context); err != nil {
			return err
		}
	}
	rules := instinct.Rules()
	if c.NArg() > 0 {
		rules = nil
		for _, id := range c.Args().Slice() {
			r, ok := instinct.ByID(id)
			if !ok {
				return usage("%w", instinct.Check(experiment.RuleSetting{Rule: id}))
			}
			rules = append(rules, r)
		}
	}
	views := []ruleView{}
	for _, r := range rules {
		views = append(views, viewRule(r, settings))
	}
	switch {
	case c.Bool("json"):
		return printJSON(p.out, struct {
			document
			Rules []ruleView `json:"rules"`
		}{document{"inferbook.rules/1"}, views})
	case c.NArg() > 0:
		for i := range views {
			if i > 0 {
				fmt.Fprintln(p.out)
			}
			p.printRule(&views[i])
			p.label("reading", views[i].Reading)
		}
	default:
		p.printRules(views)
	}
	return nil
}

// printRules prints the table, a section after the other.
func (p *program) printRules(views []ruleView) {
	section := instinct.Validity
	header := []any{"", "rule", "severity", "thresholds", "needs", "reading"}
	var rows [][]any
	flush := func() {
		if len(rows) > 0 {
			fmt.Fprintln(p.out, p.bold(section.String()))
			p.fit(header, rows, "needs", "reading", "severity")
			fmt.Fprintln(p.out)
		}
		rows = nil
	}
	for _, v := range views {
		if v.Section != section {
			flush()
			section = v.Section
		}
		var bars []string
		for _, t := range v.Thresholds {
			bar := fmt.Sprintf("%s=%g", t.Name, t.Value)
			if t.Changed() {
				bar += fmt.Sprintf(" (yours; %g)", t.Default)
			}
			bars = append(bars, bar)
		}
		title := v.Title
		if v.Muted {
			title += " (muted)"
		}
		rows = append(rows, []any{v.ID, title, string(v.Severity), strings.Join(bars, " "), v.Needs, v.Reading})
	}
	flush()
	p.hint("inferbook why --list I17 prints one in full, with why each threshold is what it is")
}

// printRule prints all of a rule but its reading.
func (p *program) printRule(v *ruleView) {
	fmt.Fprintf(p.out, "%s  %s  (%s, %s)\n", p.bold(v.ID), p.bold(v.Title), v.Severity, v.Section)
	p.label("fires", v.Fires)
	p.label("needs", v.Needs)
	for _, t := range v.Thresholds {
		p.label("threshold", thresholdText(v.ID, t, v.settings))
	}
	p.label("means", v.Means)
	p.label("try", v.Try)
	if v.Muted {
		p.label("muted", strings.TrimSpace("by you. "+v.MutedWhy))
	}
}

// label prints a labelled line of what is said of a rule; an empty one not.
func (p *program) label(name, text string) {
	if text != "" {
		fmt.Fprintf(p.out, "      %-9s %s\n", name, text)
	}
}

// whyChange records what the person changes about a rule.
func (p *program) whyChange(c *cli.Context) error {
	s, err := settingOf(c)
	if err != nil {
		return err
	}
	if err := instinct.Check(s); err != nil {
		return usage("%w", err)
	}
	r, _ := instinct.ByID(s.Rule)
	s.Rule = r.ID
	nb, err := p.open(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	if err := nb.AddRuleSetting(c.Context, &s); err != nil {
		return err
	}
	settings, err := nb.RuleSettings(c.Context)
	if err != nil {
		return err
	}
	return p.saySetting(c, r, s, settings)
}

// saySetting says what the change came to.
func (p *program) saySetting(c *cli.Context, r instinct.Rule, s experiment.RuleSetting, settings instinct.Settings) error {
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			experiment.RuleSetting
		}{document{"inferbook.rule-setting/1"}, s})
	}
	switch {
	case s.Threshold != "":
		for _, t := range instinct.Settings(settings).Apply(r) {
			if t.Name == s.Threshold {
				fmt.Fprintf(p.out, "%s %s  %s\n", r.ID, r.Title, thresholdText(r.ID, t, settings))
			}
		}
	case s.Muted:
		fmt.Fprintf(p.out, "%s %s is muted in this notebook; --unmute %s takes that back\n", r.ID, r.Title, r.ID)
	default:
		fmt.Fprintf(p.out, "%s %s is no longer muted\n", r.ID, r.Title)
	}
	return nil
}

// settingOf reads the change that the flags ask for.
func settingOf(c *cli.Context) (experiment.RuleSetting, error) {
	s := experiment.RuleSetting{Why: strings.TrimSpace(c.String("message"))}
	switch {
	case c.IsSet("mute"):
		s.Rule, s.Muted = c.String("mute"), true
	case c.IsSet("unmute"):
		s.Rule = c.String("unmute")
	case c.IsSet("reset"):
		var ok bool
		if s.Rule, s.Threshold, ok = strings.Cut(c.String("reset"), "."); !ok || s.Threshold == "" {
			return s, usage("--reset %s names no threshold; write one such as I25.gain", c.String("reset"))
		}
		s.Reset = true
	default:
		name, value, ok := strings.Cut(c.String("set"), "=")
		s.Rule, s.Threshold, _ = strings.Cut(strings.TrimSpace(name), ".")
		if !ok || s.Threshold == "" {
			return s, usage("--set %s is no threshold with a value; write one such as I25.gain=0.05", c.String("set"))
		}
		var err error
		if s.Value, err = barOf(value); err != nil {
			return s, usage("--set %s: %w", c.String("set"), err)
		}
	}
	return s, nil
}

// barOf reads a number, or a percentage as a share.
func barOf(text string) (float64, error) {
	digits, isShare := strings.CutSuffix(strings.TrimSpace(text), "%")
	x, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	switch {
	case err != nil || math.IsNaN(x) || math.IsInf(x, 0):
		return 0, errors.New("the value is not a number; write one such as 0.05 or 5%")
	case x < 0:
		return 0, errors.New("the value is negative, and thresholds are not")
	case isShare:
		x /= 100
	}
	return x, nil
}
