package sim

// router picks the replica that serves an arrival. It knows what it has routed
// and what has been answered, and nothing of what goes on inside.
type router interface {
	route(s *sequence, engines []*engine) int
	// answered is told of a sequence whose last token passes.
	answered(s *sequence)
}

func newRouter(d *Deployment) router {
	switch d.Router {
	case LeastOutstanding:
		return &leastOutstanding{}
	case PrefixAffinity:
		// It remembers as many blocks as the replicas have.
		return &prefixAffinity{size: d.BlockSize, most: d.Replicas * d.KVBlocks, index: make(map[uint64]*place)}
	default:
		return &roundRobin{}
	}
}

// roundRobin gives each replica its turn.
type roundRobin struct{ next int }

func (r *roundRobin) route(_ *sequence, engines []*engine) int {
	i := r.next % len(engines)
	r.next = i + 1
	return i
}

func (*roundRobin) answered(*sequence) {}

// leastOutstanding takes the replica with the fewest requests that are not
// finished; among several it is the next in turn.
type leastOutstanding struct{ turn roundRobin }

func (r *leastOutstanding) route(s *sequence, engines []*engine) int {
	start := r.turn.next % len(engines)
	best := start
	for k := range engines {
		if i := (start + k) % len(engines); engines[i].outstanding < engines[best].outstanding {
			best = i
		}
	}
	r.turn.next = best + 1
	return best
}

func (*leastOutstanding) answered(*sequence) {}

// prefixAffinity takes the replica that last served the longest part of the
// prompt's beginning, answers included, so that its cache has it, if that is more than half of the prompt:
// a system prompt that everybody sends should not draw everybody to one replica.
// Else it takes the one with the fewest outstanding requests, and so it does where loads
// have come apart: by 64 requests and half as many again, as SGLang's router has it by
// default, which follows a third of a prompt already.
type prefixAffinity struct {
	rest  leastOutstanding
	size  int
	most  int // blocks to remember
	index map[uint64]*place
	// The places in a ring, from the one not heard of for longest on.
	oldest *place
}

// place is where the prompts went that begin with a block.
type place struct {
	key        uint64
	replica    int
	prev, next *place
}

func (r *prefixAffinity) route(s *sequence, engines []*engine) int {
	keys := s.chain.keys(s.prompt, r.size)
	found := 0
	for found < len(keys) && r.index[keys[found]] != nil {
		found++
	}
	least, most := engines[0].outstanding, engines[0].outstanding
	for _, e := range engines {
		least, most = min(least, e.outstanding), max(most, e.outstanding)
	}
	i := 0
	if 2*found > len(keys) && !(most-least > 64 && 2*most > 3*least) {
		i = r.index[keys[found-1]].replica
	} else {
		i = r.rest.route(s, engines)
	}
	r.rememberAll(keys, i)
	return i
}

// answered remembers the answer too: a conversation's next turn begins with it.
func (r *prefixAffinity) answered(s *sequence) {
	r.rememberAll(s.chain.keys(s.prompt+s.output-1, r.size), s.engine.replica)
}

func (r *prefixAffinity) rememberAll(keys []uint64, replica int) {
	// The end first, so that the beginning is remembered for longer.
	for k := len(keys) - 1; k >= 0; k-- {
		r.remember(keys[k], replica)
	}
}

func (r *prefixAffinity) remember(key uint64, replica int) {
	p := r.index[key]
	switch {
	case p != nil:
		r.unlink(p)
	case len(r.index) < r.most:
		p = new(place)
	default:
		p = r.oldest
		r.unlink(p)
		delete(r.index, p.key)
	}
	p.key, p.replica = key, replica
	r.index[key] = p
	if r.oldest == nil {
		p.prev, p.next = p, p
		r.oldest = p
		return
	}
	p.prev, p.next = r.oldest.prev, r.oldest
	p.prev.next, p.next.prev = p, p
}

func (r *prefixAffinity) unlink(p *place) {
	if p.next == p {
		r.oldest = nil
		return
	}
	if r.oldest == p {
		r.oldest = p.next
	}
	p.prev.next, p.next.prev = p.next, p.prev
}
