// Package lag counts how late things were.
//
// It believes that an instrument's own delays are worth every one of them, and
// not their memory: millions go into a histogram of one size, whose quantiles
// are as good as those of the list.
package lag

import (
	"math"
	"math/bits"
)

// Histogram counts durations in nanoseconds and takes the same little memory
// (42 KB) however many: 128 buckets to each power of two, so that a
// quantile is exact below 256 ns and within 0.4 % above. What is less than 0
// counts as 0, what is over three days as three days. Its zero value is empty. It is not safe
// for concurrent use.
type Histogram struct {
	counts []uint64
	n      int
	max    int64
}

const (
	fineBits = 7  // a bucket is 2⁻⁷ of its power of two wide
	allBits  = 48 // 2⁴⁸ ns is 3.3 days
)

// Add counts one duration.
func (h *Histogram) Add(ns int64) {
	if h.counts == nil {
		h.counts = make([]uint64, (allBits-fineBits+1)<<fineBits)
	}
	ns = min(max(ns, 0), 1<<allBits-1)
	shift := max(bits.Len64(uint64(ns))-fineBits-1, 0)
	h.counts[shift<<fineBits+int(ns>>shift)]++
	h.n++
	h.max = max(h.max, ns)
}

// Quantile gives the q-quantile by nearest rank, q in (0, 1]; −1
// where nothing was counted.
func (h *Histogram) Quantile(q float64) int64 {
	if h.n == 0 {
		return -1
	}
	rank := uint64(math.Ceil(q * float64(h.n)))
	for i, count := range h.counts {
		if rank > count {
			rank -= count
			continue
		}
		shift := max(i>>fineBits-1, 0)
		low := int64(i-shift<<fineBits) << shift
		return min(low+int64(1)<<shift/2, h.max)
	}
	return h.max
}

// N is how many were counted.
func (h *Histogram) N() int { return h.n }

// Max is the maximum, exactly; −1 where nothing was counted.
func (h *Histogram) Max() int64 {
	if h.n == 0 {
		return -1
	}
	return h.max
}
