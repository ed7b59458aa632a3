package analysis

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func explanations(c Curve) string {
	var lines []string
	for _, x := range c.Physics.Explained {
		lines = append(lines, x.Sentence+" ["+x.Reading+"]")
	}
	return strings.Join(lines, "\n")
}

// The published sweep of a 70B on two H100, with the figures of its data sheets and 8-bit keys and values.
func TestExplainPublishedSweep(t *testing.T) {
	c := nimCurve(t)
	c.Explain(device(2, 3.35, 1979, 80, llama3of70, 1, 163840))
	const want = `At c=1 TPOT is 1.74× the speed of light of 10.7 ms, in which 6.7 TB/s of memory bandwidth read 70.5 GB of weights and 0.86 GB of keys and values: MBU is 57.4 %. [databricks-inference-performance]
At c=100, with 85.2 requests decoding at once, TPOT is 4.33× its speed of light of 21.5 ms: MBU is 23.1 %, with the prompts of others read in between. [databricks-inference-performance]
At c=1 a prompt of 5,000 tokens has its first token after 407 ms, so prefill reaches at least 12,292 tok/s, 43.8 % of the peak of 3,958 TFLOP/s (MFU); TTFT has the network and the front end in it too. [databricks-inference-performance]
The admission limit is set by KV memory: 85.5 requests decode at once, and memory has room for 81.5 requests of full length. Shorter requests, keys and values in fewer bits, or more memory raise it; a larger batch size does not. [vllm-pagedattention]`
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(explanations(c), "\n")); diff != "" {
		t.Error(diff)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Curve
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.Physics, back.Physics, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("read back: %s", diff)
	}
	if diff := cmp.Diff(c.Machine, back.Machine, cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("read back: %s", diff)
	}
}

func TestExplain(t *testing.T) {
	h100 := func(change func(*Machine)) *Machine {
		m := device(1, 3.35, 989, 80, llama3of8, 2, 131072)
		change(m)
		return m
	}
	sound := func(*Machine) {}
	// levels of 200 tokens out: users, TTFT, TPOT and throughput.
	limited := []float64{1, 60, 8, 120, 64, 900, 20, 1600, 128, 9000, 20, 1600} // 32 decode at once
	for _, test := range []struct {
		name   string
		m      *Machine
		rows   []float64
		change func(*Curve)
		want   []string
		absent string
	}{
		{"a step that takes three times its floor", h100(sound), []float64{1, 60, 17, 60}, nil,
			[]string{"MBU is 29.4 %. Under 30 % something else takes the time"}, "admission"},
		{"faster than light alone: the weights or the memory are not what was said", h100(sound), []float64{1, 60, 4, 250}, nil,
			[]string{"At c=1 MBU is 125 %, which no memory reaches, so an input is wrong: the weights are smaller than the 16.1 GB taken (8.03 billion parameters), the memory is faster than 3.35 TB/s or of more GPUs than 1, or a step gives several tokens"}, ""},
		{"faster than light only with many, whose keys and values are the most of it", h100(sound), []float64{1, 60, 8, 120, 64, 900, 12, 5300}, nil,
			[]string{"At c=64 MBU is 146 %, which no memory reaches, so an input is wrong: the 42.5 GB that 63.6 requests of 5,100 tokens take, more than the weights: keys and values have fewer bytes than the 131,072 a token taken, or requests share a prefix"}, ""},
		{"two replicas share the load", h100(func(m *Machine) { m.Replicas = 2 }), []float64{2, 60, 8, 240, 64, 900, 16, 4000}, nil,
			[]string{"with 32 requests decoding at once on each replica"}, "no memory reaches"},
		{"experts: a lower bound with many", h100(func(m *Machine) { m.Parameters *= 8; m.WeightBytes *= 3 }), []float64{1, 60, 8, 120, 64, 900, 40, 1600}, nil,
			[]string{"That is a lower bound: several requests read more of the experts"}, ""},

		{"no run alone", h100(sound), []float64{8, 500, 9, 880}, nil, []string{"At c=8 TPOT is 1.41× the speed of light"}, "prefill"},
		{"more than the peak", h100(sound), []float64{1, 60, 8, 120}, nil, []string{"tok/s, 135 % of the peak", "no GPU does more than its peak, so prompts came from a cache unseen"}, ""},
		{"a prompt too short to need the peak", h100(sound), []float64{1, 60, 8, 120}, func(c *Curve) { c.Levels[0].Points[0].MeanPrompt = 200 },
			[]string{"a prompt of 200 tokens", "a prompt under 295 tokens is bound by reading the weights"}, ""},
		{"what a cache had is no work", h100(sound), []float64{1, 60, 8, 120}, func(c *Curve) { c.Levels[0].Points[0].CacheHitShare = 0.8 },
			[]string{"a prompt with 1,000 tokens that are in no cache has its first token after 60 ms"}, ""},
		{"a peak that is not known", h100(func(m *Machine) { m.Peak = math.NaN() }), []float64{1, 60, 8, 120}, nil, []string{"MBU is 62.4 %."}, "prefill"},

		{"short requests: memory is not the limit", h100(sound), limited, func(c *Curve) { shorten(c, 500) },
			[]string{"The admission limit is not set by memory: 32 requests decode at once, and memory has room for 610 requests of full length, and for 711 of the mean length while they decode; look at the server's limit of sequences (max-num-seqs"}, ""},
		{"the server says its limit", h100(func(m *Machine) { m.MaxSequences = 32 }), limited, func(c *Curve) { shorten(c, 500) },
			[]string{"set by the server's own limit of 32 sequences: 32 requests decode at once, and memory has room for 610"}, ""},
		{"and it is another", h100(func(m *Machine) { m.MaxSequences = 256 }), limited, func(c *Curve) { shorten(c, 500) },
			[]string{"the server says that it admits 256: look at what stands before it"}, ""},
		{"the server says what memory has room for", h100(func(m *Machine) { m.KVTokens = 170_000 }), limited, nil,
			[]string{"set by KV memory: 32 requests decode at once, and memory has room for 32.7 requests of full length."}, ""},
		{"more run than memory has room for", h100(func(m *Machine) { m.KVTokens = 100_000 }), limited, nil,
			[]string{"above what memory should hold: 32 requests decode at once, and memory has room for 19.2 requests of full length at 128 KiB a token."}, ""},
	} {
		var points []PointSummary
		for i := 0; i < len(test.rows); i += 4 {
			r := test.rows[i : i+4]
			points = append(points, summaryOf(int(r[0]), 0, r[1], r[2], 200, r[3]))
		}
		c := NewCurve(testExperiment(), points)
		if test.change != nil {
			test.change(&c)
		}
		c.Explain(test.m)
		got := explanations(c)
		for _, want := range test.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q is not in\n%s", test.name, want, got)
			}
		}
		if test.absent != "" && strings.Contains(got, test.absent) {
			t.Errorf("%s: %q is in\n%s", test.name, test.absent, got)
		}
	}
	c := nimCurve(t)
	if c.Explain(nil); c.Machine != nil || c.Physics != nil {
		t.Errorf("no machine explains %+v", c.Physics)
	}
}

// shorten gives every request a prompt of so many tokens.
func shorten(c *Curve, prompt float64) {
	for i := range c.Levels {
		for j := range c.Levels[i].Points {
			c.Levels[i].Points[j].MeanPrompt = prompt
		}
	}
}

// The band of a line is α's interval at 0, as wide as it gets at its ends and narrowest at the mean of the loads.
func TestBandOfTheLine(t *testing.T) {
	f := nimCurve(t).Fit
	value, low, high := f.At(0)
	for _, v := range [][2]float64{{value, f.Alpha}, {low, f.AlphaLow}, {high, f.AlphaHigh}} {
		if !nearTo(v[0], v[1], 1e-9) {
			t.Errorf("at 0 the line is %v [%v, %v], and α %+v", value, low, high, f)
		}
	}
	width := func(users float64) float64 { _, low, high := f.At(users); return high - low }
	if !(width(f.Mean) < width(f.From) && width(f.From) < width(f.To)) {
		t.Errorf("widths %v, %v, %v", width(f.From), width(f.Mean), width(f.To))
	}
	var unsure LineFit
	if err := json.Unmarshal([]byte(`{"alpha_ms":10,"beta_ms_per_user":1,"mean_users":2}`), &unsure); err != nil {
		t.Fatal(err)
	}
	if value, low, high := unsure.At(5); value != 15 || !math.IsNaN(low) || !math.IsNaN(high) {
		t.Errorf("a line without intervals is %v [%v, %v]", value, low, high)
	}
	if got := unsure.String(); got != "TPOT ≈ 10.00 ms + 1.000 ms × C" {
		t.Errorf("it is written %q", got)
	}
}

// Batching is free up to a fifth of C*, no further than the levels go, and nowhere where that is under two users
// or the slope may be none.
func TestFreeBatching(t *testing.T) {
	line := func(alpha, beta, betaLow, to float64) *LineFit {
		f := &LineFit{Alpha: alpha, Beta: beta, BetaLow: betaLow, From: 1, To: to, DoubleLow: math.Inf(-1), DoubleHigh: math.Inf(1)}
		f.Double = f.Doubling()
		return f
	}
	for _, test := range []struct {
		name string
		fit  *LineFit
		want float64 // 0 = nowhere
		says string
	}{
		{"no line", nil, 0, ""},
		{"a fifth of 100", line(10, 0.1, 0.09, 64), 20, "a fifth of that is 20."},
		{"beyond the last level", line(10, 0.1, 0.09, 16), 16, "a fifth of that, 20, is beyond c=16."},
		{"the second user costs a fifth", line(10, 1.1, 1, 64), 0, ""},
		{"a slope that may be none", line(10, 0.1, -0.1, 64), 0, ""},
		{"TPOT falls", line(10, -0.1, -0.2, 64), 0, ""},
	} {
		got := freeBatching(test.fit)
		if got == nil {
			if test.want != 0 {
				t.Errorf("%s: nowhere", test.name)
			}
			continue
		}
		if got.Level != test.want || !strings.HasSuffix(got.Because, test.says) {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}
