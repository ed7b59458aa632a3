package workload

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

// The vocabulary has to be a byte's worth of different words, all equally long, and
// the words around it have to be as long as the code takes them to be.
func TestVocabulary(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range vocabulary {
		seen[w] = true
		if len(w)+1 != wordRoom {
			t.Errorf("%q is not of %d letters", w, wordRoom-1)
		}
	}
	if len(vocabulary) != 256 || len(seen) != 256 {
		t.Errorf("%d words, %d of them different", len(vocabulary), len(seen))
	}
	for i := range shortWords {
		if len(shortWords[i]) != 3 || len(longWords[i]) != 5 {
			t.Errorf("%q and %q do not take 3 and 5 characters", shortWords[i], longWords[i])
		}
	}
	if n := len(strings.Fields(lead)); len(lead) != n*wordRoom {
		t.Errorf("the lead has %d characters for %d words", len(lead), n)
	}
}

// A text has exactly the characters asked for, is words with one space between them,
// and has a quarter as many words to within a half.
func TestTextLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		chars := rapid.IntRange(ShortestText, 9000).Draw(t, "chars")
		text := Probe(rapid.IntRange(0, 99).Draw(t, "n"), chars, rapid.StringMatching(`[0-9A-Z]{0,26}`).Draw(t, "salt"))
		words := strings.Fields(text)
		if len(text) != chars || strings.Join(words, " ") != text {
			t.Fatalf("%d characters were asked for: %q", chars, text)
		}
		if off := float64(len(words)) - float64(chars+1)/wordRoom; off <= -1 || off >= 1 {
			t.Fatalf("%d words in %d characters", len(words), chars)
		}
	})
}

func TestShortTextsAreExact(t *testing.T) {
	for chars := ShortestText; chars < 400; chars++ {
		if text := Probe(1, chars, "s"); len(text) != chars {
			t.Errorf("%d characters in place of %d: %q", len(text), chars, text)
		}
	}
	if text := Probe(1, 3, "s"); len(text) != ShortestText {
		t.Errorf("a probe without room for its beginning has %d characters", len(text))
	}
}

// Words of one length must not make the number of words a step of the length: what is
// above and below the wanted number evens out.
func TestPartsOfWordsEvenOut(t *testing.T) {
	for chars := 200; chars < 204; chars++ {
		words, n := 0, 4000
		for i := range n {
			words += len(strings.Fields(Probe(i, chars, "s")))
		}
		if mean, want := float64(words)/float64(n), float64(chars+1)/wordRoom; mean < want-0.03 || mean > want+0.03 { // 4 σ
			t.Errorf("texts worth %.2f words have %.3f on average", want, mean)
		}
	}
}

// A prompt asks for a long answer where it has room for that, and so does a probe.
func TestLead(t *testing.T) {
	for _, c := range []struct {
		tokens int
		want   bool
	}{{10, false}, {16, false}, {17, true}, {4000, true}} {
		g := generator(t, Config{}, func(s *experiment.Spec) { s.InputTokens, s.Jitter = experiment.Tokens(c.tokens), 0 })
		if got := strings.Contains(g.Content(open(0), g.Entry(open(0)), 0).Prompt, lead); got != c.want {
			t.Errorf("a prompt of %d tokens asks for a long answer: %t", c.tokens, got)
		}
	}
	if !strings.Contains(Probe(0, 9000, ""), lead) {
		t.Error("a probe does not ask for a long answer, as prompts do")
	}
}
