package compare

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

var shareForm = regexp.MustCompile(`@\s*([0-9.]+)\s*%\s*$`)

// ParseAt reads the objectives of an SLO point: "ttft<500ms tpot<40ms @95%" asks that
// 95 % of the requests be within both bounds at once, as goodput>=95% does. What
// [experiment.ParseSLO] reads is read too.
func ParseAt(text string) (experiment.SLO, error) {
	rest := text
	if m := shareForm.FindStringSubmatchIndex(text); m != nil {
		share, err := strconv.ParseFloat(text[m[2]:m[3]], 64)
		if err != nil || !(share > 0 && share <= 100) {
			return nil, fmt.Errorf("the share @%s%% does not lie over 0 %% and up to 100 %%", text[m[2]:m[3]])
		}
		rest = text[:m[0]] + " goodput>=" + text[m[2]:m[3]] + "%"
	} else if strings.Contains(text, "@") {
		return nil, fmt.Errorf("%q does not end in a share of the requests, such as @95%%", text)
	}
	slo, err := experiment.ParseSLO(rest)
	if err == nil && !slo.Judges() {
		return nil, fmt.Errorf("%q does not say how many of the requests must keep it; end it with a share, as in %s @95%%", text, text)
	}
	return slo, err
}

// Capacity is the SLO point of a run: the largest load that holds an SLO, below the
// first that misses it.
type Capacity struct {
	// Level is nil where no load holds the SLO.
	Level *Level
	// Next is the level after it, which does not hold; nil = the sweep ends there, so that more may hold.
	Next *Level
	// Share of the requests within all latencies, with its bounds. NaN where the SLO names no share.
	Share, ShareLow, ShareHigh float64
	Because                    string // a whole sentence
}

// AtLeast reports whether the sweep ends before the SLO does.
func (c Capacity) AtLeast() bool { return c.Level != nil && c.Next == nil }

// High is the load up to which the SLO may hold: that of the next level, infinite without one.
func (c Capacity) High() float64 {
	if c.Next == nil {
		return math.Inf(1)
	}
	return c.Next.Load.Level()
}

// CapacityOf finds the SLO point of levels in rising order of load, whose summaries were made for this SLO.
//
// A share of requests is taken over all repeats of a level: it holds where the lower bound of
// its 95 % interval (Clopper and Pearson 1934) reaches the share asked for, and most repeats
// reach it by themselves. The other objectives hold where they do in most repeats, see [analysis.Verdict].
func CapacityOf(levels []Level, slo experiment.SLO) Capacity {
	c := Capacity{Share: math.NaN(), ShareLow: math.NaN(), ShareHigh: math.NaN()}
	for i := range levels {
		l := &levels[i]
		ruling := l.rule(slo)
		if ruling == analysis.Holds {
			c.Level, c.Next = l, nil
			continue
		}
		if c.Next == nil {
			c.Next = l
		}
		if ruling == analysis.Misses {
			break
		}
	}
	if c.Level == nil {
		c.Because = "No load holds " + slo.String() + "."
		if len(levels) > 0 {
			c.Because = fmt.Sprintf("No load holds %s, not even %s (%s).", slo, levels[0].Load, levels[0].standing(slo))
		}
		return c
	}
	c.Share, c.ShareLow, c.ShareHigh = c.Level.share(slo)
	c.Because = fmt.Sprintf("%s holds %s (%s)", c.Level.Load, slo, c.Level.standing(slo))
	if c.Next == nil {
		c.Because += ", and it is the largest load measured: more may hold."
	} else {
		c.Because += fmt.Sprintf("; %s does not (%s).", c.Next.Load, c.Next.standing(slo))
	}
	return c
}

// split separates the share of good requests from the other objectives that judge.
func split(slo experiment.SLO) (goodput *experiment.Objective, others experiment.SLO) {
	for i := range slo {
		switch {
		case slo[i].Metric == "goodput":
			goodput = &slo[i]
		case slo[i].Judges():
			others = append(others, slo[i])
		}
	}
	return goodput, others
}

// rule judges a level by its repeats.
func (l Level) rule(slo experiment.SLO) analysis.Ruling {
	goodput, others := split(slo)
	half := (len(l.Points) + 1) / 2
	barren, reached := 0, 0
	rulings := map[analysis.Ruling]int{}
	for _, p := range l.Points {
		if p.OK == 0 {
			barren++
		}
		if goodput != nil && p.GoodShare >= goodput.Bound {
			reached++
		}
		if len(others) > 0 {
			rulings[analysis.Verdict(others, p).Ruling]++
		}
	}
	_, low, high := l.share(slo)
	switch {
	case l.pilesUp(), 2*barren >= len(l.Points), 2*rulings[analysis.Misses] > len(l.Points), goodput != nil && high < goodput.Bound:
		return analysis.Misses
	case goodput != nil && (!(low >= goodput.Bound) || reached < half),
		len(others) > 0 && 2*rulings[analysis.Holds] <= len(l.Points):
		return analysis.Unsure
	}
	return analysis.Holds
}

// share is that of the measured requests of all repeats within the latencies of the
// SLO, with its exact 95 % interval; NaN where the SLO asks for no share.
func (l Level) share(slo experiment.SLO) (value, low, high float64) {
	goodput, _ := split(slo)
	k, n := 0.0, 0.0
	for _, p := range l.Points {
		if goodput != nil && !math.IsNaN(p.GoodShare) {
			k, n = k+math.Round(p.GoodShare*float64(p.Sent)), n+float64(p.Sent)
		}
	}
	if n == 0 {
		return math.NaN(), math.NaN(), math.NaN()
	}
	low, high = 0, 1
	if k > 0 {
		low = distuv.Beta{Alpha: k, Beta: n - k + 1}.Quantile(0.025)
	}
	if k < n {
		high = distuv.Beta{Alpha: k + 1, Beta: n - k}.Quantile(0.975)
	}
	return k / n, low, high
}

// standing says in a few words how a level stands to the SLO.
func (l Level) standing(slo experiment.SLO) string {
	var parts []string
	goodput, others := split(slo)
	if goodput != nil {
		share, low, high := l.share(slo)
		parts = append(parts, fmt.Sprintf("%.3g %% of %s within it, 95 %% interval %.3g to %.3g %%", 100*share, sentence.Plural(l.sent(), "request"), 100*low, 100*high))
	}
	if len(others) > 0 {
		_, what, _ := strings.Cut(analysis.Verdict(others, l.Points[len(l.Points)/2]).Sentence, ": ")
		parts = append(parts, strings.TrimSuffix(what, "."))
	}
	if l.pilesUp() {
		parts = append(parts, "and requests pile up")
	}
	return strings.Join(parts, "; ")
}

// pilesUp reports whether more arrives than is served in at least half of the repeats, so that
// a longer run would have other latencies.
func (l Level) pilesUp() bool {
	n := 0
	for _, p := range l.Points {
		if p.Oversaturated {
			n++
		}
	}
	return n > 0 && 2*n >= len(l.Points)
}

func (l Level) sent() int {
	n := 0
	for _, p := range l.Points {
		n += p.Sent
	}
	return n
}

// AtDiff compares two runs of one variant, each at its own SLO point.
type AtDiff struct {
	Variant string
	A, B    Capacity
	// Load is B's largest load ÷ A's, and its bounds are those that the steps of the two
	// sweeps leave open: no interval of chance. NaN where a side has none.
	Load, LoadLow, LoadHigh float64
	LoadWord                Word
	// Diff compares the figures of the two loads; nil where a side has none.
	Diff *LevelDiff
}

// perGPU names output throughput ÷ the number of GPUs that serve.
const perGPU = "output_throughput_per_gpu"

// At compares two runs at their SLO points: of each variant that both have. The runs' summaries must have
// been made for the SLO.
func At(a, b *Run, slo experiment.SLO, o Options) (*Diff, []AtDiff, error) {
	d := &Diff{A: a, B: b, Setup: NewSetup(a, b)}
	va, vb := a.variants(), b.variants()
	var out []AtDiff
	var pairs [][2]Level
	for _, name := range slices.Sorted(maps.Keys(va)) {
		if vb[name] == nil {
			continue
		}
		x := AtDiff{Variant: name, A: CapacityOf(va[name], slo), B: CapacityOf(vb[name], slo)}
		x.loads()
		if x.A.Level != nil && x.B.Level != nil {
			pairs = append(pairs, [2]Level{*x.A.Level, *x.B.Level})
		}
		out = append(out, x)
	}
	d.Unequal = unequalRuns(a, b, pairs)
	if len(d.Unequal) > 0 && !o.Anyway {
		d.Refused = true
		return d, nil, nil
	}
	for i := range out {
		if err := out[i].figures(o); err != nil {
			return nil, nil, err
		}
		if l := out[i].Diff; l != nil {
			d.add(*l)
		}
	}
	d.Notes = notes(a, b, d.Levels)
	return d, out, nil
}

// variants gives the levels of each variant.
func (r *Run) variants() map[string][]Level {
	out := map[string][]Level{}
	for _, l := range r.Levels() {
		out[l.Load.Variant] = append(out[l.Load.Variant], l)
	}
	return out
}

// loads compares the largest loads.
func (x *AtDiff) loads() {
	x.Load, x.LoadLow, x.LoadHigh, x.LoadWord = math.NaN(), math.NaN(), math.NaN(), NoWord
	if x.A.Level == nil || x.B.Level == nil || x.A.Level.Load.Open() != x.B.Level.Load.Open() { // users and requests per second have no ratio
		return
	}
	la, lb := x.A.Level.Load.Level(), x.B.Level.Load.Level()
	x.Load, x.LoadLow, x.LoadHigh = lb/la, lb/x.A.High(), x.B.High()/la
	x.LoadWord = Same
	if x.LoadLow >= 1 && lb > la {
		x.LoadWord = Better
	} else if x.LoadHigh <= 1 && lb < la {
		x.LoadWord = Worse
	}
}

// figures compares what the two loads give.
func (x *AtDiff) figures(o Options) error {
	if x.A.Level == nil || x.B.Level == nil {
		return nil
	}
	list := o.Figures
	if list == nil {
		for _, name := range []string{"output_throughput", "ttft.p95", "tpot.p95"} {
			f, err := ParseFigure(name)
			if err != nil {
				return err
			}
			list = append(list, f)
		}
	}
	a, b := *x.A.Level, *x.B.Level
	ga, gb := a.Run.gpus(), b.Run.gpus()
	if o.Figures == nil && ga > 0 && gb > 0 && max(ga, gb) > 1 {
		list = slices.Insert(list, 1, Figure{Metric: analysis.Metric{Name: perGPU, Version: 1, Title: "Output throughput a GPU", Unit: "tok/s/GPU",
			Direction: analysis.HigherIsBetter, OfPoint: func(s *analysis.PointSummary) float64 {
				if s.Point.ExperimentID == a.Run.Experiment.ID {
					return s.OutputThroughput / float64(ga)
				}
				return s.OutputThroughput / float64(gb)
			}}})
	}
	d, err := CompareLevels(a, b, list, o.Floors)
	x.Diff = &d
	return err
}

// gpus is the number of GPUs that serve; 0 = not known.
func (r *Run) gpus() int {
	f := r.Experiment.Environment.Get(experiment.KeyGPUCount)
	n, err := strconv.Atoi(f.Value)
	if err != nil || f.Source == experiment.UnknownValue {
		return 0
	}
	return n
}
