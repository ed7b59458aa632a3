package runner

import (
	"fmt"
	"math/rand/v2"

	"github.com/inferbook/inferbook/experiment"
)

// Plan is everything about a run that is decided before its first request.
type Plan struct {
	Spec experiment.Spec
	// Points are in the order in which they are run. Each round visits every level
	// once, in an order of its own (the first round too), so that a server that
	// drifts with time does not look like one that reacts to load.
	Points []PlannedPoint
	// Warnings are whole sentences on what the specification makes doubtful.
	Warnings []string
}

// PlannedPoint is one load level in one round.
type PlannedPoint struct {
	Load    experiment.Load
	Repeat  int // the round, from 0
	Ordinal int // position in the run, from 0
	// Seed fixes the lengths and prompts of the point. It depends on the level and
	// the round and not on the position in the round.
	Seed uint64
}

// NewPlan validates the specification and orders its points. The plan is a
// function of the specification: the same seed gives the same plan.
func NewPlan(spec experiment.Spec) (Plan, error) {
	if err := spec.Validate(); err != nil {
		return Plan{}, fmt.Errorf("planning the run: %w", err)
	}
	p := Plan{Spec: spec, Points: make([]PlannedPoint, 0, spec.Repeats*len(spec.Concurrency))}
	for round := range spec.Repeats {
		order := rand.New(rand.NewPCG(spec.Seed, uint64(round))).Perm(len(spec.Concurrency))
		for _, level := range order {
			// The level's index is in the seed, not its value: a level listed twice
			// must not send the same prompts twice.
			stream := uint64(round)<<32 | uint64(level)
			p.Points = append(p.Points, PlannedPoint{
				Load:    experiment.Load{Concurrency: spec.Concurrency[level]},
				Repeat:  round,
				Ordinal: len(p.Points),
				Seed:    rand.New(rand.NewPCG(spec.Seed, ^stream)).Uint64(),
			})
		}
	}
	p.Warnings = specWarnings(spec)
	return p, nil
}

// specWarnings says what a valid specification still makes doubtful.
func specWarnings(spec experiment.Spec) []string {
	var w []string
	if spec.Prompt != "" {
		w = append(w, "Every request sends the same prompt, so a server with a prefix cache computes it once: TTFT and prompt cost may be those of the cache.")
	}
	if spec.Warmup > 0 && spec.Requests > 0 {
		for _, c := range spec.Concurrency {
			if spec.Requests < 2*c {
				w = append(w, fmt.Sprintf("%d requests at concurrency %d are fewer than two a worker: the figures of this level rest on its first moments.", spec.Requests, c))
			}
		}
	}
	return w
}

// Estimate is what a run will ask of the server at most.
type Estimate struct {
	// Requests counts those of warm-up and cool-down too.
	Requests int
	// PromptTokens and OutputTokens are as asked for; a chat template adds some
	// tens of tokens to each prompt, and a server's tokenizer may count others.
	PromptTokens, OutputTokens int
	// Unbounded says that points end by time alone. The counts are then those of
	// warm-up and cool-down, and the measured requests come on top.
	Unbounded bool
}

// Estimate gives an upper bound on what the run asks for.
func (p Plan) Estimate() Estimate {
	s := p.Spec
	e := Estimate{Unbounded: s.Requests == 0}
	for _, pt := range p.Points {
		c := pt.Load.Concurrency
		e.Requests += s.Warmup*c + s.Requests
		if s.Warmup > 0 {
			e.Requests += c - 1
		}
	}
	_, longest := spread(s.InputTokens.Nominal(), s.Jitter)
	if s.Prompt != "" {
		longest = fixedPromptTokens(s.Prompt)
	}
	e.PromptTokens = e.Requests * longest
	_, longest = spread(s.OutputTokens.Nominal(), s.Jitter)
	e.OutputTokens = e.Requests * longest
	return e
}
