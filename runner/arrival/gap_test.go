package arrival

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mathext"
	"pgregory.net/rapid"
)

// TestGammaQuantile puts quantiles back into the distribution function, from both ends.
func TestGammaQuantile(t *testing.T) {
	const n = 1000
	for _, cv := range []float64{0.0105, 0.02, 0.2, 0.5, 1, 1.09, 2, 3, 6, 13.15, 40, 100} {
		shape := 1 / (cv * cv)
		quantile := gamma(shape, n).quantile
		for i := range n {
			p := (float64(i) + 0.37) / n
			x := quantile(p, 1-p) * shape
			if x < 1e-300 { // the median of shape 0.0058 is 10⁻⁵², and its lowest percent below any float
				continue
			}
			got, rest := mathext.GammaIncReg(shape, x), mathext.GammaIncRegComp(shape, x)
			if math.Abs(got-p) > 1e-6*p || math.Abs(rest-(1-p)) > 1e-6*(1-p) {
				t.Fatalf("CV %g: the quantile %g is %g, below which lie %g", cv, p, x/shape, got)
			}
		}
	}
}

// TestGammaJoins compares the two ways to a quantile where the one takes over from the other.
func TestGammaJoins(t *testing.T) {
	table, cube := gamma(smooth, 1000), gamma(smooth*(1+1e-12), 1000)
	for i := range 999 {
		p := (float64(i) + 0.5) / 1000
		if a, b := table.quantile(p, 1-p), cube.quantile(p, 1-p); math.Abs(a-b) > 1e-6 {
			t.Errorf("quantile %g: %g and %g", p, a, b)
		}
	}
	if math.Abs(table.top-cube.top) > 1e-3 { // of a CV of 1e-2
		t.Errorf("top: %g and %g", table.top, cube.top)
	}
}

// TestTop holds the mean of the highest share against the mean of many quantiles in it.
func TestTop(t *testing.T) {
	const parts = 50_000
	for _, c := range []struct {
		name string
		law  func(n int) law
	}{
		{"exponential", exponential},
		{"gamma 0.2", func(n int) law { return gamma(25, n) }},
		{"gamma 3", func(n int) law { return gamma(1./9, n) }},
		{"gamma 13.15", func(n int) law { return gamma(1/13.15/13.15, n) }},
	} {
		for _, n := range []int{1, 2, 100, 10_000} {
			l, sum := c.law(n), 0.0
			for i := range parts {
				q := (float64(parts-i) - 0.5) / parts / float64(n)
				sum += l.quantile(1-q, q)
			}
			if got := sum / parts; math.Abs(got/l.top-1) > 2e-3 {
				t.Errorf("%s of %d: %g, want %g", c.name, n, l.top, got)
			}
		}
	}
}

// TestStratified is the law of the strata: sorted, and before scaling, the i-th gap lies in the i-th of n shares.
func TestStratified(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(t, "n")
		cv := rapid.Float64Range(1e-3, 100).Draw(t, "cv")
		sum := rapid.Float64Range(1e-3, 1e9).Draw(t, "sum")
		l := gamma(1/(cv*cv), n)
		gaps := stratified(l, n, sum, rapid.Uint64().Draw(t, "seed"))
		slices.Sort(gaps)
		total := 0.0
		for i, g := range gaps {
			if !(g >= 0) || math.IsInf(g, 0) {
				t.Fatalf("gap %d is %g", i, g)
			}
			total += g
		}
		if len(gaps) != n || math.Abs(total/sum-1) > 1e-9 {
			t.Fatalf("%d gaps of sum %g, want %d of %g", len(gaps), total, n, sum)
		}
		scale := gaps[n-1] / l.top
		for i := range n - 1 {
			low, high := 0.0, l.quantile(float64(i+1)/float64(n), float64(n-i-1)/float64(n))
			if i > 0 {
				low = l.quantile(float64(i)/float64(n), float64(n-i)/float64(n))
			}
			if g := gaps[i] / scale; g < low*(1-1e-5)-1e-12 || g > high*(1+1e-5)+1e-12 {
				t.Fatalf("gap %d is %g, outside %g to %g", i, g, low, high)
			}
		}
	})
}

// TestKolmogorov holds the marginal distribution to what n strata allow, one part in n
// and the scaling, where 10,000 independent draws would be off by one part in a hundred.
func TestKolmogorov(t *testing.T) {
	const n = 10_000
	for _, cv := range []float64{0.2, 1, 3, 13.15} {
		for seed := range uint64(5) {
			shape := 1 / (cv * cv)
			gaps := stratified(gamma(shape, n), n, n, seed)
			slices.Sort(gaps)
			worst := 0.0
			for i, g := range gaps {
				if g < 1e-300 {
					continue
				}
				worst = max(worst, math.Abs(mathext.GammaIncReg(shape, g*shape)-(float64(i)+0.5)/n))
			}
			if worst > 10./n {
				t.Errorf("CV %g, seed %d: the distributions differ by %g", cv, seed, worst)
			}
		}
	}
}

func BenchmarkQuantile(b *testing.B) {
	for _, cv := range []float64{0.2, 13.15} {
		b.Run(fmt.Sprintf("cv=%g", cv), func(b *testing.B) {
			l := gamma(1/(cv*cv), 1000)
			for b.Loop() {
				l.quantile(0.9, 0.1)
			}
		})
	}
}
