package reports

import (
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis"
)

// definitionsBody gives every metric that stands in this report, under the
// version that it was computed with.
func definitionsBody(m *Material) string {
	used := []string{"ttft", "tpot", "e2e", "output_throughput", "window", "b_run", "error_rate", "mean_prompt", "mean_output"}
	if slices.ContainsFunc(m.Experiments, func(it Item) bool { return len(it.Costs) > 0 }) {
		used = append(used, "total_throughput", "request_rate")
	}
	if slices.ContainsFunc(m.Experiments, func(it Item) bool { return slices.ContainsFunc(it.Points, openLoop) }) {
		used = append(used, "ttft_sched", "e2e_sched", "send_lag", "offered_rate", "achieved_rate", "arrival_cv", "request_rate")
	}
	if slices.ContainsFunc(m.Experiments, func(it Item) bool { return len(it.Experiment.Spec.SLO) > 0 }) {
		used = append(used, "goodput", "slo_attainment")
	}
	var figures strings.Builder
	for _, f := range m.Figures {
		figures.WriteString(strings.ToLower(f.Title + " " + f.Caption + "\n"))
	}
	var b strings.Builder
	b.WriteString(row("Metric", "Unit", "Formula", "Better", "Reading") + rule("lllll"))
	for _, d := range analysis.Metrics() {
		drawn := strings.Contains(figures.String(), d.ID()) || strings.Contains(figures.String(), strings.ToLower(d.Title))
		if !slices.Contains(used, d.Name) && !drawn {
			continue
		}
		reading, unit := "–", "–"
		if d.Reading != "" {
			reading = readingTitle(m, d.Reading)
		}
		if d.Unit != "" {
			unit = inline(d.Unit)
		}
		b.WriteString(row(inline(d.Title)+", "+code(d.ID()), unit, inline(d.Formula), better(d.Direction), reading))
	}
	b.WriteString("\nN is the number of output tokens. A share of 1 is shown in per cent. Only measured requests that succeeded have latencies. " +
		"A quantile over several repeats is the median of the repeats' quantiles; repeats are never pooled.\n")
	return b.String()
}

// openLoop reports whether a part of a point's load was an open loop: latencies from
// the schedule stand beside those from the send then.
func openLoop(p analysis.PointSummary) bool { return p.Point.Load.Rate > 0 }

func better(d analysis.Direction) string {
	if d == analysis.Neither {
		return "neither"
	}
	return inline(string(d))
}

// readingTitle links a reading without saying more about it.
func readingTitle(m *Material, slug string) string {
	r, ok := m.Readings[slug]
	if !ok || r.Title == "" {
		return code(slug)
	}
	return link(r.Title, r.URL)
}
