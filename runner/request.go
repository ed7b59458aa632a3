package runner

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	openai "github.com/sashabaranov/go-openai"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/inferbook/inferbook/experiment"
)

// placeholderModel goes through go-openai, which refuses some pairs of model
// and endpoint by name; the real name is merged in behind it.
const placeholderModel = "model"

// chatRequest and completionRequest hold what go-openai can say. The rest is
// merged into the body on its way out.
func chatRequest(r *Request, usage *openai.StreamOptions) openai.ChatCompletionRequest {
	return openai.ChatCompletionRequest{
		Model:         placeholderModel,
		Messages:      []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: r.Prompt}},
		StreamOptions: usage,
	}
}

func completionRequest(r *Request, usage *openai.StreamOptions) openai.CompletionRequest {
	return openai.CompletionRequest{Model: placeholderModel, Prompt: r.Prompt, StreamOptions: usage}
}

// member is one member of the request's JSON object.
type member struct {
	key, path string // path is the key as sjson wants it
	value     []byte
}

// extraMembers encodes the specification's extra fields, sorted by key.
func extraMembers(extra map[string]any) ([]member, error) {
	var out []member
	for _, key := range slices.Sorted(maps.Keys(extra)) {
		switch key {
		case "stream":
			return nil, fmt.Errorf("extra has the field stream; use --stream, so that the client knows what to expect")
		case "model", "messages", "prompt":
			return nil, fmt.Errorf("extra has the field %s, which the workload writes; use --model or --prompt", key)
		case "n", "best_of":
			if fmt.Sprint(extra[key]) != "1" {
				return nil, fmt.Errorf("extra has %s = %v; one answer a request is measured, so leave it out", key, extra[key])
			}
		case "":
			return nil, fmt.Errorf("extra has a field with no name")
		}
		value, err := json.Marshal(extra[key])
		if err != nil {
			return nil, fmt.Errorf("encoding the extra field %q: %w", key, err)
		}
		out = append(out, member{key, gjson.Escape(key), value})
	}
	return out, nil
}

// merge adds to go-openai's body what it cannot send: the model's own name, a
// temperature of 0, the output limit under the name the server knows, and the
// extra fields.
func (c *Client) merge(body []byte, x *exchange) ([]byte, error) {
	limit := "max_tokens"
	if x.dialect.completionTokens {
		limit = "max_completion_tokens"
	}
	members := slices.Clone(c.fixed)
	if n := x.request.MaxTokens; n > 0 {
		members = append(members, member{limit, limit, fmt.Append(nil, n)})
	}
	for _, m := range c.extra {
		if !slices.Contains(x.dialect.dropped, m.key) {
			members = append(members, m)
		}
	}
	var err error
	for _, m := range members {
		if body, err = sjson.SetRawBytes(body, m.path, m.value); err != nil {
			return nil, fmt.Errorf("setting %q in the request: %w", m.key, err)
		}
	}
	return body, nil
}

// fixedMembers are the same in every request.
func fixedMembers(spec *experiment.Spec) ([]member, error) {
	model, err := json.Marshal(spec.Model)
	if err != nil {
		return nil, fmt.Errorf("encoding the model's name: %w", err)
	}
	temperature, err := json.Marshal(spec.Temperature)
	if err != nil {
		return nil, fmt.Errorf("encoding the temperature %v: %w", spec.Temperature, err)
	}
	return []member{{"model", "model", model}, {"temperature", "temperature", temperature}}, nil
}

// dialect is how one server differs from the API as it is described.
type dialect struct {
	noStreamOptions  bool     // it refuses stream_options
	completionTokens bool     // the output limit is max_completion_tokens
	dropped          []string // extra fields it refuses, in the order they were refused
}

// tongue learns the dialect of one server from its refusals. Workers share it:
// each refusal is compared with the dialect that its own request was sent in,
// so a worker that was refused for what another has learned meanwhile just
// sends again.
type tongue struct {
	mu      sync.Mutex
	current dialect
	auto    bool // the name of the output limit may change
	stream  bool // stream_options is sent
	extra   []member
}

func (t *tongue) now() dialect {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current
}

var (
	// unknownField matches how servers say that they do not know a field, not
	// that its value is wrong: dropping a field for that would hide a mistake.
	unknownField = regexp.MustCompile(`(?i)unknown|unrecogni[sz]ed|unsupported|not supported|does not support|` +
		`not permitted|not allowed|unexpected|extra (inputs|fields)`)
	useCompletionTokens = regexp.MustCompile(`(?i)(use|instead|unsupported|not supported)[^.]{0,60}max_completion_tokens|` +
		`max_completion_tokens\W{0,3}\s*instead`)
)

// learn takes a 400 or 422 to a request sent in the dialect used. It reports
// whether there is another way to say the same thing, and gives it.
func (t *tongue) learn(used dialect, refusal string) (dialect, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.stream && !used.noStreamOptions && (strings.Contains(refusal, "stream_options") || strings.Contains(refusal, "include_usage")):
		t.current.noStreamOptions = true
	case t.auto && !used.completionTokens && useCompletionTokens.MatchString(refusal):
		t.current.completionTokens = true
	default:
		key, found := t.refused(used, refusal)
		if !found {
			return used, false
		}
		if !slices.Contains(t.current.dropped, key) {
			// A new slice, since dialects that were handed out share the old one.
			t.current.dropped = append(slices.Clone(t.current.dropped), key)
		}
	}
	return t.current, true
}

// refused finds the extra field that a refusal does not know.
func (t *tongue) refused(used dialect, refusal string) (string, bool) {
	if !unknownField.MatchString(refusal) {
		return "", false
	}
	for _, m := range t.extra {
		if !slices.Contains(used.dropped, m.key) && containsWord(refusal, m.key) {
			return m.key, true
		}
	}
	return "", false
}

// containsWord reports whether word stands in s by itself: top_k is not in top_k_max.
func containsWord(s, word string) bool {
	part := func(i int) bool {
		return i >= 0 && i < len(s) && (s[i] == '_' || s[i] == '-' || s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z' || s[i] >= '0' && s[i] <= '9')
	}
	for from := 0; ; {
		i := strings.Index(s[from:], word)
		if i < 0 {
			return false
		}
		i += from
		if !part(i-1) && !part(i+len(word)) {
			return true
		}
		from = i + 1
	}
}

// sentences says what was learned.
func (t *tongue) sentences() []string {
	d := t.now()
	var out []string
	if d.noStreamOptions {
		out = append(out, "stream_options refused, token counts come from events")
	}
	if d.completionTokens && t.auto {
		out = append(out, "max_completion_tokens used")
	}
	for _, key := range d.dropped {
		out = append(out, fmt.Sprintf("extra field %s refused, requests go without it", key))
	}
	return out
}
