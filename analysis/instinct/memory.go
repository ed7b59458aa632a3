package instinct

import (
	"fmt"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

// memoryBars are the thresholds of I19, which the rule about quotas asks about too.
var memoryBars = Rule{ID: "I19", Thresholds: []Threshold{
	{Name: "low", Value: 0.7, Why: "The weights and keys alone are an upper bound: activations and buffers took 3 to 14 % of it for 8B models and 16 to 30 % for 70B."},
	{Name: "high", Value: 1.1, Why: "A tenth covers what lengths and the memory share are off by."},
}}

var memoryLimit = Rule{
	ID: memoryBars.ID, Title: "KV memory is the limit", Section: Binds, Severity: Note,
	Needs:      "closed-loop levels with counted tokens, and a model and GPU that are known (model.name, gpu.model)",
	Fires:      "I18 finds a limit between `low` times the sequences of full length that the memory holds and `high` times those of the mean length while decoding, and the server's own cap does not explain it",
	Thresholds: memoryBars.Thresholds,
	Means:      "Keys and values fill the memory, so the batch cannot grow: settings of the batch will not help.",
	Reading:    "vllm-pagedattention",
	Try:        "Shorten prompts or answers, keep keys and values in 8 bits, or add memory or GPUs.",
	look:       lookMemoryLimit,
}

// capacity holds the admission limit of I18 against what the memory of all engines has room for; nil
// where no limit was reached, or too little is known of the machine.
func (l *look) capacity(c *analysis.Curve) *analysis.Capacity {
	if l.Machine == nil {
		return nil
	}
	under := *c
	under.AdmissionLimit = l.admission(c)
	under.Explain(l.Machine)
	return under.Physics.Capacity
}

// memoryBinds reports whether the memory explains a limit, under the thresholds of I19. The room is a
// range: a server that sets memory aside for a whole request holds as many as are I + N tokens long,
// one that gives memory as tokens come about as many as are I + N/2 tokens long.
func (l *look) memoryBinds(k *analysis.Capacity) bool {
	bars := l.Settings.Apply(memoryBars)
	return k != nil && k.By != analysis.LimitSequences && k.Running >= bars[0].Value*k.Whole && k.Running <= bars[1].Value*k.Mean
}

func lookMemoryLimit(l *look) {
	if !l.sweeps() {
		return
	}
	for i := range l.Curves {
		c := &l.Curves[i]
		if len(stepsOf(c)) == 0 || l.Machine == nil {
			continue
		}
		limit := l.admission(c)
		if limit == nil {
			l.say(Silent, loadsFrom(c, experiment.Load{}), "No admission limit was reached, so the memory did not bind at these loads.")
			continue
		}
		k := l.capacity(c)
		if k == nil {
			continue
		}
		said := fmt.Sprintf("The server decodes %s requests at once, and its memory holds %s of full length beside the weights", sentence.Short(k.Running), sentence.Short(k.Whole))
		if k.Mean > 1.05*k.Whole {
			said += fmt.Sprintf(", or %s of their mean length while they decode", sentence.Short(k.Mean))
		}
		most := float64(max(1, l.Machine.Replicas)) * l.Machine.MaxSequences
		switch {
		case l.memoryBinds(k):
			said += ": KV memory sets the limit."
		case k.By == analysis.LimitSequences:
			said += fmt.Sprintf(": its own cap of %s sequences is reached first.", sentence.Short(most))
		case k.Running < k.Whole:
			said += ": memory for more is left, so a cap on sequences is the likelier limit."
		default:
			said += ": more run than fit, so the model, its precision or the GPU is not the one recorded."
		}
		l.say(whether(l.memoryBinds(k)), loadsFrom(c, limit.Load), said, in("B_run", k.Running, "requests"),
			in("sequences of full length", k.Whole, ""), in("sequences of mean length", k.Mean, ""), in("cap on sequences", most, ""))
	}
}

var preemption = Rule{
	ID: "I20", Title: "Preemption", Section: Binds, Severity: Warning,
	Needs: "the server's count of preemptions, or streams with gaps",
	Fires: "the server says that it took the keys and values of running requests away; where it does not say, over `share` of the streams stood still for 250 ms and ten median gaps",
	Thresholds: []Threshold{
		{Name: "share", Value: 0.005, Why: "One stream in 200 may meet an accident of the network; ten median gaps are more than chunked prefills take."},
	},
	Means:   "More requests run than the memory holds: some lose their keys and values and are computed again.",
	Reading: "vllm-repository",
	Try:     "Lower max_num_seqs, raise the share of memory that the server may use, or add GPUs; num_preemptions of the server confirms it.",
	look:    lookPreemption,
}

// A server that counts its preemptions is believed before the client's guess.
func lookPreemption(l *look) {
	l.levels(func(_ *analysis.Curve, v *analysis.Level) {
		ok := total(v, okCount)
		stalled := total(v, func(s *analysis.PointSummary) int { return s.Signs.Stalled })
		told := total(v, func(s *analysis.PointSummary) int { return s.Preempted })
		inputs := []Input{count("preempted requests", told), count("streams that stood still", stalled), count("successful requests", ok)}
		switch {
		case ok <= 0:
		case told != experiment.Unknown:
			l.say(whether(told > 0), only(v), fmt.Sprintf("The server says that it preempted %d of %s.", told, sentence.Plural(ok, "request")), inputs...)
		case stalled != experiment.Unknown && v.Points[0].ICL.N > 0:
			part := float64(stalled) / float64(ok)
			longest := over(v, func(s *analysis.PointSummary) float64 { return s.Signs.LongestGap })
			l.say(whether(part > l.limit("share")), only(v), fmt.Sprintf("%d of %s stood still in mid-stream, the longest for %s, while others went on.", stalled, sentence.Plural(ok, "stream"), span(longest)), inputs...)
		}
	})
}

// count makes an input of a count.
func count(name string, n int) Input {
	i := Input{Name: name}
	if n != experiment.Unknown {
		x := float64(n)
		i.Value = &x
	}
	return i
}
