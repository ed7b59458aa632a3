package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/runner/capacity"
	"github.com/inferbook/inferbook/runner/sim"
	"github.com/inferbook/inferbook/runner/workload"
)

func (p *program) simCapacityCommand() *cli.Command {
	return &cli.Command{
		Name: "capacity", Usage: "the largest load that a simulated deployment serves within an SLO, and how many a demand takes",
		UsageText: examples(
			"inferbook sim capacity --gpu h100-sxm --slo \"ttft.p95<500ms tpot.p95<40ms\" --preset azure-chat",
			"inferbook sim capacity --gpu h100-sxm --gpu h200-sxm --gpu l40s --slo \"tpot.p95<50ms\" --input-tokens 1000 --output-tokens 200",
			"inferbook sim capacity --deployment 4xh100-sxm/llama-3.1-70b/vllm-like/fp8 --slo \"tpot.p95<40ms\" --preset azure-chat --demand 25",
			"inferbook sim capacity --gpu l4 --slo \"ttft.p95<1s\" --preset sharegpt --users --think-time exponential:20s --demand 300"),
		Description: "It runs in virtual time: nothing is measured, and each result says how far such results have been from\n" +
			"published ones. A load is searched by doubling and halving to 3 %, with several seeds, each with arrivals and\n" +
			"lengths of its own. Several deployments are compared in one table.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "gpu", Usage: "the `GPU`; again for another deployment", DefaultText: "a10g"},
			&cli.IntFlag{Name: "gpus", Usage: "`N` of them in one replica, tensor parallel", Value: 1},
			&cli.StringFlag{Name: "model", Usage: "the `MODEL`", Value: "llama-3.1-8b"},
			&cli.StringFlag{Name: "runtime", Usage: "the `RUNTIME`; inferbook sim runtimes lists them", Value: "vllm-like"},
			&cli.StringFlag{Name: "precision", Usage: "the `PRECISION`: " + strings.Join(sim.Precisions(), ", "), DefaultText: "the model's own"},
			&cli.StringSliceFlag{Name: "deployment", Usage: "all `OF` it at once as NxGPU/MODEL/RUNTIME/PRECISION, of which the end may be left out; again for another"},
			&cli.StringSliceFlag{Name: "sim", Usage: "a setting of every deployment, `NAME=VALUE` (may be repeated), such as max-seqs=64"},
			&cli.StringFlag{Name: "profile", Usage: "your own rows of GPUs, models, runtimes and fits: a `NAME` in the notebook, or a YAML file"},
			&cli.StringFlag{Name: "slo", Usage: "the `OBJECTIVES`, as \"ttft.p95<500ms tpot.p95<40ms\" or \"ttft<500ms goodput>=95%\""},
			&cli.StringFlag{Name: "preset", Aliases: []string{"workload"}, Usage: "a published `WORKLOAD`; inferbook workloads lists them"},
			&cli.StringFlag{Name: "input-tokens", Usage: "`LENGTH` of a prompt, a number or a distribution"},
			&cli.StringFlag{Name: "output-tokens", Usage: "`LENGTH` of an answer, likewise"},
			&cli.StringFlag{Name: "arrival", Usage: "`HOW` requests come: poisson, constant, gamma:cv=3, onoff:on=2s,off=8s", DefaultText: "the preset's, or poisson"},
			&cli.BoolFlag{Name: "users", Usage: "search over users who wait for their answers, not over a rate"},
			&cli.StringFlag{Name: "think-time", Usage: "`PAUSE` of a user before the next request, as 20s or exponential:20s"},
			&cli.Float64Flag{Name: "demand", Usage: "a `LOAD` to be served, in req/s or users: how many replicas it takes", DefaultText: "none"},
			&cli.StringFlag{Name: "router", Usage: "`HOW` replicas share it: " + strings.Join(sim.Routers(), ", "), Value: sim.RoundRobin},
			&cli.IntFlag{Name: "seeds", Usage: "`N` searches with draws of their own", Value: 5},
			&cli.IntFlag{Name: "requests", Aliases: []string{"n"}, Usage: "`N` measured requests a point, at least", Value: 2000},
			&cli.Uint64Flag{Name: "seed", Usage: "`N` that fixes everything random", Value: 1},
			jsonFlag(), dbFlag(),
		},
		Action: p.simCapacityAction,
	}
}

func (p *program) simCapacityAction(c *cli.Context) error {
	if c.NArg() > 0 {
		return usage("sim capacity takes no argument and was given %s; a deployment is --deployment %[1]s", c.Args().First())
	}
	question, err := capacityQuestion(c)
	if err != nil {
		return err
	}
	deployments, err := p.capacityDeployments(c)
	if err != nil {
		return err
	}
	for _, d := range deployments {
		question.Deployment = d
		if err := question.Check(); err != nil {
			return usage("%w", err)
		}
	}
	ctx, cancel := signal.NotifyContext(c.Context, syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	var results []analysis.WhatIf
	for _, d := range deployments {
		if p.errTTY {
			p.hint("simulating %s", d.Profile())
		}
		question.Deployment = d
		w, err := capacity.Find(ctx, question)
		if errors.Is(err, context.Canceled) {
			return &exitError{exitInterrupted, errors.New("interrupted before an answer")}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", d.Profile(), err)
		}
		results = append(results, w)
	}
	ranked, alike := analysis.RankWhatIf(results)
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			Ranking string            `json:"ranking"`
			Alike   []bool            `json:"overlaps_previous"`
			Results []analysis.WhatIf `json:"results"`
		}{document{"inferbook.sim-capacity/1"}, analysis.WhatIfRanking, alike, ranked})
	}
	p.printCapacity(ranked, alike)
	if note := unlikeNets(deployments); note != "" {
		fmt.Fprintf(p.out, "  · %s\n", note)
	}
	return nil
}

// unlikeNets says where deployments that are compared have ways to the client of
// unlike length, which a TTFT would rank by; empty = they are alike.
func unlikeNets(deployments []sim.Deployment) string {
	byNet := func(a, b sim.Deployment) int { return cmp.Compare(a.Runtime.Net, b.Runtime.Net) }
	short, long := slices.MinFunc(deployments, byNet), slices.MaxFunc(deployments, byNet)
	if long.Runtime.Net-short.Runtime.Net < 2*time.Millisecond {
		return ""
	}
	return fmt.Sprintf("A TTFT holds %s of server and network for %s, by its fit, and %s for %s: these say nothing of the GPUs, so do not rank them by a TTFT that is near.",
		long.Runtime.Net, long.Profile(), short.Runtime.Net, short.Profile())
}

// capacityQuestion reads all but the deployment.
func capacityQuestion(c *cli.Context) (capacity.Question, error) {
	q := capacity.Question{Users: c.Bool("users"), Demand: c.Float64("demand"), Requests: c.Int("requests"), Seeds: c.Int("seeds"), Seed: c.Uint64("seed")}
	switch {
	case c.String("slo") == "":
		return q, usage("the capacity is that within an SLO; give one, such as --slo \"ttft.p95<500ms tpot.p95<40ms\"")
	case c.IsSet("demand") && !(q.Demand > 0):
		return q, usage("--demand is %g; write a load above 0", q.Demand)
	case c.IsSet("router") && !c.IsSet("demand"):
		return q, usage("--router shares a demand over replicas; add --demand")
	case q.Users && c.IsSet("arrival"):
		return q, usage("--arrival is of an open loop, and --users is a closed one; give one of them")
	case c.IsSet("think-time") && !q.Users:
		return q, usage("--think-time is a user's pause; add --users")
	case q.Requests == 0 || q.Seeds == 0:
		return q, usage("--requests and --seeds are at least 100 and 1")
	}
	w := &q.Workload
	if name := c.String("preset"); name != "" {
		preset, err := workload.PresetByName(name)
		if err != nil {
			return q, usage("%w", err)
		}
		w.Name, w.Input, w.Output, w.Jitter = preset.Name, preset.InputTokens, preset.OutputTokens, preset.Jitter
		if preset.Arrival != nil && !q.Users {
			w.Arrival = *preset.Arrival
		}
	}
	texts := map[string]textField{"slo": &q.SLO, "input-tokens": &w.Input, "output-tokens": &w.Output, "arrival": &w.Arrival, "think-time": &w.Think}
	if err := applyTexts(c, texts); err != nil {
		return q, err
	}
	if c.IsSet("arrival") && !w.Arrival.Open() {
		return q, usage("--arrival closed is a closed loop; search over users with --users")
	}
	if w.Input.IsZero() || w.Output.IsZero() {
		return q, usage("the workload is missing; give --preset, or --input-tokens and --output-tokens")
	}
	return q, nil
}

// capacityDeployments reads the deployments, of which a flag may name several.
func (p *program) capacityDeployments(c *cli.Context) ([]sim.Deployment, error) {
	base := sim.Config{Count: c.Int("gpus"), Model: c.String("model"), Runtime: c.String("runtime"), Precision: c.String("precision"),
		Router: c.String("router")}
	if err := p.adjust(c, &base); err != nil {
		return nil, err
	}
	if base.Replicas > 0 {
		return nil, usage("the capacity is that of one replica; say with --demand how much all of them are to serve")
	}
	var configs []sim.Config
	for _, gpu := range c.StringSlice("gpu") {
		config := base
		config.GPU = gpu
		configs = append(configs, config)
	}
	for _, text := range c.StringSlice("deployment") {
		config, err := compactDeployment(text, base)
		if err != nil {
			return nil, err
		}
		configs = append(configs, config)
	}
	if len(configs) == 0 {
		configs = append(configs, base)
	}
	var out []sim.Deployment
	for _, config := range configs {
		d, err := config.Resolve()
		if err != nil {
			return nil, usage("%w", err)
		}
		out = append(out, d)
	}
	return out, nil
}

var countedGPU = regexp.MustCompile(`^(?:([0-9]+)x)?([^/]+)$`)

// compactDeployment reads "2xh100-sxm/llama-3.1-70b/vllm-like/fp8" over a configuration.
func compactDeployment(text string, c sim.Config) (sim.Config, error) {
	wrong := usage("--deployment is %q; write NxGPU/MODEL/RUNTIME/PRECISION, such as 2xh100-sxm/llama-3.1-70b/vllm-like/fp8", text)
	parts := strings.Split(text, "/")
	gpu := countedGPU.FindStringSubmatch(parts[0])
	if gpu == nil || len(parts) > 4 {
		return c, wrong
	}
	c.GPU, c.Count = gpu[2], 1
	if gpu[1] != "" {
		n, err := strconv.Atoi(gpu[1])
		if err != nil || n < 1 {
			return c, wrong
		}
		c.Count = n
	}
	for i, field := range []*string{&c.Model, &c.Runtime, &c.Precision} {
		if i+1 < len(parts) {
			if parts[i+1] == "" {
				return c, wrong
			}
			*field = parts[i+1]
		}
	}
	return c, nil
}

// printCapacity prints what was found, best first, with everything that must be said with it.
func (p *program) printCapacity(results []analysis.WhatIf, alike []bool) {
	one := &results[0]
	fmt.Fprintf(p.out, "%s  %s\n%s  %s\n", p.bold("workload"), one.Workload, p.bold("SLO     "), one.SLO)
	warmup := "three times what runs at once"
	if len(results) == 1 {
		warmup = thousands(int64(one.Warmup))
	}
	fmt.Fprintf(p.out, "%s  virtual time; %s, each to 3 %%; at a point %s or more are measured after a warm-up of %s\n\n",
		p.bold("method  "), plural(len(one.Seeds), "seed"), plural(one.Requests, "request"), warmup)
	p.printCapacityTable(results, alike)
	fmt.Fprintln(p.out)
	var notes []string
	for i := range results {
		w := &results[i]
		if len(results) == 1 || !w.Found { // else the table says it
			notes = append(notes, w.Sentence())
		}
		if w.Sizing != nil {
			notes = append(notes, w.Deployment+": "+w.Sizing.Sentence(w.Unit()))
		}
		notes = append(notes, w.Warnings...)
	}
	if len(results) > 1 {
		notes = append(notes, analysis.WhatIfRanking)
	}
	labels, of := []string{}, map[string][]string{}
	for i := range results {
		w := &results[i]
		label := fmt.Sprintf("%s Its times at one load: %s.", w.Label, strings.TrimSuffix(w.Calibration, "."))
		if of[label] == nil {
			labels = append(labels, label)
		}
		of[label] = append(of[label], w.Deployment)
	}
	for _, label := range labels {
		if len(labels) == 1 {
			notes = append(notes, label)
		} else {
			notes = append(notes, strings.Join(of[label], ", ")+": "+label)
		}
	}
	for _, note := range unique(append(notes, one.Limits())) {
		fmt.Fprintf(p.out, "  · %s\n", note)
	}
}

func (p *program) printCapacityTable(results []analysis.WhatIf, alike []bool) {
	one := &results[0]
	unit := one.Unit()
	spread := unit + " a replica (min–max)"
	header := []any{"", "deployment", spread, "σ", unit + " a GPU", "above it misses", "limited by"}
	sized := one.Sizing != nil
	if sized {
		header = append(header, "replicas", "GPUs", "headroom")
	}
	header = append(header, "TTFT p95", "TPOT p95", "E2E p95", "tok/s", "busy", "KV", "preempted of 100")
	var rows [][]any
	for i := range results {
		w := &results[i]
		rank := strconv.Itoa(i + 1)
		if alike[i] {
			rank += " ~"
		}
		row := []any{rank, w.Deployment, capacityRange(w), load(w.SD), load(w.PerGPU()), known(w.Bound), known(w.Limit)}
		switch z := w.Sizing; {
		case z != nil && z.Verified:
			row = append(row, thousands(int64(z.Replicas)), thousands(int64(z.GPUs)), whole(z.Headroom))
		case z != nil:
			row = append(row, "≥ "+thousands(int64(z.Asked)), "≥ "+thousands(int64(z.GPUs)), "not verified")
		case sized:
			row = append(row, "–", "–", "–")
		}
		f := &w.Figures
		rows = append(rows, append(row, ms(f.TTFT.P95), ms(f.TPOT.P95), ms(f.E2E.P95), num(f.OutputRate), whole(f.Utilisation), whole(f.KVShare), num(f.Preemptions)))
	}
	p.fit(header, rows, "preempted of 100", "E2E p95", "σ", "KV", "busy", "tok/s", "TPOT p95", "TTFT p95", spread)
}

// capacityRange writes a mean capacity with the range of its seeds.
func capacityRange(w *analysis.WhatIf) string {
	if !w.Found {
		return "none"
	}
	if len(w.Seeds) == 1 {
		return load(w.Mean)
	}
	return fmt.Sprintf("%s (%s–%s)", load(w.Mean), load(w.Min), load(w.Max))
}

// load writes a number of requests a second or of users, of which a slow engine serves few.
func load(v float64) string {
	if v > 0 && v < 0.1 {
		return fmt.Sprintf("%.2g", v)
	}
	return num(v)
}

// whole writes a share of 1 in whole percent.
func whole(share float64) string {
	if math.IsNaN(share) || math.IsInf(share, 0) {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100*share)
}

// known writes a name, and a dash for none.
func known(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
