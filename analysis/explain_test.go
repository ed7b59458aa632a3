package analysis

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/inferbook/inferbook/experiment"
)

// The history goes up to the present version, and tells of every formula that is not the first of its name.
func TestHistory(t *testing.T) {
	told := map[string]int{}
	for i, c := range History() {
		if c.Version != i+1 || !strings.HasSuffix(c.Sentence, ".") {
			t.Errorf("change %d is %+v", i+1, c)
		}
		for _, id := range c.Metrics {
			if m, ok := MetricByName(id); !ok || told[m.Name] > 0 {
				t.Errorf("version %d changes %s, which is no formula of today", c.Version, id)
			}
			told[strings.SplitN(id, "@", 2)[0]] = c.Version
		}
	}
	if n := len(History()); n != DefinitionVersion {
		t.Errorf("the history has %d versions, and the definitions are at version %d", n, DefinitionVersion)
	}
	for _, m := range Metrics() {
		if (m.Version > 1) != (told[m.Name] > 0) {
			t.Errorf("the history says nothing of %s, or too much", m.ID())
		}
	}
	for _, c := range []struct{ a, b, first, n int }{{1, 3, 2, 2}, {3, 1, 2, 2}, {2, 3, 3, 1}, {3, 3, 0, 0}, {1, 4, 2, 3}} {
		got := Changes(c.a, c.b)
		if len(got) != c.n || c.n > 0 && got[0].Version != c.first {
			t.Errorf("from %d to %d: %+v", c.a, c.b, got)
		}
	}
}

// Every word is explained once, by a reading, and what it refers to is explained too.
func TestGlossary(t *testing.T) {
	words, slugs := map[string]bool{}, readings(t)
	for _, term := range Glossary() {
		for _, w := range append([]string{term.Word}, term.Also...) {
			if found, ok := TermByWord(strings.ToUpper(strings.ReplaceAll(w, "-", " "))); words[w] || !ok || found.Word != term.Word {
				t.Errorf("%s is not found by %q, or another word is", term.Word, w)
			}
			words[w] = true
		}
		if term.Title == "" || !strings.HasSuffix(term.Text, ".") || !slices.Contains(slugs, term.Reading) {
			t.Errorf("%s has the title %q, the text %q and the reading %q", term.Word, term.Title, term.Text, term.Reading)
		}
		for _, see := range term.See {
			_, metric := MetricByName(see)
			if other, ok := TermByWord(see); !metric && !ok || other.Word == term.Word {
				t.Errorf("%s refers to %q", term.Word, see)
			}
		}
	}
	for _, absent := range []string{"", "kne", "ttft"} {
		if found, ok := TermByWord(absent); ok {
			t.Errorf("%q is explained as %s", absent, found.Word)
		}
	}
}

// The parts of a formula give the figure that they are printed with.
func TestWorkings(t *testing.T) {
	p, samples := loop(4, 30, 4000, 50, 20, 5)
	samples = append(samples, failed(10, 20, experiment.Timeout))
	full := collectFor(p, &experiment.Spec{SLO: slo(t, "ttft<60ms")}, samples...)
	for name, recompute := range map[string]func(v []float64) float64{
		"output_throughput": func(v []float64) float64 { return v[0] / v[1] },
		"total_throughput":  func(v []float64) float64 { return v[0] / v[1] },
		"request_rate":      func(v []float64) float64 { return v[0] / v[1] },
		"goodput":           func(v []float64) float64 { return v[0] / v[1] },
		"error_rate":        func(v []float64) float64 { return v[0] / v[1] },
		"slo_attainment":    func(v []float64) float64 { return v[0] / v[1] },
		"mean_prompt":       func(v []float64) float64 { return v[0] / v[1] },
		"mean_output":       func(v []float64) float64 { return v[0] / v[1] },
		"interactivity":     func(v []float64) float64 { return 1000 / v[0] },
		"b_run":             func(v []float64) float64 { return v[0] * v[1] / 1000 },
		"little_ratio":      func(v []float64) float64 { return v[0] * v[1] / 1000 / v[2] },
		"identity_ratio":    func(v []float64) float64 { return v[0] / (v[1] * v[2] / ((v[3] + (v[2]-1)*v[4]) / 1000)) },
	} {
		m, _ := MetricByName(name)
		w, ok := Worked(m, &full)
		if !ok || !almost(recompute(numbers(w)), w.Result.Value) || w.Result.Value != m.OfPoint(&full) {
			t.Errorf("%s: %q of %v is %v, %v", name, w.Pattern, w.Values, w.Result, ok)
		}
	}
	sample := with(stream(100, 50, 11, 10), func(s *experiment.Sample) { s.Scheduled -= at(20) })
	for name, want := range map[string]float64{"ttft": 50, "ttft_answer": 50, "e2e": 150, "tpot": 10, "ttft_sched": 70, "e2e_sched": 170, "send_lag": 20} {
		m, _ := MetricByName(name)
		w, ok := WorkedSample(m, &sample)
		v := numbers(w)
		got := v[0] - v[1]
		if name == "tpot" {
			got /= v[2] - v[3]
		}
		if !ok || !almost(got, want) || !almost(w.Result.Value, want) {
			t.Errorf("%s: %q of %v is %v, want %v", name, w.Pattern, w.Values, w.Result, want)
		}
	}
	for _, m := range Metrics() {
		if w, ok := Worked(m, &full); ok && strings.Count(w.Pattern, "%s") != len(w.Values) {
			t.Errorf("%s: %q has room for other than %d numbers", m.Name, w.Pattern, len(w.Values))
		}
		if w, ok := WorkedSample(m, &sample); ok != (m.Of != nil) || strings.Count(w.Pattern, "%s") != len(w.Values) {
			t.Errorf("%s: of a sample it is %+v, %v", m.Name, w, ok)
		}
	}
	empty, rate := collect(point(4, 4000)), pointMetrics[0]
	if w, ok := Worked(rate, &empty); ok {
		t.Errorf("%s of nothing is %+v", rate.Name, w)
	}
}

func numbers(w Working) []float64 {
	var list []float64
	for _, f := range w.Values {
		list = append(list, f.Value)
	}
	return list
}

func almost(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b)) }
