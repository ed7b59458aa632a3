package analysis

import (
	"cmp"
	"hash/maphash"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/inferbook/inferbook/experiment"
)

// evidence gathers what [Signs] are made of. It keeps a few numbers a request.
type evidence struct {
	seed    maphash.Seed // of the numbers that stand for texts
	first   opener
	answers []answer
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

// answer is what a measured, successful request shows. A time is in milliseconds
// and NaN where there is none; a count may be Unknown, a text's number is 0 where there is no hash.
type answer struct {
	sent            experiment.Instant
	seq             int
	ttft, tpot, e2e float64
	empty           float64 // from the first event to the first with text
	growth          float64 // of its gaps, NaN for too few
	longest         float64 // gap
	prompt, output  int32
	asked, told     uint64 // prompt and answer
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
		v.written = append(v.written, e)
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
func (v *evidence) addOK(s *experiment.Sample) {
	nan := math.NaN()
	a := answer{sent: s.Sent, seq: s.Seq, ttft: nan, tpot: nan, e2e: nan, empty: nan, growth: gapGrowth(s.Gaps), longest: nan,
		prompt: int32(s.PromptTokens), output: int32(outputTokens(s)), asked: v.number(s.PromptHash), told: v.number(s.OutputHash)}
	a.ttft, _ = ttft(s)
	a.tpot, _ = tpot(s)
	a.e2e, _ = e2e(s)
	a.empty, _ = between(s, s.FirstEvent, s.FirstText())
	if len(s.Gaps) > 0 {
		a.longest = float64(slices.Max(s.Gaps).Duration()) / 1e6
	}
	v.answers = append(v.answers, a)
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
	if tokens >= rushedTokens && a.ttft >= rushedShare*a.e2e {
		v.rushed++
	}
	// What tpot is made of is left out of the identity where it is not the plain count.
	if off := math.Abs(a.e2e-a.ttft-a.tpot*float64(a.output-1)) / a.e2e; finite(off) && !(off <= v.identity) {
		v.identity = off
	}
}

const (
	rushedTokens = 20
	rushedShare  = 0.9
	// growingGaps is how many gaps a stream needs for its growth to be told.
	growingGaps = 20
	// stallFactor times the median gap, and stallFloor in ms, are what a gap must exceed to be a stall:
	// beyond what another request's prefill does to a stream in a server that splits prefills.
	stallFactor, stallFloor = 10, 250.0
	slowFactor              = 5
	// spreadBar is the coefficient of variation of a length from which a latency can be regressed on it.
	spreadBar = 0.1
	// togetherBar is the correlation from which two lengths cannot be told apart.
	togetherBar = 0.9
	// trendBatches is how many means a trend is looked for in.
	trendBatches = 30
)

// gapGrowth is the least-squares slope of the gaps over their place × (gaps − 1) ÷ their mean.
func gapGrowth(gaps []experiment.Gap) float64 {
	n := len(gaps)
	if n < growingGaps {
		return math.NaN()
	}
	sum, moment := 0.0, 0.0
	for i, gap := range gaps {
		us := float64(gap.Duration()) / 1e3
		sum += us
		moment += float64(i) * us
	}
	k := float64(n)
	slope := (moment - sum*(k-1)/2) / (k * (k*k - 1) / 12)
	return ratio(slope*(k-1)*k, sum)
}

// signs gives the evidence. The summary has its latencies already.
func (c *Collector) signs(s *PointSummary, from, to experiment.Instant) Signs {
	v := &c.evidence
	slices.SortFunc(v.answers, func(a, b answer) int { return cmp.Or(cmp.Compare(a.sent, b.sent), cmp.Compare(a.seq, b.seq)) })
	prompt, output := v.column(func(a *answer) float64 { return known(int(a.prompt)) }), v.column(func(a *answer) float64 { return known(int(a.output)) })
	first, took := v.column(func(a *answer) float64 { return a.ttft }), v.column(func(a *answer) float64 { return a.e2e })
	asked := &c.workload.asked
	g := Signs{
		ColdTTFT: v.first.ttft, EmptyStart: median(v.column(func(a *answer) float64 { return a.empty })),
		HiddenReasoning: v.hidden, RateLimited: v.limited, Models: len(v.models), Fingerprints: len(v.prints),
		OutputCV: c.workload.output.variation(), PromptCV: c.workload.prompt.variation(),
		PromptAsked: asked.prompt, PromptCounted: asked.count, OutputsAsked: asked.outputs,
		OffLength: ratio(float64(asked.off), float64(asked.outputs)), Stopped: c.workload.stops,
		GapGrowth: mean(some(v.column(func(a *answer) float64 { return a.growth }))), MultiTokenEvents: ratio(float64(v.several), float64(v.events)),
		Bursts: c.streams.bursts, Streams: c.streams.long, Rushed: v.rushed,
		IdentityError: v.identity, Answers: v.kept.list(),
	}
	g.TTFTBimodality, g.TTFTSpread = peaks(first)
	g.TPOTBimodality, g.TPOTSpread = peaks(v.column(func(a *answer) float64 { return a.tpot }))
	g.EmptyStartShare = ratio(g.EmptyStart, s.TTFT.P50.Value)
	g.FirstHalf, g.SecondHalf = halves(v.written, from, to, s.EventsPerOutput)
	c.trends(&g)
	v.texts(&g)
	c.pauses(&g, s)
	g.TTFTAtZero, g.TTFTPerPrompt, g.TTFTPromptR2 = overLength(prompt, first)
	g.E2EPerOutput, g.E2EPerPrompt = overLengths(output, prompt, took)
	return g
}

// column gives one number of each answer, in the order in which they were sent.
func (v *evidence) column(of func(*answer) float64) []float64 {
	out := make([]float64, len(v.answers))
	for i := range v.answers {
		out[i] = of(&v.answers[i])
	}
	return out
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
	for i := range c.evidence.answers {
		a := &c.evidence.answers[i]
		if !math.IsNaN(a.ttft) {
			sent, first = append(sent, a.sent.Sub(0).Seconds()), append(first, a.ttft)
		}
		if !math.IsNaN(a.tpot) {
			pace = append(pace, a.tpot)
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
func (v *evidence) texts(g *Signs) {
	type pair struct{ asked, told uint64 }
	prompts, answered, distinct := map[uint64]bool{}, map[uint64]int{}, map[pair]struct{}{}
	var fresh, again []float64
	for i := range v.answers {
		a := &v.answers[i]
		if a.asked == 0 {
			continue
		}
		g.PromptsHashed++
		if _, warm := v.warmed[a.asked]; warm || prompts[a.asked] {
			g.RepeatedPrompts++
			again = append(again, a.ttft)
		} else {
			fresh = append(fresh, a.ttft)
		}
		prompts[a.asked] = true
		if a.told != 0 {
			answered[a.asked]++
		}
	}
	for i := range v.answers {
		if a := &v.answers[i]; a.told != 0 && answered[a.asked] > 1 {
			distinct[pair{a.asked, a.told}] = struct{}{}
		}
	}
	for _, n := range answered {
		if n > 1 {
			g.SamePrompt += n
			g.SamePromptGroups++
		}
	}
	g.DistinctAnswers = len(distinct)
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
	for i := range c.evidence.answers {
		if c.evidence.answers[i].longest > max(stallFactor*typical, stallFloor) {
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

// trend is the t-statistic of the least-squares slope of y over x, both in order of x.
// Of more than trendBatches values it is that of the means of as many batches: neighbours in a
// queue are alike, and taken one by one they would count as evidence many times over.
func trend(x, y []float64) float64 {
	if n := len(x); n > trendBatches {
		var bx, by []float64
		for b := range trendBatches {
			lo, hi := b*n/trendBatches, (b+1)*n/trendBatches
			bx, by = append(bx, mean(x[lo:hi])), append(by, mean(y[lo:hi]))
		}
		x, y = bx, by
	}
	n := len(x)
	if n < 3 || stat.Variance(x, nil) == 0 {
		return math.NaN()
	}
	if slices.Min(y) == slices.Max(y) {
		return 0
	}
	r := stat.Correlation(x, y, nil)
	return r * math.Sqrt(float64(n-2)/max(1-r*r, 1e-12))
}

// peaks gives Sarle's coefficient of bimodality and the standard deviation of the logarithms of the known,
// positive values.
func peaks(values []float64) (bimodality, spread float64) {
	logs := make([]float64, 0, len(values))
	for _, v := range values {
		if v > 0 {
			logs = append(logs, math.Log(v))
		}
	}
	n := float64(len(logs))
	if n < 4 {
		return math.NaN(), math.NaN()
	}
	if slices.Min(logs) == slices.Max(logs) {
		return math.NaN(), 0
	}
	skew, kurtosis := stat.Skew(logs, nil), stat.ExKurtosis(logs, nil)
	return ratio(skew*skew+1, kurtosis+3*(n-1)*(n-1)/((n-2)*(n-3))), stat.StdDev(logs, nil)
}

// pairs gives the rows in which all columns are known, column by column.
func pairs(columns ...[]float64) [][]float64 {
	out := make([][]float64, len(columns))
	for i := range columns[0] {
		if slices.ContainsFunc(columns, func(c []float64) bool { return math.IsNaN(c[i]) }) {
			continue
		}
		for j, c := range columns {
			out[j] = append(out[j], c[i])
		}
	}
	return out
}

// spreads reports whether lengths differ enough for a regression on them.
func spreads(lengths []float64) bool {
	return len(lengths) >= 3 && stat.StdDev(lengths, nil) >= spreadBar*stat.Mean(lengths, nil)
}

// overLength fits y over one length.
func overLength(length, y []float64) (start, slope, r2 float64) {
	both := pairs(length, y)
	if !spreads(both[0]) {
		return math.NaN(), math.NaN(), math.NaN()
	}
	start, slope = stat.LinearRegression(both[0], both[1], nil, false)
	r := stat.Correlation(both[0], both[1], nil)
	return start, slope, ratio(r*r, 1)
}

// overLengths gives the slopes of y over two lengths at once.
func overLengths(a, b, y []float64) (slopeA, slopeB float64) {
	all := pairs(a, b, y)
	if !spreads(all[0]) || !spreads(all[1]) {
		return math.NaN(), math.NaN()
	}
	together := stat.Correlation(all[0], all[1], nil)
	if math.Abs(together) > togetherBar {
		return math.NaN(), math.NaN()
	}
	va, vb := stat.Variance(all[0], nil), stat.Variance(all[1], nil)
	ca, cb, cab := stat.Covariance(all[0], all[2], nil), stat.Covariance(all[1], all[2], nil), stat.Covariance(all[0], all[1], nil)
	det := va*vb - cab*cab
	return ratio(ca*vb-cb*cab, det), ratio(cb*va-ca*cab, det)
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
