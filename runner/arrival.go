package runner

import (
	"sync"
	"time"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/stamp"
)

// arrival is when bytes of an answer came: all those of one read together.
type arrival struct {
	// at is the kernel's stamp of the last of them, else when the read returned.
	at experiment.Instant
	// read is the ordinal of the read that brought them: of the connection where
	// that is stamped, since one such read may serve several of the body, else of
	// the body.
	read int
	// lag is the time from at to the return of the read; [experiment.Unknown]
	// where at is not the kernel's.
	lag time.Duration
}

// clock tells when the bytes came that a read of the body has just returned.
type clock struct {
	now    func() experiment.Instant
	anchor time.Time  // Instant 0
	log    *stamp.Log // of the connection; nil = it does not stamp
}

// arrived is for a read that returned bytes, the body's n-th such.
func (c clock) arrived(n int) arrival {
	if c.log == nil {
		return c.read(n)
	}
	s := c.log.Last()
	if s.Ordinal == 0 {
		return c.read(n)
	}
	a := arrival{at: experiment.Instant(s.Arrived.Sub(c.anchor)), read: s.Ordinal, lag: experiment.Unknown}
	if s.Kernel {
		a.lag = s.Read.Sub(s.Arrived)
	}
	return a
}

// read is an arrival at this moment, in the body's n-th read.
func (c clock) read(n int) arrival { return arrival{at: c.now(), read: n, lag: experiment.Unknown} }

// manyConns is from how many connections on their buffers are small. A large
// one saves system calls only where events come faster than they are read.
const manyConns = 512

// readSize is the size in bytes of a connection's buffer and of a read of the
// body. They are equal so that one read of the body takes what one of the
// connection brought, or all but the few kilobytes that a batch holds of the buffer.
func readSize(conns int) int {
	if conns > manyConns {
		return 4 << 10
	}
	return 32 << 10
}

var largeBuffers, smallBuffers sync.Pool // of *[]byte, by readSize

func buffers(size int) *sync.Pool {
	if size == readSize(manyConns) {
		return &largeBuffers
	}
	return &smallBuffers
}

func takeBuffer(size int) *[]byte {
	if b, ok := buffers(size).Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, size)
	return &b
}

func giveBuffer(b *[]byte) { buffers(len(*b)).Put(b) }
