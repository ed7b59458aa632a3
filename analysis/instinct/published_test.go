package instinct_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/instinct"
	"github.com/inferbook/inferbook/experiment"
)

// row is a level of a published table: users, TTFT and time per token in ms, output tok/s.
type row struct {
	users            int
	ttft, itl, tokSs float64
}

// llama70 is NVIDIA's table of Llama-3.3-70B in FP8 on two H100, 5,000 tokens in and 500 out (NIM 1.8.0).
var llama70 = []row{
	{1, 406.77, 18.58, 51.67}, {5, 546.7, 21.83, 218.48}, {25, 688.69, 38.75, 623.4}, {50, 834.51, 59.73, 814.37},
	{100, 7996.25, 92.91, 917.26}, {150, 34794.22, 92.86, 920.9}, {200, 61680.22, 93.06, 920.54}, {250, 88605.32, 93.2, 920.12},
}

// constant is the distribution of a figure of which only the mean was published.
func constant(d analysis.Distribution, value float64) analysis.Distribution {
	d.N, d.Mean, d.Min, d.Max = 1, value, value, value
	for _, e := range []*analysis.Estimate{&d.P50, &d.P90, &d.P95} {
		e.Value = value
	}
	return d
}

// blank is a point of which nothing is known.
var blank = analysis.NewCollector(experiment.Point{}).Summary()

// table makes the case of a published table: what it has no column for is not known, unless the changes say it.
func table(rows []row, prompt, output float64, m *analysis.Machine, changes ...func(*analysis.PointSummary)) *instinct.Case {
	e := &experiment.Experiment{ID: "01TABLE", Number: 1, Spec: experiment.DefaultSpec()}
	e.Spec.InputTokens, e.Spec.OutputTokens, e.Spec.Stream = experiment.Tokens(int(prompt)), experiment.Tokens(int(output)), true
	var points []analysis.PointSummary
	for _, r := range rows {
		s := blank
		s.Point = experiment.Point{ID: fmt.Sprint(r.users), Load: experiment.Load{Concurrency: r.users}, Status: experiment.Complete}
		s.Sent, s.OK, s.InWindow, s.Window = 1, 1, 1, time.Minute
		s.TTFT, s.TPOT, s.E2E = constant(s.TTFT, r.ttft), constant(s.TPOT, r.itl), constant(s.E2E, r.ttft+(output-1)*r.itl)
		s.MeanPrompt, s.MeanOutput = prompt, output
		s.OutputThroughput, s.RequestRate, s.Interactivity = r.tokSs, r.tokSs/output, 1000/r.itl
		s.BRun = r.tokSs * r.itl / 1000
		s.IdentityRatio = r.tokSs / (float64(r.users) * output / ((r.ttft + (output-1)*r.itl) / 1000))
		for _, change := range changes {
			change(&s)
		}
		points = append(points, s)
		e.Spec.Concurrency = append(e.Spec.Concurrency, r.users)
	}
	return &instinct.Case{Experiment: e, Curves: analysis.NewCurves(e, points), Machine: m}
}

// h100x2 is two H100 with Llama-3.3-70B in 8 bits, keys and values too.
func h100x2() *analysis.Machine {
	const parameters = 70.55e9
	return &analysis.Machine{
		GPU: "h100-sxm", GPUs: 2, Replicas: 1, Bandwidth: 2 * 3.35e12, Peak: 2 * 1979e12, Memory: 2 * 80e9,
		Model: "llama-3.1-70b", Parameters: parameters, Active: parameters, WeightBytes: parameters, ActiveBytes: parameters,
		KVPerToken: 327_680 / 2, MemoryShare: 0.9, KVTokens: math.NaN(), MaxSequences: math.NaN(),
	}
}

// of gives a rule's finding about exactly these concurrencies.
func of(t *testing.T, findings []instinct.Finding, rule string, users ...int) instinct.Finding {
	t.Helper()
	for _, f := range findings {
		same := slices.EqualFunc(f.Loads, users, func(l experiment.Load, n int) bool { return l.Concurrency == n })
		if f.Rule == rule && same {
			return f
		}
	}
	t.Fatalf("%s has no finding about %v", rule, users)
	return instinct.Finding{}
}

// The published table that exercises the rules about what binds: the batch fills between 50 and
// 100 users, which still brings throughput, and from there on users only queue.
func TestTableOf70B(t *testing.T) {
	c := table(llama70, 5000, 500, h100x2())
	findings := instinct.Look(c)
	for _, f := range findings {
		if f.State == instinct.Fired && f.Section != instinct.Validity {
			t.Logf("%s %v: %s", f.Rule, f.Loads, f.Sentence)
		}
	}
	for _, want := range []struct {
		rule  string
		users []int
		state instinct.State
	}{
		{"I17", []int{50, 100}, instinct.Silent}, // TPOT still rises by 56 %
		{"I25", []int{50, 100}, instinct.Silent}, // and the gain is 0.126
		{"I17", []int{100, 150}, instinct.Fired},
		{"I25", []int{100, 150}, instinct.Fired},
		{"I17", []int{1, 5}, instinct.Silent},
		{"I25", []int{25, 50}, instinct.Silent},
		{"I26", []int{200, 250}, instinct.Silent},          // 0.05 % is noise
		{"I18", []int{100, 150, 200, 250}, instinct.Fired}, // B_run 85.2 to 85.8
		{"I19", []int{100, 150, 200, 250}, instinct.Fired}, // 81.5 sequences fit
	} {
		if f := of(t, findings, want.rule, want.users...); f.State != want.state {
			t.Errorf("%s at %v is %s, want %s: %s", want.rule, want.users, f.State, want.state, f.Sentence)
		}
	}
	limit := c.Curves[0].AdmissionLimit
	if limit == nil || math.Abs(limit.Value/85-1) > 0.05 {
		t.Errorf("the admission limit is %v, want 85 within 5 %%", limit)
	}
	for i, r := range llama70 {
		ratio := c.Curves[0].Levels[i].Points[0].IdentityRatio
		if math.Abs(ratio-1) > 0.0055 { // printed as 0.995
			t.Errorf("at c=%d the throughput is %.4f of the identity's, want 1 within 0.5 %%", r.users, ratio)
		}
		if f := of(t, findings, "I08", r.users); f.State != instinct.Silent {
			t.Errorf("I08 at c=%d is %s: %s", r.users, f.State, f.Sentence)
		}
	}
}
