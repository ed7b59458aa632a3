package instinct

import (
	"fmt"
	"math"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

var plateau = Rule{
	ID: "I25", Title: "Plateau", Section: Binds, Severity: Note,
	Needs: "two closed-loop levels with output throughput",
	Fires: "from one level to the next output throughput grows by under `gain` of the growth in load",
	Thresholds: []Threshold{
		{Name: "gain", Value: analysis.PlateauGain, Why: "A doubling of load then buys under 10 %; of 643 steps of NVIDIA's sweeps 97 are such, 96 of them at c=100 or more."},
	},
	Means:   "The server is saturated: more load only adds latency.",
	Reading: "nvidia-genai-perf-nim",
	Try:     "Run at the level before, or look in I17 to I19 for what binds.",
	look:    lookPlateau,
}

// A step may fire without being the curve's plateau, which must last to the end of the sweep.
func lookPlateau(l *look) {
	l.steps(func(s step) {
		gain := analysis.Gain(s.a, s.b)
		if !given(gain) {
			return
		}
		a, b := s.a.OutputThroughput.Value, s.b.OutputThroughput.Value
		brings := "raises output throughput by " + sentence.Percent(b/a-1)
		if b < a {
			brings = "lowers output throughput by " + sentence.Percent(1-b/a)
		}
		said := fmt.Sprintf("%s more load %s (%s → %s tok/s), a gain of %s.", sentence.Percent(s.load()-1), brings, sentence.Short(a), sentence.Short(b), sentence.Short(gain))
		flat := gain < l.limit("gain")
		if p := s.curve.Plateau; flat && p != nil && p.Load.Concurrency <= s.a.Load.Concurrency {
			said += fmt.Sprintf(" The curve's plateau begins at %s.", p.Load)
		} else if flat {
			said += " A later step gains again, so it is not yet the curve's plateau."
		}
		l.say(whether(flat), s.loads(), said, in("load ratio", s.load(), ""), in("output throughput before", a, "tok/s"), in("output throughput after", b, "tok/s"), in("gain", gain, ""))
	})
}

var regression = Rule{
	ID: "I26", Title: "Throughput falls past the plateau", Section: Binds, Severity: Note,
	Needs: "two closed-loop levels with output throughput",
	Fires: "output throughput falls by over `loss` from one level to the next",
	Thresholds: []Threshold{
		{Name: "loss", Value: 0.05, Why: "Twice the noise of 2.5 %: NVIDIA's own sweep loses 2.9 % at its end by chance, and 17 % where a batch size is too large."},
	},
	Means:   "Preemption, thrashing or the scheduler's own work costs more than the added load brings.",
	Reading: "nvidia-tensorrt-llm-tuning",
	Try:     "Cap the requests in flight at the level before.",
	look: func(l *look) {
		l.steps(func(s step) {
			a, b := s.a.OutputThroughput.Value, s.b.OutputThroughput.Value
			if !given(a, b) || a <= 0 {
				return
			}
			word := "grows"
			if b < a {
				word = "falls"
			}
			l.say(whether(1-b/a > l.limit("loss")), s.loads(), fmt.Sprintf("Output throughput %s from %s to %s tok/s, by %s.", word, sentence.Short(a), sentence.Short(b), sentence.Percent(max(b/a-1, 1-b/a))),
				in("output throughput before", a, "tok/s"), in("output throughput after", b, "tok/s"))
		})
	},
}

var overload = Rule{
	ID: "I36", Title: "Open-loop overload", Section: Binds, Severity: Warning,
	Needs: "an open loop (--rate)",
	Fires: "over at least `latencies` latencies requests pile up: the number in flight rises with a probability under `p` by chance; or under `share` of the rate is served and the rise has a probability under `weak`",
	Thresholds: []Threshold{
		{Name: "p", Value: 0.01, Why: "At a load that the server just about serves such a rise comes by chance once in a hundred runs."},
		{Name: "share", Value: 0.95, Why: "Below capacity as many requests end as arrive; 5 % is left to the ends of a short window."},
		{Name: "weak", Value: 0.1, Why: "A shortfall alone may be the few requests still in flight at the end, so the rise must support it."},
		{Name: "latencies", Value: 10, Why: "A server that fills up has more in flight all the while and is stable all the same; it is full after a few latencies."},
	},
	Means:   "More arrives than is served, so every percentile says how long the run was.",
	Reading: "nvidia-fundamental-concepts",
	Try:     "Report the load as unstable, and search below it: --search rate.",
	look:    lookOverload,
}

func lookOverload(l *look) {
	open := false
	l.levels(func(_ *analysis.Curve, v *analysis.Level) {
		if !v.Load.Open() {
			return
		}
		open = true
		slope := over(v, func(s *analysis.PointSummary) float64 { return s.InflightSlope })
		p := over(v, func(s *analysis.PointSummary) float64 { return s.InflightSlopeP })
		served := quotient(v.RequestRate.Value, v.AchievedRate.Value)
		if !given(slope, p) && !v.Oversaturated {
			return
		}
		rising := slope > 0 && (p < l.limit("p") || served < l.limit("share") && p < l.limit("weak"))
		ends := "none end in time"
		if given(served) {
			ends = fmt.Sprintf("%s end (%s)", sentence.Short(v.RequestRate.Value), sentence.Percent(served))
		}
		said := fmt.Sprintf("%s requests a second arrive and %s, and the number in flight changes by %s a second (by chance: %s).", sentence.Short(v.AchievedRate.Value), ends, sentence.Short(slope), odds(p))
		state := whether(v.Oversaturated || rising)
		held := over(v, func(s *analysis.PointSummary) float64 { return quotient(1000*s.Window.Seconds(), s.E2E.Mean) })
		if rising && !v.Oversaturated && held < l.limit("latencies") {
			state = NotEvaluable
			said += fmt.Sprintf(" The window holds %s latencies, in which a server may still be filling up.", sentence.Short(held))
		}
		l.say(state, only(v), said,
			in("in-flight slope", slope, "req/s"), in("p", p, ""), in("served share", served, ""))
	})
	if !open && len(l.Curves) > 0 {
		l.say(NotApplicable, nil, "A closed loop cannot offer more than is served.")
	}
}

// odds writes a probability, of which only the order matters where it is small.
func odds(p float64) string {
	if p < 0.0001 {
		return "under 0.01 %"
	}
	return sentence.Percent(p)
}

var rateLimit = Rule{
	ID: "I38", Title: "Rate limit", Section: Binds, Severity: Warning,
	Needs: "a run with at least one request",
	Fires: "answers came with status 429 or told when to retry; or the request rate of three levels or more stays within `cv` at a round number, where I17 sees requests wait and memory does not explain it",
	Thresholds: []Threshold{
		{Name: "cv", Value: 0.02, Why: "A quota is exact, a busy server is not."},
		{Name: "round", Value: 0.005, Why: "How near to a round number a second or a minute, such as 2/s or 500/min, a quota shows after a few hundred requests."},
	},
	Means:   "You measured a quota, not a server.",
	Reading: "databricks-llm-inference-search",
	Try:     "Ask the provider for its limits, and measure below them or have them raised.",
	look:    lookRateLimit,
}

func lookRateLimit(l *look) {
	l.levels(func(_ *analysis.Curve, v *analysis.Level) {
		refused := total(v, func(s *analysis.PointSummary) int { return s.Signs.RateLimited })
		sent := total(v, func(s *analysis.PointSummary) int { return s.Sent })
		if refused == experiment.Unknown || sent <= 0 {
			return
		}
		l.say(whether(refused > 0), only(v), fmt.Sprintf("%d of %s were answered with 429 or told when to retry.", refused, sentence.Plural(sent, "request")),
			count("rate-limited requests", refused), count("requests", sent))
	})
	for i := range l.Curves {
		l.lookClamped(&l.Curves[i])
	}
}

// lookClamped looks for a request rate that stays at a round number however many requests are offered.
func (l *look) lookClamped(c *analysis.Curve) {
	var rates []float64
	var loads []experiment.Load
	for i := len(c.Levels) - 1; i >= 0; i-- {
		v := &c.Levels[i]
		if !looped(v) || !given(v.RequestRate.Value) || variation(append(rates, v.RequestRate.Value)) > l.limit("cv") {
			break
		}
		rates, loads = append(rates, v.RequestRate.Value), append(loads, v.Load)
	}
	rate := mean(rates)
	if len(rates) < 3 || !nearRound(rate, l.limit("round")) || l.waitingFrom(c) > loads[0].Concurrency || l.memoryBinds(l.capacity(c)) {
		return
	}
	l.say(Fired, loads, fmt.Sprintf("The rate stays at %s requests a second (%s a minute), a round number, while requests wait.", sentence.Short(rate), sentence.Short(60*rate)),
		in("request rate", rate, "req/s"), in("coefficient of variation", variation(rates), ""))
}

// nearRound reports whether a rate in req/s, or that of a minute, is within a share of a number with one digit.
func nearRound(rate, within float64) bool {
	for _, x := range []float64{rate, 60 * rate} {
		if x <= 0 {
			continue
		}
		unit := math.Pow(10, math.Floor(math.Log10(x)))
		if nearest := math.Round(x/unit) * unit; math.Abs(x-nearest) <= within*nearest {
			return true
		}
	}
	return false
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// variation is the coefficient of variation of some values.
func variation(values []float64) float64 {
	m, squares := mean(values), 0.0
	for _, v := range values {
		squares += (v - m) * (v - m)
	}
	return math.Sqrt(squares/float64(len(values))) / m
}
