package runner

import (
	"bytes"

	"github.com/tidwall/gjson"

	"github.com/inferbook/inferbook/experiment"
)

// chunk is what one event of a stream says, or one whole answer that was not
// streamed. Names differ between servers; a chunk has the meaning.
type chunk struct {
	reasoning []byte // new text of each kind; empty = none
	content   []byte // a tool call's name and arguments are content, and so is a refusal

	finish      string
	usage       usage
	tokens      int  // tokens in this event by its token_ids; Unknown = not told
	cached      int  // cached prompt tokens by fields beside usage; Unknown = not told
	progress    bool // prompt_progress: the server works on the prompt
	model       string
	fingerprint string
	server      string // the server's own timing, raw JSON
	fault       string // what went wrong, where the event says that something did
	last        bool   // no event of this answer follows
}

// usage is the server's count of tokens, each Unknown where it does not say.
type usage struct{ prompt, output, cached, reasoning int }

var noUsage = usage{experiment.Unknown, experiment.Unknown, experiment.Unknown, experiment.Unknown}

// told reports whether the counts are counts. Ollama puts zeros on each chunk
// until the last, and no prompt has no tokens.
func (u usage) told() bool { return u.prompt > 0 || u.output > 0 }

// hasText reports whether the event brought output.
func (c *chunk) hasText() bool { return len(c.reasoning) > 0 || len(c.content) > 0 }

// classifier turns events into chunks. Nearly all events of a stream differ
// from the one before in one JSON string only: the text. So the classifier
// keeps the last event it parsed as a form: the bytes before the text, the
// bytes after it, and what they mean. An event with the same bytes around
// another plain string is the same document with another text, whatever that
// text contains; every other event is parsed.
type classifier struct {
	parse     func([]byte) (chunk, gjson.Result, bool) // nil = parseChunk
	form      []byte                                   // the last parsed event that had one text
	before    int                                      // form[:before] ends with the text's opening quote
	after     int                                      // form[after:] begins with its closing quote; after = 0: there is no form
	meaning   chunk                                    // of the form, without the text
	reasoning bool                                     // the text is reasoning
}

// classify reports false for an event that is not a JSON object. The chunk's
// texts may lie in raw.
func (f *classifier) classify(raw []byte) (chunk, bool) {
	if f.after > 0 {
		end := len(raw) - (len(f.form) - f.after)
		if end > f.before && bytes.HasPrefix(raw, f.form[:f.before]) && bytes.HasSuffix(raw, f.form[f.after:]) &&
			plain(raw[f.before:end]) {
			c := f.meaning
			if f.reasoning {
				c.reasoning = raw[f.before:end]
			} else {
				c.content = raw[f.before:end]
			}
			return c, true
		}
	}
	parse := f.parse
	if parse == nil {
		parse = parseChunk
	}
	c, text, ok := parse(raw)
	f.learn(raw, c, text)
	return c, ok
}

// learn keeps an event as the form of those to come, if it has exactly one text.
func (f *classifier) learn(raw []byte, c chunk, text gjson.Result) {
	f.after = 0
	end := text.Index + len(text.Raw)
	if text.Type != gjson.String || text.Index == 0 || end >= len(raw) || string(raw[text.Index:end]) != text.Raw {
		return
	}
	f.form = append(f.form[:0], raw...)
	f.before, f.after = text.Index+1, end-1
	f.reasoning = len(c.reasoning) > 0
	c.reasoning, c.content = nil, nil
	f.meaning = c
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

// parseChunk reads one event, or one whole answer, by its JSON alone. It also
// gives the one JSON string that was the event's only text; a zero Result
// where there was none or more than one.
func parseChunk(raw []byte) (chunk, gjson.Result, bool) {
	c := chunk{usage: noUsage, tokens: experiment.Unknown, cached: experiment.Unknown}
	if !gjson.ValidBytes(raw) {
		return c, gjson.Result{}, false
	}
	root := gjson.ParseBytes(raw)
	if !root.IsObject() {
		return c, gjson.Result{}, false
	}
	p := parsing{chunk: &c}
	root.ForEach(func(k, v gjson.Result) bool {
		p.root(k.Str, v)
		return true
	})
	if len(p.durations) > 0 {
		c.server = string(append(p.durations, '}'))
	}
	if p.texts != 1 {
		p.text = gjson.Result{}
	}
	return c, p.text, true
}

// parsing fills a chunk from the fields of a JSON document.
type parsing struct {
	*chunk
	texts     int          // fields with output
	text      gjson.Result // the last of them
	durations []byte       // Ollama's timings, as an object without its end
}

func (p *parsing) root(key string, v gjson.Result) {
	switch key {
	case "choices":
		v.ForEach(func(_, choice gjson.Result) bool {
			choice.ForEach(func(k, v gjson.Result) bool {
				p.choice(k.Str, v)
				return true
			})
			return false // one answer a request: n > 1 is refused by NewClient
		})
	case "usage":
		p.count(v)
	case "x_groq":
		p.count(v.Get("usage"))
	case "model":
		p.model = v.Str
	case "system_fingerprint":
		p.fingerprint = v.Str
	case "timings": // llama.cpp
		p.keep(v)
		if n := v.Get("cache_n"); n.Exists() {
			p.cached = int(n.Int())
		}
	case "meta_info": // SGLang
		if n := v.Get("cached_tokens"); n.Exists() {
			p.cached = int(n.Int())
		}
	case "sim": // inferbook's own simulated engine
		p.keep(v)
	case "prompt_progress":
		p.progress = v.IsObject()
	case "total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration":
		sep := byte(',')
		if p.durations == nil {
			sep = '{'
		}
		p.durations = append(append(append(append(p.durations, sep, '"'), key...), `":`...), v.Raw...)
	}
}

// keep keeps an object of the server's own timing as it is.
func (p *parsing) keep(v gjson.Result) {
	if v.IsObject() {
		p.server = v.Raw
	}
}

func (p *parsing) choice(key string, v gjson.Result) {
	switch key {
	case "delta", "message":
		var reasoning, reasoningContent gjson.Result
		v.ForEach(func(k, v gjson.Result) bool {
			switch k.Str {
			case "content", "refusal":
				p.addContent(v)
			case "reasoning_content":
				reasoningContent = v
			case "reasoning":
				reasoning = v
			case "tool_calls":
				if v.IsObject() { // TGI sends one call, not a list
					p.addCall(v.Get("function"))
					break
				}
				v.ForEach(func(_, call gjson.Result) bool {
					p.addCall(call.Get("function"))
					return true
				})
			case "function_call":
				p.addCall(v)
			}
			return true
		})
		// A gateway may send the same reasoning under both names.
		if reasoningContent.Str == "" {
			reasoningContent = reasoning
		}
		if reasoningContent.Str != "" {
			p.reasoning = append(p.reasoning, reasoningContent.Str...)
			p.texts, p.text = p.texts+1, reasoningContent
			if reasoning.Str != "" && reasoning.Index != reasoningContent.Index {
				p.texts++
			}
		}
	case "text":
		p.addContent(v)
	case "finish_reason":
		p.finish = v.Str
	case "usage":
		p.count(v)
	case "token_ids":
		if v.IsArray() {
			p.tokens = int(v.Get("#").Int())
		}
	}
}

// addContent adds a string; null and everything else that is no string is no text.
func (p *parsing) addContent(v gjson.Result) {
	if v.Type == gjson.String && v.Str != "" {
		p.content = append(p.content, v.Str...)
		p.texts, p.text = p.texts+1, v
	}
}

// addCall adds what a function is called with. Its Index is of no use as a
// form, since gjson gives none for a value reached by a path.
func (p *parsing) addCall(function gjson.Result) {
	arguments := function.Get("arguments")
	text := arguments.Str
	if arguments.IsObject() { // TGI parses them
		text = arguments.Raw
	}
	for _, s := range []string{function.Get("name").Str, text} {
		if s != "" {
			p.content = append(p.content, s...)
			p.texts += 2
		}
	}
}

// count reads a usage object; null is none.
func (p *parsing) count(v gjson.Result) {
	if !v.IsObject() {
		return
	}
	field := func(paths ...string) int {
		for _, path := range paths {
			if n := v.Get(path); n.Type == gjson.Number && n.Num >= 0 && n.Num <= maxCount {
				return int(n.Num)
			}
		}
		return experiment.Unknown
	}
	p.usage = usage{ // the second names are those of /responses, the third DeepSeek's and SGLang's
		prompt: field("prompt_tokens", "input_tokens"), output: field("completion_tokens", "output_tokens"),
		cached:    field("prompt_tokens_details.cached_tokens", "input_tokens_details.cached_tokens", "prompt_cache_hit_tokens"),
		reasoning: field("completion_tokens_details.reasoning_tokens", "output_tokens_details.reasoning_tokens", "reasoning_tokens"),
	}
}

// maxCount is more than any number of tokens: what is beyond it is no count.
const maxCount = 1 << 40

// parseEmbedding reads the answer of /embeddings. Its finish is "embedding".
func parseEmbedding(raw []byte) (chunk, gjson.Result, bool) {
	c, _, ok := parseChunk(raw)
	if e := gjson.GetBytes(raw, "data.0.embedding"); ok && (e.Str != "" || e.IsArray() && e.Get("#").Int() > 0) {
		c.finish = embedding
	}
	return c, gjson.Result{}, ok
}

// embedding stands for a finish reason in a sample: a vector came.
const embedding = "embedding"
