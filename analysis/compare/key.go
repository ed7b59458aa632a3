package compare

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/inferbook/inferbook/experiment"
)

// keys are the short names that levels can be told apart and chosen by, beside every fact and
// every field of a specification.
var keys = []struct {
	name string
	fact string // the fact that it stands for; "" = none
	of   func(Level) string
}{
	{"experiment", "", func(l Level) string { return l.Run.Experiment.Alias() }},
	{"name", "", func(l Level) string { return l.Run.Experiment.Name }},
	{"tag", "", func(l Level) string { return strings.Join(l.Run.Experiment.Tags, " ") }},
	{"model", experiment.KeyModel, nil},
	{"runtime", experiment.KeyRuntime, nil},
	{"version", experiment.KeyRuntimeVersion, nil},
	{"gpu", experiment.KeyGPUModel, nil},
	{"gpus", experiment.KeyGPUCount, nil},
	{"precision", experiment.KeyPrecision, nil},
	{"settings", experiment.KeySettings, nil},
	{"load", "", func(l Level) string { return l.Load.String() }},
	{"variant", "", func(l Level) string { return l.Load.Variant }},
	{"concurrency", "", func(l Level) string {
		if l.Load.Concurrency == 0 {
			return ""
		}
		return strconv.Itoa(l.Load.Concurrency)
	}},
	{"rate", "", func(l Level) string {
		if l.Load.Rate == 0 {
			return ""
		}
		return strconv.FormatFloat(l.Load.Rate, 'g', 4, 64)
	}},
}

// Key gives what a level has under a key: a short name such as gpu, a fact such as gpu.driver, or a field of the
// specification such as output_tokens or simulator.options.max-seqs. "" = nothing, or not known.
func (l Level) Key(name string) string {
	for _, k := range keys {
		if k.name == name && k.of != nil {
			return k.of(l)
		}
	}
	if f := l.Run.Experiment.Environment.Get(longKey(name)); f.Source != experiment.UnknownValue {
		return f.Value
	}
	return specFields(l.spec())[name]
}

// longKey is the fact that a short name stands for, or the name itself.
func longKey(name string) string {
	for _, k := range keys {
		if k.name == name && k.fact != "" {
			return k.fact
		}
	}
	return name
}

// ParseKeys reads keys with commas between them. A key that none of the levels has is an error.
func ParseKeys(text string, levels []Level) ([]string, error) {
	var out []string
	for _, name := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		if err := checkKey(name, levels); err != nil {
			return nil, err
		}
		if slices.Contains(out, name) {
			return nil, fmt.Errorf("the key %s is named twice", name)
		}
		out = append(out, name)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no key is named; write some such as runtime,gpu")
	}
	return out, nil
}

func checkKey(name string, levels []Level) error {
	var short []string
	for _, k := range keys {
		if short = append(short, k.name); k.name == name {
			return nil
		}
	}
	if slices.ContainsFunc(levels, func(l Level) bool { return l.Key(name) != "" }) {
		return nil
	}
	return fmt.Errorf("none of these experiments has the key %q; there are %s, and every fact and field of a specification, such as gpu.driver or output_tokens",
		name, strings.Join(short, ", "))
}

// Filter chooses levels.
type Filter []term

// term is one part of a filter: some pattern has to match, or none of them.
type term struct {
	key      string
	not      bool
	patterns []func(string) bool
}

// ParseFilter reads a filter: terms "key:pattern" with spaces between them, all of which have to hold. A pattern is
// a text in which * stands for any characters, in any case of letters, or a bound such as >=8; nothing is for what has no such key, and several stand
// with commas between them. A minus sign before a term turns it round.
func ParseFilter(text string, levels []Level) (Filter, error) {
	var f Filter
	for _, part := range strings.Fields(text) {
		word, not := strings.CutPrefix(part, "-")
		key, value, ok := strings.Cut(word, ":")
		if !ok || key == "" {
			return nil, fmt.Errorf("%q is not a term of a filter; write key:pattern, such as gpu:h100* or concurrency:>=8", part)
		}
		if err := checkKey(key, levels); err != nil {
			return nil, err
		}
		t := term{key: key, not: not}
		for _, pattern := range strings.Split(value, ",") {
			match, err := parsePattern(pattern)
			if err != nil {
				return nil, err
			}
			t.patterns = append(t.patterns, match)
		}
		f = append(f, t)
	}
	return f, nil
}

var boundForm = regexp.MustCompile(`^(<=|>=|<|>)(.*)$`)

func parsePattern(text string) (func(string) bool, error) {
	m := boundForm.FindStringSubmatch(text)
	if m == nil {
		re := regexp.MustCompile(`(?is)^` + strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, `.*`) + `$`)
		return re.MatchString, nil
	}
	bound, err := strconv.ParseFloat(m[2], 64)
	if err != nil {
		return nil, fmt.Errorf("%q is not a bound; write a number after %s", text, m[1])
	}
	return func(s string) bool {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return false
		}
		switch m[1] {
		case "<":
			return v < bound
		case "<=":
			return v <= bound
		case ">":
			return v > bound
		}
		return v >= bound
	}, nil
}

// Choose gives the levels that the filter lets through.
func (f Filter) Choose(levels []Level) []Level {
	return slices.DeleteFunc(slices.Clone(levels), func(l Level) bool { return !f.holds(l) })
}

func (f Filter) holds(l Level) bool {
	for _, t := range f {
		values := []string{l.Key(t.key)}
		if t.key == "tag" && len(l.Run.Experiment.Tags) > 0 {
			values = l.Run.Experiment.Tags
		}
		match := slices.ContainsFunc(values, func(v string) bool {
			return slices.ContainsFunc(t.patterns, func(p func(string) bool) bool { return p(v) })
		})
		if match == t.not {
			return false
		}
	}
	return true
}

// labels gives the distinct values of keys over levels: in the order of the numbers where the first
// key that differs has numbers, else in the order in which they come.
func labels(names []string, levels []Level) [][]string {
	var out [][]string
	for _, l := range levels {
		label := make([]string, len(names))
		for i, n := range names {
			label[i] = l.Key(n)
		}
		if !slices.ContainsFunc(out, func(o []string) bool { return slices.Equal(o, label) }) {
			out = append(out, label)
		}
	}
	place := make([]map[string]int, len(names)) // in which the values of each key come
	for i := range names {
		place[i] = map[string]int{}
		for _, label := range out {
			if _, seen := place[i][label[i]]; !seen {
				place[i][label[i]] = len(place[i])
			}
		}
		rank(place[i])
	}
	slices.SortStableFunc(out, func(a, b []string) int {
		for i := range a {
			if d := place[i][a[i]] - place[i][b[i]]; d != 0 {
				return d
			}
		}
		return 0
	})
	return out
}

// rank puts values that are all numbers, or loads of one kind, in the order of the numbers.
func rank(place map[string]int) {
	number := func(s string) (float64, bool) {
		_, after, found := strings.Cut(s, "=")
		if !found {
			after = s
		}
		v, err := strconv.ParseFloat(after, 64)
		return v, err == nil
	}
	values := slices.Collect(maps.Keys(place))
	for _, v := range values {
		if _, ok := number(v); !ok {
			return
		}
	}
	slices.SortFunc(values, func(a, b string) int {
		x, _ := number(a)
		y, _ := number(b)
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return strings.Compare(a, b)
	})
	for i, v := range values {
		place[v] = i
	}
}
