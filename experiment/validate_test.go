package experiment_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// opened is a runnable open loop.
func opened(text string) func(*experiment.Spec) {
	return func(s *experiment.Spec) {
		a, err := experiment.ParseArrival(text)
		if err != nil {
			panic(err)
		}
		s.Arrival, s.Concurrency = a, nil
	}
}

func objectives(text string) experiment.SLO {
	s, err := experiment.ParseSLO(text)
	if err != nil {
		panic(err)
	}
	return s
}

// searching is a runnable search over a load.
func searching(over string) func(*experiment.Spec) {
	return func(s *experiment.Spec) {
		s.Search, s.SLO = &experiment.Search{Over: over, Points: 12}, objectives("e2e.p95<1s")
	}
}

func withClasses(classes ...experiment.Class) func(*experiment.Spec) {
	return func(s *experiment.Spec) { s.Classes = classes }
}

// faultCase is a change to a specification that can be run, and the sentences that it earns.
type faultCase struct {
	name    string
	changes []func(*experiment.Spec)
	want    []string // beginnings or parts of the errors, one a line; none = valid
}

func change(f ...func(*experiment.Spec)) []func(*experiment.Spec) { return f }

func checkFaults(t *testing.T, cases []faultCase) {
	t.Helper()
	for _, c := range cases {
		s := runnable()
		for _, f := range c.changes {
			f(&s)
		}
		var lines []string
		if err := s.Validate(); err != nil {
			lines = strings.Split(err.Error(), "\n")
		}
		if len(lines) != len(c.want) {
			t.Errorf("%s: %d errors, want %d: %q", c.name, len(lines), len(c.want), lines)
			continue
		}
		for i, part := range c.want {
			if !strings.Contains(lines[i], part) {
				t.Errorf("%s: %q, want %q in it", c.name, lines[i], part)
			}
		}
	}
}

func TestValidateRequests(t *testing.T) {
	type S = experiment.Spec
	prefix := experiment.Prefix{Share: 0.5, Tokens: 10, Groups: 2}
	checkFaults(t, []faultCase{
		{"embeddings need no answer", change(func(s *S) { s.Endpoint, s.OutputTokens = experiment.Embeddings, experiment.Length{} }), nil},
		{"embeddings as a stream", change(func(s *S) { s.Endpoint, s.Stream = experiment.Embeddings, true }), []string{"stream is set and embeddings are never streamed"}},
		{"embeddings in turns", change(func(s *S) { s.Endpoint, s.Turns = experiment.Embeddings, experiment.Tokens(3) }), []string{"turns are given and embeddings have no answers"}},
		{"embeddings in turns of a class", change(func(s *S) { s.Endpoint = experiment.Embeddings },
			withClasses(experiment.Class{Name: "a", Weight: 1, Turns: experiment.Tokens(2)})), []string{"turns are given and embeddings have no answers"}},
		{"a length below a token", change(func(s *S) { s.InputTokens = experiment.Length{Kind: experiment.ExponentialLength, Mean: 0.5} }), []string{"input_tokens is exponential:0.5"}},
		{"data in place of a length", change(func(s *S) { s.InputTokens, s.Data = experiment.Length{}, &experiment.Data{Path: "a", Format: "auto"} }), nil},
		{"data without a file", change(func(s *S) { s.Data = &experiment.Data{} }), []string{"data has no path; write the file's name"}},
		{"data of another format", change(func(s *S) { s.Data = &experiment.Data{Path: "a", Format: "xlsx"} }), []string{`data.format is "xlsx"; write auto, jsonl, sharegpt`}},
		{"a prompt beside data", change(func(s *S) { s.Prompt, s.Data = "Hello", &experiment.Data{Path: "a"} }), []string{"prompt is given beside data or prefix"}},
		{"a prompt beside a prefix", change(func(s *S) { s.Prompt, s.Prefix = "Hello", &prefix }), []string{"prompt is given beside data or prefix"}},
		{"a prefix", change(func(s *S) { s.Prefix = &prefix }), nil},
		{"a prefix of no request", change(func(s *S) { p := prefix; p.Share = 0; s.Prefix = &p }), []string{"prefix has share 0, tokens 10"}},
		{"a prefix of no token", change(func(s *S) { p := prefix; p.Tokens = 0; s.Prefix = &p }), []string{"prefix has share 0.5, tokens 0"}},
		{"a prefix of no group", change(func(s *S) { p := prefix; p.Groups = 0; s.Prefix = &p }), []string{"groups 0 and zipf 0; write a share over 0 to 1"}},
		{"a prefix of a steep zipf", change(func(s *S) { p := prefix; p.Zipf = math.NaN(); s.Prefix = &p }), []string{"zipf NaN; write"}},
		{"models", change(func(s *S) { s.Models = []experiment.ModelShare{{"a", 1}, {"b", 0.5}} }), nil},
		{"models without a name or weight", change(func(s *S) { s.Models = []experiment.ModelShare{{"", 1}, {"b", 0}} }),
			[]string{`models[0] is "" with weight 1; write a name and a weight above 0`, `models[1] is "b" with weight 0`}},
	})
}

func TestValidateLoad(t *testing.T) {
	type S = experiment.Spec
	rate := func(r ...float64) func(*S) { return func(s *S) { s.Rate = r } }
	endless := func(s *S) { s.Requests = 0 }
	checkFaults(t, []faultCase{
		{"an open loop", change(opened("poisson"), rate(1, 2)), nil},
		{"an open loop without a rate", change(opened("gamma:cv=3")), []string{"the arrival is gamma:cv=3 and rate is empty; write at least one rate"}},
		{"a rate in a closed loop", change(rate(1)), []string{"rate is given and the arrival is closed; write an arrival such as poisson"}},
		{"a ramp has its rate", change(opened("ramp:from=1,to=3")), nil},
		{"a ramp beside a rate", change(opened("ramp:from=1,to=3"), rate(1)), []string{"the arrival ramp:from=1,to=3 brings its own; leave rate out (its mean is 2 requests per second)"}},
		{"steps end by themselves", change(opened("steps:1x10s"), endless), nil},
		{"a ramp does not", change(opened("ramp:from=1,to=3"), endless), []string{"neither requests nor duration is given"}},
		{"a trace", change(opened("trace"), endless, func(s *S) { s.Data = &experiment.Data{Path: "a"} }), nil},
		{"a trace of nothing", change(opened("trace")), []string{"the arrival is trace and data is empty; write the file whose times are to be replayed"}},
		{"a trace beside a rate", change(opened("trace"), rate(1), func(s *S) { s.Data = &experiment.Data{Path: "a"} }), []string{"the arrival trace brings its own"}},
		{"each bad rate is named", change(opened("poisson"), rate(0, 1, 2e6, math.NaN())), []string{"rate has the level 0;", "rate has the level 2e+06;", "rate has the level NaN;"}},
		{"too many workers", change(func(s *S) { s.Concurrency = []int{100_001} }), []string{"concurrency has the level 100001; a level is from 1 to 100000"}},
		{"a cap", change(opened("poisson"), rate(1), func(s *S) { s.MaxConcurrency = 8 }), nil},
		{"a negative cap", change(func(s *S) { s.MaxConcurrency = -1 }), []string{"max_concurrency is -1; write a number from 1 to 100000, or 0 for no cap"}},
	})
}

func TestValidateClasses(t *testing.T) {
	type C = experiment.Class
	poisson := experiment.Arrival{Kind: experiment.PoissonArrival}
	checkFaults(t, []faultCase{
		{"chat beside offline", change(withClasses(C{Name: "chat", Rate: 2}, C{Name: "offline", Concurrency: 4}), func(s *experiment.Spec) { s.Concurrency = nil }), nil},
		{"shares of one load", change(withClasses(C{Name: "a", Weight: 2}, C{Name: "b", Weight: 1})), nil},
		{"a class without a name", change(withClasses(C{Weight: 1})), []string{`classes[0] has the name ""; give each class a name of its own`}},
		{"two of one name", change(withClasses(C{Name: "a", Weight: 1}, C{Name: "a", Weight: 1})), []string{`classes[1] has the name "a"`}},
		{"no load", change(withClasses(C{Name: "a"})), []string{"classes[0] a has weight 0, concurrency 0 and rate 0; give exactly one of them"}},
		{"two loads", change(withClasses(C{Name: "a", Rate: 1, Concurrency: 1})), []string{"classes[0] a has weight 0, concurrency 1 and rate 1"}},
		{"a negative load", change(withClasses(C{Name: "a", Rate: 1, Concurrency: -1})), []string{"classes[0] a has weight 0, concurrency -1 and rate 1"}},
		{"a weight that is no number", change(withClasses(C{Name: "a", Weight: math.NaN()})), []string{"classes[0] a has weight NaN"}},
		{"weights and loads", change(withClasses(C{Name: "a", Weight: 1}, C{Name: "b", Rate: 1})), []string{"some classes have a weight and some a load of their own"}},
		{"an arrival that brings its rate", change(withClasses(C{Name: "a", Rate: 1, Arrival: experiment.Arrival{Kind: experiment.RampArrival, From: 1, To: 2}})),
			[]string{"classes[0] a has the arrival ramp:from=1,to=2; a class takes constant, poisson, gamma or onoff, beside a rate"}},
		{"an arrival without a rate", change(withClasses(C{Name: "a", Concurrency: 1, Arrival: poisson})), []string{"classes[0] a has the arrival poisson"}},
		{"a prefix", change(withClasses(C{Name: "a", Weight: 1, Prefix: &experiment.Prefix{}})), []string{"classes[0].prefix has share 0, tokens 0"}},
		{"beside data", change(withClasses(C{Name: "a", Weight: 1}), func(s *experiment.Spec) { s.Data = &experiment.Data{Path: "a"} }), []string{"classes are given beside data; keep one of them"}},
	})
}

func TestValidateRules(t *testing.T) {
	type S = experiment.Spec
	checkFaults(t, []faultCase{
		{"limits", change(func(s *S) {
			s.MaxErrors, s.MaxErrorShare, s.MaxCost, s.Grace = 3, 0.1, 2.5, experiment.Duration(time.Second)
		}), nil},
		{"a negative count of errors", change(func(s *S) { s.MaxErrors = -1 }), []string{"max_errors is -1 and max_error_share 0; write"}},
		{"a percentage of errors", change(func(s *S) { s.MaxErrorShare = 10 }), []string{"max_error_share 10; write a number from 0, and a share from 0 up to 1"}},
		{"no sum of money", change(func(s *S) { s.MaxCost = math.Inf(1) }), []string{"max_cost_usd is +Inf; write an amount from 0"}},
		{"a free endpoint has no price", change(func(s *S) { s.TokenPrice = &experiment.TokenPrice{} }), []string{"token_price is 0 for input and 0 for output"}},
		{"free input", change(func(s *S) { s.TokenPrice = &experiment.TokenPrice{Output: 0.6} }), nil},
		{"negative grace", change(func(s *S) { s.Grace = -1 }), []string{"grace is -1ns; write a time from 0, such as 30s"}},
		{"an objective of streams", change(func(s *S) { s.SLO = objectives("errors<1% tpot.p95<40ms ttft.p95<1s") }), []string{"the SLO bounds tpot, which only a stream has"}},
		{"a stream's objective", change(func(s *S) { s.SLO, s.Stream = objectives("tpot.p95<40ms"), true }), nil},
		{"a precision of streams", change(func(s *S) { s.Until = experiment.Precision{Metric: "ttft", Quantile: 0.95, Share: 0.05} }), []string{"until looks at ttft, which only a stream has"}},
		{"a precision of all", change(func(s *S) { s.Until = experiment.Precision{Metric: "e2e", Quantile: 0.95, Share: 0.05} }), nil},
	})
}

func TestValidateSearch(t *testing.T) {
	type S = experiment.Spec
	rate := func(s *S) { s.Rate = []float64{1} }
	bracket := func(low, high float64, points int) func(*S) {
		return func(s *S) { s.Search.Low, s.Search.High, s.Search.Points = low, high, points }
	}
	checkFaults(t, []faultCase{
		{"over the concurrency", change(searching("concurrency")), nil},
		{"over the rate", change(opened("poisson"), searching("rate")), nil},
		{"in a bracket", change(searching("concurrency"), bracket(1, 64, 12)), nil},
		{"over something else", change(searching("size")), []string{`search.over is "size"; write rate or concurrency`}},
		{"over an arrival that brings its load", change(opened("ramp:from=1,to=2"), searching("rate")), []string{"search looks for a load, and the arrival ramp:from=1,to=2 brings its own"}},
		{"over a trace", change(opened("trace"), searching("rate")), []string{"the arrival trace brings its own"}},
		{"over the concurrency of an open loop", change(opened("poisson"), searching("concurrency")), []string{"search is over the concurrency of a closed loop, and an arrival or a rate is given"}},
		{"over the concurrency beside a rate", change(rate, searching("concurrency")), []string{"search is over the concurrency of a closed loop"}},
		{"an empty bracket", change(searching("rate"), bracket(5, 5, 12)), []string{"search has low 5, high 5 and 12 points; write 0 ≤ low < high and at least 3 points"}},
		{"a bracket that is no number", change(searching("rate"), bracket(math.NaN(), 5, 12)), []string{"search has low NaN"}},
		{"too few points", change(searching("rate"), bracket(0, 0, 2)), []string{"0 and 2 points"}},
		{"no SLO", change(searching("rate"), func(s *S) { s.SLO = nil }), []string{"search needs an SLO that says at which quantile a latency counts"}},
		{"an SLO that does not judge", change(searching("rate"), func(s *S) { s.SLO = objectives("e2e<1s") }), []string{"search needs an SLO"}},
		{"beside classes", change(searching("rate"), withClasses(experiment.Class{Name: "a", Weight: 1})), []string{"search varies one load, and classes or a matrix vary others"}},
		{"beside a matrix", change(searching("rate"), func(s *S) { s.Matrix = map[string][]any{"jitter": {0.1}} }), []string{"search varies one load"}},
	})
}

func TestValidateServer(t *testing.T) {
	type S = experiment.Spec
	checkFaults(t, []faultCase{
		{"two replicas", change(func(s *S) { s.Replicas = []experiment.Replica{{"http://a/v1", 1}, {"http://b/v1", 2}} }), nil},
		{"a replica without an address or weight", change(func(s *S) { s.Replicas = []experiment.Replica{{"", 1}, {"http://b/v1", math.Inf(1)}} }),
			[]string{`replicas[0] is "" with weight 1; write an address and a weight above 0`, `replicas[1] is "http://b/v1" with weight +Inf`}},
		{"ignore_eos off", change(func(s *S) { s.IgnoreEOS = "off" }), nil},
		{"ignore_eos as a truth", change(func(s *S) { s.IgnoreEOS = "true" }), []string{`ignore_eos is "true"; write auto, on or off`}},
		{"a header", change(func(s *S) { s.Headers = map[string]string{"X-Tenant": "t"} }), nil},
		{"a header with a secret", change(func(s *S) { s.Headers = map[string]string{"X-Api-Key": "k"} }), []string{"headers has X-Api-Key, which looks like a secret"}},
	})
}

func TestSecretName(t *testing.T) {
	for _, c := range []struct {
		name string
		want bool
	}{
		{"Authorization", true},
		{"Ocp-Apim-Subscription-Key", true},
		{"X-Auth-Token", true},
		{"access_token", true},
		{"private-token", true},
		{"Cookie", true},
		{"client_secret", true},
		{"PASSWORD", true},
		{"max_tokens", false},
		{"max_completion_tokens", false},
		{"X-Tenant", false},
	} {
		if got := experiment.SecretName(c.name); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
