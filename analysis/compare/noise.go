package compare

import (
	"encoding/json"
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/inferbook/inferbook/analysis/interval"
	"github.com/inferbook/inferbook/experiment"
)

// Noise is how far runs of one configuration lie apart in one figure, at one load.
type Noise struct {
	Load   experiment.Load
	Figure Figure
	// A and B are the values of the runs on each side, in the order of the runs.
	A, B []float64
	// Mean is their geometric mean, and Spread the standard deviation of their logarithms,
	// which is the coefficient of variation where it is small.
	Mean, Spread float64
	// Floor is the share by which two single runs of the configuration differ at most, with
	// 95 % confidence: e^(t·s·√2) − 1, with the spread s and the 97.5 % quantile t of
	// Student's distribution with one degree of freedom less than there are runs.
	Floor float64
	// Ratio is B ÷ A: sides that differ by nothing.
	Ratio interval.Ratio
}

// MarshalJSON writes the figure by its name.
func (n Noise) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Load   experiment.Load `json:"load"`
		Metric string          `json:"metric"`
		A      []float64       `json:"a"`
		B      []float64       `json:"b"`
		Mean   float64         `json:"mean"`
		Spread float64         `json:"spread"`
		Floor  float64         `json:"floor"`
		Ratio  interval.Ratio  `json:"ratio"`
	}{n.Load, n.Figure.String(), n.A, n.B, n.Mean, n.Spread, n.Floor, n.Ratio})
}

// NewNoise finds the noise of a figure from the same load of several runs a side. It
// reports false where a run has no such figure, or one that is not above 0, or
// where there are fewer than two runs.
func NewNoise(f Figure, a, b []Level) (Noise, bool) {
	n := Noise{Figure: f}
	var logs []float64
	for _, side := range []struct {
		levels []Level
		to     *[]float64
	}{{a, &n.A}, {b, &n.B}} {
		for _, l := range side.levels {
			v := median(f.Values(l))
			if !(v > 0) {
				return n, false
			}
			n.Load = l.Load
			*side.to, logs = append(*side.to, v), append(logs, math.Log(v))
		}
	}
	if len(logs) < 2 {
		return n, false
	}
	mean, sd := stat.MeanStdDev(logs, nil)
	t := distuv.StudentsT{Sigma: 1, Nu: float64(len(logs) - 1)}.Quantile(0.975)
	n.Mean, n.Spread, n.Floor = math.Exp(mean), sd, math.Expm1(t*sd*math.Sqrt2)
	n.Ratio = interval.RepeatsRatio(n.A, n.B)
	return n, true
}

// NoiseFigures are the figures that a floor is found for: whatever is compared, at every quantile.
func NoiseFigures() []Figure {
	var out []Figure
	for _, name := range []string{"ttft", "tpot", "e2e", "icl", "ttft_sched", "e2e_sched"} {
		for _, of := range []string{".p50", ".p90", ".p95", ".p99", ".mean"} {
			out = append(out, mustFigure(name+of))
		}
	}
	for _, name := range []string{"output_throughput", "total_throughput", "request_rate", "goodput", "interactivity"} {
		out = append(out, mustFigure(name))
	}
	return out
}

// mustFigure reads a name that is a constant, which a test reads too.
func mustFigure(name string) Figure {
	f, err := ParseFigure(name)
	if err != nil {
		panic(err)
	}
	return f
}
