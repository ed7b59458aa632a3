package notes

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
)

const valid = `---
slug: orca
title: "Orca: iteration-level scheduling"
url: https://example.org/orca
also:
  - https://example.org/slides
kind: paper
section: Serving systems
order: 3
status: read
as_of: 2026-11
---

Body.
`

func TestParse(t *testing.T) {
	want := experiment.ReadingEntry{
		Slug: "orca", Title: "Orca: iteration-level scheduling", URL: "https://example.org/orca", Kind: "paper",
		Section: "Serving systems", Order: 3, Status: experiment.Read, Body: "Body.\n",
	}
	noBody := want
	noBody.Body = ""
	rule := want
	rule.Body = "Above.\n\n---\n\nBelow.\n"
	for name, tc := range map[string]struct {
		file, text string
		want       experiment.ReadingEntry
	}{
		// the plain case
		"lf": {"orca.md", valid, want},
		// a checkout on Windows
		"crlf": {"orca.md", strings.ReplaceAll(valid, "\n", "\r\n"), want},
		// the folder is not part of the slug
		"folder": {"notes/orca.md", valid, want},
		// a list that has just one address needs no "also"
		"without also": {"orca.md", strings.Replace(valid, "also:\n  - https://example.org/slides\n", "", 1), want},
		// a file may end with its front matter, with or without a last line end
		"no body":         {"orca.md", strings.TrimSuffix(valid, "\nBody.\n"), noBody},
		"no last newline": {"orca.md", strings.TrimSuffix(valid, "\n\nBody.\n"), noBody},
		// a rule in the text does not end the front matter again
		"rule": {"orca.md", strings.Replace(valid, "Body.", "Above.\n\n---\n\nBelow.", 1), rule},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(tc.file, []byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("entry (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		file     string
		old, new string // what is replaced in the valid file
		want     string
	}{
		// structure
		"empty":             {"orca.md", valid, "", "orca.md:1:1: no front matter: the first line must be ---"},
		"no front matter":   {"orca.md", "---\nslug", "slug", "orca.md:1:1: no front matter: the first line must be ---"},
		"not closed":        {"orca.md", "\n---\n", "\n", "orca.md:1:1: front matter has no closing line of ---"},
		"nothing in it":     {"orca.md", valid, "---\n\n---\n", "orca.md:1:1: front matter must be a list of keys and values"},
		"a list":            {"orca.md", valid, "---\n- slug\n---\n", "orca.md:1:1: front matter must be a list of keys and values"},
		"one key":           {"orca.md", valid, "---\nslug: orca\n---\n", `orca.md:1:1: key "title" is missing`},
		"bad YAML":          {"orca.md", "order: 3", "order: [3", "orca.md:10:1: ',' or ']' must be specified"},
		"not text":          {"orca.md", "title: ", "title: \xff", "orca.md:3:8: not plain UTF-8 text"},
		"half a character":  {"orca.md", "Body.", "≈ \xe2\x80", "orca.md:14:3: not plain UTF-8 text"},
		"control character": {"orca.md", "Body.", "Bo\rdy.", "orca.md:14:3: not plain UTF-8 text"},
		// keys
		"unknown key":  {"orca.md", "kind:", "type:", `orca.md:7:1: unknown field "type"`},
		"key twice":    {"orca.md", "kind: paper", "kind: paper\nkind: paper", `orca.md:8:1: mapping key "kind" already defined at [7:1]`},
		"missing slug": {"orca.md", "slug: orca\n", "", `orca.md:1:1: key "slug" is missing`},
		"missing date": {"orca.md", "as_of: 2026-11\n", "", `orca.md:1:1: key "as_of" is missing`},
		// more of YAML than front matter has a use for
		"tag":    {"orca.md", "slug: orca", "slug: !!str orca", "orca.md:2:1: only plain text, numbers and lists of them may stand here"},
		"anchor": {"orca.md", "kind: paper", "kind: &a paper", "orca.md:7:1: only plain text, numbers and lists of them may stand here"},
		"merge":  {"orca.md", "slug: orca", "<<: {slug: orca}", "orca.md:2:1: only plain text, numbers and lists of them may stand here"},
		"nested": {"orca.md", "  - https://example.org/slides", "  - [https://example.org/slides]", "orca.md:5:1: only plain text, numbers and lists of them may stand here"},
		// values
		"null slug":         {"orca.md", "slug: orca", "slug:", `orca.md:2:1: slug: "" is not lower-case words joined by hyphens`},
		"slug with capital": {"Orca.md", "slug: orca", "slug: Orca", `Orca.md:2:7: slug: "Orca" is not lower-case words joined by hyphens`},
		"slug not the file": {"vllm.md", "", "", `vllm.md:2:7: slug: "orca" needs the file name orca.md, not vllm.md`},
		"not Markdown":      {"orca.txt", "", "", `orca.txt:2:7: slug: "orca" needs the file name orca.md, not orca.txt`},
		"no title":          {"orca.md", `"Orca: iteration-level scheduling"`, `" "`, "orca.md:3:8: title: is empty"},
		"url without host":  {"orca.md", "https://example.org/orca", "orca.pdf", `orca.md:4:6: url: "orca.pdf" is not an https address`},
		"also not a url":    {"orca.md", "https://example.org/slides", "slides", "orca.md:6:3: also: holds something that is not an https address"},
		"bad kind":          {"orca.md", "kind: paper", "kind: tweet", `orca.md:7:7: kind: "tweet" is none of article, course, docs, index, paper, path, repository`},
		"no section":        {"orca.md", "Serving systems", `""`, "orca.md:8:10: section: is empty"},
		"order 0":           {"orca.md", "order: 3", "order: 0", "orca.md:9:8: order: 0 is not a position from 1"},
		"order in words":    {"orca.md", "order: 3", "order: three", "orca.md:9:8: cannot unmarshal string into Go struct field frontMatter.Order of type int"},
		"bad status":        {"orca.md", "status: read", "status: done", `orca.md:10:9: status: "done" is none of unread, reading, read, tested`},
		"a day":             {"orca.md", "2026-11", "2026-11-23", `orca.md:11:8: as_of: "2026-11-23" is not a month such as 2026-11`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(tc.file, []byte(strings.Replace(valid, tc.old, tc.new, 1)))
			if err == nil {
				t.Fatalf("no error; want %q", tc.want)
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzParse: no input makes Parse panic, every fault has a place within the
// file, and what is accepted keeps its promises.
func FuzzParse(f *testing.F) {
	f.Add([]byte(valid))
	f.Add([]byte(strings.Replace(valid, "https://", "hTtps://", 1)))
	f.Add([]byte(strings.ReplaceAll(valid, "\n", "\r\n")))
	for _, seed := range []string{
		"", "---", "---\n---", "---\n: \n---\n", "---\nslug: &a [*a]\n---\n", "---\nalso: !0\n---", "---\n? slug\n: orca\n---\n", "---\n<<: {slug: orca}\n---\n",
		"---\nslug: !!binary b3JjYQ==\n---\n", "---\ntitle: |\n  a\n\tb\n---\n", "---\n%YAML 1.2\n---\n", "---\nslug: \"\\xff\"\n---\n", "---\n{slug: orca}: 1\n---\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Parse("orca.md", data)
		if err != nil {
			var fe *FileError
			if !errors.As(err, &fe) {
				t.Fatalf("error %v has no place", err)
			}
			if lines := strings.Count(string(data), "\n") + 1; fe.Line < 1 || fe.Line > lines || fe.Column < 1 {
				t.Fatalf("place %d:%d lies outside a file of %d lines: %v", fe.Line, fe.Column, lines, err)
			}
			return
		}
		if e.Slug != "orca" || e.Title == "" || e.Section == "" || e.Order < 1 || !strings.HasPrefix(e.URL, "https://") {
			t.Fatalf("accepted %+v", e)
		}
	})
}
