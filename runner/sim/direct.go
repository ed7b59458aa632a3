package sim

import (
	"context"
	"net"
	"net/http"
	"sync"
	"syscall"
)

// ConnContext belongs into the ConnContext of the http.Server that serves a
// [Server.Handler]. With it the engine writes the tokens of a step to the
// connections itself, one after the other and always in the same order. Without it
// each token wakes the goroutine of its request, which writes it through net/http:
// that costs about as much again as the system call does, and in which order a
// thousand goroutines run is anybody's guess, so that gaps vary.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

type connKey struct{}

// direct writes the chunks of a streamed answer to its connection past net/http. Both
// may write, as long as they take turns and net/http flushes what it has.
type direct struct {
	conn *net.TCPConn
	raw  syscall.RawConn
	try  func(fd uintptr) bool // d.once, bound once
	left []byte                // of the chunk
}

// newDirect gives nil where the answer to a request is not one of chunks over TCP.
func newDirect(r *http.Request) *direct {
	tcp, ok := r.Context().Value(connKey{}).(*net.TCPConn)
	if !ok || r.ProtoMajor != 1 || r.ProtoMinor != 1 {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	d := &direct{conn: tcp, raw: raw}
	d.try = d.once
	return d
}

// frameHead is the room before a chunk for its length: eight digits and the end of the line.
const frameHead = 10

// write sends a chunk that stands behind room for its head, and reports false where
// the socket has no room for all of it, or is broken. It never waits.
func (d *direct) write(frame []byte) bool {
	from := frameHead - 2
	copy(frame[from:], "\r\n")
	for n := len(frame) - frameHead; n > 0; n >>= 4 {
		from--
		frame[from] = "0123456789abcdef"[n&15]
	}
	d.left = append(frame, "\r\n"...)[from:]
	return d.raw.Write(d.try) == nil && len(d.left) == 0
}

// pending reports whether the rest of a chunk is to be sent before anything else.
func (d *direct) pending() bool { return d != nil && len(d.left) > 0 }

// finish waits until the rest is sent, and reports false when the client has gone.
func (d *direct) finish() bool {
	n, err := d.conn.Write(d.left)
	d.left = d.left[n:]
	return err == nil
}

// directShare is how many streams are worth a goroutine more to write them.
const directShare = 256

// deliver lets the tokens of a wake-up out. Where there are many streams and processors,
// a part of them share the work: half, since the client is often on the same machine.
func deliver(awake []*stream, processors int) {
	parts := max(1, min(processors/2, len(awake)/directShare))
	var others sync.WaitGroup
	for i := range parts {
		part := awake[len(awake)*i/parts : len(awake)*(i+1)/parts]
		work := func() {
			for _, st := range part {
				st.deliver()
			}
		}
		if i == parts-1 {
			work()
		} else {
			others.Go(work)
		}
	}
	others.Wait()
}
