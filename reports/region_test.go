package reports

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// fresh is the report that most tests start from.
func fresh(t interface {
	Helper()
	Fatal(...any)
}, m Material) []byte {
	t.Helper()
	b, err := New(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseRegionsRefuses(t *testing.T) {
	const begin = "<!-- inferbook:begin cost v1 sha256:0123456789abcdef -->\n"
	const end = "<!-- inferbook:end cost -->\n"
	for _, c := range []struct{ name, doc, want string }{
		{"never ended", "a\n" + begin + "b\n", "line 2: region cost is begun here and never ended"},
		{"never begun", "a\n\n" + end, "line 3: region cost ends here and was not begun before"},
		{"nested", begin + strings.Replace(begin, "cost", "setup", 1) + end, "line 2: region setup begins inside region cost, which was begun in line 1"},
		{"ended under another name", begin + "<!-- inferbook:end setup -->\n", "line 2: region setup ends here and was not begun before"},
		{"twice", begin + end + "x\n" + begin + end, "line 4: region cost is there twice, first in line 1"},
		{"unknown name", strings.Replace(begin, "cost", "weather", 1), "line 1: there is no region weather"},
		{"of a newer inferbook", strings.Replace(begin, "v1", "v9", 1), "line 1: region cost is of version 9, and this inferbook writes version 1; use a newer inferbook"},
		{"no hash", "<!-- inferbook:begin cost v1 -->\n", `line 1: "<!-- inferbook:begin cost v1 -->" is not a region marker that inferbook writes; restore or remove the line`},
		{"text after the marker", strings.TrimSuffix(end, "\n") + " mine\n", `line 1: "<!-- inferbook:end cost --> mine" is not a region marker that inferbook writes; restore or remove the line`},
		{"version zero", strings.Replace(begin, "v1", "v0", 1), `line 1: "<!-- inferbook:begin cost v0 sha256:0123456789abcdef -->" is not a region marker that inferbook writes; restore or remove the line`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseRegions([]byte(c.doc))
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// A marker that is indented or quoted is text: a report may show one.
func TestMarkersShownAreText(t *testing.T) {
	doc := "Regions look so:\n\n    <!-- inferbook:begin cost v1 sha256:0123456789abcdef -->\n\n> <!-- inferbook:end cost -->\n"
	segments, err := parseRegions([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	if len(segments) != 1 || segments[0].region != "" {
		t.Errorf("got %d segments, want one of the person's text", len(segments))
	}
}

func TestUpdateOfAFreshReportChangesNothing(t *testing.T) {
	for _, m := range []Material{comparison(), fragment()} {
		for _, newline := range []string{"\n", "\r\n"} { // as written, and as a checkout on Windows leaves it
			doc := bytes.ReplaceAll(fresh(t, m), []byte("\n"), []byte(newline))
			got, changed, err := Update(doc, m, UpdateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if len(changed) > 0 || !bytes.Equal(got, doc) {
				t.Errorf("changed %v: %s", changed, cmp.Diff(string(doc), string(got)))
			}
		}
	}
}

// One more note changes the regions that show it, in the file's own line ends,
// and nothing else.
func TestUpdateWritesWhatChanged(t *testing.T) {
	before, after := comparison(), comparison()
	after.Experiments[0].Notes[0].Text = "I was wrong."
	after.Title = "Another title" // the heading is the person's by now
	for _, newline := range []string{"\n", "\r\n"} {
		doc := bytes.ReplaceAll(fresh(t, before), []byte("\n"), []byte(newline))
		got, changed, err := Update(doc, after, UpdateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"observations"}, changed); diff != "" {
			t.Errorf("changed regions (-want +got):\n%s", diff)
		}
		if n := bytes.Count(got, []byte("\n")); bytes.Count(got, []byte(newline)) != n {
			t.Errorf("line ends are mixed after an update of a file with %q", newline)
		}
		if !bytes.Contains(got, []byte("> I was wrong."+newline)) || bytes.Contains(got, []byte("Another title")) {
			t.Error("the note is not in the report, or the heading was touched")
		}
		again, changed, err := Update(got, after, UpdateOptions{})
		if err != nil || len(changed) > 0 || !bytes.Equal(again, got) {
			t.Errorf("a second update changed %v, %v", changed, err)
		}
	}
}

func TestUpdateKeepsHandEdits(t *testing.T) {
	m := comparison()
	doc := fresh(t, m)
	edited := bytes.Replace(doc, []byte("- **Power and energy.**"), []byte("- **Power.** I measured 300 W.\n- **Power and energy.**"), 1)
	edited = bytes.Replace(edited, []byte("Service level: none stated."), []byte("Service level: 500 ms."), 1)

	_, _, err := Update(edited, m, UpdateOptions{})
	var conflict *EditedError
	if !errors.As(err, &conflict) {
		t.Fatalf("got %v, want an *EditedError", err)
	}
	if diff := cmp.Diff([]string{"cost", "unmeasured"}, conflict.Regions); diff != "" {
		t.Errorf("regions (-want +got):\n%s", diff)
	}
	for i, line := range conflict.Lines {
		if got := strings.Split(string(edited), "\n")[line-1]; !strings.Contains(got, "begin "+conflict.Regions[i]+" ") {
			t.Errorf("line %d is %q, want the begin of %s", line, got, conflict.Regions[i])
		}
	}

	got, changed, err := Update(edited, m, UpdateOptions{Force: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"cost", "unmeasured"}, changed); diff != "" {
		t.Errorf("forced regions (-want +got):\n%s", diff)
	}
	if !bytes.Equal(got, doc) {
		t.Error("a forced update does not give the fresh report")
	}
}

// A region that the person took out stays out.
func TestUpdateLeavesRemovedRegionsAlone(t *testing.T) {
	m := fragment()
	segments, err := parseRegions(fresh(t, m))
	if err != nil {
		t.Fatal(err)
	}
	var doc []byte
	for _, s := range segments {
		if s.region != "cost" {
			doc = append(doc, s.raw...)
		}
	}
	got, changed, err := Update(doc, m, UpdateOptions{})
	if err != nil || len(changed) > 0 || !bytes.Equal(got, doc) {
		t.Errorf("changed %v, %v", changed, err)
	}
}

// Whatever a person writes between the regions survives every update, byte for byte.
func TestPersonsTextSurvives(t *testing.T) {
	before, after := fragment(), comparison()
	segments, err := parseRegions(fresh(t, before))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		var doc []byte
		var texts [][]byte
		for _, s := range segments {
			if s.region == "" {
				// The text ends its last line, since a marker starts one.
				text := []byte(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
					"# Mine\r\n\r\ntext\r\n", "```\n", "<!-- open", " <!-- inferbook:end cost -->", "[^level-1]: no", "| a |\n| - |", "\x00\xff\r"})).Draw(t, "text") + "\n")
				if bytes.HasPrefix(text, []byte(markerPrefix)) || bytes.Contains(text, []byte("\n"+markerPrefix)) {
					t.Skip("a marker is not text")
				}
				doc, texts = append(doc, text...), append(texts, text)
				continue
			}
			doc = append(doc, s.raw...)
		}
		got, _, err := Update(doc, after, UpdateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parseRegions(got)
		if err != nil {
			t.Fatal(err)
		}
		var kept [][]byte
		for _, s := range parsed {
			if s.region == "" {
				kept = append(kept, s.raw)
			}
		}
		if diff := cmp.Diff(texts, kept); diff != "" {
			t.Fatalf("the person's text changed (-want +got):\n%s", diff)
		}
	})
}

func FuzzParseRegions(f *testing.F) {
	f.Add([]byte("a\n<!-- inferbook:begin cost v1 sha256:0123456789abcdef -->\nb\n<!-- inferbook:end cost -->\nc"))
	f.Add([]byte("<!-- inferbook:begin cost v1 sha256:0123456789abcdef -->\r\n<!-- inferbook:end cost -->"))
	f.Add([]byte("<!-- inferbook:"))
	m := fragment()
	f.Fuzz(func(t *testing.T, doc []byte) {
		segments, err := parseRegions(doc)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "line ") {
				t.Errorf("the error names no line: %v", err)
			}
			return
		}
		var all []byte
		for _, s := range segments {
			all = append(all, s.raw...)
		}
		if !bytes.Equal(all, doc) {
			t.Errorf("the segments give %q, want %q", all, doc)
		}
		updated, _, err := Update(doc, m, UpdateOptions{Force: true})
		if err != nil {
			t.Fatal(err)
		}
		if again, changed, err := Update(updated, m, UpdateOptions{}); err != nil || len(changed) > 0 || !bytes.Equal(again, updated) {
			t.Errorf("an update of what was just updated changed %v, %v", changed, err)
		}
	})
}
