package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment/store"
)

// TestAcrossVersions: where the notebook keeps a figure under older definitions too, explain says what it
// was and what has changed, and show says so where a formula has.
func TestAcrossVersions(t *testing.T) {
	db := filepath.Join(t.TempDir(), "experiments.db")
	said := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		p := still(t, &out, db)
		if code := p.run(t.Context(), args); code != exitOK {
			t.Fatalf("%v: exit status %d: %s", args, code, p.err)
		}
		return out.String()
	}
	said("run", "--virtual", "--stream", "-c", "2", "-n", "10")
	if text := said("explain", "output_throughput") + said("show", "exp-1"); strings.Contains(text, "versions of the definitions") || strings.Contains(text, "Definitions") {
		t.Errorf("without older figures it says\n%s", text)
	}
	keepOlder(t, db, 1)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"explain", "output_throughput"}, []string{
			"exp-1, c=2 was summarised under version 1 of the definitions too: 999 tok/s then, ",
			"Its formula is another one", "· version 2: In an open loop", "· version 3: Signs"}},
		{[]string{"explain", "ttft"}, []string{"under version 1", "Its own formula is the same in both."}},
		{[]string{"explain", "goodput"}, []string{"not known then, not known under version"}},
		{[]string{"show", "exp-1"}, []string{"These figures are of version", "also keeps those of version 1", "In an open loop"}},
		{[]string{"explain", "output_throughput", "--json"}, []string{`"definition": 1,`, `"redefined": true`}},
	} {
		text := said(c.args...)
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%v does not say %q:\n%s", c.args, want, text)
			}
		}
	}
}

// keepOlder caches a summary of the notebook's only point as a program of an older version would have.
func keepOlder(t *testing.T, db string, version int) {
	t.Helper()
	nb, err := store.Open(t.Context(), db, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer nb.Close()
	e, err := nb.Experiment(t.Context(), "exp-1")
	if err != nil {
		t.Fatal(err)
	}
	points, err := nb.Points(t.Context(), e.ID)
	if err != nil {
		t.Fatal(err)
	}
	s, err := summary(t.Context(), nb, e, points[0])
	if err != nil {
		t.Fatal(err)
	}
	s.Definition, s.OutputThroughput = version, 999
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := nb.PutSummary(t.Context(), store.PointFigures{PointID: points[0].ID, Definition: version}, b); err != nil {
		t.Fatal(err)
	}
	if versions, err := nb.Definitions(t.Context(), e.ID); err != nil || len(versions) != 2 || versions[1] != analysis.DefinitionVersion {
		t.Fatalf("the notebook keeps the versions %v, %v", versions, err)
	}
}

// TestEveryWordIsExplained: what is offered can be explained, each metric with its formula and a reading
// that exists, with and without a notebook.
func TestEveryWordIsExplained(t *testing.T) {
	for _, word := range explainableWords() {
		found, err := findTopic(word)
		if err != nil {
			t.Errorf("%q: %v", word, err)
			continue
		}
		x, err := explain(t.Context(), nil, word, found)
		if err != nil {
			t.Errorf("%q: %v", word, err)
			continue
		}
		if x.Metric == nil && x.Rule == nil && x.Term == nil && len(x.Others) == 0 {
			t.Errorf("nothing is said about %q", word)
		}
		if m := x.Metric; m != nil && (m.Formula == "" || directions[m.Direction] == "") {
			t.Errorf("%q is explained as %+v", word, m)
		}
		for _, r := range x.Readings {
			if r.Title == "" {
				t.Errorf("%q names the reading %s, which is not on the list", word, r.Slug)
			}
		}
	}
}
