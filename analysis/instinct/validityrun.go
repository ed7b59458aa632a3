package instinct

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

// runRules ask how the run went: what came to an end, how much there is of it, and whose time it is.
var runRules = []Rule{
	{
		ID: "V01", Title: "Nothing to measure", Section: Validity, Severity: Error,
		Needs: "a measured request", Fires: "no measured request succeeded",
		Means:   "There is no figure at all, and what stopped the requests is the finding.",
		Reading: "cheng-inference-benchmarking", Try: "Read the failures, then send one request by hand.",
		look: atEvery(seeNothing),
	},
	{
		ID: "V02", Title: "Stopped early", Section: Validity, Severity: Warning,
		Needs: "the status of each point", Fires: "a point or the run ended before its plan did, or has not ended",
		Means:   "The point holds fewer requests than were planned, and what ended it may be what it would have shown.",
		Reading: "cheng-inference-benchmarking", Try: "Run the experiment again, without what ended it.",
		look: seeStopped,
	},
	{
		ID: "I11", Title: "Percentile without samples", Section: Validity, Severity: Warning,
		Needs: "successful requests", Fires: "fewer than `beyond` requests lie beyond p50, p90, p95 or p99; a note where it is p99 alone",
		Thresholds: []Threshold{{Name: "beyond", Value: 10, Unit: "requests", Why: "With fewer than ten beyond it, a percentile is decided by a handful of requests: p99 of 50 is the maximum by another name."}},
		Means:      "The percentiles named rest on too few requests to be quoted; the others stand.",
		Reading:    "nvidia-tensorrt-llm-tuning", Try: "Send as many requests as the percentile needs, or quote p50.",
		look: atClasses(seeFew),
	},
	{
		ID: "I12", Title: "Difference within noise", Section: Validity, Severity: Note,
		Needs: "points", Fires: "a level has fewer than `repeats` repeats",
		Thresholds: []Threshold{{Name: "repeats", Value: analysis.RepeatsForInterval, Why: "Of five repeats all lie on one side of the median with probability 2 × 0.5⁵ = 6.25 %, so that six are the fewest whose range is a 95 % interval."}},
		Means:      "How far another run would be from this one is not known, so that a small difference to another experiment is none.",
		Reading:    "nvidia-tensorrt-llm-tuning", Try: "Run it with --repeat 6, and compare with `inferbook diff`.",
		look: seeRepeats,
	},
	{
		ID: "I13", Title: "Errors and survivorship", Section: Validity, Severity: Warning,
		Needs: "a successful request", Fires: "more than `share` of the requests failed, those that the client stopped left out; an error from `condemn` on",
		Thresholds: []Threshold{
			{Name: "share", Value: 0.01, Why: "A p99 is about one request in a hundred: over 1 % failures are the p99."},
			{Name: "condemn", Value: 0.05, Why: "Over 5 % failures are the p95, which the tables print."},
		},
		Means:   "A server that drops what would be slow looks fast.",
		Reading: "cheng-inference-benchmarking", Try: "Read the failures, and lower the load or lift the limit that they name.",
		look: atClasses(seeErrors),
	},
	{
		ID: "V12", Title: "Window and drain", Section: Validity, Severity: Warning,
		Needs: "when sending stopped", Fires: "when sending stopped is not recorded, or over `drain` of the answers of a closed loop ended after it",
		Thresholds: []Threshold{{Name: "drain", Value: 0.05, Why: "Twice the 2.5 % that runs of one configuration differ by: an edge that weighs more can be mistaken for an effect."}},
		Means:      "Answers outside the window count for latency and not for throughput, which is low by their share.",
		Reading:    "nvidia-genai-perf-nim", Try: "Send for longer, so that the window holds many rounds of requests.",
		look: atEach(seeWindow),
	},
	{
		ID: "V14", Title: "Simulated engine late", Section: Validity, Severity: Error,
		Needs: "the simulated engine's own account of its lateness", Fires: "that account says that its timing is unreliable; an error where the p99 of its lateness is `step` of its median step or more, or not told",
		Thresholds: []Threshold{
			{Name: "step", Value: 0.5, Why: "Below half a step tokens leave in the step that computed them, and TTFT and TPOT, which span many steps, move by less than one of them; the tail of the gaps is the host's all the same."},
		},
		Means:   "The host was too busy for the engine to keep its own time, so that the times are the host's and not the model's.",
		Reading: "vllm-joins-pytorch", Try: "Run it with --virtual, which takes no time, or on an idle host.",
		look: seeLateness,
	},
	{
		ID: "V15", Title: "Simulated", Section: Validity, Severity: Note,
		Needs: "an experiment", Fires: "the target was the simulated engine",
		Means:   "The figures are those of a model of a server. They show how such a server behaves, and not what one does.",
		Reading: "learning-path", Try: "Measure a real endpoint before anything is bought on these figures.",
		look: seeSimulated,
	},
}

func seeNothing(_ *look, s *analysis.PointSummary) sight {
	counts := []Input{in("sent", float64(s.Sent), "requests"), in("ok", float64(s.OK), "requests")}
	switch {
	case s.OK > 0:
		return silent(counts...)
	case s.Sent == 0:
		return fired(0, "No measured request was sent.").of(counts...)
	case s.Sent == 1:
		return fired(1, "The only measured request failed (%s), so there is nothing to measure.", failures(s)).of(counts...)
	default:
		return fired(1, "None of the %s succeeded (%s), so there is nothing to measure.", sentence.Plural(s.Sent, "measured request"), failures(s)).of(counts...)
	}
}

// ending puts an outcome in words that follow a count: "3 broke the protocol".
var ending = map[experiment.Outcome]string{
	experiment.Empty:     "came back empty",
	experiment.Truncated: "broke off before the end",
	experiment.HTTPError: "answered with an HTTP error",
	experiment.Protocol:  "broke the protocol",
	experiment.Timeout:   "ran into a time limit",
	experiment.Cancelled: "cancelled by the client",
	experiment.Cut:       "had their prompt cut by the server",
	experiment.Refused:   "never reached a server",
}

// failures lists the outcomes other than ok with their counts.
func failures(s *analysis.PointSummary) string {
	var parts []string
	for _, o := range experiment.Outcomes[1:] {
		if n := s.Outcomes[o]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, ending[o]))
		}
	}
	return strings.Join(parts, ", ")
}

// seeStopped looks at the points, and at the run where none of them says what became of it.
func seeStopped(l *look) {
	atEvery(seeEnd)(l)
	if l.Experiment == nil || slices.ContainsFunc(l.findings, func(f Finding) bool { return f.State == Fired && f.Severity == Warning }) {
		return
	}
	switch l.Experiment.Status {
	case experiment.Interrupted:
		l.say(Fired, nil, "This run was interrupted: its points hold what had been measured until then.")
	case experiment.Failed:
		l.say(Fired, nil, "This run failed: its points hold what had been measured until then.")
	case experiment.Running:
		l.say(Fired, nil, "This run is still going on.")
	}
}

// lost says where the requests that were in flight when a point ended for its precision have made the figure less precise.
func lost(asked experiment.Precision, s *analysis.PointSummary) string {
	switch reached, half := analysis.Precise(asked, s); {
	case reached || math.IsNaN(half):
		return ""
	case math.IsInf(half, 0):
		return " With the requests that were in flight then, the figure has no two-sided interval."
	default:
		return fmt.Sprintf(" With the requests that were in flight then, the figure is known to ±%.3g %%.", 100*half)
	}
}

func seeEnd(l *look, s *analysis.PointSummary) sight {
	const until = "the point holds what had been measured until then."
	switch s.Point.Ended {
	case experiment.EndOversaturated:
		return fired(1, "The point was ended early, since its requests piled up.").as(Note)
	case experiment.EndPrecise:
		asked := "the figure asked for"
		if p := l.spec().Until; !p.IsZero() {
			asked = p.String()
		}
		return fired(1, "The point ended once %s was reached, after looking whenever there were a tenth more samples: "+
			"a rule that stops at the first narrow interval makes intervals look a little narrower than they are.%s", asked, lost(l.spec().Until, s)).as(Note)
	case experiment.EndErrors:
		return fired(1, "The point was ended early by the limit on failed requests.")
	case experiment.EndCost:
		return fired(1, "The point was ended early by the limit on cost.")
	}
	switch s.Point.Status {
	case experiment.Interrupted:
		return fired(2, "Measuring was interrupted: "+until)
	case experiment.Failed:
		return fired(2, "Measuring failed: "+until)
	case experiment.Running:
		return fired(2, "Measuring is still going on.")
	default:
		return silent()
	}
}

// told are the percentiles that a summary has.
var told = []float64{0.50, 0.90, 0.95, 0.99}

func seeFew(l *look, s *analysis.PointSummary) sight {
	beyond := l.limit("beyond")
	var names []string
	need, severity := 0, Note
	for _, q := range told {
		// The small subtraction keeps 10/(1−0.95) at 200 in spite of binary fractions.
		n := int(math.Ceil(beyond/min(q, 1-q) - 1e-6))
		if s.OK >= n {
			continue
		}
		if names, need = append(names, fmt.Sprintf("p%g", 100*q)), n; q < 0.99 {
			severity = Warning
		}
	}
	count := in("ok", float64(s.OK), "requests")
	if len(names) == 0 {
		return silent(count)
	}
	return fired(-float64(s.OK), "With %s there are fewer than %s beyond %s; %s needs %d.",
		sentence.Plural(s.OK, "successful request"), sentence.Short(beyond), join(names), names[len(names)-1], need).as(severity).of(count)
}

func seeRepeats(l *look) {
	least := math.MaxInt
	for i := range l.Curves {
		for j := range l.Curves[i].Levels {
			least = min(least, len(l.Curves[i].Levels[j].Points))
		}
	}
	count := in("repeats", float64(least), "")
	switch needed := l.limit("repeats"); {
	case least == math.MaxInt: // no level at all
	case float64(least) >= needed:
		l.say(Silent, nil, "", count)
	case least == 1:
		l.say(Fired, nil, "One repeat: how far another run would be from it is not known.", count)
	default:
		l.say(Fired, nil, fmt.Sprintf("%d repeats: an interval between repeats needs %s.", least, sentence.Short(needed)), count)
	}
}

func seeErrors(l *look, s *analysis.PointSummary) sight {
	stopped := s.Outcomes[experiment.Cancelled] // by the person or the end of the run
	sent := s.Sent - stopped
	rate := float64(sent-s.OK) / float64(sent)
	inputs := []Input{in("ok", float64(s.OK), "requests"), in("sent", float64(sent), "requests"), in("error share", rate, "")}
	if rate <= l.limit("share") {
		return silent(inputs...)
	}
	out := fired(rate, "%d of %s failed, %s (%s): the latencies are those of the survivors.",
		sent-s.OK, sentence.Plural(sent, "measured request"), sentence.Percent(rate), failures(s)).of(inputs...)
	if rate >= l.limit("condemn") {
		return out.as(Error)
	}
	return out
}

func seeWindow(l *look, s *analysis.PointSummary) sight {
	w, left := s.Point.Window, s.OK-s.InWindow
	inputs := []Input{in("window", s.Window.Seconds(), "s"), in("in window", float64(s.InWindow), "requests"), in("ok", float64(s.OK), "requests")}
	share := float64(left) / float64(s.OK)
	switch {
	case w.Rule != experiment.SteadyNone && w.SendEnd <= 0:
		return fired(1, "When sending stopped is not recorded, so the window of %s runs to the last answer and throughput may be low by the drain.", sentence.Seconds(s.Window)).of(inputs...)
	case s.InWindow == 0 && s.Oversaturated:
		return fired(3, "All %s ended after sending had stopped, so there is no throughput; send fewer a second, or for longer.", sentence.Plural(s.OK, "successful request")).of(inputs...)
	case s.InWindow == 0:
		return fired(3, "All %s ended outside the window, so there is no throughput; send more of them.", sentence.Plural(s.OK, "successful request")).of(inputs...)
	case w.Rule != experiment.SteadyOpen && share > l.limit("drain"):
		return fired(1+share, "%d of %s ended outside the window and count for latency only: throughput may be up to %s low.",
			left, sentence.Plural(s.OK, "successful request"), sentence.Percent(share)).of(inputs...)
	default:
		return silent(inputs...)
	}
}

func seeLateness(l *look) {
	switch {
	case l.Experiment == nil:
	case !l.Experiment.Environment.Simulated():
		l.say(NotApplicable, nil, "The target is not the simulated engine.")
	case l.Experiment.Environment.Virtual():
		l.say(NotApplicable, nil, "Virtual time is never late.")
	default:
		switch account := l.Experiment.Environment.Get(experiment.KeyLateness); {
		case account.Source == experiment.UnknownValue:
			l.say(NotEvaluable, nil, "The simulated engine's own account of its lateness was not recorded.")
		case strings.Contains(account.Value, "timing unreliable"):
			severity, off := Error, lateness(account.Value)
			if off < l.limit("step") {
				severity = Warning
			}
			l.sayAs(severity, Fired, nil, "The simulated engine did not keep its own time: "+account.Value+".", in("p99 of lateness ÷ median step", off, ""))
		default:
			l.say(Silent, nil, "The simulated engine's account: "+account.Value+".")
		}
	}
}

var latenessForm = regexp.MustCompile(`p99 ([0-9.]+) ms; median step ([0-9.]+) ms`)

// lateness is the p99 of how late tokens were ÷ the median step, by the engine's account; NaN where
// it does not say.
func lateness(account string) float64 {
	m := latenessForm.FindStringSubmatch(account)
	if m == nil {
		return math.NaN()
	}
	// The form lets nothing but digits and points through.
	late, _ := strconv.ParseFloat(m[1], 64)
	step, _ := strconv.ParseFloat(m[2], 64)
	return late / step
}

func seeSimulated(l *look) {
	switch {
	case l.Experiment == nil:
	case !l.Experiment.Environment.Simulated():
		l.say(Silent, nil, "")
	default:
		text := "Every figure here comes from the simulated engine."
		if t := l.Experiment.Environment.Scaled(); t != "" {
			text += " Its clock was " + t + ": every time here is the engine's divided by that factor, and every rate its rate times it."
		}
		l.say(Fired, nil, text)
	}
}
