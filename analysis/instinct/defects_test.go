package instinct

import (
	"slices"

	"github.com/inferbook/inferbook/experiment"
)

var streamDefects = []defect{
	{"nothing", loop, nil, nil, ""},
	{"nothing, at a rate", openLoop, nil, nil, ""},
	{"a proxy buffers", loop, each(func(s *experiment.Sample) { s.FirstContent, s.FirstEvent = s.LastContent, s.LastContent; clear(s.Gaps) }), []string{
		"I01 error: The stream did not come as a stream: 1000 of 1000 streamed answers came in one burst, and the median TTFT is 100 % of E2E. TTFT, TPOT and gaps describe a buffer, not the server."}, "I01 bursts 1"},
	{"a buffer that lets a little through", shaped(func(int) (float64, float64) { return 115 - 19*0.45, 0.45 }), nil, []string{
		"I01 error: The median TTFT is 92.6 % of E2E, and then a token comes every 0.45 ms, which is faster than anybody writes. TTFT, TPOT and gaps describe a buffer, not the server."}, "I01 pace 0.1"},
	{"a queue as long, in which each then gets its tokens one by one", shaped(func(int) (float64, float64) { return 1000, 5 }), nil, nil, ""},
	{"a stream was asked for and none came", loop, each(whole), []string{
		"I01 error: A stream was asked for, and the answers came whole: there is no TTFT, no TPOT and no gap."}, ""},
	{"not streamed on purpose", loop, func(c *subject) { c.exp.Spec.Stream = false; each(whole)(c) }, nil, ""},
	{"two tokens an event", loop, each(func(s *experiment.Sample) { s.OutputTokens, s.OutputAsked = 40, 40 }), []string{
		"I02 warning: An event carries 2.0 tokens on average: gaps between events are not gaps between tokens, read TPOT instead."}, "I02 tokens 3"},
	{"empty events first", loop, each(func(s *experiment.Sample) { s.FirstEvent = s.Sent + ms(8) }), []string{
		"I14 note: The first event came 12 ms before the first text, 60 % of the median TTFT: a tool that counts it prints that much less."}, "I14 ms 20"},
	{"hidden reasoning", loop, each(func(s *experiment.Sample) { s.OutputTokens, s.OutputAsked, s.ReasoningTokens = 120, 120, 100 }), []string{
		"I14 warning: The reasoning tokens of 1000 of 1000 answers were counted and not streamed: TTFT holds the time of thinking, and TPOT is of the tokens that were seen.",
		"V09 warning: E2E and TTFT + TPOT·(N − 1) are up to 435 % of E2E apart in one answer: its N counts tokens that were not streamed one by one."}, ""},
	{"one gap of 19 is shared", loop, each(func(s *experiment.Sample) { s.Gaps[3] = experiment.SameRead }), []string{
		"V08 warning: 5.26 % of the gaps are 0 because their event came in one read with the one before: the server, a proxy or this client bundled them."}, "V08 share 0.1"},
}

var tokenDefects = []defect{
	{"counted by events", loop, first(3, func(s *experiment.Sample) { s.Counted = experiment.CountedEvents }), []string{
		"I03 warning: The tokens of 3 of 1000 answers were counted by events, a lower bound: figures per token rest on that."}, ""},
	{"counted by nobody", loop, first(1, func(s *experiment.Sample) { s.Counted, s.OutputTokens = experiment.CountedNone, experiment.Unknown }), []string{
		"I03 warning: Nobody counted the tokens of 1 of 1000 answers: what rests on token counts is missing or partial."}, ""},
	{"more events than tokens", loop, each(func(s *experiment.Sample) { s.OutputTokens, s.OutputAsked = 16, 16 }), []string{
		"I03 warning: There are 25 % more events with text than the server counted tokens, and no event holds less than one."}, "I03 share 0.3"},
	{"answers end by themselves", loop, each(func(s *experiment.Sample) { s.OutputAsked, s.Finish = 128, "stop" }), []string{
		"I04 warning: The output length was not controlled: 100 % of the answers are more than 5 % off the length asked for, and 1000 of 1000 ended by themselves (stop)."}, "I04 share 1"},
	{"lengths vary and none was asked for", loop, each(func(s *experiment.Sample) { s.OutputAsked, s.OutputTokens = experiment.Unknown, 18+s.Seq%5 }), []string{
		"I04 warning: The output length varies (coefficient of variation 0.07) and no length was asked for: compare with other runs per token only."}, "I04 cv 0.1"},
	{"lengths vary as asked", loop, each(func(s *experiment.Sample) { s.OutputTokens = 19 + s.Seq%3; s.OutputAsked = s.OutputTokens }), nil, ""},
	{"prompts cut at the context limit", loop, each(func(s *experiment.Sample) { s.PromptAsked = 8000 }), []string{
		"V04 error: The server counted 500,000 prompt tokens where 8,000,000 were asked for (6.25 %): prompts may have been cut silently at its context limit."}, ""},
	{"another tokeniser counts a fifth less: no cut, and another workload", loop, each(func(s *experiment.Sample) { s.PromptAsked = 625 }), []string{
		"V04 warning: The server counted 20 % fewer prompt tokens than were asked for (500,000, not 625,000): compare with other runs by the lengths that it counted."}, ""},
	{"2 % more", loop, each(func(s *experiment.Sample) { s.PromptTokens = 510 }), []string{
		"V04 note: The server counted 2 % more prompt tokens than were asked for (510,000, not 500,000): the aim is 1 %."}, "V04 near 0.03"},
	{"1 % more is what is aimed for", loop, each(func(s *experiment.Sample) { s.PromptTokens = 505 }), nil, ""},
	{"a prompt was cut", loop, first(1, func(s *experiment.Sample) { s.Outcome = experiment.Cut }), []string{
		"I11 note: With 999 successful requests there are fewer than 10 beyond p99; p99 needs 1000.",
		"V04 warning: The server silently cut the prompt of 1 of 1000 measured requests, which count as failures: ask for shorter prompts, or serve a longer context."}, ""},
	{"a warm cache", loop, each(func(s *experiment.Sample) { s.CachedTokens = 64 }), []string{
		"V05 warning: The server took 64,000 prompt tokens of 500,000 (12.8 %) from its cache: TTFT and prompt cost are those of a partly cached workload."}, "V05 share 0.2"},
	{"a cache that the workload fills", loop, func(c *subject) {
		c.exp.Spec.Prefix = &experiment.Prefix{Share: 1, Tokens: 64, Groups: 1}
		each(func(s *experiment.Sample) { s.CachedTokens = 64 })(c)
	}, []string{"V05 note: The server took 64,000 prompt tokens of 500,000 (12.8 %) from its cache: TTFT and prompt cost are those of a partly cached workload. That is the workload's own: prompts share prefixes."}, "V05 share 0.2"},
	{"every prompt twice", loop, each(func(s *experiment.Sample) { s.PromptHash = string(rune('a' + s.Seq/2)) }), []string{
		"V06 warning: 500 of 1000 prompts (50 %) are copies of earlier ones: a server with a prefix cache need not prefill them."}, "V06 share 0.6"},
	{"a file of 500 prompts", loop, func(c *subject) {
		c.exp.Spec.Data = &experiment.Data{Items: 500}
		each(func(s *experiment.Sample) { s.PromptHash = string(rune('a' + s.Seq%500)) })(c)
	}, []string{"V06 note: 500 of 1000 prompts (50 %) are copies of earlier ones: a server with a prefix cache need not prefill them. That is the workload's own: its file has 500 items."}, ""},
	{"one prompt", loop, func(c *subject) {
		c.exp.Spec.Prompt = "Hello."
		each(func(s *experiment.Sample) { s.PromptHash, s.PromptAsked = "a", 0 })(c)
	}, []string{"V06 note: 999 of 1000 prompts (99.9 %) are copies of earlier ones: a server with a prefix cache need not prefill them. That is the workload's own: all requests have the same prompt."}, ""},
}

var steadyDefects = []defect{
	{"the first 50 are cold", shaped(func(i int) (float64, float64) {
		if i < 50 {
			return 60, 5
		}
		return 20, 5
	}), nil, []string{
		"I05 warning: The first 50 measured requests have a mean TTFT of 58.4 ms and the others 20 ms (2.92 times): measuring began before the run had settled."}, "I05 ratio 5"},
	{"the very first is cold", shaped(func(i int) (float64, float64) {
		if i == 0 {
			return 500, 5
		}
		return 20, 5
	}), nil, []string{"I05 warning: The very first request is measured and has a TTFT of 500 ms where the median is 20 ms: a cold start."}, "I05 cold 50"},
	{"TTFT grows", shaped(func(i int) (float64, float64) { return across(i, 20, 30), 5 }), nil, []string{
		"I06 warning: The run is not steady: mean TTFT grows as the run goes on, from 21.7 ms in its first third to 28.3 ms in its last (t = 493)."}, "I06 drift 1"},
	{"TPOT grows", shaped(func(i int) (float64, float64) { return 20, across(i, 5, 6) }), nil, []string{
		"I06 warning: The run is not steady: the second half of the window has 7.29 % less throughput than the first (309 and 333 tok/s).",
		"V07 warning: The server changed as the run went on: mean TPOT is 12.9 % longer in the last third than in the first (5.83 ms and 5.17 ms)."}, "I06 halves 0.5"},
	{"TPOT grows by its plan", func() *subject {
		c := closedLoop(func(i int) (float64, float64) { return 20, across(i, 5, 6) })
		c.exp.Spec.Arrival.Kind = experiment.RampArrival
		return c
	}, nil, nil, ""},
	{"a short window", loop, func(c *subject) { c.keep(8); c.point.Window.SendEnd = c.samples[7].End }, []string{
		"I07 warning: The window of 0.461 s is shorter than 5 times the p95 latency of 0.115 s: throughput rests on a few rounds of requests.",
		"I11 warning: With 8 successful requests there are fewer than 10 beyond p50, p90, p95 and p99; p99 needs 1000."}, "I07 latencies 1 rounds 1"},
	{"few requests a user", loop, func(c *subject) { c.keep(18); c.point.Window.SendEnd = c.samples[17].End }, []string{
		"I07 warning: 18 measured requests at concurrency 2 are fewer than 10 a user: throughput rests on a few rounds of requests.",
		"I11 warning: With 18 successful requests there are fewer than 10 beyond p50, p90, p95 and p99; p99 needs 1000."}, "I07 rounds 5"},
	{"not one whole latency", loop, func(c *subject) { c.keep(2); c.point.Window.SendEnd = ms(100) }, []string{
		"I07 error: The window of 0.1 s is shorter than 5 times the p95 latency of 0.115 s: throughput rests on a few rounds of requests.",
		"I11 warning: With 2 successful requests there are fewer than 10 beyond p50, p90, p95 and p99; p99 needs 1000.",
		"V12 warning: All 2 successful requests ended outside the window, so there is no throughput; send more of them."}, ""},
}

var loadDefects = []defect{
	{"fewer users than it says", loop, ofPoint(func(p *experiment.Point) { p.Load.Concurrency = 4 }), []string{
		"I08 warning: Output throughput is 348 tok/s, 50 % less than 4 users × 20 tokens ÷ (TTFT + (N − 1)·TPOT) give: 696 tok/s.",
		"I09 error: On average 2 of 4 requests were in flight within the window: these figures are of a smaller load."}, "I08 off 0.6"},
	{"users pause", loop, func(c *subject) {
		c.point.Load.Concurrency, c.exp.Spec.ThinkTime = 4, experiment.Pause{Low: 1, High: 1}
	}, nil, ""},
	{"latencies of other requests", loop, each(func(s *experiment.Sample) {
		if s.Worker == 1 {
			s.Phase = experiment.Warmup
		}
	}), []string{
		"I08 warning: Output throughput is 174 tok/s, 50 % less than 2 users × 20 tokens ÷ (TTFT + (N − 1)·TPOT) give: 348 tok/s.",
		"I11 note: With 500 successful requests there are fewer than 10 beyond p99; p99 needs 1000."}, ""},
	{"a busy client", loop, ofPoint(func(p *experiment.Point) { p.Health.CPUShare = 0.82 }), []string{
		"I09 warning: The client used 82 % of its processors (more than 70 %): its own delays may be in these latencies."}, "I09 cpu 0.9"},
	{"a late client", loop, ofPoint(func(p *experiment.Point) { p.Health.SendLagP99 = 4e6 }), []string{
		"I09 warning: Requests left up to 4 ms late (p99, more than 2 ms): the client did not keep its schedule."}, "I09 lag 5"},
	{"late by a millisecond", loop, ofPoint(func(p *experiment.Point) { p.Health.SendLagP99 = 1e6 }), nil, ""},
	{"a tenth leaves 9 ms late", openLoop, each(func(s *experiment.Sample) {
		if s.Seq%10 == 0 {
			s.Scheduled -= ms(9)
		}
	}), []string{"I10 warning: Requests left up to 9 ms late (p99, more than 10 % of the median TTFT of 31 ms): p99 of TTFT is 31 ms from the send and 40 ms from the schedule, which is what a user waits."}, ""},
	{"a little late", openLoop, each(func(s *experiment.Sample) {
		if s.Seq%10 == 0 {
			s.Scheduled -= ms(3.5)
		}
	}), []string{"I10 warning: Requests left up to 3.5 ms late (p99, more than 10 % of the median TTFT of 31 ms): p99 of TTFT is 31 ms from the send and 34.5 ms from the schedule, which is what a user waits."}, ""},
	{"the client manages nine tenths of the rate", openLoop, each(func(s *experiment.Sample) { s.Scheduled = s.Scheduled * 8 / 9 }), []string{
		"I10 warning: Requests left up to 11 s late (p99, more than 10 % of the median TTFT of 31 ms): p99 of TTFT is 31 ms from the send and 11 s from the schedule, which is what a user waits.",
		"V03 error: Requests left at 20 req/s, 88.9 % of what the schedule asks: the client cannot keep 22.5 req/s."}, ""},
	{"a cap that did little", openLoop, func(c *subject) {
		c.exp.Spec.MaxConcurrency, c.point.Health.HeldBack, c.point.Health.HeldMax = 3, 1, 2e6
	}, []string{"I10 warning: The cap of 3 held back 1 request, the longest by 2 ms: read ttft_sched beside ttft."}, ""},
	{"no latency that the rate agrees with", openLoop, each(func(s *experiment.Sample) {
		if s.Seq%2 == 1 {
			s.Phase = experiment.Warmup
			s.End += ms(40)
		}
	}), []string{"V10 warning: Throughput is 28.6 % lower than its latencies give: 20 req/s × 0.05 s is 1 in flight, and there were 1.4 (Little's law)."}, "V10 off 0.5"},
	{"requests piled up and none ended in time", openLoop, func(c *subject) {
		each(func(s *experiment.Sample) {
			for _, at := range []*experiment.Instant{&s.FirstEvent, &s.FirstContent, &s.LastContent, &s.End} {
				*at += ms(100_000 + 50*float64(s.Seq))
			}
		})(c)
		c.point.Ended = experiment.EndOversaturated
	}, []string{
		"V02 note: The point was ended early, since its requests piled up.",
		"V11 error: Unstable: 20 req/s were offered and none ended while they came, so that 20 more a second were waiting or in flight. Any percentile here measures how long the run was.",
		"V12 warning: All 2000 successful requests ended after sending had stopped, so there is no throughput; send fewer a second, or for longer."}, ""},
	{"requests piled up", openLoop, ofPoint(func(p *experiment.Point) { p.Ended = experiment.EndOversaturated }), []string{
		"V02 note: The point was ended early, since its requests piled up.",
		"V11 error: Unstable: requests pile up. Any percentile here measures how long the run was."}, ""},
	{"slow reads without stamps", loop, ofPoint(func(p *experiment.Point) {
		p.Health.StampSource, p.Health.WakeLagP99, p.Health.ReadLagP99 = "read", 3e6, experiment.Unknown
	}), []string{"V13 warning: Arrivals are read times, not the kernel's, and this client read up to 3 ms late (p99): TTFT and gaps may be too long by that."}, "V13 lag 4"},
	{"slow reads, some with stamps", loop, ofPoint(func(p *experiment.Point) { p.Health.StampSource, p.Health.ReadLagP99 = "kernel+read", 2e6 }), []string{
		"V13 warning: Some arrivals are read times, not the kernel's, and this client read up to 2 ms late (p99): TTFT and gaps may be too long by that."}, ""},
	{"slow reads with stamps hurt nothing", loop, ofPoint(func(p *experiment.Point) { p.Health.ReadLagP99 = 2e6 }), nil, ""},
}

var runDefects = []defect{
	{"nothing was sent", loop, func(c *subject) { c.samples = nil }, []string{"V01 error: No measured request was sent."}, ""},
	{"nothing succeeded", loop, each(func(s *experiment.Sample) { s.Outcome = experiment.Refused }), []string{
		"V01 error: None of the 1000 measured requests succeeded (1000 never reached a server), so there is nothing to measure."}, ""},
	{"the only one failed", loop, func(c *subject) { c.keep(1); c.samples[0].Outcome = experiment.Timeout }, []string{
		"V01 error: The only measured request failed (1 ran into a time limit), so there is nothing to measure."}, ""},
	{"ten failures in a thousand are 1 %", loop, first(10, func(s *experiment.Sample) { s.Outcome = experiment.Timeout }), []string{
		"I11 note: With 990 successful requests there are fewer than 10 beyond p99; p99 needs 1000."}, "I11 beyond 9"},
	{"eleven are more", loop, first(11, func(s *experiment.Sample) { s.Outcome = experiment.Timeout }), []string{
		"I11 note: With 989 successful requests there are fewer than 10 beyond p99; p99 needs 1000.",
		"I13 warning: 11 of 1000 measured requests failed, 1.1 % (11 ran into a time limit): the latencies are those of the survivors."}, ""},
	{"fifty are the p95", loop, first(50, func(s *experiment.Sample) { s.Outcome = experiment.HTTPError }), []string{
		"I11 note: With 950 successful requests there are fewer than 10 beyond p99; p99 needs 1000.",
		"I13 error: 50 of 1000 measured requests failed, 5 % (50 answered with an HTTP error): the latencies are those of the survivors."}, ""},
	{"one class fails", loop, func(c *subject) {
		c.exp.Spec.Classes = []experiment.Class{{Name: "chat", Weight: 1}, {Name: "rare", Weight: 1}}
		each(func(s *experiment.Sample) { s.Class = "chat" })(c)
		first(20, func(s *experiment.Sample) { s.Class = "rare" })(c)
		first(8, func(s *experiment.Sample) { s.Outcome = experiment.Timeout })(c)
	}, []string{
		"I11 note: With 992 successful requests there are fewer than 10 beyond p99; p99 needs 1000.",
		"I11 warning: Of the class rare: With 12 successful requests there are fewer than 10 beyond p50, p90, p95 and p99; p99 needs 1000.",
		"I13 error: Of the class rare: 8 of 20 measured requests failed, 40 % (8 ran into a time limit): the latencies are those of the survivors."}, ""},
	{"ended since it was precise", loop, ofPoint(func(p *experiment.Point) { p.Ended = experiment.EndPrecise }), []string{
		"V02 note: The point ended once the figure asked for was reached, after looking whenever there were a tenth more samples: a rule that stops at the first narrow interval makes intervals look a little narrower than they are."}, ""},
	{"ended since it was precise, which its last requests undid", shaped(func(i int) (ttft, tpot float64) { return 50 + float64(i*619%1000)/100, 10 }), func(c *subject) {
		c.exp.Spec.Until = experiment.Precision{Metric: "ttft", Quantile: 0.5, Share: 1e-6}
		ofPoint(func(p *experiment.Point) { p.Ended = experiment.EndPrecise })(c)
	}, []string{
		"V02 note: The point ended once ttft.p50 ±0.0001% was reached, after looking whenever there were a tenth more samples: a rule that stops at the first narrow interval makes intervals look a little narrower than they are. With the requests that were in flight then, the figure is known to ±0.573 %."}, ""},
	{"ended by errors", loop, ofPoint(func(p *experiment.Point) { p.Ended = experiment.EndErrors }), []string{"V02 warning: The point was ended early by the limit on failed requests."}, ""},
	{"ended by cost", loop, ofPoint(func(p *experiment.Point) { p.Ended = experiment.EndCost }), []string{"V02 warning: The point was ended early by the limit on cost."}, ""},
	{"interrupted in a point", loop, func(c *subject) { c.point.Status, c.exp.Status = experiment.Interrupted, experiment.Interrupted }, []string{
		"V02 warning: Measuring was interrupted: the point holds what had been measured until then."}, ""},
	{"failed between two points", loop, func(c *subject) { c.exp.Status = experiment.Failed }, []string{
		"V02 warning: This run failed: its points hold what had been measured until then."}, ""},
	{"going on", loop, func(c *subject) { c.exp.Status = experiment.Running }, []string{"V02 warning: This run is still going on."}, ""},
	{"the end of sending is missing", loop, ofPoint(func(p *experiment.Point) { p.Window.SendEnd = experiment.Never }), []string{
		"V12 warning: When sending stopped is not recorded, so the window of 57.5 s runs to the last answer and throughput may be low by the drain."}, ""},
	{"everything is measured on purpose", loop, ofPoint(func(p *experiment.Point) {
		p.Window.SendEnd, p.Window.Rule = experiment.Never, experiment.SteadyNone
	}), nil, ""},
	{"a long drain", loop, ofPoint(func(p *experiment.Point) { p.Window.SendEnd = ms(50_000) }), []string{
		"V12 warning: 132 of 1000 successful requests ended outside the window and count for latency only: throughput may be up to 13.2 % low."}, "V12 drain 0.2"},
	{"a late engine", loop, simulated("timing unreliable (host overloaded)"), []string{
		"V14 error: The simulated engine did not keep its own time: lateness p99 30 ms; timing unreliable (host overloaded).",
		"V15 note: Every figure here comes from the simulated engine. Its clock was scaled ×4: every time here is the engine's divided by that factor, and every rate its rate times it."}, ""},
	{"an engine that is late by a part of a step", loop, simulated("p99 1.13 ms; median step 7.27 ms; timing unreliable (host overloaded)"), []string{
		"V14 warning: The simulated engine did not keep its own time: lateness p99 30 ms; p99 1.13 ms; median step 7.27 ms; timing unreliable (host overloaded).",
		"V15 note: Every figure here comes from the simulated engine. Its clock was scaled ×4: every time here is the engine's divided by that factor, and every rate its rate times it."}, ""},
	{"an engine in time", loop, simulated("timing reliable"), []string{
		"V15 note: Every figure here comes from the simulated engine. Its clock was scaled ×4: every time here is the engine's divided by that factor, and every rate its rate times it."}, ""},
}

// keep leaves the first n samples.
func (c *subject) keep(n int) { c.samples = slices.Clone(c.samples[:n]) }

// simulated makes the target the simulated engine, with its account of its lateness.
func simulated(account string) func(*subject) {
	return func(c *subject) {
		env := &c.exp.Environment
		env.Set(experiment.KeyRuntime, "vllm-like", experiment.Simulated)
		env.Set(experiment.KeyCalibration, "about 10 % at the median.", experiment.Simulated)
		env.Set(experiment.KeyTime, experiment.ScaledTime(4), experiment.Simulated)
		env.Set(experiment.KeyLateness, "lateness p99 30 ms; "+account, experiment.Simulated)
	}
}
