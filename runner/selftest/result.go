package selftest

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner"
	"github.com/inferbook/inferbook/runner/lag"
)

// Bar is the error at the 99 % quantile up to which the instrument's times are
// good: a twentieth of the shortest TPOT that engines reach under load.
const Bar = time.Millisecond

// Errors is a distribution of absolute errors, within 0.4 %. The times are −1 where N is 0.
type Errors struct {
	N                  int
	P50, P90, P99, Max time.Duration
}

// Times are the errors by one way to tell when an event came.
type Times struct {
	Arrival Errors // of all events
	Gap     Errors // of all gaps
	TTFT    Errors // of first events
}

// Result is the error that this machine's instrument has at a load.
type Result struct {
	Config   Config
	Requests int // answered in full
	Failed   int
	// Stamp is by the times that the client reports, Read by when it read.
	Stamp, Read Times
	// Merged is the share of events, 0–1, that came in one read with a later one:
	// they have its stamp and not their own. Alone is the arrival error of the others.
	Merged float64
	Alone  Errors
	// EventsPerSecond is what was achieved, to be compared with Streams × Rate.
	EventsPerSecond float64
	// BytesPerStream is how far the process's memory grew at most ÷ streams.
	BytesPerStream float64
	// Health is the client's own account of the same time.
	Health experiment.Health
}

// Good reports whether the reported times hold the [Bar].
func (r Result) Good() bool {
	return r.Stamp.Arrival.P99 <= Bar && r.Stamp.Gap.P99 <= Bar && r.Stamp.TTFT.P99 <= Bar
}

// Verdict is the result in one sentence.
func (r Result) Verdict() string {
	load := fmt.Sprintf("at %d streams and %.0f events/s", r.Config.Streams, r.EventsPerSecond)
	errs := fmt.Sprintf("99 %% of arrivals are within %s of the server's truth, of gaps within %s, of TTFTs within %s",
		short(r.Stamp.Arrival.P99), short(r.Stamp.Gap.P99), short(r.Stamp.TTFT.P99))
	switch {
	case !r.Good() && r.Alone.P99 <= Bar:
		return fmt.Sprintf("%s, %s: the client reads too late for this rate, and %.2g %% of the events came in one read with a later one, whose time they share; 99 %% of the others are within %s; use fewer streams, more processors or a machine with less beside it",
			load, errs, 100*r.Merged, short(r.Alone.P99))
	case !r.Good():
		return fmt.Sprintf("%s, %s: more than %s, so a tail of this size is the instrument's; use fewer streams, more processors or a machine with less beside it",
			load, errs, short(Bar))
	case r.Read.Arrival.P99 > Bar:
		return fmt.Sprintf("%s, %s, by the kernel's stamps; by the time of reading it would be %s, %s and %s",
			load, errs, short(r.Read.Arrival.P99), short(r.Read.Gap.P99), short(r.Read.TTFT.P99))
	default:
		return fmt.Sprintf("%s, %s", load, errs)
	}
}

// short gives a time in milliseconds with three digits.
func short(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/1e6, 'g', 3, 64) + " ms"
}

// tally gathers the errors of all streams.
type tally struct {
	cfg Config

	mu          sync.Mutex
	audit       *runner.Audit
	stamp, read histograms
	alone       lag.Histogram
	events      int
	merged      int
	requests    int
	failed      int
	failure     string
}

// histograms are the errors of [Times].
type histograms struct{ arrival, gap, ttft lag.Histogram }

func newTally(cfg Config) *tally { return &tally{cfg: cfg, audit: runner.NewAudit()} }

// stagger spreads the beginnings of streams evenly over an event's time, and
// connections so that the server's queue of them, 4,096 long, does not overflow.
func (t *tally) stagger(stream int) time.Duration {
	step := max(time.Duration(1e9/t.cfg.Rate)/time.Duration(t.cfg.Streams), 200*time.Microsecond)
	return step * time.Duration(stream)
}

// add takes one sample, and reports whether it was answered in full.
func (t *tally) add(s *experiment.Sample, anchor time.Time) bool {
	sent, err := truth(s, anchor)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.failed++
		t.failure = err.Error()
		return false
	}
	t.requests++
	t.audit.Add(s)
	t.events += len(sent)
	at := s.FirstText()
	var before, readBefore time.Duration // errors of the event before
	for i, truth := range sent {
		shared := i > 0 && s.Gaps[i-1].Shared()
		if i > 0 {
			at = at.Add(s.Gaps[i-1].Duration())
		}
		off := at.Sub(truth)
		readOff := off
		if i < len(s.Lags) && s.Lags[i] != experiment.Unknown {
			readOff += s.Lags[i]
		}
		t.stamp.add(i, off, before)
		t.read.add(i, readOff, readBefore)
		if shared {
			t.merged++
		}
		if i == len(sent)-1 || !s.Gaps[i].Shared() {
			t.alone.Add(int64(off.Abs()))
		}
		before, readBefore = off, readOff
	}
	return true
}

// add takes the error of the i-th event of a stream, and of the one before it.
func (h *histograms) add(i int, off, before time.Duration) {
	h.arrival.Add(int64(off.Abs()))
	if i == 0 {
		h.ttft.Add(int64(off.Abs()))
	} else {
		h.gap.Add(int64((off - before).Abs()))
	}
}

// truth gives when the server sent each event with text, which the text says.
func truth(s *experiment.Sample, anchor time.Time) ([]experiment.Instant, error) {
	if s.Outcome != experiment.OK {
		return nil, fmt.Errorf("%s: %s", s.Outcome, s.Error)
	}
	clocks := strings.Fields(s.Output)
	if len(clocks) != s.Events || len(s.Gaps) != s.Events-1 {
		return nil, fmt.Errorf("an answer of %d events holds %d clocks; is the address that of the self-test's own server?", s.Events, len(clocks))
	}
	sent := make([]experiment.Instant, len(clocks))
	for i, clock := range clocks {
		ns, err := strconv.ParseInt(clock, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("event %d of an answer holds %q and no clock; is the address that of the self-test's own server?", i, clock)
		}
		sent[i] = experiment.Instant(ns - anchor.UnixNano())
	}
	return sent, nil
}

func (t *tally) result(took time.Duration) Result {
	r := Result{
		Config: t.cfg, Requests: t.requests, Failed: t.failed,
		Stamp: t.stamp.times(), Read: t.read.times(), Alone: spread(&t.alone),
		EventsPerSecond: float64(t.events) / took.Seconds(),
		Health:          t.audit.Health(),
	}
	if t.events > 0 {
		r.Merged = float64(t.merged) / float64(t.events)
	}
	return r
}

func (h *histograms) times() Times {
	return Times{Arrival: spread(&h.arrival), Gap: spread(&h.gap), TTFT: spread(&h.ttft)}
}

func spread(h *lag.Histogram) Errors {
	at := func(q float64) time.Duration { return time.Duration(h.Quantile(q)) }
	return Errors{N: h.N(), P50: at(0.5), P90: at(0.9), P99: at(0.99), Max: time.Duration(h.Max())}
}
