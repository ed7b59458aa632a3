package reports

import (
	"strings"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// writeClasses is the table of the kinds of traffic, one row a level and class;
// nothing where there is one kind.
func writeClasses(b *strings.Builder, it *Item, notes *footnotes) {
	spec := &it.Experiment.Spec
	t := table{head: []string{"Class", "At"}}
	var all []analysis.Level
	slo := false
	for i := range spec.Classes {
		class := &spec.Classes[i]
		levels := classLevels(it, class)
		for j := range levels {
			t.rows = append(t.rows, tableRow{[]string{inline(class.Name), inline(levels[j].Load.String())}, &levels[j]})
		}
		all = append(all, levels...)
		own := classSLO(spec, class)
		slo, t.judged = slo || len(own) > 0, t.judged || own.Judges()
	}
	if len(t.rows) == 0 {
		return
	}
	t.columns = columnsOf(all, slo)
	b.WriteString("Each kind of traffic by itself, at the loads of the whole:\n\n")
	t.write(b, notes)
}

// classLevels are the levels of one class over the repeats, under the loads of the
// whole: what the class had of a load is the same share at each.
func classLevels(it *Item, class *experiment.Class) []analysis.Level {
	var points []analysis.PointSummary
	for i := range it.Curve.Levels {
		for j := range it.Curve.Levels[i].Points {
			whole := &it.Curve.Levels[i].Points[j]
			for k := range whole.Classes {
				if s := whole.Classes[k].Summary; whole.Classes[k].Name == class.Name {
					s.Point.Load, s.Point.Repeat = whole.Point.Load, whole.Point.Repeat
					s.Point.Load.Variant = ""
					points = append(points, s)
				}
			}
		}
	}
	e := it.Experiment
	e.Spec.SLO = classSLO(&e.Spec, class)
	return analysis.NewCurve(&e, points).Levels
}

// classSLO is what a class is held to: the run's where it has none of its own.
func classSLO(s *experiment.Spec, class *experiment.Class) experiment.SLO {
	if len(class.SLO) > 0 {
		return class.SLO
	}
	return s.SLO
}
