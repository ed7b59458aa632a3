package analysis

import (
	"math"
	"slices"

	"github.com/inferbook/inferbook/experiment"
)

// workload watches whether the requests of a point were the ones asked for.
type workload struct {
	prompt, output tokens
	// asked compares the lengths asked for with the ones that came, over the
	// answers where both are known.
	asked struct {
		outputs, off  int // answers, and those whose length is off by more than lengthTolerance
		prompt, count int // prompt tokens asked for, and counted by the server
	}
	stops  int                          // answers that the model ended by itself
	cached struct{ prompt, cached int } // tokens of the requests of which the server told both
}

// lengthTolerance is how far an answer may be from its asked length, and how
// far the lengths of answers may spread, before two runs did different work.
const lengthTolerance = 0.05

// tokens sums a count over requests.
type tokens struct {
	n            int // requests with a count
	sum, squares float64
	values       []float64
}

func (t *tokens) add(count int) {
	if count == experiment.Unknown {
		return
	}
	t.n++
	t.sum += float64(count)
	t.squares += float64(count) * float64(count)
	t.values = append(t.values, float64(count))
}

// quantiles gives the median and the 95 % quantile; NaN for nothing.
func (t *tokens) quantiles() (p50, p95 float64) {
	if t.n == 0 {
		return math.NaN(), math.NaN()
	}
	slices.Sort(t.values)
	return interpolate(t.values, 0.50), interpolate(t.values, 0.95)
}

// total gives the sum and the mean of the counted ones. Of requests that nobody
// counted the sum is Unknown; of no requests it is 0.
func (t *tokens) total(requests int) (sum int, mean float64) {
	if t.n == 0 && requests > 0 {
		return experiment.Unknown, math.NaN()
	}
	return int(t.sum), ratio(t.sum, float64(t.n))
}

// variation is the coefficient of variation; NaN for nothing.
func (t *tokens) variation() float64 {
	n := float64(t.n)
	mean := ratio(t.sum, n)
	return ratio(math.Sqrt(max(0, t.squares/n-mean*mean)), mean)
}

func (w *workload) add(s *experiment.Sample) {
	output := outputTokens(s)
	w.prompt.add(s.PromptTokens)
	w.output.add(output)
	if s.Finish == "stop" {
		w.stops++
	}
	if s.PromptTokens != experiment.Unknown && s.CachedTokens != experiment.Unknown {
		w.cached.prompt += s.PromptTokens
		w.cached.cached += s.CachedTokens
	}
	if s.OutputAsked > 0 && output != experiment.Unknown {
		w.asked.outputs++
		if off := math.Abs(float64(output - s.OutputAsked)); off > lengthTolerance*float64(s.OutputAsked) {
			w.asked.off++
		}
	}
	if s.PromptAsked > 0 && s.PromptTokens != experiment.Unknown {
		w.asked.prompt += s.PromptAsked
		w.asked.count += s.PromptTokens
	}
}

// cacheShare is cached ÷ prompt tokens; NaN where no server told.
func (w *workload) cacheShare() float64 {
	return ratio(float64(w.cached.cached), float64(w.cached.prompt))
}
