package analysis

import (
	"fmt"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

const (
	fewLags   = 20 // requests under which a late one is one late request, and no p99
	latestBar = 10 * time.Millisecond
	lagBar    = 0.1  // of the mean gap between arrivals, and of the TTFT
	keptBar   = 0.98 // of the schedule's own rate: under it the client did not keep the rate
	heldBar   = 0.01 // of the requests: from there on p99 of the lag is the cap's
	waitedBar = 1.1  // p99 from the schedule ÷ p99 from the send
	readBar   = 1.0  // ms
)

// warnUnstable says that the load is more than the server serves.
func (c *Collector) warnUnstable(s *PointSummary) string {
	if !s.Oversaturated {
		return ""
	}
	why := ""
	_, to := c.window()
	if over, figures := c.saturation(to).Over(); over {
		why = ": " + figures
	}
	return fmt.Sprintf("Unstable at %s%s. Any percentile here measures how long the run was.", s.Point.Load, why)
}

// warnEnded says why a point ended before its plan did.
func (c *Collector) warnEnded(s *PointSummary) string {
	switch s.Point.Ended {
	case experiment.EndOversaturated:
		return "The point was ended early, since its requests piled up."
	case experiment.EndPrecise:
		asked := "the figure asked for"
		if p := c.spec.Until; !p.IsZero() {
			asked = p.String()
		}
		return fmt.Sprintf("The point ended once %s was reached, after looking whenever there were a tenth more samples: "+
			"a rule that stops at the first narrow interval makes intervals look a little narrower than they are.", asked)
	case experiment.EndErrors:
		return "The point was ended early by the limit on failed requests."
	case experiment.EndCost:
		return "The point was ended early by the limit on cost."
	default:
		return ""
	}
}

// warnCut says that the server took only a part of some prompts.
func (c *Collector) warnCut(s *PointSummary) string {
	n := s.Outcomes[experiment.Cut]
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("The server silently cut the prompt of %d of %s, which count as failures: ask for shorter prompts, or serve a longer context.",
		n, plural(s.Sent, "measured request"))
}

// warnReadTimes says that arrivals were seen late, where they are the times of our
// own reads and those were slow. Times by the kernel's stamp do not suffer from it.
func (c *Collector) warnReadTimes(s *PointSummary) string {
	h := s.Point.Health
	if h.StampSource != "read" && h.StampSource != "kernel+read" {
		return ""
	}
	lag := float64(max(h.WakeLagP99, h.ReadLagP99)) / 1e6
	if lag <= readBar {
		return ""
	}
	which := "Arrivals are"
	if h.StampSource == "kernel+read" {
		which = "Some arrivals are"
	}
	return fmt.Sprintf("%s read times, not the kernel's, and this client read up to %s ms late (p99): TTFT and gaps may be too long by that.", which, short(lag))
}

func (c *Collector) warnSendLag(s *PointSummary) string {
	lag := time.Duration(s.Point.Health.SendLagP99)
	switch {
	case s.OK == 0 || capped(s):
		return "" // the cap made them late, which another warning says
	case c.point.Load.Rate > 0:
		return c.warnRateLag(s)
	case s.Sent < fewLags && lag <= latestBar:
		return ""
	case s.Sent < fewLags: // whose p99 is the maximum
		return fmt.Sprintf("The latest of %s left %s ms after its time.", plural(s.Sent, "measured request"), short(lag.Seconds()*1e3))
	}
	bar := time.Millisecond
	if s.TTFT.P50.Known() {
		bar = max(bar, time.Duration(0.05*s.TTFT.P50.Value*float64(time.Millisecond)))
	}
	if lag <= bar {
		return ""
	}
	return fmt.Sprintf("Requests left up to %s ms late (p99, more than %s ms): the client did not keep its schedule.",
		short(lag.Seconds()*1e3), short(bar.Seconds()*1e3))
}

// warnRateLag says that an open loop's arrivals were not the ones that were planned.
func (c *Collector) warnRateLag(s *PointSummary) string {
	lag, gap := s.SendLag.P99.Value, 1000/c.point.Load.Rate
	bar, of := lagBar*gap, fmt.Sprintf("10 %% of the mean gap of %s ms", short(gap))
	if first := s.TTFT.P50; first.Known() && lagBar*first.Value < bar {
		bar, of = lagBar*first.Value, fmt.Sprintf("10 %% of the median TTFT of %s ms", short(first.Value))
	}
	if !(lag > max(bar, 1)) {
		return ""
	}
	w := fmt.Sprintf("Requests left up to %s ms late (p99, more than %s)", short(lag), of)
	planned, kept := c.arrivals.rate(c.arrivals.due), s.AchievedRate
	if kept < keptBar*planned {
		return w + fmt.Sprintf(": the client cannot keep %s req/s, it kept %s. Latencies from the schedule (ttft_sched, e2e_sched) have the wait.",
			short(planned), short(kept))
	}
	return w + ": the arrivals are not quite those planned. Latencies from the schedule (ttft_sched, e2e_sched) have the wait."
}

// warnHeld names the effect of a cap on concurrency, and else that latencies from
// the send leave out a wait: coordinated omission.
func (c *Collector) warnHeld(s *PointSummary) string {
	waited := ""
	for _, d := range []struct {
		name        string
		sent, sched Estimate
	}{{"TTFT", s.TTFT.P99, s.TTFTSched.P99}, {"E2E", s.E2E.P99, s.E2ESched.P99}} {
		if d.sent.Known() && d.sched.Value > waitedBar*d.sent.Value && d.sched.Value > d.sent.Value+1 {
			waited = fmt.Sprintf("p99 of %s is %s ms from the send and %s ms from the schedule, which is what a user waits", d.name, short(d.sent.Value), short(d.sched.Value))
			break
		}
	}
	switch {
	case c.point.Load.Rate == 0:
		return ""
	case s.HeldBack > 0:
		limit := "The cap on concurrency"
		if n := c.spec.MaxConcurrency; n > 0 {
			limit = fmt.Sprintf("The cap of %d", n)
		}
		w := fmt.Sprintf("%s held back %s, the longest by %s ms", limit, plural(s.HeldBack, "request"), short(s.HeldMax))
		if waited == "" {
			return w + ": read ttft_sched beside ttft."
		}
		return w + ": " + waited + "."
	case waited != "":
		return "Latencies from the send leave out a wait: " + waited + "."
	default:
		return ""
	}
}
