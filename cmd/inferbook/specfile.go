package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/printer"

	"github.com/inferbook/inferbook/experiment"
)

// readSpec reads a YAML file strictly: what is wrong in it is named with file,
// line, column and a caret.
func readSpec(path string, spec *experiment.Spec) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return usage("there is no file %s to read a specification from; --like exp-3 repeats an experiment", path)
	}
	if err != nil {
		return usage("reading the spec: %w", err)
	}
	err = decodeSpec(b, spec)
	if errors.Is(err, io.EOF) {
		return usage("%s holds no specification; write fields into it, such as concurrency: [1, 2, 4]", path)
	}
	if err == nil {
		return nil
	}
	var wrong *yaml.TypeError
	if errors.As(err, &wrong) {
		return usage("%s", located(path, wrong.Token.Position.Line, wrong.Token.Position.Column,
			fmt.Sprintf("%s is not %s", wrong.Token.Value, kindOf(wrong)), (&printer.Printer{}).PrintErrorToken(wrong.Token, false)))
	}
	var placed yaml.Error
	if errors.As(err, &placed) {
		return usage("%s: %s", path, plainly.Replace(yaml.FormatError(err, false, true)))
	}
	if node := culprit(b); node != nil {
		tk := node.GetToken()
		return usage("%s", located(path, tk.Position.Line, tk.Position.Column, plainly.Replace(err.Error()), (&printer.Printer{}).PrintErrorToken(tk, false)))
	}
	return usage("%s: %s", path, err)
}

// plainly puts what the YAML library says of its own insides into a person's words.
var plainly = strings.NewReplacer(
	"does not implemented Unmarshaler", "this field takes one text or number, not fields or a list",
	"non-map value is specified", "a specification is made of fields, such as concurrency: [1, 2, 4]",
	"sequence was used where mapping is expected", "this takes fields, such as concurrency: [1, 2, 4], not a list",
)

// located writes an error as the YAML library writes its own.
func located(path string, line, column int, what, excerpt string) string {
	return fmt.Sprintf("%s: [%d:%d] %s\n%s", path, line, column, what, excerpt)
}

// kindOf says in plain words what a field takes.
func kindOf(e *yaml.TypeError) string {
	switch kind := e.DstType.Kind().String(); {
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"):
		return "a whole number"
	case strings.HasPrefix(kind, "float"):
		return "a number"
	case kind == "bool":
		return "true or false"
	default:
		return "a " + kind
	}
}

// decodeSpec decodes strictly. The YAML library panics on some tagged scalars,
// such as `concurrency: !0`; to the person that is a malformed file like any other.
func decodeSpec(b []byte, spec *experiment.Spec) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the file is not plain YAML; take out tags such as !0 (%v)", r)
		}
	}()
	return yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(spec)
}

// culprit finds the value that a file cannot be decoded for, where the YAML
// library does not say: it is the one that fails alone. nil = none was found.
func culprit(b []byte) ast.Node {
	file, err := parser.ParseBytes(b, 0)
	if err != nil || len(file.Docs) == 0 {
		return nil
	}
	fields, ok := file.Docs[0].Body.(*ast.MappingNode)
	if !ok {
		return nil
	}
	for _, field := range fields.Values {
		var alone experiment.Spec
		if decodeSpec([]byte(field.String()), &alone) != nil {
			return field.Value
		}
	}
	return nil
}
