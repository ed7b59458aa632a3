package stamp

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pair gives both ends of a connection over loopback, ours wrapped.
func pair(t testing.TB) (ours, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ours = Wrap(dialled)
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

// stamped is pair where the platform stamps; the test is skipped elsewhere.
func stamped(t testing.TB) (ours *Conn, theirs net.Conn) {
	t.Helper()
	c, theirs := pair(t)
	ours, ok := c.(*Conn)
	if !ok {
		t.Skip("this platform does not stamp")
	}
	// The kernel begins to stamp a moment after the first socket has asked for it.
	log, buffer := new(Log), make([]byte, 1)
	ours.Attach(log)
	for range 1_000_000 {
		if _, err := theirs.Write(buffer); err != nil {
			t.Fatal(err)
		}
		if _, err := ours.Read(buffer); err != nil {
			t.Fatal(err)
		}
		if log.Last().Kernel {
			return ours, theirs
		}
	}
	t.Fatal("the kernel stamps no read")
	return nil, nil
}

func TestArrival(t *testing.T) {
	read := time.Now()
	wall := read.Round(0)
	for _, row := range []struct {
		name        string
		kernel      time.Time
		floor       time.Time
		want        time.Duration // before read
		wantStamped bool
	}{
		{"a millisecond ago", wall.Add(-time.Millisecond), read.Add(-time.Second), time.Millisecond, true},
		{"this very moment", wall, read.Add(-time.Second), 0, true},
		{"with the bytes before it", wall.Add(-time.Second), read.Add(-time.Second), time.Second, true},
		{"with them, by clocks read a little apart", wall.Add(-time.Second - time.Microsecond), read.Add(-time.Second), time.Second, true},
		{"the wall clock was set back meanwhile", wall.Add(time.Second), read.Add(-time.Second), 0, false},
		{"it was set forward by an hour", wall.Add(-time.Hour), read.Add(-time.Second), 0, false},
	} {
		at, ok := arrival(read, row.kernel, row.floor)
		if d := read.Sub(at); ok != row.wantStamped || d != row.want {
			t.Errorf("%s: %v before the read, %t; want %v, %t", row.name, d, ok, row.want, row.wantStamped)
		}
	}
}

func TestReadsAreInOrder(t *testing.T) {
	ours, theirs := stamped(t)
	log := new(Log)
	ours.Attach(log)
	begin := time.Now()
	var before Stamp
	kernel := 0
	buffer := make([]byte, 64)
	for i := range 200 {
		if _, err := theirs.Write([]byte("one event")); err != nil {
			t.Fatal(err)
		}
		if n, err := io.ReadFull(ours, buffer[:9]); err != nil || string(buffer[:n]) != "one event" {
			t.Fatalf("read %q, %v", buffer[:n], err)
		}
		s := log.Last()
		if s.Arrived.After(s.Read) || s.Arrived.Before(begin) || s.Arrived.Before(before.Arrived) || s.Read.After(time.Now()) {
			t.Fatalf("read %d: %+v after %+v", i, s, before)
		}
		if s.Ordinal <= before.Ordinal {
			t.Fatalf("read %d has the ordinal %d after %d", i, s.Ordinal, before.Ordinal)
		}
		if s.Kernel {
			kernel++
		}
		before = s
	}
	if kernel == 0 {
		t.Error("the kernel stamped none of 200 reads")
	}
}

// TestLateReader reads long after the bytes came, in two reads: both have the
// time of the arrival and not of the reading.
func TestLateReader(t *testing.T) {
	ours, theirs := stamped(t)
	log := new(Log)
	ours.Attach(log)
	for range 3 {
		if _, err := theirs.Write([]byte("ab")); err != nil {
			t.Fatal(err)
		}
		written := time.Now()
		for time.Since(written) < 20*time.Millisecond {
			runtime.Gosched()
		}
		late := time.Now()
		for range 2 {
			if n, err := ours.Read(make([]byte, 1)); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			if s := log.Last(); s.Kernel && s.Arrived.After(late) {
				t.Errorf("arrived %v after the reader was late", s.Arrived.Sub(late))
			}
		}
	}
	if !log.Last().Kernel {
		t.Error("the last read has no stamp")
	}
}

func TestBehavesAsTCP(t *testing.T) {
	t.Run("end of file", func(t *testing.T) {
		ours, theirs := pair(t)
		io.WriteString(theirs, "last")
		theirs.Close()
		if b, err := io.ReadAll(ours); string(b) != "last" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		if n, err := ours.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("after the end: %d, %v", n, err)
		}
	})
	t.Run("a read of nothing", func(t *testing.T) {
		ours, _ := pair(t)
		if n, err := ours.Read(nil); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
	t.Run("a deadline", func(t *testing.T) {
		ours, theirs := pair(t)
		ours.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, err := ours.Read(make([]byte, 1))
		var timeout net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("past the deadline: %v", err)
		}
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "read" || op.Addr.String() != theirs.LocalAddr().String() {
			t.Errorf("the error is %#v", err)
		}
		ours.SetReadDeadline(time.Time{})
		io.WriteString(theirs, "x")
		if n, err := ours.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("after the deadline was lifted: %d, %v", n, err)
		}
	})
	t.Run("close during a read", func(t *testing.T) {
		ours, _ := pair(t)
		failed := make(chan error)
		go func() { _, err := ours.Read(make([]byte, 1)); failed <- err }()
		runtime.Gosched()
		ours.Close()
		if err := <-failed; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the read gave %v", err)
		}
		if _, err := ours.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a read afterwards gave %v", err)
		}
	})
	t.Run("a reset", func(t *testing.T) {
		ours, theirs := pair(t)
		theirs.(*net.TCPConn).SetLinger(0)
		theirs.Close()
		_, err := ours.Read(make([]byte, 1))
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "read" || err == io.EOF {
			t.Errorf("%v", err)
		}
	})
	t.Run("more than a buffer, while we write", func(t *testing.T) {
		ours, theirs := pair(t)
		sent := bytes.Repeat([]byte("0123456789"), 100_000)
		var work sync.WaitGroup
		work.Go(func() { theirs.Write(sent); theirs.(*net.TCPConn).CloseWrite() })
		work.Go(func() { io.Copy(io.Discard, theirs) })
		work.Go(func() { ours.Write(sent); ours.SetWriteDeadline(time.Now()) })
		got, err := io.ReadAll(ours)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d of %d bytes, %v", len(got), len(sent), err)
		}
		ours.Close()
		work.Wait()
	})
}

func TestUnderTLS(t *testing.T) {
	ours, theirs := stamped(t)
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	defer server.Close()
	var echo sync.WaitGroup
	defer echo.Wait()
	defer ours.Close()
	echo.Go(func() {
		c := tls.Server(theirs, server.TLS)
		io.Copy(c, c)
	})
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	c := tls.Client(ours, &tls.Config{RootCAs: roots, ServerName: "example.com"})
	under := Of(c)
	if under != ours {
		t.Fatal("the stamped connection is not found under TLS")
	}
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	log := new(Log)
	under.Attach(log)
	for i := range 50 {
		begin := time.Now()
		io.WriteString(c, "event")
		if n, err := io.ReadFull(c, make([]byte, 5)); n != 5 || err != nil {
			t.Fatal(n, err)
		}
		if s := log.Last(); s.Ordinal == 0 || s.Arrived.Before(begin) || s.Arrived.After(s.Read) {
			t.Fatalf("echo %d: %+v", i, s)
		}
	}
	if !log.Last().Kernel {
		t.Error("the last read has no stamp")
	}
}

// TestPipe shows that a connection that is not TCP stays what it is, also in a
// bubble of virtual time.
func TestPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer a.Close()
		c := Wrap(a)
		if c != a || Of(c) != nil {
			t.Error("a pipe was wrapped")
		}
		go func() { time.Sleep(time.Second); b.Close() }()
		begin := time.Now()
		if _, err := c.Read(make([]byte, 1)); err != io.EOF || time.Since(begin) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

// BenchmarkRead is one read of one small segment, beside that of a plain
// TCPConn, both with the bytes already there. The write is in both.
func BenchmarkRead(b *testing.B) {
	for _, row := range []struct {
		name string
		conn func(b *testing.B) (ours, theirs net.Conn)
	}{
		{"plain", func(b *testing.B) (net.Conn, net.Conn) {
			ours, theirs := pair(b)
			if c, ok := ours.(*Conn); ok {
				ours = c.Conn
			}
			return ours, theirs
		}},
		{"stamped", func(b *testing.B) (net.Conn, net.Conn) { return pair(b) }},
	} {
		b.Run(row.name, func(b *testing.B) {
			ours, theirs := row.conn(b)
			if c := Of(ours); c != nil {
				c.Attach(new(Log))
			}
			event, buffer := make([]byte, 250), make([]byte, 4096)
			var reading time.Duration
			b.ReportAllocs()
			for b.Loop() {
				theirs.Write(event)
				begin := time.Now()
				if _, err := ours.Read(buffer); err != nil {
					b.Fatal(err)
				}
				reading += time.Since(begin)
			}
			b.ReportMetric(float64(reading)/float64(b.N), "read-ns/op")
		})
	}
}
