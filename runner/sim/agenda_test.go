package sim

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// An agenda says what a walk along all of its times would.
func TestAgendaLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "n")
		a, all := newAgenda(n), slices.Repeat([]time.Duration{forever}, n)
		for range rapid.IntRange(0, 50).Draw(t, "changes") {
			i := rapid.IntRange(0, n-1).Draw(t, "which")
			at := rapid.SampledFrom([]time.Duration{0, 1, 2, 3, 4, 5, forever}).Draw(t, "at")
			a.set(i, at)
			all[i] = at
			if got, want := a.earliest(), slices.Min(all); got != want {
				t.Fatalf("the earliest of %d is %d, want %d", all, got, want)
			}
			if got, want := a.others(i), slices.Min(append(slices.Delete(slices.Clone(all), i, i+1), forever)); got != want {
				t.Fatalf("the earliest of %d but %d is %d, want %d", all, i, got, want)
			}
			until, from := rapid.SampledFrom([]time.Duration{0, 2, 6}).Draw(t, "until"), rapid.IntRange(0, n).Draw(t, "from")
			want := slices.IndexFunc(all[from:], func(at time.Duration) bool { return at <= until })
			if want >= 0 {
				want += from
			}
			if got := a.from(from, until); got != want {
				t.Fatalf("the first of %d from %d on up to %d is %d, want %d", all, from, until, got, want)
			}
		}
	})
}

// horizonByWalk is [fleet.horizon] from what the replicas say themselves.
func horizonByWalk(f *fleet, e *engine) time.Duration {
	t := f.outside
	if e.front.len() > 0 {
		t = min(t, e.front.front.truth.Ready)
	}
	if len(f.arrivals) > 0 {
		t = min(t, f.arrivals[0].truth.Arrive+f.d.Runtime.Front)
	}
	if len(f.aborts) > 0 {
		t = min(t, f.aborts[0].at+1)
	}
	for _, o := range f.engines {
		if len(o.outbox) > 0 {
			t = min(t, o.outbox[0].at)
		}
		switch {
		case o == e:
		case o.busy:
			t = min(t, o.stepEnd+f.d.Runtime.Net)
		case o.outstanding > 0:
			t = min(t, f.now+f.d.Runtime.Net)
		}
	}
	return t
}
