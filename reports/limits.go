package reports

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/instinct"
	"github.com/inferbook/inferbook/experiment"
)

// limitsBody tells what the rules about validity found and what analysis warned of, each
// thing once with where it applies.
func limitsBody(m *Material) string {
	var b strings.Builder
	between := limitsBetween(m)
	for _, s := range between {
		b.WriteString("- **Between the experiments.** " + inline(s) + "\n")
	}
	none := len(between) == 0
	for i := range m.Experiments {
		it := &m.Experiments[i]
		lines := append(findingLines(m, it), warningLines(it)...)
		if len(lines) == 0 {
			continue
		}
		none = false
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		b.WriteString(itemHeading(m, it))
		for _, line := range lines {
			b.WriteString("- " + line + "\n")
		}
	}
	if none {
		return "No check of the runs, the figures or the prices gave a warning. What was not measured at all stands in the next section.\n"
	}
	return b.String()
}

// findingLines are the findings that fired, gravest first, with the reading that explains
// those that limit the figures; then what could not be evaluated, and what the person changed.
func findingLines(m *Material, it *Item) []string {
	var out []string
	for _, t := range instinct.Tell(it.Findings) {
		line := fmt.Sprintf("**%s; %s, %s.** %s", it.places(&t), t.Rule, t.Severity, inline(t.Sentence))
		if t.Differ {
			line += fmt.Sprintf(" (With the figures of %s.)", it.load(t.Loads[0]))
		}
		if t.Severity != instinct.Note {
			line += " " + inline(t.Means) + " Reading: " + readingLink(m, t.Reading) + "."
		}
		out = append(out, line)
	}
	for _, text := range append(instinct.Altered(it.Findings), instinct.Unevaluated(it.Findings)) {
		if text != "" {
			out = append(out, inline(text))
		}
	}
	return out
}

// places names the levels that something was found at: "Every level", "Level c=1, c=2".
func (it *Item) places(t *instinct.Told) string {
	loads := append(slices.Clone(t.Loads), t.Also...)
	switch levels := len(it.Curve.Levels); {
	case len(loads) == 0:
		return "The experiment"
	case len(loads) == levels && levels > 1:
		return "Every level"
	}
	names := make([]string, len(loads))
	for i, l := range loads {
		names[i] = it.load(l)
	}
	return "Level " + strings.Join(names, ", ")
}

// warningLines are the warnings of figures, curves and costs.
func warningLines(it *Item) []string {
	var out []string
	for _, f := range warningsOf(it).found {
		line := fmt.Sprintf("**%s.** %s", inline(f.where(len(it.Curve.Levels), len(it.columns()))), inline(f.text))
		if f.differ {
			line += fmt.Sprintf(" (With the figures of %s.)", f.places[0].which)
		}
		out = append(out, line)
	}
	return out
}

// warnings holds texts in the order they came, each with the places it holds
// for. Texts that differ in their figures alone are one.
type warnings struct {
	found []*warning
	known map[string]*warning // by the text without its figures
}

type warning struct {
	text   string // as it was first said
	differ bool   // at other places with other figures
	places []place
}

// place is what a warning is about: a kind of thing, and which one of it.
type place struct{ kind, which string }

// figures are the numbers of a text; the 95 of "p95" is a name.
var figures = regexp.MustCompile(`\b[0-9][0-9.,]*`)

func (w *warnings) add(p place, texts ...string) {
	for _, t := range texts {
		shape := figures.ReplaceAllString(t, "#")
		f := w.known[shape]
		if f == nil {
			f = &warning{text: t}
			w.known[shape], w.found = f, append(w.found, f)
		}
		f.differ = f.differ || f.text != t
		if !slices.Contains(f.places, p) {
			f.places = append(f.places, p)
		}
	}
}

// where names the places of a warning, of so many levels and columns: things that
// it holds for at the same levels stand together.
func (f *warning) where(levels, columns int) string {
	var kinds []string
	which := map[string][]string{}
	for _, p := range f.places {
		if !slices.Contains(kinds, p.kind) {
			kinds = append(kinds, p.kind)
		}
		if p.which != "" {
			which[p.kind] = append(which[p.kind], p.which)
		}
	}
	var out []string
	for len(kinds) > 0 {
		at := which[kinds[0]]
		differs := func(k string) bool { return !slices.Equal(which[k], at) }
		together := slices.DeleteFunc(slices.Clone(kinds), differs)
		kinds = slices.DeleteFunc(kinds, func(k string) bool { return !differs(k) })
		name := strings.Join(together, ", ")
		if len(together) >= columns {
			name = "Every figure"
		}
		switch {
		case len(at) == levels && levels > 1:
			name += " at every level"
		case len(at) > 0:
			name += " at " + strings.Join(at, ", ")
		}
		out = append(out, name)
	}
	return strings.Join(out, "; ")
}

// warningsOf gathers what analysis warned of, in the order of load.
func warningsOf(it *Item) *warnings {
	w := &warnings{known: map[string]*warning{}}
	w.add(place{"Curve", ""}, it.Curve.Warnings...)
	for i := range it.Curve.Levels {
		l := &it.Curve.Levels[i]
		for _, c := range it.columns() {
			w.add(place{c.title, l.Load.String()}, c.value(l).Warnings...)
		}
	}
	for i := range it.Costs {
		c := &it.Costs[i]
		at := place{"Cost", c.Level.String()}
		w.add(at, c.Warnings...)
		for _, e := range []analysis.Estimate{c.OutputOnly, c.Total, c.AllocatedInput, c.AllocatedOutput, c.PerThousandRequests} {
			w.add(at, e.Warnings...)
		}
	}
	return w
}

// limitsBetween says what keeps the experiments from being compared.
func limitsBetween(m *Material) []string {
	out := analysis.Between(curves(m))
	var differ []string
	first := m.Experiments[0].Experiment.Environment
	for _, k := range []struct{ key, name string }{
		{experiment.KeyModel, "model"}, {experiment.KeyPrecision, "precision"}, {experiment.KeyRuntime, "runtime"},
		{experiment.KeyRuntimeVersion, "runtime version"}, {experiment.KeyGPUModel, "GPU"}, {experiment.KeyGPUCount, "number of GPUs"},
	} {
		if slices.ContainsFunc(m.Experiments, func(it Item) bool { return it.Experiment.Environment.Get(k.key).Value != first.Get(k.key).Value }) {
			differ = append(differ, k.name)
		}
	}
	if len(differ) > 1 {
		out = append(out, fmt.Sprintf("They differ in %s at once, so a difference between their curves cannot be put down to one of these.", listing(differ)))
	}
	return out
}
