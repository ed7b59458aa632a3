package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// Writer records one run as it happens: a sample is handed over without waiting
// for the disk, and one goroutine commits them in batches, at most a second after
// the first of a batch has come. Its methods may be called at the same time. It is
// the runner's sink.
type Writer struct {
	n            *Notebook
	experimentID string
	queue        chan message
	done         chan struct{} // closed when the goroutine has ended
	closing      atomic.Bool   // a lock is no longer waited for

	gate   sync.RWMutex // held to send, so that nothing is sent after the queue is closed
	closed bool

	mu     sync.Mutex
	open   map[string]int64 // the points that have begun and not ended, by ID
	failed error            // the first thing that could not be written
	twice  error            // the first sample that came a second time
}

// message is either a sample or work to be done in order with the samples.
type message struct {
	sample *experiment.Sample
	point  int64
	work   func(*sql.Tx) error
	done   chan<- error
}

// Writer starts recording a running experiment of this process. The caller must
// close it. An experiment that is not running, or belongs to another process, is
// a [Conflict].
func (n *Notebook) Writer(ctx context.Context, experimentID string) (*Writer, error) {
	err := n.update(ctx, "starting to record", func(tx *sql.Tx) error {
		var number int
		var status experiment.Status
		var pid, start sql.Null[int64]
		err := tx.QueryRowContext(ctx, "SELECT number, status, writer_pid, writer_start FROM experiment WHERE id = ?",
			experimentID).Scan(&number, &status, &pid, &start)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return &Error{Code: NotFound, Msg: fmt.Sprintf("there is no experiment %q in %s", experimentID, n.path)}
		case err != nil:
			return err
		case status != experiment.Running:
			return &Error{Code: Conflict, Msg: fmt.Sprintf("exp-%d is %s and takes no more samples", number, status), Hint: "record a new experiment"}
		case pid.V != int64(self().pid) || start.V != self().start:
			return &Error{Code: Conflict, Msg: fmt.Sprintf("exp-%d is being recorded by process %d", number, pid.V), Hint: "record a new experiment"}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	w := &Writer{n: n, experimentID: experimentID, queue: make(chan message, n.tuning.queue), done: make(chan struct{}), open: map[string]int64{}}
	go w.run()
	return w, nil
}

// StartPoint records that a point has begun, with its schedule where it has one,
// and returns when that is committed.
func (w *Writer) StartPoint(ctx context.Context, p experiment.Point) error {
	if p.ExperimentID != w.experimentID {
		return invalid("", "point %s belongs to the experiment %q, not to %q", p.ID, p.ExperimentID, w.experimentID)
	}
	var num int64
	err := w.perform(ctx, func(tx *sql.Tx) (err error) {
		num, err = insertPoint(context.WithoutCancel(ctx), tx, &p)
		return err
	})
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[p.ID] = num
	return nil
}

// AddSample hands over a finished request of a point that has begun and not
// ended. It waits for nothing but room in the queue, and never drops a sample.
// The caller must not change what s points to afterwards. Once a batch could not
// be written, every call gives that error, and the sample waits in memory all the
// same, to be written with the others if there is room again by the end.
//
// The queue holds 16,384 samples: as many streams may end at once before a call
// waits. It waits only while the notebook is locked by somebody else or the disk is
// slower than the run. In an open loop that delays no send, since a request that
// has been sent holds up no other; but each waiting call keeps its goroutine and its
// sample in memory until the writer has caught up.
func (w *Writer) AddSample(pointID string, s experiment.Sample) error {
	w.mu.Lock()
	num, ok := w.open[pointID]
	err := w.failed
	w.mu.Unlock()
	if !ok {
		return invalid("", "point %q has not begun, or has ended", pointID)
	}
	if sendErr := w.send(message{sample: &s, point: num}); err == nil {
		err = sendErr
	}
	return err
}

// EndPoint records how a point ended, and returns when it and all its samples are
// committed.
func (w *Writer) EndPoint(ctx context.Context, p experiment.Point) error {
	w.mu.Lock()
	num, ok := w.open[p.ID]
	w.mu.Unlock()
	if !ok {
		return invalid("", "point %q has not begun, or has ended", p.ID)
	}
	err := w.perform(ctx, func(tx *sql.Tx) error { return updatePoint(context.WithoutCancel(ctx), tx, num, &p) })
	if err == nil {
		w.mu.Lock()
		delete(w.open, p.ID)
		w.mu.Unlock()
	}
	return err
}

// Close commits what is waiting and ends the recording. It gives the first thing
// that could not be written. The experiment stays running until it is finished.
// A second call gives the same.
func (w *Writer) Close(ctx context.Context) error {
	w.closing.Store(true)
	w.gate.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.gate.Unlock()
	select {
	case <-w.done:
		return w.Err()
	case <-ctx.Done():
		return fmt.Errorf("closing the record of an experiment: %w", ctx.Err())
	}
}

// Err gives the first thing that could not be written, else the first sample that
// came twice, of which the first is kept; nil while all is well.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed == nil {
		return w.twice
	}
	return w.failed
}

// broken reports whether a batch could not be written.
func (w *Writer) broken() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed != nil
}

func (w *Writer) note(failed, twice error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed == nil {
		w.failed = failed
	}
	if w.twice == nil {
		w.twice = twice
	}
}

func (w *Writer) send(m message) error {
	w.gate.RLock()
	defer w.gate.RUnlock()
	if w.closed {
		return invalid("", "the record of experiment %s is closed", w.experimentID)
	}
	w.queue <- m
	return nil
}

// perform has work done after everything that was handed over before, and
// committed with it.
func (w *Writer) perform(ctx context.Context, work func(*sql.Tx) error) error {
	done := make(chan error, 1)
	if err := w.send(message{work: work, done: done}); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("recording a point: %w", ctx.Err())
	}
}

// run is the writer's goroutine. It holds on to a batch that could not be
// written, and tries it again with the next work and when it is closed.
func (w *Writer) run() {
	defer close(w.done)
	b := newBatch(w.n)
	defer b.close()
	timer := time.NewTimer(w.n.tuning.batchEvery)
	timer.Stop()
	for {
		select {
		case m, open := <-w.queue:
			switch {
			case !open:
				w.commit(b, nil)
				if lost := len(b.rows); lost > 0 {
					w.loseRest(lost)
				}
				return
			case m.work != nil:
				m.done <- w.commit(b, m.work)
			default:
				b.rows = append(b.rows, m)
				if len(b.rows) == 1 {
					timer.Reset(w.n.tuning.batchEvery)
				}
				// After a failure the rest waits for the next work.
				if len(b.rows) >= w.n.tuning.batchRows && !w.broken() {
					w.commit(b, nil)
				}
			}
		case <-timer.C:
			if !w.broken() {
				w.commit(b, nil)
			}
		}
	}
}

// commit writes the batch, and the work with it. Another process's lock is waited
// for as long as the record is open: the samples stay in memory meanwhile. Work
// that fails leaves the samples committed.
func (w *Writer) commit(b *batch, work func(*sql.Tx) error) error {
	for {
		err := b.write(work)
		if is(err, Locked) && !w.closing.Load() {
			continue
		}
		w.note(err, b.twice)
		if err == nil {
			err = b.workErr
		}
		return err
	}
}

// loseRest puts into the error how many samples could not be saved.
func (w *Writer) loseRest(lost int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var e *Error
	if errors.As(w.failed, &e) {
		counted := *e
		counted.Msg = fmt.Sprintf("%s: %d samples could not be saved", e.Msg, lost)
		w.failed = &counted
		return
	}
	w.failed = fmt.Errorf("%d samples could not be saved: %w", lost, w.failed)
}
