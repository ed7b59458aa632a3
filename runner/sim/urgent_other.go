//go:build !linux

package sim

// hasten does nothing: elsewhere a thread has no niceness of its own.
func hasten() bool { return false }

func newThreadAlarm() alarm { return newChannelAlarm() }
