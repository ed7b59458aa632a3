package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// bootID names this boot of the machine and the PID namespace, as "boot pid:[4026531836]".
func bootID() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + " " + namespace
}

// processStart gives when a process started, in clock ticks since boot, and
// whether it exists. A zombie does not: it will never write again. A start of 0
// says that the process may exist and nothing more is known.
func processStart(pid int) (start int64, exists bool) {
	// Asked by a signal, since /proc may hide other people's processes.
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return 0, false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, true
	}
	// proc(5): "pid (comm) state ppid …"; comm may hold spaces and parentheses.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const state, starttime = 0, 19 // fields 3 and 22
	if len(fields) <= starttime {
		return 0, true
	}
	if s := fields[state][0]; s == 'Z' || s == 'X' {
		return 0, false
	}
	start, err = strconv.ParseInt(string(fields[starttime]), 10, 64)
	if err != nil {
		return 0, true
	}
	return start, true
}
