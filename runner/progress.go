package runner

import (
	"math"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// observeEvery is how often a watcher is told at most, while a point runs.
const observeEvery = 200 * time.Millisecond

// Progress is how far a run has come. All counts and rates are of the measured
// requests of the current point.
type Progress struct {
	Point experiment.Point
	// PointIndex counts from 0; Points is how many the run has.
	PointIndex, Points int
	// Done of Total requests have ended; Total 0 = the point ends by time.
	Done, Total int
	// InFlight is the number of requests in flight, of any phase.
	InFlight int
	// Errors counts the ones that ended otherwise than well.
	Errors int
	// Elapsed is the time since the point began, warm-up included; Limit is how
	// long it sends measured requests, 0 = until Total.
	Elapsed, Limit time.Duration
	// RequestRate (req/s) and OutputTokS (tok/s) are of successful requests, since
	// the first measured one was sent. They are a live view, not the point's figures.
	RequestRate, OutputTokS float64
	// TTFTP95 is the running 95th percentile, within 1 %; without streaming it is
	// that of E2E. 0 = nothing to tell it from.
	TTFTP95 time.Duration
	// Finished says that the point has ended and this is its last word.
	Finished bool
}

// live is what a watcher is told, kept in constant memory.
type live struct {
	done, ok, tokens int
	since            experiment.Instant
	latency          histogram
}

func newLive() live { return live{since: experiment.Never} }

func (l *live) add(s *experiment.Sample) {
	if s.Phase != experiment.Measured {
		return
	}
	l.done++
	l.since = earlier(l.since, s.Sent)
	if s.Outcome != experiment.OK {
		return
	}
	l.ok++
	l.tokens += max(s.OutputTokens, 0)
	first := s.FirstText()
	if !first.Happened() {
		first = s.End
	}
	l.latency.add(first.Sub(s.Sent))
}

// progress gives the view at now.
func (p *running) progress(now experiment.Instant) Progress {
	v := p.live.progress(now)
	v.Total, v.Limit, v.InFlight = p.total, time.Duration(p.spec.Duration), p.gate.inflight
	return v
}

func (l *live) progress(now experiment.Instant) Progress {
	p := Progress{
		Done: l.done, Errors: l.done - l.ok, Elapsed: now.Sub(0), TTFTP95: l.latency.quantile(0.95),
	}
	if span := now.Sub(l.since).Seconds(); l.since.Happened() && span > 0 {
		p.RequestRate = float64(l.ok) / span
		p.OutputTokS = float64(l.tokens) / span
	}
	return p
}

// histogram counts durations in buckets that are 2 % wide, from 1 µs to 30 minutes.
type histogram struct {
	n       int
	buckets [1080]uint32
}

const bucketWidth = 1.02

func (h *histogram) add(d time.Duration) {
	i := int(math.Log(max(float64(d)/1e3, 1)) / math.Log(bucketWidth))
	h.buckets[min(i, len(h.buckets)-1)]++
	h.n++
}

// quantile gives the middle of the bucket that holds the nearest rank; 0 = empty.
func (h *histogram) quantile(q float64) time.Duration {
	rank := int(math.Ceil(q * float64(h.n)))
	for i, n := range h.buckets {
		if rank -= int(n); n > 0 && rank <= 0 {
			return time.Duration(1e3 * math.Pow(bucketWidth, float64(i)+0.5))
		}
	}
	return 0
}
