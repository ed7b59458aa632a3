package sim

import (
	"slices"
	"time"
)

// sequence is a request inside the engine.
type sequence struct {
	truth  Truth
	prompt int
	limit  int // tokens it is allowed to produce
	output int // tokens it will produce
	chain  chain

	generated   int // output tokens computed
	computed    int // tokens with keys and values in the pool
	blocks      int // KV blocks held
	preemptions int

	// closed says that the truth is final: the last token has left, or the client.
	closed bool
	// stream is where the server delivers tokens; nil in a Loop.
	stream *stream
}

// target is how many tokens must have keys and values before the next token
// can be sampled.
func (s *sequence) target() int { return s.prompt + s.generated }

// emit counts one computed token, which leaves the server at the given time.
// It reports whether it was the last.
func (s *sequence) emit(leaves time.Duration) bool {
	s.generated++
	last := s.generated == s.output
	if s.closed {
		return last
	}
	t := &s.truth
	if s.generated == 1 {
		t.FirstToken = leaves
		t.TokenTimes = make([]time.Duration, 0, s.output)
	}
	t.TokenTimes = append(t.TokenTimes, leaves)
	t.OutputTokens = s.generated
	if last {
		t.Finish = leaves
		t.FinishReason = FinishLength
		if s.output < s.limit {
			t.FinishReason = FinishStop
		}
	}
	return last
}

// abort closes the truth of a sequence whose client went away. What would have
// come to pass later is taken back.
func (s *sequence) abort(at time.Duration) {
	t := &s.truth
	if t.Ready > at {
		t.Ready = Never
	}
	n, _ := slices.BinarySearch(t.TokenTimes, at+1)
	t.TokenTimes = t.TokenTimes[:n:n]
	t.OutputTokens = n
	if n == 0 {
		t.FirstToken = Never
	}
	t.Finish, t.FinishReason = at, FinishAbort
	s.close()
}

func (s *sequence) close() {
	s.truth.Preemptions = s.preemptions
	s.closed = true
}

// queue is a first-in-first-out queue that can be put back at the front.
type queue struct {
	items []*sequence
	head  int
}

func (q *queue) len() int         { return len(q.items) - q.head }
func (q *queue) peek() *sequence  { return q.items[q.head] }
func (q *queue) push(s *sequence) { q.items = append(q.items, s) }

// all gives the queued sequences in order. It is valid until the next change.
func (q *queue) all() []*sequence { return q.items[q.head:] }

func (q *queue) pop() *sequence {
	s := q.items[q.head]
	q.items[q.head] = nil
	q.head++
	if q.head > 64 && q.head > len(q.items)/2 {
		q.items = slices.Delete(q.items, 0, q.head)
		q.head = 0
	}
	return s
}

func (q *queue) pushFront(s *sequence) {
	if q.head > 0 {
		q.head--
		q.items[q.head] = s
		return
	}
	q.items = slices.Insert(q.items, 0, s)
}

// remove takes a sequence out of the middle and reports whether it was there.
func (q *queue) remove(s *sequence) bool {
	i := slices.Index(q.all(), s)
	if i < 0 {
		return false
	}
	q.items = slices.Delete(q.items, q.head+i, q.head+i+1)
	return true
}
