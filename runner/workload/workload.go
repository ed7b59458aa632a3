// Package workload decides what each request of a point asks: its lengths, its
// text, its model. It believes that content is a pure function of the point's seed
// and of the request's place, so that the same plan asks the same whoever is quick.
package workload

import (
	"encoding/json"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/dataset"
)

// Fit is how one server counts the tokens of our prompts.
type Fit struct {
	// CharsPerToken is the number of characters of synthetic text in a token, above 0.
	CharsPerToken float64
	// Overhead is the number of tokens that the server's template adds to a prompt
	// of one message.
	Overhead float64
	// Learned says that the server itself was asked; else the fit is a guess.
	Learned bool
}

// DefaultFit is the guess for a server that was not asked: four characters a token.
var DefaultFit = Fit{CharsPerToken: 4}

// Config fixes the content of one point.
type Config struct {
	Spec experiment.Spec
	// Items are those of the data file; nil = synthetic.
	Items []dataset.Item
	Fit   Fit
	// Seed is the point's.
	Seed uint64
	// Salt is in every nonce, so that the same plan run again finds no prompt in a
	// server's prefix cache. It is the experiment's ID.
	Salt string
}

// Place names a conversation of a point. Equal places ask the same.
type Place struct {
	// Class is the index of the class in Spec.Classes, or −1 to have it drawn by weight
	// (and for a specification without classes).
	Class int
	// Worker is the worker of a closed loop, from 0; 0 in an open loop.
	Worker int
	// K counts the conversations of the worker, or the arrivals of the open loop, from 0.
	K int
}

// Content is one request.
type Content struct {
	// Prompt is the new text. History is what goes before it that is not the
	// server's own answers: a first turn's system prompt, say.
	Prompt  string
	History []dataset.Message
	// Body is a whole request body from a data file; nil = the prompt.
	Body json.RawMessage
	// Model is the model to ask for; empty = the specification's.
	Model string
	// Replica is the index of the server in Spec.Replicas.
	Replica int
	// PromptTokens is what the prompt alone is meant to count, with the template of
	// one message; experiment.Unknown for a text whose length nobody asked for.
	PromptTokens int
	// OutputTokens is the limit of the answer, from 1.
	OutputTokens int
}

// Generator makes the content of one point. It is safe for concurrent use.
type Generator struct {
	config Config
}

// New prepares the content of a point.
func New(c Config) (*Generator, error) { return &Generator{config: c}, nil }
