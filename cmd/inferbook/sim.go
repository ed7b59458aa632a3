package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/runner/sim"
)

func (p *program) simCommand() *cli.Command {
	return &cli.Command{
		Name: "sim", Usage: "a simulated inference engine with an OpenAI-compatible API",
		UsageText: examples("inferbook sim --gpu h100-sxm --model llama-3.1-8b --runtime vllm-like --port 8000",
			"inferbook sim --gpu a10g --runtime hf-static", "inferbook sim gpus", "inferbook sim models", "inferbook sim runtimes"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "gpu", Usage: "the `GPU`", Value: "a10g"},
			&cli.IntFlag{Name: "gpus", Usage: "`N` of them, tensor parallel", Value: 1},
			&cli.StringFlag{Name: "model", Usage: "the `MODEL`", Value: "llama-3.1-8b"},
			&cli.StringFlag{Name: "runtime", Usage: "the `RUNTIME`; inferbook sim runtimes lists them", Value: "vllm-like"},
			&cli.StringFlag{Name: "precision", Usage: "the `PRECISION`: " + strings.Join(sim.Precisions(), ", "), DefaultText: "the model's own"},
			&cli.IntFlag{Name: "max-seqs", Usage: "at most `N` requests in a batch", DefaultText: "the runtime's own"},
			&cli.IntFlag{Name: "token-budget", Usage: "at most `N` tokens in a step", DefaultText: "the runtime's own"},
			&cli.Uint64Flag{Name: "seed", Usage: "`N` that fixes everything random", Value: 1},
			&cli.Float64Flag{Name: "step-jitter", Usage: "spread `σ` of a step's time, lognormal"},
			&cli.IntFlag{Name: "port", Usage: "the `PORT` on 127.0.0.1; 0 = any free one", Value: 8000},
			&cli.StringSliceFlag{Name: "sim", Usage: "a further setting, `NAME=VALUE` (may be repeated): " + strings.Join(slices.Sorted(maps.Keys(sim.Options())), ", ")},
			&cli.StringFlag{Name: "profile", Usage: "your own rows of GPUs, models, runtimes and fits: a `NAME` in the notebook, or a YAML file"},
			&cli.StringFlag{Name: "profile-rows", Hidden: true},
			dbFlag(),
			&cli.BoolFlag{Name: "child", Hidden: true, Usage: "print one JSON line when listening, and end with standard input"},
		},
		Action: p.simAction,
		Subcommands: []*cli.Command{
			p.simCapacityCommand(), p.simPublishedCommand(), p.simCalibrateCommand(),
			{Name: "profiles", Usage: "the profiles that were fitted in this notebook", UsageText: examples("inferbook sim profiles"), Flags: []cli.Flag{jsonFlag(), dbFlag()}, Action: p.simProfiles},
			{Name: "gpus", Usage: "the GPUs it knows, with sources", UsageText: examples("inferbook sim gpus"), Flags: []cli.Flag{jsonFlag()}, Action: p.simGPUs},
			{Name: "models", Usage: "the models it knows", UsageText: examples("inferbook sim models"), Flags: []cli.Flag{jsonFlag()}, Action: p.simModels},
			{Name: "runtimes", Usage: "the runtimes it imitates", UsageText: examples("inferbook sim runtimes"), Flags: []cli.Flag{jsonFlag()}, Action: p.simRuntimes},
		},
	}
}

func (p *program) simAction(c *cli.Context) error {
	cfg, err := p.simConfig(c)
	if err != nil {
		return err
	}
	server, err := sim.NewServer(cfg)
	if err != nil {
		return usage("%w", err)
	}
	ctx, cancel := signal.NotifyContext(c.Context, syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", c.Int("port")))
	if errors.Is(err, syscall.EADDRINUSE) {
		return usage("port %d is in use; choose another with --port, or 0 for any free one", c.Int("port"))
	}
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	address := "http://" + listener.Addr().String() + "/v1"
	if c.Bool("child") {
		ctx = p.withParent(ctx)
		if err := json.NewEncoder(p.out).Encode(simReady{document{"inferbook.sim-ready/1"}, address}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(p.out, "simulated engine on %s\n%s\n", address, server.Deployment())
		p.hint("try: inferbook run --base-url %s --stream -n 20", address)
	}
	server.Start(ctx)
	web := &http.Server{Handler: server.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	context.AfterFunc(ctx, func() { web.Close() })
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// simConfig gives the engine that the flags of sim ask for.
func (p *program) simConfig(c *cli.Context) (sim.Config, error) {
	cfg := sim.Config{GPU: c.String("gpu"), Count: c.Int("gpus"), Model: c.String("model"), Runtime: c.String("runtime"), Precision: c.String("precision"),
		MaxSeqs: c.Int("max-seqs"), TokenBudget: c.Int("token-budget"), Seed: c.Uint64("seed"), Jitter: c.Float64("step-jitter"), Profiles: c.String("profile-rows")}
	if c.IsSet("profile") {
		var err error
		if cfg.Profiles, err = p.profile(c, c.String("profile")); err != nil {
			return cfg, err
		}
	}
	for _, setting := range c.StringSlice("sim") {
		name, value, ok := strings.Cut(setting, "=")
		if !ok {
			return cfg, usage("--sim %s is no setting; write NAME=VALUE, such as --sim max-seqs=8", setting)
		}
		if err := cfg.Set(name, value); err != nil {
			return cfg, usage("%w", err)
		}
	}
	return cfg, nil
}

// withParent ends the context when standard input ends: the parent holds the
// other end of that pipe, so that its death is noticed however it came about.
func (p *program) withParent(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		// Any end of the input is the end of the parent.
		_, _ = io.Copy(io.Discard, p.in)
	}()
	return ctx
}
