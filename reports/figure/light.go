package figure

import (
	"fmt"
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/inferbook/inferbook/analysis"
)

// lightName names the bound that memory bandwidth sets.
const lightName = "speed of light (memory bandwidth)"

// mostLights is how many such bounds one figure shows; more hide the curves.
const mostLights = 3

// curved is a computed line, with the bounds around it where it has some.
type curved struct {
	name   string
	col    ink
	dashes []vg.Length
	points []spot2
	// caption explains it.
	caption string
}

// spot2 is a place on a computed line.
type spot2 struct {
	x float64
	y span
}

// lightDashes tell a computed bound from a measured line.
var lightDashes = []vg.Length{5, 3}

// terabytes names a bandwidth.
func terabytes(m *analysis.Machine) string {
	s := fmt.Sprintf("%.3g TB/s", m.Bandwidth/1e12)
	if m.Replicas > 1 {
		s = fmt.Sprintf("%d × %s", m.Replicas, s)
	}
	return s
}

// tradeLight is the speed of light between interactivity and throughput: of a batch
// of b requests each step takes the floor of [analysis.Machine.Floor], so a user has 1 ÷ floor and all have b times
// that. It goes from one request to as many as memory has room for. false = the machine or the lengths are not known.
func tradeLight(c analysis.Curve) (curved, bool) {
	m := c.Machine
	if m == nil || c.Physics == nil {
		return curved{}, false
	}
	context, n := 0.0, 0.0
	for _, l := range c.Physics.Levels {
		if !math.IsNaN(l.Context) {
			context, n = context+l.Context, n+1
		}
	}
	context /= n
	most := min(m.Sequences(context), 1e6)
	line := curved{name: lightName + ", " + terabytes(m), col: soft, dashes: lightDashes}
	for b := 1.0; b <= most; b *= 1.03 {
		each := 1000 / m.Floor(b, context)
		if math.IsNaN(each) || math.IsInf(each, 0) {
			break
		}
		line.points = append(line.points, spot2{each, spot(float64(max(1, m.Replicas)) * b * each)})
	}
	return line, len(line.points) > 1
}

// tradeLights gives the bounds of several curves, each once. crowded says that they are too many to be drawn.
func tradeLights(curves []analysis.Curve) (lights []curved, crowded bool) {
	seen := map[string]bool{}
	for i, c := range curves {
		line, ok := tradeLight(c)
		if !ok {
			continue
		}
		m := c.Machine
		key := fmt.Sprint(m.GPU, m.GPUs, m.Replicas, m.Model, m.ActiveBytes, m.KVPerToken, c.Workload)
		if seen[key] {
			continue
		}
		seen[key] = true
		if len(curves) > 1 {
			line.col = okabeIto(i)
		}
		lights = append(lights, line)
	}
	if len(lights) > mostLights {
		return nil, true
	}
	return lights, false
}

// lightReach is how far an axis goes to show where the bounds begin, at the speed of one request: no more than
// twice and a half as far as the data.
func lightReach(lights []curved, data []span) []span {
	most := 0.0
	for _, s := range data {
		most = max(most, s.at)
	}
	var out []span
	for _, l := range lights {
		if first := l.points[0].x; first <= 2.5*most {
			out = append(out, spot(first))
		}
	}
	return out
}

// loadLight is the speed of light of a step at each level, with the batch that was measured there.
func loadLight(c analysis.Curve, sc scale) (curved, bool) {
	if c.Machine == nil || c.Physics == nil {
		return curved{}, false
	}
	line := curved{name: lightName + ", " + terabytes(c.Machine), col: dark, dashes: lightDashes}
	for _, l := range c.Physics.Levels {
		if at, ok := sc.of(l.Load); ok && l.Floor >= smallest && l.Floor <= largest {
			line.points = append(line.points, spot2{at, spot(l.Floor)})
		}
	}
	return line, len(line.points) > 1
}

// loadFit is the line TPOT = α + β·C over the levels that it was fitted to, and no further.
func loadFit(c analysis.Curve, sc scale) (curved, bool) {
	f := c.Fit
	if f == nil || sc.open || !(f.From >= 1 && f.To > f.From) {
		return curved{}, false
	}
	line := curved{name: "α + β·c", col: dark}
	const steps = 40
	for i := range steps + 1 {
		users := f.From * math.Pow(f.To/f.From, float64(i)/steps)
		value, low, high := f.At(users)
		s := span{at: value, lo: low, hi: high}
		if math.IsNaN(low) || math.IsNaN(high) {
			s = spot(value)
		}
		line.points = append(line.points, spot2{users, s})
	}
	return line, true
}

// computedLines are those of a panel of TPOT over load: the fitted line, and the speed of light.
func computedLines(c analysis.Curve, sc scale) []curved {
	var out []curved
	if line, ok := loadFit(c, sc); ok {
		line.caption = fmt.Sprintf("Thin line: %s, fitted to the medians of %s, with its 95 %% band.", clean(c.Fit.String()), counted(c.Fit.N, "level", "levels"))
		out = append(out, line)
	}
	if line, ok := loadLight(c, sc); ok {
		line.caption = "Dashed: what a step would take if reading the weights and all keys and values once, at full memory bandwidth, were all that it did, with as many requests as decoded at once there."
		out = append(out, line)
	}
	return out
}

// namesMark names the computed lines of a panel where there is room.
func namesMark(l letters, y axis, lines []line, computed []curved, marks []landmark) mark {
	return func(c draw.Canvas, at func(x, y float64) vg.Point) {
		room := placer{area: vg.Rectangle{
			Min: vg.Point{X: c.Min.X + 2, Y: c.Min.Y + 1}, Max: vg.Point{X: c.Max.X - 2, Y: c.Max.Y - 1}}}
		for _, ln := range lines {
			for i, r := range ln.rungs {
				pt := at(r.load, r.at)
				room.taken = append(room.taken, around(pt, glyphRadius, glyphRadius))
				if i > 0 {
					room.lines = append(room.lines, [2]vg.Point{at(ln.rungs[i-1].load, ln.rungs[i-1].at), pt})
				}
			}
		}
		for _, line := range computed {
			room.lines = append(room.lines, line.strokes(at)...)
		}
		for _, m := range marks {
			x := at(m.load, y.lo).X
			room.lines = append(room.lines, [2]vg.Point{{X: x, Y: c.Min.Y}, {X: x, Y: c.Max.Y}})
		}
		for _, line := range computed {
			line.writeName(&c, l, &room, at)
		}
	}
}

// within keeps what lies on the axes.
func (l curved) within(x, y axis) curved {
	var kept []spot2
	for _, p := range l.points {
		if p.x >= x.lo && p.x <= x.hi && p.y.at >= y.lo && p.y.at <= y.hi {
			p.y, _ = y.clip(p.y)
			kept = append(kept, p)
		}
	}
	l.points = kept
	return l
}

// visible keeps of each line what lies on the axes, and counts those of which nothing does.
func visible(lines []curved, x, y axis) (shown []curved, beyond int) {
	for _, l := range lines {
		if l = l.within(x, y); len(l.points) < 2 {
			beyond++
			continue
		}
		shown = append(shown, l)
	}
	return shown, beyond
}

// mark draws the line, thin, over its band.
func (l curved) mark() mark {
	return func(c draw.Canvas, at func(x, y float64) vg.Point) {
		var pts []vg.Point
		var boxes []vg.Rectangle
		for _, p := range l.points {
			pts = append(pts, at(p.x, p.y.at))
			boxes = append(boxes, vg.Rectangle{Min: at(p.x, p.y.lo), Max: at(p.x, p.y.hi)})
		}
		c.SetColor(l.col.band())
		c.Fill(tube(boxes))
		c.StrokeLines(draw.LineStyle{Color: l.col, Width: 0.9, Dashes: l.dashes}, pts)
	}
}

// writeName finds room for the line's name beside one of its places, from its last to its first, and
// claims it.
func (l curved) writeName(c *draw.Canvas, letters letters, room *placer, at func(x, y float64) vg.Point) {
	s := letters.style(pointSize, l.col.legible())
	w, h := (s.Width(l.name)+2)/2, pointSize/2
	var candidates []vg.Rectangle
	for i := len(l.points) - 1; i >= 0; i-- {
		pt := at(l.points[i].x, l.points[i].y.at)
		candidates = append(candidates, around(vg.Point{X: pt.X - w - 4, Y: pt.Y - h - 2}, w, h), around(vg.Point{X: pt.X, Y: pt.Y - h - 4}, w, h),
			around(vg.Point{X: pt.X - w, Y: pt.Y + h + 4}, w, h), around(vg.Point{X: pt.X + w + 4, Y: pt.Y - h - 2}, w, h))
	}
	if r, ok := room.best(candidates, len(candidates)); ok {
		c.SetColor(paper&^0xff | 0xc0)
		c.Fill(box(r))
		write(c, s, vg.Point{X: r.Min.X + 1, Y: r.Min.Y + 1.5}, l.name)
	}
}

// strokes gives the line to a placer, so that labels keep off it.
func (l curved) strokes(at func(x, y float64) vg.Point) [][2]vg.Point {
	var out [][2]vg.Point
	for i := 1; i < len(l.points); i++ {
		out = append(out, [2]vg.Point{at(l.points[i-1].x, l.points[i-1].y.at), at(l.points[i].x, l.points[i].y.at)})
	}
	return out
}
