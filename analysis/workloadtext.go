package analysis

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

// WorkloadText names what a specification asks for, in one line without an end:
// "500 → 128 tokens", "azure-chat: about 1155 → about 211 tokens, 3 turns". Two
// specifications with the same text send requests of the same kind; when they send
// them is not part of it.
func WorkloadText(s *experiment.Spec) string {
	if len(s.Classes) > 0 {
		parts := make([]string, len(s.Classes))
		for i := range s.Classes {
			own := classSpec(s, &s.Classes[i])
			parts[i] = s.Classes[i].Name + " " + WorkloadText(&own)
		}
		return strings.Join(parts, "; ")
	}
	text := lengths(s)
	if s.Preset != "" {
		text = s.Preset + ": " + text
	}
	if p := s.Prefix; p != nil {
		text += fmt.Sprintf(", %s with a shared prefix of %s", sentence.Percent(p.Share), sentence.Plural(p.Tokens, "token"))
		if p.Groups > 1 {
			text += fmt.Sprintf(" (%d of them)", p.Groups)
		}
	}
	if n, fixed := s.Turns.Fixed(); !s.Turns.IsZero() && !(fixed && n == 1) {
		turns := LengthText(s.Turns)
		text += ", " + turns + " turns"
	}
	return text
}

func lengths(s *experiment.Spec) string {
	answer := func(unit string) string {
		if s.Endpoint == experiment.Embeddings {
			return unit
		}
		return " → " + tokensText(s.OutputTokens)
	}
	switch {
	case s.Prompt != "":
		return fmt.Sprintf("a fixed prompt of %s", sentence.Plural(utf8.RuneCountInString(s.Prompt), "character")) + answer("")
	case s.Data != nil:
		items := ""
		if s.Data.Items > 0 {
			items = fmt.Sprintf(" (%s)", sentence.Plural(s.Data.Items, "item"))
		}
		return "requests of " + s.Data.Path + items
	case s.Endpoint == experiment.Embeddings:
		return tokensText(s.InputTokens)
	default:
		return LengthText(s.InputTokens) + answer("")
	}
}

// tokensText is a length with its unit.
func tokensText(l experiment.Length) string {
	if n, ok := l.Fixed(); ok {
		return sentence.Plural(n, "token")
	}
	return LengthText(l) + " tokens"
}

// LengthText names a length in a few words: "500", "100–900", "about 1155 (lognormal)".
func LengthText(l experiment.Length) string {
	switch l.Kind {
	case experiment.FixedLength:
		return fmt.Sprint(l.Nominal())
	case experiment.UniformLength:
		return fmt.Sprintf("%.0f–%.0f", l.Low, l.High)
	default:
		return fmt.Sprintf("about %d (%s)", l.Nominal(), l.Kind)
	}
}

// classSpec is the specification with what the class has of its own.
func classSpec(s *experiment.Spec, c *experiment.Class) experiment.Spec {
	out := *s
	out.Classes, out.Preset = nil, ""
	if !c.InputTokens.IsZero() {
		out.InputTokens = c.InputTokens
	}
	if !c.OutputTokens.IsZero() {
		out.OutputTokens = c.OutputTokens
	}
	if c.Prefix != nil {
		out.Prefix = c.Prefix
	}
	if !c.Turns.IsZero() {
		out.Turns = c.Turns
	}
	return out
}
