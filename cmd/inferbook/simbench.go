package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v4/process"
	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/runner"
	"github.com/inferbook/inferbook/runner/lag"
	"github.com/inferbook/inferbook/runner/sim"
	"github.com/inferbook/inferbook/runner/stamp"
)

func (p *program) simBenchCommand() *cli.Command {
	return &cli.Command{
		Name: "bench", Usage: "measure what this machine can pace",
		UsageText: examples("inferbook sim bench                 five loads, a minute",
			"inferbook sim bench --quick         one of them, a few seconds"),
		Description: "A simulated engine in a process of its own streams to a bare reader in this one. Its clock is scaled until a step\n" +
			"takes the time of the row. Where the kernel stamps what it receives, a token comes when it says. What a row shows\n" +
			"is the sum of both processes' shortcomings.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "quick", Usage: "one row for two seconds"},
			&cli.DurationFlag{Name: "duration", Usage: "read for this `TIME` a row", Value: 5 * time.Second},
			jsonFlag(),
		},
		Action: p.simBench,
	}
}

// benchLoad is a row of the bench: so many streams of one token a step.
type benchLoad struct {
	streams int
	step    time.Duration
}

var benchLoads = []benchLoad{{256, 20 * time.Millisecond}, {1000, 20 * time.Millisecond}, {512, 10 * time.Millisecond}, {4000, 50 * time.Millisecond}, {2000, 20 * time.Millisecond}}

// benchRow is what came of a load.
type benchRow struct {
	Streams    int     `json:"streams"`
	StepMs     float64 `json:"step_ms"`
	Seconds    float64 `json:"seconds"`
	TokensS    float64 `json:"tokens_s"`
	ITLP50     float64 `json:"itl_p50_ms"`
	ITLP99     float64 `json:"itl_p99_ms"`
	ITLMax     float64 `json:"itl_max_ms"`
	LatenessMs float64 `json:"server_lateness_p99_ms"`
	ServerCPU  float64 `json:"server_cpu_s"`
	ClientCPU  float64 `json:"client_cpu_s"`
	Urgent     bool    `json:"urgent"` // the engine's thread ran before others
	Verdict    string  `json:"verdict"`
}

func (p *program) simBench(c *cli.Context) error {
	loads, window := benchLoads, c.Duration("duration")
	if c.Bool("quick") {
		loads, window = loads[:1], 2*time.Second
	}
	if window < time.Second || window > time.Minute {
		return usage("--duration is %s; give 1s to 1m", window)
	}
	ctx, cancel := signal.NotifyContext(c.Context, syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	var rows []benchRow
	for _, l := range loads {
		if err := runner.Preflight(l.streams, []string{"127.0.0.1"}); err != nil {
			return usage("%w", err)
		}
		row, err := benchOne(ctx, l, window)
		if err != nil {
			return fmt.Errorf("pacing %d streams: %w", l.streams, err)
		}
		rows = append(rows, row)
	}
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			Rows []benchRow `json:"rows"`
		}{document{"inferbook.sim-bench/1"}, rows})
	}
	t := newTable(p.out, "streams", "step", "tokens/s", "client ITL p50 / p99 / max ms", "server lateness p99", "CPU server + client", "verdict")
	for _, r := range rows {
		t.AppendRow([]any{r.Streams, ms(r.StepMs), num(r.TokensS), fmt.Sprintf("%.1f / %.1f / %.1f", r.ITLP50, r.ITLP99, r.ITLMax),
			ms(r.LatenessMs), fmt.Sprintf("%.2f + %.2f s in %.1f s", r.ServerCPU, r.ClientCPU, r.Seconds), r.Verdict})
	}
	t.Render()
	if rows[0].Urgent {
		p.hint("the engine's thread ran before those of the reader")
	} else {
		p.hint("the engine's thread took its turn with the reader's; where the system lets it run before them (as root, or with CAP_SYS_NICE, on Linux), tails are shorter")
	}
	return nil
}

// The engine of the bench has room for every stream of every row.
const (
	benchGPU       = "b200-sxm"
	benchPrecision = "fp8"
	benchPrompt    = 16 // tokens
)

// benchScale is the time scale at which a step with all streams takes the load's
// time in the middle of the window, and how long the engine takes to admit them, by
// the real clock. Steps grow with the answers.
func benchScale(l benchLoad, window time.Duration) (scale float64, admission time.Duration, err error) {
	d, err := sim.Config{GPU: benchGPU, Precision: benchPrecision, MaxSeqs: l.streams}.Resolve()
	if err != nil {
		return 0, 0, err
	}
	middle := int((benchSettle + window/2) / l.step) // in tokens
	loop := sim.NewLoop(d, 1, 0)
	for i := range l.streams {
		// They arrive in time to be decoded all together.
		if err := loop.Submit(sim.Request{ID: fmt.Sprint(i), PromptTokens: benchPrompt, MaxTokens: 4096, OutputTokens: 4096}); err != nil {
			return 0, 0, err
		}
	}
	admission = time.Duration(l.streams) * d.Runtime.Front
	for i := range l.streams {
		loop.CancelAt(fmt.Sprint(i), admission+time.Second+2*time.Duration(middle)*l.step)
	}
	var step time.Duration
	err = loop.Run(func(t sim.Truth) {
		together := max(0, slices.IndexFunc(t.TokenTimes, func(at time.Duration) bool { return at > admission }))
		if at := min(together+middle, len(t.TokenTimes)-5); at >= 0 && step == 0 {
			step = (t.TokenTimes[at+4] - t.TokenTimes[at]) / 4
		}
	})
	if err == nil && step == 0 {
		err = fmt.Errorf("the engine gave no stream a token")
	}
	scale = float64(step) / float64(l.step)
	return scale, time.Duration(float64(admission+time.Second) / scale), err
}

// benchOne starts an engine, opens the streams, and reads them for a while.
func benchOne(ctx context.Context, l benchLoad, window time.Duration) (benchRow, error) {
	row := benchRow{Streams: l.streams, StepMs: float64(l.step) / 1e6}
	scale, admission, err := benchScale(l, window)
	if err != nil {
		return row, err
	}
	child, err := startSimulator(ctx, "--gpu", benchGPU, "--precision", benchPrecision, "--max-seqs", fmt.Sprint(l.streams), "--time-scale", fmt.Sprint(scale))
	if err != nil {
		return row, err
	}
	defer child.stop()
	b := &bench{streams: make([]benchStream, l.streams), limit: int((admission+benchSettle+window+2*time.Second)/l.step) * 3 / 2}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := b.open(ctx, child.address); err != nil {
		return row, err
	}
	if _, err := child.pace(ctx, true); err != nil { // admission is not what is measured
		return row, err
	}
	cpu, err := cpuSeconds(child.cmd.Process.Pid, os.Getpid())
	if err != nil {
		return row, err
	}
	from := time.Now()
	if err := pause(ctx, window); err != nil {
		return row, err
	}
	to := time.Now()
	after, err := cpuSeconds(child.cmd.Process.Pid, os.Getpid())
	if err != nil {
		return row, err
	}
	pace, err := child.pace(ctx, false)
	if err != nil {
		return row, err
	}
	cancel()
	b.running.Wait()
	gaps, tokens := b.gaps(from, to)
	row.Seconds = to.Sub(from).Seconds()
	row.TokensS = float64(tokens) / row.Seconds
	row.ITLP50, row.ITLP99, row.ITLMax = float64(gaps.Quantile(.5))/1e6, float64(gaps.Quantile(.99))/1e6, float64(gaps.Max())/1e6
	row.LatenessMs, row.Urgent, row.Verdict = float64(pace.LatenessP99)/1e6, pace.Urgent, pace.Verdict
	row.ServerCPU, row.ClientCPU = after[0]-cpu[0], after[1]-cpu[1]
	return row, nil
}

// bench reads streams at once.
type bench struct {
	streams []benchStream
	limit   int // tokens a stream
	running sync.WaitGroup
}

// benchStream has when each of its tokens was read.
type benchStream struct{ at []time.Time }

// open starts all streams and waits until each has a token.
func (b *bench) open(ctx context.Context, address string) error {
	begun := make(chan error, len(b.streams))
	for i := range b.streams {
		b.running.Go(func() { b.streams[i].read(ctx, address, i, b.limit, begun) })
	}
	for range b.streams {
		select {
		case err := <-begun:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return pause(ctx, benchSettle) // the batch is whole, and what admission held up drains away
}

// pause waits, unless the context ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// benchSettle is how long streams are read before a bench counts.
const benchSettle = time.Second

// read reads one stream to its end and reports its first token, or why there is none.
func (s *benchStream) read(ctx context.Context, address string, number, limit int, begun chan<- error) {
	err := s.follow(ctx, address, number, limit, begun)
	if len(s.at) == 0 {
		begun <- err
	}
}

// follow reads lines straight from the connection, past any HTTP library: the
// lengths of chunks stand on lines of their own. Its error is why the stream ended.
func (s *benchStream) follow(ctx context.Context, address string, number, limit int, begun chan<- error) error {
	ids := strings.Repeat(fmt.Sprint(number)+",", benchPrompt)
	body := fmt.Sprintf(`{"prompt":[%s],"max_tokens":%d,"ignore_eos":true,"stream":true}`, ids[:len(ids)-1], limit)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/completions", strings.NewReader(body))
	if err != nil {
		return err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", req.URL.Host)
	if err != nil {
		return err
	}
	conn = stamp.Wrap(conn)
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var log stamp.Log
	if c := stamp.Of(conn); c != nil {
		c.Attach(&log)
	}
	if err := req.Write(conn); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}
	s.at = make([]time.Time, 0, limit)
	var arrived time.Time // events of one read have one arrival
	for {
		fresh := in.Buffered() == 0
		line, err := in.ReadSlice('\n')
		if fresh {
			if arrived = log.Last().Arrived; arrived.IsZero() {
				arrived = time.Now()
			}
		}
		if err != nil {
			return err
		}
		if bytes.HasPrefix(line, []byte("data: {")) {
			if s.at = append(s.at, arrived); len(s.at) == 1 {
				begun <- nil
			}
		}
	}
}

// gaps gives the times between tokens that were read within a window, and how many those were.
func (b *bench) gaps(from, to time.Time) (*lag.Histogram, int) {
	h, tokens := &lag.Histogram{}, 0
	for i := range b.streams {
		at := b.streams[i].at
		for k := range at {
			if at[k].Before(from) || at[k].After(to) {
				continue
			}
			tokens++
			if k > 0 {
				h.Add(int64(at[k].Sub(at[k-1])))
			}
		}
	}
	return h, tokens
}

// cpuSeconds is the processor time that each process has used.
func cpuSeconds(pids ...int) ([]float64, error) {
	out := make([]float64, len(pids))
	for i, pid := range pids {
		proc, err := process.NewProcess(int32(pid))
		if err != nil {
			return nil, fmt.Errorf("reading the processor time: %w", err)
		}
		t, err := proc.Times()
		if err != nil {
			return nil, fmt.Errorf("reading the processor time: %w", err)
		}
		out[i] = t.User + t.System
	}
	return out, nil
}
