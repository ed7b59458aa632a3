package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

// answers gives n streams of 11 tokens sent 100 ms apart, each changed by its number.
func answers(n int, change func(i int, s *experiment.Sample)) []experiment.Sample {
	out := make([]experiment.Sample, n)
	for i := range out {
		out[i] = stream(100*float64(i), 50, 11, 10)
		out[i].Seq = i
		change(i, &out[i])
	}
	return out
}

// ttftOf moves the first event, and all that follows, so that TTFT is ms.
func ttftOf(s *experiment.Sample, ms float64) {
	by := s.Sent.Add(0) + at(ms) - s.FirstContent
	s.FirstEvent, s.FirstContent, s.LastContent, s.End = s.FirstEvent+by, s.FirstContent+by, s.LastContent+by, s.End+by
}

// ofLengths sets the tokens of prompt and answer, and latencies of 5 ms + 0.1 ms a prompt token + 10 ms an output token.
func ofLengths(s *experiment.Sample, prompt, output int) {
	seq := s.Seq
	*s = stream(s.Sent.Sub(0).Seconds()*1e3, 5+0.1*float64(prompt), output+1, 10)
	s.Seq, s.PromptTokens, s.PromptAsked = seq, prompt, prompt
}

func gapsOf(s *experiment.Sample, ms ...float64) {
	s.Gaps = nil
	for _, v := range ms {
		s.Gaps = append(s.Gaps, experiment.Gap(v*1e6))
	}
	s.Events = len(ms) + 1
}

func repeat(n int, ms ...float64) (out []float64) {
	for range n {
		out = append(out, ms...)
	}
	return out
}

func TestSigns(t *testing.T) {
	nan := math.NaN()
	steady := func(int, *experiment.Sample) {}
	hashes := func(prompt, answer string) func(*experiment.Sample) {
		return func(s *experiment.Sample) { s.PromptHash, s.OutputHash = prompt, answer }
	}
	for _, tt := range []struct {
		name    string
		load    experiment.Load
		samples []experiment.Sample
		of      func(*Signs) []float64
		want    []float64
	}{
		{"nothing was sent", experiment.Load{Concurrency: 2}, nil,
			func(g *Signs) []float64 {
				return []float64{g.EarlyTTFT, g.ColdTTFT, g.FirstHalf, g.FirstThirdTPOT, g.TTFTSlopeT, g.EmptyStart, g.FreshTTFT, g.OutputCV, g.OffLength,
					g.LongestGap, g.GapCV, g.SlowGaps, g.DelayedAckGaps, g.GapGrowth, g.MultiTokenEvents, g.TTFTBimodality, g.TTFTPerPrompt, g.E2EPerOutput, g.IdentityError}
			}, repeat(19, nan)},
		{"the first 2 of 2 users begin together and are left out; of the others the first 2 are early", experiment.Load{Concurrency: 2},
			answers(10, func(i int, s *experiment.Sample) { ttftOf(s, []float64{300, 200, 100, 80, 50, 50, 50, 50, 50, 50}[i]) }),
			func(g *Signs) []float64 { return []float64{g.ColdTTFT, g.EarlyTTFT, g.LaterTTFT} }, []float64{300, 90, 50}},
		{"where they are warm-up, the first 2 of the measured ones are early", experiment.Load{Concurrency: 2},
			answers(12, func(i int, s *experiment.Sample) {
				ttftOf(s, []float64{300, 200, 100, 80, 50, 50, 50, 50, 50, 50, 50, 50}[i])
				if i < 2 {
					s.Phase = experiment.Warmup
				}
			}),
			func(g *Signs) []float64 { return []float64{g.ColdTTFT, g.EarlyTTFT, g.LaterTTFT} }, []float64{300, 90, 50}},
		{"of 40 arrivals, 5 %", experiment.Load{Rate: 10}, answers(40, func(i int, s *experiment.Sample) { ttftOf(s, map[bool]float64{true: 90, false: 50}[i < 2]) }),
			func(g *Signs) []float64 { return []float64{g.EarlyTTFT, g.LaterTTFT} }, []float64{90, 50}},
		{"a cold request that failed has no TTFT", experiment.Load{Concurrency: 1},
			append([]experiment.Sample{failed(0, 10, experiment.Timeout)}, stream(20, 50, 2, 10)),
			func(g *Signs) []float64 { return []float64{g.ColdTTFT} }, []float64{nan}},
		{"thirds of 9, the last one slower", experiment.Load{Rate: 10}, answers(9, func(i int, s *experiment.Sample) {
			if i >= 6 {
				*s = with(stream(100*float64(i), 80, 11, 20), func(s *experiment.Sample) { s.Seq = i })
			}
		}), func(g *Signs) []float64 {
			return []float64{g.FirstThirdTTFT, g.LastThirdTTFT, g.FirstThirdTPOT, g.LastThirdTPOT}
		}, []float64{50, 80, 10, 20}},
		// The window of 1,050 ms has its middle at 525 ms, half-way through the second stream.
		{"a stream over the middle counts in both halves, a cut one by its events, and one that was still waiting not at all", experiment.Load{Concurrency: 1},
			[]experiment.Sample{stream(0, 50, 11, 10), stream(450, 25, 11, 10),
				with(stream(800, 50, 21, 10), func(s *experiment.Sample) {
					s.Outcome, s.OutputTokens, s.Counted, s.Phase = experiment.Cancelled, experiment.Unknown, experiment.CountedNone, experiment.Cooldown
				}), failed(700, 350, experiment.Cancelled)},
			func(g *Signs) []float64 { return []float64{g.FirstHalf, g.SecondHalf} }, []float64{(11 + 11*0.5) / 0.525, (11*0.5 + 21) / 0.525}},
		{"TTFT of 1, 2, 4 at times 0, 1, 2: r = 0.982", experiment.Load{Rate: 1},
			[]experiment.Sample{stream(0, 1, 2, 10), stream(1000, 2, 2, 10), stream(2000, 4, 2, 10)},
			func(g *Signs) []float64 { return []float64{g.TTFTSlopeT} }, []float64{5.196152422706632}},
		{"TTFTs that are the same have no slope", experiment.Load{Rate: 10}, answers(50, steady),
			func(g *Signs) []float64 { return []float64{g.TTFTSlopeT} }, []float64{0}},
		{"a role 20 ms before the text", experiment.Load{Concurrency: 1}, answers(3, func(_ int, s *experiment.Sample) { s.FirstEvent -= 20e6 }),
			func(g *Signs) []float64 { return []float64{g.EmptyStart, g.EmptyStartShare} }, []float64{20, 0.4}},
		{"4 of 15 tokens were thought and not shown, in 2 of 3", experiment.Load{Concurrency: 1}, answers(3, func(i int, s *experiment.Sample) {
			if i > 0 {
				s.OutputTokens, s.ReasoningTokens = 15, 4
			}
		}), func(g *Signs) []float64 { return []float64{float64(g.HiddenReasoning), g.IdentityError} }, []float64{2, 4. * 10 / 150}},
		{"a 429 and a retry-after, not the one of a warm-up", experiment.Load{Concurrency: 1}, answers(4, func(i int, s *experiment.Sample) {
			switch i {
			case 0:
				s.Phase, s.HTTPStatus, s.Outcome = experiment.Warmup, 429, experiment.HTTPError
			case 1:
				s.HTTPStatus, s.Outcome = 429, experiment.HTTPError
			case 2:
				s.RetryAfter = 1e9
			}
		}), func(g *Signs) []float64 { return []float64{float64(g.RateLimited)} }, []float64{2}},
		{"a warm-up's prompt comes again, and one of three twice", experiment.Load{Concurrency: 1}, answers(6, func(i int, s *experiment.Sample) {
			hashes([]string{"a", "a", "b", "c", "b", ""}[i], "x")(s)
			ttftOf(s, []float64{90, 10, 50, 50, 20, 70}[i])
			if i == 0 {
				s.Phase = experiment.Warmup
			}
		}), func(g *Signs) []float64 {
			return []float64{float64(g.PromptsHashed), float64(g.RepeatedPrompts), g.FreshTTFT, g.RepeatTTFT}
		}, []float64{4, 2, 50, 15}},
		{"one prompt answered twice alike, another in two ways, a third once", experiment.Load{Concurrency: 1}, answers(6, func(i int, s *experiment.Sample) {
			hashes([]string{"a", "a", "b", "b", "b", "c"}[i], []string{"x", "x", "x", "y", "x", "x"}[i])(s)
		}), func(g *Signs) []float64 {
			return []float64{float64(g.SamePrompt), float64(g.SamePromptGroups), float64(g.DistinctAnswers), float64(len(g.Answers))}
		}, []float64{5, 2, 3, 3}},
		{"two models and no fingerprint", experiment.Load{Concurrency: 1}, answers(4, func(i int, s *experiment.Sample) { s.Model = fmt.Sprint(i % 2) }),
			func(g *Signs) []float64 { return []float64{float64(g.Models), float64(g.Fingerprints)} }, []float64{2, 0}},
		{"answers of 10 and 30 tokens where 10 were asked, half of them ended early", experiment.Load{Concurrency: 1}, answers(4, func(i int, s *experiment.Sample) {
			s.OutputTokens, s.OutputAsked, s.PromptAsked, s.PromptTokens = 10+20*(i%2), 10, 100, 120
			if i < 2 {
				s.Finish = "stop"
			}
		}), func(g *Signs) []float64 {
			return []float64{g.OutputCV, g.PromptCV, float64(g.PromptAsked), float64(g.PromptCounted), float64(g.OutputsAsked), g.OffLength, float64(g.Stopped)}
		}, []float64{0.5, 0, 400, 480, 4, 0.5, 2}},
		// Over three streams of 10 gaps the median is 10 ms, so that a stall takes more than 250 ms.
		{"one stall, one slow gap, and three late acknowledgements", experiment.Load{Concurrency: 1}, answers(3, func(i int, s *experiment.Sample) {
			g := repeat(10, 10)
			switch i {
			case 0:
				g[4] = 251
			case 1:
				g[1], g[2], g[3] = 39, 41, 200
			}
			gapsOf(s, g...)
		}), func(g *Signs) []float64 {
			return []float64{float64(g.Stalled), g.LongestGap, g.SlowGaps, g.DelayedAckGaps}
		}, []float64{1, 251, 2. / 30, 3. / 30}},
		{"of a median of 20 ms, 40 ms is no mark, and 210 ms is", experiment.Load{Concurrency: 1}, answers(1, func(_ int, s *experiment.Sample) { gapsOf(s, 20, 20, 20, 40, 210) }),
			func(g *Signs) []float64 { return []float64{g.DelayedAckGaps, g.SlowGaps} }, []float64{0.2, 0.2}},
		{"gaps of 10 and 30 ms", experiment.Load{Concurrency: 1}, answers(2, func(_ int, s *experiment.Sample) { gapsOf(s, 10, 30) }),
			func(g *Signs) []float64 { return []float64{g.GapCV} }, []float64{0.5}},
		// 21 gaps from 10 to 12 ms by a tenth, and a stream too short to tell.
		{"gaps grow by 2 of 11 ms", experiment.Load{Concurrency: 1}, answers(2, func(i int, s *experiment.Sample) {
			if i == 0 {
				var g []float64
				for j := range 21 {
					g = append(g, 10+0.1*float64(j))
				}
				gapsOf(s, g...)
			}
		}), func(g *Signs) []float64 { return []float64{g.GapGrowth} }, []float64{2. / 11}},
		{"a third of the events of those that tell hold more than a token", experiment.Load{Concurrency: 1}, answers(2, func(i int, s *experiment.Sample) {
			if i == 0 {
				s.TokensAt = []int32{1, 1, 3}
			}
		}), func(g *Signs) []float64 { return []float64{g.MultiTokenEvents} }, []float64{1. / 3}},
		{"a buffered answer, a stream, and one of a single token", experiment.Load{Concurrency: 1},
			[]experiment.Sample{stream(0, 1300, 128, 0.02), stream(0, 50, 128, 10), stream(0, 50, 1, 0)},
			func(g *Signs) []float64 {
				return []float64{float64(g.Bursts), float64(g.Streams), float64(g.Rushed)}
			}, []float64{1, 2, 1}},
		// Ten each at 10 and 100 ms: no skew, and an excess kurtosis of −38/17, Sarle's coefficient of which is 1/(−38/17 + 3·361/306).
		{"two populations of TTFT, one of TPOT", experiment.Load{Concurrency: 1}, answers(20, func(i int, s *experiment.Sample) { ttftOf(s, []float64{10, 100}[i%2]) }),
			func(g *Signs) []float64 {
				return []float64{g.TTFTBimodality, g.TTFTSpread, g.TPOTBimodality, g.TPOTSpread}
			},
			[]float64{1 / (3.*361/306 - 38./17), math.Log(10) / 2 * math.Sqrt(20./19), nan, 0}},
		{"prompts of 100 to 500 tokens, answers of 20 to 40", experiment.Load{Concurrency: 1}, answers(10, func(i int, s *experiment.Sample) { ofLengths(s, 100+100*(i%5), 20+20*(i/5)) }),
			func(g *Signs) []float64 {
				return []float64{g.TTFTPerPrompt, g.TTFTAtZero, g.TTFTPromptR2, g.E2EPerOutput, g.E2EPerPrompt}
			}, []float64{0.1, 5, 1, 10, 0.1}},
		{"lengths that go together cannot be told apart, and one that is always the same has no slope", experiment.Load{Concurrency: 1},
			answers(10, func(i int, s *experiment.Sample) { ofLengths(s, 100, 20+i) }),
			func(g *Signs) []float64 {
				return []float64{g.TTFTPerPrompt, g.TTFTPromptR2, g.E2EPerOutput, g.E2EPerPrompt}
			}, repeat(4, nan)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := point(tt.load.Concurrency, 1050)
			p.Load = tt.load
			s := collect(p, tt.samples...)
			if diff := cmp.Diff(tt.want, tt.of(&s.Signs), cmp.Comparer(alike)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func alike(a, b float64) bool {
	return a == b || math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= 1e-6*max(1, math.Abs(a))
}

// The trend of a queue that goes nowhere is no trend: one by one, neighbours that are alike would
// make one of nearly every run.
func TestTrendOfAlikeNeighbours(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	const runs, n = 400, 600
	found := 0
	for range runs {
		x, y, level := make([]float64, n), make([]float64, n), 0.0
		for i := range n {
			level = 0.8*level + rng.NormFloat64()
			x[i], y[i] = float64(i), level
		}
		if math.Abs(trend(x, y)) > 3 {
			found++
		}
	}
	if found > runs/50 {
		t.Errorf("%d of %d runs without a trend have one", found, runs)
	}
}

// The order in which samples come does not matter, and what is not known comes back from JSON as such.
func TestSignsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := drawSamples(t)
		for i := range samples {
			samples[i].PromptHash = rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "prompt")
			samples[i].OutputHash = rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "answer")
		}
		p := point(2, 200)
		want := collect(p, samples...).Signs
		if diff := cmp.Diff(want, collect(p, rapid.Permutation(samples).Draw(t, "order")...).Signs, cmpopts.EquateEmpty(), cmp.Comparer(alike)); diff != "" {
			t.Error(diff)
		}
		roundTrip(t, want)
	})
}
