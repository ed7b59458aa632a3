package instinct

import (
	"fmt"
	"math"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

// loadRules ask whether the load was the one in the point's name, and whether the client kept out of the figures.
var loadRules = []Rule{
	{
		ID: "I08", Title: "Closed-loop identity broken", Section: Validity, Severity: Warning,
		Needs: "a closed loop with throughput, TTFT and TPOT", Fires: "output throughput is more than `off` from C·N ÷ (TTFT + (N − 1)·TPOT)",
		Thresholds: []Threshold{{Name: "off", Value: 0.05, Why: "It holds to 0–1 % in two of NVIDIA's published tables: 2 % is good, 5 % an alarm."}},
		Means:      "The client could not keep C requests in flight, or throughput and latencies come from different requests.",
		Reading:    "nvidia-fundamental-concepts", Try: "Look at the requests in flight (I09), and at what the window cuts off (I07, V12).",
		look: atEach(seeIdentity),
	},
	{
		ID: "I09", Title: "Client is the bottleneck", Section: Validity, Severity: Warning,
		Needs: "requests in flight, send lags and the client's CPU share",
		Fires: "a closed loop has fewer than `inflight` × C requests in flight, an error under `empty`; or its requests leave more than max(`lag`, `ttft` × TTFT) late at p99; or the client uses more than `cpu` of its processors",
		Thresholds: []Threshold{
			{Name: "inflight", Value: 0.95, Why: "A twentieth of the users missing moves throughput by a twentieth, twice what runs of one configuration differ by."},
			{Name: "empty", Value: 0.8, Why: "With a fifth of the users missing the figures are those of another load than the one in their name."},
			{Name: "lag", Value: 2, Unit: "ms", Why: "A client that is not busy leaves within a millisecond."},
			{Name: "ttft", Value: 0.05, Why: "A lag of a twentieth of TTFT lowers the load by less than runs of one configuration differ by."},
			{Name: "cpu", Value: 0.7, Why: "From about 70 % of the processors on, a goroutine that can run waits for one."},
		},
		Means:   "The harness was measured, and not the server.",
		Reading: "vllm-repository", Try: "Use a host with more processors, or spread the users over several clients; `inferbook selftest` measures the client's error.",
		look: atEach(seeClient),
	},
	{
		ID: "I10", Title: "Coordinated omission", Section: Validity, Severity: Warning,
		Needs: "an open loop with its send lags", Fires: "requests leave late at p99, by more than `lag` of the mean gap between arrivals or of the median TTFT and by over 1 ms; or a cap held requests back; or a p99 from the schedule is `waited` times that from the send",
		Thresholds: []Threshold{
			{Name: "lag", Value: 0.1, Why: "Above a tenth of the gap between arrivals they are no longer the ones that were planned."},
			{Name: "waited", Value: 1.1, Why: "A p99 that leaves out a tenth of what users wait is the p99 of something else."},
		},
		Means:   "Latencies from the send leave out the wait before it. Those from the schedule (ttft_sched, e2e_sched) have it.",
		Reading: "cheng-inference-benchmarking", Try: "Quote ttft_sched and e2e_sched, and say that they count from the schedule.",
		look: atEach(seeOmission),
	},
	{
		ID: "V03", Title: "Rate not achieved", Section: Validity, Severity: Warning,
		Needs: "an open loop with its schedule", Fires: "requests left at under `kept` of the schedule's own rate; an error under `condemn`",
		Thresholds: []Threshold{
			{Name: "kept", Value: 0.98, Why: "A client that keeps its schedule is off by its last lag alone, far under 2 %."},
			{Name: "condemn", Value: 0.9, Why: "A tenth under the rate in its name it is the figure of another load."},
		},
		Means:   "The server saw a lower rate than the one in the point's name.",
		Reading: "vllm-repository", Try: "Lift the cap on concurrency, or use a client with more processors.",
		look: atEach(seeRate),
	},
	{
		ID: "V10", Title: "Little's law broken", Section: Validity, Severity: Warning,
		Needs: "a request rate, a mean latency and the requests in flight", Fires: "rate × latency is more than `off` from the requests in flight, and further than the requests that the window's edges cut in two can account for",
		Thresholds: []Threshold{{Name: "off", Value: 0.05, Why: "In a window that is long enough the three fix each other; 5 % is twice what runs of one configuration differ by."}},
		Means:      "Throughput and latency do not come from the same requests.",
		Reading:    "nvidia-fundamental-concepts", Try: "Look for requests that count for one and not for the other: failed ones (I13), warm-up, or a load beside this one.",
		look: atEach(seeLittle),
	},
	{
		ID: "V11", Title: "Over-saturated", Section: Validity, Severity: Error,
		Needs: "an open loop", Fires: "requests pile up: fewer end than arrive, by more than chance explains",
		Means:   "Each request waits longer than the one before, so that any latency says how long the run was. Throughput is what the server can do at most.",
		Reading: "nvidia-fundamental-concepts", Try: "Quote the highest stable rate, and latencies at or below it.",
		look: atEvery(seePile),
	},
	{
		ID: "V13", Title: "Client's clock", Section: Validity, Severity: Warning,
		Needs: "the client's record of itself", Fires: "arrivals are the times of the client's own reads, and it read more than `lag` late at p99",
		Thresholds: []Threshold{{Name: "lag", Value: 1, Unit: "ms", Why: "A read of an idle client is late by about 0.1 ms."}},
		Means:      "TTFT and gaps may be too long by the client's own delay. Times by the kernel's stamps do not suffer from it.",
		Reading:    "vllm-joins-pytorch", Try: "Run the client on Linux, whose kernel stamps what arrives, or on a less busy host.",
		look: atEach(seeClock),
	},
}

const (
	manyFailed = "Failed requests are in flight too, and have no latency."
	notClosed  = "The load is no closed loop."
	notOpen    = "The load is no open loop."
	pausing    = "Users pause between requests."
)

// pauses reports whether users pause between their requests.
func pauses(s *experiment.Spec) bool {
	if !s.ThinkTime.IsZero() {
		return true
	}
	for i := range s.Classes {
		if !s.Classes[i].ThinkTime.IsZero() {
			return true
		}
	}
	return false
}

func seeIdentity(l *look, s *analysis.PointSummary) sight {
	off := deviation(s.IdentityRatio, 1)
	inputs := []Input{in("output throughput", s.OutputThroughput, "tok/s"), in("ratio", s.IdentityRatio, "")}
	switch {
	case !closed(s):
		return apart(notClosed)
	case pauses(l.spec()):
		return apart(pausing)
	case failing(s):
		return missing(manyFailed)
	case s.Signs.HiddenReasoning > 0:
		return missing("Reasoning tokens were counted and not streamed, and TPOT does not have them.")
	case math.IsNaN(off):
		return missing("It needs throughput, TTFT and TPOT, and one of them is not known.")
	case math.Abs(off) > l.limit("off"):
		return fired(math.Abs(off), "Output throughput is %s tok/s, %s %s than %s × %s tokens ÷ (TTFT + (N − 1)·TPOT) give: %s tok/s.",
			sentence.Short(s.OutputThroughput), sentence.Percent(math.Abs(off)), moreOrLess(off, "more", "less"), sentence.Plural(s.Point.Load.Concurrency, "user"), sentence.Short(s.MeanOutput), sentence.Short(s.OutputThroughput/s.IdentityRatio)).of(inputs...)
	default:
		return silent(inputs...)
	}
}

// fewLags is the count of requests under which the p99 of the lags is one late request,
// which counts from latest on.
const (
	fewLags = 20
	latest  = 10 // ms
)

func seeClient(l *look, s *analysis.PointSummary) sight {
	h, users := &s.Point.Health, float64(s.Point.Load.Concurrency)
	lag := math.NaN()
	if h.SendLagP99 != experiment.Unknown {
		lag = float64(h.SendLagP99) / 1e6
	}
	simulated := h.StampSource == "simulator" // in virtual time the client takes none
	inputs := []Input{in("in flight", s.MeanInflight, "requests"), in("send lag p99", lag, "ms"), in("CPU share", known(h.CPUShare), "")}
	var parts []string
	weight, severity := 0.0, Warning
	paced := pauses(l.spec())
	if closed(s) && !paced && !failing(s) && s.MeanInflight < l.limit("inflight")*users {
		weight = 1 + 1 - s.MeanInflight/users
		parts = append(parts, fmt.Sprintf("on average %s of %d requests were in flight within the window: these figures are of a smaller load", sentence.Short(s.MeanInflight), s.Point.Load.Concurrency))
		if s.MeanInflight < l.limit("empty")*users {
			severity = Error
		}
	}
	if bar := math.Max(l.limit("lag"), l.limit("ttft")*s.TTFT.P50.Value); closed(s) {
		if math.IsNaN(bar) {
			bar = l.limit("lag")
		}
		switch few := s.Sent < fewLags; { // whose p99 is the maximum
		case few && lag > latest:
			parts = append(parts, fmt.Sprintf("the latest of %s left %s ms after its time", sentence.Plural(s.Sent, "measured request"), sentence.Short(lag)))
		case !few && lag > bar:
			parts = append(parts, fmt.Sprintf("requests left up to %s ms late (p99, more than %s ms): the client did not keep its schedule", sentence.Short(lag), sentence.Short(bar)))
		}
	}
	if h.CPUShare > l.limit("cpu") {
		parts = append(parts, fmt.Sprintf("the client used %s of its processors (more than %s): its own delays may be in these latencies", sentence.Percent(h.CPUShare), sentence.Percent(l.limit("cpu"))))
	}
	switch {
	case len(parts) > 0:
		return fired(weight, "%s.", capital(join(parts))).as(severity).of(inputs...)
	case simulated:
		return silent(inputs...)
	case h.CPUShare < 0:
		return missing("The client's CPU share was not recorded.")
	case math.IsNaN(lag):
		return missing("How late requests left was not recorded.")
	case closed(s) && !paced && failing(s):
		return missing(manyFailed)
	default:
		return silent(inputs...)
	}
}

// known is a share, NaN for a negative one, which stands for none.
func known(share float64) float64 {
	if share < 0 {
		return math.NaN()
	}
	return share
}

func seeOmission(l *look, s *analysis.PointSummary) sight {
	rate := s.Point.Load.Rate
	if rate == 0 {
		return apart(notOpen)
	}
	lag := s.SendLag.P99.Value
	inputs := []Input{in("send lag p99", lag, "ms"), in("mean gap between arrivals", 1000/rate, "ms"), in("held back", float64(s.HeldBack), "requests"),
		in("TTFT p99", s.TTFT.P99.Value, "ms"), in("TTFT p99 from the schedule", s.TTFTSched.P99.Value, "ms"), in("E2E p99", s.E2E.P99.Value, "ms"), in("E2E p99 from the schedule", s.E2ESched.P99.Value, "ms")}
	if math.IsNaN(lag) {
		return missing("How late requests left was not recorded.")
	}
	waited := l.waited(s)
	if s.HeldBack > 0 {
		limit := "The cap on concurrency"
		if n := l.spec().MaxConcurrency; n > 0 {
			limit = fmt.Sprintf("The cap of %d", n)
		}
		if waited == "" {
			waited = "read ttft_sched beside ttft"
		}
		return fired(2+s.HeldMax, "%s held back %s, the longest by %s: %s.", limit, sentence.Plural(s.HeldBack, "request"), span(s.HeldMax), waited).of(inputs...)
	}
	share := l.limit("lag")
	bar, of := share*1000/rate, fmt.Sprintf("%s of the mean gap of %s", sentence.Percent(share), span(1000/rate))
	if first := s.TTFT.P50; first.Known() && share*first.Value < bar {
		bar, of = share*first.Value, fmt.Sprintf("%s of the median TTFT of %s", sentence.Percent(share), span(first.Value))
	}
	late := lag > math.Max(bar, 1)
	switch {
	case late && waited != "":
		return fired(1+lag, "Requests left up to %s late (p99, more than %s): %s.", span(lag), of, waited).of(inputs...)
	case late:
		return fired(lag, "Requests left up to %s late (p99, more than %s): the arrivals are not quite those planned.", span(lag), of).of(inputs...)
	case waited != "":
		return fired(0, "Latencies from the send leave out a wait: %s.", waited).of(inputs...)
	default:
		return silent(inputs...)
	}
}

// waited says how much longer a p99 is from the schedule than from the send; "" where it is not.
func (l *look) waited(s *analysis.PointSummary) string {
	for _, d := range []struct {
		name        string
		sent, sched analysis.Estimate
	}{{"TTFT", s.TTFT.P99, s.TTFTSched.P99}, {"E2E", s.E2E.P99, s.E2ESched.P99}} {
		if d.sent.Known() && d.sched.Value > l.limit("waited")*d.sent.Value && d.sched.Value > d.sent.Value+1 {
			return fmt.Sprintf("p99 of %s is %s from the send and %s from the schedule, which is what a user waits", d.name, span(d.sent.Value), span(d.sched.Value))
		}
	}
	return ""
}

func seeRate(l *look, s *analysis.PointSummary) sight {
	if !s.Point.Load.Open() {
		return apart(notOpen)
	}
	kept := s.AchievedRate / s.ScheduledRate
	inputs := []Input{in("offered", s.OfferedRate, "req/s"), in("scheduled", s.ScheduledRate, "req/s"), in("achieved", s.AchievedRate, "req/s")}
	switch {
	case math.IsNaN(kept):
		return missing("The rate of the schedule or that of the sends is not known.")
	case kept >= l.limit("kept"):
		return silent(inputs...)
	}
	why := "the client cannot keep"
	if s.HeldBack > 0 {
		why = "the cap on concurrency did not let it keep"
	}
	out := fired(1-kept, "Requests left at %s req/s, %s of what the schedule asks: %s %s req/s.", sentence.Short(s.AchievedRate), sentence.Percent(kept), why, sentence.Short(s.ScheduledRate)).of(inputs...)
	if kept < l.limit("condemn") {
		return out.as(Error)
	}
	return out
}

func seeLittle(l *look, s *analysis.PointSummary) sight {
	off := deviation(s.LittleRatio, 1)
	inputs := []Input{in("request rate", s.RequestRate, "req/s"), in("mean E2E", s.E2E.Mean/1000, "s"), in("in flight", s.MeanInflight, "requests")}
	switch {
	case s.Oversaturated:
		return apart("A queue that grows has no mean latency to agree with.")
	case failing(s):
		return missing(manyFailed)
	case closed(s) && !math.IsNaN(s.IdentityRatio) && !pauses(l.spec()) && s.MeanInflight >= 0.95*float64(s.Point.Load.Concurrency):
		return apart("All users have a request in flight, so that the closed loop's identity (I08) asks the same.")
	case math.IsNaN(off):
		return missing("It needs a request rate, a mean latency and the requests in flight, and one of them is not known.")
	case math.Abs(off) > l.limit("off") && math.Abs(off) <= edges(s):
		return missing(fmt.Sprintf("The window of %s holds %s mean latencies, and up to %s were in flight at once: those that its edges cut in two can account for %s, and rate × latency is off by %s.",
			sentence.Seconds(s.Window), sentence.Short(1000*s.Window.Seconds()/s.E2E.Mean), sentence.Plural(s.MaxInflight, "request"), sentence.Percent(edges(s)), sentence.Percent(math.Abs(off))))
	case math.Abs(off) > l.limit("off"):
		return fired(math.Abs(off), "Throughput is %s %s than its latencies give: %s req/s × %s s is %s in flight, and there were %s (Little's law).",
			sentence.Percent(math.Abs(off)), moreOrLess(off, "higher", "lower"), sentence.Short(s.RequestRate), sentence.Short(s.E2E.Mean/1000), sentence.Short(s.RequestRate*s.E2E.Mean/1000), sentence.Short(s.MeanInflight)).of(inputs...)
	default:
		return silent(inputs...)
	}
}

// edges is by how much of itself rate × latency can differ from the requests in flight since the window cuts
// requests in two: those in flight at its end take up room in it and do not end there, those in flight at its
// beginning end there and took up room before it. Each way these are at most as many as were in flight
// at once, for a latency.
func edges(s *analysis.PointSummary) float64 {
	return float64(s.MaxInflight) / s.MeanInflight * s.E2E.Mean / (1000 * s.Window.Seconds())
}

func seePile(_ *look, s *analysis.PointSummary) sight {
	inputs := []Input{in("offered", s.OfferedRate, "req/s"), in("ended", s.RequestRate, "req/s"), in("growth of the requests in flight", s.InflightSlope, "req/s"), in("its chance", s.InflightSlopeP, "")}
	switch {
	case !s.Point.Load.Open():
		return apart(notOpen)
	case !s.Oversaturated && s.OK == 0:
		return missing(noSuccess)
	case !s.Oversaturated:
		return silent(inputs...)
	case s.InflightSlope > 0.01*s.OfferedRate:
		ended := "none ended while they came"
		if !math.IsNaN(s.RequestRate) {
			ended = sentence.Short(s.RequestRate) + " ended"
		}
		return fired(s.InflightSlope, "Unstable: %s req/s were offered and %s, so that %s more a second were waiting or in flight. Any percentile here measures how long the run was.",
			sentence.Short(s.OfferedRate), ended, sentence.Short(s.InflightSlope)).of(inputs...)
	default:
		return fired(0, "Unstable: requests pile up. Any percentile here measures how long the run was.").of(inputs...)
	}
}

func seeClock(l *look, s *analysis.PointSummary) sight {
	h := &s.Point.Health
	which := "Arrivals are"
	switch h.StampSource {
	case "":
		return missing("The client kept no record of itself.")
	case "simulator":
		return apart("The times are the simulated engine's own.")
	case "kernel":
		return silent(in("read lag p99", s.ReadLagP99, "ms"))
	case "kernel+read":
		which = "Some arrivals are"
	}
	lag := float64(max(h.WakeLagP99, h.ReadLagP99)) / 1e6
	switch {
	case lag < 0:
		return missing("How late the client read was not recorded.")
	case lag > l.limit("lag"):
		return fired(lag, "%s read times, not the kernel's, and this client read up to %s ms late (p99): TTFT and gaps may be too long by that.", which, sentence.Short(lag)).of(in("read lag p99", lag, "ms"))
	default:
		return silent(in("read lag p99", lag, "ms"))
	}
}
