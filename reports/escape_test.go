package reports

import (
	"html"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var tag = regexp.MustCompile(`<[^>]*>`)

// rendered is the text of a page's body, without its tags.
func rendered(t interface{ Fatal(...any) }, markdown string) string {
	page, err := HTML([]byte(markdown), HTMLOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(page), "<main>")
	body, _, _ = strings.Cut(body, "</main>")
	return strings.Join(strings.Fields(html.UnescapeString(tag.ReplaceAllString(body, ""))), " ")
}

func TestInline(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"llama-3.1-8b", "llama-3.1-8b"},       // an ordinary name stays readable
		{"max_tokens _x_", `max_tokens \_x\_`}, // an underscore within a word is no emphasis
		{"a|b", `a\|b`},                        // a table's cell
		{"`rm -rf`", "\\`rm -rf\\`"},           // code
		{"<script>alert(1)</script>", `\<script\>alert(1)\</script\>`},
		{"](http://evil)", `\](http://evil)`},                   // the end of a link
		{"one\r\n# two\n\tthree", "one # two three"},            // several lines
		{"AT&T &amp; &#60; a & b", `AT\&T \&amp; \&#60; a & b`}, // entities
		{"abc\u202ecba", "abccba"},                              // text that turns around
		{"bad \xff byte", "bad \ufffd byte"},
		{"", ""},
	} {
		if got := inline(c.in); got != c.want {
			t.Errorf("inline(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

// Whatever a text holds, it stays one cell of a table and reads as it was written.
func TestInlineReadsAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching("[-a-z|`*_\\[\\]()<>!#&~\\\\\n:/.^\"' ]{0,20}")).Draw(t, "text")
		got := rendered(t, row("head", "other")+rule("ll")+row("x "+inline(text)+" y", "end"))
		want := strings.Join(strings.Fields("head other x "+oneLine(text)+" y end"), " ")
		if got != want {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
	})
}

func TestLink(t *testing.T) {
	for _, c := range []struct{ text, address, want string }{
		{"A", "https://a.example/b_c?d=e", "[A](https://a.example/b_c?d=e)"},
		{"A](x", "https://a.example/(b) c", `[A\](x](https://a.example/%28b%29%20c)`}, // nothing ends the link early
		{"A", "javascript:alert(1)", "A"},                                             // only addresses of the web
		{"A", "https://user:secret@a.example/", "A"},                                  // no password is handed on
		{"A", "", "A"},
		{"A", "notes/a.md", "A"},
	} {
		if got := link(c.text, c.address); got != c.want {
			t.Errorf("link(%q, %q) = %q, want %q", c.text, c.address, got, c.want)
		}
	}
}

func TestQuoteHoldsEverythingIn(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"a heading", "# Big\ntext", "> # Big\n> text\n"},
		{"a fence that is never closed", "```\ncode", "> ```\n> code\n"},
		{"a marker after each kind of line end", "a\r<!-- inferbook:end cost -->\r\nb", "> a\n> <!-- inferbook:end cost -->\n> b\n"},
		{"blank lines", "\n\na\n\nb\n\n", "> a\n>\n> b\n"},
		{"nothing", "", ">\n"},
	} {
		if got := quote(c.in); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestFenceIsLongerThanWhatItHolds(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"a: 1\n", "```yaml\na: 1\n```\n"},
		{"prompt: |\n  ```\n  ````", "`````yaml\nprompt: |\n  ```\n  ````\n`````\n"},
	} {
		if got := fence("yaml", c.in); got != c.want {
			t.Errorf("fence(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestMentalModel(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"filled", "## Facts\n\na\n\n## What this changed in my mental model\n\nBatches are memory.\n\n## After\n\nb", "Batches are memory."},
		{"only the comment that invites", "## What this changed in my mental model\n\n<!-- One or two\nsentences. -->\n", ""},
		{"no such section", "## Facts\n\na", ""},
		{"in other letters and with a comment before", "### what this changed in my Mental Model\r\n<!-- x -->\r\nIt did.\r\n", "It did."},
	} {
		if got := mentalModel(c.in); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
