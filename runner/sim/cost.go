package sim

import (
	"math"
	"time"
)

// work is what one step computes.
type work struct {
	tokens  int // new tokens of all sequences
	sampled int // sequences that get an output token
	seqs    int // sequences in the step
	decodes int // sequences that decode: one token, or one and its drafts
	drafts  int // draft tokens proposed and verified; they are in tokens and in sampled

	pairs       float64 // Σ over prefill chunks of query–key pairs
	prefillRead float64 // Σ over prefill chunks of keys read, in tokens
	decodeRead  float64 // Σ over decodes of keys read, in tokens
}

// add puts n new tokens on top of cached ones into the step.
func (w *work) add(n, cached int) {
	w.tokens += n
	w.seqs++
	if n == 1 {
		w.decodes++
		w.decodeRead += float64(cached + 1)
		return
	}
	// A token attends to itself and to all before it: n·(cached + (n+1)/2) pairs.
	w.pairs += float64(n) * (float64(cached) + float64(n+1)/2)
	w.prefillRead += float64(cached + n)
}

// costs is the time of a step of one deployment, as a function of its work. It
// is a sum over operator classes, each with a roofline of its own; one maximum
// over the totals would put the knee in the wrong place.
type costs struct {
	d *Deployment

	attention, feedForward roofline // per token of the step; weights over all layers
	head                   roofline // per sampled sequence
	elementwise            float64  // µs per token
	reduceBytes            float64  // per token and all-reduce
	pairMicros             float64  // µs per query–key pair
	prefillKey, decodeKey  float64  // µs per key read
	fixed                  float64  // µs of any step
	fixedDecode            float64  // µs of a step with decodes

	// dense[T] is the time of everything that depends on the number of tokens
	// alone; zero = not computed yet.
	dense []parts
}

// roofline is the time of one weight matrix or several alike: linear in its
// arithmetic, or constant in its bytes, whichever is longer.
type roofline struct{ perToken, read float64 } // µs

func (r roofline) time(tokens int) float64 { return soften(r.perToken*float64(tokens), r.read) }

// soften is the cubic norm of two times. Near the ridge a kernel takes longer
// than either bound; the cubic norm agrees with Vidur's measured kernels (1,314
// µs against 1,322 for Llama-3-70B at 128 tokens on A100, where the maximum
// gives 1,073).
func soften(a, b float64) float64 { return math.Cbrt(a*a*a + b*b*b) }

// memoTokens bounds the table of dense times.
const memoTokens = 16384

func newCosts(d *Deployment) *costs {
	m, g, n := d.Model, d.GPU, float64(d.Count)
	k, peak := g.bf16, g.BF16
	if d.Precision == fp8 {
		k, peak = g.fp8, g.FP8
	}
	layers, hidden := float64(m.Layers), float64(m.Hidden)
	bandwidth := g.BandwidthTBs * 1e6 // bytes per µs
	matrix := func(weights, bytes, peak float64, k kernels) roofline {
		return roofline{
			perToken: 2 * weights / n / (peak * 1e6 * k.compute),
			read:     weights * bytes / n / (bandwidth * k.memory),
		}
	}
	attend := g.attend16
	if d.Precision == fp8 {
		attend = g.attend8
	}
	// The bandwidth that keys and values are read at is spread over kvShare GPUs;
	// further ones read copies.
	perKey := float64(m.KVBytes(d.valueBytes())) / float64(d.kvShare()) / (bandwidth * attend)
	c := &costs{
		d:           d,
		attention:   matrix(m.attention(), d.weightBytes(), peak, k),
		feedForward: matrix(m.feedForward(), d.weightBytes(), peak, k),
		head:        matrix(m.embedding(), 2, g.BF16, g.bf16),
		// Norms, rotary embedding, activations and residuals move about twelve
		// hidden vectors of 16 bits a layer, at 0.8 of the bandwidth (aiconfigurator).
		elementwise: 12 * layers * hidden * 2 / (0.8 * bandwidth),
		reduceBytes: hidden * 2,
		pairMicros:  4 * float64(m.Heads*m.HeadDim) * layers / n / (g.BF16 * 1e6 * g.prefillAttend),
		prefillKey:  perKey,
		decodeKey:   perKey,
		// Four matrix kernels a layer: query-key-value, output, gate and up, down.
		fixed:       layers * 4 * k.launch,
		fixedDecode: layers * g.decode,
		dense:       make([]parts, min(memoTokens, max(d.TokenBudget, d.MaxSeqs))+1),
	}
	return c
}

// step is the duration of a step in whole microseconds, at least one. The
// factor multiplies it: 1, or a draw of jitter.
func (c *costs) step(w work, factor float64) time.Duration {
	p := c.parts(w)
	return time.Duration(max(1, math.Round(p.total()*factor))) * time.Microsecond
}

// parts is the time of a step by class of operator, in µs.
type parts struct {
	weights   float64 // matrix products that are bound by reading weights
	compute   float64 // matrix products that are bound by arithmetic
	prefill   float64 // attention of prompts
	decode    float64 // attention of decodes: reading keys and values
	reduce    float64 // all-reduce between GPUs
	launch    float64 // kernels' fixed times
	host      float64 // the runtime's own time between two steps and for each sequence
	hostBound float64 // what the host adds where it launches each kernel more slowly than the GPU runs it
}

func (p parts) total() float64 {
	return p.weights + p.compute + p.prefill + p.decode + p.reduce + p.launch + p.host + p.hostBound
}

// parts splits the time of a step.
func (c *costs) parts(w work) parts {
	rt := &c.d.Runtime
	layers := float64(c.d.Model.Layers)
	p := c.tokens(w.tokens)
	p.launch += c.fixed
	if w.sampled > 0 {
		p.matrix(c.head, w.sampled)
	}
	if w.pairs > 0 {
		p.prefill += soften(c.pairMicros*w.pairs, c.prefillKey*w.prefillRead)
	}
	if w.decodes > 0 {
		p.decode += c.decodeKey * w.decodeRead
		p.launch += c.fixedDecode
	}
	p.scale(rt.work)
	p.host = layers*rt.layer + rt.step + rt.seq*float64(w.seqs)
	p.hostBound = max(0, layers*rt.eager-p.total())
	return p
}

func (p *parts) scale(f float64) {
	p.weights, p.compute, p.prefill, p.decode, p.reduce, p.launch = p.weights*f, p.compute*f, p.prefill*f, p.decode*f, p.reduce*f, p.launch*f
}

// matrix adds the time of a matrix product to the bound that is the longer one.
func (p *parts) matrix(r roofline, tokens int) {
	t := r.time(tokens)
	if r.perToken*float64(tokens) > r.read {
		p.compute += t
	} else {
		p.weights += t
	}
}

// tokens is the time of what depends on the number of tokens alone.
func (c *costs) tokens(n int) parts {
	if n < len(c.dense) && c.dense[n] != (parts{}) {
		return c.dense[n]
	}
	var p parts
	p.matrix(c.attention, n)
	p.matrix(c.feedForward, n)
	p.compute += c.elementwise * float64(n)
	// Two all-reduces a layer: after attention and after the feed-forward block.
	p.reduce = 2 * float64(c.d.Model.Layers) * c.d.GPU.link.reduce(c.d.Count, c.reduceBytes*float64(n))
	if n < len(c.dense) {
		c.dense[n] = p
	}
	return p
}
