package sim

import (
	"math"
	"slices"
	"time"
)

// scheduler decides what each step computes. A plan, and what it is repeated to,
// is followed by exactly one commit that ends it.
type scheduler interface {
	// plan takes what it admits from the queue and gives the work of the step
	// that starts now. No tokens means that there is nothing to compute.
	plan(now time.Duration, waiting *queue) work
	// repeat ends the planned step and plans the same again, with one key more to
	// read for each sequence, and leaves the books to the next commit. It reports false,
	// and does nothing, unless that is what commit and plan would do.
	repeat() bool
	// commit enters into the books the planned step and its repetitions, or the first
	// of them: so many steps from a mark on.
	commit(o *delivery, from mark, steps int)
	// sync lets an admitted sequence know all of its tokens that were committed.
	sync(*sequence)
	// remove frees what an admitted sequence holds, between two steps.
	remove(*sequence)
	// load gives the sequences admitted, the KV blocks they hold, and what kept
	// out the first of the waiting when the step was planned.
	load() (running, blocks int, held obstacle)
}

// obstacle is what keeps the first waiting sequence out of a step.
type obstacle int

const (
	unheld obstacle = iota
	heldByKV
	heldBySeqs
	heldByBudget
)

// tally counts what a scheduler has done.
type tally struct {
	requests                      int // sequences admitted, each counted once
	prompt, cached                int // their prompt tokens, and those of them that were found
	preemptions                   int
	drafts, drafted, draftsPassed int // verified drafts, their tokens, and those of these that were accepted
}

func (t *tally) add(o tally) {
	t.requests += o.requests
	t.prompt += o.prompt
	t.cached += o.cached
	t.preemptions += o.preemptions
	t.drafts += o.drafts
	t.drafted += o.drafted
	t.draftsPassed += o.draftsPassed
}

func newScheduler(d *Deployment, seed uint64, t *tally) scheduler {
	if d.Runtime.Scheduling.Batching == Static {
		return &static{d: d, tally: t}
	}
	return &continuous{
		d: d, seed: seed, tally: t, policy: newPolicy(d.Runtime.Scheduling),
		pool:   newPool(d.KVBlocks, d.BlockSize, d.PrefixCaching),
		chorus: chorus{due: make([]int, d.BlockSize)},
	}
}

// continuous batches by iteration: who is in the batch is decided anew for each
// step, by the policy of a runtime.
type continuous struct {
	d      *Deployment
	seed   uint64
	policy policy
	pool   *pool
	tally  *tally

	running []*sequence // in the order of admission

	chorus chorus

	// The planned step.
	singing   bool    // the chorus takes part in it, or is all of it
	chunks    []chunk // what it computes of other sequences, in the order of running
	work      work
	held      obstacle
	preempted bool // something was
	repeats   int  // since it was planned

	admissions int
}

// chunk is what a step computes of one sequence.
type chunk struct {
	seq    *sequence
	n      int // tokens, drafts not included
	drafts int
}

func (c *continuous) load() (running, blocks int, held obstacle) {
	return len(c.running), c.pool.total - c.pool.free(), c.held
}

func (c *continuous) plan(now time.Duration, waiting *queue) work {
	c.chunks, c.work, c.held = c.chunks[:0], work{}, unheld
	c.preempted, c.singing, c.repeats = false, false, 0
	c.policy.schedule(c, now, waiting)
	if c.preempted && waiting.len() > 0 {
		c.held = heldByKV
	}
	return c.work
}

// add puts tokens of a sequence into the step.
func (c *continuous) add(s *sequence, n, drafts int) {
	c.chunks = append(c.chunks, chunk{s, n, drafts})
	if drafts > 0 {
		c.work.verify(drafts, s.computed)
		return
	}
	if c.policy.early() {
		// Nothing is taken back: whoever is preempted has no tokens in the step yet, and
		// who leaves does so after it is computed.
		c.pool.publish(s, min(s.computed+n, s.prompt))
	}
	c.work.add(n, s.computed)
	if s.computed+n == s.target() {
		c.work.sampled++
	}
}

// verify puts a decode with drafts into the step: all its tokens are computed and
// sampled, and the keys are read once for all of them.
func (w *work) verify(drafts, cached int) {
	n := 1 + drafts
	w.tokens += n
	w.sampled += n
	w.seqs++
	w.decodes++
	w.drafts += drafts
	w.decodeRead += float64(cached + n)
}

// resume puts the next tokens of all running sequences into the step, in the order
// of their admission, and gives what is left of the budget.
func (c *continuous) resume(waiting *queue) int {
	if c.sing() {
		n := c.chorus.len()
		return c.resumeFrom(n, c.d.TokenBudget-n, waiting, nil)
	}
	c.disperse()
	return c.resumeFrom(0, c.d.TokenBudget, waiting, nil)
}

// resumeFrom does so for those from the i-th on that are wanted.
func (c *continuous) resumeFrom(i, budget int, waiting *queue, wanted func(*sequence) bool) int {
	// The slice shrinks when a sequence is preempted.
	for ; i < len(c.running) && budget > 0; i++ {
		s := c.running[i]
		if wanted != nil && !wanted(s) {
			continue
		}
		n, drafts := c.portion(s, budget)
		if tokens := s.computed + n + drafts; tokens > s.room && !c.grow(s, tokens, waiting) {
			break
		}
		c.add(s, n, drafts)
		budget -= n + drafts
	}
	return budget
}

// portion is what a budget lets a step compute of a running sequence.
func (c *continuous) portion(s *sequence, budget int) (n, drafts int) {
	if s.decodes() {
		return 1, max(0, min(c.d.Speculation.Tokens, s.output-s.generated-1, budget-1))
	}
	return min(s.target()-s.computed, budget, c.chunkLimit()), 0
}

// chunkLimit is the most that a step computes of one prompt.
func (c *continuous) chunkLimit() int {
	if p := c.d.Runtime.Scheduling; p.Chunked && p.LongPrefill > 0 {
		return p.LongPrefill
	}
	return math.MaxInt
}

// grow gives a running sequence the blocks for so many tokens. While there are
// too few, it preempts another one; it reports false when that was s itself.
func (c *continuous) grow(s *sequence, tokens int, waiting *queue) bool {
	need := c.pool.blocksFor(tokens) - s.blocks()
	for need > c.pool.free() {
		if c.preempt(waiting) == s {
			return false
		}
	}
	c.pool.claim(need)
	c.pool.grant(s, need)
	return true
}

// preempt takes everything away from the sequence that the policy picks, which
// goes back to the front of the queue.
func (c *continuous) preempt(waiting *queue) *sequence {
	i := c.policy.victim(c.running)
	s := c.running[i]
	c.running = slices.Delete(c.running, i, i+1)
	c.pool.release(s)
	s.preemptions++
	c.tally.preemptions++
	c.preempted = true
	waiting.pushFront(s)
	return s
}

// admit takes waiting sequences into the step, first come first served. The first
// that does not fit keeps out those behind it.
func (c *continuous) admit(now time.Duration, waiting *queue, budget int) {
	for waiting.len() > 0 {
		switch {
		case len(c.running) >= c.d.MaxSeqs:
			c.held = heldBySeqs
			return
		case budget <= 0:
			c.held = heldByBudget
			return
		}
		s := waiting.front
		found, idle := 0, 0
		var keys []uint64
		if c.pool.index != nil && s.chain.content != nil {
			// The last token is computed in any case: the next one is sampled from it.
			keys = s.chain.keys(s.target()-1, c.pool.size)
			found, idle = c.pool.match(keys)
		}
		cached := found * c.pool.size
		rest := s.target() - cached
		n := min(rest, budget, c.chunkLimit())
		if n < rest && !c.d.Runtime.Scheduling.Chunked {
			// An answer that was preempted may have outgrown the budget. It has a step
			// of its own then, or it would wait for ever.
			if c.work.tokens > 0 || s.generated == 0 {
				c.held = heldByBudget
				return
			}
			n = rest
		}
		need := c.pool.blocksFor(c.policy.hold(s, cached+n)) - found
		fits := need
		if c.d.Runtime.Scheduling.WholePrompt {
			// Only what the step needs is taken. A request that the pool can hold alone gets
			// in at the latest when nothing else runs.
			fits = max(need, c.pool.blocksFor(s.target())-found)
		}
		if fits > c.pool.free()-idle {
			c.held = heldByKV
			return
		}
		waiting.pop()
		c.pool.share(s, keys[:found])
		c.pool.claim(need)
		c.pool.grant(s, need)
		s.computed = cached
		if s.truth.Scheduled == Never {
			s.truth.Scheduled = now
			s.truth.CachedTokens = cached
			c.tally.requests++
			c.tally.prompt += s.prompt
			c.tally.cached += cached
		}
		s.admitted = c.admissions
		c.admissions++
		c.running = append(c.running, s)
		c.add(s, n, 0)
		budget -= n
	}
}

// repeat is possible while there is only the chorus. Who waits goes on waiting: nothing
// becomes free before an answer ends.
func (c *continuous) repeat() bool {
	g := &c.chorus
	planned := g.steps + c.repeats + 1
	if !c.singing || len(c.chunks) > 0 || g.ends[0].ends == planned {
		return false
	}
	need := g.due[(planned+1)%len(g.due)]
	if need > c.pool.free() {
		return false
	}
	c.pool.claim(need)
	c.repeats++
	return true
}

func (c *continuous) commit(o *delivery, from mark, steps int) {
	if c.singing {
		c.advance(o, steps)
	}
	c.repeats = 0
	if len(c.chunks) == 0 {
		return
	}
	// Only a step of the chorus alone is repeated.
	finished := len(o.finished)
	for _, k := range c.chunks {
		s := k.seq
		fresh := s.computed < s.prompt
		tokens := k.n
		if k.drafts > 0 {
			tokens += c.accept(s, k.drafts)
		}
		s.computed += tokens
		if fresh {
			c.pool.publish(s, min(s.computed, s.prompt))
		}
		switch {
		case k.drafts > 0:
			s.emit(o, from, 1, tokens)
		case s.computed == s.target():
			s.emit(o, from, 1, 1)
		}
	}
	for _, s := range o.finished[finished:] {
		c.remove(s)
	}
	if !o.each && !c.preempted && c.d.Speculation.Tokens == 0 {
		c.gather(from)
	}
}

// accept draws how many of a sequence's drafts are accepted. It depends on nothing
// but what the sequence says and how far it has come.
func (c *continuous) accept(s *sequence, drafts int) int {
	n := 0
	for n < drafts && s.chance(c.seed, s.generated+n) < c.d.Speculation.Acceptance {
		n++
	}
	c.tally.drafts++
	c.tally.drafted += drafts
	c.tally.draftsPassed += n
	return n
}

// chance is a number from 0 up to 1 for a token of the sequence's answer.
func (s *sequence) chance(seed uint64, token int) float64 {
	x := seed ^ fold(s.truth.ID)
	if s.chain.content != nil {
		x = seed ^ s.chain.content.digest
	}
	x += uint64(token) * 0x9e3779b97f4a7c15
	// The finaliser of SplitMix64.
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return float64((x^x>>31)>>11) / (1 << 53)
}

func (c *continuous) sync(s *sequence) {
	if s.place >= 0 {
		c.chorus.sync(s)
	}
}

func (c *continuous) remove(s *sequence) {
	if s.place >= 0 {
		c.chorus.leave(s, c.pool)
	}
	if i := slices.Index(c.running, s); i >= 0 {
		c.running = slices.Delete(c.running, i, i+1)
		c.pool.release(s)
	}
}
