package peer

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sort"
	"time"
)

// Stat is a statistic that a tool prints of a metric.
type Stat struct {
	Word string // as the tool writes it: "P99", "Mdn"
	kind statistic
	q    float64 // of a quantile, 0–1
}

type statistic string

const (
	average   statistic = "mean"
	deviation statistic = "std"
	least     statistic = "min"
	most      statistic = "max"
	quantile  statistic = "quantile"
)

func mean(word string) Stat                     { return Stat{Word: word, kind: average} }
func std(word string) Stat                      { return Stat{Word: word, kind: deviation} }
func minimum(word string) Stat                  { return Stat{Word: word, kind: least} }
func maximum(word string) Stat                  { return Stat{Word: word, kind: most} }
func percent(word string, percent float64) Stat { return Stat{word, quantile, percent / 100} }

// name is what we call the statistic: "mean", "p50".
func (s Stat) name() string {
	if s.kind != quantile {
		return string(s.kind)
	}
	return fmt.Sprintf("p%g", math.Round(s.q*1e8)/1e6)
}

// weighted is a value and how much it counts.
type weighted struct{ value, weight float64 }

// distribution is values in ascending order, with the running sum of their weights.
type distribution struct {
	values []weighted
	upTo   []float64
}

func newDistribution(values []weighted) distribution {
	slices.SortFunc(values, func(a, b weighted) int { return cmp.Compare(a.value, b.value) })
	d := distribution{values: values, upTo: make([]float64, len(values))}
	sum := 0.0
	for i, v := range values {
		sum += v.weight
		d.upTo[i] = sum
	}
	return d
}

// total is the sum of the weights: the count, where each value counts once.
func (d *distribution) total() float64 {
	if len(d.upTo) == 0 {
		return 0
	}
	return d.upTo[len(d.upTo)-1]
}

// count is how many values there are: where weights are no counts, those that are listed.
func (d *distribution) count(weighted bool) int {
	if weighted {
		return len(d.values)
	}
	return int(d.total())
}

// of gives a statistic, NaN of nothing. See [Tool] for steps and bessel.
func (d *distribution) of(s Stat, steps, bessel bool) float64 {
	n := d.total()
	if n <= 0 {
		return math.NaN()
	}
	switch s.kind {
	case average:
		return d.mean()
	case deviation:
		center, squares := d.mean(), 0.0
		for _, v := range d.values {
			squares += v.weight * (v.value - center) * (v.value - center)
		}
		if bessel {
			n--
		}
		return math.Sqrt(squares / n) // NaN for one value and bessel, as with pandas
	case least:
		return d.values[0].value
	case most:
		return d.values[len(d.values)-1].value
	}
	if steps {
		return d.at(func(upTo float64) bool { return upTo/n >= s.q })
	}
	return d.between(s.q)
}

func (d *distribution) mean() float64 {
	sum := 0.0
	for _, v := range d.values {
		sum += v.weight * v.value
	}
	return sum / d.total()
}

// at gives the first value whose running sum of weights is far enough.
func (d *distribution) at(enough func(upTo float64) bool) float64 {
	i := sort.Search(len(d.upTo), func(i int) bool { return enough(d.upTo[i]) })
	return d.values[min(i, len(d.values)-1)].value
}

// between gives numpy's linear percentile, type 7 of Hyndman and Fan (1996). The
// weights are counts.
func (d *distribution) between(q float64) float64 {
	rank, frac := math.Modf((d.total() - 1) * q)
	low := d.at(func(upTo float64) bool { return upTo > rank })
	if frac == 0 {
		return low
	}
	high := d.at(func(upTo float64) bool { return upTo > rank+1 })
	return low + frac*(high-low)
}

// tally counts durations. Those of a notebook are whole microseconds and nearly all under a
// second, which are counted in place; the others are few.
type tally struct {
	micros []int // by the microsecond, under maxMicros
	others map[time.Duration]int
}

const maxMicros = 1 << 20

func (t *tally) add(d time.Duration, n int) {
	if us := d / time.Microsecond; d >= 0 && us < maxMicros && us*time.Microsecond == d {
		if int(us) >= len(t.micros) {
			t.micros = append(t.micros, make([]int, 1<<bits.Len(uint(us))-len(t.micros))...)
		}
		t.micros[us] += n
		return
	}
	if t.others == nil {
		t.others = map[time.Duration]int{}
	}
	t.others[d] += n
}

// in gives the durations in multiples of a unit, each with its count.
func (t *tally) in(unit time.Duration) []weighted {
	var list []weighted
	for us, n := range t.micros {
		if n > 0 {
			list = append(list, weighted{float64(time.Duration(us)*time.Microsecond) / float64(unit), float64(n)})
		}
	}
	for d, n := range t.others {
		list = append(list, weighted{float64(d) / float64(unit), float64(n)})
	}
	return list
}
