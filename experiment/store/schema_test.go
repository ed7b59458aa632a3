package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/inferbook/inferbook/experiment"
)

var (
	laterVersion = embedded.version + 1
	laterFile    = fmt.Sprintf("%05d_later.sql", laterVersion)
)

// later gives the schema of a later inferbook: this one's and another migration.
func later(minReader int) tuning {
	t := ordinary()
	files := fstest.MapFS{laterFile: {Data: fmt.Appendf(nil, `-- +goose Up
		ALTER TABLE experiment ADD COLUMN mood TEXT NOT NULL DEFAULT 'good'; -- how the person felt
		UPDATE meta SET value = '%d' WHERE key = 'min_reader_version';
		PRAGMA user_version = %d;`, minReader, laterVersion)}}
	entries, err := fs.ReadDir(embedded.migrations, ".")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		data, err := fs.ReadFile(embedded.migrations, e.Name())
		if err != nil {
			panic(err)
		}
		files[e.Name()] = &fstest.MapFile{Data: data}
	}
	t.schema = schema{migrations: files, version: laterVersion}
	return t
}

// backupOf gives the name of the copy that a migration leaves of a notebook of
// this program's schema.
func backupOf(path string) string { return fmt.Sprintf("%s.bak-%d", path, embedded.version) }

func TestMigrate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	before := written(t)
	if err := os.WriteFile(path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := open(t.Context(), path, Options{ReadOnly: true}, later(embedded.version))
	wantCode(t, err, ReadOnly, "older schema")
	unchanged(t, path, before)

	// Two processes open it at once: one migrates, the other finds it done.
	errs, warnings := make(chan error), make(chan []string, 2)
	for range 2 {
		go func() {
			n, err := open(t.Context(), path, Options{}, later(embedded.version))
			if err == nil {
				warnings <- n.Warnings()
				err = errors.Join(n.CreateExperiment(t.Context(), &experiment.Experiment{Status: experiment.Complete}), n.Close())
			}
			errs <- err
		}()
	}
	if err := errors.Join(<-errs, <-errs); err != nil {
		t.Fatal(err)
	}
	if w := append(<-warnings, <-warnings...); len(w) != 1 || !strings.Contains(w[0], fmt.Sprintf("from schema %d to %d; a backup from before is at %s", embedded.version, laterVersion, backupOf(path))) {
		t.Errorf("warnings: %q", w)
	}
	backup := mustOpen(t, backupOf(path), Options{ReadOnly: true})
	if list, err := backup.List(t.Context(), Filter{}); err != nil || len(list) != 1 {
		t.Errorf("the backup has %d experiments, %v; want the 1 from before", len(list), err)
	}
	if err := backup.Check(t.Context()); err != nil {
		t.Error(err)
	}
	var mood string
	n, err := open(t.Context(), path, Options{}, later(embedded.version))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := n.read.QueryRow("SELECT mood FROM experiment WHERE number = 3").Scan(&mood); err != nil || mood != "good" {
		t.Errorf("the new column holds %q, %v", mood, err)
	}
	if len(n.Warnings()) > 0 {
		t.Errorf("opened again: %q", n.Warnings())
	}
	files, _ := filepath.Glob(path + ".*")
	if want := []string{backupOf(path)}; !slices.Equal(files, want) {
		t.Errorf("beside it: %q, want %q", files, want)
	}
}

func TestMigrationThatFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	if err := os.WriteFile(path, written(t), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := later(embedded.version)
	bad.schema.migrations.(fstest.MapFS)[laterFile].Data = fmt.Appendf(nil, "-- +goose Up\nALTER TABLE experiment ADD COLUMN mood TEXT;\nPRAGMA user_version = %d;\nDROP TABLE nothing;\n", laterVersion)
	for _, backup := range []string{backupOf(path), backupOf(path) + ".2"} { // a backup is never written over
		_, err := open(t.Context(), path, Options{}, bad)
		if err == nil || !strings.Contains(err.Error(), backup) {
			t.Fatalf("%v; want the backup %s named", err, backup)
		}
	}
	n := mustOpen(t, path, Options{}) // it is still of the schema before
	mustCreate(t, n, experiment.Experiment{Status: experiment.Complete})
}

func TestNewerNotebook(t *testing.T) {
	newer := func(t *testing.T, minReader int) string {
		path := filepath.Join(t.TempDir(), "a.db")
		n, err := open(t.Context(), path, Options{Create: true}, later(minReader))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(n.CreateExperiment(t.Context(), &experiment.Experiment{Name: "x"}), n.Close()); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Run("readable", func(t *testing.T) {
		n := mustOpen(t, newer(t, embedded.version), Options{})
		if w := n.Warnings(); len(w) != 1 || !strings.Contains(w[0], fmt.Sprint("schema ", laterVersion)) || !strings.Contains(w[0], "reading only") {
			t.Errorf("warnings: %q", w)
		}
		if _, err := n.Experiment(t.Context(), "x"); err != nil {
			t.Error(err)
		}
		wantCode(t, n.CreateExperiment(t.Context(), &experiment.Experiment{}), ReadOnly)
	})
	for _, o := range []Options{{}, {ReadOnly: true}} {
		t.Run(fmt.Sprintf("not readable/%+v", o), func(t *testing.T) {
			path := newer(t, laterVersion)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(t.Context(), path, o)
			wantCode(t, err, TooNew, "a.db", fmt.Sprint("schema ", laterVersion), fmt.Sprint("this one has schema ", embedded.version), "newer inferbook")
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
				t.Error("the file has changed:", err)
			}
		})
	}
}
