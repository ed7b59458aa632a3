package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis/sentence"
)

// WhatIf is what a simulation says of the largest load that a deployment serves
// within an SLO. It is a plain value: whoever made it, a report can take it.
//
// Nothing in it was measured. Its label is a whole sentence on how far such
// results have been from published ones, and stands wherever a figure of it does.
type WhatIf struct {
	Deployment string `json:"deployment"` // of one replica, in a few words
	Profile    string `json:"profile"`    // the simulator's own name of it
	GPUs       int    `json:"gpus"`       // of one replica
	Workload   string `json:"workload"`   // lengths, arrivals or think time
	SLO        string `json:"slo"`
	Over       string `json:"over"` // rate (requests a second, open loop) or concurrency (users, closed loop)

	// Requests is how many requests of a point are measured, after Warmup others.
	Requests int `json:"requests"`
	Warmup   int `json:"warmup"`

	// Found says that in each seed some load holds the SLO. Mean, Min, Max and SD
	// describe the seeds' capacities then, in requests a second or users, and are NaN
	// without it. SD is the sample's standard deviation, NaN for a single seed.
	Found bool    `json:"found"`
	Mean  float64 `json:"mean"`
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
	SD    float64 `json:"sd"`

	// Bound is what misses just above the capacity in most seeds: a part of the SLO,
	// or [PilesUp]; Limit is what the engine is short of at the capacity, in most
	// seeds. "" = not known.
	Bound string `json:"bound"`
	Limit string `json:"limit"`

	Seeds   []WhatIfSeed  `json:"seeds"`
	Figures WhatIfFigures `json:"figures"` // at the capacity, the mean over the seeds
	Sizing  *WhatIfSizing `json:"sizing"`  // null = no demand was given

	Calibration string `json:"calibration"` // the simulator's own label of the deployment
	// Fitted says that capacities of such deployments were held against published curves
	// and found near them: vLLM on H100 and H200. Label follows from it.
	Fitted      bool     `json:"fitted"`
	Label       string   `json:"label"`
	Warnings    []string `json:"warnings"` // whole sentences
	NotModelled []string `json:"not_modelled"`
}

// PilesUp is the bound of a load at which more requests arrive than are served.
const PilesUp = "requests pile up"

// WhatIfSeed is the search of one seed, with arrivals and lengths of its own.
type WhatIfSeed struct {
	Seed     uint64        `json:"seed"`
	Capacity float64       `json:"capacity"` // the largest load that holds; NaN where none does
	Next     float64       `json:"next"`     // the smallest that misses, at most 3 % above; NaN where none does
	Bound    string        `json:"bound"`    // as [WhatIf.Bound]
	Limit    string        `json:"limit"`
	Points   []WhatIfPoint `json:"points"` // in the order in which they were visited
}

// WhatIfPoint is one load that a search looked at.
type WhatIfPoint struct {
	Load  float64 `json:"load"` // requests a second, or users
	Holds bool    `json:"holds"`
	// Steady says that requests do not pile up.
	Steady bool `json:"steady"`
	// Nearest is the part of the SLO nearest to its bound, or farthest beyond it, and
	// Share is how much of the bound it uses: above 1 it misses. NaN = no such figure.
	Nearest string  `json:"nearest"`
	Share   float64 `json:"share"`
}

// WhatIfFigures describe a load. Times are in ms.
type WhatIfFigures struct {
	RequestRate float64         `json:"request_rate_req_s"`
	OutputRate  float64         `json:"output_rate_tok_s"`
	TTFT        WhatIfQuantiles `json:"ttft_ms"`
	TPOT        WhatIfQuantiles `json:"tpot_ms"`
	E2E         WhatIfQuantiles `json:"e2e_ms"`
	// InFlight is the mean number of requests in the server, Running that of those in a
	// step, by the engine's account.
	InFlight float64 `json:"in_flight"`
	Running  float64 `json:"running"`
	// KVShare is the mean share of the KV pool in use, and Utilisation the share of the
	// time in which a step was computed, 0–1.
	KVShare     float64 `json:"kv_share"`
	Utilisation float64 `json:"utilisation"`
	// Preemptions is how often a request lost its keys and values, of a hundred requests.
	Preemptions float64 `json:"preemptions_per_100"`
}

// WhatIfQuantiles are a latency's, in ms.
type WhatIfQuantiles struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
}

// WhatIfSizing is how many replicas a demand takes.
type WhatIfSizing struct {
	Demand float64 `json:"demand"` // requests a second or users, as the capacity
	// Replicas is the least number, from Asked on, at which a run of all of them behind
	// the router held the SLO; Asked is demand ÷ capacity, rounded up.
	Asked    int    `json:"asked"`
	Replicas int    `json:"replicas"`
	GPUs     int    `json:"gpus"` // of all replicas
	Router   string `json:"router"`
	// Verified says that such a run was made and held.
	Verified bool `json:"verified"`
	// Runs are those runs, in the order of their replicas; of too many replicas there are none.
	Runs []WhatIfRun `json:"runs"`
	// Headroom is the share of the replicas' capacity that the demand leaves, 0–1.
	Headroom float64 `json:"headroom"`
	// Linear is the capacity of all replicas behind the router ÷ the sum of theirs
	// alone; NaN where it was not looked for.
	Linear float64 `json:"linear_share"`
	// Planned is the number of replicas with [PlannedHeadroom] left free.
	Planned int `json:"planned_replicas"`
}

// WhatIfRun is a demand on a number of replicas.
type WhatIfRun struct {
	Replicas int         `json:"replicas"`
	Point    WhatIfPoint `json:"point"`
}

// PlannedHeadroom is the share of a simulated capacity to leave free when planning.
const PlannedHeadroom = 0.3

// WhatIfRanking is how well such results rank deployments: of pairs with the same
// workload and SLO in published runs, 95.6 % of those that differ by more than 25 % were in
// the right order before any fit, and 96.0 % after.
const WhatIfRanking = "The simulation ranks pairs that differ by more than 25 % right in 96 % of published cases, and does not decide between others. " +
	"~ = the spread over the seeds overlaps that of the row above, so even the simulation shows no difference."

// Users reports whether loads are numbers of users.
func (w *WhatIf) Users() bool { return w.Over == "concurrency" }

// Unit is that of a load: "req/s" or "users".
func (w *WhatIf) Unit() string {
	if w.Users() {
		return "users"
	}
	return "req/s"
}

// PerGPU is the mean capacity ÷ the GPUs of a replica.
func (w *WhatIf) PerGPU() float64 { return w.Mean / float64(w.GPUs) }

// whatIfLabel is what must be said with every figure: that it is simulated, and how far
// such results have been from published ones.
func whatIfLabel(fitted bool) string {
	if fitted {
		return "Planning estimate from a simulation. For this runtime and GPU it was within about 13 % on average (9 in 10 cases within 29 %) of published capacity at a token-latency target (70B and 32B models); plan 30 % headroom and confirm with one real run."
	}
	return "Simulated: order of magnitude and ranking only: within about 25–40 % on average, 1 case in 10 off by 50–100 %. Confirm with one real run."
}

// Limits is the sentence on what the simulation leaves out.
func (w *WhatIf) Limits() string { return "Not modelled: " + list(w.NotModelled) + "." }

// Sentence says what was found.
func (w *WhatIf) Sentence() string {
	if !w.Found {
		least := "down to a rate that leaves the engine idle most of the time"
		if w.Users() {
			least = "not even with one user"
		}
		return fmt.Sprintf("%s holds %s at no load that was looked at, %s: %s is missed there too.", w.Deployment, w.SLO, least, w.Bound)
	}
	s := fmt.Sprintf("One replica of %s serves %s %s within %s", w.Deployment, sentence.Short(w.Mean), w.Unit(), w.SLO)
	if n := len(w.Seeds); n > 1 {
		s += fmt.Sprintf(" (%s to %s over %d seeds, standard deviation %s)", sentence.Short(w.Min), sentence.Short(w.Max), n, sentence.Short(w.SD))
	}
	if w.GPUs > 1 {
		s += fmt.Sprintf(", %s a GPU", sentence.Short(w.PerGPU()))
	}
	return s + "." + w.why()
}

// why says what keeps the capacity where it is.
func (w *WhatIf) why() string {
	var s string
	switch w.Bound {
	case "":
		return " No load misses it, up to the largest that can be asked for."
	case PilesUp:
		s = " Above that requests pile up"
	default:
		s = " Above that " + w.Bound + " is missed"
	}
	if agree, n := w.agree(func(s *WhatIfSeed) string { return s.Bound }, w.Bound), len(w.Seeds); agree < n {
		s += fmt.Sprintf(" (in %d of %d seeds)", agree, n)
	}
	if w.Limit == "" || w.Limit == "none" {
		return s + "."
	}
	return s + "; the engine is limited by its " + w.Limit + "."
}

func (w *WhatIf) agree(of func(*WhatIfSeed) string, value string) int {
	n := 0
	for i := range w.Seeds {
		if of(&w.Seeds[i]) == value {
			n++
		}
	}
	return n
}

// Sentence says how many replicas the demand takes, in the unit of its capacity.
func (z *WhatIfSizing) Sentence(unit string) string {
	s := fmt.Sprintf("%s %s ÷ capacity takes %s of %s.", sentence.Short(z.Demand), unit, sentence.Plural(z.Asked, "replica"), sentence.Plural(z.GPUs/z.Replicas, "GPU"))
	switch {
	case len(z.Runs) == 0:
		return s + " So many are not run, and the number is not verified."
	case !z.Verified:
		return s + fmt.Sprintf(" No run of up to %s behind %s held the SLO, so the number is not verified.", sentence.Plural(z.Runs[len(z.Runs)-1].Replicas, "replica"), z.Router)
	case z.Replicas > z.Asked:
		s += fmt.Sprintf(" A run of %s misses the SLO (%s), and one of %d behind %s holds it.",
			sentence.Plural(z.Asked, "replica"), z.Runs[0].Point.why(), z.Replicas, z.Router)
	case z.Replicas > 1:
		s += fmt.Sprintf(" A run of all of them behind %s holds the SLO.", z.Router)
	default:
		s += " A run of it holds the SLO."
	}
	s += fmt.Sprintf(" Headroom is %s", sentence.Percent(z.Headroom))
	if z.Planned > z.Replicas {
		s += fmt.Sprintf("; %s would leave %s or more", sentence.Plural(z.Planned, "replica"), sentence.Percent(PlannedHeadroom))
	}
	s += "."
	if finite(z.Linear) {
		s += fmt.Sprintf(" Behind the router the replicas reach %s of what they serve alone", sentence.Percent(z.Linear))
		if z.Linear > 1.05 {
			s += ": shared out, the arrivals are more regular at each"
		}
		s += "."
	}
	return s
}

// why says what a point that misses misses.
func (p *WhatIfPoint) why() string {
	if !p.Steady && !(p.Share > 1) {
		return PilesUp
	}
	return fmt.Sprintf("%s at %s of its bound", p.Nearest, sentence.Percent(p.Share))
}

// RankWhatIf sorts results by the question: the fewest GPUs for the demand where all
// were sized, else the most load a GPU. Those that hold the SLO at no load come last.
// alike[i] says that the spread over seeds, a GPU, of row i overlaps that of the row before.
func RankWhatIf(results []WhatIf) (ranked []WhatIf, alike []bool) {
	ranked = slices.Clone(results)
	sized := !slices.ContainsFunc(ranked, func(w WhatIf) bool { return w.Sizing == nil && w.Found })
	slices.SortStableFunc(ranked, func(a, b WhatIf) int {
		switch {
		case a.Found != b.Found:
			return sign(b.Found, a.Found)
		case !a.Found:
			return strings.Compare(a.Deployment, b.Deployment)
		case sized && a.Sizing.GPUs != b.Sizing.GPUs:
			return a.Sizing.GPUs - b.Sizing.GPUs
		}
		return sign(a.PerGPU() < b.PerGPU(), a.PerGPU() > b.PerGPU())
	})
	alike = make([]bool, len(ranked))
	for i := 1; i < len(ranked); i++ {
		a, b := &ranked[i-1], &ranked[i]
		alike[i] = a.Min/float64(a.GPUs) <= b.Max/float64(b.GPUs) && b.Min/float64(b.GPUs) <= a.Max/float64(a.GPUs)
	}
	return ranked, alike
}

// sign is 1 where the first holds, −1 where the second does, and 0 where neither.
func sign(after, before bool) int {
	switch {
	case after:
		return 1
	case before:
		return -1
	}
	return 0
}

// Summarise fills in what follows from the seeds: the mean capacity and its spread,
// and what binds in most of them; and the label.
func (w *WhatIf) Summarise() {
	w.Label = whatIfLabel(w.Fitted)
	w.Mean, w.Min, w.Max, w.SD = math.NaN(), math.NaN(), math.NaN(), math.NaN()
	w.Found = len(w.Seeds) > 0
	var values []float64
	for i := range w.Seeds {
		w.Found = w.Found && finite(w.Seeds[i].Capacity)
		values = append(values, w.Seeds[i].Capacity)
	}
	w.Bound = w.most(func(s *WhatIfSeed) string { return s.Bound })
	w.Limit = w.most(func(s *WhatIfSeed) string { return s.Limit })
	if !w.Found {
		return
	}
	w.Mean, w.Min, w.Max = mean(values), slices.Min(values), slices.Max(values)
	if len(values) < 2 {
		return
	}
	squares := 0.0
	for _, v := range values {
		squares += (v - w.Mean) * (v - w.Mean)
	}
	w.SD = math.Sqrt(squares / float64(len(values)-1))
}

// most gives the value of most seeds, the first of those as frequent.
func (w *WhatIf) most(of func(*WhatIfSeed) string) string {
	best, count := "", 0
	for i := range w.Seeds {
		if v := of(&w.Seeds[i]); w.agree(of, v) > count {
			best, count = v, w.agree(of, v)
		}
	}
	return best
}

// MarshalJSON writes what is not known as null.
func (w WhatIf) MarshalJSON() ([]byte, error) { return marshalFinite(w) }

// UnmarshalJSON reads what [WhatIf.MarshalJSON] wrote.
func (w *WhatIf) UnmarshalJSON(data []byte) error {
	type plain WhatIf
	return unmarshalFinite(data, (*plain)(w))
}

// MarshalJSON writes what is not known as null.
func (s WhatIfSeed) MarshalJSON() ([]byte, error) { return marshalFinite(s) }

// UnmarshalJSON reads what [WhatIfSeed.MarshalJSON] wrote.
func (s *WhatIfSeed) UnmarshalJSON(data []byte) error {
	type plain WhatIfSeed
	return unmarshalFinite(data, (*plain)(s))
}

// MarshalJSON writes what is not known as null.
func (p WhatIfPoint) MarshalJSON() ([]byte, error) { return marshalFinite(p) }

// UnmarshalJSON reads what [WhatIfPoint.MarshalJSON] wrote.
func (p *WhatIfPoint) UnmarshalJSON(data []byte) error {
	type plain WhatIfPoint
	return unmarshalFinite(data, (*plain)(p))
}

// MarshalJSON writes what is not known as null.
func (f WhatIfFigures) MarshalJSON() ([]byte, error) { return marshalFinite(f) }

// UnmarshalJSON reads what [WhatIfFigures.MarshalJSON] wrote.
func (f *WhatIfFigures) UnmarshalJSON(data []byte) error {
	type plain WhatIfFigures
	return unmarshalFinite(data, (*plain)(f))
}

// MarshalJSON writes what is not known as null.
func (q WhatIfQuantiles) MarshalJSON() ([]byte, error) { return marshalFinite(q) }

// UnmarshalJSON reads what [WhatIfQuantiles.MarshalJSON] wrote.
func (q *WhatIfQuantiles) UnmarshalJSON(data []byte) error {
	type plain WhatIfQuantiles
	return unmarshalFinite(data, (*plain)(q))
}

// MarshalJSON writes what is not known as null.
func (z WhatIfSizing) MarshalJSON() ([]byte, error) { return marshalFinite(z) }

// UnmarshalJSON reads what [WhatIfSizing.MarshalJSON] wrote.
func (z *WhatIfSizing) UnmarshalJSON(data []byte) error {
	type plain WhatIfSizing
	return unmarshalFinite(data, (*plain)(z))
}
