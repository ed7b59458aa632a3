package sim

import "time"

// agenda is a time for each of many, with the earliest at hand: a tree whose inner nodes
// have the earlier one of the two below them. What there is to know of all replicas
// costs no walk along them then.
type agenda struct {
	leaves int             // a power of two
	at     []time.Duration // the root is 1, and below i are 2i and 2i+1
}

func newAgenda(n int) agenda {
	t := agenda{leaves: 1}
	for t.leaves < n {
		t.leaves *= 2
	}
	t.at = make([]time.Duration, 2*t.leaves)
	for i := range t.at {
		t.at[i] = forever
	}
	return t
}

func (t *agenda) set(i int, at time.Duration) {
	k := t.leaves + i
	for t.at[k] != at {
		t.at[k] = at
		if k /= 2; k == 0 {
			return
		}
		at = min(t.at[2*k], t.at[2*k+1])
	}
}

// earliest is the earliest of all; forever = there is none.
func (t *agenda) earliest() time.Duration { return t.at[1] }

// others is the earliest of all but one.
func (t *agenda) others(i int) time.Duration {
	at := forever
	for k := t.leaves + i; k > 1; k /= 2 {
		at = min(at, t.at[k^1])
	}
	return at
}

// from gives the first, from the i-th on, whose time is not over another; −1 = none.
func (t *agenda) from(i int, until time.Duration) int {
	if i >= t.leaves {
		return -1
	}
	k := t.leaves + i
	for t.at[k] > until {
		for k%2 == 1 { // all below the node above have been seen
			if k == 1 {
				return -1
			}
			k /= 2
		}
		k++
	}
	for k < t.leaves {
		if k *= 2; t.at[k] > until {
			k++
		}
	}
	return k - t.leaves
}
