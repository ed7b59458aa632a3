package analysis

import (
	"runtime"
	"testing"

	"github.com/inferbook/inferbook/experiment"
)

// BenchmarkCollector summarises 200,000 samples of 200 gaps each. Beside the
// time it reports the heap that the collector holds before it sums up, and the
// heap at the end of that.
func BenchmarkCollector(b *testing.B) {
	const samples, events = 200_000, 200
	s := stream(0, 50, events+1, 10)
	seed := uint32(1)
	live := func(since uint64) float64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc-since) / 1e6
	}
	for b.Loop() {
		runtime.GC()
		var before runtime.MemStats
		runtime.ReadMemStats(&before)
		c := NewCollector(point(64, 64e6))
		for i := range samples {
			s.Seq, s.Sent = i, at(float64(i))
			s.FirstContent = s.Sent.Add(50e6)
			last := s.FirstContent
			for j := range s.Gaps {
				seed = seed*1664525 + 1013904223 // spreads gaps over 8 to 12 ms
				s.Gaps[j] = experiment.Gap(8_000_000 + seed>>10)
				last = last.Add(s.Gaps[j].Duration())
			}
			s.LastContent, s.End = last, last
			c.Add(&s)
		}
		b.StopTimer()
		runtime.GC()
		b.ReportMetric(live(before.HeapAlloc), "MB-held")
		b.StartTimer()
		sum := c.Summary()
		b.StopTimer()
		b.ReportMetric(live(before.HeapAlloc), "MB-after")
		if sum.ICL.N != samples*events {
			b.Fatalf("%d gaps", sum.ICL.N)
		}
		b.StartTimer()
	}
}

// BenchmarkSummary is the part of BenchmarkCollector after the last sample.
func BenchmarkSummary(b *testing.B) {
	c := NewCollector(point(64, 64e6))
	s := stream(0, 50, 201, 10)
	for i := range 200_000 {
		s.Sent = at(float64(i))
		s.Gaps[i%200] += 1000
		c.Add(&s)
	}
	for b.Loop() {
		c.Summary()
	}
}
