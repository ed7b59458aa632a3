package runner

import (
	"cmp"
	"io"
	"math"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// The server that stalls once: it takes omissionService over an answer, but from the
// arrival of one request on it does nothing for omissionStall.
const (
	omissionEvery    = 10 * time.Millisecond // between arrivals
	omissionService  = 5 * time.Millisecond
	omissionStall    = 10 * time.Second
	omissionRequests = 10_000
	omissionStalls   = 4000 // ordinal of the request with which the stall begins
)

// omissionServer answers each request after omissionService, or after that from the
// end of the stall.
type omissionServer struct {
	mu    sync.Mutex
	n     int
	stall time.Time // when it ends
}

func (o *omissionServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	o.mu.Lock()
	if o.n == omissionStalls {
		o.stall = time.Now().Add(omissionStall)
	}
	o.n++
	wait := max(0, time.Until(o.stall)) + omissionService
	o.mu.Unlock()
	time.Sleep(wait)
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`)
}

// omissionModel gives what each request must see: its waits for room under the cap
// (0 = none), and its latencies from when it was sent and from when it was due.
func omissionModel(limit int) (held, sent, due []time.Duration) {
	stallEnd := omissionStalls*omissionEvery + omissionStall
	last := time.Duration(0) // the end of the request before
	for i := range omissionRequests {
		at := time.Duration(i) * omissionEvery
		leave := at
		if limit == 1 {
			leave = max(at, last)
		}
		end := leave + omissionService
		if i >= omissionStalls {
			end = max(leave, stallEnd) + omissionService
		}
		last = end
		held, sent, due = append(held, leave-at), append(sent, end-leave), append(due, end-at)
	}
	return held, sent, due
}

// omissionP99 is the smallest value that 99 % of the values do not exceed.
func omissionP99(values []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(math.Ceil(0.99*float64(len(sorted))))-1]
}

// A load generator that waits for answers before it sends on does not see a stall:
// with a cap of 1 one request of 10,000 does. This one sends every request all the same
// and records when it was due, from where the stall is seen in full. Without a cap
// it goes on sending during the stall.
func TestStallIsNotOmitted(t *testing.T) {
	if queueRaces() {
		t.Skip("an hour of load; make theory runs it without the race detector")
	}
	for _, tt := range []struct {
		name      string
		limit     int
		sent, due time.Duration // p99 in closed form
		held      int
		longest   time.Duration
	}{
		// The j-th request from the stall on is due 10·j ms later and ends 5·j ms later than the
		// first, so it takes 10,005 − 5·j ms, up to j = 2,000; the 100 largest are those up to j = 99.
		{"cap of 1", 1, 5 * time.Millisecond, 9505 * time.Millisecond, 1999, 9995 * time.Millisecond},
		// All of the stall end together: 10,005 − 10·j ms.
		{"no cap", 0, 9005 * time.Millisecond, 9005 * time.Millisecond, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := drivePlan(t, func(s *experiment.Spec) {
					s.Arrival, s.Rate, s.Concurrency = experiment.Arrival{Kind: experiment.ConstantArrival}, []float64{100}, nil
					s.MaxConcurrency, s.Requests, s.Warmup, s.Stream, s.Prompt = tt.limit, omissionRequests, 0, false, "go"
				})
				stack := newDriveStack(t, p, &omissionServer{})
				status, err := stack.run.Do(t.Context(), nil)
				if status != experiment.Complete || err != nil {
					t.Fatal(status, err)
				}
				stack.sink.check(t)
				samples := stack.sink.samples[0]
				if len(samples) != omissionRequests {
					t.Fatalf("%d of %d requests were sent", len(samples), omissionRequests)
				}
				slices.SortFunc(samples, func(a, b experiment.Sample) int { return cmp.Compare(a.Scheduled, b.Scheduled) })
				held, sent, due := omissionModel(tt.limit)
				var gotSent, gotDue []time.Duration
				for i, s := range samples {
					gotSent, gotDue = append(gotSent, s.End.Sub(s.Sent)), append(gotDue, s.End.Sub(s.Scheduled))
					if s.Outcome != experiment.OK || s.Scheduled.Sub(0) != time.Duration(i)*omissionEvery || s.Sent.Sub(s.Scheduled) != held[i] {
						t.Fatalf("request %d is %s: due at %d, sent at %d; it had to wait %s (%s)", i, s.Outcome, s.Scheduled, s.Sent, held[i], s.Error)
					}
					if gotSent[i] != sent[i] || gotDue[i] != due[i] {
						t.Fatalf("request %d took %s, and %s from when it was due, not %s and %s", i, gotSent[i], gotDue[i], sent[i], due[i])
					}
				}
				h := stack.sink.points[0].Health
				t.Logf("p99 %s from send, %s from schedule; %d held back, up to %s", omissionP99(gotSent), omissionP99(gotDue), h.HeldBack, time.Duration(h.HeldMax))
				if a, b := omissionP99(gotSent), omissionP99(gotDue); a != tt.sent || b != tt.due {
					t.Errorf("p99 is %s from send and %s from schedule, not %s and %s", a, b, tt.sent, tt.due)
				}
				if h.HeldBack != tt.held || time.Duration(h.HeldMax) != tt.longest {
					t.Errorf("%d were held back, up to %s; not %d, up to %s", h.HeldBack, time.Duration(h.HeldMax), tt.held, tt.longest)
				}
			})
		})
	}
}
