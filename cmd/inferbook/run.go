package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
	"github.com/inferbook/inferbook/runner"
	"github.com/inferbook/inferbook/runner/sim"
)

func (p *program) runCommand() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "send load and record every request",
		UsageText: examples(
			"inferbook run -n 50                                     one request at a time, simulated engine",
			"inferbook run -n 50 --stream                            and see when the first token comes",
			"inferbook run --stream --concurrency 1,2,4,8,16 -n 100  and how load changes it",
			"inferbook run --base-url http://localhost:8000/v1 --stream -c 1,8,64 --duration 60s --extra ignore_eos=true",
			"inferbook run --gpu h100-sxm --runtime hf-static --virtual --stream -c 1,2,4,8,16,32",
			"inferbook run spec.yaml -m \"the baseline\"                everything from a file, flags over it"),
		Description: "Each level keeps that many requests in flight (closed loop). A worker's first request is warm-up and is\n" +
			"left out, starts are staggered, lengths jittered. Ctrl-C once stops sending, waits for what is in flight and\n" +
			"saves; twice stops now.",
		Flags:  runFlags(),
		Action: p.runAction,
	}
}

// session is one run under way.
type session struct {
	nb     *store.Notebook
	exp    *experiment.Experiment
	plan   runner.Plan
	target *target
	rules  *rules
	client *runner.Client // nil in virtual time
	expect []experiment.Expectation
}

func (p *program) runAction(c *cli.Context) error {
	s, status, runErr := p.record(c, occasion{})
	if s == nil {
		return runErr
	}
	defer s.nb.Close()
	if err := p.saveResults(c, s); err != nil {
		runErr = errors.Join(runErr, err)
	}
	return p.conclude(c, s, status, runErr)
}

// occasion is what one of several runs of the same flags has of its own.
type occasion struct {
	tag string // beside the given ones; "" = none
	// vary changes the specification, and reports whether the requests are drawn anew where
	// --like would replay its recorded schedules; nil = nothing is changed.
	vary  func(*experiment.Spec) (anew bool, err error)
	asked bool // the person was asked before an earlier run
}

// record runs what the flags ask, up to the last sample. The session is nil where nothing
// was recorded; otherwise its notebook is open.
func (p *program) record(c *cli.Context, o occasion) (*session, experiment.Status, error) {
	like, err := p.like(c)
	if err != nil {
		return nil, experiment.Failed, err
	}
	defer like.close()
	spec, err := specOf(c, like.experiment())
	if err != nil {
		return nil, experiment.Failed, err
	}
	replayed := like
	if o.vary != nil {
		anew, err := o.vary(&spec)
		if err != nil {
			return nil, experiment.Failed, err
		}
		if anew {
			replayed = nil
		}
	}
	s, key, err := p.prepare(c, spec, replayed, o)
	if err != nil {
		return nil, experiment.Failed, err
	}
	defer s.target.close()
	status, err := p.drive(c.Context, s, key)
	if s.exp.ID == "" {
		return nil, status, errors.Join(err, s.nb.Close())
	}
	return s, status, err
}

// prepare makes everything ready that a run needs before its first byte, and asks
// whether it may be sent.
func (p *program) prepare(c *cli.Context, spec experiment.Spec, like *likeness, o occasion) (*session, string, error) {
	key, err := p.key(c)
	if err != nil {
		return nil, "", err
	}
	address, from, err := p.baseURL(c, &spec)
	if err != nil {
		return nil, "", err
	}
	plan, err := p.plan(c.Context, &spec, like)
	if err != nil {
		return nil, "", err
	}
	if s := plan.Spec; s.MaxCost > 0 && s.TokenPrice == nil && (address != "" && !c.IsSet("gpu")) {
		return nil, "", usage("%w", errNoPrice)
	}
	expect, err := expectations(c, &plan)
	if err != nil {
		return nil, "", err
	}
	if !o.asked {
		if err := p.confirm(c, address, plan); err != nil {
			return nil, "", err
		}
	}
	t, err := p.resolve(c, &spec, key, address, from)
	if err != nil {
		return nil, "", err
	}
	p.hint("target    %s", t.line)
	plan.Adopt(spec)
	nb, err := p.openOrCreate(c)
	if err != nil {
		t.close()
		return nil, "", err
	}
	tags := c.StringSlice("tag")
	if o.tag != "" {
		tags = append(slices.Clone(tags), o.tag)
	}
	exp := &experiment.Experiment{Name: c.String("name"), Message: c.String("message"), Tags: tags, Spec: spec, Environment: t.env}
	s := &session{nb: nb, exp: exp, plan: plan, target: t, expect: expect}
	if s.rules, err = p.rulesOf(c.Context, s); err != nil {
		t.close()
		return nil, "", errors.Join(err, nb.Close())
	}
	return s, key, nil
}

// rulesOf makes the rules of a run, with the newest recorded price of its hardware.
func (p *program) rulesOf(ctx context.Context, s *session) (*rules, error) {
	hourly := 0.0
	if gpu := s.exp.Environment.Get(experiment.KeyGPUModel); s.plan.Spec.MaxCost > 0 && gpu.Source != experiment.UnknownValue {
		prices, err := s.nb.Prices(ctx, gpu.Value)
		if err != nil {
			return nil, err
		}
		count, err := strconv.Atoi(s.exp.Environment.Get(experiment.KeyGPUCount).Value)
		if err != nil {
			count = 1
		}
		if len(prices) > 0 {
			hourly = prices[0].USDHour * float64(count)
		}
	}
	return newRules(&s.plan.Spec, hourly)
}

// confirm tells what a run would send to another machine, and asks. Until the
// answer nothing is sent to it at all, not even the question what it is.
func (p *program) confirm(c *cli.Context, address string, plan runner.Plan) error {
	if address == "" || loopback(address) {
		return nil
	}
	amount := amount(plan, plan.Estimate())
	p.hint("estimate  %s", amount)
	if c.Bool("yes") {
		return nil
	}
	if !p.inTTY {
		return usage("%s is another machine; give --yes to send it %s", address, amount)
	}
	fmt.Fprint(p.err, "send this to another machine? [y/N] ")
	var answer string
	// No answer is a no.
	_, _ = fmt.Fscanln(p.in, &answer)
	if a := strings.ToLower(answer); a != "y" && a != "yes" {
		return usage("nothing was sent")
	}
	return nil
}

// drive records the experiment from its first sample to its last.
func (p *program) drive(ctx context.Context, s *session, key string) (status experiment.Status, err error) {
	ctx, stop, done := interruptible(ctx, p)
	defer done()
	s.plan.Fit = runner.VirtualFit(s.plan.Spec.Endpoint)
	if s.target.address != "" {
		if err := p.connect(ctx, s, key); err != nil {
			return experiment.Failed, err
		}
		defer s.client.Close()
	}
	if err := s.nb.CreateExperiment(ctx, s.exp); err != nil {
		return experiment.Failed, err
	}
	if err := s.keepExpectations(ctx); err != nil {
		return experiment.Failed, err
	}
	p.hint("recording %s into %s", s.exp.Title(), s.nb.Path())
	w, err := s.nb.Writer(ctx, s.exp.ID)
	if err != nil {
		return experiment.Failed, err
	}
	status, err = p.execute(ctx, s, w, stop)
	// What was measured is kept whatever happened to the run, so from here on
	// the run's own context no longer counts.
	keep := context.WithoutCancel(ctx)
	p.findPace(keep, s)
	err = errors.Join(err, w.Close(keep), s.keepFindings(keep))
	if err != nil && status == experiment.Complete {
		status = experiment.Failed
	}
	return status, errors.Join(err, s.nb.FinishExperiment(keep, s.exp.ID, status))
}

// keepFindings records what was found out during the run: what the client had to do
// differently for this server, and how well a simulator kept its time.
func (s *session) keepFindings(ctx context.Context) error {
	if s.client == nil {
		return nil
	}
	if said := s.client.Fallbacks(); len(said) > 0 {
		s.exp.Environment.Set(experiment.KeyDialect, strings.Join(said, " "), experiment.Detected)
	}
	return s.nb.SetEnvironment(ctx, s.exp.ID, s.exp.Environment)
}

// execute runs the plan, over HTTP or in virtual time.
func (p *program) execute(ctx context.Context, s *session, w *store.Writer, stop <-chan struct{}) (experiment.Status, error) {
	bar := p.newProgress(s.plan)
	defer bar.close()
	r := &runner.Run{ExperimentID: s.exp.ID, Plan: s.plan, Sink: w, IDs: p.ids, Client: s.client, Observe: bar.show, Rule: s.rules.of}
	q := &search{p: p, session: s}
	if s.plan.Spec.Search != nil {
		r.Next = q.next(ctx)
	}
	var status experiment.Status
	var err error
	if s.client != nil {
		status, err = r.Do(ctx, stop)
	} else {
		d, derr := deploymentOf(s.plan.Spec)
		if derr != nil {
			return experiment.Failed, derr
		}
		status, err = r.DoVirtual(ctx, d, stop, p.now())
	}
	return status, errors.Join(err, q.err)
}

// conclude stores the summaries, prints the result and gives the exit status.
func (p *program) conclude(c *cli.Context, s *session, status experiment.Status, runErr error) error {
	ctx := context.WithoutCancel(c.Context)
	exp, err := s.nb.Experiment(ctx, s.exp.ID)
	if err != nil {
		return errors.Join(runErr, err)
	}
	v, err := loadView(ctx, s.nb, exp)
	if err != nil {
		return errors.Join(runErr, err)
	}
	barren := v.barren()
	if status == experiment.Interrupted {
		barren = nil // it might have come yet
	}
	switch {
	case c.Bool("json"):
		err = v.printJSON(p.out)
	case barren != nil:
		p.printBarren(v)
	default:
		p.printResult(v)
	}
	if err = errors.Join(runErr, err); err != nil {
		return err
	}
	if barren != nil {
		return fmt.Errorf("%s: %w", exp.Alias(), barren)
	}
	if why := v.endedBy(); why != "" {
		p.hint("ended: %s", s.rules.why)
		if why == experiment.EndErrors {
			return fmt.Errorf("%s: ended by --max-errors; what was measured is saved", exp.Alias())
		}
	} else if status == experiment.Interrupted {
		return &exitError{exitInterrupted, errors.New("interrupted; what was measured is saved")}
	}
	if !c.Bool("json") {
		p.hint("next: inferbook curve %[1]s -o curve.svg · inferbook note %[1]s -m \"…\" · inferbook report new %[1]s", exp.Alias())
	}
	return nil
}

// interruptible turns Ctrl-C into a request to stop sending, and a second one
// into a cancelled context; a third ends the process, whose notebook survives that.
func interruptible(ctx context.Context, p *program) (context.Context, <-chan struct{}, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := make(chan struct{})
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ended := make(chan struct{})
	go func() {
		for n := 0; ; n++ {
			select {
			case <-ended:
				return
			case <-signals:
			}
			switch n {
			case 0:
				p.hint("\nstopping: no more requests; waiting for the ones in flight (Ctrl-C again to stop now)")
				close(stop)
			case 1:
				cancel()
			default:
				os.Exit(exitInterrupted)
			}
		}
	}()
	return ctx, stop, func() { signal.Stop(signals); close(ended); cancel() }
}

// deploymentOf resolves the simulated engine of a specification; an engine that
// cannot be is the person's to correct.
func deploymentOf(s experiment.Spec) (sim.Deployment, error) {
	cfg, err := runner.SimulatorConfig(*s.Simulator, s.Seed)
	if err != nil {
		return sim.Deployment{}, usage("%w", err)
	}
	d, err := cfg.Resolve()
	if err != nil {
		return d, usage("%w", err)
	}
	return d, nil
}
