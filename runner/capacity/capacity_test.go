package capacity

import (
	"bytes"
	"encoding/json"
	"math"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
)

func deployment(t testing.TB, c sim.Config) sim.Deployment {
	t.Helper()
	d, err := c.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func slo(t testing.TB, text string) experiment.SLO {
	t.Helper()
	s, err := experiment.ParseSLO(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// slot is a server that serves one request at a time. Its front end takes no time, since in
// theory there is none.
func slot(t testing.TB) sim.Deployment {
	t.Helper()
	d := deployment(t, sim.Config{GPU: "h100-sxm", MaxSeqs: 1})
	d.Runtime.Front = time.Nanosecond
	return d
}

// slotQuestion asks for the capacity of one slot with requests that are all alike.
func slotQuestion(t testing.TB, objectives string) Question {
	t.Helper()
	return Question{Deployment: slot(t), SLO: slo(t, objectives), Seed: 1,
		Workload: Workload{Input: experiment.Tokens(8), Output: experiment.Tokens(1)}}
}

func find(t testing.TB, q Question) analysis.WhatIf {
	t.Helper()
	w, err := Find(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// times gives the service time of one slot, and what goes by beside it.
func times(t testing.TB, q Question) (service, beside time.Duration) {
	t.Helper()
	lone, err := q.lone()
	if err != nil {
		t.Fatal(err)
	}
	beside = q.Deployment.Runtime.Front + q.Deployment.Runtime.Net
	return lone - beside, beside
}

// erlang is the rate at which a share of the requests to one slot with constant service waits no longer
// than a time. Of M/D/1 with service s, P(W ≤ t) = (1−λs) Σ (λ(ks−t))ᵏ/k! · exp(−λ(ks−t)) over
// k = 0 … ⌊t/s⌋ (Erlang 1909).
func erlang(service, wait, share float64) float64 {
	within := func(rate float64) float64 {
		sum := 0.0
		for k := 0.0; k*service <= wait; k++ {
			x := rate * (k*service - wait)
			sum += math.Pow(x, k) / math.Gamma(k+1) * math.Exp(-x)
		}
		return (1 - rate*service) * sum
	}
	low, high := 0.0, 1/service
	for range 60 {
		if mid := (low + high) / 2; within(mid) >= share {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}

// racing reports whether the race detector is on, under which only what runs on several
// goroutines is worth its time.
func racing() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// The capacity of one slot is that of theory within 3 %. Each seed's result lies up to 3 % below the
// edge of its own draw, and the mean of five of 10,000 requests has an error of chance of 0.7 %.
func TestCapacityIsThatOfTheory(t *testing.T) {
	if racing() {
		t.Skip("it takes six times as long under the race detector, and fewer requests are too noisy")
	}
	for _, tt := range []struct {
		slo   string
		share float64
		bound float64 // ms
	}{
		{"e2e.p95<40ms", 0.95, 40},
		{"ttft.p90<60ms", 0.90, 60},
	} {
		q := slotQuestion(t, tt.slo)
		q.Requests = 10_000
		service, beside := times(t, q)
		want := erlang(service.Seconds(), tt.bound/1e3-(service+beside).Seconds(), tt.share)
		w := find(t, q)
		t.Logf("%s: %.2f req/s (%.2f to %.2f), theory %.2f (%+.2f %%) at ρ = %.3f", tt.slo, w.Mean, w.Min, w.Max, want, 100*(w.Mean/want-1), want*service.Seconds())
		if !w.Found || math.Abs(w.Mean/want-1) > 0.03 {
			t.Errorf("%s: %g req/s, and theory says %g", tt.slo, w.Mean, want)
		}
		if w.Bound != tt.slo {
			t.Errorf("%s: bound by %q", tt.slo, w.Bound)
		}
	}
}

// Without a latency to hold, the capacity is the edge of stability: one over the service time.
func TestCapacityIsWhereRequestsPileUp(t *testing.T) {
	q := slotQuestion(t, "errors<1%")
	q.Seeds = 3
	service, _ := times(t, q)
	w := find(t, q)
	if rho := w.Mean * service.Seconds(); !w.Found || math.Abs(rho-1) > 0.04 || w.Bound != analysis.PilesUp {
		t.Errorf("ρ = %g at the capacity, bound by %q", rho, w.Bound)
	}
}

// A seed's requests wait no less at a higher rate. It is a law of one slot, where each wait follows
// from the gaps by Lindley's recursion, and needs the same gaps at each rate. On/off arrivals
// do not have them, since their phases keep their lengths.
func TestMoreLoadIsNoBetter(t *testing.T) {
	base := slotQuestion(t, "e2e.p95<40ms").withDefaults()
	service, _ := times(t, base)
	rapid.Check(t, func(t *rapid.T) {
		q := base
		text := rapid.SampledFrom([]string{"constant", "poisson", "gamma:cv=0.5", "gamma:cv=3"}).Draw(t, "arrival")
		var err error
		if q.Workload.Arrival, err = experiment.ParseArrival(text); err != nil {
			t.Fatal(err)
		}
		seed := rapid.Uint64().Draw(t, "seed")
		low := rapid.Float64Range(0.05, 1).Draw(t, "load")
		high := low * rapid.Float64Range(1.01, 1.5).Draw(t, "more")
		at := func(rho float64) *measurement {
			m, err := q.rate(q.Deployment, seed, rho/service.Seconds(), size{20, 100})
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		a, b := at(low), at(high)
		for i := range a.answers {
			if a.answers[i].ttft() > b.answers[i].ttft()+time.Microsecond { // arrivals are whole nanoseconds
				t.Fatalf("request %d waits %s at ρ = %g and %s at %g", i, a.answers[i].ttft(), low, b.answers[i].ttft(), high)
			}
		}
		if x, y := a.judge(q.SLO).Share, b.judge(q.SLO).Share; x > y+1e-3 {
			t.Fatalf("it uses %g of the bound at ρ = %g and %g at %g", x, low, y, high)
		}
	})
}

// The same question has the same answer, to the byte, though its seeds run at one time.
func TestSameQuestionSameAnswer(t *testing.T) {
	q := Question{Deployment: deployment(t, sim.Config{GPU: "h100-sxm", MaxSeqs: 16, Jitter: 0.05}), SLO: slo(t, "tpot.p95<12ms ttft.p95<200ms"),
		Requests: 300, Seeds: 4, Seed: 7, Demand: 100, Workload: Workload{Input: experiment.Tokens(100), Output: experiment.Length{Kind: experiment.UniformLength, Low: 4, High: 20}, Jitter: 0.02}}
	for _, users := range []bool{false, true} {
		q.Users = users
		first, err := json.Marshal(find(t, q))
		if err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(find(t, q))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, again) {
			t.Errorf("two answers:\n%s\n%s", first, again)
		}
		var back analysis.WhatIf
		if err := json.Unmarshal(first, &back); err != nil {
			t.Fatal(err)
		}
		if !back.Found || len(back.Seeds) != 4 || back.Sizing == nil {
			t.Errorf("%+v", back)
		}
	}
}

// A closed loop obeys the interactive response-time law X = N/(R+Z) (Denning and Buzen 1978), idle
// and full. Exponential pauses need more requests, since their mean is itself drawn.
func TestUsersObeyTheResponseTimeLaw(t *testing.T) {
	for _, tt := range []struct {
		think    string
		users    int
		requests int
	}{
		{"0s", 1, 2000}, {"0s", 40, 2000}, {"300ms", 4, 2000}, {"300ms", 60, 2000}, {"uniform:100ms-500ms", 60, 4000}, {"exponential:300ms", 60, 30_000},
	} {
		if racing() && tt.requests > 5000 {
			continue
		}
		q := Question{Deployment: deployment(t, sim.Config{GPU: "h100-sxm", MaxSeqs: 16}), Users: true, Requests: tt.requests,
			Workload: Workload{Input: experiment.Tokens(100), Output: experiment.Length{Kind: experiment.UniformLength, Low: 1, High: 20}}}
		if err := q.Workload.Think.UnmarshalText([]byte(tt.think)); err != nil {
			t.Fatal(err)
		}
		lone, err := q.lone()
		if err != nil {
			t.Fatal(err)
		}
		m, err := q.serve(q.Deployment, 1, tt.users, q.size(1, tt.users), lone)
		if err != nil {
			t.Fatal(err)
		}
		f := m.figures()
		law := float64(tt.users) / (f.E2E.Mean/1e3 + q.Workload.Think.Mean().Seconds())
		if math.Abs(f.RequestRate/law-1) > 0.01 {
			t.Errorf("%d users who think %s: %g req/s, and the law says %g", tt.users, tt.think, f.RequestRate, law)
		}
		// Little's law of the same window.
		if l := f.RequestRate * f.E2E.Mean / 1e3; math.Abs(f.InFlight/l-1) > 1e-9 {
			t.Errorf("%g in flight, and by Little's law %g", f.InFlight, l)
		}
	}
}

// A demand takes demand ÷ capacity replicas, or more where a run of them says so.
func TestDemandIsProvisioned(t *testing.T) {
	q := slotQuestion(t, "e2e.p95<60ms")
	q.Seeds = 2
	alone := find(t, q)
	for _, times := range []float64{0.5, 2.5, 4.8} {
		q.Demand = math.Round(100*times*alone.Mean) / 100
		w := find(t, q)
		z := w.Sizing
		if z == nil || !z.Verified || z.Asked != int(math.Ceil(times)) || z.Replicas < z.Asked || z.GPUs != z.Replicas {
			t.Fatalf("%g times the capacity: %+v", times, z)
		}
		if last := z.Runs[len(z.Runs)-1]; last.Replicas != z.Replicas || !last.Point.Holds || last.Point.Load != q.Demand {
			t.Errorf("%g times the capacity: the last run is %+v", times, last)
		}
		if want := 1 - q.Demand/(float64(z.Replicas)*w.Mean); math.Abs(z.Headroom-want) > 1e-9 || z.Planned != int(math.Ceil(times/0.7)) {
			t.Errorf("%g times the capacity: headroom %g, planned %d", times, z.Headroom, z.Planned)
		}
		// Poisson arrivals that take turns are more regular at each replica, so it may be above 1.
		if z.Replicas > 1 && !(z.Linear > 0.8 && z.Linear < 1.5) || z.Replicas == 1 && !math.IsNaN(z.Linear) {
			t.Errorf("%g times the capacity: %g of the linear capacity", times, z.Linear)
		}
		if text := z.Sentence(w.Unit()); !strings.Contains(text, "holds") {
			t.Error(text)
		}
	}
}

// What an idle engine misses, no load holds; the search says so and ends.
func TestNoLoadHolds(t *testing.T) {
	for _, users := range []bool{false, true} {
		q := slotQuestion(t, "ttft.p95<1ms")
		q.Users, q.Demand, q.Seeds = users, 5, 2
		w := find(t, q)
		if w.Found || !math.IsNaN(w.Mean) || w.Sizing != nil || w.Bound != "ttft.p95<1ms" {
			t.Errorf("users %v: %+v", users, w)
		}
		if text := w.Sentence(); !strings.Contains(text, "ttft.p95<1ms is missed there too") {
			t.Error(text)
		}
	}
}

func TestCheck(t *testing.T) {
	for want, change := range map[string]func(*Question){
		"no part that a load is judged by":              func(q *Question) { q.SLO = slo(t, "ttft<500ms") },
		"answers of one token have no time per token":   func(q *Question) { q.SLO = slo(t, "tpot.p95<40ms") },
		"which no number of users makes":                func(q *Question) { q.Users, q.SLO = true, slo(t, "errors<1%") },
		"the workload has no lengths":                   func(q *Question) { q.Workload.Output = experiment.Length{} },
		"jitter is 1":                                   func(q *Question) { q.Workload.Jitter = 1 },
		"brings its own load":                           func(q *Question) { q.Workload.Arrival.Kind = experiment.TraceArrival },
		"a think time is a user's":                      func(q *Question) { q.Workload.Think.Low = 1 },
		"requests is 7; give 100 to 1000000":            func(q *Question) { q.Requests = 7 },
		"seeds is 101":                                  func(q *Question) { q.Seeds = 101 },
		"the demand is -1":                              func(q *Question) { q.Demand = -1 },
		"the demand is 1.5; ":                           func(q *Question) { q.Users, q.Demand = true, 1.5 },
		"cannot serve every request of the workload: r": func(q *Question) { q.Workload.Input = experiment.Tokens(900_000) },
	} {
		q := slotQuestion(t, "e2e.p95<40ms")
		if err := q.Check(); err != nil {
			t.Fatal(err)
		}
		change(&q)
		if _, err := Find(t.Context(), q); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// The bound of each kind of objective is used up by what it says.
func TestUsed(t *testing.T) {
	m := &measurement{steady: true, answers: []answer{
		{0, 10e6, 110e6, 11, 0},  // 10 ms to the first, 10 ms a token
		{0, 20e6, 220e6, 11, 0},  // 20 and 20
		{0, 30e6, 30e6, 1, 0},    // 30, and one token
		{0, 400e6, 440e6, 5, 0}}, // 400 and 10
	}
	for text, want := range map[string]float64{
		"ttft.p50<50ms":                      0.5,
		"ttft_sched.p50<50ms":                0.5,
		"tpot.p50<40ms":                      0.25,
		"e2e.p50<165ms":                      1,
		"errors<0%":                          0,
		"ttft<50ms goodput>=75%":             1,
		"ttft<50ms tpot<15ms goodput>=75%":   2,
		"ttft.p50<500ms goodput>=100%":       0.05,
		"ttft<10ms ttft.p50<1s goodput>=90%": 7.5,
	} {
		if p := m.judge(slo(t, text)); math.Abs(p.Share-want) > 1e-9 || p.Holds != (want <= 1) {
			t.Errorf("%s: %+v, want %g", text, p, want)
		}
	}
}

// BenchmarkFind is a whole search of five seeds for chat on one GPU.
func BenchmarkFind(b *testing.B) {
	q := Question{Deployment: deployment(b, sim.Config{GPU: "h100-sxm"}), SLO: slo(b, "ttft.p95<500ms tpot.p95<40ms"), Seed: 1,
		Workload: Workload{Input: experiment.Length{Kind: experiment.LognormalLength, Mean: 1155, Spread: 1200}, Output: experiment.Length{Kind: experiment.ExponentialLength, Mean: 211}}}
	requests := 0
	for b.Loop() {
		w := find(b, q)
		for _, s := range w.Seeds {
			requests += len(s.Points) * (w.Warmup + w.Requests) // and some after them
		}
	}
	b.ReportMetric(float64(requests)/b.Elapsed().Seconds(), "requests/s")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/search")
}
