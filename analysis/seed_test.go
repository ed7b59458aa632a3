package analysis

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares v as indented JSON with a file under testdata.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := json.Indent(&got, data, "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Error(diff)
	}
}

// The three first steps of the learning path, under the seed's own keys.
func TestSeedJSON(t *testing.T) {
	sync := point(1, 0)
	sync.Window.Rule = experiment.SteadyNone
	c := NewCollector(sync)
	for i := range 4 { // 1: not streamed, one at a time, no warm-up
		s := whole(float64(200*i), 200, 40)
		c.Add(&s)
	}
	bad := failed(800, 50, experiment.HTTPError)
	c.Add(&bad)
	step1 := c.Summary()
	golden(t, "seed-step1.json", step1.SeedJSON())
	if err := step1.MeasuredClock - 850*time.Millisecond; err != 0 {
		t.Errorf("the wall clock of five requests one at a time is off by %v", err)
	}

	p, samples := loop(1, 250, 36_250, 50, 20, 5)
	golden(t, "seed-step2.json", collect(p, samples...).SeedJSON())

	step3 := nimCurve(t).SeedJSON()
	if len(step3.Points) != len(nim) || step3.Points[7].Concurrency != 250 {
		t.Errorf("%d points", len(step3.Points))
	}
	step3.Points = step3.Points[:0] // made of medians alone; the shape is what counts here
	golden(t, "seed-step3.json", step3)
}

// The wall clock has the drain and no warm-up in it, so that the seed's figure
// is all tokens over all the time that they took.
func TestSeedWallClock(t *testing.T) {
	warm := with(stream(0, 50, 11, 5), func(s *experiment.Sample) { s.Phase = experiment.Warmup })
	p := point(1, 250)
	p.Window.Start = at(100)
	s := collect(p, warm, stream(100, 50, 11, 5), stream(200, 50, 11, 5))
	seed := s.SeedJSON()
	near(t, "wall clock of the seed", seed.WallClock, 0.2)
	near(t, "throughput of the seed", seed.Throughput, 22/0.2)
	near(t, "wall clock of all phases", s.WallClock.Seconds(), 0.3)
	near(t, "windowed throughput", s.OutputThroughput, 11/0.15)
}

func TestTokenSource(t *testing.T) {
	type by = map[experiment.Counted]int
	for _, tt := range []struct {
		by   by
		want string
	}{
		{nil, "missing"},
		{by{experiment.CountedNone: 3}, "missing"},
		{by{experiment.CountedUsage: 3}, "usage"},
		{by{experiment.CountedEvents: 3}, "events"},
		{by{experiment.CountedUsage: 3, experiment.CountedEvents: 1}, "mixed"},
		{by{experiment.CountedUsage: 3, experiment.CountedNone: 1}, "mixed"},
	} {
		if got := tokenSource(tt.by); got != tt.want {
			t.Errorf("%v gives %q, want %q", tt.by, got, tt.want)
		}
	}
}
