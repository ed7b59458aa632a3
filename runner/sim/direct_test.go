//go:build unix

package sim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// served gives the address of a server on loopback, with the connections in its
// contexts or without.
func served(t *testing.T, h http.Handler, connections bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: h}
	if connections {
		web.ConnContext = ConnContext
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		web.Serve(l)
	}()
	t.Cleanup(func() {
		web.Close()
		<-done
	})
	return "http://" + l.Addr().String()
}

// What goes past net/http and what goes through it make one body, and what the
// socket had no room for is not lost.
func TestDirectTakesTurns(t *testing.T) {
	small, large := bytes.Repeat([]byte("event\n"), 40), bytes.Repeat([]byte("0123456789abcde\n"), 16<<10)
	var want bytes.Buffer
	full := make(chan struct{})
	address := served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := newDirect(r.Context(), r.ProtoMajor*10+r.ProtoMinor)
		if d == nil {
			t.Error("no way past net/http")
			close(full)
			return
		}
		control := http.NewResponseController(w)
		frame := func(b []byte) []byte { return append(make([]byte, frameHead), b...) }
		for i := range 300 {
			b := small[:1+i%len(small)]
			if want.Write(b); i%3 == 0 {
				w.Write(b)
				control.Flush()
			} else if !d.write(frame(b)) && !d.finish() {
				t.Error("a chunk did not go out")
			}
		}
		for { // nobody reads until a chunk has not gone out whole
			if want.Write(large); !d.write(frame(large)) {
				break
			}
		}
		if !d.pending() {
			t.Error("nothing is left of a chunk that did not go out")
		}
		close(full)
		if !d.finish() || d.pending() {
			t.Error("the rest did not go out")
		}
		want.WriteString("the end")
		io.WriteString(w, "the end")
	}), true)
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	<-full
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%d bytes came, not the %d that were sent", len(got), want.Len())
	}
}

// A client that has gone is found out by the handler.
func TestDirectBroken(t *testing.T) {
	gone := make(chan bool)
	address := served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := newDirect(r.Context(), 11)
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
		<-r.Context().Done() // the connection has been closed
		sent := true
		for range 3 {
			sent = d.write(append(make([]byte, frameHead), "more"...)) || d.finish()
		}
		gone <- !sent
	}), true)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	resp.Body.Close()
	if !<-gone {
		t.Error("writing to a closed connection went well")
	}
}

// Where there is no connection of chunks, net/http writes.
func TestDirectOnlyChunks(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	for name, d := range map[string]*direct{
		"no connection": newDirect(t.Context(), 11),
		"a pipe":        newDirect(ConnContext(t.Context(), near), 11),
		"HTTP/1.0":      newDirect(ConnContext(t.Context(), &net.TCPConn{}), 10),
		"HTTP/2":        newDirect(ConnContext(t.Context(), &net.TCPConn{}), 20),
	} {
		if d != nil {
			t.Errorf("%s: the engine would write", name)
		}
		if d.pending() {
			t.Errorf("%s: something is left", name)
		}
	}
}

// The engine writes the tokens of many streams, and wakes the handlers of the others.
func TestDeliver(t *testing.T) {
	for _, row := range []struct{ streams, processors int }{{10, 1}, {10, 16}, {1000, 2}, {1000, 16}, {1027, 16}} {
		var written sync.Map
		streams := make([]*stream, row.streams)
		for i := range streams {
			st := &stream{ready: make(chan struct{}, 1)}
			streams[i] = st
			if i%3 > 0 {
				st.writeBy(func() bool {
					_, twice := written.Swap(i, true)
					return i%3 == 1 && !twice
				})
			}
		}
		deliver(streams, row.processors)
		for i, st := range streams {
			if woken, wrote := len(st.ready) == 1, i%3 == 1; woken == wrote {
				t.Errorf("%d streams, %d processors: handler %d woken: %v", row.streams, row.processors, i, woken)
			}
		}
	}
}

// Answers are the same whoever writes them, with faults and without.
func TestDirectAnswers(t *testing.T) {
	for _, fault := range []string{"", "reasoning:5", "group:3", "crlf", "lumps:400", "no-usage", "huge:5000,3"} {
		t.Run(fault, func(t *testing.T) {
			var answers [2][]string
			for way := range answers {
				s, err := Serving{TimeScale: mostScale, Urgent: way == 1}.NewServer(Config{Seed: 1})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				s.Start(ctx)
				address := served(t, s.Handler(), way == 1)
				answers[way] = make([]string, 8)
				var clients sync.WaitGroup
				for i := range answers[way] {
					clients.Go(func() { answers[way][i] = asked(t, address, fault, i) })
				}
				clients.Wait()
				cancel()
				<-s.stopped
			}
			if d := cmp.Diff(answers[0], answers[1]); d != "" || !strings.Contains(answers[1][0], "[DONE]") {
				t.Errorf("(-by the handler +by the engine):\n%s", d)
			}
		})
	}
}

// asked gives the events of an answer, without what tells of its times.
func asked(t *testing.T, address, fault string, n int) string {
	body := fmt.Sprintf(`{"messages":[{"role":"user","content":"tell me %d"}],"max_tokens":%d,"ignore_eos":true,"stream":true,"stream_options":{"include_usage":true}}`, n, 20+n)
	req, err := http.NewRequest(http.MethodPost, address+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return ""
	}
	req.Header.Set("X-Request-Id", fmt.Sprintf("r%d", n))
	if fault != "" {
		req.Header.Set(faultHeader, fault)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		if before, _, timed := strings.Cut(line, `,"sim":`); timed {
			line = before
		}
		if _, after, dated := strings.Cut(line, `"model":`); dated { // what stands before has the time of day
			line = after
		}
		out.WriteString(line)
	}
	return out.String()
}
