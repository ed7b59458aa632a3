package compare

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/experiment"
)

// Difference is one thing in the setup that differs.
type Difference struct {
	Key   string `json:"key"`
	A     string `json:"a"` // "" = it is not there
	B     string `json:"b"`
	Class Class  `json:"class"`
}

// Setup is what differs in the setup of two runs.
type Setup struct {
	Compared    int          `json:"compared"` // facts and fields that at least one of them has
	Differences []Difference `json:"differences"`
	// Unknown are facts that neither run knows, or that one does not know and the other does not have: they may differ too.
	Unknown []string `json:"unknown"`
}

// definitionKey is the version of the metrics' definitions.
const definitionKey = "definitions"

// NewSetup compares facts and specifications.
func NewSetup(a, b *Run) Setup {
	fa, fb := a.settings(), b.settings()
	s := Setup{Differences: []Difference{}, Unknown: []string{}}
	keys := slices.Collect(maps.Keys(fa))
	for k := range fb {
		if _, both := fa[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	s.Compared = len(keys)
	for _, k := range keys {
		a, b := fa[k], fb[k]
		switch {
		case a == b && a != unknownText:
		case (a == "" || a == unknownText) && (b == "" || b == unknownText):
			s.Unknown = append(s.Unknown, k)
		default:
			s.Differences = append(s.Differences, Difference{Key: k, A: a, B: b})
		}
	}
	classify(s.Differences)
	slices.SortStableFunc(s.Differences, func(a, b Difference) int { return slices.Index(classes, a.Class) - slices.Index(classes, b.Class) })
	return s
}

// Of gives the differences of one class.
func (s Setup) Of(c Class) []Difference {
	var out []Difference
	for _, d := range s.Differences {
		if d.Class == c {
			out = append(out, d)
		}
	}
	return out
}

// unknownText stands for a fact that was looked for and not found.
const unknownText = "unknown"

// restated are fields of a specification that a fact tells, and a fact that such fields tell.
var restated = []string{"model", "base_url", "simulator.gpu", "simulator.count", "simulator.model", "simulator.runtime", "simulator.precision", "simulator.virtual",
	experiment.KeySettings}

// settings lists the facts and the fields of a run by their keys.
func (r *Run) settings() map[string]string {
	out := map[string]string{}
	virtual := r.Experiment.Environment.Virtual()
	for _, f := range r.Experiment.Environment.Facts {
		if virtual && strings.HasPrefix(f.Key, clientPrefix) {
			continue // which has no part in it
		}
		var inner any
		if f.Key == strings.TrimSuffix(serverPrefix, ".") && json.Unmarshal([]byte(f.Value), &inner) == nil {
			flatten(out, f.Key, inner)
			continue
		}
		out[f.Key] = f.Value
		if f.Source == experiment.UnknownValue {
			out[f.Key] = unknownText
		}
	}
	fields := specFields(&r.Experiment.Spec)
	for _, w := range asked {
		delete(fields, w.key)
		for k := range fields {
			if strings.HasPrefix(k, w.key+".") {
				delete(fields, k)
			}
		}
		if text := w.of(&r.Experiment.Spec); text != "" {
			fields[w.key] = text
		}
	}
	maps.Copy(out, fields)
	for _, k := range restated {
		delete(out, k)
	}
	out[definitionKey] = r.definitions()
	return out
}

// specFields lists the fields of a specification by their names, those of a field of a field after a dot.
func specFields(s *experiment.Spec) map[string]string {
	out := map[string]string{}
	var tree map[string]any
	if text, err := json.Marshal(s); err == nil && json.Unmarshal(text, &tree) == nil {
		delete(tree, "classes") // which are compared as one, by what they ask
		flatten(out, "", tree)
	}
	return out
}

// definitions names the versions of the metrics' definitions that its figures were computed under.
func (r *Run) definitions() string {
	var list []string
	for _, p := range r.Points {
		if text := fmt.Sprint(p.Definition); !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	slices.Sort(list)
	return strings.Join(list, " and ")
}

// flatten lists the leaves of a JSON value under dotted keys. A list is one leaf.
func flatten(out map[string]string, key string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			flatten(out, strings.TrimPrefix(key+"."+name, "."), inner)
		}
	case []any:
		parts := make([]string, len(v))
		for i, inner := range v {
			leaf := map[string]string{}
			flatten(leaf, "", inner)
			for _, k := range slices.Sorted(maps.Keys(leaf)) {
				parts[i] = strings.TrimSpace(parts[i] + " " + strings.TrimPrefix(k+"="+leaf[k], "="))
			}
		}
		out[key] = strings.Join(parts, ",")
	case string:
		out[key] = v
	case nil:
		out[key] = "none"
	default:
		out[key] = fmt.Sprint(v)
	}
}
