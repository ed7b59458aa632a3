package analysis

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.IsNaN(want) != math.IsNaN(got) || math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// Four users, each with one request of 145 ms and 20 tokens after the other:
// every figure is known in advance.
func TestClosedLoop(t *testing.T) {
	p, samples := loop(4, 100, 100*145, 50, 20, 5)
	s := collect(p, samples...)

	// 100 requests of one user end at 14,500 ms sharp; the other users start 1, 2
	// and 3 ms later, so that their last one ends in the drain.
	if s.Sent != 400 || s.OK != 400 || s.InWindow != 397 || s.WarmedUp != 0 {
		t.Errorf("sent %d, ok %d, in window %d, warmed up %d", s.Sent, s.OK, s.InWindow, s.WarmedUp)
	}
	if s.Window != 14500*time.Millisecond || s.WallClock != 14503*time.Millisecond || s.MeasuredClock != s.WallClock {
		t.Errorf("window %v, wall clock %v, measured %v", s.Window, s.WallClock, s.MeasuredClock)
	}
	near(t, "TTFT", s.TTFT.P50.Value, 50)
	near(t, "TTFT of the answer", s.TTFTAnswer.P95.Value, 50)
	near(t, "E2E", s.E2E.P99.Value, 145)
	near(t, "TPOT", s.TPOT.Mean, 5)
	near(t, "ICL", s.ICL.P50.Value, 5)
	if s.ICL.N != 400*19 || s.TPOT.N != 400 {
		t.Errorf("%d gaps, %d TPOT", s.ICL.N, s.TPOT.N)
	}
	near(t, "output throughput", s.OutputThroughput, 397*20/14.5)
	near(t, "total throughput", s.TotalThroughput, 397*520/14.5)
	near(t, "request rate", s.RequestRate, 397/14.5)
	near(t, "interactivity", s.Interactivity, 200)
	near(t, "requests decoding", s.BRun, 397*20/14.5*0.005)
	near(t, "in flight", s.MeanInflight, 4-(1+2+3)/14500.0)
	if s.MaxInflight != 4 {
		t.Errorf("at most %d in flight", s.MaxInflight)
	}
	near(t, "Little's law", s.LittleRatio, 397/14.5*0.145/(4-6/14500.0))
	near(t, "closed-loop identity", s.IdentityRatio, 397.0/400)
	near(t, "errors", s.ErrorRate, 0)
	if s.PromptTokens != 400*500 || s.OutputTokens != 400*20 || s.CachedTokens != experiment.Unknown {
		t.Errorf("prompt %d, output %d, cached %d", s.PromptTokens, s.OutputTokens, s.CachedTokens)
	}
	near(t, "prompt", s.MeanPrompt, 500)
	near(t, "tokens per event", s.EventsPerOutput, 1)
	near(t, "events per answer", s.MeanEvents, 20)
	near(t, "TTFT over E2E", s.TTFTOverE2E, 50.0/145)
	if s.Streaming != StreamEffective {
		t.Errorf("the stream is %s", s.Streaming)
	}
}

// The same samples under the windows and rules that a point may have.
func TestWindow(t *testing.T) {
	// Requests of 100 ms and 10 tokens end at 100, 200, … 1000.
	var samples []experiment.Sample
	for i := range 10 {
		samples = append(samples, stream(float64(100*i), 55, 10, 5))
	}
	type figures struct {
		Window     time.Duration
		InWindow   int
		Throughput float64
	}
	for _, tt := range []struct {
		name   string
		change func(*experiment.Point)
		want   figures
	}{
		{"an answer that ends with the window is in it", func(*experiment.Point) {}, figures{time.Second, 10, 100}},
		{"the last two end in the drain", func(p *experiment.Point) { p.Window.SendEnd = at(850) }, figures{850 * time.Millisecond, 8, 80 / 0.85}},
		{"the last warm-up ends at 150 ms: what ended before does not count", func(p *experiment.Point) {
			p.Window.Start, p.Window.Rule = at(150), experiment.SteadyLoaded
		}, figures{850 * time.Millisecond, 9, 90 / 0.85}},
		{"the run crashed: the last end serves", func(p *experiment.Point) { p.Window.SendEnd = experiment.Never }, figures{time.Second, 10, 100}},
		{"the window was never written", func(p *experiment.Point) { p.Window = experiment.Window{} }, figures{time.Second, 10, 100}},
		{"nothing is left out of a synchronous runner's figures", func(p *experiment.Point) {
			p.Window.SendEnd, p.Window.Rule = at(900), experiment.SteadyNone
		}, figures{time.Second, 10, 100}},
		{"all ended in the drain: not 0 tok/s, but unknown", func(p *experiment.Point) { p.Window.SendEnd = at(50) }, figures{50 * time.Millisecond, 0, math.NaN()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := point(1, 1000)
			tt.change(&p)
			s := collect(p, samples...)
			if diff := cmp.Diff(tt.want, figures{s.Window, s.InWindow, s.OutputThroughput}, cmpopts.EquateNaNs(), cmpopts.EquateApprox(1e-12, 0)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is not measured or not successful is counted and is in no latency.
func TestOutcomes(t *testing.T) {
	warm := with(stream(0, 9000, 10, 5), func(s *experiment.Sample) { s.Phase = experiment.Warmup })
	cool := with(stream(0, 9000, 10, 5), func(s *experiment.Sample) { s.Phase = experiment.Cooldown })
	unsent := experiment.NewSample(9)
	s := collect(point(2, 1000), warm, cool, unsent,
		stream(0, 50, 10, 5), whole(0, 300, 40),
		failed(0, 5000, experiment.Timeout), failed(0, 1, experiment.Refused),
		with(stream(0, 50, 10, 5), func(s *experiment.Sample) { s.Outcome = experiment.Truncated }))
	if s.Sent != 5 || s.OK != 2 || s.WarmedUp != 1 {
		t.Errorf("sent %d, ok %d, warmed up %d", s.Sent, s.OK, s.WarmedUp)
	}
	want := map[experiment.Outcome]int{experiment.OK: 2, experiment.Timeout: 1, experiment.Refused: 1, experiment.Truncated: 1}
	if diff := cmp.Diff(want, s.Outcomes); diff != "" {
		t.Error(diff)
	}
	near(t, "errors", s.ErrorRate, 0.6)
	near(t, "the longest E2E", s.E2E.Max, 300)
	if s.TTFT.N != 1 || s.E2E.N != 2 || s.ICL.N != 9 {
		t.Errorf("TTFT of %d, E2E of %d, %d gaps", s.TTFT.N, s.E2E.N, s.ICL.N)
	}
	near(t, "output throughput", s.OutputThroughput, 50)
	if s.MeanInflight <= 2 {
		t.Errorf("%v in flight, though two that never ended well were", s.MeanInflight)
	}
}

// A count that nobody gave makes a figure unknown, not small.
func TestUnknownCounts(t *testing.T) {
	noPrompt := with(stream(0, 50, 10, 5), func(s *experiment.Sample) { s.PromptTokens = experiment.Unknown })
	noOutput := with(whole(0, 100, 0), func(s *experiment.Sample) {
		s.OutputTokens, s.Counted = experiment.Unknown, experiment.CountedNone
	})
	cached := with(stream(0, 50, 10, 5), func(s *experiment.Sample) { s.CachedTokens = 64 })

	s := collect(point(1, 1000), noPrompt)
	near(t, "output throughput without a prompt count", s.OutputThroughput, 10)
	near(t, "total throughput without a prompt count", s.TotalThroughput, math.NaN())
	if s.PromptTokens != experiment.Unknown || !math.IsNaN(s.MeanPrompt) {
		t.Errorf("%d prompt tokens, %v each", s.PromptTokens, s.MeanPrompt)
	}
	s = collect(point(1, 1000), noOutput)
	near(t, "output throughput without an output count", s.OutputThroughput, math.NaN())
	near(t, "request rate without an output count", s.RequestRate, 1)
	if s.OutputTokens != experiment.Unknown {
		t.Errorf("%d output tokens", s.OutputTokens)
	}
	s = collect(point(1, 1000), stream(0, 50, 10, 5), cached)
	if s.CachedTokens != 64 {
		t.Errorf("%d cached tokens", s.CachedTokens)
	}
	s = collect(point(1, 1000), failed(0, 10, experiment.Refused))
	near(t, "output throughput of failures", s.OutputThroughput, 0)
	if s.OutputTokens != 0 || s.TTFT.P50.Known() {
		t.Errorf("%d tokens, TTFT %v", s.OutputTokens, s.TTFT.P50)
	}
}

// A summary does not depend on the order in which samples are read, and may be
// asked for at any time.
func TestOrderDoesNotMatter(t *testing.T) {
	if racing() {
		t.Skip("one goroutine's arithmetic; make theory runs it without the race detector")
	}
	p, samples := loop(3, 30, 3000, 40, 12, 4)
	for i := range samples {
		samples[i] = stream(float64(i*30), 40+float64(i%7), 12+i%5, 4+float64(i%3))
	}
	want := collect(p, samples...)
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		rng.Shuffle(len(samples), func(i, j int) { samples[i], samples[j] = samples[j], samples[i] })
		stop := rapid.IntRange(0, len(samples)).Draw(t, "stop")
		c := NewCollector(p)
		for i := range samples {
			if i == stop {
				c.Summary()
			}
			c.Add(&samples[i])
		}
		if diff := cmp.Diff(want, c.Summary(), cmpopts.EquateNaNs(), cmpopts.EquateApprox(1e-12, 0)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSummarise(t *testing.T) {
	p, samples := loop(2, 5, 500, 40, 12, 4)
	s, err := Summarise(p, each(samples, nil))
	if diff := cmp.Diff(collect(p, samples...), s, cmpopts.EquateNaNs()); err != nil || diff != "" {
		t.Error(err, diff)
	}
	broken := errors.New("disk on fire")
	if _, err := Summarise(p, each(samples, broken)); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}

func TestInflight(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spans []span
		mean  float64
		most  int
	}{
		{"nothing", nil, 0, 0},
		{"one for half of the window", []span{{200, 250, 200}}, 0.5, 1},
		{"one after the other is never two", []span{{250, 300, 250}, {200, 250, 200}}, 1, 1},
		{"two overlap for a tenth", []span{{200, 255, 200}, {245, 300, 245}}, 1.1, 2},
		{"what reaches over the edges counts inside them", []span{{150, 220, 150}, {290, 600, 290}}, 0.3, 1},
		{"what lies outside does not", []span{{150, 180, 150}, {400, 600, 400}}, 0, 0},
		{"one that never ended is in flight to the end", []span{{240, experiment.Never, 240}}, 0.6, 1},
	} {
		mean, most := inflight(tt.spans, 200, 300)
		if math.Abs(mean-tt.mean) > 1e-12 || most != tt.most {
			t.Errorf("%s: %v in flight, at most %d; want %v and %d", tt.name, mean, most, tt.mean, tt.most)
		}
	}
	if mean, _ := inflight([]span{{0, 5, 0}}, 10, 10); !math.IsNaN(mean) {
		t.Errorf("an empty window has %v in flight", mean)
	}
}
