package analysis

import (
	"testing"

	"github.com/inferbook/inferbook/experiment"
)

func TestStreamingVerdict(t *testing.T) {
	// 160 tokens in 20 events of 8, 80 ms apart.
	chunked := with(stream(0, 50, 20, 80), func(s *experiment.Sample) { s.OutputTokens = 160 })
	// A proxy holds everything back: 128 events within 3 ms at the end of 1.3 s.
	buffered := stream(0, 1300, 128, 0.02)
	// It lets the first event through and holds back the others.
	held := with(stream(0, 50, 128, 0.02), func(s *experiment.Sample) {
		s.Gaps[0] = 1250e6
		s.LastContent = s.FirstContent.Add(1250e6 + 126*20e3)
	})
	coalesced := with(stream(0, 50, 128, 10), func(s *experiment.Sample) {
		for i := range s.Gaps {
			if i%2 == 0 {
				s.Gaps[i] = experiment.SameRead
			}
		}
	})
	byEvents := with(stream(0, 50, 20, 80), func(s *experiment.Sample) { s.Counted = experiment.CountedEvents })
	for _, tt := range []struct {
		name    string
		samples []experiment.Sample
		want    StreamingVerdict
	}{
		{"a token an event, over time", []experiment.Sample{stream(0, 50, 128, 10)}, StreamEffective},
		{"a role in the first event and a merge stay under 1.2", []experiment.Sample{with(stream(0, 50, 100, 10), func(s *experiment.Sample) { s.OutputTokens = 119 })}, StreamEffective},
		{"eight tokens an event", []experiment.Sample{chunked}, StreamChunked},
		{"half of the events share a read", []experiment.Sample{coalesced}, StreamChunked},
		{"counted by events, tokens per event say nothing", []experiment.Sample{byEvents}, StreamEffective},
		{"all at the end", []experiment.Sample{buffered}, StreamNone},
		{"one at the start and all others at the end", []experiment.Sample{held}, StreamNone},
		{"the whole answer in one event", []experiment.Sample{with(stream(0, 50, 1, 0), func(s *experiment.Sample) { s.OutputTokens = 100 })}, StreamNone},
		{"not streamed", []experiment.Sample{whole(0, 300, 100)}, StreamNone},
		{"a long wait for a short answer is no buffer", []experiment.Sample{stream(0, 5000, 8, 20)}, StreamEffective},
		{"sixteen users share one slot: 15 of 16 parts of the time are queue", []experiment.Sample{stream(0, 19200, 128, 10)}, StreamEffective},
		{"1,000 tokens at 2,500 a second", []experiment.Sample{stream(0, 20, 1000, 0.4)}, StreamEffective},
		{"half and half: reading the prompt takes as long as writing, as on a CPU", []experiment.Sample{stream(0, 2500, 128, 20)}, StreamEffective},
		{"one buffered answer among three", []experiment.Sample{buffered, stream(0, 50, 128, 10), stream(0, 50, 128, 10)}, StreamEffective},
		{"two of three", []experiment.Sample{buffered, held, stream(0, 50, 128, 10)}, StreamNone},
		{"answers of one token cannot tell", []experiment.Sample{stream(0, 50, 1, 0)}, StreamUnknown},
		{"nor can failures", []experiment.Sample{failed(0, 50, experiment.Timeout)}, StreamUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if s := collect(point(1, 10_000), tt.samples...); s.Streaming != tt.want {
				t.Errorf("the stream is %s, want %s (TTFT/E2E %v, %v tokens an event, %v shared)",
					s.Streaming, tt.want, s.TTFTOverE2E, s.EventsPerOutput, s.SharedReads)
			}
		})
	}
}
