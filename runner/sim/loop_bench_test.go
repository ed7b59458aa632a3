package sim

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

// The lengths of the Azure conversation trace of 2023 at these levels, with
// straight lines between.
var (
	azureLevels  = []float64{0, .01, .05, .1, .2, .3, .4, .5, .6, .7, .8, .9, .95, .99, 1}
	azurePrompts = []float64{2, 29, 181, 207, 387, 403, 703, 1020, 1071, 1130, 1315, 2734, 4083, 4142, 14050}
	azureAnswers = []float64{7, 16, 41, 54, 77, 91, 103, 129, 177, 384, 400, 424, 451, 601, 1000}
)

func quantile(values []float64, p float64) int {
	i := 1
	for i < len(azureLevels)-1 && azureLevels[i] < p {
		i++
	}
	share := (p - azureLevels[i-1]) / (azureLevels[i] - azureLevels[i-1])
	return int(values[i-1] + share*(values[i]-values[i-1]))
}

// How many requests a second of wall time are simulated, on one core: planning
// runs thousands of loads.
func BenchmarkRequestsPerSecond(b *testing.B) {
	for _, c := range []struct {
		name     string
		times    bool // of every token
		replicas int
		rate     float64
		leaves   time.Duration // after which a client has lost its patience; 0 = never
	}{
		{"planning", false, 1, 8, 0},
		{"token-times", true, 1, 8, 0},
		{"overload", false, 1, 40, 0}, // nearly all of them wait
		{"impatient", false, 1, 40, 30 * time.Second},
		{"four-replicas", false, 4, 32, 0},
	} {
		d := resolve(b, Config{GPU: "h100-sxm", Count: 4, Model: "llama-3.1-70b", Precision: "fp8", Replicas: c.replicas, Router: LeastOutstanding})
		b.Run(c.name, func(b *testing.B) {
			n, steps := 0, 0
			for b.Loop() {
				l := azureLoad(b, d, 20000, c.rate, c.leaves)
				l.TokenTimes(c.times)
				if err := l.Run(func(Truth) { n++ }); err != nil {
					b.Fatal(err)
				}
				steps += l.Usage().Steps
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "req/s")
			b.ReportMetric(float64(steps)/float64(n), "steps/req")
		})
	}
}

// azureLoad is a loop to which n requests will come at a rate a second, as a Poisson
// process.
func azureLoad(b *testing.B, d Deployment, n int, rate float64, leaves time.Duration) *Loop {
	rng := rand.New(rand.NewPCG(1, 2))
	l := NewLoop(d, 1, 0)
	at, sent := 0.0, 0
	var send func()
	send = func() {
		r := Request{
			ID: strconv.Itoa(sent), Arrive: l.Now(),
			PromptTokens: quantile(azurePrompts, rng.Float64()), OutputTokens: quantile(azureAnswers, rng.Float64()),
		}
		r.MaxTokens = r.OutputTokens
		if err := l.Submit(r); err != nil {
			b.Fatal(err)
		}
		if leaves > 0 {
			l.CancelAt(r.ID, r.Arrive+leaves)
		}
		if sent++; sent < n {
			at += rng.ExpFloat64() / rate
			l.At(time.Duration(at*float64(time.Second)), send)
		}
	}
	l.At(0, send)
	return l
}
