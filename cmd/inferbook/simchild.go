package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
)

// simChild is `inferbook sim` as a child process. It ends when its standard
// input does, and that is a pipe held by this process: so it goes even when this
// process is killed outright.
type simChild struct {
	cmd     *exec.Cmd
	stdin   io.Closer
	address string
}

// simReady is the line that a simulator started with --child prints once it listens.
type simReady struct {
	document
	BaseURL string `json:"base_url"`
}

// simulatorArgs are the flags that make `inferbook sim` what a specification asks for.
func simulatorArgs(s experiment.Simulator, seed uint64) []string {
	args := []string{"--gpu", s.GPU, "--gpus", fmt.Sprint(s.Count), "--model", s.Model, "--runtime", s.Runtime, "--precision", s.Precision, "--seed", fmt.Sprint(seed)}
	for _, name := range slices.Sorted(maps.Keys(s.Options)) {
		args = append(args, "--sim", name+"="+s.Options[name])
	}
	if s.Profile != "" {
		args = append(args, "--profile-rows", s.Profile)
	}
	return args
}

// startSimulator starts the child with flags of sim and waits until it listens.
func startSimulator(ctx context.Context, args ...string) (*simChild, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program for the simulator: %w", err)
	}
	cmd := exec.Command(self, append([]string{"sim", "--child", "--port", "0"}, args...)...)
	detach(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the simulator: %w", err)
	}
	child := &simChild{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	var ready simReady
	if err == nil {
		err = json.Unmarshal([]byte(line), &ready)
	}
	if err != nil || ctx.Err() != nil {
		child.stop()
		if msg := strings.TrimPrefix(strings.TrimSpace(said.String()), "inferbook: "); msg != "" {
			return nil, &exitError{child.exitCode(), fmt.Errorf("%s", msg)}
		}
		return nil, fmt.Errorf("starting the simulator: %w", err)
	}
	child.address = ready.BaseURL
	return child, nil
}

// stop ends the child by closing its input, and by force if it does not go.
func (c *simChild) stop() {
	c.stdin.Close()
	force := time.AfterFunc(3*time.Second, func() { c.cmd.Process.Kill() })
	defer force.Stop()
	// The child's exit status says nothing that matters by now.
	_ = c.cmd.Wait()
}

func (c *simChild) exitCode() int {
	if code := c.cmd.ProcessState.ExitCode(); code > 0 {
		return code
	}
	return exitFailure
}

// pace asks the child how well it kept its own time; with anew it counts from then on.
func (c *simChild) pace(ctx context.Context, anew bool) (sim.Pace, error) {
	var pace sim.Pace
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	method := http.MethodGet
	if anew {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.address, "/v1")+"/sim/pace", nil)
	if err != nil {
		return pace, err
	}
	// A connection of its own: nothing is left open that would hold up the child's end.
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return pace, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return pace, errors.New(resp.Status)
	}
	return pace, json.NewDecoder(resp.Body).Decode(&pace)
}

// findPace records how well the run's own simulator kept its time, and warns where
// that was not well enough.
func (p *program) findPace(ctx context.Context, s *session) {
	if s.target.child == nil {
		return
	}
	pace, err := s.target.child.pace(ctx, false)
	if err != nil {
		p.hint("warning: asking the simulator how well it kept its time: %v", err)
		return
	}
	s.exp.Environment.Set(experiment.KeyLateness, paceLine(pace), experiment.Simulated)
	if pace.Unreliable {
		p.hint("warning: %s: the simulator's tokens left up to %s late (p99) at a median step of %s; give it a quieter machine, fewer streams, or --virtual",
			pace.Verdict, ms(float64(pace.LatenessP99)/1e6), ms(float64(pace.StepP50)/1e6))
	}
}
