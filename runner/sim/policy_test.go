package sim

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

// finishAll gives the truths of requests by ID, each with its own length as its limit.
func finishAll(t testing.TB, l *Loop, requests ...Request) map[string]Truth {
	t.Helper()
	for _, r := range requests {
		if r.MaxTokens == 0 {
			r.MaxTokens = r.OutputTokens
		}
		if err := l.Submit(r); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]Truth{}
	if err := l.Run(func(tr Truth) { got[tr.ID] = tr }); err != nil {
		t.Fatal(err)
	}
	return got
}

// With mixed steps an answer goes on beside a long prompt; with prompts first it
// stands still until the prompt is computed.
func TestPrefillFirstStopsAnswers(t *testing.T) {
	for _, tc := range []struct {
		name       string
		scheduling Scheduling
		during     bool // the answer goes on
	}{
		{"mixed", Scheduling{Batching: Mixed, Chunked: true}, true},
		{"whole prompts first", Scheduling{Batching: PrefillFirst}, false},
		{"chunks first", Scheduling{Batching: PrefillFirst, Chunked: true}, false},
	} {
		d := resolve(t, Config{GPU: "h100-sxm", TokenBudget: 1000})
		d.Runtime.Scheduling = tc.scheduling
		prompt := 8000
		if !tc.scheduling.Chunked {
			prompt = 1000
		}
		got := finishAll(t, NewLoop(d, 1, 0),
			Request{ID: "answer", PromptTokens: 10, OutputTokens: 200},
			Request{ID: "prompt", Arrive: 500 * time.Millisecond, PromptTokens: prompt, OutputTokens: 1})
		tokens, p := 0, got["prompt"]
		for _, at := range got["answer"].TokenTimes {
			if at > p.Scheduled+d.Runtime.Net && at <= p.FirstToken {
				tokens++
			}
		}
		if tc.during != (tokens > 0) {
			t.Errorf("%s: %d tokens of the answer while the prompt was computed from %s to %s", tc.name, tokens, p.Scheduled, p.FirstToken)
		}
	}
}

// A chunk of a long prompt is capped, so that one admitted behind it starts at once.
func TestLongPrefillLeavesRoom(t *testing.T) {
	for _, limit := range []int{0, 200} {
		d := resolve(t, Config{GPU: "h100-sxm", TokenBudget: 1000})
		d.Runtime.Scheduling.LongPrefill = limit
		got := finishAll(t, NewLoop(d, 1, 0),
			Request{ID: "long", PromptTokens: 8000, OutputTokens: 1},
			Request{ID: "short", Arrive: time.Microsecond, PromptTokens: 100, OutputTokens: 1})
		if first := got["short"].FirstToken < got["long"].FirstToken; first != (limit > 0) {
			t.Errorf("with chunks of at most %d tokens of one prompt, the short one is first: %t", limit, first)
		}
	}
}

// Two prompts that the pool cannot hold together: where a prompt must fit whole, the
// second waits for the end of the first; else both begin, and one is computed again.
func TestWholePrompt(t *testing.T) {
	for _, whole := range []bool{true, false} {
		d := resolve(t, Config{})
		if !d.Runtime.Scheduling.WholePrompt {
			t.Fatal("vllm-like should admit whole prompts")
		}
		d.Runtime.Scheduling.WholePrompt = whole
		n := d.KVTokens * 2 / 3
		l := NewLoop(d, 1, 0)
		got := finishAll(t, l,
			Request{ID: "a", PromptTokens: n, OutputTokens: 200}, Request{ID: "b", Arrive: time.Second, PromptTokens: n, OutputTokens: 200})
		waits, u := got["b"].Scheduled == got["a"].Finish-d.Runtime.Net, l.Usage()
		if waits != whole || whole != (u.Preemptions == 0) || whole != (u.Computed == 2*(n+199)) || whole != (u.HeldByKV > u.Elapsed/4) {
			t.Errorf("whole prompts %t: b is scheduled at %s, a ends at %s; %+v", whole, got["b"].Scheduled, got["a"].Finish, u)
		}
	}
}

func TestVictims(t *testing.T) {
	running := []*sequence{{prompt: 5, generated: 9}, {prompt: 5, generated: 2}, {prompt: 7, generated: 2}, {prompt: 7, generated: 2}, {prompt: 9, generated: 3}}
	for _, tc := range []struct {
		name       string
		scheduling Scheduling
		want       int
	}{
		{"vLLM v1 gives up the one that came last", Scheduling{Batching: Mixed, Chunked: true}, 4},
		{"so does vLLM 0.5", Scheduling{Batching: PrefillFirst}, 4},
		{"SGLang gives up the shortest answer, of these the longest prompt, of these the last", Scheduling{Batching: PrefillFirst, Chunked: true}, 3},
	} {
		if got := newPolicy(tc.scheduling).victim(running); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
}

// A conversation's next turn finds its own history: all of it but the tokens
// that do not fill a block, and the last one, which was never computed.
func TestConversationHitsItsHistory(t *testing.T) {
	for _, runtime := range []string{"vllm-like", "trtllm-like"} {
		d := resolve(t, Config{GPU: "h100-sxm", Runtime: runtime, Replicas: 4, Router: PrefixAffinity})
		l := NewLoop(d, 1, 0)
		history := []Message{{"system", "Be brief. Be exact. Say where you know it from, and say so when you do not know."}, {"user", "Why is the sky blue? And why is it red in the evening, though it is the same air?"}}
		content := ChatContent(history)
		first := finishAll(t, l, Request{ID: "1", Content: content, OutputTokens: 100})["1"]
		history = append(history, Message{assistant, content.Answer(0, 100)}, Message{"user", "And at night?"})
		second := finishAll(t, l, Request{ID: "2", Arrive: l.Now(), Content: ChatContent(history), OutputTokens: 5})["2"]
		want := (first.PromptTokens + 99) / d.BlockSize * d.BlockSize
		if first.CachedTokens != 0 || second.CachedTokens != want || second.Replica != first.Replica {
			t.Errorf("%s: the second turn finds %d tokens on replica %d, want %d on %d", runtime, second.CachedTokens, second.Replica, want, first.Replica)
		}
		d.PrefixCaching = false
		if got := finishAll(t, NewLoop(d, 1, 0), Request{ID: "1", Content: content, OutputTokens: 1}, Request{ID: "2", Arrive: time.Second, Content: content, OutputTokens: 1}); got["2"].CachedTokens != 0 {
			t.Errorf("%s: without a prefix cache %d tokens are found", runtime, got["2"].CachedTokens)
		}
	}
}

// Of prompts alike that are admitted in one step, those behind the first find its blocks
// with vLLM, and compute them themselves with the others. The next step's find them with all.
func TestSameStepHits(t *testing.T) {
	for runtime, want := range map[string]int{"vllm-like": 2000, "trtllm-like": 0, "sglang-like": 0} {
		d := resolve(t, Config{GPU: "h100-sxm", Runtime: runtime})
		requests := []Request{{ID: "before", PromptTokens: 8000, OutputTokens: 1}}
		for i := range 4 {
			ids := append(make([]int, 2000), 1, i)
			// They are ready, all of them, by the end of the step before.
			requests = append(requests, Request{ID: fmt.Sprint(i), Arrive: time.Duration(i + 1), Content: TokensContent(ids), OutputTokens: 5})
		}
		last := requests[4]
		last.ID, last.Arrive = "later", 5*time.Second
		l := NewLoop(d, 1, 0)
		got := finishAll(t, l, append(requests, last)...)
		if n := got["later"].CachedTokens; n/d.BlockSize != 2000/d.BlockSize {
			t.Errorf("%s: %d tokens are found later", runtime, n)
		}
		for i := range 4 {
			tr, found := got[fmt.Sprint(i)], want
			if i == 0 {
				found = 0
			}
			if tr.Scheduled != got["0"].Scheduled || tr.CachedTokens != found {
				t.Errorf("%s: prompt %d is scheduled at %s and finds %d tokens, want %s and %d", runtime, i, tr.Scheduled, tr.CachedTokens, got["0"].Scheduled, found)
			}
		}
	}
}

// Who leaves while the step computes its blocks takes them from nobody: the one that found
// them has all its tokens, and the next prompt finds them still.
func TestSameStepHitsOutliveTheirOwner(t *testing.T) {
	d := resolve(t, Config{GPU: "h100-sxm"})
	content := TokensContent(make([]int, 4000))
	var owner time.Duration
	for range 2 {
		l := NewLoop(d, 1, 0)
		if owner > 0 {
			l.CancelAt("owner", owner+time.Microsecond)
		}
		got := finishAll(t, l, Request{ID: "before", PromptTokens: 8000, OutputTokens: 1},
			Request{ID: "owner", Arrive: 1, Content: content, OutputTokens: 50}, Request{ID: "shares", Arrive: 2, Content: content, OutputTokens: 50},
			Request{ID: "later", Arrive: 5 * time.Second, Content: content, OutputTokens: 50})
		if owner = got["owner"].Scheduled; got["shares"].Scheduled != owner {
			t.Errorf("the two are scheduled at %s and %s, want one step", owner, got["shares"].Scheduled)
		}
		for id, want := range map[string]int{"owner": 0, "shares": 3984, "later": 3984} {
			if got[id].CachedTokens != want || id != "owner" && got[id].OutputTokens != 50 {
				t.Errorf("%s: %+v, want %d tokens found", id, got[id], want)
			}
		}
	}
}

// A prompt that fills its blocks exactly is not found whole: one token must be computed.
func TestSamePromptTwice(t *testing.T) {
	d := resolve(t, Config{})
	content := TokensContent(make([]int, 10*d.BlockSize))
	l := NewLoop(d, 1, 0)
	got := finishAll(t, l,
		Request{ID: "1", Content: content, OutputTokens: 1}, Request{ID: "2", Arrive: time.Second, Content: content, OutputTokens: 1})
	if got["1"].CachedTokens != 0 || got["2"].CachedTokens != 9*d.BlockSize || got["2"].TTFT() >= got["1"].TTFT() {
		t.Errorf("%d and %d cached tokens, TTFT %s and %s", got["1"].CachedTokens, got["2"].CachedTokens, got["1"].TTFT(), got["2"].TTFT())
	}
	if u := l.Usage(); u.Computed != 11*d.BlockSize {
		t.Errorf("%d tokens computed, want %d", u.Computed, 11*d.BlockSize)
	}
}

// The blocks used longest ago go first, and the end of a prompt before its beginning.
func TestEviction(t *testing.T) {
	p := newPool(4, 1, true)
	hold := func(ids ...int) *sequence {
		s := newSequence(Request{Content: TokensContent(ids)})
		found, _ := p.match(s.chain.keys(len(ids), 1))
		p.share(s, s.chain.keys(found, 1))
		p.claim(len(ids) - found)
		p.grant(s, len(ids)-found)
		s.computed = len(ids)
		return s
	}
	has := func(ids ...int) int {
		c := chain{content: TokensContent(ids)}
		n, _ := p.match(c.keys(len(ids), 1))
		return n
	}
	p.release(hold(1, 2, 3))
	p.release(hold(9))
	if p.free() != 4 || p.unused != 0 || has(1, 2, 3) != 3 || has(9) != 1 {
		t.Fatalf("%d blocks free, %d unused; the two prompts have %d and %d in the index", p.free(), p.unused, has(1, 2, 3), has(9))
	}
	a, b := hold(1, 2), hold(1) // both hold the first
	if p.free() != 2 || len(a.held) != 2 || a.held[0] != b.held[0] || b.held[0].holders != 2 {
		t.Fatalf("%d blocks free", p.free())
	}
	p.claim(1)
	if has(1, 2, 3) != 2 || has(9) != 1 {
		t.Error("the end of the older prompt should have gone first")
	}
	p.claim(1)
	if has(9) != 0 || p.free() != 0 {
		t.Error("then the newer prompt")
	}
	p.release(a)
	if p.free() != 1 || has(1, 2) != 2 {
		t.Error("a block that somebody holds is not free")
	}
}

// The tokens a step are what theory says: 1 + a + … + a^k = (1 − a^(k+1)) ÷ (1 − a).
func TestSpeculation(t *testing.T) {
	for _, s := range []Speculation{{Tokens: 1, Acceptance: .5}, {Tokens: 4, Acceptance: .8}, {Tokens: 3}, {Tokens: 2, Acceptance: 1}} {
		d := resolve(t, Config{GPU: "h100-sxm", Speculation: s})
		l := NewLoop(d, 1, 0)
		const n = 20000
		got := finishAll(t, l, Request{ID: "a", PromptTokens: 10, OutputTokens: n})["a"]
		want := float64(s.Tokens + 1)
		if s.Acceptance < 1 {
			want = (1 - math.Pow(s.Acceptance, want)) / (1 - s.Acceptance)
		}
		u := l.Usage()
		if rate := float64(n-1) / float64(u.Steps-1); math.Abs(rate/want-1) > .02 {
			t.Errorf("%+v: %.3f tokens a step, want %.3f", s, rate, want)
		}
		if got.OutputTokens != n || u.OutputTokens != n || u.DraftTokens > u.Drafts*s.Tokens || u.Drafts+u.AcceptedTokens < n-s.Tokens-2 {
			t.Errorf("%+v: %d tokens; %+v", s, got.OutputTokens, u)
		}
		steps := func(tr Truth) int { return len(slices.Compact(slices.Clone(tr.TokenTimes))) }
		same := finishAll(t, NewLoop(d, 1, 0), Request{ID: "a", PromptTokens: 10, OutputTokens: n}, Request{ID: "b", PromptTokens: 10, OutputTokens: n})
		other := finishAll(t, NewLoop(d, 2, 0), Request{ID: "a", PromptTokens: 10, OutputTokens: n})["a"]
		if steps(same["a"]) != steps(got) {
			t.Errorf("%+v: with company the draws are others", s)
		}
		if partial := s.Acceptance > 0 && s.Acceptance < 1; partial == (steps(other) == steps(got)) || partial == (steps(same["a"]) == steps(same["b"])) {
			t.Errorf("%+v: two seeds, or two requests, have the same luck: %t", s, partial)
		}
	}
}
