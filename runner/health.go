package runner

import (
	"math"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/lag"
)

// Where arrival times come from, for [experiment.Health].
const (
	stampKernel    = "kernel"
	stampRead      = "read"
	stampBoth      = "kernel+read"
	stampSimulator = "simulator"
)

// vitals gathers what the samples of a point say about the client itself. Its
// memory does not grow with them.
type vitals struct {
	send        lag.Histogram // Sent − Scheduled of measured requests
	read        lag.Histogram // of their events with text, or their answers that were not streamed
	unstamped   int           // those of them that the kernel did not stamp
	connections int
	events      int
	reads       int // reads that carried an event
}

func (v *vitals) add(s *experiment.Sample) {
	if s.Phase == experiment.Measured {
		if s.Sent.Happened() {
			v.send.Add(int64(s.Sent - s.Scheduled))
		}
		v.addReads(s)
	}
	if s.Connected.Happened() && !s.Reused {
		v.connections++
	}
	v.events += s.Events
	v.reads += s.Events
	for _, g := range s.Gaps {
		if g.Shared() {
			v.reads--
		}
	}
}

func (v *vitals) addReads(s *experiment.Sample) {
	switch {
	case s.Events > 0:
	case s.MaxLag != experiment.Unknown:
		v.read.Add(int64(s.MaxLag))
	case s.LastContent.Happened():
		v.unstamped++
	}
	v.unstamped += s.Events - len(s.Lags)
	for _, late := range s.Lags {
		if late == experiment.Unknown {
			v.unstamped++
			continue
		}
		v.read.Add(int64(late))
	}
}

// health gives what was gathered. stamp is the source of arrivals that are not
// the kernel's. The process's own figures are unknown in it.
func (v *vitals) health(stamp string) experiment.Health {
	switch {
	case v.read.N() > 0 && v.unstamped > 0:
		stamp = stampBoth
	case v.read.N() > 0:
		stamp = stampKernel
	}
	h := experiment.Health{
		SendLagP50: v.send.Quantile(0.50), SendLagP99: v.send.Quantile(0.99), SendLagMax: v.send.Max(),
		ReadLagP50: v.read.Quantile(0.50), ReadLagP99: v.read.Quantile(0.99), ReadLagMax: v.read.Max(),
		WakeLagP99: experiment.Unknown, CPUShare: experiment.Unknown, GCPauseMax: experiment.Unknown,
		NewConnections: v.connections, StampSource: stamp,
	}
	if v.reads > 0 {
		h.EventsPerRead = float64(v.events) / float64(v.reads)
	}
	return h
}

// Audit is the health of this process over some samples, as a point keeps it,
// for who sends requests apart from a [Run]. It is not safe for concurrent use.
type Audit struct {
	vitals vitals
	before process
}

// NewAudit begins to observe.
func NewAudit() *Audit { return &Audit{before: observeProcess()} }

// Add takes one sample.
func (a *Audit) Add(s *experiment.Sample) { a.vitals.add(s) }

// Health gives what was observed until this moment.
func (a *Audit) Health() experiment.Health {
	h := a.vitals.health(stampRead)
	a.before.addTo(&h)
	return h
}

// process is the state of this process at one moment.
type process struct {
	at     time.Time
	cpu    time.Duration // user and system time; negative = the platform cannot tell
	pauses metered       // of the garbage collector
	wakes  metered       // how long goroutines that could run waited to
}

// metered is one of the runtime's histograms. It has one bound more than counts, in seconds.
type metered struct {
	counts []uint64
	bounds []float64
}

// The runtime's histograms of stop-the-world pauses for garbage collection, and
// of the time that goroutines spent ready to run before they ran.
const (
	gcPauses   = "/sched/pauses/total/gc:seconds"
	schedWaits = "/sched/latencies:seconds"
)

func observeProcess() process {
	p := process{at: time.Now(), cpu: cpuTime()}
	sample := []metrics.Sample{{Name: gcPauses}, {Name: schedWaits}}
	metrics.Read(sample)
	for i, h := range []*metered{&p.pauses, &p.wakes} {
		if sample[i].Value.Kind() == metrics.KindFloat64Histogram {
			f := sample[i].Value.Float64Histogram()
			h.counts, h.bounds = f.Counts, f.Buckets
		}
	}
	return p
}

// addTo fills in what happened to the process between p and now.
func (p process) addTo(h *experiment.Health) {
	now := observeProcess()
	wall := now.at.Sub(p.at)
	if p.cpu >= 0 && now.cpu >= 0 && wall > 0 {
		h.CPUShare = min(1, float64(now.cpu-p.cpu)/(float64(wall)*float64(runtime.GOMAXPROCS(0))))
	}
	if len(p.pauses.counts) > 0 && len(p.pauses.counts) == len(now.pauses.counts) {
		h.GCPauseMax = now.pauses.since(p.pauses, 1)
	}
	if len(p.wakes.counts) > 0 && len(p.wakes.counts) == len(now.wakes.counts) {
		h.WakeLagP99 = now.wakes.since(p.wakes, 0.99)
	}
}

// since is the q-quantile of what was counted after before, q in (0, 1], as the
// upper bound of its bucket in nanoseconds; 0 = nothing was.
func (h metered) since(before metered, q float64) int64 {
	var n uint64
	for i := range h.counts {
		n += h.counts[i] - before.counts[i]
	}
	if n == 0 {
		return 0
	}
	rank := uint64(math.Ceil(q * float64(n)))
	for i := range h.counts {
		count := h.counts[i] - before.counts[i]
		if rank > count {
			rank -= count
			continue
		}
		bound := h.bounds[i+1]
		if math.IsInf(bound, 1) {
			bound = h.bounds[i]
		}
		return int64(bound * 1e9)
	}
	return 0
}
