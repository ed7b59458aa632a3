//go:build linux || darwin

package runner

import (
	"fmt"
	"os"
	"syscall"
)

// checkFiles makes sure that the process may have so many files open.
func checkFiles(files uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur >= files {
		return nil
	}
	if limit.Max >= files {
		limit.Cur = limit.Max
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
			return nil
		}
	}
	return tooManyFiles(files, limit.Max)
}

// tooManyFiles is the error of a process that needs more files than the hard limit.
func tooManyFiles(files, hard uint64) error {
	return fmt.Errorf("the run needs %d open files and this process may have %d; run first, as root where the shell refuses: ulimit -n %d", files, hard, files)
}

// localPorts is the range of ports that connections are opened from.
func localPorts() (low, high int, ok bool) {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0, 0, false
	}
	n, err := fmt.Sscan(string(b), &low, &high)
	return low, high, err == nil && n == 2 && 0 < low && low <= high
}
