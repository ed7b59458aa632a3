package runner

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/stamp"
)

const (
	idleConnTime  = 4 * time.Second // shorter than the 5 s after which uvicorn hangs up
	staleTime     = time.Second     // a kept connection that is dead says so within a round trip
	refusalLimit  = 64 << 10        // kept of an answer with an error status
	completeLimit = 64 << 20        // of an answer that is not streamed
)

// newTransport returns a transport for one connection a worker: HTTP/1.1 only,
// since HTTP/2 would put all streams on one connection, with no compression,
// since that buffers a stream.
func newTransport(cfg *ClientConfig) *http.Transport {
	connect := time.Duration(cfg.Spec.ConnectTimeout)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	t := &http.Transport{
		Protocols:           protocols,
		DisableCompression:  true,
		MaxIdleConns:        0, // no limit of its own
		MaxIdleConnsPerHost: max(cfg.MaxConns, 2),
		IdleConnTimeout:     idleConnTime,
		TLSHandshakeTimeout: connect,
		ReadBufferSize:      readSize(cfg.MaxConns),
	}
	dial := cfg.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
		t.Proxy = http.ProxyFromEnvironment // never for a loopback address
	}
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		// The transport lets a dial outlive its request, for the next one's sake.
		ctx, cancel := context.WithTimeout(ctx, connect)
		defer cancel()
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return stamp.Wrap(c), nil
	}
	return t
}

// doer is what go-openai sends its requests through. It finds the exchange
// that a request belongs to in the request's context.
type doer struct{ client *Client }

type exchangeKey struct{}

// exchange is one request on its way: what to send beyond what go-openai can,
// and what is seen on the way back. An exchange that is sent again, on a fresh
// connection or in another dialect, keeps the times of the last attempt: what
// the earlier ones took is Sent − Scheduled, where send lag is looked for.
type exchange struct {
	request Request
	dialect dialect
	now     func() experiment.Instant
	anchor  time.Time // Instant 0
	watch   *watch
	abort   func() // ends the connection

	stream   *stream // of a streamed answer
	document []byte  // of an answer that is not streamed
	whole    bool    // all of it came
	complete experiment.Instant
	lag      time.Duration // how late the last byte was read
	reads    int
	response *http.Response // its status and header
	refusal  []byte         // the body of an answer whose status is an error

	mu                       sync.Mutex // the transport's goroutines write these
	sent, connected, headers experiment.Instant
	reused                   bool
	log                      *stamp.Log // of the connection; nil = it does not stamp
}

// errRefused ends go-openai's call where the status is not 2xx: the exchange
// holds the answer, which go-openai would only partly understand.
var errRefused = errors.New("the server answered with an error status")

// errAnswerTooLong ends the call where an answer that is not streamed has no end.
var errAnswerTooLong = fmt.Errorf("the answer is longer than %d MB", completeLimit>>20)

// errCompressed ends the call where the answer is compressed.
var errCompressed = errors.New("the answer is compressed")

// Do sends one request of go-openai's and prepares the answer for it.
func (d doer) Do(req *http.Request) (*http.Response, error) {
	x := req.Context().Value(exchangeKey{}).(*exchange)
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the request body: %w", err)
	}
	if body, err = d.client.merge(body, x); err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "inferbook")
	if id := x.request.ID; id != "" {
		req.Header.Set("X-Request-Id", id) // the same when it is sent again: one request, one ID
	}
	resp, err := x.send(req, body, d.client.transport)
	if x.stale(err) {
		d.client.resent.Add(1)
		d.client.transport.CloseIdleConnections() // its neighbours are as old
		resp, err = x.send(req, body, d.client.transport)
	}
	if err != nil {
		return nil, err
	}
	x.response = resp
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer resp.Body.Close()
		x.refusal, err = io.ReadAll(io.LimitReader(resp.Body, refusalLimit))
		return nil, errors.Join(errRefused, err)
	}
	if e := resp.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, errors.Join(errCompressed, resp.Body.Close())
	}
	if d.client.spec.Stream {
		x.stream = newStream(resp.Body, x.clock(), readSize(d.client.conns), x.abort)
		out := *resp
		out.Body = x.stream
		return &out, nil
	}
	return x.readAll(resp, readSize(d.client.conns))
}

// clock tells when the bytes of the last attempt arrived.
func (x *exchange) clock() clock {
	x.mu.Lock()
	defer x.mu.Unlock()
	return clock{now: x.now, anchor: x.anchor, log: x.log}
}

// send makes one attempt.
func (x *exchange) send(req *http.Request, body []byte, t *http.Transport) (*http.Response, error) {
	trace := &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			x.mu.Lock()
			x.connected, x.reused = x.now(), info.Reused
			if c := stamp.Of(info.Conn); c != nil {
				x.log = new(stamp.Log)
				c.Attach(x.log)
			}
			x.mu.Unlock()
			x.watch.enter(waiting)
		},
		GotFirstResponseByte: func() {
			x.mu.Lock()
			x.headers = clock{x.now, x.anchor, x.log}.arrived(0).at
			x.mu.Unlock()
		},
	}
	attempt := req.Clone(httptrace.WithClientTrace(req.Context(), trace))
	// With no GetBody the transport never sends a request again by itself,
	// which nobody would count.
	attempt.Body, attempt.GetBody, attempt.ContentLength = io.NopCloser(bytes.NewReader(body)), nil, int64(len(body))
	x.watch.enter(connecting)
	x.mu.Lock()
	x.sent, x.connected, x.headers, x.reused, x.log = x.now(), experiment.Never, experiment.Never, false, nil
	x.mu.Unlock()
	return t.RoundTrip(attempt)
}

// stale reports whether an attempt failed because the connection kept from an
// earlier request was dead: it was reused, and ended before any byte of the
// answer and within the time that its end needs to be noticed. Nothing else is
// ever sent again.
func (x *exchange) stale(err error) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err == nil || !x.reused || x.headers.Happened() || x.now().Sub(x.sent) > staleTime {
		return false
	}
	return hungUp(err)
}

// wasConnected reports whether the last attempt got a connection.
func (x *exchange) wasConnected() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.connected.Happened()
}

// hungUp reports whether the peer ended the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		strings.Contains(err.Error(), "server closed idle connection") // net/http exports no error for it
}

// readAll takes an answer that is not streamed, and stamps its last byte.
// size is that of a read.
// go-openai gets an empty object, since what it would decode is not looked at:
// the work would only delay the worker's next request.
func (x *exchange) readAll(resp *http.Response, size int) (*http.Response, error) {
	defer resp.Body.Close()
	clock, last := x.clock(), arrival{}
	buffer := takeBuffer(size)
	defer giveBuffer(buffer)
	for {
		n, err := resp.Body.Read(*buffer)
		if n > 0 {
			if x.reads++; x.reads == 1 {
				x.watch.enter(streaming)
			}
			last = clock.arrived(x.reads)
			x.watch.progress(last.at)
			x.document = append(x.document, (*buffer)[:n]...)
		}
		if err == io.EOF {
			if x.whole = true; x.reads == 0 {
				last = clock.read(0)
			}
			x.complete, x.lag = last.at, last.lag
			break
		}
		if err == nil && len(x.document) > completeLimit {
			err = errAnswerTooLong
		}
		if err != nil {
			return nil, err
		}
	}
	out := *resp
	out.Body = io.NopCloser(strings.NewReader("{}"))
	return &out, nil
}

// proxyFor names the proxy that requests to the endpoint go through; empty = none.
func proxyFor(t *http.Transport, endpoint string) string {
	if t.Proxy == nil {
		return ""
	}
	req, err := http.NewRequest(http.MethodPost, endpoint, nil)
	if err != nil {
		return ""
	}
	u, err := t.Proxy(req)
	if err != nil || u == nil {
		return ""
	}
	return u.Scheme + "://" + u.Host // without the user and password it may hold
}

// isTLS reports whether a connection failed over its encryption.
func isTLS(err error) bool {
	var (
		record tls.RecordHeaderError
		cert   *tls.CertificateVerificationError
		alert  tls.AlertError
	)
	return errors.As(err, &record) || errors.As(err, &cert) || errors.As(err, &alert) ||
		strings.HasPrefix(err.Error(), "tls: ") || strings.Contains(err.Error(), "HTTP response to HTTPS client")
}
