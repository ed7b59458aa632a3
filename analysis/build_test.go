package analysis

import (
	"iter"
	"math/rand/v2"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// at makes an instant from milliseconds.
func at(ms float64) experiment.Instant { return experiment.Instant(ms * 1e6) }

// stream is a measured, successful answer of the given tokens, one an event: the
// first after ttft, the others tpot apart. Times are in milliseconds.
func stream(sent, ttft float64, tokens int, tpot float64) experiment.Sample {
	s := experiment.NewSample(0)
	s.Scheduled, s.Sent = at(sent), at(sent)
	s.FirstEvent, s.FirstContent = at(sent+ttft), at(sent+ttft)
	s.LastContent = s.FirstContent.Add(time.Duration(float64(tokens-1) * tpot * 1e6))
	s.End = s.LastContent
	for range tokens - 1 {
		s.Gaps = append(s.Gaps, experiment.Gap(tpot*1e6))
	}
	s.Events, s.Reads = tokens, tokens
	s.PromptAsked, s.PromptTokens, s.OutputAsked, s.OutputTokens = 500, 500, tokens, tokens
	s.Counted, s.Finish, s.Outcome = experiment.CountedUsage, "length", experiment.OK
	return s
}

// whole is a measured, successful answer that was not streamed.
func whole(sent, e2e float64, tokens int) experiment.Sample {
	s := experiment.NewSample(0)
	s.Scheduled, s.Sent, s.End = at(sent), at(sent), at(sent+e2e)
	s.PromptAsked, s.PromptTokens, s.OutputAsked, s.OutputTokens = 500, 500, tokens, tokens
	s.Counted, s.Finish, s.Outcome = experiment.CountedUsage, "length", experiment.OK
	return s
}

// failed is a measured request that ended badly.
func failed(sent, e2e float64, how experiment.Outcome) experiment.Sample {
	s := experiment.NewSample(0)
	s.Scheduled, s.Sent, s.End, s.Outcome = at(sent), at(sent), at(sent+e2e), how
	return s
}

func with(s experiment.Sample, change func(*experiment.Sample)) experiment.Sample {
	change(&s)
	return s
}

// loop is a closed loop of users that each send n identical requests one after
// another, staggered by a millisecond; sending stops at sendEnd (in ms).
func loop(users, n int, sendEnd, ttft float64, tokens int, tpot float64) (experiment.Point, []experiment.Sample) {
	p := point(users, sendEnd)
	e2e := ttft + float64(tokens-1)*tpot
	var samples []experiment.Sample
	for u := range users {
		for i := range n {
			s := stream(float64(u)+float64(i)*e2e, ttft, tokens, tpot)
			s.Seq, s.Worker = len(samples), u
			samples = append(samples, s)
		}
	}
	return p, samples
}

func point(users int, sendEnd float64) experiment.Point {
	return experiment.Point{
		ID: "01POINT", ExperimentID: "01EXP", Load: experiment.Load{Concurrency: users}, Status: experiment.Complete,
		Anchor: time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC),
		Window: experiment.Window{Start: 0, SendEnd: at(sendEnd), End: at(sendEnd), Rule: experiment.SteadyClosed},
		Health: experiment.Health{SendLagP50: experiment.Unknown, SendLagP99: experiment.Unknown, CPUShare: -1},
	}
}

func collect(p experiment.Point, samples ...experiment.Sample) PointSummary {
	c := NewCollector(p)
	for i := range samples {
		c.Add(&samples[i])
	}
	return c.Summary()
}

func collectFor(p experiment.Point, spec *experiment.Spec, samples ...experiment.Sample) PointSummary {
	c := NewCollectorFor(p, spec)
	for i := range samples {
		c.Add(&samples[i])
	}
	return c.Summary()
}

// slo reads an SLO that is known to be one.
func slo(t interface{ Fatal(...any) }, text string) experiment.SLO {
	s, err := experiment.ParseSLO(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// queue is an open loop of n requests at a rate in requests per second before one
// server that takes a mean time of service seconds over each, at random gaps and times where
// the seed is over 0, else evenly. Its answers are one token of text at their end.
func queue(rate float64, n int, seed uint64, service float64) (experiment.Point, []experiment.Sample) {
	r := rand.New(rand.NewPCG(seed, 7))
	draw := func() float64 {
		if seed == 0 {
			return 1
		}
		return r.ExpFloat64()
	}
	var out []experiment.Sample
	arrival, free := 0.0, 0.0 // s
	for i := range n {
		arrival += draw() / rate
		free = max(free, arrival) + service*draw()
		s := stream(1000*arrival, 1000*(free-arrival), 1, 0)
		s.Seq, s.CachedTokens = i, 0
		out = append(out, s)
	}
	p := point(0, 0)
	p.Load = experiment.Load{Rate: rate}
	p.Window = experiment.Window{Start: out[0].Scheduled, SendEnd: out[n-1].Scheduled, End: at(1000 * free), Rule: experiment.SteadyOpen}
	return p, out
}

func each(samples []experiment.Sample, end error) iter.Seq2[experiment.Sample, error] {
	return func(yield func(experiment.Sample, error) bool) {
		for _, s := range samples {
			if !yield(s, nil) {
				return
			}
		}
		if end != nil {
			yield(experiment.Sample{}, end)
		}
	}
}
