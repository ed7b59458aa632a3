package runner

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/probe"
)

// What the probe recognises, the client knows how to speak to.
func TestDialectsAreThoseOfTheProbe(t *testing.T) {
	if d := cmp.Diff(probe.Dialects(), Dialects()); d != "" {
		t.Error(d)
	}
	for _, c := range conventions {
		if c.limit != maxTokens && c.limit != maxCompletionTokens || c.quirk == "" && c.name != generic {
			t.Errorf("the row of %s is not whole: %+v", c.name, c)
		}
	}
}

func TestConventionFor(t *testing.T) {
	for _, tt := range []struct{ named, detected, want string }{
		{"", "", generic}, {"auto", "vllm", "vllm"}, {"", "sglang", "sglang"},
		{"tgi", "vllm", "tgi"},             // a person knows better
		{"auto", "some-engine", generic},   // a newer probe than this table
		{"ollama ", "", ""}, {"x", "", ""}, // refused
	} {
		c, err := conventionFor(tt.named, tt.detected)
		switch {
		case tt.want == "" && (err == nil || !strings.Contains(err.Error(), "auto or one of vllm, sglang")):
			t.Errorf("%q gives %v", tt.named, err)
		case tt.want != "" && (err != nil || c.name != tt.want):
			t.Errorf("%q and %q give %v, %v", tt.named, tt.detected, c, err)
		}
	}
}

// clientAs asks once in a dialect, and gives the sample, the client and the bodies sent.
func clientAs(t *testing.T, dialect string, server *clientServer, change func(*experiment.Spec)) (s experiment.Sample, control string, fallbacks []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		spec := clientSpec()
		if change != nil {
			change(&spec)
		}
		c, err := NewClient(ClientConfig{Spec: spec, Detected: dialect, Key: clientKey, MaxConns: 2, Dial: server.dial})
		if err != nil {
			t.Fatal(err)
		}
		s = c.Do(t.Context(), time.Now(), clientRequest())
		control, fallbacks = c.OutputControl(), c.Fallbacks()
		c.Close()
		server.running.Wait()
	})
	return s, control, fallbacks
}

// Rows 6, 19 and 20 of the catalogue of streaming behaviours: each dialect is asked
// in its own words from the first request on.
func TestDialectRequests(t *testing.T) {
	const forced = `{"ignore_eos":true,"min_tokens":128}`
	for _, tt := range []struct {
		dialect, limit, forced, continuous, control string
	}{
		{"vllm", maxTokens, forced, "true", "ignore_eos and min_tokens accepted"},
		{"sglang", maxTokens, forced, "true", "ignore_eos and min_tokens accepted"},
		{"trtllm", maxTokens, forced, "true", "ignore_eos and min_tokens accepted"},
		{"nim", maxTokens, forced, "", "ignore_eos and min_tokens accepted"},
		{"tgi", maxTokens, `{}`, "", "answers end where the model stops, since tgi has no field that forces their length"},
		{"llama.cpp", maxTokens, `{"ignore_eos":true}`, "", "ignore_eos accepted"},
		{"ollama", maxTokens, `{}`, "", "answers end where the model stops, since ollama has no field that forces their length"},
		{"hf", maxTokens, `{}`, "", "answers end where the model stops, since hf has no field that forces their length"},
		{"databricks", maxTokens, `{"ignore_eos":true}`, "", "ignore_eos accepted"},
		{"azure", maxCompletionTokens, `{"ignore_eos":true}`, "", "ignore_eos accepted"},
		{"openai", maxCompletionTokens, `{"ignore_eos":true}`, "", "ignore_eos accepted"},
		{"generic", maxTokens, `{"ignore_eos":true}`, "", "ignore_eos accepted"},
	} {
		t.Run(tt.dialect, func(t *testing.T) {
			server := clientAlways(clientOK()...)
			s, control, fallbacks := clientAs(t, tt.dialect, server, nil)
			body := server.requests[0]
			if s.Outcome != experiment.OK || len(server.requests) != 1 || len(fallbacks) > 0 || control != tt.control {
				t.Errorf("%s %s after %d requests: %q, %q", s.Outcome, s.Error, len(server.requests), control, fallbacks)
			}
			var parts []string
			for _, f := range []string{ignoreEOS, minTokens, "min_new_tokens"} {
				if v := gjson.Get(body, f); v.Exists() {
					parts = append(parts, fmt.Sprintf("%q:%s", f, v.Raw))
				}
			}
			if got := "{" + strings.Join(parts, ",") + "}"; got != tt.forced {
				t.Errorf("forced by %s, want %s", got, tt.forced)
			}
			for _, limit := range limits {
				if got := gjson.Get(body, limit).Raw; (got == "128") != (limit == tt.limit) {
					t.Errorf("%s is %q", limit, got)
				}
			}
			if got := gjson.Get(body, "stream_options.continuous_usage_stats").Raw; got != tt.continuous || !gjson.Get(body, "stream_options.include_usage").Bool() {
				t.Errorf("stream_options are %s", gjson.Get(body, "stream_options").Raw)
			}
		})
	}
}

// Row 19: what a server refuses by name is left out from then on, and said; with
// ignore_eos on it is an error, and off it is not sent at all.
func TestIgnoreEOS(t *testing.T) {
	refusing := func(refusals ...string) *clientServer { // pairs of a field and what is said of it
		return &clientServer{answer: func(_, _ int, _ *http.Request, body string) []clientPiece {
			for i := 0; i < len(refusals); i += 2 {
				if gjson.Get(body, refusals[i]).Exists() {
					return clientRefusal(400, refusals[i+1])
				}
			}
			return clientOK()
		}}
	}
	openAI := []string{ignoreEOS, `{"error":{"message":"Unrecognized request argument supplied: ignore_eos","type":"invalid_request_error","param":null,"code":null}}`}
	for _, tt := range []struct {
		name, dialect, ignore string
		server                *clientServer
		outcome               experiment.Outcome
		requests              int
		control               string
		fallbacks             []string
	}{
		{"OpenAI refuses it", "openai", "", refusing(openAI...), experiment.OK, 2,
			"ignore_eos refused, answers end where the model stops", []string{"ignore_eos refused, answers end where the model stops"}},
		{"on: a refusal is an error", "openai", "on", refusing(openAI...), experiment.HTTPError, 1, "ignore_eos sent, no answer yet", nil},
		{"off: it is not sent", "vllm", "off", refusing(openAI...), experiment.OK, 1, "answers end where the model stops, as ignore_eos: off asks", nil},
		{"on, where the dialect has no field", "ollama", "on", clientAlways(clientOK()...), experiment.OK, 1, "ignore_eos accepted", nil},
		// A validator that lists the fields it knows names the refused one first.
		{"min_tokens alone is refused", "vllm", "", refusing(minTokens, `{"detail":"unknown field `+"`min_tokens`, expected one of `model`, `messages`, `ignore_eos`"+`"}`),
			experiment.OK, 2, "ignore_eos accepted", []string{"min_tokens refused, answers end where the model stops"}},
		{"transformers serve names both at once", "vllm", "", refusing(
			minTokens, `{"detail":"Unexpected keys in the request: {'min_tokens', 'ignore_eos'}"}`, ignoreEOS, `{"detail":"Unexpected keys in the request: {'ignore_eos'}"}`),
			experiment.OK, 3, "ignore_eos and min_tokens refused, answers end where the model stops",
			[]string{"min_tokens refused, answers end where the model stops", "ignore_eos refused, answers end where the model stops"}},
		{"continuous usage is refused", "vllm", "", refusing("stream_options.continuous_usage_stats", `{"detail":[{"loc":["body","stream_options","continuous_usage_stats"],"msg":"Extra inputs are not permitted"}]}`),
			experiment.OK, 2, "ignore_eos and min_tokens accepted", nil},
		{"max_completion_tokens is too new", "azure", "off", refusing(maxCompletionTokens, `{"error":{"message":"Unrecognized request argument supplied: max_completion_tokens"}}`),
			experiment.OK, 2, "answers end where the model stops, as ignore_eos: off asks", []string{"max_tokens used"}},
		{"a server that refuses both names ends in an error", "azure", "off", refusing(maxCompletionTokens, `{"error":{"message":"Unrecognized request argument supplied: max_completion_tokens"}}`,
			maxTokens, `{"error":{"message":"Unsupported parameter: use max_completion_tokens instead"}}`), experiment.HTTPError, 2, "answers end where the model stops, as ignore_eos: off asks", []string{"max_tokens used"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, control, fallbacks := clientAs(t, tt.dialect, tt.server, func(s *experiment.Spec) { s.IgnoreEOS = tt.ignore })
			if s.Outcome != tt.outcome || len(tt.server.requests) != tt.requests || control != tt.control {
				t.Errorf("%s %s after %d requests: %q", s.Outcome, s.Error, len(tt.server.requests), control)
			}
			if d := cmp.Diff(tt.fallbacks, fallbacks); d != "" {
				t.Error(d)
			}
		})
	}
}

// A person's own field goes before the client's, and is named as theirs.
func TestIgnoreEOSAsExtra(t *testing.T) {
	server := clientAlways(clientOK()...)
	_, control, _ := clientAs(t, "vllm", server, func(s *experiment.Spec) { s.Extra = map[string]any{"ignore_eos": false} })
	if got := gjson.Get(server.requests[0], ignoreEOS).Raw; got != "false" || control != "ignore_eos and min_tokens accepted" {
		t.Errorf("ignore_eos is %s: %q", got, control)
	}
}

// One stream a dialect, as the server of that name sends it; the numbers are rows
// of the catalogue of streaming behaviours.
func TestDialectStreams(t *testing.T) {
	chunk := func(members string) string {
		return `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",` + members + `}` + "\n\n"
	}
	delta := func(members, more string) string {
		return chunk(`"choices":[{"index":0,"delta":{` + members + `},"logprobs":null,"finish_reason":null}]` + more)
	}
	type facts struct {
		Events, Prompt, Output, Cached, Reasoning int
		Counted                                   experiment.Counted
		Finish                                    string
		FirstReasoning, FirstContent              int // ms; −1 = none
		TokensAt                                  []int32
		Server                                    string
	}
	const u = experiment.Unknown
	done := "data: [DONE]\n\n"
	for _, tt := range []struct {
		name, dialect string
		endpoint      experiment.Endpoint
		pieces        []string // one each 10 ms, the first at 10
		want          facts
	}{
		{"1, 2, 3, 6 vLLM: role, reasoning, continuous usage", "vllm", experiment.Chat, []string{
			delta(`"role":"assistant","content":""`, `,"usage":{"prompt_tokens":9,"total_tokens":9,"completion_tokens":0}`),
			delta(`"reasoning":"hm"`, `,"usage":{"prompt_tokens":9,"total_tokens":10,"completion_tokens":1}`),
			delta(`"content":"a b"`, `,"usage":{"prompt_tokens":9,"total_tokens":12,"completion_tokens":3}`),
			chunk(`"choices":[{"index":0,"delta":{"content":""},"finish_reason":"length","stop_reason":null,"token_ids":null}],"usage":{"prompt_tokens":9,"total_tokens":12,"completion_tokens":3}`),
			chunk(`"choices":[],"usage":{"prompt_tokens":9,"total_tokens":12,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":8}}`) + done,
		}, facts{2, 9, 3, 8, u, experiment.CountedContinuous, "length", 20, 30, []int32{1, 2}, ""}},
		{"21 vLLM: a tool call", "vllm", experiment.Chat, []string{
			delta(`"role":"assistant","content":null,"tool_calls":null`, ""),
			delta(`"tool_calls":[{"id":"t1","type":"function","index":0,"function":{"name":"get_weather"}}]`, ""),
			delta(`"tool_calls":[{"index":0,"function":{"arguments":"{\"city\""}}]`, ""),
			delta(`"tool_calls":[{"index":0,"function":{"arguments":":\"Oslo\"}"}}]`, ""),
			chunk(`"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]`) + chunk(`"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12}`) + done,
		}, facts{3, 9, 12, u, u, experiment.CountedUsage, "tool_calls", -1, 20, nil, ""}},
		{"2, 22 SGLang: reasoning_content beside null, reasoning tokens", "sglang", experiment.Chat, []string{
			delta(`"role":"assistant","content":"","reasoning_content":null,"tool_calls":null`, `,"usage":null`),
			delta(`"role":null,"content":null,"reasoning_content":"hm","tool_calls":null`, `,"usage":null`),
			delta(`"role":null,"content":"a","reasoning_content":null,"tool_calls":null`, `,"usage":null`),
			chunk(`"choices":[{"index":0,"delta":{"role":null,"content":null,"reasoning_content":null,"tool_calls":null},"finish_reason":"stop","matched_stop":128009}],"usage":null`),
			chunk(`"choices":[],"usage":{"prompt_tokens":9,"total_tokens":12,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":1},"reasoning_tokens":1}`) + done,
		}, facts{2, 9, 3, 1, 1, experiment.CountedUsage, "stop", 20, 30, nil, ""}},
		{"8 trtllm-serve: several tokens an event", "trtllm", experiment.Chat, []string{
			delta(`"role":"assistant","content":null,"reasoning_content":null,"tool_calls":[]`, ""),
			delta(`"role":null,"content":"a b c","reasoning_content":null,"tool_calls":[]`, ""),
			chunk(`"choices":[{"index":0,"delta":{"role":null,"content":"","reasoning_content":null,"tool_calls":[]},"finish_reason":"length","stop_reason":null,"disaggregated_params":null}]`) +
				chunk(`"choices":[],"usage":{"prompt_tokens":9,"total_tokens":13,"completion_tokens":4}`) + done,
		}, facts{1, 9, 4, u, u, experiment.CountedUsage, "length", -1, 20, nil, ""}},
		{"3 NIM: as its engine", "nim", experiment.Completions, []string{
			`data: {"id":"cmpl-1","object":"text_completion","model":"m","choices":[{"index":0,"text":"a","logprobs":null,"finish_reason":null,"stop_reason":null}]}` + "\n\n",
			`data: {"id":"cmpl-1","object":"text_completion","model":"m","choices":[{"index":0,"text":" b","logprobs":null,"finish_reason":"length","stop_reason":null}]}` + "\n\n" +
				`data: {"id":"cmpl-1","object":"text_completion","model":"m","choices":[],"usage":{"prompt_tokens":9,"total_tokens":11,"completion_tokens":2}}` + "\n\n" + done,
		}, facts{2, 9, 2, u, u, experiment.CountedUsage, "length", -1, 10, nil, ""}},
		{"4, 11 TGI: no space after data:, usage in a chunk with a choice", "tgi", experiment.Chat, []string{
			`data:{"object":"chat.completion.chunk","id":"","created":1,"model":"m","system_fingerprint":"3.3.4-sha","choices":[{"index":0,"delta":{"role":"assistant","content":"a"},"logprobs":null,"finish_reason":null}],"usage":null}` + "\n\n",
			`data:{"object":"chat.completion.chunk","id":"","created":1,"model":"m","system_fingerprint":"3.3.4-sha","choices":[{"index":0,"delta":{"role":"assistant","content":" b"},"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}` + "\n\n" + "data: [DONE]\n\n",
		}, facts{2, 9, 2, u, u, experiment.CountedUsage, "length", -1, 10, nil, ""}},
		{"TGI: a tool call is an object, not a list", "tgi", experiment.Chat, []string{
			`data:{"object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","tool_calls":{"index":0,"id":"","type":"function","function":{"name":"f","arguments":"{\"a\""}}},"finish_reason":null}]}` + "\n\n",
			`data:{"object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","tool_calls":{"index":0,"id":"","type":"function","function":{"name":null,"arguments":":1}"}}},"finish_reason":"eos_token"}]}` + "\n\ndata: [DONE]\n\n",
		}, facts{2, u, 2, u, u, experiment.CountedEvents, "eos_token", -1, 10, nil, ""}},
		{"23 llama.cpp: progress, then timings", "llama.cpp", experiment.Chat, []string{
			chunk(`"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"prompt_progress":{"total":9,"cache":0,"processed":5,"time_ms":4}`),
			chunk(`"choices":[{"finish_reason":null,"index":0,"delta":{"content":"a"}}]`),
			chunk(`"choices":[{"finish_reason":"length","index":0,"delta":{}}]`),
			chunk(`"choices":[],"usage":{"completion_tokens":1,"prompt_tokens":9,"total_tokens":10},"timings":{"cache_n":4,"prompt_n":5,"prompt_ms":8.5,"predicted_n":1}`) + done,
		}, facts{1, 9, 1, 4, u, experiment.CountedUsage, "length", -1, 20, nil, `{"cache_n":4,"prompt_n":5,"prompt_ms":8.5,"predicted_n":1}`}},
		{"7, 17 Ollama completions: zeros until the last", "ollama", experiment.Completions, []string{
			`data: {"id":"cmpl-1","object":"text_completion","created":1,"choices":[{"text":"a","index":0,"finish_reason":null}],"model":"m","system_fingerprint":"fp_ollama","usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}` + "\n\n",
			`data: {"id":"cmpl-1","object":"text_completion","created":1,"choices":[{"text":"","index":0,"finish_reason":"length"}],"model":"m","system_fingerprint":"fp_ollama","usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}` + "\n\n" +
				`data: {"id":"cmpl-1","object":"text_completion","created":1,"choices":[],"model":"m","system_fingerprint":"fp_ollama","usage":{"prompt_tokens":31,"completion_tokens":1,"total_tokens":32}}` + "\n\n" + done,
		}, facts{1, 31, 1, u, u, experiment.CountedUsage, "length", -1, 10, nil, ""}},
		{"2 Ollama: reasoning beside an empty content", "ollama", experiment.Chat, []string{
			delta(`"role":"assistant","content":"","reasoning":"hm"`, ""), delta(`"role":"assistant","content":"a"`, ""),
			chunk(`"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]`) + chunk(`"choices":[],"usage":{"prompt_tokens":46,"completion_tokens":3}`) + done,
		}, facts{2, 46, 3, u, u, experiment.CountedUsage, "stop", 10, 20, nil, ""}},
		{"5, 15 transformers serve: no usage and no [DONE]", "hf", experiment.Chat, []string{
			chunk(`"choices":[{"delta":{"role":"assistant"},"index":0}],"system_fingerprint":""`),
			chunk(`"choices":[{"delta":{"content":"a"},"index":0}],"system_fingerprint":""`),
			chunk(`"choices":[{"delta":{},"finish_reason":"stop","index":0}],"system_fingerprint":""`),
		}, facts{1, u, 1, u, u, experiment.CountedEvents, "stop", -1, 20, nil, ""}},
		{"4 Databricks: usage on each chunk", "databricks", experiment.Chat, []string{
			chunk(`"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":{"prompt_tokens":9,"completion_tokens":0,"total_tokens":9}`),
			chunk(`"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}`),
			chunk(`"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":null}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}`),
			chunk(`"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}`) + done,
		}, facts{2, 9, 2, u, u, experiment.CountedContinuous, "stop", -1, 20, []int32{1, 1}, ""}},
		{"11, 18 Azure: filter results first, carriage returns", "azure", experiment.Chat, []string{
			"data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\",\"prompt_filter_results\":[{\"prompt_index\":0,\"content_filter_results\":{\"hate\":{\"filtered\":false,\"severity\":\"safe\"}}}]}\r\n\r\n",
			strings.ReplaceAll(chunk(`"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,"role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"usage":null`), "\n\n", "\r\n\r\n"),
			strings.ReplaceAll(chunk(`"choices":[{"content_filter_results":{"hate":{"filtered":false}},"delta":{"content":"a block of text"},"finish_reason":null,"index":0}],"usage":null`), "\n\n", "\r\n\r\n"),
			strings.ReplaceAll(chunk(`"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"stop","index":0}],"usage":null`)+
				chunk(`"choices":[],"usage":{"completion_tokens":4,"prompt_tokens":9,"total_tokens":13,"completion_tokens_details":{"reasoning_tokens":0},"prompt_tokens_details":{"audio_tokens":0,"cached_tokens":0}}`)+done, "\n\n", "\r\n\r\n"),
		}, facts{1, 9, 4, 0, 0, experiment.CountedUsage, "stop", -1, 30, nil, ""}},
		{"3, 20 OpenAI: padding beside the chunk", "openai", experiment.Chat, []string{
			chunk(`"service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}],"usage":null,"obfuscation":"Zq"`),
			chunk(`"service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"usage":null,"obfuscation":"x7\"},\"content\":\"n"`),
			chunk(`"service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{},"finish_reason":"length"}],"usage":null,"obfuscation":"k"`) +
				chunk(`"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":65,"completion_tokens_details":{"reasoning_tokens":64},"prompt_tokens_details":{"cached_tokens":0}},"obfuscation":""`) + done,
		}, facts{1, 9, 65, 0, 64, experiment.CountedUsage, "length", -1, 20, nil, ""}},
		{"12, 16, 36 a gateway: comments, another model's name, its own finish reason", "generic", experiment.Chat, []string{
			": OPENROUTER PROCESSING\n\n", delta(`"role":"assistant","content":"a"`, `,"provider":"X"`), ": keep-alive\n\n",
			chunk(`"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"cache_threshold","native_finish_reason":"x"}]`) + done,
		}, facts{1, u, 1, u, u, experiment.CountedEvents, "cache_threshold", -1, 20, nil, ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var pieces []clientPiece
			for _, p := range tt.pieces {
				pieces = append(pieces, clientAfter(10*ms, p))
			}
			s, _, _ := clientAs(t, tt.dialect, clientAlways(clientSSE(pieces...)...), func(s *experiment.Spec) { s.Endpoint = tt.endpoint })
			if s.Outcome != experiment.OK || s.Model != "m" {
				t.Fatalf("%s from %q: %s", s.Outcome, s.Model, s.Error)
			}
			at := func(i experiment.Instant) int { return int(max(i, -1e6) / 1e6) }
			got := facts{s.Events, s.PromptTokens, s.OutputTokens, s.CachedTokens, s.ReasoningTokens, s.Counted, s.Finish,
				at(s.FirstReasoning), at(s.FirstContent), s.TokensAt, s.Server}
			if !s.FirstReasoning.Happened() {
				got.FirstReasoning = -1
			}
			if !s.FirstContent.Happened() {
				got.FirstContent = -1
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// Row 35: one answer a request is measured, so several are never asked for, and of
// choices that come all the same the first is read.
func TestSeveralChoices(t *testing.T) {
	server := clientAlways(clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, clientStop, clientDone))...)
	synctest.Test(t, func(t *testing.T) {
		c := clientNew(t, server, clientSpec())
		r := clientRequest()
		r.Body = []byte(`{"messages":[],"n":4,"best_of":5}`)
		c.Do(t.Context(), time.Now(), r)
	})
	if body := server.requests[0]; gjson.Get(body, "n").Exists() || gjson.Get(body, "best_of").Exists() {
		t.Errorf("several answers are asked for: %s", body)
	}
}

// Several servers share one client; each request goes to its own.
func TestReplicas(t *testing.T) {
	first, second := clientAlways(clientOK()...), clientAlways(clientOK()...)
	synctest.Test(t, func(t *testing.T) {
		spec := clientSpec()
		spec.BaseURL = ""
		spec.Replicas = []experiment.Replica{{BaseURL: "http://one.test/v1", Weight: 1}, {BaseURL: "http://two.test/other/v1/", Weight: 1}}
		var dialled []string
		c, err := NewClient(ClientConfig{Spec: spec, MaxConns: 2, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dialled = append(dialled, addr)
			if addr == "one.test:80" {
				return first.dial(ctx, network, addr)
			}
			return second.dial(ctx, network, addr)
		}})
		if err != nil {
			t.Fatal(err)
		}
		for _, replica := range []int{0, 1, 1, 0} {
			r := clientRequest()
			r.Replica, r.Model = replica, "adapter-3"
			s := c.Do(t.Context(), time.Now(), r)
			if s.Outcome != experiment.OK || s.Replica != replica || s.ModelAsked != "adapter-3" || s.Model != "m" {
				t.Errorf("replica %d: %s, model %s of %s: %s", s.Replica, s.Outcome, s.Model, s.ModelAsked, s.Error)
			}
		}
		c.Close()
		first.running.Wait()
		second.running.Wait()
		if d := cmp.Diff([]string{"one.test:80", "two.test:80"}, dialled); d != "" {
			t.Error(d)
		}
	})
	if !slices.Equal(first.paths, []string{"/v1/chat/completions", "/v1/chat/completions"}) || !slices.Equal(second.paths, []string{"/other/v1/chat/completions", "/other/v1/chat/completions"}) {
		t.Errorf("paths %q and %q", first.paths, second.paths)
	}
	if got := gjson.Get(first.requests[0], "model").Str; got != "adapter-3" {
		t.Errorf("model %q", got)
	}
}
