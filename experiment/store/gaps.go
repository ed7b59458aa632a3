package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/inferbook/inferbook/experiment"
)

// A sample's gaps are one blob. Arrivals, cumulated from the first event, are
// rounded to 1 µs, so that rounding never adds up over a stream; the gaps between
// the rounded arrivals lie close to their median, so the difference to it fits
// one or two bytes:
//
//	uvarint median in µs, or another value near most gaps
//	per gap: uvarint 0                            the event came in the same read as the one before it
//	         uvarint 1 + zigzag(gap µs − median)  any other
//
// There is no count: an entry is at least one byte, so a decoder allocates no
// more entries than the blob has bytes.

var errGaps = errors.New("gap blob is malformed")

const microsecond = 1000 // ns

// encodeGaps gives the blob of gaps, nil for none. The sum of the gaps must fit
// an [experiment.Instant], as it does for every stream that was observed.
func encodeGaps(gaps []experiment.Gap) []byte {
	if len(gaps) == 0 {
		return nil
	}
	quantised := make([]int64, len(gaps)) // µs; −1 = same read
	apart := make([]int64, 0, len(gaps))
	var sum, before int64 // ns, µs
	for i, g := range gaps {
		if g.Shared() {
			quantised[i] = -1
			continue
		}
		sum += int64(g)
		at := sum / microsecond
		if sum%microsecond >= microsecond/2 {
			at++
		}
		quantised[i] = at - before
		before = at
		apart = append(apart, quantised[i])
	}
	median := medianOfSome(apart)
	blob := make([]byte, 0, 2*len(gaps)+4)
	blob = binary.AppendUvarint(blob, uint64(median))
	for _, q := range quantised {
		if q < 0 {
			blob = append(blob, 0)
			continue
		}
		blob = binary.AppendUvarint(blob, 1+zigzag(q-median))
	}
	return blob
}

// medianOfSome gives the median of up to 64 values spread over v, 0 for none. Any
// centre decodes; this one is near the median of all for a tenth of the time,
// which is taken from the client while it measures.
func medianOfSome(v []int64) int64 {
	if len(v) == 0 {
		return 0
	}
	var some [64]int64
	n := min(len(v), len(some))
	for i := range n {
		some[i] = v[i*len(v)/n]
	}
	slices.Sort(some[:n])
	return some[(n-1)/2]
}

// decodeGaps reads a blob of [encodeGaps]. Each gap is whole microseconds, and
// the sum of any prefix is within 0.5 µs of the true one.
func decodeGaps(blob []byte) ([]experiment.Gap, error) {
	if len(blob) == 0 {
		return nil, nil
	}
	return appendGaps(make([]experiment.Gap, 0, countVarints(blob)), blob)
}

// appendGaps reads a blob that is not empty, and adds its gaps to some: no more of them than the blob has bytes.
func appendGaps(gaps []experiment.Gap, blob []byte) ([]experiment.Gap, error) {
	m, n := binary.Uvarint(blob)
	if n <= 0 || m > math.MaxInt64/microsecond {
		return nil, fmt.Errorf("%w: no median", errGaps)
	}
	median, start := int64(m), len(gaps)
	var sum int64 // µs
	for i := n; i < len(blob); {
		// Nearly every entry is one or two bytes long.
		u := uint64(blob[i])
		switch {
		case u < 0x80:
			i++
		case i+1 < len(blob) && blob[i+1] < 0x80:
			u = u&0x7f | uint64(blob[i+1])<<7
			i += 2
		default:
			if u, n = binary.Uvarint(blob[i:]); n <= 0 {
				return nil, fmt.Errorf("%w: entry %d is cut", errGaps, len(gaps)-start)
			}
			i += n
		}
		if u == 0 {
			gaps = append(gaps, experiment.SameRead)
			continue
		}
		d := unzigzag(u - 1)
		if d < -median || d > math.MaxInt64/microsecond-median-sum {
			return nil, fmt.Errorf("%w: entry %d is out of range", errGaps, len(gaps)-start)
		}
		sum += median + d
		gaps = append(gaps, experiment.Gap((median+d)*microsecond))
	}
	return gaps, nil
}

// Tokens per event are one blob too: uvarint count, then zigzag varints. A single
// value after a count above 1 stands for all of them, as most servers send
// one token an event.

// maxRun bounds the count that a run may claim, so that a damaged blob of a few
// bytes cannot ask for gigabytes. A longer run is written out.
const maxRun = 1 << 20

var errTokens = errors.New("token blob is malformed")

// encodeTokens gives the blob of the tokens in each event, nil for none.
func encodeTokens(tokens []int32) []byte {
	if len(tokens) == 0 {
		return nil
	}
	blob := binary.AppendUvarint(make([]byte, 0, len(tokens)+3), uint64(len(tokens)))
	constant := !slices.ContainsFunc(tokens, func(t int32) bool { return t != tokens[0] })
	if constant && len(tokens) <= maxRun {
		tokens = tokens[:1]
	}
	for _, t := range tokens {
		blob = binary.AppendUvarint(blob, zigzag(int64(t)))
	}
	return blob
}

// decodeTokens reads a blob of [encodeTokens].
func decodeTokens(blob []byte) ([]int32, error) {
	if len(blob) == 0 {
		return nil, nil
	}
	count, n := binary.Uvarint(blob)
	if n <= 0 || count == 0 {
		return nil, fmt.Errorf("%w: no count", errTokens)
	}
	blob = blob[n:]
	given := uint64(countVarints(blob))
	if given != count && (given != 1 || count > maxRun) {
		return nil, fmt.Errorf("%w: %d values for a count of %d", errTokens, given, count)
	}
	tokens := make([]int32, 0, count)
	for len(blob) > 0 {
		u, n := binary.Uvarint(blob)
		t := unzigzag(u)
		if n <= 0 || t < math.MinInt32 || t > math.MaxInt32 {
			return nil, fmt.Errorf("%w: entry %d", errTokens, len(tokens))
		}
		blob = blob[n:]
		tokens = append(tokens, int32(t))
	}
	for uint64(len(tokens)) < count {
		tokens = append(tokens, tokens[0])
	}
	return tokens, nil
}

func zigzag(v int64) uint64   { return uint64(v<<1) ^ uint64(v>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// countVarints gives the number of varints that end within b.
func countVarints(b []byte) int {
	n := 0
	for _, c := range b {
		if c < 0x80 {
			n++
		}
	}
	return n
}
