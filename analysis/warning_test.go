package analysis

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
)

func TestWarnings(t *testing.T) {
	// An ordinary point: 2 users, 1,000 requests of 100 ms, nothing to complain about.
	clean := func() (experiment.Point, []experiment.Sample) { return loop(2, 500, 50_002, 5, 20, 5) }
	all := func(change func(*experiment.Sample)) func(*experiment.Point, []experiment.Sample) []experiment.Sample {
		return func(_ *experiment.Point, samples []experiment.Sample) []experiment.Sample {
			for i := range samples {
				change(&samples[i])
			}
			return samples
		}
	}
	ofPoint := func(change func(*experiment.Point)) func(*experiment.Point, []experiment.Sample) []experiment.Sample {
		return func(p *experiment.Point, samples []experiment.Sample) []experiment.Sample {
			change(p)
			return samples
		}
	}
	tests := []struct {
		name   string
		change func(*experiment.Point, []experiment.Sample) []experiment.Sample
		want   []string
	}{
		{"nothing", ofPoint(func(*experiment.Point) {}), nil},
		{"interrupted: the run says it", ofPoint(func(p *experiment.Point) { p.Status = experiment.Interrupted }),
			nil},
		{"nothing was sent", func(*experiment.Point, []experiment.Sample) []experiment.Sample { return nil },
			[]string{"No measured request was sent."}},
		{"nothing succeeded", all(func(s *experiment.Sample) { s.Outcome = experiment.Refused }),
			[]string{"None of the 1000 measured requests succeeded (1000 never reached a server), so there is nothing to measure."}},
		{"ten failures in a thousand are 1 %", all(func(s *experiment.Sample) {
			if s.Seq < 10 {
				s.Outcome = experiment.Timeout
			}
		}), []string{"With 990 successful requests there are fewer than ten beyond p99; p99 needs 1000."}},
		{"eleven are more", all(func(s *experiment.Sample) {
			if s.Seq < 10 {
				s.Outcome = experiment.Timeout
			} else if s.Seq == 10 {
				s.Outcome = experiment.HTTPError
			}
		}), []string{
			"11 of 1000 measured requests failed, 1.1 % (1 answered with an HTTP error, 10 ran into a time limit): the latencies are those of the survivors.",
			"With 989 successful requests there are fewer than ten beyond p99; p99 needs 1000.",
		}},
		{"the end of sending is missing", ofPoint(func(p *experiment.Point) { p.Window.SendEnd = experiment.Never }),
			[]string{"When sending stopped is not recorded, so the window of 50 s runs to the last answer and throughput may be low by the drain."}},
		{"everything is measured on purpose", ofPoint(func(p *experiment.Point) {
			p.Window.SendEnd, p.Window.Rule = experiment.Never, experiment.SteadyNone
		}), nil},
		{"a long drain", ofPoint(func(p *experiment.Point) { p.Window.SendEnd = at(45_000) }),
			[]string{"101 of 1000 successful requests ended outside the window and count for latency only: throughput may be up to 10.1 % low."}},
		{"nothing but drain", ofPoint(func(p *experiment.Point) { p.Window.SendEnd = at(50) }), []string{
			"All 1000 successful requests ended outside the window, so there is no throughput; send more of them.",
			"The window of 0.05 s is shorter than 5 times the p95 latency of 0.1 s: throughput rests on a few rounds of requests.",
		}},
		{"few requests a user, and fewer users than it says", ofPoint(func(p *experiment.Point) { p.Load.Concurrency = 101 }), []string{
			"On average 2 of 101 requests were in flight within the window: these figures are of a smaller load than c=101.",
			"1000 measured requests at concurrency 101 are fewer than 10 a user: throughput rests on a few rounds of requests.",
		}},
		{"a window whose edges cut requests off", func(p *experiment.Point, samples []experiment.Sample) []experiment.Sample {
			p.Window.SendEnd = at(290)
			return slices.DeleteFunc(samples, func(s experiment.Sample) bool { return s.Sent > at(290) })
		}, []string{
			"2 of 6 successful requests ended outside the window and count for latency only: throughput may be up to 33.3 % low.",
			"The window of 0.29 s is shorter than 5 times the p95 latency of 0.1 s: throughput rests on a few rounds of requests, " +
				"and is 30.9 % lower than its latencies give: 13.8 req/s × 0.1 s is 1.38 in flight, and there were 2 (Little's law).",
			"With 6 successful requests there are fewer than ten beyond p50, p90, p95 and p99; p99 needs 1000.",
		}},
		{"latencies that another population has", all(func(s *experiment.Sample) {
			if s.Worker == 1 {
				s.Phase = experiment.Warmup
			}
		}), []string{
			"Throughput is 50 % lower than its latencies give: 10 req/s × 0.1 s is 1 in flight, and there were 2 (Little's law).",
			"With 500 successful requests there are fewer than ten beyond p99; p99 needs 1000.",
		}},
		{"prompts cut at the context limit", all(func(s *experiment.Sample) { s.PromptAsked = 8000 }),
			[]string{"The server counted 500000 prompt tokens where 8000000 were asked for (6.25 %): prompts may have been cut silently at its context limit."}},
		{"another tokeniser counts a fifth less: no cut, and another workload", all(func(s *experiment.Sample) { s.PromptAsked = 625 }),
			[]string{"The server counted 20 % fewer prompt tokens than were asked for (500000, not 625000): compare with other runs by the lengths that it counted."}},
		{"2 % more", all(func(s *experiment.Sample) { s.PromptTokens = 510 }),
			[]string{"The server counted 2 % more prompt tokens than were asked for (510000, not 500000): the aim is 1 %."}},
		{"1 % more is what is aimed for", all(func(s *experiment.Sample) { s.PromptTokens = 505 }), nil},
		{"answers end by themselves", all(func(s *experiment.Sample) { s.OutputAsked, s.Finish = 128, "stop" }),
			[]string{"The output length was not controlled: 100 % of the answers are more than 5 % off the length asked for, and 1000 of 1000 ended by themselves (stop). " +
				"Set ignore_eos, or compare per token only."}},
		{"lengths vary, as asked", all(func(s *experiment.Sample) { s.OutputTokens = 20 + s.Seq%8; s.OutputAsked = s.OutputTokens }),
			nil},
		{"lengths vary, and none was asked for", all(func(s *experiment.Sample) { s.OutputAsked = experiment.Unknown; s.OutputTokens = 18 + s.Seq%5 }),
			[]string{"The output length varies (coefficient of variation 0.07) and no length was asked for: compare with other runs per token only."}},
		{"tokens counted by events", all(func(s *experiment.Sample) {
			if s.Seq < 3 {
				s.Counted = experiment.CountedEvents
			}
		}), []string{"The tokens of 3 of 1000 answers were counted by events, a lower bound: figures per token rest on that."}},
		{"tokens counted by nobody", all(func(s *experiment.Sample) {
			if s.Seq < 1 {
				s.Counted, s.OutputTokens = experiment.CountedNone, experiment.Unknown
			}
		}), []string{"Nobody counted the tokens of 1 of 1000 answers: what rests on token counts is missing or partial."}},
		{"a warm cache", all(func(s *experiment.Sample) { s.CachedTokens = 64 }),
			[]string{"The server took 64000 prompt tokens of 500000 (12.8 %) from its cache: TTFT and prompt cost are those of a partly cached workload."}},
		{"the server says that nothing was cached", all(func(s *experiment.Sample) { s.CachedTokens = 0 }), nil},
		{"a buffer", all(func(s *experiment.Sample) { s.FirstContent = s.LastContent; clear(s.Gaps) }),
			[]string{"The stream did not come as a stream: 1000 of 1000 streamed answers came in one burst, and the median TTFT is 100 % of E2E. " +
				"TTFT, TPOT and gaps describe a buffer, not the server."}},
		{"not streamed on purpose", all(func(s *experiment.Sample) {
			*s = with(whole(float64(s.Sent)/1e6, 100, 20), func(w *experiment.Sample) { w.Seq = s.Seq })
		}), nil},
		{"two tokens an event", all(func(s *experiment.Sample) { s.OutputTokens, s.OutputAsked = 40, 40 }),
			[]string{"An event carries 2.0 tokens on average: gaps between events are not gaps between tokens, read TPOT instead."}},
		{"one gap of 19 is shared", all(func(s *experiment.Sample) { s.Gaps[3] = experiment.SameRead }),
			[]string{"5.26 % of the gaps are 0 because their event came in one read with the one before: the server, a proxy or this client bundled them."}},
		{"a busy client", ofPoint(func(p *experiment.Point) { p.Health.CPUShare = 0.82 }),
			[]string{"The client used 82 % of its processors (more than 70 %): its own delays may be in these latencies."}},
		{"a late client", ofPoint(func(p *experiment.Point) { p.Health.SendLagP99 = 4e6 }),
			[]string{"Requests left up to 4 ms late (p99, more than 1 ms): the client did not keep its schedule."}},
		{"a late client of which nothing succeeded", func(p *experiment.Point, samples []experiment.Sample) []experiment.Sample {
			p.Health.SendLagP99 = 4e7
			return []experiment.Sample{failed(0, 10, experiment.Refused)}
		}, []string{"The only measured request failed (1 never reached a server), so there is nothing to measure."}},
		{"late by less than a millisecond", ofPoint(func(p *experiment.Point) { p.Health.SendLagP99 = 9e5 }), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, samples := clean()
			samples = tt.change(&p, samples)
			got := collect(p, samples...).Warnings
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			for _, w := range got {
				if !strings.HasSuffix(w, ".") || strings.ToUpper(w[:1]) != w[:1] {
					t.Errorf("%q is no sentence", w)
				}
			}
		})
	}
}

// Few requests have a latest one and no p99 of lateness.
func TestLatestOfFew(t *testing.T) {
	for _, tt := range []struct {
		lag  int64 // ns
		want string
	}{
		{4e6, ""}, {1e7, ""},
		{12e6, "The latest of 6 measured requests left 12 ms after its time."},
	} {
		p, samples := loop(2, 3, 300, 5, 20, 5)
		p.Health.SendLagP99 = tt.lag
		got := ""
		for _, w := range collect(p, samples...).Warnings {
			if strings.Contains(w, "late") && !strings.Contains(w, "latenc") {
				got = w
			}
		}
		if got != tt.want {
			t.Errorf("%d ns late: %q, want %q", tt.lag, got, tt.want)
		}
	}
}

// Each way to fail has words that follow a count.
func TestEndings(t *testing.T) {
	for _, o := range experiment.Outcomes[1:] {
		if ending[o] == "" {
			t.Errorf("%s has no words", o)
		}
	}
}

func TestSentences(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{short(0.00012345), "0.000123"}, {short(51.67), "51.7"}, {short(99.96), "100"}, {short(920.9), "921"}, {short(12965.4), "12965"}, {short(-14.58), "−14.6"},
		{percent(0.025), "2.5 %"}, {percent(10), "1000 %"},
		{plural(1, "answer"), "1 answer"}, {plural(0, "answer"), "0 answers"},
		{list(nil), ""}, {list([]string{"a"}), "a"}, {list([]string{"a", "b"}), "a and b"}, {list([]string{"a", "b", "c"}), "a, b and c"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
	if got := distinct([]string{"b", "a", "b"}); !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("distinct gives %q", got)
	}
}
