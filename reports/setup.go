package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// setupBody is the table of what was run and on what: one column an experiment,
// each fact with how it came to be known.
func setupBody(m *Material) string {
	var b strings.Builder
	head, align := []string{""}, "l"
	for i := range m.Experiments {
		head, align = append(head, strong(m.Experiments[i].title())), align+"l"
	}
	b.WriteString(row(head...) + rule(align))
	for _, r := range setupRows {
		cells, any := []string{r.name}, false
		for i := range m.Experiments {
			c := r.cell(&m.Experiments[i])
			any = any || c != ""
			switch {
			case c == "":
				c = "–"
			case i > 0 && c == cells[1]: // what differs is what is looked for
				c = "same"
			}
			cells = append(cells, c)
		}
		if any {
			b.WriteString(row(cells...))
		}
	}
	b.WriteString("\nIn italics: how a fact came to be known. *Detected*: this program read it from the machine or the server. *Declared*: a person said so. " +
		"*Simulated*: a property of the simulated engine. *Imported*: from another tool's file. *Unknown*: looked for and not found.\n")
	var texts []string
	about := map[string][]string{}
	for i := range m.Experiments {
		if s := otherFacts(&m.Experiments[i]); s != "" {
			if about[s] == nil {
				texts = append(texts, s)
			}
			if a := m.Experiments[i].Experiment.Alias(); !slices.Contains(about[s], a) {
				about[s] = append(about[s], a)
			}
		}
	}
	for _, s := range texts {
		b.WriteString("\nAlso recorded about " + listing(about[s]) + ": " + s + ".\n")
	}
	return b.String()
}

// setupRows are the rows of the table, each made from one experiment.
var setupRows = []struct {
	name string
	cell func(*Item) string
}{
	{"Why", func(it *Item) string { return inline(it.Experiment.Message) }},
	{"Status", statusCell},
	{"Model", factCell(experiment.KeyModel)},
	{"Precision", factCell(experiment.KeyPrecision)},
	{"Longest context", factCell(experiment.KeyMaxModelLen)},
	{"Runtime", func(it *Item) string {
		env := it.Experiment.Environment
		return sourced(runtimeName(env), env.Get(experiment.KeyRuntime).Source)
	}},
	{"Hardware", func(it *Item) string {
		env := it.Experiment.Environment
		return sourced(hardwareName(env), env.Get(experiment.KeyGPUModel).Source)
	}},
	{"Target", targetCell},
	{"Calibration", factCell(experiment.KeyCalibration)},
	{"Workload", workloadCell},
	{"Arrival", arrivalCell},
	{"Levels", levelsCell},
	{"Service level", serviceCell},
	{"Stop", stopCell},
	{"Warm-up and steady state", steadyCell},
	{"Requests", requestsCell},
	{"Tokens counted by", countedCell},
	{"Stream", streamCell},
	{"Client", clientCell},
	{"Dates (UTC)", datesCell},
}

// tableKeys are the facts that have a row of their own.
var tableKeys = []string{experiment.KeyModel, experiment.KeyPrecision, experiment.KeyMaxModelLen, experiment.KeyRuntime,
	experiment.KeyRuntimeVersion, experiment.KeyGPUModel, experiment.KeyGPUCount, experiment.KeyEndpoint,
	experiment.KeyCalibration, experiment.KeyTime}

// sourced writes a fact's value with how it is known.
func sourced(value string, s experiment.Source) string {
	if s == experiment.UnknownValue || value == "" {
		return "*unknown*"
	}
	return inline(value) + " *" + inline(string(s)) + "*"
}

func factCell(key string) func(*Item) string {
	return func(it *Item) string {
		f := it.Experiment.Environment.Get(key)
		if f.Source == experiment.UnknownValue && (key == experiment.KeyCalibration || key == experiment.KeyMaxModelLen) {
			return "" // not every target has one, so that its absence says nothing
		}
		return sourced(f.Value, f.Source)
	}
}

func statusCell(it *Item) string {
	if it.Experiment.Status == experiment.Complete {
		return "complete"
	}
	return "**" + strings.ToUpper(inline(string(it.Experiment.Status))) + "**"
}

func targetCell(it *Item) string {
	e := &it.Experiment
	if e.Environment.Simulated() {
		if e.Environment.Virtual() {
			return "simulated engine, in virtual time, no HTTP"
		}
		if t := e.Environment.Scaled(); t != "" {
			return "simulated engine, over HTTP, its clock " + t
		}
		return "simulated engine, over HTTP on this machine"
	}
	f := e.Environment.Get(experiment.KeyEndpoint)
	if f.Source == experiment.UnknownValue && e.Spec.BaseURL != "" {
		f.Value, f.Source = e.Spec.BaseURL, experiment.Declared
	}
	return sourced(f.Value, f.Source)
}

func workloadCell(it *Item) string {
	s := &it.Experiment.Spec
	text := inline(it.workload())
	if s.Jitter > 0 {
		text += fmt.Sprintf(", fixed lengths ± %s", share(s.Jitter))
	}
	switch {
	case s.Prompt != "":
		text += "; the same prompt each time"
	case s.Data != nil:
		text += "; what the file does not give is synthetic"
	case sharedPrefixes(s):
		text += "; synthetic prompts, some of which begin alike"
	default:
		text += "; synthetic prompts, each unique"
	}
	text += fmt.Sprintf("; %s endpoint", inline(string(s.Endpoint)))
	if s.Stream {
		text += ", streamed"
	} else {
		text += ", not streamed"
	}
	if in, out, ok := meanLengths(it.Points); ok {
		text += fmt.Sprintf("; observed means %s → %s", digits(in), digits(out))
	}
	return text
}

// sharedPrefixes reports whether some prompts were made to begin alike.
func sharedPrefixes(s *experiment.Spec) bool {
	return s.Prefix != nil || slices.ContainsFunc(s.Classes, func(c experiment.Class) bool { return c.Prefix != nil })
}

// meanLengths are the observed tokens per successful request over all points;
// false when a server did not say.
func meanLengths(points []analysis.PointSummary) (prompt, output float64, ok bool) {
	n := 0
	for i := range points {
		p := &points[i]
		if p.OK == 0 || math.IsNaN(p.MeanPrompt) || math.IsNaN(p.MeanOutput) || p.MeanOutput <= 0 {
			continue
		}
		prompt += p.MeanPrompt * float64(p.OK)
		output += p.MeanOutput * float64(p.OK)
		n += p.OK
	}
	if n == 0 {
		return 0, 0, false
	}
	return prompt / float64(n), output / float64(n), true
}

func stopCell(it *Item) string {
	s := &it.Experiment.Spec
	var when []string
	each := " per point"
	if ownLoads(s) {
		each += " and class"
	}
	if s.Requests > 0 {
		when = append(when, counted(s.Requests, "measured request")+each)
	}
	if s.Duration > 0 {
		when = append(when, time.Duration(s.Duration).String()+" per point")
	}
	if !s.Until.IsZero() {
		when = append(when, "once "+inline(s.Until.String())+" is known")
	}
	if someOpen(it) && !s.KeepOversaturated {
		when = append(when, "once requests pile up")
	}
	return strings.Join(when, ", or ")
}

func steadyCell(it *Item) string {
	var rules []string
	warmed := 0
	for i := range it.Points {
		warmed += it.Points[i].WarmedUp
		rule := steadyRule(it.Points[i].Point.Window.Rule)
		if !slices.Contains(rules, rule) {
			rules = append(rules, rule)
		}
	}
	if len(rules) == 0 {
		return ""
	}
	excluded := "no request"
	if warmed > 0 {
		excluded = counted(warmed, "request")
	}
	return strings.Join(rules, "; ") + " (" + excluded + " excluded as warm-up)"
}

func steadyRule(r experiment.SteadyState) string {
	switch r {
	case experiment.SteadyClosed:
		return "each worker's first requests are warm-up, starts are staggered, and the drain counts for latency but not for throughput"
	case experiment.SteadyLoaded:
		return "each worker's first requests are warm-up, starts are staggered, and further requests keep the load up until the last measured one has ended; " +
			"throughput counts from the end of the last warm-up to then"
	case experiment.SteadyOpen:
		return "the first arrivals are warm-up, and arrivals go on until the last measured request has ended; " +
			"throughput counts whatever ends between the first measured arrival and the last"
	case experiment.SteadyNone:
		return "none: every request counts, from the first to the last byte"
	case "":
		return "no rule recorded"
	}
	return inline(string(r))
}

func requestsCell(it *Item) string {
	sent, ok := requests(it.Points)
	text := fmt.Sprintf("%s ok of %s sent", thousands(ok), thousands(sent))
	outcomes := map[experiment.Outcome]int{}
	for i := range it.Points {
		for o, n := range it.Points[i].Outcomes {
			outcomes[o] += n
		}
	}
	for _, o := range experiment.Outcomes {
		if n := outcomes[o]; n > 0 && o != experiment.OK {
			text += fmt.Sprintf(", %s %s", thousands(n), inline(string(o)))
		}
	}
	return text
}

func countedCell(it *Item) string {
	by := map[experiment.Counted]int{}
	for i := range it.Points {
		for c, n := range it.Points[i].CountedBy {
			by[c] += n
		}
	}
	var out []string
	for _, c := range []struct {
		counted experiment.Counted
		text    string
	}{
		{experiment.CountedUsage, "the server's usage"}, {experiment.CountedContinuous, "the server's usage on every chunk"},
		{experiment.CountedTokenize, "the server's tokenizer"}, {experiment.CountedEvents, "events with text, a lower bound"},
		{experiment.CountedNone, "nobody"},
	} {
		if n := by[c.counted]; n > 0 {
			out = append(out, fmt.Sprintf("%s (%s)", c.text, counted(n, "request")))
		}
	}
	return strings.Join(out, ", ")
}

func streamCell(it *Item) string {
	var seen []string
	for i := range it.Points {
		text := map[analysis.StreamingVerdict]string{
			analysis.StreamEffective: "effective: about one event a token",
			analysis.StreamChunked:   "chunked: several tokens an event, or several events a read",
			analysis.StreamNone:      "none: not streamed, or buffered into one burst",
		}[it.Points[i].Streaming]
		if text != "" && !slices.Contains(seen, text) {
			seen = append(seen, text)
		}
	}
	return strings.Join(seen, "; ")
}

// clientCell is the instrument about itself: where it ran, how late it sent and
// read, and how it took the times.
func clientCell(it *Item) string {
	var parts []string
	for _, f := range it.Experiment.Environment.Facts {
		if name, ok := strings.CutPrefix(f.Key, "client."); ok {
			parts = append(parts, inline(name)+" "+sourced(f.Value, f.Source))
		}
	}
	lag, read, stamps := int64(experiment.Unknown), 0.0, []string{}
	for i := range it.Points {
		h := it.Points[i].Point.Health
		lag = max(lag, h.SendLagP99)
		if r := it.Points[i].ReadLagP99; r > read { // NaN where the kernel did not stamp
			read = r
		}
		if s := inline(h.StampSource); s != "" && !slices.Contains(stamps, s) {
			stamps = append(stamps, s)
		}
	}
	if lag >= 0 && len(it.Points) > 0 {
		ms := float64(lag) / float64(time.Millisecond)
		parts = append(parts, "send lag p99 of the worst point "+latency(ms).text(ms))
	}
	if read > 0 {
		parts = append(parts, "read lag p99 of the worst point "+latency(read).text(read))
	}
	if len(stamps) > 0 {
		parts = append(parts, "arrivals stamped by: "+strings.Join(stamps, ", "))
	}
	return strings.Join(parts, "; ")
}

func datesCell(it *Item) string {
	const form = "2006-01-02 15:04"
	e := &it.Experiment
	text := e.Started.UTC().Format(form)
	if e.Ended.IsZero() {
		return text + ", no end recorded"
	}
	return text + " to " + e.Ended.UTC().Format(form)
}

// otherFacts lists what else is known about an experiment's environment; empty
// where there is nothing.
func otherFacts(it *Item) string {
	var facts []string
	for _, f := range it.Experiment.Environment.Facts {
		if !slices.Contains(tableKeys, f.Key) && !strings.HasPrefix(f.Key, "client.") {
			facts = append(facts, inline(f.Key)+": "+sourced(f.Value, f.Source))
		}
	}
	return strings.Join(facts, "; ")
}
