package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// seeded gives options under which every ID and time of a notebook is the same again.
func seeded() Options {
	now := func() time.Time { return noon }
	return Options{Create: true, Journal: "delete", IDs: experiment.NewSeededIDs(7, now), Now: now}
}

func impatient() tuning {
	t := ordinary()
	t.busy = 0
	return t
}

// mustOpen opens or makes a notebook that is closed with the test.
func mustOpen(t testing.TB, path string, o Options) *Notebook {
	t.Helper()
	n, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func fresh(t testing.TB) *Notebook {
	t.Helper()
	return mustOpen(t, filepath.Join(t.TempDir(), "experiments.db"), Options{Create: true})
}

func mustCreate(t testing.TB, n *Notebook, e experiment.Experiment) *experiment.Experiment {
	t.Helper()
	if err := n.CreateExperiment(t.Context(), &e); err != nil {
		t.Fatal(err)
	}
	return &e
}

// wantCode fails unless err is an Error of this code whose sentence has all the parts.
func wantCode(t testing.TB, err error, code Code, parts ...string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("error is %v, want one of code %q", err, code)
	}
	for _, part := range parts {
		if !strings.Contains(e.Error(), part) {
			t.Errorf("error says %q, want %q in it", e, part)
		}
	}
	if strings.Contains(e.Error(), "\n") {
		t.Errorf("error is more than one line: %q", e)
	}
}

func TestOpenMakesWhatIsNotThere(t *testing.T) {
	for _, name := range []string{
		"experiments.db",
		"with spaces.db",
		"100%.db",  // a percent sign begins an escape in a URI
		"what?.db", // a question mark begins the parameters
		"exp#1.db", // a hash begins the fragment
		"größe&mode=ro.db",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			n, err := Open(t.Context(), path, Options{Create: true})
			if err != nil {
				t.Fatal(err)
			}
			e := mustCreate(t, n, experiment.Experiment{Name: "first"})
			if _, err := os.Stat(path + "-wal"); err != nil {
				t.Error("there is no write-ahead log:", err)
			}
			if got := n.Warnings(); len(got) > 0 {
				t.Error("warnings:", got)
			}
			if err := n.FinishExperiment(t.Context(), e.ID, experiment.Complete); err != nil {
				t.Fatal(err)
			}
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			again := mustOpen(t, path, Options{})
			got, err := again.Experiment(t.Context(), "first")
			if err != nil || got.ID != e.ID {
				t.Errorf("reopened: %v, %v", got, err)
			}
			left, err := os.ReadDir(filepath.Dir(path))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range left {
				if n := f.Name(); n != name && n != name+"-wal" && n != name+"-shm" {
					t.Errorf("%q was left behind", n)
				}
			}
			if again.Path() != path {
				t.Errorf("Path() = %q", again.Path())
			}
		})
	}
}

func TestCloseLeavesOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	n, err := Open(t.Context(), path, Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	mustCreate(t, n, experiment.Experiment{Status: experiment.Complete})
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(path + "*")
	if diff := cmp.Diff([]string{path}, files); diff != "" {
		t.Error(diff)
	}
}

func TestOpenEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), path, Options{})
	wantCode(t, err, NotANotebook, "a.db", "is empty", "inferbook init")
	mustOpen(t, path, Options{Create: true})
}

func TestOpenThroughLink(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "real.db"), filepath.Join(dir, "link.db")
	mustOpen(t, path, Options{Create: true})
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	n := mustOpen(t, link, Options{})
	mustCreate(t, n, experiment.Experiment{Status: experiment.Complete})
	if _, err := os.Stat(link + "-wal"); err == nil {
		t.Error("the log is beside the link, where another process would not look for it")
	}
}

func TestOpenReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	_, err := Open(t.Context(), path, Options{ReadOnly: true, Create: true})
	wantCode(t, err, NotFound, "a.db", "inferbook init")
	w := mustOpen(t, path, Options{Create: true})
	e := mustCreate(t, w, experiment.Experiment{Name: "x"})

	r := mustOpen(t, path, Options{ReadOnly: true})
	if got, err := r.Experiment(t.Context(), "last"); err != nil || got.ID != e.ID {
		t.Errorf("reading what another wrote: %v, %v", got, err)
	}
	wantCode(t, r.CreateExperiment(t.Context(), &experiment.Experiment{}), ReadOnly, "a.db")
	if _, err := r.read.Exec("DELETE FROM experiment"); err == nil {
		t.Error("a reading connection deleted rows")
	}
}

func TestJournal(t *testing.T) {
	for _, c := range []struct {
		option, variable string
		want             string // "" = refused
	}{
		{"", "", "wal"},
		{"delete", "", "delete"},
		{"", "delete", "delete"},
		{"", "DELETE", "delete"},  // in any case
		{"wal", "delete", "wal"},  // the option is stronger
		{"", "memory", ""},        // not safe
		{"journal", "delete", ""}, // not a mode
	} {
		t.Setenv(JournalVariable, c.variable)
		path := filepath.Join(t.TempDir(), "a.db")
		n, err := Open(t.Context(), path, Options{Create: true, Journal: c.option})
		if c.want == "" {
			wantCode(t, err, Invalid, "wal or delete")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var mode string
		if err := n.write.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil || mode != c.want {
			t.Errorf("%+v: journal mode is %q, %v", c, mode, err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A folder where the log's shared memory would be is what a file system that
// cannot map a file looks like to SQLite.
func TestWALRefused(t *testing.T) {
	for _, made := range []string{"delete", "wal"} {
		t.Run("made with "+made, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.db")
			n, err := Open(t.Context(), path, Options{Create: true, Journal: made})
			if err != nil {
				t.Fatal(err)
			}
			mustCreate(t, n, experiment.Experiment{Status: experiment.Complete})
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(path+"-shm", 0o700); err != nil {
				t.Fatal(err)
			}
			n = mustOpen(t, path, Options{})
			if w := n.Warnings(); len(w) != 1 || !strings.Contains(w[0], "refuses a write-ahead log") {
				t.Errorf("warnings: %q", w)
			}
			mustCreate(t, n, experiment.Experiment{Status: experiment.Complete})
			if list, err := n.List(t.Context(), Filter{}); err != nil || len(list) != 2 {
				t.Errorf("%d experiments, %v; want 2", len(list), err)
			}
		})
	}
}

// A notebook on a medium that cannot be written can still be read.
func TestCannotBeWritten(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("permissions do not bind root")
	}
	for _, journal := range []string{"wal", "delete"} {
		for _, what := range []string{"file", "folder"} {
			t.Run(journal+"/"+what, func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, "a.db")
				n, err := Open(t.Context(), path, Options{Create: true, Journal: journal})
				if err != nil {
					t.Fatal(err)
				}
				mustCreate(t, n, experiment.Experiment{Name: "x", Status: experiment.Complete})
				if err := n.Close(); err != nil {
					t.Fatal(err)
				}
				closed, mode := path, os.FileMode(0o400)
				if what == "folder" {
					closed, mode = dir, 0o500
				}
				if err := os.Chmod(closed, mode); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { os.Chmod(closed, 0o700) })
				for _, o := range []Options{{Journal: journal}, {Journal: journal, ReadOnly: true}} {
					n := mustOpen(t, path, o)
					if _, err := n.Experiment(t.Context(), "x"); err != nil {
						t.Error(err)
					}
					wantCode(t, n.CreateExperiment(t.Context(), &experiment.Experiment{}), ReadOnly, "a.db")
					if !o.ReadOnly && (len(n.Warnings()) == 0 || !strings.Contains(n.Warnings()[0], "cannot be written")) {
						t.Errorf("warnings: %q", n.Warnings())
					}
					t.Log(n.Warnings())
				}
				if what == "folder" {
					_, err := Open(t.Context(), filepath.Join(dir, "b.db"), Options{Create: true})
					wantCode(t, err, ReadOnly, "b.db", "permissions")
				}
			})
		}
	}
}

func TestConcurrentOpenCreates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	errs := make(chan error)
	for range 8 {
		go func() {
			n, err := Open(context.Background(), path, Options{Create: true})
			if err == nil {
				err = errors.Join(n.CreateExperiment(context.Background(), &experiment.Experiment{}), n.Close())
			}
			errs <- err
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	list, err := mustOpen(t, path, Options{}).List(t.Context(), Filter{})
	var numbers []int
	for _, l := range list {
		numbers = append(numbers, l.Number)
	}
	if want := []int{8, 7, 6, 5, 4, 3, 2, 1}; err != nil || !slices.Equal(numbers, want) {
		t.Errorf("numbers %v, %v; want %v", numbers, err, want)
	}
}
