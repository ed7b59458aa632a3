package selftest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/inferbook/inferbook/runner"
)

// serverFlag makes a copy of the test's program the server.
const serverFlag = "INFERBOOK_SELFTEST_SERVER"

// TestServer is no test: the benchmark runs it as a child process. It serves
// until its input ends.
func TestServer(t *testing.T) {
	if os.Getenv(serverFlag) == "" {
		t.Skip("the child process of BenchmarkMeasure")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { io.Copy(io.Discard, os.Stdin); cancel() }()
	fmt.Println(l.Addr())
	if err := Serve(ctx, l); err != nil {
		t.Fatal(err)
	}
}

// child starts the server and gives its address.
func child(b *testing.B) string {
	b.Helper()
	server := exec.Command(os.Args[0], "-test.run=^TestServer$")
	server.Env = append(os.Environ(), serverFlag+"=1")
	server.Stderr = os.Stderr
	in, err := server.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		server.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(address)
}

// BenchmarkMeasure is the error of the times that the client reports, beside
// that of the moments at which it reads, with one processor for the client. In
// "starved" a busy loop has a share of that. The last row is of scale: memory for
// each of 10,000 streams, and no errors.
func BenchmarkMeasure(b *testing.B) {
	for _, row := range []struct {
		name    string
		streams int
		rate    float64
		starve  bool
	}{
		{"64", 64, 20, false},
		{"384", 384, 20, false},
		{"2000", 2000, 10, false},
		{"64 starved", 64, 20, true},
		{"10000", 10_000, 1, false},
	} {
		b.Run(row.name, func(b *testing.B) {
			address := child(b)
			if err := runner.Preflight(row.streams, []string{address}); err != nil {
				b.Skip(err)
			}
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			cfg := Config{
				Streams: row.streams, Rate: row.rate, EventBytes: 250, Events: 10,
				First: 50 * time.Millisecond, Duration: 5 * time.Second, Starve: row.starve,
			}
			var r Result
			for b.Loop() {
				var err error
				if r, err = Measure(b.Context(), cfg, address); err != nil {
					b.Fatal(err)
				}
			}
			ms := func(d time.Duration) float64 { return float64(d) / 1e6 }
			b.ReportMetric(ms(r.Stamp.Arrival.P50), "stamp-p50-ms")
			b.ReportMetric(ms(r.Stamp.Arrival.P99), "stamp-p99-ms")
			b.ReportMetric(ms(r.Stamp.Gap.P99), "stamp-gap-p99-ms")
			b.ReportMetric(ms(r.Stamp.TTFT.P99), "stamp-ttft-p99-ms")
			b.ReportMetric(ms(r.Read.Arrival.P50), "read-p50-ms")
			b.ReportMetric(ms(r.Read.Arrival.P99), "read-p99-ms")
			b.ReportMetric(ms(r.Read.Gap.P99), "read-gap-p99-ms")
			b.ReportMetric(ms(r.Read.TTFT.P99), "read-ttft-p99-ms")
			b.ReportMetric(100*r.Merged, "merged-%")
			b.ReportMetric(r.EventsPerSecond, "events/s")
			b.ReportMetric(r.BytesPerStream, "B/stream")
			b.ReportMetric(float64(r.Failed), "failed")
		})
	}
}
