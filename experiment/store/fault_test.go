package store

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mattn/go-sqlite3"

	"github.com/inferbook/inferbook/experiment"
)

// written gives the bytes of a notebook with samples in it.
func written(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.db")
	n, err := Open(t.Context(), path, Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	w, p := start(t, n, "p")
	for i := range 500 {
		if err := w.AddSample("p", childSample(i)); err != nil {
			t.Fatal(err)
		}
	}
	err = errors.Join(w.EndPoint(t.Context(), p), w.Close(t.Context()), n.FinishExperiment(t.Context(), p.ExperimentID, experiment.Complete), n.Close())
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// foreign gives the bytes of somebody else's SQLite file.
func foreign(t *testing.T, statements string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "b.db")
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(statements); err != nil {
		t.Fatal(err)
	}
	db.Close()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestOpenWhatIsNoNotebook(t *testing.T) {
	ours := written(t)
	page := 4096
	for _, c := range []struct {
		name string
		file []byte
		code Code
		says string
	}{
		{"text", []byte("# Notes\n\nNot a database at all, but longer than a header of a database would be: " + strings.Repeat("x", 100)), NotANotebook, "not an SQLite file"},
		{"one byte", []byte("S"), NotANotebook, "not an inferbook notebook"},
		{"an SQLite file of another program", foreign(t, "CREATE TABLE t (a)"), NotANotebook, "not an inferbook notebook"},
		{"an SQLite file with a log", foreign(t, "PRAGMA journal_mode=WAL; CREATE TABLE t (a)"), NotANotebook, "not an inferbook notebook"},
		{"another program's mark", foreign(t, "PRAGMA application_id=42; CREATE TABLE t (a)"), NotANotebook, "not an inferbook notebook"},
		{"cut within the header", ours[:60], Damaged, "damaged or truncated"},
		{"cut after the header", ours[:100], Damaged, "damaged or truncated"},
		{"cut after the first page", ours[:page], Damaged, "damaged or truncated"},
		{"cut at a page", ours[:len(ours)/2/page*page], Damaged, "damaged or truncated"},
		{"cut within a page", ours[:len(ours)-17], Damaged, "damaged or truncated"},
	} {
		for _, o := range []Options{{}, {Create: true}, {ReadOnly: true}} {
			t.Run(fmt.Sprintf("%s/%+v", c.name, o), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "a.db")
				if err := os.WriteFile(path, c.file, 0o600); err != nil {
					t.Fatal(err)
				}
				_, err := Open(t.Context(), path, o)
				wantCode(t, err, c.code, "a.db", c.says)
				unchanged(t, path, c.file)
			})
		}
	}
	_, err := Open(t.Context(), t.TempDir(), Options{Create: true})
	wantCode(t, err, NotANotebook, "is a folder")
	_, err = Open(t.Context(), filepath.Join(t.TempDir(), "no", "such.db"), Options{})
	wantCode(t, err, NotFound, "no notebook")
}

// unchanged fails unless path holds these bytes and nothing was left beside it.
func unchanged(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the file has changed (%d bytes, %d before, %v)", len(got), len(want), err)
	}
	files, _ := filepath.Glob(path + "?*")
	if len(files) > 0 {
		t.Errorf("left behind: %q", files)
	}
}

func TestDamagedPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	file := written(t)
	for i := len(file) - 8*4096; i < len(file)-4096; i++ { // the samples come last
		file[i] ^= 0x5a
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := Open(t.Context(), path, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, n.Check(t.Context()), Damaged, "a.db", "backup")
	var last error
	for _, err := range n.Samples(t.Context(), "p") {
		last = err
	}
	wantCode(t, last, Damaged, "a.db", "reading the samples of point p")
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	unchanged(t, path, file)
}

func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	n, err := open(t.Context(), path, Options{Create: true}, impatient())
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	w, p := start(t, n, "p")
	other, err := sql.Open("sqlite3", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	held, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, n.Tag(t.Context(), p.ExperimentID, "x"), Locked, "a.db", "another process")
	again, err := open(t.Context(), path, Options{}, impatient())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if list, err := again.List(t.Context(), Filter{}); err != nil || len(list) != 1 {
		t.Errorf("a lock held up a reader: %v", err)
	}

	// The writer waits for the lock, and nothing is lost meanwhile.
	if err := w.AddSample("p", experiment.NewSample(0)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- w.EndPoint(t.Context(), p) }()
	if err := held.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := samplesOf(t, n, "p"); len(got) != 1 {
		t.Errorf("%d samples, want 1", len(got))
	}
	if err := w.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLockedUntilClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	n, err := open(t.Context(), path, Options{Create: true}, impatient())
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	w, _ := start(t, n, "p")
	other, err := sql.Open("sqlite3", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	held, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Rollback()
	if err := w.AddSample("p", experiment.NewSample(0)); err != nil {
		t.Fatal(err)
	}
	wantCode(t, w.Close(t.Context()), Locked, "a.db", "1 samples could not be saved")
}

func TestDiskFull(t *testing.T) {
	for _, journal := range []string{"wal", "delete"} {
		t.Run(journal, func(t *testing.T) {
			n := mustOpen(t, filepath.Join(t.TempDir(), "a.db"), Options{Create: true, Journal: journal})
			w, p := start(t, n, "p")
			if err := w.AddSample("p", experiment.NewSample(0)); err != nil {
				t.Fatal(err)
			}
			next := p
			next.ID, next.Ordinal = "q", 1
			if err := errors.Join(w.EndPoint(t.Context(), p), w.StartPoint(t.Context(), next)); err != nil {
				t.Fatal(err)
			}
			var pages int
			if err := n.write.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
				t.Fatal(err)
			}
			limit := func(pages int) {
				if _, err := n.write.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
					t.Fatal(err)
				}
			}
			limit(pages + 2)
			for seq := range 200 { // more than fits; when the writer notices, it says so
				s := experiment.NewSample(seq)
				s.Output = strings.Repeat("token ", 100)
				if err := w.AddSample("q", s); err != nil {
					wantCode(t, err, Full)
				}
			}
			wantCode(t, w.EndPoint(t.Context(), next), Full, "a.db", "disk", "is full", "free some space")
			wantCode(t, w.AddSample("q", experiment.NewSample(300)), Full)
			wantCode(t, w.Err(), Full)
			if got := samplesOf(t, n, "p"); len(got) != 1 {
				t.Errorf("%d samples from before, want 1", len(got))
			}
			if err := n.Check(t.Context()); err != nil {
				t.Error(err)
			}

			// With room again, what was handed over is saved after all, also what came after the fault.
			limit(1 << 20)
			if err := w.EndPoint(t.Context(), next); err != nil {
				t.Error(err)
			}
			if got := samplesOf(t, n, "q"); len(got) != 201 {
				t.Errorf("%d samples after there is room again, want 201", len(got))
			}
			wantCode(t, w.Close(t.Context()), Full)
		})
	}
}

func TestDiskFullUntilClose(t *testing.T) {
	n := fresh(t)
	w, _ := start(t, n, "p")
	if _, err := n.write.Exec("PRAGMA max_page_count = 1"); err != nil { // as small as it is
		t.Fatal(err)
	}
	s := experiment.NewSample(0)
	s.Output = strings.Repeat("x", 1<<20)
	if err := w.AddSample("p", s); err != nil {
		t.Fatal(err)
	}
	wantCode(t, w.Close(t.Context()), Full, "1 samples could not be saved")
}

func TestFaultSentences(t *testing.T) {
	for _, c := range []struct {
		err  error
		code Code // "" = passed on as it is
		says string
	}{
		{sqlite3.Error{Code: sqlite3.ErrLocked}, Locked, "nb.db is locked by another process (doing); wait"},
		{sqlite3.Error{Code: sqlite3.ErrIoErr, SystemErrno: syscall.ENOSPC}, Full, "the disk of nb.db is full"}, // the log could not grow
		{fmt.Errorf("write: %w", syscall.ENOSPC), Full, "the disk of nb.db is full"},
		{fmt.Errorf("open: %w", syscall.EROFS), ReadOnly, "nb.db may not be written"},
		{fmt.Errorf("open: %w", fs.ErrPermission), ReadOnly, "check the permissions"},
		{errors.New("odd"), "", "doing in nb.db: odd"},
		{&Error{Code: Conflict, Msg: "taken"}, Conflict, "taken"},
		{nil, "", ""},
	} {
		err := fault("nb.db", "doing", c.err)
		if c.code != "" {
			wantCode(t, err, c.code, c.says)
		} else if c.err == nil && err != nil || c.err != nil && err.Error() != c.says {
			t.Errorf("%v became %v", c.err, err)
		}
		if !errors.Is(err, c.err) {
			t.Errorf("%v has lost its cause %v", err, c.err)
		}
	}
}
