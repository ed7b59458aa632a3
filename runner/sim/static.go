package sim

import (
	"slices"
	"time"
)

// static runs one batch at a time, as generate of Hugging Face transformers
// does: it takes up to MaxSeqs of the waiting, pads their prompts to the longest, and computes all
// of them in each step until the longest answer ends. A sequence whose answer
// has ended, or whose client has left, still takes its share of every step, and
// nobody joins. Memory is contiguous, so the longest possible answer is
// reserved for each.
type static struct {
	d *Deployment

	batch   []*sequence // as it was started; nil = left
	alive   int         // sequences with tokens to come
	padded  int         // tokens of the longest prompt
	steps   int         // committed steps of this batch
	reserve int         // tokens of KV held for each sequence
}

func (s *static) counts() (running, blocks, preemptions int) {
	return s.alive, len(s.batch) * s.reserve, 0
}

func (s *static) plan(now time.Duration, waiting *queue) work {
	if s.alive == 0 {
		s.start(now, waiting)
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
	return w
}

// start takes the longest run of waiting sequences that fits.
func (s *static) start(now time.Duration, waiting *queue) {
	s.batch, s.steps, s.padded, s.reserve = s.batch[:0], 0, 0, 0
	longest := 0
	for waiting.len() > 0 && len(s.batch) < s.d.MaxSeqs {
		q := waiting.peek()
		padded, limit := max(s.padded, q.prompt), max(longest, q.limit)
		if (len(s.batch)+1)*(padded+limit) > s.d.KVTokens && len(s.batch) > 0 {
			break
		}
		s.padded, longest = padded, limit
		q.truth.Scheduled = now
		s.batch = append(s.batch, waiting.pop())
	}
	s.alive, s.reserve = len(s.batch), s.padded+longest
}

func (s *static) commit(leaves time.Duration, emitted, finished []*sequence) (e, f []*sequence) {
	s.steps++
	for i, q := range s.batch {
		if q == nil {
			continue
		}
		emitted = append(emitted, q)
		if q.emit(leaves) {
			finished = append(finished, q)
			s.alive--
			s.batch[i] = nil
		}
	}
	s.clear()
	return emitted, finished
}

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
