package runner

import (
	"math"
	"runtime"
	"runtime/metrics"
	"slices"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// Where arrival times come from, for [experiment.Health].
const (
	stampRead      = "read"
	stampSimulator = "simulator"
)

// vitals gathers what the samples of a point say about the client itself.
type vitals struct {
	lags        []int64 // Sent − Scheduled of measured requests, ns
	connections int
	events      int
	reads       int // reads that carried an event
}

func (v *vitals) add(s *experiment.Sample) {
	if s.Phase == experiment.Measured && s.Sent.Happened() {
		v.lags = append(v.lags, int64(s.Sent-s.Scheduled))
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

// health gives what was gathered. The process's own figures are unknown in it.
func (v *vitals) health(stamp string) experiment.Health {
	slices.Sort(v.lags)
	h := experiment.Health{
		SendLagP50: nearestRank(v.lags, 0.50), SendLagP99: nearestRank(v.lags, 0.99),
		CPUShare: experiment.Unknown, GCPauseMax: experiment.Unknown,
		NewConnections: v.connections, StampSource: stamp,
	}
	if v.reads > 0 {
		h.EventsPerRead = float64(v.events) / float64(v.reads)
	}
	return h
}

// nearestRank gives the q-quantile of a sorted list, [experiment.Unknown] of an empty one.
func nearestRank(sorted []int64, q float64) int64 {
	if len(sorted) == 0 {
		return experiment.Unknown
	}
	return sorted[int(math.Ceil(q*float64(len(sorted))))-1]
}

// process is the state of this process at one moment.
type process struct {
	at     time.Time
	cpu    time.Duration // user and system time; negative = the platform cannot tell
	pauses []uint64      // garbage collector's pauses, by bucket
	bounds []float64     // of the buckets, seconds; one more than there are buckets
}

// gcPauses is the runtime's histogram of stop-the-world pauses for garbage collection.
const gcPauses = "/sched/pauses/total/gc:seconds"

func observeProcess() process {
	p := process{at: time.Now(), cpu: cpuTime()}
	sample := []metrics.Sample{{Name: gcPauses}}
	metrics.Read(sample)
	if sample[0].Value.Kind() == metrics.KindFloat64Histogram {
		h := sample[0].Value.Float64Histogram()
		p.pauses, p.bounds = h.Counts, h.Buckets
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
	if len(p.pauses) > 0 && len(p.pauses) == len(now.pauses) {
		h.GCPauseMax = longestPause(p.pauses, now.pauses, now.bounds)
	}
}

// longestPause is the upper bound, in nanoseconds, of the highest bucket that grew; 0 = none did.
func longestPause(before, after []uint64, bounds []float64) int64 {
	for i := len(after) - 1; i >= 0; i-- {
		if after[i] == before[i] {
			continue
		}
		bound := bounds[i+1]
		if math.IsInf(bound, 1) {
			bound = bounds[i]
		}
		return int64(bound * 1e9)
	}
	return 0
}
