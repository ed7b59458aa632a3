package analysis

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// whatIf is a result with these capacities of its seeds.
func whatIf(name string, gpus int, capacities ...float64) WhatIf {
	w := WhatIf{Deployment: name, GPUs: gpus, SLO: "tpot.p95<40ms", Over: "rate", NotModelled: []string{"wear", "tear"}}
	for i, c := range capacities {
		w.Seeds = append(w.Seeds, WhatIfSeed{Seed: uint64(i), Capacity: c, Next: c * 1.02, Bound: "tpot.p95<40ms", Limit: "compute"})
	}
	w.Summarise()
	return w
}

func TestWhatIfSummary(t *testing.T) {
	w := whatIf("a", 2, 9, 10, 14)
	if !w.Found || w.Mean != 11 || w.Min != 9 || w.Max != 14 || math.Abs(w.SD-math.Sqrt(7)) > 1e-12 || w.PerGPU() != 5.5 {
		t.Errorf("%+v", w)
	}
	if w.Bound != "tpot.p95<40ms" || w.Limit != "compute" {
		t.Errorf("bound by %q, limited by %q", w.Bound, w.Limit)
	}
	if one := whatIf("a", 1, 9); !one.Found || one.Mean != 9 || !math.IsNaN(one.SD) {
		t.Errorf("%+v", one)
	}
	// A seed in which nothing holds leaves no mean.
	if none := whatIf("a", 1, 9, math.NaN()); none.Found || !math.IsNaN(none.Mean) || !math.IsNaN(none.Min) {
		t.Errorf("%+v", none)
	}
}

func TestWhatIfSentences(t *testing.T) {
	split := whatIf("a", 1, 9, 10, 14)
	split.Seeds[1].Bound, split.Seeds[1].Limit = PilesUp, "none"
	split.Summarise()
	piles := whatIf("c", 1, 9)
	piles.Seeds[0].Bound, piles.Seeds[0].Limit = PilesUp, "max seqs"
	piles.Summarise()
	free := whatIf("d", 1, 9)
	free.Seeds[0].Bound = ""
	free.Over = "concurrency"
	free.Summarise()
	none := whatIf("e", 1, math.NaN())
	for _, tt := range []struct {
		w    WhatIf
		want string
	}{
		{whatIf("b", 2, 9, 10, 14), "One replica of b serves 11 req/s within tpot.p95<40ms (9 to 14 over 3 seeds, standard deviation 2.65), 5.5 a GPU. Above that tpot.p95<40ms is missed; the engine is limited by its compute."},
		{split, "One replica of a serves 11 req/s within tpot.p95<40ms (9 to 14 over 3 seeds, standard deviation 2.65). Above that tpot.p95<40ms is missed (in 2 of 3 seeds); the engine is limited by its compute."},
		{piles, "One replica of c serves 9 req/s within tpot.p95<40ms. Above that requests pile up; the engine is limited by its max seqs."},
		{free, "One replica of d serves 9 users within tpot.p95<40ms. No load misses it, up to the largest that can be asked for."},
		{none, "e holds tpot.p95<40ms at no load that was looked at, down to a rate that leaves the engine idle most of the time: tpot.p95<40ms is missed there too."},
	} {
		if got := tt.w.Sentence(); got != tt.want {
			t.Errorf("%s\nwant\n%s", got, tt.want)
		}
	}
	if got := none.Limits(); got != "Not modelled: wear and tear." {
		t.Error(got)
	}
	fitted := WhatIf{Fitted: true}
	fitted.Summarise()
	if !strings.Contains(fitted.Label, "within about 13 % on average (9 in 10 cases within 29 %)") || !strings.Contains(none.Label, "within about 25–40 % on average, 1 case in 10 off by 50–100 %") {
		t.Errorf("%s\n%s", fitted.Label, none.Label)
	}
}

func TestWhatIfSizingSentences(t *testing.T) {
	run := func(replicas int, share float64) WhatIfRun {
		return WhatIfRun{replicas, WhatIfPoint{Holds: share <= 1, Steady: true, Nearest: "tpot.p95<40ms", Share: share}}
	}
	for _, tt := range []struct {
		z    WhatIfSizing
		want string
	}{
		{WhatIfSizing{Demand: 5, Asked: 1, Replicas: 1, GPUs: 2, Router: "rr", Verified: true, Runs: []WhatIfRun{run(1, 0.7)}, Headroom: 0.5, Linear: math.NaN(), Planned: 1},
			"5 req/s ÷ capacity takes 1 replica of 2 GPUs. A run of it holds the SLO. Headroom is 50 %."},
		{WhatIfSizing{Demand: 25, Asked: 3, Replicas: 3, GPUs: 3, Router: "rr", Verified: true, Runs: []WhatIfRun{run(3, 0.9)}, Headroom: 0.1, Linear: 1.2, Planned: 4},
			"25 req/s ÷ capacity takes 3 replicas of 1 GPU. A run of all of them behind rr holds the SLO. Headroom is 10 %; 4 replicas would leave 30 % or more. Behind the router the replicas reach 120 % of what they serve alone: shared out, the arrivals are more regular at each."},
		{WhatIfSizing{Demand: 25, Asked: 3, Replicas: 4, GPUs: 4, Router: "rr", Verified: true, Runs: []WhatIfRun{run(3, 1.04), run(4, 0.8)}, Headroom: 0.2, Linear: 0.9, Planned: 4},
			"25 req/s ÷ capacity takes 3 replicas of 1 GPU. A run of 3 replicas misses the SLO (tpot.p95<40ms at 104 % of its bound), and one of 4 behind rr holds it. Headroom is 20 %. Behind the router the replicas reach 90 % of what they serve alone."},
		{WhatIfSizing{Demand: 25, Asked: 3, Replicas: 3, GPUs: 3, Router: "rr", Runs: []WhatIfRun{run(3, 2), run(4, 2)}, Headroom: 0.1, Linear: math.NaN(), Planned: 4},
			"25 req/s ÷ capacity takes 3 replicas of 1 GPU. No run of up to 4 replicas behind rr held the SLO, so the number is not verified."},
		{WhatIfSizing{Demand: 25, Asked: 900, Replicas: 900, GPUs: 900, Router: "rr", Planned: 1200},
			"25 req/s ÷ capacity takes 900 replicas of 1 GPU. So many are not run, and the number is not verified."},
	} {
		if got := tt.z.Sentence("req/s"); got != tt.want {
			t.Errorf("%s\nwant\n%s", got, tt.want)
		}
	}
	piles := WhatIfPoint{Share: 0.9, Nearest: "tpot.p95<40ms"}
	if piles.why() != PilesUp {
		t.Error(piles.why())
	}
}

// The most load a GPU comes first without a demand, the fewest GPUs with one; what holds
// nothing comes last, and what overlaps the row above is marked.
func TestRankWhatIf(t *testing.T) {
	list := []WhatIf{whatIf("none", 1, math.NaN()), whatIf("wide", 4, 30, 34), whatIf("small", 1, 7, 9), whatIf("near", 1, 8.5, 9.5)}
	names := func(list []WhatIf) string {
		var out []string
		for _, w := range list {
			out = append(out, w.Deployment)
		}
		return strings.Join(out, " ")
	}
	ranked, alike := RankWhatIf(list)
	if names(ranked) != "near wide small none" || !cmp.Equal(alike, []bool{false, true, true, false}) {
		t.Errorf("%s %v", names(ranked), alike)
	}
	for i, gpus := range []int{0, 4, 3, 3} {
		if gpus > 0 {
			list[i].Sizing = &WhatIfSizing{GPUs: gpus}
		}
	}
	if ranked, _ := RankWhatIf(list); names(ranked) != "near small wide none" {
		t.Error(names(ranked))
	}
	if names(list) != "none wide small near" {
		t.Errorf("the argument was sorted: %s", names(list))
	}
}

func TestWhatIfJSON(t *testing.T) {
	for _, w := range []WhatIf{whatIf("a", 2, 9, 10, 14), whatIf("none", 1, math.NaN())} {
		w.Seeds[0].Points = []WhatIfPoint{{Load: 1, Nearest: "tpot.p95<40ms", Share: math.NaN()}}
		w.Figures.TTFT.P99, w.Warnings = math.Inf(1), []string{}
		w.Sizing = &WhatIfSizing{Linear: math.NaN(), Runs: []WhatIfRun{{Replicas: 2}}}
		b, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		var back WhatIf
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		w.Figures.TTFT.P99 = math.NaN() // which null stands for too
		if diff := cmp.Diff(w, back, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
}
