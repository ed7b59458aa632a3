package runner

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/stamp"
)

// stamps reports whether this platform's connections have stamps.
func stamps(t *testing.T, address string) bool {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return stamp.Of(stamp.Wrap(c)) != nil
}

// TestArrivalsOverTCP sends events that wait for one another, so that each has
// a read of its own, over plain and encrypted connections.
func TestArrivalsOverTCP(t *testing.T) {
	const events = 20
	serve := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		for range events {
			io.WriteString(w, clientText(" w"))
			http.NewResponseController(w).Flush()
		}
		io.WriteString(w, clientStop+clientUsage(9, events)+clientDone)
	}
	for _, row := range []struct {
		name    string
		tls     bool
		dial    bool
		conns   int
		stream  bool
		answers http.HandlerFunc
	}{
		{"plain", false, false, 1, true, serve},
		{"a dial of the caller's", false, true, 1, true, serve},
		{"small buffers", false, false, 1000, true, serve},
		{"under TLS", true, true, 1, true, serve},
		{"not streamed", false, false, 1, false, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			io.WriteString(w, `{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(row.answers)
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			if row.tls {
				server.StartTLS()
			} else {
				server.Start()
			}
			defer server.Close()
			spec := clientSpec()
			spec.BaseURL, spec.Stream = server.URL+"/v1", row.stream
			cfg := ClientConfig{Spec: spec, MaxConns: row.conns}
			if row.dial {
				cfg.Dial = new(net.Dialer).DialContext
			}
			c, err := NewClient(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if row.tls {
				c.transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig
			}
			kernel := stamps(t, server.Listener.Addr().String())
			stamped := false
			// The kernel begins to stamp a moment after the first socket has asked for it.
			for range 1000 {
				s := c.Do(context.Background(), time.Now(), clientRequest())
				checkArrivals(t, &s)
				if stamped = s.MaxLag != experiment.Unknown; stamped || !kernel {
					break
				}
			}
			if stamped != kernel {
				t.Errorf("stamped: %t", stamped)
			}
		})
	}
}

// checkArrivals holds the order in which the parts of an answer must arrive.
func checkArrivals(t *testing.T, s *experiment.Sample) {
	t.Helper()
	if s.Outcome != experiment.OK {
		t.Fatal(s.Outcome, s.Error)
	}
	order := []experiment.Instant{s.Sent, s.Connected, s.Headers, s.FirstEvent, s.FirstContent, s.LastContent, s.End}
	before := experiment.Instant(0)
	for i, at := range order {
		if at.Happened() && at < before {
			t.Errorf("instant %d of %v is before another", i, order)
		}
		before = max(before, at)
	}
	if s.Events == 0 || s.Lags == nil {
		return
	}
	if len(s.Lags) != s.Events || len(s.Gaps) != s.Events-1 || s.FirstLag != s.Lags[0] {
		t.Fatalf("%d events, %d lags, %d gaps", s.Events, len(s.Lags), len(s.Gaps))
	}
	longest := time.Duration(experiment.Unknown)
	for i, lag := range s.Lags {
		longest = max(longest, lag)
		if i > 0 && s.Gaps[i-1].Shared() && lag != s.Lags[i-1] {
			t.Errorf("event %d shares a read with the one before it and was read %v late, not %v", i, lag, s.Lags[i-1])
		}
	}
	if s.MaxLag != longest {
		t.Errorf("the longest lag is %v, not %v", s.MaxLag, longest)
	}
}
