package sim

import (
	"container/heap"
	"slices"
)

// chorus is the running sequences that decode in every step, each by one token.
// They are the first of the running ones. What all of them do alike is kept once for all,
// so that a step costs no more for a thousand of them than for one: how many steps they have
// taken, the keys they read, in which step each ends and in which it needs another
// block. A sequence's own books lag behind until they are synced.
type chorus struct {
	steps int // taken together
	read  int // keys that the next step reads
	// ends has the sequence first that ends first.
	ends ends
	// due[i] is how many members need another block in the steps whose number is i
	// modulo the tokens of a block.
	due []int
}

// len is the number of members.
func (g *chorus) len() int { return len(g.ends) }

// join takes in a sequence that decodes and got a token in the step before the next.
func (g *chorus) join(s *sequence) {
	s.joined = g.steps
	s.ends = g.steps + s.output - s.generated
	s.phase = -1
	// The last token of an answer is not computed.
	if s.room < s.prompt+s.output-1 {
		s.phase = (g.steps + s.room - s.computed + 1) % len(g.due)
		g.due[s.phase]++
	}
	g.read += s.computed + 1
	heap.Push(&g.ends, s)
}

// sync enters into a member's books the steps since it joined or was synced.
func (g *chorus) sync(s *sequence) {
	n := g.steps - s.joined
	if n == 0 {
		return
	}
	s.joined = g.steps
	s.computed += n
	s.generated += n
	if !s.closed {
		s.runs[len(s.runs)-1].steps += n
	}
}

// leave takes out a member, between two steps. Its blocks were claimed before.
func (g *chorus) leave(s *sequence, p *pool) {
	g.sync(s)
	if s.computed > s.room {
		p.grant(s, p.blocksFor(s.computed)-s.blocks())
	}
	if s.phase >= 0 {
		g.due[s.phase]--
	}
	g.read -= s.computed + 1
	heap.Remove(&g.ends, s.place)
	s.place = -1
}

// ends is a heap by the step in which a sequence ends and, within one, in the
// order of admission.
type ends []*sequence

func (e ends) Len() int { return len(e) }

func (e ends) Less(i, j int) bool {
	if e[i].ends != e[j].ends {
		return e[i].ends < e[j].ends
	}
	return e[i].admitted < e[j].admitted
}

func (e ends) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].place, e[j].place = i, j
}

func (e *ends) Push(x any) {
	s := x.(*sequence)
	s.place = len(*e)
	*e = append(*e, s)
}

func (e *ends) Pop() any {
	last := len(*e) - 1
	s := (*e)[last]
	(*e)[last] = nil
	*e = (*e)[:last]
	return s
}

// sing plans the step of the chorus, and reports false if it cannot go on as it
// did: tokens or blocks do not suffice for it and for the prompts behind it.
func (c *continuous) sing() bool {
	n := c.chorus.len()
	if n == 0 || n > c.d.TokenBudget {
		return false
	}
	need := c.chorus.due[(c.chorus.steps+1)%len(c.chorus.due)]
	if need+c.lacking(c.running[n:]) > c.pool.free() {
		return false
	}
	c.pool.claim(need)
	c.work = work{tokens: n, sampled: n, seqs: n, decodes: n, decodeRead: float64(c.chorus.read)}
	c.singing = true
	return true
}

// gather takes into the chorus, after a step, the running sequences that come next
// to it, decode, and had a token in the step. Somebody else who decodes keeps all
// from singing.
func (c *continuous) gather(step mark) {
	n := c.chorus.len()
	for ; n < len(c.running) && c.running[n].decodes() && c.running[n].lastStep() == step.n; n++ {
		c.chorus.join(c.running[n])
	}
	if slices.ContainsFunc(c.running[n:], (*sequence).decodes) {
		c.disperse()
	}
}

// disperse ends the chorus: its members are counted one by one again.
func (c *continuous) disperse() {
	for c.chorus.len() > 0 {
		c.chorus.leave(c.chorus.ends[len(c.chorus.ends)-1], c.pool)
	}
}

// advance lets the chorus have taken so many steps. Members whose answers have ended
// leave the batch.
func (c *continuous) advance(o *delivery, steps int) {
	g := &c.chorus
	g.steps += steps
	g.read += g.len() * steps
	o.tokens += g.len() * steps
	for g.len() > 0 && g.ends[0].ends == g.steps {
		s := g.ends[0]
		g.leave(s, c.pool)
		s.finish(o)
		c.remove(s)
	}
}
