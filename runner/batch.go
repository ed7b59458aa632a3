package runner

import "bytes"

// batchSize is how many bytes of a stream wait at most: enough that what an event
// costs is its own work and not that of fetching the code for it.
const batchSize = 4 << 10

// batch is the reads of a stream that are stamped and that the answer has not taken
// yet. A server sends each token by itself, and what it costs a client to parse one
// is mostly that the code and its tables have left the caches since the one before.
// So where an answer flows, a read is stamped when it comes and taken with those
// that follow it. Only reads wait that are surely more text: the event that was
// parsed last with another text and other counts. So what ends an answer never
// waits, text counts as progress when it comes, and nothing is left to parse: a
// batch changes no time and no outcome.
type batch struct {
	answer *answer // nil = it has no text yet, and nothing waits
	watch  *watch
	reads  []batched
}

// batched is a read that ends at an offset of the buffer.
type batched struct {
	end int
	at  arrival
}

// size is how much of the buffer is taken.
func (b *batch) size() int {
	if n := len(b.reads); n > 0 {
		return b.reads[n-1].end
	}
	return 0
}

// add takes the events that a read begins with and that are only more text, and
// gives how many bytes those are. The read stands in the buffer behind the others.
func (b *batch) add(read []byte, at arrival) int {
	if b.answer == nil {
		return 0
	}
	taken := 0
	for {
		event, ok := cutEvent(read[taken:])
		if !ok {
			break
		}
		if _, ok := b.answer.forms.form.read(event.data); !ok {
			break
		}
		taken += event.size
	}
	if taken > 0 {
		b.reads = append(b.reads, batched{b.size() + taken, at})
		b.watch.progress(at.at)
	}
	return taken
}

// settle lets the answer take what waits.
func (b *batch) settle(buffer []byte) {
	from := 0
	for _, r := range b.reads {
		for from < r.end {
			event, _ := cutEvent(buffer[from:r.end])
			c, _ := b.answer.forms.form.read(event.data)
			b.answer.chunk(&c, r.at)
			from += event.size
		}
	}
	b.reads = b.reads[:0]
}

// lineEvent is an event that is one line of data.
type lineEvent struct {
	data []byte
	size int // with its ends of lines
}

// cutEvent finds the event that b begins with, if it is one line of data.
func cutEvent(b []byte) (lineEvent, bool) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return lineEvent{}, false
	}
	data, ok := bytes.CutPrefix(b[:end], []byte("data:"))
	blank := b[end+1:]
	if len(data) > 0 && data[len(data)-1] == '\r' {
		data, blank = data[:len(data)-1], bytes.TrimPrefix(blank, []byte{'\r'})
	}
	size := len(b) - len(blank) + 1
	return lineEvent{bytes.TrimPrefix(data, []byte{' '}), size}, ok && len(blank) > 0 && blank[0] == '\n'
}
