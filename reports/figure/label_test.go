package figure

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/plot/vg"
	"pgregory.net/rapid"
)

// Labels never lie on one another, on a point, or outside.
func TestLabelsNeverOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.Float64Range(0, 400)
		p := placer{area: vg.Rectangle{Max: vg.Point{X: 400, Y: 400}}}
		var points []vg.Point
		for i := range rapid.IntRange(1, 30).Draw(t, "points") {
			q := vg.Point{X: vg.Length(length.Draw(t, "x")), Y: vg.Length(length.Draw(t, "y"))}
			points = append(points, q)
			p.taken = append(p.taken, around(q, glyphRadius, glyphRadius))
			if i > 0 {
				p.lines = append(p.lines, [2]vg.Point{points[i-1], q})
			}
		}
		for _, q := range points {
			before := slices.Clone(p.taken)
			r, _, ok := p.place(q, 24, 9, rapid.Bool().Draw(t, "must"))
			if !ok {
				continue
			}
			if (&placer{taken: before}).covers(r) {
				t.Fatalf("label %v lies on something", r)
			}
			if r.Min.X < 0 || r.Min.Y < 0 || r.Max.X > 400 || r.Max.Y > 400 {
				t.Fatalf("label %v is outside", r)
			}
		}
	})
}

func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		why      string
		in, want []vg.Length
	}{
		{"far apart already", []vg.Length{10, 40, 80}, []vg.Length{10, 40, 80}},
		{"one on the other", []vg.Length{10, 10, 10}, []vg.Length{10, 20, 30}},
		{"at the top they give way downwards", []vg.Length{97, 98, 99}, []vg.Length{80, 90, 100}},
		{"below the axis they come up", []vg.Length{-5, 2}, []vg.Length{0, 10}},
	} {
		if diff := cmp.Diff(tt.want, spread(tt.in, 10, 0, 100)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.why, diff)
		}
	}
}

func TestCrosses(t *testing.T) {
	r := vg.Rectangle{Min: vg.Point{X: 10, Y: 10}, Max: vg.Point{X: 20, Y: 20}}
	for _, tt := range []struct {
		why  string
		a, b vg.Point
		want bool
	}{
		{"through", vg.Point{X: 0, Y: 15}, vg.Point{X: 30, Y: 15}, true},
		{"ends inside", vg.Point{X: 0, Y: 0}, vg.Point{X: 15, Y: 15}, true},
		{"past a corner", vg.Point{X: 0, Y: 12}, vg.Point{X: 12, Y: 30}, false},
		{"short of it", vg.Point{X: 0, Y: 15}, vg.Point{X: 9, Y: 15}, false},
		{"upright beside it", vg.Point{X: 25, Y: 0}, vg.Point{X: 25, Y: 40}, false},
		{"a point inside", vg.Point{X: 15, Y: 15}, vg.Point{X: 15, Y: 15}, true},
	} {
		if got := crosses(tt.a, tt.b, r); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.why, got, tt.want)
		}
	}
}

// The hull of two intervals holds all their corners and turns left throughout.
func TestHull(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		coordinate := rapid.Float64Range(-100, 100)
		var pts []vg.Point
		for range rapid.IntRange(1, 12).Draw(t, "n") {
			pts = append(pts, vg.Point{X: vg.Length(coordinate.Draw(t, "x")), Y: vg.Length(coordinate.Draw(t, "y"))})
		}
		h := hull(slices.Clone(pts))
		for i := range h {
			a, b := h[i], h[(i+1)%len(h)]
			for _, p := range pts {
				if cross(a, b, p) < -1e-6 {
					t.Fatalf("%v lies outside the side from %v to %v", p, a, b)
				}
			}
		}
	})
}

func TestShared(t *testing.T) {
	for _, tt := range []struct {
		why           string
		labels        []string
		common, badge string
		own           []string
	}{
		{"nothing", nil, "", "", []string{}},
		{"one label is common to itself", []string{"m · r · g"}, "m · r · g", "", []string{""}},
		{"what differs is each one's own", []string{"m · r · 2× g", "m · r · h"}, "m · r", "", []string{"2×\u00a0g", "h"}},
		{"all simulated", []string{"m · g · SIMULATED", "m · h · SIMULATED"}, "m", "SIMULATED", []string{"g", "h"}},
		{"some simulated: each of them says so", []string{"m · g · SIMULATED", "m · g"}, "m · g", "PARTLY SIMULATED", []string{"SIMULATED", ""}},
		{"a model that is only named like it", []string{"SIMULATED-7b · r · g"}, "SIMULATED-7b · r · g", "", []string{""}},
	} {
		common, own, badge := shared(tt.labels)
		if common != tt.common || badge != tt.badge {
			t.Errorf("%s: common %q, badge %q; want %q, %q", tt.why, common, badge, tt.common, tt.badge)
		}
		if diff := cmp.Diff(tt.own, own); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.why, diff)
		}
	}
}

func TestWrap(t *testing.T) {
	s := newLetters().style(10, dark)
	for _, tt := range []struct {
		why, txt string
		width    vg.Length
		limit    int
		want     []string
	}{
		{"nothing", "", 100, 2, nil},
		{"room enough", "one line", 100, 2, []string{"one line"}},
		{"between words", "first line second line", 55, 2, []string{"first line", "second line"}},
		{"no more than the limit", "first line second line third", 60, 2, []string{"first line", "second lin…"}},
		{"a word wider than the line", "Donaudampfschifffahrt", 50, 2, []string{"Donaud…"}},
		{"a no-break space holds", "a 2×\u00a0h100", 40, 2, []string{"a", "2×\u00a0h100"}},
	} {
		if diff := cmp.Diff(tt.want, wrap(s, tt.txt, tt.width, tt.limit)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.why, diff)
		}
	}
}
