package analysis

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

func testPrice(usd float64) *experiment.Price {
	return &experiment.Price{
		ID: "01PRICE", Hardware: "h100-sxm", USDHour: usd, Date: time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC), Source: "a quote",
		Created: time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC),
	}
}

// flatCurve is a curve of one level, c=8, with these throughputs and no interval.
func flatCurve(output, total, requests float64) Curve {
	nan := math.NaN()
	est := func(v float64) Estimate { return Estimate{Value: v, Low: nan, High: nan, N: 1000, Repeats: 6} }
	return Curve{
		Started: time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC), Hardware: "h100-sxm",
		Levels: []Level{{
			Load: experiment.Load{Concurrency: 8}, OutputThroughput: est(output), TotalThroughput: est(total), RequestRate: est(requests),
			TTFTP95: unknown(), TPOTP95: unknown(),
		}},
	}
}

var c8 = experiment.Load{Concurrency: 8}

func TestPublishedCosts(t *testing.T) {
	for _, tt := range []struct {
		name       string
		usd        float64
		gpus       int
		out, total float64
		wantOut    float64
		wantTotal  float64
		tolerance  float64 // relative
	}{
		{"InferenceX: DeepSeek-R1 FP4 on B200 at 50 tok/s/user", 1.95, 1, 967, 967, 0.560, 0.560, 0.005},
		{"70B FP8 on 2×H100, 1000/1000", 1.30, 2, 4205, 8410, 0.1718, 0.0859, 0.0005},
		{"8B FP8 on one H100", 1.30, 1, 15220, 30440, 0.02373, 0.02373 / 2, 0.0005},
		// MPT-7B on one A100-40, 512/64: requests a second × 64 tokens.
		{"batch 1", 1.29, 1, 0.9 * 64, 0.9 * 576, 6.22, 0.691, 0.005},
		{"batch 4", 1.29, 1, 3.2 * 64, 3.2 * 576, 1.75, 0.194, 0.005},
		{"batch 8", 1.29, 1, 5.3 * 64, 5.3 * 576, 1.06, 0.117, 0.005},
		{"batch 16", 1.29, 1, 8.0 * 64, 8.0 * 576, 0.70, 0.0778, 0.005},
		{"batch 32", 1.29, 1, 10.5 * 64, 10.5 * 576, 0.53, 0.0592, 0.007},
		{"batch 64", 1.29, 1, 12.5 * 64, 12.5 * 576, 0.45, 0.0498, 0.007},
	} {
		cost, err := CostOf(flatCurve(tt.out, tt.total, 1), c8, testPrice(tt.usd), tt.gpus, 1, 3)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(cost.OutputOnly.Value/tt.wantOut-1) > tt.tolerance || math.Abs(cost.Total.Value/tt.wantTotal-1) > tt.tolerance {
			t.Errorf("%s: %.5f output-only, %.5f total; want %v and %v", tt.name, cost.OutputOnly.Value, cost.Total.Value, tt.wantOut, tt.wantTotal)
		}
	}
}

func TestCostLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, low, high float64) float64 { return rapid.Float64Range(low, high).Draw(t, name) }
		out, in := draw("x_out", 0.1, 1e5), draw("x_in", 0, 1e6)
		usd, u, r := draw("USD/h", 0.01, 100), draw("u", 0.02, 1), draw("r", 0.01, 20)
		gpus := rapid.IntRange(1, 16).Draw(t, "GPUs")
		rate := draw("req/s", 0.01, 100)
		of := func(out, in, usd, u float64) Cost {
			c, err := CostOf(flatCurve(out, out+in, rate), c8, testPrice(usd), gpus, u, r)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		about := func(what string, got, want float64) {
			if math.Abs(got-want) > 1e-9*math.Abs(want) {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
		c := of(out, in, usd, u)
		if c.OutputOnly.Value < c.Total.Value {
			t.Errorf("output-only %v is less than total %v", c.OutputOnly.Value, c.Total.Value)
		}
		// What the tokens of an hour are charged is what the busy hour costs.
		perSecond := (c.AllocatedInput.Value*in + c.AllocatedOutput.Value*out) / 1e6
		about("the allocated costs recombine to the bill", perSecond*3600*u, usd*float64(gpus))
		about("an output token is charged r input tokens", c.AllocatedOutput.Value, r*c.AllocatedInput.Value)
		about("thousand requests", c.PerThousandRequests.Value*rate*3.6*u, usd*float64(gpus))
		for i, pick := range []func(Cost) float64{
			func(c Cost) float64 { return c.OutputOnly.Value }, func(c Cost) float64 { return c.Total.Value },
			func(c Cost) float64 { return c.AllocatedInput.Value }, func(c Cost) float64 { return c.AllocatedOutput.Value },
		} {
			about("twice the price is twice the cost", pick(of(out, in, 2*usd, u)), 2*pick(c))
			about("half the utilisation is twice the cost", pick(of(out, in, usd, u/2)), 2*pick(c))
			about("twice the throughput is half the cost", pick(of(2*out, 2*in, usd, u)), pick(c)/2)
			if v := pick(c); !(v > 0) || math.IsInf(v, 0) {
				t.Errorf("cost %d is %v", i, v)
			}
		}
	})
}

// The interval comes from the throughput's, the other way round.
func TestCostInterval(t *testing.T) {
	inf := math.Inf(1)
	c := flatCurve(1000, 5000, 10)
	l := &c.Levels[0]
	l.OutputThroughput.Low, l.OutputThroughput.High = 800, 1250
	l.TotalThroughput.Low, l.TotalThroughput.High = 4000, inf
	l.RequestRate.Low, l.RequestRate.High = -inf, inf
	cost, err := CostOf(c, c8, testPrice(3.6), 1, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "output-only", cost.OutputOnly.Value, 1)
	near(t, "its lower bound", cost.OutputOnly.Low, 0.8)
	near(t, "its upper bound", cost.OutputOnly.High, 1.25)
	near(t, "total", cost.Total.Value, 0.2)
	near(t, "its upper bound", cost.Total.High, 0.25)
	if !math.IsInf(cost.Total.Low, -1) || !math.IsInf(cost.AllocatedInput.Low, -1) || !math.IsInf(cost.AllocatedOutput.Low, -1) {
		t.Errorf("a throughput without an upper bound gives a cost with the lower bound %v", cost.Total.Low)
	}
	near(t, "upper bound of the allocated output", cost.AllocatedOutput.High, cost.AllocatedOutput.Value*1.25)
	if cost.PerThousandRequests.Low != -inf || cost.PerThousandRequests.High != inf {
		t.Errorf("one repeat gives %+v", cost.PerThousandRequests)
	}
}

func TestCostErrors(t *testing.T) {
	change := func(f func(*experiment.Price)) *experiment.Price {
		p := testPrice(2)
		f(p)
		return p
	}
	ok := testPrice(2)
	for _, tt := range []struct {
		name     string
		curve    Curve
		at       experiment.Load
		price    *experiment.Price
		gpus     int
		u, ratio float64
		want     string
	}{
		{"no price", flatCurve(1, 2, 1), c8, nil, 1, 1, 3, "no price is known"},
		{"a price of 0", flatCurve(1, 2, 1), c8, testPrice(0), 1, 1, 3, "0 USD an hour"},
		{"a negative price", flatCurve(1, 2, 1), c8, testPrice(-1), 1, 1, 3, "-1 USD an hour"},
		{"no price that is a number", flatCurve(1, 2, 1), c8, testPrice(math.NaN()), 1, 1, 3, "NaN USD an hour"},
		{"no date", flatCurve(1, 2, 1), c8, change(func(p *experiment.Price) { p.Date = time.Time{} }), 1, 1, 3, "no date"},
		{"no source", flatCurve(1, 2, 1), c8, change(func(p *experiment.Price) { p.Source = "" }), 1, 1, 3, "no source"},
		{"no GPU", flatCurve(1, 2, 1), c8, ok, 0, 1, 3, "number of GPUs"},
		{"never used", flatCurve(1, 2, 1), c8, ok, 1, 0, 3, "utilisation is 0"},
		{"used more than always", flatCurve(1, 2, 1), c8, ok, 1, 1.01, 3, "utilisation is 1.01"},
		{"utilisation is no number", flatCurve(1, 2, 1), c8, ok, 1, math.NaN(), 3, "utilisation is NaN"},
		{"free output", flatCurve(1, 2, 1), c8, ok, 1, 1, 0, "price ratio is 0"},
		{"no such level", flatCurve(1, 2, 1), experiment.Load{Concurrency: 9}, ok, 1, 1, 3, "no level c=9"},
		{"no output", flatCurve(0, 2, 1), c8, ok, 1, 1, 3, "no output throughput"},
		{"unknown output", flatCurve(math.NaN(), 2, 1), c8, ok, 1, 1, 3, "no output throughput"},
	} {
		_, err := CostOf(tt.curve, tt.at, tt.price, tt.gpus, tt.u, tt.ratio)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: the error is %v, want %q in it", tt.name, err, tt.want)
		}
	}
	if _, err := Costs(flatCurve(1, 2, 1), nil, 1, 1, 3); err == nil {
		t.Error("Costs without a price gives no error")
	}
}

func TestCosts(t *testing.T) {
	c := nimCurve(t)
	c.Levels = append(c.Levels, newLevel([]PointSummary{collect(point(300, 1000), failed(0, 10, experiment.Timeout))}, nil))
	costs, err := Costs(c, testPrice(2), 2, 0.5, 3)
	if err != nil {
		t.Fatal(err)
	}
	if len(costs) != len(c.Levels) {
		t.Fatalf("%d costs of %d levels", len(costs), len(c.Levels))
	}
	one, err := CostOf(c, experiment.Load{Concurrency: 50}, testPrice(2), 2, 0.5, 3)
	if diff := cmp.Diff(one, costs[3], same); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if one.USDPerHour != 4 || one.MeanPrompt != 5000 || one.MeanOutput != 500 || one.TTFTP95.Value != 834.51 || !one.AsOf.Equal(testPrice(2).Date) {
		t.Errorf("%+v", one)
	}
	last := costs[len(costs)-1]
	if last.OutputOnly.Known() || last.Total.Known() || last.PerThousandRequests.Known() || last.AllocatedOutput.Known() {
		t.Errorf("a level without output costs %+v", last)
	}
}

func TestCostWarnings(t *testing.T) {
	ordinary := func() (Curve, *experiment.Price) { return flatCurve(1000, 5000, 10), testPrice(2) }
	for _, tt := range []struct {
		name   string
		change func(*Curve, *experiment.Price)
		want   []string
	}{
		{"nothing", func(*Curve, *experiment.Price) {}, nil},
		{"simulated", func(c *Curve, _ *experiment.Price) { c.Simulated = true },
			[]string{"The throughput is that of the simulated engine, so this is no cost of real hardware."}},
		{"90 days are not too old", func(c *Curve, p *experiment.Price) { p.Date = c.Started.AddDate(0, 0, -90) }, nil},
		{"91 are", func(c *Curve, p *experiment.Price) { p.Date = c.Started.AddDate(0, 0, -91) },
			[]string{"The price of 2026-06-02 is 91 days older than the run of 2026-09-01; it moves within months."}},
		{"a later price for an old run", func(c *Curve, p *experiment.Price) { p.Date = c.Started.AddDate(1, 0, 0) },
			[]string{"The price of 2027-09-01 is 365 days younger than the run of 2026-09-01; it moves within months."}},
		{"other hardware", func(c *Curve, _ *experiment.Price) { c.Hardware = "l4" },
			[]string{"The price is for h100-sxm, and the run was on l4."}},
		{"hardware unknown", func(c *Curve, _ *experiment.Price) { c.Hardware = "" }, nil},
		{"errors", func(c *Curve, _ *experiment.Price) { c.Levels[0].ErrorRate = 0.04 },
			[]string{"4 % of the requests failed: they cost time and bring no tokens."}},
		{"one repeat", func(c *Curve, _ *experiment.Price) { c.Levels[0].OutputThroughput.Repeats = 1 },
			[]string{"One repeat: how far another run would be from it is not known."}},
		{"past the plateau", func(c *Curve, _ *experiment.Price) { c.Plateau = &Landmark{Load: experiment.Load{Concurrency: 4}} },
			[]string{"This level is past the plateau at c=4: the same money buys longer waits."}},
		{"at the plateau", func(c *Curve, _ *experiment.Price) { c.Plateau = &Landmark{Load: experiment.Load{Concurrency: 8}} }, nil},
		{"prompts not counted", func(c *Curve, _ *experiment.Price) { c.Levels[0].TotalThroughput.Value = math.NaN() },
			[]string{"Prompt tokens were not counted, so only the output-only cost is known."}},
	} {
		c, p := ordinary()
		tt.change(&c, p)
		cost, err := CostOf(c, c8, p, 1, 0.5, 3)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, cost.Warnings); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

// The range over repeats turns round with the throughput, as the interval does.
func TestCostRange(t *testing.T) {
	rate := Estimate{Value: 500, Low: math.Inf(-1), High: math.Inf(1), Min: 400, Max: 800, Repeats: 3}
	least, most, ok := times(over(1000, rate), 2).Spread()
	if !ok || least != 2.5 || most != 5 {
		t.Errorf("%v to %v, %v; want 2.5 to 5", least, most, ok)
	}
}
