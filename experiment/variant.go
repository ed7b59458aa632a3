package experiment

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Variant is the specification with one combination of the matrix's values.
type Variant struct {
	// Name says which: "input_tokens=200 output_tokens=50"; empty = no matrix.
	Name string
	Spec Spec
}

// maxVariants bounds what a matrix may expand to.
const maxVariants = 10_000

// matrixFields may vary within one experiment. Others belong to the environment,
// which an experiment has one of, or are lists of points already.
var matrixFields = []string{"input_tokens", "output_tokens", "jitter", "prefix", "turns", "think_time", "arrival",
	"max_concurrency", "temperature", "model", "models", "extra", "stream", "requests", "duration"}

// Variants expands the matrix, in the order of the fields' names, the last one
// fastest. A specification without a matrix is its only variant.
func (s *Spec) Variants() ([]Variant, error) {
	out := []Variant{{Spec: *s}}
	out[0].Spec.Matrix = nil
	for _, field := range slices.Sorted(maps.Keys(s.Matrix)) {
		values := s.Matrix[field]
		if !slices.Contains(matrixFields, field) {
			return nil, fmt.Errorf("matrix has the field %s, which cannot vary in one experiment; it may have %s", field, strings.Join(matrixFields, ", "))
		}
		if len(values) == 0 || len(out)*len(values) > maxVariants {
			return nil, fmt.Errorf("matrix.%s has %d values; write at least one, and no more than %d combinations in all", field, len(values), maxVariants)
		}
		var next []Variant
		for _, v := range out {
			for _, value := range values {
				one, err := v.with(field, value)
				if err != nil {
					return nil, err
				}
				next = append(next, one)
			}
		}
		out = next
	}
	for i := range out {
		if err := out[i].Spec.Validate(); err != nil && len(s.Matrix) > 0 {
			return nil, fmt.Errorf("the combination %s of the matrix cannot be run: %w", out[i].Name, err)
		}
	}
	return out, nil
}

// with sets one field of the variant.
func (v Variant) with(field string, value any) (Variant, error) {
	text, err := json.Marshal(map[string]any{field: value})
	if err != nil {
		return v, fmt.Errorf("matrix.%s has the value %v, which cannot be written as JSON: %w", field, value, err)
	}
	// What the decoder would write through is the specification's own, and that of the other variants.
	switch field {
	case "prefix":
		v.Spec.Prefix = nil
	case "models":
		v.Spec.Models = nil
	case "extra":
		v.Spec.Extra = nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v.Spec); err != nil {
		return v, fmt.Errorf("matrix.%s has the value %v: %w", field, value, err)
	}
	short := string(bytes.TrimSuffix(bytes.TrimPrefix(text, fmt.Appendf(nil, "{%q:", field)), []byte("}")))
	v.Name = strings.TrimSpace(v.Name + " " + field + "=" + strings.Trim(short, `"`))
	return v, nil
}
