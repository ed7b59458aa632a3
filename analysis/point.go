package analysis

import (
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// Collector computes the summary of one point from a stream of its samples. It
// keeps a few numbers per request, a count per distinct gap, and no sample.
// It is not safe for concurrent use.
type Collector struct {
	point experiment.Point
	spec  experiment.Spec // what was asked, as far as the caller told it
	seen  PointSummary    // the counts so far; the figures are made by Summary

	all, measured clock
	spans         []span
	ended         []completion
	requests      []request // the measured ones
	gaps          gaps
	streams       streams
	workload      workload
	arrivals      arrivals
	service       service
	evidence      evidence
	classes       []classCollector
}

// clock is the first send and the last end of some requests.
type clock struct{ first, last experiment.Instant }

func newClock() clock { return clock{experiment.Never, experiment.Never} }

func (c *clock) add(s *experiment.Sample) {
	if !c.first.Happened() || s.Sent < c.first {
		c.first = s.Sent
	}
	c.last = max(c.last, s.End)
}

// length is 0 where nothing both began and ended.
func (c *clock) length() time.Duration {
	if !c.first.Happened() || c.last < c.first {
		return 0
	}
	return c.last.Sub(c.first)
}

// NewCollector begins the summary of a point. The point's window decides what
// counts for throughput, so give the point as it was at its end.
func NewCollector(p experiment.Point) *Collector { return NewCollectorFor(p, &experiment.Spec{}) }

// NewCollectorFor is [NewCollector] with what was asked: the SLO to judge by, the
// classes to keep apart, the cap and the pauses that explain what would else look
// odd.
func NewCollectorFor(p experiment.Point, spec *experiment.Spec) *Collector {
	c := newCollector(p, spec, spec.SLO)
	for i := range spec.Classes {
		c.classes = append(c.classes, newClassCollector(p, spec, &spec.Classes[i]))
	}
	return c
}

func newCollector(p experiment.Point, spec *experiment.Spec, slo experiment.SLO) *Collector {
	return &Collector{
		point: p, spec: *spec, all: newClock(), measured: newClock(),
		service: newService(slo), evidence: newEvidence(),
		seen: PointSummary{
			Point: p, Definition: DefinitionVersion,
			Outcomes: map[experiment.Outcome]int{}, Finishes: map[string]int{}, CountedBy: map[experiment.Counted]int{},
			CachedTokens: experiment.Unknown, Preempted: experiment.Unknown,
		},
	}
}

// Summarise collects a sequence of samples. It stops at the first error and gives it.
func Summarise(p experiment.Point, samples iter.Seq2[experiment.Sample, error]) (PointSummary, error) {
	return SummariseFor(p, &experiment.Spec{}, samples)
}

// SummariseFor is [Summarise] with what was asked, see [NewCollectorFor].
func SummariseFor(p experiment.Point, spec *experiment.Spec, samples iter.Seq2[experiment.Sample, error]) (PointSummary, error) {
	c := NewCollectorFor(p, spec)
	var one experiment.Sample // instead of one on the heap for each
	for s, err := range samples {
		if err != nil {
			return PointSummary{}, fmt.Errorf("summarising point %s: %w", p.ID, err)
		}
		one = s
		c.Add(&one)
	}
	return c.Summary(), nil
}

// Add takes one sample of the point, in any order. It keeps no reference to it.
func (c *Collector) Add(s *experiment.Sample) {
	if !s.Sent.Happened() {
		return
	}
	for i := range c.classes {
		if c.classes[i].name == s.Class {
			c.classes[i].Add(s)
		}
	}
	c.all.add(s)
	c.evidence.add(s)
	c.spans = push(c.spans, span{s.Sent, s.End, due(s)})
	if s.Outcome == experiment.OK {
		c.ended = push(c.ended, completion{s.End, int32(s.PromptTokens), int32(outputTokens(s)),
			s.Phase == experiment.Measured, c.service.good(s)})
	}
	if s.Phase == experiment.Warmup {
		c.seen.WarmedUp++
	}
	if s.Phase != experiment.Measured {
		return
	}
	c.measured.add(s)
	c.seen.Sent++
	c.seen.Outcomes[s.Outcome]++
	c.arrivals.add(s)
	c.service.add(s)
	c.requests = push(c.requests, c.evidence.request(s))
	if s.Outcome == experiment.OK {
		c.addOK(s)
	}
}

// push adds one to a list that is doubled where it is full: append grows a long list by a quarter only, and
// so copies each entry four times on the way to a hundred thousand.
func push[T any](list []T, one T) []T {
	if len(list) == cap(list) {
		list = slices.Grow(list, max(len(list), 16))
	}
	return append(list, one)
}

func (c *Collector) addOK(s *experiment.Sample) {
	c.seen.OK++
	c.seen.Finishes[s.Finish]++
	c.seen.CountedBy[s.Counted]++
	if s.CachedTokens != experiment.Unknown {
		c.seen.CachedTokens = max(c.seen.CachedTokens, 0) + s.CachedTokens
	}
	c.addAccount(s)
	c.gaps.add(s.Gaps)
	c.streams.add(s)
	c.workload.add(s)
}

// outputTokens is the count of a sample, Unknown where nobody counted.
func outputTokens(s *experiment.Sample) int {
	if s.Counted == experiment.CountedNone {
		return experiment.Unknown
	}
	return s.OutputTokens
}

// Summary computes the figures from the samples so far. More may be added after it.
func (c *Collector) Summary() PointSummary {
	s := c.seen
	s.Outcomes, s.Finishes, s.CountedBy = maps.Clone(s.Outcomes), maps.Clone(s.Finishes), maps.Clone(s.CountedBy)
	c.sort()
	columns := make([][]float64, len(sampleMetrics)) // each in ascending order
	for i, m := range sampleMetrics {
		if m.Of == nil {
			*m.dist(&s) = c.gaps.distribution(m)
			continue
		}
		values := c.latencies(i)
		columns[i] = slices.Clone(values)
		slices.Sort(columns[i])
		*m.dist(&s) = distribution(m, values, columns[i])
	}
	s.WallClock, s.MeasuredClock = c.all.length(), c.measured.length()
	s.ErrorRate = ratio(float64(s.Sent-s.OK), float64(s.Sent))
	s.Interactivity = ratio(1000, s.TPOT.P50.Value)

	s.PromptTokens, s.MeanPrompt = c.workload.prompt.total(s.OK)
	s.OutputTokens, s.MeanOutput = c.workload.output.total(s.OK)
	s.PromptP50, s.PromptP95 = c.workload.prompt.quantiles()
	s.OutputP50, s.OutputP95 = c.workload.output.quantiles()
	s.CacheHitShare = c.workload.cacheShare()

	s.MeanEvents = ratio(float64(c.streams.events), float64(len(c.streams.ratios)))

	from, to := c.window()
	s.Window = max(0, to.Sub(from))
	s.MeanInflight, s.MaxInflight = inflight(c.spans, from, to)
	c.throughput(&s, from, to)
	s.BRun = s.OutputThroughput * s.TPOT.Mean / 1000
	s.LittleRatio = ratio(s.RequestRate*s.E2E.Mean/1000, s.MeanInflight)
	s.IdentityRatio = ratio(s.OutputThroughput, identity(&s))

	s.EventsPerOutput = c.streams.tokensPerEvent()
	s.SharedReads = ratio(float64(c.gaps.shared), float64(c.gaps.n))
	s.TTFTOverE2E = c.streams.share()
	s.Streaming = c.streams.verdict(s.SharedReads)

	s.HeldBack, s.HeldMax = s.Point.Health.HeldBack, milliseconds(s.Point.Health.HeldMax)
	s.ReadLagP50, s.ReadLagP99 = milliseconds(s.Point.Health.ReadLagP50), milliseconds(s.Point.Health.ReadLagP99)
	s.ReadLagMax = milliseconds(s.Point.Health.ReadLagMax)
	c.openLoop(&s, from, to)
	c.judge(&s, columns)
	s.Signs = c.signs(&s, from, to)
	for i := range c.classes {
		s.Classes = append(s.Classes, ClassSummary{c.classes[i].name, c.classes[i].Summary()})
	}
	return s
}

// window gives the span that throughput is counted over: the point's own, or
// that of its measured requests where the point has none or leaves nothing out.
func (c *Collector) window() (from, to experiment.Instant) {
	w := c.point.Window
	if w.Rule == experiment.SteadyNone || !c.sendingEnded() || !c.measured.first.Happened() {
		return c.measured.first, c.measured.last
	}
	return max(w.Start, 0), w.SendEnd
}

// sendingEnded reports whether the record says when sending stopped. A window
// that was never written is all zero.
func (c *Collector) sendingEnded() bool { return c.point.Window.SendEnd > 0 }

// known is a count as a number, NaN for Unknown.
func known(count int) float64 {
	if count == experiment.Unknown {
		return math.NaN()
	}
	return float64(count)
}

// closed reports whether the load is a closed loop and nothing else.
func closed(l experiment.Load) bool { return l.Concurrency > 0 && l.Rate == 0 }

// milliseconds is a time in nanoseconds, NaN for Unknown.
func milliseconds(ns int64) float64 {
	if ns == experiment.Unknown {
		return math.NaN()
	}
	return float64(ns) / 1e6
}

// identity is the output throughput that C users must give when each always
// has one request in flight; NaN for other loads.
func identity(s *PointSummary) float64 {
	users, n := float64(s.Point.Load.Concurrency), s.MeanOutput
	if !closed(s.Point.Load) {
		return math.NaN()
	}
	return users * n / ((s.TTFT.Mean + (n-1)*s.TPOT.Mean) / 1000)
}
