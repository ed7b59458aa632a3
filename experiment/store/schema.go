package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/mattn/go-sqlite3"
	"github.com/pressly/goose/v3"
	"github.com/rogpeppe/go-internal/lockedfile"
)

// ApplicationID marks an SQLite file as a notebook: "ifbk" in its header.
const ApplicationID = 0x6966626b

// schema is a set of migrations. Each sets PRAGMA user_version to its own number,
// and min_reader_version to the oldest schema whose programs read the result
// rightly, in its own transaction.
type schema struct {
	migrations fs.FS
	version    int // the last migration's number
}

//go:embed migrations/*.sql
var migrationFiles embed.FS

var embedded = schema{migrations: sub(migrationFiles, "migrations"), version: 4}

func sub(files embed.FS, dir string) fs.FS {
	s, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // dir is a constant that is a valid path
	}
	return s
}

// version is what a file says about its schema.
type version struct {
	schema    int // user_version
	minReader int
}

func readVersion(ctx context.Context, db *sql.DB) (v version, err error) {
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v.schema); err != nil {
		return v, err
	}
	err = db.QueryRowContext(ctx, "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'min_reader_version'").Scan(&v.minReader)
	return v, err
}

// suits reports whether the file is newer than this program, and refuses one
// that this program would read wrongly.
func (n *Notebook) suits(v version) (newer bool, err error) {
	known := n.tuning.schema.version
	if v.minReader > known {
		return true, &Error{Code: TooNew,
			Msg:  fmt.Sprintf("%s has schema %d, and reading it needs an inferbook of schema %d or later; this one has schema %d", n.path, v.schema, v.minReader, known),
			Hint: "install a newer inferbook"}
	}
	return v.schema > known, nil
}

// identify refuses a file that is not a notebook, or has been cut. It opens the
// file as one that nobody changes, so that nothing is locked, recovered or left
// beside somebody else's database. The mark is in the file itself from the start,
// see create.
func (n *Notebook) identify(ctx context.Context) error {
	db, err := n.connect(n.file, 1, "mode", "ro", "immutable", "1")
	if err != nil {
		return err
	}
	defer db.Close()
	var id, pages, pageSize int64
	for _, q := range []struct {
		pragma string
		value  *int64
	}{{"application_id", &id}, {"page_count", &pages}, {"page_size", &pageSize}} {
		err := db.QueryRowContext(ctx, "PRAGMA "+q.pragma).Scan(q.value)
		var lite sqlite3.Error
		if errors.As(err, &lite) && lite.Code == sqlite3.ErrCorrupt {
			// The header may be ahead of the file while another process folds its log:
			// the real opening finds out.
			return nil
		}
		if err != nil {
			return err
		}
	}
	if id != ApplicationID {
		return &Error{Code: NotANotebook, Msg: n.path + " is not an inferbook notebook: it does not bear the mark of one",
			Hint: `name another file, or make a notebook with "inferbook init"`}
	}
	info, err := os.Stat(n.file)
	if err == nil && info.Size() < pages*pageSize && !filled(n.file+"-wal") && !filled(n.file+"-journal") {
		err = sqlite3.Error{Code: sqlite3.ErrCorrupt} // SQLite rounds the last page up
	}
	return err
}

// create makes the notebook at file. It is built under another name and moved, so
// that there is never half a notebook; and with a rollback journal, so that its
// mark is in the file itself from the start.
func (n *Notebook) create(ctx context.Context, file string) error {
	return underLock(file, func() error {
		if filled(file) {
			return nil // another process was first
		}
		draft := file + ".new"
		for _, left := range []string{draft, draft + "-journal"} {
			if err := os.Remove(left); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if err := n.upgrade(ctx, draft, "rwc"); err != nil {
			return err
		}
		return os.Rename(draft, file)
	})
}

// prepare migrates an older file, and reports whether it is a newer one that can
// only be read.
func (n *Notebook) prepare(ctx context.Context) (newer bool, err error) {
	v, err := n.currentVersion(ctx)
	if err != nil {
		return false, err
	}
	if newer, err = n.suits(v); err != nil {
		return false, err
	}
	if newer {
		n.warn("%s has schema %d and this inferbook has %d: it is open for reading only; install a newer inferbook to write", n.path, v.schema, n.tuning.schema.version)
		return true, nil
	}
	if v.schema == n.tuning.schema.version {
		return false, nil
	}
	return false, underLock(n.file, func() error { return n.migrate(ctx) })
}

// currentVersion reads the version wherever it can be read: a file system that
// refuses a write-ahead log still lets a connection have the file alone, and a
// folder that cannot be written still has a file that nobody changes.
func (n *Notebook) currentVersion(ctx context.Context) (v version, err error) {
	ways := [][]string{{"mode", "rw"}, {"mode", "rw", "_locking_mode", "EXCLUSIVE"}}
	if !filled(n.file + "-wal") {
		ways = append(ways, []string{"mode", "ro", "immutable", "1"})
	}
	for _, way := range ways {
		var db *sql.DB
		if db, err = n.connect(n.file, 1, way...); err != nil {
			return v, err
		}
		v, err = readVersion(ctx, db)
		if err = errors.Join(err, db.Close()); !refused(err) {
			break
		}
	}
	return v, err
}

// migrate brings an older file to this program's schema, after a backup. The
// caller holds the lock; another process may have migrated before it got it.
func (n *Notebook) migrate(ctx context.Context) error {
	v, err := n.currentVersion(ctx)
	if err != nil || v.schema >= n.tuning.schema.version {
		return err
	}
	backup := fmt.Sprintf("%s.bak-%d", n.file, v.schema)
	for i := 2; filled(backup); i++ {
		backup = fmt.Sprintf("%s.bak-%d.%d", n.file, v.schema, i)
	}
	if err := n.vacuumInto(ctx, backup); err != nil {
		return err
	}
	if err := n.upgrade(ctx, n.file, "rw"); err != nil {
		return fmt.Errorf("migrating (a backup is at %s): %w", backup, err)
	}
	n.warn("%s was migrated from schema %d to %d; a backup from before is at %s", n.path, v.schema, n.tuning.schema.version, backup)
	return nil
}

// upgrade runs the migrations that the file has not seen.
func (n *Notebook) upgrade(ctx context.Context, file, mode string) error {
	db, err := n.connect(file, 1, "mode", mode, "_txlock", "immediate", "_synchronous", "FULL")
	if err != nil {
		return err
	}
	return errors.Join(n.runMigrations(ctx, db), db.Close())
}

func (n *Notebook) runMigrations(ctx context.Context, db *sql.DB) error {
	migrations, err := goose.NewProvider(goose.DialectSQLite3, db, n.tuning.schema.migrations, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	done, err := migrations.Up(ctx)
	if err != nil {
		return err
	}
	// goose stamps its rows, one a migration and one when it makes its table, by
	// SQLite's clock; a notebook has only the caller's.
	stamp := n.now().UTC().Format("2006-01-02 15:04:05")
	_, err = db.ExecContext(ctx, `UPDATE goose_db_version SET tstamp = ?1
		WHERE id > (SELECT max(id) FROM goose_db_version) - ?2 OR (SELECT count(*) FROM goose_db_version) = ?2 + 1`, stamp, len(done))
	return err
}

// underLock runs fn while no other process creates or migrates the same file.
func underLock(file string, fn func() error) error {
	name := file + ".lock"
	for {
		lock, err := lockedfile.Create(name)
		if err != nil {
			return err
		}
		held, err := lock.Stat()
		there, gone := os.Stat(name)
		if err == nil && gone == nil && os.SameFile(held, there) {
			err = fn()
			os.Remove(name) // before the lock goes, so that nobody holds a file without a name unseen
			return errors.Join(err, lock.Close())
		}
		// Its holder removed the file while this process waited for it.
		if err := errors.Join(err, lock.Close()); err != nil {
			return err
		}
	}
}
