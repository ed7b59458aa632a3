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
	list := func(name, about string, action cli.ActionFunc) *cli.Command {
		return &cli.Command{Name: name, Usage: about, UsageText: examples("inferbook sim " + name), Flags: []cli.Flag{jsonFlag()}, Action: action}
	}
	return &cli.Command{
		Name: "sim", Usage: "a simulated inference engine with an OpenAI-compatible API",
		UsageText: examples("inferbook sim --gpu h100-sxm --model llama-3.1-8b --runtime vllm-like --port 8000",
			"inferbook sim --gpu a10g --runtime hf-static",
			"inferbook sim --fault 429:2@0.1 --fault stall:5s,20@0.05     and do it wrong now and then",
			"inferbook sim --time-scale 10                               ten seconds of engine in one of yours",
			"inferbook sim profile --gpu h100-sxm                        what would be simulated, with sources",
			"inferbook sim gpus", "inferbook sim models", "inferbook sim runtimes", "inferbook sim faults"),
		Flags:  append(deploymentFlags(), servingFlags()...),
		Action: p.simAction,
		Subcommands: []*cli.Command{
			list("gpus", "the GPUs it knows, with sources", p.simGPUs),
			list("models", "the models it knows", p.simModels),
			list("runtimes", "the runtimes it imitates", p.simRuntimes),
			list("settings", "what --sim NAME=VALUE can set", p.simSettings),
			list("faults", "what it can do wrong on demand", p.simFaults),
			{Name: "profile", Usage: "one deployment, with every figure and where it comes from",
				UsageText: examples("inferbook sim profile --gpu h100-sxm --gpus 4 --model llama-3.1-70b --precision fp8",
					"inferbook sim profile --gpu l4 --rows > mine.yaml      its rows, to change and use with --profile mine.yaml"),
				Flags: append(deploymentFlags(), &cli.BoolFlag{Name: "rows", Usage: "as the YAML of a profile: GPU, model and runtime"}, jsonFlag()), Action: p.simProfile},
			p.simCapacityCommand(), p.simPublishedCommand(), p.simCalibrateCommand(),
			{Name: "profiles", Usage: "the profiles that were fitted in this notebook", UsageText: examples("inferbook sim profiles"), Flags: []cli.Flag{jsonFlag(), dbFlag()}, Action: p.simProfiles},
			p.simBenchCommand(),
		},
	}
}

// deploymentFlags say what is simulated.
func deploymentFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "gpu", Usage: "the `GPU`", Value: "a10g"},
		&cli.IntFlag{Name: "gpus", Usage: "`N` of them, tensor parallel", Value: 1},
		&cli.StringFlag{Name: "model", Usage: "the `MODEL`", Value: "llama-3.1-8b"},
		&cli.StringFlag{Name: "runtime", Usage: "the `RUNTIME`; inferbook sim runtimes lists them", Value: "vllm-like"},
		&cli.StringFlag{Name: "precision", Usage: "the `PRECISION`: " + strings.Join(sim.Precisions(), ", "), DefaultText: "the model's own"},
		&cli.StringFlag{Name: "max-seqs", Usage: "at most `N` requests in a batch", DefaultText: "the runtime's own"},
		&cli.StringFlag{Name: "token-budget", Usage: "at most `N` tokens in a step", DefaultText: "the runtime's own"},
		&cli.StringFlag{Name: "max-model-len", Usage: "at most `N` tokens of prompt and answer", DefaultText: "what model and memory allow"},
		&cli.StringFlag{Name: "memory-utilization", Usage: "`SHARE` of each GPU's memory that is used", DefaultText: "the runtime's own"},
		&cli.StringFlag{Name: "other-memory", Usage: "`GB` of each GPU that neither weights nor keys and values have", DefaultText: "the runtime's own"},
		&cli.StringFlag{Name: "prefix-caching", Usage: "`on` or off", DefaultText: "as the runtime has it"},
		&cli.StringFlag{Name: "speculate", Usage: "speculative decoding: `K:ACCEPTANCE[:DRAFT-SHARE]`, such as 3:0.7 or 5:0.8:0.1"},
		&cli.StringFlag{Name: "replicas", Usage: "`N` engines alike behind one router", DefaultText: "1"},
		&cli.StringFlag{Name: "router", Usage: "how requests go to them: `NAME` of " + strings.Join(sim.Routers(), ", "), DefaultText: sim.RoundRobin},
		&cli.StringFlag{Name: "step-jitter", Usage: "spread `σ` of a step's time, lognormal", DefaultText: "0"},
		&cli.Uint64Flag{Name: "seed", Usage: "`N` that fixes everything random", Value: 1},
		&cli.StringFlag{Name: "served-name", Usage: "the model's `NAME` in the API", DefaultText: "the model's own"},
		&cli.StringSliceFlag{Name: "sim", Usage: "any setting, as run has it: `NAME=VALUE` (may be repeated): " + strings.Join(slices.Sorted(maps.Keys(sim.Options())), ", ")},
		&cli.StringFlag{Name: "profile", Usage: "your own rows of GPUs, models, runtimes and fits: a `NAME` in the notebook, or a YAML file"},
		&cli.StringFlag{Name: "profile-rows", Hidden: true},
		dbFlag(),
	}
}

// servingFlags say how it is served.
func servingFlags() []cli.Flag {
	return []cli.Flag{
		&cli.Float64Flag{Name: "time-scale", Usage: "`K` seconds of the engine in a real second, 0.1 to 20; a run has to accept it", Value: 1},
		&cli.StringSliceFlag{Name: "fault", Usage: "do something wrong: `NAME[:ARGS][@CHANCE]` (may be repeated); inferbook sim faults lists them"},
		&cli.IntFlag{Name: "max-queue", Usage: "refuse requests with 429 while `N` wait", DefaultText: "no limit, as vLLM"},
		&cli.IntFlag{Name: "port", Usage: "the `PORT` on 127.0.0.1; 0 = any free one", Value: 8000},
		&cli.BoolFlag{Name: "child", Hidden: true, Usage: "print one JSON line when listening, and end with standard input"},
	}
}

// simConfig gives the engine that the flags of sim ask for.
func (p *program) simConfig(c *cli.Context) (sim.Config, error) {
	cfg := sim.Config{GPU: c.String("gpu"), Count: c.Int("gpus"), Model: c.String("model"), Runtime: c.String("runtime"), Precision: c.String("precision"),
		Seed: c.Uint64("seed"), ServedName: c.String("served-name"), Profiles: c.String("profile-rows")}
	for _, name := range slices.Sorted(maps.Keys(sim.Options())) {
		if !c.IsSet(name) { // not every setting has a flag of its own
			continue
		}
		if err := cfg.Set(name, c.String(name)); err != nil {
			return cfg, usage("%w", err)
		}
	}
	err := p.adjust(c, &cfg)
	return cfg, err
}

// adjust gives an engine the person's own rows and the settings of --sim.
func (p *program) adjust(c *cli.Context, cfg *sim.Config) (err error) {
	if c.IsSet("profile") {
		if cfg.Profiles, err = p.profile(c, c.String("profile")); err != nil {
			return err
		}
	}
	given, err := settings(c)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if err := cfg.Set(name, given[name]); err != nil {
			return usage("%w", err)
		}
	}
	return nil
}

// simServing reads the serving flags.
func simServing(c *cli.Context) (sim.Serving, error) {
	v := sim.Serving{TimeScale: c.Float64("time-scale"), MaxQueue: c.Int("max-queue"), Urgent: true}
	if v.TimeScale == 0 {
		return v, usage("--time-scale is 0; give a factor from 0.1 to 20")
	}
	for _, text := range c.StringSlice("fault") {
		f, err := sim.ParseFault(text)
		if err != nil {
			return v, usage("--fault: %w", err)
		}
		v.Faults = append(v.Faults, f)
	}
	return v, nil
}

func (p *program) simAction(c *cli.Context) error {
	if c.NArg() > 0 {
		return usage("sim takes no argument, and was given %s; its commands are bench, calibrate, capacity, faults, gpus, models, profile, profiles, published and runtimes", strings.Join(c.Args().Slice(), " "))
	}
	cfg, err := p.simConfig(c)
	if err != nil {
		return err
	}
	serving, err := simServing(c)
	if err != nil {
		return err
	}
	server, err := serving.NewServer(cfg)
	if err != nil {
		return usage("%w", err)
	}
	ctx, cancel := signal.NotifyContext(c.Context, syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	if port := c.Int("port"); port < 0 || port > 65535 {
		return usage("--port is %d; give one from 1 to 65535, or 0 for any free one", port)
	}
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
		p.announce(address, server, serving)
	}
	server.Start(ctx)
	web := &http.Server{Handler: server.Handler(), ConnContext: sim.ConnContext, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	context.AfterFunc(ctx, func() { web.Close() })
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	if pace := server.Pace(); pace.Steps > 0 && !c.Bool("child") {
		p.hint("%s", paceLine(pace))
	}
	return nil
}

// announce says what is served, and what of it is not as it would be in real life.
func (p *program) announce(address string, server *sim.Server, serving sim.Serving) {
	fmt.Fprintf(p.out, "simulated engine on %s\n%s\n", address, server.Deployment())
	accept := ""
	if serving.TimeScale != 1 {
		fmt.Fprintf(p.out, "its clock goes %g times as fast as time: what a client measures is the engine's time divided by %[1]g\n", serving.TimeScale)
		accept = fmt.Sprintf(" --accept-time-scale %g", serving.TimeScale)
	}
	for _, f := range serving.Faults {
		fmt.Fprintf(p.out, "on demand it does wrong: %s\n", f)
	}
	p.hint("try: inferbook run --base-url %s --stream -n 20%s", address, accept)
}

// paceLine says how well a simulator kept its own time.
func paceLine(s sim.Pace) string {
	at := func(d time.Duration) string { return ms(float64(d) / 1e6) }
	return fmt.Sprintf("lateness of a step's tokens p50 %s, p99 %s; median step %s; %s steps; %s",
		at(s.LatenessP50), at(s.LatenessP99), at(s.StepP50), thousands(int64(s.Steps)), s.Verdict)
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
