package runner

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
	"unicode/utf8"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/dataset"
	"github.com/inferbook/inferbook/runner/workload"
)

// Plan is everything about a run that is decided before its first request.
type Plan struct {
	Spec experiment.Spec
	// Items are those of the data file; nil = requests are synthetic.
	Items []dataset.Item
	// Fit is how the server counts our prompts. [NewPlan] leaves the default, which
	// is to be replaced once the server has been asked.
	Fit workload.Fit
	// Points are in the order in which they are run. Each round visits every level of
	// every variant once, in an order of its own (the first round too), so that a server
	// that drifts with time does not look like one that reacts to load.
	Points []PlannedPoint
	// Warnings are whole sentences on what the specification makes doubtful.
	Warnings []string
}

// PlannedPoint is one load level in one round.
type PlannedPoint struct {
	Load experiment.Load
	// Spec is the specification of the point's variant.
	Spec    experiment.Spec
	Repeat  int // the round, from 0
	Ordinal int // position in the run, from 0
	// Seed fixes the lengths, prompts and arrivals of the point. It depends on the
	// level and the round and not on the position in the round.
	Seed uint64
	// Schedule is replayed in place of one made from the seed; nil = it is made.
	Schedule experiment.Schedule
}

// NewPlan validates the specification and orders its points. items are those of
// the specification's data file. The plan is a function of its arguments: the same
// seed gives the same plan. A plan with Spec.Search has no points: they are
// [Plan.Point]s, chosen as the answers come.
func NewPlan(spec experiment.Spec, items []dataset.Item) (Plan, error) {
	if err := spec.Validate(); err != nil {
		return Plan{}, fmt.Errorf("planning the run: %w", err)
	}
	variants, err := spec.Variants()
	if err != nil {
		return Plan{}, fmt.Errorf("planning the run: %w", err)
	}
	p := Plan{Spec: spec, Items: items, Fit: workload.DefaultFit}
	type cell struct {
		spec experiment.Spec
		load experiment.Load
	}
	var cells []cell
	for _, v := range variants {
		for _, l := range levels(&v.Spec, items) {
			l.Variant = v.Name
			cells = append(cells, cell{v.Spec, l})
		}
	}
	for round := range spec.Repeats {
		order := rand.New(rand.NewPCG(spec.Seed, uint64(round))).Perm(len(cells))
		for _, i := range order {
			// The level's index is in the seed, not its value: a level listed twice
			// must not send the same prompts twice.
			p.Points = append(p.Points, PlannedPoint{
				Load: cells[i].load, Spec: cells[i].spec, Repeat: round, Ordinal: len(p.Points),
				Seed: pointSeed(spec.Seed, round, i),
			})
		}
	}
	p.Warnings = specWarnings(&p)
	return p, nil
}

// Adopt takes over what a specification says about the server: its points were
// planned before the server had been asked what it is.
func (p *Plan) Adopt(spec experiment.Spec) {
	p.Spec = spec
	for i := range p.Points {
		pt := &p.Points[i].Spec
		pt.BaseURL, pt.Simulator, pt.Replicas = spec.BaseURL, spec.Simulator, spec.Replicas
		if pt.Model == "" {
			pt.Model = spec.Model
		}
	}
}

// Point plans one more point of a search: the ordinal-th of the run.
func (p *Plan) Point(load experiment.Load, repeat, ordinal int) PlannedPoint {
	return PlannedPoint{Load: load, Spec: p.Spec, Repeat: repeat, Ordinal: ordinal, Seed: pointSeed(p.Spec.Seed, repeat, ordinal)}
}

func pointSeed(seed uint64, round, level int) uint64 {
	stream := uint64(round)<<32 | uint64(level)
	return rand.New(rand.NewPCG(seed, ^stream)).Uint64()
}

// levels gives the loads of a variant.
func levels(s *experiment.Spec, items []dataset.Item) []experiment.Load {
	if s.Search != nil {
		return nil
	}
	if len(s.Classes) > 0 && s.Classes[0].Weight == 0 {
		var l experiment.Load
		for _, c := range s.Classes {
			l.Concurrency += c.Concurrency
			l.Rate += c.Rate
		}
		return []experiment.Load{l}
	}
	if !s.Arrival.Open() {
		out := make([]experiment.Load, len(s.Concurrency))
		for i, c := range s.Concurrency {
			out[i].Concurrency = c
		}
		return out
	}
	if rate, own := s.Arrival.OwnRate(); own {
		return []experiment.Load{{Rate: rate}}
	}
	if s.Arrival.Kind == experiment.TraceArrival {
		return []experiment.Load{{Rate: traceRate(s, items)}}
	}
	out := make([]experiment.Load, len(s.Rate))
	for i, r := range s.Rate {
		out[i].Rate = r
	}
	return out
}

// traceRate is the mean rate of a trace's requests, in requests per second of the replay.
func traceRate(s *experiment.Spec, items []dataset.Item) float64 {
	if len(items) < 2 {
		return math.SmallestNonzeroFloat64
	}
	span := (items[len(items)-1].At - items[0].At).Seconds()
	if span <= 0 {
		return experiment.MaxRate
	}
	return float64(len(items)-1) / span * s.Arrival.TimeScale * meanTurns(s, items)
}

// meanTurns is the mean number of requests in a conversation.
func meanTurns(s *experiment.Spec, items []dataset.Item) float64 {
	if len(items) > 0 {
		n := 0
		for i := range items {
			n += max(1, len(items[i].Turns))
		}
		return float64(n) / float64(len(items))
	}
	return turnsOf(s, -1)
}

// turnsOf is the mean number of turns of a class's synthetic conversations.
func turnsOf(s *experiment.Spec, class int) float64 {
	turns := s.Turns
	if class >= 0 && !s.Classes[class].Turns.IsZero() {
		turns = s.Classes[class].Turns
	}
	return max(1, turns.Average())
}

// specWarnings says what a valid specification still makes doubtful.
func specWarnings(p *Plan) []string {
	var w []string
	spec := &p.Spec
	if spec.Prompt != "" {
		w = append(w, "Every request sends the same prompt, so a server with a prefix cache computes it once: TTFT and prompt cost may be those of the cache.")
	}
	if spec.Warmup > 0 && spec.Requests > 0 && !spec.Arrival.Open() {
		for _, c := range spec.Concurrency {
			if spec.Requests < 2*c {
				w = append(w, fmt.Sprintf("%d requests at concurrency %d are fewer than two a worker: the figures of this level rest on its first moments.", spec.Requests, c))
			}
		}
	}
	if n := len(p.Items); n > 0 && spec.Arrival.Kind != experiment.TraceArrival &&
		workload.Repeats(spec, p.Items, int(float64(spec.Requests)/meanTurns(spec, p.Items))) > 1 {
		w = append(w, fmt.Sprintf("%d requests are asked for and the data file's items are %d, so items are sent again: a prefix cache may answer the repeats.", spec.Requests, n))
	}
	if n := len(p.Items); n > 0 && spec.Repeats > 1 && workload.Repeats(spec, p.Items, n+1) > 1 {
		w = append(w, "Each repeat sends the same items of the data file: a prefix cache may answer the later ones.")
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

// Estimate gives an upper bound on what the run asks for. That of a search is the
// bound of one point, times the points.
func (p *Plan) Estimate() Estimate {
	var e Estimate
	points := p.Points
	if q := p.Spec.Search; q != nil {
		load := experiment.Load{Concurrency: int(max(1, q.High))}
		if q.Over == "rate" {
			load = experiment.Load{Rate: max(1, q.High)}
		}
		for i := range q.Points {
			points = append(points, p.Point(load, 0, i))
		}
	}
	for i := range points {
		p.estimate(&e, &points[i])
	}
	return e
}

func (p *Plan) estimate(e *Estimate, pt *PlannedPoint) {
	s := &pt.Spec
	requests := 0
	for _, l := range lanesOf(s, pt.Load) {
		if l.workers > 0 {
			requests += s.Warmup*l.workers + s.Requests
			if s.Warmup > 0 {
				requests += l.workers - 1
			}
			e.Unbounded = e.Unbounded || s.Requests == 0
			continue
		}
		measured := s.Requests
		if timed := int(math.Ceil(l.rate * time.Duration(s.Duration).Seconds())); measured == 0 || s.Duration > 0 && timed < measured {
			measured = timed
		}
		if s.Arrival.Kind == experiment.TraceArrival && (measured == 0 || measured > len(p.Items)) {
			measured = len(p.Items)
		}
		requests += measured
		if warm := warmup(s); warm > 0 {
			requests += warm + cooldown(measured)
		}
	}
	in, out := longest(s, p.Items)
	if s.Prompt == "" {
		in = max(in, p.Fit.Shortest())
	}
	turns := max(1, s.Turns.Longest())
	if s.Turns.IsZero() {
		turns = 1
	}
	e.Requests += requests
	// The t-th turn of a conversation repeats the t−1 before it.
	e.PromptTokens += requests*in + requests*(turns-1)*(in+out)/2
	e.OutputTokens += requests * out
}

// longest gives lengths of prompt and answer that hardly a request exceeds.
func longest(s *experiment.Spec, items []dataset.Item) (in, out int) {
	_, in = spread(s.InputTokens, s.Jitter)
	_, out = spread(s.OutputTokens, s.Jitter)
	if s.Prompt != "" {
		in = fixedPromptTokens(s.Prompt)
	}
	for _, c := range s.Classes {
		if !c.InputTokens.IsZero() {
			in = max(in, c.InputTokens.Longest())
		}
		if !c.OutputTokens.IsZero() {
			out = max(out, c.OutputTokens.Longest())
		}
	}
	for i := range items {
		for _, t := range items[i].Turns {
			n := t.Prompt
			for _, m := range t.Messages {
				n = max(n, fixedPromptTokens(m.Content))
			}
			in, out = max(in, n), max(out, t.Output)
		}
		in = max(in, len(items[i].Body)/3)
	}
	if s.Endpoint == experiment.Embeddings {
		out = 0
	}
	return in, out
}

// spread gives the shortest and the longest length that jitter makes of a fixed
// length, and the usual range of another.
func spread(l experiment.Length, jitter float64) (lo, hi int) {
	n, fixed := l.Fixed()
	if !fixed {
		return l.Quantile(0), l.Longest()
	}
	f := float64(n)
	return max(1, int(math.Round(f*(1-jitter)))), max(1, int(math.Round(f*(1+jitter))))
}

// fixedPromptTokens is a guess on the high side for a text that nobody has
// counted: three characters a token, where English has more than four.
func fixedPromptTokens(text string) int { return (utf8.RuneCountInString(text) + 2) / 3 }
