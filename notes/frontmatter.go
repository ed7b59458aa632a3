package notes

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/inferbook/inferbook/experiment"
)

// FileError is a fault in a reading's file, and where it stands. Line and
// Column count from 1, Column in characters.
type FileError struct {
	File         string
	Line, Column int
	Reason       string
}

// Error gives the place the way compilers do, so that an editor can jump to it.
func (e *FileError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Reason)
}

// frontMatter is what stands between the two lines of dashes. Also and AsOf are
// for people; they are checked here and repeated in the body.
type frontMatter struct {
	Slug    string   `yaml:"slug"`
	Title   string   `yaml:"title"`
	URL     string   `yaml:"url"`
	Also    []string `yaml:"also"`
	Kind    string   `yaml:"kind"`
	Section string   `yaml:"section"`
	Order   int      `yaml:"order"`
	Status  string   `yaml:"status"`
	AsOf    string   `yaml:"as_of"`
}

const (
	dashes    = "---"
	extension = ".md"
	asOfForm  = "2006-01"
)

var (
	slugForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	kinds    = []string{"article", "course", "docs", "index", "paper", "path", "repository"}
	statuses = []string{
		string(experiment.Unread), string(experiment.Reading), string(experiment.Read), string(experiment.Tested),
	}
)

// Parse reads one reading: front matter in YAML between two lines of dashes,
// then Markdown, which becomes the Body. The name is the file's, with or
// without folders, and its base without ".md" must equal the slug. The front
// matter is read strictly: every key but "also" is required, and an unknown
// key, a repeated one, or a value outside its range is a [*FileError] with line
// and column.
func Parse(name string, data []byte) (experiment.ReadingEntry, error) {
	front, body, err := split(name, data)
	if err != nil {
		return experiment.ReadingEntry{}, err
	}
	fm, places, err := decode(name, front)
	if err != nil {
		return experiment.ReadingEntry{}, err
	}
	if err := check(name, fm, places); err != nil {
		return experiment.ReadingEntry{}, err
	}
	return experiment.ReadingEntry{
		Slug:    fm.Slug,
		Title:   fm.Title,
		URL:     fm.URL,
		Kind:    fm.Kind,
		Section: fm.Section,
		Order:   fm.Order,
		Status:  experiment.ReadingStatus(fm.Status),
		Body:    string(body),
	}, nil
}

// split parts the front matter from the body. The opening line of dashes stays
// with the front matter as an empty line, so that line numbers are the file's.
func split(name string, data []byte) (front, body []byte, err error) {
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	for i, line := range bytes.Split(data, []byte("\n")) {
		if col, ok := notText(line); ok {
			return nil, nil, &FileError{File: name, Line: i + 1, Column: col, Reason: "not plain UTF-8 text"}
		}
	}
	rest, ok := bytes.CutPrefix(data, []byte(dashes+"\n"))
	if !ok {
		return nil, nil, &FileError{File: name, Line: 1, Column: 1, Reason: "no front matter: the first line must be " + dashes}
	}
	rest = append([]byte("\n"), rest...)
	front, body, ok = bytes.Cut(rest, []byte("\n"+dashes+"\n"))
	if !ok {
		front, ok = bytes.CutSuffix(rest, []byte("\n"+dashes))
	}
	if !ok {
		return nil, nil, &FileError{File: name, Line: 1, Column: 1, Reason: "front matter has no closing line of " + dashes}
	}
	return front, bytes.TrimLeft(body, "\n"), nil
}

// notText gives the column of the first byte that is not part of a character,
// or of the first control character. A lone carriage return is one of these: the
// YAML library would count it as a line.
func notText(line []byte) (column int, found bool) {
	for column = 1; len(line) > 0; column++ {
		r, size := utf8.DecodeRune(line)
		if r == utf8.RuneError && size == 1 || unicode.IsControl(r) && r != '\t' {
			return column, true
		}
		line = line[size:]
	}
	return 0, false
}

// place is where a value stands in its file.
type place struct{ line, column int }

func decode(name string, front []byte) (frontMatter, map[string]place, error) {
	var fm frontMatter
	file, err := parser.ParseBytes(front, 0)
	if err != nil {
		return fm, nil, located(name, err)
	}
	top := &FileError{File: name, Line: 1, Column: 1, Reason: "front matter must be a list of keys and values"}
	if len(file.Docs) != 1 {
		return fm, nil, top
	}
	m, ok := file.Docs[0].Body.(ast.MapNode)
	if !ok {
		return fm, nil, top
	}
	if err := plain(name, m); err != nil {
		return fm, nil, err
	}
	if err := yaml.NewDecoder(bytes.NewReader(nil), yaml.Strict()).DecodeFromNode(file.Docs[0].Body, &fm); err != nil {
		return fm, nil, located(name, err)
	}
	places := map[string]place{}
	for i := m.MapRange(); i.Next(); {
		key := i.Key().GetToken()
		p := key.Position
		if i.Value().Type() != ast.NullType { // a null stands nowhere in particular
			p = i.Value().GetToken().Position
		}
		places[key.Value] = place{p.Line, p.Column}
	}
	return fm, places, nil
}

// scalars are the kinds of value that front matter is made of.
var scalars = []ast.NodeType{ast.StringType, ast.IntegerType, ast.FloatType, ast.BoolType, ast.NullType}

// plain refuses every value that is not a scalar or a list of scalars. Tags,
// anchors and the like say nothing that front matter needs, and the decoder
// panics on some of them (such as "also: !0").
func plain(name string, m ast.MapNode) error {
	for i := m.MapRange(); i.Next(); {
		nodes := []ast.Node{i.Key(), i.Value()}
		if list, ok := i.Value().(*ast.SequenceNode); ok {
			nodes = append([]ast.Node{i.Key()}, list.Values...)
		}
		for _, n := range nodes {
			if slices.Contains(scalars, n.Type()) {
				continue
			}
			e := &FileError{File: name, Line: 1, Column: 1, Reason: "only plain text, numbers and lists of them may stand here"}
			if t := i.Key().GetToken(); t != nil {
				e.Line, e.Column = t.Position.Line, t.Position.Column
			}
			return e
		}
	}
	return nil
}

// located takes the position out of an error of the YAML library.
func located(name string, err error) error {
	var ye yaml.Error
	if !errors.As(err, &ye) || ye.GetToken() == nil {
		return &FileError{File: name, Line: 1, Column: 1, Reason: err.Error()}
	}
	p := ye.GetToken().Position
	return &FileError{File: name, Line: p.Line, Column: p.Column, Reason: ye.GetMessage()}
}

// check gives the first fault of the values, in the order of the keys.
func check(name string, fm frontMatter, places map[string]place) error {
	fault := func(key, format string, args ...any) error {
		p, ok := places[key]
		if !ok {
			return &FileError{File: name, Line: 1, Column: 1, Reason: fmt.Sprintf("key %q is missing", key)}
		}
		return &FileError{File: name, Line: p.line, Column: p.column, Reason: key + ": " + fmt.Sprintf(format, args...)}
	}
	base := strings.TrimSuffix(path.Base(name), extension)
	_, dateErr := time.Parse(asOfForm, fm.AsOf)
	switch {
	case !slugForm.MatchString(fm.Slug):
		return fault("slug", "%q is not lower-case words joined by hyphens", fm.Slug)
	case fm.Slug != base || path.Ext(name) != extension:
		return fault("slug", "%q needs the file name %s, not %s", fm.Slug, fm.Slug+extension, path.Base(name))
	case strings.TrimSpace(fm.Title) == "":
		return fault("title", "is empty")
	case !webAddress(fm.URL):
		return fault("url", "%q is not an https address", fm.URL)
	case slices.ContainsFunc(fm.Also, func(s string) bool { return !webAddress(s) }):
		return fault("also", "holds something that is not an https address")
	case !slices.Contains(kinds, fm.Kind):
		return fault("kind", "%q is none of %s", fm.Kind, strings.Join(kinds, ", "))
	case strings.TrimSpace(fm.Section) == "":
		return fault("section", "is empty")
	case fm.Order < 1:
		return fault("order", "%d is not a position from 1", fm.Order)
	case !slices.Contains(statuses, fm.Status):
		return fault("status", "%q is none of %s", fm.Status, strings.Join(statuses, ", "))
	case dateErr != nil:
		return fault("as_of", "%q is not a month such as 2026-11", fm.AsOf)
	}
	return nil
}

// webAddress reports whether s can be opened in a browser as it stands.
func webAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && strings.HasPrefix(s, "https://") && u.Host != ""
}
