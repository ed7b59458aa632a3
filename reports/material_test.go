package reports

import (
	"fmt"
	"math"
	"time"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/instinct"
	"github.com/inferbook/inferbook/experiment"
)

func at(year int, month time.Month, dayOfMonth, hour, minute int) time.Time {
	return time.Date(year, month, dayOfMonth, hour, minute, 0, 0, time.UTC)
}

// est is an estimate with an interval of ± share, over three repeats.
func est(v, share float64, n int) analysis.Estimate {
	return analysis.Estimate{Value: v, Low: v * (1 - share), High: v * (1 + share), N: n, Repeats: 3}
}

// shape is one level as a person would note it down.
type shape struct {
	c                        int
	out, ttft50, ttft95      float64
	tpot50, tpot95, e2e95, b float64
	failed                   int // in the last repeat
}

const perRepeat = 200

// sweep builds an item out of its levels, three repeats each.
func sweep(number int, id, name, gpu string, started time.Time, shapes []shape) Item {
	spec := experiment.DefaultSpec()
	spec.Model, spec.Stream, spec.Requests, spec.Repeats = "llama-3.1-8b", true, perRepeat, 3
	spec.Simulator = &experiment.Simulator{GPU: gpu, Count: 1, Model: "llama-3.1-8b", Runtime: "vllm-like", Precision: "bf16", Virtual: true}
	spec.Extra = map[string]any{"ignore_eos": true}
	spec.Concurrency = nil
	e := experiment.Experiment{ID: id, Number: number, Name: name, Message: "How far does one card carry the chat load?",
		Status: experiment.Complete, Started: started, Ended: started.Add(9 * time.Minute)}
	env := &e.Environment
	env.Set(experiment.KeyGPUModel, gpu, experiment.Simulated)
	env.Set(experiment.KeyGPUCount, "1", experiment.Simulated)
	env.Set(experiment.KeyRuntime, "vllm-like", experiment.Simulated)
	env.Set(experiment.KeyModel, "llama-3.1-8b", experiment.Simulated)
	env.Set(experiment.KeyPrecision, "bf16", experiment.Simulated)
	env.Set(experiment.KeyCalibration, "steps within 12 % of published H100 figures, other cards from their data sheets", experiment.Simulated)
	env.Set(experiment.KeyTime, "virtual", experiment.Simulated)
	env.Set("client.cpu", "8 cores", experiment.Detected)
	env.Set("client.os", "linux/amd64", experiment.Detected)
	env.Set("runtime.max_num_seqs", "256", experiment.Simulated)

	it := Item{Curve: analysis.Curve{ExperimentID: id, Title: e.Title(), Label: e.Environment.Label(), Workload: "500 → 128 tokens", Simulated: true}}
	for _, s := range shapes {
		spec.Concurrency = append(spec.Concurrency, s.c)
		l := analysis.Level{
			Load:    experiment.Load{Concurrency: s.c},
			TTFTP50: est(s.ttft50, .02, perRepeat), TTFTP95: est(s.ttft95, .05, perRepeat),
			TPOTP50: est(s.tpot50, .01, perRepeat), TPOTP95: est(s.tpot95, .02, perRepeat),
			E2EP50: est(s.e2e95*.9, .01, perRepeat), E2EP95: est(s.e2e95, .02, perRepeat),
			OutputThroughput: est(s.out, .012, perRepeat), TotalThroughput: est(s.out*628/128, .012, perRepeat),
			RequestRate: est(s.out/128, .012, perRepeat), Interactivity: est(1000/s.tpot50, .01, perRepeat), BRun: est(s.b, .015, perRepeat),
		}
		for repeat := range 3 {
			p := analysis.PointSummary{
				Point: experiment.Point{ID: fmt.Sprintf("%s-c%d-r%d", id, s.c, repeat), ExperimentID: id, Repeat: repeat,
					Load: l.Load, Status: experiment.Complete, Anchor: started,
					Window: experiment.Window{Rule: experiment.SteadyClosed, SendEnd: 1}, Health: experiment.Health{SendLagP99: 0, StampSource: "simulator"}},
				Definition: analysis.DefinitionVersion, Sent: perRepeat, OK: perRepeat, WarmedUp: s.c,
				Outcomes: map[experiment.Outcome]int{experiment.OK: perRepeat}, CountedBy: map[experiment.Counted]int{experiment.CountedUsage: perRepeat},
				Window:   time.Duration(128 * perRepeat / s.out * float64(time.Second)),
				InWindow: perRepeat, MeanInflight: float64(s.c), LittleRatio: 1, IdentityRatio: 1, OutputThroughput: s.out, RequestRate: s.out / 128,
				E2E: analysis.Distribution{Mean: s.e2e95 * .9, P95: est(s.e2e95, .02, perRepeat)}, TTFT: analysis.Distribution{P50: est(s.ttft50, .02, perRepeat)}, TPOT: analysis.Distribution{P50: est(s.tpot50, .01, perRepeat)},
				MeanEvents: 128, EventsPerOutput: 1, TTFTOverE2E: s.ttft50 / s.e2e95,
				Signs: analysis.Signs{Streams: perRepeat, OutputsAsked: perRepeat, PromptAsked: 500 * perRepeat, PromptCounted: 500 * perRepeat, PromptsHashed: perRepeat,
					EarlyTTFT: s.ttft50, LaterTTFT: s.ttft50, FirstHalf: s.out, SecondHalf: s.out, FirstThirdTPOT: s.tpot50, LastThirdTPOT: s.tpot50, FirstThirdTTFT: s.ttft50, LastThirdTTFT: s.ttft50},
				CachedTokens: 0, PromptTokens: 500 * perRepeat, MeanPrompt: 500.2, MeanOutput: 128.1, Streaming: analysis.StreamEffective,
			}
			if repeat == 2 && s.failed > 0 {
				p.OK -= s.failed
				p.InWindow = p.OK
				p.Outcomes[experiment.OK], p.Outcomes[experiment.Timeout] = p.OK, s.failed
				p.CountedBy[experiment.CountedUsage] = p.OK
				p.ErrorRate = float64(s.failed) / perRepeat
				l.ErrorRate = float64(s.failed) / (3 * perRepeat)
			}
			l.Points = append(l.Points, p)
		}
		it.Points = append(it.Points, l.Points...)
		it.Curve.Levels = append(it.Curve.Levels, l)
	}
	e.Spec = spec
	it.Experiment = e
	it.Findings = instinct.Validate(&instinct.Case{Experiment: &it.Experiment, Curves: []analysis.Curve{it.Curve}})
	return it
}

// costs prices every level of an item.
func costs(it *Item, p experiment.Price) {
	for _, l := range it.Curve.Levels {
		const ratio, used = 4, 0.6
		perToken := func(rate analysis.Estimate, by float64) analysis.Estimate {
			d := by * p.USDHour * 1e6 / (3600 * used)
			return analysis.Estimate{Value: d / rate.Value, Low: d / rate.High, High: d / rate.Low, N: rate.N, Repeats: rate.Repeats}
		}
		weighted := l.OutputThroughput
		for _, v := range []*float64{&weighted.Value, &weighted.Low, &weighted.High} {
			*v *= 500./128 + ratio
		}
		it.Costs = append(it.Costs, analysis.Cost{
			Level: l.Load, Price: p, GPUs: 1, Utilisation: used, USDPerHour: p.USDHour,
			OutputOnly: perToken(l.OutputThroughput, 1), Total: perToken(l.TotalThroughput, 1),
			AllocatedInput: perToken(weighted, 1), AllocatedOutput: perToken(weighted, ratio), PriceRatio: ratio,
			PerThousandRequests: perToken(l.RequestRate, 1e-3), MeanPrompt: 500.2, MeanOutput: 128.1,
			TTFTP95: l.TTFTP95, TPOTP95: l.TPOTP95, ErrorRate: l.ErrorRate, AsOf: p.Date,
		})
	}
}

// comparison is a report as a buyer and a note-taker would ask for it: two
// simulated cards, four levels each, three notes, prices, two figures.
func comparison() Material {
	small := sweep(1, "01K5A0000000000000000000A1", "a10g chat", "a10g", at(2026, 9, 12, 9, 30), []shape{
		{1, 31.2, 118, 124, 31.1, 31.4, 4102, 1, 0}, {4, 118, 131, 190, 32.6, 33.9, 4420, 3.9, 0},
		{16, 402, 240, 611, 37.4, 41.2, 5790, 15.2, 0}, {64, 611, 4120, 11840, 62.7, 71.5, 20480, 38.4, 9},
	})
	small.Curve.Fit = &analysis.LineFit{Alpha: 30.6, Beta: .424, R2: .9981, N: 3}
	small.Curve.Knee = &analysis.Landmark{Load: experiment.Load{Concurrency: 16}, Level: 16, Value: 402, Reading: "databricks-inference-performance",
		Because: "From c=16 to c=64 an added user brings 4.4 tok/s, under half of the 31.2 tok/s that the first one brought."}
	small.Curve.AdmissionLimit = &analysis.Landmark{Load: experiment.Load{Concurrency: 64}, Level: 64, Value: 38.4, Reading: "vllm-pagedattention",
		Because: "At c=64 throughput × TPOT is 38.4, under 0.9 of the 64 requests in flight."}
	small.Curve.Warnings = []string{"The admission limit rests on one level; measure one above c=64 to see it stay flat."}
	last := &small.Curve.Levels[3]
	last.TTFTP95.High, last.TTFTP95.Warnings = math.Inf(1), []string{"The count of 191 cannot bound the p95 of one repeat from above."}
	last.E2EP95.Warnings = last.TTFTP95.Warnings

	big := sweep(2, "01K5A0000000000000000000B2", "h100 chat", "h100-sxm", at(2026, 9, 12, 10, 5), []shape{
		{1, 132, 19.4, 20.1, 7.38, 7.44, 968, 1, 0}, {4, 508, 22.8, 31.7, 7.66, 7.92, 1031, 3.9, 0},
		{16, 1840, 34.1, 71.2, 8.41, 8.98, 1190, 15.5, 0}, {64, 5230, 88.2, 243, 11.6, 12.9, 1822, 60.7, 0},
	})
	big.Curve.Fit = &analysis.LineFit{Alpha: 7.21, Beta: .0682, R2: .9994, N: 4}

	costs(&small, experiment.Price{ID: "p1", Hardware: "a10g", USDHour: 1.006, Date: at(2026, 5, 20, 0, 0), Source: "https://cloud.example/pricing?region=eu_west"})
	costs(&big, experiment.Price{ID: "p2", Hardware: "h100-sxm", USDHour: 2.95, Date: at(2026, 9, 1, 0, 0), Source: "quote 2026-118, reserved for a year"})

	small.Notes = []experiment.Note{
		{ID: "n1", Number: 1, ExperimentID: small.Experiment.ID, Created: at(2026, 9, 12, 11, 0), Readings: []string{"vllm-pagedattention"},
			PointID: small.Points[9].Point.ID,
			Text: "Going 16 → 64 raised throughput by half and TTFT p95 **nineteenfold**: past the knee, extra requests wait for a place.\n\n" +
				"**What this changed in my mental model:** \"max tok/s\" is the wrong headline; the load that users accept is."},
		{ID: "n2", Number: 2, ExperimentID: small.Experiment.ID, Created: at(2026, 9, 13, 8, 15), Readings: []string{"databricks-inference-performance", "my-own-slug"},
			Text: "Up to c=4 the batch is nearly free:\n\n- TPOT 31 → 33 ms\n- throughput ×3.8\n\nThe weights are read once a step, whoever is on board."},
	}
	big.Notes = []experiment.Note{{ID: "n3", Number: 3, ExperimentID: big.Experiment.ID, Created: at(2026, 9, 13, 8, 40),
		Text: "No knee up to c=64. Measure 128 and 256 before anything is bought."}}

	return Material{
		Title: "Which card for the support chat?", Author: "Ada Moser", Created: at(2026, 9, 14, 7, 0), NotebookName: "experiments.db", Version: "0.1.0",
		Experiments: []Item{small, big},
		Readings: map[string]experiment.ReadingEntry{
			"vllm-pagedattention": {Slug: "vllm-pagedattention", Title: "vLLM: Easy, Fast, and Cheap LLM Serving with PagedAttention",
				URL: "https://blog.vllm.ai/2023/06/20/vllm.html", Kind: "article", Status: experiment.Tested,
				Body: "## Facts\n\n- Pages.\n\n## What this changed in my mental model\n\n<!-- One or two sentences. -->\n\nA place in the batch is memory, not compute.\n"},
			"databricks-inference-performance": {Slug: "databricks-inference-performance", Title: "LLM Inference Performance Engineering: Best Practices",
				URL: "https://www.databricks.com/blog/llm-inference-performance-engineering-best-practices", Kind: "article", Status: experiment.Read},
			"nvidia-fundamental-concepts": {Slug: "nvidia-fundamental-concepts", Title: "LLM Inference Benchmarking: Fundamental Concepts",
				URL: "https://developer.nvidia.com/blog/llm-benchmarking-fundamental-concepts", Kind: "article", Status: experiment.Unread},
		},
		Figures: []FigureRef{
			{Path: "figures/curve-ttft.svg", Title: "Output throughput against TTFT p95", Alt: "Two curves; the H100's lies above and to the left of the A10G's at every load.",
				Caption: "Up is more work done, left is a shorter wait. Bands are 95 % intervals of ttft@1 p95 and throughput."},
			{Path: "figures/curve-interactivity.svg", Title: "Output throughput against interactivity", Alt: "The H100 gives 86 tok/s/user at c=64, more than the A10G at c=1.",
				Caption: "Up is more work done, right is a faster stream for each user"},
		},
	}
}

// fragment is the least that can be reported on: one experiment, one point, cut
// short, of a target that tells nothing about itself.
func fragment() Material {
	spec := experiment.DefaultSpec()
	spec.BaseURL, spec.Model, spec.Requests, spec.Concurrency = "http://10.0.0.7:8000/v1", "mystery_7b", 30, []int{1, 2}
	e := experiment.Experiment{ID: "01K5A0000000000000000000C3", Number: 7, Status: experiment.Interrupted, Started: at(2026, 10, 1, 22, 10), Spec: spec}
	e.Environment.Set(experiment.KeyModel, "mystery_7b", experiment.Declared)
	e.Environment.Set(experiment.KeyEndpoint, "http://10.0.0.7:8000/v1", experiment.Declared)
	nan := analysis.Estimate{Value: math.NaN(), Low: math.NaN(), High: math.NaN()}
	warn := []string{"One repeat: nothing is known about how this figure repeats."}
	few := func(v, low, high float64) analysis.Estimate {
		return analysis.Estimate{Value: v, Low: low, High: high, N: 12, Repeats: 1, Warnings: warn}
	}
	p := analysis.PointSummary{
		Point:      experiment.Point{ID: "p", ExperimentID: e.ID, Load: experiment.Load{Concurrency: 1}, Status: experiment.Interrupted, Window: experiment.Window{Rule: experiment.SteadyNone}, Health: experiment.Health{SendLagP99: 210_000, StampSource: "read"}},
		Definition: analysis.DefinitionVersion, Sent: 13, OK: 12, Outcomes: map[experiment.Outcome]int{experiment.OK: 12, experiment.Cancelled: 1},
		CountedBy: map[experiment.Counted]int{experiment.CountedUsage: 12}, Window: 31 * time.Second, CachedTokens: experiment.Unknown,
		InWindow: 12, MeanPrompt: 498, MeanOutput: 128, Streaming: analysis.StreamNone, ErrorRate: 1. / 13,
	}
	l := analysis.Level{Load: p.Point.Load, Points: []analysis.PointSummary{p},
		TTFTP50: nan, TTFTP95: nan, TTFTP99: nan, TPOTP50: nan, TPOTP95: nan, TPOTP99: nan, Interactivity: nan, BRun: nan,
		E2EP50: few(2310, 2290, 2350), E2EP95: few(2584, 2411, math.Inf(1)),
		OutputThroughput: few(49.5, math.NaN(), math.NaN()), TotalThroughput: few(242, math.NaN(), math.NaN()), RequestRate: few(.387, math.NaN(), math.NaN()), ErrorRate: p.ErrorRate}
	l.E2EP95.Warnings = append([]string{"A p95 of 12 requests has no upper bound; 72 are needed."}, warn...)
	c := analysis.Curve{ExperimentID: e.ID, Title: e.Title(), Label: e.Environment.Label(), Levels: []analysis.Level{l}}
	return Material{Created: at(2026, 10, 2, 6, 0), NotebookName: "experiments.db", Version: "0.1.0",
		Experiments: []Item{{Experiment: e, Curve: c, Findings: instinct.Validate(&instinct.Case{Experiment: &e, Curves: []analysis.Curve{c}}),
			Points: []analysis.PointSummary{p}, NoCost: "no price is recorded for an unknown GPU"}}}
}
