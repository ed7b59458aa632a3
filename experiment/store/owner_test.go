package store

import (
	"math"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/inferbook/inferbook/experiment"
)

func TestLook(t *testing.T) {
	me := owner{host: "a/1", boot: "b1 pid:[1]", pid: os.Getpid(), start: self().start}
	if runtime.GOOS != "linux" {
		me.boot = ""
	}
	for _, c := range []struct {
		name   string
		change func(*owner)
		want   life
	}{
		{"this process", func(*owner) {}, alive},
		{"another host", func(o *owner) { o.host = "a/2" }, unknowable},
		{"nobody was named", func(o *owner) { *o = owner{} }, unknowable},
		{"nobody has the number", func(o *owner) { o.pid = math.MaxInt32 }, dead},
		{"somebody else has the number now", func(o *owner) { o.start++ }, dead},
		{"the start is not known", func(o *owner) { o.start = 0 }, alive},
		{"the machine was started again", func(o *owner) { o.boot = "b2 pid:[1]" }, dead},
		{"another container of this machine", func(o *owner) { o.boot = "b1 pid:[2]" }, unknowable},
		{"the boot is not known", func(o *owner) { o.boot = "" }, unknowable},
	} {
		if runtime.GOOS != "linux" && (strings.Contains(c.name, "boot") || strings.Contains(c.name, "else")) {
			continue // not told there
		}
		o := me
		c.change(&o)
		if got := o.look(me); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestRunOfAnotherHostStays(t *testing.T) {
	path := t.TempDir() + "/a.db"
	n := mustOpen(t, path, Options{Create: true})
	e := mustCreate(t, n, experiment.Experiment{})
	if _, err := n.write.Exec("UPDATE experiment SET writer_host = 'node7/abc', writer_pid = 4711"); err != nil {
		t.Fatal(err)
	}
	_, err := n.Writer(t.Context(), e.ID)
	wantCode(t, err, Conflict, "process 4711")
	again := mustOpen(t, path, Options{})
	if w := again.Warnings(); len(w) != 1 || !strings.Contains(w[0], `exp-1 is marked as running by process 4711 on "node7"`) {
		t.Errorf("warnings: %q", w)
	}
	if got, err := again.Experiment(t.Context(), "1"); err != nil || got.Status != experiment.Running {
		t.Errorf("%+v, %v", got, err)
	}
}
