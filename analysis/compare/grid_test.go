package compare

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
)

// shelf is three experiments on two runtimes.
func shelf() (levels []Level, runs []*Run) {
	a, b, c := lab(1, "runtime.name", "vllm", "gpu.model", "h100"), lab(2, "runtime.name", "sglang", "gpu.model", "h100"), lab(3, "runtime.name", "vllm", "gpu.model", "h100")
	a.Tags, c.Spec.Seed = []string{"main", "night"}, 5
	runs = []*Run{
		{Experiment: a, Points: append(repeats(a, 8, 10, 10.1, 10.2), repeats(a, 16, 20, 20.1, 20.2)...)},
		{Experiment: b, Points: repeats(b, 8, 5, 5.1, 5.2, 5.3, 5.4)},
		{Experiment: c, Points: repeats(c, 8, 9.8, 9.9)},
	}
	for _, r := range runs {
		levels = append(levels, r.Levels()...)
	}
	return levels, runs
}

func TestFilter(t *testing.T) {
	levels, _ := shelf()
	for _, test := range []struct{ text, want string }{
		{"", "exp-1 c=8, exp-1 c=16, exp-2 c=8, exp-3 c=8"},
		{"runtime:VLLM", "exp-1 c=8, exp-1 c=16, exp-3 c=8"},
		{"runtime:sg*,foo", "exp-2 c=8"},
		{"-runtime:sg* concurrency:<16", "exp-1 c=8, exp-3 c=8"},
		{"concurrency:>=16", "exp-1 c=16"},
		{"tag:night", "exp-1 c=8, exp-1 c=16"},
		{"tag:", "exp-2 c=8, exp-3 c=8"},
		{"seed:5", "exp-3 c=8"},
		{"gpu.model:h.00", ""}, // a dot is a dot
		{"gpu", "is not a term of a filter"},
		{"colour:red", `the key "colour"`},
		{"concurrency:<x", `"<x" is not a bound`},
	} {
		f, err := ParseFilter(test.text, levels)
		var got []string
		for _, l := range f.Choose(levels) {
			got = append(got, l.Run.Experiment.Alias()+" "+l.Load.String())
		}
		if err != nil && !strings.Contains(err.Error(), test.want) || err == nil && strings.Join(got, ", ") != test.want {
			t.Errorf("%q: %v, %v", test.text, got, err)
		}
	}
}

// Repeats of several experiments on the same thing are repeats of one cell; a cell that is missing is blank.
func TestGrid(t *testing.T) {
	levels, _ := shelf()
	g, err := NewGrid(levels, []string{"concurrency"}, []string{"runtime"}, Options{Figures: []Figure{figure(t, "tpot.p50")}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][][]string{{{"8"}, {"16"}}, {{"vllm"}, {"sglang"}}}, [][][]string{g.Rows, g.Cols}); diff != "" {
		t.Error(diff)
	}
	cells, mean := g.Tables[0].Cells, g.Tables[0].Geomean
	if c := cells[0][0]; c.Value != 10 || c.N != 5 || c.Row != nil {
		t.Errorf("the baseline is %+v", c)
	}
	if c := cells[0][1]; c.Value != 5.2 || c.N != 5 || c.Row.Word != Better || c.Row.Ratio.NA != 5 || math.Abs(c.Row.RawP-2.0/252) > 1e-9 {
		t.Errorf("beside it is %+v, %+v", c, c.Row)
	}
	if c := cells[1][1]; !math.IsNaN(c.Value) || c.Row != nil {
		t.Errorf("a blank is %+v", c)
	}
	if math.Abs(mean[0].Value-10) > 1e-9 || math.Abs(mean[1].Ratio-cells[0][1].Row.Ratio.Value) > 1e-9 || g.Tables[0].MeanRows != 1 {
		t.Errorf("means %+v over %d rows", mean, g.Tables[0].MeanRows)
	}
}

// A cell of different things, and columns of different work, are refused with what tells them apart.
func TestGridRefuses(t *testing.T) {
	levels, runs := shelf()
	figures := []Figure{figure(t, "tpot.p50"), figure(t, "e2e.p95")}
	if _, err := NewGrid(levels, []string{"gpu"}, []string{"runtime"}, Options{Figures: figures}); err == nil || !strings.Contains(err.Error(), "differ in load (c=8 and c=16); add it to --row") {
		t.Errorf("loads are mixed: %v", err)
	}
	if _, err := NewGrid(levels, []string{"load"}, []string{"gpu"}, Options{Figures: figures}); err == nil || !strings.Contains(err.Error(), "exp-1 and exp-2 share the cell load=c=8, gpu=h100 and differ in runtime.name") {
		t.Errorf("runtimes are mixed: %v", err)
	}
	runs[1].Experiment.Spec.OutputTokens = experiment.Tokens(64)
	runs[1].Experiment.Environment.Set("gpu.driver", "570", experiment.Detected)
	g, err := NewGrid(levels, []string{"load"}, []string{"runtime"}, Options{Figures: figures})
	if err != nil || !g.Refused || g.Tables != nil || len(g.Unequal) != 1 || g.Unequal[0].A != "exp-1" {
		t.Errorf("%+v, %v", g, err)
	}
	g, err = NewGrid(levels, []string{"load"}, []string{"runtime"}, Options{Figures: figures, Anyway: true})
	if err != nil || g.Refused || len(g.Tables) != 1 || !slices.Contains(g.Notes, "runtime=vllm and runtime=sglang differ in gpu.driver too, which may explain some of it.") {
		t.Errorf("%+v, %v", g, err)
	}
}
