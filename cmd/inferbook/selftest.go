package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner"
	"github.com/inferbook/inferbook/runner/selftest"
)

func (p *program) selftestCommand() *cli.Command {
	return &cli.Command{
		Name:  "selftest",
		Usage: "measure the error of this instrument on this machine, at a load",
		UsageText: examples(
			"inferbook selftest                               64 streams of 50 events a second",
			"inferbook selftest --like exp-7                  the load of an experiment's busiest point",
			"inferbook selftest --streams 384 --rate 50       19,200 events a second",
			"GOMAXPROCS=1 inferbook selftest --starve         what a client that has no processor for itself reports"),
		Description: "A paced server in a process of its own writes each event with the clock of that moment in it; the client that\n" +
			"runs use reads them. The table is the difference, by the stamps that runs report and by the times of reading.",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "streams", Usage: "`N` streams at a time", Value: 64},
			&cli.Float64Flag{Name: "rate", Usage: "`R` events a second of each stream", Value: 50},
			&cli.IntFlag{Name: "events", Usage: "`N` events an answer", Value: 200},
			&cli.StringFlag{Name: "duration", Usage: "begin requests for this `TIME`", Value: "10s"},
			&cli.StringFlag{Name: "like", Usage: "take streams and rate from the busiest point of `EXPERIMENT`"},
			&cli.BoolFlag{Name: "starve", Usage: "keep one processor of this process busy beside the client"},
			&cli.BoolFlag{Name: "serve", Hidden: true},
			jsonFlag(), dbFlag(),
		},
		Action: p.selftestAction,
	}
}

func (p *program) selftestAction(c *cli.Context) error {
	if c.Bool("serve") {
		return p.selftestServe(c.Context)
	}
	if c.NArg() > 0 {
		return usage("selftest takes no argument and was given %s; name an experiment with --like", c.Args().First())
	}
	cfg, err := p.selftestConfig(c)
	if err != nil {
		return err
	}
	if err := runner.Preflight(cfg.Streams, []string{"127.0.0.1"}); err != nil {
		return usage("%w", err)
	}
	address, stop, err := startPacer(c.Context)
	if err != nil {
		return err
	}
	defer stop()
	p.hint("measuring %d streams of %.4g events/s for %s on %d of %d processors", cfg.Streams, cfg.Rate, cfg.Duration, runtime.GOMAXPROCS(0), runtime.NumCPU())
	r, err := selftest.Measure(c.Context, cfg, address)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			selftest.Result
			Verdict string `json:"verdict"`
			Good    bool   `json:"good"`
		}{document{"inferbook.selftest/1"}, r, r.Verdict(), r.Good()})
	}
	p.printSelftest(r)
	return nil
}

// selftestConfig is the load to test at: that of the flags, or of an experiment's busiest point.
func (p *program) selftestConfig(c *cli.Context) (selftest.Config, error) {
	cfg := selftest.ConfigFor(0, 0, 0)
	cfg.Streams, cfg.Rate, cfg.Events, cfg.Starve = c.Int("streams"), c.Float64("rate"), c.Int("events"), c.Bool("starve")
	var d experiment.Duration
	if err := d.UnmarshalText([]byte(c.String("duration"))); err != nil || d <= 0 {
		return cfg, usage("--duration is %q; write a time such as 10s", c.String("duration"))
	}
	cfg.Duration = time.Duration(d)
	if cfg.Streams < 1 || cfg.Streams > experiment.MaxConcurrency || !(cfg.Rate > 0) || cfg.Rate > experiment.MaxRate || cfg.Events < 1 {
		return cfg, usage("--streams is %d, --rate %g and --events %d; write numbers from 1, and at most %d streams", cfg.Streams, cfg.Rate, cfg.Events, experiment.MaxConcurrency)
	}
	if !c.IsSet("like") {
		return cfg, nil
	}
	nb, err := p.look(c)
	if err != nil {
		return cfg, err
	}
	defer nb.Close()
	exp, err := nb.Experiment(c.Context, c.String("like"))
	if err != nil {
		return cfg, err
	}
	v, err := loadView(c.Context, nb, exp)
	if err != nil {
		return cfg, err
	}
	most := 0.0
	for _, s := range v.Points {
		if busy := s.MeanInflight; busy > most && s.TPOT.Mean > 0 {
			most = busy
			perToken := 1 / s.EventsPerOutput
			if math.IsNaN(perToken) || math.IsInf(perToken, 0) {
				perToken = 1
			}
			like := selftest.ConfigFor(busy, s.TPOT.Mean, perToken)
			cfg.Streams, cfg.Rate = like.Streams, like.Rate
		}
	}
	if most == 0 {
		return cfg, usage("%s has no point with streamed answers to take a load from; give --streams and --rate", exp.Alias())
	}
	return cfg, nil
}

func (p *program) printSelftest(r selftest.Result) {
	t := newTable(p.out, "error of", "n", "p50", "p90", "p99", "max")
	row := func(name string, e selftest.Errors) {
		if e.N > 0 {
			t.AppendRow([]any{name, thousands(int64(e.N)), micro(e.P50), micro(e.P90), micro(e.P99), micro(e.Max)})
		}
	}
	for _, by := range []struct {
		name  string
		times selftest.Times
	}{{"by the kernel's stamps", r.Stamp}, {"by the time of reading", r.Read}} {
		name := by.name
		if by.name == "by the kernel's stamps" && r.Health.StampSource != "kernel" {
			name = "as reported (" + r.Health.StampSource + ")"
		}
		row("arrival, "+name, by.times.Arrival)
		row("gap, "+name, by.times.Gap)
		row("TTFT, "+name, by.times.TTFT)
	}
	t.Render()
	fmt.Fprintf(p.out, "%s answered, %d failed · %.0f events/s · %.2f %% of events shared a read · client CPU %.0f %% · %.0f KB a stream\n",
		plural(r.Requests, "request"), r.Failed, r.EventsPerSecond, 100*r.Merged, 100*r.Health.CPUShare, r.BytesPerStream/1024)
	fmt.Fprintf(p.out, "%s\n", r.Verdict())
}

// micro gives a time in microseconds up to a millisecond, in milliseconds beyond.
func micro(d time.Duration) string {
	if d < time.Millisecond {
		return fmt.Sprintf("%.0f µs", float64(d)/1e3)
	}
	return fmt.Sprintf("%.2f ms", float64(d)/1e6)
}

// selftestServe is the paced server: it ends with its parent.
func (p *program) selftestServe(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	ctx = p.withParent(ctx)
	if err := json.NewEncoder(p.out).Encode(simReady{document{"inferbook.selftest-ready/1"}, l.Addr().String()}); err != nil {
		return err
	}
	return selftest.Serve(ctx, l)
}

// startPacer starts the paced server as a child and waits until it listens. The child
// has a scheduler of its own, whatever GOMAXPROCS says of this process.
func startPacer(ctx context.Context) (address string, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, fmt.Errorf("finding this program for the paced server: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, "selftest", "--serve")
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", runtime.NumCPU()))
	detach(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("starting the paced server: %w", err)
	}
	stop = func() {
		stdin.Close()
		// The child's exit status says nothing that matters by now.
		_ = cmd.Wait()
	}
	var ready simReady
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(line), &ready)
	}
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("starting the paced server: %w", err)
	}
	return ready.BaseURL, stop, nil
}
