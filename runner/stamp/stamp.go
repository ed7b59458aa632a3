// Package stamp tells when the bytes that a connection gives arrived at this
// machine, which is earlier than when a busy process comes to read them.
//
// It believes the kernel: on Linux each segment of a TCP connection is stamped
// as it is received ([SO_TIMESTAMPING] with RX_SOFTWARE), and a read by recvmsg
// gives the stamp beside the bytes. The stamps are of the wall clock, so each is
// turned into an age at the moment the read returns, and the age is taken off
// the monotonic clock. A stamp that cannot be true (it lies in the future, before
// the bytes that came before it, or before the request it answers was written)
// met a step of the wall clock; the read counts as unstamped, and its arrival is
// the moment it returned.
//
// What it cannot do: the kernel merges segments that wait in the socket into one
// and keeps the last one's stamp, and no option forbids that. So all bytes of a
// read share one stamp, which is exact for the last of them, and an upper bound
// for the others. A process that reads before the next segment comes, however
// late in that interval, loses nothing.
//
// [SO_TIMESTAMPING]: https://docs.kernel.org/networking/timestamping.html
package stamp

import (
	"net"
	"sync"
	"time"
)

// Stamp is one read of a connection that returned bytes.
type Stamp struct {
	// Arrived is when the kernel received the last of the bytes, and Read when
	// our read of them returned; both carry a monotonic reading. Where Kernel is
	// false there was no usable stamp, and Arrived is Read.
	Arrived, Read time.Time
	Kernel        bool
	// Ordinal counts the reads of a [Log], from 1; 0 = there was none yet.
	Ordinal int
}

// Log holds the latest read of one exchange on a connection. It is safe for
// concurrent use: net/http reads a response's head in one goroutine and its body
// in another.
type Log struct {
	mu   sync.Mutex
	last Stamp
}

// Last gives the latest read.
func (l *Log) Last() Stamp {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func (l *Log) note(s Stamp) {
	l.mu.Lock()
	s.Ordinal = l.last.Ordinal + 1
	l.last = s
	l.mu.Unlock()
}

// Conn is a TCP connection whose reads are stamped. It behaves as the
// *net.TCPConn under it does, its deadlines, errors and Close included.
type Conn struct {
	net.Conn
	reading  sync.Mutex // held through a read, which the receiver's fields belong to
	receiver *receiver

	mu    sync.Mutex
	log   *Log
	floor time.Time // no byte to come arrives before it
	asked bool      // something was written since the last read
}

// Wrap gives a connection whose reads are stamped, where the platform and the
// connection can (Linux 5.1 or newer, TCP), and c itself elsewhere.
func Wrap(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	r := newReceiver(tcp)
	if r == nil {
		return c
	}
	return &Conn{Conn: c, receiver: r, floor: time.Now(), asked: true}
}

// Of finds the stamped connection under c, which may be a *tls.Conn; nil = there is none.
func Of(c net.Conn) *Conn {
	for {
		switch under := c.(type) {
		case *Conn:
			return under
		case interface{ NetConn() net.Conn }:
			c = under.NetConn()
		default:
			return nil
		}
	}
}

// Attach makes l the log of the reads to come, in place of the one before. Who
// takes the connection for an exchange attaches a log of its own first, so that
// none sees another's reads.
func (c *Conn) Attach(l *Log) {
	c.mu.Lock()
	c.log = l
	c.mu.Unlock()
}

// Read reads as a *net.TCPConn does, and notes the stamp.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return c.Conn.Read(p)
	}
	c.reading.Lock()
	defer c.reading.Unlock()
	n, sent, stamped, err := c.receiver.receive(p)
	if n > 0 {
		c.note(time.Now(), sent, stamped)
	}
	return n, err
}

// Write writes as a *net.TCPConn does.
func (c *Conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if !c.asked {
		c.asked, c.floor = true, time.Now()
	}
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// note stamps a read that returned at a moment.
func (c *Conn) note(read, kernel time.Time, stamped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Stamp{Arrived: read, Read: read}
	if stamped {
		s.Arrived, s.Kernel = arrival(read, kernel, c.floor)
	}
	c.asked, c.floor = false, s.Arrived
	if c.log != nil {
		c.log.note(s)
	}
}

// clockSlack is how far the distance between the wall clock and the monotonic
// one may seem to change between two reads: they are read one after the other,
// mostly within 50 ns, and a thread that loses its processor in between reads
// them further apart.
const clockSlack = time.Millisecond

// arrival puts a stamp of the wall clock on the monotonic clock of read. It
// reports false, and gives read, for one that is after read or before floor.
func arrival(read, kernel, floor time.Time) (time.Time, bool) {
	age := read.Round(0).Sub(kernel) // by the wall clock
	if age < 0 {
		return read, false
	}
	at := read.Add(-age)
	switch early := floor.Sub(at); {
	case early > clockSlack:
		return read, false
	case early > 0:
		return floor, true
	}
	return at, true
}
