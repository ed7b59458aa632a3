package peer

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// Row is one figure as the tool prints it, beside ours.
type Row struct {
	Name  string   `json:"name"`  // as the tool prints it
	Value *float64 `json:"value"` // nil = not computable from our samples
	Text  string   `json:"text"`  // the value, to as many decimals as the tool prints; "" where there is none
	Unit  string   `json:"unit,omitempty"`
	N     int      `json:"n,omitempty"` // values behind a statistic

	Ours      string   `json:"ours,omitempty"` // "ttft@1 p50"; empty = we have no such metric
	OursValue *float64 `json:"ours_value"`
	OursUnit  string   `json:"ours_unit,omitempty"`
	// Difference is its value ÷ ours − 1, in the same unit.
	Difference *float64 `json:"difference"`

	Metric        string `json:"metric"`         // the name without the statistic
	Stat          string `json:"stat,omitempty"` // what we call the statistic: mean, std, min, max, p50
	Why           string `json:"why,omitempty"`
	Approximation string `json:"approximation,omitempty"`
	Missing       string `json:"missing,omitempty"` // what would be needed, where there is no value
}

// Differs reports whether its figure is another than ours, by more than a rounding.
func (r *Row) Differs() bool { return r.Difference != nil && math.Abs(*r.Difference) >= 5e-6 }

// Printout is what a tool would have printed for a point.
type Printout struct {
	Tool     string          `json:"tool"`
	Title    string          `json:"title"`
	Source   string          `json:"source"`
	Load     experiment.Load `json:"load"`
	Repeat   int             `json:"repeat"`
	Requests int             `json:"requests"` // that it would have counted
	Failed   int             `json:"failed"`   // of these
	Rows     []Row           `json:"rows"`
	// Population, Percentile and Assumed hold for all rows, see [Tool].
	Population string   `json:"population"`
	Percentile string   `json:"percentile"`
	Assumed    []string `json:"assumed"`
}

// Differs reports whether some figure of a metric differs from ours.
func (p *Printout) Differs(metric string) bool {
	return slices.ContainsFunc(p.Rows, func(r Row) bool { return r.Metric == metric && r.Differs() })
}

// Compared reports whether some figure of a metric has one of ours beside it.
func (p *Printout) Compared(metric string) bool {
	return slices.ContainsFunc(p.Rows, func(r Row) bool { return r.Metric == metric && r.Difference != nil })
}

// Stats is how many statistics of a metric there are.
func (p *Printout) Stats(metric string) int {
	n := 0
	for i := range p.Rows {
		if p.Rows[i].Metric == metric {
			n++
		}
	}
	return n
}

// Print computes what the tool would have printed for a point, beside the summary that we
// have of it. It ranges over the samples twice. The first error of the samples ends it.
func (t Tool) Print(spec *experiment.Spec, s *analysis.PointSummary, samples iter.Seq2[experiment.Sample, error]) (Printout, error) {
	r, err := gather(&t, s.Point, spec, samples)
	if err != nil {
		return Printout{}, err
	}
	p := Printout{Tool: t.Name, Title: t.Title, Source: t.Source, Load: s.Point.Load, Repeat: s.Point.Repeat,
		Requests: len(r.requests), Failed: int(r.failed()), Population: t.Population, Percentile: t.Percentile, Assumed: t.Assumed}
	for i := range t.Metrics {
		if m := &t.Metrics[i]; m.only == nil || m.only(r) {
			p.Rows = append(p.Rows, t.rows(m, r, s)...)
		}
	}
	return p, nil
}

// rows gives the rows of one metric.
func (t *Tool) rows(m *Metric, r *run, s *analysis.PointSummary) []Row {
	base := Row{Name: m.Name, Metric: m.Name, Unit: m.Unit, Why: m.Why, Approximation: m.Approximation}
	our, comparable := analysis.MetricByName(m.Ours)
	if m.each == nil && m.list == nil {
		value := math.NaN()
		if m.whole != nil {
			value = m.whole(r)
		}
		if comparable {
			base.Ours, base.OursUnit = our.ID(), our.Unit
			base.hold(value, m, our.OfPoint(s))
		}
		base.set(value, t, m)
		return []Row{base}
	}
	d := m.distribution(r)
	ours := newDistribution(r.ours[m.Ours])
	if m.Ours == "icl" {
		ours = newDistribution(r.gaps.in(time.Millisecond))
	}
	var rows []Row
	for _, stat := range m.statsOf(t) {
		row := base
		row.Name, row.Stat, row.N = t.row(m, stat), stat.name(), d.count(t.steps)
		value := d.of(stat, t.steps, t.bessel)
		switch {
		case !comparable:
		case our.OfPoint == nil:
			row.Ours, row.OursUnit = our.ID()+" "+stat.name(), our.Unit
			row.hold(value, m, ours.of(stat, false, false))
		case stat.name() == m.oursAt || m.oursAt == "" && stat.kind == average:
			row.Ours, row.OursUnit = our.ID(), our.Unit
			row.hold(value, m, our.OfPoint(s))
		}
		row.set(value, t, m)
		rows = append(rows, row)
	}
	return rows
}

func (m *Metric) statsOf(t *Tool) []Stat {
	if m.stats != nil {
		return m.stats
	}
	return t.stats
}

// distribution gathers the metric's values.
func (m *Metric) distribution(r *run) distribution {
	if m.list != nil {
		return newDistribution(m.list(r))
	}
	var list []weighted
	for q := range r.successes() {
		v, ok := m.each(q)
		if !ok {
			continue
		}
		w := 1.0
		if m.share != nil {
			w = m.share(q)
		}
		if w > 0 {
			list = append(list, weighted{v, w})
		}
	}
	return newDistribution(list)
}

// hold sets our value beside the tool's.
func (r *Row) hold(value float64, m *Metric, ours float64) {
	if math.IsNaN(ours) || math.IsInf(ours, 0) {
		return
	}
	r.OursValue = &ours
	scale := m.scale
	if scale == 0 {
		scale = 1
	}
	d := value*scale/ours - 1
	if value*scale == ours {
		d = 0 // also where both are 0
	}
	if !math.IsNaN(d) && !math.IsInf(d, 0) {
		r.Difference = &d
	}
}

// set sets the tool's value as it prints it, or what it would need.
func (r *Row) set(value float64, t *Tool, m *Metric) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		r.Missing = "not computable: needs " + m.Needs
		return
	}
	r.Value = &value
	switch {
	case m.count:
		r.Text = strconv.FormatFloat(value, 'f', 0, 64)
	case t.decimals == exact:
		r.Text = strconv.FormatFloat(value, 'g', 6, 64)
	default:
		r.Text = fmt.Sprintf("%.*f", t.decimals, value)
	}
}

// Reasons gives, for each metric of some printouts in their order, a sentence that holds for it; a metric
// without one is left out, and metrics that share their sentence are named together.
func Reasons(list []Printout, of func(*Row) string) []string {
	names, order := map[string][]string{}, []string{}
	for i := range list {
		for j := range list[i].Rows {
			row := &list[i].Rows[j]
			sentence := of(row)
			if sentence == "" {
				continue
			}
			if names[sentence] == nil {
				order = append(order, sentence)
			}
			if !slices.Contains(names[sentence], row.Metric) {
				names[sentence] = append(names[sentence], row.Metric)
			}
		}
	}
	var out []string
	for _, sentence := range order {
		for i, name := range names[sentence] {
			names[sentence][i] = strings.TrimSuffix(name, ":")
		}
		out = append(out, strings.Join(names[sentence], ", ")+": "+sentence)
	}
	return out
}
