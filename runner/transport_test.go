package runner

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/inferbook/inferbook/experiment"
)

func clientOK() []clientPiece {
	return clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, clientStop, clientDone))
}

func clientRefusal(status int, body string) []clientPiece {
	return clientWhole(status, "Content-Type: application/json\r\n", body)
}

// The numbers go on from TestStreamBehaviour: these behaviours are about
// requests and connections rather than the events of one stream.
func TestConnectionBehaviour(t *testing.T) {
	t.Run("19 a server that refuses extra fields is asked without them", func(t *testing.T) {
		server := &clientServer{answer: func(_, _ int, _ *http.Request, body string) []clientPiece {
			switch {
			case gjson.Get(body, "min_tokens").Exists():
				return clientRefusal(422, `{"detail":[{"type":"extra_forbidden","loc":["body","min_tokens"],"msg":"Extra inputs are not permitted"}]}`)
			case gjson.Get(body, "ignore_eos").Exists():
				return clientRefusal(400, `{"error":{"message":"Unrecognized request argument supplied: ignore_eos"}}`)
			}
			return clientOK()
		}}
		spec := clientSpec()
		spec.Extra = map[string]any{"ignore_eos": true, "min_tokens": 128, "seed": 3}
		s, fallbacks := clientDo(t, server, spec)
		if s.Outcome != experiment.OK || len(server.requests) != 3 || gjson.Get(server.requests[2], "seed").Raw != "3" {
			t.Errorf("outcome %s after %q", s.Outcome, server.requests)
		}
		want := []string{"extra field min_tokens refused, requests go without it", "extra field ignore_eos refused, requests go without it"}
		if d := cmp.Diff(want, fallbacks); d != "" {
			t.Error(d)
		}
		// The refusals took 20 ms each; they are send lag, not latency.
		if s.Sent != clientAt(40) || s.FirstContent != clientAt(60) {
			t.Errorf("sent at %d, first content at %d", s.Sent, s.FirstContent)
		}
	})
	t.Run("19 a wrong value is no unknown field", func(t *testing.T) {
		server := clientAlways(clientRefusal(400, `{"error":{"message":"min_tokens must be less than max_tokens"}}`)...)
		spec := clientSpec()
		spec.Extra = map[string]any{"min_tokens": 500}
		if s, _ := clientDo(t, server, spec); s.Outcome != experiment.HTTPError || len(server.requests) != 1 {
			t.Errorf("outcome %s after %d requests", s.Outcome, len(server.requests))
		}
	})
	t.Run("20 max_completion_tokens, once the server asks for it", func(t *testing.T) {
		server := &clientServer{answer: func(_, _ int, _ *http.Request, body string) []clientPiece {
			if gjson.Get(body, "max_tokens").Exists() {
				return clientRefusal(400, `{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."}}`)
			}
			return clientOK()
		}}
		s, fallbacks := clientDo(t, server, clientSpec())
		if s.Outcome != experiment.OK || len(server.requests) != 2 || gjson.Get(server.requests[1], "max_completion_tokens").Raw != "128" {
			t.Errorf("outcome %s after %q", s.Outcome, server.requests)
		}
		if d := cmp.Diff([]string{"max_completion_tokens used"}, fallbacks); d != "" {
			t.Error(d)
		}
	})
	t.Run("20 a limit that is too large is no other name", func(t *testing.T) {
		server := clientAlways(clientRefusal(400, `{"error":{"message":"'max_tokens' or 'max_completion_tokens' is too large: 128. This model's maximum context length is 64 tokens"}}`)...)
		s, fallbacks := clientDo(t, server, clientSpec())
		if s.Outcome != experiment.HTTPError || len(server.requests) != 1 || len(fallbacks) != 0 {
			t.Errorf("outcome %s after %d requests, %q", s.Outcome, len(server.requests), fallbacks)
		}
	})
	t.Run("25 no compression is asked for, and one that comes is named", func(t *testing.T) {
		server := clientAlways(clientWhole(200, "Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\n", "\x1f\x8b\x08")...)
		s, _ := clientDo(t, server, clientSpec())
		if got := server.headers[0]["Accept-Encoding"]; len(got) != 1 || got[0] != "identity" {
			t.Errorf("Accept-Encoding: %q", got)
		}
		if s.Outcome != experiment.Protocol || !strings.Contains(s.Error, "compressed with gzip") {
			t.Errorf("%s: %s", s.Outcome, s.Error)
		}
	})
	t.Run("27 one connection serves many requests, and the sample says so", func(t *testing.T) {
		server := clientAlways(clientOK()...)
		synctest.Test(t, func(t *testing.T) {
			c := clientNew(t, server, clientSpec())
			for i := range 50 {
				if s := c.Do(t.Context(), time.Now(), clientRequest()); s.Reused != (i > 0) || s.Outcome != experiment.OK {
					t.Fatalf("request %d: reused %v, %s", i, s.Reused, s.Error)
				}
			}
		})
		if server.conns != 1 {
			t.Errorf("%d connections", server.conns)
		}
	})
	t.Run("27 as many idle connections are kept as there are workers", func(t *testing.T) {
		server := clientAlways(clientOK()...)
		synctest.Test(t, func(t *testing.T) {
			c := clientNew(t, server, clientSpec())
			for range 10 {
				var workers sync.WaitGroup
				for range 4 {
					workers.Go(func() { c.Do(t.Context(), time.Now(), clientRequest()) })
				}
				workers.Wait()
			}
		})
		if server.conns != 4 {
			t.Errorf("%d connections for 4 workers", server.conns)
		}
	})
	t.Run("28 HTTP/1.1 only, recorded", func(t *testing.T) {
		server := clientAlways(clientOK()...)
		s, _ := clientDo(t, server, clientSpec())
		if s.Protocol != "HTTP/1.1" || server.headers[0].Get("Upgrade") != "" {
			t.Errorf("protocol %s", s.Protocol)
		}
	})
	t.Run("32 one stamp a read, taken before anything is parsed", func(t *testing.T) {
		stamps := 0
		body := clientText("a") + clientText("b") + clientStop + clientDone
		st := newStream(readCloser{strings.NewReader(body)}, clock{now: func() experiment.Instant { stamps++; return experiment.Instant(stamps) }}, 32<<10, func() {})
		st.fill()
		if stamps != 1 || len(st.queue) != 3 || st.queue[0] != st.queue[2] {
			t.Errorf("%d stamps for one read, arrivals %v", stamps, st.queue)
		}
	})
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// The end of a body that never comes costs 50 ms, and only after [DONE].
func TestBoundedDrain(t *testing.T) {
	for _, row := range []struct {
		name   string
		answer []clientPiece
		took   time.Duration
		conns  int // for two requests
	}{
		{"the terminator comes a little later", append(clientCut(clientAfter(20*ms, clientText("a"), clientStop, clientDone)), clientAfter(10*ms, "0\r\n\r\n")), 30 * ms, 1},
		{"the terminator never comes", clientCut(clientAfter(20*ms, clientText("a"), clientStop, clientDone), clientPiece{hold: true}), 70 * ms, 2},
		// 4 KB are read, no more.
		{"the server goes on and on", clientCut(clientAfter(20*ms, clientText("a"), clientStop, clientDone), clientAfter(0, strings.Repeat("x", 8<<10)), clientPiece{hold: true}), 20 * ms, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			server := clientAlways(row.answer...)
			synctest.Test(t, func(t *testing.T) {
				c := clientNew(t, server, clientSpec())
				for range 2 {
					start := time.Now()
					s := c.Do(t.Context(), start, clientRequest())
					if took := time.Since(start); s.Outcome != experiment.OK || s.End != clientAt(20) || took != row.took {
						t.Errorf("%s, end at %d, back after %s: %s", s.Outcome, s.End, took, s.Error)
					}
				}
			})
			if server.conns != row.conns {
				t.Errorf("%d connections, want %d", server.conns, row.conns)
			}
		})
	}
}

// 29: a server closes a kept connection just as it is used again.
func TestStaleConnection(t *testing.T) {
	for _, row := range []struct {
		name     string
		second   []clientPiece // on the first connection
		pause    time.Duration // between the requests
		outcome  experiment.Outcome
		requests int
		conns    int
		say      string // in Fallbacks
	}{
		{"closed before any byte: sent again, once", []clientPiece{{hangup: true}}, 0, experiment.OK, 3, 2, "1 request was sent again"},
		{"closed after some bytes: kept as it is", []clientPiece{{bytes: "HTTP/1.1 200 OK\r\n"}, {hangup: true}}, 0, experiment.Truncated, 2, 1, ""},
		// The engine died at work: that is a result, not a stale connection.
		{"closed without a byte, but late", []clientPiece{{after: 5 * time.Second, hangup: true}}, 0, experiment.Truncated, 2, 1, ""},
		{"idle for longer than servers keep it: a fresh one, nothing to repeat", []clientPiece{{hangup: true}}, 5 * time.Second, experiment.OK, 2, 2, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			server := &clientServer{answer: func(n, conn int, _ *http.Request, _ string) []clientPiece {
				if n == 1 && conn == 0 {
					return row.second
				}
				return clientOK()
			}}
			synctest.Test(t, func(t *testing.T) {
				c := clientNew(t, server, clientSpec())
				c.Do(t.Context(), time.Now(), clientRequest())
				time.Sleep(row.pause)
				s := c.Do(t.Context(), time.Now(), clientRequest())
				if s.Outcome != row.outcome || len(server.requests) != row.requests || server.conns != row.conns {
					t.Errorf("%s (%s) after %d requests on %d connections", s.Outcome, s.Error, len(server.requests), server.conns)
				}
				if got := strings.Join(c.Fallbacks(), "\n"); row.say == "" && got != "" || !strings.Contains(got, row.say) {
					t.Errorf("fallbacks %q, want %q", got, row.say)
				}
			})
		})
	}
}

// 30: four limits, each with a sentence of its own, and none of them met by a
// long answer that makes progress.
func TestTimeLimits(t *testing.T) {
	spec := clientSpec()
	spec.ConnectTimeout, spec.FirstByteTimeout = experiment.Duration(2*time.Second), experiment.Duration(10*time.Second)
	spec.IdleTimeout, spec.TotalTimeout = experiment.Duration(5*time.Second), experiment.Duration(60*time.Second)
	slow := []clientPiece{clientAfter(9*time.Second, clientRole)}
	for range 12 {
		slow = append(slow, clientAfter(4*time.Second, clientText("a")))
	}
	comments := []clientPiece{clientAfter(time.Second, clientText("a"))}
	for range 30 {
		comments = append(comments, clientAfter(time.Second, ": keep-alive\n\n"), clientAfter(0, clientEnvelope, "]}\n\n"))
	}
	for _, row := range []struct {
		name    string
		answer  []clientPiece
		outcome experiment.Outcome
		end     time.Duration
		say     string
		events  int
	}{
		{"long and steady", clientSSE(append(slow, clientAfter(0, clientStop, clientDone))...), experiment.OK, 57 * time.Second, "", 12},
		{"no event at all", []clientPiece{{hold: true}}, experiment.Timeout, 10 * time.Second, "sent no event within 10s (first_byte_timeout)", 0},
		{"headers and no event", []clientPiece{{bytes: clientHead}, {hold: true}}, experiment.Timeout, 10 * time.Second, "within 10s (first_byte_timeout)", 0},
		{"text, then nothing", clientCut(clientAfter(time.Second, clientText("a")), clientPiece{hold: true}), experiment.Timeout, 6 * time.Second,
			"stood still, with no new text within 5s (idle_timeout)", 1},
		{"text, then only keep-alives", clientSSE(comments...), experiment.Timeout, 6 * time.Second, "within 5s (idle_timeout)", 1},
		{"progress without end", clientCut(append(slow, slow...)...), experiment.Timeout, 60 * time.Second, "not complete within 1m0s (total_timeout)", 12},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, _ := clientDo(t, clientAlways(row.answer...), spec)
			if s.Outcome != row.outcome || time.Duration(s.End) != row.end || !strings.Contains(s.Error, row.say) || s.Events != row.events {
				t.Errorf("%s at %s with %d events: %s", s.Outcome, time.Duration(s.End), s.Events, s.Error)
			}
		})
	}
	t.Run("no connection", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, err := NewClient(ClientConfig{Spec: spec, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}})
			if err != nil {
				t.Fatal(err)
			}
			s := c.Do(t.Context(), time.Now(), clientRequest())
			want := "no connection to the server within 2s (connect_timeout); check the address, the network and any firewall"
			if s.Outcome != experiment.Timeout || time.Duration(s.End) != 2*time.Second || s.Error != want || s.Connected.Happened() {
				t.Errorf("%s at %s: %s", s.Outcome, time.Duration(s.End), s.Error)
			}
		})
	})
	t.Run("not streamed", func(t *testing.T) {
		spec := spec
		spec.Stream = false
		s, _ := clientDo(t, clientAlways(clientPiece{hold: true}), spec)
		if s.Outcome != experiment.Timeout || time.Duration(s.End) != 10*time.Second || !strings.Contains(s.Error, "without streaming") {
			t.Errorf("%s at %s: %s", s.Outcome, time.Duration(s.End), s.Error)
		}
	})
}

// A request that its caller stops is cancelled, and its connection ends, so
// that the server can free the slot.
func TestCancel(t *testing.T) {
	server := clientAlways(clientCut(clientAfter(20*ms, clientText("a")), clientPiece{hold: true})...)
	synctest.Test(t, func(t *testing.T) {
		c := clientNew(t, server, clientSpec())
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(50*ms, func() { cancel(errors.New("a cause of the caller's own")) })
		s := c.Do(ctx, time.Now(), clientRequest())
		if s.Outcome != experiment.Cancelled || s.End != clientAt(50) || s.Events != 1 || s.OutputTokens != 1 {
			t.Errorf("%s at %d with %d events: %s", s.Outcome, s.End, s.Events, s.Error)
		}
		server.running.Wait() // the server sees the connection end
	})
}

// A server that refuses stream_options is asked without, by all workers at
// once, and never asked with it again.
func TestStreamOptionsRefused(t *testing.T) {
	server := &clientServer{answer: func(_, _ int, _ *http.Request, body string) []clientPiece {
		if gjson.Get(body, "stream_options").Exists() {
			return clientRefusal(400, `{"error":{"message":"unknown field stream_options"}}`)
		}
		return clientOK()
	}}
	synctest.Test(t, func(t *testing.T) {
		c := clientNew(t, server, clientSpec())
		var workers sync.WaitGroup
		for range 16 {
			workers.Go(func() {
				for range 3 {
					if s := c.Do(t.Context(), time.Now(), clientRequest()); s.Outcome != experiment.OK || s.Counted != experiment.CountedEvents {
						t.Errorf("%s, counted by %s: %s", s.Outcome, s.Counted, s.Error)
					}
				}
			})
		}
		workers.Wait()
		if d := cmp.Diff([]string{"stream_options refused, token counts come from events"}, c.Fallbacks()); d != "" {
			t.Error(d)
		}
	})
	refused := 0
	for _, body := range server.requests {
		if gjson.Get(body, "stream_options").Exists() {
			refused++
		}
	}
	if refused > 16 || len(server.requests) != 16*3+refused {
		t.Errorf("%d requests, of which %d with stream_options", len(server.requests), refused)
	}
}

// A proxy is used, said, and shown without its password; never for loopback.
func TestProxySaid(t *testing.T) {
	cfg := ClientConfig{Spec: clientSpec()}
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	proxy := newTransport(&cfg)
	proxy.Proxy = http.ProxyURL(&url.URL{Scheme: "http", User: url.UserPassword("u", "hunter2"), Host: "proxy.test:3128"})
	c.proxies = []string{proxyFor(proxy, c.replicas[0].base)}
	if d := cmp.Diff([]string{"requests go through the proxy http://proxy.test:3128, whose delay is in every time"}, c.Fallbacks()); d != "" {
		t.Error(d)
	}
	for _, base := range []string{"http://127.0.0.1:8000/v1", "http://localhost:8000/v1", "http://[::1]:8000/v1"} {
		if got := proxyFor(newTransport(&cfg), base); got != "" {
			t.Errorf("%s goes through %s", base, got)
		}
	}
}
