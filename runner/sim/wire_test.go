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
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
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
				for _, name := range []string{"Content-Type", "X-Inferbook-Simulated", "X-Request-Id"} {
					head += name + ": " + resp.Header.Get(name) + "\n"
				}
				golden(t, tc.name+".txt", head+"\n"+string(text))
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
			{"no prompt", "/v1/completions", `{}`, 400, "prompt is neither"},
			{"an empty prompt", "/v1/completions", `{"prompt":""}`, 400, "prompt is empty"},
			{"several prompts", "/v1/completions", `{"prompt":["a","b"]}`, 400, "prompt is neither"},
			{"an image", "/v1/chat/completions", `{"messages":[{"content":[{"type":"image_url"}]}]}`, 400, `type "image_url"`},
			{"several choices", "/v1/chat/completions", `{"messages":[{"content":"hi"}],"n":2}`, 400, "n is 2"},
			{"nothing to produce", "/v1/chat/completions", `{"messages":[{"content":"hi"}],"max_tokens":0}`, 400, "max_tokens is 0"},
			{"a number beyond the integers' sum", "/v1/chat/completions", `{"messages":[{"content":"hi"}],"max_tokens":9223372036854775807}`, 400, "the context holds"},
			{"the tokeniser refuses too", "/tokenize", `{"prompt":{}}`, 400, "prompt is neither"},
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

func TestAnswerLength(t *testing.T) {
	s, err := NewServer(Config{MaxModelLen: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name          string
		api           api
		body          string
		limit, output int
	}{
		{"the limit is reached", chat, `{"messages":[{"content":"hi"}],"max_tokens":500}`, 500, 500},
		{"the newer name comes first", chat, `{"messages":[{"content":"hi"}],"max_tokens":500,"max_completion_tokens":7}`, 7, 7},
		{"without a limit it stops by itself", chat, `{"messages":[{"content":"hi"}]}`, 992, 256},
		{"but not before the least asked for", chat, `{"messages":[{"content":"hi"}],"min_tokens":300}`, 992, 300},
		{"and not at all when told to go on", chat, `{"messages":[{"content":"hi"}],"ignore_eos":true}`, 992, 992},
		{"a completion's own default", completion, `{"prompt":"hi"}`, 16, 16},
	} {
		g, err := s.parse(tc.api, []byte(tc.body))
		if err != nil || g.limit != tc.limit || g.output != tc.output {
			t.Errorf("%s: limit %d, output %d (%v); want %d, %d", tc.name, g.limit, g.output, err, tc.limit, tc.output)
		}
	}
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

// Prometheus' own parser reads the metrics, and they agree with the truths.
func TestMetrics(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, l *lab) {
		for i := range 3 {
			if _, err := l.stream("", chatBody(100, 10+i)); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second/10)
		resp, err := l.post(ctx, "/v1/chat/completions", "", chatBody(2000, 100))
		if err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		cancel()
		time.Sleep(time.Second)
		if resp, err = l.client.Get("http://sim/metrics"); err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		parser := expfmt.NewTextParser(model.LegacyValidation)
		got, err := parser.TextToMetricFamilies(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		truths, e2e := l.server.Truths(), 0.0
		for _, tr := range truths {
			if tr.OutputTokens > 0 {
				e2e += tr.E2E().Seconds()
			}
		}
		value := func(name string) float64 {
			f := got[name]
			if f == nil {
				t.Fatalf("there is no %s", name)
			}
			switch m := f.Metric[0]; f.GetType() {
			case dto.MetricType_GAUGE:
				return m.GetGauge().GetValue()
			case dto.MetricType_COUNTER:
				return m.GetCounter().GetValue()
			default:
				return m.GetHistogram().GetSampleSum()
			}
		}
		for name, want := range map[string]float64{
			"inferbook_simulated": 1, "vllm:num_requests_running": 0, "vllm:num_requests_waiting": 0, "vllm:kv_cache_usage_perc": 0,
			"vllm:prompt_tokens_total": 300, "vllm:generation_tokens_total": 33, "vllm:num_preemptions_total": 0,
			"vllm:request_generation_tokens": 33, "vllm:e2e_request_latency_seconds": e2e, "sim_step_lateness_seconds": 0,
			"vllm:cache_config_info": 1,
		} {
			if v := value(name); v < want-1e-9 || v > want+1e-9 {
				t.Errorf("%s is %g, want %g", name, v, want)
			}
		}
		reasons := map[string]float64{}
		for _, m := range got["vllm:request_success_total"].Metric {
			for _, p := range m.Label {
				if p.GetName() == "finished_reason" {
					reasons[p.GetValue()] = m.GetCounter().GetValue()
				}
			}
		}
		if diff := cmp.Diff(map[string]float64{"stop": 0, "length": 3, "abort": 1}, reasons); diff != "" {
			t.Errorf("requests by finish reason (−want +got):\n%s", diff)
		}
		if n := got["vllm:time_to_first_token_seconds"].Metric[0].GetHistogram().GetSampleCount(); n != 3 {
			t.Errorf("%d first tokens, want 3", n)
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
	} {
		f.Add(body, true)
		f.Add(body, false)
	}
	f.Fuzz(func(t *testing.T, body string, isChat bool) {
		kind := completion
		if isChat {
			kind = chat
		}
		g, err := s.parse(kind, []byte(body))
		if err != nil {
			var r *refusal
			if !errors.As(err, &r) || r.status < 400 || r.status > 499 {
				t.Fatalf("%q is refused as %v", body, err)
			}
			return
		}
		if g.prompt < 1 || g.output < 1 || g.output > g.limit || g.prompt+g.limit > s.d.MaxModelLen {
			t.Fatalf("%q becomes %+v, which cannot be served", body, g)
		}
		text := newChunks(g, "id", "a \"model\"", 0).whole(Truth{OutputTokens: min(g.output, 50)}, Account{})
		if !json.Valid(text) {
			t.Fatalf("%q is answered with %s, which is not JSON", body, text)
		}
	})
}

// What a token costs the server on the wire, without the network.
func BenchmarkChunk(b *testing.B) {
	c := newChunks(generation{api: chat, prompt: 100, content: TextContent("hi")}, "req-1", "llama-3.1-8b", 0)
	out := make([]byte, 0, 1024)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		out = c.tokens(out[:0], i+1, i+2)
	}
	b.SetBytes(int64(len(out)))
}
