package instinct

import (
	"fmt"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/sentence"
)

var stalls = Rule{
	ID: "I31", Title: "Generation stalls", Section: Time, Severity: Note,
	Needs: "answers that come as a stream, about one token an event",
	Fires: "the mean gap between events is over `excess` times their p95, or over `slow` of the gaps are five times the median or longer",
	Thresholds: []Threshold{
		{Name: "excess", Value: 1.1, Why: "A mean beyond the p95 comes of few and long gaps, in 192 of 787 published runs and nearly all with long prompts; a tenth more leaves out the one short prompt that an answer meets on its way."},
		{Name: "slow", Value: 0.01, Why: "One gap in a hundred is met by every answer of a hundred tokens."},
	},
	Means:   "The prompts of others hold decoding up: a step that reads a prompt takes many times one that does not.",
	Reading: "vllm-joins-pytorch",
	Try:     "Turn chunked prefill on or make its chunks smaller (token budget), or prefill on other GPUs.",
	look: func(l *look) {
		l.levels(func(_ *analysis.Curve, v *analysis.Level) {
			if streaming(v) != analysis.StreamEffective {
				return
			}
			gap := over(v, func(s *analysis.PointSummary) float64 { return s.ICL.Mean })
			p95 := over(v, func(s *analysis.PointSummary) float64 { return s.ICL.P95.Value })
			slow := over(v, func(s *analysis.PointSummary) float64 { return s.Signs.SlowGaps })
			if given(gap, p95, slow) {
				l.say(whether(gap > l.limit("excess")*p95 || slow > l.limit("slow")), only(v), fmt.Sprintf("The mean gap is %s and the p95 %s, and %s of the gaps are at least five times the median.", span(gap), span(p95), sentence.Percent(slow)),
					in("mean gap", gap, "ms"), in("p95 of gaps", p95, "ms"), in("gaps of five medians", slow, ""))
			}
		})
	},
}

// streaming is how the answers of a level came: that of its first repeat.
func streaming(v *analysis.Level) analysis.StreamingVerdict { return v.Points[0].Streaming }

var jitter = Rule{
	ID: "I33", Title: "Jitter on the way", Section: Binds, Severity: Warning,
	Needs: "answers streamed at c=1",
	Fires: "at c=1 the p99 of gaps is over `ratio` times the median, or over `buffer` of the gaps last 40 or 200 ms, where several tokens from a step (I32) do not explain it",
	Thresholds: []Threshold{
		{Name: "ratio", Value: 3, Why: "Alone on the server each step takes about the same time: even under load p99 ÷ p50 of TPOT was 1.07 in a published run."},
		{Name: "buffer", Value: 0.01, Why: "40 and 200 ms are the times of delayed acknowledgements and proxy buffers, and no engine's."},
	},
	Means:   "The path between server and client holds tokens back, not the GPU.",
	Reading: "nvidia-genai-perf-nim",
	Try:     "Run the client on the server's host, or without the proxy, VPN or TLS terminator between them, and compare.",
	look: func(l *look) {
		l.levels(func(_ *analysis.Curve, v *analysis.Level) {
			if v.Load.Concurrency != 1 || !looped(v) {
				return
			}
			p50 := over(v, func(s *analysis.PointSummary) float64 { return s.ICL.P50.Value })
			p99 := over(v, func(s *analysis.PointSummary) float64 { return s.ICL.P99.Value })
			held := over(v, func(s *analysis.PointSummary) float64 { return s.Signs.DelayedAckGaps })
			if !given(p50, p99) {
				return
			}
			said := fmt.Sprintf("The median gap is %s and the p99 %s", span(p50), span(p99))
			if given(held) {
				said += fmt.Sprintf(", and %s of the gaps last about 40 or 200 ms", sentence.Percent(held))
			}
			drafted := draftsOf(v).drafted(l.Settings.Apply(draftBars))
			l.say(whether(!drafted && (p99 > l.limit("ratio")*p50 || held > l.limit("buffer"))), only(v), said+".", in("p50 of gaps", p50, "ms"), in("p99 of gaps", p99, "ms"), in("gaps of 40 or 200 ms", held, ""))
		})
	},
}
