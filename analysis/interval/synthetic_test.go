package interval_test

import (
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
)

// racing reports whether the test runs under the race detector.
func racing() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// draw is n values of a process whose truth is known.
type draw func(r *rand.Rand, n int) []float64

// autoregression has mean 10, and each value keeps phi of the one before it; it begins as it goes on.
func autoregression(phi float64) draw {
	return func(r *rand.Rand, n int) []float64 {
		out := make([]float64, n)
		x := r.NormFloat64() / math.Sqrt(1-phi*phi)
		for i := range out {
			out[i] = 10 + x
			x = phi*x + r.NormFloat64()
		}
		return out
	}
}

// waits are the waiting times of successive arrivals at one server (M/M/1) that serves one a second and is
// busy for a share load of the time, from a queue in its steady state: their mean is load ÷ (1 − load) seconds.
func waits(load float64) draw {
	return func(r *rand.Rand, n int) []float64 {
		out := make([]float64, n)
		wait := 0.0
		if r.Float64() < load {
			wait = r.ExpFloat64() / (1 - load)
		}
		for i := range out {
			out[i] = wait
			wait = max(0, wait+r.ExpFloat64()-r.ExpFloat64()/load)
		}
		return out
	}
}

// lognormal has the median 1, and σ for its logarithms.
func lognormal(sigma float64) draw {
	return func(r *rand.Rand, n int) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = math.Exp(sigma * r.NormFloat64())
		}
		return out
	}
}

// correlated makes a lognormal series out of an autoregression, of median 1 and σ = 0.5.
func correlated(phi float64) draw {
	return func(r *rand.Rand, n int) []float64 {
		out := autoregression(phi)(r, n)
		for i, x := range out {
			out[i] = math.Exp(0.5 * (x - 10) * math.Sqrt(1-phi*phi))
		}
		return out
	}
}

// swell is a lognormal series of median 1 and σ = 0.5, whose long swings are a tenth of its variance, under noise of
// the moment.
func swell(r *rand.Rand, n int) []float64 {
	out := autoregression(0.98)(r, n)
	for i, x := range out {
		out[i] = math.Exp(0.5 * (math.Sqrt(0.1*(1-0.98*0.98))*(x-10) + math.Sqrt(0.9)*r.NormFloat64()))
	}
	return out
}

// bins are the counts of a Poisson process, 10 a bin.
func bins(r *rand.Rand, n int) []float64 {
	out := make([]float64, n)
	for t := r.ExpFloat64() / 10; t < float64(n); t += r.ExpFloat64() / 10 {
		out[int(t)]++
	}
	return out
}

// times multiplies values.
func times(values []float64, factor float64) []float64 {
	for i := range values {
		values[i] *= factor
	}
	return values
}

func sorted(values []float64) []float64 {
	slices.Sort(values)
	return values
}
