package sim

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// The tokeniser counts four characters a token, and four and three of template.
func TestContentCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.String(), 1, 4).Draw(t, "texts")
		var messages []Message
		want := answerTokens
		for _, s := range texts {
			n := (utf8.RuneCountInString(s) + 3) / 4
			if got := TextContent(s).Tokens(); got != n {
				t.Fatalf("%q has %d tokens, want %d", s, got, n)
			}
			messages = append(messages, Message{"user", s})
			want += messageTokens + n
		}
		if got := ChatContent(messages).Tokens(); got != want {
			t.Fatalf("%q is %d tokens as a chat, want %d", texts, got, want)
		}
	})
	broken := []Message{{"user", "ab\xff\xfe"}}
	if ChatContent(broken).Answer(0, 9) != ChatContent([]Message{{"user", "ab\uFFFD\uFFFD"}}).Answer(0, 9) || broken[0].Text != "ab\xff\xfe" {
		t.Error("bytes that are no text are not what JSON would make of them")
	}
	if got := TokensContent([]int{1, -2, 3}).Tokens(); got != 3 {
		t.Errorf("three token IDs are %d tokens", got)
	}
}

// A conversation's next prompt begins with the one before and its answer, and
// with nobody else's.
func TestConversationSharesItsKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var history []Message
		for range rapid.IntRange(0, 2).Draw(t, "turns before") {
			history = append(history, Message{rapid.SampledFrom([]string{"user", "system"}).Draw(t, "role"), rapid.String().Draw(t, "text")})
		}
		history = append(history, Message{"user", rapid.String().Draw(t, "question")})
		n, size := rapid.IntRange(1, 100).Draw(t, "answer"), rapid.SampledFrom([]int{1, 2, 16, 32}).Draw(t, "block")
		before := ChatContent(history)
		whole := before.Tokens() + n
		next := ChatContent(append(history, Message{assistant, before.Answer(0, n)}, Message{"user", rapid.String().Draw(t, "next")}))
		if next.Tokens() <= whole {
			t.Fatalf("%d tokens after %d", next.Tokens(), whole)
		}
		a, b, other := chain{content: before}, chain{content: next}, chain{content: ChatContent([]Message{{"user", "another"}})}
		mine := a.keys(before.Tokens(), size)
		if len(mine) != before.Tokens()/size {
			t.Fatalf("%d keys of %d tokens", len(mine), before.Tokens())
		}
		seen := map[uint64]bool{}
		for i, key := range a.keys(whole, size) {
			if b.keys(next.Tokens(), size)[i] != key {
				t.Fatalf("block %d of %d differs in the next turn", i, whole/size)
			}
			if seen[key] {
				t.Fatalf("block %d has the key of another", i)
			}
			seen[key] = true
		}
		for _, key := range other.keys(other.content.Tokens(), size) {
			// The opening of the template is everybody's.
			if seen[key] && size > 3 {
				t.Fatal("another conversation has the same block")
			}
		}
	})
}

// An answer is one token a word, again so when it comes back, and follows from the content.
func TestAnswer(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range words {
		if len(w) != 4 || seen[w] {
			t.Errorf("the word %q is not four bytes, or is there twice", w)
		}
		seen[w] = true
	}
	c := ChatContent([]Message{{"user", "hi"}})
	text := c.Answer(0, 50)
	if got := TextContent(text).Tokens(); got != 50 || text != ChatContent([]Message{{"user", "hi"}}).Answer(0, 20)+c.Answer(20, 50) {
		t.Errorf("an answer of 50 tokens counts %d: %q", got, text)
	}
	if text == ChatContent([]Message{{"user", "ho"}}).Answer(0, 50) || text == TextContent("hi").Answer(0, 50) {
		t.Error("two prompts are answered alike")
	}
	if (&Content{}).Answer(3, 3) != "" {
		t.Error("an answer without tokens has a text")
	}
}

func BenchmarkContent(b *testing.B) {
	for name, text := range map[string]string{"ascii": strings.Repeat("What is it? ", 8334), "greek": strings.Repeat("Τι είναι; ", 10000)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c := chain{content: ChatContent([]Message{{"user", text}})}
				c.keys(c.content.Tokens(), 16)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/100k-characters")
		})
	}
}
