//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
)

// The notebook of BenchmarkMillion.
const (
	millionPoints  = 10
	millionSamples = 100_000 // a point
	millionGaps    = 200     // a sample
)

// BenchmarkMillion looks at a notebook with a million samples of 200 gaps each, as a
// person does: each look is a process of its own, and the first finds no summary. It reports the seconds
// of each, those of processor time over all, which other work on the machine changes little, and
// the largest memory of any.
func BenchmarkMillion(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		db := filepath.Join(b.TempDir(), "million.db")
		writeMillion(b, db)
		b.StartTimer()
		peak, busy := 0.0, 0.0
		for _, look := range []struct {
			name string
			args []string
		}{
			{"show", []string{"show", "exp-1"}},
			{"why", []string{"why", "exp-1"}},
			{"curve", []string{"curve", "exp-1", "-o", filepath.Join(b.TempDir(), "x.svg")}},
		} {
			began := time.Now()
			cmd := exec.Command("inferbook", append(look.args, "--db", db)...)
			if out, err := cmd.CombinedOutput(); err != nil {
				b.Fatalf("%s: %v\n%s", look.name, err, out)
			}
			b.ReportMetric(time.Since(began).Seconds(), "s-"+look.name)
			peak = max(peak, peakMemory(cmd))
			busy += (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
		}
		b.ReportMetric(busy, "s-processor")
		b.ReportMetric(peak/(1<<20), "MiB-peak")
	}
}

// peakMemory is the largest resident memory in bytes of a process that has ended.
func peakMemory(cmd *exec.Cmd) float64 {
	kept := float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	if runtime.GOOS == "darwin" {
		return kept
	}
	return 1024 * kept // others count in KiB
}

// writeMillion records a closed loop of 1 to 512 users.
func writeMillion(b *testing.B, path string) {
	ctx := b.Context()
	nb, err := store.Open(ctx, path, store.Options{Create: true})
	if err != nil {
		b.Fatal(err)
	}
	e := &experiment.Experiment{Spec: experiment.DefaultSpec()}
	if err := nb.CreateExperiment(ctx, e); err != nil {
		b.Fatal(err)
	}
	w, err := nb.Writer(ctx, e.ID)
	if err != nil {
		b.Fatal(err)
	}
	rng, ids := rand.New(rand.NewPCG(1, 2)), experiment.NewIDs()
	for i := range millionPoints {
		p := experiment.Point{ID: ids.New(), ExperimentID: e.ID, Ordinal: i, Load: experiment.Load{Concurrency: 1 << i}, Status: experiment.Running, Anchor: time.Now()}
		if err := w.StartPoint(ctx, p); err != nil {
			b.Fatal(err)
		}
		few := make([]experiment.Sample, 500) // drawing the gaps is not what is measured
		for j := range few {
			few[j] = millionth(rng, p.Load.Concurrency)
		}
		free := make([]experiment.Instant, p.Load.Concurrency)
		for seq := range millionSamples {
			s := few[seq%len(few)]
			s.Seq, s.Worker = seq, seq%len(free)
			s.PromptHash, s.OutputHash = fmt.Sprintf("%016x", rng.Uint64()), fmt.Sprintf("%016x", rng.Uint64())
			by := free[s.Worker]
			for _, at := range []*experiment.Instant{&s.Scheduled, &s.Sent, &s.Connected, &s.Headers, &s.FirstEvent, &s.FirstContent, &s.LastContent, &s.End} {
				*at += by
			}
			free[s.Worker] = s.End
			if err := w.AddSample(p.ID, s); err != nil {
				b.Fatal(err)
			}
			p.Window = experiment.Window{SendEnd: s.End, End: s.End, Rule: experiment.SteadyLoaded}
		}
		p.Status = experiment.Complete
		if err := w.EndPoint(ctx, p); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(ctx); err != nil {
		b.Fatal(err)
	}
	if err := nb.FinishExperiment(ctx, e.ID, experiment.Complete); err != nil {
		b.Fatal(err)
	}
	if err := nb.Close(); err != nil {
		b.Fatal(err)
	}
}

// millionth is a request sent at 0 to a server whose steps take longer the more users there are; a
// step in a hundred waits for another's prompt.
func millionth(rng *rand.Rand, users int) experiment.Sample {
	s := experiment.NewSample(0)
	step := 8e6 * (1 + float64(users)/128) // ns
	s.Scheduled, s.Sent = 0, experiment.Instant(rng.IntN(50_000))
	s.Connected, s.Headers = s.Sent.Add(time.Microsecond), s.Sent.Add(time.Duration(3*step))
	s.FirstEvent, s.FirstContent = s.Headers, s.Sent.Add(time.Duration(4*step*(1+0.2*rng.ExpFloat64())))
	s.LastContent = s.FirstContent
	for range millionGaps {
		gap := step * (1 + 0.03*rng.NormFloat64())
		if rng.IntN(100) == 0 {
			gap += 3 * step * rng.Float64()
		}
		s.Gaps = append(s.Gaps, experiment.Gap(gap))
		s.LastContent = s.LastContent.Add(time.Duration(gap))
	}
	s.End = s.LastContent.Add(time.Millisecond)
	s.PromptAsked, s.PromptTokens, s.OutputAsked, s.OutputTokens = 500, 480+rng.IntN(40), millionGaps+1, millionGaps+1
	s.Counted, s.Finish, s.Outcome, s.HTTPStatus = experiment.CountedUsage, "length", experiment.OK, 200
	s.Protocol, s.Reused, s.Reads, s.Events, s.Model = "HTTP/1.1", true, millionGaps+1, millionGaps+1, "llama-3.1-8b"
	return s
}
