package reports

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io/fs"
	"strings"
	"time"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/util"
)

// HTMLOptions says how a report becomes a page.
type HTMLOptions struct {
	// Title of the page. Empty = the title in the front matter, else the first heading.
	Title string
	// Base is where relative image paths are looked up; usually the folder of
	// the report. Nil = no image is inlined, and each says so in the page.
	Base fs.FS
}

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// HTML makes one self-contained page of a report. Images become part of it, the
// style is in it, there is no script, and a policy in its head forbids the
// browser to load anything from anywhere. Links stay links, which load nothing
// until they are followed; those with a scheme other than http, https and
// mailto become text. Raw HTML is shown as the text it is; comments are
// left out.
//
// An image in the report that cannot be read from Base is an error that wraps
// the cause. One in a note, whose text is not part of the report, says in the
// page that it is missing, and so does one at an address on the web.
func HTML(markdown []byte, o HTMLOptions) ([]byte, error) {
	p := newPage(o)
	md := goldmark.New(
		goldmark.WithExtensions(extension.GFM, extension.Footnote, yamlFrontMatter),
		goldmark.WithParserOptions(parser.WithAutoHeadingID(), parser.WithASTTransformers(util.Prioritized(p, 900))),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(p, 100))),
	)
	ctx := parser.NewContext()
	var body bytes.Buffer
	if err := md.Convert(bytes.TrimPrefix(markdown, byteOrderMark), &body, parser.WithContext(ctx)); err != nil {
		return nil, fmt.Errorf("making a page of the report: %w", err)
	}
	front, err := frontMatterIn(ctx)
	if err != nil {
		return nil, err
	}
	title := "inferbook report"
	for _, t := range []string{o.Title, front.Title, p.firstHeading} {
		if t != "" {
			title = t
			break
		}
	}
	var out bytes.Buffer
	err = pageTemplate.Execute(&out, map[string]any{
		"Title": title, "Style": template.CSS(pageStyle), "Byline": byline(front),
		"Contents": p.contents, "Body": template.HTML(body.String()), // goldmark's, without unsafe HTML
	})
	if err != nil {
		return nil, fmt.Errorf("making a page of the report: %w", err)
	}
	return out.Bytes(), nil
}

// byline is author, day and notebook as the front matter has them.
func byline(f frontMatter) string {
	var parts []string
	if f.Author != "" {
		parts = append(parts, f.Author)
	}
	if t, err := time.Parse("2006-01-02", f.Created); err == nil {
		parts = append(parts, t.Format(day))
	} else if f.Created != "" {
		parts = append(parts, f.Created)
	}
	if f.Notebook != "" {
		parts = append(parts, "notebook "+f.Notebook)
	}
	return strings.Join(parts, " · ")
}
