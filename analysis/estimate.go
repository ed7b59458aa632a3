// Package analysis turns recorded samples into numbers that carry their
// warnings. It is pure: values in, values out, no I/O.
//
// It believes that
//
//   - a metric name is not a metric: each figure has a named, versioned
//     definition ([Metrics]), and the same samples under another definition are
//     another figure;
//   - a number never travels alone: an [Estimate] has its count, its interval,
//     and whole sentences on what it cannot support, and a side of an interval
//     that the count cannot support is infinite rather than made up;
//   - what is missing is NaN (null in JSON), never 0;
//   - requests are the unit of observation, and one that follows another is often like
//     it, as in a queue. The intervals of quantiles, means and rates within a run allow for
//     that, but for those of icl, which take the requests that gaps belong to for
//     independent. None knows how another run would differ, so a claim about that
//     needs repeats, and repeats are never pooled into one quantile;
//   - a closed-loop figure describes that loop at that concurrency.
package analysis

import (
	"encoding/json"
	"math"
)

// Estimate is a number that never travels alone: its count, its interval, and
// what must be said with it.
type Estimate struct {
	// Value is NaN where there is nothing to estimate from.
	Value float64
	// Low and High bound the 95 % interval. An infinite bound says that the
	// count cannot support that side; both NaN says that no interval was made.
	Low, High float64
	// Min and Max are the smallest and the largest repeat; NaN where Value is not
	// of several repeats.
	Min, Max float64
	// N is the number of observations behind Value.
	N int
	// Repeats is 0 for a within-run estimate, else the number of repeats whose
	// median Value is.
	Repeats int
	// Warnings are whole sentences.
	Warnings []string
}

// Known reports whether there is a value at all.
func (e Estimate) Known() bool { return !math.IsNaN(e.Value) }

// Bounded reports whether the count supports both sides of the interval.
func (e Estimate) Bounded() bool { return finite(e.Low) && finite(e.High) }

// Spread gives the range over repeats where that is all there is to show: of
// several repeats, too few for an interval between them.
func (e Estimate) Spread() (least, most float64, ok bool) {
	few := e.Repeats > 1 && math.IsInf(e.Low, 0) && math.IsInf(e.High, 0)
	return e.Min, e.Max, few && finite(e.Min) && finite(e.Max)
}

// single is the estimate of one value, with no interval and no range over repeats.
func single(value float64, n int) Estimate {
	nan := math.NaN()
	return Estimate{Value: value, Low: nan, High: nan, Min: nan, Max: nan, N: n}
}

// within is the estimate of one value with the interval that the run gives it.
func within(value, low, high float64, n int) Estimate {
	e := single(value, n)
	e.Low, e.High = low, high
	return e
}

// unknown is the estimate of what nobody observed.
func unknown() Estimate {
	return single(math.NaN(), 0)
}

// estimateJSON is the form of an estimate in JSON. A bound is null where it is
// infinite, and also where no interval was made; no_interval tells which. Min and
// max are there for several repeats only.
type estimateJSON struct {
	Value      *float64 `json:"value"`
	Low        *float64 `json:"low"`
	High       *float64 `json:"high"`
	Min        *float64 `json:"min,omitempty"`
	Max        *float64 `json:"max,omitempty"`
	N          int      `json:"n"`
	Repeats    int      `json:"repeats,omitempty"`
	NoInterval bool     `json:"no_interval,omitempty"`
	Warnings   []string `json:"warnings,omitempty"`
}

// MarshalJSON writes what is not finite as null.
func (e Estimate) MarshalJSON() ([]byte, error) {
	return json.Marshal(estimateJSON{
		Value: finiteOrNil(e.Value), Low: finiteOrNil(e.Low), High: finiteOrNil(e.High),
		Min: finiteOrNil(e.Min), Max: finiteOrNil(e.Max),
		N: e.N, Repeats: e.Repeats, NoInterval: math.IsNaN(e.Low) && math.IsNaN(e.High), Warnings: e.Warnings,
	})
}

// UnmarshalJSON reads what [Estimate.MarshalJSON] wrote.
func (e *Estimate) UnmarshalJSON(data []byte) error {
	var j estimateJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	low, high := math.Inf(-1), math.Inf(1)
	if j.NoInterval {
		low, high = math.NaN(), math.NaN()
	}
	*e = Estimate{
		Value: orElse(j.Value, math.NaN()), Low: orElse(j.Low, low), High: orElse(j.High, high),
		Min: orElse(j.Min, math.NaN()), Max: orElse(j.Max, math.NaN()),
		N: j.N, Repeats: j.Repeats, Warnings: j.Warnings,
	}
	return nil
}

// Distribution describes one metric over the measured, successful samples of a point.
// Its figures are in Unit. The intervals of its quantiles allow for requests that are alike because they
// follow each other, as far as 30 requests and more show it; see [interval.Quantile].
type Distribution struct {
	Metric string  `json:"metric"` // the metric's ID, such as "ttft@1"
	Unit   string  `json:"unit"`
	N      int     `json:"n"`
	Mean   float64 `json:"mean"`
	// MeanLow and MeanHigh bound the mean with 95 % confidence, of the values in the order in which the
	// requests were sent, see [interval.Mean]; NaN for fewer than that takes, and for icl.
	MeanLow  float64  `json:"mean_low"`
	MeanHigh float64  `json:"mean_high"`
	Min      float64  `json:"min"`
	Max      float64  `json:"max"`
	P50      Estimate `json:"p50"`
	P90      Estimate `json:"p90"`
	P95      Estimate `json:"p95"`
	P99      Estimate `json:"p99"`
}

// MarshalJSON writes what is not known as null.
func (d Distribution) MarshalJSON() ([]byte, error) { return marshalFinite(d) }

// UnmarshalJSON reads what [Distribution.MarshalJSON] wrote.
func (d *Distribution) UnmarshalJSON(data []byte) error {
	type plain Distribution
	return unmarshalFinite(data, (*plain)(d))
}
