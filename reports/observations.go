package reports

import (
	"fmt"
	"strings"

	"github.com/inferbook/inferbook/experiment"
)

// readingLink names a reading by its title and address, with its kind and how
// far the person has come with it.
func readingLink(m *Material, slug string) string {
	r, ok := m.Readings[slug]
	if !ok {
		return code(slug) + " (not in the reading list)"
	}
	title := r.Title
	if title == "" {
		title = slug
	}
	about := []string{}
	for _, s := range []string{r.Kind, string(r.Status)} {
		if s != "" {
			about = append(about, inline(s))
		}
	}
	s := link(title, r.URL)
	if len(about) > 0 {
		s += " (" + strings.Join(about, ", ") + ")"
	}
	return s
}

// observationsBody quotes what the person wrote, with what it is about and what
// has been read on it.
func observationsBody(m *Material) string {
	var b strings.Builder
	seen := map[string]bool{} // experiments, whose variants share their notes
	for i := range m.Experiments {
		it := &m.Experiments[i]
		if seen[it.Experiment.ID] {
			continue
		}
		seen[it.Experiment.ID] = true
		for j := range it.Notes {
			if b.Len() > 0 {
				b.WriteString("\n")
			}
			writeNote(&b, m, it, &it.Notes[j])
		}
	}
	if b.Len() == 0 {
		alias := m.Experiments[0].Experiment.Alias()
		return "Nobody has written down an observation yet. " + code("inferbook note "+alias+` -m "…" --reading vllm-pagedattention`) + " adds one.\n"
	}
	return b.String()
}

func writeNote(b *strings.Builder, m *Material, it *Item, n *experiment.Note) {
	fmt.Fprintf(b, "### note-%d\n\nOn %s", n.Number, strong(it.Experiment.Title()))
	if n.PointID != "" {
		b.WriteString(", " + pointName(it, n.PointID))
	}
	b.WriteString(", written on " + n.Created.UTC().Format(day) + " (" + code(n.ID) + ").\n\n")
	b.WriteString(quote(n.Text))
	b.WriteString("\n")
	if len(n.Readings) == 0 {
		b.WriteString("No reading is linked to this note.\n")
	}
	for _, slug := range n.Readings {
		b.WriteString("- Reading: " + readingLink(m, slug) + "\n")
	}
	for _, slug := range n.Readings {
		if text := mentalModel(m.Readings[slug].Body); text != "" {
			b.WriteString("\nWhat " + inline(m.Readings[slug].Title) + " changed in my mental model:\n\n" + quote(text))
		}
	}
}

func pointName(it *Item, id string) string {
	for i := range it.Points {
		if p := &it.Points[i].Point; p.ID == id {
			return fmt.Sprintf("level %s, repeat %d", it.load(p.Load), p.Repeat+1)
		}
	}
	return "a point that is not in this report, " + code(id)
}

// mentalModelHeading is the section of a reading's file that belongs to the person.
const mentalModelHeading = "what this changed in my mental model"

// mentalModel takes what the person wrote under that heading of a reading;
// empty when there is nothing but a comment.
func mentalModel(body string) string {
	var kept []string
	within, comment := false, false
	for line := range strings.SplitSeq(unixLines(body), "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "#"):
			within = strings.EqualFold(strings.TrimSpace(strings.TrimLeft(trimmed, "#")), mentalModelHeading)
			continue
		case strings.HasPrefix(trimmed, "<!--"):
			comment = true
		}
		if within && !comment {
			kept = append(kept, line)
		}
		if comment && strings.Contains(trimmed, "-->") {
			comment = false
		}
	}
	return strings.TrimSpace(strings.Join(kept, "\n"))
}
