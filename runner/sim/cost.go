package sim

import (
	"cmp"
	"math"
	"time"
)

// work is what one step computes.
type work struct {
	tokens  int // new tokens of all sequences
	sampled int // sequences that get an output token, and drafts that are verified
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
	head                   roofline // per sampled token
	expert                 roofline // per token, of the experts it meets; read is that of one expert in each layer
	elementwise            float64  // µs per token
	reduceBytes            float64  // per token and all-reduce
	pairMicros             float64  // µs per query–key pair of a layer, over all that see the whole context
	prefillKey, decodeKey  float64  // µs per key read, likewise
	decodePair             float64  // µs of arithmetic per key of a decode; 0 = reading always takes longer
	windowed               float64  // layers with a sliding window per layer without one
	fixed                  float64  // µs of any step
	fixedDecode            float64  // µs of a step with decodes
	draft                  roofline // one draft step of the draft model

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

const (
	memoTokens = 16384 // bounds the table of dense times
	// Fused kernels of experts reach these shares of what plain matrix products do
	// (aiconfigurator, measured experts of Mixtral, Qwen3 and DeepSeek on H100).
	expertCompute = 0.55
	expertMemory  = 0.92
	// Norms, rotary embedding, activations and residuals move about twelve hidden
	// vectors of 16 bits a layer, at 0.8 of the bandwidth (aiconfigurator).
	elementwiseVectors = 12
	elementwiseShare   = 0.8
	// Matrix kernels of a layer: query-key-value, output, gate and up, down; with
	// experts also the router and the way to them and back.
	denseKernels  = 4
	expertKernels = 6
)

// unit is what one precision of arithmetic gives.
type unit struct {
	Kernels
	peak float64 // TFLOP/s
}

// units gives the arithmetic of attention matrices, and that of feed-forward blocks and experts.
func (d *Deployment) units() (attention, feedForward unit) {
	g := d.GPU
	half := unit{g.Kernels.BF16, g.BF16}
	switch d.Precision {
	case fp8:
		e := unit{g.Kernels.FP8, g.FP8}
		return e, e
	case nvfp4:
		q := unit{g.Kernels.FP4, g.FP4}
		return q, q
	}
	return half, half
}

func newCosts(d *Deployment) *costs {
	m, g, n := d.Model, d.GPU, float64(d.Count)
	attention, feedForward := d.units()
	attentionBytes, blockBytes := d.weightBytes()
	layers, hidden := float64(m.Layers), float64(m.Hidden)
	bandwidth := g.BandwidthTBs * 1e6 // bytes per µs
	scale := d.Runtime.Constants.Weights
	matrix := func(weights, bytes float64, u unit) roofline {
		return roofline{
			perToken: 2 * weights / n / (u.peak * 1e6 * u.Compute),
			read:     scale * weights * bytes / n / (bandwidth * u.Memory),
		}
	}
	attend := g.Attention.DecodeBF16
	if d.valueBytes() == 1 {
		attend = cmp.Or(g.Attention.DecodeFP8, attend)
	}
	// The bandwidth that keys and values are read at is spread over kvShare GPUs;
	// further ones read copies.
	perKey := float64(m.KVBytes(d.valueBytes())) / float64(d.kvShare()) / (bandwidth * attend)
	whole := layers - float64(m.Window.Layers)
	kernels := denseKernels
	if m.Experts.Count > 0 {
		kernels = expertKernels
	}
	c := &costs{
		d:           d,
		attention:   matrix(m.attention()+m.router(), attentionBytes, attention),
		feedForward: matrix(m.feedForward(), blockBytes, feedForward),
		head:        matrix(m.embedding(), 2, unit{g.Kernels.BF16, g.BF16}),
		elementwise: elementwiseVectors * layers * hidden * 2 / (elementwiseShare * bandwidth),
		reduceBytes: hidden * 2,
		pairMicros:  2 * m.attendWidth() * whole / n / (g.BF16 * 1e6 * g.Attention.Prefill),
		prefillKey:  perKey,
		decodeKey:   perKey,
		windowed:    float64(m.Window.Layers) / max(1, whole),
		fixed:       d.Runtime.Constants.Kernels * layers * float64(kernels) * attention.Launch,
		fixedDecode: d.Runtime.Constants.Kernels * layers * g.Attention.Layer,
		dense:       make([]parts, min(memoTokens, max(d.TokenBudget, d.MaxSeqs))+1),
	}
	if m.Experts.Count > 0 {
		e := m.Experts
		u := feedForward
		u.Compute, u.Memory = u.Compute*expertCompute, u.Memory*expertMemory
		c.expert = roofline{
			perToken: matrix(m.experts()*float64(e.Active)/float64(e.Count), blockBytes, u).perToken,
			read:     matrix(m.experts()/float64(e.Count), blockBytes, u).read,
		}
	}
	if m.Latent != (Latent{}) {
		c.decodePair = 2 * m.latentWidth() * layers / n / (g.BF16 * 1e6 * g.Attention.Prefill)
	}
	if s := d.Speculation; s.DraftShare > 0 {
		all := m.ActiveParameters() * s.DraftShare
		c.draft = matrix(all, blockBytes, feedForward)
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
	rt := &c.d.Runtime.Constants
	layers := float64(c.d.Model.Layers)
	p := c.tokens(w.tokens)
	p.launch += c.fixed
	if w.sampled > 0 {
		p.matrix(c.head, w.sampled)
	}
	if w.pairs > 0 {
		p.prefill += c.prompts(w)
	}
	if w.decodes > 0 {
		p.decode += c.decodes(w)
		p.launch += c.fixedDecode
	}
	if w.drafts > 0 && w.decodes > 0 {
		steps := float64(w.drafts) / float64(w.decodes)
		p.weights += steps * c.draft.time(w.decodes)
	}
	p.scale(rt.Work)
	p.host = rt.Kernels*layers*rt.Layer + rt.Step + rt.Seq*float64(w.seqs)
	if w.tokens > rt.EagerOver {
		p.hostBound = max(0, layers*rt.Eager-p.total())
	}
	return p
}

// prompts is the attention of prefill chunks. Layers with a sliding window see no
// more than the window for each token.
func (c *costs) prompts(w work) float64 {
	t := soften(c.pairMicros*w.pairs, c.prefillKey*w.prefillRead)
	if c.windowed > 0 {
		window := float64(c.d.Model.Window.Tokens)
		tokens := float64(w.tokens - w.decodes - w.drafts)
		t += c.windowed * soften(c.pairMicros*min(w.pairs, tokens*window), c.prefillKey*min(w.prefillRead, tokens+float64(w.seqs-w.decodes)*window))
	}
	return t
}

// decodes is the attention of decodes. Where all contexts are longer than the
// window, or all shorter, the sum over sequences is exact, else it is an upper bound.
func (c *costs) decodes(w work) float64 {
	t := c.decodeKey * w.decodeRead
	if c.decodePair > 0 {
		// Drafts are queries of their own over the keys that are read once.
		queries := 1 + float64(w.drafts)/float64(w.decodes)
		t = soften(t, c.decodePair*w.decodeRead*queries)
	}
	if c.windowed > 0 {
		t += c.windowed * c.decodeKey * min(w.decodeRead, float64(w.decodes*c.d.Model.Window.Tokens))
	}
	return t
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
	if c.feedForward.read > 0 {
		p.matrix(c.feedForward, n)
	}
	if e := c.d.Model.Experts; e.Count > 0 {
		p.matrix(roofline{c.expert.perToken, c.expert.read * e.touched(n)}, n)
	}
	p.compute += c.elementwise * float64(n)
	// Two all-reduces a layer: after attention and after the feed-forward block.
	p.reduce = 2 * float64(c.d.Model.Layers) * c.d.link.reduce(c.d.Count, c.reduceBytes*float64(n))
	if n < len(c.dense) {
		c.dense[n] = p
	}
	return p
}
