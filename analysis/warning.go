package analysis

import (
	"fmt"
	"math"
	"strings"

	"github.com/inferbook/inferbook/experiment"
)

// The bars below are those of the instincts in the reading notes; each warning
// prints its inputs, so that a reader can disagree.
const (
	errorBar     = 0.01 // a p99 of survivors is no p99 once 1 % did not survive
	drainBar     = 0.05 // successes left out of throughput because they ended in the drain
	sharedBar    = 0.05 // gaps that the client could not time
	cpuBar       = 0.70 // of the client's own cores
	promptNear   = 0.01 // counted ÷ asked may be off by that, on average
	promptBar    = 0.75 // counted ÷ asked; tokenisers differ by 20 %, more is a cut prompt
	shortWindows = 5    // p95 latencies that a window must hold: shorter ones are mostly edges
	shortRounds  = 10   // requests per user below which chance and edges weigh too much
	littleBar    = 0.05 // how far rate × latency may be from the requests in flight
)

// warnings asks each check in turn, the gravest first.
func (c *Collector) warnings(s *PointSummary) []string {
	var out []string
	for _, check := range []func(*PointSummary) string{
		c.warnNoSuccess, c.warnUnstable, c.warnErrors, c.warnEnded, c.warnWindow, c.warnDrain, c.warnInflight, c.warnShort,
		c.warnCut, c.warnPromptLength, c.warnOutputLength, c.warnTokenSource, c.warnCached,
		c.warnBuffered, c.warnChunked, c.warnSharedReads, c.warnClientCPU, c.warnReadTimes, c.warnSendLag, c.warnHeld, c.warnPercentiles,
	} {
		if w := check(s); w != "" {
			out = append(out, w)
		}
	}
	return out
}

func (c *Collector) warnNoSuccess(s *PointSummary) string {
	if s.OK > 0 {
		return ""
	}
	if s.Sent == 0 {
		return "No measured request was sent."
	}
	if s.Sent == 1 {
		return fmt.Sprintf("The only measured request failed (%s), so there is nothing to measure.", failures(s))
	}
	return fmt.Sprintf("None of the %s succeeded (%s), so there is nothing to measure.", plural(s.Sent, "measured request"), failures(s))
}

func (c *Collector) warnErrors(s *PointSummary) string {
	if s.OK == 0 || s.ErrorRate <= errorBar {
		return ""
	}
	return fmt.Sprintf("%d of %s failed, %s (%s): the latencies are those of the survivors.",
		s.Sent-s.OK, plural(s.Sent, "measured request"), percent(s.ErrorRate), failures(s))
}

// ending puts an outcome in words that follow a count: "3 broke the protocol".
var ending = map[experiment.Outcome]string{
	experiment.Empty:     "came back empty",
	experiment.Truncated: "broke off before the end",
	experiment.HTTPError: "answered with an HTTP error",
	experiment.Protocol:  "broke the protocol",
	experiment.Timeout:   "ran into a time limit",
	experiment.Cancelled: "cancelled by the client",
	experiment.Cut:       "had their prompt cut by the server",
	experiment.Refused:   "never reached a server",
}

// failures lists the outcomes other than ok with their counts.
func failures(s *PointSummary) string {
	var parts []string
	for _, o := range experiment.Outcomes[1:] {
		if n := s.Outcomes[o]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, ending[o]))
		}
	}
	return strings.Join(parts, ", ")
}

func (c *Collector) warnWindow(s *PointSummary) string {
	if s.Sent == 0 || c.sendingEnded() || s.Point.Window.Rule == experiment.SteadyNone {
		return ""
	}
	return fmt.Sprintf("When sending stopped is not recorded, so the window of %s runs to the last answer and throughput may be low by the drain.", seconds(s.Window))
}

func (c *Collector) warnDrain(s *PointSummary) string {
	left := s.OK - s.InWindow
	switch {
	case s.OK > 0 && s.InWindow == 0 && s.Oversaturated:
		return fmt.Sprintf("All %s ended after sending had stopped, so there is no throughput; send fewer a second, or for longer.", plural(s.OK, "successful request"))
	case s.OK > 0 && s.InWindow == 0:
		return fmt.Sprintf("All %s ended outside the window, so there is no throughput; send more of them.", plural(s.OK, "successful request"))
	case s.OK > 0 && c.point.Window.Rule != experiment.SteadyOpen && float64(left) > drainBar*float64(s.OK):
		return fmt.Sprintf("%d of %s ended outside the window and count for latency only: throughput may be up to %s low.",
			left, plural(s.OK, "successful request"), percent(float64(left)/float64(s.OK)))
	default:
		return ""
	}
}

// warnInflight says that the load was not the one in the point's name.
func (c *Collector) warnInflight(s *PointSummary) string {
	users := float64(s.Point.Load.Concurrency)
	if !closed(s.Point.Load) || !c.spec.ThinkTime.IsZero() || s.OK == 0 || s.ErrorRate > errorBar || !(s.MeanInflight < (1-littleBar)*users) {
		return ""
	}
	return fmt.Sprintf("On average %s of %d requests were in flight within the window: these figures are of a smaller load than %s.",
		short(s.MeanInflight), s.Point.Load.Concurrency, s.Point.Load)
}

// warnShort says that the throughput rests on little, or does not agree with
// the latencies. Under Little's law a rate, the mean latency and the requests in
// flight fix each other in a window that is long enough.
func (c *Collector) warnShort(s *PointSummary) string {
	users := s.Point.Load.Concurrency
	p95 := s.E2E.P95.Value / 1000
	why := ""
	switch {
	case s.OK == 0 || s.Oversaturated: // a queue that grows has no mean latency to agree with
		return ""
	case s.Window.Seconds() < shortWindows*p95:
		why = fmt.Sprintf("The window of %s is shorter than %d times the p95 latency of %s s", seconds(s.Window), shortWindows, short(p95))
	case closed(s.Point.Load) && s.Sent < shortRounds*users:
		why = fmt.Sprintf("%s at concurrency %d are fewer than %d a user", plural(s.Sent, "measured request"), users, shortRounds)
	}
	off := offLittle(s)
	switch {
	case why != "" && off != "":
		return why + ": throughput rests on a few rounds of requests, and is " + off + "."
	case why != "":
		return why + ": throughput rests on a few rounds of requests."
	case off != "":
		return "Throughput is " + off + "."
	default:
		return ""
	}
}

// offLittle says how far throughput is from what the latencies make of the
// requests in flight; "" where it is near. Failed requests are in flight too and
// have no latency, so with them it says nothing.
func offLittle(s *PointSummary) string {
	off := s.LittleRatio - 1
	if s.ErrorRate > errorBar || !(math.Abs(off) > littleBar) {
		return ""
	}
	way := "higher"
	if off < 0 {
		way = "lower"
	}
	return fmt.Sprintf("%s %s than its latencies give: %s req/s × %s s is %s in flight, and there were %s (Little's law)",
		percent(math.Abs(off)), way, short(s.RequestRate), short(s.E2E.Mean/1000), short(s.RequestRate*s.E2E.Mean/1000), short(s.MeanInflight))
}

// warnPromptLength says that the prompts were not as long as asked for.
func (c *Collector) warnPromptLength(*PointSummary) string {
	asked, count := c.workload.asked.prompt, c.workload.asked.count
	off := ratio(float64(count), float64(asked)) - 1
	switch {
	case math.Abs(float64(count-asked)) <= promptNear*float64(asked):
		return ""
	case 1+off < promptBar:
		return fmt.Sprintf("The server counted %d prompt tokens where %d were asked for (%s): prompts may have been cut silently at its context limit.",
			count, asked, percent(float64(count)/float64(asked)))
	}
	way := "more"
	if off < 0 {
		way = "fewer"
	}
	w := fmt.Sprintf("The server counted %s %s prompt tokens than were asked for (%d, not %d)", percent(math.Abs(off)), way, count, asked)
	if math.Abs(off) > lengthTolerance {
		return w + ": compare with other runs by the lengths that it counted."
	}
	return w + ": the aim is 1 %."
}

func (c *Collector) warnOutputLength(s *PointSummary) string {
	asked := c.workload.asked
	if asked.outputs > 0 {
		if share := float64(asked.off) / float64(asked.outputs); share > lengthTolerance {
			return fmt.Sprintf("The output length was not controlled: %s of the answers are more than 5 %% off the length asked for, and %d of %d ended by themselves (stop). "+
				"Set ignore_eos, or compare per token only.", percent(share), c.workload.stops, s.OK)
		}
		return ""
	}
	if cv := c.workload.output.variation(); cv > lengthTolerance {
		return fmt.Sprintf("The output length varies (coefficient of variation %.2f) and no length was asked for: compare with other runs per token only.", cv)
	}
	return ""
}

func (c *Collector) warnTokenSource(s *PointSummary) string {
	switch events, none := s.CountedBy[experiment.CountedEvents], s.CountedBy[experiment.CountedNone]; {
	case none > 0:
		return fmt.Sprintf("Nobody counted the tokens of %d of %s: what rests on token counts is missing or partial.", none, plural(s.OK, "answer"))
	case events > 0:
		return fmt.Sprintf("The tokens of %d of %s were counted by events, a lower bound: figures per token rest on that.", events, plural(s.OK, "answer"))
	default:
		return ""
	}
}

func (c *Collector) warnCached(s *PointSummary) string {
	if s.CachedTokens <= 0 {
		return ""
	}
	of := ""
	if s.PromptTokens > 0 {
		of = fmt.Sprintf(" of %d (%s)", s.PromptTokens, percent(float64(s.CachedTokens)/float64(s.PromptTokens)))
	}
	return fmt.Sprintf("The server took %d prompt tokens%s from its cache: TTFT and prompt cost are those of a partly cached workload.", s.CachedTokens, of)
}

func (c *Collector) warnBuffered(s *PointSummary) string {
	if s.Streaming != StreamNone || len(c.streams.ratios) == 0 {
		return ""
	}
	return fmt.Sprintf("The stream did not come as a stream: %d of %s came in one burst, and the median TTFT is %s of E2E. "+
		"TTFT, TPOT and gaps describe a buffer, not the server.",
		c.streams.bursts, plural(len(c.streams.ratios), "streamed answer"), percent(s.TTFTOverE2E))
}

func (c *Collector) warnChunked(s *PointSummary) string {
	if s.Streaming == StreamNone || !(s.EventsPerOutput > severalTokens) {
		return ""
	}
	return fmt.Sprintf("An event carries %.1f tokens on average: gaps between events are not gaps between tokens, read TPOT instead.", s.EventsPerOutput)
}

func (c *Collector) warnSharedReads(s *PointSummary) string {
	if s.Streaming == StreamNone || !(s.SharedReads >= sharedBar) {
		return ""
	}
	return fmt.Sprintf("%s of the gaps are 0 because their event came in one read with the one before: the server, a proxy or this client bundled them.", percent(s.SharedReads))
}

func (c *Collector) warnClientCPU(s *PointSummary) string {
	if share := s.Point.Health.CPUShare; share > cpuBar {
		return fmt.Sprintf("The client used %s of its processors (more than %s): its own delays may be in these latencies.", percent(share), percent(cpuBar))
	}
	return ""
}

func (c *Collector) warnPercentiles(s *PointSummary) string {
	if s.OK == 0 {
		return ""
	}
	var names []string
	need := 0
	for _, q := range shownQuantiles {
		if n := shownCount(q); s.OK < n {
			names, need = append(names, percentile(q)), n
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("With %s there are fewer than ten beyond %s; %s needs %d.",
		plural(s.OK, "successful request"), list(names), names[len(names)-1], need)
}
