package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	plainFlag   = "INFERBOOK_PLAIN_SERVER" // the step of the child's server
	plainWindow = 4 * time.Second
)

// TestPlainServer is no test: BenchmarkPace runs it as a child process. It serves as
// one would write it first: one goroutine ends the steps, at absolute times, and
// wakes one for each stream, which writes and flushes a chunk of about 150 bytes.
func TestPlainServer(t *testing.T) {
	step, err := time.ParseDuration(os.Getenv(plainFlag))
	if err != nil {
		t.Skip("the child process of BenchmarkPace")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var streams []chan struct{} // in the order in which they came
	go func() {
		for next := time.Now(); ; next = next.Add(step) {
			if pause(t.Context(), time.Until(next)) != nil {
				return
			}
			mu.Lock()
			for _, s := range streams {
				s <- struct{}{}
			}
			mu.Unlock()
		}
	}()
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		token := make(chan struct{}, 1<<16) // a stream that is late holds up nobody
		mu.Lock()
		streams = append(streams, token)
		mu.Unlock()
		chunk := `data: {"id":"cmpl-1","object":"text_completion","choices":[{"index":0,"text":" word","finish_reason":null}]}` + strings.Repeat(" ", 40) + "\n\n"
		for {
			select {
			case <-token:
				io.WriteString(w, chunk)
				http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				mu.Lock()
				streams = slices.DeleteFunc(streams, func(s chan struct{}) bool { return s == token })
				mu.Unlock()
				return
			}
		}
	}))
	fmt.Println(l.Addr())
	io.Copy(io.Discard, os.Stdin)
}

// plainRow reads the streams of a load from the plain server.
func plainRow(b *testing.B, l benchLoad) benchRow {
	b.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestPlainServer$")
	child.Env = append(os.Environ(), plainFlag+"="+l.step.String())
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
	defer child.Wait()
	defer in.Close()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	read := &bench{streams: make([]benchStream, l.streams), limit: 1 << 12}
	if err := read.open(ctx, "http://"+strings.TrimSpace(address)); err != nil {
		b.Fatal(err)
	}
	from := time.Now()
	if err := pause(ctx, plainWindow); err != nil {
		b.Fatal(err)
	}
	to := time.Now()
	cancel()
	read.running.Wait()
	gaps, tokens := read.gaps(from, to)
	return benchRow{TokensS: float64(tokens) / to.Sub(from).Seconds(), ITLP99: float64(gaps.Quantile(.99)) / 1e6}
}

// BenchmarkPace is how evenly the simulated engine paces its streams, by `sim bench`,
// beside a plain server under the same loads with the same reader. x-plain is the
// ratio of the 99th percentiles of the gaps.
func BenchmarkPace(b *testing.B) {
	program := filepath.Join(b.TempDir(), "inferbook")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(program, "sim", "bench", "--json", "--duration", plainWindow.String()).Output()
	if err != nil {
		b.Fatal(err)
	}
	var engine struct{ Rows []benchRow }
	if err := json.Unmarshal(out, &engine); err != nil || len(engine.Rows) != len(benchLoads) {
		b.Fatalf("%v: %s", err, out)
	}
	for i, l := range benchLoads {
		b.Run(fmt.Sprintf("%dx%s", l.streams, l.step), func(b *testing.B) {
			var plain benchRow
			for b.Loop() {
				plain = plainRow(b, l)
			}
			b.ReportMetric(engine.Rows[i].ITLP99, "engine-p99-ms")
			b.ReportMetric(engine.Rows[i].TokensS, "engine-tokens/s")
			b.ReportMetric(plain.ITLP99, "plain-p99-ms")
			b.ReportMetric(plain.TokensS, "plain-tokens/s")
			b.ReportMetric(engine.Rows[i].ITLP99/plain.ITLP99, "x-plain")
		})
	}
}
