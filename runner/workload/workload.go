// Package workload decides what each request of a point asks: its lengths, its
// text, its model. It believes that content is a pure function of the point's seed
// and of the request's place, so that the same plan asks the same whoever is quick.
//
// It has no tokenizer. Synthetic text is made of words that a tokenizer takes whole,
// all of one length, so that a line through what the server counted for a few probes
// ([Fit]) tells how many characters make a prompt of so many tokens. Each text begins
// unlike any other, of this run or an earlier one, lest a prefix cache answer it; what
// requests are to share is asked for, and stands before that.
//
// A preset is somebody's published measurement, and names its source.
package workload

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

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
	// Workers is the number of workers of a closed loop, which share out the items
	// of a data file; 0 in an open loop.
	Workers int
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
	// PromptTokens is what a first turn's prompt is meant to count, with the template
	// of one message, and what a later turn adds; experiment.Unknown for a text whose
	// length nobody asked for.
	PromptTokens int
	// OutputTokens is the limit of the answer, from 1.
	OutputTokens int
}

// Generator makes the content of one point. It is safe for concurrent use.
//
// Prompts are unique from their first words, so that what is measured is the server
// and not its prefix cache, unless the cache is the subject: prompts with a shared
// prefix and those of a trace with block hashes begin alike on purpose. A text of the
// person's own, from Spec.Prompt or a data file, is sent as it is, with nothing put
// before it; [Generator.Repeats] says how often one comes again.
type Generator struct {
	config Config
	// kinds are the classes with what they have from the specification filled in; one
	// kind where there are no classes.
	kinds []kind
	// classes, models and replicas are the shares of the mixes.
	classes, models, replicas shares
}

// kind is what the requests of a class look like.
type kind struct {
	input, output, turns experiment.Length
	think                experiment.Pause
	prefix               *prefix
	model                string
}

// prefix is a set of shared prefixes.
type prefix struct {
	experiment.Prefix
	// owner is the class that has it, −1 for the specification's own, which all
	// classes without one have in common.
	owner  int
	groups shares
}

// New prepares the content of a point. It is an error if the specification's parts
// contradict each other or the data file.
func New(c Config) (*Generator, error) {
	s := c.Spec
	if err := errors.Join(c.Fit.validate(), c.validateItems()); err != nil {
		return nil, err
	}
	g := &Generator{config: c}
	whole := kind{s.InputTokens, s.OutputTokens, s.Turns, s.ThinkTime, newPrefix(s.Prefix, -1), ""}
	for i, class := range s.Classes {
		k := kind{either(class.InputTokens, whole.input), either(class.OutputTokens, whole.output), either(class.Turns, whole.turns), either(class.ThinkTime, whole.think), whole.prefix, class.Model}
		if class.Prefix != nil {
			k.prefix = newPrefix(class.Prefix, i)
		}
		g.kinds = append(g.kinds, k)
		g.classes = g.classes.with(class.Weight)
	}
	if len(g.kinds) == 0 {
		g.kinds = []kind{whole}
	}
	for i, k := range g.kinds {
		if err := k.validatePrefix(s, i); err != nil {
			return nil, err
		}
	}
	for _, m := range s.Models {
		g.models = g.models.with(m.Weight)
	}
	for _, r := range s.Replicas {
		g.replicas = g.replicas.with(r.Weight)
	}
	return g, nil
}

// either is the class's own value where it has one, else that of all.
func either[T interface{ IsZero() bool }](own, all T) T {
	if own.IsZero() {
		return all
	}
	return own
}

func newPrefix(p *experiment.Prefix, owner int) *prefix {
	if p == nil {
		return nil
	}
	out := &prefix{Prefix: *p, owner: owner}
	for k := range p.Groups {
		out.groups = out.groups.with(math.Pow(float64(k+1), -p.Zipf))
	}
	return out
}

func (k kind) validatePrefix(s experiment.Spec, class int) error {
	if k.prefix == nil || s.Data != nil && k.input.IsZero() {
		return nil
	}
	longest := k.input.Longest()
	if n, fixed := k.input.Fixed(); fixed {
		_, longest = spread(n, s.Jitter)
	}
	if longest > k.prefix.Tokens {
		return nil
	}
	whose := "the prompts"
	if len(s.Classes) > 0 {
		whose = "the prompts of the class " + s.Classes[class].Name
	}
	return fmt.Errorf("prefix.tokens is %d and %s have at most %d tokens; write a prefix that leaves at least one token, or longer input_tokens", k.prefix.Tokens, whose, longest)
}

func (c Config) validateItems() error {
	if c.Spec.Data != nil && len(c.Items) == 0 {
		return fmt.Errorf("the data file %s has no items; write one with at least one request", c.Spec.Data.Path)
	}
	for i, item := range c.Items {
		if len(item.Turns) == 0 {
			return fmt.Errorf("item %d of the data file has no request; leave it out", i)
		}
		fixed := len(item.Blocks) > 0
		for n, t := range item.Turns {
			own := len(t.Messages) > 0 || item.Body != nil
			fixed = fixed || own
			if !own && t.Prompt < 1 && c.Spec.InputTokens.IsZero() {
				return fmt.Errorf("turn %d of item %d of the data file has neither text nor a length; write input_tokens for it", n, i)
			}
		}
		if fixed && c.Spec.Prefix != nil {
			return fmt.Errorf("prefix is given, and item %d of the data file has a text or prefix blocks of its own; leave prefix out", i)
		}
	}
	return nil
}
