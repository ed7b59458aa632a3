package analysis

import (
	"math"

	"github.com/inferbook/inferbook/experiment"
)

// Amount is a number with its unit.
type Amount struct {
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
}

// Working is a formula with numbers put in.
type Working struct {
	// Pattern has a %s for each of Values, in their order: "%s output tokens ÷ %s window".
	Pattern string   `json:"pattern"`
	Values  []Amount `json:"values"`
	Result  Amount   `json:"result"`
}

// Worked puts a point's numbers into the formula of a metric of points. It is false where the
// point has no such figure. A metric whose parts a summary does not keep has the result alone.
func Worked(m Metric, s *PointSummary) (Working, bool) {
	if m.OfPoint == nil {
		return Working{}, false
	}
	w := Working{Result: Amount{m.OfPoint(s), m.Unit}}
	if !finite(w.Result.Value) {
		return Working{}, false
	}
	if parts := pointWorkings[m.Name]; parts != nil {
		w.Pattern, w.Values = parts(s)
	}
	return w, true
}

// inWindow gives back the amount that was divided by the window.
func inWindow(rate float64, s *PointSummary) float64 { return math.Round(rate * s.Window.Seconds()) }

var pointWorkings = map[string]func(*PointSummary) (string, []Amount){
	"output_throughput": func(s *PointSummary) (string, []Amount) {
		return "output %s ÷ window %s", []Amount{{inWindow(s.OutputThroughput, s), "tok"}, {s.Window.Seconds(), "s"}}
	},
	"total_throughput": func(s *PointSummary) (string, []Amount) {
		return "prompt and output %s ÷ window %s", []Amount{{inWindow(s.TotalThroughput, s), "tok"}, {s.Window.Seconds(), "s"}}
	},
	"request_rate": func(s *PointSummary) (string, []Amount) {
		return "%s ended within the window ÷ window %s", []Amount{{float64(s.InWindow), "requests"}, {s.Window.Seconds(), "s"}}
	},
	"error_rate": func(s *PointSummary) (string, []Amount) {
		return "%s failed ÷ %s sent", []Amount{{float64(s.Sent - s.OK), ""}, {float64(s.Sent), ""}}
	},
	"interactivity": func(s *PointSummary) (string, []Amount) {
		return "1000 ÷ median tpot %s", []Amount{{s.TPOT.P50.Value, "ms"}}
	},
	"b_run": func(s *PointSummary) (string, []Amount) {
		return "output_throughput %s × mean tpot %s", []Amount{{s.OutputThroughput, "tok/s"}, {s.TPOT.Mean, "ms"}}
	},
	"mean_inflight": func(s *PointSummary) (string, []Amount) {
		return "mean over the window of %s, in which at most %s were in flight at once", []Amount{{s.Window.Seconds(), "s"}, {float64(s.MaxInflight), ""}}
	},
	"little_ratio": func(s *PointSummary) (string, []Amount) {
		return "request_rate %s × mean e2e %s ÷ mean_inflight %s", []Amount{{s.RequestRate, "req/s"}, {s.E2E.Mean, "ms"}, {s.MeanInflight, ""}}
	},
	"identity_ratio": func(s *PointSummary) (string, []Amount) {
		return "output_throughput %s ÷ (C %s × N %s ÷ (mean ttft %s + (N − 1) × mean tpot %s))", []Amount{{s.OutputThroughput, "tok/s"},
			{float64(s.Point.Load.Concurrency), ""}, {s.MeanOutput, ""}, {s.TTFT.Mean, "ms"}, {s.TPOT.Mean, "ms"}}
	},
	"mean_prompt": func(s *PointSummary) (string, []Amount) {
		return "%s ÷ %s", []Amount{{float64(s.PromptTokens), "tok"}, {float64(s.OK), "requests"}}
	},
	"mean_output": func(s *PointSummary) (string, []Amount) {
		return "%s ÷ %s", []Amount{{float64(s.OutputTokens), "tok"}, {float64(s.OK), "requests"}}
	},
	"goodput": func(s *PointSummary) (string, []Amount) {
		return "%s within the SLO ÷ window %s", []Amount{{inWindow(s.Goodput, s), "requests"}, {s.Window.Seconds(), "s"}}
	},
	"slo_attainment": func(s *PointSummary) (string, []Amount) {
		return "%s within the SLO ÷ %s sent", []Amount{{math.Round(s.GoodShare * float64(s.Sent)), ""}, {float64(s.Sent), ""}}
	},
	"achieved_rate": func(s *PointSummary) (string, []Amount) {
		return "(%s − 1) ÷ %s from the first send to the last", []Amount{{float64(s.Sent), "requests"}, {float64(s.Sent-1) / s.AchievedRate, "s"}}
	},
}

// WorkedSample puts a sample's instants, in ms since the point's start, into the formula of a
// metric of samples. It is false where the sample has no such value.
func WorkedSample(m Metric, s *experiment.Sample) (Working, bool) {
	parts := sampleWorkings[m.Name]
	if m.Of == nil || parts == nil {
		return Working{}, false
	}
	v, ok := m.Of(s)
	if !ok {
		return Working{}, false
	}
	w := Working{Result: Amount{v, m.Unit}}
	w.Pattern, w.Values = parts(s)
	return w, true
}

// instant is a time in ms since the point's start.
func instant(i experiment.Instant) Amount { return Amount{float64(i) / 1e6, "ms"} }

var sampleWorkings = map[string]func(*experiment.Sample) (string, []Amount){
	"ttft": func(s *experiment.Sample) (string, []Amount) {
		return "first text %s − sent %s", []Amount{instant(s.FirstText()), instant(s.Sent)}
	},
	"ttft_answer": func(s *experiment.Sample) (string, []Amount) {
		return "first content %s − sent %s", []Amount{instant(s.FirstContent), instant(s.Sent)}
	},
	"e2e": func(s *experiment.Sample) (string, []Amount) {
		return "last text %s − sent %s", []Amount{instant(lastText(s)), instant(s.Sent)}
	},
	"tpot": func(s *experiment.Sample) (string, []Amount) {
		return "(last text %s − first text %s) ÷ (N %s − %s in the first event)",
			[]Amount{instant(s.LastContent), instant(s.FirstText()), {float64(visibleTokens(s)), ""}, {float64(firstTokens(s)), ""}}
	},
	"ttft_sched": func(s *experiment.Sample) (string, []Amount) {
		return "first text %s − scheduled %s", []Amount{instant(s.FirstText()), instant(s.Scheduled)}
	},
	"e2e_sched": func(s *experiment.Sample) (string, []Amount) {
		return "last text %s − scheduled %s", []Amount{instant(lastText(s)), instant(s.Scheduled)}
	},
	"send_lag": func(s *experiment.Sample) (string, []Amount) {
		return "sent %s − scheduled %s", []Amount{instant(s.Sent), instant(s.Scheduled)}
	},
}
