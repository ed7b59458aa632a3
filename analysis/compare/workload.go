package compare

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// work is one thing that a specification asks of the server: two runs of which it
// differs did different work.
type work struct {
	key string
	of  func(*experiment.Spec) string // "" = nothing asked
}

var asked = []work{
	{"endpoint", func(s *experiment.Spec) string { return string(s.Endpoint) }},
	{"stream", func(s *experiment.Spec) string { return fmt.Sprint(s.Stream) }},
	{"input_tokens", func(s *experiment.Spec) string {
		if len(s.Classes) > 0 || s.Data != nil || s.Prompt != "" {
			return ""
		}
		return analysis.LengthText(s.InputTokens) + jitter(s)
	}},
	{"output_tokens", func(s *experiment.Spec) string {
		if len(s.Classes) > 0 || s.Data != nil || s.Endpoint == experiment.Embeddings {
			return ""
		}
		return analysis.LengthText(s.OutputTokens) + jitter(s)
	}},
	{"jitter", func(*experiment.Spec) string { return "" }}, // which is in the lengths
	{"prompt", func(s *experiment.Spec) string { return s.Prompt }},
	{"data", func(s *experiment.Spec) string {
		switch {
		case s.Data == nil:
			return ""
		case s.Data.SHA256 != "": // the same file may lie somewhere else
			return fmt.Sprintf("a file of %d items with the hash %.12s", s.Data.Items, s.Data.SHA256)
		}
		return s.Data.Path
	}},
	{"prefix", func(s *experiment.Spec) string {
		if p := s.Prefix; p != nil {
			return fmt.Sprintf("%g %% share one of %d of %d tokens, zipf %g", 100*p.Share, p.Groups, p.Tokens, p.Zipf)
		}
		return ""
	}},
	{"turns", func(s *experiment.Spec) string {
		if s.Turns.IsZero() {
			return ""
		}
		return analysis.LengthText(s.Turns)
	}},
	{"think_time", func(s *experiment.Spec) string {
		if s.ThinkTime.IsZero() {
			return ""
		}
		return s.ThinkTime.String()
	}},
	{"classes", classesText},
	{"models", func(s *experiment.Spec) string {
		if len(s.Models) == 0 {
			return ""
		}
		return jsonText(s.Models)
	}},
	{"arrival", func(s *experiment.Spec) string {
		if !s.Arrival.Open() {
			return "closed"
		}
		return s.Arrival.String()
	}},
	{"max_concurrency", func(s *experiment.Spec) string {
		if s.MaxConcurrency == 0 {
			return ""
		}
		return fmt.Sprint(s.MaxConcurrency)
	}},
}

func jitter(s *experiment.Spec) string {
	if s.Jitter == 0 {
		return ""
	}
	return fmt.Sprintf(" ±%g %%", 100*s.Jitter)
}

// classesText names the kinds of traffic by what they ask, and not by what they are held to.
func classesText(s *experiment.Spec) string {
	var parts []string
	for _, c := range s.Classes {
		one := *s
		one.Classes = []experiment.Class{c}
		text := analysis.WorkloadText(&one) + jitter(s)
		switch {
		case c.Weight > 0:
			text += fmt.Sprintf(", weight %g", c.Weight)
		case c.Rate > 0:
			text += fmt.Sprintf(", %g a second", c.Rate)
		default:
			text += fmt.Sprintf(", %d in flight", c.Concurrency)
		}
		for _, more := range []string{c.Arrival.String(), c.ThinkTime.String(), c.Model} {
			if more != "" && more != "closed" && more != (experiment.Pause{}).String() {
				text += ", " + more
			}
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

// jsonText writes plain values, which can always be written.
func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// lengthBar is how far apart the mean lengths of two runs may be for the same work, as a share, and
// cacheBar how far the shares of their prompts that came from a cache.
const (
	lengthBar = 0.05
	cacheBar  = 0.05
)

// Unequal is one way in which two levels did different work.
type Unequal struct {
	What string `json:"what"` // a field of the specification, or "mean output tokens", "mean prompt tokens", "cached share"
	A    string `json:"a"`
	B    string `json:"b"`
	// Load is where it was measured; "" = it was asked for.
	Load string `json:"load,omitempty"`
}

// String says it in a few words.
func (u Unequal) String() string {
	or := func(s string) string {
		if s == "" {
			return "none"
		}
		return s
	}
	at := ""
	if u.Load != "" {
		at = " at " + u.Load
	}
	return fmt.Sprintf("%s%s: %s against %s", strings.ReplaceAll(u.What, "_", " "), at, or(u.A), or(u.B))
}

// Unequals lists how the work of two levels differs, in what was asked and in
// what came of it. What one of them does not tell is not compared.
func Unequals(a, b Level) []Unequal {
	out := askedUnequal(a.spec(), b.spec())
	load := a.Load.String()
	if a.Load != b.Load {
		load += " and " + b.Load.String()
	}
	for _, m := range []struct {
		what string
		of   func(*analysis.PointSummary) (sum, n int)
	}{
		{"mean output tokens", func(s *analysis.PointSummary) (int, int) { return s.OutputTokens, s.OK }},
		{"mean prompt tokens", func(s *analysis.PointSummary) (int, int) { return s.PromptTokens, s.OK }},
	} {
		ma, mb := a.mean(m.of), b.mean(m.of)
		if math.Max(ma, mb) > (1+lengthBar)*math.Min(ma, mb) {
			out = append(out, Unequal{m.what, fmt.Sprintf("%.4g", ma), fmt.Sprintf("%.4g", mb), load})
		}
	}
	cached := func(s *analysis.PointSummary) (int, int) { return s.CachedTokens, s.PromptTokens }
	if ca, cb := a.mean(cached), b.mean(cached); math.Abs(ca-cb) > cacheBar {
		out = append(out, Unequal{"cached share", fmt.Sprintf("%.3g %%", 100*ca), fmt.Sprintf("%.3g %%", 100*cb), load})
	}
	return out
}

// askedUnequal compares what two specifications ask.
func askedUnequal(a, b *experiment.Spec) []Unequal {
	var out []Unequal
	for _, w := range asked {
		if ta, tb := w.of(a), w.of(b); ta != tb {
			out = append(out, Unequal{What: w.key, A: ta, B: tb})
		}
	}
	// Lengths that are told by a file, a text or the classes are not asked for by themselves.
	if slices.ContainsFunc(out, func(u Unequal) bool { return slices.Contains([]string{"classes", "data", "prompt"}, u.What) }) {
		out = slices.DeleteFunc(out, func(u Unequal) bool { return strings.HasSuffix(u.What, "put_tokens") && (u.A == "" || u.B == "") })
	}
	return out
}

// mean is a sum ÷ a count over the repeats; NaN where a repeat does not tell.
func (l Level) mean(of func(*analysis.PointSummary) (sum, n int)) float64 {
	sum, n := 0, 0
	for _, p := range l.Points {
		s, k := of(p)
		if s == experiment.Unknown || k == experiment.Unknown {
			return math.NaN()
		}
		sum, n = sum+s, n+k
	}
	if n == 0 {
		return math.NaN()
	}
	return float64(sum) / float64(n)
}

// otherLengths reports whether answers of different length were asked for or came, so
// that only figures per token mean the same on both sides.
func otherLengths(list []Unequal) bool {
	return slices.ContainsFunc(list, func(u Unequal) bool {
		return slices.Contains([]string{"mean output tokens", "output_tokens", "classes", "data"}, u.What)
	})
}

// distinctUnequal keeps the first of those that differ only in the load.
func distinctUnequal(list []Unequal) []Unequal {
	var out []Unequal
	for _, u := range list {
		same := func(o Unequal) bool { return o.What == u.What && (u.Load == "" && o == u || u.Load != "") }
		if !slices.ContainsFunc(out, same) {
			out = append(out, u)
		}
	}
	return out
}
