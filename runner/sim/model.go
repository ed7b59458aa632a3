package sim

import (
	"errors"
	"math"
)

// Model is one row of the model catalogue: a transformer with a gated feed-forward
// block, or experts in its place, and grouped-query, sliding-window or latent attention.
type Model struct {
	Name       string `json:"name" yaml:"name"`
	Title      string `json:"title" yaml:"title"`
	Family     string `json:"family" yaml:"family"`
	Layers     int    `json:"layers" yaml:"layers"`
	Hidden     int    `json:"hidden" yaml:"hidden"`
	Heads      int    `json:"heads" yaml:"heads"`
	KVHeads    int    `json:"kv_heads" yaml:"kv_heads"`
	HeadDim    int    `json:"head_dim,omitempty" yaml:"head_dim"`
	Inner      int    `json:"inner,omitempty" yaml:"inner"` // width of the dense feed-forward block
	Vocabulary int    `json:"vocabulary" yaml:"vocabulary"`
	Context    int    `json:"context" yaml:"context"` // tokens

	Experts Experts `json:"experts,omitzero" yaml:"experts"`
	Window  Window  `json:"window,omitzero" yaml:"window"`
	Latent  Latent  `json:"latent,omitzero" yaml:"latent"`
	// Native is the precision that the weights are published in; empty = bf16.
	Native string `json:"native,omitempty" yaml:"native"`
	Source string `json:"source" yaml:"source"`
}

// Experts is a mixture of experts; the zero value is a dense model.
type Experts struct {
	Count  int `json:"count" yaml:"count"`
	Active int `json:"active" yaml:"active"` // of each token
	Inner  int `json:"inner" yaml:"inner"`   // width of one
	// Shared experts serve every token; DenseLayers have a dense block instead.
	Shared      int `json:"shared,omitempty" yaml:"shared"`
	DenseLayers int `json:"dense_layers,omitempty" yaml:"dense_layers"`
}

// Window is sliding-window attention: so many layers see only the last tokens.
type Window struct {
	Tokens int `json:"tokens" yaml:"tokens"`
	Layers int `json:"layers" yaml:"layers"`
}

// Latent is multi-head latent attention (DeepSeek): one compressed vector of KV +
// Rope values a token and layer stands for the keys and values of all heads.
type Latent struct {
	KV    int `json:"kv" yaml:"kv"`
	Rope  int `json:"rope" yaml:"rope"`
	Query int `json:"query" yaml:"query"` // rank of the query's compression
	Key   int `json:"key" yaml:"key"`     // of a head, without Rope
	Value int `json:"value" yaml:"value"`
}

func (m Model) check() error {
	switch {
	case m.Name == "" || m.Family == "" || m.Source == "":
		return errors.New("it needs a name, a family and a source")
	case m.Layers < 1 || m.Hidden < 1 || m.Heads < 1 || m.KVHeads < 1 || m.Vocabulary < 1 || m.Context < 1:
		return errors.New("layers, hidden, heads, kv_heads, vocabulary and context are at least 1")
	case m.Latent == Latent{} && m.HeadDim < 1:
		return errors.New("head_dim is at least 1")
	case m.Experts == Experts{} && m.Inner < 1:
		return errors.New("inner is at least 1 for a model without experts")
	case m.Experts != Experts{} && (m.Experts.Count < 1 || m.Experts.Active < 1 || m.Experts.Active > m.Experts.Count || m.Experts.Inner < 1):
		return errors.New("experts need a count, a width and from 1 to count active ones")
	case m.Experts.DenseLayers > m.Layers || m.Experts.DenseLayers < 0 || m.Window.Layers < 0:
		return errors.New("some of its layers are more than it has, or fewer than none")
	case m.Window.Layers >= m.Layers:
		return errors.New("at least one layer has no window: the pool of keys and values is that of the others")
	case m.Heads%m.KVHeads != 0:
		return errors.New("heads is a multiple of kv_heads")
	}
	return nil
}

// Parameters counts the weights: attention and feed-forward matrices, experts and
// their routers, the embedding and the head. Norms are left out (under 0.01 %).
func (m Model) Parameters() float64 {
	return m.attention() + m.feedForward() + m.experts() + m.router() + 2*m.embedding()
}

// ActiveParameters counts the weights that a token meets, the head included and the
// embedding not.
func (m Model) ActiveParameters() float64 {
	active := 0.0
	if m.Experts.Count > 0 {
		active = m.experts() * float64(m.Experts.Active) / float64(m.Experts.Count)
	}
	return m.attention() + m.feedForward() + active + m.router() + m.embedding()
}

// WeightBytes is the memory of the weights when those of attention take
// perAttention bytes each and those of feed-forward blocks and experts perBlock. The
// embedding, the head and the routers stay in 16 bits.
func (m Model) WeightBytes(perAttention, perBlock float64) float64 {
	return perAttention*m.attention() + perBlock*(m.feedForward()+m.experts()) + 2*(m.router()+2*m.embedding())
}

// KVBytes is the memory of one token's keys and values over all layers, at
// perValue bytes each. Layers with a sliding window hold no more than the window
// and are left out.
func (m Model) KVBytes(perValue int) int {
	if m.Latent != (Latent{}) {
		return m.Layers * (m.Latent.KV + m.Latent.Rope) * perValue
	}
	return 2 * (m.Layers - m.Window.Layers) * m.KVHeads * m.HeadDim * perValue
}

// attention counts the weights of the query, key, value and output matrices.
func (m Model) attention() float64 {
	h, n := float64(m.Hidden), float64(m.Heads)
	if l := m.Latent; l != (Latent{}) {
		key, value, kv, rope, query := float64(l.Key), float64(l.Value), float64(l.KV), float64(l.Rope), float64(l.Query)
		return float64(m.Layers) * (h*query + query*n*(key+rope) + h*(kv+rope) + kv*n*(key+value) + n*value*h)
	}
	qkv := h * (n + 2*float64(m.KVHeads)) * float64(m.HeadDim)
	return float64(m.Layers) * (qkv + n*float64(m.HeadDim)*h)
}

// feedForward counts the weights that every token meets: dense blocks and shared experts.
func (m Model) feedForward() float64 {
	h := float64(m.Hidden)
	if m.Experts == (Experts{}) {
		return float64(m.Layers) * 3 * h * float64(m.Inner)
	}
	dense := float64(m.Experts.DenseLayers) * 3 * h * float64(m.Inner)
	return dense + float64(m.Layers-m.Experts.DenseLayers)*float64(m.Experts.Shared)*3*h*float64(m.Experts.Inner)
}

// experts counts the weights of all routed experts.
func (m Model) experts() float64 {
	return float64(m.Layers-m.Experts.DenseLayers) * float64(m.Experts.Count) * 3 * float64(m.Hidden) * float64(m.Experts.Inner)
}

func (m Model) router() float64 {
	return float64(m.Layers-m.Experts.DenseLayers) * float64(m.Hidden) * float64(m.Experts.Count)
}

func (m Model) embedding() float64 { return float64(m.Hidden) * float64(m.Vocabulary) }

// touched is how many experts of a layer a step of n tokens meets, if routing is
// uniform: E·(1−(1−k/E)ⁿ). Real routing is not, and touches fewer at small n.
func (e Experts) touched(n int) float64 {
	miss := 1 - float64(e.Active)/float64(e.Count)
	return float64(e.Count) * (1 - math.Pow(miss, float64(n)))
}

// attendWidth is Σ over heads of the widths of a key and a value, for the
// arithmetic of a prompt's attention, and latentWidth that of a decode over the
// compressed vectors.
func (m Model) attendWidth() float64 {
	if l := m.Latent; l != (Latent{}) {
		return float64(m.Heads * (l.Key + l.Rope + l.Value))
	}
	return 2 * float64(m.Heads*m.HeadDim)
}

func (m Model) latentWidth() float64 { return float64(m.Heads * (2*m.Latent.KV + m.Latent.Rope)) }
