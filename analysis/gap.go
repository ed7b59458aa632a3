package analysis

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

// gaps counts the times between the events of a point's successful streams, to a
// microsecond in 32 bits: a gap of 71 minutes or longer counts as 71 minutes. However many
// there are, they take the memory of their distinct values, so that quantiles
// of a billion are exact.
//
// The gaps themselves are kept for some requests alone, drawn from all: how much requests
// differ, which bounds the quantiles, is known well from a thousand.
type gaps struct {
	near   []*[gapPage]uint32 // counts by µs, a page at a time; nil = none there
	far    map[uint32]uint32  // counts of what is beyond nearPages
	n      int
	shared int // gaps whose event came in one read with the one before

	requests int      // that have any gaps
	kept     []uint32 // µs, of some requests, one after the other
	of       []keptGap
	halvings int // how often half of the requests that are kept were dropped
}

// keptGap is a request of which the gaps are kept.
type keptGap struct{ number, end int } // among those with gaps, from 0; running number of kept gaps after it

const (
	gapPage   = 1 << 12 // µs
	nearPages = 1 << 10 // 4.2 s
	// Requests are dropped where more gaps than keptGaps are kept, and more requests than keptRequests.
	keptGaps, keptRequests = 1 << 20, 1 << 10
)

// add takes the gaps of one request.
func (g *gaps) add(list []experiment.Gap) {
	if len(list) == 0 {
		return
	}
	number := g.requests
	g.requests++
	g.n += len(list)
	if g.keeps(number) {
		for _, gap := range list {
			g.kept = append(g.kept, microseconds(gap))
		}
		g.of = append(g.of, keptGap{number, len(g.kept)})
		g.thin()
	}
	for _, gap := range list {
		us := microseconds(gap)
		if gap.Shared() {
			g.shared++
		}
		if page := us / gapPage; int(page) < len(g.near) && g.near[page] != nil {
			g.near[page][us%gapPage]++
		} else {
			g.addNew(us)
		}
	}
}

// microseconds rounds a gap.
func microseconds(gap experiment.Gap) uint32 {
	return uint32(min((uint64(gap.Duration())+500)/1000, math.MaxUint32))
}

// addNew counts a gap on a page that there is not yet, or beyond all pages.
func (g *gaps) addNew(us uint32) {
	page := int(us / gapPage)
	if page >= nearPages {
		if g.far == nil {
			g.far = map[uint32]uint32{}
		}
		g.far[us]++
		return
	}
	if page >= len(g.near) {
		g.near = append(g.near, make([]*[gapPage]uint32, page+1-len(g.near))...)
	}
	g.near[page] = new([gapPage]uint32)
	g.near[page][us%gapPage]++
}

// keeps draws a request by its number. The numbers are scrambled (by the finaliser of SplitMix64, Steele et al.
// 2014), since every second request could be that of one replica of two.
func (g *gaps) keeps(number int) bool {
	x := uint64(number) + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return (x^x>>31)&(1<<g.halvings-1) == 0
}

// thin drops about half of the requests that are kept, where there are more than enough.
func (g *gaps) thin() {
	if len(g.kept) <= keptGaps || len(g.of) <= keptRequests {
		return
	}
	g.halvings++
	kept, of, start := g.kept[:0], g.of[:0], 0
	for _, r := range g.of {
		if g.keeps(r.number) {
			kept = append(kept, g.kept[start:r.end]...)
			of = append(of, keptGap{r.number, len(kept)})
		}
		start = r.end
	}
	g.kept, g.of = kept, of
}

// values gives each value in µs and how many gaps have it, in order.
func (g *gaps) values() iter.Seq2[uint32, int] {
	return func(yield func(uint32, int) bool) {
		for i, page := range g.near {
			if page == nil {
				continue
			}
			for j, count := range page {
				if count > 0 && !yield(uint32(i*gapPage+j), int(count)) {
					return
				}
			}
		}
		for _, us := range slices.Sorted(maps.Keys(g.far)) {
			if !yield(us, int(g.far[us])) {
				return
			}
		}
	}
}

// moments gives the sums over all gaps of their values in µs and of the squares of these.
func (g *gaps) moments() (sum, squares float64) {
	for us, count := range g.values() {
		v := float64(us) * float64(count)
		sum, squares = sum+v, squares+v*float64(us)
	}
	return sum, squares
}

// distribution describes the gaps under a metric, in milliseconds. The interval
// of a quantile treats requests, not gaps, as independent: gaps of one stream
// share a prompt, a place in the batch and a connection.
func (g *gaps) distribution(m Metric) Distribution {
	d := distribution(m, nil, nil)
	if g.n == 0 {
		return d
	}
	sum, _ := g.moments()
	d.N, d.Mean = g.n, sum/float64(g.n)/1e3

	ranks := []int{0, g.n - 1}
	for _, q := range shownQuantiles {
		lo, _ := position(g.n, q)
		ranks = append(ranks, lo, min(lo+1, g.n-1))
	}
	at := g.order(ranks)
	d.Min, d.Max = float64(at[0])/1e3, float64(at[1])/1e3
	at = at[2:]
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
		e.Warnings = countWarnings(g.n, float64(g.n), q)
		if !e.Bounded() {
			e.Warnings = append(e.Warnings, fmt.Sprintf("%s of the gaps comes from %s, too few for a two-sided interval between requests.",
				percentile(q), sentence.Plural(g.requests, "request")))
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
	k := len(g.of)
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
	k := len(g.of)
	counts := make([]int, k*len(limits)) // kept gaps up to each limit, request by request
	start := 0
	for r, request := range g.of {
		row := counts[r*len(limits):][:len(limits)]
		for _, us := range g.kept[start:request.end] {
			for j, limit := range limits {
				if us <= limit {
					row[j]++
				}
			}
		}
		start = request.end
	}
	errs := make([]float64, len(limits))
	for j := range limits {
		total := 0
		for r := range k {
			total += counts[r*len(limits)+j]
		}
		share, squares, start := float64(total)/float64(len(g.kept)), 0.0, 0
		for r := range k {
			d := float64(counts[r*len(limits)+j]) - share*float64(g.of[r].end-start)
			squares += d * d
			start = g.of[r].end
		}
		errs[j] = math.Sqrt(squares*float64(g.requests)/float64(k-1)) / float64(g.n)
	}
	return errs
}

// order gives the gaps in µs at the 0-based ranks.
func (g *gaps) order(ranks []int) []uint32 {
	byRank := make([]int, len(ranks)) // places in ranks, the lowest rank first
	for i := range byRank {
		byRank[i] = i
	}
	slices.SortFunc(byRank, func(a, b int) int { return cmp.Compare(ranks[a], ranks[b]) })
	out := make([]uint32, len(ranks))
	next, below := 0, 0
	for us, count := range g.values() {
		below += count
		for next < len(ranks) && ranks[byRank[next]] < below {
			out[byRank[next]] = us
			next++
		}
		if next == len(ranks) {
			break
		}
	}
	return out
}

// share is the share of the gaps from low to high, both in milliseconds; NaN for no gaps.
func (g *gaps) share(low, high float64) float64 {
	within := 0
	for us, count := range g.values() {
		if ms := float64(us) / 1e3; ms >= low && ms <= high {
			within += count
		}
	}
	return ratio(float64(within), float64(g.n))
}

// variation is the coefficient of variation; NaN for no gaps.
func (g *gaps) variation() float64 {
	n := float64(g.n)
	sum, squares := g.moments()
	mean := ratio(sum, n)
	return ratio(math.Sqrt(max(0, squares/n-mean*mean)), mean)
}
