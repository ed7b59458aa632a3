package reports

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/parser"
	"go.abhg.dev/goldmark/frontmatter"
)

// frontMatter is what stands above a report. It is the person's: an update
// reads which experiments the report is about from it and does not change it.
type frontMatter struct {
	Title    string `yaml:"title"`
	Author   string `yaml:"author"`
	Created  string `yaml:"created"` // a day, such as 2026-09-12
	Notebook string `yaml:"notebook"`
	// CreatedWith is the program and the version that first wrote the report.
	CreatedWith string   `yaml:"created_with"`
	Experiments []string `yaml:"experiments"` // ULIDs, in the order of the report
}

// ExperimentIDs reads which experiments a report is about from its front matter,
// in the order of the report: ULIDs, or what the person has written there. A
// report without any is an error.
func ExperimentIDs(markdown []byte) ([]string, error) {
	ctx := parser.NewContext()
	md := goldmark.New(goldmark.WithExtensions(yamlFrontMatter))
	if err := md.Convert(bytes.TrimPrefix(markdown, byteOrderMark), io.Discard, parser.WithContext(ctx)); err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	f, err := frontMatterIn(ctx)
	if err != nil {
		return nil, err
	}
	if len(f.Experiments) == 0 {
		return nil, errors.New("the front matter has no list `experiments`, so that nothing says what the report is about")
	}
	return f.Experiments, nil
}

var (
	yamlFrontMatter = &frontmatter.Extender{Formats: []frontmatter.Format{frontmatter.YAML}}
	// byteOrderMark is what some editors put before the first line, where the
	// front matter has to start.
	byteOrderMark = []byte("\ufeff")
)

// frontMatterIn takes the front matter from a document that has been parsed.
func frontMatterIn(ctx parser.Context) (frontMatter, error) {
	var f frontMatter
	data := frontmatter.Get(ctx)
	if data == nil {
		return f, nil
	}
	if err := data.Decode(&f); err != nil {
		return frontMatter{}, fmt.Errorf("reading the front matter: %w", err)
	}
	return f, nil
}

// frontMatterOf writes the front matter of a new report. Go's escapes are YAML's
// too, whatever is in a string.
func frontMatterOf(m *Material) string {
	var b strings.Builder
	b.WriteString("---\n")
	field := func(name, value string) { fmt.Fprintf(&b, "%s: %s\n", name, strconv.Quote(oneLine(value))) }
	field("title", m.title())
	if m.Author != "" {
		field("author", m.Author)
	}
	field("created", m.Created.Format("2006-01-02"))
	if m.NotebookName != "" {
		field("notebook", m.NotebookName)
	}
	field("created_with", "inferbook "+m.Version)
	b.WriteString("experiments:\n")
	for i := range m.Experiments {
		fmt.Fprintf(&b, "  - %s # %s\n", strconv.Quote(oneLine(m.Experiments[i].Experiment.ID)), m.Experiments[i].Experiment.Alias())
	}
	b.WriteString("---\n")
	return b.String()
}
