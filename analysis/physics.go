package analysis

import (
	"fmt"
	"math"
	"slices"

	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

// Physics is what a curve's figures say when they are held against data sheets: how
// near each level is to what the memory allows, and what its limits come from.
type Physics struct {
	Levels   []LevelPhysics `json:"levels"`   // one a level of the curve, in its order
	Prefill  *Prefill       `json:"prefill"`  // nil = no level tells
	Capacity *Capacity      `json:"capacity"` // nil = there is no admission limit, or no lengths
	// Explained says it in whole sentences.
	Explained []Explanation `json:"explained"`
}

// MarshalJSON writes nil slices as empty ones.
func (p Physics) MarshalJSON() ([]byte, error) { return marshalFinite(p) }

// Explanation is a whole sentence, with the reading that explains it.
type Explanation struct {
	Sentence string `json:"sentence"`
	Reading  string `json:"reading"` // slug
}

// LevelPhysics is one level against its speed of light.
type LevelPhysics struct {
	Load    experiment.Load `json:"load"`
	Batch   float64         `json:"batch"`          // requests decoding at once on a replica: B_run ÷ replicas, at least 1
	Context float64         `json:"context_tokens"` // mean length of a request while it decodes: prompt + half the output
	Floor   float64         `json:"tpot_floor_ms"`  // the speed of light of such a step, see [Machine.Floor]
	// MBU is the floor ÷ median TPOT, a share of 1, with the interval of TPOT; see [Machine.MBU].
	MBU Estimate `json:"mbu"`
}

// Lone reports whether about one request decodes at a time, so that what the MBU lacks is no other
// request's doing.
func (l *LevelPhysics) Lone() bool { return l.Batch < loneBatch }

// MarshalJSON writes what is not known as null.
func (l LevelPhysics) MarshalJSON() ([]byte, error) { return marshalFinite(l) }

// UnmarshalJSON reads what [LevelPhysics.MarshalJSON] wrote.
func (l *LevelPhysics) UnmarshalJSON(data []byte) error {
	type plain LevelPhysics
	return unmarshalFinite(data, (*plain)(l))
}

// Prefill is how fast prompts were worked through at the lowest load. It is told in a sentence where that
// is one request at a time, or where it cannot be.
type Prefill struct {
	Load   experiment.Load `json:"load"`
	Tokens float64         `json:"prompt_tokens"` // mean of those that no cache had
	Rate   float64         `json:"tok_s"`         // Tokens ÷ median TTFT: a lower bound, since TTFT has more in it
	MFU    float64         `json:"mfu"`           // share of the peak, see [Machine.MFU]
}

// MarshalJSON writes what is not known as null.
func (p Prefill) MarshalJSON() ([]byte, error) { return marshalFinite(p) }

// UnmarshalJSON reads what [Prefill.MarshalJSON] wrote.
func (p *Prefill) UnmarshalJSON(data []byte) error {
	type plain Prefill
	return unmarshalFinite(data, (*plain)(p))
}

// Limit names what an admission limit comes from.
type Limit string

// What limits admission.
const (
	LimitMemory    Limit = "kv memory"
	LimitSequences Limit = "max sequences" // a setting of the server: max-num-seqs, max batch size
	LimitOther     Limit = "other"         // neither explains it
	// LimitTooMany says that more run than memory has room for by the figures taken, so one of these is wrong.
	LimitTooMany Limit = "more than memory"
)

// Capacity holds an admission limit against what memory has room for.
type Capacity struct {
	Running float64 `json:"running"` // the admission limit: requests decoding at once, of all replicas
	// Whole is how many requests of full length the memory has room for, Mean how many of the mean length
	// while they decode: servers that reserve room for the longest answer admit the first number, those that
	// take it as tokens come run up to the second.
	Whole float64 `json:"sequences_whole"`
	Mean  float64 `json:"sequences_mean"`
	By    Limit   `json:"by"`
}

// MarshalJSON writes what is not known as null.
func (c Capacity) MarshalJSON() ([]byte, error) { return marshalFinite(c) }

// UnmarshalJSON reads what [Capacity.MarshalJSON] wrote.
func (c *Capacity) UnmarshalJSON(data []byte) error {
	type plain Capacity
	return unmarshalFinite(data, (*plain)(c))
}

// Bounds of ratios that say what a figure comes from.
const (
	// capacityLow and capacityHigh bound the ratio of requests running to what memory has room for at which
	// memory is their limit: 0.70 to 0.97 in published sweeps of NIM on A100 and H100, whose activations take
	// what the arithmetic leaves out.
	capacityLow, capacityHigh = 0.7, 1.1
	// capacityNear is how near the limit must be to the server's setting to be that, where memory could be it too.
	capacityNear = 0.05
	// expertsFrom is the share of active parameters under which a model has experts: of a dense one the
	// embedding alone is not active, under a quarter in models of a billion parameters or more.
	expertsFrom = 0.7
	// slowMBU is the MBU of a lone request under which something else than memory takes the time: 39 to 76 %
	// were seen in published runs. Of loneBatch requests on, the prompts of others and arithmetic take time as well.
	slowMBU   = 0.3
	loneBatch = 2
)

// Explain holds the curve against the hardware and the model behind it: fills
// [Curve.Machine] and [Curve.Physics]. With nil it does nothing.
func (c *Curve) Explain(m *Machine) {
	if m == nil {
		return
	}
	p := &Physics{}
	for i := range c.Levels {
		p.Levels = append(p.Levels, m.level(&c.Levels[i]))
	}
	p.Prefill = m.prefill(c.Levels)
	p.Capacity = m.capacity(c)
	c.Machine, c.Physics = m, p
	p.explainMBU(c)
	p.explainPrefill(c)
	p.explainCapacity(c)
}

// meanLengths are the mean prompt and output of a level in tokens; NaN where not counted.
func meanLengths(l *Level) (prompt, output float64) {
	return meanOver(l.Points, func(s *PointSummary) float64 { return s.MeanPrompt }),
		meanOver(l.Points, func(s *PointSummary) float64 { return s.MeanOutput })
}

func (m *Machine) level(l *Level) LevelPhysics {
	prompt, output := meanLengths(l)
	p := LevelPhysics{Load: l.Load, Batch: max(1, l.BRun.Value/m.replicas()), Context: prompt + output/2, MBU: unknown()}
	p.Floor = m.Floor(p.Batch, p.Context)
	if l.TPOTP50.Value > 0 && !math.IsNaN(p.Floor) {
		p.MBU = over(p.Floor, l.TPOTP50)
	}
	return p
}

// prefill takes the lowest level that has what it needs.
func (m *Machine) prefill(levels []Level) *Prefill {
	for i := range levels {
		l := &levels[i]
		prompt, _ := meanLengths(l)
		if cached := meanOver(l.Points, func(s *PointSummary) float64 { return s.CacheHitShare }); cached > 0 {
			prompt *= 1 - cached
		}
		if p := (Prefill{Load: l.Load, Tokens: prompt, Rate: ratio(prompt, l.TTFTP50.Value/1000)}); p.Rate > 0 {
			p.MFU = m.MFU(p.Rate)
			return &p
		}
	}
	return nil
}

// capacity holds the admission limit against the memory and the server's own limit.
func (m *Machine) capacity(c *Curve) *Capacity {
	if c.AdmissionLimit == nil {
		return nil
	}
	l, _ := c.Level(c.AdmissionLimit.Load)
	if l == nil {
		return nil
	}
	prompt, output := meanLengths(l)
	k := &Capacity{
		Running: c.AdmissionLimit.Value,
		Whole:   m.replicas() * m.Sequences(prompt+output), Mean: m.replicas() * m.Sequences(prompt+output/2),
	}
	if math.IsNaN(k.Whole) {
		return nil
	}
	limit := m.replicas() * m.MaxSequences
	within := func(low, high float64) bool {
		return k.Running >= capacityLow*low && k.Running <= capacityHigh*high
	}
	switch {
	case limit > 0 && (limit <= k.Whole && within(limit, limit) || math.Abs(k.Running-limit) <= capacityNear*limit):
		k.By = LimitSequences
	case within(k.Whole, k.Mean):
		k.By = LimitMemory
	case k.Running > k.Mean:
		k.By = LimitTooMany
	default:
		k.By = LimitOther
	}
	return k
}

func (p *Physics) say(reading, format string, a ...any) {
	p.Explained = append(p.Explained, Explanation{fmt.Sprintf(format, a...), reading})
}

// explainMBU tells the lowest level and the highest below the admission limit, and what
// must be wrong where a step is faster than light.
func (p *Physics) explainMBU(c *Curve) {
	const reading = "databricks-inference-performance"
	var told []int
	for i := range p.Levels {
		waits := c.AdmissionLimit != nil && p.Levels[i].Load.Concurrency > c.AdmissionLimit.Load.Concurrency
		if p.Levels[i].MBU.Known() && !waits {
			told = append(told, i)
		}
	}
	if len(told) == 0 {
		return
	}
	m, first := c.Machine, told[0]
	l, tpot := &p.Levels[first], c.Levels[first].TPOTP50.Value
	slow := ""
	if l.MBU.Value < slowMBU && l.Lone() {
		slow = " Under 30 % something else takes the time, such as launching kernels or the host, or the hardware is not what it is said to be."
	}
	p.say(reading, "At %s TPOT is %s× the speed of light of %s ms, in which %s of memory bandwidth read %s of weights%s: MBU is %s.%s",
		l.Load, sentence.Short(tpot/l.Floor), sentence.Short(l.Floor), bandwidth(m.Bandwidth), gigabytes(m.ActiveBytes), m.cacheText(l), sentence.Percent(l.MBU.Value), slow)
	if last := told[len(told)-1]; last != first {
		l, tpot := &p.Levels[last], c.Levels[last].TPOTP50.Value
		between, bound := "", ""
		if l.MBU.Value <= 1 {
			between = ", with the prompts of others read in between"
		}
		if m.Active < expertsFrom*m.Parameters {
			bound = " That is a lower bound: several requests read more of the experts than one does, and only one's are counted."
		}
		p.say(reading, "At %s, with %s requests decoding at once%s, TPOT is %s× its speed of light of %s ms: MBU is %s%s.%s",
			l.Load, sentence.Short(l.Batch), onEach(m), sentence.Short(tpot/l.Floor), sentence.Short(l.Floor), sentence.Percent(l.MBU.Value), between, bound)
	}
	p.explainFasterThanLight(c, told)
}

// cacheText is what a step reads of keys and values, where it is a hundredth of the weights or more.
func (m *Machine) cacheText(l *LevelPhysics) string {
	kv := l.Batch * l.Context * m.KVPerToken
	if kv < 0.01*m.ActiveBytes {
		return ""
	}
	return " and " + gigabytes(kv) + " of keys and values"
}

// explainFasterThanLight says which input must be wrong where MBU is over 1. Where a lone
// request keeps to it and many do not, it is what grows with the batch.
func (p *Physics) explainFasterThanLight(c *Curve, told []int) {
	i := slices.IndexFunc(told, func(i int) bool { return p.Levels[i].MBU.Value > 1 })
	if i < 0 {
		return
	}
	l := &p.Levels[told[i]]
	kv := l.Batch * l.Context * c.Machine.KVPerToken
	cause := fmt.Sprintf("the weights are smaller than the %s taken (%s parameters), the memory is faster than %s or of more GPUs than %d, or a step gives several tokens, as with speculative decoding",
		gigabytes(c.Machine.ActiveBytes), billions(c.Machine.Active), bandwidth(c.Machine.Bandwidth), c.Machine.GPUs)
	if i > 0 && kv > c.Machine.ActiveBytes {
		cause = fmt.Sprintf("the %s that %s requests of %s tokens take, more than the weights: keys and values have fewer bytes than the %s a token taken, or requests share a prefix that is read once",
			gigabytes(kv), sentence.Short(l.Batch), sentence.Short(l.Context), sentence.Short(c.Machine.KVPerToken))
	}
	p.say("databricks-inference-performance", "At %s MBU is %s, which no memory reaches, so an input is wrong: %s.", l.Load, sentence.Percent(l.MBU.Value), cause)
}

func (p *Physics) explainPrefill(c *Curve) {
	f, m := p.Prefill, c.Machine
	if f == nil || math.IsNaN(f.MFU) {
		return
	}
	alone := closed(f.Load) && f.Load.Concurrency == 1
	if !alone && f.MFU <= 1 {
		return // where requests wait for one another TTFT says little of prefill
	}
	caveat := "TTFT has the network and the front end in it too."
	// The prompt at which arithmetic takes as long as reading the weights.
	even := ratio(m.ActiveBytes*m.Peak, 2*m.Active*m.Bandwidth)
	switch {
	case f.MFU > 1:
		caveat = "no GPU does more than its peak, so prompts came from a cache unseen, or model or hardware are not what they are said to be."
	case f.Tokens < even:
		caveat = fmt.Sprintf("a prompt under %s tokens is bound by reading the weights, not by arithmetic, so this says little of the peak.", sentence.Short(even))
	}
	what := fmt.Sprintf("a prompt of %s tokens", sentence.Short(f.Tokens))
	if l, _ := c.Level(f.Load); l != nil {
		if whole, _ := meanLengths(l); whole > 1.01*f.Tokens {
			what = fmt.Sprintf("a prompt with %s tokens that are in no cache", sentence.Short(f.Tokens))
		}
	}
	p.say("databricks-inference-performance", "At %s %s has its first token after %s ms, so prefill reaches at least %s tok/s, %s of the peak of %s (MFU); %s",
		f.Load, what, sentence.Short(f.Tokens/f.Rate*1000), sentence.Short(f.Rate), sentence.Percent(f.MFU), teraflops(m.Peak), caveat)
}

func (p *Physics) explainCapacity(c *Curve) {
	k, m := p.Capacity, c.Machine
	if k == nil {
		return
	}
	room := fmt.Sprintf("memory has room for %s requests of full length", sentence.Short(k.Whole))
	if k.Mean > 1.05*k.Whole {
		room += fmt.Sprintf(", and for %s of the mean length while they decode", sentence.Short(k.Mean))
	}
	at := fmt.Sprintf("%s requests decode at once", sentence.Short(k.Running))
	const pagedAttention, tuning = "vllm-pagedattention", "nvidia-tensorrt-llm-tuning"
	switch k.By {
	case LimitMemory:
		p.say(pagedAttention, "The admission limit is set by KV memory: %s, and %s. Shorter requests, keys and values in fewer bits, or more memory raise it; a larger batch size does not.", at, room)
	case LimitSequences:
		p.say(tuning, "The admission limit is set by the server's own limit of %s sequences: %s, and %s. Raise max-num-seqs to admit more.", sentence.Short(m.replicas()*m.MaxSequences), at, room)
	case LimitTooMany:
		p.say(pagedAttention, "The admission limit is above what memory should hold: %s, and %s at %s a token. Keys and values have fewer bytes than that, or there is more memory than %s.",
			at, room, kibibytes(m.KVPerToken), gigabytes(m.Memory))
	default:
		other := "look at the server's limit of sequences (max-num-seqs, max batch size), or at what stands before it"
		if m.MaxSequences > 0 {
			other = fmt.Sprintf("and the server says that it admits %s: look at what stands before it, such as a gateway's limit", sentence.Short(m.replicas()*m.MaxSequences))
		}
		p.say(tuning, "The admission limit is not set by memory: %s, and %s; %s.", at, room, other)
	}
}

func onEach(m *Machine) string {
	if m.replicas() > 1 {
		return " on each replica"
	}
	return ""
}

func bandwidth(bytes float64) string     { return sentence.Short(bytes/1e12) + " TB/s" }
func gigabytes(bytes float64) string     { return sentence.Short(bytes/1e9) + " GB" }
func kibibytes(bytes float64) string     { return sentence.Short(bytes/1024) + " KiB" }
func billions(n float64) string          { return sentence.Short(n/1e9) + " billion" }
func teraflops(perSecond float64) string { return sentence.Short(perSecond/1e12) + " TFLOP/s" }
