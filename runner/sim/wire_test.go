package sim

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files again")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (−want +got):\n%s", name, diff)
	}
}

// The bytes on the wire, whole: what each option changes can be read in the files.
func TestWire(t *testing.T) {
	for _, tc := range []struct {
		name, path, body string
	}{
		{"chat-stream-usage", "/v1/chat/completions", `{"model":"llama-3.1-8b","messages":[{"role":"user","content":"Why is the sky blue?"}],"max_tokens":3,"stream":true,"stream_options":{"include_usage":true}}`},
		{"chat-stream-continuous", "/v1/chat/completions", `{"messages":[{"role":"user","content":"hi"}],"max_completion_tokens":2,"stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}}`},
		{"chat-stream-bare", "/v1/chat/completions", `{"messages":[{"role":"system","content":null},{"role":"user","content":[{"type":"text","text":"hi"}]}],"max_tokens":2,"stream":true}`},
		{"chat-whole", "/v1/chat/completions", `{"messages":[{"role":"user","content":"hi"}],"max_tokens":4,"ignore_eos":true,"seed":1,"stop":["x"],"temperature":0}`},
		{"completion-stream", "/v1/completions", `{"prompt":"one two","max_tokens":2,"stream":true,"stream_options":{"include_usage":true}}`},
		{"completion-whole", "/v1/completions", `{"prompt":[1,2,3],"max_tokens":2}`},
		{"completion-several", "/v1/completions", `{"prompt":["one two","three"],"max_tokens":2,"stream":true,"stream_options":{"include_usage":true}}`},
		{"response-stream", "/v1/responses", `{"input":"hi","instructions":"be short","max_output_tokens":2,"stream":true}`},
		{"response-whole", "/v1/responses", `{"input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]}],"max_output_tokens":2}`},
		{"embedding", "/v1/embeddings", `{"input":["one","two"],"dimensions":3}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, l *lab) {
				resp, err := l.post(context.Background(), tc.path, "req-1", tc.body)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				text, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				head := ""
				for _, name := range []string{"Content-Type", "X-Inferbook-Simulated", "X-Inferbook-Time-Scale", "X-Request-Id", "X-Sim-Queue-Ms", "X-Sim-Prefill-Ms", "X-Sim-Ttft-Ms"} {
					head += name + ": " + resp.Header.Get(name) + "\n"
				}
				// How far a profile may be trusted is no matter of the wire.
				said := strings.ReplaceAll(string(text), l.server.d.Calibration, "checked ±0 %")
				golden(t, tc.name+".txt", head+"\n"+said)
			})
		})
	}
}

func TestRefusals(t *testing.T) {
	inBubble(t, Config{MaxModelLen: 1000}, func(t *testing.T, l *lab) {
		for _, tc := range []struct {
			name, path, body string
			status           int
			want             string // in the message
		}{
			{"a model that is not served", "/v1/chat/completions", `{"model":"gpt-4","messages":[{"content":"hi"}]}`, 404, `"gpt-4" does not exist; this server has "llama-3.1-8b"`},
			{"prompt and output over the context, with both numbers", "/v1/completions", `{"prompt":[` + strings.Repeat("1,", 599) + `1],"max_tokens":401}`, 400, "600 in the prompt and asks for 401"},
			{"a prompt that leaves no room", "/v1/chat/completions", `{"messages":[{"content":"` + strings.Repeat("abcd", 993) + `"}]}`, 400, "1000 in the prompt and asks for 1"},
			{"not JSON", "/v1/chat/completions", `{"messages":`, 400, "not the JSON of a request"},
			{"JSON of another type", "/v1/chat/completions", `{"max_tokens":"ten"}`, 400, "max_tokens"},
			{"no messages", "/v1/chat/completions", `{}`, 400, "messages is empty"},
			{"no prompt", "/v1/completions", `{}`, 400, "prompt is missing"},
			{"an empty prompt", "/v1/completions", `{"prompt":""}`, 400, "prompt is empty"},
			{"a prompt of mixed kinds", "/v1/completions", `{"prompt":["a",1]}`, 400, "prompt is neither"},
			{"an empty prompt among several", "/v1/completions", `{"prompt":["a",""]}`, 400, "prompt is empty"},
			{"a temperature that is a text", "/v1/chat/completions", `{"messages":[{"content":"hi"}],"temperature":"hot"}`, 400, "temperature is a JSON string; it is to be a number"},
			{"a temperature below 0", "/v1/chat/completions", `{"messages":[{"content":"hi"}],"temperature":-1}`, 400, "temperature is -1; it is at least 0"},
			{"a top_p of 0", "/v1/chat/completions", `{"messages":[{"content":"hi"}],"top_p":0}`, 400, "it is over 0 and at most 1"},
			{"half a token", "/v1/chat/completions", `{"messages":[{"content":"hi"}],"max_tokens":1.5}`, 400, "max_tokens is a JSON number 1.5; it is to be a whole number"},
			{"a stop that is a number", "/v1/chat/completions", `{"messages":[{"content":"hi"}],"stop":5}`, 400, "stop is neither"},
			{"more at least than at most", "/v1/chat/completions", `{"messages":[{"content":"hi"}],"max_tokens":5,"min_tokens":6}`, 400, "min_tokens is 6; it is at most max_tokens, which is 5"},
			{"options of a stream without one", "/v1/chat/completions", `{"messages":[{"content":"hi"}],"stream_options":{"include_usage":true}}`, 400, "where stream is true"},
			{"the prompt repeated", "/v1/completions", `{"prompt":"a","echo":true}`, 400, "echo"},
			{"a response without input", "/v1/responses", `{}`, 400, "input is neither"},
			{"an embedding of nothing", "/v1/embeddings", `{}`, 400, "input is missing"},
			{"an embedding in another form", "/v1/embeddings", `{"input":"a","encoding_format":"hex"}`, 400, "float or base64"},
			{"an image", "/v1/chat/completions", `{"messages":[{"content":[{"type":"image_url"}]}]}`, 400, `type "image_url"`},
			{"several choices", "/v1/chat/completions", `{"messages":[{"content":"hi"}],"n":2}`, 400, "n is 2"},
			{"nothing to produce", "/v1/chat/completions", `{"messages":[{"content":"hi"}],"max_tokens":0}`, 400, "max_tokens is 0"},
			{"a number beyond the integers' sum", "/v1/chat/completions", `{"messages":[{"content":"hi"}],"max_tokens":9223372036854775807}`, 400, "the context holds"},
			{"the tokeniser refuses too", "/tokenize", `{"prompt":{}}`, 400, "prompt is neither"},
			{"so does it a wrong type", "/tokenize", `{"model":7}`, 400, "model is a JSON number; it is to be a text"},
		} {
			resp, err := l.post(context.Background(), tc.path, "", tc.body)
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Error struct {
					Message, Type string
					Code          int
				}
			}
			err = json.NewDecoder(resp.Body).Decode(&got)
			resp.Body.Close()
			if err != nil || resp.StatusCode != tc.status || got.Error.Code != tc.status || got.Error.Type == "" || !strings.Contains(got.Error.Message, tc.want) {
				t.Errorf("%s: status %d, %+v (%v); want %d and %q", tc.name, resp.StatusCode, got, err, tc.status, tc.want)
			}
		}
	})
}

func TestClientID(t *testing.T) {
	for _, tc := range []struct{ name, header, want string }{
		{"a plain ID is kept", "exp-1.p2:s_3", "exp-1.p2:s_3"},
		{"one that would break JSON is not", `a"b`, ""},
		{"nor one that would break a path", "a/b", ""},
		{"nor an endless one", strings.Repeat("a", 129), ""},
	} {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("X-Request-Id", tc.header)
		if got := clientID(r); got != tc.want {
			t.Errorf("%s: %q becomes %q, want %q", tc.name, tc.header, got, tc.want)
		}
	}
}

func TestInspection(t *testing.T) {
	inBubble(t, Config{ServedName: "mine"}, func(t *testing.T, l *lab) {
		get := func(path string) (int, string) {
			resp, err := l.client.Get("http://sim" + path)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Header.Get("X-Inferbook-Simulated") != "true" {
				t.Errorf("%s does not say that it is simulated", path)
			}
			return resp.StatusCode, string(text)
		}
		for id := range 2 {
			// The same ID twice: the second gets one of its own.
			if _, err := l.stream("twice", chatBody(100+id, 10)); err != nil {
				t.Fatal(err)
			}
		}
		for _, tc := range []struct {
			path   string
			status int
			want   string
		}{
			{"/v1/models", 200, `"owned_by":"inferbook-simulator"`},
			{"/v1/models", 200, `"id":"mine"`},
			{"/v1/models", 200, `"max_model_len":15552`},
			{"/version", 200, "inferbook-simulator/" + Version()},
			{"/health", 200, ""},
			{"/sim/config", 200, `"kv_tokens":15552`},
			{"/sim/requests/twice", 200, `"prompt_tokens":100`},
			{"/sim/requests/twice-2", 200, `"prompt_tokens":101`},
			{"/sim/requests/never", 404, "there is no request"},
			{"/v1/chat/completions", 405, ""}, // GET
		} {
			if status, text := get(tc.path); status != tc.status || !strings.Contains(text, tc.want) {
				t.Errorf("%s: status %d, %s; want %d and %q", tc.path, status, text, tc.status, tc.want)
			}
		}
		resp, err := l.post(context.Background(), "/tokenize", "", `{"messages":[{"content":"abcde"}]}`)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !strings.Contains(string(text), `"count":9`) { // 2 + 4 + 3
			t.Errorf("/tokenize answers %s, want a count of 9", text)
		}
	})
}

// A parsed request can be served, and a refusal has a client's status.
func FuzzParse(f *testing.F) {
	s, err := NewServer(Config{})
	if err != nil {
		f.Fatal(err)
	}
	for _, body := range []string{
		`{"messages":[{"role":"user","content":"hi"}],"max_tokens":3,"stream":true}`, `{"prompt":[1,2],"max_tokens":3}`,
		`{"prompt":["a"]}`, `{"messages":[{"content":[{"type":"text","text":"x"}]}],"min_tokens":-5}`, `{"max_tokens":-1}`, `[]`, ``,
		`{"messages":[{"content":"hi"}],"stop":["a"," s"]}`, `{"prompt":[[1],[2,3]]}`, `{"input":"a","instructions":"b"}`,
		`{"input":[{"content":[{"type":"input_text","text":"x"}]}]}`, `{"input":["a"],"dimensions":3,"encoding_format":"base64"}`,
	} {
		for kind := chat; kind <= embeddings; kind++ {
			f.Add(body, byte(kind))
		}
	}
	f.Fuzz(func(t *testing.T, body string, of byte) {
		kind := api(of) % (embeddings + 1)
		g, err := s.parse(kind, []byte(body), 0)
		if err != nil {
			var r *refusal
			if !errors.As(err, &r) || r.status < 400 || r.status > 499 {
				t.Fatalf("%q is refused as %v", body, err)
			}
			return
		}
		choices := make([]*choice, len(g.prompts))
		for i := range g.prompts {
			p := &g.prompts[i]
			if p.tokens < 1 || p.output < 1 || p.output > p.limit || p.tokens+p.limit > s.d.MaxModelLen {
				t.Fatalf("%q becomes %+v, which cannot be served", body, p)
			}
			choices[i] = &choice{index: i, prompt: p, final: &Truth{OutputTokens: min(p.output, 50), FinishReason: FinishStop}}
		}
		if text := s.script(&g, calm(), choices, "id").whole(); !json.Valid(text) {
			t.Fatalf("%q is answered with %s, which is not JSON", body, text)
		}
	})
}

// What a token costs the server on the wire, without the network.
func BenchmarkChunk(b *testing.B) {
	s, err := NewServer(Config{})
	if err != nil {
		b.Fatal(err)
	}
	g := generation{api: chat, prompts: []prompt{{content: TextContent("hi"), tokens: 100, shown: -1}}}
	ch := &choice{prompt: &g.prompts[0]}
	c := s.script(&g, calm(), []*choice{ch}, "req-1")
	out := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		out = c.tokens(out[:0], ch, ch.sent+1, false)
	}
	b.SetBytes(int64(len(out)))
}
