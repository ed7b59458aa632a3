package analysis

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
)

// rates are queues of a server that takes 1 s over a request, at rates of which the
// last is more than it serves. They are long, since busy queues take long to show what they are worth.
func rates(t *testing.T, spec *experiment.Spec, list ...float64) []PointSummary {
	t.Helper()
	var out []PointSummary
	for i, rate := range list {
		p, samples := queue(rate, 20_000, uint64(i)+1, 1)
		out = append(out, collectFor(p, spec, samples...))
	}
	return out
}

func TestOpenCurve(t *testing.T) {
	if racing() {
		t.Skip("one goroutine's arithmetic; make theory runs it without the race detector")
	}
	e := testExperiment()
	e.Spec = experiment.Spec{SLO: slo(t, "e2e.p90<6s"), Arrival: experiment.Arrival{Kind: experiment.PoissonArrival}, Rate: []float64{0.3, 0.5, 0.8, 1.3, 9}}
	c := NewCurve(e, rates(t, &e.Spec, 0.8, 1.3, 0.3, 0.5))
	var loads []string
	for _, l := range c.Levels {
		loads = append(loads, l.Load.String()+" "+string(l.Ruling))
	}
	if diff := cmp.Diff([]string{"rate=0.3 holds", "rate=0.5 holds", "rate=0.8 misses", "rate=1.3 misses"}, loads); diff != "" {
		t.Error(diff)
	}
	if c.Knee != nil || c.Plateau != nil || c.Fit != nil || c.AdmissionLimit != nil {
		t.Errorf("an open loop has the landmarks of a closed one: %+v", c)
	}
	if c.StableRate == nil || c.StableRate.Level != 0.8 || !strings.Contains(c.StableRate.Because, "do not pile up; at rate=1.3 they do.") {
		t.Errorf("the stable rate is %+v", c.StableRate)
	}
	if c.SLOCapacity == nil || c.SLOCapacity.Load != (experiment.Load{Rate: 0.5}) || !strings.Contains(c.SLOCapacity.Because, "rate=0.8 misses it.") {
		t.Errorf("the SLO's capacity is %+v", c.SLOCapacity)
	}
	if c.BestGoodput == nil || c.BestGoodput.Level == 1.3 || !(c.BestGoodput.Value > 0.3) {
		t.Errorf("the best goodput is %+v", c.BestGoodput)
	}
	last := c.Levels[3]
	if !last.Oversaturated || !(last.GoodShare.Value < 0.5) || !(last.E2ESchedP99.Value > c.Levels[0].E2ESchedP99.Value) {
		t.Errorf("the last level is %+v", last.GoodShare)
	}
	if diff := cmp.Diff([]string{"The plan has rate=9, of which nothing was recorded."}, c.Warnings); diff != "" {
		t.Error(diff)
	}
	roundTrip(t, c)

	for _, tt := range []struct {
		at   float64
		want string
	}{
		{0.5, "may have had time to spare"}, {1.3, "Requests pile up at rate=1.3"},
	} {
		cost, err := CostOf(c, experiment.Load{Rate: tt.at}, testPrice(2), 1, 1, 3)
		if err != nil || !cost.OutputOnly.Known() || !strings.Contains(strings.Join(cost.Warnings, " "), tt.want) {
			t.Errorf("the cost at %g req/s says %q, %v", tt.at, cost.Warnings, err)
		}
	}

	if all := NewCurve(e, rates(t, &e.Spec, 0.3, 0.5)); all.StableRate == nil || !strings.Contains(all.StableRate.Because, "the highest rate measured") ||
		!strings.Contains(all.SLOCapacity.Because, "no level above it misses") {
		t.Errorf("stable throughout: %+v, %+v", all.StableRate, all.SLOCapacity)
	}
	short := rates(t, &e.Spec, 0.3, 0.5)
	short[1].RequestRate /= 2
	if some := NewCurve(e, short); some.StableRate == nil || some.StableRate.Level != 0.3 || !strings.Contains(some.StableRate.Because, "the highest rate at which this run can tell") {
		t.Errorf("too short to tell of the higher rate: %+v", some.StableRate)
	}
	held, barren, shed := rates(t, &e.Spec, 0.5), rates(t, &e.Spec, 0.5), rates(t, &e.Spec, 0.5)
	held[0].HeldBack, barren[0].RequestRate, shed[0].OK = held[0].Sent, math.NaN(), shed[0].OK/2
	for name, points := range map[string][]PointSummary{"held back by a cap": held, "without throughput": barren, "half of it failed": shed} {
		if c := NewCurve(e, points); c.StableRate != nil || strings.Contains(strings.Join(c.Warnings, " "), "pile up") {
			t.Errorf("%s: %+v, %q", name, c.StableRate, c.Warnings)
		}
	}
	if over := NewCurve(e, rates(t, &e.Spec, 1.5)); over.StableRate != nil || over.SLOCapacity != nil ||
		!strings.Contains(strings.Join(over.Warnings, " "), "Requests pile up at the lowest rate already, rate=1.5") {
		t.Errorf("never stable: %+v, %q", over.StableRate, over.Warnings)
	}
}

// Each variant of a matrix has a curve of its own, which says its workload.
func TestVariants(t *testing.T) {
	e := testExperiment()
	e.Spec = experiment.DefaultSpec()
	e.Spec.Requests = 10
	e.Spec.Matrix = map[string][]any{"input_tokens": {200, 900}}
	var points []PointSummary
	for _, variant := range []string{"input_tokens=900", "input_tokens=200"} {
		s := summaryOf(1, 0, 100, 10, 100, 90)
		s.Point.Load.Variant = variant
		points = append(points, s)
	}
	var got []string
	for _, c := range NewCurves(e, points) {
		got = append(got, c.Title+": "+c.Workload)
		if len(c.Levels) != 1 || strings.Contains(strings.Join(c.Warnings, " "), "The plan has") {
			t.Errorf("%s: %d levels, %q", c.Variant, len(c.Levels), c.Warnings)
		}
	}
	want := []string{"exp-3 sweep input_tokens=200: 200 → 128 tokens", "exp-3 sweep input_tokens=900: 900 → 128 tokens"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if none := NewCurves(e, nil); len(none) != 1 || none[0].Variant != "" {
		t.Errorf("%d curves of nothing", len(none))
	}
}
