package instinct_test

import (
	"testing"
	"time"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/instinct"
	"github.com/inferbook/inferbook/experiment"
)

// alone is one user of the 70B; rising is a server whose throughput doubles with its load.
var (
	alone  = llama70[:1]
	rising = []row{{1, 100, 10, 98}, {2, 110, 10.2, 192}, {4, 130, 10.6, 368}, {8, 160, 11.4, 680}}
)

// edit changes every point of a case; at changes the ones at a load.
type edit = func(*analysis.PointSummary)

func at(users int, change edit) edit {
	return func(s *analysis.PointSummary) {
		if s.Point.Load.Concurrency == users {
			change(s)
		}
	}
}

// open makes each level an open loop of as many requests a second as it had users.
func open(s *analysis.PointSummary) {
	s.Point.Load = experiment.Load{Rate: float64(s.Point.Load.Concurrency)}
	s.AchievedRate, s.RequestRate = s.Point.Load.Rate, s.Point.Load.Rate
	s.InflightSlope, s.InflightSlopeP, s.Window = 0.01, 0.5, time.Hour
}

func quota(rate float64) []row {
	rows := []row{{1, 100, 10, 0}, {8, 1000, 10, 0}, {32, 14000, 10, 0}, {64, 30000, 10, 0}}
	for i := range rows {
		rows[i].tokSs = rate * 500
	}
	return rows
}

// cause is a case of one rule, and what should come of it.
type cause struct {
	name, rule string
	rows       []row
	edits      []edit
	machine    *analysis.Machine
	around     func(*instinct.Case)
	state      instinct.State
	severity   instinct.Severity // where it fires
}

func oneGPU(c *instinct.Case) {
	c.Experiment.Environment.Set(experiment.KeyGPUCount, "1", experiment.Declared)
}

// priced is one GPU of a known price.
func priced(c *instinct.Case) {
	oneGPU(c)
	c.Price = &experiment.Price{Hardware: "h100-sxm", USDHour: 2, Date: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Source: "a test"}
}

var causes = []cause{
	{"prompts of one length", "I15", alone, nil, h100x2(), nil, instinct.NotEvaluable, ""},
	{"a line at half of the peak", "I15", alone, []edit{promptLine(0.07, 0.98)}, h100x2(), nil, instinct.Fired, instinct.Note},
	{"a line faster than the peak", "I15", alone, []edit{promptLine(0.01, 0.98)}, h100x2(), nil, instinct.Fired, instinct.Warning},
	{"a line without a known GPU", "I15", alone, []edit{promptLine(0.01, 0.98)}, nil, nil, instinct.Fired, instinct.Note},
	{"no line", "I15", alone, []edit{promptLine(0.07, 0.6)}, h100x2(), nil, instinct.Silent, ""},

	{"a server that says nothing of a cache", "I16", alone, nil, nil, nil, instinct.NotEvaluable, ""},
	{"a template", "I16", alone, []edit{cached(0.005)}, nil, nil, instinct.Silent, ""},
	{"a third cached", "I16", alone, []edit{cached(0.3)}, nil, nil, instinct.Fired, instinct.Warning},
	{"repeats in half of the time", "I16", alone, []edit{repeats(400, 150)}, nil, nil, instinct.Fired, instinct.Warning},
	{"repeats as slow as new ones", "I16", alone, []edit{repeats(400, 390)}, nil, nil, instinct.Silent, ""},

	{"prefill of two thirds", "I21", []row{{1, 2000, 2, 166}}, nil, nil, nil, instinct.Fired, instinct.Note},
	{"one level under load, whose TTFT may be a queue's", "I21", []row{{64, 30000, 10, 900}}, nil, nil, nil, instinct.NotEvaluable, ""},

	{"an output token as dear as ten of the prompt", "I22", alone, []edit{slopes(10, 1)}, nil, nil, instinct.Silent, ""},
	{"a prompt token that costs nothing", "I22", alone, []edit{slopes(10, -0.01)}, nil, nil, instinct.Fired, instinct.Note},

	{"a loss of 17 %", "I26", []row{{512, 900, 14.66, 2466.8}, {2048, 900, 14.45, 2044.3}}, nil, nil, nil, instinct.Fired, instinct.Note},
	{"a loss of 2.9 %", "I26", []row{{200, 650, 24.2, 13348}, {250, 864, 29, 12965}}, nil, nil, nil, instinct.Silent, ""},
	{"one level", "I26", alone, nil, nil, nil, instinct.NotEvaluable, ""},

	{"three levels have no line of four", "I23", rising[:3], nil, nil, nil, instinct.NotEvaluable, ""},
	{"a fifth of the bandwidth", "I27", []row{{1, 400, 60, 16}}, nil, h100x2(), nil, instinct.Fired, instinct.Warning},
	{"a fifth of it, of many at once", "I27", []row{{64, 400, 120, 480}}, nil, h100x2(), nil, instinct.Fired, instinct.Note},
	{"more than the bandwidth", "I27", []row{{1, 400, 5, 190}}, nil, h100x2(), nil, instinct.Fired, instinct.Warning},
	{"no hardware", "I27", alone, nil, nil, nil, instinct.NotEvaluable, ""},
	{"no hardware at a limit", "I19", llama70, nil, nil, nil, instinct.NotEvaluable, ""},
	{"room for twice as many", "I19", llama70, nil, with(h100x2(), func(m *analysis.Machine) { m.KVPerToken /= 2 }), nil, instinct.Silent, ""},
	{"its own cap", "I19", llama70, nil, with(h100x2(), func(m *analysis.Machine) { m.MaxSequences = 86 }), nil, instinct.Silent, ""},

	{"preempted, the server says", "I20", alone, []edit{func(s *analysis.PointSummary) { s.Preempted = 1 }}, nil, nil, instinct.Fired, instinct.Warning},
	{"not preempted, the server says, whatever stood still", "I20", alone, []edit{func(s *analysis.PointSummary) { s.Preempted, s.Signs.Stalled, s.ICL.N = 0, 1, 99 }}, nil, nil, instinct.Silent, ""},
	{"streams that stood still", "I20", alone, []edit{func(s *analysis.PointSummary) { s.Signs.Stalled, s.ICL.N = 1, 99 }}, nil, nil, instinct.Fired, instinct.Warning},

	{"growth of a quarter", "I30", alone, []edit{func(s *analysis.PointSummary) { s.Signs.GapGrowth = 0.24 }}, nil, nil, instinct.Fired, instinct.Note},
	{"few and long gaps", "I31", alone, []edit{gaps(20, 44, 26.6), func(s *analysis.PointSummary) { s.Signs.SlowGaps = 0.005 }}, nil, nil, instinct.Fired, instinct.Note},
	{"slow gaps", "I31", alone, []edit{gaps(20, 44, 60), func(s *analysis.PointSummary) { s.Signs.SlowGaps = 0.03 }}, nil, nil, instinct.Fired, instinct.Note},
	{"even gaps", "I31", alone, []edit{gaps(20, 20, 21), func(s *analysis.PointSummary) { s.Signs.SlowGaps = 0 }}, nil, nil, instinct.Silent, ""},
	{"tokens of a draft", "I32", alone, []edit{gaps(20, 20, 21), together(2.4, 0.6)}, nil, nil, instinct.Fired, instinct.Note},
	{"four tokens an event, always", "I32", alone, []edit{gaps(20, 20, 21), together(4, 1)}, nil, nil, instinct.Silent, ""},
	{"a buffer of fifty", "I32", alone, []edit{gaps(20, 20, 21), together(50, 0.9)}, nil, nil, instinct.Silent, ""},
	{"a buffer of 40 ms", "I33", alone, []edit{gaps(10, 12, 11), func(s *analysis.PointSummary) { s.Signs.DelayedAckGaps = 0.04 }}, nil, nil, instinct.Fired, instinct.Warning},
	{"a draft's uneven steps", "I33", alone, []edit{gaps(0, 20, 50), together(1, 0)}, nil, nil, instinct.Silent, ""},
	{"jitter under load says nothing", "I33", llama70[1:], []edit{gaps(10, 12, 90)}, nil, nil, instinct.NotEvaluable, ""},

	{"a p99 of at least eight medians", "I34", alone, []edit{tail(8)}, nil, nil, instinct.Fired, instinct.Warning},
	{"of eight, of answers of all lengths", "I34", alone, []edit{tail(8), func(s *analysis.PointSummary) { s.Signs.OutputCV = 1 }}, nil, nil, instinct.Fired, instinct.Note},
	{"of at least four", "I34", alone, []edit{tail(4)}, nil, nil, instinct.Fired, instinct.Note},
	{"of at least two", "I34", alone, []edit{tail(2)}, nil, nil, instinct.Silent, ""},
	{"too few requests for a bound", "I34", alone, nil, nil, nil, instinct.NotEvaluable, ""},

	{"a closed loop", "I36", alone, nil, nil, nil, instinct.NotApplicable, ""},
	{"an open loop that is served", "I36", alone, []edit{open}, nil, nil, instinct.Silent, ""},
	{"a queue that grows", "I36", alone, []edit{open, func(s *analysis.PointSummary) { s.InflightSlope, s.InflightSlopeP = 3, 0.001 }}, nil, nil, instinct.Fired, instinct.Warning},
	{"a server that may be filling up", "I36", alone, []edit{open, func(s *analysis.PointSummary) {
		s.InflightSlope, s.InflightSlopeP, s.Window = 3, 0.001, time.Minute
	}}, nil, nil, instinct.NotEvaluable, ""},
	{"a sweep of rates has no users", "I25", rising, []edit{open}, nil, nil, instinct.NotApplicable, ""},
	{"the last requests still in flight", "I36", alone, []edit{open, func(s *analysis.PointSummary) { s.RequestRate = 0.9 }}, nil, nil, instinct.Silent, ""},

	{"seven in ten in time", "I37", alone, []edit{func(s *analysis.PointSummary) { s.Goodput = 0.7 * s.RequestRate }}, nil, nil, instinct.Fired, instinct.Note},
	{"no SLO", "I37", alone, nil, nil, nil, instinct.NotEvaluable, ""},

	{"answers of 429", "I38", alone, []edit{func(s *analysis.PointSummary) { s.Signs.RateLimited = 1 }}, nil, nil, instinct.Fired, instinct.Warning},
	{"two a second, however many wait", "I38", quota(2), nil, nil, nil, instinct.Fired, instinct.Warning},
	{"an odd rate", "I38", quota(1.84), nil, nil, nil, instinct.Silent, ""},

	{"a cache that hits half of the time", "I39", alone, []edit{many, func(s *analysis.PointSummary) { s.Signs.TTFTBimodality, s.Signs.TTFTSpread = 0.9, 0.8 }}, nil, nil, instinct.Fired, instinct.Warning},
	{"two peaks side by side", "I39", alone, []edit{many, func(s *analysis.PointSummary) { s.Signs.TTFTBimodality, s.Signs.TTFTSpread = 0.9, 0.05 }}, nil, nil, instinct.Silent, ""},
	{"two models that answer to one name", "I39", alone, []edit{func(s *analysis.PointSummary) { s.Signs.Models = 2 }}, nil, nil, instinct.Fired, instinct.Warning},
	{"two models that were asked for", "I39", alone, []edit{func(s *analysis.PointSummary) { s.Signs.Models = 2 }}, nil, func(c *instinct.Case) { c.Experiment.Spec.Models = make([]experiment.ModelShare, 2) }, instinct.NotEvaluable, ""},

	{"80 texts of 1,000", "I40", alone, []edit{texts(1000, 1, 80)}, nil, nil, instinct.Fired, instinct.Note},
	{"one text", "I40", alone, []edit{texts(1000, 1, 1)}, nil, nil, instinct.Silent, ""},
	{"another text at another load", "I40", rising, []edit{texts(0, 0, 0), at(8, answers("b")), at(1, answers("a"))}, nil, nil, instinct.Fired, instinct.Note},
	{"temperature", "I40", alone, []edit{texts(1000, 1, 80)}, nil, func(c *instinct.Case) { c.Experiment.Spec.Temperature = 0.7 }, instinct.NotEvaluable, ""},

	{"an idle GPU", "I41", []row{{1, 13.3, 7.38, 135}, {250, 864, 28.99, 8364}}, nil, nil, priced, instinct.Fired, instinct.Note},
	{"no price", "I41", rising, nil, nil, oneGPU, instinct.NotEvaluable, ""},
	{"a server that is seven times as dear alone", "I41", rising, nil, nil, priced, instinct.Silent, ""},

	{"16 to 8 bits as published", "I28", []row{{1, 10, 5.22, 190}}, nil, h100x2(), twin([]row{{1, 13, 7.38, 135}}, experiment.KeyPrecision, "bf16", 2), instinct.Fired, instinct.Note},
	{"16 to 8 bits for nothing", "I28", []row{{1, 10, 7.2, 140}}, nil, h100x2(), twin([]row{{1, 13, 7.38, 135}}, experiment.KeyPrecision, "bf16", 2), instinct.Fired, instinct.Warning},
	{"twice the GPUs for a tenth", "I29", []row{{1, 10, 4.66, 210}}, nil, h100x2(), twin([]row{{1, 10, 5.09, 190}}, experiment.KeyGPUCount, "1", 1), instinct.Fired, instinct.Note},
	{"twice the GPUs as published", "I29", []row{{1, 10, 5.51, 180}}, nil, h100x2(), twin([]row{{1, 10, 7.38, 135}}, experiment.KeyGPUCount, "1", 1), instinct.Silent, ""},
	{"another runtime too", "I29", []row{{1, 10, 4.66, 210}}, nil, h100x2(), twin([]row{{1, 10, 5.09, 190}}, experiment.KeyRuntime, "other", 1), instinct.NotEvaluable, ""},
	{"faster and cheaper", "I42", rising, nil, nil, twin([]row{{1, 50, 5, 196}, {16, 200, 9, 1700}}, experiment.KeyRuntime, "other", 1), instinct.Fired, instinct.Note},
	{"faster, and dearer at the top", "I42", rising, nil, nil, twin([]row{{1, 50, 5, 196}}, experiment.KeyRuntime, "other", 1), instinct.Silent, ""},
}

// Each rule about causes fires where its condition holds, says nothing beside it, and is not
// evaluable where its evidence is missing.
func TestCauses(t *testing.T) {
	for _, tt := range causes {
		t.Run(tt.rule+" "+tt.name, func(t *testing.T) {
			c := table(tt.rows, 5000, 500, tt.machine, tt.edits...)
			if tt.around != nil {
				tt.around(c)
			}
			var worst *instinct.Finding
			for _, f := range instinct.Look(c) {
				if f.Rule == tt.rule && (worst == nil || f.State == instinct.Fired && worst.State != instinct.Fired) {
					worst = &f
				}
			}
			if worst.State != tt.state || tt.severity != "" && worst.Severity != tt.severity {
				t.Errorf("%s is %s, %s, want %s, %s: %s", tt.rule, worst.State, worst.Severity, tt.state, tt.severity, worst.Sentence)
			}
		})
	}
}

func with(m *analysis.Machine, change func(*analysis.Machine)) *analysis.Machine {
	change(m)
	return m
}

func promptLine(slope, r2 float64) edit {
	return func(s *analysis.PointSummary) {
		s.Signs.TTFTPerPrompt, s.Signs.TTFTAtZero, s.Signs.TTFTPromptR2 = slope, 20, r2
	}
}

func cached(share float64) edit {
	return func(s *analysis.PointSummary) { s.CachedTokens, s.CacheHitShare = int(1000*share), share }
}

func repeats(fresh, again float64) edit {
	return func(s *analysis.PointSummary) {
		s.Signs.RepeatedPrompts, s.Signs.FreshTTFT, s.Signs.RepeatTTFT = 9, fresh, again
	}
}

func slopes(output, prompt float64) edit {
	return func(s *analysis.PointSummary) { s.Signs.E2EPerOutput, s.Signs.E2EPerPrompt = output, prompt }
}

// gaps is a stream whose gaps have a median, a mean and a p95, which is its p99 too.
func gaps(p50, mean, p95 float64) edit {
	return func(s *analysis.PointSummary) {
		s.ICL = constant(s.ICL, p95)
		s.ICL.P50.Value, s.ICL.Mean, s.ICL.P99.Value, s.Streaming, s.EventsPerOutput, s.SharedReads = p50, mean, p95, analysis.StreamEffective, 1, 0
	}
}

func together(tokens, several float64) edit {
	return func(s *analysis.PointSummary) { s.EventsPerOutput, s.Signs.MultiTokenEvents = tokens, several }
}

// tail bounds the p99 of E2E from below, in medians.
func tail(times float64) edit {
	return func(s *analysis.PointSummary) { s.E2E.P99.Low = times * s.E2E.P50.Value }
}

func many(s *analysis.PointSummary) { s.OK = 200 }

// texts is a point of equal lengths in which so many answers to so many prompts were so many texts.
func texts(answers, prompts, distinct int) edit {
	return func(s *analysis.PointSummary) {
		s.OK, s.Signs.OutputCV, s.Signs.SamePrompt, s.Signs.SamePromptGroups, s.Signs.DistinctAnswers = 1000, 0, answers, prompts, distinct
	}
}

func answers(hash string) edit {
	return func(s *analysis.PointSummary) { s.Signs.Answers = []analysis.Answer{{Prompt: "p", Answer: hash}} }
}

// twin adds another experiment that differs in one fact and by a factor in the bytes of its weights. Both
// have one GPU, unless that is the fact.
func twin(rows []row, key, value string, bytes float64) func(*instinct.Case) {
	return func(c *instinct.Case) {
		m := h100x2()
		m.ActiveBytes *= bytes
		o := table(rows, 5000, 500, m)
		o.Experiment.ID, o.Experiment.Number = "01OTHER", 2
		c.Experiment.Environment.Set(experiment.KeyGPUCount, "1", experiment.Declared)
		o.Experiment.Environment.Set(experiment.KeyGPUCount, "1", experiment.Declared)
		if key == experiment.KeyGPUCount {
			c.Experiment.Environment.Set(key, "2", experiment.Declared)
		}
		o.Experiment.Environment.Set(key, value, experiment.Declared)
		c.Others = []instinct.Case{*o}
	}
}
