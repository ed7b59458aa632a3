package store

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/mattn/go-sqlite3"
)

// connect gives a pool of connections to file. Every setting is in the data
// source name: a PRAGMA sent later would reach one connection of the pool.
func (n *Notebook) connect(file string, connections int, settings ...string) (*sql.DB, error) {
	query := url.Values{
		"_busy_timeout": {strconv.FormatInt(n.tuning.busy.Milliseconds(), 10)},
		"_foreign_keys": {"on"},
	}
	for i := 0; i < len(settings); i += 2 {
		query.Set(settings[i], settings[i+1])
	}
	path := filepath.ToSlash(file)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // a drive letter
	}
	name := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	db, err := sql.Open("sqlite3", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// openToWrite opens the one writing connection and the reading pool.
func (n *Notebook) openToWrite(ctx context.Context) (err error) {
	var refusal error
	if n.journal == "wal" {
		n.write, err = n.openWriter(ctx, "WAL", "NORMAL")
		if refused(err) {
			n.journal, refusal = "delete", err
			err = n.leaveLog(ctx)
		}
		if err != nil {
			return err
		}
	}
	if n.write == nil {
		// Without a log, NORMAL could damage the file when the power fails.
		if n.write, err = n.openWriter(ctx, "DELETE", "FULL"); err != nil {
			return err
		}
	}
	if refusal != nil {
		n.warn("%s: the file system refuses a write-ahead log (%v), so a rollback journal is used: "+
			"whoever reads the notebook during a run can delay it; keep it on a local disk if you can", n.path, refusal)
	}
	n.read, err = n.openReader(ctx)
	return err
}

func (n *Notebook) openWriter(ctx context.Context, journal, synchronous string) (*sql.DB, error) {
	db, err := n.connect(n.file, 1, "mode", "rw", "_txlock", "immediate", "_journal_mode", journal, "_synchronous", synchronous)
	if err != nil {
		return nil, err
	}
	var mode string
	err = db.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode)
	if err == nil {
		err = n.tryToWrite(ctx)
	}
	if err == nil && !strings.EqualFold(mode, journal) {
		err = sqlite3.Error{Code: sqlite3.ErrCantOpen}
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// tryToWrite begins a change and takes it back: only then does SQLite find out
// that the file, its folder or the log's shared memory can be read and not
// written. A lock that somebody else holds shows that they can.
func (n *Notebook) tryToWrite(ctx context.Context) error {
	db, err := n.connect(n.file, 1, "mode", "rw", "_txlock", "immediate", "_busy_timeout", "0")
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err == nil {
		_, err = tx.ExecContext(ctx, "UPDATE meta SET value = value || ' '") // SQLite skips a change that changes nothing
		err = errors.Join(err, tx.Rollback())
	}
	if is(n.fault("", err), Locked) {
		err = nil
	}
	return errors.Join(err, db.Close())
}

// refused reports whether err is what SQLite says where it cannot have a
// write-ahead log: no shared memory, no locks, or no file beside the database.
// That shared memory can be read and not written looks like a file that cannot
// be written.
func refused(err error) bool {
	var lite sqlite3.Error
	if !errors.As(err, &lite) {
		return false
	}
	switch lite.Code {
	case sqlite3.ErrCantOpen, sqlite3.ErrIoErr, sqlite3.ErrProtocol, sqlite3.ErrReadonly:
		return true
	}
	return false
}

// leaveLog turns a notebook with a write-ahead log into one with a rollback
// journal where the log's shared memory cannot be had: a connection that holds
// the file alone needs none.
func (n *Notebook) leaveLog(ctx context.Context) error {
	db, err := n.connect(n.file, 1, "mode", "rw", "_locking_mode", "EXCLUSIVE")
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "PRAGMA journal_mode = DELETE")
	return errors.Join(err, db.Close())
}

// openReader opens the read-only pool.
func (n *Notebook) openReader(ctx context.Context, settings ...string) (*sql.DB, error) {
	settings = append([]string{"mode", "ro", "_query_only", "on"}, settings...)
	db, err := n.connect(n.file, max(4, runtime.GOMAXPROCS(0)), settings...)
	if err != nil {
		return nil, err
	}
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM meta").Scan(new(int)); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// openToRead opens the reading pool alone, and refuses a schema that this
// program would read wrongly.
func (n *Notebook) openToRead(ctx context.Context) (err error) {
	n.read, err = n.openReader(ctx)
	if refused(err) && !filled(n.file+"-wal") {
		// On a medium that cannot be written nobody else writes either.
		n.immutable = true
		n.read, err = n.openReader(ctx, "immutable", "1")
		n.warn("%s: its folder cannot be written, so it is read as a file that nobody changes", n.path)
	}
	if err != nil {
		return err
	}
	v, err := readVersion(ctx, n.read)
	if err != nil {
		return err
	}
	_, err = n.suits(v)
	if err == nil && v.schema < n.tuning.schema.version {
		err = &Error{Code: ReadOnly, Msg: n.path + " has an older schema, and reading only does not migrate it",
			Hint: "open it once for writing; a backup is made first"}
	}
	return err
}

// tidy lets SQLite remove the log that a reader had to make. Only a connection
// that may write removes it, and only when no other process has the file open.
func (n *Notebook) tidy() {
	if n.immutable || filled(n.file+"-wal") {
		return
	}
	if _, err := os.Stat(n.file + "-wal"); err != nil {
		return
	}
	if db, err := n.connect(n.file, 1, "mode", "rw"); err == nil {
		_, _ = readVersion(context.Background(), db) // a connection knows of the log once it has read
		db.Close()
	}
}

// filled reports whether there is a file with something in it.
func filled(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Size() > 0
}
