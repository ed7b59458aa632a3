package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/instinct"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

func (p *program) whyCommand() *cli.Command {
	return &cli.Command{
		Name: "why", Usage: "what a run's figures mean: whether they can be believed, where the time went, what binds, what would help",
		UsageText: examples("inferbook why exp-3", "inferbook why exp-3 --brief                       what fired, without inputs and thresholds",
			"inferbook why exp-3 --all                         the silent rules too, with their inputs",
			"inferbook why --list                              every rule; with I17 that one in full",
			"inferbook why --mute I33 -m \"we measure through a VPN\"",
			"inferbook why --set I25.gain=0.05 -m \"our sweeps double\"", "inferbook why --reset I25.gain"),
		Description: "A rule that fires prints its inputs, its thresholds and why they are those, what it means, the reading that\n" +
			"explains it, and what to try next. A rule that cannot be evaluated says what is missing; it has not passed.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "print the silent and the missing rules in full"},
			&cli.BoolFlag{Name: "brief", Usage: "what fired, and what to try; no inputs, no thresholds"},
			&cli.BoolFlag{Name: "list", Usage: "list the rules, or the ones named"},
			&cli.StringFlag{Name: "mute", Usage: "switch `RULE` off in this notebook"},
			&cli.StringFlag{Name: "unmute", Usage: "switch `RULE` on again"},
			&cli.StringFlag{Name: "set", Usage: "change a threshold: `RULE.NAME=VALUE`, such as I25.gain=0.05 or I25.gain=5%"},
			&cli.StringFlag{Name: "reset", Usage: "give `RULE.NAME` its own threshold back"},
			&cli.StringFlag{Name: "message", Aliases: []string{"m"}, Usage: "`WHY` you change a rule"},
			jsonFlag(), dbFlag(),
		},
		Action: p.whyAction,
	}
}

func (p *program) whyAction(c *cli.Context) error {
	changes := 0
	for _, name := range []string{"mute", "unmute", "set", "reset"} {
		if c.IsSet(name) {
			changes++
		}
	}
	switch {
	case changes > 1 || changes == 1 && (c.Bool("list") || c.NArg() > 0):
		return usage("one change at a time: --mute, --unmute, --set or --reset, and nothing else beside -m")
	case changes == 1:
		return p.whyChange(c)
	case c.IsSet("message"):
		return usage("-m says why a rule is changed; it goes with --mute, --unmute, --set or --reset")
	case c.Bool("list"):
		return p.whyList(c)
	case c.Bool("brief") && c.Bool("all"):
		return usage("--brief and --all ask for less and for more; give one of them")
	}
	ref, err := oneRef(c, "an experiment")
	if err != nil {
		return err
	}
	nb, err := p.look(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	e, err := nb.Experiment(c.Context, ref)
	if err != nil {
		return err
	}
	v, err := loadView(c.Context, nb, e)
	if err != nil {
		return err
	}
	one, err := whyCase(c.Context, nb, v)
	if err != nil {
		return err
	}
	w := why{program: p, v: v, settings: one.Settings, findings: instinct.Look(&one), all: c.Bool("all"), brief: c.Bool("brief"), readings: map[string]experiment.ReadingEntry{}}
	list, err := nb.Readings(c.Context)
	if err != nil {
		return err
	}
	for _, r := range list {
		w.readings[r.Slug] = r
	}
	if c.Bool("json") {
		return w.printJSON()
	}
	w.print()
	return nil
}

// whyCase is the experiment with what is known around it: its hardware, the person's
// settings, the newest price, and the experiments of the notebook that it can be compared with: those of the
// same model and workload.
func whyCase(ctx context.Context, nb *store.Notebook, v *view) (instinct.Case, error) {
	one, err := aloneCase(ctx, nb, v)
	if err != nil {
		return one, err
	}
	list, err := nb.List(ctx, store.Filter{})
	if err != nil {
		return one, err
	}
	model, workload := v.Experiment.Environment.Get(experiment.KeyModel).Value, analysis.WorkloadText(&v.Experiment.Spec)
	for _, l := range list {
		e := l.Experiment
		if e.ID == v.Experiment.ID || e.Environment.Get(experiment.KeyModel).Value != model || analysis.WorkloadText(&e.Spec) != workload {
			continue
		}
		other, err := loadView(ctx, nb, &e)
		if err != nil {
			return one, err
		}
		if other.verdict() == instinct.DoNotQuote {
			continue // what cannot be quoted is nothing to compare with
		}
		c, err := aloneCase(ctx, nb, other)
		if err != nil {
			return one, err
		}
		one.Others = append(one.Others, c)
	}
	return one, nil
}

// aloneCase is the case of one experiment without the others.
func aloneCase(ctx context.Context, nb *store.Notebook, v *view) (instinct.Case, error) {
	one := caseOf(v)
	one.Machine = machineOf(v.Experiment)
	if gpu := v.Experiment.Environment.Get(experiment.KeyGPUModel); gpu.Source != experiment.UnknownValue {
		prices, err := nb.Prices(ctx, gpu.Value)
		if err != nil {
			return one, err
		}
		if len(prices) > 0 {
			one.Price = &prices[0]
		}
	}
	return one, nil
}

// why is the telling of one experiment's findings.
type why struct {
	*program
	v        *view
	settings instinct.Settings
	findings []instinct.Finding
	readings map[string]experiment.ReadingEntry
	all      bool // the silent rules too
	brief    bool // without inputs, thresholds and meaning
}

func (w *why) printJSON() error {
	type level struct {
		Load    experiment.Load  `json:"load"`
		Verdict instinct.Verdict `json:"verdict"`
	}
	levels := []level{}
	for _, c := range w.v.Curves {
		for _, l := range c.Levels {
			levels = append(levels, level{l.Load, instinct.Judge(w.findings, &l.Load)})
		}
	}
	return printJSON(w.out, struct {
		document
		Experiment string             `json:"experiment"`
		ID         string             `json:"id"`
		Verdict    instinct.Verdict   `json:"verdict"`
		Levels     []level            `json:"levels"`
		Findings   []instinct.Finding `json:"findings"`
	}{document{"inferbook.why/1"}, w.v.Experiment.Alias(), w.v.Experiment.ID, instinct.Judge(w.findings, nil), levels, w.findings})
}

func (w *why) print() {
	e := w.v.Experiment
	fmt.Fprintf(w.out, "%s  %s\n%s\n", w.bold(e.Title()), e.Environment.Label(), workloadLine(e))
	if said := w.cannot(); said != "" {
		fmt.Fprintf(w.out, "\n%s\n", said)
	}
	var quiet []string
	for section := instinct.Validity; section <= instinct.Money; section++ {
		groups := w.groups(section)
		if !w.all {
			groups = slices.DeleteFunc(groups, func(g []instinct.Finding) bool { return g[0].State != instinct.Fired })
		}
		heading := w.bold(section.String())
		switch {
		case section == instinct.Validity:
			heading += fmt.Sprintf("  %s", instinct.Judge(w.findings, nil))
		case len(groups) == 0:
			quiet = append(quiet, section.String())
			continue
		}
		fmt.Fprintf(w.out, "\n%s\n", heading)
		for _, group := range groups {
			w.printGroup(group)
		}
	}
	if len(quiet) > 0 {
		fmt.Fprintf(w.out, "\nNothing fired under: %s\n", strings.Join(quiet, " "))
	}
	if !w.all && !w.brief {
		w.printRest()
	}
}

// cannot says first which figures the run does not support; "" = all can be quoted.
func (w *why) cannot() string {
	var loads []string
	levels := 0
	for _, c := range w.v.Curves {
		for _, l := range c.Levels {
			levels++
			if instinct.Judge(w.findings, &l.Load) == instinct.DoNotQuote {
				loads = append(loads, l.Load.String())
			}
		}
	}
	var why []string
	for _, f := range w.findings {
		if f.Section == instinct.Validity && f.State == instinct.Fired && f.Severity == instinct.Error {
			why = append(why, fmt.Sprintf("%s (%s)", strings.ToLower(f.Title[:1])+f.Title[1:], f.Rule))
		}
	}
	reasons := strings.Join(unique(why), ", ")
	switch {
	case len(why) == 0:
		return ""
	case len(loads) == levels || len(loads) == 0:
		return fmt.Sprintf("This run cannot support figures that others may quote: %s. The explanations below rest on figures that cannot be quoted.", reasons)
	default:
		return fmt.Sprintf("This run cannot support its figures at %s: %s. Explanations about those levels rest on figures that cannot be quoted.", strings.Join(loads, ", "), reasons)
	}
}

// groups gives the findings of a section by rule and state, those about validity the gravest first.
func (w *why) groups(section instinct.Section) [][]instinct.Finding {
	var out [][]instinct.Finding
	at := map[string]int{}
	for _, f := range w.findings {
		key := f.Rule + string(f.State)
		i, seen := at[key]
		switch {
		case f.Section != section:
		case seen:
			out[i] = append(out[i], f)
		default:
			at[key] = len(out)
			out = append(out, []instinct.Finding{f})
		}
	}
	if section == instinct.Validity {
		slices.SortStableFunc(out, func(a, b []instinct.Finding) int { return cmp.Compare(gravity(a), gravity(b)) })
	}
	return out
}

// gravity puts groups in order: what fired by its severity, then the others.
func gravity(group []instinct.Finding) int {
	if group[0].State != instinct.Fired {
		return 3
	}
	return slices.Index([]instinct.Severity{instinct.Error, instinct.Warning, instinct.Note}, gravest(group))
}

// mostPlaces is how many places of one rule are told before the others are only named.
const mostPlaces = 3

// printGroup tells a rule's findings of one state, and once what they have in common.
func (w *why) printGroup(group []instinct.Finding) {
	f := group[0]
	if !w.brief {
		fmt.Fprintln(w.out)
	}
	fmt.Fprintf(w.out, "  %s  %s", w.bold(f.Rule), w.bold(f.Title))
	if f.State != instinct.Fired {
		fmt.Fprintf(w.out, "  (%s)", f.State)
	} else if s := gravest(group); s != instinct.Note {
		fmt.Fprintf(w.out, "  (%s)", s)
	}
	fmt.Fprintln(w.out)
	w.printPlaces(group)
	if w.brief && f.Severity != instinct.Note {
		w.label("try", f.Try)
	}
	if w.brief || f.State == instinct.NotApplicable || f.State == instinct.Muted {
		return
	}
	for _, t := range f.Thresholds {
		w.label("threshold", thresholdText(f.Rule, t, w.settings))
	}
	if f.State != instinct.Fired {
		return
	}
	w.label("means", f.Means)
	if r, ok := w.readings[f.Reading]; ok {
		w.label("reading", fmt.Sprintf("%s: %s (%s)", r.Slug, r.Title, r.Status))
	} else {
		w.label("reading", f.Reading)
	}
	w.label("try", f.Try)
}

// printPlaces tells each thing that was found with its inputs, once for all the places where it is the same.
func (w *why) printPlaces(group []instinct.Finding) {
	var told []instinct.Finding
	at := map[string][]string{}
	for _, f := range group {
		said := f.Sentence + "\n" + inputsText(f.Inputs)
		if _, seen := at[said]; !seen {
			told = append(told, f)
		}
		if place := places(f); place != "" {
			at[said] = append(at[said], place)
		}
	}
	most := mostPlaces
	if w.all {
		most = len(told)
	}
	var further []string
	for i, f := range told {
		inputs := inputsText(f.Inputs)
		where := at[f.Sentence+"\n"+inputs]
		if i >= most {
			further = append(further, where...)
			continue
		}
		said := f.Sentence
		if len(where) > 0 {
			said = strings.Join(where, ", ") + ": " + said
		}
		fmt.Fprintf(w.out, "      %s\n", strings.TrimSuffix(said, ": "))
		if !w.brief {
			w.label("inputs", inputs)
		}
	}
	if len(further) > 0 {
		fmt.Fprintf(w.out, "      and likewise at %s\n", strings.Join(further, ", "))
	}
}

// gravest is the worst severity of some findings.
func gravest(group []instinct.Finding) instinct.Severity {
	worst := instinct.Note
	for _, f := range group {
		if f.Severity == instinct.Error || f.Severity == instinct.Warning && worst == instinct.Note {
			worst = f.Severity
		}
	}
	return worst
}

// places names what a finding is about: a level, a step, or a range of levels; "" = the whole.
func places(f instinct.Finding) string {
	switch n := len(f.Loads); n {
	case 0:
		return ""
	case 1:
		return f.Loads[0].String()
	case 2:
		return f.Loads[0].String() + " → " + f.Loads[1].String()
	default:
		return f.Loads[0].String() + " … " + f.Loads[n-1].String()
	}
}

// inputsText gives the inputs that are known; --json has the others as null.
func inputsText(inputs []instinct.Input) string {
	var parts []string
	for _, i := range inputs {
		if i.Value != nil {
			parts = append(parts, strings.TrimSpace(i.Name+" "+short(*i.Value)+" "+i.Unit))
		}
	}
	return strings.Join(parts, " · ")
}

// short writes an input with four significant digits, so that a reader can check a sentence.
func short(x float64) string {
	switch {
	case x < 0:
		return "−" + short(-x)
	case x >= 1000:
		return num(x)
	}
	return fmt.Sprintf("%.4g", x)
}

// thresholdText is a threshold with its reason, and with who changed it.
func thresholdText(rule string, t instinct.Threshold, settings instinct.Settings) string {
	text := fmt.Sprintf("%s: %s", strings.TrimSpace(fmt.Sprintf("%s %g %s", t.Name, t.Value, t.Unit)), t.Why)
	if !t.Changed() {
		return text
	}
	when, why := "", ""
	for _, s := range settings {
		if strings.EqualFold(s.Rule, rule) && s.Threshold == t.Name && !s.Reset {
			when, why = s.Created.Local().Format(time.DateOnly), s.Why
		}
	}
	text = fmt.Sprintf("%s: set by you on %s", strings.TrimSpace(fmt.Sprintf("%s %g %s", t.Name, t.Value, t.Unit)), when)
	if why != "" {
		text += ", because: " + why
	}
	return fmt.Sprintf("%s; of its own it is %g: %s", text, t.Default, t.Why)
}

// printRest names the rules that did not fire, and says of those that could not be evaluated what is missing.
func (w *why) printRest() {
	fired := map[string]bool{}
	by := map[instinct.State]map[string]string{}
	for _, f := range w.findings {
		if by[f.State] == nil {
			by[f.State] = map[string]string{}
		}
		fired[f.Rule] = fired[f.Rule] || f.State == instinct.Fired
		if by[f.State][f.Rule] == "" {
			by[f.State][f.Rule] = f.Sentence
		}
	}
	names := func(state instinct.State, but ...instinct.State) []string {
		var out []string
		for _, id := range slices.Sorted(maps.Keys(by[state])) {
			elsewhere := fired[id]
			for _, b := range but {
				_, has := by[b][id]
				elsewhere = elsewhere || has
			}
			if !elsewhere {
				out = append(out, id)
			}
		}
		return out
	}
	fmt.Fprintln(w.out)
	if list := names(instinct.Silent); len(list) > 0 {
		fmt.Fprintf(w.out, "Silent: %s\n", strings.Join(list, ", "))
	}
	if list := names(instinct.NotApplicable, instinct.Silent); len(list) > 0 {
		fmt.Fprintf(w.out, "Not applicable: %s\n", strings.Join(list, ", "))
	}
	if list := names(instinct.Muted); len(list) > 0 {
		fmt.Fprintf(w.out, "Muted by you: %s\n", strings.Join(list, ", "))
	}
	list := names(instinct.NotEvaluable, instinct.Silent)
	if len(list) > 0 {
		fmt.Fprintln(w.out, "Not evaluable, which is not the same as passed:")
	}
	for _, id := range list {
		fmt.Fprintf(w.out, "  %s  %s\n", id, by[instinct.NotEvaluable][id])
	}
	w.hint("next: inferbook why %[1]s --all · inferbook why --list · inferbook note %[1]s -m \"…\"", w.v.Experiment.Alias())
}
