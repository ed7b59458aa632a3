package analysis

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

// same compares what went through JSON: NaN equals NaN, and [] equals null.
var same = cmp.Options{cmpopts.EquateNaNs(), cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(Metric{})}

func roundTrip[T any](t interface{ Error(...any) }, want T) []byte {
	data, err := json.Marshal(want)
	if err != nil {
		t.Error(err)
		return nil
	}
	var got T
	if err := json.Unmarshal(data, &got); err != nil {
		t.Error(err)
	} else if diff := cmp.Diff(want, got, same); diff != "" {
		t.Error(diff)
	}
	return data
}

func drawSamples(t *rapid.T) []experiment.Sample {
	n := rapid.IntRange(0, 20).Draw(t, "samples")
	var out []experiment.Sample
	for i := range n {
		s := stream(float64(10*i), rapid.Float64Range(1, 1000).Draw(t, "ttft"), rapid.IntRange(1, 12).Draw(t, "tokens"), rapid.Float64Range(0.001, 50).Draw(t, "tpot"))
		s.Seq = i
		s.Outcome = rapid.SampledFrom(experiment.Outcomes).Draw(t, "outcome")
		s.Phase = rapid.SampledFrom([]experiment.Phase{experiment.Warmup, experiment.Measured, experiment.Measured}).Draw(t, "phase")
		if rapid.Bool().Draw(t, "no count") {
			s.OutputTokens, s.PromptTokens, s.Counted = experiment.Unknown, experiment.Unknown, experiment.CountedNone
		}
		out = append(out, s)
	}
	return out
}

// A summary, a curve and its costs come back from JSON as they went in, whatever is missing in them.
func TestJSONRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var points []PointSummary
		for i := range rapid.IntRange(0, 3).Draw(t, "points") {
			p := point(rapid.IntRange(1, 4).Draw(t, "users"), rapid.Float64Range(0, 500).Draw(t, "send end"))
			p.Repeat = i
			s := collect(p, drawSamples(t)...)
			roundTrip(t, s)
			roundTrip(t, s.SeedJSON())
			points = append(points, s)
		}
		c := NewCurve(&experiment.Experiment{ID: "01EXP", Number: 1, Started: time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)}, points)
		roundTrip(t, c)
		roundTrip(t, c.SeedJSON())
		costs, err := Costs(c, testPrice(2), 1, 0.5, 3)
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, costs)
	})
}

func TestEstimateJSON(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, tt := range []struct {
		name string
		e    Estimate
		want string
	}{
		{"all known", Estimate{Value: 5, Low: 4, High: 7, Min: nan, Max: nan, N: 200}, `{"value":5,"low":4,"high":7,"n":200}`},
		{"no upper bound", Estimate{Value: 5, Low: 4, High: inf, Min: nan, Max: nan, N: 50, Warnings: []string{"Few."}},
			`{"value":5,"low":4,"high":null,"n":50,"warnings":["Few."]}`},
		{"one repeat", Estimate{Value: 5, Low: -inf, High: inf, Min: nan, Max: nan, N: 50, Repeats: 1}, `{"value":5,"low":null,"high":null,"n":50,"repeats":1}`},
		{"three repeats", Estimate{Value: 5, Low: -inf, High: inf, Min: 4, Max: 7, N: 150, Repeats: 3},
			`{"value":5,"low":null,"high":null,"min":4,"max":7,"n":150,"repeats":3}`},
		{"no interval was made", Estimate{Value: 5, Low: nan, High: nan, Min: nan, Max: nan, N: 50}, `{"value":5,"low":null,"high":null,"n":50,"no_interval":true}`},
		{"nothing", unknown(), `{"value":null,"low":null,"high":null,"n":0,"no_interval":true}`},
	} {
		if got := roundTrip(t, tt.e); string(got) != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// Whatever JSON holds, reading it gives an error or a summary that can be written again.
func FuzzPointSummaryJSON(f *testing.F) {
	p, samples := loop(2, 3, 300, 50, 5, 5)
	data, err := json.Marshal(collect(p, samples...))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"ok":null,"output_tokens":null,"ttft":{"p50":{"low":1}}}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s PointSummary
		if json.Unmarshal(data, &s) != nil {
			return
		}
		again, err := json.Marshal(s)
		if err != nil && !strings.Contains(err.Error(), "year outside") {
			t.Fatal(err)
		}
		var back PointSummary
		if err == nil && json.Unmarshal(again, &back) != nil {
			t.Fatalf("%s cannot be read again", again)
		}
	})
}
