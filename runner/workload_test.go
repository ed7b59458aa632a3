package runner

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

func driveWorkload(edit func(*experiment.Spec)) workload {
	spec := experiment.DefaultSpec()
	spec.Requests = 10
	edit(&spec)
	return workload{spec: spec, seed: 7, workers: 4, salt: "01J0000000000000000000000"}
}

// The vocabulary has to be a byte's worth of different words, four characters
// long on average with the space before them.
func TestVocabulary(t *testing.T) {
	seen := map[string]bool{}
	letters := 0
	for _, w := range vocabulary {
		seen[w] = true
		letters += len(w)
	}
	if len(vocabulary) != 256 || len(seen) != 256 || letters != 256*(charsPerToken-1) {
		t.Errorf("%d words, %d different, %d letters", len(vocabulary), len(seen), letters)
	}
}

func TestPromptsAreAsLongAsAsked(t *testing.T) {
	for _, tokens := range []int{8, 20, 64, 500, 4000} {
		w := driveWorkload(func(s *experiment.Spec) { s.InputTokens, s.Jitter = experiment.Tokens(tokens), 0 })
		chars := 0
		const n = 200
		for k := range n {
			a := w.request(0, k)
			if a.promptTokens != tokens {
				t.Fatalf("asked for %d tokens, not %d", a.promptTokens, tokens)
			}
			if off := len(a.prompt) - charsPerToken*tokens; tokens >= 20 && (off < -3 || off > 3) {
				t.Errorf("a prompt of %d tokens is %d characters off", tokens, off)
			}
			chars += len(a.prompt)
		}
		if got := float64(chars) / n / charsPerToken; tokens >= 20 && (got < float64(tokens)-0.2 || got > float64(tokens)+0.2) {
			t.Errorf("prompts of %d tokens are worth %.2f on average", tokens, got)
		}
	}
}

func TestPromptsShareNoPrefix(t *testing.T) {
	w := driveWorkload(func(s *experiment.Spec) { s.Concurrency = []int{4} })
	other := w
	other.salt = "01J0000000000000000000001" // the same run done again
	next := w
	next.seed++ // another point
	heads := map[string]bool{}
	n := 0
	for worker := range 4 {
		for k := range 500 {
			for _, w := range []workload{w, other, next} {
				p := w.request(worker, k).prompt
				// A word is one to two tokens and a cache block at least sixteen: what differs
				// in the first eight words differs in the first block.
				heads[strings.Join(strings.Fields(p)[:8], " ")] = true
				n++
			}
		}
	}
	if len(heads) != n {
		t.Errorf("%d prompts have %d different beginnings", n, len(heads))
	}
}

func TestWorkloadIsAFunctionOfItsSeed(t *testing.T) {
	w := driveWorkload(func(*experiment.Spec) {})
	if d := cmp.Diff(w.request(2, 5), w.request(2, 5), cmp.AllowUnexported(asked{})); d != "" {
		t.Errorf("the same request came out differently:\n%s", d)
	}
	// The experiment's ID changes the beginning of the prompt and nothing that costs time.
	other := w
	other.salt = "another"
	a, b := w.request(2, 5), other.request(2, 5)
	if a.promptTokens != b.promptTokens || a.outputTokens != b.outputTokens || a.prompt == b.prompt {
		t.Errorf("another experiment asks for %d/%d, not %d/%d tokens, or for the same text", b.promptTokens, b.outputTokens, a.promptTokens, a.outputTokens)
	}
}

func TestLengthsLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := driveSpec(t)
		w := workload{spec: spec, seed: rapid.Uint64().Draw(t, "point seed"), workers: 9}
		inLow, inHigh := spread(spec.InputTokens.Nominal(), spec.Jitter)
		outLow, outHigh := spread(spec.OutputTokens.Nominal(), spec.Jitter)
		worker, k := rapid.IntRange(0, 8).Draw(t, "worker"), rapid.IntRange(0, 50).Draw(t, "k")
		a := w.request(worker, k)
		if a.promptTokens < inLow || a.promptTokens > inHigh {
			t.Fatalf("prompt of %d tokens is outside %d to %d", a.promptTokens, inLow, inHigh)
		}
		if k == 0 && spec.Warmup > 0 {
			outLow = 1
		}
		if a.outputTokens < outLow || a.outputTokens > outHigh {
			t.Fatalf("output of %d tokens is outside %d to %d", a.outputTokens, outLow, outHigh)
		}
	})
}

func TestJitterIsEven(t *testing.T) {
	w := driveWorkload(func(s *experiment.Spec) { s.InputTokens, s.OutputTokens = experiment.Tokens(20), experiment.Tokens(100) })
	counts := map[int]int{}
	const n = 5000
	for k := range n {
		counts[w.request(0, k+1).outputTokens]++
	}
	for length := 98; length <= 102; length++ { // ± 2 %: five lengths, a fifth each
		if c := counts[length]; c < n/5-150 || c > n/5+150 {
			t.Errorf("length %d came %d times in %d", length, c, n)
		}
		delete(counts, length)
	}
	if len(counts) > 0 {
		t.Errorf("other lengths came too: %v", counts)
	}
}

func TestWarmUpSpreadsTheEnds(t *testing.T) {
	w := driveWorkload(func(s *experiment.Spec) { s.OutputTokens, s.Jitter, s.Warmup = experiment.Tokens(100), 0, 2 })
	w.workers = 2000
	quarters := make([]int, 4)
	for worker := range w.workers {
		quarters[(w.request(worker, 0).outputTokens-1)/25]++
		if n := w.request(worker, 1).outputTokens; n != 100 {
			t.Fatalf("the second request of worker %d asks for %d tokens", worker, n)
		}
	}
	for i, n := range quarters {
		if n < 430 || n > 570 {
			t.Errorf("%d of 2,000 first requests ask for an output in quarter %d", n, i)
		}
	}
	if last := w.stagger(1999); last > staggerMax {
		t.Errorf("the last of 2,000 workers starts after %v", last)
	}
	w.workers = 4
	var starts []time.Duration
	for worker := range w.workers {
		starts = append(starts, w.stagger(worker))
	}
	if want := []time.Duration{0, 10e6, 20e6, 30e6}; !slices.Equal(starts, want) {
		t.Errorf("workers start after %v, not %v", starts, want)
	}
}

func TestNothingIsSpecialAboutTheFirst(t *testing.T) {
	for _, tt := range []struct {
		name    string
		warmup  int
		workers int
	}{
		{"no warm-up", 0, 4},
		{"one worker, which has nobody to be in step with", 1, 1},
	} {
		w := driveWorkload(func(s *experiment.Spec) { s.OutputTokens, s.Jitter, s.Warmup = experiment.Tokens(100), 0, tt.warmup })
		w.workers = tt.workers
		for worker := range tt.workers {
			if n := w.request(worker, 0).outputTokens; n != 100 {
				t.Errorf("%s: the first request asks for %d tokens", tt.name, n)
			}
		}
		if s := w.stagger(tt.workers - 1); s != 0 {
			t.Errorf("%s: the last worker starts after %v", tt.name, s)
		}
	}
}

func TestFixedPromptIsSentAsItIs(t *testing.T) {
	const text = "  Why?\n"
	w := driveWorkload(func(s *experiment.Spec) { s.Prompt = text })
	if a := w.request(1, 3); a.prompt != text || a.promptTokens != experiment.Unknown {
		t.Errorf("sent %q, asked for %d tokens", a.prompt, a.promptTokens)
	}
}

// Another experiment asks other texts of the same lengths: the nonce is in every
// prompt and changes the length of none.
func TestLengthsDoNotDependOnTheExperiment(t *testing.T) {
	spec := experiment.DefaultSpec()
	spec.Jitter = 0.1
	for k := range 200 {
		one := workload{spec: spec, seed: 7, workers: 8, salt: "01AAAA"}.request(3, k)
		two := workload{spec: spec, seed: 7, workers: 8, salt: "01BBBB"}.request(3, k)
		if one.prompt == two.prompt {
			t.Fatalf("request %d: two experiments ask the same text, which a prefix cache would know", k)
		}
		if len(one.prompt) != len(two.prompt) || len(one.prompt) != one.promptTokens*charsPerToken || one.outputTokens != two.outputTokens {
			t.Fatalf("request %d: %d characters and %d tokens out, then %d and %d; %d tokens were asked for",
				k, len(one.prompt), one.outputTokens, len(two.prompt), two.outputTokens, one.promptTokens)
		}
		if strings.TrimSpace(one.prompt) != one.prompt {
			t.Fatalf("request %d begins or ends with a space, which a server may trim", k)
		}
	}
}
