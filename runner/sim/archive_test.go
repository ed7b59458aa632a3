package sim

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The laws of the archive: IDs are never given twice while one is remembered; what is
// remembered is the last, and weighs what it may; and what is forgotten leaves nothing.
func TestArchiveLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := newArchive(rapid.IntRange(0, 20*truthWeight).Draw(t, "keep"))
		var all []Truth
		live := map[string]string{} // and the ID that was sent, if it was in use
		for range rapid.IntRange(1, 200).Draw(t, "requests") {
			sent := rapid.SampledFrom([]string{"x", "x", "x-2", "x-3", "y"}).Draw(t, "sent")
			taken := func(id string) bool {
				_, lives := live[id]
				_, done := a.truths[id]
				return lives || done
			}
			was := taken(sent)
			name := a.name(sent, taken)
			if taken(name.id) || was != (name.sent == sent) || !was && name.id != sent {
				t.Fatalf("%q, taken: %t, is named %+v", sent, was, name)
			}
			live[name.id] = name.sent
			if rapid.Bool().Draw(t, "goes on") {
				continue
			}
			tr := Truth{ID: name.id, TokenTimes: make([]time.Duration, rapid.SampledFrom([]int{0, 0, 1, 40}).Draw(t, "tokens"))}
			delete(live, tr.ID)
			a.add(tr, name.sent)
			all = append(all, tr)
			checkArchive(t, a, all, live)
		}
	})
}

func checkArchive(t *rapid.T, a *archive, all []Truth, live map[string]string) {
	weight, used := 0, map[string]int{}
	for _, tr := range all[len(all)-len(a.truths):] {
		if _, found := a.truths[tr.ID]; !found {
			t.Fatalf("%s is forgotten, but not one older", tr.ID)
		}
		weight += len(tr.TokenTimes) + truthWeight
	}
	if n := len(a.truths); weight != a.weight || n < 1 || n > 1 && weight > a.keep || len(a.order)-a.first != n || len(a.order) > 2*n+1 {
		t.Fatalf("%d truths of the weight %d, counted as %d; at most %d; a list of %d from %d on", n, weight, a.weight, a.keep, len(a.order), a.first)
	}
	if n := len(all) - len(a.truths); n > 0 && len(a.truths) > 1 {
		if next := all[n-1]; weight+len(next.TokenTimes)+truthWeight <= a.keep {
			t.Fatalf("%s is forgotten, and there was room for it", next.ID)
		}
	}
	for _, f := range a.order[a.first:] {
		used[f.sent]++
	}
	for _, sent := range live {
		used[sent]++
	}
	delete(used, "")
	for sent, n := range used {
		if a.again[sent] == nil || a.again[sent].used != n {
			t.Fatalf("%d requests that were sent as %q are counted as %+v", n, sent, a.again[sent])
		}
	}
	if len(used) != len(a.again) {
		t.Fatalf("suffixes are counted for %d IDs, of which %d are remembered", len(a.again), len(used))
	}
}

// A request that is sent with an ID in use is told apart from the others, as before when
// those are forgotten.
func TestOneIDForAll(t *testing.T) {
	a := newArchive(3 * truthWeight)
	taken := func(id string) bool { _, done := a.truths[id]; return done }
	for _, want := range []string{"x", "x-2", "x-3", "x-4", "x", "x-5"} {
		name := a.name("x", taken)
		if name.id != want {
			t.Errorf("named %s, want %s", name.id, want)
		}
		a.add(Truth{ID: name.id}, name.sent)
	}
}
