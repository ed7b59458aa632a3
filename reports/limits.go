package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// Thresholds of what a run cannot support.
const (
	// errorsMatter is the share of failed requests from which latencies are those
	// of the survivors: a p99 is about one request in a hundred.
	errorsMatter = 0.01
	// priceAge is how far a price may lie from the run before it is said.
	priceAge = 90 * 24 * time.Hour
)

// cannotSupport names what an experiment's data does not allow to be concluded,
// gravest first. Each is a whole sentence.
func cannotSupport(it *Item) []string {
	var out []string
	who := strong(it.Experiment.Alias())
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
			say("cannot support a latency for everybody at %s: %s of its requests failed, and its latencies are those of the others.", l.Load, percent.text(l.ErrorRate))
		}
	}
	if !it.Experiment.Spec.Stream {
		say("cannot support TTFT or TPOT: its answers were not streamed.")
	} else if at := loadsWhere(levels, hasStreaming(analysis.StreamNone)); at != "" {
		say("cannot support TTFT or TPOT at %s: the stream came in one burst.", at)
	}
	if at := loadsWhere(levels, countedLoosely); at != "" {
		say("cannot support exact token figures at %s: no server counted the tokens of some requests.", at)
	}
	if at := loadsWhere(levels, func(l *analysis.Level) bool { return math.IsInf(l.TTFTP95.High, 1) || math.IsInf(l.E2EP95.High, 1) }); at != "" {
		say("cannot support an upper bound of the p95 at %s: there are too few requests.", at)
	}
	if at := loadsWhere(levels, func(l *analysis.Level) bool { return len(l.Points) == 1 }); at != "" {
		say("cannot support how well its figures repeat at %s: there is one repeat, and the intervals are of chance within it.", at)
	}
	return out
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
func loadsWhere(levels []analysis.Level, holds func(*analysis.Level) bool) string {
	var names []string
	for i := range levels {
		if holds(&levels[i]) {
			names = append(names, levels[i].Load.String())
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
		b.WriteString("- **Between the experiments.** " + s + "\n")
	}
	none := len(between) == 0
	for i := range m.Experiments {
		it := &m.Experiments[i]
		w := warningsOf(it)
		if len(w.texts) == 0 {
			continue
		}
		none = false
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		b.WriteString(itemHeading(m, it))
		for _, text := range w.texts {
			fmt.Fprintf(&b, "- **%s.** %s\n", w.where(text, len(it.Curve.Levels)), inline(text))
		}
	}
	if none {
		return "No check of the runs, the figures or the prices gave a warning. What was not measured at all stands in the next section.\n"
	}
	return b.String()
}

// warnings holds texts in the order they came, each with the places it holds for.
type warnings struct {
	texts  []string
	places map[string][]place
}

// place is what a warning is about: a kind of thing, and which one of it.
type place struct{ kind, which string }

func (w *warnings) add(p place, texts ...string) {
	for _, t := range texts {
		if _, ok := w.places[t]; !ok {
			w.texts = append(w.texts, t)
		}
		if !slices.Contains(w.places[t], p) {
			w.places[t] = append(w.places[t], p)
		}
	}
}

// where names the places of a warning: things that it holds for at the same
// levels stand together.
func (w *warnings) where(text string, levels int) string {
	var kinds []string
	which := map[string][]string{}
	for _, p := range w.places[text] {
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
		if len(together) >= len(levelColumns) {
			name = "Every figure"
		}
		switch {
		case len(at) == levels && levels > 1 && name != pointKind:
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

// pointKind is the kind of a place that is one repeat of one level.
const pointKind = "Point"

// warningsOf gathers what analysis warned of, and what the dates of the prices say.
func warningsOf(it *Item) *warnings {
	w := &warnings{places: map[string][]place{}}
	w.add(place{"Curve", ""}, it.Curve.Warnings...)
	for i := range it.Curve.Levels {
		l := &it.Curve.Levels[i]
		for _, c := range levelColumns {
			w.add(place{c.title, l.Load.String()}, c.value(l).Warnings...)
		}
	}
	for i := range it.Points {
		p := &it.Points[i]
		name := p.Point.Load.String()
		if it.Experiment.Spec.Repeats > 1 {
			name += fmt.Sprintf(" (repeat %d)", p.Point.Repeat+1)
		}
		w.add(place{pointKind, name}, p.Warnings...)
	}
	for i := range it.Costs {
		c := &it.Costs[i]
		at := place{"Cost", c.Level.String()}
		w.add(at, c.Warnings...)
		for _, e := range []analysis.Estimate{c.OutputOnly, c.Total, c.AllocatedInput, c.AllocatedOutput, c.PerThousandRequests} {
			w.add(at, e.Warnings...)
		}
		if apart := it.Experiment.Started.Sub(c.Price.Date); apart.Abs() > priceAge {
			w.add(at, fmt.Sprintf("The price is of %s and the run of %s, more than 90 days apart.",
				c.Price.Date.Format(day), it.Experiment.Started.UTC().Format(day)))
		}
	}
	return w
}

// limitsBetween says what keeps the experiments from being compared.
func limitsBetween(m *Material) []string {
	var lengths, differ []string
	for i := range m.Experiments {
		s := &m.Experiments[i].Experiment.Spec
		shape := fmt.Sprintf("%s → %s", thousands(s.InputTokens), thousands(s.OutputTokens))
		if s.Prompt != "" {
			shape = fmt.Sprintf("fixed prompt → %s", thousands(s.OutputTokens))
		}
		if !slices.Contains(lengths, shape) {
			lengths = append(lengths, shape)
		}
	}
	var out []string
	if len(lengths) > 1 {
		out = append(out, fmt.Sprintf("They asked for different lengths (%s tokens), so E2E and requests per second are not comparable; figures per token are, with care.", listing(lengths)))
	}
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
