package sim

import "fmt"

// replies writes the answer of the responses interface, whose events have names
// and numbers.
type replies struct {
	trouble *trouble
	choice  *choice // there is one
	truth   func(Truth) []byte

	id      string
	created int64
	model   string // as a JSON string
	number  int    // of the next event
}

func newReplies(t *trouble, c *choice, id, model string, created int64, truth func(Truth) []byte) *replies {
	return &replies{trouble: t, choice: c, truth: truth, id: id, created: created, model: string(mustJSON(model))}
}

// event appends one event; members follow its type and number.
func (r *replies) event(out []byte, name, members string) []byte {
	out = fmt.Appendf(out, "event: %s\ndata: {\"type\":%q,\"sequence_number\":%d,%s}\n\n", name, name, r.number, members)
	r.number++
	return out
}

// response is the response object in a state; output and usage are JSON.
func (r *replies) response(status, details, output, usage string) string {
	return fmt.Sprintf(`{"id":"resp_%s","object":"response","created_at":%d,"status":"%s","error":null,"incomplete_details":%s,"model":%s,"output":%s,`+
		`"parallel_tool_calls":true,"tool_choice":"auto","tools":[],"usage":%s}`, r.id, r.created, status, details, r.model, output, usage)
}

func (r *replies) item(status, content string) string {
	return fmt.Sprintf(`{"id":"msg_%s","type":"message","role":"assistant","status":"%s","content":[%s]}`, r.id, status, content)
}

func part(text string) string {
	return `{"type":"output_text","text":"` + string(appendText(nil, text)) + `","annotations":[]}`
}

func (r *replies) open(out []byte) []byte {
	begun := r.response("in_progress", "null", "[]", "null")
	out = r.event(out, "response.created", `"response":`+begun)
	return r.event(out, "response.in_progress", `"response":`+begun)
}

func (r *replies) tokens(out []byte, c *choice, to int, last bool) []byte {
	if r.number == 0 {
		out = r.open(out)
	}
	if c.sent == 0 && to > 0 {
		out = r.event(out, "response.output_item.added", `"output_index":0,"item":`+r.item("in_progress", ""))
		out = r.event(out, "response.content_part.added", `"item_id":"msg_`+r.id+`","output_index":0,"content_index":0,"part":`+part(""))
	}
	for c.sent < to {
		next := c.sent + r.trouble.group
		if next > to {
			if !last {
				break
			}
			next = to
		}
		if text := c.take(next); text != "" {
			out = r.event(out, "response.output_text.delta",
				`"item_id":"msg_`+r.id+`","output_index":0,"content_index":0,"delta":"`+string(appendText(nil, text))+`","logprobs":[]`)
		}
	}
	return out
}

func (r *replies) finish(out []byte, c *choice) []byte {
	text := r.text()
	where := `"item_id":"msg_` + r.id + `","output_index":0,"content_index":0,`
	out = r.event(out, "response.output_text.done", where+`"text":"`+string(appendText(nil, text))+`","logprobs":[]`)
	out = r.event(out, "response.content_part.done", where+`"part":`+part(text))
	return r.event(out, "response.output_item.done", `"output_index":0,"item":`+r.item("completed", part(text)))
}

// text is the whole answer.
func (r *replies) text() string {
	c := &choice{prompt: r.choice.prompt}
	return c.take(r.choice.final.OutputTokens)
}

// done is the response object at its end.
func (r *replies) done() (name, object string) {
	t := r.choice.final
	status, details := "completed", "null"
	if t.FinishReason == FinishLength {
		status, details = "incomplete", `{"reason":"max_output_tokens"}`
	}
	usage := "null"
	if !r.trouble.noUsage {
		n, prompt := r.trouble.count(t.OutputTokens), r.choice.prompt.tokens
		usage = fmt.Sprintf(`{"input_tokens":%d,"input_tokens_details":{"cached_tokens":%d},"output_tokens":%d,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":%d}`,
			prompt, t.CachedTokens, n, prompt+n)
	}
	return "response." + status, r.response(status, details, "["+r.item("completed", part(r.text()))+"]", usage)
}

func (r *replies) close(out []byte) []byte {
	name, object := r.done()
	return r.event(out, name, `"response":`+object+string(r.truth(*r.choice.final)))
}

func (r *replies) whole() []byte {
	_, object := r.done()
	out := append([]byte(object[:len(object)-1]), r.truth(*r.choice.final)...)
	return append(out, '}')
}
