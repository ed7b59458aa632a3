package instinct

import (
	"fmt"

	"github.com/inferbook/inferbook/analysis"
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
	Fires:      "I18 finds a limit between low times the sequences of full length that the memory holds and high times those of the mean length while decoding, and the server's own cap does not explain it",
	Thresholds: memoryBars.Thresholds,
	Means:      "Keys and values fill the memory, so the batch cannot grow: settings of the batch will not help.",
	Reading:    "vllm-pagedattention",
	Try:        "Shorten prompts or answers, keep keys and values in 8 bits, or add memory or GPUs.",
	look:       lookMemoryLimit,
}

// room is what the memory of all engines holds at an admission limit. It is a range: a server that sets
// memory aside for a whole request holds as many as are I + N tokens long, one that gives memory
// as tokens come about as many as are I + N/2 tokens long.
type room struct {
	limit          *analysis.Landmark
	prompt, output float64 // tokens
	whole, growing float64 // sequences
	cap            float64 // on sequences, as the server says; 0 or NaN = it does not
}

// room gives false where no limit was reached, or nothing is known of the machine.
func (l *look) room(c *analysis.Curve) (r room, ok bool) {
	r.limit = l.admission(c)
	if r.limit == nil || l.Machine == nil {
		return r, false
	}
	v, _ := c.Level(r.limit.Load)
	r.prompt, r.output = over(v, meanPrompt), over(v, meanOutput)
	engines := float64(max(1, l.Machine.Replicas))
	r.whole, r.growing = engines*l.Machine.Sequences(r.prompt+r.output), engines*l.Machine.Sequences(r.prompt+r.output/2)
	r.cap = engines * l.Machine.MaxSequences
	return r, given(r.whole, r.growing)
}

// binds reports whether the memory explains the limit, under the thresholds of I19.
func (r room) binds(bars []Threshold) bool {
	return r.limit.Value >= bars[0].Value*r.whole && r.limit.Value <= bars[1].Value*r.growing && !r.capped(bars)
}

// capped reports whether the server's own cap is reached well before its memory is full.
func (r room) capped(bars []Threshold) bool {
	return r.cap > 0 && r.limit.Value > 0.95*r.cap && r.cap < bars[0].Value*r.growing
}

func (l *look) memoryBinds(c *analysis.Curve) bool {
	r, ok := l.room(c)
	return ok && r.binds(l.Settings.Apply(memoryBars))
}

func lookMemoryLimit(l *look) {
	for i := range l.Curves {
		c := &l.Curves[i]
		if len(stepsOf(c)) == 0 || l.Machine == nil {
			continue
		}
		if l.admission(c) == nil {
			l.say(Silent, nil, "No admission limit was reached, so the memory did not bind at these loads.")
			continue
		}
		r, ok := l.room(c)
		if !ok {
			continue
		}
		b := r.limit.Value
		sentence := fmt.Sprintf("The server decodes %s requests at once, and its memory holds %s of %s tokens beside the weights", short(b), short(r.whole), short(r.prompt+r.output))
		if r.growing > 1.05*r.whole {
			sentence += fmt.Sprintf(" (%s at the mean length while decoding)", short(r.growing))
		}
		switch {
		case r.binds(l.thresholds):
			sentence += ": KV memory sets the limit."
		case r.capped(l.thresholds):
			sentence += fmt.Sprintf(": its own cap of %s sequences is reached first.", short(r.cap))
		case b < r.whole:
			sentence += ": memory for more is left, so a cap on sequences is the likelier limit."
		default:
			sentence += ": more run than fit, so the model, its precision or the GPU is not the one recorded."
		}
		l.say(whether(r.binds(l.thresholds)), loadsFrom(c, r.limit.Load), sentence,
			in("B_run", b, "requests"), in("mean prompt", r.prompt, "tokens"), in("mean output", r.output, "tokens"),
			in("sequences of full length", r.whole, ""), in("sequences of mean length", r.growing, ""), in("cap on sequences", r.cap, ""))
	}
}

var preemption = Rule{
	ID: "I20", Title: "Preemption", Section: Binds, Severity: Warning,
	Needs: "the server's count of preemptions, or streams with gaps",
	Fires: "the server says that it took the keys and values of running requests away; where it does not say, over share of the streams stood still for 250 ms and ten median gaps",
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
			l.say(whether(told > 0), only(v), fmt.Sprintf("The server says that it preempted %d of %s.", told, plural(ok, "request")), inputs...)
		case stalled != experiment.Unknown && v.Points[0].ICL.N > 0:
			part := float64(stalled) / float64(ok)
			longest := over(v, func(s *analysis.PointSummary) float64 { return s.Signs.LongestGap })
			l.say(whether(part > l.limit("share")), only(v), fmt.Sprintf("%d of %s stood still in mid-stream, the longest for %s, while others went on.", stalled, plural(ok, "stream"), span(longest)), inputs...)
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
