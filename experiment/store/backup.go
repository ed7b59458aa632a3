package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Backup writes a compact copy of the notebook, as it is at one moment, to dest,
// with a rollback journal, so that the copy is one file and can be read
// anywhere. It does not hold up a run. A dest that exists is a [Conflict].
func (n *Notebook) Backup(ctx context.Context, dest string) error {
	if _, err := os.Lstat(dest); err == nil {
		return &Error{Code: Conflict, Msg: dest + " exists already", Hint: "name another file"}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fault(dest, "backing up", err)
	}
	return fault(dest, "backing up "+n.path, n.vacuumInto(ctx, dest))
}

// vacuumInto copies the file to dest, which does not exist.
func (n *Notebook) vacuumInto(ctx context.Context, dest string) error {
	db, err := n.connect(n.file, 1, "mode", "ro")
	if err != nil {
		return err
	}
	if dest, err = filepath.Abs(dest); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", dest)
	if err != nil {
		os.Remove(dest) // half a copy is none
	}
	return errors.Join(err, db.Close())
}

// Check looks for damage: SQLite's own check of every page and index, and
// references to rows that are not there. What it finds is one [Damaged] error.
func (n *Notebook) Check(ctx context.Context) error {
	found, err := texts(ctx, n.read, "PRAGMA integrity_check(10)")
	if err == nil && len(found) == 1 && found[0] == "ok" {
		found, err = texts(ctx, n.read, `SELECT 'row ' || coalesce(rowid, '?') || ' of ' || "table" || ' refers to a missing ' || parent
			FROM pragma_foreign_key_check LIMIT 10`)
	}
	if err != nil || len(found) == 0 {
		return n.fault("checking", err)
	}
	return &Error{Code: Damaged, Msg: fmt.Sprintf("%s is damaged: %s", n.path, strings.Join(found, "; ")),
		Hint: "keep a copy of it, and go back to a backup"}
}
