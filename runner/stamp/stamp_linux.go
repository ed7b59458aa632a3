package stamp

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// controlSize has room for the stamps (64 bytes) and for what another option of
// the socket may add.
const controlSize = 128

// receiver reads a TCP socket by recvmsg. Its fields are those of one call, kept
// here so that a call allocates nothing.
type receiver struct {
	conn *net.TCPConn
	raw  syscall.RawConn
	try  func(fd uintptr) bool // r.once, bound once

	message unix.Msghdr
	part    unix.Iovec
	control [controlSize]byte
	n       int
	err     error
}

// newReceiver asks the kernel to stamp; nil = it cannot.
func newReceiver(c *net.TCPConn) *receiver {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	var refused error
	err = raw.Control(func(fd uintptr) {
		// The NEW form has 64-bit times on every architecture.
		refused = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW,
			unix.SOF_TIMESTAMPING_RX_SOFTWARE|unix.SOF_TIMESTAMPING_SOFTWARE)
	})
	if err != nil || refused != nil {
		return nil
	}
	r := &receiver{conn: c, raw: raw}
	r.try = r.once
	return r
}

// receive waits for bytes, and gives them with the kernel's stamp if there was
// one. Its errors are those of net.TCPConn.Read.
func (r *receiver) receive(p []byte) (n int, stamp time.Time, stamped bool, err error) {
	r.part.Base = &p[0]
	r.part.SetLen(len(p))
	err = r.raw.Read(r.try)
	r.part.Base = nil
	switch {
	case err != nil:
		if op, ok := err.(*net.OpError); ok {
			op.Op = "read"
		}
		return 0, time.Time{}, false, err
	case r.err != nil:
		return 0, time.Time{}, false, &net.OpError{
			Op: "read", Net: "tcp", Source: r.conn.LocalAddr(), Addr: r.conn.RemoteAddr(), Err: os.NewSyscallError("recvmsg", r.err),
		}
	case r.n == 0:
		return 0, time.Time{}, false, io.EOF
	}
	stamp, stamped = softwareStamp(r.control[:min(int(r.message.Controllen), controlSize)])
	return r.n, stamp, stamped, nil
}

// once tries to read, and reports false where there is nothing yet.
func (r *receiver) once(fd uintptr) bool {
	for {
		r.message = unix.Msghdr{Iov: &r.part, Control: &r.control[0]}
		r.message.SetIovlen(1)
		r.message.SetControllen(controlSize)
		// It never waits, so the scheduler need not be told of the call, which would
		// cost as much as the stamp does.
		n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&r.message)), unix.MSG_DONTWAIT)
		switch errno {
		case 0:
			r.n, r.err = int(n), nil
			return true
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		default:
			r.n, r.err = 0, errno
			return true
		}
	}
}

// softwareStamp finds the software stamp in control messages: the first of the
// three times of a struct scm_timestamping64, zero = there is none.
func softwareStamp(control []byte) (time.Time, bool) {
	for len(control) >= unix.SizeofCmsghdr {
		header, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			break
		}
		if header.Level == unix.SOL_SOCKET && header.Type == unix.SO_TIMESTAMPING_NEW && len(data) >= 16 {
			sec := int64(binary.NativeEndian.Uint64(data))
			nsec := int64(binary.NativeEndian.Uint64(data[8:]))
			return time.Unix(sec, nsec), sec != 0 || nsec != 0
		}
		control = rest
	}
	return time.Time{}, false
}
