package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

const (
	benchSamples = 200_000
	benchGaps    = 200
)

// streamed gives a sample as a streaming run records it: gaps around 10 ms that
// spread as a loaded server's do, one event in twenty sharing a read.
func streamed(rng *rand.Rand, seq int) experiment.Sample {
	s := experiment.NewSample(seq)
	s.Worker, s.Class = seq%16, "chat"
	s.Scheduled = experiment.Instant(seq) * 1_000_000
	s.Sent = s.Scheduled.Add(40 * time.Microsecond)
	s.Connected, s.Headers = s.Sent.Add(time.Microsecond), s.Sent.Add(18*time.Millisecond)
	s.FirstEvent, s.FirstContent = s.Sent.Add(20*time.Millisecond), s.Sent.Add(21*time.Millisecond)
	s.LastContent = s.FirstContent
	s.Gaps = make([]experiment.Gap, benchGaps)
	for i := range s.Gaps {
		if rng.IntN(20) == 0 {
			s.Gaps[i] = experiment.SameRead
			continue
		}
		s.Gaps[i] = experiment.Gap(10_000_000 + rng.NormFloat64()*300_000)
		s.LastContent = s.LastContent.Add(s.Gaps[i].Duration())
	}
	s.End = s.LastContent.Add(time.Millisecond)
	s.PromptAsked, s.OutputAsked, s.PromptTokens, s.OutputTokens = 500, benchGaps+1, 500, benchGaps+1
	s.Counted, s.Finish, s.Outcome, s.HTTPStatus = experiment.CountedUsage, "length", experiment.OK, 200
	s.Protocol, s.Reused, s.Reads, s.Events, s.Model = "HTTP/1.1", true, benchGaps, benchGaps+1, "llama-3.1-8b"
	s.FirstLag, s.MaxLag = 44*time.Microsecond, time.Duration(60_000+rng.IntN(60_000))
	s.PromptHash, s.OutputHash = fmt.Sprintf("%016x", rng.Uint64()), fmt.Sprintf("%016x", rng.Uint64())
	return s
}

// writeStreamed records benchSamples samples into a new notebook.
func writeStreamed(b *testing.B, path string) {
	rng := rand.New(rand.NewPCG(1, 2))
	few := make([]experiment.Sample, 1000) // making the values is not what is measured
	for i := range few {
		few[i] = streamed(rng, i)
	}
	ctx := context.Background()
	n, err := Open(ctx, path, Options{Create: true})
	if err != nil {
		b.Fatal(err)
	}
	defer n.Close()
	b.StartTimer()
	w, p := start(b, n, "p")
	for seq := range benchSamples {
		s := few[seq%len(few)]
		s.Seq = seq
		if err := w.AddSample("p", s); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.EndPoint(ctx, p); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(ctx); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	if err := n.FinishExperiment(ctx, p.ExperimentID, experiment.Complete); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkWrite200k(b *testing.B) {
	var path string
	for range b.N {
		b.StopTimer()
		path = filepath.Join(b.TempDir(), "a.db")
		writeStreamed(b, path)
	}
	rate := float64(benchSamples) * float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "rows/s")
	b.ReportMetric(1e9/rate, "ns/row")
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	var blobs int64
	n := mustOpen(b, path, Options{ReadOnly: true})
	if err := n.read.QueryRow("SELECT sum(length(gaps)) FROM sample").Scan(&blobs); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(blobs)/benchSamples/benchGaps, "bytes/gap")
	b.ReportMetric(float64(info.Size())/benchSamples, "bytes/row")
}

// BenchmarkBurst10k has 10,000 streams end at once, each on a goroutine of its own
// as in a run: how long until all are handed over and may go on, the longest that
// one of them was held up, and until all are committed.
func BenchmarkBurst10k(b *testing.B) {
	const streams = 10_000
	rng := rand.New(rand.NewPCG(1, 2))
	ended := make([]experiment.Sample, streams)
	for i := range ended {
		ended[i] = streamed(rng, i)
	}
	ctx := context.Background()
	var handed, committed, longest time.Duration
	for range b.N {
		b.StopTimer()
		n, err := Open(ctx, filepath.Join(b.TempDir(), "a.db"), Options{Create: true})
		if err != nil {
			b.Fatal(err)
		}
		w, p := start(b, n, "p")
		held := make([]time.Duration, streams)
		var all sync.WaitGroup
		gun := make(chan struct{})
		for i := range ended {
			all.Go(func() {
				<-gun
				called := time.Now()
				if err := w.AddSample("p", ended[i]); err != nil {
					b.Error(err)
				}
				held[i] = time.Since(called)
			})
		}
		b.StartTimer()
		began := time.Now()
		close(gun)
		all.Wait()
		handed += time.Since(began)
		if err := w.EndPoint(ctx, p); err != nil {
			b.Fatal(err)
		}
		committed += time.Since(began)
		b.StopTimer()
		longest = max(longest, slices.Max(held))
		if err := errors.Join(w.Close(ctx), n.Close()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(handed.Milliseconds())/float64(b.N), "ms-handed-over")
	b.ReportMetric(float64(committed.Milliseconds())/float64(b.N), "ms-committed")
	b.ReportMetric(float64(longest.Microseconds()), "µs-longest-call")
}

func BenchmarkReadBack(b *testing.B) {
	path := filepath.Join(b.TempDir(), "a.db")
	b.StopTimer()
	writeStreamed(b, path)
	n := mustOpen(b, path, Options{ReadOnly: true})
	b.ResetTimer()
	b.StartTimer()
	for range b.N {
		var gaps int
		for s, err := range n.Samples(context.Background(), "p") {
			if err != nil {
				b.Fatal(err)
			}
			gaps += len(s.Gaps)
		}
		if gaps != benchSamples*benchGaps {
			b.Fatalf("%d gaps", gaps)
		}
	}
	b.ReportMetric(float64(benchSamples)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkList10k(b *testing.B) {
	ctx := context.Background()
	n := mustOpen(b, filepath.Join(b.TempDir(), "a.db"), Options{Create: true})
	const experiments, points = 10_000, 4
	env := experiment.Environment{}
	for i := range 20 {
		env.Set(fmt.Sprintf("fact.%d", i), "some value or other", experiment.Detected)
	}
	tx, err := n.write.Begin()
	if err != nil {
		b.Fatal(err)
	}
	environment, err := encodeEnvironment(env)
	if err != nil {
		b.Fatal(err)
	}
	for i := range experiments {
		id := n.ids.New()
		_, err := tx.Exec(`INSERT INTO experiment (id, number, name, message, status, started_ns, spec, environment)
			VALUES (?, ?, '', '', 'complete', 0, '{"model":"llama-3.1-8b","concurrency":[1,2,4,8]}', ?)`, id, i+1, environment)
		if err != nil {
			b.Fatal(err)
		}
		for j := range points {
			num, err := insertPoint(ctx, tx, &experiment.Point{ID: fmt.Sprint(id, j), ExperimentID: id, Ordinal: j,
				Load: experiment.Load{Concurrency: 1 << j}, Status: experiment.Complete, Anchor: noon})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := tx.Exec("INSERT INTO figure VALUES (?, 1, 100, 100, 812.5, 35.1, 11.2)", num); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
	for name, f := range map[string]Filter{"all": {}, "newest20": {Limit: 20}, "text": {Text: "nothing-has-this"}} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				if _, err := n.List(ctx, f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
