package sim

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func resolve(t testing.TB, cfg Config) Deployment {
	t.Helper()
	d, err := cfg.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// level is the steady state of a closed loop.
type level struct {
	ttft, itl   float64 // ms, means
	throughput  float64 // output tokens a second
	preemptions int
	truths      []Truth
}

// closedLoop keeps c requests in flight, each worker starting a little after the
// one before it. jitter shortens lengths by up to its share. What counts is
// between the end of every worker's first request and the last arrival.
func closedLoop(t testing.TB, d Deployment, c, rounds, prompt, output int, jitter float64) level {
	t.Helper()
	l := NewLoop(d, 1, 0)
	sent := 0
	submit := func(at time.Duration) {
		shorten := func(n, step int) int { return n - int(math.Mod(float64(sent*step)/1000, 1)*jitter*float64(n)) }
		r := Request{ID: fmt.Sprintf("%06d", sent), Arrive: at, PromptTokens: shorten(prompt, 618), MaxTokens: shorten(output, 414)}
		r.OutputTokens = r.MaxTokens
		sent++
		if err := l.Submit(r); err != nil {
			t.Fatal(err)
		}
	}
	for i := range c {
		submit(time.Duration(i) * 100 * time.Millisecond)
	}
	var out level
	var from, to time.Duration
	err := l.Run(func(tr Truth) {
		out.truths = append(out.truths, tr)
		if len(out.truths) == c {
			from = l.Now()
		}
		if sent < c*rounds {
			to = l.Now()
			submit(to)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	n, tokens := 0.0, 0
	for _, tr := range out.truths {
		for _, at := range tr.TokenTimes {
			if at > from && at <= to {
				tokens++
			}
		}
		if tr.Arrive < from || tr.Arrive >= to {
			continue
		}
		n++
		out.ttft += tr.TTFT().Seconds() * 1e3
		out.itl += (tr.Finish - tr.FirstToken).Seconds() * 1e3 / float64(tr.OutputTokens-1)
		out.preemptions += tr.Preemptions
	}
	out.ttft /= n
	out.itl /= n
	out.throughput = float64(tokens) / (to - from).Seconds()
	return out
}

// The deployment that a newcomer meets: every lesson shows between 1 and 20 users.
func TestNewcomersDeployment(t *testing.T) {
	d := resolve(t, Config{})
	var at []level
	for _, c := range []int{1, 8, 14, 20} {
		got := closedLoop(t, d, c, 12, 1000, 500, .1)
		t.Logf("c=%d: %.0f tok/s, TTFT %.0f ms, ITL %.1f ms, %d preemptions", c, got.throughput, got.ttft, got.itl, got.preemptions)
		at = append(at, got)
	}
	if r := at[1].throughput / at[0].throughput; r < 5 {
		t.Errorf("eight users get %.1f times the throughput of one; batching should give at least 5", r)
	}
	if r := at[3].throughput / at[2].throughput; r > 1.1 {
		t.Errorf("twenty users get %.2f times the throughput of fourteen; the knee should be behind them", r)
	}
	if at[1].preemptions > 0 || at[3].preemptions == 0 {
		t.Errorf("%d preemptions at 8 users and %d at 20; the pool should run out between them", at[1].preemptions, at[3].preemptions)
	}
	if at[3].ttft < 5*at[1].ttft {
		t.Errorf("TTFT goes from %.0f to %.0f ms between 8 and 20 users; it should leap", at[1].ttft, at[3].ttft)
	}
}

func TestStaticBatch(t *testing.T) {
	d := resolve(t, Config{GPU: "a100-80-sxm", Runtime: "hf-static", MaxSeqs: 2})
	l := NewLoop(d, 1, 0)
	ms := time.Millisecond
	for _, r := range []Request{
		{ID: "a", Arrive: 0, PromptTokens: 10, OutputTokens: 5},        // alone: nobody else is there
		{ID: "b", Arrive: 5 * ms, PromptTokens: 700, OutputTokens: 20}, // the two that wait together
		{ID: "c", Arrive: 6 * ms, PromptTokens: 10, OutputTokens: 3},   //
		{ID: "d", Arrive: 7 * ms, PromptTokens: 10, OutputTokens: 3},   // no room in their batch
	} {
		r.MaxTokens = r.OutputTokens
		if err := l.Submit(r); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]Truth{}
	if err := l.Run(func(tr Truth) { got[tr.ID] = tr }); err != nil {
		t.Fatal(err)
	}
	net := d.Runtime.Net
	ends := func(id string) time.Duration { return got[id].Finish - net }
	if got["b"].Scheduled != ends("a") {
		t.Errorf("b joins at %s, but the first batch ends at %s", got["b"].Scheduled, ends("a"))
	}
	if got["c"].Scheduled != got["b"].Scheduled || got["c"].FirstToken != got["b"].FirstToken {
		t.Error("b and c are in one batch, so they start together, and c's short prompt is padded to b's")
	}
	if ends("c") >= ends("b") || got["d"].Scheduled != ends("b") {
		t.Errorf("c ends at %s, b at %s, d starts at %s: d waits for b although c's place is free", ends("c"), ends("b"), got["d"].Scheduled)
	}
	// Each step of 32 layers takes at least the launch-bound 32 ms.
	for i, at := range got["b"].TokenTimes[1:] {
		if gap := at - got["b"].TokenTimes[i]; gap < 32*ms {
			t.Errorf("a step of %s is under the launch-bound floor", gap)
		}
	}
}

func TestSubmitErrors(t *testing.T) {
	whole := NewLoop(resolve(t, Config{GPU: "h100-sxm", Runtime: "trtllm-like"}), 1, 0)
	l := NewLoop(resolve(t, Config{}), 1, 0)
	ok := Request{ID: "ok", Arrive: time.Second, PromptTokens: 10, MaxTokens: 1, OutputTokens: 1}
	if err := l.Submit(ok); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		loop *Loop
		r    Request
		want string
	}{
		{"an ID in use", l, ok, "not finished yet"},
		{"over the context", l, Request{ID: "x", PromptTokens: 15000, MaxTokens: 600, OutputTokens: 1}, "the context holds 15552 tokens, but the request has 15000 in the prompt and asks for 600"},
		{"no prompt", l, Request{ID: "x", MaxTokens: 1, OutputTokens: 1}, "0 prompt tokens"},
		{"more output than allowed", l, Request{ID: "x", PromptTokens: 1, MaxTokens: 1, OutputTokens: 2}, "2 of 1 output tokens"},
		{"a sum beyond the integers", l, Request{ID: "x", PromptTokens: math.MaxInt, MaxTokens: math.MaxInt, OutputTokens: 1}, "the context holds"},
		{"a whole prompt over the step's budget", whole, Request{ID: "x", PromptTokens: 9000, MaxTokens: 1, OutputTokens: 1}, "whole prompts of at most 8192"},
	} {
		if err := tc.loop.Submit(tc.r); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", tc.name, err, tc.want)
		}
	}
	err := l.Run(func(Truth) {
		if err := l.Submit(Request{ID: "late", Arrive: 0, PromptTokens: 1, MaxTokens: 1, OutputTokens: 1}); err == nil {
			t.Error("a request may not arrive in the past")
		}
		if err := l.Run(nil); err == nil {
			t.Error("a loop may not run within itself")
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// A cancelled request gives back its place: the one behind it gets in.
func TestCancelFreesThePlace(t *testing.T) {
	for _, runtime := range []string{"vllm-like", "hf-static"} {
		l := NewLoop(resolve(t, Config{Runtime: runtime, MaxSeqs: 1}), 1, 0)
		for i, id := range []string{"first", "second", "third"} {
			r := Request{ID: id, Arrive: time.Duration(i) * time.Millisecond, PromptTokens: 100, MaxTokens: 50, OutputTokens: 50}
			if err := l.Submit(r); err != nil {
				t.Fatal(err)
			}
		}
		l.CancelAt("first", time.Second) // while it runs
		l.CancelAt("second", time.Second/2)
		l.Cancel("nobody")
		got := map[string]Truth{}
		if err := l.Run(func(tr Truth) { got[tr.ID] = tr }); err != nil {
			t.Fatal(err)
		}
		first := got["first"]
		if first.FinishReason != FinishAbort || first.Finish != time.Second || first.OutputTokens == 0 || first.TokenTimes[first.OutputTokens-1] > time.Second {
			t.Errorf("%s: first is %+v", runtime, first)
		}
		want := Truth{ID: "second", Arrive: time.Millisecond, Ready: 4 * time.Millisecond, Scheduled: Never, FirstToken: Never,
			Finish: time.Second / 2, PromptTokens: 100, FinishReason: FinishAbort}
		if diff := cmp.Diff(want, got["second"]); diff != "" {
			t.Errorf("%s: second, cancelled while it waited (−want +got):\n%s", runtime, diff)
		}
		third := got["third"]
		if third.FinishReason != FinishLength || third.Scheduled < time.Second || third.Scheduled > time.Second+100*time.Millisecond {
			t.Errorf("%s: third is scheduled at %s and ends with %q", runtime, third.Scheduled, third.FinishReason)
		}
	}
}

func TestJitterIsReproducible(t *testing.T) {
	d := resolve(t, Config{})
	run := func(seed uint64, jitter float64) (out []Truth) {
		l := NewLoop(d, seed, jitter)
		for i := range 5 {
			r := Request{ID: fmt.Sprint(i), Arrive: time.Duration(i) * time.Second / 3, PromptTokens: 300, MaxTokens: 100, OutputTokens: 40 + i}
			if err := l.Submit(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Run(func(tr Truth) { out = append(out, tr) }); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if diff := cmp.Diff(run(7, .02), run(7, .02)); diff != "" {
		t.Errorf("one seed gives two results:\n%s", diff)
	}
	if cmp.Equal(run(7, .02), run(8, .02)) {
		t.Error("two seeds give one result")
	}
	if !cmp.Equal(run(7, 0), run(8, 0)) {
		t.Error("without jitter the seed matters")
	}
	if got := run(1, 0)[0]; got.FinishReason != FinishStop {
		t.Errorf("an answer shorter than its limit ends with %q", got.FinishReason)
	}
}

// An hour of load: simulated requests a second, and how much faster than the clock.
func BenchmarkLoop(b *testing.B) {
	d := resolve(b, Config{GPU: "h100-sxm"})
	for _, c := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("c=%d", c), func(b *testing.B) {
			n, virtual := 0, time.Duration(0)
			for b.Loop() {
				got := closedLoop(b, d, c, 1+2000/c, 500, 128, .05)
				n += len(got.truths)
				virtual += got.truths[len(got.truths)-1].Finish
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "requests/s")
			b.ReportMetric(virtual.Seconds()/b.Elapsed().Seconds(), "times-real")
		})
	}
}
