package sim

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// once writes what the socket has room for. It never waits, so the scheduler need
// not be told of the call.
func (d *direct) once(fd uintptr) bool {
	for len(d.left) > 0 {
		// A sendto is a write without what the file system would have to say.
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&d.left[0])), uintptr(len(d.left)), unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			break // it is full or broken: the handler finds out which
		}
		d.left = d.left[n:]
	}
	return true
}
