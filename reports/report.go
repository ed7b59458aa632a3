// Package reports turns experiments into a Markdown report, and a report into
// one HTML file. It is the only door to goldmark.
//
// It believes that a report has two authors. The parts that can be computed
// stand in marked regions, which [Update] writes again when the data has
// changed; everything else is the person's, and is kept byte for byte. A region
// that the person has edited is never overwritten unasked. A number in a region
// stands with its unit, its count and its interval, a simulated figure says so
// before anything else does, and what the measurements cannot support is said
// in the same document as what they can. What a notebook holds was typed by
// people and answered by servers, so no text of theirs can break a table, end a
// region or bring HTML along. The package opens no file and no address.
package reports

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/instinct"
	"github.com/inferbook/inferbook/experiment"
)

// Material is everything a report is made of.
type Material struct {
	// Title is the report's heading. Empty = made from the experiments' titles.
	Title string
	// Created goes into the front matter of a new report, as a day. The regions
	// do not depend on it.
	Created time.Time
	Author  string // may be empty
	// NotebookName names the notebook file for the reader, without its folder.
	NotebookName string
	Experiments  []Item // in the order of the report
	// Readings holds the reading list by slug. A slug that is not in it is
	// named without a link.
	Readings map[string]experiment.ReadingEntry
	Figures  []FigureRef // in the order of the report
	Version  string      // of inferbook
}

// Item is one experiment with what was computed from it; of an experiment with a
// matrix, one of its variants.
type Item struct {
	Experiment experiment.Experiment
	Curve      analysis.Curve
	Points     []analysis.PointSummary // every point of the curve, in any order
	Findings   []instinct.Finding      // of the rules about validity, on the curve's levels
	Notes      []experiment.Note
	Costs      []analysis.Cost // one a level; empty = no price
	NoCost     string          // why there is no cost, a sentence; empty when there is one
}

// title is the experiment's, with the variant behind it where there is a matrix.
func (it *Item) title() string {
	if it.Curve.Variant != "" {
		return it.Curve.Title
	}
	return it.Experiment.Title()
}

// workload names what the requests ask for.
func (it *Item) workload() string {
	if it.Curve.Workload != "" {
		return it.Curve.Workload
	}
	return analysis.WorkloadText(&it.Experiment.Spec)
}

// FigureRef is a figure that lies beside the report.
type FigureRef struct {
	Path    string // relative to the report file, with forward slashes
	Alt     string
	Caption string
	Title   string
}

// New writes a whole new report. It fails when the material has no experiment.
func New(m Material) ([]byte, error) {
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("writing a report: %w", err)
	}
	var b strings.Builder
	b.WriteString(frontMatterOf(&m))
	fmt.Fprintf(&b, "\n# %s\n\n", inline(m.title()))
	b.WriteString(advice)
	for _, s := range sections {
		if s.heading != "" {
			fmt.Fprintf(&b, "\n## %s\n", s.heading)
		}
		b.WriteString("\n")
		b.WriteString(renderRegion(s.name, s.version, s.text(&m), "\n"))
	}
	out := []byte(b.String())
	if _, err := parseRegions(out); err != nil {
		return nil, fmt.Errorf("writing a report: a text of the notebook looks like a region marker: %w", err)
	}
	return out, nil
}

// advice tells whoever opens the file in an editor what is theirs. It is a
// comment, so that no reader sees it.
const advice = "<!-- What stands between an inferbook:begin and its inferbook:end is written again by\n" +
	"     `inferbook report update`. Everything else is yours and is kept as it is. -->\n"

// UpdateOptions says how [Update] treats what it finds.
type UpdateOptions struct {
	// Force overwrites regions that were edited by hand since they were generated.
	Force bool
}

// EditedError says that regions were edited by hand since they were generated.
type EditedError struct {
	Regions []string // names, in the order of the file
	Lines   []int    // the line of each one's begin marker, from 1
}

// Error names the regions and the two ways out.
func (e *EditedError) Error() string {
	var at []string
	for i, name := range e.Regions {
		at = append(at, fmt.Sprintf("%s (line %d)", name, e.Lines[i]))
	}
	return fmt.Sprintf("edited by hand since it was generated: %s; move your text out of the region, or force the update and lose it",
		strings.Join(at, ", "))
}

// Update writes the regions of an existing report again and leaves every byte
// outside them as it is. A region that the person has removed stays removed. It
// returns the report and the names of the regions that changed.
//
// An [*EditedError] names the regions that were edited by hand; other errors
// name the line of a marker that cannot be understood. In both cases nothing
// is returned.
func Update(existing []byte, m Material, o UpdateOptions) (markdown []byte, changed []string, err error) {
	if err := m.validate(); err != nil {
		return nil, nil, fmt.Errorf("updating the report: %w", err)
	}
	segments, err := parseRegions(existing)
	if err != nil {
		return nil, nil, fmt.Errorf("updating the report: %w", err)
	}
	var out []byte
	var edited EditedError
	for _, seg := range segments {
		s, ok := sectionNamed(seg.region)
		if !ok { // the person's text
			out = append(out, seg.raw...)
			continue
		}
		body := s.text(&m)
		same := unixLines(string(seg.body)) == body
		switch {
		case same && !seg.edited() && seg.version == s.version:
			out = append(out, seg.raw...)
		case !same && seg.edited() && !o.Force:
			edited.Regions = append(edited.Regions, seg.region)
			edited.Lines = append(edited.Lines, seg.line)
		default:
			out = append(out, renderRegion(s.name, s.version, body, seg.newline)...)
			changed = append(changed, seg.region)
		}
	}
	if len(edited.Regions) > 0 {
		return nil, nil, fmt.Errorf("updating the report: %w", &edited)
	}
	if _, err := parseRegions(out); err != nil {
		return nil, nil, fmt.Errorf("updating the report: a text of the notebook looks like a region marker: %w", err)
	}
	return out, changed, nil
}

// section is one generated part of a report, with the heading that a new report
// puts above it. The heading is outside the region: the person may rename it.
type section struct {
	name    string
	version int // of what body writes; a change makes old regions stale
	heading string
	body    func(*Material) string // ends in a newline
}

// text is what stands between the markers. The blank lines are for the Markdown
// renderers that take a line next to a comment for a part of it.
func (s section) text(m *Material) string { return "\n" + s.body(m) + "\n" }

// sections lists every region in the order of a new report.
var sections = []section{
	{"about", 1, "", aboutBody},
	{"summary", 1, "Summary", summaryBody},
	{"setup", 1, "What was run", setupBody},
	{"curve", 1, "The curves", curveBody},
	{"levels", 1, "Every level", levelsBody},
	{"shape", 1, "What the curve says", shapeBody},
	{"cost", 1, "Cost", costBody},
	{"observations", 1, "Observations", observationsBody},
	{"limits", 1, "Limits: what these numbers cannot support", limitsBody},
	{"unmeasured", 1, "What was not measured", unmeasuredBody},
	{"definitions", 1, "Definitions", definitionsBody},
	{"data", 1, "Raw data", dataBody},
}

func sectionNamed(name string) (section, bool) {
	i := slices.IndexFunc(sections, func(s section) bool { return s.name == name && name != "" })
	if i < 0 {
		return section{}, false
	}
	return sections[i], true
}

func (m *Material) validate() error {
	if len(m.Experiments) == 0 {
		return errors.New("there is no experiment to report on")
	}
	return nil
}

func (m *Material) title() string {
	if m.Title != "" {
		return m.Title
	}
	var names []string
	for i := range m.Experiments {
		names = append(names, m.Experiments[i].Experiment.Title())
	}
	return "Report on " + strings.Join(names, ", ")
}
