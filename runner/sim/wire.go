package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
)

// api is one of the two generating interfaces.
type api int

const (
	chat api = iota
	completion
)

// generation is a request body, understood.
type generation struct {
	api     api
	content *Content
	prompt  int // tokens
	limit   int // tokens it may produce
	output  int // tokens it will produce

	stream     bool
	usage      bool   // an event with the usage at the end
	continuous bool   // the usage so far on each event
	digest     uint64 // of the body
}

// naturalLength is the answer, in tokens, to a chat request that sets no
// limit: it stops by itself there. completionLength is the limit of a
// completion that sets none, as in OpenAI's API.
const (
	naturalLength    = 256
	completionLength = 16
)

// wireRequest is the part of a request body that the engine heeds. What it does
// not know (stop, seed, temperature and so on) is accepted and changes nothing.
type wireRequest struct {
	Model               string          `json:"model"`
	Messages            []wireMessage   `json:"messages"`
	Prompt              json.RawMessage `json:"prompt"`
	MaxTokens           *int            `json:"max_tokens"`
	MaxCompletionTokens *int            `json:"max_completion_tokens"`
	MinTokens           int             `json:"min_tokens"`
	N                   *int            `json:"n"`
	IgnoreEOS           bool            `json:"ignore_eos"`
	Stream              bool            `json:"stream"`
	StreamOptions       struct {
		IncludeUsage         bool `json:"include_usage"`
		ContinuousUsageStats bool `json:"continuous_usage_stats"`
	} `json:"stream_options"`
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
}

func (r *refusal) Error() string { return r.message }

func badRequest(param, format string, a ...any) *refusal {
	return &refusal{http.StatusBadRequest, "BadRequestError", param, fmt.Sprintf(format, a...)}
}

// parse understands a request body. The error is a *refusal.
func (s *Server) parse(kind api, body []byte) (generation, error) {
	var q wireRequest
	if err := json.Unmarshal(body, &q); err != nil {
		return generation{}, badRequest("", "the body is not the JSON of a request: %v", err)
	}
	if q.Model != "" && q.Model != s.d.ServedName {
		return generation{}, &refusal{http.StatusNotFound, "NotFoundError", "model",
			fmt.Sprintf("the model %q does not exist; this server has %q", q.Model, s.d.ServedName)}
	}
	if q.N != nil && *q.N != 1 {
		return generation{}, badRequest("n", "n is %d; the simulated engine gives one choice", *q.N)
	}
	h := fnv.New64a()
	h.Write(body)
	g := generation{api: kind, stream: q.Stream, digest: h.Sum64()}
	if q.Stream {
		g.usage, g.continuous = q.StreamOptions.IncludeUsage, q.StreamOptions.ContinuousUsageStats
	}
	var err error
	if g.content, err = q.content(kind); err != nil {
		return generation{}, err
	}
	g.prompt = g.content.Tokens()
	return g, s.setLengths(&g, &q)
}

// setLengths decides how long the answer may be and will be.
func (s *Server) setLengths(g *generation, q *wireRequest) error {
	asked, param := q.MaxTokens, "max_tokens"
	if q.MaxCompletionTokens != nil {
		asked, param = q.MaxCompletionTokens, "max_completion_tokens"
	}
	switch {
	case asked != nil && *asked < 1:
		return badRequest(param, "%s is %d; it is at least 1", param, *asked)
	case asked != nil:
		g.limit = *asked
	case g.api == completion:
		g.limit = completionLength
	default:
		g.limit = max(1, s.d.MaxModelLen-g.prompt)
	}
	if err := s.d.check(g.prompt, g.limit); err != nil {
		return badRequest(param, "%v", err)
	}
	g.output = g.limit
	if asked == nil && g.api == chat && !q.IgnoreEOS {
		g.output = min(g.limit, max(naturalLength, q.MinTokens))
	}
	return nil
}

// content is the prompt as the approximate tokeniser sees it.
func (q *wireRequest) content(kind api) (*Content, error) {
	if kind == completion {
		return completionContent(q.Prompt)
	}
	if len(q.Messages) == 0 {
		return nil, badRequest("messages", "messages is empty; send at least one")
	}
	messages := make([]Message, len(q.Messages))
	for i, m := range q.Messages {
		text, err := messageText(m.Content)
		if err != nil {
			return nil, badRequest("messages", "content of message %d: %v", i, err)
		}
		messages[i] = Message{m.Role, text}
	}
	return ChatContent(messages), nil
}

// completionContent takes a text, a list with one text, or a list of token IDs.
func completionContent(raw json.RawMessage) (*Content, error) {
	var text string
	var texts []string
	var ids []int
	switch {
	case json.Unmarshal(raw, &text) == nil:
	case json.Unmarshal(raw, &ids) == nil:
		if len(ids) == 0 {
			return nil, badRequest("prompt", "prompt is empty; send at least one token")
		}
		return TokensContent(ids), nil
	case json.Unmarshal(raw, &texts) == nil && len(texts) == 1:
		text = texts[0]
	default:
		return nil, badRequest("prompt", "prompt is neither a text nor a list of token IDs; send one of them")
	}
	if text == "" {
		return nil, badRequest("prompt", "prompt is empty; send a text")
	}
	return TextContent(text), nil
}

// messageText takes a text, a list of text parts, or null. Parts follow each other
// on lines of their own, as in vLLM.
func messageText(raw json.RawMessage) (string, error) {
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
	texts := make([]string, len(parts))
	for i, p := range parts {
		if p.Type != "text" {
			return "", fmt.Errorf("a part of type %q cannot be read; send text", p.Type)
		}
		texts[i] = p.Text
	}
	return strings.Join(texts, "\n"), nil
}
