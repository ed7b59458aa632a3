package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/probe"
)

// target is where a run sends its load: an endpoint, the simulated engine as a
// child process, or the simulated engine in virtual time.
type target struct {
	address string // the API's root that the client uses; empty = virtual time
	line    string // what it is, in one line
	env     experiment.Environment
	// dialect is what the server was found to speak, and maxModelLen its context; empty
	// and 0 = not known.
	dialect     string
	maxModelLen int
	child       *simChild // nil unless this run started the simulator
}

// close stops the simulator where this run started it.
func (t *target) close() {
	if t.child != nil {
		t.child.stop()
	}
}

// resolve finds out what the run is pointed at and what is known about it. A
// server that does not answer is no error here: the run records its refusals.
func (p *program) resolve(c *cli.Context, s *experiment.Spec, key, address, from string) (*target, error) {
	t := &target{address: address}
	for _, f := range p.host(c.Context) {
		t.env.Set(f.Key, f.Value, f.Source)
	}
	if address == "" {
		if c.IsSet("accept-time-scale") {
			return nil, usage("--accept-time-scale is for a simulated engine that --base-url names; this run starts its own, in real or virtual time")
		}
		return t, p.resolveSimulator(c, s, t)
	}
	if c.IsSet("sim") || c.IsSet("profile") {
		return nil, usage("--sim and --profile set up the simulated engine of this run, and %s names a server; give them to that server (inferbook sim), or leave one out", from)
	}
	s.BaseURL, s.Simulator = address, nil
	if loopback(address) {
		for _, f := range probe.GPU(c.Context) {
			t.env.Set(f.Key, f.Value, f.Source)
		}
	}
	if err := p.resolveServer(c.Context, s, t, key, c.Float64("accept-time-scale")); err != nil {
		return nil, err
	}
	if !t.env.Simulated() {
		declared(c, &t.env)
	} else if len(s.Replicas) > 1 {
		// Where one server is simulated the others may be, each with a clock of its own.
		for _, r := range s.Replicas[1:] {
			// One that does not answer is found by the run.
			info, _ := probe.Target(c.Context, r.BaseURL, key)
			if err := acceptScale(r.BaseURL, cmp.Or(info.TimeScale, 1), c.Float64("accept-time-scale")); err != nil {
				return nil, err
			}
		}
	}
	of := ""
	if n := len(s.Replicas); n > 1 { // only the first was asked what it is
		of = fmt.Sprintf(", the first of %d servers", n)
	}
	t.line = fmt.Sprintf("%s%s (from %s): %s", address, of, from, t.env.Label())
	return t, nil
}

// resolveServer asks the server what it is, and settles the model. accepted is the
// time scale that the person accepts; 0 = none but real time.
func (p *program) resolveServer(ctx context.Context, s *experiment.Spec, t *target, key string, accepted float64) error {
	info, err := probe.Target(ctx, t.address, key)
	if err != nil {
		p.hint("warning: asking the server what it is: %v", err)
	}
	for _, w := range info.Warnings {
		p.hint("warning: %s", w)
	}
	if err := acceptScale(t.address, cmp.Or(info.TimeScale, 1), accepted); err != nil {
		return err
	}
	for _, f := range info.Facts {
		t.env.Set(f.Key, f.Value, f.Source)
	}
	if t.dialect = t.env.Get(experiment.KeyRuntime).Value; t.env.Simulated() {
		t.dialect = "vllm" // whose interface the simulated server has
	}
	// A text that is no number leaves 0: not known.
	t.maxModelLen, _ = strconv.Atoi(t.env.Get(experiment.KeyMaxModelLen).Value)
	t.env.Set(experiment.KeyEndpoint, t.address, experiment.Declared)
	switch {
	case s.Model != "":
	case len(info.Models) == 1:
		s.Model = info.Models[0]
	case len(info.Models) > 1:
		return usage("the server has %d models; choose one with --model: %s", len(info.Models), strings.Join(info.Models, ", "))
	default:
		s.Model = "default"
		p.hint("warning: no --model was given and the server lists none; the requests name the model %q", s.Model)
	}
	p.hintUnlisted(s, info.Models)
	if t.env.Get(experiment.KeyModel).Value != s.Model {
		t.env.Set(experiment.KeyModel, s.Model, experiment.Declared)
	}
	return nil
}

// acceptScale refuses a simulator whose clock is not the real one, unless the person
// said the same factor: each time that is measured there is off by it.
func acceptScale(address string, scale, accepted float64) error {
	switch {
	case accepted == 0 && scale != 1:
		return usage("%s is a simulated engine whose clock goes %g times as fast as time, so each time measured there is the engine's divided by %[2]g; give --accept-time-scale %[2]g to record it as that, or start it without --time-scale", address, scale)
	case accepted != 0 && scale != accepted:
		return usage("--accept-time-scale is %g and the clock of %s has the scale %g; leave the flag out, or give the same factor", accepted, address, scale)
	}
	return nil
}

// hintUnlisted warns of a model that the server does not list. That is no error: not
// every server lists its aliases and adapters.
func (p *program) hintUnlisted(s *experiment.Spec, listed []string) {
	const most = 5 // a hosted API lists hundreds
	asked := []string{s.Model}
	if len(s.Models) > 0 {
		asked = nil
		for _, m := range s.Models {
			asked = append(asked, m.Model)
		}
	}
	for _, name := range asked {
		if len(listed) == 0 || slices.Contains(listed, name) {
			continue
		}
		has := strings.Join(listed[:min(most, len(listed))], ", ")
		if n := len(listed) - most; n > 0 {
			has += fmt.Sprintf(" and %d more", n)
		}
		p.hint("warning: the server does not list the model %q; it lists %s", name, has)
	}
}

// resolveSimulator starts the simulated engine, or sets it up for virtual time.
func (p *program) resolveSimulator(c *cli.Context, s *experiment.Spec, t *target) error {
	if err := p.simulatorOf(c, s); err != nil {
		return err
	}
	if set := s.Simulator.Options; len(set) > 0 {
		var said []string
		for _, name := range slices.Sorted(maps.Keys(set)) {
			said = append(said, name+"="+set[name])
		}
		t.env.Set(experiment.KeySettings, strings.Join(said, ", "), experiment.Simulated)
	}
	if s.Simulator.Virtual {
		if err := virtualEnvironment(s, &t.env); err != nil {
			return err
		}
		t.line = "simulated engine in virtual time: " + t.env.Label()
		return nil
	}
	child, err := startSimulator(c.Context, simulatorArgs(*s.Simulator, s.Seed)...)
	if err != nil {
		return err
	}
	t.child, t.address = child, child.address
	if err := p.resolveServer(c.Context, s, t, "", 0); err != nil {
		child.stop()
		return err
	}
	t.env.Set(experiment.KeyEndpoint, "simulator on loopback", experiment.Simulated)
	t.env.Set(experiment.KeyTime, "real", experiment.Simulated)
	t.line = fmt.Sprintf("simulated engine on loopback (no endpoint given): %s", t.env.Label())
	return nil
}

// virtualEnvironment fills the facts of an engine that runs in virtual time.
func virtualEnvironment(s *experiment.Spec, env *experiment.Environment) error {
	d, err := deploymentOf(*s)
	if err != nil {
		return err
	}
	// A few tokens of template go with each prompt.
	if need := int(float64(s.InputTokens.Longest()+s.OutputTokens.Longest())*(1+s.Jitter)) + 10; s.Prompt == "" && need > d.MaxModelLen {
		return usage("a request needs up to %s tokens and the context of this simulated engine holds %s; ask for fewer with --input-tokens or --output-tokens, or simulate more memory",
			thousands(int64(need)), thousands(int64(d.MaxModelLen)))
	}
	for _, f := range probe.Simulator(d) {
		env.Set(f.Key, f.Value, f.Source)
	}
	env.Set(experiment.KeyEndpoint, "simulator in virtual time", experiment.Simulated)
	env.Set(experiment.KeyTime, "virtual", experiment.Simulated)
	return nil
}
