package instinct

import (
	"fmt"
	"math"

	"github.com/inferbook/inferbook/analysis"
)

var decodeLine = Rule{
	ID: "I23", Title: "TPOT is a line over load", Section: Binds, Severity: Note,
	Needs: "four closed-loop levels below the admission limit, streamed",
	Fires: "a line TPOT = α + β × C over at least levels levels explains r2 of the variance of TPOT",
	Thresholds: []Threshold{
		{Name: "levels", Value: 4, Why: "Three levels leave one degree of freedom, and nearly any three lie near a line."},
		{Name: "r2", Value: 0.94, Why: "NVIDIA's sweeps at 200/200 and 200/1000 tokens give 0.94 to 0.999."},
	},
	Means:   "α is what a step costs however few there are: reading the weights, and overhead. β is what one more user costs the others: their keys and values, and their share of prefills.",
	Reading: "databricks-inference-performance",
	Try:     "Lower α with fewer bytes of weights or more bandwidth, β with shorter contexts and 8-bit keys and values.",
	look: func(l *look) {
		for i := range l.Curves {
			f := l.Curves[i].Fit
			if f == nil || float64(f.N) < l.limit("levels") {
				continue
			}
			sentence := fmt.Sprintf("TPOT = %s + %s × C over %d levels (R² %.3f).", span(f.Alpha), span(f.Beta), f.N, f.R2)
			l.say(whether(f.R2 >= l.limit("r2") && f.Beta > 0), nil, sentence, in("α", f.Alpha, "ms"), in("β", f.Beta, "ms a user"), in("R²", f.R2, ""), in("levels", float64(f.N), ""))
		}
	},
}

var freeBatching = Rule{
	ID: "I24", Title: "Free batching", Section: Helps, Severity: Note,
	Needs: "a line through TPOT: three closed-loop levels below the admission limit, streamed",
	Fires: "TPOT doubles at C* = α ÷ β; below free × C* another user costs next to nothing",
	Thresholds: []Threshold{
		{Name: "free", Value: 0.2, Why: "By the line's own arithmetic TPOT is at most a fifth over its floor there."},
	},
	Means:   "Users are nearly free up to a fifth of C*, and at C* everyone waits twice as long for a token.",
	Reading: "databricks-inference-performance",
	Try:     "Run near C* for cost, and below a fifth of it for feel.",
	look:    lookFreeBatching,
}

func lookFreeBatching(l *look) {
	for i := range l.Curves {
		c := &l.Curves[i]
		if c.Fit == nil {
			continue
		}
		double := c.Fit.Doubling()
		inputs := []Input{in("α", c.Fit.Alpha, "ms"), in("β", c.Fit.Beta, "ms a user"), in("C*", double, "users")}
		if !given(double) {
			l.say(Silent, nil, "TPOT does not grow with load here, so it never doubles.", inputs...)
			continue
		}
		sentence := fmt.Sprintf("TPOT is twice its floor of %s at C* = %s users, and users are nearly free up to %s.", span(c.Fit.Alpha), short(double), short(l.limit("free")*double))
		top := 0
		for j := range c.Levels {
			top = max(top, c.Levels[j].Load.Concurrency)
		}
		switch m := l.admission(c); {
		case m != nil && m.Value < double:
			sentence += fmt.Sprintf(" The server never gets there: it decodes %s at once.", short(m.Value))
		case float64(top) < double:
			sentence += fmt.Sprintf(" That is beyond the highest load measured, c=%d, so the line is only extended.", top)
		}
		l.say(Fired, nil, sentence, inputs...)
	}
}

var bandwidth = Rule{
	ID: "I27", Title: "Share of the memory bandwidth", Section: Binds, Severity: Note,
	Needs: "a model and GPU that are known (model.name, gpu.model), and a streamed closed-loop level",
	Fires: "MBU = (weights + B × context × KV) ÷ (TPOT × bandwidth) is known at the lowest load; it is a warning under low, and over high at any load",
	Thresholds: []Threshold{
		{Name: "low", Value: 0.3, Why: "Runs at batch 1 reach 39 to 76 %; under 30 % something other than memory takes the time."},
		{Name: "high", Value: 1, Why: "Nothing is read faster than the data sheet says."},
	},
	Means:   "A decode step is a copy from memory: the MBU is how much of the possible speed is used.",
	Reading: "databricks-inference-performance",
	Try:     "In range, only fewer bytes or more bandwidth make tokens faster; below it, look for overhead: the host, small kernels, communication; above it, check model, precision and GPU, or look for speculation (I32).",
	look:    lookBandwidth,
}

// mbu is the utilisation at a level, NaN where it cannot be told.
func (l *look) mbu(v *analysis.Level) (mbu, batch, context float64) {
	if l.Machine == nil {
		return math.NaN(), math.NaN(), math.NaN()
	}
	batch = max(1, v.BRun.Value/float64(max(1, l.Machine.Replicas)))
	context = over(v, meanPrompt) + over(v, meanOutput)/2
	return l.Machine.MBU(over(v, meanTPOT), batch, context), batch, context
}

func lookBandwidth(l *look) {
	l.lowest(func(c *analysis.Curve, v *analysis.Level) {
		use, batch, context := l.mbu(v)
		if !given(use) {
			return
		}
		for i := range c.Levels { // one beyond the data sheet is the finding, wherever it is
			if u, b, ctx := l.mbu(&c.Levels[i]); closedLoop(&c.Levels[i]) && u > max(use, l.limit("high")) {
				v, use, batch, context = &c.Levels[i], u, b, ctx
			}
		}
		sentence := fmt.Sprintf("A step of %s takes %s and reads %s of weights and keys: %s of the bandwidth", plural(int(math.Round(batch)), "request"),
			span(over(v, meanTPOT)), gigabytes(l.Machine.ActiveBytes+batch*context*l.Machine.KVPerToken), percent(use))
		odd := true
		switch {
		case use > l.limit("high"):
			sentence += ", more than there is: the model, its precision or the GPU is not the one recorded, or several tokens come from a step."
		case use < l.limit("low"):
			sentence += ": something other than memory takes the time, such as the host, launching kernels, or communication."
		default:
			odd, sentence = false, sentence+", as usual for decoding: memory bandwidth binds."
		}
		severity := Note
		if odd {
			severity = Warning
		}
		l.sayAs(severity, Fired, only(v), sentence, in("MBU", use, ""), in("TPOT", over(v, meanTPOT), "ms"), in("batch", batch, "requests"), in("context", context, "tokens"), in("bandwidth", l.Machine.Bandwidth/1e9, "GB/s"))
	})
}

func gigabytes(bytes float64) string { return short(bytes/1e9) + " GB" }

var contextGrowth = Rule{
	ID: "I30", Title: "Tokens slow down as the context grows", Section: Helps, Severity: Note,
	Needs: "streams of at least 20 gaps in a closed loop",
	Fires: "at the lowest load the time between events grows by over growth from the first to the last of an answer",
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
				l.say(whether(growth > l.limit("growth")), only(v), fmt.Sprintf("The time between events changes by %s from the first to the last of an answer.", percent(growth)), in("growth of gaps", growth, ""))
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
	Fires:      "events, or reads, hold over tokens tokens on average and up to most, in varying numbers and at an even pace; or the MBU of I27 is over 100 %",
	Thresholds: draftBars.Thresholds,
	Means:      "The server drafts tokens and keeps those that the model confirms, so its speed depends on the text.",
	Reading:    "medium-llm-benchmarks",
	Try:        "Measure with text like your users', not with random tokens, which no draft gets right.",
	look:       lookSpeculation,
}

func lookSpeculation(l *look) {
	l.lowest(func(_ *analysis.Curve, v *analysis.Level) {
		d := draftsOf(v)
		use, _, _ := l.mbu(v)
		if !given(d.together) {
			return
		}
		l.say(whether(d.drafted(l.thresholds) || use > 1), only(v),
			fmt.Sprintf("%s tokens come at once on average, and the p99 of gaps is %s times the median.", short(d.together), short(d.pace)),
			in("tokens per event", d.perEvent, ""), in("gaps within a read", d.shared, ""), in("events of several tokens", d.several, ""), in("p99 ÷ p50 of gaps", d.pace, ""), in("MBU", use, ""))
	})
}

// drafts is how tokens come at a level.
type drafts struct {
	perEvent, shared, several, pace float64
	together                        float64 // tokens that come at once
}

func draftsOf(v *analysis.Level) drafts {
	d := drafts{
		perEvent: over(v, func(s *analysis.PointSummary) float64 { return s.EventsPerOutput }),
		shared:   over(v, func(s *analysis.PointSummary) float64 { return s.SharedReads }),
		several:  over(v, func(s *analysis.PointSummary) float64 { return s.Signs.MultiTokenEvents }),
		pace:     over(v, func(s *analysis.PointSummary) float64 { return quotient(s.ICL.P99.Value, s.ICL.P50.Value) }),
	}
	d.together = quotient(d.perEvent, 1-d.shared)
	return d
}

// drafted reports whether the tokens come as from drafts, under the thresholds of I32: several, but in
// varying numbers, and at an even pace. Where most events share a read, gaps have no median and so no pace.
func (d drafts) drafted(bars []Threshold) bool {
	mixed := !(d.several > 0.95) || d.shared > 0.05
	return d.together > bars[0].Value && d.together <= bars[1].Value && mixed && !(d.pace > bars[2].Value)
}
