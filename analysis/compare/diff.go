package compare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis/interval"
	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

// Options say what to compare and how.
type Options struct {
	// Figures are the ones to compare; nil = [Primary], without those that neither run has.
	Figures []Figure
	// Floors are the known noise floors; nil = none.
	Floors Floors
	// Anyway compares runs that did different work.
	Anyway bool
}

// Diff is what differs between two runs, the setup first.
type Diff struct {
	A, B  *Run
	Setup Setup
	// Unequal says how their work differs.
	Unequal []Unequal
	// Refused says that nothing but the setup was compared, because their work differs.
	Refused bool
	Levels  []LevelDiff
	// OnlyA and OnlyB are loads that the other one does not have.
	OnlyA, OnlyB []experiment.Load
	// Within says that at some load one run each is compared; see [WithinOneRun].
	Within bool
	// Notes are whole sentences on what the comparison cannot support.
	Notes []string
}

// LevelDiff compares the two runs at one load.
type LevelDiff struct {
	A, B Level
	Rows []Row
	// Corrected is how many comparisons Holm's correction was made for: those of this load.
	Corrected int
	Notes     []string // whole sentences
}

// WithinOneRun is what has to be said, and not in passing, where one run each is compared.
const WithinOneRun = "WITHIN ONE RUN EACH: this says nothing about another run of the same two; use --repeat 5."

// Loads compares two runs load by load. An error is one of reading samples.
func Loads(a, b *Run, o Options) (*Diff, error) {
	d := &Diff{A: a, B: b, Setup: NewSetup(a, b)}
	la, lb := a.Levels(), b.Levels()
	var pairs [][2]Level
	for _, l := range la {
		if i := slices.IndexFunc(lb, func(m Level) bool { return m.Load == l.Load }); i >= 0 {
			pairs = append(pairs, [2]Level{l, lb[i]})
		}
	}
	d.Unequal = unequalRuns(a, b, pairs)
	if len(d.Unequal) > 0 && !o.Anyway {
		d.Refused = true
		return d, nil
	}
	common := func(l Level) bool {
		return slices.ContainsFunc(pairs, func(p [2]Level) bool { return p[0].Load == l.Load })
	}
	d.OnlyA, d.OnlyB = without(la, common), without(lb, common)
	figures := chosen(o.Figures, la, lb)
	if otherLengths(d.Unequal) && len(pairs) > 0 {
		var note string
		if figures, note = perToken(figures); note != "" {
			d.Notes = append(d.Notes, note)
		}
	}
	for _, p := range pairs {
		l, err := CompareLevels(p[0], p[1], figures, o.Floors)
		if err != nil {
			return nil, err
		}
		d.add(l)
	}
	d.Notes = append(d.Notes, notes(a, b, d.Levels)...)
	return d, nil
}

func (d *Diff) add(l LevelDiff) {
	d.Levels = append(d.Levels, l)
	d.Within = d.Within || slices.ContainsFunc(l.Rows, func(r Row) bool { return r.Within })
}

// unequalRuns gathers how the work of two runs differs.
func unequalRuns(a, b *Run, pairs [][2]Level) []Unequal {
	if len(pairs) == 0 {
		return askedUnequal(&a.Experiment.Spec, &b.Experiment.Spec)
	}
	var list []Unequal
	for _, p := range pairs {
		list = append(list, Unequals(p[0], p[1])...)
	}
	return distinctUnequal(list)
}

func without(levels []Level, common func(Level) bool) []experiment.Load {
	var out []experiment.Load
	for _, l := range levels {
		if !common(l) {
			out = append(out, l.Load)
		}
	}
	return out
}

// chosen gives the figures to compare. Of those that nobody named, the ones that no level has are
// left out, and where nobody counted tokens requests stand in for them.
func chosen(named []Figure, levels ...[]Level) []Figure {
	if named != nil {
		return named
	}
	some := func(f Figure) bool {
		return slices.ContainsFunc(slices.Concat(levels...), func(l Level) bool { return len(f.Values(l)) > 0 })
	}
	var out []Figure
	tokens := false
	for _, f := range Primary() {
		if some(f) {
			out = append(out, f)
			tokens = tokens || f.Metric.Name == "output_throughput"
		}
	}
	if rate, err := ParseFigure("request_rate"); err == nil && !tokens {
		out = append(out, rate)
	}
	return out
}

// perToken keeps the figures that mean the same for answers of different lengths, and says in a whole sentence
// which it left out; "" = none.
func perToken(figures []Figure) (kept []Figure, note string) {
	var left []string
	for _, f := range figures {
		if f.perToken() {
			kept = append(kept, f)
		} else {
			left = append(left, f.String())
		}
	}
	if len(left) > 0 {
		note = fmt.Sprintf("The answers differ in length, so only figures per token are compared, and %s left out.", isAre(left))
	}
	return kept, note
}

// isAre joins names and gives them their verb.
func isAre(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1] + " are"
}

// CompareLevels compares figures of two levels. An error is one of reading samples.
func CompareLevels(a, b Level, figures []Figure, floors Floors) (LevelDiff, error) {
	d := LevelDiff{A: a, B: b, Rows: make([]Row, len(figures))}
	for i, f := range figures {
		row, err := compareFigure(f, a, b, floors)
		if err != nil {
			return d, err
		}
		d.Rows[i] = row
	}
	d.Corrected = judge(d.Rows)
	for _, r := range d.Rows {
		if text := r.outlier(); text != "" {
			d.Notes = append(d.Notes, fmt.Sprintf("%s at %s: %s", r.Figure, a.Load, text))
		}
	}
	for _, l := range []Level{a, b} {
		d.Notes = append(d.Notes, l.troubles()...)
	}
	return d, nil
}

// errorBar is the share of failed requests from which latencies, which are of the others alone,
// say less.
const errorBar = 0.01

// troubles says what is wrong with a level, in whole sentences.
func (l Level) troubles() []string {
	var out []string
	name := l.Run.Experiment.Alias() + " at " + l.Load.String()
	if l.ok() == 0 {
		return []string{fmt.Sprintf("No request of %s succeeded.", name)}
	}
	if s := l.errorShare(); s > errorBar {
		out = append(out, fmt.Sprintf("%.3g %% of the requests of %s failed: its latencies are those of the others.", 100*s, name))
	}
	over, broken := 0, 0
	for _, p := range l.Points {
		if p.Oversaturated {
			over++
		}
		if p.Point.Status == experiment.Interrupted || p.Point.Status == experiment.Failed {
			broken++
		}
	}
	if over > 0 {
		out = append(out, fmt.Sprintf("Requests pile up in %s: its latencies say how long the run was.", name))
	}
	if broken > 0 {
		out = append(out, fmt.Sprintf("%d of %d repeats of %s did not run to their end.", broken, len(l.Points), name))
	}
	return out
}

// notes says what a comparison cannot support.
func notes(a, b *Run, levels []LevelDiff) []string {
	var out []string
	repeats, figures := 0, 0
	for _, l := range levels {
		if n := min(len(l.A.Points), len(l.B.Points)); max(len(l.A.Points), len(l.B.Points)) > 1 && (repeats == 0 || n < repeats) {
			repeats, figures = n, l.Corrected
		}
	}
	if need := interval.LeastRepeats(Alpha / float64(max(1, figures))); repeats > 0 && repeats < need {
		text := fmt.Sprintf("No difference can be called with %s on a side: it takes %d on each", sentence.Plural(repeats, "repeat"), need)
		if figures > 1 {
			text += fmt.Sprintf(" where %d figures are compared at once (--metric compares fewer)", figures)
		}
		out = append(out, text+".")
	}
	if da, db := a.definitions(), b.definitions(); da != db {
		out = append(out, fmt.Sprintf("The figures of %s are of definitions %s and those of %s of definitions %s: the same samples would give other figures.",
			a.Experiment.Alias(), da, b.Experiment.Alias(), db))
	}
	return append(out, reality(a, b)...)
}

// reality says where a simulation is held against a measurement.
func reality(a, b *Run) []string {
	ea, eb := a.Experiment.Environment, b.Experiment.Environment
	switch {
	case ea.Simulated() && eb.Simulated():
		return []string{"Both are simulated: a difference is one between two settings of the simulator."}
	case ea.Simulated() != eb.Simulated():
		sim, other := a, b
		if eb.Simulated() {
			sim, other = b, a
		}
		return []string{fmt.Sprintf("%s is simulated and %s was measured: what lies between the two may be the simulator's error.",
			sim.Experiment.Alias(), other.Experiment.Alias())}
	}
	return nil
}
