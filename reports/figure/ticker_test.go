package figure

import (
	"math"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"pgregory.net/rapid"
)

// labels lists the labels of the major ticks.
func labels(ticks []plot.Tick) string {
	var ls []string
	for _, t := range ticks {
		if t.Label != "" {
			ls = append(ls, t.Label)
		}
	}
	return strings.Join(ls, "|")
}

func TestTicks(t *testing.T) {
	for _, tt := range []struct {
		why    string
		ticker plot.Ticker
		lo, hi float64
		want   string
	}{
		{"1-2-5 over two decades and a half, with the unit that reads best", logTicks{milliseconds, 9}, 400, 130_000,
			"500 ms|1 s|2 s|5 s|10 s|20 s|50 s|100 s"},
		{"too wide for 1-2-5: every decade", logTicks{milliseconds, 9}, 0.5, 200_000, "1 ms|10 ms|100 ms|1 s|10 s|100 s"},
		{"too wide for every decade: every third", logTicks{plain, 5}, 1e-3, 1e9, "0.001|1|1,000|1,000,000|1G"},
		{"under a decade: even steps, since 1-2-5 has too few", logTicks{milliseconds, 9}, 11, 48, "15 ms|20 ms|25 ms|30 ms|35 ms|40 ms|45 ms"},
		{"far under a decade: decimals where the step asks for them", logTicks{milliseconds, 6}, 99.6, 100.6, "99.6 ms|99.8 ms|100.0 ms|100.2 ms|100.4 ms|100.6 ms"},
		{"limits on a tick belong to the axis", logTicks{plain, 9}, 1, 100, "1|2|5|10|20|50|100"},
		{"microseconds", logTicks{milliseconds, 9}, 0.02, 0.6, "20 µs|50 µs|100 µs|200 µs|500 µs"},
		{"a linear axis from zero", linearTicks{unit: plain, most: 7}, 0, 9800, "0|2,000|4,000|6,000|8,000"},
		{"a linear axis of shares", linearTicks{unit: percent, most: 6}, 0, 102, "0 %|20 %|40 %|60 %|80 %|100 %"},
		{"small numbers", linearTicks{unit: plain, most: 5}, 0, 0.7, "0.0|0.2|0.4|0.6"},
		{"what is counted has no halves", linearTicks{unit: plain, most: 8, whole: true}, 0.5, 3.5, "1|2|3"},
		{"one thing counted", linearTicks{unit: plain, most: 8, whole: true}, 0.5, 1.5, "1"},
		{"many things counted", linearTicks{unit: plain, most: 8, whole: true}, 0.5, 200.5, "50|100|150|200"},
		{"loads are marked where they were measured", levelTicks{[]float64{1, 2, 4, 8, 16, 32, 64}, 0.045}, 0.8, 80, "1|2|4|8|16|32|64"},
		{"crowded loads: the outermost keep their labels", levelTicks{[]float64{1, 100, 150, 200, 220, 250}, 0.1}, 0.8, 300, "1|100|250"},
	} {
		if got := labels(tt.ticker.Ticks(tt.lo, tt.hi)); got != tt.want {
			t.Errorf("%s:\n\thas  %s\n\twant %s", tt.why, got, tt.want)
		}
	}
}

// On any axis that fit makes: ticks lie within it, rise, and are neither too
// many nor without a label.
func TestTicksOfAnyAxis(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := axis{log: rapid.Bool().Draw(t, "log"), labels: rapid.IntRange(4, 10).Draw(t, "labels")}
		var spans []span
		for range rapid.IntRange(1, 5).Draw(t, "n") {
			v := math.Pow(10, rapid.Float64Range(-100, 100).Draw(t, "exponent"))
			if near := rapid.Bool().Draw(t, "near"); near && len(spans) > 0 {
				v = spans[0].at * rapid.Float64Range(0.9, 1.1).Draw(t, "ratio")
			}
			if a.drawable(v) {
				spans = append(spans, span{at: v, lo: v * rapid.Float64Range(0, 1).Draw(t, "lo"), hi: v * rapid.Float64Range(1, 1e9).Draw(t, "hi")})
			}
		}
		if len(spans) == 0 {
			return
		}
		a.fit(spans)
		for _, s := range spans {
			if s.at < a.lo || s.at > a.hi {
				t.Fatalf("%g is outside its axis, %g to %g", s.at, a.lo, a.hi)
			}
		}
		var ticker plot.Ticker = linearTicks{unit: milliseconds, most: a.labels}
		if a.log {
			ticker = logTicks{unit: milliseconds, most: a.labels}
		}
		last, named := math.Inf(-1), 0
		for _, tick := range ticker.Ticks(a.lo, a.hi) {
			if tick.Value < a.lo*(1-1e-9) || tick.Value > a.hi*(1+1e-9) || tick.Value <= last {
				t.Fatalf("tick %g on an axis from %g to %g, after %g", tick.Value, a.lo, a.hi, last)
			}
			last = tick.Value
			if tick.Label != "" {
				named++
			}
		}
		if named < 2 || named > a.labels+1 {
			t.Fatalf("%d labels from %g to %g; want 2 to %d", named, a.lo, a.hi, a.labels+1)
		}
	})
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct {
		why  string
		unit unit
		v    float64
		want string
	}{
		{"three digits and a unit", milliseconds, 406.77, "407 ms"},
		{"seconds from a second on", milliseconds, 88_605.32, "88.6 s"},
		{"rounding up into the next unit", milliseconds, 999.97, "1 s"},
		{"no zeroes for show", milliseconds, 20, "20 ms"},
		{"under a millisecond", milliseconds, 0.0443, "44.3 µs"},
		{"under a microsecond", milliseconds, 0.000_021, "21 ns"},
		{"nothing", milliseconds, 0, "0 ms"},
		{"thousands", plain, 8364, "8,360"},
		{"millions", plain, 12_345_678, "12.3M"},
		{"beyond prefixes", plain, 2.5e17, "2.5e17"},
		{"tiny", plain, 1.25e-7, "1.25e-07"},
		{"negative", plain, -1234.5, "-1,230"},
		{"not a number", plain, math.NaN(), "NaN"},
	} {
		if got := tt.unit.value(tt.v); got != tt.want {
			t.Errorf("%s: value(%g) = %q, want %q", tt.why, tt.v, got, tt.want)
		}
	}
}
