package sim

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// chunks builds the answer of one request. Everything but the tokens is prepared,
// so that a token costs a few copies and no encoder.
type chunks struct {
	g          generation
	id         string
	created    int64
	model      string // as a JSON string
	head       []byte // of any event, up to and with the opening of choices
	open, shut string // around the text of a token
	finish     string // around the finish reason
	cached     int    // prompt tokens found in the prefix cache
}

func newChunks(g generation, id, model string, created int64) *chunks {
	quoted, err := json.Marshal(model)
	if err != nil {
		panic("sim: a string is always JSON: " + err.Error())
	}
	c := &chunks{g: g, created: created, model: string(quoted)}
	object := "text_completion"
	c.id, c.open = "cmpl-"+id, `{"index":0,"text":"`
	c.shut, c.finish = `","logprobs":null,"finish_reason":null}`, `{"index":0,"text":"","logprobs":null,"finish_reason":"`
	if g.api == chat {
		object = "chat.completion.chunk"
		c.id, c.open = "chatcmpl-"+id, `{"index":0,"delta":{"content":"`
		c.shut, c.finish = `"},"logprobs":null,"finish_reason":null}`, `{"index":0,"delta":{},"logprobs":null,"finish_reason":"`
	}
	c.head = fmt.Appendf(nil, `data: {"id":"%s","object":"%s","created":%d,"model":%s,"choices":[`, c.id, object, created, c.model)
	return c
}

// tokens appends one event for each token from the first up to the last. The
// role has an event of its own, sent together with the first token as vLLM does.
func (c *chunks) tokens(out []byte, from, to int) []byte {
	if from == 0 && to > 0 && c.g.api == chat {
		out = append(out, c.head...)
		out = append(out, `{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}`...)
		out = c.close(out, 0)
	}
	for i := from; i < to; i++ {
		out = append(out, c.head...)
		out = append(out, c.open...)
		out = append(out, c.g.content.word(i)...)
		out = append(out, c.shut...)
		out = c.close(out, i+1)
	}
	return out
}

// close ends the choices and the event, with the usage so far where it was asked for.
func (c *chunks) close(out []byte, produced int) []byte {
	out = append(out, ']')
	if c.g.continuous {
		out = append(out, `,"usage":`...)
		out = c.usage(out, produced)
	}
	return append(out, "}\n\n"...)
}

func (c *chunks) usage(out []byte, produced int) []byte {
	out = append(out, `{"prompt_tokens":`...)
	out = strconv.AppendInt(out, int64(c.g.prompt), 10)
	out = append(out, `,"total_tokens":`...)
	out = strconv.AppendInt(out, int64(c.g.prompt+produced), 10)
	out = append(out, `,"completion_tokens":`...)
	out = strconv.AppendInt(out, int64(produced), 10)
	out = append(out, `,"prompt_tokens_details":{"cached_tokens":`...)
	out = strconv.AppendInt(out, int64(c.cached), 10)
	return append(out, "}}"...)
}

// end appends the event with the finish reason, the one with the usage where it was asked
// for, and the end of the stream. The last of the two carries the truth.
func (c *chunks) end(out []byte, t Truth, a Account) []byte {
	out = append(out, c.head...)
	out = append(out, c.finish...)
	out = append(out, t.FinishReason...)
	out = append(out, `"}`...)
	if c.g.usage {
		out = c.close(out, t.OutputTokens)
		out = append(out, c.head...)
		out = append(out, `],"usage":`...)
		out = c.usage(out, t.OutputTokens)
	} else {
		out = append(out, ']')
		if c.g.continuous {
			out = append(out, `,"usage":`...)
			out = c.usage(out, t.OutputTokens)
		}
	}
	out = append(out, `,"sim":`...)
	out = append(out, a.JSON()...)
	return append(out, "}\n\ndata: [DONE]\n\n"...)
}

// whole is the answer of a request that was not streamed.
func (c *chunks) whole(t Truth, a Account) []byte {
	text := c.g.content.Answer(0, t.OutputTokens)
	object, choice := "text_completion", fmt.Sprintf(`"text":"%s"`, text)
	if c.g.api == chat {
		object, choice = "chat.completion", fmt.Sprintf(`"message":{"role":"assistant","content":"%s"}`, text)
	}
	out := fmt.Appendf(nil, `{"id":"%s","object":"%s","created":%d,"model":%s,"choices":[{"index":0,%s,"logprobs":null,"finish_reason":"%s"}],"usage":`,
		c.id, object, c.created, c.model, choice, t.FinishReason)
	out = c.usage(out, t.OutputTokens)
	out = append(out, `,"sim":`...)
	out = append(out, a.JSON()...)
	return append(out, '}')
}
