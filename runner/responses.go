package runner

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/inferbook/inferbook/experiment"
)

// parseResponse reads one event of a /responses stream, or one whole answer of
// that endpoint. Each event is numbered, so none has the form of the one before,
// and what varies is not given.
func parseResponse(raw []byte) (chunk, varying, bool) {
	c := chunk{usage: noUsage, tokens: experiment.Unknown, cached: experiment.Unknown}
	if !gjson.ValidBytes(raw) {
		return c, varying{}, false
	}
	root := gjson.ParseBytes(raw)
	if !root.IsObject() {
		return c, varying{}, false
	}
	kind := root.Get("type").Str
	if kind == "" && root.Get("output").IsArray() {
		c.response(root)
		root.Get("output").ForEach(func(_, item gjson.Result) bool {
			c.item(item)
			return true
		})
		return c, varying{}, true
	}
	if response := root.Get("response"); response.IsObject() {
		c.response(response)
	}
	delta := root.Get("delta")
	switch {
	case kind == "error":
		c.fault = serverMessage(raw)
	case strings.HasPrefix(kind, "response.reasoning") && strings.HasSuffix(kind, ".delta"):
		c.reasoning = append(c.reasoning, delta.Str...)
	case kind == "response.output_text.delta", kind == "response.refusal.delta",
		strings.HasSuffix(kind, "_arguments.delta"), strings.HasSuffix(kind, "_tool_call_input.delta"):
		c.content = append(c.content, delta.Str...)
	case kind == "response.output_item.added":
		// The name of the function to call comes here, and its arguments as deltas.
		if item := root.Get("item"); strings.HasSuffix(item.Get("type").Str, "_call") {
			c.content = append(c.content, item.Get("name").Str...)
		}
	case kind == "response.completed", kind == "response.incomplete", kind == "response.failed", kind == "response.cancelled":
		c.last = true
	}
	return c, varying{}, true
}

// response takes what a response object says of itself, its text apart.
func (c *chunk) response(r gjson.Result) {
	c.model = r.Get("model").Str
	(&parsing{chunk: c}).count(r.Get("usage"))
	switch status := r.Get("status").Str; status {
	case "completed":
		c.finish = "stop"
	case "incomplete":
		c.finish = "length"
		if reason := r.Get("incomplete_details.reason").Str; reason != "" && reason != "max_output_tokens" && reason != "max_tokens" {
			c.finish = reason
		}
	case "cancelled":
		c.finish = "abort"
	case "failed":
		c.fault = "the response failed"
		if said := serverMessage([]byte(r.Raw)); said != r.Raw {
			c.fault = said
		}
	}
}

// item takes the text of one output item of an answer that was not streamed.
func (c *chunk) item(item gjson.Result) {
	texts := func(path string, to []byte) []byte {
		for _, t := range item.Get(path).Array() {
			to = append(to, t.Str...)
		}
		return to
	}
	switch kind := item.Get("type").Str; {
	case kind == "reasoning":
		c.reasoning = texts("summary.#.text", texts("content.#.text", c.reasoning))
	case kind == "message":
		c.content = texts("content.#.text", c.content)
		c.content = texts("content.#.refusal", c.content)
	case strings.HasSuffix(kind, "_call"):
		c.content = append(append(c.content, item.Get("name").Str...), item.Get("arguments").Str...)
	}
}
