package analysis

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// encoding/json refuses NaN, and NaN is how this package says "not known". So
// the structs with floats in them are written field by field, with null for
// what is not finite, and read into a value that was first filled with NaN:
// encoding/json leaves a field alone where it meets null. An integer with the
// tag missing:"-1" is null where it is −1. Nil slices are written as [].

// marshalFinite writes the struct v under the names in its json tags.
func marshalFinite(v any) ([]byte, error) {
	rv := reflect.ValueOf(v)
	var buf bytes.Buffer
	buf.WriteByte('{')
	for i := range rv.NumField() {
		field, f := rv.Type().Field(i), rv.Field(i)
		if buf.Len() > 1 {
			buf.WriteByte(',')
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		buf.WriteString(strconv.Quote(name))
		buf.WriteByte(':')
		switch {
		case f.Kind() == reflect.Float64 && !finite(f.Float()), isMissing(field, f):
			buf.WriteString("null")
		case f.Kind() == reflect.Slice && f.IsNil():
			buf.WriteString("[]")
		default:
			b, err := json.Marshal(f.Interface())
			if err != nil {
				return nil, fmt.Errorf("writing %s: %w", name, err)
			}
			buf.Write(b)
		}
	}
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

// unmarshalFinite reads into the struct that v points to. The type of *v must
// have no UnmarshalJSON of its own.
func unmarshalFinite(data []byte, v any) error {
	rv := reflect.ValueOf(v).Elem()
	rv.SetZero()
	for i := range rv.NumField() {
		field, f := rv.Type().Field(i), rv.Field(i)
		if f.Kind() == reflect.Float64 {
			f.SetFloat(math.NaN())
		} else if m, ok := missingValue(field); ok {
			f.SetInt(m)
		}
	}
	return json.Unmarshal(data, v)
}

func isMissing(field reflect.StructField, f reflect.Value) bool {
	m, ok := missingValue(field)
	return ok && f.Int() == m
}

// missingValue is the integer that stands for "nobody said" in a field.
func missingValue(field reflect.StructField) (int64, bool) {
	tag, ok := field.Tag.Lookup("missing")
	if !ok {
		return 0, false
	}
	m, err := strconv.ParseInt(tag, 10, 64)
	return m, err == nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func finiteOrNil(x float64) *float64 {
	if !finite(x) {
		return nil
	}
	return &x
}

func orElse(p *float64, x float64) float64 {
	if p == nil {
		return x
	}
	return *p
}
