package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
)

// api is one of the interfaces.
type api int

const (
	chat api = iota
	completion
	responses
	embeddings
)

// generation is a request body, understood.
type generation struct {
	api     api
	prompts []prompt // one; a completion may have several

	stream     bool
	usage      bool // an event with the usage at the end
	continuous bool // the usage so far on each event

	dimensions int    // of an embedding
	encoding   string // of an embedding
}

// prompt is one prompt and what will come of it.
type prompt struct {
	content *Content
	tokens  int
	limit   int // tokens the answer may have
	output  int // tokens it will have
	stopped bool
	shown   int // bytes of its text that are sent; −1 = all
}

// completionLength is the limit of a completion that sets none, as in OpenAI's API.
const completionLength = 16

// maxPrompts bounds the prompts of one completion.
const maxPrompts = 1024

// wireRequest is the part of a request body that the engine heeds or checks.
// What it does not know is accepted and changes nothing, as it is by vLLM.
type wireRequest struct {
	Model           string          `json:"model"`
	Messages        []wireMessage   `json:"messages"`
	Prompt          json.RawMessage `json:"prompt"`
	Input           json.RawMessage `json:"input"`
	Instructions    string          `json:"instructions"`
	Stream          bool            `json:"stream"`
	StreamOptions   *streamOptions  `json:"stream_options"`
	Dimensions      *int            `json:"dimensions"`
	EncodingFormat  string          `json:"encoding_format"`
	Echo            bool            `json:"echo"`
	MaxOutputTokens *int            `json:"max_output_tokens"`
	sampling
}

type streamOptions struct {
	IncludeUsage         bool `json:"include_usage"`
	ContinuousUsageStats bool `json:"continuous_usage_stats"`
}

type wireMessage struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

// refusal is an error as OpenAI's API words it.
type refusal struct {
	status  int
	kind    string
	param   string
	message string
	after   int // seconds for Retry-After; 0 = the header is left out
}

func (r *refusal) Error() string { return r.message }

func badRequest(param, format string, a ...any) *refusal {
	return &refusal{status: http.StatusBadRequest, kind: "BadRequestError", param: param, message: fmt.Sprintf(format, a...)}
}

// decode reads the JSON of a body. Its error names the field whose type is wrong.
func decode(body []byte, q *wireRequest) error {
	err := json.Unmarshal(body, q)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong) && wrong.Field != "":
		field := wrong.Field[strings.LastIndex(wrong.Field, ".")+1:]
		return badRequest(field, "%s is a JSON %s; it is to be %s", field, wrong.Value, jsonType(wrong.Type.Kind().String()))
	default:
		return badRequest("", "the body is not the JSON of a request: %v", err)
	}
}

// jsonType says what JSON has for a kind of Go value.
func jsonType(kind string) string {
	switch {
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"):
		return "a whole number"
	case strings.HasPrefix(kind, "float"):
		return "a number"
	case kind == "bool":
		return "true or false"
	case kind == "string":
		return "a text"
	case kind == "slice":
		return "a list"
	default:
		return "an object"
	}
}

// parse understands a request body. The error is a *refusal.
// A prompt of more tokens than keep is cut to that; 0 = none is.
func (s *Server) parse(kind api, body []byte, keep int) (generation, error) {
	var q wireRequest
	if err := decode(body, &q); err != nil {
		return generation{}, err
	}
	if q.Model != "" && q.Model != s.d.ServedName {
		return generation{}, &refusal{status: http.StatusNotFound, kind: "NotFoundError", param: "model",
			message: fmt.Sprintf("the model %q does not exist; this server has %q", q.Model, s.d.ServedName)}
	}
	if err := q.check(kind); err != nil {
		return generation{}, err
	}
	g := generation{api: kind, stream: q.Stream && kind != embeddings, dimensions: embeddingSize, encoding: q.EncodingFormat}
	if q.Dimensions != nil {
		g.dimensions = *q.Dimensions
	}
	if o := q.StreamOptions; o != nil {
		g.usage, g.continuous = o.IncludeUsage, o.ContinuousUsageStats
	}
	contents, err := q.contents(kind)
	if err != nil {
		return generation{}, err
	}
	for _, c := range contents {
		if keep > 0 && c.Tokens() > keep {
			c = shortened(c, keep)
		}
		p, err := s.length(kind, c, &q)
		if err != nil {
			return generation{}, err
		}
		g.prompts = append(g.prompts, p)
	}
	return g, nil
}

// shortened is a prompt as a server leaves it that cuts one silently.
func shortened(c *Content, tokens int) *Content {
	ids := make([]int, tokens)
	of := digest([]byte(c.Answer(0, 16)))
	for i := range ids {
		ids[i] = int(draw(of, uint64(i)) * (1 << 17))
	}
	return TokensContent(ids)
}

// digest is a hash of a body.
func digest(body []byte) uint64 {
	h := fnv.New64a()
	h.Write(body)
	return h.Sum64()
}

// check refuses what no prompt could make right.
func (q *wireRequest) check(kind api) error {
	switch {
	case q.N != nil && *q.N != 1:
		return badRequest("n", "n is %d; the simulated engine gives one choice", *q.N)
	case q.StreamOptions != nil && !q.Stream:
		return badRequest("stream_options", "stream_options can only be given where stream is true")
	case q.Echo:
		return badRequest("echo", "echo is true; the simulated engine does not repeat the prompt")
	case q.Dimensions != nil && (*q.Dimensions < 1 || *q.Dimensions > maxEmbeddingSize):
		return badRequest("dimensions", "dimensions is %d; it is from 1 to %d", *q.Dimensions, maxEmbeddingSize)
	case q.EncodingFormat != "" && q.EncodingFormat != "float" && q.EncodingFormat != "base64":
		return badRequest("encoding_format", "encoding_format is %q; it is float or base64", q.EncodingFormat)
	}
	if kind == embeddings {
		return nil
	}
	return q.sampling.check()
}

// length decides how long the answer to a prompt may be and will be.
func (s *Server) length(kind api, c *Content, q *wireRequest) (prompt, error) {
	p := prompt{content: c, tokens: c.Tokens(), shown: -1}
	asked, param := q.MaxTokens, "max_tokens"
	if q.MaxCompletionTokens != nil {
		asked, param = q.MaxCompletionTokens, "max_completion_tokens"
	}
	if kind == responses {
		asked, param = q.MaxOutputTokens, "max_output_tokens"
	}
	switch {
	case kind == embeddings:
		p.limit = 1
	case asked != nil && *asked < 1:
		return p, badRequest(param, "%s is %d; it is at least 1", param, *asked)
	case asked != nil:
		p.limit = *asked
	case kind == completion:
		p.limit = completionLength
	default:
		p.limit = max(1, s.d.MaxModelLen-p.tokens)
	}
	if err := s.d.check(p.tokens, p.limit); err != nil {
		return p, badRequest(param, "%v", err)
	}
	if q.MinTokens > p.limit {
		return p, badRequest("min_tokens", "min_tokens is %d; it is at most %s, which is %d", q.MinTokens, param, p.limit)
	}
	p.output = p.limit
	if kind != embeddings {
		q.end(&p)
	}
	return p, nil
}

// contents gives the prompts.
func (q *wireRequest) contents(kind api) ([]*Content, error) {
	switch kind {
	case completion:
		return texts("prompt", q.Prompt)
	case embeddings:
		return texts("input", q.Input)
	case responses:
		return q.input()
	}
	c, err := conversation("messages", q.Messages)
	return []*Content{c}, err
}

func conversation(param string, messages []wireMessage) (*Content, error) {
	if len(messages) == 0 {
		return nil, badRequest(param, "%s is empty; send at least one", param)
	}
	list := make([]Message, len(messages))
	for i, m := range messages {
		text, err := contentText(m.Content)
		if err != nil {
			return nil, badRequest(param, "content of message %d: %v", i, err)
		}
		list[i] = Message{Role: m.Role, Text: text}
	}
	return ChatContent(list), nil
}

// texts takes a text, a list of token IDs, or a list of either.
func texts(param string, raw json.RawMessage) ([]*Content, error) {
	var (
		text  string
		many  []string
		ids   []int
		lists [][]int
		out   []*Content
	)
	switch {
	case len(raw) == 0:
		return nil, badRequest(param, "%s is missing", param)
	case json.Unmarshal(raw, &text) == nil:
		many = []string{text}
	case json.Unmarshal(raw, &ids) == nil:
		lists = [][]int{ids}
	case json.Unmarshal(raw, &many) == nil:
	case json.Unmarshal(raw, &lists) == nil:
		many = nil
	default:
		return nil, badRequest(param, "%s is neither a text nor a list of token IDs, nor a list of those; send one of them", param)
	}
	if n := max(len(many), len(lists)); n > maxPrompts {
		return nil, badRequest(param, "%s holds %d prompts; send at most %d", param, n, maxPrompts)
	}
	if len(lists) > 0 {
		many = nil
	}
	for _, t := range many {
		if t == "" {
			return nil, badRequest(param, "%s is empty; send a text", param)
		}
		out = append(out, TextContent(t))
	}
	for _, l := range lists {
		if len(l) == 0 {
			return nil, badRequest(param, "%s is empty; send at least one token", param)
		}
		out = append(out, TokensContent(l))
	}
	if len(out) == 0 {
		return nil, badRequest(param, "%s is empty; send a text", param)
	}
	return out, nil
}

// input reads the input of the responses interface: a text, or a list of messages.
func (q *wireRequest) input() ([]*Content, error) {
	var messages []wireMessage
	if q.Instructions != "" {
		messages = append(messages, wireMessage{Role: "system", Content: mustJSON(q.Instructions)})
	}
	var text string
	if len(q.Input) > 0 && json.Unmarshal(q.Input, &text) == nil {
		messages = append(messages, wireMessage{Role: "user", Content: q.Input})
	} else {
		var items []wireMessage
		if json.Unmarshal(q.Input, &items) != nil || len(items) == 0 {
			return nil, badRequest("input", "input is neither a text nor a list of messages; send one of them")
		}
		messages = append(messages, items...)
	}
	c, err := conversation("input", messages)
	return []*Content{c}, err
}

// contentText takes a text, a list of text parts, or null. Parts follow each other
// on lines of their own, as in vLLM.
func contentText(raw json.RawMessage) (string, error) {
	var text string
	if len(raw) == 0 || json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if json.Unmarshal(raw, &parts) != nil {
		return "", errors.New("it is neither a text nor a list of parts")
	}
	lines := make([]string, len(parts))
	for i, p := range parts {
		switch p.Type {
		case "text", "input_text", "output_text":
			lines[i] = p.Text
		default:
			return "", fmt.Errorf("a part of type %q cannot be read; send text", p.Type)
		}
	}
	return strings.Join(lines, "\n"), nil
}
