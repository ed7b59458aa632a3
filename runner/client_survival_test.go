package runner

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
)

// What servers do to a client that is not in the text of one stream: each is
// survived, with the right outcome and a sentence.

// uvicorn closes a connection that was idle for five seconds. Requests six seconds
// apart each get a fresh one, and none is sent twice.
func TestIdleConnectionsClosed(t *testing.T) {
	answer := append(clientOK(), clientPiece{after: 5 * time.Second, hangup: true})
	server := clientAlways(answer...)
	synctest.Test(t, func(t *testing.T) {
		c := clientNew(t, server, clientSpec())
		for range 3 {
			if s := c.Do(t.Context(), time.Now(), clientRequest()); s.Outcome != experiment.OK {
				t.Errorf("%s: %s", s.Outcome, s.Error)
			}
			time.Sleep(6 * time.Second)
		}
		if got := c.Fallbacks(); len(got) > 0 {
			t.Errorf("%q", got)
		}
	})
	if server.conns != 3 || len(server.requests) != 3 {
		t.Errorf("%d connections for %d requests", server.conns, len(server.requests))
	}
}

// A server that speaks HTTP/2 and nothing older says so in one of these ways.
func TestHTTP2Only(t *testing.T) {
	settings := "\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80\x00\x04\x00\x01\x00\x00\x00\x05\x00\xff\xff\xff"
	const want = "what answers at engine.test speaks HTTP/2 only, which would put all streams on one connection; let the server or a proxy before it offer HTTP/1.1"
	for _, tt := range []struct{ name, says string }{
		{"a SETTINGS frame", settings},
		{"an empty SETTINGS frame and a GOAWAY", "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"},
		{"a GOAWAY frame", "\x00\x00\x22\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "HTTP/2 client preface string missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := clientDo(t, clientAlways(clientPiece{bytes: tt.says}, clientPiece{hangup: true}), clientSpec())
			if s.Outcome != experiment.Protocol || s.Error != want {
				t.Errorf("%s: %s", s.Outcome, s.Error)
			}
		})
	}
	t.Run("no other protocol over TLS", func(t *testing.T) {
		certificate := clientCertificate(t)
		synctest.Test(t, func(t *testing.T) {
			spec := clientSpec()
			spec.BaseURL = "https://engine.test/v1"
			done := make(chan struct{})
			c, err := NewClient(ClientConfig{Spec: spec, Dial: func(context.Context, string, string) (net.Conn, error) {
				near, far := net.Pipe()
				go func() {
					defer close(done)
					defer far.Close()
					tls.Server(far, &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h3"}}).Handshake() // Go lets HTTP/1.1 pass for h2
				}()
				return near, nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			c.transport.TLSClientConfig.InsecureSkipVerify = true
			s := c.Do(t.Context(), time.Now(), clientRequest())
			<-done
			if s.Outcome != experiment.Protocol || s.Error != want {
				t.Errorf("%s: %s", s.Outcome, s.Error)
			}
		})
	})
}

func clientCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"engine.test"}, NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A server that takes HTTP/1.1 over TLS is not told apart by a protocol it lacks.
func TestHTTP2Signs(t *testing.T) {
	for _, tt := range []struct {
		text string
		want bool
	}{
		{`net/http: HTTP/1.x transport connection broken: malformed HTTP response "\x00\x00\x12\x04\x00\x00"`, true},
		{`malformed HTTP response "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00@\x00"`, true},
		{`malformed HTTP response "\x00\x00\"\a\x00"`, true},
		{`malformed HTTP response "SSH-2.0-OpenSSH_9.2"`, false},
		{`malformed HTTP response "\x00\x00\x00\x02ok"`, false},
		{`read tcp 127.0.0.1:1: i/o timeout`, false},
	} {
		if got := newerOnly(fmt.Errorf("%s", tt.text)); got != tt.want {
			t.Errorf("%s: %v", tt.text, got)
		}
	}
}

// An event of 10 MB is an event; one that does not end is cut at 64 MB.
func TestLargeEvents(t *testing.T) {
	t.Run("10 MB", func(t *testing.T) {
		big := strings.Repeat("x", 10<<20)
		s, _ := clientDo(t, clientAlways(clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, clientText(big)), clientAfter(10*ms, clientStop, clientDone))...), clientSpec())
		if s.Outcome != experiment.OK || s.Events != 2 || s.OutputHash != textHash([]byte("a"+big)) {
			t.Errorf("%s with %d events: %s", s.Outcome, s.Events, s.Error)
		}
	})
	t.Run("without an end", func(t *testing.T) {
		block := strings.Repeat("x", 1<<20)
		pieces := []clientPiece{clientAfter(20*ms, clientText("a")), clientAfter(10*ms, "data: ")}
		for range 80 {
			pieces = append(pieces, clientAfter(0, block))
		}
		s, _ := clientDo(t, clientAlways(clientSSE(pieces...)...), clientSpec())
		want := "the stream holds an event of more than 64 MB; check that the base URL is that of an OpenAI-compatible API"
		if s.Outcome != experiment.Protocol || s.Error != want || s.Events != 1 {
			t.Errorf("%s with %d events: %s", s.Outcome, s.Events, s.Error)
		}
	})
	t.Run("many data lines", func(t *testing.T) {
		block := strings.Repeat("data: "+strings.Repeat("x", 1<<16)+"\n", 16)
		pieces := []clientPiece{clientAfter(20*ms, block)}
		for range 80 {
			pieces = append(pieces, clientAfter(0, block))
		}
		if s, _ := clientDo(t, clientAlways(clientSSE(pieces...)...), clientSpec()); s.Outcome != experiment.Protocol || !strings.Contains(s.Error, "more than 64 MB") {
			t.Errorf("%s: %s", s.Outcome, s.Error)
		}
	})
	t.Run("without streaming", func(t *testing.T) {
		spec := clientSpec()
		spec.Stream = false
		answer := []clientPiece{clientAfter(20*ms, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")}
		block := strings.Repeat(" ", 1<<20)
		for range 80 {
			answer = append(answer, clientAfter(0, block))
		}
		s, _ := clientDo(t, clientAlways(answer...), spec)
		if s.Outcome != experiment.Protocol || s.Error != "the answer is longer than 64 MB; check that the base URL is that of an OpenAI-compatible API" {
			t.Errorf("%s: %s", s.Outcome, s.Error)
		}
	})
}

// clientTrickle cuts a text into pieces of one byte, after each other.
func clientTrickle(text string, pause time.Duration) []clientPiece {
	pieces := []clientPiece{{bytes: clientHead}}
	for i := range len(text) {
		pieces = append(pieces, clientAfter(pause, fmt.Sprintf("1\r\n%s\r\n", text[i:i+1])))
	}
	return pieces
}

// A byte a segment makes the same events as one piece does, each at its last byte.
func TestByteASegment(t *testing.T) {
	text := strings.ReplaceAll(clientText("é")+clientText("b")+clientStop, "\n", "\r\n") + clientDone
	s, _ := clientDo(t, clientAlways(append(clientTrickle(text, ms), clientPiece{bytes: "0\r\n\r\n"})...), clientSpec())
	if s.Outcome != experiment.OK || s.Events != 2 || s.OutputHash != textHash([]byte("éb")) || len(s.Gaps) != 1 || s.Gaps[0].Shared() {
		t.Errorf("%s with %d events, gaps %v: %s", s.Outcome, s.Events, s.Gaps, s.Error)
	}
	// An event is over at the first byte of the empty line's end.
	if want := clientAt(len(strings.ReplaceAll(clientText("é"), "\n", "\r\n")) - 1); s.FirstContent != want {
		t.Errorf("first content at %d, want %d", s.FirstContent, want)
	}
}

// A byte a second never hangs a worker: bytes are no progress, only events are.
func TestByteASecond(t *testing.T) {
	long := strings.Repeat(clientText("a"), 100)
	for _, tt := range []struct {
		name  string
		spec  func(*experiment.Spec)
		whole bool
		field string
		end   time.Duration // between the last progress and half a minute after it is due
	}{
		{"before the first event", func(s *experiment.Spec) { s.FirstByteTimeout = experiment.Duration(30 * time.Second) }, false, "first_byte_timeout", 30 * time.Second},
		{"between events", func(s *experiment.Spec) {
			s.FirstByteTimeout, s.IdleTimeout = experiment.Duration(time.Hour), experiment.Duration(time.Minute)
		}, false, "idle_timeout", time.Duration(len(clientText("a"))+60) * time.Second},
		{"for ever", func(s *experiment.Spec) {
			s.FirstByteTimeout, s.IdleTimeout, s.TotalTimeout = experiment.Duration(time.Hour), experiment.Duration(time.Hour), experiment.Duration(time.Hour)
		}, false, "total_timeout", time.Hour},
		// Without streaming a byte is all the progress there can be.
		{"not streamed", func(s *experiment.Spec) { s.Stream = false }, true, "total_timeout", 15 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := clientSpec()
			tt.spec(&spec)
			s, _ := clientDo(t, clientAlways(clientTrickle(long, time.Second)...), spec)
			if s.Outcome != experiment.Timeout || !strings.Contains(s.Error, tt.field) {
				t.Errorf("%s: %s", s.Outcome, s.Error)
			}
			if end := time.Duration(s.End); end < tt.end-5*time.Second || end > tt.end+5*time.Second {
				t.Errorf("ended at %s, want about %s", end, tt.end)
			}
		})
	}
}

// A stream that goes on for ever is ended by the total limit, with all it brought.
func TestEndlessStream(t *testing.T) {
	server := &clientServer{answer: func(int, int, *http.Request, string) []clientPiece {
		pieces := make([]clientPiece, 2000)
		for i := range pieces {
			pieces[i] = clientAfter(time.Second, clientText("a"))
		}
		return clientCut(pieces...)
	}}
	s, _ := clientDo(t, server, clientSpec())
	if s.Outcome != experiment.Timeout || time.Duration(s.End) != 15*time.Minute || s.Events < 899 || s.Events > 900 || !strings.Contains(s.Error, "total_timeout") {
		t.Errorf("%s at %s with %d events: %s", s.Outcome, time.Duration(s.End), s.Events, s.Error)
	}
}

// 31: a server that refuses for load is believed, and asked once.
func TestTooManyRequests(t *testing.T) {
	server := clientAlways(clientWhole(429, "Retry-After: 12\r\n", `{"error":{"message":"Rate limit reached for max_tokens"}}`)...)
	s, fallbacks := clientDo(t, server, clientSpec())
	want := "the server answered 429 Too Many Requests: Rate limit reached for max_tokens; lower the load or ask for a higher rate limit"
	if s.Outcome != experiment.HTTPError || s.Error != want || s.RetryAfter != 12*time.Second || len(server.requests) != 1 {
		t.Errorf("%s after %s, %d requests: %s", s.Outcome, s.RetryAfter, len(server.requests), s.Error)
	}
	if d := cmp.Diff([]string(nil), fallbacks); d != "" {
		t.Error(d)
	}
}

// A key or a header that no request could carry is refused before the first.
func TestHeadersRefused(t *testing.T) {
	for _, tt := range []struct {
		change func(*experiment.Spec)
		want   string
	}{
		{func(s *experiment.Spec) { s.Headers = map[string]string{"a b": "x"} }, `headers has "a b"`},
		{func(s *experiment.Spec) { s.Headers = map[string]string{"a": "x\r\nb: y"} }, "on one line"},
		{func(s *experiment.Spec) { s.KeyHeader = "api key" }, "key_header is"},
		{func(s *experiment.Spec) { s.Dialect = "vlm" }, "auto or one of vllm, sglang, trtllm"},
		{func(s *experiment.Spec) { s.Replicas = []experiment.Replica{{BaseURL: "one.test"}} }, "no scheme"},
	} {
		spec := clientSpec()
		tt.change(&spec)
		if _, err := NewClient(ClientConfig{Spec: spec}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want one with %q", err, tt.want)
		}
	}
}

// 35: choices that come in turns are told apart by nothing, so only the first of
// each event is read.
func TestInterleavedChoices(t *testing.T) {
	raw := []byte(`{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}`)
	if c, _, ok := parseChunk(raw); !ok || !bytes.Equal(c.content, []byte("a")) {
		t.Errorf("content %q", c.content)
	}
}
