package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Taking steps after another while nothing else can happen changes nothing:
// each truth is the one of single steps, whatever arrives, leaves, follows on an
// answer, or is called by a timer meanwhile.
func TestRushEqualsSingleSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := smallDeployment(t)
		if rapid.Bool().Draw(t, "long") {
			d.KVBlocks *= 8
			d.KVTokens *= 8
			d.MaxModelLen = d.KVTokens
		}
		jitter := rapid.SampledFrom([]float64{0, .1}).Draw(t, "jitter")
		asks := load(t, &d)
		follow := rapid.SliceOfN(rapid.IntRange(0, 60), len(asks), len(asks)).Draw(t, "follow")
		timer := time.Duration(rapid.IntRange(0, 400).Draw(t, "timer")) * time.Millisecond
		run := func(stepwise, times bool) (truths []Truth, u Usage) {
			l := NewLoop(d, 3, jitter)
			l.fleet.stepwise = stepwise
			l.TokenTimes(times)
			for _, a := range asks {
				if err := l.Submit(a.Request); err != nil {
					t.Fatal(err)
				}
				if a.leaves > 0 {
					l.CancelAt(a.ID, a.leaves)
				}
			}
			l.At(timer, func() {
				for _, a := range asks[:len(asks)/3] {
					l.Cancel(a.ID)
				}
			})
			err := l.Run(func(tr Truth) {
				truths = append(truths, tr)
				i := len(truths) - 1
				if i >= len(asks) || follow[i] > 40 {
					return
				}
				next := asks[follow[i]%len(asks)].Request
				next.ID = fmt.Sprintf("next of %s", tr.ID)
				next.Arrive = l.Now() + time.Duration(follow[i]/10)*time.Millisecond
				if err := l.Submit(next); err != nil {
					t.Fatal(err)
				}
				if follow[i]%5 == 0 {
					l.CancelAt(next.ID, next.Arrive+100*time.Millisecond)
				}
				l.Usage()
			})
			if err != nil {
				t.Fatal(err)
			}
			return truths, l.Usage()
		}
		single, a := run(true, true)
		rushed, b := run(false, true)
		if diff := cmp.Diff(single, rushed); diff != "" {
			t.Fatalf("truths of single steps (−) and of steps after another (+):\n%s", diff)
		}
		a.Parts, b.Parts = Parts{}, Parts{} // these are taken from a step in the middle
		near := cmp.Comparer(func(x, y float64) bool { return x-y < 1e-9 && y-x < 1e-9 })
		if diff := cmp.Diff(a, b, near); diff != "" {
			t.Fatalf("usage of single steps (−) and of steps after another (+):\n%s", diff)
		}
		bare, _ := run(false, false)
		for i := range single {
			single[i].TokenTimes = nil
		}
		if diff := cmp.Diff(single, bare); diff != "" {
			t.Fatalf("truths with token times (−) and without (+):\n%s", diff)
		}
	})
}
