package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

func (v *view) printJSON(w io.Writer) error { return printJSON(w, v.runView()) }

// printResult prints what a run found: the table, what the curve's shape says,
// and what the figures cannot support.
func (p *program) printResult(v *view) {
	e := v.Experiment
	fmt.Fprintf(p.out, "%s  %s\n", p.bold(e.Title()), e.Environment.Label())
	fmt.Fprintf(p.out, "%s\n\n", workloadLine(e))
	for _, c := range v.Curves {
		if c.Variant != "" {
			fmt.Fprintf(p.out, "%s\n", c.Variant)
		}
		p.printLevels(c, &e.Spec)
		p.printClasses(c)
		p.printLandmarks(c)
		if c.Variant != "" {
			fmt.Fprintln(p.out)
		}
	}
	if v.Search != nil {
		fmt.Fprintf(p.out, "\n%s %s\n", p.bold("The largest load that holds "+e.Spec.SLO.String()+":"), v.Search.Sure)
	}
	p.printExpectations(v.Scores)
	p.printInstrument(v)
	p.printFailures(v.Failures)
	p.printVerdict(v)
	p.printLimits(v)
}

// printBarren prints a run in which nothing succeeded: what was tried, and no
// list of what that cannot support.
func (p *program) printBarren(v *view) {
	e := v.Experiment
	fmt.Fprintf(p.out, "%s  %s\n%s\n\n", p.bold(e.Title()), e.Environment.Label(), workloadLine(e))
	for _, c := range v.Curves {
		p.printLevels(c, &e.Spec)
	}
	p.printExpectations(v.Scores)
	p.printVerdict(v)
}

// workloadLine says in one line what was asked.
func workloadLine(e *experiment.Experiment) string {
	s := e.Spec
	parts := []string{fmt.Sprintf("%s, %s", s.Endpoint, streamWord(s.Stream))}
	text := analysis.WorkloadText(&s)
	if _, fixed := s.InputTokens.Fixed(); fixed && s.Jitter > 0 && s.Prompt == "" && s.Data == nil {
		text += fmt.Sprintf(" ±%g %%", s.Jitter*100)
	}
	parts = append(parts, text)
	switch {
	case s.Requests > 0 && s.Duration > 0:
		parts = append(parts, fmt.Sprintf("n=%d or %s a point", s.Requests, time.Duration(s.Duration)))
	case s.Duration > 0:
		parts = append(parts, fmt.Sprintf("%s a point", time.Duration(s.Duration)))
	case s.Requests > 0:
		parts = append(parts, fmt.Sprintf("n=%d a point", s.Requests))
	}
	parts = append(parts, arrivalWord(&s), repeatsWord(s.Repeats))
	if e.Environment.Simulated() {
		parts = append(parts, "simulated ("+e.Environment.Get(experiment.KeyCalibration).Value+")")
	}
	return strings.Join(parts, " · ")
}

// arrivalWord says when requests are sent.
func arrivalWord(s *experiment.Spec) string {
	switch {
	case len(s.Classes) > 0 && s.Classes[0].Weight == 0:
		return "a loop for each class"
	case s.Arrival.Open():
		text := "open loop, " + s.Arrival.String()
		if s.MaxConcurrency > 0 {
			text += fmt.Sprintf(", at most %d in flight", s.MaxConcurrency)
		}
		if s.Warmup > 0 {
			text += fmt.Sprintf(", first %d%s left out", s.Warmup, conversationsWord(s))
		}
		return text
	default:
		return fmt.Sprintf("closed loop, %d warm-up a worker left out", s.Warmup)
	}
}

// conversationsWord says that what arrives are conversations, each of several requests.
func conversationsWord(s *experiment.Spec) string {
	if s.Turns.IsZero() {
		return ""
	}
	return " conversations"
}

func streamWord(stream bool) string {
	if stream {
		return "streamed"
	}
	return "not streamed"
}

func repeatsWord(n int) string {
	if n == 1 {
		return "one repeat"
	}
	return fmt.Sprintf("%d repeats, shuffled", n)
}

// printLandmarks prints what the curve's shape says, each with its arithmetic, and what it comes to beside
// data sheets.
func (p *program) printLandmarks(c analysis.Curve) {
	var shape, sheets, readings []string
	if f := c.Fit; f != nil {
		shape = append(shape, fmt.Sprintf("%s  (R² %.3f, %d levels)", f, f.R2, f.N))
	}
	for _, l := range []struct {
		name string
		mark *analysis.Landmark
	}{{"free batching up to", c.Free}, {"knee at", c.Knee}, {"plateau from", c.Plateau}, {"admission limit from", c.AdmissionLimit}, {"preemption from", c.Preemption},
		{"highest stable rate:", c.StableRate}, {"best goodput at", c.BestGoodput}, {"SLO held up to", c.SLOCapacity}} {
		if l.mark != nil {
			because := strings.TrimPrefix(strings.TrimPrefix(l.mark.Because, "At "+l.mark.Load.String()+" "), "Up to here ")
			shape, readings = append(shape, fmt.Sprintf("%s %s: %s", l.name, l.mark.Load, because)), append(readings, l.mark.Reading)
		}
	}
	if c.Physics != nil {
		for _, x := range c.Physics.Explained {
			sheets, readings = append(sheets, x.Sentence), append(readings, x.Reading)
		}
		if len(sheets) > 0 && !c.Simulated { // the label names all of a simulated one
			sheets = append(sheets, c.Machine.Source)
		}
	}
	p.printBlock("What the curve says", shape)
	p.printBlock("Beside data sheets", sheets)
	readings = slices.DeleteFunc(unique(readings), func(slug string) bool { return slug == "" })
	if len(readings) > 0 {
		fmt.Fprintf(p.out, "  [%s]\n", strings.Join(readings, ", "))
	}
}

// printBlock prints lines under a heading; nothing where there are none.
func (p *program) printBlock(heading string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(p.out, "\n%s\n", p.bold(heading))
	for _, line := range lines {
		fmt.Fprintf(p.out, "  · %s\n", line)
	}
}

// printBetween prints what keeps experiments from being compared side by side.
func (p *program) printBetween(views []*view) {
	p.printBlock("Side by side", analysis.Between(curvesOf(views)))
}

// unique drops repeats and keeps the order.
func unique(list []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}
