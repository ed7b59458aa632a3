package analysis

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/inferbook/inferbook/experiment"
)

// gaps holds the time between the events of a point's successful streams, in
// microseconds of 32 bits: 4 bytes a gap and no more, so that 40 million of them
// stay in 160 MB. A gap of 71 minutes or longer is held as 71 minutes.
//
// Blocks instead of one slice keep the peak at the sum: a slice that grows holds
// its old and its new array for a moment.
type gaps struct {
	blocks [][]uint32
	ends   []int // running number of gaps after each request that has any
	n      int
	shared int     // gaps whose event came in one read with the one before
	sum    float64 // µs
	square float64 // sum of squares, µs²
	least  uint32
	most   uint32
}

const gapBlock = 1 << 16

// add takes the gaps of one request.
func (g *gaps) add(list []experiment.Gap) {
	if len(list) == 0 {
		return
	}
	for _, gap := range list {
		us := uint32(min((int64(gap.Duration())+500)/1000, math.MaxUint32))
		last := len(g.blocks) - 1
		if last < 0 || len(g.blocks[last]) == gapBlock {
			g.blocks = append(g.blocks, make([]uint32, 0, gapBlock))
			last++
		}
		g.blocks[last] = append(g.blocks[last], us)
		if gap.Shared() {
			g.shared++
		}
		if g.n == 0 || us < g.least {
			g.least = us
		}
		g.most = max(g.most, us)
		g.sum += float64(us)
		g.square += float64(us) * float64(us)
		g.n++
	}
	g.ends = append(g.ends, g.n)
}

// distribution describes the gaps under a metric, in milliseconds. The interval
// of a quantile treats requests, not gaps, as independent: gaps of one stream
// share a prompt, a place in the batch and a connection.
func (g *gaps) distribution(m Metric) Distribution {
	d := distribution(m, nil)
	if g.n == 0 {
		return d
	}
	d.N, d.Mean, d.Min, d.Max = g.n, g.sum/float64(g.n)/1e3, float64(g.least)/1e3, float64(g.most)/1e3

	var ranks []int
	for _, q := range shownQuantiles {
		lo, _ := position(g.n, q)
		ranks = append(ranks, lo, min(lo+1, g.n-1))
	}
	at := g.order(ranks)
	values := make([]float64, len(shownQuantiles)) // µs
	for i, q := range shownQuantiles {
		_, frac := position(g.n, q)
		lo, hi := float64(at[2*i]), float64(at[2*i+1])
		values[i] = lo + frac*(hi-lo)
	}

	lows, highs := g.intervals(values)
	for i, q := range shownQuantiles {
		v := values[i] / 1e3
		e := single(v, g.n)
		e.Low, e.High = min(lows[i], v), max(highs[i], v)
		if w := countWarning(g.n, q); w != "" {
			e.Warnings = append(e.Warnings, w)
		}
		if !e.Bounded() {
			e.Warnings = append(e.Warnings, fmt.Sprintf("%s of the gaps comes from %s, too few for a two-sided interval between requests.",
				percentile(q), plural(len(g.ends), "request")))
		}
		*d.quantile(i) = e
	}
	return d
}

// leastClusters is the number of requests from which the spread between them is
// taken as known well enough for an interval.
const leastClusters = 10

// intervals bounds each quantile as Woodruff (1952) does: the standard error of
// the share of gaps up to the value, from the spread of that share between
// requests, gives two shares, and the gaps at those are the bounds. It is never
// narrower than if the gaps were independent. The bounds are in milliseconds.
func (g *gaps) intervals(values []float64) (lows, highs []float64) {
	lows, highs = make([]float64, len(values)), make([]float64, len(values))
	for i := range values {
		lows[i], highs[i] = math.Inf(-1), math.Inf(1)
	}
	k := len(g.ends)
	if k < leastClusters {
		return lows, highs
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(k - 1)}.Quantile(1 - tail)
	var ranks []int
	var bounds []*float64
	for i, se := range g.shareErrors(values) {
		q := shownQuantiles[i]
		half := t * max(se, math.Sqrt(q*(1-q)/float64(g.n)))
		if lo := q - half; lo > 0 {
			ranks, bounds = append(ranks, int(lo*float64(g.n))), append(bounds, &lows[i])
		}
		if hi := q + half; hi < 1 {
			ranks, bounds = append(ranks, min(int(math.Ceil(hi*float64(g.n))), g.n-1)), append(bounds, &highs[i])
		}
	}
	for i, us := range g.order(ranks) {
		*bounds[i] = float64(us) / 1e3
	}
	return lows, highs
}

// shareErrors gives, for each value in µs, the standard error of the share of
// gaps up to it, as a ratio estimate over requests.
func (g *gaps) shareErrors(values []float64) []float64 {
	limits := make([]uint32, len(values))
	for i, v := range values {
		limits[i] = uint32(v) // gaps are whole, so gap ≤ v is gap ≤ ⌊v⌋
	}
	k := len(g.ends)
	counts := make([]int, k*len(limits)) // gaps up to each limit, request by request
	request, i := 0, 0
	for _, block := range g.blocks {
		for _, us := range block {
			for i >= g.ends[request] {
				request++
			}
			row := counts[request*len(limits):][:len(limits)]
			for j, limit := range limits {
				if us <= limit {
					row[j]++
				}
			}
			i++
		}
	}
	errs := make([]float64, len(limits))
	for j := range limits {
		total := 0
		for r := range k {
			total += counts[r*len(limits)+j]
		}
		share, squares, start := float64(total)/float64(g.n), 0.0, 0
		for r := range k {
			d := float64(counts[r*len(limits)+j]) - share*float64(g.ends[r]-start)
			squares += d * d
			start = g.ends[r]
		}
		errs[j] = math.Sqrt(squares*float64(k)/float64(k-1)) / float64(g.n)
	}
	return errs
}

// order gives the gaps at the 0-based ranks, without sorting or copying: one
// pass counts the upper 16 bits of all gaps, one more the lower 16 bits of those
// that share their upper bits with an answer.
func (g *gaps) order(ranks []int) []uint32 {
	const bins = 1 << 16
	upper := make([]int, g.most>>16+1)
	for _, block := range g.blocks {
		for _, us := range block {
			upper[us>>16]++
		}
	}
	for i := 1; i < len(upper); i++ {
		upper[i] += upper[i-1]
	}
	lower := make([][]int, len(upper)) // nil where no answer lies
	tops := make([]int, len(ranks))
	for i, rank := range ranks {
		tops[i] = sort.Search(len(upper), func(b int) bool { return upper[b] > rank })
		if lower[tops[i]] == nil {
			lower[tops[i]] = make([]int, bins)
		}
	}
	for _, block := range g.blocks {
		for _, us := range block {
			if l := lower[us>>16]; l != nil {
				l[us&(bins-1)]++
			}
		}
	}
	for _, top := range slices.Compact(slices.Sorted(slices.Values(tops))) {
		for i := 1; i < bins; i++ {
			lower[top][i] += lower[top][i-1]
		}
	}
	out := make([]uint32, len(ranks))
	for i, top := range tops {
		rank := ranks[i]
		if top > 0 {
			rank -= upper[top-1]
		}
		out[i] = uint32(top<<16 | sort.Search(bins, func(b int) bool { return lower[top][b] > rank }))
	}
	return out
}

// share is the share of the gaps from low to high, both in milliseconds; NaN for no gaps.
func (g *gaps) share(low, high float64) float64 {
	within := 0
	for _, block := range g.blocks {
		for _, us := range block {
			if ms := float64(us) / 1e3; ms >= low && ms <= high {
				within++
			}
		}
	}
	return ratio(float64(within), float64(g.n))
}

// variation is the coefficient of variation; NaN for no gaps.
func (g *gaps) variation() float64 {
	n := float64(g.n)
	mean := ratio(g.sum, n)
	return ratio(math.Sqrt(max(0, g.square/n-mean*mean)), mean)
}
