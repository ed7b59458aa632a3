package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// summaryBody says in plain words what was run, what came of it, and first of
// all whether it can be believed.
func summaryBody(m *Material) string {
	var b strings.Builder
	b.WriteString("**Before any number, whether it can be believed:**\n\n")
	for i := range m.Experiments {
		b.WriteString(verdictLines(&m.Experiments[i]))
	}
	for _, s := range analysis.Between(curves(m)) {
		b.WriteString("- **Side by side.** " + inline(s) + "\n")
	}
	b.WriteString("\n*Do not quote*: a figure would mislead. *Sound with limits*: it can be quoted with the limit beside it. An experiment is not to be quoted where none of its levels is. All findings stand under Limits.\n\n")
	b.WriteString(row("Experiment", "Operating point", "Load", "Output throughput", "TTFT p95", "TPOT p95", "$/M output tokens"))
	b.WriteString(rule("lllrrrr"))
	for i := range m.Experiments {
		writeOperatingPoints(&b, &m.Experiments[i])
	}
	b.WriteString("\nIn italics, and below in parentheses: 95 % intervals. n is the number of requests behind a figure; over several repeats a figure is their median. The price of a token puts all of the money on output tokens; its assumptions are under Cost." + spreadLegend(m) + "\n")
	for i := range m.Experiments {
		b.WriteString("\n" + summarise(&m.Experiments[i]) + "\n")
	}
	return b.String()
}

// curves are those of all experiments, in the order of the report.
func curves(m *Material) []analysis.Curve {
	out := make([]analysis.Curve, len(m.Experiments))
	for i := range m.Experiments {
		out[i] = m.Experiments[i].Curve
	}
	return out
}

// operatingPoint is a level that a buyer or a learner asks about by name.
type operatingPoint struct {
	name  string
	level *analysis.Level
}

// operatingPoints are in order of load. A level that is several of them is listed
// once, with all names.
func operatingPoints(it *Item) []operatingPoint {
	c := &it.Curve
	var out []operatingPoint
	add := func(name string, l *analysis.Level) {
		if i := slices.IndexFunc(out, func(p operatingPoint) bool { return p.level == l }); i >= 0 {
			out[i].name += ", and " + name
		} else if l != nil {
			out = append(out, operatingPoint{name, l})
		}
	}
	best := bestLevel(c.Levels)
	switch {
	case best == nil:
	case len(c.Levels) == 1:
		add("the only level"+piling(best), best)
	case pastPlateau(it, best):
		add("highest throughput, past the plateau", best)
	default:
		add("highest throughput"+piling(best), best)
	}
	if len(c.Levels) > 1 {
		for _, named := range []struct {
			name string
			at   *analysis.Landmark
		}{
			{"knee of the curve", c.Knee}, {"highest stable rate", c.StableRate},
			{"most goodput", c.BestGoodput}, {"largest load that holds the SLO", c.SLOCapacity},
		} {
			if named.at != nil {
				add(named.name, levelAt(c.Levels, named.at.Load))
			}
		}
	}
	slices.SortStableFunc(out, func(a, b operatingPoint) int { return a.level.Load.Compare(b.level.Load) })
	return out
}

// piling says that a level is more than the server serves; empty where it is not.
func piling(l *analysis.Level) string {
	if l.Oversaturated {
		return ", where requests pile up"
	}
	return ""
}

// pastPlateau reports whether a level's load buys next to nothing over a smaller
// one's, so that it is the highest by chance and dear in waiting.
func pastPlateau(it *Item, l *analysis.Level) bool {
	p := it.Curve.Plateau
	return p != nil && !l.Load.Open() && l.Load.Level() > p.Load.Level()
}

func writeOperatingPoints(b *strings.Builder, it *Item) {
	points, who := operatingPoints(it), strong(it.title())
	if it.Experiment.Environment.Simulated() {
		who += " (simulated)"
	}
	if len(points) == 0 {
		b.WriteString(row(who, "nothing was measured", "–", "–", "–", "–", "–"))
	}
	for i, p := range points {
		title := who
		if i > 0 {
			title = ""
		}
		money := "–"
		if c := costAt(it.Costs, p.level.Load); c != nil {
			money = dollars.cell(c.OutputOnly)
		}
		l := p.level
		b.WriteString(row(title, p.name, it.load(l.Load), tokensPerSecond.cell(l.OutputThroughput),
			latency(l.TTFTP95.Value).cell(l.TTFTP95), latency(l.TPOTP95.Value).cell(l.TPOTP95), money))
	}
}

// bestLevel is the level with the highest output throughput; nil when none has any.
func bestLevel(levels []analysis.Level) *analysis.Level {
	var best *analysis.Level
	for i := range levels {
		v := levels[i].OutputThroughput.Value
		if !math.IsNaN(v) && v > 0 && (best == nil || v > best.OutputThroughput.Value) {
			best = &levels[i]
		}
	}
	return best
}

// levelAt finds the level of a load, whatever its variant: a curve has one, which
// a landmark on it does not repeat. It gives nil where there is none.
func levelAt(levels []analysis.Level, load experiment.Load) *analysis.Level {
	for i := range levels {
		if l := levels[i].Load; l.Concurrency == load.Concurrency && l.Rate == load.Rate {
			return &levels[i]
		}
	}
	return nil
}

func costAt(costs []analysis.Cost, load experiment.Load) *analysis.Cost {
	for i := range costs {
		if costs[i].Level == load {
			return &costs[i]
		}
	}
	return nil
}

// summarise is one experiment in a paragraph and a few points.
func summarise(it *Item) string {
	env := it.Experiment.Environment
	sent, ok := requests(it.Points)
	s := fmt.Sprintf("%s sent %s to %s on %s, %s", strong(it.title()), counted(sent, "measured request"),
		inline(env.Get(experiment.KeyModel).Value), inline(runtimeName(env)), inline(hardwareName(env)))
	if env.Simulated() {
		s += " (simulated)"
	}
	s += ", " + loads(it) + ". " + successes(ok, sent) + " " + workloadSentence(it)
	best := bestLevel(it.Curve.Levels)
	if best == nil {
		return s + " Nothing was measured that a throughput could be computed from."
	}
	what := "Highest output throughput"
	if len(it.Curve.Levels) == 1 {
		what = "Output throughput"
	}
	s += "\n\n- **" + what + ":** " + tokensPerSecond.phrase(best.OutputThroughput) + " at " + it.load(best.Load)
	if math.IsNaN(best.TTFTP95.Value) {
		s += fmt.Sprintf(", where E2E p95 is %s. TTFT was not observed.", latency(best.E2EP95.Value).phrase(best.E2EP95))
	} else {
		s += fmt.Sprintf(", where TTFT p95 is %s and TPOT p95 %s.", latency(best.TTFTP95.Value).phrase(best.TTFTP95), latency(best.TPOTP95.Value).phrase(best.TPOTP95))
	}
	if pastPlateau(it, best) {
		s += fmt.Sprintf(" That is past the plateau at %s: more load than there buys waiting and next to no throughput.", it.load(it.Curve.Plateau.Load))
	}
	if best.Oversaturated {
		s += " Requests pile up at that load: its latencies say how long the run was, and not what a user gets."
	}
	s += kneeSentence(it, best) + serviceSentences(it) + classSentences(it, best)
	if c := costAt(it.Costs, best.Load); c != nil {
		s += fmt.Sprintf("\n- **Cost at %s:** %s per million output tokens, at %s per GPU-hour (%s, %s), %s and a utilisation of %s.", it.load(best.Load),
			dollars.phrase(c.OutputOnly), price(c.Price.USDHour), c.Price.Date.Format(day), source(c.Price.Source), counted(c.GPUs, "GPU"), share(c.Utilisation))
	} else if it.NoCost != "" {
		s += "\n- **Cost:** none. " + sentence(it.NoCost)
	}
	return s
}

// kneeSentence says where the curve bends; empty where that is the best level,
// or there is no curve.
func kneeSentence(it *Item, best *analysis.Level) string {
	levels, k := it.Curve.Levels, it.Curve.Knee
	if k == nil {
		if len(levels) < 2 || someOpen(it) {
			return ""
		}
		return fmt.Sprintf("\n- **Knee:** not reached up to %s.", it.load(levels[len(levels)-1].Load))
	}
	l := levelAt(levels, k.Load)
	if l == nil || l == best {
		return ""
	}
	return fmt.Sprintf("\n- **Knee:** %s, with %s of that throughput at a TTFT p95 of %s.", it.load(k.Load),
		percent.text(l.OutputThroughput.Value/best.OutputThroughput.Value), latency(l.TTFTP95.Value).phrase(l.TTFTP95))
}

// requests counts the measured requests of all points, and the successful ones.
func requests(points []analysis.PointSummary) (sent, ok int) {
	for i := range points {
		sent += points[i].Sent
		ok += points[i].OK
	}
	return sent, ok
}

func successes(ok, sent int) string {
	switch {
	case sent == 0:
		return "No request was measured."
	case ok == sent:
		return "All of them succeeded."
	case ok == 0:
		return "**None of them succeeded.**"
	}
	return fmt.Sprintf("%s of them succeeded and %s failed (%s).", thousands(ok), thousands(sent-ok), percent.text(float64(sent-ok)/float64(sent)))
}

// loads says how many levels there are, and how often each was measured.
func loads(it *Item) string {
	levels := it.Curve.Levels
	var s string
	switch len(levels) {
	case 0:
		return "at no level of load"
	case 1:
		s = "at one level of load, " + it.load(levels[0].Load)
	default:
		s = fmt.Sprintf("at %d levels of load from %s to %s", len(levels), it.load(levels[0].Load), it.load(levels[len(levels)-1].Load))
	}
	least, most := len(levels[0].Points), len(levels[0].Points)
	for i := range levels {
		least, most = min(least, len(levels[i].Points)), max(most, len(levels[i].Points))
	}
	switch {
	case least != most:
		return s + fmt.Sprintf(", with %d to %d repeats each", least, most)
	case most == 1:
		return s + ", one repeat each"
	}
	return s + fmt.Sprintf(", %d repeats each", most)
}

// serviceSentences say up to which load the server keeps up, and up to which it
// keeps the service level; empty where neither was asked.
func serviceSentences(it *Item) string {
	c, slo := &it.Curve, it.Experiment.Spec.SLO
	s := ""
	if c.StableRate != nil {
		s += "\n- **Stable rate:** " + inline(c.StableRate.Because)
	}
	switch {
	case c.SLOCapacity != nil:
		s += "\n- **Service level:** " + inline(c.SLOCapacity.Because)
	case slo.Judges() && len(c.Levels) > 0:
		s += fmt.Sprintf("\n- **Service level:** no level was shown to hold %s.", inline(slo.String()))
	}
	return s
}

// classSentences tell what each kind of traffic got at a level; empty where there is one kind.
func classSentences(it *Item, at *analysis.Level) string {
	s := ""
	for i := range it.Experiment.Spec.Classes {
		class := &it.Experiment.Spec.Classes[i]
		l := levelAt(classLevels(it, class), at.Load)
		if l == nil {
			continue
		}
		s += fmt.Sprintf("\n- **%s at %s:** TTFT p95 %s and TPOT p95 %s.", inline(class.Name), it.load(at.Load),
			latency(l.TTFTP95.Value).phrase(l.TTFTP95), latency(l.TPOTP95.Value).phrase(l.TPOTP95))
		if l.GoodShare.Known() {
			s += fmt.Sprintf(" %s of its requests were within %s.", percent.text(l.GoodShare.Value), inline(classSLO(&it.Experiment.Spec, class).String()))
		}
	}
	return s
}

func workloadSentence(it *Item) string {
	t := "The requests, prompt → answer: " + inline(it.workload())
	if j := it.Experiment.Spec.Jitter; j > 0 {
		t += fmt.Sprintf(" (fixed lengths ± %s)", share(j))
	}
	return t + "."
}

func runtimeName(env experiment.Environment) string {
	rt := env.Get(experiment.KeyRuntime)
	if rt.Source == experiment.UnknownValue {
		return "an unknown runtime"
	}
	if v := env.Get(experiment.KeyRuntimeVersion); v.Source != experiment.UnknownValue {
		return rt.Value + " " + v.Value
	}
	return rt.Value
}

func hardwareName(env experiment.Environment) string {
	gpu, n := env.Get(experiment.KeyGPUModel), env.Get(experiment.KeyGPUCount)
	switch {
	case gpu.Source == experiment.UnknownValue:
		return "unknown hardware"
	case n.Source == experiment.UnknownValue:
		return gpu.Value + " (how many is unknown)"
	}
	return n.Value + "× " + gpu.Value
}
