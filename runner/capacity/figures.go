package capacity

import (
	"math"
	"slices"
	"time"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
)

// newMeasurement puts together what is known of a window, of which usage tells the
// beginning and the end.
func newMeasurement(load float64, answers []answer, steady bool, inFlight float64, window time.Duration, before, after sim.Usage) *measurement {
	m := &measurement{load: load, answers: answers, steady: steady, inFlight: inFlight, window: window, usage: between(before, after)}
	m.tokens = float64(m.usage.OutputTokens) / window.Seconds()
	return m
}

// between is what the engine did between two readings of its account, as far as it is
// shown or says what the engine is short of. Means are weighted by time.
func between(a, b sim.Usage) sim.Usage {
	d := sim.Usage{
		Elapsed: b.Elapsed - a.Elapsed, Busy: b.Busy - a.Busy, Front: b.Front - a.Front,
		OutputTokens: b.OutputTokens - a.OutputTokens, HeldByKV: b.HeldByKV - a.HeldByKV, HeldBySeqs: b.HeldBySeqs - a.HeldBySeqs,
		Parts: sim.Parts{
			Weights: b.Parts.Weights - a.Parts.Weights, Compute: b.Parts.Compute - a.Parts.Compute, Prefill: b.Parts.Prefill - a.Parts.Prefill,
			Decode: b.Parts.Decode - a.Parts.Decode, Reduce: b.Parts.Reduce - a.Parts.Reduce, Launch: b.Parts.Launch - a.Parts.Launch,
			Host: b.Parts.Host - a.Parts.Host, HostBound: b.Parts.HostBound - a.Parts.HostBound,
		},
	}
	mean := func(x, y float64) float64 {
		return (y*b.Elapsed.Seconds() - x*a.Elapsed.Seconds()) / d.Elapsed.Seconds()
	}
	d.Running, d.KVShare = mean(a.Running, b.Running), mean(a.KVShare, b.KVShare)
	return d
}

// latencies are those of the measured requests, sorted, in ms.
type latencies struct{ ttft, tpot, e2e []float64 }

func (m *measurement) latencies() latencies {
	var l latencies
	ms := func(d time.Duration) float64 { return float64(d) / 1e6 }
	for i := range m.answers {
		a := &m.answers[i]
		l.ttft, l.e2e = append(l.ttft, ms(a.ttft())), append(l.e2e, ms(a.e2e()))
		if t, ok := a.tpot(); ok {
			l.tpot = append(l.tpot, ms(t))
		}
	}
	slices.Sort(l.ttft)
	slices.Sort(l.tpot)
	slices.Sort(l.e2e)
	return l
}

// of gives the latencies that a metric of an SLO is about. The client sends on time and the
// first text is the answer's, so several of them are one.
func (l latencies) of(metric string) []float64 {
	switch metric {
	case "tpot":
		return l.tpot
	case "e2e", "e2e_sched":
		return l.e2e
	default:
		return l.ttft
	}
}

// good reports whether a request is within all latencies of an SLO. An answer of one token
// has no time per token that could be too long.
func (a *answer) good(slo experiment.SLO) bool {
	for _, o := range slo {
		if o.Share() {
			continue
		}
		var took time.Duration
		switch o.Metric {
		case "tpot":
			took, _ = a.tpot()
		case "e2e", "e2e_sched":
			took = a.e2e()
		default:
			took = a.ttft()
		}
		if float64(took)/1e6 > o.Bound {
			return false
		}
	}
	return true
}

// judge holds a measurement against an SLO.
func (m *measurement) judge(slo experiment.SLO) analysis.WhatIfPoint {
	p := analysis.WhatIfPoint{Load: m.load, Holds: m.steady, Steady: m.steady, Share: math.NaN()}
	l := m.latencies()
	for _, o := range slo {
		if !o.Judges() {
			continue
		}
		share := m.used(o, l, slo)
		p.Holds = p.Holds && share <= 1
		if !(share <= p.Share) {
			p.Nearest, p.Share = o.String(), share
		}
	}
	return p
}

// used is how much of an objective's bound the measurement uses: the figure ÷ the bound,
// or, of a share that has to be reached, what misses ÷ what may. NaN = there is no such figure.
func (m *measurement) used(o experiment.Objective, l latencies, slo experiment.SLO) float64 {
	switch o.Metric {
	case "errors":
		return 0 // the engine refuses nothing
	case "goodput":
		bad := 0
		for i := range m.answers {
			if !m.answers[i].good(slo) {
				bad++
			}
		}
		if bad == 0 {
			return 0
		}
		// Rounded, since 1 − 0.9 is less than a tenth in binary.
		return math.Round(float64(bad)/float64(len(m.answers))/(1-o.Bound)*1e9) / 1e9
	default:
		return analysis.QuantileOf(l.of(o.Metric), o.Quantile).Value / o.Bound
	}
}

// figures describes the measurement.
func (m *measurement) figures() analysis.WhatIfFigures {
	l := m.latencies()
	preempted := 0
	for i := range m.answers {
		preempted += m.answers[i].preemptions
	}
	n := float64(len(m.answers))
	return analysis.WhatIfFigures{
		RequestRate: n / m.window.Seconds(), OutputRate: m.tokens, TTFT: quantiles(l.ttft), TPOT: quantiles(l.tpot), E2E: quantiles(l.e2e),
		InFlight: m.inFlight, Running: m.usage.Running, KVShare: m.usage.KVShare,
		Utilisation: m.usage.Busy.Seconds() / m.usage.Elapsed.Seconds(), Preemptions: 100 * float64(preempted) / n,
	}
}

func quantiles(sorted []float64) analysis.WhatIfQuantiles {
	sum := 0.0
	for _, v := range sorted {
		sum += v
	}
	at := func(q float64) float64 { return analysis.QuantileOf(sorted, q).Value }
	return analysis.WhatIfQuantiles{Mean: sum / float64(len(sorted)), P50: at(0.50), P90: at(0.90), P95: at(0.95), P99: at(0.99)}
}
