package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/dataset"
)

// Request is one request to send.
type Request struct {
	// Sample carries the identity of the request: Seq, Worker, Class, Phase,
	// Scheduled, PromptAsked and OutputAsked. Make it with [experiment.NewSample].
	Sample experiment.Sample
	// ID is sent as X-Request-Id, so that a server's log can be joined with the
	// samples; empty = none is sent. The package comment says what a run sends.
	ID string
	// Prompt is the user's text, History the messages before it, oldest first. A
	// completion gets all of them as one text.
	Prompt  string
	History []dataset.Message
	// Body is a whole request body to send in place of Prompt and History; the model,
	// the limit and the streaming are still the client's.
	Body json.RawMessage
	// Model is the model to ask for; empty = the specification's.
	Model string
	// Replica is the index of the server in Spec.Replicas.
	Replica int
	// MaxTokens is the limit of output tokens, from 1.
	MaxTokens int
}

// ClientConfig says whom a [Client] talks to and how.
type ClientConfig struct {
	// Spec gives the endpoint, the fields of each request and the time limits.
	Spec experiment.Spec
	// Key is the bearer token; empty = none. It is sent and goes nowhere else:
	// where a server repeats it, the sample has [key] in its place.
	Key string
	// MaxConns is the highest concurrency of the run: as many idle connections are kept.
	MaxConns int
	// Dial opens a connection to the server; nil = the network. A given Dial is
	// the way to the server, so no proxy is looked for.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Client sends requests to one endpoint and turns each into a sample. It is
// safe for concurrent use.
//
// All times are monotonic. The arrival of an event is the moment that the read
// which completed it returned, before anything is parsed, so the client's own
// work is in no gap, and events that one read brought share one arrival.
//
// A request is sent once, with two exceptions. If the server refuses a field
// with 400 or 422 and there is another way to ask, the client asks that way,
// remembers it and says so in [Client.Fallbacks]. If a connection kept from an
// earlier request turns out dead before any byte of the answer, the request
// goes out again on a fresh one, and Fallbacks counts it. Redirects are not
// followed, and neither an error nor a Retry-After makes it try again: in a
// measurement that would be load that nobody asked for.
type Client struct {
	spec      experiment.Spec
	base      string // the API's root
	host      string
	api       *openai.Client
	transport *http.Transport
	fixed     []member
	extra     []member
	tongue    *tongue
	proxy     string
	keyed     bool
	scrub     func(string) string
	resent    atomic.Int64
}

// NewClient checks the configuration and opens nothing. Its errors say what to
// write instead, and never contain the key or a password.
func NewClient(cfg ClientConfig) (*Client, error) {
	base, host, err := checkBase(cfg.Spec.BaseURL)
	if err != nil {
		return nil, err
	}
	if strings.ContainsFunc(cfg.Key, func(r rune) bool { return r < ' ' || r == 0x7F }) {
		return nil, errors.New("the API key holds a line break or another control character; write it on one line of its own")
	}
	spec := cfg.Spec
	for _, d := range []experiment.Duration{spec.ConnectTimeout, spec.FirstByteTimeout, spec.IdleTimeout, spec.TotalTimeout} {
		if d <= 0 {
			return nil, errors.New("a time limit is 0 or less; begin with experiment.DefaultSpec")
		}
	}
	extra, err := extraMembers(spec.Extra)
	if err != nil {
		return nil, err
	}
	fixed, err := fixedMembers(&spec)
	if err != nil {
		return nil, err
	}
	c := &Client{
		spec: spec, base: base, host: host, transport: newTransport(&cfg), fixed: fixed, extra: extra, keyed: cfg.Key != "",
		tongue: &tongue{
			current: dialect{completionTokens: spec.MaxTokensField == "max_completion_tokens"},
			auto:    spec.MaxTokensField == "auto" || spec.MaxTokensField == "",
			stream:  spec.Stream, extra: extra,
		},
		scrub: func(s string) string { return s },
	}
	if key := cfg.Key; key != "" {
		c.scrub = func(s string) string { return strings.ReplaceAll(s, key, "[key]") }
	}
	c.proxy = proxyFor(c.transport, base)
	api := openai.DefaultConfig(cfg.Key)
	api.BaseURL = base
	api.HTTPClient = doer{c}
	c.api = openai.NewClientWithConfig(api)
	return c, nil
}

// checkBase gives the API's root without a slash at its end, and its host.
func checkBase(base string) (root, host string, err error) {
	u, err := url.Parse(base)
	switch {
	case err != nil:
		// The parser's error repeats the address, which may hold a password.
		return "", "", errors.New("the base URL cannot be read; write one such as http://127.0.0.1:8000/v1")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", "", errors.New("the base URL holds a user, password, query or fragment; leave them out and give a key with OPENAI_API_KEY")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "", "", fmt.Errorf("the base URL %q has no scheme or no host; write one such as http://127.0.0.1:8000/v1", base)
	}
	return strings.TrimRight(u.String(), "/"), u.Host, nil
}

// Do sends one request and waits for the end of its answer. anchor is Instant 0
// of the point and must come from time.Now. What went wrong is in the sample:
// its Outcome, and its Error in one sentence.
//
// A stream's End is when [DONE], an error event or the end of the body was
// read. An answer that is not streamed has no times of first or last text of
// its own: FirstEvent and FirstContent stay Never, and LastContent = End = when
// the last byte of the body was read, so that E2E is defined and TTFT is not.
// The same holds for a stream that succeeded without any text, as an engine
// gives whose only token is half a character.
func (c *Client) Do(ctx context.Context, anchor time.Time, r Request) experiment.Sample {
	now := func() experiment.Instant { return experiment.Instant(time.Since(anchor)) }
	s := r.Sample
	ctx, w := newWatch(ctx, &c.spec, now)
	defer w.stop()
	for d := c.tongue.now(); ; {
		x := &exchange{
			request: r, dialect: d, now: now, watch: w,
			complete: experiment.Never, sent: now(), connected: experiment.Never, headers: experiment.Never,
		}
		a := newAnswer(&s, r.MaxTokens)
		err := c.call(ctx, x, a)
		if x.response != nil && (x.response.StatusCode == http.StatusBadRequest || x.response.StatusCode == http.StatusUnprocessableEntity) {
			if next, again := c.tongue.learn(d, string(x.refusal)); again {
				d = next
				continue
			}
		}
		x.record(&s)
		c.settle(x, a, err, context.Cause(ctx))
		return s
	}
}

// call makes one call of go-openai's and gathers the answer. Its error is io.EOF for a
// stream that ended, and nil for one that it gave up on.
func (c *Client) call(ctx context.Context, x *exchange, a *answer) error {
	ctx, x.abort = context.WithCancel(context.WithValue(ctx, exchangeKey{}, x))
	defer x.abort()
	chat := c.spec.Endpoint != experiment.Completions
	if !c.spec.Stream {
		// The answer is judged by its bytes, which the exchange holds: go-openai's
		// structs lack fields that servers send, and fail on harmless ones.
		var err error
		if chat {
			_, err = c.api.CreateChatCompletion(ctx, chatRequest(&x.request, nil))
		} else {
			_, err = c.api.CreateCompletion(ctx, completionRequest(&x.request, nil))
		}
		return err
	}
	usage := &openai.StreamOptions{IncludeUsage: true}
	if x.dialect.noStreamOptions {
		usage = nil
	}
	var events eventSource
	var err error
	if chat {
		events, err = c.api.CreateChatCompletionStream(ctx, chatRequest(&x.request, usage))
	} else {
		events, err = c.api.CreateCompletionStream(ctx, completionRequest(&x.request, usage))
	}
	if err != nil {
		return err
	}
	defer events.Close()
	return x.gather(events, a)
}

// eventSource is go-openai's stream, of chat or of completions.
type eventSource interface {
	RecvRaw() ([]byte, error)
	Close() error
}

// gather takes the events of a stream as they come, each with the arrival that
// the stream noted before go-openai saw it.
func (x *exchange) gather(events eventSource, a *answer) error {
	for begun := false; ; begun = true {
		raw, err := events.RecvRaw()
		if err != nil {
			return err
		}
		if !begun {
			x.watch.enter(streaming)
		}
		at := x.stream.next()
		progress, ok := a.event(raw, at)
		if !ok {
			return nil
		}
		if progress {
			x.watch.progress(at.at)
		}
	}
}

// record copies what the exchange saw of the connection.
func (x *exchange) record(s *experiment.Sample) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s.Sent, s.Connected, s.Headers, s.Reused = x.sent, x.connected, x.headers, x.reused
	if x.response != nil {
		s.HTTPStatus, s.Protocol = x.response.StatusCode, x.response.Proto
		s.RetryAfter = retryAfter(x.response.Header)
	}
	s.Reads = x.reads
	if x.stream != nil {
		s.Reads = x.stream.reads
	}
}

// Fallbacks says in whole sentences what the client learned about the server
// and did about it; empty = nothing.
func (c *Client) Fallbacks() []string {
	var out []string
	if c.proxy != "" {
		out = append(out, fmt.Sprintf("requests go through the proxy %s, whose delay is in every time", c.proxy))
	}
	out = append(out, c.tongue.sentences()...)
	switch n := c.resent.Load(); n {
	case 0:
	case 1:
		out = append(out, "1 request was sent again, because the server had closed the kept connection")
	default:
		out = append(out, fmt.Sprintf("%d requests were sent again, because the server had closed the kept connection", n))
	}
	return out
}

// Close closes the idle connections. Requests under way go on.
func (c *Client) Close() { c.transport.CloseIdleConnections() }
