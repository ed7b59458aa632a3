package workload

import (
	"strings"
	"testing"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/dataset"
)

// spec is the default with a count of requests, changed by edit.
func spec(edit func(*experiment.Spec)) experiment.Spec {
	s := experiment.DefaultSpec()
	s.Requests = 40
	edit(&s)
	return s
}

// generator makes the generator of a specification, by the default fit unless c has one.
func generator(t testing.TB, c Config, edit func(*experiment.Spec)) *Generator {
	t.Helper()
	c.Spec = spec(edit)
	if c.Fit == (Fit{}) {
		c.Fit = DefaultFit
	}
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func open(k int) Place { return Place{Class: -1, K: k} }

func TestNewRefuses(t *testing.T) {
	text := []dataset.Turn{{Messages: []dataset.Message{{Role: "user", Content: "Why?"}}, Prompt: dataset.Unknown, Output: dataset.Unknown}}
	bare := []dataset.Turn{{Prompt: dataset.Unknown, Output: dataset.Unknown}}
	data := &experiment.Data{Path: "prompts.jsonl"}
	for _, c := range []struct {
		name  string
		edit  func(*experiment.Spec)
		items []dataset.Item
		fit   Fit
		want  string // empty = accepted
	}{
		{"the default", func(*experiment.Spec) {}, nil, DefaultFit, ""},
		{"no fit", func(*experiment.Spec) {}, nil, Fit{}, "0 characters a token"},
		{"a fit that is no number", func(*experiment.Spec) {}, nil, Fit{CharsPerToken: 4, Overhead: -1}, "overhead of -1"},
		{"a prefix as long as the prompts", func(s *experiment.Spec) {
			s.Jitter, s.Prefix = 0, &experiment.Prefix{Share: 1, Tokens: 500, Groups: 1}
		}, nil, DefaultFit, "prefix.tokens is 500 and the prompts have at most 500 tokens"},
		{"a prefix that jitter leaves room for", func(s *experiment.Spec) {
			s.Prefix = &experiment.Prefix{Share: 1, Tokens: 505, Groups: 1}
		}, nil, DefaultFit, ""},
		{"a class's prompts are too short for the prefix of all", func(s *experiment.Spec) {
			s.Prefix = &experiment.Prefix{Share: 1, Tokens: 300, Groups: 1}
			s.Classes = []experiment.Class{{Name: "chat", Weight: 1}, {Name: "ping", Weight: 1, InputTokens: experiment.Tokens(20)}}
		}, nil, DefaultFit, "the prompts of the class ping have at most 20"},
		{"an empty data file", func(s *experiment.Spec) { s.Data = data }, nil, DefaultFit, "prompts.jsonl has no items"},
		{"an item without a request", func(s *experiment.Spec) { s.Data = data }, []dataset.Item{{}}, DefaultFit, "item 0 of the data file has no request"},
		{"neither text nor length", func(s *experiment.Spec) { s.Data, s.InputTokens = data, experiment.Length{} }, []dataset.Item{{Turns: bare}}, DefaultFit, "turn 0 of item 0 of the data file has neither text nor a length"},
		{"no length, and the specification has one", func(s *experiment.Spec) { s.Data = data }, []dataset.Item{{Turns: bare}}, DefaultFit, ""},
		{"a prefix before the person's own texts", func(s *experiment.Spec) {
			s.Data, s.Prefix = data, &experiment.Prefix{Share: 1, Tokens: 10, Groups: 1}
		}, []dataset.Item{{Turns: text}}, DefaultFit, "leave prefix out"},
		{"a prefix before the lengths of a trace", func(s *experiment.Spec) {
			s.Data, s.Prefix, s.InputTokens = data, &experiment.Prefix{Share: 1, Tokens: 10, Groups: 1}, experiment.Length{}
		}, []dataset.Item{{Turns: []dataset.Turn{{Prompt: 40, Output: 4}}}}, DefaultFit, ""},
	} {
		_, err := New(Config{Spec: spec(c.edit), Items: c.items, Fit: c.fit})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v does not say %q", c.name, err, c.want)
		}
	}
}
