package store

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A killed process that its parent has not asked about is a zombie: it still has
// its number, and will never write again.
func TestZombieIsDead(t *testing.T) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"="+filepath.Join(t.TempDir(), "a.db"))
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // it runs
		t.Fatal(err)
	}
	o := self()
	o.pid = child.Process.Pid
	o.start, _ = processStart(o.pid)
	if got := o.look(self()); got != alive || o.start == 0 {
		t.Errorf("before the kill: %d, started at %d", got, o.start)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Waitid(unix.P_PID, o.pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if got := o.look(self()); got != dead {
		t.Errorf("a zombie is %d", got)
	}
	_ = child.Wait()
	if got := o.look(self()); got != dead {
		t.Errorf("after the wait: %d", got)
	}
}
