//go:build !linux

package store

import (
	"errors"
	"os"
	"syscall"
)

// bootID is not told by this system.
func bootID() string { return "" }

// processStart tells whether a process exists; when it started is not told, so
// that a process that has taken over the number keeps a dead run running.
func processStart(pid int) (start int64, exists bool) {
	p, err := os.FindProcess(pid)
	if err != nil {
		return 0, false
	}
	defer p.Release()
	err = p.Signal(syscall.Signal(0))
	return 0, !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH)
}
