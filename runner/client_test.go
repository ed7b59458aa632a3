package runner

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/dataset"
)

// clientPiece is bytes that the server sends in one write, after a wait. On a
// net.Pipe one write is one read, as long as it fits the client's buffer.
type clientPiece struct {
	after  time.Duration
	bytes  string
	hangup bool // close the connection instead of writing
	hold   bool // say nothing more until the client closes it
}

// clientServer answers raw bytes over pipes: no socket, so it works in a bubble,
// and no HTTP library, so it sends exactly what a test says.
type clientServer struct {
	// answer gives the pieces for the n-th request (from 0), which came on the
	// conn-th connection (from 0).
	answer func(n, conn int, r *http.Request, body string) []clientPiece

	running sync.WaitGroup // its connections

	mu       sync.Mutex
	conns    int
	requests []string // bodies
	headers  []http.Header
	paths    []string
}

func (s *clientServer) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	s.mu.Lock()
	conn := s.conns
	s.conns++
	s.mu.Unlock()
	s.running.Go(func() { s.serve(conn, far) })
	return near, nil
}

func (s *clientServer) serve(conn int, c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		s.mu.Lock()
		n := len(s.requests)
		s.requests = append(s.requests, string(body))
		s.headers = append(s.headers, r.Header)
		s.paths = append(s.paths, r.URL.Path)
		s.mu.Unlock()
		for _, p := range s.answer(n, conn, r, string(body)) {
			time.Sleep(p.after)
			if p.hold {
				io.Copy(io.Discard, in)
			}
			if p.hold || p.hangup {
				return
			}
			if _, err := io.WriteString(c, p.bytes); err != nil {
				return
			}
		}
	}
}

// always answers every request alike.
func clientAlways(pieces ...clientPiece) *clientServer {
	return &clientServer{answer: func(int, int, *http.Request, string) []clientPiece { return pieces }}
}

const clientHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

// clientSSE answers with a chunked event stream: each piece is one HTTP chunk in
// one write, the head goes with the first and the terminator with the last.
func clientSSE(pieces ...clientPiece) []clientPiece {
	out := clientCut(pieces...)
	out[len(out)-1].bytes += "0\r\n\r\n"
	return out
}

// clientCut is clientSSE without the terminator.
func clientCut(pieces ...clientPiece) []clientPiece {
	out := append([]clientPiece(nil), pieces...)
	for i := range out {
		if !out[i].hangup && !out[i].hold {
			out[i].bytes = fmt.Sprintf("%x\r\n%s\r\n", len(out[i].bytes), out[i].bytes)
		}
	}
	out[0].bytes = clientHead + out[0].bytes
	return out
}

// clientWhole answers with a body of known length.
func clientWhole(status int, header, body string) []clientPiece {
	return []clientPiece{{after: 20 * ms, bytes: fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: %d\r\n%s\r\n%s",
		status, http.StatusText(status), len(body), header, body)}}
}

const ms = time.Millisecond

func clientAfter(d time.Duration, parts ...string) clientPiece {
	return clientPiece{after: d, bytes: strings.Join(parts, "")}
}

// The events of an ordinary stream.
const (
	clientEnvelope = `data: {"id":"c1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[`
	clientRole     = clientEnvelope + `{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}` + "\n\n"
	clientStop     = clientEnvelope + `{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	clientDone     = "data: [DONE]\n\n"
)

func clientText(text string) string {
	return clientEnvelope + fmt.Sprintf(`{"index":0,"delta":{"content":%q},"finish_reason":null}]}`, text) + "\n\n"
}

func clientUsage(prompt, output int) string {
	return clientEnvelope + fmt.Sprintf(`],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}`, prompt, output) + "\n\n"
}

const clientPrompt = "tell me"

func clientSpec() experiment.Spec {
	s := experiment.DefaultSpec()
	s.BaseURL, s.Model, s.Stream = "http://engine.test/v1", "m", true
	return s
}

// clientDo sends one request in a bubble of its own and gives its sample.
func clientDo(t *testing.T, server *clientServer, spec experiment.Spec) (s experiment.Sample, fallbacks []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := clientNew(t, server, spec)
		s = c.Do(t.Context(), time.Now(), clientRequest())
		fallbacks = c.Fallbacks()
	})
	return s, fallbacks
}

func clientNew(t *testing.T, server *clientServer, spec experiment.Spec) *Client {
	t.Helper()
	c, err := NewClient(ClientConfig{Spec: spec, Key: clientKey, MaxConns: 4, Dial: server.dial})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		server.running.Wait() // or the bubble ends while the server sleeps
	})
	return c
}

const clientKey = "sk-very-secret-0123456789"

func clientRequest() Request {
	s := experiment.NewSample(7)
	s.Scheduled, s.PromptAsked, s.OutputAsked = 0, 3, 128
	return Request{Sample: s, Prompt: clientPrompt, MaxTokens: 128}
}

// clientWant is the sample of a stream whose headers come after 20 ms, before
// change is applied to it.
func clientWant(change func(*experiment.Sample)) experiment.Sample {
	s := clientRequest().Sample
	s.Sent, s.Connected, s.Headers = 0, 0, clientAt(20)
	s.Outcome, s.HTTPStatus, s.Protocol, s.Model = experiment.OK, 200, "HTTP/1.1", "m"
	s.PromptHash = textHash([]byte(clientPrompt))
	change(&s)
	return s
}

func clientAt(ms int) experiment.Instant { return experiment.Instant(ms) * 1e6 }

func clientGap(ms int) experiment.Gap { return experiment.Gap(ms) * 1e6 }

func clientDiff(t *testing.T, want, got experiment.Sample) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("sample (-want +got):\n%s", d)
	}
}

// What go-openai cannot send reaches the server all the same.
func TestRequestBody(t *testing.T) {
	answer := clientSSE(clientAfter(20*ms, clientText("a"), clientStop, clientDone))
	for _, row := range []struct {
		name   string
		change func(*experiment.Spec)
		want   map[string]string // path to raw JSON; empty = absent
	}{
		{"chat, temperature 0", func(*experiment.Spec) {},
			map[string]string{"model": `"m"`, "temperature": "0", "max_tokens": "128", "max_completion_tokens": "", "stream": "true",
				"stream_options.include_usage": "true", "messages.#": "1", "messages.0.role": `"user"`, "messages.0.content": `"tell me"`}},
		{"completions", func(s *experiment.Spec) { s.Endpoint = experiment.Completions },
			map[string]string{"prompt": `"tell me"`, "temperature": "0", "max_tokens": "128", "messages": ""}},
		{"the output limit's other name", func(s *experiment.Spec) { s.MaxTokensField = "max_completion_tokens" },
			map[string]string{"max_tokens": "", "max_completion_tokens": "128"}},
		{"a model that go-openai refuses with max_tokens", func(s *experiment.Spec) { s.Model = "o3-mini" },
			map[string]string{"model": `"o3-mini"`, "max_tokens": "128"}},
		{"a chat-only model on completions", func(s *experiment.Spec) { s.Model, s.Endpoint = "gpt-4", experiment.Completions },
			map[string]string{"model": `"gpt-4"`}},
		{"extra fields, over the client's own", func(s *experiment.Spec) {
			s.Extra = map[string]any{"ignore_eos": true, "temperature": 0.7, "chat_template_kwargs": map[string]any{"enable_thinking": false}}
		}, map[string]string{"ignore_eos": "true", "temperature": "0.7", "chat_template_kwargs.enable_thinking": "false"}},
		// A path language must not see structure in a field's name.
		{"extra fields with odd names", func(s *experiment.Spec) { s.Extra = map[string]any{"a.b": 1, "0": 2, "c|d*": 3} },
			map[string]string{`a\.b`: "1", "0": "2", `c\|d\*`: "3"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			spec := clientSpec()
			row.change(&spec)
			server := clientAlways(answer...)
			if s, _ := clientDo(t, server, spec); s.Outcome != experiment.OK {
				t.Fatalf("outcome %s: %s", s.Outcome, s.Error)
			}
			for path, want := range row.want {
				if got := gjson.Get(server.requests[0], path).Raw; got != want {
					t.Errorf("%s = %s, want %s in %s", path, got, want, server.requests[0])
				}
			}
			if got := server.headers[0].Get("Authorization"); got != "Bearer "+clientKey {
				t.Errorf("Authorization = %q", got)
			}
		})
	}
}

// What cannot be measured, or would leak, is refused before anything is sent.
func TestNewClientRefuses(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*ClientConfig)
		say    string
	}{
		{"no endpoint", func(c *ClientConfig) { c.Spec.BaseURL = "" }, "no scheme or no host"},
		{"no scheme", func(c *ClientConfig) { c.Spec.BaseURL = "127.0.0.1:8000/v1" }, "write one such as"},
		{"another scheme", func(c *ClientConfig) { c.Spec.BaseURL = "ftp://engine/v1" }, "no scheme"},
		{"a password in the address", func(c *ClientConfig) { c.Spec.BaseURL = "http://u:hunter2@engine/v1" }, "OPENAI_API_KEY"},
		{"a query in the address", func(c *ClientConfig) { c.Spec.BaseURL = "http://engine/v1?key=hunter2" }, "leave them out"},
		{"an address that does not parse", func(c *ClientConfig) { c.Spec.BaseURL = "http://hunter2 engine:x/" }, "cannot be read"},
		{"a key of two lines", func(c *ClientConfig) { c.Key = "hunter2\nX: y" }, "line break"},
		{"no time limits", func(c *ClientConfig) { c.Spec = experiment.Spec{BaseURL: "http://engine/v1"} }, "time limit"},
		{"stream as an extra field", func(c *ClientConfig) { c.Spec.Extra = map[string]any{"stream": false} }, "--stream"},
		{"several answers", func(c *ClientConfig) { c.Spec.Extra = map[string]any{"n": 4} }, "one answer a request"},
		{"an extra field without a name", func(c *ClientConfig) { c.Spec.Extra = map[string]any{"": 4} }, "no name"},
		{"an extra field that is no JSON", func(c *ClientConfig) { c.Spec.Extra = map[string]any{"x": func() {}} }, `"x"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := ClientConfig{Spec: clientSpec()}
			row.change(&cfg)
			_, err := NewClient(cfg)
			if err == nil || !strings.Contains(err.Error(), row.say) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %v, want one with %q and no secret", err, row.say)
			}
		})
	}
}

// Prompts and answers are kept only when asked; their hashes always are, and do
// not depend on how the answer came.
func TestKeepText(t *testing.T) {
	stream := clientSSE(clientAfter(20*ms, clientText("a b"), clientText(" \n\"c\""), clientStop, clientDone))
	whole := clientWhole(200, "", `{"model":"m","choices":[{"message":{"content":"a b \n\"c\""},"finish_reason":"stop"}]}`)
	for _, keep := range []bool{false, true} {
		for _, streamed := range []bool{false, true} {
			spec := clientSpec()
			spec.KeepText, spec.Stream = keep, streamed
			answer := whole
			if streamed {
				answer = stream
			}
			s, _ := clientDo(t, clientAlways(answer...), spec)
			if want := textHash([]byte("a b \n\"c\"")); s.OutputHash != want {
				t.Errorf("hash %q, want %q", s.OutputHash, want)
			}
			if s.Prompt != "" != keep || s.Output != "" != keep || keep && s.Output != "a b \n\"c\"" {
				t.Errorf("kept %v: prompt %q, output %q", keep, s.Prompt, s.Output)
			}
		}
	}
}

var clientHistory = dataset.Message{Role: "user", Content: "before"}
