package runner

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/inferbook/inferbook/experiment"
)

// clientRead is a chunk that can be compared.
type clientRead struct {
	Reasoning, Content, Finish, Model, Fingerprint, Server string
	Prompt, Output, Cached, Thought, Tokens, CachedBeside  int
	Progress, OK                                           bool
}

func clientReadOf(c chunk, ok bool) clientRead {
	if !ok {
		return clientRead{}
	}
	return clientRead{
		string(c.reasoning), string(c.content), c.finish, c.model, c.fingerprint, c.server,
		c.usage.prompt, c.usage.output, c.usage.cached, c.usage.reasoning, c.tokens, c.cached, c.progress, ok,
	}
}

// Servers put the same things in different places.
func TestClassify(t *testing.T) {
	blank := clientRead{Prompt: -1, Output: -1, Cached: -1, Thought: -1, Tokens: -1, CachedBeside: -1, OK: true}
	for _, row := range []struct {
		name, raw string
		want      func(*clientRead)
	}{
		{"content", `{"choices":[{"delta":{"content":"a"}}]}`, func(r *clientRead) { r.Content = "a" }},
		{"text of completions", `{"choices":[{"text":"a"}]}`, func(r *clientRead) { r.Content = "a" }},
		{"an escape", `{"choices":[{"delta":{"content":"\n\u00e9\ud83d\ude00"}}]}`, func(r *clientRead) { r.Content = "\né😀" }},
		{"a refusal is output", `{"choices":[{"delta":{"refusal":"no"}}]}`, func(r *clientRead) { r.Content = "no" }},
		{"a function call of old", `{"choices":[{"delta":{"function_call":{"name":"f","arguments":"{"}}}]}`, func(r *clientRead) { r.Content = "f{" }},
		// The names of fields inside a text are text.
		{"text that looks like fields", `{"choices":[{"delta":{"reasoning":"\"content\":\"x\",\"finish_reason\":\"stop\""}}]}`,
			func(r *clientRead) { r.Reasoning = `"content":"x","finish_reason":"stop"` }},
		{"usage in the choice, as Moonshot sends it", `{"choices":[{"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":9,"completion_tokens":2}}]}`,
			func(r *clientRead) { r.Finish, r.Prompt, r.Output = "stop", 9, 2 }},
		{"usage in x_groq", `{"choices":[],"x_groq":{"id":"r","usage":{"prompt_tokens":9,"completion_tokens":2}}}`, func(r *clientRead) { r.Prompt, r.Output = 9, 2 }},
		{"cache hits as DeepSeek names them", `{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_cache_hit_tokens":8}}`,
			func(r *clientRead) { r.Prompt, r.Output, r.Cached = 9, 2, 8 }},
		{"null where objects may be", `{"choices":[{"delta":{"content":null,"tool_calls":null},"finish_reason":null,"token_ids":null}],"usage":null,"timings":null}`,
			func(r *clientRead) {}},
		{"Ollama's durations", `{"model":"m","total_duration":5,"choices":[],"eval_count":2}`,
			func(r *clientRead) { r.Model, r.Server = "m", `{"total_duration":5,"eval_count":2}` }},
		{"SGLang's cache count", `{"choices":[],"meta_info":{"cached_tokens":0}}`, func(r *clientRead) { r.CachedBeside = 0 }},
		{"counts that are no numbers", `{"choices":[],"usage":{"prompt_tokens":"9","completion_tokens":-1}}`, func(r *clientRead) {}},
		{"choices that are no list of objects", `{"choices":["a",3]}`, func(r *clientRead) {}},
		{"an array", `[1]`, func(r *clientRead) { *r = clientRead{} }},
		{"a cut object", `{"choices":[{"delta":{"content":"a"}}`, func(r *clientRead) { *r = clientRead{} }},
	} {
		t.Run(row.name, func(t *testing.T) {
			want := blank
			row.want(&want)
			var f classifier
			c, ok := f.classify([]byte(row.raw))
			if d := cmp.Diff(want, clientReadOf(c, ok)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// The short cut is taken in the ordinary stream, or it would be of no use.
func TestClassifyShortCut(t *testing.T) {
	parsed := 0
	f := classifier{parse: func(raw []byte) (chunk, varying, bool) {
		parsed++
		return parseChunk(raw)
	}}
	for _, usage := range []bool{false, true} {
		for i, text := range []string{"a", " b", "é", `"content":`, "", "c", "\n", "d"} {
			raw := strings.TrimSpace(strings.TrimPrefix(clientText(text), "data: "))
			if usage { // as vLLM and SGLang count, from one digit to two
				raw = fmt.Sprintf(`%s,"usage":{"prompt_tokens":12,"total_tokens":%d,"completion_tokens":%d,"prompt_tokens_details":null}}`,
					strings.TrimSuffix(raw, "}"), 18+i, 6+i)
			}
			before := parsed
			c, ok := f.classify([]byte(raw))
			if !ok || string(c.content) != text || c.model != "m" || usage && (c.usage.output != 6+i || c.usage.prompt != 12) {
				t.Errorf("%q: content %q, model %q, usage %v", text, c.content, c.model, c.usage)
			}
			if short := parsed == before; short != (i == 1 || i == 2 || i == 7) {
				t.Errorf("%q: short cut %v", text, short)
			}
		}
	}
}

// With whatever form in mind, the classifier says what the JSON says.
func FuzzClassify(f *testing.F) {
	chat, comp := `{"id":"x","choices":[{"index":0,"delta":{"content":%q},"finish_reason":null}],"usage":null}`, `{"choices":[{"text":%q}],"model":"m"}`
	f.Add(fmt.Sprintf(chat, "a"), fmt.Sprintf(chat, "b"))
	f.Add(fmt.Sprintf(chat, "a"), fmt.Sprintf(chat, `","finish_reason":"stop`))
	f.Add(fmt.Sprintf(comp, "aa"), fmt.Sprintf(comp, ""))
	counted := `{"choices":[{"delta":{"content":%q}}],"usage":{"prompt_tokens":%d,"total_tokens":9,"completion_tokens":%s}}`
	f.Add(fmt.Sprintf(counted, "a", 1, "2"), fmt.Sprintf(counted, "b", 10, "33"))
	f.Add(fmt.Sprintf(counted, "a", 1, "2"), fmt.Sprintf(counted, "b", 1, "-2"))
	f.Add(fmt.Sprintf(counted, "a", 1, "2"), fmt.Sprintf(counted, "b", 1, "02"))
	f.Add(fmt.Sprintf(counted, "a", 1, "2"), fmt.Sprintf(counted, "b", 1, "1234567890123456"))
	f.Add(fmt.Sprintf(counted, "a", 1, `2,"completion_tokens":3`), fmt.Sprintf(counted, "b", 1, `4,"completion_tokens":5`))
	f.Add(`{"usage":{"completion_tokens":1},"choices":[{"delta":{"content":"a"}}],"usage":{"completion_tokens":2}}`,
		`{"usage":{"completion_tokens":1},"choices":[{"delta":{"content":"b"}}],"usage":{"completion_tokens":3}}`)
	f.Add(`{"choices":[{"delta":{"content":"a","reasoning":"a"}}]}`, `{"choices":[{"delta":{"content":"b","reasoning":"a"}}]}`)
	f.Add(`{"choices":[{"delta":{"content":"a"},"delta":{"content":""}}]}`, `{"choices":[{"delta":{"content":"b"},"delta":{"content":""}}]}`)
	f.Add(fmt.Sprintf(chat, "a"), fmt.Sprintf(chat, "a")[:20])
	f.Add(`{"choices":[{"delta":{"reasoning":"a","content":""}}]}`, `{"choices":[{"delta":{"reasoning":"b","content":""}}]}`)
	f.Add(` {"choices":[{"delta":{"content":"a"}}]}`, ` {"choices":[{"delta":{"content":"bcd"}}]}`)
	f.Fuzz(func(t *testing.T, form, raw string) {
		var c classifier
		c.classify([]byte(form))
		got, ok := c.classify([]byte(raw))
		want, _, wantOK := parseChunk([]byte(raw))
		if d := cmp.Diff(clientReadOf(want, wantOK), clientReadOf(got, ok)); d != "" {
			t.Errorf("after %q, %q (-parsed +got):\n%s", form, raw, d)
		}
		// The same form with another plain text must be recognised too.
		text := strings.Map(func(r rune) rune {
			if r < ' ' || r == '"' || r == '\\' {
				return -1
			}
			return r
		}, raw)
		if c = (classifier{}); text != "" {
			c.classify([]byte(form))
			if len(c.form.head) > 0 {
				doc := string(c.form.head) + text + string(c.form.tail)
				for i := len(c.form.counts) - 1; i >= 0; i-- {
					n, at := c.form.counts[i], len(c.form.head)+len(text)
					doc = doc[:at+n.from] + fmt.Sprint(len(raw)) + doc[at+n.to:]
				}
				got, ok := c.classify([]byte(doc))
				want, _, wantOK := parseChunk([]byte(doc))
				if d := cmp.Diff(clientReadOf(want, wantOK), clientReadOf(got, ok)); d != "" || !gjson.Valid(doc) {
					t.Errorf("form %q, document %q (-parsed +got):\n%s", form, doc, d)
				}
			}
		}
	})
}

// Tokens per event come only from servers that tell them for every event.
func TestTally(t *testing.T) {
	type step struct {
		tokens     int
		told, text bool
	}
	for _, row := range []struct {
		name  string
		steps []step
		want  []int32 // nil = incomplete
	}{
		{"one each", []step{{1, true, true}, {1, true, true}}, []int32{1, 1}},
		{"tokens without text go to the next text", []step{{1, true, true}, {2, true, false}, {1, true, true}}, []int32{1, 3}},
		{"text without tokens", []step{{3, true, true}, {0, true, true}}, []int32{3, 0}},
		{"one did not tell", []step{{1, true, true}, {0, false, true}}, nil},
		{"a count that fell", []step{{3, true, true}, {-2, true, true}}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			var tl tally
			events := 0
			for _, s := range row.steps {
				tl.add(s.tokens, s.told, s.text)
				if s.text {
					events++
				}
			}
			if got := tl.complete(events, 2); got != (row.want != nil) || got && !cmp.Equal(row.want, tl.at) {
				t.Errorf("complete %v: %v", got, tl.at)
			}
		})
	}
}

// What a server says of its own timing is kept up to a limit.
func TestServerTimingLimit(t *testing.T) {
	for _, n := range []int{10, serverLimit} {
		s := experiment.NewSample(0)
		a := newAnswer(&s, 1)
		a.event(fmt.Appendf(nil, `{"choices":[],"sim":{"x":"%s"}}`, strings.Repeat("y", n)), arrival{})
		if kept := s.Server != ""; kept != (n < serverLimit) {
			t.Errorf("%d bytes kept: %v", n, kept)
		}
	}
}
