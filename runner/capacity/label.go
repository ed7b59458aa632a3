package capacity

import (
	"fmt"
	"slices"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/runner/sim"
)

// fitted reports whether the deployment is of the kind whose capacity was held against
// published curves and found near them: vLLM on H100 or H200, with the constants of its fit.
func fitted(d sim.Deployment) bool {
	return d.Fit == "vllm-hopper" && slices.Contains([]string{"h100-sxm", "h200-sxm"}, d.GPU.Name) && d.Trust.Status != sim.Uncalibrated
}

// notModelled is what a server has and the simulated engine has not.
func notModelled() []string {
	return []string{
		"disaggregated prefill and decode", "expert and pipeline parallelism", "networks of several nodes", "LoRA", "multimodal encoders",
		"contention on the host", "thermal and power limits", "the delay of autoscaling", "the cost of the tokenizer",
		"skew of experts with content", "acceptance of drafts with content",
	}
}

// warnings are whole sentences on what the result does not show.
func (q Question) warnings(w *analysis.WhatIf) []string {
	var out []string
	if cv := q.Workload.Arrival.CV; !w.Found && !q.Users && cv > bursty {
		out = append(out, fmt.Sprintf("Arrivals whose gaps have a CV of %g send about %.0f requests at one instant, however low the rate; another --arrival, such as poisson, shows what is left without that.", cv, cv*cv))
	}
	if !w.Found {
		return out
	}
	if w.Max > 1.2*w.Min {
		out = append(out, fmt.Sprintf("The seeds differ by %.0f %%: at this burstiness the capacity hangs on the draw, and more --requests would narrow it.", 100*(w.Max/w.Min-1)))
	}
	for i := range w.Seeds {
		if s := &w.Seeds[i]; turns(s) {
			out = append(out, fmt.Sprintf("With seed %d some load misses the SLO below one that holds it, so the SLO has no one edge there.", s.Seed))
		}
	}
	return out
}

// turns reports whether a point that holds lies above one that misses.
func turns(s *analysis.WhatIfSeed) bool {
	return slices.ContainsFunc(s.Points, func(p analysis.WhatIfPoint) bool { return p.Holds && p.Load > s.Next })
}

// mean gives the mean of each figure over the seeds that have it.
func mean(finds []*finding) analysis.WhatIfFigures {
	var out analysis.WhatIfFigures
	fields := func(f *analysis.WhatIfFigures) []*float64 {
		list := []*float64{&f.RequestRate, &f.OutputRate, &f.InFlight, &f.Running, &f.KVShare, &f.Utilisation, &f.Preemptions}
		for _, q := range []*analysis.WhatIfQuantiles{&f.TTFT, &f.TPOT, &f.E2E} {
			list = append(list, &q.Mean, &q.P50, &q.P90, &q.P95, &q.P99)
		}
		return list
	}
	n := 0.0
	to := fields(&out)
	for _, f := range finds {
		if !(f.seed.Capacity > 0) {
			continue
		}
		n++
		for i, v := range fields(&f.figures) {
			*to[i] += *v
		}
	}
	for _, v := range to {
		*v /= n // NaN where no seed has a capacity
	}
	return out
}
