package analysis

import "math"

// Machine is what is known of the hardware and the model behind an endpoint: data-sheet
// figures that measurements are held against. Whoever has a catalogue makes one; a
// figure that is not known is NaN.
type Machine struct {
	GPU       string  `json:"gpu"`
	GPUs      int     `json:"gpus"`          // that share the model, of one replica
	Replicas  int     `json:"replicas"`      // engines alike that share the load; 0 counts as 1
	Bandwidth float64 `json:"bandwidth_b_s"` // bytes a second, of all GPUs
	Peak      float64 `json:"peak_flop_s"`   // dense FLOP/s at the weights' precision, of all GPUs
	Memory    float64 `json:"memory_b"`      // bytes, of all GPUs

	Model       string  `json:"model"`
	Parameters  float64 `json:"parameters"`
	Active      float64 `json:"active_parameters"` // that a token passes through
	WeightBytes float64 `json:"weight_b"`          // that must be held
	ActiveBytes float64 `json:"active_weight_b"`   // that a step of one token reads
	KVPerToken  float64 `json:"kv_b_per_token"`
	MemoryShare float64 `json:"memory_share"` // of the memory that weights and KV may take, 0.9 by convention
	// KVTokens is how many tokens' keys and values the server says it has room for, and MaxSequences how many
	// requests it says it decodes at once; NaN or 0 = it does not say.
	KVTokens     float64 `json:"kv_tokens"`
	MaxSequences float64 `json:"max_sequences"`
	Source       string  `json:"source"` // whole sentences: where the figures come from, and what was assumed
}

// MarshalJSON writes what is not known as null.
func (m Machine) MarshalJSON() ([]byte, error) { return marshalFinite(m) }

// UnmarshalJSON reads what [Machine.MarshalJSON] wrote.
func (m *Machine) UnmarshalJSON(data []byte) error {
	type plain Machine
	return unmarshalFinite(data, (*plain)(m))
}

// MBU is the model bandwidth utilisation of a decode step as Databricks defines it: the
// bytes that a step must read, weights once and the keys and values of batch sequences
// of context tokens, ÷ (tpot × peak bandwidth). tpot is in ms. A mixture of
// experts reads more weights than ActiveBytes once the batch is larger than one, so it is a lower bound there.
func (m *Machine) MBU(tpot, batch, context float64) float64 {
	return ratio(m.ActiveBytes+batch*context*m.KVPerToken, tpot/1000*m.Bandwidth)
}

// MFU is the share of the peak that prefilling tokensPerSecond takes: 2 FLOP a
// parameter and token.
func (m *Machine) MFU(tokensPerSecond float64) float64 {
	return ratio(2*m.Active*tokensPerSecond, m.Peak)
}

// Floor is the speed of light of a decode step in ms: its bytes ÷ peak bandwidth.
func (m *Machine) Floor(batch, context float64) float64 {
	return 1000 * ratio(m.ActiveBytes+batch*context*m.KVPerToken, m.Bandwidth)
}

// Sequences is how many sequences of length tokens the memory has room for beside the
// weights: an upper bound, since activations and buffers take some too. It is 0
// where the weights alone do not fit. Where the server says how many tokens it has
// room for, that counts instead, and is no bound but the number.
func (m *Machine) Sequences(length float64) float64 {
	if m.KVTokens > 0 {
		return ratio(m.KVTokens, length)
	}
	n := ratio(m.Memory*m.MemoryShare-m.WeightBytes, m.KVPerToken*length)
	if math.IsNaN(n) {
		return n
	}
	return max(0, n)
}

// Ridge is the arithmetic intensity in FLOP a byte from which arithmetic binds and not
// memory: peak ÷ bandwidth (Williams, Waterman and Patterson, "Roofline", 2009).
func (m *Machine) Ridge() float64 { return ratio(m.Peak, m.Bandwidth) }

// replicas is how many engines share the load.
func (m *Machine) replicas() float64 { return float64(max(1, m.Replicas)) }
