package runner

import (
	stdcmp "cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tidwall/gjson"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
)

// drivePipes is a listener without sockets, which therefore works in a bubble.
type drivePipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newDrivePipes() *drivePipes {
	return &drivePipes{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *drivePipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *drivePipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *drivePipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *drivePipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// driveStack runs a plan through client, HTTP and a handler, within a bubble.
type driveStack struct {
	run   *Run
	sink  *driveSink
	pipes *drivePipes
}

func newDriveStack(t *testing.T, p Plan, handler http.Handler) *driveStack {
	t.Helper()
	pipes := newDrivePipes()
	web := &http.Server{Handler: handler}
	go web.Serve(pipes)
	p.Spec.BaseURL = "http://bubble/v1"
	client, err := NewClient(ClientConfig{Spec: p.Spec, MaxConns: 64, Dial: pipes.dial})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); web.Close() })
	r, sink := driveRun(p)
	r.Client = client
	return &driveStack{r, sink, pipes}
}

// driveSimulator starts a simulated server that lives as long as the test.
func driveSimulator(t *testing.T, cfg sim.Config) *sim.Server {
	t.Helper()
	server, err := sim.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	server.Start(ctx)
	return server
}

// The instrument measures what is: an hour of load at eight points, through HTTP, and
// every TTFT and every gap is the engine's own, to the nanosecond.
func TestAnHourOfLoadIsMeasuredExactly(t *testing.T) {
	if queueRaces() {
		t.Skip("an hour of load; make theory runs it without the race detector")
	}
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		server := driveSimulator(t, sim.Config{GPU: "l4"})
		p := drivePlan(t, func(s *experiment.Spec) {
			s.Requests, s.Duration = 0, experiment.Duration(450*time.Second)
			s.Concurrency, s.InputTokens, s.OutputTokens = []int{1, 2, 3, 4, 5, 6, 8, 12}, experiment.Tokens(4000), experiment.Tokens(32)
		})
		stack := newDriveStack(t, p, server.Handler())
		status, err := stack.run.Do(t.Context(), nil)
		if status != experiment.Complete || err != nil {
			t.Fatal(status, err)
		}
		hour := time.Since(begin)
		stack.sink.check(t)
		truths := map[string]sim.Truth{}
		for _, truth := range server.Truths() {
			truths[truth.ID] = truth
		}
		samples, gaps := 0, 0
		for i, point := range stack.sink.points {
			for _, s := range stack.sink.samples[i] {
				if s.Outcome == experiment.Cancelled && s.Phase == experiment.Cooldown {
					continue
				}
				truth, found := truths[gjson.Get(s.Server, "id").String()]
				if s.Outcome != experiment.OK || !found {
					t.Fatalf("%s: request %d of phase %s: %s %s", point.Load, s.Seq, s.Phase, s.Outcome, s.Error)
				}
				driveCompare(t, s, truth)
				samples++
				gaps += len(s.Gaps)
			}
			if h := point.Health; h.SendLagP99 != 0 || h.EventsPerRead != 1 || h.StampSource != "read" {
				t.Errorf("%s: health %+v", point.Load, h)
			}
		}
		if hour < time.Hour || samples < 1000 {
			t.Errorf("only %d samples in %s", samples, hour)
		}
		t.Logf("%s of load: %d samples and %d gaps equal the engine's", hour, samples, gaps)
	})
}

// driveCompare holds a sample against what the engine says of the request.
func driveCompare(t *testing.T, s experiment.Sample, truth sim.Truth) {
	t.Helper()
	if got := s.FirstText().Sub(s.Sent); got != truth.TTFT() {
		t.Errorf("request %d: TTFT %s, in truth %s", s.Seq, got, truth.TTFT())
	}
	if got := s.LastContent.Sub(s.Sent); got != truth.E2E() {
		t.Errorf("request %d: E2E %s, in truth %s", s.Seq, got, truth.E2E())
	}
	if len(s.Gaps)+1 != len(truth.TokenTimes) || s.OutputTokens != truth.OutputTokens || s.OutputTokens != s.OutputAsked {
		t.Fatalf("request %d: %d gaps and %d tokens, in truth %d tokens; asked for %d",
			s.Seq, len(s.Gaps), s.OutputTokens, len(truth.TokenTimes), s.OutputAsked)
	}
	for i, g := range s.Gaps {
		if want := truth.TokenTimes[i+1] - truth.TokenTimes[i]; g.Duration() != want || g.Shared() {
			t.Errorf("request %d: gap %d is %d ns, in truth %d", s.Seq, i, g, want)
		}
	}
}

// The run in virtual time and the one through HTTP are two drivers of one thing.
func TestVirtualEqualsHTTP(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*experiment.Spec)
	}{
		{"one worker", func(s *experiment.Spec) { s.Requests = 12 }},
		{"completions", func(s *experiment.Spec) { s.Requests, s.Endpoint = 5, experiment.Completions }},
		{"not streamed", func(s *experiment.Spec) { s.Requests, s.Stream = 5, false }},
		{"all measured", func(s *experiment.Spec) { s.Requests, s.Warmup, s.Jitter = 5, 0, 0 }},
		{"three workers", func(s *experiment.Spec) { s.Requests, s.Concurrency, s.Jitter = 12, []int{3}, 0.5 }},
		// With more workers the virtual engine comes to rest before the second point.
		{"two points, twice warm", func(s *experiment.Spec) { s.Requests, s.Concurrency, s.Warmup = 6, []int{1, 1}, 2 }},
		{"by time", func(s *experiment.Spec) { s.Requests, s.Duration = 0, experiment.Duration(20*time.Second) }},
		// Many requests leave at one instant in these.
		{"sixteen workers", func(s *experiment.Spec) { s.Requests, s.Concurrency = 64, []int{16} }},
		{"sixteen workers in lock step", func(s *experiment.Spec) { s.Requests, s.Concurrency, s.Warmup, s.Jitter = 64, []int{16}, 0, 0 }},
		{"twelve workers by time", func(s *experiment.Spec) {
			s.Requests, s.Duration, s.Concurrency = 0, experiment.Duration(10*time.Second), []int{12}
		}},
		{"an open loop", func(s *experiment.Spec) { openAt(s, 20); s.Requests = 60 }},
		{"an open loop by time", func(s *experiment.Spec) {
			openAt(s, 20)
			s.Requests, s.Duration = 0, experiment.Duration(4*time.Second)
		}},
		{"an open loop with a cap", func(s *experiment.Spec) { openAt(s, 40); s.Requests, s.MaxConcurrency = 60, 5 }},
		{"an open loop, all measured", func(s *experiment.Spec) { openAt(s, 20); s.Requests, s.Warmup = 40, 0 }},
		{"conversations", func(s *experiment.Spec) {
			openAt(s, 10)
			s.Requests, s.Turns, s.ThinkTime = 40, experiment.Tokens(3), experiment.Pause{Exponential: true, Low: 1e9, High: 1e9}
		}},
		{"conversations under a cap", func(s *experiment.Spec) {
			openAt(s, 30)
			s.Requests, s.Turns, s.MaxConcurrency = 40, experiment.Tokens(3), 4
			s.ThinkTime = experiment.Pause{Exponential: true, Low: 2e8, High: 2e8}
		}},
		{"users who think", func(s *experiment.Spec) {
			s.Requests, s.Concurrency, s.Turns, s.ThinkTime = 40, []int{6}, experiment.Tokens(2), experiment.Pause{Exponential: true, Low: 5e8, High: 5e8}
		}},
		{"completions in conversations", func(s *experiment.Spec) {
			s.Requests, s.Endpoint, s.Turns = 12, experiment.Completions, experiment.Tokens(3)
		}},
		{"chat beside offline work", func(s *experiment.Spec) {
			s.Requests, s.Concurrency = 40, nil
			s.Classes = []experiment.Class{
				{Name: "chat", Rate: 10, InputTokens: experiment.Tokens(200), OutputTokens: experiment.Tokens(40)},
				{Name: "offline", Concurrency: 3, InputTokens: experiment.Tokens(1000)},
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, want := driveDecided(t, tt.edit)
			synctest.Test(t, func(t *testing.T) {
				stack := newDriveStack(t, p, driveSimulator(t, sim.Config{GPU: "h100-sxm"}).Handler())
				if status, err := stack.run.Do(t.Context(), nil); err != nil || status != experiment.Complete {
					t.Fatal(status, err)
				}
				// Of requests that leave at one instant, goroutines decide which one is counted first.
				unset := cmpopts.IgnoreFields(experiment.Sample{}, "Seq", "Connected", "Headers", "HTTPStatus", "Protocol", "Reused")
				byWorker := cmpopts.SortSlices(func(a, b experiment.Sample) bool {
					return stdcmp.Or(stdcmp.Compare(a.Worker, b.Worker), stdcmp.Compare(a.Sent, b.Sent), stdcmp.Compare(a.Scheduled, b.Scheduled), stdcmp.Compare(a.Session, b.Session), stdcmp.Compare(a.Turn, b.Turn)) < 0
				})
				// Whether a token of the very instant of a cancellation is still seen is a matter of luck.
				for _, sink := range []*driveSink{want, stack.sink} {
					for _, samples := range sink.samples {
						for i := range samples {
							s := &samples[i]
							if s.Outcome == experiment.Cancelled {
								s.Gaps, s.LastContent, s.OutputTokens, s.Events, s.Reads, s.OutputHash = nil, 0, 0, 0, 0, ""
								s.FirstEvent, s.FirstContent, s.Counted, s.Model = 0, 0, "", ""
							}
							// Over HTTP the experiment's ID stands before the request's.
							s.Server = strings.Replace(s.Server, stack.run.ExperimentID+"-", "", 1)
						}
					}
				}
				if d := cmp.Diff(want.samples, stack.sink.samples, unset, byWorker, cmpopts.EquateEmpty()); d != "" {
					t.Errorf("samples, virtual (-) and through HTTP (+):\n%.3000s", d)
				}
				for i, p := range stack.sink.points {
					if d := cmp.Diff(want.points[i].Window, p.Window); d != "" {
						t.Errorf("window of point %d, virtual (-) and through HTTP (+):\n%s", i, d)
					}
				}
			})
		})
	}
}

// A conversation's later turns find their history in the simulated engine's prefix
// cache, and the same tokens of it in virtual time and through HTTP: the answers
// that come back are the same words.
func TestConversationsHitTheirHistory(t *testing.T) {
	p := drivePlan(t, func(s *experiment.Spec) {
		s.Requests, s.Concurrency, s.Turns, s.Warmup = 24, []int{2}, experiment.Tokens(4), 0
		s.InputTokens, s.OutputTokens = experiment.Tokens(300), experiment.Tokens(100)
	})
	cached := func(sink *driveSink) map[string]int {
		out := map[string]int{}
		for _, s := range sink.samples[0] {
			if s.Outcome == experiment.OK {
				out[fmt.Sprintf("%d.%d", s.Session, s.Turn)] = s.CachedTokens
			}
			// Each turn adds a prompt and an answer; the block that is not full is computed.
			if s.Outcome == experiment.OK && s.Turn > 0 && s.CachedTokens < s.Turn*400-16 {
				t.Errorf("turn %d of session %d found %d tokens", s.Turn, s.Session, s.CachedTokens)
			}
		}
		return out
	}
	virtual, sink := driveRun(p)
	if status, err := virtual.DoVirtual(t.Context(), driveDeployment(t), nil, driveStart); err != nil || status != experiment.Complete {
		t.Fatal(status, err)
	}
	want := cached(sink)
	synctest.Test(t, func(t *testing.T) {
		stack := newDriveStack(t, p, driveSimulator(t, sim.Config{GPU: "h100-sxm"}).Handler())
		if status, err := stack.run.Do(t.Context(), nil); err != nil || status != experiment.Complete {
			t.Fatal(status, err)
		}
		if d := cmp.Diff(want, cached(stack.sink)); d != "" {
			t.Errorf("cached tokens, virtual (-) and through HTTP (+):\n%s", d)
		}
	})
}

// openAt makes a specification an open loop at a rate.
func openAt(s *experiment.Spec, rate float64) {
	s.Arrival, s.Rate, s.Concurrency, s.Warmup = experiment.Arrival{Kind: experiment.PoissonArrival}, []float64{rate}, nil, 10
}

// driveDecided finds a seed with which the workers that become free at one
// instant all send a request of one phase, or none. Which of them gets the last
// measured request is otherwise decided by the order of goroutines.
func driveDecided(t *testing.T, edit func(*experiment.Spec)) (Plan, *driveSink) {
	t.Helper()
seeds:
	for seed := range uint64(100) {
		p := drivePlan(t, func(s *experiment.Spec) { edit(s); s.Seed = seed })
		virtual, sink := driveRun(p)
		if status, err := virtual.DoVirtual(t.Context(), driveDeployment(t), nil, driveStart); err != nil || status != experiment.Complete {
			t.Fatal(status, err)
		}
		sink.check(t)
		ties := 0
		for i, samples := range sink.samples {
			workers := p.Points[i].Load.Concurrency
			if workers == 0 || len(p.Spec.Classes) > 0 || !p.Spec.Turns.IsZero() {
				continue // nothing is sent at the instant at which something else ends
			}
			free := make([]experiment.Instant, workers) // since when
			for worker := range free {
				free[worker] = experiment.Instant(stagger(&p.Spec, workers, worker))
			}
			next := map[experiment.Instant]experiment.Phase{} // of those who were free at an instant
			take := func(at experiment.Instant, phase experiment.Phase) bool {
				before, tie := next[at]
				next[at] = phase
				if tie {
					ties++
				}
				return !tie || before == phase
			}
			for _, s := range slices.SortedFunc(slices.Values(samples), func(a, b experiment.Sample) int { return stdcmp.Compare(a.Sent, b.Sent) }) {
				if !take(free[s.Worker], s.Phase) {
					continue seeds
				}
				free[s.Worker] = s.End
				if s.Outcome == experiment.Cancelled {
					free[s.Worker] = experiment.Never // the end of the point, not its own
				}
			}
			for _, at := range free {
				if at.Happened() && !take(at, "") {
					continue seeds
				}
			}
		}
		t.Logf("seed %d: %d requests leave together with another", seed, ties)
		return p, sink
	}
	t.Fatal("with each of 100 seeds the order of goroutines decides something")
	return Plan{}, nil
}

// A conversation that outgrows the context is refused at that turn, in virtual time as
// through HTTP, and the run goes on with others.
func TestConversationOutgrowsTheContext(t *testing.T) {
	p := drivePlan(t, func(s *experiment.Spec) {
		s.Requests, s.Concurrency, s.Turns, s.Warmup = 12, []int{2}, experiment.Tokens(4), 0
		s.InputTokens, s.OutputTokens = experiment.Tokens(300), experiment.Tokens(50)
	})
	cfg := sim.Config{GPU: "h100-sxm", MaxModelLen: 1100}
	outcomes := func(sink *driveSink) map[string]string {
		out := map[string]string{}
		for _, s := range sink.samples[0] {
			if s.Outcome != experiment.Cancelled {
				out[fmt.Sprintf("%d.%d", s.Session, s.Turn)] = fmt.Sprintf("%s %d", s.Outcome, max(0, s.HTTPStatus-200))
			}
		}
		return out
	}
	d, err := cfg.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	virtual, sink := driveRun(p)
	if status, err := virtual.DoVirtual(t.Context(), d, nil, driveStart); err != nil || status != experiment.Complete {
		t.Fatal(status, err)
	}
	want := outcomes(sink)
	refused := 0
	for _, o := range want {
		if o == "http 200" {
			refused++
		}
	}
	if refused == 0 {
		t.Fatalf("no turn outgrew the context: %v", want)
	}
	synctest.Test(t, func(t *testing.T) {
		stack := newDriveStack(t, p, driveSimulator(t, cfg).Handler())
		if status, err := stack.run.Do(t.Context(), nil); err != nil || status != experiment.Complete {
			t.Fatal(status, err)
		}
		if d := cmp.Diff(want, outcomes(stack.sink)); d != "" {
			t.Errorf("outcomes, virtual (-) and through HTTP (+):\n%s", d)
		}
	})
}
