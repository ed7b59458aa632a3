package instinct

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

var promptSlope = Rule{
	ID: "I15", Title: "TTFT grows with the prompt", Section: Time, Severity: Note,
	Needs: "streamed answers at c=1 to prompts of different lengths, such as --input-tokens uniform:100-4000, or variants of three lengths",
	Fires: "at c=1 a line TTFT = a + I ÷ R explains at least `r2` of the variance of TTFT; its MFU is odd outside `low` to `high`",
	Thresholds: []Threshold{
		{Name: "r2", Value: 0.9, Why: "Alone on the server, nothing but the prompt should move TTFT, so a line that leaves over a tenth unexplained is no line."},
		{Name: "low", Value: 0.24, Why: "The prefill speeds of NVIDIA's course (8B and 70B on A100 and H100), taken from differences of TTFT too, come to 24 to 76 % of the peak."},
		{Name: "high", Value: 1, Why: "Nothing computes faster than its peak; a slope over short prompts comes near it, since there the reading of the weights hides part of the arithmetic."},
	},
	Means:   "R is the prefill speed, which is bound by arithmetic; a is what the network and the server cost before a prompt is read.",
	Reading: "databricks-inference-performance",
	Try:     "Take R to see what a longer prompt costs, and a cached or shorter one saves.",
	look:    lookPromptSlope,
}

// promptLine is TTFT in ms over prompt tokens.
type promptLine struct{ start, slope, r2 float64 }

// promptLineOf fits within the level at c=1 whose prompts differ, else over such levels of three
// variants or more whose prompts are of different lengths.
func promptLineOf(curves []analysis.Curve) (line promptLine, load experiment.Load, ok bool) {
	var xs, ys []float64
	for i := range curves {
		for j := range curves[i].Levels {
			v := &curves[i].Levels[j]
			if v.Load.Concurrency != 1 || !looped(v) {
				continue
			}
			in := promptLine{
				over(v, func(s *analysis.PointSummary) float64 { return s.Signs.TTFTAtZero }),
				over(v, func(s *analysis.PointSummary) float64 { return s.Signs.TTFTPerPrompt }),
				over(v, func(s *analysis.PointSummary) float64 { return s.Signs.TTFTPromptR2 }),
			}
			if given(in.start, in.slope, in.r2) {
				return in, v.Load, true
			}
			if x, y := over(v, meanPrompt), over(v, meanTTFT); given(x, y) && !slices.ContainsFunc(xs, func(z float64) bool { return math.Abs(z-x) < 0.1*x }) {
				xs, ys, load = append(xs, x), append(ys, y), v.Load
			}
		}
	}
	if len(xs) < 3 {
		return line, load, false
	}
	line.start, line.slope = stat.LinearRegression(xs, ys, nil, false)
	line.r2 = stat.RSquared(xs, ys, nil, line.start, line.slope)
	return line, experiment.Load{Concurrency: 1}, given(line.start, line.slope, line.r2)
}

func lookPromptSlope(l *look) {
	line, load, ok := promptLineOf(l.Curves)
	if !ok {
		return
	}
	loads := []experiment.Load{load}
	speed := quotient(1000, line.slope)
	inputs := []Input{in("TTFT per prompt token", line.slope, "ms"), in("TTFT of an empty prompt", line.start, "ms"), in("R²", line.r2, ""), in("prefill speed", speed, "tok/s")}
	if line.slope <= 0 || line.r2 < l.limit("r2") {
		l.say(Silent, loads, fmt.Sprintf("A line over the prompt's length explains %s of the variance of TTFT, under %s.", sentence.Percent(max(0, line.r2)), sentence.Percent(l.limit("r2"))), inputs...)
		return
	}
	said := fmt.Sprintf("TTFT is %s and %s for each prompt token (R² %.3f): prompts are read at %s tokens a second", span(line.start), span(line.slope), line.r2, sentence.Short(speed))
	mfu := math.NaN()
	if l.Machine != nil {
		mfu = l.Machine.MFU(speed)
		inputs = append(inputs, in("MFU", mfu, ""))
	}
	odd := mfu < l.limit("low") || mfu > l.limit("high")
	switch {
	case math.IsNaN(mfu):
		said += "."
	case odd:
		said += fmt.Sprintf(", %s of the GPU's peak: outside %s to %s, so suspect a prefix cache, another GPU or model than recorded, or a queue.", sentence.Percent(mfu), sentence.Percent(l.limit("low")), sentence.Percent(l.limit("high")))
	default:
		said += fmt.Sprintf(", %s of the GPU's peak.", sentence.Percent(mfu))
	}
	severity := Note
	if odd {
		severity = Warning
	}
	l.sayAs(severity, Fired, loads, said, inputs...)
}

var cacheHit = Rule{
	ID: "I16", Title: "Prefix cache", Section: Helps, Severity: Warning,
	Needs: "the server's count of cached prompt tokens, or repeated prompts at c=1",
	Fires: "the server says that at least `cached` of the prompt tokens came from its cache; where it does not say, repeated prompts at c=1 have at most `warm` of the TTFT of new ones",
	Thresholds: []Threshold{
		{Name: "cached", Value: 0.01, Why: "The template that every chat shares makes well under 1 % of a prompt; more is the workload's own repetition."},
		{Name: "warm", Value: 0.5, Why: "Half is far beyond noise, and a true hit removes most of the prefill."},
	},
	Means:   "Part of the prompts was not computed: TTFT and the cost of a prompt token are those of this hit rate.",
	Reading: "vllm-repository",
	Try:     "State the hit rate beside every figure, or measure with prompts that are unique from their first word.",
	look:    lookCacheHit,
}

func lookCacheHit(l *look) {
	l.levels(func(_ *analysis.Curve, v *analysis.Level) {
		hits := over(v, func(s *analysis.PointSummary) float64 { return s.CacheHitShare })
		if given(hits) && total(v, func(s *analysis.PointSummary) int { return s.CachedTokens }) != experiment.Unknown {
			l.say(whether(hits >= l.limit("cached")), only(v), fmt.Sprintf("The server took %s of the prompt tokens from its cache.", sentence.Percent(hits)), in("cache hit share", hits, ""))
			return
		}
		fresh := over(v, func(s *analysis.PointSummary) float64 { return s.Signs.FreshTTFT })
		again := over(v, func(s *analysis.PointSummary) float64 { return s.Signs.RepeatTTFT })
		repeated := total(v, func(s *analysis.PointSummary) int { return s.Signs.RepeatedPrompts })
		if v.Load.Concurrency != 1 || !looped(v) {
			return
		}
		if !given(fresh) { // none but repeats were measured: the very first request was new
			fresh = over(v, func(s *analysis.PointSummary) float64 { return s.Signs.ColdTTFT })
		}
		if given(fresh, again) && repeated > 0 {
			l.say(whether(again <= l.limit("warm")*fresh), only(v), fmt.Sprintf("%d prompts repeat an earlier one and have a median TTFT of %s; new ones have %s.", repeated, span(again), span(fresh)),
				count("repeated prompts", repeated), in("TTFT of new prompts", fresh, "ms"), in("TTFT of repeated prompts", again, "ms"))
		}
	})
}

var promptHeavy = Rule{
	ID: "I21", Title: "Prefill-heavy workload", Section: Time, Severity: Note,
	Needs: "streamed answers at c=1, or at two closed-loop levels",
	Fires: "TTFT ÷ E2E is over `share` at a level at which requests do not wait to be admitted",
	Thresholds: []Threshold{
		{Name: "share", Value: 0.5, Why: "Over half of the time is the majority: then reading prompts costs more than writing answers."},
	},
	Means:   "Most of a request's time goes into its prompt.",
	Reading: "nvidia-tensorrt-llm-tuning",
	Try:     "Work on prefill: cache prefixes, chunk prompts, take a GPU with more FLOP/s; and price prompt tokens on their own.",
	look:    lookPromptHeavy,
}

// A level that is neither alone on the server nor beside another one is left out, since its TTFT may be a
// queue's; so is one whose stream came in one burst, which has no first token to see.
func lookPromptHeavy(l *look) {
	if !l.sweeps() {
		return
	}
	for i := range l.Curves {
		c, seen := &l.Curves[i], 0
		from := l.waitingFrom(c)
		for j := range c.Levels {
			v := &c.Levels[j]
			if !looped(v) {
				continue
			}
			seen++
			ttft, e2e := over(v, meanTTFT), over(v, meanE2E)
			if v.Load.Concurrency > 1 && seen == 1 && len(stepsOf(c)) == 0 || v.Load.Concurrency >= from || !given(ttft, e2e) || streaming(v) == analysis.StreamNone {
				continue
			}
			part := quotient(ttft, e2e)
			l.say(whether(part > l.limit("share")), only(v), fmt.Sprintf("TTFT is %s of the latency: %s of %s.", sentence.Percent(part), span(ttft), span(e2e)),
				in("mean TTFT", ttft, "ms"), in("mean E2E", e2e, "ms"), in("TTFT ÷ E2E", part, ""))
		}
	}
}

var answerHeavy = Rule{
	ID: "I22", Title: "The answer's length dominates", Section: Time, Severity: Note,
	Needs: "streamed answers with counted tokens",
	Fires: "decoding, (N − 1) × TPOT, is over `share` of E2E; and where the lengths vary, an output token adds over `ratio` times the latency of a prompt token",
	Thresholds: []Threshold{
		{Name: "share", Value: 0.8, Why: "Beyond four fifths, shortening answers is worth more than anything done to prompts."},
		{Name: "ratio", Value: 20, Why: "Databricks found 8 output tokens slower than 512 prompt tokens, a ratio of 64 or more; 20 leaves room for long prompts."},
	},
	Means:   "How long the answer is decides how long the user waits.",
	Reading: "databricks-inference-performance",
	Try:     "Ask for shorter answers before buying hardware.",
	look:    lookAnswerHeavy,
}

func lookAnswerHeavy(l *look) {
	l.levels(func(_ *analysis.Curve, v *analysis.Level) {
		tpot, e2e, n := over(v, meanTPOT), over(v, meanE2E), over(v, meanOutput)
		if !given(tpot, e2e, n) {
			return
		}
		part := quotient((n-1)*tpot, e2e)
		output := over(v, func(s *analysis.PointSummary) float64 { return s.Signs.E2EPerOutput })
		prompt := over(v, func(s *analysis.PointSummary) float64 { return s.Signs.E2EPerPrompt })
		times := quotient(output, prompt)
		if given(output, prompt) && prompt <= 0 { // a prompt token costs less than can be seen
			times = math.Inf(1)
		}
		said := fmt.Sprintf("Decoding takes %s of the latency: %s tokens × %s of %s.", sentence.Percent(part), sentence.Short(n-1), span(tpot), span(e2e))
		if given(output, prompt) {
			said += fmt.Sprintf(" An output token adds %s and a prompt token %s.", span(output), span(prompt))
		}
		l.say(whether(part > l.limit("share") && !(times <= l.limit("ratio"))), only(v), said,
			in("decode share of E2E", part, ""), in("latency per output token", output, "ms"), in("latency per prompt token", prompt, "ms"))
	})
}
