package instinct

import (
	"fmt"
	"math"
	"slices"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

var decodeLine = Rule{
	ID: "I23", Title: "TPOT is a line over load", Section: Binds, Severity: Note,
	Needs: "four closed-loop levels below the admission limit, streamed",
	Fires: "a line TPOT = α + β × C over at least `levels` levels explains `r2` of the variance of TPOT",
	Thresholds: []Threshold{
		{Name: "levels", Value: 4, Why: "Three levels leave one degree of freedom, and nearly any three lie near a line."},
		{Name: "r2", Value: 0.94, Why: "NVIDIA's sweeps at 200/200 and 200/1000 tokens give 0.94 to 0.999."},
	},
	Means:   "α is what a step costs however few there are: reading the weights, and overhead. β is what one more user costs the others: their keys and values, and their share of prefills.",
	Reading: "databricks-inference-performance",
	Try:     "Lower α with fewer bytes of weights or more bandwidth, β with shorter contexts and 8-bit keys and values.",
	look: func(l *look) {
		if !l.sweeps() {
			return
		}
		for i := range l.Curves {
			f := l.Curves[i].Fit
			if f == nil || float64(f.N) < l.limit("levels") {
				continue
			}
			said := fmt.Sprintf("%s over %d levels (R² %.3f).", f, f.N, f.R2)
			l.say(whether(f.R2 >= l.limit("r2") && f.Beta > 0), fitted(&l.Curves[i]), said, in("α", f.Alpha, "ms"), in("β", f.Beta, "ms a user"), in("R²", f.R2, ""), in("levels", float64(f.N), ""))
		}
	},
}

// fitted lists the levels that the line through TPOT was fitted to.
func fitted(c *analysis.Curve) []experiment.Load {
	return slices.DeleteFunc(loadsFrom(c, experiment.Load{Concurrency: int(c.Fit.From)}), func(l experiment.Load) bool { return float64(l.Concurrency) > c.Fit.To })
}

var freeBatching = Rule{
	ID: "I24", Title: "Free batching", Section: Helps, Severity: Note,
	Needs: "a line through TPOT: three closed-loop levels below the admission limit, streamed",
	Fires: "TPOT doubles at C* = α ÷ β; below `free` × C* another user costs next to nothing",
	Thresholds: []Threshold{
		{Name: "free", Value: 0.2, Why: "By the line's own arithmetic TPOT is at most a fifth over its floor there."},
	},
	Means:   "Users are nearly free up to a fifth of C*, and at C* everyone waits twice as long for a token.",
	Reading: "databricks-inference-performance",
	Try:     "Run near C* for cost, and below a fifth of it for feel.",
	look:    lookFreeBatching,
}

func lookFreeBatching(l *look) {
	if !l.sweeps() {
		return
	}
	for i := range l.Curves {
		c := &l.Curves[i]
		f := c.Fit
		if f == nil {
			continue
		}
		inputs := []Input{in("α", f.Alpha, "ms"), in("β", f.Beta, "ms a user"), in("C*", f.Double, "users"), in("C*, at least", f.DoubleLow, "users"), in("C*, at most", f.DoubleHigh, "users")}
		if !given(f.Double) || f.BetaLow <= 0 {
			l.say(Silent, fitted(c), "TPOT does not grow measurably with load here, so these levels do not tell where it doubles.", inputs...)
			continue
		}
		said := fmt.Sprintf("TPOT is twice its floor of %s at C* = %s users, and users are nearly free up to %s.", span(f.Alpha), sentence.Short(f.Double), sentence.Short(l.limit("free")*f.Double))
		switch m := l.admission(c); {
		case m != nil && m.Value < f.Double:
			said += fmt.Sprintf(" The server never gets there: it decodes %s at once.", sentence.Short(m.Value))
		case f.To < f.Double:
			said += fmt.Sprintf(" That is beyond c=%s, the highest load of the line, which is only extended.", sentence.Short(f.To))
		}
		l.say(Fired, fitted(c), said, inputs...)
	}
}

var bandwidth = Rule{
	ID: "I27", Title: "Share of the memory bandwidth", Section: Binds, Severity: Note,
	Needs: "a model and GPU that are known (model.name, gpu.model), and streamed answers",
	Fires: "MBU = (weights + B × context × KV) ÷ (TPOT × bandwidth) is known at the lowest load; it is a warning under `low` where about one request decodes at a time, and over `high` at any load",
	Thresholds: []Threshold{
		{Name: "low", Value: 0.3, Why: "Runs at batch 1 reach 39 to 76 %; under 30 % something other than memory takes the time."},
		{Name: "high", Value: 1, Why: "Nothing is read faster than the data sheet says."},
	},
	Means:   "A decode step is a copy from memory: the MBU is how much of the possible speed is used.",
	Reading: "databricks-inference-performance",
	Try:     "In range, only fewer bytes or more bandwidth make tokens faster; below it, look for overhead: the host, small kernels, communication; above it, check model, precision and GPU, or look for speculation (I32).",
	look:    lookBandwidth,
}

// physics holds the levels of a curve against the data sheets, the lowest first.
func (l *look) physics(c *analysis.Curve) []analysis.LevelPhysics {
	if l.Machine == nil {
		return nil
	}
	under := *c
	under.Explain(l.Machine)
	return slices.DeleteFunc(under.Physics.Levels, func(p analysis.LevelPhysics) bool { return !p.MBU.Known() })
}

func lookBandwidth(l *look) {
	for i := range l.Curves {
		c := &l.Curves[i]
		levels := l.physics(c)
		if len(levels) == 0 {
			continue
		}
		p := levels[0]
		for _, q := range levels { // one beyond the data sheet is the finding, wherever it is
			if q.MBU.Value > max(p.MBU.Value, l.limit("high")) {
				p = q
			}
		}
		v, _ := c.Level(p.Load)
		said := fmt.Sprintf("A step takes %s, and what it reads of weights and keys would take %s at full bandwidth: %s of it is used", span(v.TPOTP50.Value), span(p.Floor), sentence.Percent(p.MBU.Value))
		severity := Warning
		switch {
		case p.MBU.Value > l.limit("high"):
			said += ", more than there is: the model, its precision or the GPU is not the one recorded, or several tokens come from a step."
		case p.MBU.Value < l.limit("low") && !p.Lone():
			severity, said = Note, said+fmt.Sprintf("; with %s requests at once their prompts and arithmetic take time as well, so that only a lone request would tell whether memory binds.", sentence.Short(p.Batch))
		case p.MBU.Value < l.limit("low"):
			said += ": something other than memory takes the time, such as the host, launching kernels, or communication."
		default:
			severity, said = Note, said+", as usual for decoding: memory bandwidth binds."
		}
		l.sayAs(severity, Fired, []experiment.Load{p.Load}, said, in("MBU", p.MBU.Value, ""), in("TPOT", v.TPOTP50.Value, "ms"), in("batch", p.Batch, "requests"),
			in("context", p.Context, "tokens"), in("bandwidth", l.Machine.Bandwidth/1e9, "GB/s"),
			in("ridge", l.Machine.Ridge(), "FLOP/B"))
	}
}

var contextGrowth = Rule{
	ID: "I30", Title: "Tokens slow down as the context grows", Section: Helps, Severity: Note,
	Needs: "streams of at least 20 gaps",
	Fires: "at the lowest load the time between events grows by over `growth` from the first to the last of an answer",
	Thresholds: []Threshold{
		{Name: "growth", Value: 0.1, Why: "A fixed step would show none; NVIDIA's 8B on an H100 gains 24 % from 200 to 7,000 tokens of prompt."},
	},
	Means:   "Reading keys and values catches up with reading weights: late tokens cost more than early ones.",
	Reading: "databricks-inference-performance",
	Try:     "Keep conversations short, or keys and values in 8 bits.",
	look: func(l *look) {
		l.lowest(func(_ *analysis.Curve, v *analysis.Level) {
			growth := over(v, func(s *analysis.PointSummary) float64 { return s.Signs.GapGrowth })
			if given(growth) {
				l.say(whether(growth > l.limit("growth")), only(v), fmt.Sprintf("The time between events changes by %s from the first to the last of an answer.", sentence.Percent(growth)), in("growth of gaps", growth, ""))
			}
		})
	},
}

// draftBars are the thresholds of I32, which the rule about jitter asks about too.
var draftBars = Rule{ID: "I32", Thresholds: []Threshold{
	{Name: "tokens", Value: 1.5, Why: "A step without drafts emits one token, and a few merges on the way do not make half as many more."},
	{Name: "most", Value: 8, Why: "Drafts are rarely longer; more tokens at once are a buffer's work."},
	{Name: "pace", Value: 3, Why: "Steps take about the same time, so the p99 of gaps stays under three times the median; a buffer's do not."},
}}

var speculation = Rule{
	ID: draftBars.ID, Title: "Several tokens from a step", Section: Helps, Severity: Note,
	Needs:      "streams whose tokens somebody counted",
	Fires:      "events, or reads, hold over `tokens` tokens on average and up to `most`, in varying numbers and at an even pace; or the MBU of I27 is over 100 %",
	Thresholds: draftBars.Thresholds,
	Means:      "The server drafts tokens and keeps those that the model confirms, so its speed depends on the text.",
	Reading:    "medium-llm-benchmarks",
	Try:        "Measure with text like your users', not with random tokens, which no draft gets right.",
	look:       lookSpeculation,
}

func lookSpeculation(l *look) {
	l.lowest(func(c *analysis.Curve, v *analysis.Level) {
		d, use := draftsOf(v), math.NaN()
		if p := l.physics(c); len(p) > 0 {
			use = p[0].MBU.Value
		}
		if !given(d.together) {
			return
		}
		l.say(whether(d.drafted(l.thresholds) || use > 1), only(v),
			fmt.Sprintf("%s tokens come at once on average, and the p99 of gaps is %s times the median.", sentence.Short(d.together), sentence.Short(d.pace)),
			in("tokens per event", d.perEvent, ""), in("gaps within a read", d.shared, ""), in("events of several tokens", d.several, ""), in("p99 ÷ p50 of gaps", d.pace, ""), in("MBU", use, ""))
	})
}

// drafts is how tokens come at a level.
type drafts struct {
	perEvent, shared, several, pace float64
	together                        float64 // tokens that come at once
}

// draftsOf counts the tokens of an event, and the events of a read. Where most gaps are nothing, events come
// together although they have an arrival each: as many as the mean gap goes into the long ones.
func draftsOf(v *analysis.Level) drafts {
	d := drafts{
		perEvent: over(v, func(s *analysis.PointSummary) float64 { return s.EventsPerOutput }),
		shared:   over(v, func(s *analysis.PointSummary) float64 { return s.SharedReads }),
		several:  over(v, func(s *analysis.PointSummary) float64 { return s.Signs.MultiTokenEvents }),
		pace:     over(v, func(s *analysis.PointSummary) float64 { return quotient(s.ICL.P99.Value, s.ICL.P50.Value) }),
	}
	d.together = quotient(d.perEvent, 1-d.shared)
	if over(v, func(s *analysis.PointSummary) float64 { return s.ICL.P50.Value }) == 0 {
		d.shared = max(d.shared, 0.5)
		d.together = d.perEvent * over(v, func(s *analysis.PointSummary) float64 { return quotient(s.ICL.P99.Value, s.ICL.Mean) })
	}
	return d
}

// drafted reports whether the tokens come as from drafts, under the thresholds of I32: several, but in
// varying numbers, and at an even pace. Where most events share a read, gaps have no median and so no pace.
func (d drafts) drafted(bars []Threshold) bool {
	mixed := !(d.several > 0.95) || d.shared > 0.05
	return d.together > bars[0].Value && d.together <= bars[1].Value && mixed && !(d.pace > bars[2].Value)
}
