//go:build unix

package runner

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/inferbook/inferbook/experiment"
)

// The paced stream of BenchmarkClientPaced.
const (
	clientStreams    = 64
	clientPerStream  = 200
	clientPace       = 10 * time.Millisecond
	clientRounds     = 5          // of each, in turns
	clientCounted    = "/counted" // before the path: usage on each event
	clientServerFlag = "INFERBOOK_PACED_SERVER"
)

// TestPacedServer is no test: the benchmark runs it as a child process, so that
// the server's CPU time is not the client's. It serves until its input ends.
func TestPacedServer(t *testing.T) {
	if os.Getenv(clientServerFlag) == "" {
		t.Skip("the child process of BenchmarkClientPaced")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		tick := time.NewTicker(clientPace)
		defer tick.Stop()
		for i := range clientPerStream {
			<-tick.C
			event := clientText(fmt.Sprintf(" w%d", i))
			if strings.HasPrefix(r.URL.Path, clientCounted) {
				event = strings.TrimSuffix(event, "}\n\n") + fmt.Sprintf(",\"usage\":{\"prompt_tokens\":9,\"total_tokens\":%d,\"completion_tokens\":%d}}\n\n", 10+i, 1+i)
			}
			io.WriteString(w, event)
			http.NewResponseController(w).Flush()
		}
		io.WriteString(w, clientStop+clientUsage(9, clientPerStream)+clientDone)
	}))
	fmt.Println(l.Addr())
	io.Copy(io.Discard, os.Stdin)
}

// clientPacedServer starts the child and gives its address.
func clientPacedServer(b *testing.B) string {
	b.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestPacedServer$")
	child.Env = append(os.Environ(), clientServerFlag+"=1")
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := child.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		child.Wait()
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(addr)
}

// BenchmarkClientPaced is what an event costs the whole client, in CPU time of
// this process, beside a reader that only copies the same stream to nowhere
// over a plain transport: 64 streams, one event each 10 ms, as engines send
// them. The two take turns, and x-copy is the median of their ratios. Counted
// streams have a running usage on each event, which vLLM and SGLang are asked for.
func BenchmarkClientPaced(b *testing.B) {
	server := "http://" + clientPacedServer(b)
	for _, row := range []struct{ name, base string }{{"text", server + "/v1"}, {"counted", server + clientCounted + "/v1"}} {
		b.Run(row.name, func(b *testing.B) { clientPaced(b, row.base) })
	}
}

func clientPaced(b *testing.B, base string) {
	spec := clientSpec()
	spec.BaseURL = base
	cfg := ClientConfig{Spec: spec, MaxConns: clientStreams}
	c, err := NewClient(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	raw := newTransport(&cfg)
	raw.DialContext = nil // no stamps
	defer raw.CloseIdleConnections()
	copying := func() {
		resp, err := (&http.Client{Transport: raw}).Post(base+"/chat/completions", "application/json", strings.NewReader("{}"))
		if err != nil {
			b.Error(err)
			return
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
	}
	client := func() {
		if s := c.Do(context.Background(), time.Now(), clientRequest()); s.Events != clientPerStream {
			b.Errorf("%d events: %s", s.Events, s.Error)
		}
	}
	clientRound(copying) // connections
	clientRound(client)
	var copied, took time.Duration
	var ratios []float64
	for b.Loop() {
		for range clientRounds {
			base, own := clientRound(copying), clientRound(client)
			copied, took, ratios = copied+base, took+own, append(ratios, float64(own)/float64(base))
		}
	}
	slices.Sort(ratios)
	events := float64(len(ratios) * clientStreams * clientPerStream)
	b.ReportMetric(float64(copied)/events, "copy-ns/event")
	b.ReportMetric(float64(took)/events, "client-ns/event")
	b.ReportMetric(ratios[len(ratios)/2], "x-copy")
}

// clientRound runs all streams once and gives the CPU time it took.
func clientRound(one func()) time.Duration {
	before := clientCPU()
	var streams sync.WaitGroup
	for range clientStreams {
		streams.Go(one)
	}
	streams.Wait()
	return clientCPU() - before
}

func clientCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkClientParse is the parsing alone, from large reads in memory: the
// events, go-openai's RecvRaw, the classifier and the sample.
func BenchmarkClientParse(b *testing.B) {
	const n = 20_000
	var body bytes.Buffer
	for i := range n {
		text := fmt.Sprintf(" w%d", i)
		if i%20 == 0 {
			text = "\n" // escaped, so that the event is parsed in full
		}
		body.WriteString(clientText(text))
	}
	body.WriteString(clientStop + clientUsage(9, n) + clientDone)
	perEvent := func(b *testing.B, f func()) {
		b.SetBytes(int64(body.Len() / n))
		b.ReportAllocs()
		for i := 0; i < b.N; i += n {
			f()
		}
	}
	b.Run("copy", func(b *testing.B) {
		perEvent(b, func() { io.Copy(io.Discard, io.LimitReader(bytes.NewReader(body.Bytes()), int64(body.Len()))) })
	})
	b.Run("client", func(b *testing.B) {
		spec := clientSpec()
		perEvent(b, func() {
			anchor := time.Now()
			now := func() experiment.Instant { return experiment.Instant(time.Since(anchor)) }
			_, w := newWatch(context.Background(), &spec, now)
			defer w.stop()
			s := experiment.NewSample(0)
			x, a := &exchange{watch: w}, newAnswer(&s, n)
			x.stream = newStream(io.NopCloser(bytes.NewReader(body.Bytes())), clock{now: now}, 32<<10, func() {})
			cfg := openai.DefaultConfig("")
			cfg.HTTPClient = clientMemory{x.stream}
			events, err := openai.NewClientWithConfig(cfg).CreateChatCompletionStream(context.Background(), chatRequest(&Request{}, nil))
			if err != nil {
				b.Fatal(err)
			}
			if err := x.gather(events, a); err != io.EOF || s.Events != n {
				b.Fatalf("%d events, %v", s.Events, err)
			}
			events.Close()
		})
	})
}

// clientMemory answers with a body that is there already.
type clientMemory struct{ body io.ReadCloser }

func (m clientMemory) Do(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: m.body}, nil
}
