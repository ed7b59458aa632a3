package experiment

// Class is one kind of traffic in a run of several: chat beside offline work, say.
// A field that is not given is the specification's own.
type Class struct {
	// Name is what its samples and figures are called.
	Name string `json:"name" yaml:"name"`
	// Weight is the class's share of the run's arrivals, by weight; 0 = it has a
	// load of its own: Concurrency for a closed loop, or Rate for an open one.
	Weight      float64 `json:"weight,omitempty" yaml:"weight,omitempty"`
	Concurrency int     `json:"concurrency,omitempty" yaml:"concurrency,omitempty"`
	Rate        float64 `json:"rate,omitempty" yaml:"rate,omitempty"`
	Arrival     Arrival `json:"arrival,omitzero" yaml:"arrival,omitempty"` // of Rate; default poisson

	InputTokens  Length  `json:"input_tokens,omitzero" yaml:"input_tokens,omitempty"`
	OutputTokens Length  `json:"output_tokens,omitzero" yaml:"output_tokens,omitempty"`
	Prefix       *Prefix `json:"prefix,omitempty" yaml:"prefix,omitempty"`
	Turns        Length  `json:"turns,omitzero" yaml:"turns,omitempty"`
	ThinkTime    Pause   `json:"think_time,omitzero" yaml:"think_time,omitempty"`
	// Model is the model or adapter that the class asks for; empty = the run's.
	Model string `json:"model,omitempty" yaml:"model,omitempty"`
	// SLO is what its requests are held to; empty = the run's.
	SLO SLO `json:"slo,omitempty" yaml:"slo,omitempty"`
}

// Prefix makes prompts begin alike, as those with a common system prompt do.
type Prefix struct {
	// Share of the requests that begin with a shared prefix, over 0 to 1.
	Share float64 `json:"share" yaml:"share"`
	// Tokens is the prefix's length. It is part of the prompt's length, so a prompt
	// is at least that long plus one token of its own.
	Tokens int `json:"tokens" yaml:"tokens"`
	// Groups is the number of different prefixes, from 1.
	Groups int `json:"groups" yaml:"groups"`
	// Zipf is the exponent of their popularity: the k-th is asked for in proportion
	// to k^−Zipf; 0 = all alike.
	Zipf float64 `json:"zipf,omitempty" yaml:"zipf,omitempty"`
}

// ModelShare is a model, or an adapter of one, and its share of the requests by weight.
type ModelShare struct {
	Model  string  `json:"model" yaml:"model"`
	Weight float64 `json:"weight" yaml:"weight"`
}

// Replica is one of several servers that a run spreads its load over.
type Replica struct {
	BaseURL string  `json:"base_url" yaml:"base_url"`
	Weight  float64 `json:"weight" yaml:"weight"` // share of the requests, by weight
}

// Data says which file the requests come from.
type Data struct {
	Path string `json:"path" yaml:"path"`
	// Format is auto, jsonl, sharegpt, mooncake, azure, burstgpt or openai-batch.
	Format string `json:"format" yaml:"format"`
	// SHA256 is the file's hash in hex, set when it is read; a file that is given
	// with another hash is refused.
	SHA256 string `json:"sha256,omitempty" yaml:"sha256,omitempty"`
	// Items is the number of items in it, set when it is read.
	Items int `json:"items,omitempty" yaml:"items,omitempty"`
}

// Search asks for the largest load that holds the SLO, in place of listed levels.
type Search struct {
	// Over is "rate" (requests per second, open loop) or "concurrency" (closed loop).
	Over string `json:"over" yaml:"over"`
	// Low and High bracket the load at first; 0 = found by the search.
	Low  float64 `json:"low,omitempty" yaml:"low,omitempty"`
	High float64 `json:"high,omitempty" yaml:"high,omitempty"`
	// Points is the most points that the search may measure.
	Points int `json:"points" yaml:"points"`
}

// TokenPrice is what an endpoint charges, in US dollars per million tokens.
type TokenPrice struct {
	Input  float64 `json:"input" yaml:"input"`
	Output float64 `json:"output" yaml:"output"`
}
