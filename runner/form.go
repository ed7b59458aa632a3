package runner

import (
	"bytes"

	"github.com/tidwall/gjson"
)

// varying is what in an event will differ in the next: the JSON string that was
// its only text, and the object that was its only usage. Each is a zero Result
// where there was none, or more than one.
type varying struct{ text, usage gjson.Result }

// classifier turns events into chunks. Nearly all events of a stream differ
// from the one before in one JSON string only, the text, and in the counts of a
// running usage. So the classifier keeps the last event it parsed as a form. An
// event with the same bytes around another plain string and other counts is the
// same document, whatever that text contains; every other event is parsed.
type classifier struct {
	parse func([]byte) (chunk, varying, bool) // nil = parseChunk
	form  form
}

// form is an event with one text, taken apart.
type form struct {
	head      []byte  // it ends with the text's opening quote; empty: there is no form
	tail      []byte  // it begins with the closing quote
	counts    []count // in tail, in their order
	meaning   chunk   // of the event, without the text
	reasoning bool    // the text is reasoning
}

// count is a number of a running usage: tail[from:to].
type count struct {
	from, to int
	of       string // the field's name
}

// countDigits is the most digits of a number that is surely not over maxCount.
const countDigits = 12

// classify reports false for an event that is not a JSON object. The chunk's
// texts may lie in raw.
func (f *classifier) classify(raw []byte) (chunk, bool) {
	if c, ok := f.form.read(raw); ok {
		return c, true
	}
	parse := f.parse
	if parse == nil {
		parse = parseChunk
	}
	c, v, ok := parse(raw)
	f.form.learn(raw, c, v)
	return c, ok
}

// read gives what an event of the form means, and reports false for every other.
func (f *form) read(raw []byte) (c chunk, ok bool) {
	if len(f.head) == 0 || !bytes.HasPrefix(raw, f.head) {
		return c, false
	}
	c = f.meaning
	rest, to := raw[len(f.head):], len(f.tail)
	for i := len(f.counts) - 1; i >= 0; i-- {
		n := &f.counts[i]
		value, before, ok := lastNumber(bytes.CutSuffix(rest, f.tail[n.to:to]))
		if !ok {
			return c, false
		}
		switch n.of {
		case "prompt_tokens":
			c.usage.prompt = value
		case "completion_tokens":
			c.usage.output = value
		}
		rest, to = before, n.from
	}
	text, ok := bytes.CutSuffix(rest, f.tail[:to])
	if f.reasoning {
		c.reasoning = text
	} else {
		c.content = text
	}
	return c, ok && len(text) > 0 && plain(text)
}

// lastNumber takes a JSON number of digits alone off the end of b.
func lastNumber(b []byte, found bool) (value int, before []byte, ok bool) {
	from, unit := len(b), 1
	for from > 0 && len(b)-from < countDigits && b[from-1] >= '0' && b[from-1] <= '9' {
		from--
		value += int(b[from]-'0') * unit
		unit *= 10
	}
	digits := len(b) - from
	return value, b[:from], found && digits > 0 && (digits == 1 || b[from] != '0')
}

// learn keeps an event as the form of those to come, if it has exactly one text.
func (f *form) learn(raw []byte, c chunk, v varying) {
	f.head, f.tail, f.counts = f.head[:0], f.tail[:0], f.counts[:0]
	if v.text.Type != gjson.String || !stands(raw, v.text) {
		return
	}
	end := v.text.Index + len(v.text.Raw) - 1
	f.head, f.tail = append(f.head, raw[:v.text.Index+1]...), append(f.tail, raw[end:]...)
	f.reasoning = len(c.reasoning) > 0
	c.reasoning, c.content = nil, nil
	f.meaning = c
	if v.usage.Index > end && stands(raw, v.usage) {
		f.count(v.usage, v.usage.Index-end)
	}
}

// stands reports whether v lies in raw where its Index says.
func stands(raw []byte, v gjson.Result) bool {
	end := v.Index + len(v.Raw)
	return v.Index > 0 && end < len(raw) && string(raw[v.Index:end]) == v.Raw
}

// count finds the counts of a usage that stands at an offset of tail.
func (f *form) count(usage gjson.Result, at int) {
	usage.ForEach(func(k, v gjson.Result) bool {
		from := v.Index - usage.Index + at
		to := from + len(v.Raw)
		name := k.Str
		known := k.Raw == `"prompt_tokens"` || k.Raw == `"completion_tokens"` || k.Raw == `"total_tokens"`
		for _, n := range f.counts {
			known = known && n.of != name // of two fields of a name the first counts
		}
		if known && to < len(f.tail) && string(f.tail[from:to]) == v.Raw {
			if _, before, ok := lastNumber(f.tail[from:to], true); ok && len(before) == 0 {
				f.counts = append(f.counts, count{from, to, name})
			}
		}
		return true
	})
}

// plain reports whether b can stand between quotes as it is, and mean itself.
func plain(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
