package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/signal"
	"slices"
	"strconv"
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
			list("faults", "what it can do wrong on demand", p.simFaults),
			{Name: "profile", Usage: "one deployment, with every figure and where it comes from",
				UsageText: examples("inferbook sim profile --gpu h100-sxm --gpus 4 --model llama-3.1-70b --precision fp8"),
				Flags:     append(deploymentFlags(), jsonFlag()), Action: p.simProfile},
			p.simPublishedCommand(),
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
		&cli.StringFlag{Name: "precision", Usage: "the `PRECISION`: bf16 or fp8", Value: "bf16"},
		&cli.IntFlag{Name: "max-seqs", Usage: "at most `N` requests in a batch", DefaultText: "the runtime's own"},
		&cli.IntFlag{Name: "token-budget", Usage: "at most `N` tokens in a step", DefaultText: "the runtime's own"},
		&cli.IntFlag{Name: "max-model-len", Usage: "at most `N` tokens of prompt and answer", DefaultText: "what model and memory allow"},
		&cli.Float64Flag{Name: "memory-utilization", Usage: "`SHARE` of each GPU's memory that is used", DefaultText: "the runtime's own"},
		&cli.Float64Flag{Name: "other-memory", Usage: "`GB` of each GPU that neither weights nor keys and values have", DefaultText: "the runtime's own"},
		&cli.StringFlag{Name: "prefix-caching", Usage: "`on` or off", DefaultText: "as the runtime has it"},
		&cli.StringFlag{Name: "speculate", Usage: "speculative decoding: `K:ACCEPTANCE[:DRAFT-SHARE]`, such as 3:0.7 or 5:0.8:0.1"},
		&cli.IntFlag{Name: "replicas", Usage: "`N` engines alike behind one router", Value: 1},
		&cli.StringFlag{Name: "router", Usage: "how requests go to them: `NAME` of " + strings.Join(sim.Routers(), ", "), Value: sim.RoundRobin},
		&cli.Uint64Flag{Name: "seed", Usage: "`N` that fixes everything random", Value: 1},
		&cli.Float64Flag{Name: "step-jitter", Usage: "spread `σ` of a step's time, lognormal"},
		&cli.StringFlag{Name: "served-name", Usage: "the model's `NAME` in the API", DefaultText: "the model's own"},
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

// simConfig reads the deployment flags.
func simConfig(c *cli.Context) (sim.Config, error) {
	cfg := sim.Config{GPU: c.String("gpu"), Count: c.Int("gpus"), Model: c.String("model"), Runtime: c.String("runtime"),
		Precision: c.String("precision"), MaxSeqs: c.Int("max-seqs"), TokenBudget: c.Int("token-budget"), MaxModelLen: c.Int("max-model-len"),
		MemoryUtilization: c.Float64("memory-utilization"), OtherMemoryGB: c.Float64("other-memory"), PrefixCaching: c.String("prefix-caching"),
		Replicas: c.Int("replicas"), Router: c.String("router"), Seed: c.Uint64("seed"), Jitter: c.Float64("step-jitter"), ServedName: c.String("served-name")}
	if !slices.Contains(sim.Routers(), cfg.Router) {
		return cfg, usage("--router is %q; it is one of %s", cfg.Router, strings.Join(sim.Routers(), ", "))
	}
	if cfg.Replicas < 1 {
		return cfg, usage("--replicas is %d; write 1 or more", cfg.Replicas)
	}
	var err error
	cfg.Speculation, err = parseSpeculation(c.String("speculate"))
	return cfg, err
}

// parseSpeculation reads K:ACCEPTANCE[:DRAFT-SHARE]; an empty text is none.
func parseSpeculation(text string) (sim.Speculation, error) {
	var s sim.Speculation
	if text == "" {
		return s, nil
	}
	fields := strings.Split(text, ":")
	wrong := usage("--speculate is %q; write K:ACCEPTANCE or K:ACCEPTANCE:DRAFT-SHARE, such as 3:0.7 or 5:0.8:0.1", text)
	if len(fields) < 2 || len(fields) > 3 {
		return s, wrong
	}
	var err error
	if s.Tokens, err = strconv.Atoi(fields[0]); err != nil || s.Tokens < 1 {
		return s, wrong
	}
	for i, to := range []*float64{&s.Acceptance, &s.DraftShare}[:len(fields)-1] {
		if *to, err = strconv.ParseFloat(fields[i+1], 64); err != nil {
			return s, wrong
		}
	}
	return s, nil
}

// simServing reads the serving flags.
func simServing(c *cli.Context) (sim.Serving, error) {
	v := sim.Serving{TimeScale: c.Float64("time-scale"), MaxQueue: c.Int("max-queue")}
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
		return usage("sim takes no argument, and was given %s; its commands are bench, faults, gpus, models, profile, published and runtimes", strings.Join(c.Args().Slice(), " "))
	}
	cfg, err := simConfig(c)
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
	web := &http.Server{Handler: server.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
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
