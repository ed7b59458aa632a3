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
	engine *engine // that it was routed to

	generated   int // output tokens computed
	computed    int // tokens with keys and values in the pool
	preemptions int

	held      []*block // blocks that others may hold too
	own       int      // blocks that it alone holds
	room      int      // tokens that its blocks have room for
	published int      // blocks of its chain that were looked up or put into the index

	admitted int // number of its admission
	place    int // in the chorus; −1 = it is no member
	joined   int // the chorus' step up to which its books are kept
	ends     int // the chorus' step that gives its last token
	phase    int // of the chorus' steps in which it needs another block; −1 = none

	runs  []run // when its tokens left the server
	first [2]run

	// closed says that the truth is final: the last token has left, or the client.
	closed bool
	// stream is where the server delivers tokens; nil in a Loop.
	stream *stream

	prev, next *sequence // in a queue
	in         *queue
}

func newSequence(r Request) *sequence {
	if r.Content != nil {
		r.PromptTokens = r.Content.Tokens()
	}
	s := &sequence{
		truth: Truth{
			ID: r.ID, Arrive: r.Arrive, Ready: Never, Scheduled: Never, FirstToken: Never, Finish: Never,
			PromptTokens: r.PromptTokens,
		},
		prompt: r.PromptTokens, limit: r.MaxTokens, output: r.OutputTokens,
		chain: chain{content: r.Content}, place: -1,
	}
	s.runs = s.first[:0]
	return s
}

// target is how many tokens must have keys and values before the next token
// can be sampled.
func (s *sequence) target() int { return s.prompt + s.generated }

// decodes says that its next token is all that is left to compute.
func (s *sequence) decodes() bool { return s.generated > 0 && s.computed+1 == s.target() }

// blocks is how many KV blocks it holds.
func (s *sequence) blocks() int { return len(s.held) + s.own }

// emit counts the tokens that it got in so many steps in a row, the same number
// in each. Those of the last step leave the server with the delivery.
func (s *sequence) emit(o *delivery, from mark, steps, each int) {
	s.generated += steps * each
	o.tokens += steps * each
	if o.each {
		for range steps * each {
			o.emitted = append(o.emitted, s)
		}
	}
	if !s.closed {
		if s.truth.FirstToken == Never {
			s.truth.FirstToken = o.at
		}
		if n := len(s.runs); n > 0 && s.runs[n-1].each == each && s.runs[n-1].from.n+s.runs[n-1].steps == from.n {
			s.runs[n-1].steps += steps
		} else {
			s.runs = append(s.runs, run{from, steps, each})
		}
	}
	if s.generated == s.output {
		s.finish(o)
	}
}

// finish says that its last token leaves with the delivery.
func (s *sequence) finish(o *delivery) {
	o.finished = append(o.finished, s)
	if s.closed {
		return
	}
	s.truth.Finish = o.at
	s.truth.FinishReason = FinishLength
	if s.output < s.limit {
		s.truth.FinishReason = FinishStop
	}
}

// lastStep is the number of the last step that gave it a token; −1 without one.
func (s *sequence) lastStep() int {
	if len(s.runs) == 0 {
		return -1
	}
	r := s.runs[len(s.runs)-1]
	return r.from.n + r.steps - 1
}

// abort closes the truth of a sequence whose client went away. What would have
// come to pass later is taken back.
func (s *sequence) abort(at time.Duration, times bool) {
	t := &s.truth
	if t.Ready > at {
		t.Ready = Never
	}
	left := tokenTimes(s.runs, s.generated)
	n, _ := slices.BinarySearch(left, at+1)
	if n == 0 {
		t.FirstToken = Never
	} else if times {
		t.TokenTimes = left[:n:n]
	}
	t.OutputTokens = n
	t.Finish, t.FinishReason = at, FinishAbort
	s.close()
}

// end closes the truth of a sequence whose last token has left.
func (s *sequence) end(times bool) {
	if times {
		s.truth.TokenTimes = tokenTimes(s.runs, s.generated)
	}
	s.truth.OutputTokens = s.generated
	s.close()
}

func (s *sequence) close() {
	s.truth.Preemptions = s.preemptions
	s.closed = true
	s.runs = nil
}

// stepLog is when the tokens of each step left the server. It is kept in pages,
// each of which knows the next one only: a page that no sequence refers to any more is
// the garbage collector's.
type stepLog struct {
	last *logPage
	n    int // steps so far
}

// pageSteps is the number of steps in a page.
const pageSteps = 256

type logPage struct {
	at   [pageSteps]time.Duration
	next *logPage
}

// mark is a step in the log.
type mark struct {
	page *logPage
	n    int // counted from the first step of all
}

// run is steps in a row, in each of which a sequence got as many tokens.
type run struct {
	from        mark
	steps, each int
}

func (l *stepLog) add(at time.Duration) mark {
	i := l.n % pageSteps
	if i == 0 {
		p := new(logPage)
		if l.last != nil {
			l.last.next = p
		}
		l.last = p
	}
	l.last.at[i] = at
	l.n++
	return mark{l.last, l.n - 1}
}

// tokenTimes writes out the time of each token of the runs, n in all.
func tokenTimes(runs []run, n int) []time.Duration {
	out := make([]time.Duration, 0, n)
	for _, r := range runs {
		p, i := r.from.page, r.from.n%pageSteps
		for left := r.steps; left > 0; {
			at := p.at[i:min(i+left, pageSteps)]
			if r.each == 1 {
				out = append(out, at...)
			} else {
				for _, t := range at {
					for range r.each {
						out = append(out, t)
					}
				}
			}
			left -= len(at)
			p, i = p.next, 0
		}
	}
	return out
}

// queue is a first-in-first-out queue that can be put back at the front, and left
// from anywhere. A sequence is in one queue at most.
type queue struct {
	front, back *sequence
	n           int
}

func (q *queue) len() int { return q.n }

func (q *queue) push(s *sequence) {
	s.in, s.prev, s.next = q, q.back, nil
	if q.back == nil {
		q.front = s
	} else {
		q.back.next = s
	}
	q.back = s
	q.n++
}

func (q *queue) pushFront(s *sequence) {
	s.in, s.prev, s.next = q, nil, q.front
	if q.front == nil {
		q.back = s
	} else {
		q.front.prev = s
	}
	q.front = s
	q.n++
}

func (q *queue) pop() *sequence {
	s := q.front
	q.remove(s)
	return s
}

// remove takes a sequence out and reports whether it was there.
func (q *queue) remove(s *sequence) bool {
	if s.in != q {
		return false
	}
	if s.prev == nil {
		q.front = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		q.back = s.prev
	} else {
		s.next.prev = s.prev
	}
	s.in, s.prev, s.next = nil, nil, nil
	q.n--
	return true
}
