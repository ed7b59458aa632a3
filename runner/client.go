package runner

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/dataset"
	work "github.com/inferbook/inferbook/runner/workload"
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
	// Replica is the index of the server in Spec.Replicas; 0 where there are none.
	Replica int
	// MaxTokens is the limit of output tokens; 0 = that of Body, or none.
	MaxTokens int
}

// ClientConfig says whom a [Client] talks to and how.
type ClientConfig struct {
	// Spec gives the endpoint, the fields of each request and the time limits.
	Spec experiment.Spec
	// Detected is the dialect that the server was found to speak, which counts unless
	// Spec.Dialect names one; empty, or a name not in [Dialects] = generic.
	Detected string
	// MaxModelLen is the server's context in tokens, so that [Client.Learn] does not
	// ask for more; 0 = not known.
	MaxModelLen int
	// Salt is in the text and the ID of each request that [Client.Learn] sends, so
	// that none is in a server's prefix cache; empty = a random one.
	Salt string
	// Key is the bearer token, or what Spec.KeyHeader carries; empty = none. It is
	// sent and goes nowhere else: where a server repeats it, the sample has [key] in its place.
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
// All times are monotonic. The arrival of an event is the kernel's stamp of the
// last bytes of the read which completed it, where the connection has stamps (see
// [github.com/inferbook/inferbook/runner/stamp]), else the moment that the read
// returned, before anything is parsed. So the client's own work is in no gap, and
// events that one read brought share one arrival.
//
// A request is sent once, with two exceptions. If the server refuses a field
// with 400 or 422 and there is another way to ask, the client asks that way,
// remembers it and says so in [Client.Fallbacks]. If a connection kept from an
// earlier request turns out dead before any byte of the answer, the request
// goes out again on a fresh one, and Fallbacks counts it. Redirects are not
// followed, and neither an error nor a Retry-After makes it try again: in a
// measurement that would be load that nobody asked for.
type Client struct {
	spec        experiment.Spec
	replicas    []replica
	transport   *http.Transport
	dress       func(*http.Request) // puts on the headers of each request; a function shows no key
	model       member
	temperature member
	extra       []member
	row         *convention
	tongue      *tongue
	fit         atomic.Pointer[work.Fit]
	maxLen      int
	salt        string
	proxies     []string
	keyed       bool
	scrub       func(string) string
	resent      atomic.Int64
	conns       int // the highest concurrency
}

// replica is one of the servers.
type replica struct {
	base string // the API's root
	host string
	api  *openai.Client
}

// NewClient checks the configuration and opens nothing. Its errors say what to
// write instead, and never contain the key or a password.
func NewClient(cfg ClientConfig) (*Client, error) {
	spec := cfg.Spec
	if spec.Endpoint == experiment.Embeddings {
		spec.Stream = false
	}
	if strings.ContainsFunc(cfg.Key, func(r rune) bool { return r < ' ' || r == 0x7F }) {
		return nil, errors.New("the API key holds a line break or another control character; write it on one line of its own")
	}
	for _, d := range []experiment.Duration{spec.ConnectTimeout, spec.FirstByteTimeout, spec.IdleTimeout, spec.TotalTimeout} {
		if d <= 0 {
			return nil, errors.New("a time limit is 0 or less; begin with experiment.DefaultSpec")
		}
	}
	c := &Client{
		spec: spec, transport: newTransport(&cfg), keyed: cfg.Key != "", maxLen: cfg.MaxModelLen, salt: cfg.Salt, conns: cfg.MaxConns,
		scrub: func(s string) string { return s },
	}
	if key := cfg.Key; key != "" {
		c.scrub = func(s string) string { return strings.ReplaceAll(s, key, "[key]") }
	}
	if c.salt == "" {
		c.salt = rand.Text()
	}
	c.UseFit(work.DefaultFit)
	var err error
	if c.extra, err = extraMembers(spec.Extra); err != nil {
		return nil, err
	}
	if c.model, err = fixed("model", spec.Model); err != nil {
		return nil, err
	}
	if c.temperature, err = fixed("temperature", spec.Temperature); err != nil {
		return nil, err
	}
	if c.row, err = conventionFor(spec.Dialect, cfg.Detected); err != nil {
		return nil, err
	}
	if c.dress, err = headers(&spec, cfg.Key); err != nil {
		return nil, err
	}
	c.tongue = newTongue(&spec, c.row, c.extra)
	return c, c.connectAll()
}

// connectAll prepares the servers, without a connection to any. One transport
// serves them all.
func (c *Client) connectAll() error {
	// HTTP/1.1 is named, so that a server which has nothing older than HTTP/2 says so.
	c.transport.TLSClientConfig = &tls.Config{NextProtos: []string{"http/1.1"}}
	addresses := []string{c.spec.BaseURL}
	if len(c.spec.Replicas) > 0 {
		addresses = nil
		for _, r := range c.spec.Replicas {
			addresses = append(addresses, r.BaseURL)
		}
	}
	for _, address := range addresses {
		base, host, err := checkBase(address)
		if err != nil {
			return err
		}
		if p := proxyFor(c.transport, base); p != "" && !slices.Contains(c.proxies, p) {
			c.proxies = append(c.proxies, p)
		}
		api := openai.DefaultConfig("") // the key is among our headers
		api.BaseURL, api.APIVersion = base, c.spec.APIVersion
		api.HTTPClient = dresser{c}
		c.replicas = append(c.replicas, replica{base, host, openai.NewClientWithConfig(api)})
	}
	return nil
}

// headers gives what puts on a request the headers that each carries beside the
// client's own.
func headers(spec *experiment.Spec, key string) (func(*http.Request), error) {
	h := http.Header{}
	for name, value := range spec.Headers {
		if !headerName.MatchString(name) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7F }) {
			return nil, fmt.Errorf("headers has %q: %q; write a name of letters, digits and hyphens, and a value on one line", name, value)
		}
		h.Set(name, value)
	}
	switch name := spec.KeyHeader; {
	case name != "" && !headerName.MatchString(name):
		return nil, fmt.Errorf("key_header is %q; write a header's name, such as api-key", name)
	case key == "":
	case name == "":
		h.Set("Authorization", "Bearer "+key)
	default:
		h.Set(name, key)
	}
	return func(req *http.Request) {
		for name, values := range h {
			req.Header[name] = values
			if name == "Host" {
				req.Host = values[0] // net/http takes it from here alone
			}
		}
	}, nil
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+.^_|~-]+$`)

// dresser puts the headers on go-openai's requests.
type dresser struct{ client *Client }

func (d dresser) Do(req *http.Request) (*http.Response, error) {
	d.client.dress(req)
	return doer(d).Do(req)
}

// UseFit says how the server counts prompts, so that one that it cut is noticed.
func (c *Client) UseFit(f work.Fit) { c.fit.Store(&f) }

// Dialect gives the name of the server's dialect, and in one sentence what is
// peculiar to it; empty = nothing is.
func (c *Client) Dialect() (name, quirk string) { return c.row.name, c.row.quirk }

// parser reads the JSON of the endpoint's answers.
func (c *Client) parser() func([]byte) (chunk, varying, bool) {
	switch c.spec.Endpoint {
	case experiment.Responses:
		return parseResponse
	case experiment.Embeddings:
		return parseEmbedding
	default:
		return parseChunk
	}
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
	s, _ := c.send(ctx, anchor, r, false)
	return s
}

// Ask is Do, and gives the answer's text too, without its reasoning: what the next
// turn of the conversation has as history.
func (c *Client) Ask(ctx context.Context, anchor time.Time, r Request) (experiment.Sample, string) {
	return c.send(ctx, anchor, r, true)
}

func (c *Client) send(ctx context.Context, anchor time.Time, r Request, keep bool) (experiment.Sample, string) {
	now := func() experiment.Instant { return experiment.Instant(time.Since(anchor)) }
	s := r.Sample
	s.ModelAsked, s.Replica = r.Model, r.Replica
	ctx, w := newWatch(ctx, &c.spec, now)
	defer w.stop()
	for d := c.tongue.now(); ; {
		x := &exchange{
			request: r, dialect: d, now: now, anchor: anchor, watch: w,
			complete: experiment.Never, sent: now(), connected: experiment.Never, headers: experiment.Never,
		}
		a := newAnswer(&s, r.MaxTokens)
		a.keep, a.forms.parse = keep, c.parser()
		err := c.call(ctx, x, a)
		if x.response != nil && (x.response.StatusCode == http.StatusBadRequest || x.response.StatusCode == http.StatusUnprocessableEntity) {
			if next, again := c.tongue.learn(d, string(x.refusal)); again {
				d = next
				continue
			}
		}
		if x.response != nil && x.response.StatusCode/100 == 2 {
			c.tongue.accepted.Store(true)
		}
		x.record(&s)
		c.settle(x, a, err, context.Cause(ctx))
		return s, string(a.content)
	}
}

// call makes one call of go-openai's and gathers the answer. Its error is io.EOF for a
// stream that ended, and nil for one that it gave up on.
func (c *Client) call(ctx context.Context, x *exchange, a *answer) error {
	ctx, x.abort = context.WithCancel(context.WithValue(ctx, exchangeKey{}, x))
	defer x.abort()
	api := c.replicas[x.request.Replica].api
	if !c.spec.Stream {
		return c.fetch(ctx, api, x)
	}
	events, err := c.open(ctx, api, x)
	if err != nil {
		return err
	}
	defer events.Close()
	return x.gather(events, a)
}

// gather takes the events of a stream that go-openai reads, each with the arrival
// that the stream noted before go-openai saw it. Once there is text, the stream
// takes more of the same by itself.
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
		if a.s.Events == 1 {
			x.stream.batch.answer, x.stream.batch.watch = a, x.watch
		}
		if a.over {
			x.stream.done = true // as good as [DONE], which may not follow
			x.stream.end(at.at, io.EOF)
			return io.EOF
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
	if x.whole {
		s.FirstLag, s.MaxLag = x.lag, x.lag
	}
	if x.stream != nil {
		s.Reads = x.stream.reads
	}
}

// Fallbacks says in whole sentences what the client learned about the server
// and did about it; empty = nothing.
func (c *Client) Fallbacks() []string {
	var out []string
	for _, p := range c.proxies {
		out = append(out, fmt.Sprintf("requests go through the proxy %s, whose delay is in every time", p))
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
