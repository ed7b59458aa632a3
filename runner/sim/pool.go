package sim

// pool is the KV blocks of one engine. A block is unused; or one sequence's own;
// or in the index, where every sequence finds it whose tokens, up to the
// block's end, are the same. A block of the index that nobody holds any more stays until
// it is needed, the one that has been idle for longest being given away first. It
// is one list for every runtime: the radix tree of SGLang is such an index with
// blocks of one token.
type pool struct {
	size   int // tokens of a block
	total  int // blocks
	unused int

	index map[uint64]*block // by key; nil = nothing is kept
	idle  idleBlocks
	spare []*block // taken out of the index, to be used again
}

// block is a block of the index.
type block struct {
	key        uint64
	holders    int
	prev, next *block // among the idle ones
}

func newPool(blocks, size int, keep bool) *pool {
	p := &pool{size: size, total: blocks, unused: blocks}
	if keep {
		p.index = make(map[uint64]*block)
	}
	return p
}

// free is the number of blocks that can be had.
func (p *pool) free() int { return p.unused + p.idle.n }

// blocksFor is how many blocks so many tokens take.
func (p *pool) blocksFor(tokens int) int { return (tokens + p.size - 1) / p.size }

// claim takes blocks out of the free ones, of which there must be enough.
func (p *pool) claim(n int) {
	fresh := min(n, p.unused)
	p.unused -= fresh
	for range n - fresh {
		b := p.idle.pop()
		delete(p.index, b.key)
		p.spare = append(p.spare, b)
	}
}

// grant notes that blocks which were claimed are a sequence's own.
func (p *pool) grant(s *sequence, n int) {
	s.own += n
	s.room += n * p.size
}

// match gives how many blocks in a row, from the first, the index has, and how
// many of them are idle.
func (p *pool) match(keys []uint64) (found, idle int) {
	for _, key := range keys {
		b := p.index[key]
		if b == nil {
			break
		}
		if b.holders == 0 {
			idle++
		}
		found++
	}
	return found, idle
}

// share lets a sequence hold the blocks with these keys.
func (p *pool) share(s *sequence, keys []uint64) {
	for _, key := range keys {
		b := p.index[key]
		if b.holders == 0 {
			p.idle.remove(b)
		}
		b.holders++
		s.held = append(s.held, b)
	}
	s.published = len(keys)
	s.room += len(keys) * p.size
}

// publish puts into the index what a sequence has computed, or computes in the step that
// is being planned, up to a number of tokens. A block that another sequence computed at
// the same time is there already; the copy stays the sequence's own.
func (p *pool) publish(s *sequence, tokens int) {
	if p.index == nil || s.chain.content == nil || tokens/p.size <= s.published {
		return
	}
	keys := s.chain.keys(tokens, p.size)
	for _, key := range keys[s.published:] {
		if p.index[key] != nil {
			continue
		}
		b := p.fresh()
		b.key, b.holders = key, 1
		p.index[key] = b
		s.held = append(s.held, b)
		s.own--
	}
	s.published = len(keys)
}

func (p *pool) fresh() *block {
	n := len(p.spare)
	if n == 0 {
		return new(block)
	}
	b := p.spare[n-1]
	p.spare = p.spare[:n-1]
	return b
}

// release gives back everything a sequence holds; its tokens must be computed
// again, or found. The end of a prompt goes idle before its beginning, since fewer
// sequences begin with all of it.
func (p *pool) release(s *sequence) {
	p.publish(s, s.computed)
	for i := len(s.held) - 1; i >= 0; i-- {
		b := s.held[i]
		if b.holders--; b.holders == 0 {
			p.idle.push(b)
		}
	}
	p.unused += s.own
	s.held, s.own, s.room, s.published, s.computed = s.held[:0], 0, 0, 0, 0
}

// idleBlocks is a list of blocks, the one idle for longest first.
type idleBlocks struct {
	front, back *block
	n           int
}

func (l *idleBlocks) push(b *block) {
	b.prev, b.next = l.back, nil
	if l.back == nil {
		l.front = b
	} else {
		l.back.next = b
	}
	l.back = b
	l.n++
}

func (l *idleBlocks) pop() *block {
	b := l.front
	l.remove(b)
	return b
}

func (l *idleBlocks) remove(b *block) {
	if b.prev == nil {
		l.front = b.next
	} else {
		b.prev.next = b.next
	}
	if b.next == nil {
		l.back = b.prev
	} else {
		b.next.prev = b.prev
	}
	b.prev, b.next = nil, nil
	l.n--
}
