package runner

import (
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
)

func TestHealth(t *testing.T) {
	var v vitals
	for i := range 100 {
		s := experiment.NewSample(i)
		s.Scheduled, s.Sent, s.Connected, s.Reused = 0, experiment.Instant(i+1), 5, i > 0
		s.Events, s.Gaps = 3, []experiment.Gap{7, experiment.SameRead}
		v.add(&s)
	}
	warm := experiment.NewSample(100) // what is not measured is late for other reasons
	warm.Phase, warm.Scheduled, warm.Sent = experiment.Warmup, 0, 1e9
	v.add(&warm)
	want := experiment.Health{
		SendLagP50: 50, SendLagP99: 99, SendLagMax: 100,
		ReadLagP50: experiment.Unknown, ReadLagP99: experiment.Unknown, ReadLagMax: experiment.Unknown,
		WakeLagP99: experiment.Unknown, CPUShare: experiment.Unknown, GCPauseMax: experiment.Unknown,
		NewConnections: 1, EventsPerRead: 1.5, StampSource: "read",
	}
	if d := cmp.Diff(want, v.health(stampRead)); d != "" {
		t.Error(d)
	}
	if h := (&vitals{}).health(stampRead); h.SendLagP99 != experiment.Unknown || h.EventsPerRead != 0 {
		t.Errorf("of no samples: %+v", h)
	}
}

func TestStampSource(t *testing.T) {
	const unknown = experiment.Unknown
	for _, row := range []struct {
		name              string
		samples           []experiment.Sample
		source            string
		p50, p99, longest int64
	}{
		{"none was stamped", []experiment.Sample{{Events: 2, MaxLag: unknown}}, "read", unknown, unknown, unknown},
		{"all were", []experiment.Sample{{Events: 2, Lags: []time.Duration{3, 5}, MaxLag: 5}, {Events: 1, Lags: []time.Duration{200}, MaxLag: 200}}, "kernel", 5, 200, 200},
		{"an event was not", []experiment.Sample{{Events: 2, Lags: []time.Duration{3, unknown}, MaxLag: 3}}, "kernel+read", 3, 3, 3},
		{"a request was not", []experiment.Sample{{Events: 1, Lags: []time.Duration{3}, MaxLag: 3}, {Events: 1, MaxLag: unknown}}, "kernel+read", 3, 3, 3},
		{"an answer that was not streamed", []experiment.Sample{{MaxLag: 7}}, "kernel", 7, 7, 7},
		{"an error has no arrival to stamp", []experiment.Sample{{MaxLag: unknown}, {Events: 1, Lags: []time.Duration{3}, MaxLag: 3}}, "kernel", 3, 3, 3},
	} {
		var v vitals
		for _, s := range row.samples {
			s.Phase, s.Sent, s.LastContent = experiment.Measured, experiment.Never, experiment.Never
			v.add(&s)
		}
		h := v.health(stampRead)
		if h.StampSource != row.source || h.ReadLagP50 != row.p50 || h.ReadLagP99 != row.p99 || h.ReadLagMax != row.longest {
			t.Errorf("%s: %s, %d %d %d", row.name, h.StampSource, h.ReadLagP50, h.ReadLagP99, h.ReadLagMax)
		}
	}
}

func TestHealthOfTheProcess(t *testing.T) {
	before := observeProcess()
	deadline := before.cpu + 20*time.Millisecond
	for x := 0; before.cpu >= 0 && cpuTime() < deadline; x++ {
		runtime.GC()
	}
	var h experiment.Health
	before.addTo(&h)
	if before.cpu >= 0 && (h.CPUShare <= 0 || h.CPUShare > 1) {
		t.Errorf("CPU share %g", h.CPUShare)
	}
	if h.GCPauseMax <= 0 {
		t.Errorf("the garbage collector ran and paused for %d ns", h.GCPauseMax)
	}
	if h.WakeLagP99 < 0 {
		t.Errorf("goroutines waited for %d ns", h.WakeLagP99)
	}
	inf := math.Inf(1)
	for _, tt := range []struct {
		name          string
		before, after []uint64
		q             float64
		want          int64
	}{
		{"nothing new", []uint64{1, 2, 3}, []uint64{1, 2, 3}, 1, 0},
		{"the longest counts", []uint64{1, 2, 3}, []uint64{5, 3, 3}, 1, 2000},
		{"all but the longest", []uint64{1, 2, 3}, []uint64{5, 3, 3}, 0.8, 1000},
		// The last bucket has no end, so its beginning is what is known.
		{"off the scale", []uint64{0, 0, 0}, []uint64{1, 0, 1}, 1, 2000},
	} {
		bounds := []float64{0, 1e-6, 2e-6, inf}
		if got := (metered{tt.after, bounds}).since(metered{tt.before, bounds}, tt.q); got != tt.want {
			t.Errorf("%s: %d ns, not %d", tt.name, got, tt.want)
		}
	}
}
