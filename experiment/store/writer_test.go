package store

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

func samplesOf(t testing.TB, n *Notebook, pointID string) []experiment.Sample {
	t.Helper()
	var all []experiment.Sample
	for s, err := range n.Samples(context.Background(), pointID) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// start begins an experiment with one point and gives the writer.
func start(t testing.TB, n *Notebook, pointID string) (*Writer, experiment.Point) {
	t.Helper()
	e := mustCreate(t, n, experiment.Experiment{})
	w, err := n.Writer(context.Background(), e.ID)
	if err != nil {
		t.Fatal(err)
	}
	p := experiment.Point{ID: pointID, ExperimentID: e.ID, Load: experiment.Load{Concurrency: 4}, Status: experiment.Running, Anchor: noon,
		Window: experiment.Window{Start: experiment.Never, SendEnd: experiment.Never, End: experiment.Never, Rule: experiment.SteadyClosed}}
	if err := w.StartPoint(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	return w, p
}

func drawSample(t *rapid.T, seq int) experiment.Sample {
	instant := rapid.OneOf(rapid.Just(experiment.Never), rapid.Map(rapid.Int64Range(0, math.MaxInt64), func(n int64) experiment.Instant { return experiment.Instant(n) }))
	count := rapid.OneOf(rapid.Just(experiment.Unknown), rapid.IntRange(0, 1<<20))
	small := rapid.IntRange(0, 99)
	word := rapid.SampledFrom([]string{"", "chat", "agent's", "größe", "a\x00b"})
	text := rapid.String()
	i := func(name string) experiment.Instant { return instant.Draw(t, name) }
	gaps, err := decodeGaps(encodeGaps(drawGaps(t))) // whole microseconds come back as they are
	if err != nil {
		t.Fatal(err)
	}
	return experiment.Sample{
		Seq: seq, Worker: small.Draw(t, "worker"), Class: word.Draw(t, "class"), Session: small.Draw(t, "session"), Turn: small.Draw(t, "turn"),
		Phase:     rapid.SampledFrom([]experiment.Phase{experiment.Warmup, experiment.Measured, experiment.Cooldown}).Draw(t, "phase"),
		Scheduled: i("scheduled"), Sent: i("sent"), Connected: i("connected"), Headers: i("headers"), FirstEvent: i("first event"),
		FirstReasoning: i("first reasoning"), FirstContent: i("first content"), LastContent: i("last content"), End: i("end"),
		Gaps: gaps, TokensAt: rapid.SampledFrom([][]int32{nil, {1, 1, 1}, {4, 2, 7}}).Draw(t, "tokens at"),
		PromptAsked: count.Draw(t, "prompt asked"), OutputAsked: count.Draw(t, "output asked"), PromptTokens: count.Draw(t, "prompt tokens"),
		CachedTokens: count.Draw(t, "cached"), OutputTokens: count.Draw(t, "output tokens"), ReasoningTokens: count.Draw(t, "reasoning"),
		Counted: rapid.SampledFrom([]experiment.Counted{experiment.CountedUsage, experiment.CountedNone}).Draw(t, "counted"),
		Finish:  word.Draw(t, "finish"), Outcome: rapid.SampledFrom(experiment.Outcomes).Draw(t, "outcome"),
		HTTPStatus: small.Draw(t, "status"), Error: text.Draw(t, "error"), RetryAfter: time.Duration(small.Draw(t, "retry after")),
		Protocol: word.Draw(t, "protocol"), Reused: rapid.Bool().Draw(t, "reused"), Reads: small.Draw(t, "reads"), Events: small.Draw(t, "events"),
		Model: word.Draw(t, "model"), Fingerprint: word.Draw(t, "fingerprint"), PromptHash: text.Draw(t, "prompt hash"), OutputHash: text.Draw(t, "output hash"),
		Prompt: text.Draw(t, "prompt"), Output: text.Draw(t, "output"), Server: text.Draw(t, "server"),
		Replica: small.Draw(t, "replica"), ModelAsked: word.Draw(t, "model asked"),
		FirstLag: time.Duration(count.Draw(t, "first lag")), MaxLag: time.Duration(count.Draw(t, "max lag")),
	}
}

func TestSampleRoundTrip(t *testing.T) {
	n := fresh(t)
	e := mustCreate(t, n, experiment.Experiment{})
	w, err := n.Writer(t.Context(), e.ID)
	if err != nil {
		t.Fatal(err)
	}
	points := 0
	rapid.Check(t, func(t *rapid.T) {
		want := make([]experiment.Sample, rapid.IntRange(0, 4).Draw(t, "samples"))
		p := experiment.Point{ID: fmt.Sprint("point ", points), ExperimentID: e.ID, Ordinal: points, Status: experiment.Running, Anchor: noon}
		points++
		if err := w.StartPoint(context.Background(), p); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			want[i] = drawSample(t, i)
		}
		for i := range want { // the last scheduled may end first
			if err := w.AddSample(p.ID, want[len(want)-1-i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.EndPoint(context.Background(), p); err != nil {
			t.Fatal(err)
		}
		var got []experiment.Sample
		for s, err := range n.Samples(context.Background(), p.ID) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, s)
		}
		if diff := cmp.Diff(want, append([]experiment.Sample{}, got...)); diff != "" {
			t.Fatal("(-want +got)\n", diff)
		}
	})
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestSamplesPages(t *testing.T) {
	n := fresh(t)
	w, p := start(t, n, "p")
	const total = 2*samplePage + 7
	for i := range total {
		if err := w.AddSample("p", experiment.NewSample(total-1-i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.EndPoint(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	next := 0
	for s, err := range n.Samples(t.Context(), "p") {
		if err != nil || s.Seq != next {
			t.Fatalf("sample %d, %v; want %d", s.Seq, err, next)
		}
		next++
		if next == samplePage { // a loop may write
			if err := n.PutSummary(t.Context(), PointFigures{PointID: "p"}, []byte("{}")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if count, err := n.CountSamples(t.Context(), p.ExperimentID); err != nil || next != total || count != total {
		t.Errorf("read %d and counted %d, %v; want %d", next, count, err, total)
	}
	for range n.Samples(t.Context(), "p") {
		break // a loop may stop
	}
	for range n.Samples(t.Context(), "nothing") {
		t.Error("a point that does not exist has a sample")
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range n.Samples(cancelled, "p") {
		if err == nil {
			t.Error("reading goes on after it was cancelled")
		}
	}
	if err := w.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// The clock of the bubble moves only when everybody waits, so that the instant of
// a commit is exact.
func TestBatchIsCommittedWithinASecond(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	synctest.Test(t, func(t *testing.T) {
		n, err := Open(context.Background(), path, Options{Create: true})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		w, p := start(t, n, "p")
		saved := func() int {
			synctest.Wait()
			c, err := n.CountSamples(context.Background(), p.ExperimentID)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		add := func(seq int) {
			if err := w.AddSample("p", experiment.NewSample(seq)); err != nil {
				t.Fatal(err)
			}
		}
		if ordinary().batchEvery > time.Second {
			t.Fatal("a sample is committed within a second of its end")
		}
		time.Sleep(10 * time.Second) // an idle writer has no clock
		add(0)
		time.Sleep(ordinary().batchEvery - 1)
		add(1)
		if c := saved(); c != 0 {
			t.Errorf("%d samples before the interval is over", c)
		}
		time.Sleep(time.Nanosecond)
		if c := saved(); c != 2 {
			t.Errorf("%d samples when the interval is over, want 2", c)
		}
		for i := range 1000 {
			add(2 + i)
		}
		if c := saved(); c != 1002 {
			t.Errorf("%d samples at once after 1,000 more, want 1002", c)
		}
		add(1002)
		if err := w.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if c := saved(); c != 1003 {
			t.Errorf("%d samples after Close, want 1003", c)
		}
	})
}

func TestManyWorkers(t *testing.T) {
	small := ordinary()
	small.queue, small.batchRows = 3, 10 // senders wait for room
	n, err := open(t.Context(), filepath.Join(t.TempDir(), "a.db"), Options{Create: true}, small)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	w, p := start(t, n, "p")
	var workers sync.WaitGroup
	for worker := range 8 {
		workers.Go(func() {
			for i := range 50 {
				s := experiment.NewSample(worker*50 + i)
				s.Class = fmt.Sprint("class ", worker)
				if err := w.AddSample("p", s); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	if err := w.EndPoint(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	for i, s := range samplesOf(t, n, "p") {
		if s.Seq != i || s.Class != fmt.Sprint("class ", i/50) {
			t.Fatalf("sample %d of %q at place %d", s.Seq, s.Class, i)
		}
	}
	if err := w.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPointsAreOrderedWithTheirSamples(t *testing.T) {
	n := fresh(t)
	w, p := start(t, n, "p")
	if got, err := n.Points(t.Context(), p.ExperimentID); err != nil || len(got) != 1 || got[0].Status != experiment.Running {
		t.Errorf("a begun point is %v, %v", got, err)
	}
	if err := w.AddSample("p", experiment.NewSample(0)); err != nil {
		t.Fatal(err)
	}
	want := p
	want.Seed, want.Repeat, want.Status = math.MaxUint64, 2, experiment.Complete
	want.Window = experiment.Window{Start: 1, SendEnd: 2, End: 3, Rule: experiment.SteadyNone}
	want.Health = experiment.Health{SendLagP50: experiment.Unknown, HeldBack: 3, ReadLagMax: 17, CPUShare: 0.25, StampSource: "kernel"}
	want.Ended = experiment.EndErrors
	if err := w.EndPoint(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if got := samplesOf(t, n, "p"); len(got) != 1 {
		t.Errorf("%d samples are there when the point has ended, want 1", len(got))
	}
	got, err := n.Points(t.Context(), p.ExperimentID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]experiment.Point{want}, got); diff != "" {
		t.Error(diff)
	}
	if err := w.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWriterRefuses(t *testing.T) {
	n := fresh(t)
	ctx := t.Context()
	w, p := start(t, n, "p")

	wantCode(t, w.AddSample("q", experiment.NewSample(0)), Invalid, "has not begun")
	wantCode(t, w.StartPoint(ctx, p), Conflict, "already")
	same := p
	same.ID = "another"
	wantCode(t, w.StartPoint(ctx, same), Conflict, "ordinal 0")
	same.ExperimentID = "elsewhere"
	wantCode(t, w.StartPoint(ctx, same), Invalid)
	nan := p
	nan.Health.CPUShare = math.NaN()
	wantCode(t, w.EndPoint(ctx, nan), Invalid, "health")

	// The refused work has not taken the samples before it with it.
	if err := w.AddSample("p", experiment.NewSample(7)); err != nil {
		t.Fatal(err)
	}
	wantCode(t, w.EndPoint(ctx, nan), Invalid)
	if err := w.EndPoint(ctx, p); err != nil {
		t.Fatal(err)
	}
	if got := samplesOf(t, n, "p"); len(got) != 1 {
		t.Errorf("%d samples, want 1", len(got))
	}
	wantCode(t, w.AddSample("p", experiment.NewSample(8)), Invalid, "has ended")
	if err := w.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := w.Close(ctx); err != nil {
		t.Error("second Close:", err)
	}
	wantCode(t, w.StartPoint(ctx, p), Invalid, "closed")

	_, err := n.Writer(ctx, "nothing")
	wantCode(t, err, NotFound)
	if err := n.FinishExperiment(ctx, p.ExperimentID, experiment.Complete); err != nil {
		t.Fatal(err)
	}
	_, err = n.Writer(ctx, p.ExperimentID)
	wantCode(t, err, Conflict, "exp-1", "complete")
}

func TestSampleTwice(t *testing.T) {
	n := fresh(t)
	w, p := start(t, n, "p")
	for _, seq := range []int{0, 1, 1, 2} {
		s := experiment.NewSample(seq)
		s.Reads = seq
		if err := w.AddSample("p", s); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.EndPoint(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if got := samplesOf(t, n, "p"); len(got) != 3 {
		t.Errorf("%d samples, want 3: the others of the batch must not suffer", len(got))
	}
	wantCode(t, w.Close(t.Context()), Conflict, "sample 1", "twice")
}
