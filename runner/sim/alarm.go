package sim

import "time"

// alarm wakes the engine's goroutine.
type alarm interface {
	// ring ends the wait of now, or else the next. It may be called from anywhere, at any time.
	ring()
	// wait returns when the alarm rings, when a time has passed, or for no reason;
	// below 0 = it waits for the ring alone.
	wait(d time.Duration)
	close()
}

// channelAlarm is by the Go runtime. Its times are right in a bubble; by the real
// clock it may be a millisecond late, since that is the unit in which a process
// that has nothing to do waits for its next timer.
type channelAlarm struct {
	rings chan struct{}
	timer *time.Timer
}

func newChannelAlarm() *channelAlarm {
	a := &channelAlarm{rings: make(chan struct{}, 1), timer: time.NewTimer(0)}
	a.timer.Stop()
	return a
}

func (a *channelAlarm) ring() {
	select {
	case a.rings <- struct{}{}:
	default: // it will look in any case
	}
}

func (a *channelAlarm) wait(d time.Duration) {
	var passed <-chan time.Time
	if d >= 0 {
		a.timer.Reset(d)
		passed = a.timer.C
	}
	select {
	case <-a.rings:
	case <-passed:
	}
	a.timer.Stop()
}

func (a *channelAlarm) close() { a.timer.Stop() }
