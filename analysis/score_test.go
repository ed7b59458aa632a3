package analysis

import (
	"math"
	"strings"
	"testing"

	"github.com/inferbook/inferbook/experiment"
)

// claimCurve has two levels of one repeat, with a TTFT p95 of 200 [180, 230] and 400
// [350, ∞] ms, 100 and 150 tok/s, and no failures; the second is the knee.
func claimCurve() Curve {
	point := func(c int, p95, low, high, rate float64) []PointSummary {
		s := PointSummary{Point: experiment.Point{Load: experiment.Load{Concurrency: c}}, Sent: 1000, OK: 1000, OutputThroughput: rate,
			TTFT: Distribution{P95: Estimate{Value: p95, Low: low, High: high, N: 1000}, P99: unknown()}}
		return []PointSummary{s}
	}
	c := Curve{Knee: &Landmark{Level: 8}}
	c.Levels = []Level{newLevel(point(4, 200, 180, 230, 100), nil), newLevel(point(8, 400, 350, math.Inf(1), 150), nil)}
	return c
}

func TestScore(t *testing.T) {
	for _, c := range []struct {
		text    string
		ruling  Ruling
		load    int
		factor  float64
		finding string
	}{
		{"ttft.p95<500ms@c=4", Holds, 4, 0.4, "it was 200 ms [180, 230] at c=4, 0.4 × the bound"},
		// The level furthest beyond the bound decides, and is told.
		{"ttft.p95<100ms", Misses, 8, 4, "it was 400 ms [350, ∞] at c=8, 4 × the bound; likewise at each of the 2 levels"},
		{"ttft.p95<300ms", Misses, 8, 4.0 / 3, "it was 400 ms [350, ∞] at c=8, 1.33 × the bound"},
		// No upper bound of the interval is known, so that nothing holds there.
		{"ttft.p95<9s", Unsure, 8, 400.0 / 9000, "it was 400 ms [350, ∞] at c=8, 0.0444 × the bound; the bound lies within its interval"},
		{"ttft.p95>100ms", Holds, 4, 2, "it was 200 ms [180, 230] at c=4, 2 × the bound, the nearest of 2 levels"},
		{"ttft.p95=150..250ms@c=4", Holds, 4, 200 / math.Sqrt(150*250), "it was 200 ms [180, 230] at c=4"},
		{"ttft.p95=100..150ms@c=4", Misses, 4, 200 / math.Sqrt(100*150), "it was 200 ms [180, 230] at c=4, 1.33 × the upper bound"},
		{"ttft.p99<1s@c=4", Unsure, 4, math.NaN(), "there is no ttft.p99 at c=4"},
		{"ttft.p95<1s@c=9", Unsure, 0, math.NaN(), "there is no ttft.p95, since no level of the kind was measured"},
		// A rate of one repeat has no interval, and is judged by its value.
		{"output_throughput>=100", Holds, 4, 1, "it was 100 tok/s at c=4, 1 × the bound, the nearest of 2 levels"},
		{"output_throughput>100", Misses, 4, 1, "it was 100 tok/s at c=4, 1 × the bound"}, // a strict bound
		// Shares have their exact interval, over the requests of all repeats.
		{"errors<1%", Holds, 4, math.NaN(), "it was 0 % [0, 0.368] at c=4, the nearest of 2 levels"},
		{"errors<0.1%", Unsure, 4, math.NaN(), "it was 0 % [0, 0.368] at c=4; the bound lies within its interval; likewise at each of the 2 levels"},
		{"knee=4..16", Holds, 0, 1, "it was 8 users"},
		{"knee<8", Misses, 0, 1, "it was 8 users, 1 × the bound"},
		{"plateau>8", Unsure, 0, math.NaN(), "no plateau shows in this sweep"},
		{"nonsense<8", Unsure, 0, math.NaN(), "it cannot be scored: there is no figure"},
	} {
		got := NewScore(experiment.Expectation{Text: c.text}, []Curve{claimCurve()})
		same := got.Factor == c.factor || math.Abs(got.Factor-c.factor) < 1e-9 || math.IsNaN(got.Factor) && math.IsNaN(c.factor)
		if got.Ruling != c.ruling || got.Load.Concurrency != c.load || !same || !strings.HasPrefix(got.Finding, c.finding) ||
			len(got.Finding) > len(c.finding) && !strings.Contains(c.text, "nonsense") {
			t.Errorf("%s: %s at c=%d, ×%g: %s\nwant %s at c=%d, ×%g: %s", c.text, got.Ruling, got.Load.Concurrency, got.Factor, got.Finding, c.ruling, c.load, c.factor, c.finding)
		}
	}
}

// TestScoreOfRepeats shows that of repeats too few for an interval each has to hold, and
// that a latency does not hold where requests pile up.
func TestScoreOfRepeats(t *testing.T) {
	level := func(over bool, p95 ...float64) Curve {
		var points []PointSummary
		for _, v := range p95 {
			points = append(points, PointSummary{Point: experiment.Point{Load: experiment.Load{Rate: 2}}, Oversaturated: over, TTFT: Distribution{P95: single(v, 100)}})
		}
		return Curve{Levels: []Level{newLevel(points, nil)}}
	}
	for _, c := range []struct {
		curve Curve
		want  Ruling
	}{
		{level(false, 200, 250, 290), Holds},
		{level(false, 200, 250, 310), Unsure},
		{level(false, 400, 350, 310), Misses},
		{level(true, 200, 250, 290), Unsure},
		{level(true, 400, 350, 310), Misses},
	} {
		if got := NewScore(experiment.Expectation{Text: "ttft.p95<300ms@rate=2"}, []Curve{c.curve}); got.Ruling != c.want {
			t.Errorf("%s, want %s: %s", got.Ruling, c.want, got.Finding)
		}
	}
}

func TestCheckClaim(t *testing.T) {
	streamed := experiment.Spec{Stream: true}
	loads := []experiment.Load{{Concurrency: 4}, {Concurrency: 8, Variant: "stream=true"}}
	for _, c := range []struct {
		text string
		spec experiment.Spec
		want string // "" = it can be scored
	}{
		{"ttft.p95<1s @c=8", streamed, ""},
		{"errors<1%", experiment.Spec{}, ""},
		{"error_rate<0.01", experiment.Spec{}, ""},
		{"errors<5", streamed, "under 100%"},
		{"ttft.p95<1s", experiment.Spec{}, "add --stream"},
		{"ttft.p95<1s @c=9", streamed, "it has c=4 and c=8"},
		{"ttft.p95<300", streamed, "write a unit"},
		{"ttft.p95<3tok/s", streamed, "ttft.p95 is in ms"},
		{"ttft<3ms", streamed, "write ttft.p50"},
		{"knee.p95<3", streamed, "no figure"},
		{"knee>3 @c=4", streamed, "leave the level out"},
		{"output_throughput.p95>3", streamed, "write output_throughput without"},
		{"goodput>=95%", streamed, "add --slo"},
		{"goodput>=95%", experiment.Spec{Stream: true, SLO: experiment.SLO{{Metric: "ttft", Bound: 1}}}, ""},
		{"stable_rate>3", streamed, "give a --rate"},
		{"b_run>3tok", streamed, "b_run is in requests"},
		{"tokens_per_event>3ms", streamed, "tokens_per_event is in tok"},
		{"arrival_cv>3ms", streamed, "has no unit"},
	} {
		claim, err := experiment.ParseClaim(c.text)
		if err != nil {
			t.Fatal(err)
		}
		err = CheckClaim(claim, &c.spec, loads)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.text, err, c.want)
		}
	}
}

func TestCalibrate(t *testing.T) {
	score := func(figure string, r Ruling, confidence, factor float64) Score {
		return Score{Figure: figure, Ruling: r, Confidence: confidence, Factor: factor}
	}
	nan := math.NaN()
	var scores []Score
	for range 5 { // the bounds are half of what comes, at any quantile
		scores = append(scores, score("ttft.p95", Misses, 0.8, 2.2), score("ttft.p50", Misses, 0.85, 2))
	}
	scores = append(scores, score("errors", Holds, nan, nan), score("knee", Unsure, 0.9, nan), score("errors", Holds, 0.5, nan))
	c := Calibrate(scores)
	if c.All.Guesses != 13 || c.All.Held != 2 || c.All.Missed != 10 || c.All.Undecided != 1 || c.All.HitRate.Value != 2.0/12 {
		t.Errorf("all: %+v", c.All)
	}
	if m := c.Metrics; len(m) != 3 || m[0].Group != "errors" || m[2].Group != "ttft" || math.Abs(m[2].Factor.Value-math.Sqrt(2.2*2)) > 1e-9 || !(m[2].Factor.Low > 2) || !(m[2].Spread > 1 && m[2].Spread < 1.1) {
		t.Errorf("metrics: %+v", m)
	}
	// (5·0.8² + 5·0.85² + 0.5²) ÷ 11; those without a confidence or a verdict do not count.
	if want := (5*0.64 + 5*0.7225 + 0.25) / 11; math.Abs(c.Brier-want) > 1e-9 || c.Sure != 11 {
		t.Errorf("the Brier score is %g of %d, want %g of 11", c.Brier, c.Sure, want)
	}
	if len(c.Bands) != 2 || c.Bands[0].HitRate.N != 1 || c.Bands[1].From != 0.8 || c.Bands[1].To != 0.85 || c.Bands[1].HitRate.N != 10 {
		t.Errorf("bands: %+v", c.Bands)
	}
	if c.Before.Guesses != 3 || c.Recent.Guesses != 10 {
		t.Errorf("the trend is of %d and %d guesses", c.Before.Guesses, c.Recent.Guesses)
	}
	said := strings.Join(c.Sentences, "\n")
	for _, want := range []string{
		"For ttft the outcomes are on average 2.1 × your bounds: they come out higher.",
		"Of 10 guesses made with 80 to 85 %, 0 held: 0 % [0, 30.8], so you are too sure of these.",
		"over 11 decided guesses",
		"Of the last 10 guesses 2 of 9 decided held; before that 0 of 3.",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not said in:\n%s", want, said)
		}
	}
	if empty := Calibrate(nil); empty.All.Guesses != 0 || len(empty.Sentences) != 0 || !math.IsNaN(empty.Brier) {
		t.Errorf("of nothing: %+v", empty)
	}
}
