package store

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/inferbook/inferbook/experiment"
)

func wholeSpec() experiment.Spec {
	s := experiment.DefaultSpec()
	s.Model, s.Seed, s.Requests = "llama-3.1-8b", math.MaxUint64, 40
	s.Simulator = &experiment.Simulator{GPU: "h100-sxm", Count: 2}
	s.Extra = map[string]any{"ignore_eos": true, "stop": []any{"a", 1.5}}
	return s
}

func TestExperimentRoundTrip(t *testing.T) {
	n := fresh(t)
	e := experiment.Experiment{Name: "baseline", Message: "why\nnot", Tags: []string{"h100", "a"}, Started: noon.Add(123 * time.Nanosecond), Spec: wholeSpec()}
	e.Environment.Set(experiment.KeyGPUModel, "h100-sxm", experiment.Declared)
	if err := n.CreateExperiment(t.Context(), &e); err != nil {
		t.Fatal(err)
	}
	if e.ID == "" || e.Number != 1 || e.Status != experiment.Running {
		t.Errorf("what was open is %q, %d, %q", e.ID, e.Number, e.Status)
	}
	got, err := n.Experiment(t.Context(), e.ID)
	if err != nil {
		t.Fatal(err)
	}
	e.Tags = []string{"a", "h100"} // sorted
	if diff := cmp.Diff(&e, got); diff != "" {
		t.Error("(-want +got)\n", diff)
	}

	e.Environment.Set(experiment.KeyRuntime, "vllm", experiment.Detected)
	e.Spec.Requests = 41
	if err := errors.Join(n.SetEnvironment(t.Context(), e.ID, e.Environment), n.SetSpec(t.Context(), e.ID, e.Spec),
		n.FinishExperiment(t.Context(), e.ID, experiment.Failed)); err != nil {
		t.Fatal(err)
	}
	if got, err = n.Experiment(t.Context(), e.ID); err != nil {
		t.Fatal(err)
	}
	e.Status, e.Ended = experiment.Failed, got.Ended
	if diff := cmp.Diff(&e, got); diff != "" || got.Ended.IsZero() {
		t.Error("(-want +got)\n", diff)
	}

	wantCode(t, n.CreateExperiment(t.Context(), &experiment.Experiment{ID: e.ID}), Conflict, e.ID)
	wantCode(t, n.FinishExperiment(t.Context(), e.ID, experiment.Running), Invalid, "running")
	e.Spec.Jitter = math.NaN()
	wantCode(t, n.SetSpec(t.Context(), e.ID, e.Spec), Invalid, "specification")
	wantCode(t, n.CreateExperiment(t.Context(), &experiment.Experiment{Spec: e.Spec}), Invalid, "specification")
	for what, err := range map[string]error{
		"SetSpec":          n.SetSpec(t.Context(), "x", experiment.Spec{}),
		"SetEnvironment":   n.SetEnvironment(t.Context(), "x", experiment.Environment{}),
		"FinishExperiment": n.FinishExperiment(t.Context(), "x", experiment.Complete),
		"Rename":           n.Rename(t.Context(), "x", "y"),
		"Trash":            n.Trash(t.Context(), "x"),
		"Restore":          n.Restore(t.Context(), "x"),
		"Tag":              n.Tag(t.Context(), "x", "y"),
		"Untag":            n.Untag(t.Context(), "x", "y"),
	} {
		t.Log(what)
		wantCode(t, err, NotFound, `"x"`)
	}
}

// A point that nobody ended says by which rule its window is to be read.
func TestRuleOfAPointThatNobodyEnded(t *testing.T) {
	for warmup, want := range []experiment.SteadyState{experiment.SteadyNone, experiment.SteadyClosed} {
		n := fresh(t)
		e := mustCreate(t, n, experiment.Experiment{Spec: experiment.Spec{Warmup: warmup}})
		w, err := n.Writer(t.Context(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		p := experiment.Point{ID: "p", ExperimentID: e.ID, Status: experiment.Running, Anchor: noon,
			Window: experiment.Window{Start: experiment.Never, SendEnd: experiment.Never, End: experiment.Never}}
		if err := errors.Join(w.StartPoint(t.Context(), p), w.AddSample("p", childSample(3)), w.Close(t.Context()),
			n.FinishExperiment(t.Context(), e.ID, experiment.Failed)); err != nil {
			t.Fatal(err)
		}
		points, err := n.Points(t.Context(), e.ID)
		if err != nil || len(points) != 1 {
			t.Fatal(points, err)
		}
		s := childSample(3)
		if d := cmp.Diff(experiment.Window{Start: s.Sent, SendEnd: s.End, End: s.End, Rule: want}, points[0].Window); d != "" {
			t.Errorf("after %d warm-up requests a worker:\n%s", warmup, d)
		}
	}
}

func TestReferences(t *testing.T) {
	n := fresh(t)
	_, err := n.Experiment(t.Context(), "last")
	wantCode(t, err, NotFound, "none yet", "inferbook run")
	for i, name := range []string{"h100-baseline", "h100-chunked", "", "in the trash", "12345x"} {
		id := fmt.Sprintf("01K%dAAAAAAAAAAAAAAAAAAAAAA", i/2) // two by two alike but for the end
		mustCreate(t, n, experiment.Experiment{ID: id + fmt.Sprint(i), Name: name, Status: experiment.Complete})
	}
	if err := n.Trash(t.Context(), "01K1AAAAAAAAAAAAAAAAAAAAAA3"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ref  string
		want int    // 0 = not found
		says string // what the error says
	}{
		{"exp-2", 2, ""},
		{"3", 3, ""},
		{"exp-4", 4, ""}, // in the trash, but asked for
		{"last", 5, ""},
		{"h100-chunked", 2, ""},
		{"12345x", 5, ""}, // a name that begins as a number
		{"01K0AAAAAAAAAAAAAAAAAAAAAA1", 2, ""},
		{"01K2AA", 5, ""},
		{"01k2aa", 5, ""}, // in any case
		{"01K0AA", 0, "begins the ID of several experiments, such as exp-1 and exp-2"},
		{"01K2A", 0, "no experiment"}, // too short a prefix
		{"exp-9", 0, "newest is exp-5"},
		{"99", 0, "newest is exp-5"},
		{"h100-chunkd", 0, "did you mean h100-chunked"},
		{"baseline", 0, "did you mean h100-baseline"},
		{"In The Trash", 0, "inferbook ls"}, // names are exact, and what is in the trash is not proposed
		{"", 0, "no experiment"},            // the nameless one is not meant
		{"%", 0, "no experiment"},
		{"exp-0", 0, "no experiment"},
	} {
		e, err := n.Experiment(t.Context(), c.ref)
		switch {
		case c.want == 0:
			var own *Error
			if !errors.As(err, &own) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q: %v, want %q", c.ref, err, c.says)
			}
		case err != nil || e.Number != c.want:
			t.Errorf("%q: %+v, %v; want exp-%d", c.ref, e, err, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	n := fresh(t)
	ctx := t.Context()
	a := mustCreate(t, n, experiment.Experiment{Name: "a", Status: experiment.Complete})
	b := mustCreate(t, n, experiment.Experiment{Status: experiment.Complete})
	mustCreate(t, n, experiment.Experiment{}) // any number may be nameless
	wantCode(t, n.Rename(ctx, b.ID, "a"), Conflict, `"a"`, "exp-1")
	wantCode(t, n.CreateExperiment(ctx, &experiment.Experiment{Name: "a"}), Conflict, `"a"`, "exp-1")
	if err := n.Trash(ctx, a.ID); err != nil {
		t.Fatal(err)
	}
	wantCode(t, n.Rename(ctx, b.ID, "a"), Conflict, "exp-1") // else it could not come back
	for _, name := range []string{"exp-3", "12", "last", " a", "a\nb"} {
		wantCode(t, n.Rename(ctx, b.ID, name), Invalid, "choose a name")
	}
	if err := errors.Join(n.Rename(ctx, a.ID, "a"), n.Rename(ctx, a.ID, ""), n.Rename(ctx, b.ID, "a")); err != nil {
		t.Error(err)
	}
}

func TestTrash(t *testing.T) {
	n := fresh(t)
	ctx := t.Context()
	e := mustCreate(t, n, experiment.Experiment{})
	wantCode(t, n.Trash(ctx, e.ID), Conflict, "exp-1", "running")
	if err := errors.Join(n.FinishExperiment(ctx, e.ID, experiment.Complete), n.Trash(ctx, e.ID), n.Trash(ctx, e.ID)); err != nil {
		t.Fatal(err)
	}
	if got := numbers(t, n, Filter{}); len(got) != 0 {
		t.Errorf("listed in the trash: %v", got)
	}
	if got := numbers(t, n, Filter{Trash: true}); !slices.Equal(got, []int{1}) {
		t.Errorf("the trash has %v", got)
	}
	if next := mustCreate(t, n, experiment.Experiment{}); next.Number != 2 {
		t.Errorf("a number was given twice: %d", next.Number)
	}
	if err := n.Restore(ctx, e.ID); err != nil {
		t.Fatal(err)
	}
	if got := numbers(t, n, Filter{}); !slices.Equal(got, []int{2, 1}) {
		t.Errorf("listed: %v", got)
	}
}

func numbers(t *testing.T, n *Notebook, f Filter) []int {
	t.Helper()
	list, err := n.List(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	var numbers []int
	for _, l := range list {
		numbers = append(numbers, l.Number)
	}
	return numbers
}

func TestListFilters(t *testing.T) {
	n := fresh(t)
	ctx := t.Context()
	spec := experiment.Spec{Model: "Llama-3.1-8B"}
	gpu := experiment.Environment{}
	gpu.Set(experiment.KeyGPUModel, "a100_80g", experiment.Detected)
	mustCreate(t, n, experiment.Experiment{Name: "chunked prefill", Tags: []string{"keep", "a100"}, Spec: spec})
	mustCreate(t, n, experiment.Experiment{Message: "what a 100% full cache does", Environment: gpu, Status: experiment.Complete})
	third := mustCreate(t, n, experiment.Experiment{Tags: []string{"keep"}, Status: experiment.Complete})
	note := experiment.Note{ExperimentID: third.ID, Text: "paging explains it"}
	if err := n.AddNote(ctx, &note); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		f    Filter
		want []int
	}{
		{Filter{}, []int{3, 2, 1}},
		{Filter{Limit: 2}, []int{3, 2}},
		{Filter{Tag: "keep"}, []int{3, 1}},
		{Filter{Tag: "kee"}, nil}, // a tag is exact
		{Filter{Status: experiment.Complete, Tag: "keep"}, []int{3}},
		{Filter{Text: "llama"}, []int{1}},           // the model, in any case
		{Filter{Text: "a100"}, []int{2, 1}},         // a fact, a tag
		{Filter{Text: "a100_"}, []int{2}},           // an underscore is an underscore
		{Filter{Text: "100%"}, []int{2}},            // and a percent sign a percent sign
		{Filter{Text: "paging"}, []int{3}},          // a note
		{Filter{Text: "prefill chunked"}, []int{1}}, // all words, in any order
		{Filter{Text: "prefill cache"}, nil},        // of one experiment
		{Filter{Text: "gpu.model"}, nil},            // values, not keys
		{Filter{Text: "a100", Limit: 1, Status: experiment.Running}, []int{1}},
	} {
		if got := numbers(t, n, c.f); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.f, got, c.want)
		}
	}
	if err := n.DeleteNote(ctx, note.ID); err != nil {
		t.Fatal(err)
	}
	if got := numbers(t, n, Filter{Text: "paging"}); got != nil {
		t.Errorf("a deleted note is found: %v", got)
	}
}

func TestTags(t *testing.T) {
	n := fresh(t)
	e := mustCreate(t, n, experiment.Experiment{})
	if err := errors.Join(n.Tag(t.Context(), e.ID, "b", "a", "b"), n.Tag(t.Context(), e.ID, "c"), n.Untag(t.Context(), e.ID, "b", "none")); err != nil {
		t.Fatal(err)
	}
	got, err := n.Experiment(t.Context(), "1")
	if err != nil || !slices.Equal(got.Tags, []string{"a", "c"}) {
		t.Errorf("tags %v, %v", got.Tags, err)
	}
	for _, tag := range []string{"", "two words", "a,b"} {
		wantCode(t, n.Tag(t.Context(), e.ID, tag), Invalid)
		wantCode(t, n.CreateExperiment(t.Context(), &experiment.Experiment{Tags: []string{tag}}), Invalid)
	}
}

func TestFigures(t *testing.T) {
	n := fresh(t)
	ctx := t.Context()
	w, p := start(t, n, "p")
	q := p
	q.ID, q.Ordinal, q.Repeat, q.Load.Concurrency = "q", 1, 1, 8
	if err := errors.Join(w.StartPoint(ctx, q), w.Close(ctx)); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, n, experiment.Experiment{}) // without points
	figures := PointFigures{PointID: "q", Load: q.Load, Repeat: 1, Definition: 1, Sent: 40, OK: 39, OutputTokS: 812.5, TTFTP95ms: 35.25, TPOTP95ms: math.NaN()}
	newer := figures
	newer.Definition, newer.OutputTokS = 2, 800
	for _, f := range []PointFigures{newer, figures, newer} { // once more = in place of the first
		if err := n.PutSummary(ctx, f, fmt.Appendf(nil, `{"v":%d}`, f.Definition)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := n.List(ctx, Filter{})
	if err != nil || len(list) != 2 || list[0].Points != 0 || list[1].Points != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	if diff := cmp.Diff([]PointFigures{newer}, list[1].Figures, cmpopts.EquateNaNs()); diff != "" {
		t.Error("the newest definition, for the point that has one (-want +got)\n", diff)
	}
	for definition, want := range map[int]string{1: `{"v":1}`, 2: `{"v":2}`, 3: ""} {
		got, ok, err := n.Summary(ctx, "q", definition)
		if err != nil || string(got) != want || ok != (want != "") {
			t.Errorf("summary under definition %d: %q, %v, %v", definition, got, ok, err)
		}
	}
	if versions, err := n.Definitions(ctx, q.ExperimentID); err != nil || !slices.Equal(versions, []int{1, 2}) {
		t.Errorf("it is summarised under %v, %v", versions, err)
	}
	if versions, err := n.Definitions(ctx, list[0].ID); err != nil || len(versions) != 0 {
		t.Errorf("an experiment without points is summarised under %v, %v", versions, err)
	}
	wantCode(t, n.PutSummary(ctx, PointFigures{PointID: "x"}, []byte("{}")), NotFound, `"x"`)
	wantCode(t, n.PutSummary(ctx, figures, []byte("{")), Invalid, "JSON")
}

func TestNearest(t *testing.T) {
	slugs := []string{"vllm-pagedattention", "vllm-docs", "nvidia-cost", "databricks-best-practices"}
	for _, c := range []struct {
		word string
		want []string
	}{
		{"vllm-pagedatention", []string{"vllm-pagedattention"}},
		{"PagedAttention", []string{"vllm-pagedattention"}}, // a part, in any case
		{"nvidia-costs", []string{"nvidia-cost"}},
		{"zzz", nil},
		{"", nil},
	} {
		if got := nearest(c.word, slugs); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.word, got, c.want)
		}
	}
}
