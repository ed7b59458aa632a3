package notes

import (
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
)

func readings(t *testing.T) []experiment.ReadingEntry {
	t.Helper()
	entries, err := List()
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func contents(t *testing.T, name string) string {
	t.Helper()
	data, err := fs.ReadFile(FS(), name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// section gives the text under a heading, up to the next heading of its level.
func section(text, heading string) (string, bool) {
	_, rest, ok := strings.Cut("\n"+text, "\n"+heading+"\n")
	rest, _, _ = strings.Cut(rest, "\n"+heading[:strings.IndexByte(heading, ' ')]+" ")
	return rest, ok
}

// The list is the one that the readings' URLs were chosen for, in its order.
func TestListIsTheReadingList(t *testing.T) {
	type row struct{ slug, kind, section, url string }
	want := []row{
		// 1
		{"databricks-inference-performance", "article", "Core articles", "https://www.databricks.com/blog/llm-inference-performance-engineering-best-practices"},
		{"nvidia-fundamental-concepts", "article", "Core articles", "https://developer.nvidia.com/blog/llm-benchmarking-fundamental-concepts/"},
		{"nvidia-genai-perf-nim", "article", "Core articles", "https://developer.nvidia.com/blog/llm-performance-benchmarking-measuring-nvidia-nim-performance-with-genai-perf/"},
		{"nvidia-tensorrt-llm-tuning", "article", "Core articles", "https://developer.nvidia.com/blog/llm-inference-benchmarking-performance-tuning-with-tensorrt-llm/"},
		{"nvidia-inference-cost", "article", "Core articles", "https://developer.nvidia.com/blog/benchmarking-llm-inference-costs-for-smarter-scaling-and-deployment"},
		// 2; the listing page stands for the announcement that it lists
		{"vllm-pagedattention", "article", "Serving systems and runtime design", "https://blog.vllm.ai/2023/06/20/vllm.html"},
		{"vllm-joins-pytorch", "index", "Serving systems and runtime design", "https://medium.com/byte-sized-ai/all?topic=vllm"},
		{"vllm-repository", "repository", "Serving systems and runtime design", "https://github.com/vllm-project/vllm"},
		// 3
		{"cheng-inference-benchmarking", "article", "Benchmarking frameworks and surveys", "https://rudeigerc.dev/posts/en/llm-inference-benchmarking/"},
		{"medium-llm-benchmarks", "index", "Benchmarking frameworks and surveys", "https://medium.com/tag/llm-benchmarks"},
		// 4
		{"deeplearning-efficiently-serving", "course", "Practical courses", "https://learn.deeplearning.ai/courses/efficiently-serving-llms/"},
		{"databricks-llm-inference-search", "index", "Practical courses", "https://www.databricks.com/blog?keys=LLM%20inference"},
		// 5; its address is its own file
		{"learning-path", "path", "Learning benchmarking by coding", "https://github.com/inferbook/inferbook/blob/main/notes/learning-path.md"},
	}
	var got []row
	for i, e := range readings(t) {
		got = append(got, row{e.Slug, e.Kind, e.Section, e.URL})
		if e.Order != i+1 {
			t.Errorf("%s: order %d, want %d", e.Slug, e.Order, i+1)
		}
		if e.Status != experiment.Unread {
			t.Errorf("%s: status %q; the list is delivered unread", e.Slug, e.Status)
		}
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(row{})); diff != "" {
		t.Errorf("reading list (-want +got):\n%s", diff)
	}
}

// Addresses beside a reading's first one are nowhere but in the text.
func TestSecondAddressesAreInTheText(t *testing.T) {
	raw, _ := section(contents(t, index), "## Raw URL list")
	for slug, url := range map[string]string{
		"vllm-joins-pytorch":              "https://pytorch.org/blog/vllm-joins-pytorch/",
		"vllm-repository":                 "https://docs.vllm.ai/",
		"databricks-llm-inference-search": "https://docs.databricks.com/machine-learning/foundation-models/prov-throughput-run-benchmark.html",
	} {
		front, body, _ := strings.Cut(contents(t, slug+".md"), "\n---\n")
		if !strings.Contains(front, "- "+url+"\n") || !strings.Contains(body, url) {
			t.Errorf("%s: %s is not in its front matter and in its text", slug, url)
		}
		if !strings.Contains(raw, url+"\n") {
			t.Errorf("%s: %s is not in the raw URL list", slug, url)
		}
	}
}

var sourced = regexp.MustCompile(`[.)] \([^()]+\)$`)

func TestReadingsHaveTheirSections(t *testing.T) {
	for _, e := range readings(t) {
		t.Run(e.Slug, func(t *testing.T) {
			what, ok := section(e.Body, "## What it is")
			if !ok || strings.TrimSpace(what) == "" || strings.Contains(strings.TrimSpace(what), "\n\n") {
				t.Error("“What it is” is not one paragraph")
			}

			text, _ := section(e.Body, "## Facts")
			facts := strings.Split(strings.TrimSpace(text), "\n- ")
			if n := len(facts); n < 3 || n > 8 {
				t.Errorf("%d facts, want 3 to 8", n)
			}
			for _, f := range facts {
				f = strings.Join(strings.Fields(strings.TrimPrefix(f, "- ")), " ")
				if !sourced.MatchString(f) {
					t.Errorf("a fact does not end with its source in parentheses: %s", f)
				}
			}

			text, _ = section(e.Body, "## What to test")
			if n := strings.Count(text, "```sh\n"); n < 1 || n > 3 {
				t.Errorf("%d experiments, want 1 to 3", n)
			}

			text, ok = section(e.Body, "## What this changed in my mental model")
			text = strings.TrimSpace(text)
			if !ok || !strings.HasPrefix(text, "<!--") || strings.Index(text, "-->") != len(text)-len("-->") {
				t.Errorf("the mental model is not an empty section with a comment: %q", text)
			}
			if !strings.Contains(text, "--reading "+e.Slug+" ") {
				t.Error("the comment does not show how to link an experiment")
			}
		})
	}
}

func TestReadmeHasEveryReadingInItsSection(t *testing.T) {
	text := contents(t, index)
	titles := []string{
		"## 1. Core articles on LLM inference and benchmarking",
		"## 2. Serving systems and runtime design",
		"## 3. Benchmarking frameworks and surveys",
		"## 4. Practical courses and hands-on material",
		"## 5. Learning benchmarking by coding (suggested path)",
		"## 6. How to use this page",
		"## Raw URL list",
	}
	var got []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "## ") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if diff := cmp.Diff(titles, got); diff != "" {
		t.Fatalf("headings (-want +got):\n%s", diff)
	}
	raw, _ := section(text, "## Raw URL list")
	for _, e := range readings(t) {
		i := slices.IndexFunc(titles, func(h string) bool { return strings.Contains(h, ". "+e.Section) })
		if i < 0 {
			t.Errorf("%s: no heading for its section %q", e.Slug, e.Section)
			continue
		}
		in, _ := section(text, titles[i])
		if !strings.Contains(in, "**["+e.Title+"]("+e.URL+")**") {
			t.Errorf("%s: title and URL are not in section %s", e.Slug, titles[i])
		}
		if !strings.Contains(in, "["+e.Slug+".md]("+e.Slug+".md)") {
			t.Errorf("%s: its file is not linked in section %s", e.Slug, titles[i])
		}
		if e.Kind != "path" && !strings.Contains(raw, e.URL+"\n") {
			t.Errorf("%s: its URL is not in the raw list", e.Slug)
		}
	}
	five, _ := section(text, titles[4])
	path := contents(t, "learning-path.md")
	for step := 1; step <= 5; step++ {
		heading := "\n### Step " + strconv.Itoa(step) + ": "
		if !strings.Contains(five, heading) || !strings.Contains(path, heading) {
			t.Errorf("step %d is not in both section 5 and learning-path.md", step)
		}
	}
}

// The list that these files come from was once decoded as Windows-1252: a dash
// had become "â€”" and a hand "ðŸ‘‰".
func TestTextIsCleanUTF8(t *testing.T) {
	names, err := fs.Glob(FS(), "*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text := contents(t, name)
		if !utf8.ValidString(text) {
			t.Errorf("%s is not UTF-8", name)
		}
		for _, bad := range []string{"â€", "ðŸ", "Ã", "Â", "â‰", "\ufffd", "\ufeff", "\r", "\t"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s holds %q", name, bad)
			}
		}
		if !strings.HasSuffix(text, "\n") || strings.HasSuffix(text, "\n\n") {
			t.Errorf("%s does not end with one line end", name)
		}
	}
}

func TestListFaults(t *testing.T) {
	other := strings.Replace(valid, "slug: orca", "slug: sarathi", 1)
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		// the order would be arbitrary
		"same order": {map[string]string{"orca.md": valid, "sarathi.md": other}, "sarathi.md: order 3 is also that of orca.md"},
		// one bad file is not left out in silence
		"bad file": {map[string]string{"orca.md": valid, "x.md": "x\n"}, "x.md:1:1: no front matter: the first line must be ---"},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := fstest.MapFS{}
			for file, text := range tc.files {
				fsys[file] = &fstest.MapFile{Data: []byte(text)}
			}
			if _, err := list(fsys); err == nil || err.Error() != tc.want {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}
