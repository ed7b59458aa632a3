package sim

import "strconv"

// archive is what a server remembers of finished requests. The oldest are forgotten
// first.
type archive struct {
	keep   int // the most that they may weigh together
	weight int
	truths map[string]Truth
	order  []filed // in the order in which they finished, from first on
	first  int
	// again has what stands in for the IDs that were sent more than once.
	again map[string]*suffixes
}

// filed is an ID in the archive, and the one that was sent, if that was in use.
type filed struct{ id, sent string }

// suffixes tells apart the requests that were sent with one ID.
type suffixes struct {
	next int // number to try
	used int // requests that have one and are not forgotten
}

// What an archive holds: a token's time weighs 1, which is 8 bytes, and all else of a
// request as much as truthWeight of them. So maxKept is about 70 MB, however short the
// answers are: 8 million tokens in one request, or 250,000 requests without any.
const (
	maxKept     = 8 << 20
	truthWeight = 32
)

func newArchive(keep int) *archive {
	return &archive{keep: keep, truths: make(map[string]Truth), again: make(map[string]*suffixes)}
}

// name gives the request an ID that is not taken: the one that was sent, or that with the
// next suffix. Each suffix that is given is filed, or lives, until it is forgotten.
func (a *archive) name(sent string, taken func(string) bool) filed {
	if !taken(sent) {
		return filed{id: sent}
	}
	s := a.again[sent]
	if s == nil {
		s = &suffixes{next: 2}
		a.again[sent] = s
	}
	s.used++
	for {
		id := sent + "-" + strconv.Itoa(s.next)
		s.next++
		if !taken(id) { // a client may have sent this one itself
			return filed{id, sent}
		}
	}
}

// add files a truth, and forgets others for it.
func (a *archive) add(t Truth, sent string) {
	a.truths[t.ID] = t
	a.order = append(a.order, filed{t.ID, sent})
	a.weight += weigh(t)
	for a.weight > a.keep && len(a.order)-a.first > 1 {
		a.forget()
	}
}

func weigh(t Truth) int { return len(t.TokenTimes) + truthWeight }

// forget drops the oldest truth. The list moves up when half of it is empty, so that
// one forgotten costs no more for a long list, and the list is at most twice too long.
func (a *archive) forget() {
	f := a.order[a.first]
	a.order[a.first] = filed{}
	a.first++
	if 2*a.first > len(a.order) {
		n := copy(a.order, a.order[a.first:])
		clear(a.order[n:])
		a.order, a.first = a.order[:n], 0
	}
	a.weight -= weigh(a.truths[f.id])
	delete(a.truths, f.id)
	if s := a.again[f.sent]; s != nil {
		if s.used--; s.used == 0 {
			delete(a.again, f.sent)
		}
	}
}
