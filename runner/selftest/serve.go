package selftest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// stampDigits is how long the server's clock is in an event: Unix nanoseconds.
const stampDigits = 19

// pace is what a request asks of the paced server, in its field "selftest".
type pace struct {
	// Rate is the events a second, EventBytes the length of each on the wire at
	// least, FirstMS the time from the request to the first event in milliseconds.
	Rate       float64 `json:"rate"`
	EventBytes int     `json:"event_bytes"`
	FirstMS    float64 `json:"first_ms"`
}

// Serve is the paced server: it answers streamed chat completions with
// max_tokens events, each due at a moment fixed when the request came, however
// long the ones before it took, and each holding the clock of the moment it was
// written. It returns nil once ctx ends. Run it in a process of its own, so that
// the client's troubles are not its own.
func Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: http.HandlerFunc(answer), BaseContext: func(net.Listener) context.Context { return ctx }}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(l); err != nil && !(ctx.Err() != nil && errors.Is(err, http.ErrServerClosed)) {
		return fmt.Errorf("serving the self-test: %w", err)
	}
	return nil
}

// answer streams one answer.
func answer(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	var request struct {
		MaxTokens int  `json:"max_tokens"`
		Pace      pace `json:"selftest"`
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err == nil {
		err = json.Unmarshal(body, &request)
	}
	p := request.Pace
	if err != nil || request.MaxTokens < 1 || p.Rate <= 0 {
		http.Error(w, `{"error":{"message":"this is the paced server of inferbook selftest; it answers that command alone"}}`, http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w).Flush
	if flush() != nil { // the head goes out before the first event, as engines send it
		return
	}
	event, clock := template(p.EventBytes)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for i := range request.MaxTokens {
		due := begin.Add(time.Duration((p.FirstMS/1e3 + float64(i)/p.Rate) * 1e9))
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-r.Context().Done():
				return
			}
		}
		strconv.AppendInt(clock[:0], time.Now().UnixNano(), 10)
		if _, err := w.Write(event); err != nil || flush() != nil {
			return
		}
	}
	fmt.Fprintf(w, envelope+`{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":%d}}`+
		"\n\ndata: [DONE]\n\n", "", request.MaxTokens)
}

const envelope = `data: {"id":"selftest","object":"chat.completion.chunk","created":0,"model":"paced","system_fingerprint":"%s","choices":[`

// template gives an event of at least size bytes, and the part of it that the
// server's clock goes into.
func template(size int) (event, clock []byte) {
	digits := strings.Repeat("0", stampDigits)
	text := func(padding int) string {
		return fmt.Sprintf(envelope+`{"index":0,"delta":{"content":"%s "},"finish_reason":null}]}`+"\n\n", strings.Repeat("x", padding), digits)
	}
	event = []byte(text(max(0, size-len(text(0)))))
	at := bytes.LastIndex(event, []byte(digits))
	return event, event[at : at+stampDigits : at+stampDigits]
}
