package runner

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/dataset"
)

// clientEvent is one event of /responses, with its name beside it as servers send it.
func clientEvent(kind, members string) string {
	if members != "" {
		members = "," + members
	}
	return fmt.Sprintf("event: %s\ndata: {\"type\":%q,\"sequence_number\":1%s}\n\n", kind, kind, members)
}

const (
	clientCreated   = `"response":{"id":"r","object":"response","model":"m","status":"in_progress","error":null,"incomplete_details":null,"output":[],"usage":null}`
	clientUsed      = `"usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":4},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":16}`
	clientCompleted = `"response":{"id":"r","object":"response","model":"m","status":"completed","error":null,"output":[{"type":"message","content":[{"type":"output_text","text":"ab"}]}],` + clientUsed + `}`
)

func TestResponsesStream(t *testing.T) {
	text := func(s string) string {
		return clientEvent("response.output_text.delta", fmt.Sprintf(`"item_id":"i","output_index":0,"content_index":0,"delta":%q,"logprobs":[]`, s))
	}
	opening := clientEvent("response.created", clientCreated) + clientEvent("response.in_progress", clientCreated)
	counts := func(s *experiment.Sample) {
		clientCounts(s, 9, 7)
		s.CachedTokens, s.ReasoningTokens = 4, 5
	}
	for _, row := range []clientBehaviour{
		{name: "text, ended by response.completed with no [DONE]",
			answer: clientSSE(clientAfter(20*ms, opening), clientAfter(10*ms, text("a")), clientAfter(10*ms, text("b")),
				clientAfter(10*ms, clientEvent("response.output_text.done", `"text":"ab"`)+clientEvent("response.completed", clientCompleted))),
			want: func(s *experiment.Sample) { clientTimes(s, 20, []int{30, 40}, 50); counts(s); s.Reads = 4 }, text: "ab"},
		{name: "the socket stays open after response.completed",
			answer: clientCut(clientAfter(20*ms, opening), clientAfter(10*ms, text("a")), clientAfter(10*ms, text("b")), clientAfter(10*ms, clientEvent("response.completed", clientCompleted)), clientPiece{hold: true}),
			want:   func(s *experiment.Sample) { clientTimes(s, 20, []int{30, 40}, 50); counts(s); s.Reads = 4 }, text: "ab"},
		{name: "reasoning, its summary, then a function call",
			answer: clientSSE(clientAfter(20*ms, opening), clientAfter(10*ms, clientEvent("response.reasoning_text.delta", `"delta":"h"`)), clientAfter(10*ms, clientEvent("response.reasoning_summary_text.delta", `"delta":"m"`)),
				clientAfter(10*ms, clientEvent("response.output_item.added", `"item":{"type":"function_call","name":"f","arguments":""}`)), clientAfter(10*ms, clientEvent("response.function_call_arguments.delta", `"delta":"{}"`)),
				clientAfter(10*ms, clientEvent("response.completed", clientCompleted), clientDone)),
			want: func(s *experiment.Sample) {
				clientTimes(s, 20, []int{30, 40, 50, 60}, 70)
				counts(s)
				s.FirstReasoning, s.FirstContent, s.Reads = clientAt(30), clientAt(50), 6
			}, text: "hmf{}"},
		{name: "a refusal is output",
			answer: clientSSE(clientAfter(20*ms, opening, clientEvent("response.refusal.delta", `"delta":"no"`)), clientAfter(10*ms, clientEvent("response.completed", clientCompleted))),
			want:   func(s *experiment.Sample) { clientTimes(s, 20, []int{20}, 30); counts(s); s.Reads = 2 }, text: "no"},
		{name: "the limit ends it",
			answer: clientSSE(clientAfter(20*ms, opening, text("a")), clientAfter(10*ms, clientEvent("response.incomplete", `"response":{"model":"m","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},`+clientUsed+`}`))),
			want: func(s *experiment.Sample) {
				clientTimes(s, 20, []int{20}, 30)
				counts(s)
				s.Finish, s.Reads = "length", 2
			}, text: "a"},
		{name: "the filter ends it",
			answer: clientSSE(clientAfter(20*ms, opening, text("a")), clientAfter(10*ms, clientEvent("response.incomplete", `"response":{"model":"m","status":"incomplete","incomplete_details":{"reason":"content_filter"}}`))),
			want: func(s *experiment.Sample) {
				clientTimes(s, 20, []int{20}, 30)
				s.Finish, s.Reads = "content_filter", 2
			}, text: "a"},
		{name: "13 response.failed",
			answer: clientSSE(clientAfter(20*ms, opening, text("a")), clientAfter(10*ms, clientEvent("response.failed", `"response":{"model":"m","status":"failed","error":{"code":"server_error","message":"out of blocks"}}`))),
			want:   clientFault("out of blocks"), text: "a"},
		{name: "13 event: error",
			answer: clientSSE(clientAfter(20*ms, opening, text("a")), clientAfter(10*ms, clientEvent("error", `"code":"x","message":"out of blocks","param":null`))),
			want:   clientFault("out of blocks"), text: "a"},
		{name: "13 an error by its type alone",
			answer: clientSSE(clientAfter(20*ms, opening, text("a")), clientAfter(10*ms, `data: {"type":"error","code":"x","message":"out of blocks"}`+"\n\n")),
			want:   clientFault("out of blocks"), text: "a"},
		{name: "14 a clean end in the middle",
			answer: clientSSE(clientAfter(20*ms, opening, text("a")), clientAfter(10*ms, text("b")), clientAfter(10*ms, ":\n")),
			want:   clientTruncated("the stream ended after 2 events with text with neither a finish reason nor [DONE]; look whether the server is still up"), text: "ab"},
	} {
		t.Run(row.name, func(t *testing.T) {
			spec := clientSpec()
			spec.Endpoint = experiment.Responses
			server := clientAlways(row.answer...)
			s, _ := clientDo(t, server, spec)
			clientDiff(t, clientWant(func(s *experiment.Sample) { s.OutputHash = textHash([]byte(row.text)); row.want(s) }), s)
			body := server.requests[0]
			if server.paths[0] != "/v1/responses" || gjson.Get(body, "input").Str != clientPrompt || gjson.Get(body, "max_output_tokens").Raw != "128" ||
				gjson.Get(body, "max_tokens").Exists() || gjson.Get(body, "stream_options").Exists() || gjson.Get(body, "ignore_eos").Exists() {
				t.Errorf("%s: %s", server.paths[0], body)
			}
		})
	}
}

// Without streaming the same answer comes in one piece.
func TestResponsesUnstreamed(t *testing.T) {
	spec := clientSpec()
	spec.Endpoint, spec.Stream = experiment.Responses, false
	for _, tt := range []struct {
		name, body string
		outcome    experiment.Outcome
		finish     string
		text       string
	}{
		{"whole", `{"id":"r","object":"response","model":"m","status":"completed","error":null,"output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}]},` +
			`{"type":"message","content":[{"type":"output_text","text":"a"},{"type":"refusal","refusal":"b"}]},{"type":"function_call","name":"f","arguments":"{}"}],` + clientUsed + `}`, experiment.OK, "stop", "hmabf{}"},
		{"failed", `{"object":"response","model":"m","status":"failed","error":{"message":"out of blocks"},"output":[]}`, experiment.HTTPError, "", ""},
		{"of a chat", `{"model":"m","choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}`, experiment.Protocol, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := clientDo(t, clientAlways(clientWhole(200, "", tt.body)...), spec)
			if s.Outcome != tt.outcome || s.Finish != tt.finish || s.OutputHash != textHash([]byte(tt.text)) {
				t.Errorf("%s %s, finish %q", s.Outcome, s.Error, s.Finish)
			}
			if tt.outcome == experiment.OK && (s.PromptTokens != 9 || s.OutputTokens != 7 || s.ReasoningTokens != 5 || s.FirstText().Happened() || s.LastContent != clientAt(20)) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// An embedding has a latency and no first token.
func TestEmbeddings(t *testing.T) {
	spec := clientSpec()
	spec.Endpoint = experiment.Embeddings // and spec.Stream is set, which means nothing here
	for _, tt := range []struct {
		name, body string
		outcome    experiment.Outcome
		prompt     int
		error      string
	}{
		{"numbers", `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-0.2]}],"model":"m","usage":{"prompt_tokens":9,"total_tokens":9}}`, experiment.OK, 9, ""},
		{"base64, no usage", `{"object":"list","data":[{"object":"embedding","index":0,"embedding":"zczMPc3MTL4="}],"model":"m"}`, experiment.OK, experiment.Unknown, ""},
		{"an empty vector", `{"object":"list","data":[{"embedding":[]}],"model":"m"}`, experiment.Protocol, experiment.Unknown, "holds no embedding"},
		{"an error inside a 200", `{"error":{"message":"no such model"}}`, experiment.HTTPError, experiment.Unknown, "no such model"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := clientAlways(clientWhole(200, "", tt.body)...)
			s, _ := clientDo(t, server, spec)
			if s.Outcome != tt.outcome || s.PromptTokens != tt.prompt || !strings.Contains(s.Error, tt.error) {
				t.Errorf("%s, %d prompt tokens: %s", s.Outcome, s.PromptTokens, s.Error)
			}
			if tt.outcome == experiment.OK && (s.Finish != "embedding" || s.OutputTokens != 0 || s.Counted != experiment.CountedNone || s.FirstText().Happened() || s.LastContent != clientAt(20)) {
				t.Errorf("%+v", s)
			}
			var keys []string
			gjson.Parse(server.requests[0]).ForEach(func(k, _ gjson.Result) bool { keys = append(keys, k.Str); return true })
			if server.paths[0] != "/v1/embeddings" || strings.Join(keys, " ") != "input model" {
				t.Errorf("%s %s", server.paths[0], server.requests[0])
			}
		})
	}
}

// The messages before the prompt reach each endpoint in its own form.
func TestHistory(t *testing.T) {
	history := []dataset.Message{{Role: "system", Content: "be brief"}, {Role: "user", Content: "hi"}, {Role: "assistant", Content: "hello"}}
	roles := `["system","user","assistant","user"] ["be brief","hi","hello","tell me"]`
	whole := "be brief\nhi\nhello\ntell me"
	for _, tt := range []struct {
		endpoint          experiment.Endpoint
		first, then, want string
	}{
		{experiment.Chat, "messages.#.role", "messages.#.content", roles},
		{experiment.Responses, "input.#.role", "input.#.content", roles},
		{experiment.Completions, "prompt", "messages", fmt.Sprintf("%q ", whole)},
		{experiment.Embeddings, "input", "messages", fmt.Sprintf("%q ", whole)},
	} {
		server := clientAlways(clientOK()...)
		synctest.Test(t, func(t *testing.T) {
			spec := clientSpec()
			spec.Endpoint = tt.endpoint
			c := clientNew(t, server, spec)
			r := clientRequest()
			r.History = history
			if s := c.Do(t.Context(), time.Now(), r); s.PromptHash != textHash([]byte(whole)) {
				t.Errorf("%s: the hash is not that of the whole", tt.endpoint)
			}
		})
		if got := gjson.Get(server.requests[0], tt.first).Raw + " " + gjson.Get(server.requests[0], tt.then).Raw; got != tt.want {
			t.Errorf("%s: %s", tt.endpoint, got)
		}
	}
}

// A body of a file goes out as it is, with the client's model, limit and streaming.
func TestOwnBody(t *testing.T) {
	const own = `{"model":"theirs","messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"temperature":0.9,"max_completion_tokens":77,"stream":false,"tools":[{"type":"function"}]}`
	for _, tt := range []struct {
		name    string
		limit   int
		whole   bool
		dialect string
		want    map[string]string
	}{
		{"its own limit stays", 0, false, "vllm", map[string]string{"model": `"m"`, "max_completion_tokens": "77", "max_tokens": "", "min_tokens": "77", "ignore_eos": "true",
			"temperature": "0.9", "stream": "true", "stream_options": `{"include_usage":true,"continuous_usage_stats":true}`, "messages.0.content.0.text": `"hi"`, "tools.#": "1"}},
		{"the client's limit replaces it", 5, false, "vllm", map[string]string{"max_completion_tokens": "", "max_tokens": "5", "min_tokens": "5"}},
		{"not streamed", 0, true, "", map[string]string{"stream": "false", "stream_options": ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := clientAlways(clientOK()...)
			synctest.Test(t, func(t *testing.T) {
				spec := clientSpec()
				spec.Stream, spec.Dialect = !tt.whole, tt.dialect
				c := clientNew(t, server, spec)
				r := clientRequest()
				r.Prompt, r.Body, r.MaxTokens = "", []byte(own), tt.limit
				c.Do(t.Context(), time.Now(), r)
			})
			for path, want := range tt.want {
				if got := gjson.Get(server.requests[0], path).Raw; got != want {
					t.Errorf("%s = %s, want %s", path, got, want)
				}
			}
		})
	}
	t.Run("no JSON object", func(t *testing.T) {
		server := clientAlways(clientOK()...)
		synctest.Test(t, func(t *testing.T) {
			c := clientNew(t, server, clientSpec())
			r := clientRequest()
			r.Body = []byte(`[1`)
			s := c.Do(t.Context(), time.Now(), r)
			if s.Outcome != experiment.Refused || !strings.Contains(s.Error, "not a JSON object") || len(server.requests) > 0 {
				t.Errorf("%s: %s", s.Outcome, s.Error)
			}
		})
	})
}

// The key goes where the server looks for it, and the headers go with every request.
func TestHeaders(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*experiment.Spec)
		want   map[string]string
	}{
		{"bearer", func(*experiment.Spec) {}, map[string]string{"Authorization": "Bearer " + clientKey, "Api-Key": ""}},
		{"Azure", func(s *experiment.Spec) {
			s.BaseURL, s.KeyHeader, s.APIVersion = "https://engine.test/openai/deployments/gpt", "api-key", "2024-10-21"
			s.BaseURL = strings.Replace(s.BaseURL, "https", "http", 1)
		}, map[string]string{"Authorization": "", "Api-Key": clientKey, ":path": "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"}},
		{"more headers", func(s *experiment.Spec) {
			s.Headers = map[string]string{"x-team": "lab", "Host": "inner.test", "user-agent": "mine"}
		}, map[string]string{"X-Team": "lab", ":host": "inner.test", "User-Agent": "inferbook"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := map[string]string{}
			server := &clientServer{}
			server.answer = func(_, _ int, r *http.Request, _ string) []clientPiece {
				for name := range tt.want {
					got[name] = r.Header.Get(name)
				}
				for name, value := range map[string]string{":path": r.URL.RequestURI(), ":host": r.Host} {
					if tt.want[name] != "" {
						got[name] = value
					}
				}
				return clientOK()
			}
			spec := clientSpec()
			tt.change(&spec)
			if s, _ := clientDo(t, server, spec); s.Outcome != experiment.OK {
				t.Fatal(s.Error)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// A conversation goes on from the answer's text, without its reasoning.
func TestAsk(t *testing.T) {
	for _, streamed := range []bool{true, false} {
		answer := clientSSE(clientAfter(20*ms, clientEnvelope+`{"index":0,"delta":{"reasoning":"hm"}}]}`+"\n\n", clientText("a "), clientText("b"), clientStop, clientDone))
		if !streamed {
			answer = clientWhole(200, "", `{"model":"m","choices":[{"message":{"reasoning_content":"hm","content":"a b"},"finish_reason":"stop"}]}`)
		}
		synctest.Test(t, func(t *testing.T) {
			spec := clientSpec()
			spec.Stream = streamed
			c := clientNew(t, clientAlways(answer...), spec)
			s, text := c.Ask(t.Context(), time.Now(), clientRequest())
			if text != "a b" || s.Output != "" || s.OutputHash != textHash([]byte("hma b")) {
				t.Errorf("streamed %v: %q, %q", streamed, text, s.Output)
			}
		})
	}
}

// Whatever a server sends as an event of /responses, it is read or refused, and what
// the sample holds of it is consistent.
func FuzzResponse(f *testing.F) {
	f.Add([]byte(`{"type":"response.output_text.delta","delta":"a"}`), []byte(`{"type":"response.completed",`+clientCompleted+`}`))
	f.Add([]byte(`{"type":"response.reasoning_text.delta","delta":["a"]}`), []byte(`{"type":"response.failed","response":{"status":"failed"}}`))
	f.Add([]byte(`{"output":[{"type":"message","content":{"text":1}}],"status":"incomplete"}`), []byte(`{"type":"error"}`))
	f.Add([]byte(`{"type":"response.output_item.added","item":{"type":"mcp_call","name":{}}}`), []byte(`[1]`))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		s := experiment.NewSample(0)
		a := newAnswer(&s, 4)
		a.keep, a.forms.parse = true, parseResponse
		for i, raw := range [][]byte{first, second} {
			progress, ok := a.event(raw, arrival{at: experiment.Instant(i), read: i})
			if progress && !ok {
				t.Errorf("%q is progress and is not understood", raw)
			}
		}
		a.settle("", true)
		if s.Events > 0 && (!s.FirstText().Happened() || len(s.Gaps) != s.Events-1) || s.Events == 0 && len(s.Gaps) > 0 || len(a.content) > len(a.text) {
			t.Errorf("%d events, %d gaps, first text at %d", s.Events, len(s.Gaps), s.FirstText())
		}
	})
}
