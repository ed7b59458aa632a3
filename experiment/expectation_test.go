package experiment

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseClaim(t *testing.T) {
	none, inf := math.Inf(-1), math.Inf(1)
	for text, want := range map[string]Claim{
		"ttft.p95<300ms":              {Metric: "ttft", Statistic: "p95", Low: none, High: 300, Strict: true, Unit: "ms"},
		"TPOT.mean <= 0.02 s":         {Metric: "tpot", Statistic: "mean", Low: none, High: 20, Unit: "ms"}, // any case, spaces, any unit of time
		"output_throughput>1e3":       {Metric: "output_throughput", Low: 1000, High: inf, Strict: true},
		"request_rate>=2req/s@rate=2": {Metric: "request_rate", Low: 2, High: inf, Unit: "req/s", At: Load{Rate: 2}},
		"errors<99.9%":                {Metric: "errors", Low: none, High: 0.999, Strict: true, Unit: "%"}, // not 0.9990000000000001
		"ttft/e2e > 0.5 @60% @c=8":    {Metric: "ttft_over_e2e", Low: 0.5, High: inf, Strict: true, At: Load{Concurrency: 8}, Confidence: 0.6},
		"knee=16..32":                 {Metric: "knee", Low: 16, High: 32},
		"knee=16":                     {Metric: "knee", Low: 16, High: 16},
		"ttft.p99.9=200..300ms":       {Metric: "ttft", Statistic: "p99.9", Low: 200, High: 300, Unit: "ms"}, // the unit counts for both
		"ttft.p50=900ms..1.2s":        {Metric: "ttft", Statistic: "p50", Low: 900, High: 1200, Unit: "ms"},
	} {
		got, err := ParseClaim(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestParseClaimRefuses(t *testing.T) {
	for text, why := range map[string]string{
		"":                       "no figure",
		"ttft.p95":               "no figure",
		"ttft.p100<3ms":          "between p0 and p100",
		"ttft.p95<fast":          `"fast" is no number`,
		"ttft.p95<-3ms":          "no number from 0 up",
		"ttft.p95<3parsec":       `"parsec" is no unit`,
		"ttft.p95<1ms..3ms":      "written with =",
		"ttft.p95=3ms..1ms":      "from the smaller to the larger",
		"ttft.p95=1tok/s..3ms":   "of one unit",
		"errors<1% @120%":        "over 0 % and under 100 %",
		"errors<1% @80% @70%":    "the one confidence",
		"errors<1% @c=1 @rate=2": "the one level",
		"errors<1% @8":           "@8 is neither",
	} {
		_, err := ParseClaim(text)
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want it to say %q", text, err, why)
		}
	}
}

// FuzzClaim looks for a text that is read as a claim whose bounds make no sense.
func FuzzClaim(f *testing.F) {
	for _, s := range []string{"ttft.p95<300ms @c=8 @80%", "knee=16..32", "ttft/e2e>=0.5", "errors<1e-3%", "a=.5..1e309s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseClaim(text)
		if err != nil {
			return
		}
		if !(c.Low <= c.High) || c.High < 0 || math.IsInf(c.Low, 0) && math.IsInf(c.High, 0) || c.Confidence < 0 || c.Confidence >= 1 {
			t.Errorf("%q is read as %+v", text, c)
		}
	})
}
