package instinct

import (
	"fmt"
	"math"
	"slices"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

// settings are what the rules that compare look at, beside the workload.
var settings = []string{experiment.KeyGPUModel, experiment.KeyGPUCount, experiment.KeyRuntime, experiment.KeyModel, experiment.KeyPrecision, experiment.KeySettings}

// twins visits the other experiments with the same workload, arrival and environment, except for
// what is named.
func (l *look) twins(visit func(other *Case), except ...string) {
	for i := range l.Others {
		o := &l.Others[i]
		if analysis.WorkloadText(&l.Experiment.Spec) != analysis.WorkloadText(&o.Experiment.Spec) || l.Experiment.Spec.Stream != o.Experiment.Spec.Stream {
			continue
		}
		differs := func(key string) bool {
			a, b := l.Experiment.Environment.Get(key), o.Experiment.Environment.Get(key)
			return a.Value != b.Value && !slices.Contains(except, key)
		}
		if !slices.ContainsFunc(settings, differs) {
			visit(o)
		}
	}
}

// common gives the lowest closed-loop level that two cases share, as each has it.
func common(a, b *Case) (mine, theirs *analysis.Level) {
	for i := range a.Curves {
		for j := range a.Curves[i].Levels {
			v := &a.Curves[i].Levels[j]
			for k := range b.Curves {
				if w, ok := b.Curves[k].Level(v.Load); ok && looped(v) && (mine == nil || v.Load.Concurrency < mine.Load.Concurrency) {
					mine, theirs = v, w
				}
			}
		}
	}
	return mine, theirs
}

var quantisation = Rule{
	ID: "I28", Title: "Fewer bytes, less gain", Section: Helps, Severity: Note,
	Needs: "another experiment of the notebook that differs in precision alone, with a level in common, and a model that is known",
	Fires: "TPOT shrinks by less than the bytes of the weights: its ratio is over `full` times theirs; from `none` on it is a warning",
	Thresholds: []Threshold{
		{Name: "full", Value: 1.1, Why: "Within a tenth of the byte ratio all of it was returned; more than that asks for a look at the answers' lengths."},
		{Name: "none", Value: 0.9, Why: "16 to 8 bits gives 0.71 to 0.74 of the TPOT at c=1; from 0.9 on the kernels have no use of the smaller weights."},
	},
	Means:   "What does not shrink with the weights, overhead and keys and values, is a larger share of each step.",
	Reading: "nvidia-tensorrt-llm-tuning",
	Try:     "Look at what the memory now holds (I19): the larger batch is often worth more than the faster step.",
	look:    lookQuantisation,
}

func lookQuantisation(l *look) {
	l.twins(func(o *Case) {
		mine, theirs := common(l.Case, o)
		if mine == nil || l.Machine == nil || o.Machine == nil || l.Machine.ActiveBytes == o.Machine.ActiveBytes {
			return
		}
		wide, narrow, a, b := o, l.Case, theirs, mine
		if l.Machine.ActiveBytes > o.Machine.ActiveBytes {
			wide, narrow, a, b = l.Case, o, mine, theirs
		}
		before, after := over(a, meanTPOT), over(b, meanTPOT)
		ratio, bytes := quotient(after, before), quotient(narrow.Machine.ActiveBytes, wide.Machine.ActiveBytes)
		if !given(ratio, bytes) {
			return
		}
		severity := Note
		said := fmt.Sprintf("From %s (%s) to %s (%s) the weights shrink to %s and TPOT to %s (%s → %s).", precision(wide), wide.Experiment.Alias(), precision(narrow), narrow.Experiment.Alias(),
			sentence.Percent(bytes), sentence.Percent(ratio), span(before), span(after))
		switch {
		case ratio >= l.limit("none"):
			severity = Warning
			said += " The kernels make no use of the smaller weights."
		case ratio <= l.limit("full")*bytes:
			said += " All of it came back: check that the answers are of the same length."
		}
		l.sayAs(severity, whether(ratio > l.limit("full")*bytes), only(mine), said, in("byte ratio", bytes, ""), in("TPOT ratio", ratio, ""))
	}, experiment.KeyPrecision)
}

func precision(c *Case) string { return c.Experiment.Environment.Get(experiment.KeyPrecision).Value }

var tensorParallel = Rule{
	ID: "I29", Title: "More GPUs, less gain", Section: Helps, Severity: Note,
	Needs: "another experiment of the notebook that differs in the number of GPUs alone, with a level in common",
	Fires: "a doubling of the GPUs leaves over `worth` of TPOT",
	Thresholds: []Threshold{
		{Name: "worth", Value: 0.9, Why: "Doublings gave 0.68 to 0.76 for 16-bit weights and 0.87 to 0.91 for 8-bit ones at c=1; over 0.9 twice the money buys a tenth of the latency."},
	},
	Means:   "Communication and idle time eat what the added bandwidth brings.",
	Reading: "databricks-inference-performance",
	Try:     "Run replicas instead, unless the memory (I19) or a larger batch needs the GPUs together.",
	look:    lookTensorParallel,
}

func lookTensorParallel(l *look) {
	l.twins(func(o *Case) {
		mine, theirs := common(l.Case, o)
		g, h := gpus(l.Case), gpus(o)
		if mine == nil || g == h || g <= 0 || h <= 0 {
			return
		}
		few, many, a, b := l.Case, o, mine, theirs
		if g > h {
			few, many, a, b = o, l.Case, theirs, mine
			g, h = h, g
		}
		before, after := over(a, meanTPOT), over(b, meanTPOT)
		each := math.Pow(quotient(after, before), 1/math.Log2(h/g)) // a doubling
		if !given(each) {
			return
		}
		l.say(whether(each > l.limit("worth")), only(mine), fmt.Sprintf("A doubling of the GPUs leaves %s of TPOT: from %s (%s) to %s (%s) it goes from %s to %s.", sentence.Percent(each),
			sentence.Plural(int(g), "GPU"), few.Experiment.Alias(), sentence.Plural(int(h), "GPU"), many.Experiment.Alias(), span(before), span(after)),
			in("GPUs before", g, ""), in("GPUs after", h, ""), in("TPOT ratio of a doubling", each, ""))
	}, experiment.KeyGPUCount)
}

// gpus is the number of GPUs of an experiment; 0 = not known.
func gpus(c *Case) float64 {
	var n float64
	if _, err := fmt.Sscan(c.Experiment.Environment.Get(experiment.KeyGPUCount).Value, &n); err != nil {
		return 0
	}
	return n
}

var burstTax = Rule{
	ID: "I35", Title: "Burstiness tax", Section: Whom, Severity: Note,
	Needs: "an open loop, and another experiment of the notebook with the same rate and workload and steadier or burstier arrivals",
	Fires: "at one rate the p99 TTFT of the burstier arrivals is over `tax` times that of the steadier ones",
	Thresholds: []Threshold{
		{Name: "tax", Value: 1.5, Why: "Kingman's formula gives 2.5 for gaps of twice the variation, so 1.5 is a cautious bar; real traffic has a variation of 1.1 (chat) to 13 (code)."},
	},
	Means:   "The same mean rate hurts more when it comes in bursts.",
	Reading: "cheng-inference-benchmarking",
	Try:     "Size by the bursts of your own traffic, not by its mean: --arrival gamma:cv=… or a trace.",
	look:    lookBurstTax,
}

func lookBurstTax(l *look) {
	if !l.Experiment.Spec.Arrival.Open() {
		l.say(NotApplicable, nil, "A closed loop has no arrivals of its own.")
		return
	}
	cv := func(s *analysis.PointSummary) float64 { return s.ArrivalCV }
	l.twins(func(o *Case) {
		if o.Experiment.Spec.Arrival.String() == l.Experiment.Spec.Arrival.String() {
			return
		}
		l.levels(func(_ *analysis.Curve, v *analysis.Level) {
			for i := range o.Curves {
				w, ok := o.Curves[i].Level(v.Load)
				if !ok || !v.Load.Open() {
					continue
				}
				calm, wild, steady, bursty := o, l.Case, w, v
				if over(v, cv) < over(w, cv) {
					calm, wild, steady, bursty = l.Case, o, v, w
				}
				before, after := steady.TTFTSchedP99.Value, bursty.TTFTSchedP99.Value
				tax := quotient(after, before)
				if !given(tax, over(steady, cv), over(bursty, cv)) {
					continue
				}
				l.say(whether(tax > l.limit("tax")), only(v), fmt.Sprintf("The p99 TTFT is %s with gaps of variation %s (%s) and %s with %s (%s): ×%s.", span(before), sentence.Short(over(steady, cv)), calm.Experiment.Alias(),
					span(after), sentence.Short(over(bursty, cv)), wild.Experiment.Alias(), sentence.Short(tax)), in("p99 TTFT, steadier", before, "ms"), in("p99 TTFT, burstier", after, "ms"), in("ratio", tax, ""))
			}
		})
	})
}
