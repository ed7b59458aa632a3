package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestRouters(t *testing.T) {
	at := func(i int) time.Duration { return time.Duration(i) * 10 * time.Millisecond }
	replicas := func(router string, requests ...Request) (out []int) {
		d := resolve(t, Config{GPU: "h100-sxm", Replicas: 3, Router: router, Unfitted: true})
		for i := range requests {
			requests[i].ID, requests[i].Arrive = fmt.Sprint(i), at(i)
		}
		got := finishAll(t, NewLoop(d, 1, 0), requests...)
		for i := range requests {
			out = append(out, got[fmt.Sprint(i)].Replica)
		}
		return out
	}
	long := Request{PromptTokens: 100, OutputTokens: 500}
	short := Request{PromptTokens: 100, OutputTokens: 1}
	said := func(text string, repeats int) Request {
		return Request{Content: TextContent(strings.Repeat(text, repeats)), OutputTokens: 500}
	}
	common := strings.Repeat("a system prompt ", 100)
	for _, tc := range []struct {
		name, router string
		requests     []Request
		want         string
	}{
		{"each in its turn", RoundRobin, []Request{long, short, long, long, long}, "[0 1 2 0 1]"},
		{"the one that is free again", LeastOutstanding, []Request{long, short, long, long, long, long}, "[0 1 2 1 2 0]"},
		{"where the prompt was", PrefixAffinity, []Request{said("one ", 50), said("two ", 50), said("one ", 60), said("two ", 60), said("six ", 60)}, "[0 1 0 1 2]"},
		{"not where everybody's beginning was", PrefixAffinity, []Request{
			{Content: TextContent(common + strings.Repeat("one ", 500)), OutputTokens: 9}, {Content: TextContent(common + strings.Repeat("two ", 500)), OutputTokens: 9},
			{Content: TextContent(common + strings.Repeat("six ", 500)), OutputTokens: 9}}, "[0 1 2]"},
		{"without a text the one that has least to do", PrefixAffinity, []Request{long, long, long, long}, "[0 1 2 0]"},
	} {
		// A short request is answered by the time the one after the next arrives.
		if got := fmt.Sprint(replicas(tc.router, tc.requests...)); got != tc.want {
			t.Errorf("%s: replicas %s, want %s", tc.name, got, tc.want)
		}
	}
}

// When one replica falls behind, prompts leave it though their beginning is there.
func TestAffinityGivesWay(t *testing.T) {
	d := resolve(t, Config{GPU: "h100-sxm", Replicas: 2, Router: PrefixAffinity})
	l := NewLoop(d, 1, 0)
	content := TextContent(strings.Repeat("the same ", 100))
	var requests []Request
	for i := range 300 {
		requests = append(requests, Request{ID: fmt.Sprintf("%03d", i), Arrive: time.Duration(i), Content: content, OutputTokens: 500})
	}
	got, n := finishAll(t, l, requests...), 0
	for _, tr := range got {
		n += tr.Replica
	}
	if n < 75 || n > 150 {
		t.Errorf("%d of 300 requests with one prompt went to the second replica", n)
	}
}

// The router remembers no more than the replicas hold.
func TestAffinityForgets(t *testing.T) {
	r := &prefixAffinity{size: 1, most: 3, index: map[uint64]*place{}}
	for key := range uint64(5) {
		r.remember(key, int(key))
		r.remember(1, 7) // what is heard of again stays
	}
	for key, want := range map[uint64]bool{0: false, 1: true, 2: false, 3: true, 4: true} {
		if (r.index[key] != nil) != want {
			t.Errorf("block %d is remembered: %t", key, !want)
		}
	}
	if len(r.index) != 3 {
		t.Errorf("%d blocks are remembered, want 3", len(r.index))
	}
}

// Several replicas serve more, and all of them are counted.
func TestReplicasShareTheLoad(t *testing.T) {
	var ends []time.Duration
	for _, n := range []int{1, 4} {
		d := resolve(t, Config{Replicas: n, Router: LeastOutstanding})
		l := NewLoop(d, 1, .02)
		var requests []Request
		for i := range 200 {
			requests = append(requests, Request{ID: fmt.Sprint(i), Arrive: time.Duration(i) * time.Millisecond, PromptTokens: 500, OutputTokens: 100})
		}
		finishAll(t, l, requests...)
		u := l.Usage()
		if u.OutputTokens != 200*100 || u.PromptTokens != 200*500 || u.Elapsed != time.Duration(n)*l.Now() || u.Busy > u.Elapsed {
			t.Errorf("%d replicas until %s: %+v", n, l.Now(), u)
		}
		ends = append(ends, l.Now())
	}
	if ends[1] > ends[0]*2/5 {
		t.Errorf("four replicas need %s for what one does in %s", ends[1], ends[0])
	}
}

// The limit is where more would help.
func TestLimit(t *testing.T) {
	for _, tc := range []struct {
		name, want     string
		cfg            Config
		n              int
		every          time.Duration
		prompt, output int
	}{
		{"seldom a request", LimitNone, Config{GPU: "h100-sxm"}, 20, 10 * time.Second, 100, 10},
		{"one long answer", LimitBandwidth, Config{GPU: "a100-80-sxm"}, 1, 0, 100, 2000},
		{"prompts without answers", LimitCompute, Config{GPU: "h100-sxm"}, 100, 10 * time.Millisecond, 4000, 1},
		{"a pool that is too small", LimitKV, Config{}, 40, 10 * time.Millisecond, 3000, 200},
		{"two seats", LimitSeqs, Config{GPU: "h100-sxm", MaxSeqs: 2}, 40, 10 * time.Millisecond, 100, 100},
		{"many tiny requests", LimitFront, Config{GPU: "h100-sxm"}, 2000, time.Millisecond, 10, 1},
		{"Python in a loop", LimitHost, Config{GPU: "a100-80-sxm", Runtime: "hf-static"}, 1, 0, 100, 500},
	} {
		l := NewLoop(resolve(t, tc.cfg), 1, 0)
		var requests []Request
		for i := range tc.n {
			requests = append(requests, Request{ID: fmt.Sprint(i), Arrive: time.Duration(i) * tc.every, PromptTokens: tc.prompt, OutputTokens: tc.output})
		}
		finishAll(t, l, requests...)
		if got := l.Usage().Limit(); got != tc.want {
			t.Errorf("%s: limited by %q, want %q; %+v", tc.name, got, tc.want, l.Usage())
		}
	}
	if got := (Usage{}).Limit(); got != LimitNone {
		t.Errorf("nothing is limited by %q", got)
	}
	if got := (parts{decode: 2, weights: 1}).limit(); got != "decode attention" {
		t.Errorf("a step is limited by %q", got)
	}
}
