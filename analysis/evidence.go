package analysis

import (
	"cmp"
	"hash/maphash"
	"math"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/experiment"
)

// evidence gathers what [Signs] are made of. It keeps a few numbers a request.
type evidence struct {
	seed    maphash.Seed // of the numbers that stand for texts
	first   opener
	written []emission
	warmed  map[uint64]struct{} // prompts of requests that were sent before the measured ones
	models  map[string]struct{}
	prints  map[string]struct{}
	kept    answered

	hidden, limited, rushed int
	events, several         int // events whose tokens the server told, and those of two or more
	identity                float64
}

func newEvidence() evidence {
	return evidence{
		seed: maphash.MakeSeed(), first: opener{sent: experiment.Never, ttft: math.NaN()}, identity: math.NaN(),
		warmed: map[uint64]struct{}{}, models: map[string]struct{}{}, prints: map[string]struct{}{},
	}
}

// opener is the first request of a point.
type opener struct {
	sent experiment.Instant
	seq  int
	ttft float64
}

// request is what a measured request shows. A time is in milliseconds and NaN where there is
// none; a count may be Unknown, a text's number is 0 where there is no hash. Of one
// that failed there is only how late it was sent.
type request struct {
	sent          experiment.Instant
	seq           int
	latencies     [8]float64 // one for each of sampleMetrics, in its order
	empty         float64    // from the first event to the first with text
	growth        float64    // of its gaps, NaN for too few
	longest       float64    // gap
	prompt        int32
	output        int32
	asked, answer uint64 // prompt and answer
}

// The places of latencies.
var placeTTFT, placeE2E, placeTPOT = metricPlace("ttft"), metricPlace("e2e"), metricPlace("tpot")

func metricPlace(metric string) int {
	return slices.IndexFunc(sampleMetrics, func(m Metric) bool { return m.Name == metric })
}

func (r *request) ttft() float64 { return r.latencies[placeTTFT] }
func (r *request) e2e() float64  { return r.latencies[placeE2E] }
func (r *request) tpot() float64 { return r.latencies[placeTPOT] }

// request takes down a measured request.
func (v *evidence) request(s *experiment.Sample) request {
	nan := math.NaN()
	r := request{sent: s.Sent, seq: s.Seq, empty: nan, growth: nan, longest: nan, prompt: experiment.Unknown, output: experiment.Unknown}
	for i := range sampleMetrics {
		r.latencies[i] = nan
		if of := sampleMetrics[i].Of; of != nil {
			r.latencies[i], _ = of(s)
		}
	}
	if s.Outcome != experiment.OK {
		return r
	}
	r.empty, _ = between(s, s.FirstEvent, s.FirstText())
	r.growth = gapGrowth(s.Gaps)
	if len(s.Gaps) > 0 {
		r.longest = float64(slices.Max(s.Gaps).Duration()) / 1e6
	}
	r.prompt, r.output = int32(s.PromptTokens), int32(outputTokens(s))
	r.asked, r.answer = v.number(s.PromptHash), v.number(s.OutputHash)
	v.addOK(s, &r)
	return r
}

// add takes a request of any phase that was sent.
func (v *evidence) add(s *experiment.Sample) {
	if !v.first.sent.Happened() || s.Sent < v.first.sent || s.Sent == v.first.sent && s.Seq < v.first.seq {
		v.first = opener{s.Sent, s.Seq, math.NaN()}
		if text := s.FirstText(); s.Outcome == experiment.OK && text.Happened() {
			v.first.ttft = float64(text.Sub(s.Sent)) / 1e6
		}
	}
	if e, ok := emitted(s); ok {
		v.written = push(v.written, e)
	}
	switch s.Phase {
	case experiment.Warmup:
		if s.PromptHash != "" {
			v.warmed[v.number(s.PromptHash)] = struct{}{}
		}
	case experiment.Measured:
		if s.HTTPStatus == 429 || s.RetryAfter > 0 {
			v.limited++
		}
	}
}

// number stands for a text; 0 for none.
func (v *evidence) number(text string) uint64 {
	if text == "" {
		return 0
	}
	return max(maphash.String(v.seed, text), 1)
}

// addOK takes a measured request that ended well.
func (v *evidence) addOK(s *experiment.Sample, r *request) {
	v.kept.add(s)
	if s.Model != "" {
		v.models[s.Model] = struct{}{}
	}
	if s.Fingerprint != "" {
		v.prints[s.Fingerprint] = struct{}{}
	}
	tokens := visibleTokens(s)
	if textEvents(s) > 0 && tokens != experiment.Unknown && tokens < s.OutputTokens {
		v.hidden++
	}
	for _, n := range s.TokensAt {
		v.events++
		if n > 1 {
			v.several++
		}
	}
	if tokens >= rushedTokens && r.ttft() >= rushedShare*r.e2e() {
		v.rushed++
	}
	// What tpot is made of is left out of the identity where it is not the plain count.
	if off := math.Abs(r.e2e()-r.ttft()-r.tpot()*float64(r.output-1)) / r.e2e(); finite(off) && !(off <= v.identity) {
		v.identity = off
	}
}

const (
	rushedTokens = 20
	rushedShare  = 0.9
	// stallFactor times the median gap, and stallFloor in ms, are what a gap must exceed to be a stall:
	// beyond what another request's prefill does to a stream in a server that splits prefills.
	stallFactor, stallFloor = 10, 250.0
	slowFactor              = 5
)

// signs gives the evidence. The summary has its latencies already.
func (c *Collector) signs(s *PointSummary, from, to experiment.Instant) Signs {
	v := &c.evidence
	prompt, output := c.column(func(r *request) float64 { return known(int(r.prompt)) }), c.column(func(r *request) float64 { return known(int(r.output)) })
	first, took := c.column((*request).ttft), c.column((*request).e2e)
	asked := &c.workload.asked
	g := Signs{
		ColdTTFT: v.first.ttft, EmptyStart: median(c.column(func(r *request) float64 { return r.empty })),
		HiddenReasoning: v.hidden, RateLimited: v.limited, Models: len(v.models), Fingerprints: len(v.prints),
		OutputCV: c.workload.output.variation(), PromptCV: c.workload.prompt.variation(),
		PromptAsked: asked.prompt, PromptCounted: asked.count, OutputsAsked: asked.outputs,
		OffLength: ratio(float64(asked.off), float64(asked.outputs)), Stopped: c.workload.stops,
		GapGrowth: mean(some(c.column(func(r *request) float64 { return r.growth }))), MultiTokenEvents: ratio(float64(v.several), float64(v.events)),
		Bursts: c.streams.bursts, Streams: c.streams.long, Rushed: v.rushed,
		IdentityError: v.identity, Answers: v.kept.list(),
	}
	g.TTFTBimodality, g.TTFTSpread = peaks(first)
	g.TPOTBimodality, g.TPOTSpread = peaks(c.column((*request).tpot))
	g.EmptyStartShare = ratio(g.EmptyStart, s.TTFT.P50.Value)
	g.FirstHalf, g.SecondHalf, g.HalvesT = c.halves(s, from, to)
	c.trends(&g)
	c.texts(&g)
	c.pauses(&g, s)
	g.TTFTAtZero, g.TTFTPerPrompt, g.TTFTPromptR2 = overLength(prompt, first)
	g.E2EPerOutput, g.E2EPerPrompt = overLengths(output, prompt, took)
	return g
}

// sort puts the measured requests in the order in which they were sent.
func (c *Collector) sort() {
	slices.SortFunc(c.requests, func(a, b request) int { return cmp.Or(cmp.Compare(a.sent, b.sent), cmp.Compare(a.seq, b.seq)) })
}

// column gives one number of each measured request, in their order.
func (c *Collector) column(of func(*request) float64) []float64 {
	out := make([]float64, len(c.requests))
	for i := range c.requests {
		out[i] = of(&c.requests[i])
	}
	return out
}

// latencies gives the known values of the i-th of sampleMetrics, in the order of c.requests.
func (c *Collector) latencies(i int) []float64 {
	return slices.DeleteFunc(c.column(func(r *request) float64 { return r.latencies[i] }), math.IsNaN)
}

// some gives the values that are known.
func some(values []float64) []float64 { return slices.DeleteFunc(slices.Clone(values), math.IsNaN) }

// median is that of the known values; NaN for none.
func median(values []float64) float64 {
	v := some(values)
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	return interpolate(v, 0.5)
}

// trends fills in what changes from the first requests to the last.
func (c *Collector) trends(g *Signs) {
	var sent, first, pace []float64 // s, ms
	for i := range c.requests {
		r := &c.requests[i]
		if !math.IsNaN(r.ttft()) {
			sent, first = append(sent, r.sent.Sub(0).Seconds()), append(first, r.ttft())
		}
		if !math.IsNaN(r.tpot()) {
			pace = append(pace, r.tpot())
		}
	}
	third := func(v []float64) (float64, float64) { return mean(v[:len(v)/3]), mean(v[len(v)-len(v)/3:]) }
	g.FirstThirdTTFT, g.LastThirdTTFT = third(first)
	g.FirstThirdTPOT, g.LastThirdTPOT = third(pace)
	g.TTFTSlopeT = trend(sent, first)

	users, start := 0, 0
	if closed(c.point.Load) {
		users = c.point.Load.Concurrency
		start = min(max(users-c.seen.WarmedUp, 0), len(first))
	}
	later := first[start:]
	early := min(max(users, int(math.Ceil(0.05*float64(len(later)))), 1), len(later))
	g.EarlyTTFT, g.LaterTTFT = mean(later[:early]), mean(later[early:])
}

// texts fills in what prompts and answers have in common.
func (c *Collector) texts(g *Signs) {
	type asked struct {
		prompt, answer uint64
		request        int // its place in the order of sending
	}
	var all []asked
	for i := range c.requests {
		if r := &c.requests[i]; r.asked != 0 {
			all = append(all, asked{r.asked, r.answer, i})
		}
	}
	g.PromptsHashed = len(all)
	slices.SortFunc(all, func(a, b asked) int {
		return cmp.Or(cmp.Compare(a.prompt, b.prompt), cmp.Compare(a.request, b.request))
	})
	var fresh, again []float64
	for start, end := 0, 0; start < len(all); start = end {
		prompt := all[start].prompt
		for end = start; end < len(all) && all[end].prompt == prompt; end++ {
			first := c.requests[all[end].request].ttft()
			if _, warm := c.evidence.warmed[prompt]; warm || end > start {
				again = append(again, first)
			} else {
				fresh = append(fresh, first)
			}
		}
		told := slices.DeleteFunc(all[start:end:end], func(a asked) bool { return a.answer == 0 })
		if len(told) < 2 {
			continue
		}
		g.SamePrompt += len(told)
		g.SamePromptGroups++
		distinct := map[uint64]struct{}{}
		for _, a := range told {
			distinct[a.answer] = struct{}{}
		}
		g.DistinctAnswers += len(distinct)
	}
	g.RepeatedPrompts = len(again)
	g.FreshTTFT, g.RepeatTTFT = median(fresh), median(again)
}

// pauses fills in what the gaps show.
func (c *Collector) pauses(g *Signs, s *PointSummary) {
	typical := s.ICL.P50.Value // ms
	g.LongestGap, g.GapCV = s.ICL.Max, c.gaps.variation()
	g.SlowGaps, g.DelayedAckGaps = math.NaN(), math.NaN()
	if c.gaps.n == 0 {
		return
	}
	g.Stalled = 0
	for i := range c.requests {
		if c.requests[i].longest > max(stallFactor*typical, stallFloor) {
			g.Stalled++
		}
	}
	if typical > 0 {
		g.SlowGaps = c.gaps.share(slowFactor*typical, math.Inf(1))
	}
	g.DelayedAckGaps = 0
	for _, mark := range []float64{40, 200} { // ms
		if typical < mark/2 {
			g.DelayedAckGaps += c.gaps.share(0.95*mark, 1.05*mark)
		}
	}
}

// keptAnswers is how many answers [Signs] name.
const keptAnswers = 50

// answered keeps the answers to the prompts whose hashes come first: the same prompts in
// every point that has them, so that points can be compared.
type answered struct{ kept []keptAnswer }

type keptAnswer struct {
	Answer
	sent experiment.Instant
	seq  int
}

func (k *answered) add(s *experiment.Sample) {
	if s.PromptHash == "" || s.OutputHash == "" {
		return
	}
	i, found := slices.BinarySearchFunc(k.kept, s.PromptHash, func(a keptAnswer, hash string) int { return strings.Compare(a.Prompt, hash) })
	a := keptAnswer{Answer{s.PromptHash, s.OutputHash}, s.Sent, s.Seq}
	switch {
	case found:
		if old := k.kept[i]; a.sent < old.sent || a.sent == old.sent && a.seq < old.seq {
			k.kept[i] = a
		}
	case i < keptAnswers:
		k.kept = slices.Insert(k.kept, i, a)
		k.kept = k.kept[:min(len(k.kept), keptAnswers)]
	}
}

func (k *answered) list() []Answer {
	var out []Answer
	for _, a := range k.kept {
		out = append(out, a.Answer)
	}
	return out
}
