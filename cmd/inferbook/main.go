// Command inferbook is a lab notebook for LLM inference: it sends load to an
// OpenAI-compatible endpoint, records every raw sample in one SQLite file, and
// turns them into curves, costs and reports.
//
// This package holds flags and wiring. What is measured, computed or drawn is
// decided in the packages it calls.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/probe"
)

func main() { os.Exit(Main()) }

// Main runs the program on the process's own arguments and gives its exit status.
func Main() int {
	p := &program{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		outTTY: isTerminal(os.Stdout), errTTY: isTerminal(os.Stderr), inTTY: isTerminal(os.Stdin),
		columns: terminalColumns, env: os.Getenv, now: time.Now, ids: experiment.NewIDs(), host: probe.Host,
	}
	return p.run(context.Background(), os.Args[1:])
}

// program is one invocation: where it reads and writes, and what it may assume
// about the other end.
type program struct {
	in                    io.Reader
	out, err              io.Writer
	outTTY, errTTY, inTTY bool
	columns               func() int // the width of the terminal on out; nil = unknown
	env                   func(string) string
	now                   func() time.Time
	ids                   *experiment.IDs
	host                  func(context.Context) []experiment.Fact // what this machine is
}

// The exit statuses. They are documented in `inferbook --help`.
const (
	exitOK           = 0
	exitFailure      = 1
	exitUsage        = 2
	exitConflict     = 3
	exitInconclusive = 4
	exitInterrupted  = 130
)

// exitError carries an exit status with its sentence.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usage is an error in what the person typed: exit status 2.
func usage(format string, a ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, a...)}
}

// run is the whole program with its arguments.
func (p *program) run(ctx context.Context, args []string) int {
	q, out := *p, &faithful{to: p.out}
	q.out = out
	app := q.app()
	args, err := permute(app, args)
	if err == nil {
		err = app.RunContext(ctx, append([]string{"inferbook"}, args...))
	}
	if err == nil && out.lost != nil {
		err = fmt.Errorf("writing the output: %w", out.lost)
	}
	return p.finish(err)
}

// faithful remembers the first write that failed, so that output lost on a full
// disk is not taken for printed.
type faithful struct {
	to   io.Writer
	lost error
}

func (f *faithful) Write(b []byte) (int, error) {
	n, err := f.to.Write(b)
	if f.lost == nil {
		f.lost = err
	}
	return n, err
}

// finish prints the error's sentence, and its hint where it has one.
func (p *program) finish(err error) int {
	if err == nil {
		return exitOK
	}
	code := exitFailure
	var e *exitError
	if errors.As(err, &e) {
		code = e.code
	} else if c, ok := storeExit(err); ok {
		code = c
	}
	if msg := err.Error(); msg != "" {
		fmt.Fprintf(p.err, "inferbook: %s\n", msg)
	}
	return code
}
