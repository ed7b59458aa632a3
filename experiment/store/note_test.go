package store

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
)

func putReadings(t *testing.T, n *Notebook) {
	t.Helper()
	for i, slug := range []string{"vllm-pagedattention", "nvidia-cost"} {
		r := experiment.ReadingEntry{Slug: slug, Title: "On " + slug, URL: "https://example.org/" + slug, Kind: "article", Section: "1 Core", Order: 2 - i, Body: "# Facts"}
		if err := n.PutReading(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNotes(t *testing.T) {
	n := fresh(t)
	ctx := t.Context()
	putReadings(t, n)
	w, p := start(t, n, "p")
	if err := w.Close(ctx); err != nil {
		t.Fatal(err)
	}
	other := mustCreate(t, n, experiment.Experiment{})
	first := experiment.Note{ExperimentID: p.ExperimentID, PointID: "p", Text: "one", Readings: []string{"vllm-pagedattention", "nvidia-cost"}}
	second := experiment.Note{ExperimentID: other.ID, Text: "two", Readings: []string{"nvidia-cost"}, Created: noon}
	for _, note := range []*experiment.Note{&first, &second} {
		if err := n.AddNote(ctx, note); err != nil {
			t.Fatal(err)
		}
	}
	if first.ID == "" || first.Number != 1 || first.Created.IsZero() || second.Number != 2 {
		t.Errorf("what was open: %+v, %+v", first, second)
	}
	for _, c := range []struct {
		f    NoteFilter
		want []experiment.Note
	}{
		{NoteFilter{}, []experiment.Note{first, second}},
		{NoteFilter{ExperimentID: other.ID}, []experiment.Note{second}},
		{NoteFilter{Reading: "vllm-pagedattention"}, []experiment.Note{first}},
		{NoteFilter{Reading: "nvidia-cost"}, []experiment.Note{first, second}},
		{NoteFilter{ExperimentID: other.ID, Reading: "vllm-pagedattention"}, nil},
	} {
		got, err := n.Notes(ctx, c.f)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%+v: %v (-want +got)\n%s", c.f, err, diff)
		}
	}
	for _, ref := range []string{"note-2", second.ID, second.ID[:25]} {
		if got, err := n.Note(ctx, ref); err != nil || got.ID != second.ID {
			t.Errorf("%q: %+v, %v", ref, got, err)
		}
	}
	for ref, code := range map[string]Code{"note-9": NotFound, "note-exp-1": Invalid, "note-": Invalid, "x": NotFound, "": NotFound, first.ID[:6]: Invalid} {
		_, err := n.Note(ctx, ref)
		t.Logf("%q: %v", ref, err)
		wantCode(t, err, code)
	}

	for says, bad := range map[string]experiment.Note{
		"is empty":                        {ExperimentID: other.ID, Text: " \n"},
		`no experiment "x"`:               {ExperimentID: "x", Text: "a"},
		"is not one of this experiment's": {ExperimentID: other.ID, PointID: "p", Text: "a"},
		"did you mean nvidia-cost?":       {ExperimentID: other.ID, Text: "a", Readings: []string{"nvidia-costs"}},
	} {
		err := n.AddNote(ctx, &bad)
		var own *Error
		if !errors.As(err, &own) {
			t.Fatal(err)
		}
		wantCode(t, err, own.Code, says)
	}
	if got, err := n.Notes(ctx, NoteFilter{}); err != nil || len(got) != 2 {
		t.Errorf("a refused note left something: %d notes, %v", len(got), err)
	}
}

func TestEditedNoteKeepsItsTexts(t *testing.T) {
	n := mustOpen(t, t.TempDir()+"/a.db", seeded())
	ctx := t.Context()
	e := mustCreate(t, n, experiment.Experiment{})
	note := experiment.Note{ExperimentID: e.ID, Text: "one"}
	if err := errors.Join(n.AddNote(ctx, &note), n.EditNote(ctx, note.ID, "two"), n.EditNote(ctx, note.ID, "two"), n.EditNote(ctx, note.ID, "three")); err != nil {
		t.Fatal(err)
	}
	if got, err := n.Note(ctx, "note-1"); err != nil || got.Text != "three" {
		t.Errorf("%+v, %v", got, err)
	}
	got, err := n.NoteRevisions(ctx, note.ID)
	if diff := cmp.Diff([]NoteRevision{{"one", noon}, {"two", noon}}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	wantCode(t, n.EditNote(ctx, note.ID, ""), Invalid, "empty")
	if err := n.DeleteNote(ctx, note.ID); err != nil {
		t.Fatal(err)
	}
	_, err = n.Note(ctx, "note-1")
	wantCode(t, err, NotFound)
	wantCode(t, n.DeleteNote(ctx, note.ID), NotFound)
	wantCode(t, n.EditNote(ctx, note.ID, "four"), NotFound)
	var kept string
	if err := n.read.QueryRow("SELECT text FROM note WHERE number = 1").Scan(&kept); err != nil || kept != "three" {
		t.Errorf("the file has %q of a deleted note, %v", kept, err)
	}
	if again := (experiment.Note{ExperimentID: e.ID, Text: "x"}); n.AddNote(ctx, &again) != nil || again.Number != 2 {
		t.Errorf("a number was given twice: %d", again.Number)
	}
}

func TestReadings(t *testing.T) {
	n := fresh(t)
	ctx := t.Context()
	_, err := n.Reading(ctx, "x")
	wantCode(t, err, NotFound, "reading list is empty", "inferbook init")
	putReadings(t, n)
	if err := n.SetReadingStatus(ctx, "nvidia-cost", experiment.Tested); err != nil {
		t.Fatal(err)
	}
	// A newer edition of the entry does not take back what the person has done.
	want := experiment.ReadingEntry{Slug: "nvidia-cost", Title: "T", URL: "u", Kind: "k", Section: "s", Order: 9, Status: experiment.Unread, Body: "b"}
	if err := n.PutReading(ctx, want); err != nil {
		t.Fatal(err)
	}
	want.Status = experiment.Tested
	got, err := n.Reading(ctx, "nvidia-cost")
	if diff := cmp.Diff(&want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	list, err := n.Readings(ctx)
	if err != nil || len(list) != 2 || list[0].Slug != "vllm-pagedattention" {
		t.Errorf("%+v, %v", list, err)
	}
	_, err = n.Reading(ctx, "vllm-pagedatention")
	wantCode(t, err, NotFound, "did you mean vllm-pagedattention")
	wantCode(t, n.SetReadingStatus(ctx, "nvidia", experiment.Read), NotFound, "did you mean nvidia-cost")
	wantCode(t, n.SetReadingStatus(ctx, "nvidia-cost", "skimmed"), Invalid, "tested")
	wantCode(t, n.PutReading(ctx, experiment.ReadingEntry{Slug: "a"}), Invalid)
	wantCode(t, n.PutReading(ctx, experiment.ReadingEntry{Slug: "a", Title: "A", Status: "x"}), Invalid)
}

func TestPrices(t *testing.T) {
	n := fresh(t)
	ctx := t.Context()
	good := experiment.Price{Hardware: "h100-sxm", USDHour: 2.49, Date: noon, Source: "invoice 7"}
	for name, change := range map[string]func(*experiment.Price){
		"no hardware":       func(p *experiment.Price) { p.Hardware = " " },
		"nothing":           func(p *experiment.Price) { p.USDHour = 0 },
		"less than nothing": func(p *experiment.Price) { p.USDHour = -1 },
		"no number":         func(p *experiment.Price) { p.USDHour = math.NaN() },
		"no end":            func(p *experiment.Price) { p.USDHour = math.Inf(1) },
		"no date":           func(p *experiment.Price) { p.Date = time.Time{} },
		"no source":         func(p *experiment.Price) { p.Source = "" },
	} {
		t.Log(name)
		bad := good
		change(&bad)
		wantCode(t, n.AddPrice(ctx, &bad), Invalid)
	}
	older, other := good, good
	older.Date, older.USDHour = noon.AddDate(0, 0, -1), 3
	// Late in the evening west of Greenwich is the next day in UTC; the price is of the day it says.
	other.Hardware, other.Date = "l40s", time.Date(2026, 2, 27, 23, 0, 0, 0, time.FixedZone("", -8*3600))
	for _, p := range []*experiment.Price{&good, &older, &other} {
		if err := n.AddPrice(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	if want := time.Date(2026, 2, 27, 0, 0, 0, 0, time.UTC); !other.Date.Equal(want) {
		t.Errorf("day %v, want %v", other.Date, want)
	}
	for hardware, want := range map[string][]experiment.Price{"": {good, older, other}, "h100-sxm": {good, older}, "h100": nil} {
		got, err := n.Prices(ctx, hardware)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got)\n%s", hardware, err, diff)
		}
	}
	wantCode(t, n.AddPrice(ctx, &good), Conflict)
}
