package reports

import (
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// page is one conversion: it looks over the parsed report for what the page
// needs, and renders the nodes that a self-contained page treats in its own way.
type page struct {
	options      HTMLOptions
	firstHeading string
	contents     []contentsEntry
	region       map[ast.Node]string // the region that a block at the top level stands in
}

// contentsEntry is one line of the table of contents.
type contentsEntry struct{ ID, Title string }

func newPage(o HTMLOptions) *page { return &page{options: o, region: map[ast.Node]string{}} }

// Transform notes regions and headings, and makes text of links that could do
// more than lead somewhere.
func (p *page) Transform(doc *ast.Document, reader text.Reader, _ parser.Context) {
	source := reader.Source()
	region := ""
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		if block, ok := n.(*ast.HTMLBlock); ok {
			line := strings.TrimSpace(blockText(block, source))
			if begin := beginMarker.FindStringSubmatch(line); begin != nil {
				region = begin[1]
			} else if endMarker.MatchString(line) {
				region = ""
			}
		}
		p.region[n] = region
		p.style(n, source)
	}
	var refused []*ast.Link
	// The walker cannot fail: the function below returns no error.
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			p.note(n, source)
		case *ast.Link:
			if !leadsSomewhere(string(n.Destination)) {
				refused = append(refused, n)
			}
		}
		return ast.WalkContinue, nil
	})
	for _, n := range refused {
		unwrap(n)
	}
}

// unwrap puts what a node holds in its place.
func unwrap(n ast.Node) {
	parent := n.Parent()
	for c := n.FirstChild(); c != nil; {
		next := c.NextSibling()
		parent.InsertBefore(parent, n, c)
		c = next
	}
	parent.RemoveChild(parent, n)
}

// style marks what the style sheet treats apart: the warnings that open a
// report, figures and their captions.
func (p *page) style(n ast.Node, source []byte) {
	switch n := n.(type) {
	case *ast.Blockquote:
		if p.region[n] == "about" {
			n.SetAttributeString("class", []byte("alert"))
		} else if p.region[n] == "observations" {
			n.SetAttributeString("class", []byte("note"))
		}
	case *ast.Paragraph:
		if n.ChildCount() != 1 {
			return
		}
		if _, ok := n.FirstChild().(*ast.Image); ok {
			n.SetAttributeString("class", []byte("figure"))
		}
		e, ok := n.FirstChild().(*ast.Emphasis)
		if before, isParagraph := n.PreviousSibling().(*ast.Paragraph); ok && e.Level == 1 && isParagraph {
			if _, ok := before.FirstChild().(*ast.Image); ok && before.ChildCount() == 1 {
				n.SetAttributeString("class", []byte("caption"))
			}
		}
	}
}

// note keeps a heading for the page's title and its table of contents.
func (p *page) note(h *ast.Heading, source []byte) {
	title := plainText(h, source)
	if h.Level == 1 && p.firstHeading == "" {
		p.firstHeading = title
	}
	id, ok := h.AttributeString("id")
	idText, isBytes := id.([]byte)
	if h.Level == 2 && ok && isBytes && h.Parent() != nil && h.Parent().Kind() == ast.KindDocument {
		p.contents = append(p.contents, contentsEntry{string(idText), title})
	}
}

// RegisterFuncs takes over the nodes that would load something, hide something
// or run off the page.
func (p *page) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindImage, p.image)
	r.Register(ast.KindAutoLink, p.autoLink)
	r.Register(ast.KindHTMLBlock, p.htmlBlock)
	r.Register(ast.KindRawHTML, p.rawHTML)
	r.Register(extast.KindTable, p.table)
}

// mediaTypes are the images that a page can hold. A browser runs no script in an
// SVG that is an image, and loads nothing for it.
var mediaTypes = map[string]string{
	".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
}

func (p *page) image(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	n := node.(*ast.Image)
	alt, address := plainText(n, source), string(n.Destination)
	media, data, err := p.read(address)
	var missing *missingImage
	switch {
	case err == nil:
		_, err = fmt.Fprintf(w, `<img src="data:%s;base64,%s" alt="%s">`, media, base64.StdEncoding.EncodeToString(data), html.EscapeString(alt))
	case errors.As(err, &missing) || p.region[topBlock(n)] == "observations":
		_, err = fmt.Fprintf(w, `<span class="missing">[image %s: %s; it is not part of this file]</span>`, html.EscapeString(address), html.EscapeString(alt))
	default:
		err = fmt.Errorf("image %s: %w", oneLine(address), err)
	}
	return ast.WalkSkipChildren, err
}

// missingImage says that an image is not one of the report's own files.
type missingImage struct{ why string }

func (m *missingImage) Error() string { return m.why }

// read gives an image's media type and bytes.
func (p *page) read(address string) (media string, data []byte, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "" || u.Host != "" {
		return "", nil, &missingImage{"it is not a relative path"}
	}
	if p.options.Base == nil {
		return "", nil, &missingImage{"no folder was given to read images from"}
	}
	media, ok := mediaTypes[strings.ToLower(path.Ext(u.Path))]
	if !ok {
		return "", nil, errors.New("its extension is none of .svg, .png, .jpg, .gif and .webp")
	}
	name := path.Clean(u.Path)
	if !fs.ValidPath(name) {
		return "", nil, errors.New("it does not lie in the report's folder or below it")
	}
	data, err = fs.ReadFile(p.options.Base, name)
	return media, data, err
}

// autoLink links an address that stands in the text by itself, unless following
// it could do more than lead somewhere.
func (p *page) autoLink(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	n := node.(*ast.AutoLink)
	label, address := html.EscapeString(string(n.Label(source))), string(n.URL(source))
	if n.AutoLinkType == ast.AutoLinkEmail && !strings.HasPrefix(strings.ToLower(address), "mailto:") {
		address = "mailto:" + address
	}
	var err error
	if leadsSomewhere(address) {
		_, err = fmt.Fprintf(w, `<a href="%s">%s</a>`, html.EscapeString(string(util.URLEscape([]byte(address), false))), label)
	} else {
		_, err = w.WriteString(label)
	}
	return ast.WalkContinue, err
}

// leadsSomewhere reports whether an address is one of the web, of mail, or
// relative to the page.
func leadsSomewhere(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "https", "mailto":
		return true
	case "":
		return u.Host == "" // //host/path would take the page's scheme
	}
	return false
}

var htmlComment = regexp.MustCompile(`(?s)<!--.*?-->`)

func (p *page) htmlBlock(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	shown := strings.TrimSpace(htmlComment.ReplaceAllString(blockText(node.(*ast.HTMLBlock), source), ""))
	if shown == "" {
		return ast.WalkSkipChildren, nil
	}
	_, err := fmt.Fprintf(w, "<p class=\"raw\">%s</p>\n", html.EscapeString(shown))
	return ast.WalkSkipChildren, err
}

func (p *page) rawHTML(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	raw := string(node.(*ast.RawHTML).Segments.Value(source))
	_, err := w.WriteString(html.EscapeString(htmlComment.ReplaceAllString(raw, "")))
	return ast.WalkSkipChildren, err
}

// table puts a table into a box that scrolls by itself where the page is narrow.
func (p *page) table(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	open := "<div class=\"scroll\"><table>\n"
	if region := p.region[n]; region != "" {
		open = fmt.Sprintf("<div class=\"scroll generated %s\"><table>\n", region)
	}
	if !entering {
		open = "</table></div>\n"
	}
	_, err := w.WriteString(open)
	return ast.WalkContinue, err
}

// topBlock is the block at the top level that a node stands in.
func topBlock(n ast.Node) ast.Node {
	for n.Parent() != nil && n.Parent().Kind() != ast.KindDocument {
		n = n.Parent()
	}
	return n
}

func blockText(b *ast.HTMLBlock, source []byte) string {
	s := string(b.Lines().Value(source))
	if b.HasClosure() {
		s += string(b.ClosureLine.Value(source))
	}
	return s
}

// plainText is the text within a node, without its markup.
func plainText(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // returns no error
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			b.Write(util.UnescapePunctuations(n.Value(source)))
			if n.SoftLineBreak() || n.HardLineBreak() {
				b.WriteByte(' ')
			}
		case *ast.String:
			b.Write(n.Value)
		}
		return ast.WalkContinue, nil
	})
	return html.UnescapeString(b.String())
}
