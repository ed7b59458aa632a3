package sim

import (
	"math"
	"slices"
	"time"
)

// static runs one batch at a time, as generate of Hugging Face transformers
// does: it takes up to MaxSeqs of the waiting, pads their prompts to the longest, and computes all
// of them in each step until the longest answer ends. A sequence whose answer
// has ended, or whose client has left, still takes its share of every step, and
// nobody joins. Memory is contiguous, so the longest possible answer is
// reserved for each. It knows neither a prefix cache nor drafts.
type static struct {
	d     *Deployment
	tally *tally

	batch   []*sequence // as it was started; nil = left
	alive   int         // sequences with tokens to come
	padded  int         // tokens of the longest prompt
	steps   int         // committed steps of this batch
	reserve int         // tokens of KV held for each sequence
	held    obstacle
	left    int // repetitions of the planned step before an answer ends; −1 = not counted
}

func (s *static) load() (running, blocks int, held obstacle) {
	return s.alive, len(s.batch) * s.reserve / s.d.BlockSize, s.held
}

func (s *static) plan(now time.Duration, waiting *queue) work {
	s.held = unheld
	if s.alive == 0 {
		s.start(now, waiting)
	} else if waiting.len() > 0 {
		s.held = heldBySeqs
	}
	w := work{}
	for range s.batch {
		if s.steps == 0 {
			w.add(s.padded, 0)
		} else {
			w.add(1, s.padded+s.steps-1)
		}
	}
	w.sampled = len(s.batch)
	s.left = -1
	return w
}

// start takes the longest run of waiting sequences that fits.
func (s *static) start(now time.Duration, waiting *queue) {
	s.batch, s.steps, s.padded, s.reserve = s.batch[:0], 0, 0, 0
	longest := 0
	for waiting.len() > 0 {
		if len(s.batch) == s.d.MaxSeqs {
			s.held = heldBySeqs
			break
		}
		q := waiting.front
		padded, limit := max(s.padded, q.prompt), max(longest, q.limit)
		if (len(s.batch)+1)*(padded+limit) > s.d.KVTokens && len(s.batch) > 0 {
			s.held = heldByKV
			break
		}
		s.padded, longest = padded, limit
		q.truth.Scheduled = now
		s.tally.requests++
		s.tally.prompt += q.prompt
		s.batch = append(s.batch, waiting.pop())
	}
	s.alive, s.reserve = len(s.batch), s.padded+longest
}

func (s *static) repeat() bool {
	if s.steps == 0 {
		return false
	}
	if s.left < 0 {
		s.left = math.MaxInt
		for _, q := range s.batch {
			if q != nil {
				s.left = min(s.left, q.output-q.generated-1)
			}
		}
	}
	if s.left == 0 {
		return false
	}
	s.left--
	return true
}

func (s *static) commit(o *delivery, from mark, steps int) {
	s.steps += steps
	for i, q := range s.batch {
		if q == nil {
			continue
		}
		q.emit(o, from, steps, 1)
		if q.generated == q.output {
			s.alive--
			s.batch[i] = nil
		}
	}
	s.clear()
}

func (s *static) sync(*sequence) {}

func (s *static) remove(q *sequence) {
	i := slices.Index(s.batch, q)
	if i < 0 {
		return
	}
	s.batch[i] = nil
	s.alive--
	s.clear()
}

// clear frees the memory of a batch that has come to its end.
func (s *static) clear() {
	if s.alive == 0 {
		s.batch, s.reserve = s.batch[:0], 0
	}
}
