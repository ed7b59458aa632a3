package peer

import (
	"math/rand/v2"
	"testing"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// BenchmarkPrint prints 10,000 answers of 200 gaps as each tool; the samples are made on the way.
func BenchmarkPrint(b *testing.B) {
	const answers, gaps = 10_000, 200
	samples := func(yield func(experiment.Sample, error) bool) {
		r := rand.New(rand.NewPCG(1, 2))
		s := answer(0, make([]float64, gaps+1)...)
		for i := range answers {
			s.Sent = experiment.Instant(i) * 1e6
			s.FirstEvent, s.FirstContent, s.LastContent = s.Sent+1e8, s.Sent+1e8, s.Sent+1e8
			for j := range s.Gaps {
				s.Gaps[j] = experiment.Gap(1000 * (30_000 + r.IntN(20_000)))
				s.LastContent = s.LastContent.Add(s.Gaps[j].Duration())
			}
			s.End = s.LastContent
			if !yield(s, nil) {
				return
			}
		}
	}
	for _, tool := range Tools() {
		b.Run(tool.Name, func(b *testing.B) {
			for b.Loop() {
				if _, err := tool.Print(background, &analysis.PointSummary{Point: point(8)}, samples); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/answers/gaps, "ns/gap")
		})
	}
}
