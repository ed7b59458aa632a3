package figure

import (
	"math"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/inferbook/inferbook/analysis"
)

// landmark is a load at which the shape of the curve changes.
type landmark struct {
	load    float64
	name    string
	because []string // for the caption
}

// landmarks lists those of a curve. Two at one load share a line and a name.
func landmarks(c analysis.Curve, sc scale) []landmark {
	var marks []landmark
	add := func(name, place string, load float64, l *analysis.Landmark) {
		if math.IsNaN(load) || load < smallest || load > largest || !sc.open && load < 1 {
			return
		}
		full := name + " " + place
		because := strings.ToUpper(full[:1]) + full[1:] + onlyIf(l.Because != "", ": "+strings.TrimSuffix(clean(l.Because), ".")) + "."
		for i := range marks {
			if marks[i].load == load {
				marks[i].name = name + ", " + marks[i].name
				marks[i].because = append(marks[i].because, because)
				return
			}
		}
		marks = append(marks, landmark{load, full, []string{because}})
	}
	for _, m := range []struct {
		name string
		at   *analysis.Landmark
	}{{"knee", c.Knee}, {"plateau", c.Plateau}, {"stable", c.StableRate}, {"SLO limit", c.SLOCapacity}} {
		if m.at != nil && m.at.Load.Open() == sc.open {
			add(m.name, sc.symbol()+loadNumber(m.at.Level), m.at.Level, m.at)
		}
	}
	if c.AdmissionLimit != nil && !sc.open {
		// The limit is a number of requests, and so a place on the load axis by itself.
		add("admission limit", plain.value(c.AdmissionLimit.Value), c.AdmissionLimit.Value, c.AdmissionLimit)
	}
	return marks
}

// landmarksMark draws the landmarks as vertical lines, and names those that no
// panel before has found room to name.
func landmarksMark(l letters, y axis, lines []line, marks []landmark, named []bool) mark {
	return func(c draw.Canvas, at func(x, y float64) vg.Point) {
		room := placer{area: vg.Rectangle{
			Min: vg.Point{X: c.Min.X + 2, Y: c.Min.Y + 2}, Max: vg.Point{X: c.Max.X - 2, Y: c.Max.Y - 1}}}
		for _, ln := range lines {
			for i, r := range ln.rungs {
				pt := at(r.load, r.at)
				room.taken = append(room.taken, around(pt, glyphRadius, glyphRadius))
				if i > 0 {
					prev := ln.rungs[i-1]
					room.lines = append(room.lines, [2]vg.Point{at(prev.load, prev.at), pt})
				}
			}
		}
		x := func(m landmark) vg.Length { return at(m.load, y.lo).X }
		for _, m := range marks {
			c.StrokeLine2(draw.LineStyle{Color: soft, Width: 0.9, Dashes: []vg.Length{4, 2.5}}, x(m), c.Min.Y, x(m), c.Max.Y)
			room.lines = append(room.lines, [2]vg.Point{{X: x(m), Y: c.Min.Y}, {X: x(m), Y: c.Max.Y}})
		}
		s := l.style(pointSize, soft)
		for i, m := range marks {
			if named[i] {
				continue
			}
			w := s.Width(m.name) + 2
			var candidates []vg.Rectangle
			for up := pointSize; up < c.Max.Y-c.Min.Y; up += pointSize / 2 {
				for _, side := range []vg.Length{1, -1} {
					candidates = append(candidates, around(vg.Point{X: x(m) + side*(w/2+3), Y: c.Min.Y + up}, w/2, pointSize/2))
				}
			}
			r, ok := room.best(candidates, math.MaxInt-1)
			if !ok {
				continue
			}
			named[i] = true
			c.SetColor(paper&^0xff | 0xc0)
			c.Fill(box(r))
			write(&c, s, vg.Point{X: r.Min.X + 1, Y: r.Min.Y + 1.5}, m.name)
		}
	}
}
