package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// printLevels prints one line a load level. Square brackets hold 95 % intervals,
// parentheses the range over repeats that are too few for one.
func (p *program) printLevels(c analysis.Curve, spec *experiment.Spec) {
	rate, sure := "out tok/s", " [95 %]"
	repeats := mostRepeats(c)
	switch {
	case repeats >= analysis.RepeatsForInterval:
		rate += sure
	case repeats > 1:
		sure = " (min–max)"
		rate += sure
	}
	load, level := loadColumn(c)
	open := slices.ContainsFunc(c.Levels, func(l analysis.Level) bool { return l.Load.Rate > 0 })
	ttft, e2e := "TTFT p95"+sure, "E2E p95"+sure
	const sched, slo = "TTFT p95 from schedule", "within SLO"
	header := []any{load, "ok/sent", rate, "req/s"}
	if spec.Stream {
		header = append(header, "TTFT p50", ttft)
		if open {
			header = append(header, sched)
		}
		header = append(header, "TPOT p50", "TPOT p95")
	}
	header = append(header, "E2E p50", e2e)
	if spec.Stream && !open {
		header = append(header, "decoding")
	}
	if len(spec.SLO) > 0 {
		header = append(header, slo)
	}
	var rows [][]any
	for _, l := range c.Levels {
		row := []any{level(l.Load), okOfSent(l), interval(l.OutputThroughput, num), num(l.RequestRate.Value)}
		if spec.Stream {
			row = append(row, ms(l.TTFTP50.Value), interval(l.TTFTP95, ms))
			if open {
				row = append(row, ms(l.TTFTSchedP95.Value))
			}
			row = append(row, ms(l.TPOTP50.Value), ms(l.TPOTP95.Value))
		}
		row = append(row, ms(l.E2EP50.Value), interval(l.E2EP95, ms))
		if spec.Stream && !open {
			row = append(row, num(l.BRun.Value))
		}
		if len(spec.SLO) > 0 {
			row = append(row, service(l))
		}
		rows = append(rows, row)
	}
	spare := []string{e2e, ttft, "decoding", "req/s", "TPOT p50", "E2E p50"}
	if repeats > 1 {
		spare = slices.Insert(spare, 2, rate)
	}
	printed := p.fit(header, rows, spare...)
	fmt.Fprintln(p.out, legend(repeats, slices.Contains(printed, any(e2e))))
}

// loadColumn gives the heading of the loads and what stands under it.
func loadColumn(c analysis.Curve) (string, func(experiment.Load) any) {
	closed, open := false, false
	for _, l := range c.Levels {
		closed, open = closed || l.Load.Concurrency > 0, open || l.Load.Rate > 0
	}
	switch {
	case closed && open:
		return "load", func(l experiment.Load) any { l.Variant = ""; return l.String() }
	case open:
		return "rate", func(l experiment.Load) any { return num(l.Rate) }
	default:
		return "C", func(l experiment.Load) any { return l.Concurrency }
	}
}

func okOfSent(l analysis.Level) string {
	ok, sent := 0, 0
	for _, pt := range l.Points {
		ok, sent = ok+pt.OK, sent+pt.Sent
	}
	return fmt.Sprintf("%d/%d", ok, sent)
}

// service says how a level stands to the SLO: the share of requests within its
// latencies, and whether it holds.
func service(l analysis.Level) string {
	text := "–"
	if !math.IsNaN(l.GoodShare.Value) {
		text = fmt.Sprintf("%.3g %%", 100*l.GoodShare.Value)
	}
	if l.Ruling != "" {
		text += ", " + string(l.Ruling)
	}
	if l.Oversaturated {
		text += ", over-saturated"
	}
	return text
}

// printClasses prints a line for each class of each point that has several.
func (p *program) printClasses(c analysis.Curve) {
	var rows [][]any
	for _, l := range c.Levels {
		for i := range l.Points {
			for _, class := range l.Points[i].Classes {
				s := class.Summary
				load := l.Load
				load.Variant = ""
				rows = append(rows, []any{load.String(), class.Name, fmt.Sprintf("%d/%d", s.OK, s.Sent), num(s.OutputThroughput), num(s.RequestRate),
					ms(s.TTFT.P50.Value), ms(s.TTFT.P95.Value), ms(s.TPOT.P50.Value), ms(s.TPOT.P95.Value), ms(s.E2E.P50.Value), ms(s.E2E.P95.Value)})
			}
		}
	}
	if len(rows) == 0 {
		return
	}
	fmt.Fprintln(p.out)
	p.fit([]any{"load", "class", "ok/sent", "out tok/s", "req/s", "TTFT p50", "TTFT p95", "TPOT p50", "TPOT p95", "E2E p50", "E2E p95"}, rows, "E2E p50", "TPOT p95", "TTFT p50")
}

// printInstrument says how far the client's own work may have entered the times, at
// the point where it was worst.
func (p *program) printInstrument(v *view) {
	var worst *experiment.Health
	for i := range v.Points {
		h := &v.Points[i].Point.Health
		if h.StampSource == "" || h.StampSource == "simulator" || h.SendLagP99 < 0 { // a killed run has none
			continue
		}
		if worst == nil || h.SendLagP99+max(0, h.ReadLagP99) > worst.SendLagP99+max(0, worst.ReadLagP99) {
			worst = h
		}
	}
	if worst == nil {
		return
	}
	text := fmt.Sprintf("requests left %s late at p99", ms(float64(worst.SendLagP99)/1e6))
	if worst.HeldBack > 0 {
		text += ", the waiting for the cap included"
	}
	if worst.ReadLagP99 >= 0 {
		text += fmt.Sprintf("; events were read %s after the kernel had them at p99, and count from then (%s stamps)", ms(float64(worst.ReadLagP99)/1e6), worst.StampSource)
	} else {
		text += "; arrivals are the times of reading"
	}
	if worst.CPUShare >= 0 {
		text += fmt.Sprintf("; %.0f %% of the processors", 100*worst.CPUShare)
	}
	fmt.Fprintf(p.out, "\n%s %s (`inferbook selftest --like %s` measures the error)\n", p.bold("The instrument at its worst point:"), text, v.Experiment.Alias())
}

// mostRepeats is the number of repeats of the level that has the most.
func mostRepeats(c analysis.Curve) int {
	most := 0
	for _, l := range c.Levels {
		most = max(most, len(l.Points))
	}
	return most
}

// legend says what stands beside the figures of a table of levels.
func legend(repeats int, all bool) string {
	switch {
	case !all:
		return "intervals are left out for want of room; a terminal of 140 columns and `show --json` have them"
	case repeats >= analysis.RepeatsForInterval:
		return "[95 %]: where the median of many such repeats lies with 95 % confidence, from the ranks of these repeats"
	case repeats > 1:
		return fmt.Sprintf("(min–max) over %d repeats; a 95 %% interval needs %d", repeats, analysis.RepeatsForInterval)
	}
	return "[95 %]: where the true p95 lies with 95 % confidence, by this run's requests, those that wait for each other counting for less; ∞ = too few to bound that side"
}
