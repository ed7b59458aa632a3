package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/inferbook/inferbook/experiment"
)

// story writes one of everything into a notebook, and gives the bytes of a backup.
func story(t *testing.T, o Options) []byte {
	t.Helper()
	ctx := t.Context()
	dir := t.TempDir()
	n := mustOpen(t, filepath.Join(dir, "a.db"), o)
	putReadings(t, n)
	e := mustCreate(t, n, experiment.Experiment{Name: "x", Tags: []string{"b", "a"}, Spec: wholeSpec()})
	w, err := n.Writer(ctx, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	p := experiment.Point{ID: o.IDs.New(), ExperimentID: e.ID, Status: experiment.Running, Anchor: noon}
	if err := w.StartPoint(ctx, p); err != nil {
		t.Fatal(err)
	}
	for i := range 2500 { // more than two batches, whose limits do not show
		s := childSample(i)
		s.Model = []string{"m1", "m2"}[i%2]
		if err := w.AddSample(p.ID, s); err != nil {
			t.Fatal(err)
		}
	}
	note := experiment.Note{ExperimentID: e.ID, Text: "one", Readings: []string{"nvidia-cost"}}
	price := experiment.Price{Hardware: "h100-sxm", USDHour: 2, Date: noon, Source: "invoice"}
	err = errors.Join(w.EndPoint(ctx, p), w.Close(ctx), n.AddNote(ctx, &note), n.EditNote(ctx, note.ID, "two"), n.AddPrice(ctx, &price),
		n.PutSummary(ctx, PointFigures{PointID: p.ID, Definition: 1, OutputTokS: 1}, []byte("{}")), n.FinishExperiment(ctx, e.ID, experiment.Complete),
		n.Rename(ctx, e.ID, "y"), n.Trash(ctx, e.ID), n.Restore(ctx, e.ID))
	if err != nil {
		t.Fatal(err)
	}
	dest := filepath.Join(dir, "backup.db")
	if err := n.Backup(ctx, dest); err != nil {
		t.Fatal(err)
	}
	wantCode(t, n.Backup(ctx, dest), Conflict, "backup.db", "exists already")
	file, err := os.ReadFile(dest)
	if err != nil {
		t.Fatal(err)
	}
	b := mustOpen(t, dest, Options{ReadOnly: true})
	if samples := samplesOf(t, b, p.ID); len(samples) != 2500 {
		t.Errorf("the backup has %d samples", len(samples))
	}
	if _, err := os.Stat(dest + "-wal"); err == nil {
		t.Error("a backup is one file, and reading it made a log")
	}
	return file
}

func TestSameStorySameBytes(t *testing.T) {
	first, second := story(t, seeded()), story(t, seeded())
	if !bytes.Equal(first, second) {
		for i := range min(len(first), len(second)) {
			if first[i] != second[i] {
				t.Fatalf("the backups (%d and %d bytes) differ from byte %d:\n%q\n%q", len(first), len(second), i, around(first, i), around(second, i))
			}
		}
		t.Fatalf("one backup has %d bytes, the other %d", len(first), len(second))
	}
}

func around(b []byte, i int) []byte { return b[max(0, i-40):min(len(b), i+40)] }

func TestBackupOfALog(t *testing.T) {
	o := seeded()
	o.Journal = "wal"
	if log, rollback := story(t, o), story(t, seeded()); len(log) != len(rollback) {
		t.Errorf("a backup has %d bytes, and %d when the notebook has a log", len(rollback), len(log))
	}
}

func TestBackupToNowhere(t *testing.T) {
	n := fresh(t)
	dest := filepath.Join(t.TempDir(), "no", "such.db")
	if err := n.Backup(t.Context(), dest); err == nil {
		t.Error("a backup into a folder that is not there")
	}
}

func TestCheckForeignKeys(t *testing.T) {
	n := fresh(t)
	if err := n.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := n.write.Exec("PRAGMA foreign_keys = OFF; INSERT INTO experiment_tag VALUES ('nothing', 'x')"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, n.Check(t.Context()), Damaged, "experiment_tag refers to a missing experiment")
}
