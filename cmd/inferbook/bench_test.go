package main

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

// benchNotebook makes a notebook with one point of n samples of 200 gaps each.
func benchNotebook(b *testing.B, n int) (*store.Notebook, experiment.Point) {
	b.Helper()
	ctx := b.Context()
	nb, err := store.Open(ctx, filepath.Join(b.TempDir(), "bench.db"), store.Options{Create: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { nb.Close() })
	e := &experiment.Experiment{Spec: experiment.DefaultSpec()}
	if err := nb.CreateExperiment(ctx, e); err != nil {
		b.Fatal(err)
	}
	w, err := nb.Writer(ctx, e.ID)
	if err != nil {
		b.Fatal(err)
	}
	pt := experiment.Point{ID: experiment.NewIDs().New(), ExperimentID: e.ID, Load: experiment.Load{Concurrency: 64}, Status: experiment.Running, Anchor: time.Now()}
	if err := w.StartPoint(ctx, pt); err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	at := experiment.Instant(0)
	for i := range n {
		s := experiment.NewSample(i)
		at = at.Add(30 * time.Millisecond)
		s.Scheduled, s.Sent, s.FirstEvent, s.FirstContent = at, at, at.Add(40*time.Millisecond), at.Add(40*time.Millisecond)
		s.LastContent = s.FirstContent
		for range 200 {
			g := experiment.Gap(9_500_000 + rng.Int64N(1_000_000))
			s.Gaps = append(s.Gaps, g)
			s.LastContent = s.LastContent.Add(g.Duration())
		}
		s.End, s.Events, s.OutputTokens, s.PromptTokens = s.LastContent, 201, 201, 500
		s.Outcome, s.Finish, s.Counted = experiment.OK, "length", experiment.CountedUsage
		if err := w.AddSample(pt.ID, s); err != nil {
			b.Fatal(err)
		}
		pt.Window = experiment.Window{Start: 0, SendEnd: s.End, End: s.End, Rule: experiment.SteadyLoaded}
	}
	pt.Status = experiment.Complete
	if err := w.EndPoint(ctx, pt); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(ctx); err != nil {
		b.Fatal(err)
	}
	return nb, pt
}

// BenchmarkSummarise200k reads 200,000 samples of 200 gaps back from the notebook
// and summarises them: what `show` does the first time.
func BenchmarkSummarise200k(b *testing.B) {
	const n = 200_000
	nb, pt := benchNotebook(b, n)
	b.ReportAllocs()
	for b.Loop() {
		s, err := analysis.Summarise(pt, nb.Samples(b.Context(), pt.ID))
		if err != nil {
			b.Fatal(err)
		}
		if s.OK != n {
			b.Fatalf("%d of %d samples count", s.OK, n)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "samples/s")
}

// BenchmarkVirtualRun measures a whole `run --virtual` with its notebook: 240
// requests over six levels.
func BenchmarkVirtualRun(b *testing.B) {
	args := []string{"run", "--virtual", "--stream", "--concurrency", "1,2,4,8,16,32", "-n", "40"}
	for b.Loop() {
		var out bytes.Buffer
		p := &program{in: &out, out: &out, err: &out, now: time.Now, ids: experiment.NewIDs(), host: noHost,
			env: func(string) string { return "" }}
		if code := p.run(b.Context(), append(args, "--db", filepath.Join(b.TempDir(), "v.db"))); code != exitOK {
			b.Fatalf("exit status %d: %s", code, out.String())
		}
	}
	b.ReportMetric(240*float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}
