package figure_test

import (
	"testing"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/reports/figure"
)

// offered is the 8B table as rates that were offered, the last two of which are
// more than the server serves.
func offered() analysis.Curve {
	c := curveOf("exp-9", "llama-3.1-8b · vllm-like · h100-sxm", dli8B[:], 1)
	for i := range c.Levels {
		l := &c.Levels[i]
		l.Load = experiment.Load{Rate: float64(l.Load.Concurrency) / 8, Variant: "turns=3"}
		l.Oversaturated = i >= len(c.Levels)-2
	}
	c.Variant = "turns=3"
	c.StableRate = &analysis.Landmark{Load: c.Levels[7].Load, Level: c.Levels[7].Load.Rate, Because: "at rate=18.75 requests do not pile up."}
	c.SLOCapacity = &analysis.Landmark{Load: experiment.Load{Rate: 0.125}, Level: 0.125, Because: "at rate=0.125 the SLO holds."}
	return c
}

// heldBack is offered behind a cap on concurrency: each request leaves a second
// after it was due.
func heldBack() analysis.Curve {
	c := offered()
	for i := range c.Levels {
		l := &c.Levels[i]
		for _, e := range []struct{ to, of *analysis.Estimate }{
			{&l.TTFTSchedP50, &l.TTFTP50}, {&l.TTFTSchedP95, &l.TTFTP95}, {&l.TTFTSchedP99, &l.TTFTP99},
		} {
			*e.to = *e.of
			e.to.Value, e.to.Low, e.to.High = e.of.Value+1000, e.of.Low+1000, e.of.High+1000
		}
	}
	c.Levels[0].TTFTSchedP50 = analysis.Estimate{Value: 13.3} // which left on time
	return c
}

// A curve of open loops is drawn over the rate offered, and says which of its
// levels are more than the server serves.
func TestFiguresOfOpenLoops(t *testing.T) {
	for _, tt := range []struct {
		name          string
		f             *figure.Figure
		caption, face []string // parts of each
		absent        string   // from the face
	}{
		{"rates have an axis of their own, and those that pile up are hollow", must(figure.LatencyVsLoad(offered()))(t),
			[]string{"2 levels are hollow, since requests pile up there", "Stable rate = 18.75: at rate=18.75", "SLO limit rate = 0.125: "},
			[]string{">Requests per second offered (log scale)<", ">0.125<", ">stable rate = 18.75<", "SLO limit rate = 0.125"}, ">Concurrency"},
		{"requests that left late have a panel from when they were due", must(figure.LatencyVsLoad(heldBack()))(t),
			[]string{"Requests left later than they were due"}, []string{">TTFT from schedule (log scale)<", ">TTFT (log scale)<", ">TPOT<"}, ""},
		{"and labels, without the variant that the curve's name has", must(figure.ThroughputVsTTFT([]analysis.Curve{offered()}))(t),
			[]string{"(rate = requests per second offered)", "2 levels are hollow"}, []string{">rate=0.125<", ">rate=31.25<"}, "turns=3<"},
		{"beside a curve of a closed loop both are explained", must(figure.ThroughputVsTTFT([]analysis.Curve{offered(), saturated()}))(t),
			[]string{"(c = concurrency, rate = requests per second offered)"}, []string{">rate=31.25<", ">c=250<"}, ""},
	} {
		says(t, tt.name, tt.f, tt.caption, tt.face, tt.absent)
	}
}
