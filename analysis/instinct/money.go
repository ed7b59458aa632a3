package instinct

import (
	"fmt"
	"math"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

var costKnee = Rule{
	ID: "I41", Title: "An idle GPU is the expensive one", Section: Money, Severity: Note,
	Needs: "a price of the hardware (inferbook cost --price), its number of GPUs, and levels at c=1 and above",
	Fires: "a token at c=1 costs at least `times` times what it costs at the largest load that holds the SLO, or without one at the highest throughput",
	Thresholds: []Threshold{
		{Name: "times", Value: 10, Why: "NVIDIA's 8B on an H100 is 62 times cheaper at c=250 for 3.9 times the TPOT; from ten on, how busy the GPU is decides more than its price."},
	},
	Means:   "What a token costs is decided by how many share a step, before any price is bargained over.",
	Reading: "nvidia-inference-cost",
	Try:     "Fill the GPU up to the SLO, or rent fewer hours of it.",
	look:    lookCostKnee,
}

func lookCostKnee(l *look) {
	n := gpus(l.Case)
	if l.Price == nil || n < 1 {
		return
	}
	for i := range l.Curves {
		c := &l.Curves[i]
		costs, err := analysis.Costs(*c, l.Price, int(n), 1, 1)
		if err != nil {
			continue
		}
		var idle, busy *analysis.Cost
		for j := range costs {
			k := &costs[j]
			switch at := k.Level; {
			case at.Rate > 0 || !given(k.OutputOnly.Value):
			case at.Concurrency == 1:
				idle = k
			case c.SLOCapacity != nil && at != c.SLOCapacity.Load:
			case busy == nil || k.OutputOnly.Value < busy.OutputOnly.Value:
				busy = k
			}
		}
		if idle == nil || busy == nil {
			continue
		}
		times := idle.OutputOnly.Value / busy.OutputOnly.Value
		where := "the highest throughput"
		if c.SLOCapacity != nil {
			where = "the largest load that holds the SLO"
		}
		l.say(whether(times >= l.limit("times")), []experiment.Load{idle.Level, busy.Level}, fmt.Sprintf("A million output tokens cost $%s at c=1 and $%s at %s, %s: %s times less, at $%s per GPU-hour.",
			sentence.Short(idle.OutputOnly.Value), sentence.Short(busy.OutputOnly.Value), busy.Level, where, sentence.Short(times), sentence.Short(l.Price.USDHour)),
			in("cost at c=1", idle.OutputOnly.Value, "USD/Mtok"), in("cost at load", busy.OutputOnly.Value, "USD/Mtok"), in("ratio", times, ""))
	}
}

var dominated = Rule{
	ID: "I42", Title: "Dominated configuration", Section: Money, Severity: Note,
	Needs: "another experiment of the notebook with the same workload and model, on the same hardware or with prices of both",
	Fires: "for each level of this experiment the other one has a level that is neither slower for a user nor dearer a token by over `noise`, and better by over `noise` in one of them",
	Thresholds: []Threshold{
		{Name: "noise", Value: 0.03, Why: "Differences under 3 % are not told apart (I12)."},
	},
	Means:   "Nothing is bought with this configuration that the other does not give faster or cheaper.",
	Reading: "medium-llm-benchmarks",
	Try:     "Drop it, or say what it is better at: quality, memory, availability.",
	look:    lookDominated,
}

func lookDominated(l *look) {
	l.twins(func(o *Case) {
		mine, theirs := dollars(l.Case), dollars(o)
		if l.Experiment.Environment.Get(experiment.KeyGPUModel).Value == o.Experiment.Environment.Get(experiment.KeyGPUModel).Value {
			mine, theirs = gpus(l.Case), gpus(o) // of one kind, so that their number is the price
		}
		if !(mine > 0) || !(theirs > 0) {
			return
		}
		levels, beaten := 0, 0
		l.levels(func(_ *analysis.Curve, v *analysis.Level) {
			if !looped(v) || !given(v.Interactivity.Value, v.OutputThroughput.Value) {
				return
			}
			levels++
			if beats(o, theirs, v, mine, l.limit("noise")) {
				beaten++
			}
		})
		if levels == 0 {
			return
		}
		l.say(whether(beaten == levels), nil, fmt.Sprintf("%s (%s) is at least as fast for a user at no more cost a token as %d of %s.", o.Experiment.Title(), o.Experiment.Environment.Label(), beaten, sentence.Plural(levels, "level")),
			count("levels", levels), count("dominated levels", beaten))
	}, experiment.KeyGPUModel, experiment.KeyGPUCount, experiment.KeyRuntime, experiment.KeyPrecision, experiment.KeySettings)
}

// dollars is what an hour of a case's hardware costs; NaN where it is not known.
func dollars(c *Case) float64 {
	if c.Price == nil || gpus(c) == 0 {
		return math.NaN()
	}
	return c.Price.USDHour * gpus(c)
}

// beats reports whether some level of another case is better than one of this case beyond noise.
func beats(o *Case, theirs float64, v *analysis.Level, mine, noise float64) bool {
	for i := range o.Curves {
		for j := range o.Curves[i].Levels {
			w := &o.Curves[i].Levels[j]
			speed := quotient(w.Interactivity.Value, v.Interactivity.Value)
			cost := quotient(theirs/w.OutputThroughput.Value, mine/v.OutputThroughput.Value)
			if looped(w) && speed >= 1-noise && cost <= 1+noise && (speed > 1+noise || cost < 1-noise) {
				return true
			}
		}
	}
	return false
}
