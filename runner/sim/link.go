package sim

import (
	"cmp"
	"errors"
	"math"
	"slices"
)

// Link is how the GPUs of one server are joined: the time of an all-reduce.
type Link struct {
	Name  string `json:"name" yaml:"name"`
	Title string `json:"title" yaml:"title"`
	// Sizes are the message sizes of the tables in bytes, ascending; Micros the
	// measured times in µs over so many GPUs.
	Sizes  []float64         `json:"sizes,omitempty" yaml:"sizes"`
	Micros map[int][]float64 `json:"micros,omitempty" yaml:"micros"`
	// Like names the link whose tables over other numbers of GPUs are taken in proportion.
	Like string `json:"like,omitempty" yaml:"like"`
	// StartMicros and BandwidthGBs stand in for a table, by the ring formula.
	StartMicros  float64 `json:"start_us,omitempty" yaml:"start_us"`
	BandwidthGBs float64 `json:"bandwidth_gb_s,omitempty" yaml:"bandwidth_gb_s"`
	Source       string  `json:"source" yaml:"source"`

	like *Link
}

// maxCount is the GPUs of one server; links between servers are not modelled.
const maxCount = 8

func (l Link) check(c *Catalogue) error {
	switch {
	case l.Name == "" || l.Source == "":
		return errors.New("it needs a name and a source")
	case len(l.Micros) == 0 && !(l.BandwidthGBs > 0):
		return errors.New("it has neither a table nor a bandwidth")
	case !slices.IsSorted(l.Sizes):
		return errors.New("sizes ascend")
	case l.Like != "" && !c.linkRow(l.Like).whole():
		return errors.New("like names no link that has tables over 2 and over 8 GPUs of its own")
	case l.Like != "" && l.Micros[8] == nil, l.Like == "" && l.measured() && !l.whole():
		return errors.New("micros needs the table over 8 GPUs, and that over 2 or a link that it is like")
	}
	for _, times := range l.Micros {
		if len(times) != len(l.Sizes) || len(times) == 0 {
			return errors.New("each table of micros has a time for each size")
		}
	}
	return nil
}

// whole reports tables that need no other link's.
func (l Link) whole() bool { return l.Like == "" && l.Micros[2] != nil && l.Micros[8] != nil }

// measured reports whether all-reduce times come from a table.
func (l *Link) measured() bool { return len(l.Micros) > 0 }

// reduce is the time in µs of an all-reduce of so many bytes over n GPUs.
func (l *Link) reduce(n int, bytes float64) float64 {
	switch {
	case n < 2 || bytes <= 0 || l.Name == "":
		return 0
	case !l.measured():
		return l.StartMicros + 2*float64(n-1)/float64(n)*bytes/(l.BandwidthGBs*1e9)*1e6
	case l.like != nil:
		// Only the table over 8 was read; fewer GPUs take the other link's share of it.
		return l.lookUp(8, bytes) * l.like.reduce(n, bytes) / l.like.lookUp(8, bytes)
	}
	// Between the tables over 2 and over 8 GPUs, linearly in the logarithm of n.
	share := math.Log2(float64(n)/2) / 2
	return (1-share)*l.lookUp(2, bytes) + share*l.lookUp(8, bytes)
}

// lookUp interpolates linearly in both logarithms. Under the smallest size the
// time is the smallest one's; above the largest it grows with the size.
func (l *Link) lookUp(n int, bytes float64) float64 {
	table, last := l.Micros[n], len(l.Sizes)-1
	if bytes <= l.Sizes[0] {
		return table[0]
	}
	if bytes >= l.Sizes[last] {
		return table[last] * bytes / l.Sizes[last]
	}
	i, _ := slices.BinarySearchFunc(l.Sizes, bytes, func(a, b float64) int { return cmp.Compare(a, b) })
	share := math.Log(bytes/l.Sizes[i-1]) / math.Log(l.Sizes[i]/l.Sizes[i-1])
	return math.Exp((1-share)*math.Log(table[i-1]) + share*math.Log(table[i]))
}
