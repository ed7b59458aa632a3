package instinct

import (
	"fmt"
	"math"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

// chance is the threshold of the rules that compare parts of one run: three standard
// errors, which chance alone passes once in 370 times.
var chance = Threshold{Name: "errors", Value: 3, Unit: "standard errors", Why: "Chance alone goes beyond three standard errors once in 370 times."}

// steadyRules ask whether the figures are of one state that lasted long enough.
var steadyRules = []Rule{
	{
		ID: "I05", Title: "Warm-up leaked in", Section: Validity, Severity: Warning,
		Needs: "a TTFT of the first measured requests, and of the others",
		Fires: "the mean TTFT of the first max(C, 5 %) measured requests is over `ratio` times that of the others, by more than `errors`; or the first request of all was measured and took `cold` times the median",
		Thresholds: []Threshold{
			{Name: "ratio", Value: 1.2, Why: "A warm system is flat; a fifth is far beyond what runs of one configuration differ by."},
			chance,
			{Name: "cold", Value: 10, Why: "A first request of ten times the median loads or compiles something."},
		},
		Means:   "Some of the measured requests paid for a start that users pay once: means and upper percentiles are too high.",
		Reading: "nvidia-genai-perf-nim", Try: "Raise --warmup, or report the cold start by itself.",
		look: atEach(seeWarmup),
	},
	{
		ID: "I06", Title: "Not steady", Section: Validity, Severity: Warning,
		Needs: "throughput of both halves of the window, and times of TTFT",
		Fires: "the halves differ by more than `halves`, and by more than `errors` both of what chance explains and of 15 parts of each; or TTFT over the time sent has a slope with |t| over `t` and its first and last thirds are `drift` apart",
		Thresholds: []Threshold{
			{Name: "halves", Value: 0.05, Why: "Twice the 2.5 % that runs of one configuration differ by."},
			chance,
			{Name: "t", Value: 3, Why: "The slope is that of 30 means of neighbours, of which chance alone gives a t-statistic beyond ±3 once in 180 times."},
			{Name: "drift", Value: 0.2, Why: "Over a thousand requests a slope that nobody would notice has a t beyond 3, and TTFT wanders by a tenth as the users of a closed loop fall in with one another; a fifth is the bar of I05 too."},
		},
		Means:   "A ramp, a cache that fills, heat, or a queue that grows: one figure for the window hides two.",
		Reading: "nvidia-tensorrt-llm-tuning", Try: "Run for longer and read the timeline (`inferbook curve --figure timeline`).",
		look: atEach(seeHalves),
	},
	{
		ID: "I07", Title: "Run too short", Section: Validity, Severity: Warning,
		Needs: "a window and latencies",
		Fires: "the window is shorter than `latencies` p95 latencies, or a closed loop has fewer than `rounds` requests a user; an error under `least` of either",
		Thresholds: []Threshold{
			{Name: "latencies", Value: 5, Why: "NVIDIA lengthens the interval until it holds several whole requests; in published rows with shorter ones Little's law broke by up to 48 %."},
			{Name: "rounds", Value: 10, Unit: "requests a user", Why: "The edges of a window cut about one round of requests in two, a tenth of ten rounds."},
			{Name: "least", Value: 1, Why: "A window that does not hold one whole latency, or less than a request a user, is edges alone."},
		},
		Means:   "The edges of the window, where requests are cut in two, weigh as much as its middle.",
		Reading: "nvidia-genai-perf-nim", Try: "Send for five p95 latencies or longer, and in a closed loop ten requests a user: -n at least ten times the highest concurrency.",
		look: atEach(seeShort),
	},
	{
		ID: "V07", Title: "TPOT drifts from the first to the last third", Section: Validity, Severity: Warning,
		Needs: "30 successful requests with a TPOT", Fires: "mean TPOT of the last third of the requests differs from that of the first by more than `drift` and `errors`; of TTFT, I06 tells",
		Thresholds: []Threshold{
			{Name: "drift", Value: 0.1, Why: "A tenth is four times what runs of one configuration differ by."},
			chance,
		},
		Means:   "The server was not in one state: heat, another tenant, or contexts that grow.",
		Reading: "nvidia-tensorrt-llm-tuning", Try: "Run for longer, or repeat and compare the repeats.",
		look: atEach(seeDrift),
	},
}

func seeWarmup(l *look, s *analysis.PointSummary) sight {
	g := &s.Signs
	early := math.Max(float64(s.Point.Load.Concurrency), math.Ceil(0.05*float64(s.OK)))
	later := float64(s.OK) - early
	inputs := []Input{in("first requests", g.EarlyTTFT, "ms"), in("others", g.LaterTTFT, "ms"), in("very first", g.ColdTTFT, "ms"), in("TTFT p50", s.TTFT.P50.Value, "ms")}
	switch {
	case s.Oversaturated:
		return apart("Requests pile up, so that each waits longer than the one before.")
	case s.WarmedUp == 0 && g.ColdTTFT > l.limit("cold")*s.TTFT.P50.Value:
		return fired(g.ColdTTFT/s.TTFT.P50.Value, "The very first request is measured and has a TTFT of %s where the median is %s: a cold start.",
			span(g.ColdTTFT), span(s.TTFT.P50.Value)).of(inputs...)
	case !s.TTFT.P50.Known():
		return missing("There is no TTFT.")
	case math.IsNaN(g.EarlyTTFT) || math.IsNaN(g.LaterTTFT) || later < 2:
		return missing(fmt.Sprintf("There are no requests after the first %.0f to compare them with.", early))
	}
	ratio := g.EarlyTTFT / g.LaterTTFT
	// Where a few wait long, p50 and p90 may be near one another and say nothing of the spread.
	wide := math.Max(spread(s.TTFT), g.TTFTSpread*s.TTFT.Mean)
	sure := l.limit("errors") * wide * math.Sqrt((1/early+1/later)*alike(s))
	if ratio > l.limit("ratio") && g.EarlyTTFT-g.LaterTTFT > sure {
		return fired(ratio, "The first %.0f measured requests have a mean TTFT of %s and the others %s (%s times): measuring began before the run had settled.",
			early, span(g.EarlyTTFT), span(g.LaterTTFT), sentence.Short(ratio)).of(inputs...)
	}
	return silent(inputs...)
}

// changes reports whether the load changes by its own plan.
func changes(a experiment.Arrival) bool {
	switch a.Kind {
	case experiment.RampArrival, experiment.StepsArrival, experiment.OnOffArrival, experiment.TraceArrival:
		return true
	}
	return false
}

// alike is about how many requests of a point tell the same of the server's state: in an open loop
// those in flight together, whose number changes with the arrivals. In a closed loop it does not change, and
// alike are those that wait at once to be admitted, as in static batching, where they come in together.
func alike(s *analysis.PointSummary) float64 {
	if s.Point.Load.Rate > 0 && s.MeanInflight > 0 {
		return 1 + s.MeanInflight
	}
	if waiting := s.MeanInflight - s.BRun; waiting > 0 {
		return 1 + waiting
	}
	return 1
}

// leastEnds is the fewest requests within a window whose halves can be told apart.
const leastEnds = 20

// halvesError is the standard error of the relative difference between the throughputs of two
// halves that k requests ended in each. The number of ends in a half varies as a renewal
// process: by c²·k with c the coefficient of variation of what lies between ends, and by a
// sixth a user for where each user's requests fall. The lengths of answers vary on top.
func halvesError(s *analysis.PointSummary) float64 {
	k := float64(s.InWindow) / 2
	known := func(x float64) float64 {
		if math.IsNaN(x) {
			return 0
		}
		return x
	}
	between := known(spread(s.E2E) / s.E2E.Mean)
	if s.Point.Load.Rate > 0 {
		between = 1
		if !math.IsNaN(s.ArrivalCV) {
			between = s.ArrivalCV
		}
	}
	lengths := known(s.Signs.OutputCV)
	edge := math.Max(s.MeanInflight, 0) / 6
	if !(s.MeanEvents > 0) { // answers that come whole count in one instant, and those of one step in the same
		edge *= math.Max(s.MeanInflight, 1)
	}
	return math.Sqrt(2*((between*between+lengths*lengths)*k+edge)) / k
}

func seeHalves(l *look, s *analysis.PointSummary) sight {
	g := &s.Signs
	halves := deviation(g.SecondHalf, g.FirstHalf)
	thirds := deviation(g.LastThirdTTFT, g.FirstThirdTTFT)
	inputs := []Input{in("first half", g.FirstHalf, "tok/s"), in("second half", g.SecondHalf, "tok/s"), in("t of the halves", g.HalvesT, ""), in("t of TTFT's slope", g.TTFTSlopeT, ""), in("TTFT, last third ÷ first", 1+thirds, "")}
	switch {
	case changes(l.spec().Arrival):
		return apart("The load changes by its own plan.")
	case s.Oversaturated:
		return apart("Requests pile up, so that nothing is steady.")
	case math.IsNaN(halves):
		return missing("The throughput of the window's halves is not known.")
	case s.InWindow < leastEnds:
		return missing(fmt.Sprintf("%s ended within the window, too few to tell its halves apart.", sentence.Plural(s.InWindow, "request")))
	}
	var parts []string
	weight := 0.0
	if size := math.Abs(g.SecondHalf-g.FirstHalf) / ((g.FirstHalf + g.SecondHalf) / 2); size > l.limit("halves") && size > l.limit("errors")*halvesError(s) && !(math.Abs(g.HalvesT) <= l.limit("errors")) {
		weight = size
		parts = append(parts, fmt.Sprintf("the second half of the window has %s %s throughput than the first (%s and %s tok/s)",
			sentence.Percent(math.Abs(halves)), moreOrLess(halves, "more", "less"), sentence.Short(g.SecondHalf), sentence.Short(g.FirstHalf)))
	}
	if math.Abs(g.TTFTSlopeT) > l.limit("t") && math.Abs(thirds) > l.limit("drift") {
		weight = math.Max(weight, math.Abs(thirds))
		parts = append(parts, fmt.Sprintf("mean TTFT %s as the run goes on, from %s in its first third to %s in its last (t = %s)",
			moreOrLess(thirds, "grows", "falls"), span(g.FirstThirdTTFT), span(g.LastThirdTTFT), sentence.Short(g.TTFTSlopeT)))
	}
	if len(parts) == 0 {
		return silent(inputs...)
	}
	return fired(weight, "The run is not steady: %s.", join(parts)).of(inputs...)
}

func seeShort(l *look, s *analysis.PointSummary) sight {
	users, p95 := s.Point.Load.Concurrency, s.E2E.P95.Value/1000
	least := l.limit("least")
	latencies := s.Window.Seconds() / p95
	rounds := math.NaN()
	if closed(s) {
		rounds = float64(s.Sent) / float64(users)
	}
	inputs := []Input{in("window", s.Window.Seconds(), "s"), in("E2E p95", p95, "s"), in("requests a user", rounds, "")}
	var out sight
	switch {
	case s.Oversaturated:
		return apart("Requests pile up, so that no window would be long enough.")
	case math.IsNaN(latencies):
		return missing("The window or the latencies are not known.")
	case latencies < l.limit("latencies"):
		out = fired(1/latencies, "The window of %s is shorter than %s times the p95 latency of %s s: throughput rests on a few rounds of requests.", sentence.Seconds(s.Window), sentence.Short(l.limit("latencies")), sentence.Short(p95))
	case rounds < l.limit("rounds"):
		out = fired(1/rounds, "%s at concurrency %d are fewer than %s a user: throughput rests on a few rounds of requests.", sentence.Plural(s.Sent, "measured request"), users, sentence.Short(l.limit("rounds")))
	default:
		return silent(inputs...)
	}
	if latencies < least || rounds < least {
		out = out.as(Error)
	}
	return out.of(inputs...)
}

func seeDrift(l *look, s *analysis.PointSummary) sight {
	const fewest = 30 // ten a third
	switch {
	case changes(l.spec().Arrival):
		return apart("The load changes by its own plan.")
	case s.Oversaturated:
		return apart("Requests pile up, so that each waits longer than the one before.")
	case s.OK < fewest:
		return missing(fmt.Sprintf("%s are fewer than ten a third.", sentence.Plural(s.OK, "successful request")))
	}
	g := &s.Signs
	off := deviation(g.LastThirdTPOT, g.FirstThirdTPOT)
	inputs := []Input{in("first third", g.FirstThirdTPOT, "ms"), in("last third", g.LastThirdTPOT, "ms")}
	sure := l.limit("errors") * spread(s.TPOT) * math.Sqrt(6/float64(s.OK)*alike(s))
	switch {
	case math.IsNaN(off):
		return missing("There is no TPOT.")
	case math.Abs(off) > l.limit("drift") && math.Abs(g.LastThirdTPOT-g.FirstThirdTPOT) > sure:
		return fired(math.Abs(off), "The server changed as the run went on: mean TPOT is %s %s in the last third than in the first (%s and %s).",
			sentence.Percent(math.Abs(off)), moreOrLess(off, "longer", "shorter"), span(g.LastThirdTPOT), span(g.FirstThirdTPOT)).of(inputs...)
	default:
		return silent(inputs...)
	}
}
