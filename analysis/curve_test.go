package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/inferbook/inferbook/analysis/interval"
	"github.com/inferbook/inferbook/experiment"
)

// nim is NVIDIA's published sweep of Llama-3.3-70B, FP8, on two H100 (NIM 1.8.0,
// 5000 tokens in, 500 out): concurrency, TTFT and ITL in ms, and tok/s.
var nim = []struct {
	users                  int
	ttft, itl, tok         float64
	wantIdentity, wantBRun float64 // to the digits of the table
}{
	{1, 406.77, 18.58, 51.67, 1.000, 1.0},
	{5, 546.7, 21.83, 218.48, 1.000, 4.8},
	{25, 688.69, 38.75, 623.4, 0.999, 24.2},
	{50, 834.51, 59.73, 814.37, 0.998, 48.6},
	{100, 7996.25, 92.91, 917.26, 0.997, 85.2},
	{150, 34794.22, 92.86, 920.9, 0.996, 85.5},
	{200, 61680.22, 93.06, 920.54, 0.995, 85.7},
	{250, 88605.32, 93.2, 920.12, 0.995, 85.8},
}

// summaryOf makes a point that has these figures and nothing else.
func summaryOf(users, repeat int, ttft, tpot, n, tok float64) PointSummary {
	s := collect(point(users, 0))
	s.Point.Repeat = repeat
	s.Sent, s.OK, s.InWindow = 1000, 1000, 1000
	for _, f := range []struct {
		d *Distribution
		v float64
	}{{&s.TTFT, ttft}, {&s.TPOT, tpot}, {&s.E2E, ttft + (n-1)*tpot}} {
		f.d.N, f.d.Mean = 1000, f.v
		for i := range shownQuantiles {
			*f.d.quantile(i) = Estimate{Value: f.v, Low: f.v, High: f.v, N: 1000}
		}
	}
	s.MeanOutput, s.MeanPrompt = n, 5000
	s.OutputThroughput, s.TotalThroughput, s.RequestRate = tok, tok*11, tok/n
	s.Interactivity, s.BRun = 1000/tpot, tok*tpot/1000
	s.IdentityRatio = ratio(tok, identity(&s))
	s.ErrorRate = 0
	return s
}

func testExperiment() *experiment.Experiment {
	return &experiment.Experiment{ID: "01EXP", Number: 3, Name: "sweep", Started: time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)}
}

func nimCurve(t *testing.T) Curve {
	t.Helper()
	var points []PointSummary
	for i := range nim {
		r := nim[len(nim)-1-i] // the order of measuring is not that of the curve
		points = append(points, summaryOf(r.users, 0, r.ttft, r.itl, 500, r.tok))
	}
	return NewCurve(testExperiment(), points)
}

func TestPublishedSweep(t *testing.T) {
	c := nimCurve(t)
	for i, l := range c.Levels {
		r := nim[i]
		if l.Load.Concurrency != r.users {
			t.Fatalf("level %d is %s", i, l.Load)
		}
		if got := l.Points[0].IdentityRatio; math.Abs(got-r.wantIdentity) > 0.0006 {
			t.Errorf("%s: the identity ratio is %.4f, printed as %.3f", l.Load, got, r.wantIdentity)
		}
		if math.Abs(l.BRun.Value-r.wantBRun) > 0.06 {
			t.Errorf("%s: %.2f requests decode, printed as %.1f", l.Load, l.BRun.Value, r.wantBRun)
		}
	}
	if c.Knee == nil || c.Knee.Level < 50 || c.Knee.Level >= 100 {
		t.Errorf("the knee is %+v, not from 50 up to 100", c.Knee)
	}
	if c.Plateau == nil || c.Plateau.Level != 100 {
		t.Errorf("the plateau is %+v: it must fire on 100→150 and not on 50→100", c.Plateau)
	}
	if c.AdmissionLimit == nil || math.Abs(c.AdmissionLimit.Value-85) > 0.05*85 {
		t.Errorf("the admission limit is %+v, not 85 ± 5 %%", c.AdmissionLimit)
	}
	if c.Fit == nil || c.Fit.N != 4 {
		t.Errorf("the fit is %+v: it must use the four levels below the limit", c.Fit)
	}
	golden(t, "curve-nim-70b.json", struct {
		Fit                           *LineFit
		Knee, Plateau, AdmissionLimit *Landmark
		Warnings                      []string
	}{c.Fit, c.Knee, c.Plateau, c.AdmissionLimit, c.Warnings})
}

// llama8 is Llama-3-8B on one H100, FP16, 200/1000.
var llama8 = []struct {
	users          int
	ttft, itl, tok float64
}{
	{1, 13.3, 7.38, 135}, {2, 19.3, 7.57, 264}, {5, 32.2, 8.08, 617}, {10, 47, 8.49, 1173}, {25, 107.6, 9.41, 2628},
	{50, 174.5, 11.60, 4245}, {100, 312.7, 15.50, 6324}, {150, 426, 19.89, 7378}, {200, 650, 24.21, 8041}, {250, 864, 28.99, 8364},
}

// The published line of llama8 is 7.38 + 0.0849·C, so TPOT doubles at about 87
// users; nothing is refused admission.
func TestPublishedLine(t *testing.T) {
	var points []PointSummary
	for _, r := range llama8 {
		points = append(points, summaryOf(r.users, 0, r.ttft, r.itl, 1000, r.tok))
	}
	c := NewCurve(testExperiment(), points)
	if c.Fit == nil || math.Abs(c.Fit.Alpha-7.38) > 0.02*7.38 || math.Abs(c.Fit.Beta-0.0849) > 0.02*0.0849 || c.Fit.R2 < 0.99 {
		t.Errorf("the fit is %+v, published as 7.38 + 0.0849·C", c.Fit)
	}
	if f := c.Fit; math.Abs(f.Doubling()-87) > 3 || f.Double != f.Doubling() || !(f.DoubleLow < 87 && 87 < f.DoubleHigh) ||
		!(f.AlphaLow < 7.38 && 7.38 < f.AlphaHigh) || !(f.BetaLow < 0.0849 && 0.0849 < f.BetaHigh) || f.From != 1 || f.To != 250 {
		t.Errorf("TPOT doubles at %+v", f)
	}
	if c.Free == nil || c.Free.Level != 17 || !strings.Contains(c.Free.Because, "TPOT doubles at C* = α/β = 87 users, 95 % ") {
		t.Errorf("batching is free up to %+v", c.Free)
	}
	if c.AdmissionLimit != nil || c.Plateau != nil {
		t.Errorf("admission limit %+v and plateau %+v", c.AdmissionLimit, c.Plateau)
	}
	if c.Knee == nil || c.Knee.Level != 100 {
		t.Errorf("the knee is %+v", c.Knee)
	}
}

func TestLandmarks(t *testing.T) {
	// sweep makes a curve from throughputs in tok/s, with TPOT and TTFT to match.
	sweep := func(pairs ...float64) Curve {
		var points []PointSummary
		for i := 0; i < len(pairs); i += 2 {
			points = append(points, summaryOf(int(pairs[i]), 0, 100, 10, 100, pairs[i+1]))
		}
		return NewCurve(testExperiment(), points)
	}
	marks := func(c Curve) string {
		out := ""
		for _, m := range []struct {
			name string
			at   *Landmark
		}{{"knee", c.Knee}, {"plateau", c.Plateau}, {"limit", c.AdmissionLimit}} {
			if m.at != nil {
				out += fmt.Sprintf("%s %g ", m.name, m.at.Level)
			}
		}
		return strings.TrimSpace(out)
	}
	for _, tt := range []struct {
		name  string
		curve Curve
		want  string
	}{
		{"no points", sweep(), ""},
		{"one level", sweep(8, 700), ""},
		{"a straight line has neither", sweep(1, 90, 2, 180, 4, 360, 8, 720), ""},
		{"two levels show a plateau, and no knee", sweep(8, 800, 16, 810), "plateau 8"},
		{"flat from c=8 on, and B_run with it", sweep(1, 90, 2, 180, 4, 360, 8, 700, 16, 720, 32, 722), "knee 8 plateau 8 limit 8"},
		{"a plateau must hold to the end: a step that gains 12 % is none", sweep(1, 90, 8, 700, 16, 710, 32, 800), "knee 8"},
		{"throughput falls past the top: a plateau all the same, while B_run falls with it", sweep(1, 90, 8, 720, 16, 1000, 32, 800, 64, 500), "knee 16 plateau 16"},
		{"falling from the start", sweep(1, 900, 2, 800, 4, 700), "plateau 1"},
	} {
		if got := marks(tt.curve); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	// What they say is true of the data: the range of all levels, a loss as a loss.
	c := sweep(1, 90, 8, 700, 16, 720, 32, 690)
	if got := c.AdmissionLimit.Because; !strings.Contains(got, "From c=8 to c=32 the server decodes 7.03 requests at once (6.9 to 7.2, all") {
		t.Errorf("the limit says %q", got)
	}
	if got := c.Plateau.Because; !strings.Contains(got, "buys 2.86 %, under a tenth of its own growth, and no further step up to c=32 buys a tenth of its own growth.") {
		t.Errorf("the plateau says %q", got)
	}
	if got := sweep(1, 900, 2, 800, 4, 700).Plateau.Because; !strings.Contains(got, "load grows by 100 % and throughput loses 11.1 %, and no further step") {
		t.Errorf("a plateau that falls says %q", got)
	}
	// TPOT is 10 ms at each level: the line goes through all of them.
	if c := sweep(1, 90, 2, 180, 4, 360); c.Fit == nil || c.Fit.Alpha != 10 || c.Fit.R2 != 1 {
		t.Errorf("a flat TPOT gives %+v", c.Fit)
	}
}

// The line is fitted where all requests decode: one level that queues is left out
// of it, and a workload that never decodes nine tenths of its requests is not.
func TestFitLeavesOutTheQueue(t *testing.T) {
	for _, tt := range []struct {
		name string
		bRun [5]float64 // at c = 1, 2, 4, 8, 16
		want int        // levels in the fit
	}{
		{"all decode", [5]float64{1, 1.9, 3.9, 7.7, 15}, 5},
		{"the last one queues", [5]float64{1, 1.9, 3.9, 7.7, 8.9}, 4},
		{"half of the time goes to prompts", [5]float64{0.5, 1, 2, 4, 8}, 5},
		{"the last two queue, which makes a limit", [5]float64{1, 1.9, 3.9, 4.8, 4.9}, 3},
		{"the last three do: too few are left", [5]float64{1, 1.9, 2, 2, 2}, 0},
	} {
		var points []PointSummary
		for i, b := range tt.bRun {
			s := summaryOf(1<<i, 0, 100, 10, 100, 90)
			s.BRun = b
			points = append(points, s)
		}
		got := 0
		if fit := NewCurve(testExperiment(), points).Fit; fit != nil {
			got = fit.N
		}
		if got != tt.want {
			t.Errorf("%s: %d levels, want %d", tt.name, got, tt.want)
		}
	}
}

// A level without successes is in the curve and in no landmark.
func TestLevelWithoutFigures(t *testing.T) {
	points := []PointSummary{
		summaryOf(1, 0, 100, 10, 100, 90), summaryOf(2, 0, 100, 10, 100, 180),
		collect(point(4, 1000), failed(0, 10, experiment.Refused)), summaryOf(8, 0, 100, 10, 100, 720),
	}
	c := NewCurve(testExperiment(), points)
	if len(c.Levels) != 4 || c.Levels[2].ErrorRate != 1 || c.Levels[2].TTFTP95.Known() {
		t.Errorf("%+v", c.Levels[2])
	}
	if c.Fit == nil || c.Fit.N != 3 {
		t.Errorf("the fit is %+v", c.Fit)
	}
}

func TestRepeats(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	var points []PointSummary
	for i, tok := range []float64{500, 540, 480, 510, 530, 490, 520} {
		points = append(points, summaryOf(8, i, 100, 10, 100, tok))
	}
	for _, tt := range []struct {
		name   string
		points []PointSummary
		want   Estimate
	}{
		{"one: a rate has no interval within a run", points[:1], Estimate{Value: 500, Low: nan, High: nan, Min: nan, Max: nan, N: 1000, Repeats: 1,
			Warnings: []string{"One repeat: how far another run would be from it is not known."}}},
		{"three", points[:3], Estimate{Value: 500, Low: -inf, High: inf, Min: 480, Max: 540, N: 3000, Repeats: 3,
			Warnings: []string{"3 repeats: an interval between repeats needs 6."}}},
		{"seven: the smallest and the largest", points, Estimate{Value: 510, Low: 480, High: 540, Min: 480, Max: 540, N: 7000, Repeats: 7}},
		{"one of two failed", []PointSummary{points[0], collect(point(8, 1000), failed(0, 1, experiment.Refused))},
			Estimate{Value: 250, Low: -inf, High: inf, Min: 0, Max: 500, N: 1000, Repeats: 2, Warnings: []string{"2 repeats: an interval between repeats needs 6."}}},
		{"one of two has no figure", []PointSummary{points[0], collect(point(8, 0))},
			Estimate{Value: 500, Low: -inf, High: inf, Min: nan, Max: nan, N: 1000, Repeats: 1, Warnings: []string{
				"1 of 2 repeats have no such figure.", "One repeat: how far another run would be from it is not known."}}},
	} {
		c := NewCurve(testExperiment(), tt.points)
		if len(c.Levels) != 1 {
			t.Fatalf("%s: %d levels", tt.name, len(c.Levels))
		}
		if diff := cmp.Diff(tt.want, c.Levels[0].OutputThroughput, cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
	// What a repeat's own count cannot support is still said of the median, and
	// the interval of one run's quantile is the one within that run.
	p, samples := loop(1, 50, 8000, 50, 20, 5)
	one := collect(p, samples...)
	l := NewCurve(testExperiment(), []PointSummary{one}).Levels[0]
	if got, want := [2]float64{l.TTFTP95.Low, l.TTFTP95.High}, [2]float64{one.TTFT.P95.Low, one.TTFT.P95.High}; got != want {
		t.Errorf("one repeat's p95 has the interval %v, want the one within the run, %v", got, want)
	}
	if len(l.TTFTP95.Warnings) != 2 || !strings.HasPrefix(l.TTFTP95.Warnings[0], "p95 needs n ≥ 72") {
		t.Errorf("p95 of 50 says %q", l.TTFTP95.Warnings)
	}
}

// The fewest repeats that have an interval are what the quantile's own rule says.
func TestRepeatsForInterval(t *testing.T) {
	if need := interval.LeastCount(0.5); need != RepeatsForInterval {
		t.Errorf("the median needs %d, RepeatsForInterval is %d", need, RepeatsForInterval)
	}
}

// The range over repeats is shown where it is all there is.
func TestSpread(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, tt := range []struct {
		name string
		e    Estimate
		want bool
	}{
		{"three repeats", Estimate{Value: 5, Low: -inf, High: inf, Min: 4, Max: 6, Repeats: 3}, true},
		{"enough for an interval", Estimate{Value: 5, Low: 4, High: 6, Min: 4, Max: 6, Repeats: 6}, false},
		{"one repeat", Estimate{Value: 5, Low: -inf, High: inf, Min: nan, Max: nan, Repeats: 1}, false},
		{"within one run", Estimate{Value: 5, Low: nan, High: nan, Min: nan, Max: nan}, false},
		{"a cost whose upper end is not known", Estimate{Value: 5, Low: -inf, High: inf, Min: 4, Max: nan, Repeats: 2}, false},
	} {
		if _, _, got := tt.e.Spread(); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// A line that starts below zero is no cost of a step: a CPU that decodes one
// request after another gives such.
func TestFitBelowZero(t *testing.T) {
	var points []PointSummary
	for _, r := range [][2]float64{{1, 20}, {2, 30}, {4, 95}} {
		points = append(points, summaryOf(int(r[0]), 0, 100, r[1], 100, 1000*r[0]/r[1]))
	}
	c := NewCurve(testExperiment(), points)
	const want = "No line is fitted to TPOT: a straight line through these levels would start below zero, at −12.5 ms, so TPOT does not grow in proportion to load here."
	if c.Fit != nil || c.NoFit != want || !slices.Contains(c.Warnings, want) {
		t.Errorf("fit %+v, %q, warnings %q", c.Fit, c.NoFit, c.Warnings)
	}
}

func TestCurveWarnings(t *testing.T) {
	e := testExperiment()
	e.Environment.Set(experiment.KeyRuntime, "vllm-like", experiment.Simulated)
	e.Environment.Set(experiment.KeyGPUModel, "h100-sxm", experiment.Simulated)
	e.Environment.Set(experiment.KeyCalibration, "about 10 % at the median.", experiment.Simulated)
	e.Spec.Concurrency = []int{8, 16, 32, 64}
	cut := summaryOf(16, 0, 100, 10, 100, 900)
	cut.Point.Status = experiment.Interrupted
	c := NewCurve(e, []PointSummary{summaryOf(8, 0, 100, 10, 100, 700), summaryOf(8, 1, 100, 10, 100, 700), cut})
	want := []string{
		"The plan has c=32 and c=64, of which nothing was recorded.",
		"2 levels cannot show a shape: knee, plateau and fit need three or more.",
	}
	if diff := cmp.Diff(want, c.Warnings); diff != "" {
		t.Error(diff)
	}
	if c.Title != "exp-3 sweep" || c.Hardware != "h100-sxm" || !c.Simulated || !strings.Contains(c.Label, "SIMULATED") {
		t.Errorf("%q, %q on %q, simulated %v", c.Title, c.Label, c.Hardware, c.Simulated)
	}
	if got := NewCurve(testExperiment(), nil).Warnings; len(got) != 1 {
		t.Errorf("a curve of nothing says %q", got)
	}
}
