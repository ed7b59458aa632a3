package workload

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/dataset"
)

const salt = "01J0000000000000000000000"

// A prompt has exactly the characters that the fit makes of its tokens, and another
// experiment's is another text of the same length.
func TestPromptsAreAsLongAsAsked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := spec(func(s *experiment.Spec) {
			s.InputTokens = experiment.Length{Kind: experiment.UniformLength, Low: 1, High: 3000}
			s.Turns = experiment.Tokens(3)
		})
		fit := Fit{CharsPerToken: rapid.Float64Range(0.5, 9).Draw(t, "chars per token"), Overhead: rapid.Float64Range(0, 99).Draw(t, "overhead")}
		seed := rapid.Uint64().Draw(t, "seed")
		one, err := New(Config{Spec: s, Fit: fit, Seed: seed, Salt: salt})
		if err != nil {
			t.Fatal(err)
		}
		two, _ := New(Config{Spec: s, Fit: fit, Seed: seed, Salt: "another"})
		p := Place{Class: -1, Worker: rapid.IntRange(0, 99).Draw(t, "worker"), K: rapid.IntRange(0, 9999).Draw(t, "k")}
		e := one.Entry(p)
		for turn := range e.Turns {
			a, b := one.Content(p, e, turn), two.Content(p, e, turn)
			tokens := float64(e.Turns[turn].Prompt)
			want := max(1, int(math.Round(tokens*fit.CharsPerToken)))
			asked := e.Turns[turn].Prompt
			if turn == 0 {
				want = max(ShortestText, int(math.Round((tokens-fit.Overhead)*fit.CharsPerToken)))
				if want == ShortestText {
					asked = max(asked, fit.Shortest())
				}
			}
			if len(a.Prompt) != want || len(b.Prompt) != want || want >= ShortestText && a.Prompt == b.Prompt {
				t.Fatalf("turn %d of %g tokens has %d and %d characters, not %d", turn, tokens, len(a.Prompt), len(b.Prompt), want)
			}
			if a.PromptTokens != asked || a.OutputTokens != e.Turns[turn].Output {
				t.Fatalf("turn %d of %g tokens says %d and %d", turn, tokens, a.PromptTokens, a.OutputTokens)
			}
			if strings.Join(strings.Fields(a.Prompt), " ") != a.Prompt {
				t.Fatalf("%q has spaces that a server may trim", a.Prompt)
			}
			if d := cmp.Diff(a, one.Content(p, e, turn)); d != "" {
				t.Fatalf("the same turn came out differently:\n%s", d)
			}
		}
	})
}

// No two prompts of an experiment, of its points or of a repeat of it begin with the
// same eight words.
func TestPromptsShareNoBeginning(t *testing.T) {
	heads := map[string]bool{}
	const n = 34_000
	for _, c := range []Config{{Seed: 7, Salt: salt, Workers: 4}, {Seed: 8, Salt: salt, Workers: 4}, {Seed: 7, Salt: "another", Workers: 4}} {
		g := generator(t, c, func(s *experiment.Spec) { s.InputTokens = experiment.Tokens(12) })
		for i := range n {
			p := Place{Class: -1, Worker: i % 4, K: i / 4}
			words := strings.Fields(g.Content(p, g.Entry(p), 0).Prompt)
			heads[strings.Join(words[:8], " ")] = true
		}
	}
	if len(heads) != 3*n {
		t.Errorf("%d prompts have %d different beginnings", 3*n, len(heads))
	}
}

func TestSharedPrefixes(t *testing.T) {
	const n, share, zipf, groups = 20_000, 0.7, 1.0, 5
	c := Config{Seed: 4, Salt: salt}
	edit := func(s *experiment.Spec) {
		s.InputTokens = experiment.Length{Kind: experiment.UniformLength, Low: 20, High: 140}
		s.Prefix = &experiment.Prefix{Share: share, Tokens: 40, Groups: groups, Zipf: zipf}
	}
	g := generator(t, c, edit)
	const prefix = 4*40 - 1 // characters before the space
	heads := map[string]int{}
	own := map[string]bool{}
	for k := range n {
		e := g.Entry(open(k))
		c := g.Content(open(k), e, 0)
		text := c.Prompt
		if c.PromptTokens != (len(text)+2)/4 { // also where the prefix and the nonce raise it
			t.Fatalf("%d characters are said to be %d tokens", len(text), c.PromptTokens)
		}
		if len(text) < prefix {
			continue // has none: it would have been made longer
		}
		heads[text[:prefix]]++
		if heads[text[:prefix]] > 1 { // shared
			own[text[prefix:prefix+nonceRoom]] = true
			if e.Turns[0].Prompt <= 40 {
				t.Fatalf("a prompt of %d tokens has a prefix of 40", e.Turns[0].Prompt)
			}
		}
	}
	var popular []int
	shared := 0
	for _, times := range heads {
		if times > 1 {
			popular = append(popular, times)
			shared += times
		}
	}
	if len(popular) != groups || len(own) != shared-groups {
		t.Fatalf("%d prefixes, and %d different texts behind %d of them", len(popular), len(own), shared-groups)
	}
	within(t, "with a prefix", shared, n, share)
	harmonic := 0.0
	for k := range groups {
		harmonic += math.Pow(float64(k+1), -zipf)
	}
	e := g.kinds[0]
	counts := make([]int, groups)
	for k := range n {
		if group := g.group(open(k), e); group >= 0 {
			counts[group]++
		}
	}
	for k, got := range counts {
		within(t, "group", got, n, share*math.Pow(float64(k+1), -zipf)/harmonic)
	}
	// A repeated experiment starts cold.
	c.Salt = "another"
	other := generator(t, c, edit)
	for k := range 50 {
		if text := other.Content(open(k), other.Entry(open(k)), 0).Prompt; len(text) > prefix && heads[text[:prefix]] > 0 {
			t.Fatal("another experiment has a prefix of this one")
		}
	}
}

// A class's own prefix is no other's; classes without one have that of all.
func TestPrefixesOfClasses(t *testing.T) {
	all := experiment.Prefix{Share: 1, Tokens: 40, Groups: 1}
	g := generator(t, Config{}, func(s *experiment.Spec) {
		s.Prefix = &all
		s.Classes = []experiment.Class{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}, {Name: "c", Weight: 1, Prefix: &all}}
	})
	head := func(class int) string {
		p := Place{Class: class}
		return g.Content(p, g.Entry(p), 0).Prompt[:159]
	}
	if head(0) != head(1) || head(0) == head(2) {
		t.Error("the classes a and b do not share the prefix of all, or c has it too")
	}
}

// Equal leading hashes give equal leading text, of 512 tokens each; the prompt has the
// length asked for, whatever the number of hashes.
func TestBlocks(t *testing.T) {
	turn := func(tokens int) []dataset.Turn { return []dataset.Turn{{Prompt: tokens, Output: 5}} }
	for _, fit := range []Fit{DefaultFit, {CharsPerToken: 3.3}, {CharsPerToken: 4.21, Overhead: 10}} {
		g := generator(t, Config{Salt: salt, Fit: fit, Items: []dataset.Item{
			{Turns: turn(1400), Blocks: []uint64{0, 1, 2}},
			{Turns: turn(1536), Blocks: []uint64{0, 1, 3}},
			{Turns: turn(1100), Blocks: []uint64{0, 1, 2}},
			{Turns: turn(2000), Blocks: []uint64{0, 9}}, // fewer blocks than it takes
			{Turns: turn(100), Blocks: []uint64{0, 1, 2}},
		}}, func(*experiment.Spec) {})
		var texts []string
		for k := range 5 {
			e := g.Entry(open(k))
			texts = append(texts, g.Content(open(k), e, 0).Prompt)
			if want := int(math.Round((float64(e.Turns[0].Prompt) - fit.Overhead) * fit.CharsPerToken)); len(texts[k]) != want {
				t.Errorf("prompt %d has %d characters, not %d", k, len(texts[k]), want)
			}
			if strings.Join(strings.Fields(texts[k]), " ") != texts[k] {
				t.Errorf("prompt %d has spaces beside those between words", k)
			}
		}
		for _, c := range []struct{ a, b, blocks int }{{0, 1, 2}, {0, 2, 2}, {1, 2, 2}, {0, 3, 1}, {0, 4, 0}} {
			a, b := texts[c.a], texts[c.b]
			same := common(a, b)
			low := int(float64(c.blocks)*dataset.BlockTokens*fit.CharsPerToken) - 1
			if same < low || c.blocks > 0 && c.a+c.b != 2 && same > low+40 {
				t.Errorf("prompts %d and %d have %d characters in common, and %d blocks", c.a, c.b, same, c.blocks)
			}
		}
		// The third block of the shorter prompt is the beginning of the longer one's, and so
		// is a prompt that ends within its first.
		if n := common(texts[0], texts[2]); n < len(texts[2])-16 {
			t.Errorf("a block that is cut has %d characters of the whole one's %d", n, len(texts[2]))
		}
		if n := common(texts[0], texts[4]); n < len(texts[4])-16 {
			t.Errorf("a prompt of 100 tokens has %d characters of its block", n)
		}
		again := g.Content(open(5), g.Entry(open(5)), 0).Prompt
		if again != texts[0] {
			t.Error("a trace that begins again has another text")
		}
	}
}

func TestOwnTextsAreSentAsTheyAre(t *testing.T) {
	system, question, answer, more := dataset.Message{Role: "system", Content: "Be brief."}, dataset.Message{Role: "user", Content: " Why?\n"}, dataset.Message{Role: "assistant", Content: "So."}, dataset.Message{Role: "user", Content: "Really?"}
	body := json.RawMessage(`{"messages":[]}`)
	g := generator(t, Config{Items: []dataset.Item{
		{Turns: []dataset.Turn{
			{Messages: []dataset.Message{system, question}, Prompt: 12, Output: 34},
			{Messages: []dataset.Message{more}, Prompt: dataset.Unknown, Output: 5},
		}},
		{Turns: []dataset.Turn{{Prompt: dataset.Unknown, Output: 6}}, Body: body},
		{Turns: []dataset.Turn{{Messages: []dataset.Message{question, answer, more}, Prompt: dataset.Unknown, Output: 7}}},
	}}, func(*experiment.Spec) {})
	for _, c := range []struct {
		k, turn int
		want    Content
	}{
		{0, 0, Content{Prompt: " Why?\n", History: []dataset.Message{system}, PromptTokens: 12, OutputTokens: 34}},
		{0, 1, Content{Prompt: "Really?", History: []dataset.Message{}, PromptTokens: experiment.Unknown, OutputTokens: 5}},
		{1, 0, Content{Body: body, PromptTokens: experiment.Unknown, OutputTokens: 6}},
		{2, 0, Content{Prompt: "Really?", History: []dataset.Message{question, answer}, PromptTokens: experiment.Unknown, OutputTokens: 7}},
	} {
		if d := cmp.Diff(c.want, g.Content(open(c.k), g.Entry(open(c.k)), c.turn)); d != "" {
			t.Errorf("item %d, turn %d:\n%s", c.k, c.turn, d)
		}
	}
	fixed := generator(t, Config{}, func(s *experiment.Spec) { s.Prompt = "  Why?\n" })
	if c := fixed.Content(open(3), fixed.Entry(open(3)), 0); c.Prompt != "  Why?\n" || c.PromptTokens != experiment.Unknown {
		t.Errorf("%+v", c)
	}
}

// Lengths of a trace get prompts that begin as no others do, also when it begins again.
func TestTraceWithoutBlocksIsUnique(t *testing.T) {
	g := generator(t, Config{Items: []dataset.Item{{Turns: []dataset.Turn{{Prompt: 100, Output: 5}}}}}, func(*experiment.Spec) {})
	a, b := g.Content(open(0), g.Entry(open(0)), 0), g.Content(open(1), g.Entry(open(1)), 0)
	if len(a.Prompt) != 400 || common(a.Prompt, b.Prompt) >= nonceRoom {
		t.Errorf("%q and %q", a.Prompt, b.Prompt)
	}
}

// A conversation stays with its model and its replica; over many they come by weight.
func TestModelsAndReplicasComeByWeight(t *testing.T) {
	g := generator(t, Config{Seed: 9}, func(s *experiment.Spec) {
		s.InputTokens, s.Turns = experiment.Tokens(12), experiment.Tokens(2)
		s.Models = []experiment.ModelShare{{Model: "base", Weight: 6}, {Model: "sql", Weight: 3}, {Model: "law", Weight: 1}}
		s.Replicas = []experiment.Replica{{BaseURL: "http://a/v1", Weight: 1}, {BaseURL: "http://b/v1", Weight: 3}}
		s.Classes = []experiment.Class{{Name: "mixed", Weight: 1}, {Name: "own", Weight: 1, Model: "tiny"}}
	})
	const n = 10_000
	models := map[string]int{}
	var replicas, both [2]int
	for k := range n {
		p := Place{Class: 0, K: k}
		e := g.Entry(p)
		first, second := g.Content(p, e, 0), g.Content(p, e, 1)
		if first.Model != second.Model || first.Replica != second.Replica {
			t.Fatalf("conversation %d moves from %s at %d to %s at %d", k, first.Model, first.Replica, second.Model, second.Replica)
		}
		models[first.Model]++
		replicas[first.Replica]++
		if first.Model == "base" {
			both[first.Replica]++
		}
	}
	within(t, "base", models["base"], n, 0.6)
	within(t, "sql", models["sql"], n, 0.3)
	within(t, "law", models["law"], n, 0.1)
	within(t, "replica b", replicas[1], n, 0.75)
	within(t, "base at replica b", both[1], n, 0.45) // drawn apart
	if p := (Place{Class: 1}); g.Content(p, g.Entry(p), 0).Model != "tiny" {
		t.Error("a class's model is not asked for")
	}
	plain := generator(t, Config{}, func(*experiment.Spec) {})
	if c := plain.Content(open(0), plain.Entry(open(0)), 0); c.Model != "" || c.Replica != 0 {
		t.Errorf("model %q and replica %d without a mix", c.Model, c.Replica)
	}
}

func BenchmarkContent(b *testing.B) {
	for name, prefix := range map[string]*experiment.Prefix{"unique": nil, "prefixed": {Share: 1, Tokens: 900, Groups: 100, Zipf: 1}} {
		b.Run(name, func(b *testing.B) {
			g := generator(b, Config{Salt: salt}, func(s *experiment.Spec) { s.InputTokens, s.Prefix = experiment.Tokens(1000), prefix })
			b.ReportAllocs()
			for k := 0; b.Loop(); k++ {
				p := open(k)
				g.Content(p, g.Entry(p), 0)
			}
		})
	}
}
