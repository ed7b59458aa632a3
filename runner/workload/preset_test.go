package workload

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/inferbook/inferbook/experiment"
)

// Each preset makes a specification that can be run, keeps its name through the text
// of its lengths, and has the published means to 5 %.
func TestPresets(t *testing.T) {
	published := map[string][2]float64{
		"chat-200-200": {200, 200}, "chat-200-5": {200, 5}, "chat-1000-200": {1000, 200}, "chat-200-1000": {200, 1000},
		"infx-1k-1k": {922, 922}, "infx-1k-8k": {922, 7373}, "infx-8k-1k": {7373, 922}, // 90 % of nominal
		"azure-chat": {1155, 211}, "azure-code": {2048, 28}, "mooncake-conversation": {12035, 343},
		"mooncake-toolagent": {8596, 182}, "mooncake-synthetic": {15325, 149}, "arxiv-summarization": {2588, 291},
		"burstgpt-model": {101.7, 101.7} /* Zipf's law with exponent 1.1 up to 1,023 */, "sharegpt": {230, 250}, "head-of-line": {64, 170.0 / 8},
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, p := range Presets() {
		want, known := published[p.Name]
		delete(published, p.Name)
		if !known || p.Title == "" || p.Source == "" {
			t.Errorf("%s: has no published means, title or source", p.Name)
		}
		for i, l := range []experiment.Length{p.InputTokens, p.OutputTokens} {
			sum := 0
			const n = 200_000
			for range n {
				sum += l.Quantile(rng.Float64())
			}
			if got := float64(sum) / n; math.Abs(got/want[i]-1) > 0.05 {
				t.Errorf("%s: drawn mean %.1f, published %.1f", p.Name, got, want[i])
			}
			if back, err := experiment.ParseLength(l.String()); err != nil || back.String() != l.String() {
				t.Errorf("%s: the length %s does not come back: %v", p.Name, l, err)
			}
		}
		for _, rates := range [][]float64{nil, {2}} {
			s := spec(func(s *experiment.Spec) { s.Rate = rates })
			if err := Apply(p.Name, &s); err != nil {
				t.Fatal(err)
			}
			if rates != nil && p.Arrival == nil {
				s.Arrival = experiment.Arrival{Kind: experiment.PoissonArrival}
			}
			if err := s.Validate(); err != nil {
				t.Errorf("%s at the rates %v: %v", p.Name, rates, err)
			}
			if rates != nil && p.Arrival != nil && s.Arrival.CV != p.Arrival.CV || rates == nil && s.Arrival.Open() || s.Preset != p.Name {
				t.Errorf("%s at the rates %v: arrival %s, preset %q", p.Name, rates, s.Arrival, s.Preset)
			}
			if _, err := New(Config{Spec: s, Fit: DefaultFit}); err != nil {
				t.Errorf("%s: %v", p.Name, err)
			}
		}
	}
	if len(published) > 0 {
		t.Errorf("there are no presets for %v", published)
	}
}

func TestApplyKeepsAnArrival(t *testing.T) {
	s := spec(func(s *experiment.Spec) {
		s.Rate, s.Arrival = []float64{2}, experiment.Arrival{Kind: experiment.ConstantArrival}
	})
	if err := Apply("azure-code", &s); err != nil || s.Arrival.Kind != experiment.ConstantArrival {
		t.Errorf("the arrival became %s, %v", s.Arrival, err)
	}
}

func TestUnknownPreset(t *testing.T) {
	for typed, want := range map[string]string{"azure-cha": "azure-chat", "share-gpt": "sharegpt", "infx-1k1k": "infx-1k-1k", "mooncake-conv": "mooncake-conversation"} {
		s := experiment.DefaultSpec()
		err := Apply(typed, &s)
		if err == nil || !strings.Contains(err.Error(), "the nearest is "+want+" of chat-200-200, ") || !strings.Contains(err.Error(), "head-of-line") {
			t.Errorf("%s: %v", typed, err)
		}
		if s.Preset != "" {
			t.Errorf("%s: the specification was changed", typed)
		}
	}
}
