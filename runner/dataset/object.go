package dataset

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// object is a JSON object with its place in the file.
type object struct {
	*gathering
	line   int
	fields map[string]gjson.Result
	// where is "" or what the object is a part of, such as "turn 2: ".
	where string
}

// malformed is the error for the object.
func (o *object) malformed(expected, format string, args ...any) error {
	return o.gathering.malformed(o.line, expected, "%s%s", o.where, fmt.Sprintf(format, args...))
}

// eachObject reads a file of one JSON object a line.
func (g *gathering) eachObject(in *bufio.Reader, take func(*object) error) error {
	l := &lines{gathering: g, in: in}
	o := &object{gathering: g, fields: map[string]gjson.Result{}}
	for {
		line, err := l.next()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		o.line = l.number
		value, err := g.parse(o.line, line)
		if err == nil {
			err = o.open(value)
		}
		if err == nil {
			err = take(o)
		}
		if err != nil {
			return err
		}
	}
}

// parse checks the JSON of a value that begins at the given line. The standard
// library's check has a limit of depth, which gjson's reading relies on.
func (g *gathering) parse(line int, raw []byte) (gjson.Result, error) {
	if !json.Valid(raw) {
		var ignored json.RawMessage
		err := json.Unmarshal(raw, &ignored)
		if syntax, ok := err.(*json.SyntaxError); ok {
			line += lineBreaks(raw[:min(len(raw), int(max(0, syntax.Offset-1)))])
		}
		return gjson.Result{}, g.malformed(line, "a JSON object", "%q is not JSON (%v)", excerpt(raw), err)
	}
	if !utf8.Valid(raw) {
		return gjson.Result{}, g.malformed(line, "text in UTF-8", "%q has bytes that are not UTF-8", excerpt(strings.ToValidUTF8(string(raw), "\ufffd")))
	}
	return gjson.ParseBytes(raw), nil
}

func lineBreaks[T string | []byte](text T) int {
	n := 0
	for i := range len(text) {
		if text[i] == '\n' {
			n++
		}
	}
	return n
}

// open takes the fields of a value; of a name that comes twice, the last, and a null
// is as good as none.
func (o *object) open(value gjson.Result) error {
	clear(o.fields)
	if !value.IsObject() {
		return o.malformed("a JSON object", "%s", excerpt(value.Raw))
	}
	value.ForEach(func(key, field gjson.Result) bool {
		if field.Type == gjson.Null {
			delete(o.fields, key.Str)
		} else {
			o.fields[key.Str] = field
		}
		return true
	})
	return nil
}

// ignoreBut counts the object if it has fields other than these.
func (o *object) ignoreBut(known func(string) bool) {
	var names []string
	for name := range o.fields {
		if !known(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	o.ignore(names)
}

// tokens gives a number of tokens, from least; Unknown where the field is missing.
func (o *object) tokens(name string, least int) (int, error) {
	field, ok := o.fields[name]
	if !ok {
		return Unknown, nil
	}
	if n, ok := wholeNumber(field.Raw); ok && n >= least {
		return n, nil
	}
	return 0, o.malformed(wholeForm, "%s is %s", name, excerpt(field.Raw))
}

// required gives a number of tokens that has to be there, from 0.
func (o *object) required(name string) (int, error) {
	n, err := o.tokens(name, 0)
	if err == nil && n == Unknown {
		err = o.malformed(wholeForm, "no %s", name)
	}
	return n, err
}

// time gives a time in units of the given length, or, where dates are allowed, the
// time since 1970 of a date.
func (o *object) time(name string, unit time.Duration, dates bool) (at time.Duration, isDate bool, err error) {
	field := o.fields[name]
	form := "a number of seconds from 0"
	switch {
	case dates:
		form += ", or a time such as 2026-01-31T18:15:46.5Z"
	case unit == time.Millisecond:
		form = "a number of milliseconds from 0"
	}
	if field.Type == gjson.Number {
		if at, ok := seconds(field.Raw, unit); ok {
			return at, false, nil
		}
	}
	if dates && field.Type == gjson.String {
		if at, ok := calendar(field.Str); ok {
			return at, true, nil
		}
	}
	if !field.Exists() {
		return 0, false, o.malformed(form, "no %s", name)
	}
	return 0, false, o.malformed(form, "%s is %s", name, excerpt(field.Raw))
}

// readMooncake reads Mooncake's traces: timestamp is in milliseconds, and hash_ids
// name the prompt's blocks of [BlockTokens] tokens, the last one partly filled.
func readMooncake(g *gathering, in *bufio.Reader) error {
	known := func(name string) bool {
		return name == "timestamp" || name == "input_length" || name == "output_length" || name == "hash_ids"
	}
	misfits := 0
	err := g.eachObject(in, func(o *object) error {
		if _, ok := o.fields["chat_id"]; ok {
			return o.malformed("milliseconds and blocks of 512 tokens; rewrite the file so, without chat_id",
				"chat_id is of a Bailian trace, whose timestamps are seconds and whose blocks are of 16 tokens")
		}
		o.ignoreBut(known)
		at, _, err := o.time("timestamp", time.Millisecond, false)
		if err != nil {
			return err
		}
		input, err := o.required("input_length")
		if err != nil {
			return err
		}
		output, err := o.required("output_length")
		if err != nil {
			return err
		}
		blocks, err := o.blocks()
		if err != nil {
			return err
		}
		item := g.addTraced(o.line, at, input, output)
		if item == nil {
			return nil
		}
		item.Blocks = blocks
		if blocks != nil && len(blocks) != (input+BlockTokens-1)/BlockTokens {
			misfits++
		}
		return nil
	})
	if misfits > 0 {
		g.warn("%s with another number of hash_ids than the input_length needs at %d tokens a block", count(misfits, "row"), BlockTokens)
	}
	return err
}

func (o *object) blocks() ([]uint64, error) {
	field, ok := o.fields["hash_ids"]
	if !ok {
		return nil, nil
	}
	wrong := field.Raw
	var blocks []uint64
	if field.IsArray() {
		wrong = ""
		blocks = make([]uint64, 0, strings.Count(field.Raw, ",")+1)
		field.ForEach(func(_, id gjson.Result) bool {
			n, err := strconv.ParseUint(id.Raw, 10, 64)
			if err != nil {
				wrong = id.Raw
			}
			blocks = append(blocks, n)
			return err == nil
		})
	}
	if wrong != "" {
		return nil, o.malformed("a list of whole numbers from 0", "hash_ids has %s", excerpt(wrong))
	}
	return blocks, nil
}

// endpoints are those that a batch may ask.
var endpoints = []string{"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"}

// readBatch reads the input files of OpenAI's batch interface. The body is kept as
// it stands; of its fields only the model and the limit of the answer are read.
func readBatch(g *gathering, in *bufio.Reader) error {
	first := 0
	return g.eachObject(in, func(o *object) error {
		url := o.fields["url"]
		known := false
		for _, endpoint := range endpoints {
			known = known || url.Type == gjson.String && url.Str == endpoint
		}
		switch {
		case !url.Exists():
			return o.malformed("one of "+strings.Join(endpoints, ", "), "no url")
		case !known:
			return o.malformed("one of "+strings.Join(endpoints, ", "), "url is %s", excerpt(url.Raw))
		case first == 0:
			g.set.Endpoint, first = url.Str, o.line
		case url.Str != g.set.Endpoint:
			return o.malformed(fmt.Sprintf("the url of line %d, %s, in every line", first, g.set.Endpoint), "url is %s", excerpt(url.Raw))
		}
		if method, ok := o.fields["method"]; ok && (method.Type != gjson.String || !strings.EqualFold(method.Str, "POST")) {
			return o.malformed("POST", "method is %s", excerpt(method.Raw))
		}
		body, ok := o.fields["body"]
		if !ok {
			return o.malformed("the request's object", "no body")
		}
		inner := &object{gathering: g, line: o.line, where: "body: ", fields: map[string]gjson.Result{}}
		if err := inner.open(body); err != nil {
			return err
		}
		if model := inner.fields["model"]; model.Type == gjson.String {
			g.addModel(model.Str)
		}
		turn := Turn{Prompt: Unknown, Output: Unknown}
		for _, name := range []string{"max_tokens", "max_completion_tokens", "max_output_tokens"} {
			n, err := inner.tokens(name, 1)
			if err != nil {
				return err
			}
			turn.Output = max(turn.Output, n)
		}
		g.add(o.line, Unknown, turn).Body = json.RawMessage(body.Raw)
		return nil
	})
}
