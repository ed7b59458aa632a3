package instinct

import (
	"fmt"
	"math"
	"slices"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

var queueing = Rule{
	ID: "I17", Title: "Queueing", Section: Binds, Severity: Note,
	Needs: "streamed answers at two closed-loop levels",
	Fires: "from one level to the next TTFT grows over `ttft` times as much as the load, and TPOT by less than the factor `tpot`",
	Thresholds: []Threshold{
		{Name: "ttft", Value: 2, Why: "Prefill alone grows TTFT in proportion to load; of 643 steps of NVIDIA's sweeps 14 went beyond twice that, all where memory was full."},
		{Name: "tpot", Value: 1.1, Why: "A step costs as much as before within noise, so the batch did not grow."},
	},
	Means:   "The added requests wait to be admitted while decoding goes on as before: more load cannot help.",
	Reading: "nvidia-fundamental-concepts",
	Try:     "Stay below this load, or find what limits admission: memory (I19) or a cap on sequences (I18).",
	look:    lookQueueing,
}

func lookQueueing(l *look) {
	l.steps(func(s step) {
		ttft, tpot := s.grows(meanTTFT), s.grows(meanTPOT)
		if !given(ttft, tpot) {
			return
		}
		l.say(whether(queues(s, l.thresholds)), s.loads(),
			fmt.Sprintf("Load grows ×%s, TTFT ×%s (%s → %s) and TPOT ×%s (%s → %s).", sentence.Short(s.load()),
				sentence.Short(ttft), span(over(s.a, meanTTFT)), span(over(s.b, meanTTFT)), sentence.Short(tpot), span(over(s.a, meanTPOT)), span(over(s.b, meanTPOT))),
			in("load ratio", s.load(), ""), in("TTFT ratio", ttft, ""), in("TPOT ratio", tpot, ""), in("throughput gain per load", analysis.Gain(s.a, s.b), ""))
	})
}

// queues reports whether a step shows requests that wait, under the thresholds of I17.
func queues(s step, bars []Threshold) bool {
	at := func(name string) float64 {
		return bars[slices.IndexFunc(bars, func(t Threshold) bool { return t.Name == name })].Value
	}
	return s.grows(meanTTFT) > at("ttft")*s.load() && s.grows(meanTPOT) < at("tpot")
}

// waitingFrom is the concurrency from which requests of a curve wait to be admitted: beyond the server's own
// cap, from its admission limit, or from the first step that I17 sees; the largest int where none do.
func (l *look) waitingFrom(c *analysis.Curve) int {
	from := math.MaxInt
	if l.Machine != nil && l.Machine.MaxSequences > 0 {
		from = int(l.Machine.MaxSequences) + 1
	}
	if m := l.admission(c); m != nil {
		from = min(from, m.Load.Concurrency)
	}
	bars := l.Settings.Apply(queueing)
	for _, s := range stepsOf(c) {
		if queues(s, bars) {
			from = min(from, s.b.Load.Concurrency)
		}
	}
	return from
}

// admissionBars are the thresholds of I18, which other rules ask about too.
var admissionBars = Rule{ID: "I18", Thresholds: []Threshold{
	{Name: "flat", Value: analysis.Flatness, Why: "Published tables of a full server give 85.2 to 85.8, under 1 % apart; 5 % leaves room for short runs."},
	{Name: "offered", Value: analysis.AdmittedShare, Why: "While every request is admitted nearly all of them decode; under nine tenths some must be waiting or reading prompts."},
}}

var admissionLimit = Rule{
	ID: admissionBars.ID, Title: "Admission limit", Section: Binds, Severity: Note,
	Needs:      "streamed answers with counted tokens at two closed-loop levels",
	Fires:      "over the highest two levels or more, B_run = output throughput × TPOT stays within `flat` of its mean, and under the share `offered` of the concurrency",
	Thresholds: admissionBars.Thresholds,
	Means:      "The server decodes so many requests at once and no more: a cap on sequences, or memory for keys and values (I19).",
	Reading:    "nvidia-tensorrt-llm-tuning",
	Try:        "Compare with the server's cap on sequences (max_num_seqs, max batch size) and with what its memory holds.",
	look:       lookAdmission,
}

func lookAdmission(l *look) {
	if !l.sweeps() {
		return
	}
	for i := range l.Curves {
		c := &l.Curves[i]
		if m := l.admission(c); m != nil {
			l.say(Fired, loadsFrom(c, m.Load), m.Because, in("B_run", m.Value, "requests"))
			continue
		}
		s := stepsOf(c)
		if len(s) == 0 {
			continue
		}
		top := s[len(s)-1]
		if a, b := top.a.BRun.Value, top.b.BRun.Value; given(a, b) {
			l.say(Silent, top.loads(), fmt.Sprintf("B_run goes from %s to %s, so no limit of the batch shows.", sentence.Short(a), sentence.Short(b)), in("B_run", b, "requests"))
		}
	}
}

// admission is the curve's admission limit under the thresholds of I18 as they count.
func (l *look) admission(c *analysis.Curve) *analysis.Landmark {
	bars := l.Settings.Apply(admissionBars)
	return analysis.AdmissionLimit(c.Levels, bars[0].Value, bars[1].Value)
}

// loadsFrom lists the closed loads of a curve from one on.
func loadsFrom(c *analysis.Curve, from experiment.Load) []experiment.Load {
	var out []experiment.Load
	for i := range c.Levels {
		if v := &c.Levels[i]; looped(v) && v.Load.Concurrency >= from.Concurrency {
			out = append(out, v.Load)
		}
	}
	return out
}
