package workload

import (
	"math"
	"math/rand/v2"
	"sort"
	"time"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/dataset"
)

// purpose keeps the random numbers of one decision apart from those of another, so
// that a change to the one, such as another model mix, leaves the other as it is.
type purpose uint64

const (
	forEntry purpose = iota
	forPrefix
	forModel
	forReplica
	forFirstOutput
	forPause
)

// draw gives the random numbers of a conversation for one purpose.
func (g *Generator) draw(p Place, what purpose) *rand.Rand {
	h := g.config.Seed
	for _, v := range [...]uint64{uint64(p.Class) + 1, uint64(p.Worker), uint64(p.K)} {
		h = scatter(h ^ scatter(v))
	}
	return rand.New(rand.NewPCG(h, uint64(what)))
}

// scatter is the output function of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014),
// a bijection in which each bit of v moves half of the bits of the result.
func scatter(v uint64) uint64 {
	v += 0x9e3779b97f4a7c15
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}

// shares are weights, each added to those before it.
type shares []float64

func (s shares) with(weight float64) shares {
	if len(s) > 0 {
		weight += s[len(s)-1]
	}
	return append(s, weight)
}

// pick gives the index that a uniform number u falls to; 0 where there is no weight.
func (s shares) pick(u float64) int {
	if len(s) == 0 {
		return 0
	}
	u *= s[len(s)-1]
	return min(sort.Search(len(s), func(i int) bool { return s[i] > u }), len(s)-1)
}

// Entry decides what the conversation at a place asks, as a pure function of the
// point's seed and the place: its class, its item of the data file, and the lengths
// and think times of its turns. At is 0. Turn.Prompt is 0 for a text whose length
// nobody asked for.
//
// An open loop takes the items of a data file in the file's order. In a closed loop
// each worker has items of its own, in order too, so that no two workers send the
// same one; where there are more workers than items they start at different ones.
func (g *Generator) Entry(p Place) experiment.Entry {
	rng := g.draw(p, forEntry)
	class, many := rng.Float64(), rng.Float64()
	e := experiment.Entry{Item: g.item(p)}
	switch {
	case len(g.config.Spec.Classes) == 0:
	case p.Class >= 0:
		e.Class = p.Class
	default:
		e.Class = g.classes.pick(class)
	}
	k := g.kinds[e.Class]
	turns := 1
	if e.Item >= 0 {
		turns = len(g.config.Items[e.Item].Turns)
	} else if !k.turns.IsZero() {
		turns = k.turns.Quantile(many)
	}
	e.Turns = make([]experiment.Turn, turns)
	for i := range e.Turns {
		t := experiment.Turn{Prompt: g.length(k.input, rng.Float64()), Output: g.length(k.output, rng.Float64())}
		if think := k.think.Quantile(rng.Float64()); i > 0 {
			t.Think = think
		}
		if e.Item >= 0 {
			t = g.fromItem(e.Item, i, t)
		}
		if g.config.Spec.Prompt != "" {
			t.Prompt = 0
		}
		e.Turns[i] = t
	}
	if group := g.group(p, k); group >= 0 && e.Turns[0].Prompt > 0 {
		e.Turns[0].Prompt = max(e.Turns[0].Prompt, k.prefix.Tokens+1)
	}
	return e
}

// fromItem puts what the data file says over what was drawn.
func (g *Generator) fromItem(item, turn int, drawn experiment.Turn) experiment.Turn {
	it := g.config.Items[item]
	t := it.Turns[turn]
	switch {
	case t.Prompt > 0:
		drawn.Prompt = t.Prompt
	case len(t.Messages) > 0 || it.Body != nil:
		drawn.Prompt = 0
	}
	if t.Output >= 0 {
		drawn.Output = max(1, t.Output)
	}
	if t.Think > 0 && turn > 0 {
		drawn.Think = t.Think
	}
	return drawn
}

// item is the index of the item that a place sends, −1 without a data file.
func (g *Generator) item(p Place) int {
	n, workers := len(g.config.Items), max(1, g.config.Workers)
	switch {
	case n == 0:
		return -1
	case workers > n:
		return (p.Worker + p.K) % n
	default: // worker w has the items w, w + workers, w + 2·workers and so on
		first := p.Worker % workers
		owned := (n - first + workers - 1) / workers
		return first + p.K%owned*workers
	}
}

// length draws a length with a uniform number.
func (g *Generator) length(l experiment.Length, u float64) int {
	n, fixed := l.Fixed()
	if !fixed {
		return l.Quantile(u)
	}
	lo, hi := spread(n, g.config.Spec.Jitter)
	return lo + int(u*float64(hi-lo+1))
}

// spread gives the shortest and the longest length that jitter makes of nominal.
func spread(nominal int, jitter float64) (lo, hi int) {
	n := float64(nominal)
	return max(1, int(math.Round(n*(1-jitter)))), max(1, int(math.Round(n*(1+jitter))))
}

// group draws the shared prefix that a conversation begins with, −1 for none.
func (g *Generator) group(p Place, k kind) int {
	if k.prefix == nil {
		return -1
	}
	rng := g.draw(p, forPrefix)
	if rng.Float64() >= k.prefix.Share {
		return -1
	}
	return k.prefix.groups.pick(rng.Float64())
}

// FirstOutput is the limit of the answer to the first request of a closed loop's
// worker in its warm-up: a part of its n tokens, uniform from 1 to n, so that workers
// which begin together do not end together.
func (g *Generator) FirstOutput(p Place, n int) int {
	return 1 + g.draw(p, forFirstOutput).IntN(max(1, n))
}

// Pause is the think time of a closed loop's worker between the conversation before
// the place and the one at it; 0 before its first.
func (g *Generator) Pause(p Place, class int) time.Duration {
	if p.K == 0 {
		return 0
	}
	return g.kinds[class].think.Quantile(g.draw(p, forPause).Float64())
}

// Repeats is how often the text of a conversation is sent, rounded up, when so many
// conversations are sent: from 2 on, a server's prefix cache may answer in place
// of the server. It is 1 for synthetic prompts without blocks, each of which is unique.
func Repeats(s *experiment.Spec, items []dataset.Item, conversations int) int {
	texts := 0
	if s.Prompt != "" {
		texts = 1
	} else {
		for _, item := range items {
			if item.Body != nil || len(item.Blocks) > 0 || len(item.Turns[0].Messages) > 0 {
				texts = len(items)
				break
			}
		}
	}
	if texts == 0 {
		return 1
	}
	return max(1, (conversations+texts-1)/texts)
}
