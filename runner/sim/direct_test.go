package sim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// served gives the address of a server on loopback, with the connections in its
// contexts or without, and how many bytes net/http has written.
func served(t *testing.T, h http.Handler, connections bool) (address string, written *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	written = new(atomic.Int64)
	web := &http.Server{Handler: h}
	if connections {
		web.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
			return ConnContext(ctx, c.(countedConn).Conn)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		web.Serve(countedListener{l, written})
	}()
	t.Cleanup(func() {
		web.Close()
		<-done
	})
	return "http://" + l.Addr().String(), written
}

// countedListener counts what is written to its connections, other than past them.
type countedListener struct {
	net.Listener
	written *atomic.Int64
}

func (l countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countedConn{c, l.written}, err
}

type countedConn struct {
	net.Conn
	written *atomic.Int64
}

func (c countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err
}

// What goes past net/http and what goes through it make one body, and what the
// socket had no room for is not lost.
func TestDirectTakesTurns(t *testing.T) {
	small, large := bytes.Repeat([]byte("event\n"), 40), bytes.Repeat([]byte("0123456789abcde\n"), 16<<10)
	var want bytes.Buffer
	full := make(chan struct{})
	address, _ := served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := newDirect(r)
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
	address, _ := served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := newDirect(r)
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
	for _, row := range []struct {
		name         string
		conn         net.Conn // nil = none
		major, minor int
	}{{"no connection", nil, 1, 1}, {"a pipe", near, 1, 1}, {"HTTP/1.0", &net.TCPConn{}, 1, 0}, {"HTTP/2", &net.TCPConn{}, 2, 0}} {
		ctx := t.Context()
		if row.conn != nil {
			ctx = ConnContext(ctx, row.conn)
		}
		name, d := row.name, newDirect((&http.Request{ProtoMajor: row.major, ProtoMinor: row.minor}).WithContext(ctx))
		if d != nil {
			t.Errorf("%s: the engine would write", name)
		}
		if d.pending() {
			t.Errorf("%s: something is left", name)
		}
	}
}

// What is written after the handler has ended would stand behind the answer's end.
func TestDirectRetires(t *testing.T) {
	p := &reply{choices: []*choice{{stream: &stream{left: 1}}}}
	if p.retire(); p.write() {
		t.Error("the engine wrote for a handler that has ended")
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
			var through [2]int64 // bytes by net/http
			for way := range answers {
				s, err := Serving{TimeScale: mostScale, Urgent: way == 1}.NewServer(Config{Seed: 1})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				s.Start(ctx)
				address, written := served(t, s.Handler(), way == 1)
				answers[way] = make([]string, 8)
				var clients sync.WaitGroup
				for i := range answers[way] {
					clients.Go(func() { answers[way][i] = asked(t, address, fault, i) })
				}
				clients.Wait()
				through[way] = written.Load()
				cancel()
				<-s.stopped
			}
			if d := cmp.Diff(answers[0], answers[1]); d != "" || !strings.Contains(answers[1][0], "[DONE]") {
				t.Errorf("(-by the handler +by the engine):\n%s", d)
			}
			if fault == "" && through[1] > through[0]/2 && runtime.GOOS == "linux" {
				t.Errorf("the engine is to write the tokens, and %d bytes of %d went through net/http", through[1], through[0])
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
