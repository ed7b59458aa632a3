package figure_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/reports/figure"
)

func TestFormatOf(t *testing.T) {
	for _, tt := range []struct {
		path string
		want figure.Format
		ok   bool
	}{
		{"curve.svg", figure.SVG, true},
		{"a.b/curve.PNG", figure.PNG, true}, // a shouted extension
		{"x.pdf", figure.PDF, true},
		{"curve.jpg", "", false}, // a format that is not offered
		{"svg", "", false},       // no extension at all
		{"", "", false},
	} {
		got, err := figure.FormatOf(tt.path)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("FormatOf(%q) = %q, %v; want %q, ok %v", tt.path, got, err, tt.want, tt.ok)
		}
	}
}

// Every figure gives the same SVG twice.
func TestSVGIsDeterministic(t *testing.T) {
	for _, f := range all(t) {
		var first, second bytes.Buffer
		if err := errors.Join(f.Write(&first, figure.SVG), f.Write(&second, figure.SVG)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("%s: two drawings of the same figure differ", f.Name)
		}
		for _, want := range []string{`role="img"`, "<title>", "<desc>", "Arial,Helvetica"} {
			if !bytes.Contains(first.Bytes(), []byte(want)) {
				t.Errorf("%s: the SVG has no %s", f.Name, want)
			}
		}
	}
}

// The other formats are what they say. Latency against load has all that their
// canvases treat in their own way: bold text, bands, and a character (the minus
// sign) that the PDF's encoding lacks.
func TestFormats(t *testing.T) {
	f := must(figure.LatencyVsLoad(saturated()))(t)
	save := func(name string) []byte {
		t.Helper()
		path := filepath.Join(t.TempDir(), name)
		if err := f.Save(path); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	cfg, err := png.DecodeConfig(bytes.NewReader(save("latency.png")))
	if err != nil || cfg.Width != 1728 || cfg.Height != 1056 {
		t.Errorf("PNG of %d × %d, %v; want 1728 × 1056", cfg.Width, cfg.Height, err)
	}
	if b := save("latency.pdf"); !bytes.HasPrefix(b, []byte("%PDF-")) || !bytes.Contains(b, []byte("%%EOF")) {
		t.Error("not a PDF")
	}
}

func TestSaveRefusesUnknownFormats(t *testing.T) {
	f := all(t)[0]
	path := filepath.Join(t.TempDir(), "curve.gif")
	if err := f.Save(path); err == nil || !strings.Contains(err.Error(), ".svg, .png or .pdf") {
		t.Errorf("Save(curve.gif) = %v; want an error that names the formats", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a refused format left a file")
	}
	if err := f.Write(io.Discard, "gif"); err == nil {
		t.Error("Write(gif) gave no error")
	}
	if err := f.Save(filepath.Join(t.TempDir(), "absent", "curve.svg")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Save into a folder that is not there = %v; want that it is not there", err)
	}
}

// all makes one figure of each kind.
func all(t *testing.T) []*figure.Figure {
	t.Helper()
	samples, window := requests(250, 8, true)
	return []*figure.Figure{
		must(figure.ThroughputVsTTFT([]analysis.Curve{saturated(), simulated("exp-1", "h100-sxm", 1)}))(t),
		must(figure.ThroughputVsInteractivity([]analysis.Curve{saturated()}))(t),
		must(figure.Pareto([]analysis.Curve{explained(saturated()), explained(simulated("exp-1", "h100-sxm", 1))}))(t),
		must(figure.LatencyVsLoad(explained(saturated())))(t),
		must(figure.TTFTECDF("ECDF", "m · r · g", []figure.Series{{Name: "a", Values: waits(1, 300, 50, 0.3)}}))(t),
		must(figure.Timeline("Timeline", "m · r · g", samples, window))(t),
	}
}

func must(f *figure.Figure, err error) func(*testing.T) *figure.Figure {
	return func(t *testing.T) *figure.Figure {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
}

// svgOf draws a figure and requires well-formed XML without a number that is none.
func svgOf(t interface {
	Helper()
	Fatalf(string, ...any)
}, f *figure.Figure) string {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(&b, figure.SVG); err != nil {
		t.Fatalf("%s: %v", f.Name, err)
	}
	s := b.String()
	for d := xml.NewDecoder(&b); ; {
		tok, err := d.Token()
		if err == io.EOF {
			return s
		}
		if err != nil {
			t.Fatalf("%s: the SVG is not well-formed: %v", f.Name, err)
		}
		if e, ok := tok.(xml.StartElement); ok {
			for _, a := range e.Attr {
				if a.Name.Local != "style" && (strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf")) {
					t.Fatalf("%s: %s has %s=%q", f.Name, e.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
	}
}

func TestNothingToDraw(t *testing.T) {
	blank := curveOf("exp-1", "m", []published{{1, math.NaN(), math.NaN(), math.NaN()}}, 1)
	never := []experiment.Sample{experiment.NewSample(0)}
	for _, tt := range []struct {
		name string
		draw func() (*figure.Figure, error)
		says string
	}{
		{"no curve", func() (*figure.Figure, error) { return figure.ThroughputVsTTFT(nil) }, "0 levels in 0 curves"},
		{"a curve without a number", func() (*figure.Figure, error) { return figure.ThroughputVsTTFT([]analysis.Curve{blank}) }, "1 levels in 1 curves"},
		{"no number of GPUs", func() (*figure.Figure, error) { return figure.Pareto([]analysis.Curve{saturated()}) }, "no level of 1 curves"},
		{"likewise", func() (*figure.Figure, error) { return figure.ThroughputVsInteractivity([]analysis.Curve{blank}) }, "interactivity"},
		{"a level without a latency", func() (*figure.Figure, error) { return figure.LatencyVsLoad(blank) }, "none of 1 levels"},
		{"no series", func() (*figure.Figure, error) { return figure.TTFTECDF("t", "l", nil) }, "none of 0 series"},
		{"only zeroes", func() (*figure.Figure, error) {
			return figure.TTFTECDF("t", "l", []figure.Series{{Name: "a", Values: []float64{0, 0}}})
		}, "none of 1 series"},
		{"nothing was sent", func() (*figure.Figure, error) { return figure.Timeline("t", "l", never, experiment.Window{}) }, "none of 1 samples"},
	} {
		_, err := tt.draw()
		if !errors.Is(err, figure.ErrNoData) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v; want ErrNoData with %q", tt.name, err, tt.says)
		}
	}
}

// What a figure leaves out, it counts in its caption; what it is, it says on its face.
func TestWhatFiguresSay(t *testing.T) {
	holed := simulated("exp-1 <b>&", "h100-sxm", 1)
	holed.Levels[0].TTFTP95.Value = 0                                                     // no logarithm
	holed.Levels[1].OutputThroughput.Value = math.NaN()                                   // nothing to estimate from
	holed.Levels[3].TTFTP95.High, holed.Levels[3].TTFTP99.High = math.Inf(1), math.Inf(1) // n supports no upper bound
	mixed := must(figure.ThroughputVsTTFT([]analysis.Curve{holed, saturated()}))(t)

	noStream := saturated()
	for i := range noStream.Levels {
		l := &noStream.Levels[i]
		l.TPOTP50.Value, l.TPOTP95.Value, l.TPOTP99.Value = math.NaN(), math.NaN(), math.NaN()
	}
	samples, window := requests(250, 8, false)
	many, manyWindow := requests(600, 300, false)
	short, long := simulated("exp-1", "h100-sxm", 1), simulated("exp-2", "h100-sxm", 0.5)
	short.Workload, long.Workload = "500 → 128 tokens", "2000 → 128 tokens"
	for i := range long.Levels {
		l := &long.Levels[i]
		l.Points = l.Points[:1]
		for _, e := range []*analysis.Estimate{&l.TTFTP95, &l.OutputThroughput} {
			e.Repeats = 1
		}
	}
	few, few2 := simulated("exp-1 日本 é", "h100-sxm", 1), simulated("exp-2 👩‍💻", "h100-sxm", 0.6)
	for i := range few.Levels {
		l := &few.Levels[i]
		for _, e := range []*analysis.Estimate{&l.TTFTP50, &l.TTFTP95, &l.TTFTP99, &l.TPOTP50, &l.TPOTP95, &l.TPOTP99, &l.OutputThroughput, &l.Interactivity} {
			e.Min, e.Max, e.Low, e.High = e.Low, e.High, math.Inf(-1), math.Inf(1)
		}
	}
	const whisker = "whisker: smallest and largest repeat (a 95 % interval needs 6)"
	for _, tt := range []struct {
		name          string
		f             *figure.Figure
		caption, face []string // parts of each
		absent        string   // from the face
	}{
		{"levels that cannot be drawn, an open interval, a label with markup", mixed,
			[]string{"2 levels are left out", "1 point is hollow"},
			[]string{"PARTLY SIMULATED", "exp-1 &lt;b&gt;&amp;", "median of 3 repeats", "hollow with an arrow"}, ""},
		{"a measured curve says nothing of a simulation", must(figure.LatencyVsLoad(saturated()))(t),
			[]string{"Knee c = 50: from c=50", "Admission limit 85.5: "}, []string{">knee c = 50<", ">admission limit 85.5<"}, "SIMULATED"},
		{"a run without a stream has one panel", must(figure.LatencyVsLoad(noStream))(t),
			[]string{"TPOT has no panel", "24 values are left out"}, []string{">TTFT (log scale)<"}, ">TPOT"},
		{"more requests than there is room for", must(figure.Timeline("t", "m · SIMULATED", samples, window))(t),
			[]string{"Only the first 200 of 250", "failed"}, []string{"The first 200 of 250 requests", ">SIMULATED<", ">Waiting for first token<"}, ">Queue<"},
		{"so many workers that the first 200 are warm-up", must(figure.Timeline("t", "m", many, manyWindow))(t),
			[]string{"Only requests 251 to 450 of 600 are drawn."}, []string{"Requests 251 to 450 of 600,", ">Waiting for first token<"}, ""},
		{"curves of two workloads, one without repeats", must(figure.ThroughputVsTTFT([]analysis.Curve{short, long}))(t),
			[]string{"differ in length (exp-1 500 → 128 tokens; exp-2 2000 → 128 tokens)"},
			[]string{"500 → 128 tokens<", "2000 → 128 tokens<", "or within the run where there is one"}, ""},
		{"three repeats have a range; characters without a glyph have a box", must(figure.LatencyVsLoad(few))(t),
			[]string{"The typeface lacks some characters (日本), for each of which □ is drawn."},
			[]string{whisker, ">exp-1 □□ é — "}, "hollow"},
		{"likewise in a legend, where a joined character is two", must(figure.ThroughputVsTTFT([]analysis.Curve{few, few2}))(t),
			[]string{"(日本👩💻)"}, []string{whisker, "exp-1 □□ é<", "exp-2 □□<", "band: 95 % between repeats"}, "hollow"},
		{"and in a title", must(figure.TTFTECDF("漢", "l", []figure.Series{{Name: "字", Values: []float64{1, 2}}}))(t),
			[]string{"(漢字)"}, []string{">□<", "<title>漢</title>"}, ">字<"},
		{"a known machine bounds a step, and a line is fitted to some levels", must(figure.LatencyVsLoad(explained(saturated())))(t),
			[]string{"Thin line: TPOT ≈ 17.69 ms", "fitted to the medians of 4 levels, with its 95 % band", "Dashed: what a step would take"},
			[]string{">speed of light (memory bandwidth), 6.7 TB/s<", ">α + β·c<"}, ""},
		{"and a user's stream", must(figure.ThroughputVsInteractivity([]analysis.Curve{explained(saturated())}))(t),
			[]string{"Dashed: what memory bandwidth alone would allow"}, []string{">speed of light (memory bandwidth), 6.7 TB/s<"}, ""},
		{"of several curves it is in the legend", must(figure.ThroughputVsInteractivity([]analysis.Curve{explained(saturated()), saturated()}))(t),
			nil, []string{">speed of light (memory<", ">in the colour of each<"}, "6.7 TB/s"},
		{"a machine of which nothing is known bounds nothing", must(figure.ThroughputVsInteractivity([]analysis.Curve{saturated()}))(t), nil, nil, "speed of light"},
		{"curves of one workload name it once", must(figure.ThroughputVsTTFT([]analysis.Curve{short, short}))(t),
			nil, []string{"h100-sxm · 500 → 128 tokens<"}, ""},
	} {
		says(t, tt.name, tt.f, tt.caption, tt.face, tt.absent)
	}
}

// says requires parts of a figure's caption and face, and that the face lacks one.
func says(t *testing.T, name string, f *figure.Figure, caption, face []string, absent string) {
	t.Helper()
	svg := strings.ReplaceAll(svgOf(t, f), "\u00a0", " ")
	for _, part := range caption {
		if !strings.Contains(f.Caption, part) {
			t.Errorf("%s: the caption lacks %q: %s", name, part, f.Caption)
		}
	}
	for _, part := range face {
		if !strings.Contains(svg, part) {
			t.Errorf("%s: the figure lacks %q", name, part)
		}
	}
	if absent != "" && strings.Contains(svg, absent) {
		t.Errorf("%s: the figure has %q", name, absent)
	}
}

// A figure keeps its own values: what the caller does to the input later does not show.
func TestFiguresKeepTheirValues(t *testing.T) {
	c := saturated()
	f := must(figure.LatencyVsLoad(c))(t)
	before := svgOf(t, f)
	for i := range c.Levels {
		c.Levels[i].TTFTP50.Value = -1
	}
	*c.Knee = analysis.Landmark{}
	if svgOf(t, f) != before {
		t.Error("a change of the input changed the figure")
	}
}

// wild draws numbers of every kind that a broken or strange run can give.
func wild() *rapid.Generator[float64] {
	return rapid.OneOf(
		rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, -1, math.Copysign(0, -1), 5e-324, 1e-99, 1e-7, 1e99, 1e308, math.MaxFloat64}),
		rapid.Float64Range(1e-3, 1e6), rapid.Float64Range(99.999, 100.001), rapid.Float64(),
	)
}

func wildEstimate(t *rapid.T) analysis.Estimate {
	return analysis.Estimate{Value: wild().Draw(t, "value"), Low: wild().Draw(t, "low"), High: wild().Draw(t, "high"),
		N: rapid.IntRange(-1, 1e6).Draw(t, "n"), Repeats: rapid.IntRange(0, 5).Draw(t, "repeats")}
}

func wildCurve(t *rapid.T) analysis.Curve {
	c := analysis.Curve{Title: rapid.String().Draw(t, "title"), Label: rapid.StringMatching(`([a-z\x00é漢]{0,9}( · )?){0,4}(SIMULATED)?`).Draw(t, "label")}
	mark := func(name string) *analysis.Landmark {
		if !rapid.Bool().Draw(t, name) {
			return nil
		}
		return &analysis.Landmark{Level: float64(rapid.IntRange(-1, 300).Draw(t, name)), Value: wild().Draw(t, name), Because: rapid.String().Draw(t, name)}
	}
	c.Knee, c.Plateau, c.AdmissionLimit = mark("knee"), mark("plateau"), mark("limit")
	c.StableRate, c.SLOCapacity = mark("stable"), mark("capacity")
	open := rapid.Bool().Draw(t, "open")
	if open && c.StableRate != nil {
		c.StableRate.Load.Rate, c.StableRate.Level = 1, wild().Draw(t, "stable")
	}
	for range rapid.IntRange(0, 8).Draw(t, "levels") {
		l := analysis.Level{Load: experiment.Load{Concurrency: rapid.IntRange(-1, 300).Draw(t, "c")}, Oversaturated: rapid.Bool().Draw(t, "over")}
		if open {
			l.Load = experiment.Load{Rate: wild().Draw(t, "rate")}
		}
		for _, e := range []*analysis.Estimate{&l.TTFTP50, &l.TTFTP95, &l.TTFTP99, &l.TPOTP50, &l.TPOTP95, &l.TPOTP99, &l.OutputThroughput, &l.Interactivity,
			&l.TTFTSchedP50, &l.TTFTSchedP95, &l.TTFTSchedP99} {
			*e = wildEstimate(t)
		}
		l.BRun.Value = wild().Draw(t, "b_run")
		l.Points = []analysis.PointSummary{{MeanPrompt: wild().Draw(t, "prompt"), MeanOutput: wild().Draw(t, "output")}}
		c.Levels = append(c.Levels, l)
	}
	number := func() float64 { return wild().Draw(t, "computed") }
	if rapid.Bool().Draw(t, "fitted") {
		c.Fit = &analysis.LineFit{Alpha: number(), AlphaHigh: number(), Beta: number(), BetaHigh: number(), From: number(), To: number(), Mean: number()}
	}
	if rapid.Bool().Draw(t, "explained") {
		c.GPUs = rapid.IntRange(0, 9).Draw(t, "gpus")
		c.Explain(&analysis.Machine{Bandwidth: number(), Peak: number(), Memory: number(), Active: number(), WeightBytes: number(), ActiveBytes: number(),
			KVPerToken: number(), MemoryShare: number(), Replicas: rapid.IntRange(-1, 3).Draw(t, "replicas")})
	}
	return c
}

// drawn requires a figure that can be drawn, or the one error.
func drawn(t *rapid.T, f *figure.Figure, err error) {
	if err != nil {
		if !errors.Is(err, figure.ErrNoData) {
			t.Fatalf("error is not ErrNoData: %v", err)
		}
		return
	}
	svgOf(t, f)
}

func TestAnyCurveCanBeDrawn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		curves := rapid.SliceOfN(rapid.Custom(wildCurve), 0, 4).Draw(t, "curves")
		f, err := figure.ThroughputVsTTFT(curves)
		drawn(t, f, err)
		f, err = figure.ThroughputVsInteractivity(curves)
		drawn(t, f, err)
		f, err = figure.Pareto(curves)
		drawn(t, f, err)
		if len(curves) > 0 {
			f, err = figure.LatencyVsLoad(curves[0])
			drawn(t, f, err)
		}
	})
}

func TestAnySeriesCanBeDrawn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var series []figure.Series
		for range rapid.IntRange(0, 20).Draw(t, "series") {
			series = append(series, figure.Series{Name: rapid.String().Draw(t, "name"), Values: rapid.SliceOfN(wild(), 0, 12).Draw(t, "values")})
		}
		f, err := figure.TTFTECDF(rapid.String().Draw(t, "title"), rapid.String().Draw(t, "label"), series)
		drawn(t, f, err)
	})
}

func TestAnySampleCanBeDrawn(t *testing.T) {
	instant := rapid.Custom(func(t *rapid.T) experiment.Instant {
		return experiment.Instant(rapid.OneOf(rapid.Int64Range(-1, 5), rapid.Int64Range(0, 1e10), rapid.Int64()).Draw(t, "instant"))
	})
	rapid.Check(t, func(t *rapid.T) {
		var samples []experiment.Sample
		for seq := range rapid.IntRange(0, 9).Draw(t, "samples") {
			s := experiment.NewSample(seq)
			s.Phase = rapid.SampledFrom([]experiment.Phase{experiment.Warmup, experiment.Measured, experiment.Cooldown}).Draw(t, "phase")
			s.Outcome = rapid.SampledFrom(experiment.Outcomes).Draw(t, "outcome")
			for _, i := range []*experiment.Instant{&s.Sent, &s.Headers, &s.FirstEvent, &s.FirstReasoning, &s.FirstContent, &s.LastContent, &s.End} {
				*i = instant.Draw(t, "instant")
			}
			s.Server = rapid.SampledFrom([]string{"", "{", "[]", `{"queue_ns":1}`, `{"queue_ns":5e8,"prefill_ns":1e300}`,
				`{"queue_ns":-5,"prefill_ns":3}`, `{"queue_ns":5e8,"prefill_ns":3e9}`, `{"queue_ns":"x","prefill_ns":null}`}).Draw(t, "server")
			samples = append(samples, s)
		}
		w := experiment.Window{Start: instant.Draw(t, "start"), SendEnd: instant.Draw(t, "stop")}
		f, err := figure.Timeline(rapid.String().Draw(t, "title"), "m", samples, w)
		drawn(t, f, err)
	})
}

// A hundred thousand values make a file that a page can hold.
func TestManyValuesMakeASmallFile(t *testing.T) {
	f := must(figure.TTFTECDF("t", "l", []figure.Series{{Name: "a", Values: waits(1, 100_000, 50, 0.5)}}))(t)
	if n := len(svgOf(t, f)); n > 100_000 {
		t.Errorf("the SVG has %d bytes; want under 100,000", n)
	}
}
