package runner

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// Everything that can answer instead of an API: one sentence each, with the
// cause and the next step.
func TestOutcomeOfAnswers(t *testing.T) {
	completion := `{"model":"m","choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":1}}`
	page := "<!DOCTYPE html>\n<html><head><title>Bad Gateway</title></head><body>…</body></html>"
	for _, row := range []struct {
		name    string
		unkeyed bool
		whole   bool // ask without streaming
		answer  []clientPiece
		outcome experiment.Outcome
		status  int
		want    string
	}{
		{"wrong key", false, false, clientRefusal(401, `{"error":{"message":"Incorrect API key provided: `+clientKey+`."}}`), experiment.HTTPError, 401,
			"the server answered 401 Unauthorized: Incorrect API key provided: [key]; check that the API key is the one for this server"},
		{"no key", true, false, clientRefusal(401, `{"error":"missing token"}`), experiment.HTTPError, 401,
			"the server answered 401 Unauthorized: missing token; set OPENAI_API_KEY or give --api-key-file"},
		{"unknown model", false, false, clientRefusal(404, `{"error":{"message":"model \"m\" not found","type":"api_error"}}`), experiment.HTTPError, 404,
			`the server answered 404 Not Found: model "m" not found; check the address and the model's name: GET http://engine.test/v1/models lists the models if the address is right`},
		{"wrong path", false, false, clientWhole(404, "", "404 page not found\n"), experiment.HTTPError, 404,
			"the server answered 404 Not Found: 404 page not found; check the address and the model's name: GET http://engine.test/v1/models lists the models if the address is right"},
		{"a GET only path", false, false, clientWhole(405, "", ""), experiment.HTTPError, 405,
			"the server answered 405 Method Not Allowed: nothing more; check that the base URL is the API's root: most end in /v1"},
		{"too long", false, false, clientRefusal(400, `{"object":"error","message":"maximum context length is 8 tokens"}`), experiment.HTTPError, 400,
			"the server answered 400 Bad Request: maximum context length is 8 tokens; check the model's name, the lengths and the extra fields"},
		{"FastAPI's validation", false, false, clientRefusal(422, `{"detail":[{"msg":"Field required"}]}`), experiment.HTTPError, 422,
			"the server answered 422 Unprocessable Entity: Field required; check the model's name, the lengths and the extra fields"},
		{"an HTML error page", false, false, clientWhole(502, "Content-Type: text/html\r\n", page), experiment.HTTPError, 502,
			"the server answered 502 Bad Gateway: an HTML page, titled Bad Gateway; a proxy or another site answers: check the base URL"},
		{"an HTML page with 200", false, false, clientWhole(200, "Content-Type: text/html\r\n", page), experiment.Protocol, 200,
			"the answer is an HTML page, titled Bad Gateway; check that the base URL is that of an OpenAI-compatible API, such as http://127.0.0.1:8000/v1"},
		{"the same unstreamed", false, true, clientWhole(200, "", page), experiment.Protocol, 200,
			"the answer is an HTML page, titled Bad Gateway; check that the base URL is that of an OpenAI-compatible API, such as http://127.0.0.1:8000/v1"},
		{"a completion in one piece", false, false, clientWhole(200, "", completion), experiment.Protocol, 200,
			`the server ignored "stream": true and answered in one piece; run without --stream, or switch streaming on in the server`},
		{"an error with 200", false, false, clientWhole(200, "", `{"error":{"message":"no such model"}}`), experiment.HTTPError, 200,
			"the server answered 200 with an error inside: no such model; look at the server's log"},
		{"the same unstreamed", false, true, clientWhole(200, "", `{"error":{"message":"no such model"}}`), experiment.HTTPError, 200,
			"the server answered 200 with an error inside: no such model; look at the server's log"},
		{"other JSON", false, false, clientWhole(200, "", `{"ok":true}`), experiment.Protocol, 200,
			`the answer is JSON and holds no completion: {"ok":true}; check that the base URL is that of an OpenAI-compatible API, such as http://127.0.0.1:8000/v1`},
		{"JSON that does not parse", false, true, clientWhole(200, "", `{"choices":[`), experiment.Protocol, 200,
			`the answer is neither a stream nor JSON: {"choices":[; check that the base URL is that of an OpenAI-compatible API, such as http://127.0.0.1:8000/v1`},
		{"an event that does not parse", false, false, clientSSE(clientAfter(20*ms, "data: {\"choices\":[\n\n")), experiment.Protocol, 200,
			`the stream holds an event that is not a JSON object: {"choices":[; check that the base URL is that of an OpenAI-compatible API`},
		{"a stream that nobody asked for", false, true, clientSSE(clientAfter(20*ms, clientText("a"), clientStop, clientDone)), experiment.Protocol, 200,
			"the server streamed its answer although it was not asked to; use --stream"},
		{"an empty body", false, false, clientWhole(200, "", ""), experiment.Truncated, 200, "the server answered 200 with an empty body; look at the server's log"},
		{"an empty body unstreamed", false, true, clientWhole(200, "", ""), experiment.Truncated, 200, "the server answered 200 with an empty body; look at the server's log"},
		{"no finish reason unstreamed", false, true, clientWhole(200, "", `{"model":"m","choices":[{"message":{"content":"a"},"finish_reason":null}]}`), experiment.Truncated, 200,
			"the answer has no finish reason; look at the server's log"},
		{"half an answer unstreamed", false, true, append(clientWhole(200, "", completion)[:0:0], clientPiece{bytes: "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"}, clientPiece{hangup: true}),
			experiment.Truncated, 200, "the connection broke in the middle of the answer: unexpected EOF; look whether the server is still up"},
		{"a long message of several lines", false, false, clientWhole(500, "", "Traceback:\r\n\t"+strings.Repeat("x", 400)), experiment.HTTPError, 500,
			"the server answered 500 Internal Server Error: Traceback: " + strings.Repeat("x", 290) + "…; look at the server's log"},
		{"a redirect", false, false, clientWhole(308, "Location: https://other.test/v1\r\n", ""), experiment.HTTPError, 308,
			`the server answered 308 Permanent Redirect and points to "https://other.test/v1", which is not followed; give the right address as the base URL`},
		{"no answer", false, false, []clientPiece{{hangup: true}}, experiment.Truncated, 0,
			"the server closed the connection before it answered; look whether it is still up"},
		{"another protocol", false, false, []clientPiece{{bytes: "SSH-2.0-OpenSSH_9.2\r\n"}}, experiment.Protocol, 0,
			`what answers at engine.test does not speak HTTP/1.1: net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0-OpenSSH_9.2"; check the base URL's port and whether it needs https`},
		{"a finish reason of error", false, false, clientSSE(clientAfter(20*ms, strings.ReplaceAll(clientStop, "stop", "error"), clientDone)), experiment.HTTPError, 200,
			"the server ended the answer with the finish reason error after no text; look at the server's log"},
		{"the key in the text", false, false, clientSSE(clientAfter(20*ms, `data: {"error":"`+clientKey+`"}`+"\n\n")), experiment.HTTPError, 200,
			"the server reported an error inside the stream: [key]; look at the server's log"},
	} {
		t.Run(row.name, func(t *testing.T) {
			server := clientAlways(row.answer...)
			synctest.Test(t, func(t *testing.T) {
				spec := clientSpec()
				spec.Stream = !row.whole
				c := clientNew(t, server, spec)
				c.keyed = !row.unkeyed
				s := c.Do(t.Context(), time.Now(), clientRequest())
				if s.Outcome != row.outcome || s.HTTPStatus != row.status || s.Error != row.want {
					t.Errorf("%s %d\n got %s\nwant %s", s.Outcome, s.HTTPStatus, s.Error, row.want)
				}
				if !s.Sent.Happened() || !s.End.Happened() || strings.Contains(fmt.Sprintf("%+v %+v", s, c), clientKey) {
					t.Errorf("sent %d, end %d, or the key is in sight", s.Sent, s.End)
				}
			})
			if len(server.requests) != 1 {
				t.Errorf("%d requests were sent", len(server.requests))
			}
		})
	}
}

// 31: a refusal for load is an outcome of its own kind, with the time the
// server names, and is never sent again.
func TestRetryAfter(t *testing.T) {
	for _, row := range []struct {
		status int
		header string
		want   time.Duration
	}{
		{429, "Retry-After: 7\r\n", 7 * time.Second},
		{429, "Retry-After: 0.5\r\n", 500 * time.Millisecond},
		{503, "Retry-After: Sat, 01 Jan 2000 00:01:00 GMT\r\n", time.Minute}, // bubbles begin at midnight, and the answer takes 20 ms
		{429, "Retry-After: soon\r\n", 0},
		{429, "Retry-After: -1\r\n", 0},
		{429, "Retry-After: Inf\r\n", 24 * time.Hour},
		{429, "Retry-After: NaN\r\n", 0},
		{429, "", 0},
	} {
		server := clientAlways(clientWhole(row.status, row.header, `{"error":{"message":"slow down"}}`)...)
		s, _ := clientDo(t, server, clientSpec())
		if s.Outcome != experiment.HTTPError || s.RetryAfter != row.want || len(server.requests) != 1 || !strings.Contains(s.Error, "slow down") {
			t.Errorf("%d %q: %s after %s, %d requests: %s", row.status, row.header, s.Outcome, s.RetryAfter, len(server.requests), s.Error)
		}
	}
}

// A connection that fails is refused, with the reason in words.
func TestOutcomeOfDials(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, row := range []struct {
		name    string
		err     error
		outcome experiment.Outcome
		want    string
	}{
		{"nothing listens", dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), experiment.Refused,
			"nothing listens at engine.test; start the server or check the address and port"},
		{"no such host", dial(&net.DNSError{Err: "no such host", Name: "engine.test", IsNotFound: true}), experiment.Refused,
			"there is no host called engine.test; check the base URL"},
		{"no route", dial(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), experiment.Refused,
			"no connection to engine.test: dial tcp: connect: no route to host; check the address and the network"},
		{"the kernel gave up", dial(os.NewSyscallError("connect", syscall.ETIMEDOUT)), experiment.Timeout,
			"no connection to the server within 10s (connect_timeout); check the address, the network and any firewall"},
		{"a certificate", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, experiment.Refused,
			"no encrypted connection to engine.test: tls: failed to verify certificate: x509: certificate signed by unknown authority; " +
				"check whether the base URL begins with the right one of http and https, and the server's certificate"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := NewClient(ClientConfig{Spec: clientSpec(), Dial: func(context.Context, string, string) (net.Conn, error) { return nil, row.err }})
				if err != nil {
					t.Fatal(err)
				}
				s := c.Do(t.Context(), time.Now(), clientRequest())
				if s.Outcome != row.outcome || s.Error != row.want || s.HTTPStatus != 0 || s.Connected.Happened() {
					t.Errorf("%s\n got %s\nwant %s", s.Outcome, s.Error, row.want)
				}
			})
		})
	}
}

// A base URL with https, and a server that speaks http.
func TestOutcomeOfTLS(t *testing.T) {
	server := &clientServer{answer: func(int, int, *http.Request, string) []clientPiece { return nil }}
	synctest.Test(t, func(t *testing.T) {
		spec := clientSpec()
		spec.BaseURL = "https://engine.test/v1"
		c, err := NewClient(ClientConfig{Spec: spec, Dial: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			server.running.Go(func() {
				defer far.Close()
				hello := make([]byte, 4096)
				if _, err := far.Read(hello); err != nil && !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				fmt.Fprint(far, "HTTP/1.1 400 Bad Request\r\n\r\n")
			})
			return near, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		s := c.Do(t.Context(), time.Now(), clientRequest())
		server.running.Wait()
		want := "no encrypted connection to engine.test: tls: first record does not look like a TLS handshake; " +
			"check whether the base URL begins with the right one of http and https, and the server's certificate"
		if s.Outcome != experiment.Refused || s.Error != want {
			t.Errorf("%s\n got %s\nwant %s", s.Outcome, s.Error, want)
		}
	})
}
