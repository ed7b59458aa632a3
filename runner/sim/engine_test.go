package sim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// inspector is an audience that checks the scheduler's books at every step.
type inspector struct {
	t *rapid.T
	f *fleet
	// prefilled counts the prompt tokens computed or found of each sequence that has no token yet.
	prefilled map[*sequence]int
	admitted  map[*sequence]int // with how many preemptions
	truths    []Truth
	computed  int // tokens
	// admissions is how many each scheduler has made up to the step before.
	admissions map[*continuous]int
}

func (i *inspector) tokens(time.Duration, []*sequence) {}

func (i *inspector) closed(s *sequence) { i.truths = append(i.truths, s.truth) }

func (i *inspector) step(p Step) {
	d := i.f.d
	if p.Took < time.Microsecond || p.Took%time.Microsecond != 0 {
		i.t.Fatalf("a step takes %s; want whole microseconds, at least one", p.Took)
	}
	e := i.f.engines[p.Replica]
	if got, want := i.f.horizon(e), horizonByWalk(i.f, e); got != want {
		i.t.Fatalf("the horizon of replica %d is %s, want %s", p.Replica, got, want)
	}
	w := e.work
	i.computed += w.tokens
	if w.seqs > d.MaxSeqs || w.sampled > w.seqs+w.drafts || w.sampled+w.decodes == 0 && w.pairs == 0 {
		i.t.Fatalf("a step has the work %+v for at most %d sequences", w, d.MaxSeqs)
	}
	switch s := e.scheduler.(type) {
	case *continuous:
		i.checkContinuous(s, p.Replica, w)
		for _, q := range s.running {
			if q.closed && q.truth.Finish < p.Start {
				i.t.Fatalf("a step at %s has a place for a client that left at %s", p.Start, q.truth.Finish)
			}
			if d.Runtime.Scheduling.Reserve && q.room < q.prompt+q.limit {
				i.t.Fatalf("%d tokens are reserved for %d and %d", q.room, q.prompt, q.limit)
			}
		}
	case *static:
		if s.reserve*len(s.batch) > d.KVTokens {
			i.t.Fatalf("a batch of %d holds %d tokens each, and the pool %d", len(s.batch), s.reserve, d.KVTokens)
		}
	}
}

// waiting gives the sequences that wait at a replica.
func (f *fleet) waiting(replica int) (out []*sequence) {
	for s := f.engines[replica].waiting.front; s != nil; s = s.next {
		out = append(out, s)
	}
	return out
}

func (i *inspector) checkContinuous(c *continuous, replica int, w work) {
	if w.tokens > c.d.TokenBudget && len(c.chunks) > 1 {
		i.t.Fatalf("a step computes %d tokens over the budget of %d", w.tokens, c.d.TokenBudget)
	}
	checkPool(i.t, c)
	for _, s := range i.f.waiting(replica) {
		if s.blocks() != 0 || s.computed != 0 || s.room != 0 {
			i.t.Fatalf("a waiting request holds %d blocks for %d tokens", s.blocks(), s.computed)
		}
	}
	policy := c.d.Runtime.Scheduling
	if n := len(c.running); policy.WholePrompt && c.admissions > i.admissions[c] {
		if s := c.running[n-1]; c.pool.blocksFor(s.target())-s.blocks() > c.pool.free() {
			i.t.Fatalf("a request of %d tokens is admitted with %d blocks, and %d are free", s.target(), s.blocks(), c.pool.free())
		}
	}
	i.admissions[c] = c.admissions
	decodes, prefills := 0, 0
	planned := map[*sequence]int{}
	for _, k := range c.chunks {
		s := k.seq
		planned[s] = k.n
		if k.n < 1 || s.computed+k.n > s.target() || s.computed+k.n+k.drafts > s.room || s.generated+1+k.drafts > s.output && k.drafts > 0 {
			i.t.Fatalf("%d tokens and %d drafts on top of %d, towards %d, with room for %d", k.n, k.drafts, s.computed, s.target(), s.room)
		}
		if policy.LongPrefill > 0 && policy.Chunked && k.n > policy.LongPrefill {
			i.t.Fatalf("a chunk of %d tokens; the most is %d", k.n, policy.LongPrefill)
		}
		switch {
		case !s.decodes():
			prefills++
		case s.preemptions == 0: // else it may have found all of itself
			decodes++
		}
		if s.generated == 0 {
			if at, seen := i.admitted[s]; !seen || at != s.preemptions {
				i.admitted[s], i.prefilled[s] = s.preemptions, s.computed // what it found
			}
			if i.prefilled[s] != s.computed {
				i.t.Fatalf("%d tokens are there, but %d were found and computed", s.computed, i.prefilled[s])
			}
			i.prefilled[s] += k.n
			if samples := s.computed+k.n == s.target(); samples != (i.prefilled[s] == s.prompt) {
				i.t.Fatalf("a first token after %d of %d prompt tokens", i.prefilled[s], s.prompt)
			}
		}
	}
	for _, s := range c.running {
		n := planned[s]
		delete(planned, s)
		if !c.policy.early() {
			n = 0
		}
		if s.published*c.d.BlockSize > s.computed+n {
			i.t.Fatalf("%d blocks can be found of a request with %d tokens and %d in the step", s.published, s.computed, n)
		}
	}
	if len(planned) > 0 {
		i.t.Fatalf("%d requests have tokens in a step and no place in the batch", len(planned))
	}
	if policy.Batching == PrefillFirst && decodes > 0 && prefills > 0 {
		i.t.Fatalf("a step has %d decodes and %d prompts", decodes, prefills)
	}
}

// checkPool counts all blocks: each is unused, one sequence's own, or in the index.
func checkPool(t *rapid.T, c *continuous) {
	p := c.pool
	own, holders := 0, map[*block]int{}
	for _, s := range c.running {
		own += s.own
		for _, b := range s.held {
			holders[b]++
		}
		if s.room != s.blocks()*p.size {
			t.Fatalf("%d blocks have room for %d tokens", s.blocks(), s.room)
		}
	}
	idle := 0
	for b := p.idle.front; b != nil; b = b.next {
		idle++
	}
	for key, b := range p.index {
		if b.key != key || b.holders != holders[b] {
			t.Fatalf("a block of the index has %d holders; %d sequences hold it", b.holders, holders[b])
		}
	}
	if idle != p.idle.n || len(holders)+idle != len(p.index) || p.unused < 0 || p.unused+own+len(p.index) != p.total {
		t.Fatalf("%d unused, %d own, %d shared, %d idle and %d in the index, of %d blocks", p.unused, own, len(holders), idle, len(p.index), p.total)
	}
}

// smallDeployment is one whose limits are met often.
func smallDeployment(t *rapid.T) Deployment {
	d, err := Config{Runtime: rapid.SampledFrom([]string{"vllm-like", "trtllm-like", "hf-static"}).Draw(t, "runtime")}.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	s := &d.Runtime.Scheduling
	if s.Batching == Mixed {
		if rapid.Bool().Draw(t, "prefill first") {
			s.Batching = PrefillFirst
		}
		s.Chunked = rapid.Bool().Draw(t, "chunked")
		s.LongPrefill = rapid.SampledFrom([]int{0, 0, 5}).Draw(t, "long prefill")
		s.WholePrompt = rapid.Bool().Draw(t, "whole prompt")
		d.PrefixCaching = rapid.Bool().Draw(t, "prefix caching")
		if rapid.Bool().Draw(t, "speculate") {
			d.Speculation = Speculation{Tokens: rapid.IntRange(1, 5).Draw(t, "drafts"), Acceptance: rapid.Float64Range(0, 1).Draw(t, "acceptance")}
		}
	}
	d.BlockSize = rapid.IntRange(1, 9).Draw(t, "block")
	d.KVBlocks = rapid.IntRange(20, 80).Draw(t, "blocks")
	d.KVTokens = d.KVBlocks * d.BlockSize
	d.MaxModelLen = d.KVTokens
	d.MaxSeqs = rapid.IntRange(1, 8).Draw(t, "sequences")
	d.TokenBudget = rapid.IntRange(1, 100).Draw(t, "budget")
	d.Replicas = rapid.SampledFrom([]int{1, 1, 2, 3, 6}).Draw(t, "replicas")
	d.Router = rapid.SampledFrom(Routers()).Draw(t, "router")
	return d
}

// ask is a request, and when its client loses patience; 0 = never.
type ask struct {
	Request
	leaves time.Duration
}

// load draws requests that a deployment can serve. Many of them begin alike.
func load(t *rapid.T, d *Deployment) []ask {
	asks := make([]ask, rapid.IntRange(1, 25).Draw(t, "requests"))
	for i := range asks {
		longest := d.KVTokens - 1
		if p := d.Runtime.Scheduling; p.Batching != Static && !p.Chunked {
			longest = min(longest, d.TokenBudget)
		}
		r := Request{ID: fmt.Sprintf("%03d", i)}
		n := rapid.IntRange(1, longest).Draw(t, "prompt")
		if rapid.IntRange(0, 3).Draw(t, "kind") > 0 {
			ids := make([]int, n)
			for k := range ids {
				ids[k] = k
			}
			ids[rapid.IntRange(0, n-1).Draw(t, "differs")] = -rapid.IntRange(0, 1).Draw(t, "as")
			r.Content = TokensContent(ids)
		} else {
			r.PromptTokens = n
		}
		r.Arrive = time.Duration(rapid.IntRange(0, 40).Draw(t, "arrive")) * 5 * time.Millisecond
		r.MaxTokens = rapid.IntRange(1, min(60, d.KVTokens-n)).Draw(t, "limit")
		r.OutputTokens = rapid.IntRange(1, r.MaxTokens).Draw(t, "output")
		asks[i].Request = r
		if rapid.IntRange(0, 4).Draw(t, "leaves") == 0 {
			asks[i].leaves = r.Arrive + time.Duration(rapid.IntRange(0, 300).Draw(t, "patience"))*time.Millisecond
		}
	}
	return asks
}

// The laws of the engine, whatever arrives and leaves: blocks and tokens are conserved, first
// come is first served, no token comes before its prompt is computed, and
// preemption loses none.
func TestEngineLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := smallDeployment(t)
		in := &inspector{t: t, prefilled: map[*sequence]int{}, admitted: map[*sequence]int{}, admissions: map[*continuous]int{}}
		in.f = newFleet(&d, 1, rapid.SampledFrom([]float64{0, .1}).Draw(t, "jitter"), in)
		in.f.stepwise = true
		asks := load(t, &d)
		asked, gone := map[string]Request{}, map[string]time.Duration{}
		for _, a := range asks {
			s := in.f.submit(a.Request)
			a.PromptTokens = s.prompt
			asked[a.ID] = a.Request
			if a.leaves > 0 {
				gone[a.ID] = a.leaves
				in.f.cancel(s, a.leaves)
			}
		}
		for next := in.f.next(); next != forever; next = in.f.next() {
			in.f.advance(next)
		}
		if len(in.truths) != len(asks) {
			t.Fatalf("%d of %d requests are finished", len(in.truths), len(asks))
		}
		for _, e := range in.f.engines {
			if g := e.gauges(); g.running != 0 || g.blocks != 0 || g.waiting != 0 {
				t.Fatalf("at the end %d requests run, %d wait, and %d blocks are held", g.running, g.waiting, g.blocks)
			}
		}
		for _, tr := range in.truths {
			checkTruth(t, &d, tr, asked[tr.ID], gone)
		}
		checkOrder(t, in.truths)
		checkUsage(t, &d, in)
	})
}

// checkOrder holds that first come is first scheduled, at each replica.
func checkOrder(t *rapid.T, truths []Truth) {
	slices.SortFunc(truths, func(a, b Truth) int { return int(a.Ready - b.Ready) })
	last := map[int]time.Duration{}
	for _, tr := range truths {
		if tr.Scheduled == Never {
			continue
		}
		if tr.Scheduled < last[tr.Replica] {
			t.Fatalf("%s was ready earlier but scheduled later than another", tr.ID)
		}
		last[tr.Replica] = tr.Scheduled
	}
}

// checkUsage holds the sums against the truths.
func checkUsage(t *rapid.T, d *Deployment, in *inspector) {
	u := in.f.usage()
	prompt, cached, output, preemptions := 0, 0, 0, 0
	aborted := false
	for _, tr := range in.truths {
		if tr.Scheduled != Never {
			prompt += tr.PromptTokens
			cached += tr.CachedTokens
		}
		output += tr.OutputTokens
		preemptions += tr.Preemptions
		aborted = aborted || tr.FinishReason == FinishAbort
	}
	if u.PromptTokens != prompt || u.CachedTokens != cached || u.Computed != in.computed || u.Preemptions < preemptions || u.OutputTokens < output {
		t.Fatalf("%+v of truths with %d prompt, %d cached, %d output tokens and %d preemptions; %d tokens computed", u, prompt, cached, output, preemptions, in.computed)
	}
	if !aborted && (u.OutputTokens != output || u.Preemptions != preemptions) {
		t.Fatalf("%d output tokens of %d, %d preemptions of %d", u.OutputTokens, output, u.Preemptions, preemptions)
	}
	if !aborted && preemptions == 0 && d.Runtime.Scheduling.Batching != Static {
		// The last token of an answer is not computed.
		if want := prompt - cached + output - len(in.truths) + u.DraftTokens - u.AcceptedTokens; u.Computed != want {
			t.Fatalf("%d tokens were computed, want %d", u.Computed, want)
		}
	}
	p := u.Parts
	sum := p.Weights + p.Compute + p.Prefill + p.Decode + p.Reduce + p.Launch + p.Host + p.HostBound
	if u.Elapsed < u.Busy || u.AcceptedTokens > u.DraftTokens || u.KVShare < 0 || u.KVShare > 1 || u.Running > float64(d.MaxSeqs) ||
		(sum-u.Busy).Abs() > u.Busy/1000+time.Microsecond {
		t.Fatalf("%+v; parts sum to %s", u, sum)
	}
}

func checkTruth(t *rapid.T, d *Deployment, tr Truth, asked Request, gone map[string]time.Duration) {
	if tr.OutputTokens != len(tr.TokenTimes) {
		t.Fatalf("%s: %d tokens at %d times", tr.ID, tr.OutputTokens, len(tr.TokenTimes))
	}
	for i, at := range tr.TokenTimes {
		if i > 0 && (at < tr.TokenTimes[i-1] || at == tr.TokenTimes[i-1] && d.Speculation.Tokens == 0) {
			t.Fatalf("%s: token %d does not come after the one before it", tr.ID, i)
		}
	}
	if at, left := gone[tr.ID]; tr.FinishReason == FinishAbort {
		if !left || tr.Finish != at || tr.OutputTokens > 0 && tr.TokenTimes[tr.OutputTokens-1] > at {
			t.Fatalf("%s: aborted as %+v, but its client left at %s (%t)", tr.ID, tr, at, left)
		}
		return
	} else if left && tr.Finish > at {
		t.Fatalf("%s: its client left at %s, and it finished at %s", tr.ID, at, tr.Finish)
	}
	if n := asked.OutputTokens; tr.OutputTokens != n || tr.TokenTimes[0] != tr.FirstToken || tr.TokenTimes[n-1] != tr.Finish {
		t.Fatalf("%s: asked for %d tokens, got %+v", tr.ID, n, tr)
	}
	if tr.PromptTokens != asked.PromptTokens || tr.CachedTokens > 0 && (!d.PrefixCaching || asked.Content == nil || tr.CachedTokens%d.BlockSize != 0) ||
		tr.CachedTokens >= tr.PromptTokens {
		t.Fatalf("%s: %d of %d prompt tokens were cached", tr.ID, tr.CachedTokens, tr.PromptTokens)
	}
	if tr.Ready < tr.Arrive+d.Runtime.Front || tr.Scheduled < tr.Ready || tr.FirstToken <= tr.Scheduled+d.Runtime.Net {
		t.Fatalf("%s: its times are out of order: %+v", tr.ID, tr)
	}
	if tr.Preemptions > 0 && (d.Runtime.Scheduling.Reserve || d.Runtime.Scheduling.Batching == Static) {
		t.Fatalf("%s: %s preempted it", tr.ID, d.Runtime.Name)
	}
}

func TestStepCost(t *testing.T) {
	d := resolve(t, Config{GPU: "a100-80-sxm", Model: "llama-3.1-8b"})
	d.Runtime.Constants.Seq = 0 // the GPU's part of a step alone
	c := newCosts(&d)
	decode := func(n, context int) time.Duration {
		var w work
		for range n {
			w.add(1, context)
		}
		w.sampled = n
		return c.step(w, 1)
	}
	// Vidur measured the matrix kernels of a layer of this model on this GPU at 276
	// µs for 1 token, 324 for 64 and 994 for 512; four launches of 2 µs are in them.
	for _, tc := range []struct {
		tokens int
		micros float64
	}{{1, 276}, {64, 324}, {512, 994}, {4096, 7839}} {
		got := (c.attention.time(tc.tokens) + c.feedForward.time(tc.tokens) + c.fixed) / 32
		if r := got / tc.micros; r < .8 || r > 1.2 {
			t.Errorf("%d tokens take %.0f µs a layer, measured %.0f", tc.tokens, got, tc.micros)
		}
	}
	if one, many := decode(1, 500), decode(64, 500); many > one*13/10 {
		t.Errorf("64 sequences take %s a step and one %s; batching should be nearly free", many, one)
	}
	for n, context := 1, 100; n < 200; n, context = n+7, context+50 {
		if decode(n+1, context) < decode(n, context) || decode(n, context+1000) < decode(n, context) {
			t.Errorf("more work takes less time at %d sequences of %d tokens", n, context)
		}
	}
	// Two chunks of a prompt attend to as many pairs as the whole prompt.
	var whole, half work
	whole.add(1000, 0)
	half.add(400, 0)
	half.add(600, 400)
	if whole.pairs != half.pairs {
		t.Errorf("a prompt in two chunks has %g pairs, in one %g", half.pairs, whole.pairs)
	}
}

// Matrix products of Llama-3.1-8B that were measured for this program on one H100 (cuBLAS
// of torch 2.11, BF16, weights not in the cache), in µs. The catalogue's shares come from
// another machine and another library's kernels.
func TestMatrixProductsOnAnH100(t *testing.T) {
	d := resolve(t, Config{GPU: "h100-sxm"})
	k := d.GPU.Kernels.BF16
	for _, tc := range []struct {
		n, k   float64
		micros map[int]float64
	}{
		{28672, 4096, map[int]float64{1: 83.6, 8: 84.4, 64: 89.4, 256: 106.1, 1024: 311.9, 4096: 1243.5}},
		{4096, 14336, map[int]float64{1: 46.1, 8: 46.2, 64: 48.8, 256: 60.3, 1024: 152.4, 4096: 609.2}},
		{6144, 4096, map[int]float64{1: 24.0, 8: 23.9, 64: 21.0, 256: 23.9, 1024: 69.2, 4096: 277.8}},
		{128256, 4096, map[int]float64{1: 375.9, 8: 379.5, 64: 389.6, 256: 428.7, 1024: 1404, 4096: 5926}},
	} {
		r := roofline{perToken: 2 * tc.n * tc.k / (d.GPU.BF16 * 1e6 * k.Compute), read: 2 * tc.n * tc.k / (d.GPU.BandwidthTBs * 1e6 * k.Memory)}
		for m, measured := range tc.micros {
			got := r.time(m) + k.Launch
			t.Logf("%g × %g, %d tokens: %.1f µs, measured %.1f: %.2f", tc.n, tc.k, m, got, measured, got/measured)
			if ratio := got / measured; ratio < .8 || ratio > 1.2 {
				t.Errorf("%g × %g takes %.1f µs for %d tokens, measured %.1f", tc.n, tc.k, got, m, measured)
			}
		}
	}
}
