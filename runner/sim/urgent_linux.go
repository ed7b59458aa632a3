package sim

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	urgentNice  = -10  // the niceness of the engine's thread, where the system allows it
	urgentSlack = 1000 // nanoseconds that a wait of it may be late for the kernel's convenience
)

// hasten lets the calling thread run before others, and reports whether it may.
func hasten() bool {
	// Without it waits end up to 50 µs late: a pity, and nothing that anybody could mend.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, urgentSlack, 0, 0, 0)
	return unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), urgentNice) == nil
}

// threadAlarm blocks the thread itself, so that the kernel's timer ends the wait.
type threadAlarm struct {
	mu sync.Mutex // held while the descriptor is written to or closed
	fd int        // an eventfd; −1 = closed
}

// newThreadAlarm gives an alarm for a goroutine that has its thread for itself.
func newThreadAlarm() alarm {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return newChannelAlarm()
	}
	return &threadAlarm{fd: fd}
}

func (a *threadAlarm) ring() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fd >= 0 {
		// It fails only if it has rung more often than 64 bits can count.
		_, _ = unix.Write(a.fd, []byte{1, 0, 0, 0, 1, 0, 0, 0})
	}
}

func (a *threadAlarm) wait(d time.Duration) {
	fds := []unix.PollFd{{Fd: int32(a.fd), Events: unix.POLLIN}}
	var limit *unix.Timespec
	if d >= 0 {
		t := unix.NsecToTimespec(int64(d))
		limit = &t
	}
	if n, err := unix.Ppoll(fds, limit, nil); err == nil && n > 0 {
		var count [8]byte
		_, _ = unix.Read(a.fd, count[:]) // nothing there is as good as read
	}
}

func (a *threadAlarm) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = unix.Close(a.fd)
	a.fd = -1
}
