package main

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
	"github.com/inferbook/inferbook/runner"
	"github.com/inferbook/inferbook/runner/dataset"
)

// plan makes the plan of a run, with the data file it needs read and the schedules of
// the experiment it repeats.
func (p *program) plan(ctx context.Context, spec *experiment.Spec, like *likeness) (runner.Plan, error) {
	items, err := p.readData(spec)
	if err != nil {
		return runner.Plan{}, err
	}
	plan, err := runner.NewPlan(*spec, items)
	if err != nil {
		return plan, usage("%w", err)
	}
	for _, w := range plan.Warnings {
		p.hint("warning: %s", w)
	}
	if like != nil && !sameDraws(&like.exp.Spec, &plan.Spec) {
		p.hint("warning: what is asked for differs from %s in what its schedules were drawn from, so they are drawn anew", like.exp.Alias())
		return plan, nil
	}
	return plan, like.replay(ctx, &plan)
}

// readData reads the data file. It is refused where it is not the one that the
// specification was made with.
func (p *program) readData(spec *experiment.Spec) ([]dataset.Item, error) {
	if spec.Data == nil {
		return nil, nil
	}
	d := *spec.Data
	set, err := dataset.Open(d.Path, d.Format)
	if err != nil {
		return nil, usage("%w", err)
	}
	if d.SHA256 != "" && d.SHA256 != set.SHA256 {
		return nil, usage("%s is not the file that the specification was made with: its SHA-256 is %s… and not %s…; give that file with --data, or take sha256 out", d.Path, set.SHA256[:12], d.SHA256[:min(12, len(d.SHA256))])
	}
	call := experiment.Endpoint(strings.TrimSuffix(strings.TrimPrefix(set.Endpoint, "/v1/"), "/completions"))
	if call != "" && call != spec.Endpoint {
		return nil, usage("%s is a batch for %s and the run uses the endpoint %s; give --endpoint %s", d.Path, set.Endpoint, spec.Endpoint, call)
	}
	d.Format, d.SHA256, d.Items = set.Format, set.SHA256, len(set.Items)
	spec.Data = &d
	if spec.Arrival.Kind == experiment.TraceArrival && slices.ContainsFunc(set.Items, func(i dataset.Item) bool { return i.At < 0 }) {
		return nil, usage("%s has no times to replay; give a --rate, or a file whose every request has a timestamp", d.Path)
	}
	p.hint("data      %s", set.Summary())
	for _, w := range set.Warnings {
		p.hint("warning: %s", w)
	}
	return set.Items, nil
}

// sameDraws reports whether two specifications draw the same requests at a load: a
// recorded schedule would otherwise go against what was asked for.
func sameDraws(a, b *experiment.Spec) bool {
	draws := func(s *experiment.Spec) experiment.Spec {
		return experiment.Spec{Prompt: s.Prompt, InputTokens: s.InputTokens, OutputTokens: s.OutputTokens, Jitter: s.Jitter,
			Turns: s.Turns, ThinkTime: s.ThinkTime, Prefix: s.Prefix, Data: s.Data, Classes: s.Classes, Models: s.Models, Matrix: s.Matrix,
			Arrival: s.Arrival, Requests: s.Requests, Duration: s.Duration, Warmup: s.Warmup, Seed: s.Seed}
	}
	return reflect.DeepEqual(draws(a), draws(b))
}

// likeness is an experiment that a run repeats.
type likeness struct {
	nb  *store.Notebook
	exp *experiment.Experiment
}

// like opens the experiment that --like names; nil = none was named. The notebook is
// open until close.
func (p *program) like(c *cli.Context) (*likeness, error) {
	if !c.IsSet("like") {
		return nil, nil
	}
	nb, err := p.open(c)
	if err != nil {
		return nil, err
	}
	exp, err := nb.Experiment(c.Context, c.String("like"))
	if err != nil {
		nb.Close()
		return nil, err
	}
	return &likeness{nb, exp}, nil
}

// experiment is the experiment to repeat; nil = there is none.
func (l *likeness) experiment() *experiment.Experiment {
	if l == nil {
		return nil
	}
	return l.exp
}

func (l *likeness) close() {
	if l != nil {
		l.nb.Close()
	}
}

// replay puts the recorded schedules into the plan, point for point. Points without
// one follow from the seed.
func (l *likeness) replay(ctx context.Context, plan *runner.Plan) error {
	if l == nil {
		return nil
	}
	points, err := l.nb.Points(ctx, l.exp.ID)
	if err != nil {
		return err
	}
	type place struct {
		load   experiment.Load
		repeat int
	}
	recorded := map[place]string{}
	for _, pt := range points {
		recorded[place{pt.Load, pt.Repeat}] = pt.ID
	}
	for i := range plan.Points {
		pt := &plan.Points[i]
		id, ok := recorded[place{pt.Load, pt.Repeat}]
		if !ok {
			continue
		}
		if pt.Schedule, err = l.nb.Schedule(ctx, id); err != nil {
			return fmt.Errorf("reading the schedule of %s of %s: %w", pt.Load, l.exp.Alias(), err)
		}
	}
	return nil
}

// connect makes the client of a run and lets it learn how the server counts.
func (p *program) connect(ctx context.Context, s *session, key string) error {
	wire := s.plan.Spec
	if s.target.child != nil || wire.BaseURL == "" {
		wire.BaseURL = s.target.address
	}
	conns := mostInFlight(&s.plan)
	if err := runner.Preflight(conns, addresses(&wire)); err != nil {
		return usage("%w", err)
	}
	client, err := runner.NewClient(runner.ClientConfig{Spec: wire, Key: key, MaxConns: conns,
		Detected: s.target.dialect, MaxModelLen: s.target.maxModelLen, Salt: p.ids.New()})
	if err != nil {
		return usage("%w", err)
	}
	s.client = client
	learned, err := client.Learn(ctx)
	if err != nil {
		return err
	}
	client.UseFit(learned.Fit)
	s.plan.Fit = learned.Fit
	for _, w := range learned.Warnings {
		p.hint("warning: %s", w)
	}
	env := &s.exp.Environment
	source := experiment.Detected
	if env.Simulated() {
		source = experiment.Simulated
	}
	if learned.Fit.Learned {
		env.Set(experiment.KeyTokenFit, fmt.Sprintf("%.3f characters a token and %.1f tokens of template, by %s", learned.Fit.CharsPerToken, learned.Fit.Overhead, learned.How), source)
	} else {
		env.Set(experiment.KeyTokenFit, learned.How, experiment.UnknownValue)
	}
	if learned.FullLengthKnown {
		env.Set(experiment.KeyOutputControl, client.OutputControl()+fullLength(learned.FullLength), source)
	}
	return nil
}

func fullLength(full bool) string {
	if full {
		return "; a test answer had its full length"
	}
	return "; a test answer ended before its full length"
}

// addresses are the servers of a run.
func addresses(s *experiment.Spec) []string {
	if len(s.Replicas) == 0 {
		return []string{s.BaseURL}
	}
	var out []string
	for _, r := range s.Replicas {
		out = append(out, r.BaseURL)
	}
	return out
}

// mostInFlight is the highest number of connections that a run may need at once, as far
// as it can be known: an open loop has as many as the server makes it wait for.
func mostInFlight(plan *runner.Plan) int {
	most := 1
	for _, pt := range plan.Points {
		n := pt.Load.Concurrency
		if pt.Load.Rate > 0 {
			open := pt.Spec.MaxConcurrency
			if open == 0 {
				open = 512 // beyond it a connection is opened when it is needed
			}
			n += open
		}
		most = max(most, n)
	}
	if q := plan.Spec.Search; q != nil {
		most = max(most, 512)
		if q.Over == "concurrency" {
			most = max(most, int(q.High))
		}
	}
	return most
}

// parseBaseURLs reads --base-url: one address, or several with their weights.
func parseBaseURLs(texts []string) ([]experiment.Replica, error) {
	var out []experiment.Replica
	for _, text := range texts {
		r := experiment.Replica{BaseURL: text, Weight: 1}
		if i := strings.LastIndex(text, "="); i > strings.LastIndex(text, "/") && !strings.Contains(text, "?") {
			if _, err := fmt.Sscanf(text[i+1:], "%g", &r.Weight); err != nil || !(r.Weight > 0) {
				return nil, usage("--base-url %s has the weight %q; write a number above 0, as in http://host:8000/v1=2", redactURL(text[:i]), text[i+1:])
			}
			r.BaseURL = text[:i]
		}
		out = append(out, r)
	}
	return out, nil
}
