package runner

import (
	"bytes"
	"time"
)

// batchTime is how long a read may wait to be parsed while others follow it.
const batchTime = 250 * time.Millisecond

// batch is the reads of a stream that are stamped and not parsed yet. A server
// sends each token by itself, and what it costs a client to parse one is mostly
// that its code and tables have left the caches since the one before. So where an
// answer flows, a read is stamped when it comes and parsed with those that follow
// it. Only a read waits that is surely more text: the event that was parsed last
// with another text in it. So what ends an answer never waits, text counts as
// progress when it comes, and a batch changes no time and no outcome.
type batch struct {
	forms *classifier // of the answer; nil = it has no text yet, and nothing waits
	watch *watch
	waits []unparsed
}

// unparsed is a read that ends at an offset of the buffer.
type unparsed struct {
	end int
	at  arrival
}

// size is how much of the buffer is taken.
func (b *batch) size() int {
	if n := len(b.waits); n > 0 {
		return b.waits[n-1].end
	}
	return 0
}

// add takes a read of n bytes, and reports whether the batch can wait for another.
func (b *batch) add(buffer []byte, n int, at arrival) bool {
	from := b.size()
	b.waits = append(b.waits, unparsed{from + n, at})
	room := from+n <= len(buffer)/2 // so that the next read is not cut
	if b.forms == nil || !room || at.at.Sub(b.waits[0].at.at) >= batchTime || !b.flows(buffer[from:from+n]) {
		return false
	}
	b.watch.progress(at.at)
	return true
}

// flows reports whether a read is whole events, each of them the one that was parsed
// last with another text.
func (b *batch) flows(read []byte) bool {
	for len(read) > 0 {
		line, rest, ok := bytes.Cut(read, []byte{'\n'})
		if !ok {
			return false
		}
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if rest, ok = bytes.CutPrefix(bytes.TrimPrefix(rest, []byte{'\r'}), []byte{'\n'}); !ok {
			return false
		}
		data, ok := bytes.CutPrefix(line, []byte("data:"))
		if !ok || !b.forms.form.fits(bytes.TrimPrefix(data, []byte{' '})) {
			return false
		}
		read = rest
	}
	return true
}

// empty hands over each read.
func (b *batch) empty(buffer []byte, accept func([]byte, arrival)) {
	from := 0
	for _, r := range b.waits {
		accept(buffer[from:r.end], r.at)
		from = r.end
	}
	b.waits = b.waits[:0]
}
