package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/instinct"
	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner"
	"github.com/inferbook/inferbook/runner/sim"
)

// engine is a simulated server with a load, of which the rules should see what is the matter.
type engine struct {
	name string
	edit func(s *experiment.Spec)
	// fires are the rules that fire at some level, and no others do: those about causes, and of those about
	// validity the ones that are more than a note.
	fires string
	// others are the engines that it is compared with.
	others []func(s *experiment.Spec)
	fault  string        // of the server; measured over HTTP
	slow   time.Duration // that the client takes over each sample; measured over HTTP
	price  *experiment.Price
}

// engineSpec is an 8B on an H100, 500 tokens in and 200 out, at loads that it serves.
func engineSpec() experiment.Spec {
	s := experiment.DefaultSpec()
	s.Stream, s.Concurrency, s.Requests = true, []int{1, 2, 4, 8, 16}, 200
	s.InputTokens, s.OutputTokens, s.Model = experiment.Tokens(500), experiment.Tokens(200), "llama-3.1-8b"
	s.Simulator = &experiment.Simulator{GPU: "h100-sxm", Count: 1, Model: "llama-3.1-8b", Runtime: "vllm-like", Precision: "bf16", Virtual: true, Options: map[string]string{}}
	return s
}

// engineSink keeps the summaries of points, and takes its time over samples.
type engineSink struct {
	searchSink
	mu    sync.Mutex
	pause time.Duration
}

func (k *engineSink) AddSample(id string, s experiment.Sample) error {
	time.Sleep(k.pause)
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.searchSink.AddSample(id, s)
}

// measure measures an engine and gives its case.
func (g *engine) measure(t *testing.T, edit func(*experiment.Spec), number int) instinct.Case {
	t.Helper()
	spec := engineSpec()
	edit(&spec)
	spec.Model = spec.Simulator.Model
	if err := spec.Validate(); err != nil {
		t.Fatal(err)
	}
	e := &experiment.Experiment{ID: fmt.Sprintf("01EXP%d", number), Number: number, Spec: spec, Status: experiment.Complete, Started: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	if len(spec.Simulator.Options) > 0 {
		var said []string
		for _, name := range slices.Sorted(maps.Keys(spec.Simulator.Options)) {
			said = append(said, name+"="+spec.Simulator.Options[name])
		}
		e.Environment.Set(experiment.KeySettings, strings.Join(said, ", "), experiment.Simulated)
	}
	if err := virtualEnvironment(&e.Spec, &e.Environment); err != nil {
		t.Fatal(err)
	}
	p, err := runner.NewPlan(e.Spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Fit = runner.VirtualFit(e.Spec.Endpoint)
	k := &engineSink{searchSink: searchSink{spec: &p.Spec}, pause: g.slow}
	early, err := newRules(&p.Spec, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := &runner.Run{ExperimentID: e.ID, Plan: p, Sink: k, Rule: early.of, IDs: experiment.NewSeededIDs(spec.Seed, func() time.Time { return e.Started })}
	if g.fault == "" && g.slow == 0 {
		d, err := deploymentOf(e.Spec)
		if err != nil {
			t.Fatal(err)
		}
		if status, err := r.DoVirtual(t.Context(), d, nil, e.Started); status != experiment.Complete || err != nil {
			t.Fatal(status, err)
		}
	} else {
		g.overHTTP(t, r)
	}
	return instinct.Case{Experiment: e, Curves: analysis.NewCurves(e, k.summaries), Machine: machineOf(e), Price: g.price}
}

// overHTTP carries the run out through client, HTTP and server, in a bubble of its own time.
func (g *engine) overHTTP(t *testing.T, r *runner.Run) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg, err := runner.SimulatorConfig(*r.Plan.Spec.Simulator, r.Plan.Spec.Seed)
		if err != nil {
			t.Fatal(err)
		}
		server, err := sim.NewServer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		server.Start(ctx)
		pipes := &enginePipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		web := &http.Server{Handler: server.Handler()}
		go web.Serve(pipes)
		r.Plan.Spec.BaseURL, r.Plan.Spec.Simulator, r.Plan.Spec.IgnoreEOS = "http://engine.test/v1", nil, "on"
		if g.fault != "" {
			r.Plan.Spec.Headers = map[string]string{"X-Sim-Fault": g.fault}
		}
		if r.Client, err = runner.NewClient(runner.ClientConfig{Spec: r.Plan.Spec, Detected: "vllm", MaxConns: 64, Dial: pipes.dial}); err != nil {
			t.Fatal(err)
		}
		r.Client.UseFit(r.Plan.Fit)
		if status, err := r.Do(t.Context(), nil); status != experiment.Complete || err != nil {
			t.Fatal(status, err)
		}
		r.Client.Close()
		stop()
		web.Close()
		synctest.Wait()
	})
}

// enginePipes is a listener without sockets, which therefore works in a bubble.
type enginePipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *enginePipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *enginePipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *enginePipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *enginePipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// firedAt gives, by rule, the places at which it fired: of causes all, of validity what is more than a note.
func firedAt(findings []instinct.Finding) map[string][]string {
	out := map[string][]string{}
	for _, f := range findings {
		if f.State == instinct.Fired && (f.Section != instinct.Validity || f.Severity != instinct.Note) {
			out[f.Rule] = append(out[f.Rule], strings.ReplaceAll(places(f), " ", ""))
		}
	}
	return out
}

func option(name, value string) func(*experiment.Spec) {
	return func(s *experiment.Spec) { s.Simulator.Options[name] = value }
}

func both(edits ...func(*experiment.Spec)) func(*experiment.Spec) {
	return func(s *experiment.Spec) {
		for _, e := range edits {
			e(s)
		}
	}
}

func lengths(in, out int) func(*experiment.Spec) {
	return func(s *experiment.Spec) {
		s.InputTokens, s.OutputTokens = experiment.Tokens(in), experiment.Tokens(out)
	}
}

func loads(n int, levels ...int) func(*experiment.Spec) {
	return func(s *experiment.Spec) { s.Requests, s.Concurrency = n, levels }
}

func onGPU(gpu string, count int) func(*experiment.Spec) {
	return func(s *experiment.Spec) { s.Simulator.GPU, s.Simulator.Count = gpu, count }
}

func onRuntime(name string) func(*experiment.Spec) {
	return func(s *experiment.Spec) { s.Simulator.Runtime = name }
}

func inPrecision(name string) func(*experiment.Spec) {
	return func(s *experiment.Spec) { s.Simulator.Precision = name }
}

func withSLO(text string) func(*experiment.Spec) {
	return func(s *experiment.Spec) {
		slo, err := experiment.ParseSLO(text)
		if err != nil {
			panic(err)
		}
		s.SLO = slo
	}
}

func openAt(n int, arrival string, rates ...float64) func(*experiment.Spec) {
	return func(s *experiment.Spec) {
		a, err := experiment.ParseArrival(arrival)
		if err != nil {
			panic(err)
		}
		s.Arrival, s.Rate, s.Concurrency, s.Requests, s.Warmup, s.KeepOversaturated = a, rates, nil, n, n/10, true
	}
}

var engines = []engine{
	{name: "healthy", fires: "I22 I23 I24 I27", edit: both()},
	{name: "static batching", fires: "I17 I18 I22 I25 I27 I34 I39", edit: both(onRuntime("hf-static"), loads(1000, 1, 2, 4, 8, 16, 32))},
	{name: "whole prefill", fires: "I22 I23 I24 I27 I31", edit: both(onRuntime("trtllm-like"), lengths(4000, 200), loads(320, 1, 4, 8, 16, 32))},
	{name: "chunked prefill", fires: "I22 I23 I24 I27", edit: both(option("token-budget", "512"), lengths(4000, 200), loads(320, 1, 2, 4, 8))},
	{name: "KV-starved", fires: "I17 I18 I19 I20 I22 I23 I24 I25 I27 I31 I34 I39", edit: both(onGPU("a10g", 1), loads(640, 1, 2, 4, 8, 16, 32, 48, 64))},
	{name: "capped", fires: "I17 I18 I22 I23 I24 I25 I27", edit: both(option("max-seqs", "16"), loads(1280, 1, 2, 4, 8, 16, 32, 64))},
	{name: "prefix-cached", fires: "I16 I22 I23 I24 I27", edit: both(lengths(1200, 200), func(s *experiment.Spec) { s.Prefix = &experiment.Prefix{Share: 1, Tokens: 1000, Groups: 1} })},
	{name: "TP 1 → 2", fires: "I22 I23 I24 I27", edit: onGPU("h100-sxm", 2), others: []func(*experiment.Spec){onGPU("h100-sxm", 1)}},
	{name: "TP 2 → 4", fires: "I22 I23 I24 I27", edit: onGPU("h100-sxm", 4), others: []func(*experiment.Spec){onGPU("h100-sxm", 2)}},
	{name: "BF16 → FP8", fires: "I22 I23 I24 I27 I28", edit: inPrecision("fp8"), others: []func(*experiment.Spec){inPrecision("bf16")}},
	{name: "speculation", fires: "I22 I23 I24 I27 I32", edit: option("speculate", "3:0.7")},
	{name: "proxy holds all back", fires: "I01", edit: loads(200, 1, 4), fault: "lumps"},
	{name: "proxy sends lumps", fires: "I22 I27 I33 V08", edit: loads(200, 1, 4), fault: "lumps:4000"},
	{name: "client throttled", fires: "I08 I09 I22 I24 I27", edit: loads(200, 1, 4, 8), slow: 200 * time.Millisecond},
	{name: "quota", fires: "I11 I13 I22 I27 I38", edit: loads(200, 1, 4), fault: "429:1@0.1"},
	{name: "overload", fires: "I20 I22 I27 I36 V11 V12", edit: openAt(1500, "poisson", 5, 120)},
	{name: "prompts of all lengths", fires: "I15 I22 I27 I31 I39", edit: both(loads(200, 1, 4), func(s *experiment.Spec) {
		s.InputTokens = experiment.Length{Kind: experiment.UniformLength, Low: 100, High: 8000}
	})},
	{name: "prompt-heavy", fires: "I21 I27 I31 I39", edit: both(lengths(8000, 16), loads(200, 1, 2))},
	{name: "long answers", fires: "I22 I27 I30", edit: both(lengths(100, 12000), inPrecision("fp8"), option("kv-precision", "bf16"), loads(200, 1))},
	{name: "TP 1 → 2, launch-bound", fires: "I22 I27 I29 I42", edit: both(onRuntime("hf-static"), onGPU("h100-sxm", 2), loads(200, 1)), others: []func(*experiment.Spec){both(onRuntime("hf-static"), loads(200, 1))}},
	{name: "misses its SLO", fires: "I22 I27 I37", edit: both(loads(400, 1, 32), withSLO("ttft.p95<100ms tpot.p95<8ms"))},
	{name: "priced", fires: "I22 I27 I41", edit: both(loads(640, 1, 64), withSLO("tpot.p95<40ms")), price: &experiment.Price{Hardware: "h100-sxm", USDHour: 2.95, Date: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), Source: "a test"}},
	{name: "dominated", fires: "I17 I22 I27 I34 I39 I42", edit: both(onRuntime("hf-static"), loads(200, 1, 8)), others: []func(*experiment.Spec){loads(200, 1, 8)}},
	{name: "bursts", fires: "I22 I27 I35", edit: openAt(600, "gamma:cv=4", 10), others: []func(*experiment.Spec){openAt(600, "poisson", 10)}},
}

// Each engine has one thing the matter with it, and the rules see that and nothing else.
func TestEngines(t *testing.T) {
	if racing() {
		t.Skip("virtual runs alone; make theory runs them without the race detector")
	}
	for _, g := range engines {
		t.Run(g.name, func(t *testing.T) {
			c := g.measure(t, g.edit, 1)
			for i, other := range g.others {
				c.Others = append(c.Others, (&engine{price: g.price}).measure(t, other, 2+i))
			}
			got := firedAt(instinct.Look(&c))
			for _, id := range slices.Sorted(maps.Keys(got)) {
				t.Logf("%-20s %s  %s", g.name, id, strings.Join(got[id], " "))
			}
			if ids := strings.Join(slices.Sorted(maps.Keys(got)), " "); ids != g.fires {
				t.Errorf("%s fires %s, want %s", g.name, ids, g.fires)
			}
		})
	}
}
