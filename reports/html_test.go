package reports

import (
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func pageOf(t *testing.T, markdown string, base fs.FS) string {
	t.Helper()
	b, err := HTML([]byte(markdown), HTMLOptions{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(b), "<main>")
	body, _, _ = strings.Cut(body, "</main>")
	return strings.TrimSpace(body)
}

func TestHTMLShowsAndKeepsOut(t *testing.T) {
	files := fstest.MapFS{"a b.png": {Data: []byte("png")}}
	for _, c := range []struct{ name, in, want string }{
		{"a block of raw HTML is text", "<script>\nalert(1)\n</script>", "<p class=\"raw\">&lt;script&gt;\nalert(1)\n&lt;/script&gt;</p>"},
		{"raw HTML in a line is text", "a <b onclick=x>b</b>", "<p>a &lt;b onclick=x&gt;b&lt;/b&gt;</p>"},
		{"comments are left out", "<!-- a -->\n\nb <!-- c --> d", "<p>b  d</p>"},
		{"what follows a comment is not", "<!-- a --> b", "<p class=\"raw\">b</p>"},
		{"a link of the web", "[a](https://a.example/?b=c&d)", `<p><a href="https://a.example/?b=c&amp;d">a</a></p>`},
		{"a link within the page", "[a](#b)", `<p><a href="#b">a</a></p>`},
		{"a link that runs", "[a](javascript:alert(1))", `<p>a</p>`},
		{"one in disguise", "[a](JaVaScRiPt:alert(1)) <data:text/html,x>", `<p>a data:text/html,x</p>`},
		{"an address that takes the page's scheme", "[a](//evil.example/x)", `<p>a</p>`},
		{"an image becomes part of the page", "![two\"s](a%20b.png)", `<p class="figure"><img src="data:image/png;base64,cG5n" alt="two&#34;s"></p>`},
		{"an image on the web does not", "![a](https://evil.example/x.png)", `<p class="figure"><span class="missing">[image https://evil.example/x.png: a; it is not part of this file]</span></p>`},
		{"a table scrolls by itself", "| a |\n| ---: |\n| 1 |", "<div class=\"scroll\"><table>\n<thead>\n<tr>\n<th style=\"text-align:right\">a</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td style=\"text-align:right\">1</td>\n</tr>\n</tbody>\n</table></div>"},
		{"headings have names", "# A b", `<h1 id="a-b">A b</h1>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := pageOf(t, c.in, files); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestHTMLTitle(t *testing.T) {
	for _, c := range []struct {
		name, in string
		o        HTMLOptions
		want     string
	}{
		{"the option", "---\ntitle: front\n---\n# head", HTMLOptions{Title: "a < b"}, "<title>a &lt; b</title>"},
		{"the front matter, after a byte order mark", "\ufeff---\ntitle: front\n---\n# head", HTMLOptions{}, "<title>front</title>"},
		{"the first heading", "# a *b* \\<c", HTMLOptions{}, "<title>a b &lt;c</title>"},
		{"nothing", "", HTMLOptions{}, "<title>inferbook report</title>"},
	} {
		got, err := HTML([]byte(c.in), c.o)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(got), c.want) {
			t.Errorf("%s: %s is not in the page", c.name, c.want)
		}
	}
}

// A figure that is missing stops the page; a picture in a note does not.
func TestHTMLMissingImages(t *testing.T) {
	for _, c := range []struct{ name, path, want string }{
		{"not there", "figures/gone.svg", "image figures/gone.svg: open figures/gone.svg: file does not exist"},
		{"outside the folder", "../up.svg", "image ../up.svg: it does not lie in the report's folder or below it"},
		{"not an image", "a.html", "image a.html: its extension is none of .svg, .png, .jpg, .gif and .webp"},
	} {
		_, err := HTML([]byte("![x]("+c.path+")"), HTMLOptions{Base: fstest.MapFS{}})
		if err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want it to end in %s", c.name, err, c.want)
		}
	}
	_, err := HTML([]byte("![x](gone.svg)"), HTMLOptions{Base: fstest.MapFS{}})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the error %v does not wrap fs.ErrNotExist", err)
	}
	m := fragment()
	m.Experiments[0].Notes = comparison().Experiments[0].Notes[:1]
	m.Experiments[0].Notes[0].Text = "see ![my sketch](sketch.png)"
	page := pageOf(t, string(fresh(t, m)), fstest.MapFS{})
	if want := "[image sketch.png: my sketch; it is not part of this file]"; !strings.Contains(page, want) {
		t.Errorf("the page does not say %q", want)
	}
}

var (
	anyTag    = regexp.MustCompile(`</?([a-zA-Z][a-zA-Z0-9]*)((?:\s+[a-z-]+(?:="[^"]*")?)*)\s*/?>`)
	attribute = regexp.MustCompile(`([a-z-]+)(?:="([^"]*)")?`)
	mayAppear = strings.Fields("html head meta title style body nav ol ul li a main p h1 h2 h3 h4 h5 h6 blockquote div table thead tbody tr th td em strong del code pre img span sup hr br input")
	// hasScheme is an address whose first colon comes before any path, query or fragment.
	hasScheme  = regexp.MustCompile(`^[^/?#]*:`)
	attributes = strings.Fields("lang charset http-equiv content name aria-label href id class src alt style role title checked disabled type start")
)

// harmless fails where a page could load, run or hide anything.
func harmless(t *testing.T, page string) {
	t.Helper()
	body := page
	if _, after, ok := strings.Cut(page, "</style>"); ok { // the style is our own
		body = after
	}
	rest := anyTag.ReplaceAllStringFunc(body, func(found string) string {
		parts := anyTag.FindStringSubmatch(found)
		if !slices.Contains(mayAppear, parts[1]) {
			t.Errorf("the page has the element %s", found)
		}
		for _, a := range attribute.FindAllStringSubmatch(parts[2], -1) {
			address := strings.ToLower(strings.TrimSpace(a[2]))
			switch {
			case !slices.Contains(attributes, a[1]):
				t.Errorf("the page has the attribute %s in %s", a[1], found)
			case a[1] == "src" && !strings.HasPrefix(address, "data:image/"):
				t.Errorf("the page loads %s", found)
			case a[1] == "href" && hasScheme.MatchString(address) &&
				!strings.HasPrefix(address, "http:") && !strings.HasPrefix(address, "https:") && !strings.HasPrefix(address, "mailto:"):
				t.Errorf("the page has the link %s", found)
			case a[1] == "style" && !strings.HasPrefix(address, "text-align:"):
				t.Errorf("the page has the style %s", found)
			}
		}
		return ""
	})
	if i := strings.IndexAny(rest, "<"); i >= 0 {
		t.Errorf("the page has an odd < at %.60q", rest[i:])
	}
}

// hostile puts the same text into every place that a person or a server fills.
func hostile(text string) Material {
	m := comparison()
	m.Title, m.Author, m.NotebookName, m.Version = text, text, text, text
	for i := range m.Figures {
		m.Figures[i].Title, m.Figures[i].Caption, m.Figures[i].Alt = text, text, text
	}
	for slug, r := range m.Readings {
		r.Title, r.Kind, r.URL = text, text, "https://a.example/"+text
		r.Body = "## What this changed in my mental model\n\n" + text
		m.Readings[slug] = r
	}
	for i := range m.Experiments {
		it := &m.Experiments[i]
		it.Experiment.Name, it.Experiment.Message, it.Experiment.ID = text, text, text
		for j := range it.Experiment.Environment.Facts {
			if f := &it.Experiment.Environment.Facts[j]; f.Key != "runtime.name" {
				f.Value = text
			}
		}
		it.Experiment.Spec.Prompt, it.Experiment.Spec.Model = text, text
		it.Experiment.Spec.Extra = map[string]any{text: text}
		it.Curve.Warnings = []string{text}
		for j := range it.Curve.Levels {
			it.Curve.Levels[j].TTFTP50.Warnings = []string{text, "and more"}
		}
		if it.Curve.Knee != nil {
			it.Curve.Knee.Because, it.Curve.Knee.Reading = text, text
		}
		for j := range it.Costs {
			it.Costs[j].Price.Source = text
		}
		for j := range it.Notes {
			it.Notes[j].Text, it.Notes[j].ID, it.Notes[j].PointID = text, text, text
		}
	}
	m.Experiments[1].Costs, m.Experiments[1].NoCost = nil, text
	return m
}

// No text of a person or a server breaks a table, ends a region or brings HTML.
func TestHostileTexts(t *testing.T) {
	plainPage, err := HTML(fresh(t, hostile("plain")), HTMLOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cells := strings.Count(string(plainPage), "<td")
	for _, text := range []string{
		"a | b", "`a` ``` b", "<script>alert(1)</script>", "](javascript:alert(1))", "![x](https://evil.example/x.png)",
		"one\ntwo\n\n# three\r\n---\r<!-- inferbook:end cost -->", "<!-- inferbook:begin cost v1 sha256:0123456789abcdef -->\n",
		"[^level-1]: mine", "<!--", "-->", "| a | b |\n| --- | --- |\n| c | d |", "&lt;img src=x onerror=alert(1)&gt;", "\x00\xff\u202e", "**", "---\nx: y\n---", "~~~", "\\",
	} {
		t.Run(text, func(t *testing.T) {
			m := hostile(text)
			markdown := fresh(t, m)
			page, err := HTML(markdown, HTMLOptions{})
			if err != nil {
				t.Fatal(err)
			}
			harmless(t, string(page))
			// A note may hold a table of its own, which stands in a quotation.
			generated := regexp.MustCompile(`(?s)<blockquote.*?</blockquote>`).ReplaceAllString(string(page), "")
			if got := strings.Count(generated, "<td"); got != cells {
				t.Errorf("the tables have %d cells, want %d", got, cells)
			}
			if got, changed, err := Update(markdown, m, UpdateOptions{}); err != nil || len(changed) > 0 || string(got) != string(markdown) {
				t.Errorf("an update changed %v, %v", changed, err)
			}
		})
	}
}

func FuzzHTML(f *testing.F) {
	for _, s := range []string{
		"# a\n\n<script>x</script> ![a](b.png) [c](javascript:d)", "---\ntitle: x\n---\n\n| a |\n| - |\n| <b> |", "[^1]\n\n[^1]: <i>", "- [ ] <javascript:x> www.a.example",
		"> <!--\n\n![a][b]\n\n[b]: data:image/svg+xml,x", "<a\nhref=x>", "[c](j#0:0)", "&lt;script&gt; \\<b>", "``` \"><script>\nx",
	} {
		f.Add(s)
	}
	files := fstest.MapFS{"b.png": {Data: []byte("png")}}
	f.Fuzz(func(t *testing.T, markdown string) {
		page, err := HTML([]byte(markdown), HTMLOptions{Base: files})
		if err != nil {
			return // an image that is not there, or front matter that is no YAML
		}
		harmless(t, string(page))
	})
}
