package reports

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/instinct"
	"github.com/inferbook/inferbook/experiment"
)

func TestNewNeedsAnExperiment(t *testing.T) {
	if _, err := New(Material{Title: "Nothing"}); err == nil || err.Error() != "writing a report: there is no experiment to report on" {
		t.Errorf("got %v", err)
	}
}

func TestExperimentIDs(t *testing.T) {
	got, err := ExperimentIDs(fresh(t, comparison()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"01K5A0000000000000000000A1", "01K5A0000000000000000000B2"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, c := range []struct{ name, in, want string }{
		{"no front matter", "# a\n", "the front matter has no list `experiments`"},
		{"not YAML", "---\na: [\n---\n", "reading the front matter: "},
	} {
		if _, err := ExperimentIDs([]byte(c.in)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want it to start with %q", c.name, err, c.want)
		}
	}
}

// What a report says to run is what was run: the YAML reads back as the
// specification, strictly.
func TestSpecYAMLReadsBack(t *testing.T) {
	full := comparison().Experiments[0].Experiment.Spec
	fixed := fragment().Experiments[0].Experiment.Spec
	fixed.Prompt = "two\nlines: `x` ```\n<!-- inferbook:end data -->\n\ttab"
	fixed.Extra = map[string]any{"stop": []any{"a", "b"}, "nested": map[string]any{"k": "v"}, "empty": ""}
	fixed.Duration = experiment.Duration(90 * time.Second)
	for _, want := range []experiment.Spec{full, fixed, experiment.DefaultSpec()} {
		var got experiment.Spec
		text := specYAML(&want)
		if err := yaml.NewDecoder(strings.NewReader(text), yaml.Strict()).Decode(&got); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s\nfrom\n%s", diff, text)
		}
	}
}

// found is a finding about validity at some levels of the first experiment.
func found(rule string, severity instinct.Severity, sentence string, users ...int) instinct.Finding {
	f := instinct.Finding{Rule: rule, Title: "Some title", State: instinct.Fired, Severity: severity, Sentence: sentence, Means: "It means this.", Reading: "vllm-pagedattention"}
	for _, n := range users {
		f.Loads = append(f.Loads, experiment.Load{Concurrency: n})
	}
	return f
}

// The summary opens with the verdict: errors in full, limits by name, notes not at all.
func TestVerdictLines(t *testing.T) {
	it := comparison().Experiments[1] // c=1, 4, 16, 64
	for _, tt := range []struct {
		findings []instinct.Finding
		want     string
	}{
		{[]instinct.Finding{found("V15", instinct.Note, "Simulated.")}, "- **exp-2 h100 chat**: **sound.**\n"},
		{[]instinct.Finding{found("I11", instinct.Warning, "Few of 3.", 1), found("I11", instinct.Warning, "Few of 4.", 4), found("I11", instinct.Warning, "Fewer.", 16), found("I11", instinct.Warning, "Fewer.", 64)},
			"- **exp-2 h100 chat**: **sound with limits.**\n  - Limits: Some title (I11; every level).\n"},
		{[]instinct.Finding{found("I07", instinct.Error, "It was short.", 64), found("I11", instinct.Warning, "Few.", 1, 4), {State: instinct.Silent, Loads: []experiment.Load{{Concurrency: 16}}}},
			"- **exp-2 h100 chat**: **sound with limits.** c=64: do not quote. c=1, c=4: sound with limits. c=16: sound.\n  - **Level c=64; I07.** It was short.\n  - Limits: Some title (I11; level c=1, c=4).\n"},
	} {
		it.Findings = tt.findings
		if got := verdictLines(&it); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// What was not measured follows from what was specified and recorded.
func TestUnmeasuredFollowsTheFacts(t *testing.T) {
	for _, c := range []struct {
		name        string
		change      func(*Material)
		says, omits string
	}{
		{"a simulated engine is no hardware", func(*Material) {}, "**Real hardware.** The engine of exp-1 and exp-2", "**Time to first token.**"},
		{"a real endpoint is", func(m *Material) { measured(m, "http://127.0.0.1:8000/v1") }, "had client and server on one machine", "**Real hardware.**"},
		{"far away there is a network", func(m *Material) { measured(m, "http://gpu.example/v1") }, "exp-1 and exp-2 had a network between client and server", "on one machine"},
		{"a plateau was reached", func(m *Material) {
			for i := range m.Experiments {
				m.Experiments[i].Curve.Plateau = &analysis.Landmark{Load: experiment.Load{Concurrency: 64}, Level: 64}
			}
		}, "**Prefix cache.**", "**More load.**"},
		{"no stream", func(m *Material) { m.Experiments[0].Experiment.Spec.Stream = false }, "exp-1 did not stream", ""},
		{"answers kept", func(m *Material) { m.Experiments[1].Experiment.Spec.KeepText = true }, "Those of exp-2 are in the notebook", ""},
		{"a fixed prompt", func(m *Material) { m.Experiments[0].Experiment.Spec.Prompt = "Hi" }, "and all requests had the same prompt", ""},
		{"a cache that answers", func(m *Material) {
			for i := range m.Experiments[0].Points {
				m.Experiments[0].Points[i].CachedTokens = 50 * perRepeat
			}
		}, "exp-1: 10.0 % of the prompt tokens came from it", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := comparison()
			c.change(&m)
			got := unmeasuredBody(&m)
			if !strings.Contains(got, c.says) {
				t.Errorf("%q is not in\n%s", c.says, got)
			}
			if c.omits != "" && strings.Contains(got, c.omits) {
				t.Errorf("%q is in\n%s", c.omits, got)
			}
		})
	}
}

// measured makes measurements of an endpoint out of simulated ones.
func measured(m *Material, address string) {
	for i := range m.Experiments {
		e := &m.Experiments[i].Experiment
		e.Spec.BaseURL, e.Spec.Simulator = address, nil
		for _, f := range e.Environment.Facts {
			e.Environment.Set(f.Key, f.Value, experiment.Declared)
		}
		e.Environment.Set(experiment.KeyTime, "real", experiment.Detected)
	}
}

// A report says at its top which of its figures are simulated.
func TestSimulatedIsSaidFirst(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Material)
		want   string // at the start of the region; empty = no warning
	}{
		{"all of it", func(*Material) {}, "> **SIMULATED.** Every figure in this report"},
		{"one of two", func(m *Material) {
			one := Material{Experiments: m.Experiments[1:]}
			measured(&one, "http://gpu.example/v1")
		}, "> **SIMULATED.** The figures of exp-1 come from inferbook's simulated engine; those of exp-2 were measured"},
		{"none", func(m *Material) { measured(m, "http://gpu.example/v1") }, "Generated by"},
	} {
		m := comparison()
		c.change(&m)
		if got := aboutBody(&m); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: the report starts with %.120q", c.name, got)
		}
	}
}

// Experiments that differ in more than one thing are said not to tell which.
func TestLimitsBetweenExperiments(t *testing.T) {
	m := comparison()
	if got := limitsBetween(&m); len(got) > 0 {
		t.Errorf("one difference, on purpose: got %q", got)
	}
	m.Experiments[1].Experiment.Environment.Set(experiment.KeyPrecision, "fp8", experiment.Simulated)
	m.Experiments[1].Curve.Workload = "500 → 512 tokens"
	got := strings.Join(limitsBetween(&m), "\n")
	const lengths = "differ in length (exp-1 a10g chat 500 → 128 tokens; exp-2 h100 chat 500 → 512 tokens)"
	for _, want := range []string{lengths, "differ in precision and GPU at once"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	// It stands where the figures stand side by side, too.
	for what, body := range map[string]string{"summary": summaryBody(&m), "cost": costBody(&m)} {
		if before, _, ok := strings.Cut(body, lengths); !ok || strings.Contains(before, "| --- |") {
			t.Errorf("the %s does not begin with %q", what, lengths)
		}
	}
}

// The highest throughput of a sweep that ran into the plateau says so.
func TestHighestThroughputPastThePlateau(t *testing.T) {
	m := comparison()
	it := &m.Experiments[0]
	best := bestLevel(it.Curve.Levels).Load.Concurrency
	it.Curve.Plateau = &analysis.Landmark{Load: experiment.Load{Concurrency: best}, Level: float64(best)}
	if got := summaryBody(&m); strings.Contains(got, "past the plateau") {
		t.Errorf("the plateau's own level is not past it:\n%s", got)
	}
	it.Curve.Plateau.Load.Concurrency = best / 2
	got := summaryBody(&m)
	for _, want := range []string{"| highest throughput, past the plateau |", fmt.Sprintf("That is past the plateau at c=%d:", best/2)} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

// Findings that differ in their figures alone are one line; p95 and p99 are two names. What limits the
// figures has its reading.
func TestLimitsGatherLikeFindings(t *testing.T) {
	m := comparison()
	it := &m.Experiments[0] // c=1, 4, 16, 64
	it.Findings = nil
	for i, n := range []int{1, 4, 16, 64} {
		it.Findings = append(it.Findings, found("I07", instinct.Warning, fmt.Sprintf("The window of %d s is short.", 10*i), n), found("I11", instinct.Note, "p95 needs 200.", n))
	}
	it.Findings = append(it.Findings, found("I11", instinct.Note, "p99 needs 1000.", 16), found("V15", instinct.Note, "Simulated."),
		instinct.Finding{Rule: "I03", State: instinct.NotEvaluable, Sentence: "There is no second count."})
	got := limitsBody(&m)
	for _, want := range []string{
		"- **Every level; I07, warning.** The window of 0 s is short. (With the figures of c=1.) It means this. Reading: [vLLM:",
		"- **Every level; I11, note.** p95 needs 200.\n", "- **Level c=16; I11, note.** p99 needs 1000.\n", "- **The experiment; V15, note.** Simulated.\n",
		"- 1 check could not be evaluated: I03 (there is no second count).\n",
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("%q is not there once in\n%s", want, got)
		}
	}
}

// The load at which TPOT doubles is told as reached only where it was.
func TestFitSentence(t *testing.T) {
	c := comparison().Experiments[0].Curve // up to c=64
	limit := &analysis.Landmark{Value: 12}
	for _, tt := range []struct {
		alpha, beta float64
		limit       *analysis.Landmark
		want        string
	}{
		{30, 1, nil, "TPOT has doubled at c = 30.0."},
		{33, 0.33, nil, "would double at c = 100, beyond the highest level, c=64."},
		{33, 1, limit, "would double at c = 33.0, but no more than 12.0 requests are decoded at once."},
		{32, 0, nil, "(least squares over 4 levels, R² = 1.00)."},
	} {
		c.Fit, c.AdmissionLimit = &analysis.LineFit{Alpha: tt.alpha, Beta: tt.beta, R2: 1, N: 4}, tt.limit
		if got := strings.TrimSpace(fitSentence(&c)); !strings.HasSuffix(got, tt.want) {
			t.Errorf("%q, want %q at its end", got, tt.want)
		}
	}
}

// A line that makes no sense is left out with its reason, said once; a slope that
// falls has a minus and no plus.
func TestFitLeftOut(t *testing.T) {
	c := analysis.Curve{NoFit: "No line is fitted."}
	if got := fitSentence(&c); got != "**Cost of one more request:** No line is fitted.\n" {
		t.Errorf("%q", got)
	}
	m := comparison()
	m.Experiments[0].Curve.Fit, m.Experiments[0].Curve.NoFit = nil, c.NoFit
	m.Experiments[0].Curve.Warnings = append(m.Experiments[0].Curve.Warnings, c.NoFit)
	if got := shapeBody(&m); strings.Count(got, c.NoFit) != 1 {
		t.Errorf("the reason is not there once in\n%s", got)
	}
	c.Fit = &analysis.LineFit{Alpha: 30, Beta: -1, R2: 1, N: 4}
	if got := fitSentence(&c); !strings.Contains(got, "TPOT = 30.0 ms − 1.00 ms × c") {
		t.Errorf("%q", got)
	}
}

// A range over a few repeats stands in the tables, and is explained there.
func TestRangesOverRepeats(t *testing.T) {
	m := comparison()
	if got := levelsBody(&m); strings.Contains(got, "too few for a 95 % interval") {
		t.Error("a range is explained where there is none")
	}
	e := &m.Experiments[0].Curve.Levels[0].TTFTP95
	*e = analysis.Estimate{Value: 312, Low: math.Inf(-1), High: math.Inf(1), Min: 298, Max: 340, N: 150, Repeats: 3}
	for _, want := range []string{"| 312 ms (298–340) |", "too few for a 95 % interval (that needs 6)"} {
		if got := levelsBody(&m); !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
}

// A cost names the lengths of the levels that have any.
func TestCostLengths(t *testing.T) {
	of := func(lengths ...float64) *Item { // prompt and output of each level
		var it Item
		for i := 0; i < len(lengths); i += 2 {
			it.Costs = append(it.Costs, analysis.Cost{Level: experiment.Load{Concurrency: i + 1}, MeanPrompt: lengths[i], MeanOutput: lengths[i+1]})
		}
		return &it
	}
	nan := math.NaN()
	for _, tt := range []struct {
		it   *Item
		want string
	}{
		{of(nan, nan), "not known"},
		{of(nan, nan, 500, 128), "500 prompt and 128 output tokens a request"},
		{of(500, 100, 500, 128, nan, nan), "500 prompt tokens a request on average at c=1, and 100 to 128 output tokens"},
	} {
		if got := costLengths(tt.it); !strings.HasPrefix(got, tt.want) || strings.Contains(got, "NaN") {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// Each steady-state rule is told in words.
func TestSteadyRules(t *testing.T) {
	for _, rule := range []experiment.SteadyState{experiment.SteadyClosed, experiment.SteadyLoaded, experiment.SteadyOpen, experiment.SteadyNone} {
		if got := steadyRule(rule); strings.Contains(got, "/") || got == "" {
			t.Errorf("%s is told as %q", rule, got)
		}
	}
}

// A warning that holds for a whole row or table is said once, for the row or table.
func TestLevelWarningsAreSaidOnce(t *testing.T) {
	const everywhere, inRow, inCell = "One repeat.", "Few requests.", "No upper bound."
	it := fragment().Experiments[0]
	second := it.Curve.Levels[0]
	second.Load.Concurrency = 2
	it.Curve.Levels = append(it.Curve.Levels, second)
	for i := range it.Curve.Levels {
		l := &it.Curve.Levels[i]
		l.OutputThroughput.Warnings, l.E2EP95.Warnings = []string{everywhere}, []string{everywhere}
	}
	l := &it.Curve.Levels[1]
	l.OutputThroughput.Warnings = []string{everywhere, inRow}
	l.E2EP95.Warnings = []string{inRow, everywhere, inCell}

	got := levelsBody(&Material{Experiments: []Item{it}})
	for _, c := range []struct {
		what string
		want string
	}{
		{"of the table", "Every figure of this table: One repeat.\n"},
		{"of the row", "| c=2 **interrupted**[^level-1] |"},
		{"of the cell", "2,580 ms[^level-2] *2,410–∞*"},
		{"the row's text", "[^level-1]: Few requests."},
		{"the cell's text", "[^level-2]: No upper bound."},
	} {
		if strings.Count(got, c.want) != 1 {
			t.Errorf("%s: %q is not there once in\n%s", c.what, c.want, got)
		}
	}
}

// The regions depend on the data alone, so that an update on another day changes nothing.
func TestRegionsDoNotDependOnTheDay(t *testing.T) {
	m := comparison()
	doc := fresh(t, m)
	m.Created, m.Author = m.Created.AddDate(1, 0, 0), "Somebody else"
	got, changed, err := Update(doc, m, UpdateOptions{})
	if err != nil || len(changed) > 0 || !bytes.Equal(got, doc) {
		t.Errorf("changed %v, %v", changed, err)
	}
}
