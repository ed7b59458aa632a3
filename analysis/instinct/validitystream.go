package instinct

import (
	"math"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/sentence"
)

// streamRules ask whether the stream came as one.
var streamRules = []Rule{
	{
		ID: "I01", Title: "No effective streaming", Section: Validity, Severity: Error,
		Needs: "streamed answers of two tokens or more",
		Fires: "over `bursts` of the streamed answers came in one burst; or the median TTFT is `share` of E2E or more over `tokens` tokens or more, at a time per token under `pace`",
		Thresholds: []Threshold{
			{Name: "bursts", Value: 0.5, Why: "Where most answers come in one burst, the median TTFT is that of a burst."},
			{Name: "share", Value: 0.9, Why: "Of 787 published rows of streams the median of TTFT ÷ E2E is 0.035 and the largest, in a deep queue, 0.77."},
			{Name: "tokens", Value: 20, Unit: "tokens", Why: "Of a few tokens nearly all of the latency is the first one's anyway."},
			{Name: "pace", Value: 0.5, Unit: "ms", Why: "No server writes 2,000 tokens a second for one user; one that waits in a queue has a long TTFT and then writes slower."},
		},
		Means:   "A server or a proxy buffers: TTFT is E2E in disguise, and TPOT and gaps describe a buffer. E2E and throughput stand.",
		Reading: "nvidia-fundamental-concepts", Try: "Ask without the proxy, or turn its response buffering off (nginx: proxy_buffering off).",
		look: atClasses(seeBuffered),
	},
	{
		ID: "I02", Title: "Several tokens an event", Section: Validity, Severity: Warning,
		Needs: "a token count that is not the count of events", Fires: "an event holds more than `tokens` tokens on average",
		Thresholds: []Threshold{{Name: "tokens", Value: 1.2, Unit: "tokens", Why: "1 is expected; a first event with a role alone and odd merges stay below 1.2."}},
		Means:      "Gaps between events are not gaps between tokens. It is also the mark of speculative decoding.",
		Reading:    "vllm-repository", Try: "Read TPOT, and ask for token ids or continuous usage to see which event holds what.",
		look: atClasses(seeChunked),
	},
	{
		ID: "I14", Title: "First chunk is not the first useful token", Section: Validity, Severity: Note,
		Needs: "streamed answers with the time of their first event",
		Fires: "the first event comes `ms` and `share` of the TTFT before the first text; a warning where reasoning was counted and not streamed",
		Thresholds: []Threshold{
			{Name: "ms", Value: 5, Unit: "ms", Why: "Under 5 ms it is one packet after another."},
			{Name: "share", Value: 0.1, Why: "A tenth of TTFT is more than runs of one configuration differ by."},
		},
		Means:   "Tools that take any first event, as vLLM's does, print a shorter TTFT for these answers, and hidden reasoning holds back the first token that a user sees.",
		Reading: "nvidia-fundamental-concepts", Try: "Compare with `inferbook show --as vllm`, and give ttft_answer beside ttft.",
		look: atClasses(seeEmptyStart),
	},
	{
		ID: "V08", Title: "Coalesced reads", Section: Validity, Severity: Warning,
		Needs: "gaps between events", Fires: "`share` of the gaps or more are 0 because two events came in one read",
		Thresholds: []Threshold{{Name: "share", Value: 0.05, Why: "From a twentieth on the p95 of the gaps is moved by what was not timed."}},
		Means:      "The server, a proxy or this client bundled events: the percentiles of the gaps are those of bundles. TTFT, TPOT and E2E stand.",
		Reading:    "vllm-repository", Try: "Run the client nearer to the server, or on a less busy host.",
		look: atEach(seeCoalesced),
	},
	{
		ID: "V09", Title: "Latency identity broken", Section: Validity, Severity: Warning,
		Needs: "streamed answers of two tokens or more", Fires: "E2E and TTFT + TPOT·(N − 1) are more than `share` of E2E apart in some answer",
		Thresholds: []Threshold{{Name: "share", Value: 0.05, Why: "The identity is exact where N counts the tokens that were streamed; 5 % is the alarm of the closed loop's identity too."}},
		Means:      "N holds tokens that were not streamed one by one: reasoning that is not shown, or a first event of several tokens.",
		Reading:    "nvidia-fundamental-concepts", Try: "Read E2E, and say which tokens N counts.",
		look: atEach(seeLatencyIdentity),
	},
}

const (
	notStreamed = "The answers were not streamed."
	nobodyKnows = "Nobody counted the tokens other than by counting events."
)

// streamed reports whether some answers came in events; where not, what the rules say
// of that: an answer that was not to be streamed is another kind of run.
func streamed(l *look, s *analysis.PointSummary) (sight, bool) {
	switch {
	case s.MeanEvents > 0:
		return sight{}, true
	case !l.spec().Stream:
		return apart(notStreamed), false
	default:
		return missing("No answer came in events."), false
	}
}

func seeBuffered(l *look, s *analysis.PointSummary) sight {
	if out, ok := streamed(l, s); !ok {
		if l.spec().Stream && s.Streaming == analysis.StreamNone {
			return fired(2, "A stream was asked for, and the answers came whole: there is no TTFT, no TPOT and no gap.")
		}
		return out
	}
	if s.Signs.Streams <= 0 {
		return missing("No streamed answer was long enough to tell.")
	}
	bursts := float64(s.Signs.Bursts) / float64(s.Signs.Streams)
	inputs := []Input{in("bursts", bursts, ""), in("TTFT ÷ E2E", s.TTFTOverE2E, ""), in("output", s.MeanOutput, "tokens"), in("TPOT p50", s.TPOT.P50.Value, "ms")}
	const buffer = "TTFT, TPOT and gaps describe a buffer, not the server."
	switch {
	case bursts > l.limit("bursts"):
		return fired(1+bursts, "The stream did not come as a stream: %d of %s came in one burst, and the median TTFT is %s of E2E. "+buffer,
			s.Signs.Bursts, sentence.Plural(s.Signs.Streams, "streamed answer"), sentence.Percent(s.TTFTOverE2E)).of(inputs...)
	case s.TTFTOverE2E >= l.limit("share") && s.MeanOutput >= l.limit("tokens") && s.TPOT.P50.Value < l.limit("pace"):
		return fired(s.TTFTOverE2E, "The median TTFT is %s of E2E, and then a token comes every %s ms, which is faster than anybody writes. "+buffer,
			sentence.Percent(s.TTFTOverE2E), sentence.Short(s.TPOT.P50.Value)).of(inputs...)
	default:
		return silent(inputs...)
	}
}

// buffered reports whether the answers came in one piece, so that nothing within them can be told.
func buffered(s *analysis.PointSummary) bool { return s.Streaming == analysis.StreamNone }

const onePiece = "The answers came in one piece each."

func seeChunked(l *look, s *analysis.PointSummary) sight {
	if out, ok := streamed(l, s); !ok {
		return out
	}
	tokens := in("tokens an event", s.EventsPerOutput, "tokens")
	switch {
	case buffered(s):
		return missing(onePiece)
	case math.IsNaN(s.EventsPerOutput):
		return missing(nobodyKnows)
	case s.EventsPerOutput > l.limit("tokens"):
		return fired(s.EventsPerOutput, "An event carries %.1f tokens on average: gaps between events are not gaps between tokens, read TPOT instead.", s.EventsPerOutput).of(tokens)
	default:
		return silent(tokens)
	}
}

func seeEmptyStart(l *look, s *analysis.PointSummary) sight {
	if out, ok := streamed(l, s); !ok {
		return out
	}
	g := &s.Signs
	inputs := []Input{in("first event to first text", g.EmptyStart, "ms"), in("share of TTFT", g.EmptyStartShare, ""), in("hidden reasoning", float64(g.HiddenReasoning), "answers")}
	switch {
	case g.HiddenReasoning > 0:
		return fired(float64(g.HiddenReasoning), "The reasoning tokens of %d of %s were counted and not streamed: TTFT holds the time of thinking, and TPOT is of the tokens that were seen.",
			g.HiddenReasoning, sentence.Plural(s.OK, "answer")).as(Warning).of(inputs...)
	case math.IsNaN(g.EmptyStart):
		return missing("The time of the first event is not known.")
	case g.EmptyStart > l.limit("ms") && g.EmptyStartShare > l.limit("share"):
		return fired(g.EmptyStart, "The first event came %s ms before the first text, %s of the median TTFT: a tool that counts it prints that much less.",
			sentence.Short(g.EmptyStart), sentence.Percent(g.EmptyStartShare)).of(inputs...)
	default:
		return silent(inputs...)
	}
}

func seeCoalesced(l *look, s *analysis.PointSummary) sight {
	if out, ok := streamed(l, s); !ok {
		return out
	}
	share := in("gaps within one read", s.SharedReads, "")
	switch {
	case buffered(s):
		return missing(onePiece)
	case math.IsNaN(s.SharedReads):
		return missing("There is no gap between events.")
	case s.SharedReads >= l.limit("share"):
		return fired(s.SharedReads, "%s of the gaps are 0 because their event came in one read with the one before: the server, a proxy or this client bundled them.", sentence.Percent(s.SharedReads)).of(share)
	default:
		return silent(share)
	}
}

func seeLatencyIdentity(l *look, s *analysis.PointSummary) sight {
	if out, ok := streamed(l, s); !ok {
		return out
	}
	off := s.Signs.IdentityError
	switch {
	case math.IsNaN(off):
		return missing("No streamed answer has both a TTFT and a TPOT.")
	case off > l.limit("share"):
		return fired(off, "E2E and TTFT + TPOT·(N − 1) are up to %s of E2E apart in one answer: its N counts tokens that were not streamed one by one.", sentence.Percent(off)).of(in("difference", off, ""))
	default:
		return silent(in("difference", off, ""))
	}
}
