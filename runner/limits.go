package runner

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// limitError is the cause of a request that met one of the client's own limits.
type limitError struct {
	field string // as the specification calls it
	after time.Duration
	said  string // what did not happen
	next  string // what to try
}

func (e *limitError) Error() string {
	return fmt.Sprintf("%s within %s (%s); %s", e.said, e.after, e.field, e.next)
}

// watch holds a request to its time limits: one for the connection, one from
// the connection to the first event, one between events that are progress, and
// one for the whole. Only the second and third are of the server's speed, so a
// long answer is cut by the last alone.
type watch struct {
	spec   *experiment.Spec
	now    func() experiment.Instant
	cancel context.CancelCauseFunc
	start  experiment.Instant
	moved  atomic.Int64 // Instant of the last progress; the timer looks at it only when it fires

	mu    sync.Mutex
	timer *time.Timer
	stage stage
}

type stage int

const (
	connecting stage = iota
	waiting
	streaming
)

// newWatch starts to count at once. Its context is cancelled with a
// *limitError as the cause.
func newWatch(ctx context.Context, spec *experiment.Spec, now func() experiment.Instant) (context.Context, *watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{spec: spec, now: now, cancel: cancel, start: now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moved.Store(int64(w.start))
	at, _ := w.due()
	w.timer = time.AfterFunc(at.Sub(w.start), w.check)
	return ctx, w
}

// enter begins a stage.
func (w *watch) enter(s stage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	w.stage = s
	w.moved.Store(int64(now))
	at, _ := w.due()
	w.timer.Reset(at.Sub(now))
}

// progress puts the limit of the present stage off. One goroutine calls it, and
// what it tells of may have been told already.
func (w *watch) progress(at experiment.Instant) { w.moved.Store(max(w.moved.Load(), int64(at))) }

// stop ends the watch and frees what hangs on its context.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	w.cancel(nil)
}

func (w *watch) check() {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, limit := w.due()
	if left := at.Sub(w.now()); left > 0 {
		w.timer.Reset(left)
		return
	}
	w.cancel(limit)
}

// due gives the earlier of the stage's limit and the total one.
func (w *watch) due() (experiment.Instant, *limitError) {
	s := w.spec
	limit := &limitError{field: "connect_timeout", after: time.Duration(s.ConnectTimeout),
		said: "no connection to the server", next: "check the address, the network and any firewall"}
	switch w.stage {
	case waiting:
		limit = &limitError{field: "first_byte_timeout", after: time.Duration(s.FirstByteTimeout),
			said: "the server accepted the request and sent no event",
			next: "it may be overloaded or still loading the model: lower the load, or raise the limit"}
		if !s.Stream {
			limit.said = "the server accepted the request and sent no byte of its answer"
			limit.next = "without streaming nothing comes before the whole answer is made: raise the limit, or use --stream"
		}
	case streaming:
		limit = &limitError{field: "idle_timeout", after: time.Duration(s.IdleTimeout),
			said: "the stream stood still, with no new text", next: "the server hangs or is overloaded: look at its log, or raise the limit"}
	}
	at := experiment.Instant(w.moved.Load()).Add(limit.after)
	if total := w.start.Add(time.Duration(s.TotalTimeout)); total <= at {
		return total, &limitError{field: "total_timeout", after: time.Duration(s.TotalTimeout),
			said: "the answer was not complete", next: "ask for fewer output tokens, or raise the limit"}
	}
	return at, limit
}
