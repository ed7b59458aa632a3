package sim

import (
	"fmt"
	"math"
	"testing"
)

// The labels of the catalogue rest on the rows of this file. Only the time per
// sequence of vllm-like comes from a fit, and that to the course's rows alone.

// NVIDIA's NIM table of Llama-3.3-70B in FP8 on two H100, 5,000 tokens in and 500
// out: mean inter-token latency in ms.
func TestAgreesWithNIM70B(t *testing.T) {
	d := resolve(t, Config{GPU: "h100-sxm", Count: 2, Model: "llama-3.1-70b", Precision: "fp8", Runtime: "trtllm-like"})
	at := map[int]level{}
	for _, tc := range []struct {
		c   int
		itl float64
	}{{1, 18.58}, {5, 21.83}, {25, 38.75}, {50, 59.73}, {100, 92.91}, {150, 92.86}} {
		got := closedLoop(t, d, tc.c, 9, 5000, 500, .04)
		at[tc.c] = got
		t.Logf("c=%d: ITL %.1f ms (measured %.1f), TTFT %.0f ms, %.0f tok/s", tc.c, got.itl, tc.itl, got.ttft, got.throughput)
		if r := got.itl / tc.itl; r < .9 || r > 1.1 {
			t.Errorf("c=%d: ITL %.2f ms is %.2f of the measured %.2f", tc.c, got.itl, r, tc.itl)
		}
	}
	// Above the admission limit, about 85 requests, more load buys waiting only.
	if r := at[150].throughput / at[100].throughput; math.Abs(r-1) > .05 {
		t.Errorf("throughput changes by a factor of %.3f above the admission limit", r)
	}
	if at[150].ttft < 2*at[100].ttft {
		t.Errorf("TTFT goes from %.0f to %.0f ms above the admission limit; it should at least double", at[100].ttft, at[150].ttft)
	}
}

// NVIDIA's sizing course measured Llama-3-8B in 16 bits on one H100 with NIM, 200
// tokens in and 1,000 out. vllm-like takes its time per sequence from the fit to
// all rows of the course, so this shows that the term is in the right place. The
// engine of TensorRT-LLM has no such term, and as a model of that server it is
// too fast where many decode, which its label says.
func TestAgreesWithSizingCourse8B(t *testing.T) {
	served, bare := resolve(t, Config{GPU: "h100-sxm"}), resolve(t, Config{GPU: "h100-sxm", Runtime: "trtllm-like"})
	for _, tc := range []struct {
		c          int
		throughput float64 // tok/s
	}{{1, 135}, {2, 264}, {5, 617}, {10, 1173}, {25, 2628}, {50, 4245}, {100, 6324}, {150, 7378}, {200, 8041}, {250, 8364}} {
		got := closedLoop(t, served, tc.c, 4, 200, 1000, .02)
		r := got.throughput / tc.throughput
		t.Logf("c=%d: %.0f tok/s, measured %.0f: %.3f", tc.c, got.throughput, tc.throughput, r)
		if math.Abs(r-1) > .06 {
			t.Errorf("c=%d: %.0f tok/s is %.2f of the measured %.0f", tc.c, got.throughput, r, tc.throughput)
		}
	}
	if r := closedLoop(t, bare, 250, 4, 200, 1000, .02).throughput / 8364; r < 1.5 || r > 1.8 {
		t.Errorf("c=250: without a time per sequence throughput is %.2f of the measured one; the comments say 1.69", r)
	}
}

// meanGap is the mean time per token in ms of a benchmark that starts all of its
// workers at once and counts every request, ten for each worker, as InferenceX
// and aiconfigurator do.
func meanGap(t *testing.T, d Deployment, c, prompt, output int, jitter float64) float64 {
	t.Helper()
	l, sent := NewLoop(d, 1, 0), 0
	submit := func() {
		shorten := func(n, step int) int { return n - int(math.Mod(float64(sent*step)/1000, 1)*jitter*float64(n)) }
		r := Request{ID: fmt.Sprintf("%06d", sent), Arrive: l.Now(), PromptTokens: shorten(prompt, 618), OutputTokens: shorten(output, 414)}
		r.MaxTokens = r.OutputTokens
		sent++
		if err := l.Submit(r); err != nil {
			t.Fatal(err)
		}
	}
	for range c {
		submit()
	}
	sum, n := 0.0, 0.0
	err := l.Run(func(tr Truth) {
		sum, n = sum+(tr.Finish-tr.FirstToken).Seconds()*1e3/float64(tr.OutputTokens-1), n+1
		if sent < 10*c {
			submit()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum / n
}

// Published rows of vLLM servers: time per token in ms. None of them is in the
// fit behind the time per sequence, and without it the mean error is twice as large.
func TestAgreesWithVLLM(t *testing.T) {
	type row struct {
		c   int
		gap float64
	}
	sum, without, n := 0.0, 0.0, 0.0
	for _, tc := range []struct {
		name           string
		cfg            Config
		prompt, output int
		jitter         float64
		rows           []row
	}{
		// InferenceX, vLLM 0.10.2, lengths between 80 and 100 % of the nominal ones.
		{"70B FP8 on 4 H100", Config{GPU: "h100-sxm", Count: 4, Model: "llama-3.1-70b", Precision: fp8}, 1024, 1024, .2,
			[]row{{4, 11.8}, {8, 12.1}, {16, 13.2}, {32, 16.5}, {64, 19.5}}},
		{"70B FP8 on 4 H100, long prompts", Config{GPU: "h100-sxm", Count: 4, Model: "llama-3.1-70b", Precision: fp8}, 8192, 1024, .2,
			[]row{{4, 13.3}, {16, 21.1}, {64, 53.5}}},
		{"70B FP8 on a B200, long prompts", Config{GPU: "b200-sxm", Model: "llama-3.1-70b", Precision: fp8}, 8192, 1024, .2,
			[]row{{4, 18.3}, {16, 27.7}, {64, 70.7}}},
		// aiconfigurator's gap analysis, fixed lengths.
		{"32B on 2 H100", Config{GPU: "h100-sxm", Count: 2, Model: "qwen3-32b"}, 1024, 512, .02,
			[]row{{8, 16.5}, {16, 17.9}, {32, 21}, {64, 28.5}, {128, 42.3}}},
		{"32B on 8 H100", Config{GPU: "h100-sxm", Count: 8, Model: "qwen3-32b"}, 4096, 1024, .02,
			[]row{{8, 8.6}, {32, 13.2}, {128, 30.8}}},
	} {
		d := resolve(t, tc.cfg)
		bare := d
		bare.Runtime.seq = 0
		for _, row := range tc.rows {
			r := meanGap(t, d, row.c, tc.prompt, tc.output, tc.jitter) / row.gap
			t.Logf("%s, c=%d: %.3f of the measured %.1f ms", tc.name, row.c, r, row.gap)
			if math.Abs(r-1) > .13 {
				t.Errorf("%s, c=%d: %.2f of the measured %.1f ms; the labels say ±13 %%", tc.name, row.c, r, row.gap)
			}
			sum, n = sum+math.Abs(r-1), n+1
			without += math.Abs(meanGap(t, bare, row.c, tc.prompt, tc.output, tc.jitter)/row.gap - 1)
		}
	}
	t.Logf("mean error %.1f %%, and %.1f %% without a time per sequence", 100*sum/n, 100*without/n)
	if sum/n > .045 || without < 1.9*sum {
		t.Errorf("mean error %.3f, and %.3f without a time per sequence; the comment says 4.0 and 8.6 %%", sum/n, without/n)
	}
}

// One vLLM 0.4.3 curve on the A10G (llmperf, 550 in and 150 out): ms per token.
func TestAgreesWithA10G(t *testing.T) {
	d := resolve(t, Config{GPU: "a10g"})
	for c, measured := range map[int]float64{1: 30.7, 4: 33.9, 16: 42.7} {
		if r := closedLoop(t, d, c, 8, 550, 150, .02).itl / measured; math.Abs(r-1) > .10 {
			t.Errorf("c=%d: %.2f of the measured %.1f ms per token; the label says ±10 %%", c, r, measured)
		}
	}
}

// TensorRT-LLM's published maxima in FP8: output tok/s of a full engine, without a
// server around it.
func TestAgreesWithPublishedMaxima(t *testing.T) {
	for _, tc := range []struct {
		gpu, model        string
		count             int
		c, prompt, output int
		throughput        float64
	}{
		{"h100-sxm", "llama-3.1-8b", 1, 600, 128, 2048, 22714},
		{"h100-sxm", "llama-3.1-8b", 1, 600, 1000, 1000, 15220},
		{"h100-sxm", "llama-3.1-8b", 1, 400, 2048, 128, 3450},
		{"h100-sxm", "llama-3.1-8b", 1, 250, 5000, 500, 3459},
		{"h100-sxm", "llama-3.1-70b", 2, 400, 1000, 1000, 4205},
		{"h200-sxm", "llama-3.1-70b", 1, 300, 1000, 1000, 2909},
		{"h200-sxm", "llama-3.1-70b", 1, 120, 5000, 500, 566},
	} {
		d := resolve(t, Config{GPU: tc.gpu, Model: tc.model, Count: tc.count, Precision: fp8, Runtime: "trtllm-like"})
		got := closedLoop(t, d, tc.c, 4, tc.prompt, tc.output, .02).throughput
		t.Logf("%s on %d %s, %d/%d: %.0f tok/s, published %.0f", tc.model, tc.count, tc.gpu, tc.prompt, tc.output, got, tc.throughput)
		if r := got / tc.throughput; math.Abs(r-1) > .11 {
			t.Errorf("%s on %d %s, %d/%d: %.2f of the published maximum; the label says ±11 %%", tc.model, tc.count, tc.gpu, tc.prompt, tc.output, r)
		}
	}
}
