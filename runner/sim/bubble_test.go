package sim

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pipes is a listener whose connections are pairs of net.Pipe, since a real
// socket does not live in a bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// lab is a server, its clock's zero, and a client, in one bubble.
type lab struct {
	server *Server
	start  time.Time
	client *http.Client
}

// inBubble runs f with a started server and takes everything down after it.
func inBubble(t *testing.T, cfg Config, f func(t *testing.T, l *lab)) {
	t.Helper()
	inBubbleServing(t, Serving{}, cfg, f)
}

// inBubbleServing is inBubble for a server that presents its engine in a way of its own.
func inBubbleServing(t *testing.T, v Serving, cfg Config, f func(t *testing.T, l *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, err := v.NewServer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		httpServer := &http.Server{Handler: s.Handler()}
		go httpServer.Serve(p)
		s.Start(ctx)
		transport := &http.Transport{DialContext: p.dial, MaxIdleConnsPerHost: 100, DisableCompression: true}
		f(t, &lab{server: s, start: time.Now(), client: &http.Client{Transport: transport}})
		stop()
		transport.CloseIdleConnections()
		httpServer.Close()
		synctest.Wait()
	})
}

// post sends a body and gives the answer.
func (l *lab) post(ctx context.Context, path, id, body string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, "POST", "http://sim"+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if id != "" {
		r.Header.Set("X-Request-Id", id)
	}
	return l.client.Do(r)
}

// seen is what a raw client saw of one stream.
type seen struct {
	sent    time.Duration
	content []time.Duration // when each event with text was read
	end     time.Duration   // when [DONE] was read
	account Account
}

// stream asks for a stream and stamps each event as it is read.
func (l *lab) stream(id, body string) (seen, error) {
	out := seen{sent: time.Since(l.start)}
	resp, err := l.post(context.Background(), "/v1/chat/completions", id, body)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		at, data := time.Since(l.start), bytes.TrimPrefix(lines.Bytes(), []byte("data: "))
		if string(data) == "[DONE]" {
			out.end = at
			break
		}
		var event struct {
			Choices []struct {
				Delta struct{ Content string }
			}
			Sim *Account
		}
		if len(data) == 0 {
			continue
		}
		if err := json.Unmarshal(data, &event); err != nil {
			return out, fmt.Errorf("event %q: %w", data, err)
		}
		if len(event.Choices) > 0 && event.Choices[0].Delta.Content != "" {
			out.content = append(out.content, at)
		}
		if event.Sim != nil {
			out.account = *event.Sim
		}
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return out, err
}

func chatBody(prompt, output int) string {
	// Each message costs four tokens of template and the answer's opening three.
	text := strings.Repeat("abcd", prompt-messageTokens-answerTokens)
	return fmt.Sprintf(`{"messages":[{"role":"user","content":"%s"}],"max_tokens":%d,"ignore_eos":true,"stream":true,"stream_options":{"include_usage":true}}`, text, output)
}

// What a client measures is what the engine knows, to the nanosecond: the first
// token, each gap, and the end, with streams that join and leave each other's batches.
func TestClientSeesTheTruth(t *testing.T) {
	run := func(t *testing.T) (truths []Truth) {
		inBubble(t, Config{Jitter: .05, Seed: 3}, func(t *testing.T, l *lab) {
			var wg sync.WaitGroup
			for i := range 12 {
				wg.Go(func() {
					time.Sleep(time.Duration(i/3) * 150 * time.Millisecond) // three at one instant
					for turn := range 3 {
						got, err := l.stream("", chatBody(200+50*i, 20+7*i+turn))
						if err != nil {
							t.Errorf("stream %d: %v", i, err)
							return
						}
						l.checkSeen(t, got, 20+7*i+turn)
					}
				})
			}
			wg.Wait()
			truths = l.server.Truths()
		})
		return truths
	}
	first := run(t)
	if len(first) != 36 {
		t.Fatalf("the server knows %d requests, want 36", len(first))
	}
	for range 3 {
		if diff := cmp.Diff(first, run(t)); diff != "" {
			t.Fatalf("two runs differ:\n%s", diff)
		}
	}
}

func (l *lab) checkSeen(t *testing.T, got seen, output int) {
	a := got.account
	var full fullAccount
	for _, truth := range l.server.Truths() {
		if truth.ID == a.ID {
			full = l.server.fullAccount(truth)
		}
	}
	if a != full.Account || a.Arrival != got.sent || len(got.content) != output || len(full.TokenTimes) != output {
		t.Errorf("%s: sent at %d, arrived at %d; %d events, %d tokens, want %d", a.ID, got.sent, a.Arrival, len(got.content), len(full.TokenTimes), output)
		return
	}
	if ttft := got.content[0] - got.sent; ttft != a.TTFT || a.Front+a.Queue+a.Prefill+a.Net != ttft {
		t.Errorf("%s: a first token after %d ns, the truth is %d = %d+%d+%d+%d", a.ID, ttft, a.TTFT, a.Front, a.Queue, a.Prefill, a.Net)
	}
	for i, at := range got.content {
		if at-got.sent != full.TokenTimes[i] {
			t.Errorf("%s: token %d seen after %s, the truth is %s", a.ID, i, at-got.sent, full.TokenTimes[i])
			return
		}
	}
	if got.end-got.sent != a.E2E {
		t.Errorf("%s: ended after %s, the truth is %s", a.ID, got.end-got.sent, a.E2E)
	}
}

// The discrete-event loop and the served engine are one engine: the same
// arrivals and departures give the same truths.
func TestLoopEqualsServer(t *testing.T) {
	for _, cfg := range []Config{
		{OtherMemoryGB: 5.2, PrefixCaching: "off"}, // a pool that runs out
		{OtherMemoryGB: 5.2},
		{Jitter: .1, Seed: 9, MaxSeqs: 5},
		{GPU: "h100-sxm", Runtime: "trtllm-like", MaxSeqs: 3},
		{GPU: "a100-80-sxm", Runtime: "hf-static"},
		{Replicas: 3, Router: RoundRobin, MaxSeqs: 2},
		{Replicas: 2, Router: LeastOutstanding, Jitter: .1},
		{Replicas: 2, Router: PrefixAffinity, Speculation: Speculation{Tokens: 3, Acceptance: .7}},
	} {
		t.Run(cfg.Runtime+cfg.Router, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			var requests []Request
			patience := map[string]time.Duration{}
			for i := range 40 {
				n := 1 + rng.IntN(60)
				ids := make([]int, 1+rng.IntN(400))
				for k := range ids {
					ids[k] = i % 4 // most begin as others do
				}
				r := Request{ID: fmt.Sprintf("r%02d", i), Arrive: time.Duration(rng.IntN(20)) * 50 * time.Millisecond, Content: TokensContent(ids), MaxTokens: n, OutputTokens: n}
				if rng.IntN(4) == 0 {
					patience[r.ID] = time.Duration(1+rng.IntN(900)) * time.Millisecond
				}
				requests = append(requests, r)
			}
			var served []Truth
			inBubble(t, cfg, func(t *testing.T, l *lab) {
				var wg sync.WaitGroup
				for _, r := range requests {
					wg.Go(func() { l.ask(t, r, patience[r.ID]) })
				}
				wg.Wait()
				time.Sleep(time.Minute) // whoever left is forgotten by then
				served = l.server.Truths()
			})
			d := resolve(t, cfg)
			loop := NewLoop(d, d.Seed, d.Jitter)
			for _, r := range requests {
				if err := loop.Submit(r); err != nil {
					t.Fatal(err)
				}
				if p, ok := patience[r.ID]; ok {
					loop.CancelAt(r.ID, r.Arrive+p)
				}
			}
			looped := map[string]Truth{}
			preempted, aborted, cached := 0, 0, 0
			if err := loop.Run(func(tr Truth) { looped[tr.ID] = tr }); err != nil {
				t.Fatal(err)
			}
			if len(served) != len(requests) {
				t.Fatalf("the server knows %d of %d requests", len(served), len(requests))
			}
			for _, tr := range served {
				preempted += tr.Preemptions
				cached += tr.CachedTokens
				if tr.FinishReason == FinishAbort {
					aborted++
				}
				if diff := cmp.Diff(looped[tr.ID], tr); diff != "" {
					t.Errorf("%s (−loop +server):\n%s", tr.ID, diff)
				}
			}
			t.Logf("%d preemptions, %d aborted, %d tokens cached", preempted, aborted, cached)
		})
	}
}

// ask sends a request at its time and leaves when patience (0 = endless) ends.
func (l *lab) ask(t *testing.T, r Request, patience time.Duration) {
	time.Sleep(r.Arrive)
	ctx := context.Background()
	if patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	body := fmt.Sprintf(`{"prompt":%s,"max_tokens":%d,"ignore_eos":true,"stream":true}`, mustJSON(r.Content.ids), r.MaxTokens)
	resp, err := l.post(ctx, "/v1/completions", r.ID, body)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	if err != nil && ctx.Err() == nil {
		t.Errorf("%s: %v", r.ID, err)
	}
}

// A server that runs for days forgets its oldest requests, and says so.
func TestServerForgets(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, l *lab) {
		l.server.finished.keep = 2*(10+truthWeight) + 5
		for i := range 4 {
			if _, err := l.stream(fmt.Sprint(i), chatBody(50, 10)); err != nil {
				t.Fatal(err)
			}
		}
		if got := l.server.Truths(); len(got) != 2 || got[0].ID != "2" || got[1].ID != "3" {
			t.Errorf("with room for two and a half requests the server remembers %d; want the last two", len(got))
		}
	})
}

// When the engine stops, a stream breaks off without a finish reason, and what
// comes later is refused.
func TestStoppedEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := NewServer(Config{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		httpServer := &http.Server{Handler: s.Handler()}
		go httpServer.Serve(p)
		transport := &http.Transport{DialContext: p.dial}
		l := &lab{server: s, start: time.Now(), client: &http.Client{Transport: transport}}
		status := func() int {
			resp, err := l.post(context.Background(), "/v1/chat/completions", "", chatBody(100, 5))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			io.Copy(io.Discard, resp.Body)
			return resp.StatusCode
		}
		if got := status(); got != http.StatusServiceUnavailable {
			t.Errorf("status %d before the start", got)
		}
		s.Start(ctx)
		s.Start(ctx) // a second start does nothing
		if got := status(); got != http.StatusOK {
			t.Errorf("status %d while running", got)
		}
		time.AfterFunc(time.Second, stop)
		resp, err := l.post(context.Background(), "/v1/chat/completions", "", chatBody(100, 500))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if n := bytes.Count(text, []byte("data: ")); n < 10 || bytes.Contains(text, []byte("[DONE]")) || bytes.Contains(text, []byte("length")) {
			t.Errorf("a stream that broke off has %d events and ends with %q", n, text[max(0, len(text)-80):])
		}
		if got := status(); got != http.StatusServiceUnavailable {
			t.Errorf("status %d after the end", got)
		}
		transport.CloseIdleConnections()
		httpServer.Close()
	})
}
