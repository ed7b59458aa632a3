package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/inferbook/inferbook/experiment"
)

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

// errBody ends a request whose own body is no JSON object.
var errBody = errors.New("the request's own body is not a JSON object")

// limits are the names that an output limit has in one API or another.
var limits = []string{maxTokens, maxCompletionTokens, maxOutputTokens}

// merge adds to go-openai's body what it cannot send: the model's own name, a
// temperature of 0, the output limit under the name the server knows, what
// forces the answer's length, and the extra fields.
func (c *Client) merge(body []byte, x *exchange) ([]byte, error) {
	r, limit := &x.request, x.request.MaxTokens
	if r.Body != nil {
		own, err := ownBody(body, r)
		if err != nil {
			return nil, err
		}
		body = own
		for _, name := range limits {
			if n := gjson.GetBytes(body, name); limit == 0 && n.Type == gjson.Number {
				limit = int(n.Int())
			}
		}
	}
	members, err := c.members(x, limit)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		if body, err = sjson.SetRawBytes(body, m.path, m.value); err != nil {
			return nil, fmt.Errorf("setting %q in the request: %w", m.key, err)
		}
	}
	return body, nil
}

// ownBody gives the request's own body with the streaming of go-openai's. One
// answer a request is measured, so it cannot ask for several.
func ownBody(body []byte, r *Request) ([]byte, error) {
	if !gjson.ValidBytes(r.Body) || !gjson.ParseBytes(r.Body).IsObject() {
		return nil, errBody
	}
	own := slices.Clone([]byte(r.Body))
	var err error
	drop := []string{"n", "best_of"}
	if r.MaxTokens > 0 {
		drop = append(drop, limits...)
	}
	for _, key := range drop {
		if own, err = sjson.DeleteBytes(own, key); err != nil {
			return nil, fmt.Errorf("removing %q from the request: %w", key, err)
		}
	}
	for _, key := range []string{"stream", "stream_options"} {
		if v := gjson.GetBytes(body, key); v.Exists() {
			own, err = sjson.SetRawBytes(own, key, []byte(v.Raw))
		} else {
			own, err = sjson.DeleteBytes(own, key)
		}
		if err != nil {
			return nil, fmt.Errorf("setting %q in the request: %w", key, err)
		}
	}
	return own, nil
}

// members are what is set in a request whose answer may have limit tokens; 0 = not
// known, since the request's own body has none.
func (c *Client) members(x *exchange, limit int) ([]member, error) {
	r := &x.request
	var members []member
	switch {
	case r.Model != "":
		model, err := json.Marshal(r.Model)
		if err != nil {
			return nil, fmt.Errorf("encoding the model's name: %w", err)
		}
		members = append(members, member{"model", "model", model})
	case r.Body == nil || c.spec.Model != "":
		members = append(members, c.model)
	}
	if c.spec.Endpoint == experiment.Embeddings {
		return append(members, c.extras(x)...), nil
	}
	if r.Body == nil {
		members = append(members, c.temperature)
	}
	if n := r.MaxTokens; n > 0 {
		members = append(members, member{x.dialect.limit, x.dialect.limit, fmt.Append(nil, n)})
	}
	for _, field := range c.tongue.force {
		switch {
		case slices.Contains(x.dialect.dropped, field):
		case field == ignoreEOS:
			members = append(members, member{field, field, []byte("true")})
		case limit > 0:
			members = append(members, member{field, field, fmt.Append(nil, limit)})
		}
	}
	if c.tongue.stream && x.dialect.continuous && !x.dialect.noStreamOptions {
		const path = "stream_options.continuous_usage_stats"
		members = append(members, member{path, path, []byte("true")})
	}
	return append(members, c.extras(x)...), nil
}

// extras are the person's own fields that the server takes.
func (c *Client) extras(x *exchange) []member {
	var out []member
	for _, m := range c.extra {
		if !slices.Contains(x.dialect.dropped, m.key) {
			out = append(out, m)
		}
	}
	return out
}

// fixed encodes a member that is the same in every request.
func fixed(key string, value any) (member, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return member{}, fmt.Errorf("encoding the %s %v: %w", key, value, err)
	}
	return member{key, key, raw}, nil
}
