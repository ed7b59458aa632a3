package sim

import "time"

// Usage is what the replicas of a deployment did together since the start.
type Usage struct {
	// Elapsed is the time since the start, once for each replica. Busy is the time
	// of all steps, each counted when it is planned, and Front that of all requests
	// in the front end.
	Elapsed, Busy, Front time.Duration
	Steps                int
	Computed             int // tokens of all steps, those computed again and drafts included
	// PromptTokens are those of the requests that were scheduled, and CachedTokens
	// those of them that were found in the prefix cache.
	PromptTokens, CachedTokens int
	OutputTokens               int
	Preemptions                int
	// Drafts is how often a sequence's drafts were verified, DraftTokens how many
	// they were, and AcceptedTokens how many of these were accepted.
	Drafts, DraftTokens, AcceptedTokens int
	// Parts is how Busy splits into classes of operators.
	Parts Parts
	// Running and Waiting are sequences of a replica, and KVShare is the share of its
	// KV blocks held, 0 to 1: means over time.
	Running, Waiting, KVShare float64
	// HeldByKV, HeldBySeqs and HeldByBudget are the time during which the first
	// waiting request was kept out by a lack of KV blocks, by the number of sequences, and
	// by the token budget of a step.
	HeldByKV, HeldBySeqs, HeldByBudget time.Duration
}

// Parts is the time of steps by class of operator.
type Parts struct {
	Weights   time.Duration // matrix products that are bound by reading weights
	Compute   time.Duration // matrix products that are bound by arithmetic
	Prefill   time.Duration // attention of prompts
	Decode    time.Duration // attention of decodes: reading keys and values
	Reduce    time.Duration // all-reduce between GPUs
	Launch    time.Duration // kernels' fixed times
	Host      time.Duration // the runtime's own time between two steps and for each sequence
	HostBound time.Duration // what the host adds where it launches kernels more slowly than the GPU runs them
}

// Step is one step as a log has it.
type Step struct {
	Start      time.Duration `json:"start_ns"` // since the engine's start
	Took       time.Duration `json:"took_ns"`
	Replica    int           `json:"replica"`
	Tokens     int           `json:"tokens"`      // computed
	Sequences  int           `json:"sequences"`   // with tokens in the step
	Decodes    int           `json:"decodes"`     // of the sequences
	Drafts     int           `json:"drafts"`      // of the tokens
	Sampled    int           `json:"sampled"`     // tokens sampled
	Running    int           `json:"running"`     // sequences admitted
	Waiting    int           `json:"waiting"`     // sequences not admitted
	FreeBlocks int           `json:"free_blocks"` // KV blocks that can be had, cached ones included
	Preempted  int           `json:"preempted"`   // sequences that lost their blocks to it
	Limit      string        `json:"limit"`       // the class of operator that took the longest
}

// report describes the step that was just planned.
func (e *engine) report(start, took time.Duration, preempted int) Step {
	running, blocks, _ := e.scheduler.load()
	w := e.work
	return Step{
		Start: start, Took: took, Replica: e.replica, Tokens: w.tokens, Sequences: w.seqs, Decodes: w.decodes, Drafts: w.drafts,
		Sampled: w.sampled, Running: running, Waiting: e.waiting.len(), FreeBlocks: e.d.KVBlocks - blocks, Preempted: preempted,
		Limit: e.costs.parts(w).limit(),
	}
}

// meter adds up what an engine does.
type meter struct {
	tally
	front, busy             time.Duration
	steps, computed, output int
	parts                   parts // µs

	// What follows is integrated over time, up to seen.
	seen                     time.Duration
	running, waiting, blocks float64 // ns
	held                     obstacle
	kept                     [heldByBudget + 1]time.Duration
}

// until lets time pass in which the engine stays as it is.
func (m *meter) until(e *engine, t time.Duration) {
	if t <= m.seen {
		return
	}
	dt := t - m.seen
	m.seen = t
	running, blocks, _ := e.scheduler.load()
	m.running += float64(running) * float64(dt)
	m.blocks += float64(blocks) * float64(dt)
	m.waiting += float64(e.waiting.len()) * float64(dt)
	m.kept[m.held] += dt
}

// step counts steps of the same work.
func (m *meter) step(e *engine, w work, steps int, took time.Duration) {
	m.busy += took
	m.steps += steps
	m.computed += w.tokens * steps
	p := e.costs.parts(w)
	f := float64(took) / (1e3 * p.total()) // jitter and rounding are spread over all parts
	q := &m.parts
	q.weights += p.weights * f
	q.compute += p.compute * f
	q.prefill += p.prefill * f
	q.decode += p.decode * f
	q.reduce += p.reduce * f
	q.launch += p.launch * f
	q.host += p.host * f
	q.hostBound += p.hostBound * f
}

// usage sums over the replicas.
func (f *fleet) usage() Usage {
	var u Usage
	var t tally
	for _, e := range f.engines {
		e.settle()
		m := e.meter
		m.until(e, f.now)
		u.Elapsed += m.seen
		u.Busy += m.busy
		u.Front += m.front
		u.Steps += m.steps
		u.Computed += m.computed
		u.OutputTokens += m.output
		t.add(m.tally)
		u.Parts.add(m.parts)
		u.Running += m.running
		u.Waiting += m.waiting
		u.KVShare += m.blocks / float64(f.d.KVBlocks)
		u.HeldByKV += m.kept[heldByKV]
		u.HeldBySeqs += m.kept[heldBySeqs]
		u.HeldByBudget += m.kept[heldByBudget]
	}
	u.PromptTokens, u.CachedTokens, u.Preemptions = t.prompt, t.cached, t.preemptions
	u.Drafts, u.DraftTokens, u.AcceptedTokens = t.drafts, t.drafted, t.draftsPassed
	if u.Elapsed > 0 {
		u.Running /= float64(u.Elapsed)
		u.Waiting /= float64(u.Elapsed)
		u.KVShare /= float64(u.Elapsed)
	}
	return u
}

func (p *Parts) add(q parts) {
	const us = float64(time.Microsecond)
	p.Weights += time.Duration(q.weights * us)
	p.Compute += time.Duration(q.compute * us)
	p.Prefill += time.Duration(q.prefill * us)
	p.Decode += time.Duration(q.decode * us)
	p.Reduce += time.Duration(q.reduce * us)
	p.Launch += time.Duration(q.launch * us)
	p.Host += time.Duration(q.host * us)
	p.HostBound += time.Duration(q.hostBound * us)
}
