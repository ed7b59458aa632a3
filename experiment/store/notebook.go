// Package store keeps the notebook file: one SQLite database with every
// experiment, point, sample, note, reading and price.
//
// It believes that nothing recorded is ever lost. A sample is committed within a
// second of its end, or with its batch of a thousand; a run whose process dies is
// found again as interrupted with what it had measured; an edit keeps the text it
// replaces, a removal can be taken back, a migration is preceded by a backup; and
// a file that is not a notebook, or that only a newer program understands, is
// left exactly as it is. A viewer never holds up a run: there is one connection
// that writes, and a read-only pool for everything else.
//
// The schema is documented in the file itself: SQLite keeps the comments of the
// CREATE statements in sqlite_schema. This package is the only one that knows it.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// Options say how to open a notebook.
type Options struct {
	// ReadOnly opens for reading only; nothing in the file changes.
	ReadOnly bool
	// Create makes the notebook when there is no file at the path, or an empty one.
	Create bool
	// Journal is "" for a write-ahead log, with a rollback journal where the file
	// system refuses one, or "delete" for a rollback journal. The variable
	// INFERBOOK_SQLITE_JOURNAL ("wal" or "delete") stands in for "".
	Journal string
	// IDs gives the ULIDs; nil = [experiment.NewIDs].
	IDs *experiment.IDs
	// Now gives the wall-clock time; nil = [time.Now].
	Now func() time.Time
}

// JournalVariable names the environment variable that stands in for an empty [Options.Journal].
const JournalVariable = "INFERBOOK_SQLITE_JOURNAL"

// Notebook is an open notebook file. Its methods may be called at the same time.
type Notebook struct {
	path     string  // as the caller named it, for messages
	file     string  // absolute, without symbolic links
	write    *sql.DB // one connection; nil = read-only
	read     *sql.DB // read-only connections
	tuning   tuning
	journal  string // "wal" or "delete"
	ids      *experiment.IDs
	now      func() time.Time
	words    words
	warnings []string
	// remedy is what to do about a notebook that is open for reading only.
	remedy string
	// immutable says that the file is read without locks, since nobody can write it.
	immutable bool
}

// tuning is what a test sets to reach a limit without waiting for it.
type tuning struct {
	schema     schema
	busy       time.Duration // how long to wait for another process's lock
	batchRows  int           // a transaction holds at most this many samples
	batchEvery time.Duration // and begins at most this long after its first sample came
	queue      int           // samples that wait for the writer before AddSample blocks
}

// ordinary commits twice a second, so that with the time that a commit takes no
// sample waits for more than one.
func ordinary() tuning {
	return tuning{schema: embedded, busy: 5 * time.Second, batchRows: 1000, batchEvery: time.Second / 2, queue: 1 << 14}
}

// Open opens the notebook at path. A fault that a person can act on is an
// [*Error], and the file is then as it was.
func Open(ctx context.Context, path string, o Options) (*Notebook, error) {
	return open(ctx, path, o, ordinary())
}

func open(ctx context.Context, path string, o Options, t tuning) (n *Notebook, err error) {
	n = &Notebook{path: path, tuning: t, ids: o.IDs, now: o.Now, remedy: "open it for writing, with an inferbook that knows its schema"}
	if n.ids == nil {
		n.ids = experiment.NewIDs()
	}
	if n.now == nil {
		n.now = time.Now
	}
	if n.journal, err = journalMode(o.Journal); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			n.closeAll()
			n = nil
		}
	}()
	if n.file, err = n.locate(ctx, o.Create && !o.ReadOnly); err != nil {
		return n, n.fault("opening", err)
	}
	if err := n.identify(ctx); err != nil {
		return n, n.fault("opening", err)
	}
	toRead := o.ReadOnly
	if !toRead {
		if toRead, err = n.prepare(ctx); err != nil {
			return n, n.fault("opening", err)
		}
	}
	if !toRead {
		err = n.openToWrite(ctx)
		if err == nil {
			return n, n.findInterrupted(ctx)
		}
		if toRead = refused(err); !toRead {
			return n, n.fault("opening", err)
		}
		n.remedy = "check the permissions of the file and of its folder"
		n.warn("%s cannot be written, so it is open for reading only; %s (SQLite says: %v)", n.path, n.remedy, err)
	}
	return n, n.fault("opening", n.openToRead(ctx))
}

// journalMode gives "wal" or "delete", from the option or else the environment.
func journalMode(option string) (string, error) {
	from, mode := "journal", option
	if mode == "" {
		from, mode = JournalVariable, os.Getenv(JournalVariable)
	}
	switch mode = strings.ToLower(mode); mode {
	case "", "wal":
		return "wal", nil
	case "delete":
		return "delete", nil
	}
	return "", invalid("write wal or delete", "%s is %q", from, mode)
}

// locate gives the absolute path of the file without symbolic links, and makes
// the notebook where there is none and create says so.
func (n *Notebook) locate(ctx context.Context, create bool) (string, error) {
	file, err := filepath.Abs(n.path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(file)
	switch {
	case err == nil && info.IsDir():
		return "", &Error{Code: NotANotebook, Msg: n.path + " is a folder, not a notebook", Hint: "name the file inside it"}
	case err == nil && !info.Mode().IsRegular():
		return "", &Error{Code: NotANotebook, Msg: n.path + " is not an ordinary file", Hint: "name another file"}
	case err == nil && info.Size() > 0:
		return filepath.EvalSymlinks(file)
	case err == nil && !create:
		return "", &Error{Code: NotANotebook, Msg: n.path + " is empty", Hint: `make a notebook of it with "inferbook init"`}
	case errors.Is(err, fs.ErrNotExist) && !create:
		return "", &Error{Code: NotFound, Msg: "there is no notebook at " + n.path, Hint: `make one with "inferbook init", or name another file`}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	if err == nil {
		if file, err = filepath.EvalSymlinks(file); err != nil {
			return "", err
		}
	}
	return file, n.create(ctx, file)
}

// Path gives the path as it was given to [Open].
func (n *Notebook) Path() string { return n.path }

// Warnings gives whole sentences about how the file was opened that the person
// must see: a rollback journal in place of the log, read-only because of a newer
// schema, a backup that was made, runs found interrupted.
func (n *Notebook) Warnings() []string { return slices.Clone(n.warnings) }

func (n *Notebook) warn(format string, a ...any) {
	n.warnings = append(n.warnings, fmt.Sprintf(format, a...))
}

// Close folds the write-ahead log into the file and lets go of it. Every
// [Writer] must be closed before.
func (n *Notebook) Close() error {
	if n.write != nil && n.journal == "wal" {
		// A reader elsewhere may keep the log alive; that is its right, and the last to close folds it.
		if _, err := n.write.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil && !is(n.fault("", err), Locked) {
			return errors.Join(n.fault("closing", err), n.closeAll())
		}
	}
	return n.fault("closing", n.closeAll())
}

func (n *Notebook) closeAll() error {
	var errs []error
	for _, db := range []*sql.DB{n.read, n.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if n.write == nil && n.file != "" {
		n.tidy()
	}
	return errors.Join(errs...)
}

func (n *Notebook) fault(doing string, err error) error { return fault(n.path, doing, err) }

// update runs fn in one transaction that holds the write lock from its start.
func (n *Notebook) update(ctx context.Context, doing string, fn func(*sql.Tx) error) error {
	if n.write == nil {
		return &Error{Code: ReadOnly, Msg: fmt.Sprintf("%s is open for reading only (%s)", n.path, doing), Hint: n.remedy}
	}
	tx, err := n.write.BeginTx(ctx, nil)
	if err != nil {
		return n.fault(doing, err)
	}
	defer tx.Rollback()
	if err := fn(tx); err != nil {
		return n.fault(doing, err)
	}
	return n.fault(doing, tx.Commit())
}
