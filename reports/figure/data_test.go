package figure_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// published is a row of a published table.
type published struct {
	c                       int
	ttft, itl, tokensPerSec float64 // ms, ms, tok/s
}

// nim70B is Llama-3.3-70B on two H100 (FP8, 5000/500): NVIDIA NIM 1.8.0's own
// benchmark table. The server decodes about 85 requests at once, and the wait
// grows from 0.4 s to 88 s.
var nim70B = [...]published{
	{1, 406.77, 18.58, 51.67}, {5, 546.7, 21.83, 218.48}, {25, 688.69, 38.75, 623.4}, {50, 834.51, 59.73, 814.37},
	{100, 7996.25, 92.91, 917.26}, {150, 34794.22, 92.86, 920.9}, {200, 61680.22, 93.06, 920.54}, {250, 88605.32, 93.2, 920.12},
}

// dli8B is Llama-3-8B on one H100 (FP16, 200/1000): NVIDIA DLI's sizing sweep.
var dli8B = [...]published{
	{1, 13.3, 7.38, 135}, {2, 19.3, 7.57, 264}, {5, 32.2, 8.08, 617}, {10, 47, 8.49, 1173}, {25, 107.6, 9.41, 2628},
	{50, 174.5, 11.60, 4245}, {100, 312.7, 15.50, 6324}, {150, 426, 19.89, 7378}, {200, 650, 24.21, 8041}, {250, 864, 28.99, 8364},
}

// curveOf makes a curve of a table as three repeats would have measured it. The
// tables have means only: their spread is made up, and wider in the tail.
func curveOf(title, label string, rows []published, speed float64) analysis.Curve {
	c := analysis.Curve{Title: title, Label: label}
	for i, r := range rows {
		estimate := func(v, spread float64) analysis.Estimate {
			spread *= 1 + 0.4*math.Sin(float64(3*i)) // no two levels alike
			return analysis.Estimate{Value: v, Low: v * (1 - spread), High: v * (1 + 1.3*spread), N: 120, Repeats: 3}
		}
		l := analysis.Level{Load: experiment.Load{Concurrency: r.c}}
		for range 3 {
			l.Points = append(l.Points, analysis.PointSummary{OK: 40})
		}
		l.TTFTP50, l.TTFTP95, l.TTFTP99 = estimate(r.ttft/speed, 0.03), estimate(1.35*r.ttft/speed, 0.07), estimate(1.8*r.ttft/speed, 0.15)
		l.TPOTP50, l.TPOTP95, l.TPOTP99 = estimate(r.itl/speed, 0.01), estimate(1.08*r.itl/speed, 0.02), estimate(1.25*r.itl/speed, 0.05)
		l.OutputThroughput, l.Interactivity = estimate(r.tokensPerSec*speed, 0.02), estimate(1000/r.itl*speed, 0.02)
		c.Levels = append(c.Levels, l)
	}
	return c
}

// saturated is the 70B table as a curve with its landmarks.
func saturated() analysis.Curve {
	c := curveOf("exp-7 nim-70b", "llama-3.3-70b · nim 1.8.0 · 2× h100-sxm", nim70B[:], 1)
	c.Knee = &analysis.Landmark{Load: experiment.Load{Concurrency: 50}, Level: 50, Value: 814.37,
		Because: "from c=50 to c=100 a user brings 2.1 tok/s, under half of the 51.7 at c=1."}
	c.Plateau = &analysis.Landmark{Load: experiment.Load{Concurrency: 100}, Level: 100, Value: 917.26,
		Because: "from c=100 to c=150 load rises by 50 % and throughput by 0.4 %."}
	c.AdmissionLimit = &analysis.Landmark{Load: experiment.Load{Concurrency: 100}, Level: 100, Value: 85.5,
		Because: "output throughput × TPOT stays at 85.2 to 85.8 from c=100 on."}
	return c
}

// explained is a curve of which the line of TPOT and the machine are known: two H100 and a model of
// 70 billion parameters in 8 bits.
func explained(c analysis.Curve) analysis.Curve {
	c.GPUs = 2
	for i := range c.Levels {
		l := &c.Levels[i]
		l.BRun.Value = l.OutputThroughput.Value / l.Interactivity.Value
		for j := range l.Points {
			l.Points[j].MeanPrompt, l.Points[j].MeanOutput = 5000, 500
		}
	}
	c.Fit = &analysis.LineFit{Alpha: 17.69, AlphaLow: 17.5, AlphaHigh: 17.89, Beta: 0.841, BetaLow: 0.834, BetaHigh: 0.848,
		R2: 1, N: 4, From: 1, To: 50, Mean: 20.25}
	c.Explain(&analysis.Machine{GPU: "h100-sxm", GPUs: 2, Bandwidth: 6.7e12, Peak: 3958e12, Memory: 160e9, Model: "llama-3.1-70b", Parameters: 70.6e9, Active: 69.5e9,
		WeightBytes: 72.7e9, ActiveBytes: 70.6e9, KVPerToken: 163840, MemoryShare: 0.9})
	return c
}

// simulated is the 8B table as a simulated curve.
func simulated(title, gpu string, speed float64) analysis.Curve {
	return curveOf(title, "llama-3.1-8b · vllm-like · "+gpu+" · SIMULATED", dli8B[:], speed)
}

// requests makes the samples of a closed loop: each worker sends its next
// request when its last has ended; waits are longer while many wait. Some are
// told apart by the server, and a few fail.
func requests(n, workers int, server bool) ([]experiment.Sample, experiment.Window) {
	r := rand.New(rand.NewPCG(1, 2))
	const ms = experiment.Instant(1e6)
	free := make([]experiment.Instant, workers)
	for w := range free {
		free[w] = experiment.Instant(w) * 35 * ms
	}
	var samples []experiment.Sample
	window := experiment.Window{Start: experiment.Never}
	for seq := range n {
		w := 0
		for i := range free {
			if free[i] < free[w] {
				w = i
			}
		}
		s := experiment.NewSample(seq)
		s.Worker, s.Sent, s.Outcome = w, free[w], experiment.OK
		queue := experiment.Instant(r.Float64()*40*float64(workers)) * ms
		fill := experiment.Instant(40+r.Float64()*30) * ms
		s.FirstContent = s.Sent + queue + fill + 2*ms
		s.LastContent = s.FirstContent + experiment.Instant(500+r.Float64()*300)*ms
		s.End = s.LastContent + ms
		if server {
			s.Server = fmt.Sprintf(`{"queue_ns":%d,"prefill_ns":%d}`, queue, fill)
		}
		if seq < workers {
			s.Phase = experiment.Warmup
		} else if !window.Start.Happened() {
			window.Start = s.Sent
		}
		switch seq % 23 {
		case 9: // refused at once
			s.Outcome, s.FirstContent, s.LastContent, s.End = experiment.HTTPError, experiment.Never, experiment.Never, s.Sent+120*ms
		case 17: // cut in the middle
			s.Outcome, s.LastContent, s.End = experiment.Truncated, s.FirstContent+90*ms, s.FirstContent+90*ms
		}
		free[w] = s.End + ms
		window.SendEnd, window.End = s.Sent+ms, max(window.End, s.End)
		samples = append(samples, s)
	}
	return samples, window
}

// waits makes n latencies around a median, with a long tail.
func waits(seed uint64, n int, median, sigma float64) []float64 {
	r := rand.New(rand.NewPCG(seed, 0))
	vs := make([]float64, n)
	for i := range vs {
		vs[i] = median * math.Exp(sigma*r.NormFloat64())
	}
	return vs
}
