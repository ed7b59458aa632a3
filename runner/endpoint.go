package runner

import (
	"context"
	"strings"

	openai "github.com/sashabaranov/go-openai"

	"github.com/inferbook/inferbook/experiment"
)

// placeholderModel goes through go-openai, which refuses some pairs of model
// and endpoint by name; the real name is merged in behind it.
const placeholderModel = "model"

// text is all that the request says, as one text.
func (r *Request) text() string {
	if r.Body != nil {
		return string(r.Body)
	}
	if len(r.History) == 0 {
		return r.Prompt
	}
	parts := make([]string, 0, len(r.History)+1)
	for _, m := range r.History {
		parts = append(parts, m.Content)
	}
	return strings.Join(append(parts, r.Prompt), "\n")
}

// chatRequest and its like hold what go-openai can say. The rest is merged into
// the body on its way out.
func chatRequest(r *Request, usage *openai.StreamOptions) openai.ChatCompletionRequest {
	messages := make([]openai.ChatCompletionMessage, 0, len(r.History)+1)
	for _, m := range r.History {
		messages = append(messages, openai.ChatCompletionMessage{Role: m.Role, Content: m.Content})
	}
	return openai.ChatCompletionRequest{
		Model:         placeholderModel,
		Messages:      append(messages, openai.ChatCompletionMessage{Role: openai.ChatMessageRoleUser, Content: r.Prompt}),
		StreamOptions: usage,
	}
}

func completionRequest(r *Request, usage *openai.StreamOptions) openai.CompletionRequest {
	return openai.CompletionRequest{Model: placeholderModel, Prompt: r.text(), StreamOptions: usage}
}

func responseRequest(r *Request) openai.CreateResponseRequest {
	request := openai.CreateResponseRequest{Model: placeholderModel, Input: r.Prompt}
	if len(r.History) > 0 {
		type message struct {
			Role    string `json:"role"`
			Content string `json:"content"`
		}
		var input []message
		for _, m := range r.History {
			input = append(input, message{m.Role, m.Content})
		}
		request.Input = append(input, message{openai.ChatMessageRoleUser, r.Prompt})
	}
	return request
}

// eventSource is go-openai's stream, of whatever endpoint.
type eventSource interface {
	RecvRaw() ([]byte, error)
	Close() error
}

// open makes one call of go-openai's that streams.
func (c *Client) open(ctx context.Context, api *openai.Client, x *exchange) (eventSource, error) {
	usage := &openai.StreamOptions{IncludeUsage: true}
	if x.dialect.noStreamOptions {
		usage = nil
	}
	switch c.spec.Endpoint {
	case experiment.Completions:
		return api.CreateCompletionStream(ctx, completionRequest(&x.request, usage))
	case experiment.Responses:
		return api.CreateResponseStream(ctx, responseRequest(&x.request))
	default:
		return api.CreateChatCompletionStream(ctx, chatRequest(&x.request, usage))
	}
}

// fetch makes one call of go-openai's that does not stream. The answer is judged by
// its bytes, which the exchange holds: go-openai's structs lack fields that servers
// send, and fail on harmless ones.
func (c *Client) fetch(ctx context.Context, api *openai.Client, x *exchange) error {
	var err error
	switch c.spec.Endpoint {
	case experiment.Completions:
		_, err = api.CreateCompletion(ctx, completionRequest(&x.request, nil))
	case experiment.Responses:
		_, err = api.CreateResponse(ctx, responseRequest(&x.request))
	case experiment.Embeddings:
		_, err = api.CreateEmbeddings(ctx, openai.EmbeddingRequest{Model: placeholderModel, Input: x.request.text()})
	default:
		_, err = api.CreateChatCompletion(ctx, chatRequest(&x.request, nil))
	}
	return err
}
