package store

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
)

// version1 puts a notebook of schema 1 at a.db in a folder of the test: the first
// two experiments of the example that was made with that schema.
func version1(t *testing.T) string {
	t.Helper()
	packed, err := os.Open("testdata/version1.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	file, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.db")
	if err := os.WriteFile(path, bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestVersion1IsReadAndWritten(t *testing.T) {
	path := version1(t)
	ctx := t.Context()
	n := mustOpen(t, path, Options{})
	if w := n.Warnings(); len(w) != 1 || !strings.Contains(w[0], "from schema 1 to 4; a backup from before is at "+path+".bak-1") {
		t.Errorf("warnings: %q", w)
	}
	list, err := n.List(ctx, Filter{})
	if err != nil || len(list) != 2 || list[0].Name != "streaming" || list[1].Name != "synchronous" || len(list[0].Figures) != 1 {
		t.Fatalf("listed: %+v, %v", list, err)
	}
	s := list[0].Spec
	if s.InputTokens.String() != "500" || s.Arrival.Open() || len(s.Concurrency) != 1 || s.SLO != nil {
		t.Errorf("the specification reads as %+v", s)
	}
	points, err := n.Points(ctx, list[0].ID)
	if err != nil || len(points) != 1 {
		t.Fatalf("points: %+v, %v", points, err)
	}
	p := points[0]
	want := experiment.Health{EventsPerRead: 1, StampSource: "simulator", CPUShare: -1, GCPauseMax: -1,
		SendLagMax: -1, ReadLagP50: -1, ReadLagP99: -1, ReadLagMax: -1, WakeLagP99: -1}
	if diff := cmp.Diff(want, p.Health); diff != "" || p.Ended != "" || p.Load != (experiment.Load{Concurrency: 1}) {
		t.Errorf("point %+v (-want +got)\n%s", p, diff)
	}
	if s, err := n.Schedule(ctx, p.ID); s != nil || err != nil {
		t.Errorf("its schedule is %v, %v", s, err)
	}
	samples := samplesOf(t, n, p.ID)
	if len(samples) != 41 {
		t.Fatalf("%d samples, want 41", len(samples))
	}
	for _, s := range samples {
		if s.Replica != 0 || s.ModelAsked != "" || s.FirstLag != experiment.Unknown || s.MaxLag != experiment.Unknown || s.Outcome != experiment.OK || len(s.Gaps) != s.OutputTokens-1 {
			t.Fatalf("sample %+v", s)
		}
	}
	readOtherTables(t, n, list, p.ID)
	if err := n.Check(ctx); err != nil {
		t.Error(err)
	}
	before := mustOpenVersion1(t, path+".bak-1")
	if got := samplesOf(t, before, p.ID); cmp.Diff(samples, got) != "" {
		t.Error("the samples of the backup differ")
	}
	writeOpenLoop(t, n)
}

// readOtherTables reads what the migration does not touch.
func readOtherTables(t *testing.T, n *Notebook, list []Listed, pointID string) {
	t.Helper()
	ctx := t.Context()
	readings, err := n.Readings(ctx)
	prices, perr := n.Prices(ctx, "")
	notes, nerr := n.Notes(ctx, NoteFilter{})
	_, cached, serr := n.Summary(ctx, pointID, list[0].Figures[0].Definition)
	if err := errors.Join(err, perr, nerr, serr); err != nil || len(readings) != 13 || len(prices) != 2 || len(notes) != 1 || !cached {
		t.Errorf("%d readings, %d prices, %d notes, summary cached: %t; %v", len(readings), len(prices), len(notes), cached, err)
	}
	_, rows, err := ask(t, n, "SELECT count(*), count(rate), count(ttft_sched_ms), count(first_lag_ms), sum(replica) FROM samples")
	if err != nil || len(rows) != 1 || cmp.Diff(rows[0], []any{int64(82), int64(0), int64(41), int64(0), int64(0)}) != "" {
		t.Errorf("the view of samples: %v, %v", rows, err)
	}
}

// mustOpenVersion1 opens a copy of a notebook of schema 1 as it is.
func mustOpenVersion1(t *testing.T, path string) *Notebook {
	t.Helper()
	if v := versionOf(t, path); v != (version{schema: 1, minReader: 1}) {
		t.Errorf("the backup has %+v", v)
	}
	return mustOpen(t, path, Options{})
}

func versionOf(t *testing.T, path string) version {
	t.Helper()
	n := &Notebook{path: path, file: path, tuning: ordinary()}
	db, err := n.connect(path, 1, "mode", "ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	v, err := readVersion(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// writeOpenLoop records a point that schema 1 could not hold, and reads it back.
func writeOpenLoop(t *testing.T, n *Notebook) {
	t.Helper()
	ctx := t.Context()
	e := mustCreate(t, n, experiment.Experiment{})
	w, err := n.Writer(ctx, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	p := openPoint(e.ID)
	sample := experiment.NewSample(0)
	sample.Outcome, sample.Replica, sample.ModelAsked, sample.FirstLag, sample.MaxLag = experiment.Cut, 2, "lora-b", 5, 7
	if err := errors.Join(w.StartPoint(ctx, p), w.AddSample(p.ID, sample)); err != nil {
		t.Fatal(err)
	}
	p.Status, p.Ended = experiment.Complete, experiment.EndOversaturated
	schedule := p.Schedule
	p.Schedule = nil // how a point ended says nothing about its plan
	if err := errors.Join(w.EndPoint(ctx, p), w.Close(ctx), n.FinishExperiment(ctx, e.ID, experiment.Complete)); err != nil {
		t.Fatal(err)
	}
	points, err := n.Points(ctx, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]experiment.Point{p}, points); diff != "" {
		t.Error(diff) // a listing has no schedule in it
	}
	if got, err := n.Schedule(ctx, p.ID); err != nil || cmp.Diff(schedule, got) != "" {
		t.Errorf("the schedule comes back as %v, %v", got, err)
	}
	if diff := cmp.Diff([]experiment.Sample{sample}, samplesOf(t, n, p.ID)); diff != "" {
		t.Error(diff)
	}
	_, rows, err := ask(t, n, "SELECT p.rate, p.ended, s.outcome, s.model_asked, s.rate FROM points p JOIN samples s USING (experiment, point) WHERE p.ended IS NOT NULL")
	if err != nil || len(rows) != 1 || cmp.Diff(rows[0], []any{2.5, "over-saturated", "cut", "lora-b", 2.5}) != "" {
		t.Errorf("the views: %v, %v", rows, err)
	}
}

func openPoint(experimentID string) experiment.Point {
	return experiment.Point{ID: "open", ExperimentID: experimentID, Load: experiment.Load{Rate: 2.5}, Status: experiment.Running, Anchor: noon,
		Window: experiment.Window{Start: experiment.Never, SendEnd: experiment.Never, End: experiment.Never},
		Schedule: experiment.Schedule{
			{At: 0, Item: -1, Turns: []experiment.Turn{{Prompt: 500, Output: 20}}},
			{At: 1_234_567, Class: 1, Item: 4, Turns: []experiment.Turn{{Prompt: 5, Output: 2}, {Prompt: 1, Output: 3, Think: 5e9}}},
		}}
}

func TestScheduleFaults(t *testing.T) {
	n := fresh(t)
	ctx := t.Context()
	w, p := start(t, n, "closed")
	if s, err := n.Schedule(ctx, "closed"); s != nil || err != nil {
		t.Errorf("a closed loop has the schedule %v, %v", s, err)
	}
	if s, err := n.Schedule(ctx, "nothing"); s != nil || err != nil {
		t.Errorf("a point that does not exist has the schedule %v, %v", s, err)
	}
	o := openPoint(p.ExperimentID)
	o.Ordinal = 1
	wrong := o
	wrong.Schedule = experiment.Schedule{{At: 5}, {At: 3}}
	wantCode(t, w.StartPoint(ctx, wrong), Invalid, "schedule of point open")
	if err := w.StartPoint(ctx, o); err != nil { // nothing of the refused one is left
		t.Fatal(err)
	}
	if _, err := n.write.Exec("UPDATE schedule SET entries = x'01ff'"); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Schedule(ctx, "open"); err == nil || !strings.Contains(err.Error(), "reading the schedule of point open") {
		t.Errorf("a damaged schedule: %v", err)
	}
	if err := w.Close(ctx); err != nil {
		t.Error(err)
	}
}

// An open loop whose process died keeps its window: from its first measured
// arrival to its last.
func TestInterruptedOpenLoop(t *testing.T) {
	n := fresh(t)
	ctx := context.Background()
	spec := wholeSpec()
	spec.Warmup = 1
	e := mustCreate(t, n, experiment.Experiment{Spec: spec})
	w, err := n.Writer(ctx, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.StartPoint(ctx, openPoint(e.ID)); err != nil {
		t.Fatal(err)
	}
	for i, phase := range []experiment.Phase{experiment.Warmup, experiment.Measured, experiment.Measured, experiment.Cooldown} {
		s := experiment.NewSample(i)
		s.Phase, s.Sent, s.End = phase, experiment.Instant(10*i), experiment.Instant(10*i+100)
		if err := w.AddSample("open", s); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := n.interrupt(ctx, run{id: e.ID, number: 1, owner: self()}); err != nil {
		t.Fatal(err)
	}
	points, err := n.Points(ctx, e.ID)
	want := experiment.Window{Start: 10, SendEnd: 20, End: 130, Rule: experiment.SteadyOpen}
	if err != nil || len(points) != 1 || points[0].Window != want || points[0].Status != experiment.Interrupted {
		t.Errorf("%+v, %v; want the window %+v", points, err, want)
	}
}
