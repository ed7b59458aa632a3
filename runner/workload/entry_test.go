package workload

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/dataset"
)

// within fails unless got of n draws with the chance p lies within 4.5 standard
// deviations, which one draw in 150,000 does not.
func within(t *testing.T, what string, got, n int, p float64) {
	t.Helper()
	if sigma := math.Sqrt(float64(n) * p * (1 - p)); math.Abs(float64(got)-float64(n)*p) > 4.5*sigma+0.5 {
		t.Errorf("%s: %d of %d, where %.0f ± %.0f were to be expected", what, got, n, float64(n)*p, sigma)
	}
}

func TestEntryLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := experiment.DefaultSpec()
		s.Jitter = rapid.Float64Range(0, 0.9).Draw(t, "jitter")
		in, out := rapid.IntRange(1, 5000).Draw(t, "in"), rapid.IntRange(1, 5000).Draw(t, "out")
		s.InputTokens, s.OutputTokens = experiment.Tokens(in), experiment.Tokens(out)
		s.Turns = experiment.Length{Kind: experiment.UniformLength, Low: 1, High: 5}
		s.ThinkTime = experiment.Pause{Low: experiment.Duration(time.Second), High: experiment.Duration(3 * time.Second)}
		c := Config{Spec: s, Fit: DefaultFit, Seed: rapid.Uint64().Draw(t, "seed"), Workers: 9}
		g, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		p := Place{Class: -1, Worker: rapid.IntRange(0, 8).Draw(t, "worker"), K: rapid.IntRange(0, 1<<40).Draw(t, "k")}
		e := g.Entry(p)
		c.Salt, c.Fit = "another experiment", Fit{CharsPerToken: 3.1, Overhead: 7}
		again, _ := New(c)
		if d := cmp.Diff(e, again.Entry(p)); d != "" {
			t.Fatalf("the entry is no function of seed and place:\n%s", d)
		}
		if e.At != 0 || e.Class != 0 || e.Item != -1 || len(e.Turns) < 1 || len(e.Turns) > 5 {
			t.Fatalf("%+v", e)
		}
		inLow, inHigh := spread(in, s.Jitter)
		outLow, outHigh := spread(out, s.Jitter)
		for i, turn := range e.Turns {
			if turn.Prompt < inLow || turn.Prompt > inHigh || turn.Output < outLow || turn.Output > outHigh {
				t.Fatalf("turn %d has %d and %d tokens, outside %d to %d and %d to %d", i, turn.Prompt, turn.Output, inLow, inHigh, outLow, outHigh)
			}
			if thinks := turn.Think >= time.Second && turn.Think <= 3*time.Second; thinks != (i > 0) || i == 0 && turn.Think != 0 {
				t.Fatalf("turn %d comes after %s", i, turn.Think)
			}
		}
		if n := g.FirstOutput(p, out); n < 1 || n > out || n != again.FirstOutput(p, out) {
			t.Fatalf("the first answer has %d of %d tokens", n, out)
		}
	})
}

// A schedule that was kept gives the entries back as they were.
func TestEntriesSurviveTheSchedule(t *testing.T) {
	text := []dataset.Turn{{Messages: []dataset.Message{{Role: "user", Content: "Why?"}}, Prompt: dataset.Unknown, Output: dataset.Unknown}}
	for _, g := range []*Generator{
		generator(t, Config{}, func(s *experiment.Spec) { s.Turns = experiment.Tokens(3) }),
		generator(t, Config{}, func(s *experiment.Spec) { s.Prompt = "Why?" }),
		generator(t, Config{Items: []dataset.Item{{Turns: text}}}, func(*experiment.Spec) {}),
	} {
		want := experiment.Schedule{g.Entry(open(0)), g.Entry(open(1))}
		b, err := want.MarshalBinary()
		var got experiment.Schedule
		if err == nil {
			err = got.UnmarshalBinary(b)
		}
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%v\n%s", err, d)
		}
	}
}

// The lengths drawn have the distribution asked for: the largest distance between the
// two distribution functions stays under 1.95/√n, which chance exceeds once in 1,000.
func TestLengthsHaveTheirDistribution(t *testing.T) {
	const n = 20_000
	for _, text := range []string{"uniform:100-900", "normal:500,100", "lognormal:1155,1200", "exponential:200", "histogram:10*7,100*1", "100"} {
		l, err := experiment.ParseLength(text)
		if err != nil {
			t.Fatal(err)
		}
		g := generator(t, Config{Seed: 5}, func(s *experiment.Spec) { s.InputTokens, s.OutputTokens = l, l })
		if l.Kind == experiment.FixedLength { // ± 2 %: five lengths, a fifth each
			l = experiment.Length{Kind: experiment.UniformLength, Low: 98, High: 102}
		}
		in, out := map[int]int{}, map[int]int{}
		for k := range n {
			turn := g.Entry(open(k)).Turns[0]
			in[turn.Prompt]++
			out[turn.Output]++
		}
		want := map[int]int{}
		const fine = 400_000
		for i := range fine {
			want[l.Quantile((float64(i)+0.5)/fine)]++
		}
		for what, got := range map[string]map[int]int{"prompts": in, "answers": out} {
			a, b, worst := 0.0, 0.0, 0.0
			for v := 0; v <= 200_000; v++ {
				a, b = a+float64(got[v])/n, b+float64(want[v])/fine
				worst = max(worst, math.Abs(a-b))
			}
			if worst > 1.95/math.Sqrt(n) {
				t.Errorf("%s of %s are %.4f off", what, text, worst)
			}
		}
	}
}

func TestClassesComeByWeight(t *testing.T) {
	g := generator(t, Config{Seed: 3}, func(s *experiment.Spec) {
		s.Jitter, s.Turns = 0, experiment.Tokens(2)
		s.Classes = []experiment.Class{
			{Name: "chat", Weight: 3, InputTokens: experiment.Tokens(100)},
			{Name: "offline", Weight: 1, InputTokens: experiment.Tokens(4000), OutputTokens: experiment.Tokens(9), Turns: experiment.Tokens(1)},
		}
	})
	const n = 20_000
	offline := 0
	for k := range n {
		e := g.Entry(open(k))
		in, out, turns := 100, 128, 2 // a class's own lengths, and those of all where it has none
		if e.Class == 1 {
			in, out, turns = 4000, 9, 1
			offline++
		}
		if e.Turns[0].Prompt != in || e.Turns[0].Output != out || len(e.Turns) != turns {
			t.Fatalf("class %d asks %+v", e.Class, e.Turns)
		}
	}
	within(t, "offline", offline, n, 0.25)
	// A class with a load of its own is asked for by its index, and two are not alike.
	a, b := Place{Class: 0, K: 7}, Place{Class: 1, K: 7}
	if g.Entry(a).Class != 0 || g.Entry(b).Class != 1 || g.FirstOutput(a, 1e9) == g.FirstOutput(b, 1e9) {
		t.Error("places of two classes ask the same")
	}
}

// No two workers send one item before all were used.
func TestItemsAreSpread(t *testing.T) {
	items := func(n int) []dataset.Item {
		out := make([]dataset.Item, n)
		for i := range out {
			out[i].Turns = []dataset.Turn{{Prompt: 10 + i, Output: 5}}
		}
		return out
	}
	for _, c := range []struct{ items, workers int }{{1, 1}, {10, 1}, {10, 3}, {10, 10}, {11, 4}, {3, 8}} {
		g := generator(t, Config{Items: items(c.items), Workers: c.workers}, func(*experiment.Spec) {})
		owner := map[int]int{}
		for w := range c.workers {
			for k := range 3 * c.items {
				e := g.Entry(Place{Class: -1, Worker: w, K: k})
				if e.Turns[0].Prompt != 10+e.Item {
					t.Fatalf("item %d asks %+v", e.Item, e.Turns)
				}
				if other, used := owner[e.Item]; used && other != w && c.workers <= c.items {
					t.Fatalf("%d items: the workers %d and %d send item %d", c.items, other, w, e.Item)
				}
				owner[e.Item] = w
			}
		}
		if len(owner) != c.items {
			t.Errorf("%d workers use %d of %d items", c.workers, len(owner), c.items)
		}
	}
	g := generator(t, Config{Items: items(4)}, func(*experiment.Spec) {})
	for k := range 9 { // an open loop
		if got := g.Entry(open(k)).Item; got != k%4 {
			t.Errorf("arrival %d sends item %d", k, got)
		}
	}
}

func TestWhatAFileLeavesOutIsDrawn(t *testing.T) {
	items := []dataset.Item{{Turns: []dataset.Turn{
		{Prompt: 40, Output: dataset.Unknown, Think: time.Minute},
		{Prompt: dataset.Unknown, Output: 0, Think: 3 * time.Second},
		{Messages: []dataset.Message{{Content: "Go on"}}, Prompt: dataset.Unknown, Output: 7},
	}}}
	g := generator(t, Config{Items: items}, func(s *experiment.Spec) {
		s.Jitter, s.ThinkTime = 0, experiment.Pause{Low: 5e9, High: 5e9}
	})
	want := []experiment.Turn{{Prompt: 40, Output: 128}, {Prompt: 500, Output: 1, Think: 3 * time.Second}, {Output: 7, Think: 5 * time.Second}}
	if d := cmp.Diff(want, g.Entry(open(0)).Turns); d != "" {
		t.Error(d)
	}
}

func TestFirstOutputsAreSpread(t *testing.T) {
	g := generator(t, Config{}, func(*experiment.Spec) {})
	const n = 4000
	quarters := make([]int, 4)
	for w := range n {
		quarters[(g.FirstOutput(Place{Class: -1, Worker: w}, 100)-1)/25]++
	}
	for i, c := range quarters {
		within(t, "quarter "+string(rune('1'+i)), c, n, 0.25)
	}
}

func TestPauses(t *testing.T) {
	g := generator(t, Config{}, func(s *experiment.Spec) {
		s.ThinkTime = experiment.Pause{Exponential: true, Low: 2e9, High: 2e9}
		s.Classes = []experiment.Class{{Name: "chat", Concurrency: 1}, {Name: "batch", Concurrency: 1, ThinkTime: experiment.Pause{Low: 1e9, High: 1e9}}}
	})
	sum := time.Duration(0)
	const n = 10_000
	for k := range n {
		sum += g.Pause(Place{Worker: 1, K: k + 1}, 0)
	}
	if mean := sum / n; mean < 1900*time.Millisecond || mean > 2100*time.Millisecond {
		t.Errorf("the mean pause is %s", mean)
	}
	if g.Pause(Place{}, 0) != 0 || g.Pause(Place{Class: 1, K: 1}, 1) != time.Second {
		t.Error("the first conversation waits, or a class has another's pause")
	}
}

func TestRepeats(t *testing.T) {
	why := []dataset.Turn{{Messages: []dataset.Message{{Role: "user", Content: "Why?"}}}}
	for _, c := range []struct {
		name          string
		prompt        string
		items         []dataset.Item
		conversations int
		want          int
	}{
		{"synthetic prompts are all different", "", nil, 1000, 1},
		{"lengths of a trace get different texts", "", []dataset.Item{{Turns: []dataset.Turn{{Prompt: 5}}}}, 1000, 1},
		{"one fixed prompt", "Why?", nil, 1000, 1000},
		{"each text once", "", []dataset.Item{{Turns: why}, {Turns: why}}, 2, 1},
		{"one of two texts twice", "", []dataset.Item{{Turns: why}, {Turns: why}}, 3, 2},
		{"a trace with blocks", "", []dataset.Item{{Turns: []dataset.Turn{{Prompt: 5}}, Blocks: []uint64{1}}}, 10, 10},
		{"whole bodies", "", []dataset.Item{{Turns: []dataset.Turn{{Prompt: 5}}, Body: []byte(`{}`)}}, 3, 3},
		{"nothing is sent", "", nil, 0, 1},
	} {
		if got := Repeats(&experiment.Spec{Prompt: c.prompt}, c.items, c.conversations); got != c.want {
			t.Errorf("%s: %d times, not %d", c.name, got, c.want)
		}
	}
}
