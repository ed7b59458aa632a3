package runner

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/inferbook/inferbook/experiment"
)

// eventParser cuts a byte stream into server-sent events by the rules of the
// WHATWG HTML standard (§9.2.6, "Interpreting an event stream"): a line ends
// with \n, \r or \r\n, several data lines make one event, an empty line ends
// it, and an event that the stream's end leaves open is dropped. Lines have no
// length limit, and the same bytes give the same events however they are split.
type eventParser struct {
	line    []byte // the start of a line whose end has not come
	data    []byte // the data lines of the open event, each followed by \n
	held    []byte // the only data line of the open event, in place of data while feed has its bytes; empty = none
	name    []byte // the event field of the open event
	afterCR bool   // the last line ended with \r: a \n that follows belongs to it
	bom     int    // bytes of the byte order mark matched so far
	begun   bool   // the place where a byte order mark may stand is past
}

const byteOrderMark = "\xEF\xBB\xBF"

// feed parses b and calls emit for each event that b completes. The slices
// are emit's to read until it returns. When emit returns false, feed drops the
// rest of b.
func (p *eventParser) feed(b []byte, emit func(name, data []byte) bool) {
	if !p.begun {
		b = p.skipMark(b)
	}
	for len(b) > 0 {
		if p.afterCR {
			p.afterCR = false
			if b[0] == '\n' {
				b = b[1:]
				continue
			}
		}
		end := lineEnd(b)
		if end < 0 {
			p.line = append(p.line, b...)
			break
		}
		line := b[:end]
		p.afterCR = b[end] == '\r'
		b = b[end+1:]
		stays := len(p.line) == 0
		if !stays {
			p.line = append(p.line, line...)
			line = p.line
		}
		more := p.take(line, stays, emit)
		p.line = p.line[:0]
		if !more {
			return
		}
	}
	p.release()
}

// idle reports whether all that was fed made whole events.
func (p *eventParser) idle() bool { return len(p.line) == 0 && len(p.data) == 0 && len(p.name) == 0 }

// release moves the held line into data, before its bytes go or another line comes.
func (p *eventParser) release() {
	if len(p.held) > 0 {
		p.data = append(append(p.data, p.held...), '\n')
		p.held = nil
	}
}

// skipMark drops a byte order mark at the start of the stream, which may come
// a byte at a time. What only looked like one is the start of the first line.
func (p *eventParser) skipMark(b []byte) []byte {
	for len(b) > 0 && p.bom < len(byteOrderMark) && b[0] == byteOrderMark[p.bom] {
		p.bom++
		b = b[1:]
	}
	switch {
	case p.bom == len(byteOrderMark):
		p.begun = true
	case len(b) > 0:
		p.begun = true
		p.line = append(p.line, byteOrderMark[:p.bom]...)
	}
	return b
}

// lineEnd gives the index of the first \n or \r; −1 = none.
func lineEnd(b []byte) int {
	lf := bytes.IndexByte(b, '\n')
	if lf >= 0 {
		b = b[:lf]
	}
	if cr := bytes.IndexByte(b, '\r'); cr >= 0 {
		return cr
	}
	return lf
}

// take interprets one whole line, and reports whether to go on. The line stays
// where it is until feed returns, or does not.
func (p *eventParser) take(line []byte, stays bool, emit func(name, data []byte) bool) bool {
	if len(line) == 0 {
		more := true
		if len(p.held) > 0 {
			more = emit(p.name, p.held)
		} else if n := len(p.data); n > 0 {
			more = emit(p.name, p.data[:n-1])
		}
		p.held, p.data, p.name = nil, p.data[:0], p.name[:0]
		return more
	}
	field, value, _ := bytes.Cut(line, []byte{':'})
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	switch string(field) {
	case "data":
		if stays && len(value) > 0 && len(p.held) == 0 && len(p.data) == 0 {
			p.held = value
			break
		}
		p.release()
		p.data = append(append(p.data, value...), '\n')
	case "event":
		p.name = append(p.name[:0], value...)
	}
	return true // a comment has an empty field name; id, retry and unknown fields mean nothing here
}

const (
	documentLimit = 1 << 20  // kept of an answer that is not a stream
	eventLimit    = 64 << 20 // of one event
	drainLimit    = 4 << 10
	drainTime     = 50 * time.Millisecond
)

// stream is the body of a streamed answer as go-openai reads it. It notes when
// the bytes of each read arrived, parses the events itself, and hands go-openai one
// line a data event, which that library takes without loss; the arrival of each
// waits in a queue beside. Where the answer flows, reads go to a batch instead. What go-openai would mangle never
// reaches it: errors inside the stream, comments, and answers that are no stream.
type stream struct {
	// What each read touches stands together, since it has left the caches by then.
	body   io.ReadCloser
	clock  clock
	reads  int // reads that returned bytes
	buffer *[]byte
	batch  batch // the reads in buffer that the answer has not taken yet

	abort  func() // breaks a read of body that hangs
	parser eventParser
	out    []byte // lines that go-openai has not taken yet
	taken  int
	queue  []arrival // one for each data event in out or with go-openai
	head   int

	opened experiment.Instant // the first read
	over   experiment.Instant // when the end of the answer was seen
	err    error              // why there is no more: io.EOF after [DONE], an error event or a clean end
	done   bool               // [DONE] came
	failed bool               // the server reported an error inside the stream
	fault  string             // what it said

	sniffed  bool   // the first byte that tells a stream from a document is past
	document []byte // the answer, where it is no event stream: JSON, HTML
}

// newStream makes reads of up to a size, in bytes.
func newStream(body io.ReadCloser, clock clock, size int, abort func()) *stream {
	return &stream{
		body: body, clock: clock, abort: abort, buffer: takeBuffer(size),
		opened: experiment.Never, over: experiment.Never,
	}
}

// Read gives go-openai the next lines, and waits for the server when there are none.
func (s *stream) Read(p []byte) (int, error) {
	for s.taken == len(s.out) {
		if s.err != nil {
			return 0, s.err
		}
		s.out, s.taken = s.out[:0], 0
		s.fill()
	}
	n := copy(p, s.out[s.taken:])
	s.taken += n
	return n, nil
}

// fill reads from the body until something came that is to be parsed, and parses it.
func (s *stream) fill() {
	for {
		n, err := s.body.Read((*s.buffer)[s.batch.size():])
		rest := (*s.buffer)[s.batch.size():][:n]
		var at arrival
		if n > 0 {
			s.reads++
			if at = s.clock.arrived(s.reads); s.reads == 1 {
				s.opened = at.at
			}
			if s.batch.size() > 0 || s.parser.idle() {
				rest = rest[s.batch.add(rest, at):]
			}
		}
		if len(rest) == 0 && err == nil && s.batch.size() < min(batchSize, len(*s.buffer)/2) {
			continue
		}
		s.batch.settle(*s.buffer)
		if len(rest) > 0 {
			s.accept(rest, at)
		}
		if err != nil && s.err == nil {
			s.end(s.clock.now(), err)
		}
		if len(rest) > 0 || err != nil {
			return
		}
	}
}

func (s *stream) end(at experiment.Instant, err error) { s.over, s.err = at, err }

// accept takes the bytes of one read.
func (s *stream) accept(b []byte, at arrival) {
	if !s.sniffed {
		// No line of an event stream that means anything begins with a bracket;
		// JSON and HTML do. The Content-Type is no help, since gateways get it wrong.
		rest := b
		for len(rest) > 0 && strings.IndexByte(byteOrderMark+" \t\r\n", rest[0]) >= 0 {
			rest = rest[1:]
		}
		s.sniffed = len(rest) > 0
		if s.sniffed && strings.IndexByte(`{[<"`, rest[0]) >= 0 {
			s.document = append(make([]byte, 0, len(rest)), rest...)
			return
		}
	}
	if s.document != nil {
		s.document = append(s.document, b...)
		if len(s.document) > documentLimit {
			s.end(at.at, io.EOF)
		}
		return
	}
	s.parser.feed(b, func(name, data []byte) bool { return s.event(name, data, at) })
	if len(s.parser.line)+len(s.parser.data) > eventLimit && s.err == nil {
		s.end(at.at, errEventTooLong)
	}
}

// errEventTooLong ends a stream that sends one event without an end.
var errEventTooLong = fmt.Errorf("the stream holds an event of more than %d MB", eventLimit>>20)

// event queues one event for go-openai, and reports whether the stream goes on.
func (s *stream) event(name, data []byte, at arrival) bool {
	data = bytes.TrimSpace(data)
	if string(data) == "[DONE]" {
		s.done = true
		s.out = append(s.out, "data:[DONE]\n"...)
		s.end(at.at, io.EOF)
		return false
	}
	if isFault(name, data) {
		s.failed, s.fault = true, serverMessage(data)
		s.end(at.at, io.EOF)
		return false
	}
	named := len(name) > 0 && string(name) != "message"
	if len(data) == 0 || named && data[0] != '{' {
		return true // a heartbeat: "event: ping" with a time, or no data at all
	}
	s.out = append(s.out, "data:"...) // without the space that may follow, which would only be taken off again
	start := len(s.out)
	if bytes.HasPrefix(data, []byte(`{"error":`)) {
		// This is "error": null beside a chunk. go-openai looks at the first
		// bytes only, and takes it for an error unless a space parts them.
		s.out = append(s.out, "{ "...)
		data = data[1:]
	}
	s.out = append(s.out, data...)
	for i := start; i < len(s.out); i++ { // lines of one event: a line end is white space in JSON
		lf := bytes.IndexByte(s.out[i:], '\n')
		if lf < 0 {
			break
		}
		i += lf
		s.out[i] = ' '
	}
	s.out = append(s.out, '\n') // go-openai reads lines; an empty one more would double its work
	s.queue = append(s.queue, at)
	return true
}

// next gives the arrival of the event that RecvRaw has just returned.
func (s *stream) next() arrival {
	a := s.queue[s.head]
	s.head++
	if s.head == len(s.queue) {
		s.queue, s.head = s.queue[:0], 0
	}
	return a
}

// Close ends the answer. After [DONE] the end of the body is nearly always on
// its way, and only a body read to its end gives its connection back, so Close
// waits for it, though never for more than 4 KB or 50 ms: some servers never end.
func (s *stream) Close() error {
	if s.buffer == nil {
		return nil
	}
	if s.done || s.failed {
		timer := time.AfterFunc(drainTime, s.abort)
		for left := drainLimit; left > 0; {
			n, err := s.body.Read((*s.buffer)[:left])
			if err != nil {
				break
			}
			left -= n
		}
		timer.Stop()
	}
	giveBuffer(s.buffer)
	s.buffer = nil
	return s.body.Close()
}

// isFault reports whether an event says that the request failed: by its name,
// by a top-level error that is not null, or by {"object":"error"}.
func isFault(name, data []byte) bool {
	if string(name) == "error" {
		return true
	}
	// Inside a JSON string the quotes are escaped, so text cannot match here.
	if !bytes.Contains(data, []byte(`"error"`)) || !gjson.ValidBytes(data) {
		return false
	}
	switch e := gjson.GetBytes(data, "error"); e.Type {
	case gjson.JSON, gjson.Number, gjson.True:
		return true
	case gjson.String:
		return e.Str != ""
	default: // absent, null or false
		return gjson.GetBytes(data, "object").Str == "error"
	}
}
