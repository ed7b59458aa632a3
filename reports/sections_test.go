package reports

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/analysis"
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

// What a run cannot support follows from its data.
func TestCannotSupport(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Item)
		want   []string // parts of the sentences, in order
	}{
		{"nothing to say against it", func(*Item) {}, nil},
		{"nothing measured", func(it *Item) { it.Points = nil }, []string{"no request was measured"}},
		{"nothing succeeded", func(it *Item) {
			for i := range it.Points {
				it.Points[i].OK = 0
			}
		}, []string{"none of its 2,400 requests succeeded"}},
		{"errors at one level", func(it *Item) { it.Curve.Levels[1].ErrorRate = 0.02 }, []string{"at c=4: 2.00 % of its requests failed"}},
		{"not streamed", func(it *Item) { it.Experiment.Spec.Stream = false }, []string{"were not streamed"}},
		{"a proxy that buffers", func(it *Item) {
			for i := range it.Curve.Levels {
				it.Curve.Levels[i].Points[0].Streaming = analysis.StreamNone
			}
		}, []string{"at every level: the stream came in one burst"}},
		{"tokens nobody counted", func(it *Item) {
			it.Curve.Levels[0].Points[0].CountedBy = map[experiment.Counted]int{experiment.CountedEvents: 3}
		}, []string{"exact token figures at c=1"}},
		{"one repeat", func(it *Item) {
			for i := range it.Curve.Levels {
				it.Curve.Levels[i].Points = it.Curve.Levels[i].Points[:1]
			}
		}, []string{"there is one repeat"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			it := comparison().Experiments[1]
			c.change(&it)
			got := cannotSupport(&it)
			if len(got) != len(c.want) {
				t.Fatalf("got %q, want %d sentences", got, len(c.want))
			}
			for i := range got {
				if !strings.Contains(got[i], c.want[i]) {
					t.Errorf("%q does not say %q", got[i], c.want[i])
				}
			}
		})
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
				m.Experiments[i].Curve.Plateau = &analysis.Landmark{Concurrency: 64}
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
	m.Experiments[1].Experiment.Spec.OutputTokens = 512
	got := strings.Join(limitsBetween(&m), "\n")
	for _, want := range []string{"different lengths (500 → 128 and 500 → 512 tokens)", "differ in precision and GPU at once"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
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
