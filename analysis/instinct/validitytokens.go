package instinct

import (
	"fmt"
	"math"
	"slices"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

// tokenRules ask whether the requests were the ones asked for, and who counted their tokens.
var tokenRules = []Rule{
	{
		ID: "I03", Title: "Token counts disagree", Section: Validity, Severity: Warning,
		Needs: "the server's token count and a second one", Fires: "the tokens of some answers were not counted by the server, or there are over `share` more events with text than it counted tokens",
		Thresholds: []Threshold{{Name: "share", Value: 0.1, Why: "Families of tokenisers differ by 19–20 %; under 10 % is rounding and special tokens."}},
		Means:      "Figures per token, tok/s and $/token, are those of one count, and cannot be compared with those of another.",
		Reading:    "databricks-inference-performance", Try: "Ask the server for usage in the stream (stream_options.include_usage), or count with its own tokeniser.",
		look: atClasses(seeTokenCount),
	},
	{
		ID: "I04", Title: "Output length not controlled", Section: Validity, Severity: Warning,
		Needs: "counts of output tokens", Fires: "over `share` of the answers are more than 5 % off the length asked for; or none was asked for and their coefficient of variation is over `cv`",
		Thresholds: []Threshold{
			{Name: "share", Value: 0.05, Why: "NVIDIA's published sweeps have 999–1000 of 1000 tokens, so that one answer in twenty is far off already."},
			{Name: "cv", Value: 0.05, Why: "A sweep over fixed lengths has a coefficient of variation of about 0."},
		},
		Means:   "Two runs of this did different work: compare them per token, or not at all.",
		Reading: "nvidia-genai-perf-nim", Try: "Set ignore_eos with max_tokens, or compare per token only.",
		look: atClasses(seeOutputLength),
	},
	{
		ID: "V04", Title: "Prompt length off", Section: Validity, Severity: Warning,
		Needs: "prompts of a length that was asked for, and the server's count of their tokens",
		Fires: "counted ÷ asked is more than `near` off 1: a note, from `off` on a warning, and an error under `cut`; or a prompt was cut",
		Thresholds: []Threshold{
			{Name: "near", Value: 0.01, Why: "Prompts are made to be within 1 % of their length."},
			{Name: "off", Value: 0.05, Why: "A prompt that is a twentieth longer takes a twentieth more prefill, more than runs of one configuration differ by."},
			{Name: "cut", Value: 0.75, Why: "Tokenisers differ by about 20 %; a count that is further below was not made by another tokeniser."},
		},
		Means:   "TTFT and the price of a request are those of other prompts than were asked for.",
		Reading: "databricks-inference-performance", Try: "Compare by the lengths that were counted, or ask for prompts within the server's context.",
		look: atEach(seePromptLength),
	},
	{
		ID: "V05", Title: "Cached prompt tokens", Section: Validity, Severity: Warning,
		Needs: "the server's count of cached prompt tokens", Fires: "the server took more than `share` of the prompt tokens from its cache; a note where the workload shares prefixes by itself",
		Thresholds: []Threshold{{Name: "share", Value: 0.01, Why: "Prompts are made to be within 1 % of their length, so that less is within the error of the length."}},
		Means:      "TTFT and prompt cost are those of a partly cached workload, and flatter the server where real prompts differ.",
		Reading:    "vllm-repository", Try: "Restart the server or change --seed, so that it has not seen these prompts; or state the share.",
		look: atEach(seeCached),
	},
	{
		ID: "V06", Title: "Duplicate prompts", Section: Validity, Severity: Warning,
		Needs: "hashes of the prompts", Fires: "more than `share` of the prompts are copies of earlier ones; a note where the workload repeats prompts by itself",
		Thresholds: []Threshold{{Name: "share", Value: 0.01, Why: "Prompts of random words are never alike, so that one in a hundred is no chance."}},
		Means:      "A server with a prefix cache answers copies without prefilling them, so that TTFT is that of a cache.",
		Reading:    "vllm-repository", Try: "Use synthetic prompts, or data with more items than requests.",
		look: atEach(seeDuplicates),
	},
}

func seeTokenCount(l *look, s *analysis.PointSummary) sight {
	if l.spec().Endpoint == experiment.Embeddings {
		return apart("Embeddings have no output tokens.")
	}
	events, none := s.CountedBy[experiment.CountedEvents], s.CountedBy[experiment.CountedNone]
	more := deviation(1/s.EventsPerOutput, 1) // events beyond tokens
	inputs := []Input{in("counted by events", float64(events), "answers"), in("counted by nobody", float64(none), "answers"), in("tokens an event", s.EventsPerOutput, "tokens")}
	limit := l.limit("share")
	switch {
	case none > 0:
		return fired(2+float64(none), "Nobody counted the tokens of %d of %s: what rests on token counts is missing or partial.", none, sentence.Plural(s.OK, "answer")).of(inputs...)
	case events > 0:
		return fired(1, "The tokens of %d of %s were counted by events, a lower bound: figures per token rest on that.", events, sentence.Plural(s.OK, "answer")).of(inputs...)
	case more > limit:
		return fired(more, "There are %s more events with text than the server counted tokens, and no event holds less than one.", sentence.Percent(more)).of(inputs...)
	case more >= -limit:
		return silent(inputs...)
	default:
		return missing("There is no second token count.")
	}
}

func seeOutputLength(l *look, s *analysis.PointSummary) sight {
	if l.spec().Endpoint == experiment.Embeddings {
		return apart("Embeddings have no output tokens.")
	}
	g := &s.Signs
	inputs := []Input{in("off the length", g.OffLength, ""), in("ended by themselves", float64(g.Stopped), "answers"), in("coefficient of variation", g.OutputCV, "")}
	switch {
	case g.OutputsAsked > 0 && g.OffLength > l.limit("share"):
		return fired(g.OffLength, "The output length was not controlled: %s of the answers are more than 5 %% off the length asked for, and %d of %d ended by themselves (stop).",
			sentence.Percent(g.OffLength), g.Stopped, s.OK).of(inputs...)
	case g.OutputsAsked > 0:
		return silent(inputs...)
	case math.IsNaN(g.OutputCV):
		return missing("Nobody counted the output tokens.")
	case g.OutputCV > l.limit("cv"):
		return fired(g.OutputCV, "The output length varies (coefficient of variation %.2f) and no length was asked for: compare with other runs per token only.", g.OutputCV).of(inputs...)
	default:
		return silent(inputs...)
	}
}

func seePromptLength(l *look, s *analysis.PointSummary) sight {
	asked, count := s.Signs.PromptAsked, s.Signs.PromptCounted
	inputs := []Input{in("asked", float64(asked), "tokens"), in("counted", float64(count), "tokens")}
	off := deviation(float64(count), float64(asked))
	size := math.Abs(off)
	way := moreOrLess(off, "more", "fewer")
	switch n := s.Outcomes[experiment.Cut]; {
	case asked > 0 && 1+off < l.limit("cut"):
		return fired(size, "The server counted %s prompt tokens where %s were asked for (%s): prompts may have been cut silently at its context limit.",
			sentence.Rounded(float64(count)), sentence.Rounded(float64(asked)), sentence.Percent(1+off)).as(Error).of(inputs...)
	case n > 0:
		return fired(1, "The server silently cut the prompt of %d of %s, which count as failures: ask for shorter prompts, or serve a longer context.",
			n, sentence.Plural(s.Sent, "measured request")).of(inputs...)
	case asked == 0 && (l.spec().Prompt != "" || l.spec().Data != nil):
		return apart("The prompts are given, and of no length that was asked for.")
	case asked == 0:
		return missing("The server did not count the prompt tokens.")
	case size > l.limit("off"):
		return fired(size, "The server counted %s %s prompt tokens than were asked for (%s, not %s): compare with other runs by the lengths that it counted.",
			sentence.Percent(size), way, sentence.Rounded(float64(count)), sentence.Rounded(float64(asked))).of(inputs...)
	case size > l.limit("near")+1e-9: // which 505 of 500 are on
		return fired(size, "The server counted %s %s prompt tokens than were asked for (%s, not %s): the aim is %s.",
			sentence.Percent(size), way, sentence.Rounded(float64(count)), sentence.Rounded(float64(asked)), sentence.Percent(l.limit("near"))).as(Note).of(inputs...)
	default:
		return silent(inputs...)
	}
}

// shares says how the workload makes prompts begin alike by itself; empty = it does not.
func shares(s *experiment.Spec) string {
	switch {
	case s.Prompt != "":
		return "all requests have the same prompt"
	case s.Data != nil:
		return "the prompts are those of a file"
	case s.Prefix != nil || slices.ContainsFunc(s.Classes, func(c experiment.Class) bool { return c.Prefix != nil }):
		return "prompts share prefixes"
	case !s.Turns.IsZero() || slices.ContainsFunc(s.Classes, func(c experiment.Class) bool { return !c.Turns.IsZero() }):
		return "each turn of a conversation repeats the ones before it"
	default:
		return ""
	}
}

func seeCached(l *look, s *analysis.PointSummary) sight {
	if s.CachedTokens == experiment.Unknown {
		return missing("The server does not say how many prompt tokens came from its cache.")
	}
	inputs := []Input{in("cached", float64(s.CachedTokens), "tokens"), in("share", s.CacheHitShare, "")}
	if s.CachedTokens == 0 || s.CacheHitShare <= l.limit("share") {
		return silent(inputs...)
	}
	of := ""
	if s.PromptTokens > 0 {
		of = fmt.Sprintf(" of %s (%s)", sentence.Rounded(float64(s.PromptTokens)), sentence.Percent(float64(s.CachedTokens)/float64(s.PromptTokens)))
	}
	out := fired(s.CacheHitShare, "The server took %s prompt tokens%s from its cache: TTFT and prompt cost are those of a partly cached workload.", sentence.Rounded(float64(s.CachedTokens)), of).of(inputs...)
	if by := shares(l.spec()); by != "" {
		out.sentence += " That is the workload's own: " + by + "."
		return out.as(Note)
	}
	return out
}

func seeDuplicates(l *look, s *analysis.PointSummary) sight {
	g := &s.Signs
	if g.PromptsHashed <= 0 {
		return missing("The prompts were not hashed.")
	}
	share := float64(g.RepeatedPrompts) / float64(g.PromptsHashed)
	inputs := []Input{in("prompts", float64(g.PromptsHashed), "requests"), in("copies", float64(g.RepeatedPrompts), "requests")}
	if share <= l.limit("share") {
		return silent(inputs...)
	}
	out := fired(share, "%d of %s (%s) are copies of earlier ones: a server with a prefix cache need not prefill them.",
		g.RepeatedPrompts, sentence.Plural(g.PromptsHashed, "prompt"), sentence.Percent(share)).of(inputs...)
	switch spec := l.spec(); {
	case spec.Prompt != "":
		out.sentence += " That is the workload's own: all requests have the same prompt."
		return out.as(Note)
	case spec.Data != nil && spec.Data.Items < g.PromptsHashed:
		out.sentence += fmt.Sprintf(" That is the workload's own: its file has %s.", sentence.Plural(spec.Data.Items, "item"))
		return out.as(Note)
	default:
		return out
	}
}
