package analysis

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/inferbook/inferbook/analysis/sentence"
	"github.com/inferbook/inferbook/experiment"
)

// Cost is what a level of a curve costs per million tokens, with every
// assumption beside it.
type Cost struct {
	Level       experiment.Load  `json:"level"`
	Price       experiment.Price `json:"price"`
	GPUs        int              `json:"gpus"`
	Utilisation float64          `json:"utilisation"` // share of paid hours spent at this load, 0–1

	USDPerHour float64 `json:"usd_per_hour"` // price × GPUs
	// Each estimate is in USD per million tokens; its interval comes from the
	// throughput's.
	OutputOnly Estimate `json:"usd_per_mtok_output"` // all of the money charged to output tokens
	Total      Estimate `json:"usd_per_mtok_total"`  // the money spread over prompt and output tokens alike
	// AllocatedInput and AllocatedOutput recombine to the bill: output tokens are
	// charged PriceRatio times an input token.
	AllocatedInput      Estimate `json:"usd_per_mtok_allocated_input"`
	AllocatedOutput     Estimate `json:"usd_per_mtok_allocated_output"`
	PriceRatio          float64  `json:"price_ratio"`
	PerThousandRequests Estimate `json:"usd_per_1k_requests"` // USD

	MeanPrompt float64   `json:"mean_prompt_tokens"`
	MeanOutput float64   `json:"mean_output_tokens"`
	TTFTP95    Estimate  `json:"ttft_p95_ms"` // the service that this money buys
	TPOTP95    Estimate  `json:"tpot_p95_ms"`
	ErrorRate  float64   `json:"error_rate"`
	AsOf       time.Time `json:"as_of"` // the price's date
	Warnings   []string  `json:"warnings"`
}

// MarshalJSON writes what is not known as null.
func (c Cost) MarshalJSON() ([]byte, error) { return marshalFinite(c) }

// UnmarshalJSON reads what [Cost.MarshalJSON] wrote.
func (c *Cost) UnmarshalJSON(data []byte) error {
	type plain Cost
	return unmarshalFinite(data, (*plain)(c))
}

// stalePrice is the age at which a price is no longer one of its time.
const stalePrice = 90 * 24 * time.Hour

// CostOf prices one level of a curve, with H = price × gpus in USD per hour, u =
// utilisation (over 0, up to 1), and throughputs x in tok/s:
//
//	output-only  H·10⁶ ÷ (3600·u·x_out)
//	total        H·10⁶ ÷ (3600·u·(x_in + x_out))
//	allocated    p_in = H·10⁶ ÷ (3600·u·(x_in + r·x_out)),  p_out = r·p_in
//	1k requests  H·10³ ÷ (3600·u·request rate)
//
// r is priceRatio, over 0: what an output token is charged in input tokens, a
// convention (NVIDIA's example takes 3) under which p_in·x_in + p_out·x_out is the
// bill. Failed requests burn time and bring no token. The formulas are those of
// NVIDIA's post on inference cost and of InferenceMAX.
//
// A missing or invalid price is an error, never a cost of 0; so are gpus < 1, a
// utilisation or ratio out of range, a level that the curve does not have, and
// one without output throughput.
func CostOf(c Curve, at experiment.Load, p *experiment.Price, gpus int, utilisation, priceRatio float64) (Cost, error) {
	if err := checkAssumptions(p, gpus, utilisation, priceRatio); err != nil {
		return Cost{}, err
	}
	l, ok := c.Level(at)
	if !ok {
		return Cost{}, fmt.Errorf("the curve has no level %s", at)
	}
	if !(l.OutputThroughput.Value > 0) {
		return Cost{}, fmt.Errorf("level %s has no output throughput, so a token of it has no cost", at)
	}
	return newCost(&c, l, *p, gpus, utilisation, priceRatio), nil
}

// Costs prices every level of a curve as [CostOf] does, in the curve's order. A
// level without output throughput has costs that are NaN, and a warning.
func Costs(c Curve, p *experiment.Price, gpus int, utilisation, priceRatio float64) ([]Cost, error) {
	if err := checkAssumptions(p, gpus, utilisation, priceRatio); err != nil {
		return nil, err
	}
	out := make([]Cost, len(c.Levels))
	for i := range c.Levels {
		out[i] = newCost(&c, &c.Levels[i], *p, gpus, utilisation, priceRatio)
	}
	return out, nil
}

func checkAssumptions(p *experiment.Price, gpus int, utilisation, priceRatio float64) error {
	switch {
	case p == nil:
		return errors.New("no price is known for this hardware, and an unknown price is not 0")
	case !(p.USDHour > 0) || !finite(p.USDHour):
		return fmt.Errorf("the price of %s is %g USD an hour; it must be a number above 0", p.Hardware, p.USDHour)
	case p.Date.IsZero():
		return fmt.Errorf("the price of %s has no date", p.Hardware)
	case p.Source == "":
		return fmt.Errorf("the price of %s has no source", p.Hardware)
	case gpus < 1:
		return fmt.Errorf("the number of GPUs is %d; it must be 1 or more", gpus)
	case !(utilisation > 0 && utilisation <= 1):
		return fmt.Errorf("the utilisation is %g; it must be above 0 and at most 1", utilisation)
	case !(priceRatio > 0) || !finite(priceRatio):
		return fmt.Errorf("the price ratio is %g; it must be a number above 0", priceRatio)
	}
	return nil
}

func newCost(c *Curve, l *Level, p experiment.Price, gpus int, utilisation, priceRatio float64) Cost {
	hour := p.USDHour * float64(gpus)
	million := hour * 1e6 / (3600 * utilisation) // divided by tok/s, USD per million tokens
	out, both := l.OutputThroughput, l.TotalThroughput
	input := over(million, weighted(both, out, priceRatio-1))
	cost := Cost{
		Level: l.Load, Price: p, GPUs: gpus, Utilisation: utilisation, USDPerHour: hour, PriceRatio: priceRatio,
		OutputOnly: over(million, out), Total: over(million, both),
		AllocatedInput: input, AllocatedOutput: times(input, priceRatio),
		PerThousandRequests: over(million/1e3, l.RequestRate),
		MeanPrompt:          meanOver(l.Points, func(s *PointSummary) float64 { return s.MeanPrompt }),
		MeanOutput:          meanOver(l.Points, func(s *PointSummary) float64 { return s.MeanOutput }),
		TTFTP95:             l.TTFTP95, TPOTP95: l.TPOTP95, ErrorRate: l.ErrorRate, AsOf: p.Date,
	}
	cost.Warnings = costWarnings(c, l, &p, gpus)
	return cost
}

// over gives money ÷ throughput. The interval turns round: a high throughput is
// a low cost. A side that the throughput cannot support stays unsupported.
func over(money float64, throughput Estimate) Estimate {
	e := throughput
	e.Value = ratio(money, throughput.Value)
	if e.Value < 0 || !e.Known() {
		e = unknown()
		e.N, e.Repeats, e.Warnings = throughput.N, throughput.Repeats, throughput.Warnings
		return e
	}
	e.Min, e.Max = ratio(money, throughput.Max), ratio(money, throughput.Min)
	if math.IsNaN(throughput.Low) && math.IsNaN(throughput.High) {
		return e
	}
	e.Low, e.High = math.Inf(-1), math.Inf(1)
	if finite(throughput.High) {
		e.Low = money / throughput.High
	}
	if finite(throughput.Low) && throughput.Low > 0 {
		e.High = money / throughput.Low
	}
	return e
}

// weighted gives the total throughput with weight more of the output in it: with
// r−1 it is x_in + r·x_out. A level's prompts and answers keep their lengths, so
// its interval is the total's, in proportion.
func weighted(both, out Estimate, weight float64) Estimate {
	e := both
	e.Value = both.Value + weight*out.Value
	scale := e.Value / both.Value
	e.Low, e.High = both.Low*scale, both.High*scale
	e.Min, e.Max = both.Min*scale, both.Max*scale
	return e
}

func times(e Estimate, factor float64) Estimate {
	e.Value, e.Low, e.High = e.Value*factor, e.Low*factor, e.High*factor
	e.Min, e.Max = e.Min*factor, e.Max*factor
	return e
}

// meanOver gives the mean over repeats of what a point has; NaN where none has it.
func meanOver(points []PointSummary, of func(*PointSummary) float64) float64 {
	var values []float64
	for i := range points {
		if v := of(&points[i]); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	return mean(values)
}

// costWarnings says what makes the figure less than it seems.
func costWarnings(c *Curve, l *Level, p *experiment.Price, gpus int) []string {
	var out []string
	say := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	if c.Simulated {
		say("The throughput is that of the simulated engine, so this is no cost of real hardware.%s", c.calibration())
	}
	if c.TimeScale != "" {
		say("The engine's clock was %s, and its tokens came that much faster: as a cost this figure is wrong by that factor.", c.TimeScale)
	}
	if !(l.OutputThroughput.Value > 0) {
		say("The level %s has no output throughput, so a token of it has no cost.", l.Load)
	} else if !l.TotalThroughput.Known() {
		say("Prompt tokens were not counted, so only the output-only cost is known.")
	}
	if age := c.Started.Sub(p.Date); !c.Started.IsZero() && age.Abs() > stalePrice {
		way := "older"
		if age < 0 {
			way = "younger"
		}
		say("The price of %s is %d days %s than the run of %s; it moves within months.",
			p.Date.Format(time.DateOnly), int(age.Abs().Hours()/24), way, c.Started.Format(time.DateOnly))
	}
	if c.Hardware != "" && p.Hardware != c.Hardware {
		say("The price is for %s, and the run was on %s.", p.Hardware, c.Hardware)
	}
	// A fleet's bill over one server's throughput is the classic slip: the servers must cancel.
	if c.GPUs > 0 && gpus != c.GPUs {
		say("The bill is for %s and the throughput is that of %d: this is %s times what the tokens of %s cost. What stands idle is said with the utilisation.",
			sentence.Plural(gpus, "GPU"), c.GPUs, sentence.Short(float64(gpus)/float64(c.GPUs)), sentence.Plural(c.GPUs, "GPU"))
	}
	if l.ErrorRate > errorBar {
		say("%s of the requests failed: they cost time and bring no tokens.", sentence.Percent(l.ErrorRate))
	}
	if w := repeatWarning(l.OutputThroughput.Repeats); w != "" && l.OutputThroughput.Repeats > 0 {
		say("%s", w)
	}
	if c.Plateau != nil && closed(l.Load) && l.Load.Concurrency > c.Plateau.Load.Concurrency {
		say("This level is past the plateau at %s: the same money buys longer waits.", c.Plateau.Load)
	}
	if l.Oversaturated {
		say("Requests pile up at %s: this is the cost of a server that is never idle and serves nobody in time.", l.Load)
	} else if l.Load.Open() {
		say("At %s the server serves what arrives and may have had time to spare, which is paid for too.", l.Load)
	}
	if l.Ruling == Misses {
		say("The level %s misses the SLO.", l.Load)
	}
	return out
}
