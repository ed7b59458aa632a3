package analysis

import (
	"testing"

	"github.com/inferbook/inferbook/experiment"
)

func TestWorkloadText(t *testing.T) {
	length := func(text string) experiment.Length {
		l, err := experiment.ParseLength(text)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	for _, tt := range []struct {
		name   string
		change func(*experiment.Spec)
		want   string
	}{
		{"two numbers", func(*experiment.Spec) {}, "500 → 128 tokens"},
		{"one token is no plural", func(s *experiment.Spec) { s.OutputTokens = experiment.Tokens(1) }, "500 → 1 token"},
		{"a fixed prompt", func(s *experiment.Spec) { s.Prompt = "Höhe?" }, "a fixed prompt of 5 characters → 128 tokens"},
		{"distributions", func(s *experiment.Spec) {
			s.InputTokens, s.OutputTokens = length("uniform:100-900"), length("lognormal:1155,1200")
		}, "100–900 → about 1155 (lognormal) tokens"},
		{"a preset", func(s *experiment.Spec) {
			s.Preset, s.InputTokens, s.OutputTokens = "head-of-line", length("histogram:10*28,100*4"), experiment.Tokens(50)
		}, "head-of-line: about 21 (histogram) → 50 tokens"},
		{"a file", func(s *experiment.Spec) { s.Data = &experiment.Data{Path: "chats.json", Items: 3000} }, "requests of chats.json (3000 items)"},
		{"a shared prefix", func(s *experiment.Spec) { s.Prefix = &experiment.Prefix{Share: 0.8, Tokens: 200, Groups: 4} },
			"500 → 128 tokens, 80 % with a shared prefix of 200 tokens (4 of them)"},
		{"one prefix", func(s *experiment.Spec) { s.Prefix = &experiment.Prefix{Share: 1, Tokens: 200, Groups: 1} },
			"500 → 128 tokens, 100 % with a shared prefix of 200 tokens"},
		{"conversations", func(s *experiment.Spec) { s.Turns = length("uniform:2-6") }, "500 → 128 tokens, 2–6 turns"},
		{"one turn is no conversation", func(s *experiment.Spec) { s.Turns = experiment.Tokens(1) }, "500 → 128 tokens"},
		{"embeddings have no answer", func(s *experiment.Spec) { s.Endpoint = experiment.Embeddings }, "500 tokens"},
		{"classes", func(s *experiment.Spec) {
			s.Classes = []experiment.Class{{Name: "chat", Turns: experiment.Tokens(3)}, {Name: "offline", InputTokens: experiment.Tokens(2000), OutputTokens: experiment.Tokens(512),
				Prefix: &experiment.Prefix{Share: 0.5, Tokens: 9, Groups: 1}}}
		}, "chat 500 → 128 tokens, 3 turns; offline 2000 → 512 tokens, 50 % with a shared prefix of 9 tokens"},
	} {
		s := experiment.DefaultSpec()
		tt.change(&s)
		if got := WorkloadText(&s); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
