package sim

// share is a name and how much time belongs to it.
type share struct {
	name string
	time float64
}

// largest gives the name of the largest share; of equal ones the first.
func largest(shares ...share) string {
	best := shares[0]
	for _, s := range shares[1:] {
		if s.time > best.time {
			best = s
		}
	}
	return best.name
}

// limit names the class of operator that took the longest.
func (p parts) limit() string {
	return largest(
		share{"weights", p.weights}, share{"matrix arithmetic", p.compute}, share{"prefill attention", p.prefill},
		share{"decode attention", p.decode}, share{"all-reduce", p.reduce}, share{"kernel launches", p.launch},
		share{"host", p.host + p.hostBound},
	)
}

// What a [Usage] may be limited by.
const (
	LimitFront     = "front end"
	LimitKV        = "KV pool"
	LimitSeqs      = "max seqs"
	LimitBandwidth = "memory bandwidth"
	LimitCompute   = "compute"
	LimitHost      = "host"
	LimitLink      = "link"
	LimitNone      = "none"
)

// Thresholds of [Usage.Limit], as shares of the time. They are a judgement.
const (
	frontFull = 0.9 // the front end is as good as always busy
	heldOften = 0.1 // requests that could be computed are kept out
	hardlyOn  = 0.5 // the engine waits for work most of the time
)

// Limit names the resource of which more would help most. It is the first of these
// that holds: the front end, when it is busy for 90 % of the time; what keeps the first
// waiting request out for 10 % of the time or more, the KV pool or the number of
// sequences, whichever does so for longer; none, when no step is computed for half of
// the time; else what the steps spend most of their time on: memory bandwidth (reading
// weights, keys and values), compute (matrix products and attention of prompts),
// the host (its own time and kernels' fixed times) or the link between GPUs.
func (u Usage) Limit() string {
	held := max(u.HeldByKV, u.HeldBySeqs)
	switch elapsed := float64(u.Elapsed); {
	case elapsed == 0:
		return LimitNone
	case float64(u.Front) >= frontFull*elapsed:
		return LimitFront
	case float64(held) >= heldOften*elapsed && u.HeldByKV >= u.HeldBySeqs:
		return LimitKV
	case float64(held) >= heldOften*elapsed:
		return LimitSeqs
	case float64(u.Busy) < hardlyOn*elapsed:
		return LimitNone
	}
	p := u.Parts
	return largest(
		share{LimitBandwidth, float64(p.Weights + p.Decode)}, share{LimitCompute, float64(p.Compute + p.Prefill)},
		share{LimitHost, float64(p.Launch + p.Host + p.HostBound)}, share{LimitLink, float64(p.Reduce)},
	)
}
