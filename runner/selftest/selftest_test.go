package selftest

import (
	"context"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
)

// served runs the paced server for a test.
func served(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error)
	go func() { over <- Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func TestMeasure(t *testing.T) {
	cfg := Config{Streams: 4, Rate: 1000, EventBytes: 300, Events: 10, First: time.Millisecond, Duration: 20 * time.Millisecond}
	r, err := Measure(t.Context(), cfg, served(t))
	if err != nil {
		t.Fatal(err)
	}
	if r.Failed != 0 || r.Requests < cfg.Streams {
		t.Fatalf("%d requests, %d failed", r.Requests, r.Failed)
	}
	events := r.Requests * cfg.Events
	for _, times := range []Times{r.Stamp, r.Read} {
		if times.Arrival.N != events || times.TTFT.N != r.Requests || times.Gap.N != events-r.Requests {
			t.Errorf("%d requests of %d events have %+v", r.Requests, cfg.Events, times)
		}
	}
	if merged := int(math.Round(r.Merged * float64(events))); r.Alone.N != events-merged {
		t.Errorf("%d events had a read of their own, and %d had not", r.Alone.N, merged)
	}
	if r.EventsPerSecond <= 0 || r.BytesPerStream < 0 || r.Verdict() == "" {
		t.Errorf("%+v", r)
	}
}

func TestMeasureRefuses(t *testing.T) {
	good := ConfigFor(1, 1, 1)
	good.Duration = time.Millisecond
	change := func(f func(*Config)) Config { c := good; f(&c); return c }
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(other, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Write([]byte("data: {\"choices\":[{\"delta\":{\"content\":\"Hello \"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"))
	}))
	defer other.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, row := range []struct {
		name    string
		ctx     context.Context
		cfg     Config
		address string
		want    string
	}{
		{"no streams", t.Context(), change(func(c *Config) { c.Streams = 0 }), "", "0 streams"},
		{"no rate", t.Context(), change(func(c *Config) { c.Rate = math.NaN() }), "", "a rate of NaN"},
		{"no events", t.Context(), change(func(c *Config) { c.Events = 0 }), "", "0 events"},
		{"no time", t.Context(), change(func(c *Config) { c.Duration = 0 }), "", "lasts 0s"},
		{"another server", t.Context(), good, other.Addr().String(), `holds "Hello" and no clock`},
		{"interrupted", ended, good, other.Addr().String(), "context canceled"},
	} {
		if _, err := Measure(row.ctx, row.cfg, row.address); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

func TestServeRefusesOthers(t *testing.T) {
	resp, err := http.Post("http://"+served(t)+"/v1/chat/completions", "application/json", strings.NewReader(`{"max_tokens":5}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d for a request without a pace", resp.StatusCode)
	}
}

func TestTemplate(t *testing.T) {
	for _, size := range []int{0, 250, 10_000} {
		event, clock := template(size)
		copy(clock, "1234567890123456789")
		if len(event) < size || len(clock) != stampDigits || !strings.Contains(string(event), `"content":"1234567890123456789 "`) {
			t.Errorf("%d bytes: %s", size, event)
		}
		if size > 250 && len(event) != size {
			t.Errorf("%d bytes and not %d", len(event), size)
		}
	}
}

func TestConfigFor(t *testing.T) {
	want := func(streams int, rate float64, events int) Config {
		return Config{Streams: streams, Rate: rate, EventBytes: 250, Events: events, First: 50 * time.Millisecond, Duration: 10 * time.Second}
	}
	for _, row := range []struct {
		name                 string
		inFlight, tpot, each float64
		want                 Config
	}{
		{"a token an event", 15.2, 20, 1, want(16, 50, 50)},
		{"four tokens an event", 64, 5, 0.25, want(64, 50, 50)},
		{"fast: the answer is no longer for it", 1, 1, 1, want(1, 1000, 256)},
		{"slow: two events make a gap", 1, 4000, 1, want(1, 0.25, 2)},
		{"nothing is known", experiment.Unknown, math.NaN(), math.Inf(1), want(1, 50, 50)},
	} {
		if d := cmp.Diff(row.want, ConfigFor(row.inFlight, row.tpot, row.each)); d != "" {
			t.Errorf("%s: %s", row.name, d)
		}
	}
}

// TestTally takes one answer of four events, sent at 10, 20, 30 and 40 µs, of
// which the second and third came in one read.
func TestTally(t *testing.T) {
	anchor := time.Unix(1_800_000_000, 0)
	s := experiment.NewSample(0)
	s.Outcome, s.Events = experiment.OK, 4
	s.Output = "1800000000000010000 1800000000000020000 1800000000000030000 1800000000000040000 "
	s.Sent, s.Scheduled, s.FirstContent = 0, 0, 10_100
	s.Gaps = []experiment.Gap{20_000, experiment.SameRead, 10_050}
	s.Lags = []time.Duration{5, 200, 200, experiment.Unknown}
	s.FirstLag, s.MaxLag = 5, 200
	tally := newTally(ConfigFor(1, 1, 1))
	if !tally.add(&s, anchor) {
		t.Fatal(tally.failure)
	}
	r := tally.result(time.Second)
	errs := func(n int, p50, p90, p99, most time.Duration) Errors { return Errors{n, p50, p90, p99, most} }
	// By stamps the events are 100, 10,100, 100 and 150 ns late, by reads 105,
	// 10,300, 300 and 150. Above 256 ns the histogram is exact to 0.4 %.
	near := cmp.Comparer(func(a, b time.Duration) bool { return math.Abs(float64(a-b)) <= float64(b)/250 })
	for _, row := range []struct {
		name      string
		got, want Errors
	}{
		{"arrivals", r.Stamp.Arrival, errs(4, 100, 10_100, 10_100, 10_100)},
		{"gaps", r.Stamp.Gap, errs(3, 10_000, 10_000, 10_000, 10_000)},
		{"TTFT", r.Stamp.TTFT, errs(1, 100, 100, 100, 100)},
		{"arrivals by reads", r.Read.Arrival, errs(4, 150, 10_300, 10_300, 10_300)},
		{"TTFT by reads", r.Read.TTFT, errs(1, 105, 105, 105, 105)},
		{"events whose stamp is their own", r.Alone, errs(3, 100, 150, 150, 150)},
	} {
		if d := cmp.Diff(row.want, row.got, near); d != "" {
			t.Errorf("%s: %s", row.name, d)
		}
	}
	if r.Merged != 0.25 || r.EventsPerSecond != 4 || r.Health.StampSource != "kernel+read" {
		t.Errorf("merged %g, %g events/s, %s", r.Merged, r.EventsPerSecond, r.Health.StampSource)
	}
}

func TestVerdict(t *testing.T) {
	all := func(d time.Duration) Times {
		e := Errors{N: 1, P50: d, P90: d, P99: d, Max: d}
		return Times{e, e, e}
	}
	for _, row := range []struct {
		name   string
		result Result
		want   string
		good   bool
	}{
		{"all well", Result{Stamp: all(20 * time.Microsecond), Read: all(40 * time.Microsecond)},
			"at 64 streams and 1280 events/s, 99 % of arrivals are within 0.02 ms of the server's truth, of gaps within 0.02 ms, of TTFTs within 0.02 ms", true},
		{"the stamps save it", Result{Stamp: all(20 * time.Microsecond), Read: all(20 * time.Millisecond)},
			"by the kernel's stamps; by the time of reading it would be 20 ms", true},
		{"merged", Result{Stamp: all(20 * time.Millisecond), Alone: all(time.Microsecond).Arrival, Merged: 0.125}, "12 % of the events came in one read with a later one", false},
		{"late without a stamp", Result{Stamp: all(20 * time.Millisecond), Alone: all(2 * time.Millisecond).Arrival}, "more than 1 ms", false},
	} {
		row.result.Config.Streams, row.result.EventsPerSecond = 64, 1280
		if v := row.result.Verdict(); !strings.Contains(v, row.want) || row.result.Good() != row.good {
			t.Errorf("%s: %t, %s", row.name, row.result.Good(), v)
		}
	}
}
