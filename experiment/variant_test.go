package experiment_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
)

func TestVariants(t *testing.T) {
	s := runnable()
	s.Matrix = map[string][]any{"output_tokens": {50, "uniform:10-20"}, "input_tokens": {200, 1000}, "temperature": {0.5}}
	variants, err := s.Variants()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range variants {
		names = append(names, v.Name)
		if v.Spec.Matrix != nil || v.Spec.Temperature != 0.5 {
			t.Errorf("%s has the matrix %v and temperature %g", v.Name, v.Spec.Matrix, v.Spec.Temperature)
		}
	}
	want := []string{ // by the fields' names, the last one fastest
		"input_tokens=200 output_tokens=50 temperature=0.5",
		"input_tokens=200 output_tokens=uniform:10-20 temperature=0.5",
		"input_tokens=1000 output_tokens=50 temperature=0.5",
		"input_tokens=1000 output_tokens=uniform:10-20 temperature=0.5",
	}
	if !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	if l := variants[3].Spec; l.InputTokens.Nominal() != 1000 || l.OutputTokens.String() != "uniform:10-20" {
		t.Errorf("the last has %s and %s", l.InputTokens, l.OutputTokens)
	}
	if s.InputTokens.Nominal() != 500 || len(s.Matrix) != 3 {
		t.Error("the specification itself changed")
	}

	s.Matrix = nil
	if v, err := s.Variants(); err != nil || len(v) != 1 || v[0].Name != "" || !reflect.DeepEqual(v[0].Spec, s) {
		t.Errorf("without a matrix: %v, %v", v, err)
	}
}

// TestVariantsShareNothing: a value of one variant is not written through to another, or
// to the specification, where a field holds a pointer, a map or a list.
func TestVariantsShareNothing(t *testing.T) {
	s := runnable()
	s.Prefix = &experiment.Prefix{Share: 0.5, Tokens: 10, Groups: 1, Zipf: 2}
	s.Extra = map[string]any{"base": true}
	s.Models = []experiment.ModelShare{{Model: "base", Weight: 1}}
	before := clone(t, s)
	s.Matrix = map[string][]any{
		"prefix": {map[string]any{"share": 1, "tokens": 20, "groups": 2}, map[string]any{"share": 1, "tokens": 30, "groups": 3}},
		"extra":  {map[string]any{"a": 1}, map[string]any{"b": 2}},
		"models": {[]any{map[string]any{"model": "x", "weight": 1}}, []any{map[string]any{"model": "y", "weight": 1}}},
	}
	variants, err := s.Variants()
	if err != nil {
		t.Fatal(err)
	}
	if len(variants) != 8 {
		t.Fatalf("%d variants, want 8", len(variants))
	}
	for i, v := range variants { // extra, models, prefix: the last fastest
		wantPrefix := experiment.Prefix{Share: 1, Tokens: 20 + 10*(i&1), Groups: 2 + i&1}
		wantModel := []string{"x", "y"}[i>>1&1]
		wantExtra := []map[string]any{{"a": 1.}, {"b": 2.}}[i>>2]
		if *v.Spec.Prefix != wantPrefix || len(v.Spec.Models) != 1 || v.Spec.Models[0].Model != wantModel || !reflect.DeepEqual(v.Spec.Extra, wantExtra) {
			t.Errorf("%s: %+v, %+v, %v", v.Name, *v.Spec.Prefix, v.Spec.Models, v.Spec.Extra)
		}
	}
	s.Matrix = nil
	if diff := cmp.Diff(before, s); diff != "" {
		t.Errorf("the specification itself changed:\n%s", diff)
	}
}

// clone goes through JSON, as a specification does in the notebook.
func clone(t *testing.T, s experiment.Spec) experiment.Spec {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var out experiment.Spec
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return out
}

func TestVariantsRefused(t *testing.T) {
	many := make([]any, 101)
	for i := range many {
		many[i] = i + 1
	}
	for _, c := range []struct {
		name   string
		matrix map[string][]any
		want   string
	}{
		{"a field that belongs to the environment", map[string][]any{"base_url": {"x"}}, "matrix has the field base_url, which cannot vary in one experiment; it may have input_tokens"},
		{"a field that lists points already", map[string][]any{"concurrency": {1}}, "matrix has the field concurrency"},
		{"no values", map[string][]any{"jitter": {}}, "matrix.jitter has 0 values"},
		{"too many combinations", map[string][]any{"input_tokens": many, "output_tokens": many}, "no more than 10000 combinations"},
		{"a value of another type", map[string][]any{"jitter": {"much"}}, "matrix.jitter has the value much:"},
		{"a length that is none", map[string][]any{"input_tokens": {"many"}}, `"many" is not a length`},
		{"an unknown part of a value", map[string][]any{"prefix": {map[string]any{"size": 1}}}, `unknown field "size"`},
		{"a value that is no JSON", map[string][]any{"extra": {func() {}}}, "cannot be written as JSON"},
		{"a value that cannot be run", map[string][]any{"jitter": {0.1, 2}}, "the combination jitter=2 of the matrix cannot be run: jitter is 2"},
	} {
		s := runnable()
		s.Matrix = c.matrix
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// everything has each field of a Spec set. Numbers in maps are not whole, since
// those come from YAML and from JSON as different types.
func everything(t *testing.T) experiment.Spec {
	t.Helper()
	length := func(text string) experiment.Length {
		l, err := experiment.ParseLength(text)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	slo := experiment.SLO{{Metric: "ttft", Quantile: 0.95, Bound: 500}, {Metric: "errors", Bound: 0.01}}
	pause := experiment.Pause{Exponential: true, Low: experiment.Duration(5 * time.Second), High: experiment.Duration(5 * time.Second)}
	prefix := &experiment.Prefix{Share: 0.8, Tokens: 100, Groups: 10, Zipf: 1.1}
	s := experiment.Spec{
		BaseURL:   "http://127.0.0.1:8000/v1",
		Simulator: &experiment.Simulator{GPU: "H100", Count: 2, Model: "8b", Runtime: "vllm", Precision: "bf16", Virtual: true},
		Endpoint:  experiment.Chat, Model: "m", Stream: true, Preset: "azure-chat",
		InputTokens: length("lognormal:1155,1200"), OutputTokens: length("histogram:10*28,100*4"), Jitter: 0.1,
		Prompt: "Hello: # no comment\n", Data: &experiment.Data{Path: "a.jsonl", Format: "jsonl", SHA256: "00", Items: 5},
		Prefix: prefix, Turns: length("uniform:1-5"), ThinkTime: pause,
		Classes: []experiment.Class{
			{Name: "chat", Rate: 2.5, Arrival: experiment.Arrival{Kind: experiment.GammaArrival, CV: 3}, InputTokens: length("100"),
				OutputTokens: length("exponential:200"), Prefix: prefix, Turns: length("3"), ThinkTime: pause, Model: "a", SLO: slo},
			{Name: "offline", Concurrency: 4},
			{Name: "share", Weight: 0.5},
		},
		Models:      []experiment.ModelShare{{Model: "a", Weight: 1.5}},
		Matrix:      map[string][]any{"jitter": {0.5, 0.25}, "input_tokens": {"uniform:1-9"}},
		Arrival:     experiment.Arrival{Kind: experiment.StepsArrival, Steps: []experiment.RateStep{{Rate: 1, Hold: experiment.Duration(30 * time.Second)}}},
		Concurrency: []int{1, 2}, Rate: []float64{0.5, 2}, MaxConcurrency: 64, Requests: 10, Duration: experiment.Duration(90 * time.Second),
		Warmup: 1, Repeats: 3, Seed: 1<<64 - 1, SLO: slo,
		Search: &experiment.Search{Over: "rate", Low: 1, High: 8.5, Points: 12},
		Until:  experiment.Precision{Metric: "ttft", Quantile: 0.95, Share: 0.05}, MaxErrors: 3, MaxErrorShare: 0.1, MaxCost: 1.5,
		TokenPrice: &experiment.TokenPrice{Input: 0.15, Output: 0.6}, Grace: experiment.Duration(30 * time.Second), KeepOversaturated: true,
		Replicas: []experiment.Replica{{BaseURL: "http://127.0.0.1:8001/v1", Weight: 0.5}}, Dialect: "vllm", IgnoreEOS: "auto",
		Headers: map[string]string{"X-Tenant": "t"}, KeyHeader: "api-key", APIVersion: "2024-10-21",
		Temperature: 0.7, MaxTokensField: "auto", Extra: map[string]any{"top_p": 0.9, "stop": []any{"x"}},
		ConnectTimeout: 1, FirstByteTimeout: 2, IdleTimeout: 3, TotalTimeout: 4, KeepText: true,
	}
	for value, i := reflect.ValueOf(s), 0; i < value.NumField(); i++ {
		if value.Field(i).IsZero() {
			t.Fatalf("%s is not set", value.Type().Field(i).Name)
		}
	}
	return s
}

func TestSpecRoundTrips(t *testing.T) {
	for _, c := range []struct {
		name string
		s    experiment.Spec
	}{
		{"everything", everything(t)},
		{"the default", experiment.DefaultSpec()},
		{"nothing", experiment.Spec{}},
	} {
		if diff := cmp.Diff(c.s, clone(t, c.s)); diff != "" {
			t.Errorf("%s, through JSON:\n%s", c.name, diff)
		}
		b, err := yaml.Marshal(c.s)
		if err != nil {
			t.Fatal(err)
		}
		var got experiment.Spec
		if err := yaml.UnmarshalWithOptions(b, &got, yaml.Strict()); err != nil {
			t.Errorf("%s, through YAML: %v\n%s", c.name, err, b)
		} else if diff := cmp.Diff(c.s, got); diff != "" {
			t.Errorf("%s, through YAML:\n%s\n%s", c.name, diff, b)
		}
	}
}

// TestSpecText shows how a person writes what is not a plain value.
func TestSpecText(t *testing.T) {
	var s experiment.Spec
	err := yaml.UnmarshalWithOptions([]byte(`
input_tokens: lognormal:1155,1200
output_tokens: 128
turns: uniform:1-5
think_time: exponential:5s
arrival: gamma:cv=3
slo: ttft.p95<500ms tpot.p95<40ms
until: ttft.p95 ±5%
duration: 1m30s
classes:
  - {name: chat, rate: 2, arrival: "onoff:on=2s,off=8s"}
matrix:
  input_tokens: [200, 1000]
`), &s, yaml.Strict())
	if err != nil {
		t.Fatal(err)
	}
	got := []string{s.InputTokens.String(), s.OutputTokens.String(), s.Turns.String(), s.ThinkTime.String(), s.Arrival.String(),
		s.SLO.String(), s.Until.String(), time.Duration(s.Duration).String(), s.Classes[0].Arrival.String()}
	want := []string{"lognormal:1155,1200", "128", "uniform:1-5", "exponential:5s", "gamma:cv=3",
		"ttft.p95<500ms tpot.p95<40ms", "ttft.p95 ±5%", "1m30s", "onoff:on=2s,off=8s"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"input_tokens: many", "arrival: often", "slo: fast", "until: soon", "think_time: 5", "input_tokens: 1.5", "inputtokens: 5"} {
		if err := yaml.UnmarshalWithOptions([]byte(bad), &s, yaml.Strict()); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}
