package sim

import "golang.org/x/sys/unix"

// urgentNice is the niceness of the engine's thread, where the system allows it.
const urgentNice = -10

// hasten lets the calling thread run before others, and reports whether it may.
func hasten() bool {
	return unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), urgentNice) == nil
}
