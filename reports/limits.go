package reports

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// errorsMatter is the share of failed requests from which latencies are those
// of the survivors: a p99 is about one request in a hundred.
const errorsMatter = 0.01

// cannotSupport names what an experiment's data does not allow to be concluded,
// gravest first. Each is a whole sentence.
func cannotSupport(it *Item) []string {
	var out []string
	who := strong(strings.TrimSpace(it.Experiment.Alias() + " " + it.Curve.Variant))
	say := func(format string, a ...any) { out = append(out, who+" "+fmt.Sprintf(format, a...)) }
	sent, ok := requests(it.Points)
	switch {
	case sent == 0:
		say("cannot support any figure: no request was measured.")
		return out
	case ok == 0:
		say("cannot support any latency or throughput: none of its %s succeeded.", counted(sent, "request"))
		return out
	}
	levels := it.Curve.Levels
	for i := range levels {
		if l := &levels[i]; l.ErrorRate > errorsMatter {
			say("cannot support a latency for everybody at %s: %s of its requests failed, and its latencies are those of the others.", it.load(l.Load), percent.text(l.ErrorRate))
		}
	}
	if at := loadsWhere(it, func(l *analysis.Level) bool { return l.Oversaturated }); at != "" {
		say("cannot support a latency at %s: requests pile up, so that latencies say how long the run was.", at)
	}
	if !it.Experiment.Spec.Stream {
		say("cannot support TTFT or TPOT: its answers were not streamed.")
	} else if at := loadsWhere(it, hasStreaming(analysis.StreamNone)); at != "" {
		say("cannot support TTFT or TPOT at %s: the stream came in one burst.", at)
	}
	if at := loadsWhere(it, countedLoosely); at != "" {
		say("cannot support exact token figures at %s: no server counted the tokens of some requests.", at)
	}
	for _, few := range []struct {
		what     string
		repeated bool // an interval between repeats hangs on their number, one within a run on its requests
	}{{"requests", false}, {"repeats", true}} {
		if at := loadsWhere(it, func(l *analysis.Level) bool { return unboundedP95(l) && (len(l.Points) > 1) == few.repeated }); at != "" {
			say("cannot support an upper bound of the p95 at %s: there are too few %s.", at, few.what)
		}
	}
	if at := loadsWhere(it, func(l *analysis.Level) bool { return len(l.Points) == 1 }); at != "" {
		say("cannot support how well its figures repeat at %s: there is one repeat, and the intervals are of chance within it.", at)
	}
	return out
}

func unboundedP95(l *analysis.Level) bool {
	return math.IsInf(l.TTFTP95.High, 1) || math.IsInf(l.E2EP95.High, 1)
}

func hasStreaming(v analysis.StreamingVerdict) func(*analysis.Level) bool {
	return func(l *analysis.Level) bool {
		return slices.ContainsFunc(l.Points, func(p analysis.PointSummary) bool { return p.Streaming == v })
	}
}

func countedLoosely(l *analysis.Level) bool {
	return slices.ContainsFunc(l.Points, func(p analysis.PointSummary) bool {
		return p.CountedBy[experiment.CountedEvents]+p.CountedBy[experiment.CountedNone] > 0
	})
}

// loadsWhere names the levels for which something holds; "every level" when it
// holds for all of several.
func loadsWhere(it *Item, holds func(*analysis.Level) bool) string {
	var names []string
	levels := it.Curve.Levels
	for i := range levels {
		if holds(&levels[i]) {
			names = append(names, it.load(levels[i].Load))
		}
	}
	if len(names) == len(levels) && len(levels) > 1 {
		return "every level"
	}
	return listing(names)
}

// limitsBody collects every warning there is, each text once, with where it applies.
func limitsBody(m *Material) string {
	var b strings.Builder
	between := limitsBetween(m)
	for _, s := range between {
		b.WriteString("- **Between the experiments.** " + inline(s) + "\n")
	}
	none := len(between) == 0
	for i := range m.Experiments {
		it := &m.Experiments[i]
		w := warningsOf(it)
		if len(w.found) == 0 {
			continue
		}
		none = false
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		b.WriteString(itemHeading(m, it))
		for _, f := range w.found {
			fmt.Fprintf(&b, "- **%s.** %s", inline(f.where(len(it.Curve.Levels), len(it.columns()))), inline(f.text))
			switch {
			case f.differ && len(f.places) > 1:
				fmt.Fprintf(&b, " (With the figures of %s.)", f.places[0].which)
			case f.differ:
				b.WriteString(" (With the figures of one repeat.)")
			}
			b.WriteString("\n")
		}
	}
	if none {
		return "No check of the runs, the figures or the prices gave a warning. What was not measured at all stands in the next section.\n"
	}
	return b.String()
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
		case len(at) == levels && levels > 1 && name == pointKind:
			name = "Every level"
		case len(at) == levels && levels > 1:
			name += " at every level"
		case len(at) > 0 && name != pointKind:
			name += " at " + strings.Join(at, ", ")
		case len(at) > 0:
			name += " " + strings.Join(at, ", ")
		}
		out = append(out, name)
	}
	return strings.Join(out, "; ")
}

// pointKind is the kind of a place that is a run of one level.
const pointKind = "Level"

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
	for i := range it.Curve.Levels {
		l := &it.Curve.Levels[i]
		for j := range l.Points {
			w.add(place{pointKind, l.Load.String()}, l.Points[j].Warnings...)
			for _, class := range l.Points[j].Classes {
				w.add(place{"Class " + class.Name, l.Load.String()}, class.Summary.Warnings...)
			}
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
