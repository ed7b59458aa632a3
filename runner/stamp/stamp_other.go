//go:build !linux

package stamp

import (
	"net"
	"time"
)

// receiver is nil everywhere but on Linux.
type receiver struct{}

func newReceiver(*net.TCPConn) *receiver { return nil }

func (*receiver) receive([]byte) (n int, stamp time.Time, stamped bool, err error) { return }
