package sim

import (
	"bytes"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// stream carries tokens from the engine to the handler of one request.
type stream struct {
	id      string
	sent    string        // the ID that was sent, if id is not the same since that was in use
	limit   int           // tokens it may have
	stopped bool          // it ends by itself
	ready   chan struct{} // of capacity one, shared by the choices of a request: there is something to take

	mu    sync.Mutex
	write func() bool   // writes what has left, or reports false; nil = the handler does
	left  int           // tokens that have left the server
	last  time.Duration // when the last of them did
	final *Truth
}

// push counts one token that leaves now, and gives when the one before it did.
// The handler learns of it by wake.
func (s *stream) push(at time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.last
	s.left++
	s.last = at
	return before
}

// deliver writes what there is to take, or lets the handler do it.
func (s *stream) deliver() {
	s.mu.Lock()
	write := s.write
	s.mu.Unlock()
	if write == nil || !write() {
		s.wake()
	}
}

// wake tells the handler that there is something to take.
func (s *stream) wake() {
	select {
	case s.ready <- struct{}{}:
	default: // the handler has not taken what came before
	}
}

// finish hands over the truth. The last token follows and wakes the handler.
func (s *stream) finish(t Truth) {
	s.mu.Lock()
	s.final = &t
	s.mu.Unlock()
}

// writeBy lets the engine's goroutine write.
func (s *stream) writeBy(write func() bool) {
	s.mu.Lock()
	s.write = write
	s.mu.Unlock()
}

// take gives the number of tokens that have left so far, and the truth once they all have.
func (s *stream) take() (left int, final *Truth) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.final != nil && s.left == s.final.OutputTokens {
		return s.left, s.final
	}
	return s.left, nil
}

// outlet sends the bytes of a stream, as the faults have it.
type outlet struct {
	w       http.ResponseWriter
	control *http.ResponseController
	trouble *trouble
	held    []byte // what a proxy in front would not have sent yet
}

// send writes and flushes, and reports false when the client has gone.
func (o *outlet) send(b []byte) bool {
	if o.trouble.crlf {
		b = bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
	}
	size := o.trouble.lump
	if size == 0 {
		return o.write(b)
	}
	o.held = append(o.held, b...)
	for size > 0 && len(o.held) >= size {
		if !o.write(o.held[:size]) {
			return false
		}
		o.held = o.held[size:]
	}
	return true
}

func (o *outlet) write(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if _, err := o.w.Write(b); err != nil {
		return false
	}
	return o.control.Flush() == nil
}

// reset breaks the connection as a server does that is killed.
func (o *outlet) reset() {
	conn, _, err := o.control.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2 has no connection of one stream; this resets the stream
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		// A connection without a linger time is reset, not closed. What fails here
		// is a connection that is gone already.
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// reply is the answer to one request on its way out.
type reply struct {
	s       *Server
	w       http.ResponseWriter
	r       *http.Request
	g       *generation
	trouble *trouble
	choices []*choice
	script  script
	outlet  *outlet
	ready   <-chan struct{}

	mu      sync.Mutex // held by who writes: the handler or the engine's goroutine
	direct  *direct
	retired bool // the handler has ended
	out     []byte
	left    int // choices that are not finished
	next    int // the next of trouble.breaks
}

// send writes the answer of one request to its client. The tokens of a step go out in
// one write and one flush, since that is how a server that keeps up sends them.
func (s *Server) send(w http.ResponseWriter, r *http.Request, streams []*stream, g *generation, t *trouble) {
	defer s.cancel(streams) // leaves finished requests alone
	p := &reply{s: s, w: w, r: r, g: g, trouble: t, ready: streams[0].ready, left: len(streams),
		outlet: &outlet{w: w, control: http.NewResponseController(w), trouble: t}}
	for i, st := range streams {
		p.choices = append(p.choices, &choice{index: i, prompt: &g.prompts[i], stream: st})
	}
	p.script = s.script(g, t, p.choices, streams[0].id)
	w.Header().Set("X-Request-Id", streams[0].id)
	if g.stream {
		p.stream()
		return
	}
	p.whole()
}

// script chooses what writes the answer.
func (s *Server) script(g *generation, t *trouble, choices []*choice, id string) script {
	now := time.Now().Unix()
	switch g.api {
	case embeddings:
		return &vectors{g: g, choices: choices, model: s.d.ServedName, truth: s.truth}
	case responses:
		return newReplies(t, choices[0], id, s.d.ServedName, now, s.truth)
	default:
		return newChunks(g, t, choices, id, s.d.ServedName, now, s.truth)
	}
}

// whole waits for the end and answers in one piece.
func (p *reply) whole() {
	for p.left > 0 {
		if p.wait(nil) == nobody {
			refuse(p.w, notRunning())
			return
		}
		for _, c := range p.choices {
			if _, final := c.stream.take(); final != nil && c.final == nil {
				c.final = final
				p.left--
			}
		}
	}
	t := p.choices[0].final
	ms := func(d time.Duration) string { return strconv.FormatFloat(float64(d)/1e6, 'f', -1, 64) }
	h := p.w.Header()
	h.Set("X-Sim-Queue-Ms", ms(t.Queue()))
	h.Set("X-Sim-Prefill-Ms", ms(t.Prefill(p.s.d.Runtime.Net)))
	h.Set("X-Sim-TTFT-Ms", ms(t.TTFT()))
	h.Set("Content-Type", "application/json")
	body := p.script.whole()
	for _, f := range p.trouble.breaks {
		switch f.what {
		case breakFails:
			body = faultError
		case breakCuts, breakEnds: // half of what was announced
			h.Set("Content-Length", strconv.Itoa(len(body)))
			if p.outlet.write(body[:len(body)/2]) {
				p.outlet.reset()
			}
			return
		}
	}
	p.outlet.write(body)
}

// faultError is the error that the fault of that name sends.
var faultError = []byte(`{"error":{"message":"the engine failed (a fault on demand)","type":"InternalServerError","param":null,"code":500}}`)

// stream sends the tokens as they come.
func (p *reply) stream() {
	h := p.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	if !p.trouble.lateHeaders {
		p.w.WriteHeader(http.StatusOK)
		if p.outlet.control.Flush() != nil || !p.outlet.send(p.script.open(nil)) {
			return
		}
	}
	if len(p.choices) == 1 && p.trouble.direct() {
		if p.direct = newDirect(p.r); p.direct != nil {
			p.choices[0].stream.writeBy(p.write)
			defer p.retire()
		}
	}
	every := p.s.pace.real(p.trouble.keepAlive)
	var quiet *time.Timer
	var rings <-chan time.Time
	if every > 0 {
		quiet = time.NewTimer(every)
		defer quiet.Stop()
		rings = quiet.C
	}
	for {
		switch p.wait(rings) {
		case nobody:
			return
		case silence:
			if !p.outlet.send([]byte(": keep-alive\n\n")) {
				return
			}
		case tokensCame:
			if !p.flow() {
				return
			}
		}
		if quiet != nil {
			quiet.Reset(every)
		}
	}
}

// What a reply has waited for.
type occasion int

const (
	tokensCame occasion = iota // there is something to take
	silence                    // the timer rang
	nobody                     // the client has gone, or the engine has stopped
)

func (p *reply) wait(rings <-chan time.Time) occasion {
	select {
	case <-p.ready:
		return tokensCame
	case <-rings:
		return silence
	case <-p.r.Context().Done():
		return nobody
	case <-p.s.stopped:
		return nobody
	}
}

// write sends what there is from the engine's goroutine. It reports false where the
// handler is to: at the end, and while the client does not read.
func (p *reply) write() bool {
	if !p.mu.TryLock() {
		return false
	}
	defer p.mu.Unlock()
	c := p.choices[0]
	left, final := c.stream.take()
	if final != nil || p.retired || p.direct.pending() {
		return false
	}
	p.out = p.script.tokens(append(p.out[:0], make([]byte, frameHead)...), c, left, false)
	return len(p.out) == frameHead || p.direct.write(p.out)
}

// retire lets the engine's goroutine write no more: what follows on the connection
// is net/http's.
func (p *reply) retire() {
	p.mu.Lock()
	p.retired = true
	p.mu.Unlock()
}

// flow sends what there is, and reports whether the stream goes on.
func (p *reply) flow() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.direct.pending() && !p.direct.finish() {
		return false
	}
	for {
		f := p.gather()
		if f != nil {
			p.next++
			if !p.act(f) {
				return false
			}
			continue // what came meanwhile is still to be taken
		}
		if p.left > 0 {
			return p.outlet.send(p.out)
		}
		if p.outlet.send(p.script.close(p.out)) {
			p.outlet.write(p.outlet.held)
		}
		return false
	}
}

// gather appends the tokens that have come to p.out, up to the fault that they
// reach, which it gives.
func (p *reply) gather() *fracture {
	p.out = p.out[:0]
	for i, c := range p.choices {
		if c.final != nil {
			continue
		}
		left, final := c.stream.take()
		if i == 0 && p.next < len(p.trouble.breaks) {
			if f := &p.trouble.breaks[p.next]; left >= f.after {
				p.out = p.script.tokens(p.out, c, f.after, true)
				return f
			}
		}
		p.out = p.script.tokens(p.out, c, left, final != nil)
		if final != nil {
			c.final = final
			p.left--
			p.out = p.script.finish(p.out, c)
		}
	}
	return nil
}

// act sends what was gathered and does what the fault says. It reports whether the stream goes on.
func (p *reply) act(f *fracture) bool {
	switch f.what {
	case breakSwells:
		p.out = append(p.out, `data: {"choices":[],"padding":"`...)
		p.out = append(p.out, bytes.Repeat([]byte{'x'}, f.bytes)...)
		p.out = append(p.out, "\"}\n\n"...)
	case breakFails:
		p.out = append(p.out, "data: "...)
		p.out = append(p.out, faultError...)
		p.out = append(p.out, "\n\ndata: [DONE]\n\n"...)
	}
	if !p.outlet.send(p.out) {
		return false
	}
	switch f.what {
	case breakStalls:
		return p.pause(f.pause)
	case breakSwells:
		return true
	case breakCuts:
		p.outlet.reset()
	case breakEnds, breakFails:
		p.outlet.write(p.outlet.held)
	}
	return false
}

// pause waits for a span of the engine's time, and reports false when there is
// nobody to wait for.
func (p *reply) pause(d time.Duration) bool { return p.s.rest(p.r.Context(), d) }
