package instinct

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

// Verdict says whether figures can be believed.
type Verdict string

const (
	Sound      Verdict = "sound"
	Limited    Verdict = "sound with limits"
	DoNotQuote Verdict = "do not quote"
)

// Judge gives the verdict of the validity findings on one level, those about the whole
// experiment included: the worst of all. Where no rule could be evaluated, nothing has been
// shown, and the verdict is [Limited]. With a nil load it is about the experiment: [DoNotQuote] where
// that is so of every level, and [Limited] where any of them is not sound.
func Judge(findings []Finding, load *experiment.Load) Verdict {
	if load != nil {
		return judge(findings, func(f *Finding) bool { return len(f.Loads) == 0 || slices.Contains(f.Loads, *load) })
	}
	v := judge(findings, func(f *Finding) bool { return true })
	if v != DoNotQuote {
		return v
	}
	for _, l := range judged(findings) {
		if Judge(findings, &l) != DoNotQuote {
			return Limited
		}
	}
	return DoNotQuote
}

// judge is the worst of the validity findings that are about a place.
func judge(findings []Finding, about func(*Finding) bool) Verdict {
	v, evaluated := Sound, false
	for i := range findings {
		f := &findings[i]
		if f.Section != Validity || f.State != Fired && f.State != Silent || !about(f) {
			continue
		}
		evaluated = true
		switch {
		case f.State == Silent:
		case f.Severity == Error:
			return DoNotQuote
		case f.Severity == Warning:
			v = Limited
		}
	}
	if !evaluated {
		return Limited
	}
	return v
}

// judged lists the levels that validity findings are about, in the order in which they come.
func judged(findings []Finding) []experiment.Load {
	var out []experiment.Load
	for _, f := range findings {
		for _, l := range f.Loads {
			if f.Section == Validity && !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
	}
	return out
}

// OfVariant keeps the findings on the levels of one variant, and those on the whole experiment.
func OfVariant(findings []Finding, variant string) []Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f Finding) bool {
		return len(f.Loads) > 0 && !slices.ContainsFunc(f.Loads, func(l experiment.Load) bool { return l.Variant == variant })
	})
}

// LevelVerdict is the verdict on one level.
type LevelVerdict struct {
	Load    experiment.Load `json:"load"`
	Verdict Verdict         `json:"verdict"`
	// Rules are the ones that it is due to, by ID; empty = it is sound.
	Rules []string `json:"rules"`
}

// Verdicts judges each level that validity findings are about, in the order of the curves.
func Verdicts(findings []Finding) []LevelVerdict {
	out := []LevelVerdict{}
	for _, load := range judged(findings) {
		v := LevelVerdict{Load: load, Verdict: Judge(findings, &load), Rules: []string{}}
		guilty := map[Verdict]Severity{DoNotQuote: Error, Limited: Warning}[v.Verdict]
		for _, f := range findings {
			if f.Section == Validity && f.State == Fired && f.Severity == guilty && !slices.Contains(v.Rules, f.Rule) &&
				(len(f.Loads) == 0 || slices.Contains(f.Loads, load)) {
				v.Rules = append(v.Rules, f.Rule)
			}
		}
		out = append(out, v)
	}
	return out
}

// Told is what one rule found, said once for all the levels of which it says the same.
type Told struct {
	Finding // at the first of the levels
	// Also are the other levels, where it says the same, maybe with other figures.
	Also   []experiment.Load
	Differ bool // some of them have other figures
}

// figures are the numbers of a sentence; the 95 of "p95" is a name.
var figures = regexp.MustCompile(`\b[0-9][0-9.,]*`)

func shape(sentence string) string { return figures.ReplaceAllString(sentence, "#") }

// Tell gives what fired, gravest first and each thing once.
func Tell(findings []Finding) []Told {
	var out []Told
	for _, f := range findings {
		if f.State != Fired {
			continue
		}
		i := slices.IndexFunc(out, func(t Told) bool {
			return t.Rule == f.Rule && t.Severity == f.Severity && shape(t.Sentence) == shape(f.Sentence)
		})
		if i < 0 {
			out = append(out, Told{Finding: f})
			continue
		}
		t := &out[i]
		t.Differ = t.Differ || t.Sentence != f.Sentence
		for _, l := range f.Loads {
			if !slices.Contains(t.Loads, l) && !slices.Contains(t.Also, l) {
				t.Also = append(t.Also, l)
			}
		}
	}
	grave := []Severity{Error, Warning, Note}
	slices.SortStableFunc(out, func(a, b Told) int {
		return cmp.Compare(slices.Index(grave, a.Severity), slices.Index(grave, b.Severity))
	})
	return out
}

// Unevaluated says in one sentence which rules could not be evaluated and what was
// missing; "" where none was.
func Unevaluated(findings []Finding) string {
	type group struct{ rules, reason, at string }
	places := map[string]int{} // findings of a rule that could have been something
	for _, f := range findings {
		if f.State != NotApplicable {
			places[f.Rule]++
		}
	}
	var groups []group
	count := 0
	for _, list := range perRule(findings, NotEvaluable) {
		count++
		at := ""
		if len(list) < places[list[0].Rule] {
			at = " at " + loadNames(list)
		}
		g := group{list[0].Rule, phrase(list[0].Sentence), at}
		i := slices.IndexFunc(groups, func(o group) bool { return shape(o.reason) == shape(g.reason) && o.at == g.at })
		if i < 0 {
			groups = append(groups, g)
			continue
		}
		groups[i].rules += ", " + g.rules
	}
	if count == 0 {
		return ""
	}
	parts := make([]string, len(groups))
	for i, g := range groups {
		parts[i] = fmt.Sprintf("%s%s (%s)", g.rules, g.at, g.reason)
	}
	return fmt.Sprintf("%s could not be evaluated: %s.", sentence.Plural(count, "check"), strings.Join(parts, ", "))
}

// perRule gathers the findings of a state by rule, in their order.
func perRule(findings []Finding, state State) [][]Finding {
	var out [][]Finding
	for _, f := range findings {
		if f.State != state {
			continue
		}
		if n := len(out); n > 0 && out[n-1][0].Rule == f.Rule {
			out[n-1] = append(out[n-1], f)
		} else {
			out = append(out, []Finding{f})
		}
	}
	return out
}

func loadNames(list []Finding) string {
	var names []string
	for _, f := range list {
		for _, l := range f.Loads {
			names = append(names, l.String())
		}
	}
	return join(names)
}

// phrase takes the capital and the full stop off a sentence.
func phrase(sentence string) string {
	s := strings.TrimSuffix(sentence, ".")
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' || strings.HasPrefix(s, "A ") { // else it is a name such as TTFT
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}

// Altered says in a sentence each what the person changed about the rules: the muted ones
// and the thresholds that are not the rules' own.
func Altered(findings []Finding) []string {
	var out []string
	seen := map[string]bool{}
	for _, f := range findings {
		if seen[f.Rule] {
			continue
		}
		seen[f.Rule] = true
		if f.State == Muted {
			why := strings.TrimPrefix(f.Sentence, "Muted.")
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s (%s) is muted and was not asked.%s", f.Rule, f.Title, why)))
			continue
		}
		for _, t := range f.Thresholds {
			if t.Changed() {
				out = append(out, fmt.Sprintf("%s (%s) counts from %s %s on, by your own setting; by itself it would from %s.", f.Rule, f.Title, t.Name, sentence.Short(t.Value), sentence.Short(t.Default)))
			}
		}
	}
	return out
}
