package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/store"
	"github.com/inferbook/inferbook/runner"
	"github.com/inferbook/inferbook/runner/sim"
	"github.com/inferbook/inferbook/runner/sim/calibrate"
)

func (p *program) simCalibrateCommand() *cli.Command {
	return &cli.Command{
		Name: "calibrate", Usage: "fit the simulated engine to a sweep of your own server",
		UsageText: examples("inferbook sim calibrate exp-5 exp-6 --gpu h100-sxm --model llama-3.1-8b --runtime vllm-like --name my-server",
			"inferbook run --virtual --profile my-server --gpu h100-sxm -c 1,8,64    then asks what if"),
		Description: "The experiments are streamed closed loops on one server: at least six points at three levels, best c=1, 4, 16 and 64\n" +
			"at two prompt lengths. Five constants are fitted: the host's time of a step (of a layer, where kernels are launched one by\n" +
			"one) and of a sequence, the shares of bandwidth and peak that matrix products reach, and the way to the client. The error\n" +
			"that the profile claims is that of points that the fit did not see.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "gpu", Usage: "the `GPU` of the catalogue that the server has", DefaultText: "what the experiment recorded"},
			&cli.IntFlag{Name: "gpus", Usage: "`N` of them, tensor parallel", DefaultText: "what the experiment recorded"},
			&cli.StringFlag{Name: "model", Usage: "the `MODEL` of the catalogue that it serves", DefaultText: "what the experiment recorded"},
			&cli.StringFlag{Name: "runtime", Usage: "the `RUNTIME` of the catalogue that is most like it", DefaultText: "what the experiment recorded"},
			&cli.StringFlag{Name: "precision", Usage: "the `PRECISION`", DefaultText: "what the experiment recorded, or the model's own"},
			&cli.StringSliceFlag{Name: "sim", Usage: "a setting of the engine, `NAME=VALUE` (may be repeated), such as max-seqs=8"},
			&cli.StringFlag{Name: "profile", Usage: "rows that the catalogue lacks, such as your GPU: a `NAME` in the notebook, or a YAML file"},
			&cli.StringFlag{Name: "name", Usage: "store the profile as `NAME`", DefaultText: "the GPU, the runtime and the experiment"},
			&cli.StringFlag{Name: "o", Usage: "write the profile to `FILE` too"},
			jsonFlag(), dbFlag(),
		},
		Action: p.simCalibrate,
	}
}

func (p *program) simCalibrate(c *cli.Context) error {
	nb, err := p.open(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	all, err := p.experiments(c, nb)
	if err != nil {
		return err
	}
	cfg, err := p.calibrated(c, all[0])
	if err != nil {
		return err
	}
	var points []calibrate.Point
	simulated := false
	for _, e := range all {
		if t := e.Environment.Scaled(); t != "" {
			return usage("%s ran on a simulated engine whose clock was scaled %s; its times are no server's", e.Alias(), t)
		}
		simulated = simulated || e.Environment.Simulated()
		of, err := measuredPoints(c, nb, e)
		if err != nil {
			return err
		}
		points = append(points, of...)
	}
	d, err := cfg.Resolve()
	if err != nil {
		return usage("%w", err)
	}
	p.hint("fitting %d points on %s", len(points), d.Profile())
	r, err := calibrate.Fit(cfg, points)
	if err != nil {
		return usage("%w", err)
	}
	basis := fmt.Sprintf("%d points of %s", len(points), aliases(all))
	if set := c.StringSlice("sim"); len(set) > 0 {
		basis += " with " + strings.Join(set, ", ")
	}
	made := experiment.Profile{Name: cmp.Or(c.String("name"), strings.Join([]string{d.GPU.Name, d.Runtime.Name, all[0].Alias()}, "-"))}
	if made.Rows, err = profileRows(&d, cfg.Profiles, r, made.Name, basis, simulated, p.now()); err != nil {
		return err
	}
	fit, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("writing the fit: %w", err)
	}
	made.Fit = string(fit)
	if err := nb.AddProfile(c.Context, &made); err != nil {
		return err
	}
	if file := c.String("o"); file != "" {
		if err := os.WriteFile(file, []byte(made.Rows), 0o644); err != nil {
			return fmt.Errorf("writing the profile: %w", err)
		}
	}
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			Profile experiment.Profile `json:"profile"`
			Fit     calibrate.Result   `json:"fit"`
		}{document{"inferbook.sim-calibrate/1"}, made, r})
	}
	p.printFit(r, &d)
	p.hint("stored as the profile %s; try: inferbook run --virtual --profile %s --gpu %s --gpus %d --model %s --runtime %s --precision %s --stream -c 1,8,32 -n 50",
		made.Name, made.Name, d.GPU.Name, d.Count, d.Model.Name, d.Runtime.Name, d.Precision)
	return nil
}

// calibrated gives the engine that an experiment is to be explained by: what was
// recorded of the server, where the catalogue knows it, and what the flags say.
func (p *program) calibrated(c *cli.Context, e *experiment.Experiment) (sim.Config, error) {
	recorded := func(key string) string {
		if f := e.Environment.Get(key); f.Source != experiment.UnknownValue {
			return f.Value
		}
		return ""
	}
	s := experiment.Simulator{
		GPU: cmp.Or(c.String("gpu"), recorded(experiment.KeyGPUModel)), Count: c.Int("gpus"), Model: cmp.Or(c.String("model"), recorded(experiment.KeyModel)),
		Runtime: cmp.Or(c.String("runtime"), recorded(experiment.KeyRuntime)), Precision: cmp.Or(c.String("precision"), recorded(experiment.KeyPrecision)),
	}
	if s.Count == 0 {
		fmt.Sscan(recorded(experiment.KeyGPUCount), &s.Count) // what cannot be read is not known
	}
	// A server says what it is, and the catalogue has what is like it.
	if like := s.Runtime + "-like"; !c.IsSet("runtime") && slices.ContainsFunc(sim.Runtimes(), func(r sim.Runtime) bool { return r.Name == like }) {
		s.Runtime = like
	}
	for what, v := range map[string]string{"gpu": s.GPU, "model": s.Model, "runtime": s.Runtime} {
		if v == "" {
			return sim.Config{}, usage("%s does not say which %s it ran on; say it with --%s", e.Alias(), what, what)
		}
	}
	var err error
	if s.Options, err = settings(c); err != nil {
		return sim.Config{}, err
	}
	if c.IsSet("profile") {
		if s.Profile, err = p.profile(c, c.String("profile")); err != nil {
			return sim.Config{}, err
		}
	}
	cfg, err := runner.SimulatorConfig(s, 1)
	if err != nil {
		return cfg, usage("%w", err)
	}
	return cfg, nil
}

// measuredPoints are the points of an experiment as a fit takes them. Each must be a
// streamed closed loop: an open loop's queue is chance more than the server's.
func measuredPoints(c *cli.Context, nb *store.Notebook, e *experiment.Experiment) ([]calibrate.Point, error) {
	v, err := loadView(c.Context, nb, e)
	if err != nil {
		return nil, err
	}
	var points []calibrate.Point
	for i := range v.Points {
		s := &v.Points[i]
		p := calibrate.Point{Name: e.Alias() + " " + s.Point.Load.String(), Workers: s.Point.Load.Concurrency, TPOT: s.TPOT.P50.Value, TTFT: s.TTFT.P50.Value}
		if s.Point.Repeat > 0 {
			p.Name += fmt.Sprintf(", repeat %d", s.Point.Repeat+1)
		}
		if s.Point.Load.Rate > 0 || math.IsNaN(p.TPOT) || math.IsNaN(p.TTFT) {
			return nil, usage("%s is no streamed closed loop with successes; calibrate with levels of --concurrency and --stream", p.Name)
		}
		for sample, err := range nb.Samples(c.Context, s.Point.ID) {
			if err != nil {
				return nil, err
			}
			if sample.Outcome != experiment.OK || sample.PromptTokens < 1 || sample.OutputTokens < 1 {
				continue
			}
			if sample.Phase == experiment.Warmup {
				p.Warmup++
			}
			p.Requests = append(p.Requests, calibrate.Request{Prompt: sample.PromptTokens, Output: sample.OutputTokens})
		}
		points = append(points, p)
	}
	return points, nil
}

func aliases(all []*experiment.Experiment) string {
	var names []string
	for _, e := range all {
		names = append(names, e.Alias())
	}
	return strings.Join(names, ", ")
}

// profileRows writes a fit as rows of the catalogue, after those it was made with.
func profileRows(d *sim.Deployment, own string, r calibrate.Result, name, basis string, simulated bool, now time.Time) (string, error) {
	scope := sim.Scope{Runtime: d.Runtime.Name, GPU: d.GPU.Name, Models: []string{d.Model.Name}, Precisions: []string{d.Precision}, Counts: []int{d.Count}}
	source := fmt.Sprintf("a fit of this notebook, %s; the error is that of points that it did not see", now.UTC().Format(time.DateOnly))
	rows := sim.Catalogue{}
	if err := yaml.UnmarshalWithOptions([]byte(own), &rows, yaml.Strict()); err != nil {
		return "", err
	}
	rows.Fits = append([]sim.Fit{{Name: name, For: scope, Constants: r.Constants, Memory: r.Memory, Compute: r.Compute, Basis: basis, Source: source}}, rows.Fits...)
	rows.Checks = append([]sim.Check{{For: scope, Status: sim.Fitted, TPOT: r.HeldOut.TPOT, TPOT90: r.HeldOut.TPOT90, TTFT: r.HeldOut.TTFT, Rows: len(r.Residuals), Simulated: simulated, Basis: basis, Source: source}}, rows.Checks...)
	text, err := yaml.MarshalWithOptions(rows, yaml.OmitEmpty())
	if err != nil {
		return "", fmt.Errorf("writing the profile: %w", err)
	}
	return fmt.Sprintf("# Fitted by inferbook to %s: time per token ±%.1f %% before, ±%.1f %% after, ±%.1f %% of held-out points.\n%s",
		basis, 100*r.Before.TPOT, 100*r.After.TPOT, 100*r.HeldOut.TPOT, text), nil
}

// printFit prints the points under the fit, and the constants.
func (p *program) printFit(r calibrate.Result, d *sim.Deployment) {
	t := newTable(p.out, "point", "TPOT ms", "fit", "ratio", "TTFT ms", "fit", "ratio")
	for _, x := range r.Residuals {
		t.AppendRow([]any{x.Name, num(x.TPOT), num(x.TPOTFit), fmt.Sprintf("%.2f", x.TPOTFit/x.TPOT), num(x.TTFT), num(x.TTFTFit), fmt.Sprintf("%.2f", x.TTFTFit/x.TTFT)})
	}
	t.Render()
	fmt.Fprintln(p.out)
	t = newTable(p.out, "constant", "catalogue", "fitted")
	was, kernels := d.Runtime.Constants, d.Arithmetic()
	if was.Eager > 0 {
		t.AppendRow([]any{"host, µs a layer", num(was.Eager), num(r.Constants.Eager)})
	} else {
		t.AppendRow([]any{"host, µs a step", num(was.Step), num(r.Constants.Step)})
	}
	t.AppendRow([]any{"host, µs a sequence", num(was.Seq), num(r.Constants.Seq)})
	t.AppendRow([]any{"share of the bandwidth", num(kernels.Memory), orDash(r.Memory)})
	t.AppendRow([]any{"share of the peak", num(kernels.Compute), orDash(r.Compute)})
	t.AppendRow([]any{"way to the client, ms", num(was.Net / 1e3), num(r.Constants.Net / 1e3)})
	t.Render()
	fmt.Fprintf(p.out, "\ntime per token: ±%.1f %% before the fit, ±%.1f %% after; of points held out ±%.1f %% on average, 9 in 10 within ±%.1f %%\n",
		100*r.Before.TPOT, 100*r.After.TPOT, 100*r.HeldOut.TPOT, 100*r.HeldOut.TPOT90)
	fmt.Fprintf(p.out, "TTFT: ±%.1f %% before, ±%.1f %% after, held out ±%.1f %%\n", 100*r.Before.TTFT, 100*r.After.TTFT, 100*r.HeldOut.TTFT)
	fmt.Fprintln(p.out, "the constants make up for each other: read them as a whole, not one by one")
	if len(r.Weak) > 0 {
		fmt.Fprintf(p.out, "these points say little about %s: half or double changes the fit by less than 1 %%\n", strings.Join(r.Weak, ", "))
	}
}

// simProfiles lists the profiles of the notebook.
func (p *program) simProfiles(c *cli.Context) error {
	nb, err := p.look(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	list, err := nb.Profiles(c.Context, "")
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			Profiles []experiment.Profile `json:"profiles"`
		}{document{"inferbook.sim-profiles/1"}, list})
	}
	if len(list) == 0 {
		p.hint("no profile yet; inferbook sim calibrate makes one of your own sweep")
		return nil
	}
	t := newTable(p.out, "profile", "made", "calibration")
	for _, f := range list {
		label := "the rows cannot be read by this version"
		if c, err := sim.Builtin().With(f.Rows); err == nil {
			label = c.Checks[0].String() // a profile's own come first
		}
		t.AppendRow([]any{f.Name, f.Created.Format(time.DateOnly), label})
	}
	t.Render()
	return nil
}
