package instinct

import (
	"fmt"
	"math"
	"slices"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

var heavyTail = Rule{
	ID: "I34", Title: "Heavy tail", Section: Whom, Severity: Note,
	Needs: "enough requests for a lower bound on the p99 of TTFT or E2E",
	Fires: "the lower bound of the p99 of TTFT or E2E is over `note` times the median; over `alarm` times it is a warning, unless prompts (TTFT) or answers (E2E) vary in length by a coefficient of over `lengths`",
	Thresholds: []Threshold{
		{Name: "note", Value: 3, Why: "A queue that is short beside the service keeps p99 within about three medians."},
		{Name: "alarm", Value: math.Round(1000*math.Log(100)/math.Ln2) / 1000, Why: "A memoryless wait has p99 ÷ p50 = ln 100 ÷ ln 2; beyond it the tail is heavier than that."},
		{Name: "lengths", Value: 0.2, Why: "Lengths that vary by a fifth give latencies that do, and long ones their own tail; fixed lengths with jitter vary by a few hundredths."},
	},
	Means:   "A few requests fare far worse than the median one: several populations, bursts of a queue, or retries.",
	Reading: "cheng-inference-benchmarking",
	Try:     "Split the requests by length and by time before blaming the server; then look at I17, I20 and I39.",
	look:    lookHeavyTail,
}

// The bound, and not the p99 itself, so that the largest of few requests is no tail.
func lookHeavyTail(l *look) {
	l.levels(func(_ *analysis.Curve, v *analysis.Level) {
		worst, name := math.NaN(), ""
		var inputs []Input
		var at analysis.Distribution
		var lengths float64
		for _, m := range []struct {
			name    string
			of      func(*analysis.PointSummary) analysis.Distribution
			lengths func(*analysis.PointSummary) float64
		}{
			{"TTFT", func(s *analysis.PointSummary) analysis.Distribution { return s.TTFT }, func(s *analysis.PointSummary) float64 { return s.Signs.PromptCV }},
			{"E2E", func(s *analysis.PointSummary) analysis.Distribution { return s.E2E }, func(s *analysis.PointSummary) float64 { return s.Signs.OutputCV }},
		} {
			bound := over(v, func(s *analysis.PointSummary) float64 {
				d := m.of(s)
				if math.IsInf(d.P99.Low, 0) {
					return math.NaN()
				}
				return quotient(d.P99.Low, d.P50.Value)
			})
			inputs = append(inputs, in("p99 ÷ p50 of "+m.name+", at least", bound, ""))
			if given(bound) && !(worst >= bound) {
				worst, name, at, lengths = bound, m.name, m.of(&v.Points[0]), over(v, m.lengths)
			}
		}
		if name == "" {
			return
		}
		severity, own := Note, ""
		switch {
		case lengths > l.limit("lengths"):
			own = fmt.Sprintf(" The lengths behind it vary by themselves (coefficient of variation %s), which may be all of it.", sentence.Short(lengths))
		case worst > l.limit("alarm"):
			severity = Warning
		}
		l.sayAs(severity, whether(worst > l.limit("note")), only(v), fmt.Sprintf("The p99 of %s is at least %s times the median (%s against %s over %s).%s",
			name, sentence.Short(worst), span(at.P99.Low), span(at.P50.Value), sentence.Plural(at.N, "request"), own), append(inputs, in("coefficient of variation of the lengths", lengths, ""))...)
	})
}

var goodputGap = Rule{
	ID: "I37", Title: "Goodput gap", Section: Whom, Severity: Note,
	Needs: "an SLO (--slo)",
	Fires: "goodput ÷ request rate is under `share`",
	Thresholds: []Threshold{
		{Name: "share", Value: 0.9, Why: "DistServe calls a rate served when nine in ten requests meet the SLO; its example has 3 good of 10."},
	},
	Means:   "Throughput is not service: part of what is counted came too late.",
	Reading: "vllm-repository",
	Try:     "Size and price by the goodput, at the highest load that holds the SLO.",
	look: func(l *look) {
		l.levels(func(_ *analysis.Curve, v *analysis.Level) {
			good, rate := v.Goodput.Value, v.RequestRate.Value
			if part := quotient(good, rate); given(part) {
				l.say(whether(part < l.limit("share")), only(v), fmt.Sprintf("%s of %s requests a second are within the SLO (%s).", sentence.Short(good), sentence.Short(rate), sentence.Percent(part)),
					in("goodput", good, "req/s"), in("request rate", rate, "req/s"))
			}
		})
	},
}

var populations = Rule{
	ID: "I39", Title: "Several populations", Section: Helps, Severity: Warning,
	Needs: "a hundred streamed answers at a level",
	Fires: "the bimodality coefficient of the logarithms is over `bimodal`, of TTFT while these spread by over `ttft` or of TPOT while they spread by over `tpot`; or answers name several models or fingerprints",
	Thresholds: []Threshold{
		{Name: "bimodal", Value: 0.555, Why: "5/9 is the coefficient of a uniform distribution; two peaks apart have more."},
		{Name: "ttft", Value: 0.5, Why: "Two equal peaks of logarithms spread by half of their distance, so these are a factor of 2.7 apart: more than one prompt or two ahead in the same step make."},
		{Name: "tpot", Value: 0.2, Why: "Peaks a factor of 1.5 apart: all requests of a batch take the same steps, and p99 ÷ p50 of TPOT was 1.07 in a published run under load."},
		{Name: "least", Value: 100, Why: "The fourth moment of fewer is mostly chance."},
	},
	Means:   "The figures mix kinds of requests or servers, and describe neither.",
	Reading: "databricks-inference-performance",
	Try:     "Split by replica, by cache hit or miss, by class and by length, and look at each alone.",
	look:    lookPopulations,
}

func lookPopulations(l *look) {
	asked := max(1, len(l.Experiment.Spec.Models))
	l.levels(func(_ *analysis.Curve, v *analysis.Level) {
		signs := func(of func(*analysis.Signs) float64) float64 {
			return over(v, func(s *analysis.PointSummary) float64 {
				if float64(s.OK) < l.limit("least") {
					return math.NaN()
				}
				return of(&s.Signs)
			})
		}
		ttft, wide := signs(func(s *analysis.Signs) float64 { return s.TTFTBimodality }), signs(func(s *analysis.Signs) float64 { return s.TTFTSpread })
		tpot, broad := signs(func(s *analysis.Signs) float64 { return s.TPOTBimodality }), signs(func(s *analysis.Signs) float64 { return s.TPOTSpread })
		models, prints := 0, 0
		for i := range v.Points {
			models, prints = max(models, v.Points[i].Signs.Models), max(prints, v.Points[i].Signs.Fingerprints)
		}
		if !given(ttft, wide) && !given(tpot, broad) && models <= asked && prints <= 1 {
			return
		}
		inputs := []Input{in("bimodality of TTFT", ttft, ""), in("spread of ln TTFT", wide, ""), in("bimodality of TPOT", tpot, ""), in("spread of ln TPOT", broad, ""),
			count("models that answered", models), count("fingerprints", prints)}
		two := func(bimodality, spread float64, name string) bool {
			return bimodality > l.limit("bimodal") && spread > l.limit(name)
		}
		switch {
		case models > asked || prints > 1:
			l.say(Fired, only(v), fmt.Sprintf("The answers name %s and %s.", sentence.Plural(models, "model"), sentence.Plural(prints, "fingerprint")), inputs...)
		case v.Oversaturated:
			l.say(NotApplicable, only(v), "Requests pile up, so that TTFT takes any value up to the length of the run.")
		case two(ttft, wide, "ttft"):
			l.say(Fired, only(v), fmt.Sprintf("TTFT has two peaks: a bimodality coefficient of %s, with a spread of %s.", sentence.Short(ttft), sentence.Percent(wide)), inputs...)
		case two(tpot, broad, "tpot"):
			l.say(Fired, only(v), fmt.Sprintf("TPOT has two peaks: a bimodality coefficient of %s, with a spread of %s.", sentence.Short(tpot), sentence.Percent(broad)), inputs...)
		default:
			l.say(Silent, only(v), fmt.Sprintf("The bimodality coefficients are %s for TTFT and %s for TPOT, with spreads of %s and %s.", sentence.Short(ttft), sentence.Short(tpot), sentence.Percent(wide), sentence.Percent(broad)), inputs...)
		}
	})
}

var batchVariance = Rule{
	ID: "I40", Title: "Answers depend on the batch", Section: Helps, Severity: Note,
	Needs:   "temperature 0, answers of one length, and prompts that come more than once or at several levels",
	Fires:   "equal prompts had different answers, within a level or between levels",
	Means:   "The kernels are not batch-invariant: a token's last bits, and with them the text, depend on who else is served.",
	Reading: "learning-path",
	Try:     "Expect it, report the share, and state the load beside every test of quality.",
	look:    lookBatchVariance,
}

// Answers of several lengths differ for that reason alone, so only forced and equal lengths tell.
func lookBatchVariance(l *look) {
	if l.Experiment.Spec.Temperature != 0 {
		return
	}
	first := map[string]string{} // answer by prompt
	var at []experiment.Load
	same, different := 0, 0
	l.levels(func(_ *analysis.Curve, v *analysis.Level) {
		for i := range v.Points {
			s := &v.Points[i].Signs
			if !(s.OutputCV <= 1e-9) || v.Points[i].OK < 2 {
				continue
			}
			before := same
			if s.SamePrompt > 0 {
				same += s.SamePrompt - s.SamePromptGroups
				different += s.DistinctAnswers - s.SamePromptGroups
			}
			for _, a := range s.Answers {
				answer, seen := first[a.Prompt]
				first[a.Prompt] = a.Answer
				if !seen {
					continue
				}
				same++
				if answer != a.Answer {
					different++
				}
			}
			if same > before && !slices.Contains(at, v.Load) {
				at = append(at, v.Load)
			}
		}
	})
	if same == 0 {
		return
	}
	l.say(whether(different > 0), at, fmt.Sprintf("Of %s to a prompt that had been answered before, %d were another text (%s).", sentence.Plural(same, "answer"), different, sentence.Percent(float64(different)/float64(same))),
		count("repeated answers", same), count("different texts", different))
}
