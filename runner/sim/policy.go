package sim

import "time"

// policy is how a runtime forms its steps and deals with the blocks it has.
type policy interface {
	// schedule puts into the step that starts now what the runtime computes in it.
	schedule(c *continuous, now time.Duration, waiting *queue)
	// hold is for how many tokens a sequence gets blocks when it is admitted, n of
	// its tokens being there after the step.
	hold(s *sequence, n int) int
	// victim picks from the running sequences, in the order of their admission, the
	// one that gives up its blocks when there are too few.
	victim(running []*sequence) int
	// early says that the blocks of a prompt can be found from when they are scheduled
	// on, by those admitted later in the same step; else from when they are computed.
	early() bool
}

func newPolicy(s Scheduling) policy {
	var p policy = mixed{}
	if s.Batching == PrefillFirst {
		p = prefillFirst{retract: s.Chunked}
	}
	if s.Reserve {
		p = reserving{p}
	}
	return p
}

// mixed is the scheduler of vLLM v1: sequences that run come first, in the order of
// their admission; what is left of the token budget goes to the waiting ones. Blocks
// are taken as tokens come. When they run out, the sequence that was admitted
// last is preempted and computed again later.
type mixed struct{}

func (mixed) schedule(c *continuous, now time.Duration, waiting *queue) {
	budget := c.resume(waiting)
	// Admitting after a preemption would hand the freed blocks to a newcomer.
	if !c.preempted {
		c.admit(now, waiting, budget)
	}
}

func (mixed) hold(_ *sequence, n int) int { return n }

func (mixed) victim(running []*sequence) int { return len(running) - 1 }

// early is how vLLM v1 has it: allocate_slots puts blocks into its cache before the step
// that computes them.
func (mixed) early() bool { return true }

// prefillFirst computes prompts while there are any that can be admitted, and
// answers only in steps without them. It is the scheduler of vLLM 0.4 and 0.5, which
// computes whole prompts and preempts the sequence admitted last, and of SGLang,
// which computes them in chunks and retracts. A prompt has all its blocks from
// the start, as both require room for the whole of it.
type prefillFirst struct {
	// retract gives up the answer with the fewest tokens, and among several the one
	// with the longest prompt, as SGLang's ScheduleBatch.retract_decode does. SGLang's
	// estimate of how long answers will grow, which holds back admissions, is left out.
	retract bool
}

func (p prefillFirst) schedule(c *continuous, now time.Duration, waiting *queue) {
	budget := c.resumeFrom(c.chorus.len(), c.d.TokenBudget, waiting, func(s *sequence) bool { return !s.decodes() })
	c.admit(now, waiting, budget)
	if len(c.chunks) > 0 {
		c.disperse() // it pauses
		return
	}
	if c.sing() {
		return
	}
	c.disperse()
	// Who is given up is decided before the step, so that whoever stays decodes in it.
	for len(c.running) > 0 && c.lacking(c.running) > c.pool.free() {
		c.preempt(waiting)
	}
	c.resumeFrom(0, c.d.TokenBudget, waiting, nil)
}

// lacking is how many blocks a step needs that computes all it may of these sequences.
func (c *continuous) lacking(running []*sequence) int {
	need := 0
	for _, s := range running {
		n, drafts := c.portion(s, c.d.TokenBudget)
		if tokens := s.computed + n + drafts; tokens > s.room {
			need += c.pool.blocksFor(tokens) - s.blocks()
		}
	}
	return need
}

func (prefillFirst) hold(s *sequence, _ int) int { return s.target() }

func (p prefillFirst) victim(running []*sequence) int {
	last := len(running) - 1
	if !p.retract {
		return last
	}
	best := last
	for i := last - 1; i >= 0; i-- {
		a, b := running[i], running[best]
		if a.generated < b.generated || a.generated == b.generated && a.prompt > b.prompt {
			best = i
		}
	}
	return best
}

func (prefillFirst) early() bool { return false }

// reserving is TensorRT-LLM's GUARANTEED_NO_EVICT, on top of a way to form steps:
// a sequence is admitted when there are blocks for the longest answer it may
// give, so that nothing is ever preempted.
type reserving struct{ policy }

func (reserving) hold(s *sequence, _ int) int { return s.prompt + s.limit }

// TensorRT-LLM stores blocks for reuse once they are filled.
func (reserving) early() bool { return false }
