// Package selftest measures the error of the instrument's own times.
//
// It believes that an error is known only against a truth: a server that writes
// its clock into each event just before it sends it, in another process of the
// same machine, where both share one clock. What the client under test says of
// the event's arrival, less that, is the error, and holds everything on the way:
// the two system calls, the loopback device, the waking of the client, and
// whatever else the machine does at the load in question. It is therefore an
// upper bound of the client's own part.
//
// Three times are judged: the arrival of each event; the gap between two events
// of a stream; and TTFT, whose truth is the server's first event less the
// client's Sent, so that its error is the arrival error of the first event.
// Each by the kernel's stamps, as the client reports them, and by the moment of
// reading, as it would without them.
package selftest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner"
)

// Config is the load at which the instrument is tested.
type Config struct {
	Streams    int           // concurrent streams, from 1
	Rate       float64       // events a second of each stream, above 0
	EventBytes int           // length of an event on the wire at least; engines send 200 to 300
	Events     int           // events of an answer, from 1
	First      time.Duration // the server's time to the first event
	Duration   time.Duration // requests are begun for so long, above 0; each stream has one at least
	// Starve keeps a goroutine of this process busy throughout, which costs the
	// client one of its processors: with GOMAXPROCS=1 its only one.
	Starve bool
}

// Defaults of [ConfigFor]. A stream longer than maxEvents shows nothing more.
const (
	eventBytes  = 250
	maxEvents   = 256
	first       = 50 * time.Millisecond
	defaultTime = 10 * time.Second
)

// ConfigFor is the load of a recorded point: its mean number of requests in
// flight, its mean TPOT in milliseconds, and its events with text for each output
// token, which is 1 for most engines and less where an event holds several
// tokens. What is unknown (0 or less) counts as 1 stream, 20 ms and 1.
func ConfigFor(meanInFlight, tpotMS, eventsPerToken float64) Config {
	known := func(x, otherwise float64) float64 {
		if x > 0 && !math.IsInf(x, 0) {
			return x
		}
		return otherwise
	}
	rate := known(eventsPerToken, 1) * 1000 / known(tpotMS, 20)
	return Config{
		Streams: int(math.Ceil(known(meanInFlight, 1))), Rate: rate, EventBytes: eventBytes,
		Events: int(min(max(rate, 2), maxEvents)), First: first, Duration: defaultTime,
	}
}

// check says what is wrong with a configuration.
func (c Config) check() error {
	switch {
	case c.Streams < 1:
		return fmt.Errorf("the self-test has %d streams; give 1 or more", c.Streams)
	case !(c.Rate > 0) || math.IsInf(c.Rate, 0):
		return fmt.Errorf("the self-test has a rate of %g events a second; give one above 0", c.Rate)
	case c.Events < 1:
		return fmt.Errorf("the self-test has answers of %d events; give 1 or more", c.Events)
	case c.Duration <= 0:
		return fmt.Errorf("the self-test lasts %v; give a time above 0", c.Duration)
	}
	return nil
}

// Measure drives the paced server at an address, host:port, with the client that
// runs use. It takes the configured duration and one answer's length more. Its
// error is that of the configuration, of ctx, or of a server that answers nothing.
func Measure(ctx context.Context, cfg Config, address string) (Result, error) {
	if err := cfg.check(); err != nil {
		return Result{}, err
	}
	spec := experiment.DefaultSpec()
	spec.BaseURL, spec.Model, spec.Stream, spec.KeepText = "http://"+address+"/v1", "paced", true, true
	spec.Extra = map[string]any{"selftest": pace{
		Rate: cfg.Rate, EventBytes: cfg.EventBytes, FirstMS: float64(cfg.First) / 1e6,
	}}
	client, err := runner.NewClient(runner.ClientConfig{Spec: spec, MaxConns: cfg.Streams})
	if err != nil {
		return Result{}, fmt.Errorf("preparing the self-test: %w", err)
	}
	defer client.Close()
	if cfg.Starve {
		var over atomic.Bool
		var spinning sync.WaitGroup
		spinning.Go(func() {
			for !over.Load() {
			}
		})
		defer spinning.Wait()
		defer over.Store(true)
	}
	t := newTally(cfg)
	memory := watchMemory()
	anchor := time.Now()
	end := anchor.Add(cfg.Duration)
	var streams sync.WaitGroup
	for i := range cfg.Streams {
		streams.Go(func() {
			if !sleep(ctx, t.stagger(i)) {
				return
			}
			for again := true; again && ctx.Err() == nil; again = time.Now().Before(end) {
				s := experiment.NewSample(i)
				s.Scheduled = experiment.Instant(time.Since(anchor))
				s = client.Do(ctx, anchor, runner.Request{Sample: s, Prompt: "selftest", MaxTokens: cfg.Events})
				if !t.add(&s, anchor) {
					return // a server that refuses is not to be flooded
				}
			}
		})
	}
	streams.Wait()
	result := t.result(time.Since(anchor))
	result.BytesPerStream = memory() / float64(cfg.Streams)
	switch {
	case ctx.Err() != nil:
		return Result{}, fmt.Errorf("measuring the self-test: %w", context.Cause(ctx))
	case result.Requests == 0:
		return Result{}, errors.New("the self-test's server answered nothing: " + t.failure)
	}
	return result, nil
}

// sleep waits, and reports false where ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// memoryEvery is how often the process's memory is looked at.
const memoryEvery = 100 * time.Millisecond

// watchMemory begins to observe what memory this process holds from the system.
// The function it returns ends that and gives the most it grew by, in bytes:
// heap, stacks and garbage not yet collected.
func watchMemory() func() float64 {
	held := func() float64 {
		sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
		metrics.Read(sample)
		return float64(sample[0].Value.Uint64()) - float64(sample[1].Value.Uint64())
	}
	debug.FreeOSMemory() // what earlier work left over would be used again, and not be seen
	before, over, most := held(), make(chan struct{}), make(chan float64)
	go func() {
		tick := time.NewTicker(memoryEvery)
		defer tick.Stop()
		for top := 0.0; ; {
			top = max(top, held()-before)
			select {
			case <-tick.C:
			case <-over:
				most <- top
				return
			}
		}
	}()
	return func() float64 { close(over); return <-most }
}
