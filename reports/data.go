package reports

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/inferbook/inferbook/experiment"
)

// dataBody says where every number comes from and how to measure it again.
func dataBody(m *Material) string {
	var b strings.Builder
	b.WriteString("Every request of these experiments is a row of the notebook. All figures are computed from those rows.\n\n")
	b.WriteString(row("Experiment", "ULID", "Points", "Requests stored as measured") + rule("llrr"))
	var look []string
	listed := map[string]bool{} // experiments, each of which may have several variants
	for i := range m.Experiments {
		it := &m.Experiments[i]
		sent, _ := requests(it.Points)
		b.WriteString(row(strong(it.title()), code(it.Experiment.ID), thousands(len(it.Points)), thousands(sent)))
		alias := it.Experiment.Alias()
		if listed[alias] {
			continue
		}
		listed[alias] = true
		look = append(look, "inferbook show "+alias, "inferbook show "+alias+" --json", "inferbook curve "+alias+" -o curve.svg")
	}
	b.WriteString("\nTo see them:\n\n" + fence("sh", strings.Join(look, "\n")))
	for i := range m.Experiments {
		e := &m.Experiments[i].Experiment
		if !listed[e.Alias()] {
			continue
		}
		delete(listed, e.Alias())
		fmt.Fprintf(&b, "\nTo run %s again, save this as %s:\n\n", inline(e.Title()), code(e.Alias()+".yaml"))
		b.WriteString(fence("yaml", specYAML(&e.Spec)))
		b.WriteString("\n" + fence("sh", "inferbook run "+e.Alias()+".yaml"))
	}
	return b.String()
}

// specYAML writes a specification as `inferbook run` reads it.
func specYAML(s *experiment.Spec) string {
	out, err := yaml.MarshalWithOptions(s, yaml.Indent(2), yaml.IndentSequence(true))
	if err != nil {
		// Extra comes from a person's YAML or JSON, which can always be written
		// back; anything else in a Spec is plain.
		return "# this specification cannot be written as YAML: " + oneLine(err.Error())
	}
	return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(string(out), "\ufffd"))
}
