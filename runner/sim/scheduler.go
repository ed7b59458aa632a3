package sim

import (
	"slices"
	"time"
)

// scheduler decides what each step computes. A plan is followed by exactly one
// commit.
type scheduler interface {
	// plan takes what it admits from the queue and gives the work of the step
	// that starts now. No tokens means that there is nothing to compute.
	plan(now time.Duration, waiting *queue) work
	// commit ends the planned step: it appends to emitted each sequence that got a
	// token, and to finished each of those for which it was the last one. Tokens
	// leave the server at the given time.
	commit(leaves time.Duration, emitted, finished []*sequence) (e, f []*sequence)
	// remove frees what an admitted sequence holds, between two steps.
	remove(*sequence)
	// counts gives the sequences admitted, the KV blocks held by them, and the
	// preemptions so far.
	counts() (running, blocks, preemptions int)
}

func newScheduler(d *Deployment) scheduler {
	if d.Runtime.Scheduling.Batching == Static {
		return &static{d: d}
	}
	return &continuous{d: d, policy: d.Runtime.Scheduling, free: d.KVBlocks}
}

// continuous batches by iteration as vLLM v1 does: sequences that run come
// first, in the order of their admission; what is left of the token budget goes
// to the waiting ones, and the first that does not fit stops admission.
type continuous struct {
	d      *Deployment
	policy Scheduling

	running     []*sequence // in order of admission
	chunks      []chunk     // the planned step, in the order of running
	free        int         // blocks
	preemptions int
}

// chunk is what a step computes of one sequence.
type chunk struct {
	seq *sequence
	n   int // tokens
}

func (c *continuous) counts() (running, blocks, preemptions int) {
	return len(c.running), c.d.KVBlocks - c.free, c.preemptions
}

func (c *continuous) plan(now time.Duration, waiting *queue) work {
	c.chunks = c.chunks[:0]
	budget := c.d.TokenBudget
	before := c.preemptions
	// The slice shrinks from its end when a sequence is preempted.
	for i := 0; i < len(c.running) && budget > 0; i++ {
		s := c.running[i]
		n := min(s.target()-s.computed, budget)
		if !c.grow(s, s.computed+n, waiting) {
			break
		}
		c.chunks = append(c.chunks, chunk{s, n})
		budget -= n
	}
	// Admitting after a preemption would hand the freed blocks to a newcomer.
	if c.preemptions == before {
		c.admit(now, waiting, budget)
	}
	var w work
	for _, k := range c.chunks {
		w.add(k.n, k.seq.computed)
		if k.seq.computed+k.n == k.seq.target() {
			w.sampled++
		}
	}
	return w
}

// grow gives a running sequence the blocks for so many tokens. While there are
// too few, it preempts the sequence that was admitted last; it reports false
// when that was s itself.
func (c *continuous) grow(s *sequence, tokens int, waiting *queue) bool {
	for need := c.blocksFor(tokens) - s.blocks; need > 0; {
		if need <= c.free {
			c.take(s, need)
			break
		}
		last := c.running[len(c.running)-1]
		c.running[len(c.running)-1] = nil
		c.running = c.running[:len(c.running)-1]
		c.release(last)
		last.preemptions++
		c.preemptions++
		waiting.pushFront(last)
		if last == s {
			return false
		}
	}
	return true
}

func (c *continuous) admit(now time.Duration, waiting *queue, budget int) {
	for waiting.len() > 0 && budget > 0 && len(c.running) < c.d.MaxSeqs {
		s := waiting.peek()
		n := min(s.target(), budget)
		if !c.policy.Chunked && n < s.target() {
			break
		}
		tokens := n
		if c.policy.Reserve {
			tokens = s.prompt + s.limit
		}
		need := c.blocksFor(tokens)
		if need > c.free {
			break
		}
		waiting.pop()
		c.take(s, need)
		if s.truth.Scheduled == Never {
			s.truth.Scheduled = now
		}
		c.running = append(c.running, s)
		c.chunks = append(c.chunks, chunk{s, n})
		budget -= n
	}
}

func (c *continuous) commit(leaves time.Duration, emitted, finished []*sequence) (e, f []*sequence) {
	done := false
	for _, k := range c.chunks {
		s := k.seq
		s.computed += k.n
		if s.computed < s.target() {
			continue
		}
		emitted = append(emitted, s)
		if s.emit(leaves) {
			finished = append(finished, s)
			c.release(s)
			done = true
		}
	}
	if done {
		c.running = slices.DeleteFunc(c.running, func(s *sequence) bool { return s.generated == s.output })
	}
	return emitted, finished
}

func (c *continuous) remove(s *sequence) {
	i := slices.Index(c.running, s)
	if i < 0 {
		return
	}
	c.running = slices.Delete(c.running, i, i+1)
	c.release(s)
}

func (c *continuous) blocksFor(tokens int) int { return (tokens + c.d.BlockSize - 1) / c.d.BlockSize }

func (c *continuous) take(s *sequence, blocks int) {
	s.blocks += blocks
	c.free -= blocks
}

// release gives back everything a sequence holds; its tokens must be computed again.
func (c *continuous) release(s *sequence) {
	c.free += s.blocks
	s.blocks, s.computed = 0, 0
}
