package sim

// Model is one row of the model catalogue: a dense transformer with grouped
// query attention and a gated feed-forward block.
type Model struct {
	Name       string `json:"name"`
	Title      string `json:"title"`
	Layers     int    `json:"layers"`
	Hidden     int    `json:"hidden"`
	Heads      int    `json:"heads"`
	KVHeads    int    `json:"kv_heads"`
	HeadDim    int    `json:"head_dim"`
	Inner      int    `json:"inner"` // width of the feed-forward block
	Vocabulary int    `json:"vocabulary"`
	Context    int    `json:"context"` // tokens
	Source     string `json:"source"`
}

const aicModels = "aiconfigurator, model configurations; context from the model card"

var models = []Model{
	{Name: "llama-3.1-8b", Title: "Llama 3.1 8B", Layers: 32, Hidden: 4096, Heads: 32, KVHeads: 8, HeadDim: 128, Inner: 14336, Vocabulary: 128256, Context: 131072, Source: aicModels},
	{Name: "llama-3.1-70b", Title: "Llama 3.1 70B", Layers: 80, Hidden: 8192, Heads: 64, KVHeads: 8, HeadDim: 128, Inner: 28672, Vocabulary: 128256, Context: 131072, Source: aicModels},
	{Name: "qwen3-8b", Title: "Qwen3 8B", Layers: 36, Hidden: 4096, Heads: 32, KVHeads: 8, HeadDim: 128, Inner: 12288, Vocabulary: 151936, Context: 40960, Source: aicModels},
	{Name: "qwen3-32b", Title: "Qwen3 32B", Layers: 64, Hidden: 5120, Heads: 64, KVHeads: 8, HeadDim: 128, Inner: 25600, Vocabulary: 151936, Context: 40960, Source: aicModels},
	{Name: "llama-2-7b", Title: "Llama 2 7B", Layers: 32, Hidden: 4096, Heads: 32, KVHeads: 32, HeadDim: 128, Inner: 11008, Vocabulary: 32000, Context: 4096, Source: "Vidur, model configurations"},
}

// Models gives the model catalogue.
func Models() []Model { return append([]Model(nil), models...) }

// Parameters counts the weights: attention and feed-forward matrices, the
// embedding and the head. Norms are left out (under 0.01 %).
func (m Model) Parameters() float64 { return m.attention() + m.feedForward() + 2*m.embedding() }

// WeightBytes is the memory of the weights when the layers' matrices take
// perWeight bytes each. The embedding and the head stay in 16 bits.
func (m Model) WeightBytes(perWeight float64) float64 {
	return perWeight*(m.attention()+m.feedForward()) + 2*2*m.embedding()
}

// KVBytes is the memory of one token's keys and values over all layers, at
// perValue bytes each.
func (m Model) KVBytes(perValue int) int { return 2 * m.Layers * m.KVHeads * m.HeadDim * perValue }

// attention counts the weights of the query, key, value and output matrices.
func (m Model) attention() float64 {
	qkv := m.Hidden * (m.Heads + 2*m.KVHeads) * m.HeadDim
	return float64(m.Layers) * float64(qkv+m.Heads*m.HeadDim*m.Hidden)
}

// feedForward counts the weights of the gate, up and down matrices.
func (m Model) feedForward() float64 {
	return float64(m.Layers) * 3 * float64(m.Hidden) * float64(m.Inner)
}

func (m Model) embedding() float64 { return float64(m.Hidden) * float64(m.Vocabulary) }
