package sim

import (
	"fmt"
	"math"
	"strconv"
)

// Deployment is a [Config] with every default filled in and its memory laid out.
type Deployment struct {
	GPU       GPU     `json:"gpu"`
	Count     int     `json:"count"`
	Model     Model   `json:"model"`
	Runtime   Runtime `json:"runtime"`
	Precision string  `json:"precision"`
	// KVPrecision is that of keys and values.
	KVPrecision string `json:"kv_precision"`
	// Fit names the fit that Runtime.Constants come from; empty = they are the runtime's own.
	Fit string `json:"fit,omitempty"`

	KVTokens    int `json:"kv_tokens"` // what the pool holds: KVBlocks × BlockSize
	KVBlocks    int `json:"kv_blocks"`
	BlockSize   int `json:"block_size"` // tokens
	MaxSeqs     int `json:"max_seqs"`   // sequences a step
	TokenBudget int `json:"token_budget"`
	MaxModelLen int `json:"max_model_len"` // prompt and output of one request, in tokens

	PrefixCaching bool        `json:"prefix_caching"`
	Speculation   Speculation `json:"speculation,omitzero"`
	Replicas      int         `json:"replicas"`
	Router        string      `json:"router"`

	// WeightsGB is the memory of all weights over all GPUs, in 10⁹ B.
	WeightsGB         float64 `json:"weights_gb"`
	MemoryUtilization float64 `json:"memory_utilization"`
	OtherMemoryGB     float64 `json:"other_memory_gb"` // of each GPU

	// Trust is how far its times may be trusted, Calibration the same in words.
	Trust       Check   `json:"trust"`
	Calibration string  `json:"calibration"`
	Seed        uint64  `json:"seed"`
	Jitter      float64 `json:"jitter"`
	ServedName  string  `json:"served_name"`

	link Link
}

// Profile names the deployment in short: "llama-3.1-8b@a10g/vllm-like".
func (d Deployment) Profile() string {
	gpu := d.GPU.Name
	if d.Count > 1 {
		gpu = strconv.Itoa(d.Count) + "x" + gpu
	}
	return d.Model.Name + "@" + gpu + "/" + d.Runtime.Name
}

// String describes the deployment in one line.
func (d Deployment) String() string {
	budget := "no token budget"
	if d.TokenBudget > 0 {
		budget = fmt.Sprintf("%d tokens a step", d.TokenBudget)
	}
	return fmt.Sprintf("simulated %s %s on %d× %s, %s: weights %.1f GB, KV pool %d tokens, %d sequences, %s, context %d, %s",
		d.Model.Name, d.Precision, d.Count, d.GPU.Name, d.Runtime.Name, d.WeightsGB, d.KVTokens, d.MaxSeqs, budget, d.MaxModelLen, d.Calibration)
}

// weightBytes are the bytes of a weight of attention, and of one of a feed-forward
// block or an expert.
func (d *Deployment) weightBytes() (attention, block float64) {
	switch d.Precision {
	case fp8:
		return 1, 1
	case nvfp4:
		return nvfp4Bytes, nvfp4Bytes
	case int4:
		return int4Bytes, int4Bytes
	case mxfp4:
		return 2, int4Bytes
	}
	return 2, 2
}

// valueBytes are the bytes of a key or a value.
func (d *Deployment) valueBytes() int {
	if d.KVPrecision == fp8 {
		return 1
	}
	return 2
}

// kvShare is the number of GPUs over which one token's keys and values are
// spread; more GPUs than KV heads hold copies, and all do of a latent vector.
func (d *Deployment) kvShare() int {
	if d.Model.Latent != (Latent{}) {
		return 1
	}
	return min(d.Count, d.Model.KVHeads)
}

// tokenGB is what a token's keys and values take of each GPU, in 10⁹ B.
func (d *Deployment) tokenGB() float64 {
	return float64(d.Model.KVBytes(d.valueBytes())) / float64(d.kvShare()) / 1e9
}

// freeGB is what is left for keys and values on each of n GPUs. It may be negative.
func (d *Deployment) freeGB(n int) float64 {
	weights := d.WeightsGB / float64(n)
	if d.Runtime.MemoryOfFree {
		// TensorRT-LLM gives the pool a share of what is free once the weights are loaded.
		return d.MemoryUtilization * (d.GPU.MemoryGB - weights - d.OtherMemoryGB)
	}
	return d.MemoryUtilization*d.GPU.MemoryGB - weights - d.OtherMemoryGB
}

// fillMemory lays out the memory and sizes the KV pool.
func (d *Deployment) fillMemory() error {
	d.WeightsGB = d.Model.WeightBytes(d.weightBytes()) / 1e9
	d.BlockSize = d.Runtime.BlockSize
	least := minContext * d.tokenGB()
	free := d.freeGB(d.Count)
	if free < least {
		short := least - free
		if d.Runtime.MemoryOfFree {
			short /= d.MemoryUtilization
		}
		return fmt.Errorf("%s in %s does not fit on %d× %s: each GPU is %.1f GB short (weights %.1f GB, other %.1f GB, %d tokens of KV %.1f GB, %.0f%% of %.0f GB usable)%s",
			d.Model.Name, d.Precision, d.Count, d.GPU.Name, math.Ceil(short*10)/10, d.WeightsGB/float64(d.Count), d.OtherMemoryGB,
			minContext, least, 100*d.MemoryUtilization, d.GPU.MemoryGB, d.wayOut())
	}
	d.KVBlocks = int(free / d.tokenGB() / float64(d.BlockSize))
	d.KVTokens = d.KVBlocks * d.BlockSize
	return nil
}

// wayOut names a count that would fit, or nothing.
func (d *Deployment) wayOut() string {
	for n := d.Count * 2; n <= maxCount && d.GPU.Link != ""; n *= 2 {
		wider := *d
		wider.Count = n
		if wider.freeGB(n) >= minContext*wider.tokenGB() {
			return fmt.Sprintf("; %d GPUs would do", n)
		}
	}
	return ""
}

// limitContext sets the context: no request may need more KV than there is, or
// it could never finish.
func (d *Deployment) limitContext(asked int) error {
	limit := min(d.Model.Context, d.KVTokens)
	if asked > limit {
		return fmt.Errorf("max model length is %d, but %s takes %d tokens and the KV pool holds %d; give at most %d",
			asked, d.Model.Name, d.Model.Context, d.KVTokens, limit)
	}
	d.MaxModelLen = asked
	if asked == 0 {
		d.MaxModelLen = limit
	}
	return nil
}

// Serves reports a request that the deployment can never serve, by its tokens.
func (d Deployment) Serves(prompt, output int) error { return d.check(prompt, output) }

// check reports a request that the deployment can never serve.
func (d *Deployment) check(prompt, output int) error {
	if prompt > d.MaxModelLen || output > d.MaxModelLen-prompt {
		return fmt.Errorf("the context holds %d tokens, but the request has %d in the prompt and asks for %d",
			d.MaxModelLen, prompt, output)
	}
	if p := d.Runtime.Scheduling; p.Batching != Static && !p.Chunked && prompt > d.TokenBudget {
		return fmt.Errorf("%s computes whole prompts of at most %d tokens, but this one has %d", d.Runtime.Name, d.TokenBudget, prompt)
	}
	return nil
}
