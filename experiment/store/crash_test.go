package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// The test binary runs itself as the process that is killed.
const (
	childVariable  = "INFERBOOK_STORE_TEST_CHILD" // the notebook's path
	pointSamples   = 137                          // no multiple of the batch
	childBatchRows = 50
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childVariable); path != "" {
		if err := recordForever(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// recordForever begins an experiment and records points until it is killed. It
// prints the experiment's ID, the ID of each point that is committed, and "+" for
// every ten samples that it has handed over.
func recordForever(path string) error {
	small := ordinary()
	small.batchRows, small.batchEvery = childBatchRows, 2*time.Millisecond
	ctx := context.Background()
	n, err := open(ctx, path, Options{Create: true}, small)
	if err != nil {
		return err
	}
	e := experiment.Experiment{}
	if err := n.CreateExperiment(ctx, &e); err != nil {
		return err
	}
	w, err := n.Writer(ctx, e.ID)
	if err != nil {
		return err
	}
	fmt.Println(e.ID)
	for ordinal := 0; ; ordinal++ {
		p := experiment.Point{ID: fmt.Sprint(e.ID, ".", ordinal), ExperimentID: e.ID, Ordinal: ordinal, Status: experiment.Running, Anchor: noon,
			Window: experiment.Window{Start: experiment.Never, SendEnd: experiment.Never, End: experiment.Never}}
		if err := w.StartPoint(ctx, p); err != nil {
			return err
		}
		for seq := range pointSamples {
			if err := w.AddSample(p.ID, childSample(seq)); err != nil {
				return err
			}
			if seq%10 == 9 {
				fmt.Println("+")
			}
		}
		p.Status = experiment.Complete
		p.Window.End = childSample(pointSamples - 1).End
		if err := w.EndPoint(ctx, p); err != nil {
			return err
		}
		fmt.Println(p.ID)
	}
}

func childSample(seq int) experiment.Sample {
	s := experiment.NewSample(seq)
	s.Sent = experiment.Instant(seq) * 1000
	s.End = s.Sent.Add(time.Second)
	s.Outcome = experiment.OK
	s.Gaps = []experiment.Gap{experiment.Gap(seq) * 1000, experiment.SameRead}
	return s
}

// record runs the child until it has printed so many lines, kills it, and
// gives the experiment and the points that it had committed.
func record(t *testing.T, path, journal string, say int, while func(id string)) (id string, committed []string) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"="+path, JournalVariable+"="+journal)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for said := 0; lines.Scan(); said++ { // to the end: what it said before it died counts too
		switch line := lines.Text(); {
		case said == 0:
			id = line
			while(id)
		case line != "+":
			committed = append(committed, line)
		}
		if said == say {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || id == "" {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return id, committed
}

func TestKilledRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("starts twenty processes")
	}
	for _, c := range []struct {
		journal string
		rounds  int
	}{{"wal", 14}, {"delete", 6}} {
		t.Run(c.journal, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(c.rounds), 1))
			path := filepath.Join(t.TempDir(), "a.db")
			t.Setenv(JournalVariable, c.journal)
			lost := 0
			for round := range c.rounds {
				id, committed := record(t, path, c.journal, rng.IntN(60), func(id string) {
					// A live run of another process is not taken for a dead one.
					if got := openAndLook(t, path, id); got.Status != experiment.Running {
						t.Errorf("round %d: a live run is %s", round, got.Status)
					}
				})
				lost += checkInterrupted(t, path, round, id, committed)
			}
			t.Logf("%d rounds, %d points cut in the middle", c.rounds, lost)
		})
	}
}

func openAndLook(t *testing.T, path, id string) *experiment.Experiment {
	t.Helper()
	n, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	e, err := n.Experiment(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// checkInterrupted opens the notebook after the kill and gives the number of
// points that were cut.
func checkInterrupted(t *testing.T, path string, round int, id string, committed []string) (cut int) {
	t.Helper()
	n, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	defer n.Close()
	if err := n.Check(t.Context()); err != nil {
		t.Errorf("round %d: %v", round, err)
	}
	if w := n.Warnings(); len(w) != 1 || !strings.Contains(w[0], fmt.Sprintf("1 interrupted run was found, with what it had measured: exp-%d", round+1)) {
		t.Errorf("round %d: warnings %q", round, w)
	}
	points, err := n.Points(t.Context(), id)
	if err != nil || len(points) < len(committed) {
		t.Fatalf("round %d: %d points, %v; the child had reported %d", round, len(points), err, len(committed))
	}
	var ended experiment.Instant
	for i, p := range points {
		samples := samplesOf(t, n, p.ID)
		if i < len(committed) && (p.ID != committed[i] || p.Status != experiment.Complete) {
			t.Errorf("round %d: point %d is %s and %s, the child had reported %s", round, i, p.ID, p.Status, committed[i])
		}
		switch p.Status {
		case experiment.Complete:
			if len(samples) != pointSamples {
				t.Errorf("round %d: a complete point has %d samples", round, len(samples))
			}
		case experiment.Interrupted:
			cut++
		default:
			t.Errorf("round %d: point %d is %s", round, i, p.Status)
		}
		last := experiment.Never
		for _, s := range samples {
			last = max(last, s.End)
		}
		if p.Window.End != last {
			t.Errorf("round %d: point %d ends at %d, its last sample at %d", round, i, p.Window.End, last)
		}
		ended = max(ended, last)
	}
	e, err := n.Experiment(t.Context(), id)
	if err != nil || e.Status != experiment.Interrupted {
		t.Fatalf("round %d: %+v, %v", round, e, err)
	}
	if want := noon.Add(time.Duration(ended)); len(points) > 0 && !e.Ended.Equal(want) {
		t.Errorf("round %d: ended at %v, want %v", round, e.Ended, want)
	}
	var writers int
	if err := n.read.QueryRow("SELECT count(*) FROM experiment WHERE writer_pid IS NOT NULL").Scan(&writers); err != nil || writers != 0 {
		t.Errorf("round %d: %d dead writers are still named, %v", round, writers, err)
	}
	return cut
}
