package runner

import (
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

// parseChunk reads one event, or one whole answer, by its JSON alone, and gives
// what in it will differ in the next.
func parseChunk(raw []byte) (chunk, varying, bool) {
	c := chunk{usage: noUsage, tokens: experiment.Unknown, cached: experiment.Unknown}
	if !gjson.ValidBytes(raw) {
		return c, varying{}, false
	}
	root := gjson.ParseBytes(raw)
	if !root.IsObject() {
		return c, varying{}, false
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
	if p.usages != 1 {
		p.running = gjson.Result{}
	}
	return c, varying{p.text, p.running}, true
}

// parsing fills a chunk from the fields of a JSON document.
type parsing struct {
	*chunk
	texts     int          // fields with output
	text      gjson.Result // the last of them
	usages    int          // fields with counts
	running   gjson.Result // the one at the root
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
		p.running = v
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
	p.usages++
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
func parseEmbedding(raw []byte) (chunk, varying, bool) {
	c, _, ok := parseChunk(raw)
	if e := gjson.GetBytes(raw, "data.0.embedding"); ok && (e.Str != "" || e.IsArray() && e.Get("#").Int() > 0) {
		c.finish = embedding
	}
	return c, varying{}, ok
}

// embedding stands for a finish reason in a sample: a vector came.
const embedding = "embedding"
