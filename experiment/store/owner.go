package store

import (
	"os"
	"strings"
	"sync"
)

// owner names the process that writes a run: enough to tell, later and from
// another process, whether it still lives.
type owner struct {
	host  string // host name and machine ID
	boot  string // boot ID and PID namespace; "" where the system has none
	pid   int
	start int64 // clock ticks since boot; 0 = the system does not tell
}

// self is this process.
var self = sync.OnceValue(func() owner {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	if id, err := os.ReadFile("/etc/machine-id"); err == nil {
		// Clones keep the name "localhost"; they are told to have their own ID.
		host += "/" + strings.TrimSpace(string(id))
	}
	start, _ := processStart(os.Getpid())
	return owner{host: host, boot: bootID(), pid: os.Getpid(), start: start}
})

// life is what can be said about a process.
type life int

const (
	alive life = iota
	dead
	unknowable // on another host, or in another PID namespace
)

// look tells whether the process lives, seen from the process me. It says dead
// only when that is certain: a live run must never be taken for a dead one.
func (o owner) look(me owner) life {
	switch {
	case o.pid == 0 || o.host != me.host || (o.boot == "") != (me.boot == ""):
		return unknowable
	case bootOnly(o.boot) != bootOnly(me.boot):
		return dead // the machine was started again since
	case o.boot != me.boot:
		return unknowable
	}
	start, exists := processStart(o.pid)
	if !exists || (o.start != 0 && start != 0 && start != o.start) {
		return dead // nobody has the number, or somebody else has it
	}
	return alive
}

// bootOnly is the boot ID without the PID namespace.
func bootOnly(boot string) string {
	id, _, _ := strings.Cut(boot, " ")
	return id
}
