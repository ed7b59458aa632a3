package runner

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
)

// Requests that are cut at the end of the grace are in the plan: the point is
// complete, and the run goes on to the next.
func TestGraceIsNoInterruption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := drivePlan(t, func(s *experiment.Spec) {
			s.Concurrency, s.Rate, s.Requests, s.Warmup, s.Repeats = nil, []float64{40, 50}, 0, 0, 1
			s.Arrival.Kind = experiment.PoissonArrival
			s.Duration, s.Grace = experiment.Duration(2*time.Second), experiment.Duration(time.Second)
		})
		stack := newDriveStack(t, plan, driveSimulator(t, sim.Config{GPU: "a10g"}).Handler())
		status, err := stack.run.Do(t.Context(), make(chan struct{}))
		if status != experiment.Complete || err != nil || len(stack.sink.points) != 2 {
			t.Fatalf("%s, %v, %d points", status, err, len(stack.sink.points))
		}
		for i, p := range stack.sink.points {
			cut := 0
			for _, s := range stack.sink.samples[i] {
				if s.Outcome == experiment.Timeout {
					cut++
				}
			}
			if cut == 0 || p.Status != experiment.Complete {
				t.Errorf("point %d is %s with %d requests cut", i, p.Status, cut)
			}
		}
	})
}
