package runner

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
)

// Loads at the edge of what a specification can say end, and hold the rules, in
// virtual time and over HTTP alike.
func TestLoadsAtTheEdge(t *testing.T) {
	const briefly = experiment.Duration(time.Millisecond)
	for _, tt := range []struct {
		name   string
		edit   func(*experiment.Spec)
		phases map[string]int
	}{
		{"a duration shorter than a request", func(s *experiment.Spec) { s.Requests, s.Duration = 0, briefly },
			map[string]int{"warmup": 1, "measured": 1}},
		// The first to be warm sends the only measured request; the others keep the load up.
		{"the same with four workers", func(s *experiment.Spec) { s.Requests, s.Duration, s.Concurrency = 0, briefly, []int{4} },
			map[string]int{"warmup": 4, "measured": 1, "cooldown": 3}},
		{"the same with nothing to warm", func(s *experiment.Spec) {
			s.Requests, s.Duration, s.Concurrency, s.Warmup = 0, briefly, []int{4}, 0
		}, map[string]int{"measured": 4}},
		{"fewer requests than workers", func(s *experiment.Spec) { s.Requests, s.Concurrency = 3, []int{8} },
			map[string]int{"warmup": 8, "measured": 3, "cooldown": 7}},
		{"fewer requests than workers, all measured", func(s *experiment.Spec) { s.Requests, s.Concurrency, s.Warmup = 3, []int{8}, 0 },
			map[string]int{"measured": 3}},
		{"one request", func(s *experiment.Spec) { s.Requests, s.Warmup = 1, 0 },
			map[string]int{"measured": 1}},
		{"whichever comes first", func(s *experiment.Spec) { s.Requests, s.Duration = 1000, briefly },
			map[string]int{"warmup": 1, "measured": 1}},
	} {
		check := func(t *testing.T, status experiment.Status, err error, sink *driveSink) {
			t.Helper()
			if status != experiment.Complete || err != nil {
				t.Fatal(status, err)
			}
			sink.check(t)
			got := drivePhases(sink.samples[0])
			// Some cool-downs end before the last measured request does, and the others are cancelled then.
			if n := got["cooldown"] + got["cooldown!"]; n > 0 {
				got["cooldown"] = n
				delete(got, "cooldown!")
			}
			if d := cmp.Diff(tt.phases, got); d != "" {
				t.Error(d)
			}
			if w := sink.points[0].Window; !w.Start.Happened() || w.SendEnd <= w.Start || w.End < w.SendEnd {
				t.Errorf("the window is %+v", w)
			}
		}
		t.Run(tt.name, func(t *testing.T) {
			r, sink := driveRun(drivePlan(t, tt.edit))
			status, err := r.DoVirtual(t.Context(), driveDeployment(t), nil, driveStart)
			check(t, status, err, sink)
			synctest.Test(t, func(t *testing.T) {
				stack := newDriveStack(t, drivePlan(t, tt.edit), driveSimulator(t, sim.Config{GPU: "h100-sxm"}).Handler())
				status, err := stack.run.Do(t.Context(), nil)
				check(t, status, err, stack.sink)
			})
		})
	}
}

// After an error a worker pauses, at a server's word for as long as a minute. A
// point by time does not wait for that.
func TestDeadlineEndsPauses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		warmup int
		status int
		phases map[string]int
		end    time.Duration // of the point
	}{
		{"all measured", 0, http.StatusTooManyRequests, map[string]int{"measured!": 3}, 10 * time.Second},
		// The first requests are warm-up, and the deadline counts from the first measured one.
		{"warm-up too", 1, http.StatusTooManyRequests, map[string]int{"warmup!": 3, "measured!": 3}, 70 * time.Second},
		// Nothing that the endpoint answered says that it can be used.
		{"refused", 0, http.StatusUnauthorized, map[string]int{"measured!": 3}, 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := drivePlan(t, func(s *experiment.Spec) {
					s.Requests, s.Duration, s.Concurrency, s.Warmup = 0, experiment.Duration(10*time.Second), []int{3}, tt.warmup
				})
				stack := newDriveStack(t, p, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", "60")
					w.WriteHeader(tt.status)
				}))
				begin := time.Now()
				status, err := stack.run.Do(t.Context(), nil)
				stack.sink.check(t)
				if unusable := tt.status == http.StatusUnauthorized; (err != nil) != unusable || (status == experiment.Failed) != unusable {
					t.Error(status, err)
				}
				if took := time.Since(begin); took != tt.end {
					t.Errorf("the point took %s", took)
				}
				if d := cmp.Diff(tt.phases, drivePhases(stack.sink.samples[0])); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

// A server that slows to a stop: what it had begun is cut by the limits, and the
// run goes on to its end with every request in it.
func TestServerSlowsToAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := drivePlan(t, func(s *experiment.Spec) {
			s.Requests, s.Concurrency = 12, []int{3}
			s.IdleTimeout, s.FirstByteTimeout = experiment.Duration(5*time.Second), experiment.Duration(8*time.Second)
		})
		var mu sync.Mutex
		n := 0
		stack := newDriveStack(t, p, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // only then is the end of the connection noticed
			mu.Lock()
			n++
			late := time.Duration(1<<n) * 10 * time.Millisecond
			mu.Unlock()
			for range 4 {
				select {
				case <-time.After(late):
				case <-r.Context().Done():
					return
				}
				fmt.Fprint(w, clientText("a"))
				w.(http.Flusher).Flush()
			}
			fmt.Fprint(w, clientStop+clientDone)
		}))
		status, err := stack.run.Do(t.Context(), nil)
		if status != experiment.Complete || err != nil {
			t.Fatal(status, err)
		}
		stack.sink.check(t)
		outcomes := map[experiment.Outcome]int{}
		for _, s := range stack.sink.samples[0] {
			if outcomes[s.Outcome]++; s.Outcome == experiment.Timeout && s.End.Sub(s.Sent) > 14*time.Second {
				t.Errorf("request %d was given up after %s: %s", s.Seq, s.End.Sub(s.Sent), s.Error)
			}
		}
		if outcomes[experiment.OK] < 5 || outcomes[experiment.Timeout] < 5 {
			t.Errorf("outcomes %v", outcomes)
		}
	})
}

// A sink that takes nothing gets everything all the same, and the run ends.
func TestSinkThatRefuses(t *testing.T) {
	const workers = 4
	check := func(t *testing.T, status experiment.Status, err error, sink *driveSink) {
		t.Helper()
		sink.check(t)
		if status != experiment.Failed || err == nil || !strings.Contains(err.Error(), errDriveDisk.Error()) {
			t.Error(status, err)
		}
		// The first that ended, and the others that were in flight then.
		if d := cmp.Diff(map[string]int{"warmup": 1, "warmup!": workers - 1}, drivePhases(sink.samples[0])); d != "" {
			t.Error(d)
		}
	}
	edit := func(s *experiment.Spec) { s.Concurrency = []int{workers} }
	r, sink := driveRun(drivePlan(t, edit))
	sink.failAfter = 1
	status, err := r.DoVirtual(t.Context(), driveDeployment(t), nil, driveStart)
	check(t, status, err, sink)
	synctest.Test(t, func(t *testing.T) {
		stack := newDriveStack(t, drivePlan(t, edit), driveSimulator(t, sim.Config{GPU: "h100-sxm"}).Handler())
		stack.sink.failAfter = 1
		status, err := stack.run.Do(t.Context(), nil)
		check(t, status, err, stack.sink)
	})
}

// driveSlowStart is a sink whose disk never answers.
type driveSlowStart struct{ *driveSink }

func (driveSlowStart) StartPoint(ctx context.Context, _ experiment.Point) error {
	<-ctx.Done()
	return fmt.Errorf("recording a point: %w", ctx.Err())
}

// Who stops while the notebook is locked has interrupted the run, not broken it.
func TestCancelWhileAPointBegins(t *testing.T) {
	r, sink := driveRun(drivePlan(t, driveFour))
	r.Sink = driveSlowStart{sink}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		status, err := r.DoVirtual(ctx, driveDeployment(t), nil, driveStart)
		if status != experiment.Interrupted || err != nil {
			t.Error(status, err)
		}
	})
}

// A window never ends before it begins, even if the only measured request was on
// its way out when sending stopped.
func TestWindowOfARequestThatLeftLate(t *testing.T) {
	g := newGate(&experiment.Spec{Requests: 2, Warmup: 1}, []lane{{workers: 1}}, nil, nil)
	g.lanes[0].sent[0] = 1 // it is warm
	g.admit(0, 0, 10)
	g.halt(12)
	g.done(&experiment.Sample{Phase: experiment.Measured, Sent: 15, End: 30, Outcome: experiment.OK})
	want := experiment.Window{Start: 15, SendEnd: 15, End: 30, Rule: experiment.SteadyClosed}
	if d := cmp.Diff(want, g.window()); d != "" {
		t.Error(d)
	}
}

// Each request has an ID of its own, by which a server's log is joined with the
// samples as the package comment says.
func TestRequestIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := drivePlan(t, func(s *experiment.Spec) { s.Requests, s.Concurrency, s.Repeats = 30, []int{4, 12}, 2 })
		stack := newDriveStack(t, p, driveSimulator(t, sim.Config{GPU: "h100-sxm"}).Handler())
		if _, err := stack.run.Do(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for i, point := range stack.sink.points {
			samples := stack.sink.samples[i]
			slices.SortFunc(samples, func(a, b experiment.Sample) int { return a.Seq - b.Seq })
			place := map[int]int{} // by worker
			for _, s := range samples {
				want := fmt.Sprintf("%s-%d-%d-%d", stack.run.ExperimentID, point.Ordinal, s.Worker, place[s.Worker])
				place[s.Worker]++
				if s.Outcome == experiment.Cancelled {
					continue // its stream ended before the server's account
				}
				if got := gjson.Get(s.Server, "id").Str; got != want || seen[got] {
					t.Errorf("request %d has the ID %q, not %q; seen before: %v", s.Seq, got, want, seen[got])
				}
				seen[want] = true
			}
		}
		if len(seen) < 4*30 {
			t.Errorf("%d IDs", len(seen))
		}
	})
}

// A request that goes out again keeps its ID, and one without an ID has no header.
func TestRequestIDHeader(t *testing.T) {
	server := &clientServer{answer: func(_, _ int, _ *http.Request, body string) []clientPiece {
		if gjson.Get(body, "stream_options").Exists() {
			return clientRefusal(400, `{"error":{"message":"unknown field stream_options"}}`)
		}
		return clientOK()
	}}
	synctest.Test(t, func(t *testing.T) {
		c := clientNew(t, server, clientSpec())
		r := clientRequest()
		r.ID = "exp-0-3-17"
		c.Do(t.Context(), time.Now(), r)
		c.Do(t.Context(), time.Now(), clientRequest())
	})
	var got [][]string
	for _, h := range server.headers {
		got = append(got, h["X-Request-Id"])
	}
	if d := cmp.Diff([][]string{{"exp-0-3-17"}, {"exp-0-3-17"}, nil}, got); d != "" {
		t.Error(d)
	}
}

// Each end of a request looks whether others are to be cancelled, and an overloaded
// open loop has thousands of them in flight: that takes no longer for being many.
func TestThousandsCancelledAtOnce(t *testing.T) {
	if queueRaces() {
		t.Skip("one goroutine's arithmetic; make theory runs it without the race detector")
	}
	r, sink := driveRun(drivePlan(t, func(s *experiment.Spec) {
		openAt(s, 100)
		s.Requests, s.OutputTokens = 2000, experiment.Tokens(200)
	}))
	status, err := r.DoVirtual(t.Context(), driveDeployment(t), nil, driveStart)
	if status != experiment.Complete || err != nil {
		t.Fatal(status, err)
	}
	sink.check(t)
	if n := drivePhases(sink.samples[0]); n["measured"] != 2000 || n["cooldown!"] < 1000 {
		t.Errorf("phases %v", n)
	}
}
