package sim

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// The numbers of an embedding: those that come where none are asked for, and the most.
const (
	embeddingSize    = 256
	maxEmbeddingSize = 8192
)

// vectors writes the answer to a request for embeddings. To the engine that is a
// prefill and the step that ends it.
type vectors struct {
	g       *generation
	choices []*choice
	model   string
	truth   func(Truth) []byte
}

func (v *vectors) open(out []byte) []byte                             { return out }
func (v *vectors) tokens(out []byte, _ *choice, _ int, _ bool) []byte { return out }
func (v *vectors) finish(out []byte, _ *choice) []byte                { return out }
func (v *vectors) close(out []byte) []byte                            { return out }

func (v *vectors) whole() []byte {
	out := []byte(`{"object":"list","data":[`)
	total := 0
	for i, c := range v.choices {
		if i > 0 {
			out = append(out, ',')
		}
		out = fmt.Appendf(out, `{"object":"embedding","index":%d,"embedding":`, i)
		out = v.vector(out, c.prompt.content)
		out = append(out, '}')
		total += c.prompt.tokens
	}
	out = fmt.Appendf(out, `],"model":%s,"usage":{"prompt_tokens":%d,"total_tokens":%d}`, mustJSON(v.model), total, total)
	out = append(out, v.truth(latest(v.choices))...)
	return append(out, '}')
}

// vector appends a unit vector that follows from the content.
func (v *vectors) vector(out []byte, c *Content) []byte {
	n := v.g.dimensions
	values, norm := make([]float64, n), 0.0
	for i := range values {
		text := c.Answer(i, i+1)
		values[i] = draw(uint64(i), uint64(text[len(text)-1]), uint64(text[len(text)/2])) - .5
		norm += values[i] * values[i]
	}
	if norm = math.Sqrt(norm); norm == 0 {
		norm = 1
	}
	if v.g.encoding == "base64" {
		raw := make([]byte, 0, 4*n)
		for _, x := range values {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(x/norm)))
		}
		out = append(out, '"')
		out = base64.StdEncoding.AppendEncode(out, raw)
		return append(out, '"')
	}
	for i, x := range values {
		sep := byte(',')
		if i == 0 {
			sep = '['
		}
		out = append(out, sep)
		out = strconv.AppendFloat(out, x/norm, 'g', 6, 32)
	}
	return append(out, ']')
}
