package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// choice is one answer of a request on its way out.
type choice struct {
	index  int
	prompt *prompt
	stream *stream
	sent   int    // tokens that have gone out
	shown  int    // bytes of text that have gone out, where the prompt bounds them
	final  *Truth // set once the answer is complete
}

// take gives the text of the next tokens up to one, and counts them as sent.
func (c *choice) take(to int) string {
	text := c.prompt.content.Answer(c.sent, to)
	c.sent = to
	if end := c.prompt.shown; end >= 0 {
		text = text[:max(0, min(len(text), end-c.shown))]
		c.shown += len(text)
	}
	return text
}

// script writes the events of one interface.
type script interface {
	// open appends what can be said before there is a token.
	open(out []byte) []byte
	// tokens appends the events of a choice up to a token; last says that none follows.
	tokens(out []byte, c *choice, to int, last bool) []byte
	// finish appends the end of a choice, whose truth is final.
	finish(out []byte, c *choice) []byte
	// close appends what follows the last choice.
	close(out []byte) []byte
	// whole is the answer of a request that is not streamed.
	whole() []byte
}

// chunks writes the answer of one chat or completion. Everything but the tokens
// is prepared, so that a token costs a few copies and no encoder.
type chunks struct {
	g       *generation
	trouble *trouble
	choices []*choice
	truth   func(Truth) []byte

	id      string
	created int64
	model   string // as a JSON string
	head    []byte // of any event, up to and with the opening of choices
	tail    []byte // between a choice and the event's end, where no usage follows
	left    int    // choices that are not finished
}

func newChunks(g *generation, t *trouble, choices []*choice, id, model string, created int64, truth func(Truth) []byte) *chunks {
	c := &chunks{g: g, trouble: t, choices: choices, truth: truth, created: created, model: string(mustJSON(model)), left: len(choices)}
	object := "text_completion"
	c.id = "cmpl-" + id
	if g.api == chat {
		object, c.id = "chat.completion.chunk", "chatcmpl-"+id
	}
	c.head = fmt.Appendf(nil, `data: {"id":"%s","object":"%s","created":%d,"model":%s,"choices":[`, c.id, object, created, c.model)
	c.tail = []byte("]}\n\n")
	if g.usage && !g.continuous {
		c.tail = []byte("],\"usage\":null}\n\n")
	}
	return c
}

func (c *chunks) open(out []byte) []byte {
	if !c.trouble.roleFirst {
		return out
	}
	return c.role(out)
}

// role appends the event with the role, which vLLM sends together with the first token.
func (c *chunks) role(out []byte) []byte {
	if c.g.api != chat {
		return out
	}
	out = append(out, c.head...)
	out = append(out, `{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}`...)
	return c.end(out, c.choices[0], 0)
}

func (c *chunks) tokens(out []byte, ch *choice, to int, last bool) []byte {
	for step := c.trouble.group; ch.sent < to; {
		next := ch.sent + step
		if r := c.trouble.reasoning; ch.sent < r && next > r {
			next = r // one event holds text of one kind
		}
		if next > to {
			if !last {
				break
			}
			next = to
		}
		if ch.sent == 0 && !c.trouble.roleFirst {
			out = c.role(out)
		}
		thinks := c.g.api == chat && ch.sent < c.trouble.reasoning
		text := ch.take(next)
		if text == "" {
			continue // it is part of a stop text
		}
		out = append(out, c.head...)
		out = append(out, `{"index":`...)
		out = strconv.AppendInt(out, int64(ch.index), 10)
		switch {
		case thinks:
			out = append(out, `,"delta":{"reasoning_content":"`...)
		case c.g.api == chat:
			out = append(out, `,"delta":{"content":"`...)
		default:
			out = append(out, `,"text":"`...)
		}
		out = appendText(out, text)
		if c.g.api == chat {
			out = append(out, `"},"logprobs":null,"finish_reason":null}`...)
		} else {
			out = append(out, `","logprobs":null,"finish_reason":null}`...)
		}
		out = c.end(out, ch, ch.sent)
	}
	return out
}

// appendText appends a text as it stands between the quotes of JSON.
func appendText(out []byte, text string) []byte {
	for i := range len(text) {
		if b := text[i]; b < ' ' || b == '"' || b == '\\' || b >= utf8.RuneSelf {
			quoted := mustJSON(text)
			return append(out, quoted[1:len(quoted)-1]...)
		}
	}
	return append(out, text...)
}

// end ends the choices and the event, with the usage so far where it was asked for.
func (c *chunks) end(out []byte, ch *choice, produced int) []byte {
	switch {
	case c.trouble.zeroUsage:
		return append(out, `],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}`+"\n\n"...)
	case c.g.continuous && !c.trouble.noUsage:
		out = append(out, `],"usage":`...)
		out = c.usage(out, ch.prompt.tokens, c.trouble.count(produced))
		return append(out, "}}\n\n"...)
	}
	return append(out, c.tail...)
}

// usage appends the three counts, without the object's end.
func (c *chunks) usage(out []byte, prompt, produced int) []byte {
	out = append(out, `{"prompt_tokens":`...)
	out = strconv.AppendInt(out, int64(prompt), 10)
	out = append(out, `,"total_tokens":`...)
	out = strconv.AppendInt(out, int64(prompt+produced), 10)
	out = append(out, `,"completion_tokens":`...)
	return strconv.AppendInt(out, int64(produced), 10)
}

// total appends the usage of all choices.
func (c *chunks) total(out []byte) []byte {
	prompt, cached, produced, reasoning := 0, 0, 0, 0
	for _, ch := range c.choices {
		prompt += ch.prompt.tokens
		cached += ch.final.CachedTokens
		produced += ch.final.OutputTokens
		if c.g.api == chat {
			reasoning += min(c.trouble.reasoning, ch.final.OutputTokens)
		}
	}
	out = c.usage(out, prompt, c.trouble.count(produced))
	if reasoning > 0 {
		out = fmt.Appendf(out, `,"completion_tokens_details":{"reasoning_tokens":%d}`, reasoning)
	}
	out = append(out, `,"prompt_tokens_details":{"cached_tokens":`...)
	out = strconv.AppendInt(out, int64(cached), 10)
	return append(out, "}}"...)
}

func (c *chunks) finish(out []byte, ch *choice) []byte {
	c.left--
	times := 1
	if c.trouble.doubleFinish {
		times = 2
	}
	for n := range times {
		out = append(out, c.head...)
		out = append(out, `{"index":`...)
		out = strconv.AppendInt(out, int64(ch.index), 10)
		if c.g.api == chat {
			out = append(out, `,"delta":{},"logprobs":null,"finish_reason":"`...)
		} else {
			out = append(out, `,"text":"","logprobs":null,"finish_reason":"`...)
		}
		out = append(out, ch.final.FinishReason...)
		out = append(out, `"}`...)
		// The truth goes out with the stream's last event.
		if c.left == 0 && n == times-1 && !c.sendsUsage() {
			out = append(out, ']')
			if c.g.continuous && !c.trouble.noUsage {
				out = append(out, `,"usage":`...)
				out = c.usage(out, ch.prompt.tokens, c.trouble.count(ch.final.OutputTokens))
				out = append(out, '}')
			}
			out = append(out, c.truth(latest(c.choices))...)
			return append(out, "}\n\n"...)
		}
		out = c.end(out, ch, ch.final.OutputTokens)
	}
	return out
}

// sendsUsage reports whether an event with the usage ends the stream.
func (c *chunks) sendsUsage() bool { return c.g.usage && !c.trouble.noUsage }

// latest is the truth of the choice that ended last: the account of a request of several.
func latest(choices []*choice) Truth {
	last := choices[0].final
	for _, ch := range choices {
		if ch.final.Finish > last.Finish {
			last = ch.final
		}
	}
	return *last
}

func (c *chunks) close(out []byte) []byte {
	if c.sendsUsage() {
		out = append(out, c.head...)
		out = append(out, `],"usage":`...)
		out = c.total(out)
		out = append(out, c.truth(latest(c.choices))...)
		out = append(out, "}\n\n"...)
	}
	if c.trouble.noDone {
		return out
	}
	return append(out, "data: [DONE]\n\n"...)
}

func (c *chunks) whole() []byte {
	object := "text_completion"
	if c.g.api == chat {
		object = "chat.completion"
	}
	out := fmt.Appendf(nil, `{"id":"%s","object":"%s","created":%d,"model":%s,"choices":[`, c.id, object, c.created, c.model)
	for i, ch := range c.choices {
		if i > 0 {
			out = append(out, ',')
		}
		out = c.answer(out, ch)
	}
	out = append(out, ']')
	if !c.trouble.noUsage {
		out = append(out, `,"usage":`...)
		out = c.total(out)
	}
	out = append(out, c.truth(latest(c.choices))...)
	return append(out, '}')
}

func (c *chunks) answer(out []byte, ch *choice) []byte {
	out = fmt.Appendf(out, `{"index":%d,`, ch.index)
	if c.g.api == chat {
		out = append(out, `"message":{"role":"assistant",`...)
		if n := min(c.trouble.reasoning, ch.final.OutputTokens); n > 0 {
			out = append(out, `"reasoning_content":"`...)
			out = appendText(out, ch.take(n))
			out = append(out, `",`...)
		}
		out = append(out, `"content":"`...)
		out = appendText(out, ch.take(ch.final.OutputTokens))
		out = append(out, `"}`...)
	} else {
		out = append(out, `"text":"`...)
		out = appendText(out, ch.take(ch.final.OutputTokens))
		out = append(out, '"')
	}
	return fmt.Appendf(out, `,"logprobs":null,"finish_reason":"%s"}`, ch.final.FinishReason)
}

// mustJSON encodes what always can be: texts, numbers and objects of these.
func mustJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("sim: a value of texts and numbers is always JSON: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
