package main

import (
	"fmt"
	"math"

	"github.com/inferbook/inferbook/analysis/compare"
	"github.com/inferbook/inferbook/experiment"
)

// printAt prints the two at their SLO points.
func (p *program) printAt(d *compare.Diff, slo experiment.SLO, points []compare.AtDiff) {
	a, b := d.A.Experiment.Alias(), d.B.Experiment.Alias()
	fmt.Fprintf(p.out, "\n%s\n", p.bold("Where each just holds "+slo.String()))
	if len(points) == 0 {
		fmt.Fprintln(p.out, "The two have no variant in common.")
	}
	for _, x := range points {
		if x.Variant != "" {
			fmt.Fprintf(p.out, "%s\n", x.Variant)
		}
		rows := [][]any{{"  " + loadUnit(x), capacityText(x.A), capacityText(x.B), bracketText(x), string(x.LoadWord), ""}}
		if x.Diff != nil {
			for _, r := range figureRows("", x.Diff.Rows) {
				rows = append(rows, append([]any{"  " + fmt.Sprint(r[1])}, r[2:]...))
			}
		}
		p.fit([]any{"", a, b, "ratio [95 %]", "", "p, n"}, rows, "p, n")
		for _, side := range []struct {
			name string
			c    compare.Capacity
		}{{a, x.A}, {b, x.B}} {
			fmt.Fprintf(p.out, "  %s: %s\n", side.name, side.c.Because)
		}
	}
	if len(d.Levels) > 0 {
		fmt.Fprintln(p.out, "{ }: what the steps of the two sweeps leave open; more levels narrow it")
		p.printLegend(d)
	}
}

// loadUnit says what the load is counted in.
func loadUnit(x compare.AtDiff) string {
	for _, c := range []compare.Capacity{x.A, x.B} {
		if c.Level != nil && c.Level.Load.Open() {
			return "load (req/s)"
		}
	}
	return "load (in flight)"
}

func capacityText(c compare.Capacity) string {
	switch {
	case c.Level == nil:
		return "none holds"
	case c.AtLeast():
		return fmt.Sprintf("at least %.4g", c.Level.Load.Level())
	}
	return fmt.Sprintf("%.4g", c.Level.Load.Level())
}

// bracketText is the ratio of the loads with what the steps of the sweeps leave open.
func bracketText(x compare.AtDiff) string {
	if math.IsNaN(x.Load) {
		return "–"
	}
	return fmt.Sprintf("%s {%s, %s}", ratioNumber(x.Load), ratioNumber(x.LoadLow), bound(x.LoadHigh, ratioNumber))
}

// diffJSON is what `diff --json` prints. Ratios are B ÷ A; what is not known is null.
type diffJSON struct {
	document
	A     sideJSON      `json:"a"`
	B     sideJSON      `json:"b"`
	Setup compare.Setup `json:"setup"`
	// Unequal says how the work differs, Refused that nothing else was compared for it.
	Unequal []compare.Unequal `json:"unequal"`
	Refused bool              `json:"refused"`
	Within  bool              `json:"within_one_run"` // one run each is compared: nothing is said about another run
	Levels  []levelJSON       `json:"levels"`
	OnlyA   []experiment.Load `json:"only_a"`
	OnlyB   []experiment.Load `json:"only_b"`
	// At is there with --at: the objectives, and each variant at its SLO points.
	At       string   `json:"at,omitempty"`
	AtPoints []atJSON `json:"slo_points,omitempty"`
	Notes    []string `json:"notes"`
}

type sideJSON struct {
	Alias string `json:"alias"`
	ID    string `json:"id"`
	Title string `json:"title"`
	Label string `json:"label"`
}

type levelJSON struct {
	A         experiment.Load `json:"load_a"`
	B         experiment.Load `json:"load_b"`
	Corrected int             `json:"corrected_for"` // comparisons of this load that p is corrected for
	Figures   []compare.Row   `json:"figures"`
	Notes     []string        `json:"notes"`
}

type atJSON struct {
	Variant string       `json:"variant"`
	A       capacityJSON `json:"a"`
	B       capacityJSON `json:"b"`
	// Load is B's load ÷ A's; its bounds are what the steps of the sweeps leave open.
	Load     *float64     `json:"load_ratio"`
	LoadLow  *float64     `json:"load_ratio_low"`
	LoadHigh *float64     `json:"load_ratio_high"`
	Word     compare.Word `json:"word"`
}

type capacityJSON struct {
	Load      *experiment.Load `json:"load"` // null = none holds
	AtLeast   bool             `json:"at_least"`
	Next      *experiment.Load `json:"next_load"` // the next one measured, which does not hold
	Share     *float64         `json:"share"`     // of the requests within all latencies, and its 95 % interval
	ShareLow  *float64         `json:"share_low"`
	ShareHigh *float64         `json:"share_high"`
	Because   string           `json:"because"`
}

func newDiffJSON(d *compare.Diff, at experiment.SLO, points []compare.AtDiff) diffJSON {
	j := diffJSON{document: document{"inferbook.diff/1"}, A: newSideJSON(d.A), B: newSideJSON(d.B), Setup: d.Setup,
		Unequal: orEmpty(d.Unequal), Refused: d.Refused, Within: d.Within, Levels: []levelJSON{}, OnlyA: orEmpty(d.OnlyA), OnlyB: orEmpty(d.OnlyB), Notes: orEmpty(d.Notes)}
	for _, l := range d.Levels {
		j.Levels = append(j.Levels, levelJSON{l.A.Load, l.B.Load, l.Corrected, l.Rows, orEmpty(l.Notes)})
	}
	if at == nil {
		return j
	}
	j.At = at.String()
	for _, x := range points {
		j.AtPoints = append(j.AtPoints, atJSON{x.Variant, newCapacityJSON(x.A), newCapacityJSON(x.B),
			knownOrNil(x.Load), knownOrNil(x.LoadLow), knownOrNil(x.LoadHigh), x.LoadWord})
	}
	return j
}

func newSideJSON(r *compare.Run) sideJSON {
	e := r.Experiment
	return sideJSON{e.Alias(), e.ID, e.Title(), e.Environment.Label()}
}

func newCapacityJSON(c compare.Capacity) capacityJSON {
	j := capacityJSON{AtLeast: c.AtLeast(), Share: knownOrNil(c.Share), ShareLow: knownOrNil(c.ShareLow), ShareHigh: knownOrNil(c.ShareHigh), Because: c.Because}
	if c.Level != nil {
		j.Load = &c.Level.Load
	}
	if c.Next != nil {
		j.Next = &c.Next.Load
	}
	return j
}

// orEmpty gives an empty list for none, which JSON writes as [].
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// knownOrNil is nil for what JSON has no word for; see [orNaN].
func knownOrNil(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
