package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
)

// SimulatorConfig gives the simulated engine that a specification asks for.
func SimulatorConfig(s experiment.Simulator, seed uint64) sim.Config {
	return sim.Config{GPU: s.GPU, Count: s.Count, Model: s.Model, Runtime: s.Runtime, Precision: s.Precision, Seed: seed}
}

// DoVirtual carries out the same plan on the simulated engine itself, in virtual
// time: no HTTP, no waiting, and the same bytes each time. The engine's time 0 is
// start, the anchor of the first point, and it runs on from point to point.
//
// A sample is the one that Do records against a simulated server: the same times,
// counts and account. Of requests that leave at one instant both take the least ID
// first; only where such a tie decides who sends the last measured request does Do
// leave it to the order of goroutines. What has no counterpart without HTTP stays
// unset: connection, headers, status and hash of the output. Between two points the
// engine comes to rest. A request that it refuses, because it does not fit the
// context, ends the run.
func (r *Run) DoVirtual(ctx context.Context, d sim.Deployment, stop <-chan struct{}, start time.Time) (experiment.Status, error) {
	loop := sim.NewLoop(d, d.Seed, d.Jitter)
	anchor := func() time.Time { return start.Add(loop.Now()) }
	return r.each(ctx, stop, anchor, func(p *running) error {
		v := &virtualLoop{
			running: p, run: r, deployment: &d, loop: loop, base: loop.Now(),
			gate: newGate(p.work.spec, p.work.workers), live: newLive(),
			flights: make(map[string]*flight), sent: make([]int, p.work.workers), cancelled: experiment.Never,
		}
		return v.drive(ctx, stop)
	})
}

// virtualLoop runs one point on the discrete-event engine.
type virtualLoop struct {
	*running
	run        *Run
	deployment *sim.Deployment
	loop       *sim.Loop
	base       time.Duration // the engine's time at the point's anchor

	gate    *gate
	live    live
	vitals  vitals
	flights map[string]*flight // in flight, by the engine's ID
	sent    []int              // requests, by worker
	// cancelled is when requests were first cancelled; Never = none was.
	cancelled experiment.Instant
	sinkErr   error
	err       error // the engine refused a request
}

// flight is one request in flight.
type flight struct {
	id      string
	request Request
}

func (v *virtualLoop) drive(ctx context.Context, stop <-chan struct{}) error {
	for worker := range v.work.workers {
		v.send(worker, experiment.Instant(v.work.stagger(worker)))
	}
	simErr := errors.Join(v.loop.Run(func(t sim.Truth) { v.done(ctx, stop, t) }), v.err)
	v.point.Health = v.vitals.health(stampSimulator)
	err := v.gate.finish(&v.point, v.sinkErr)
	if simErr != nil {
		v.point.Status = experiment.Failed
		err = errors.Join(fmt.Errorf("simulating point %d: %w", v.point.Ordinal, simErr), err)
	}
	last := v.live.progress(v.work.spec, max(v.gate.end, 0))
	last.Finished = true
	v.watch(last)
	return err
}

// send gives a worker that is free at an instant its next request, if there is one.
func (v *virtualLoop) send(worker int, due experiment.Instant) {
	t, ok := v.gate.admit(worker, due)
	if !ok {
		return
	}
	k := v.sent[worker]
	v.sent[worker]++
	f := &flight{
		// Of arrivals at one instant the engine serves the one with the least ID first,
		// so these sort as the ones that go over HTTP do.
		id:      v.work.requestID(worker, k),
		request: v.work.address(worker, k, v.work.request(worker, k), t, due),
	}
	err := v.loop.Submit(sim.Request{
		ID: f.id, Arrive: v.base + due.Sub(0),
		PromptTokens: v.promptTokens(f.request.Prompt),
		MaxTokens:    f.request.MaxTokens, OutputTokens: f.request.MaxTokens,
	})
	if err != nil {
		v.err = err
		v.gate.halt(due)
		v.cancel(due, func(*flight) bool { return true })
		return
	}
	v.flights[f.id] = f
}

// promptTokens counts a prompt as the simulated server does: four characters a
// token, rounded up, and seven tokens of chat template.
func (v *virtualLoop) promptTokens(text string) int {
	n := (len([]rune(text)) + 3) / 4
	if v.work.spec.Endpoint == experiment.Chat {
		n += 7
	}
	return n
}

// done takes a request that the engine has finished, and sends the worker's next.
func (v *virtualLoop) done(ctx context.Context, stop <-chan struct{}, t sim.Truth) {
	f := v.flights[t.ID]
	delete(v.flights, t.ID)
	if v.cancelled.Happened() && f.request.Sample.Scheduled > v.cancelled {
		return // all first requests are submitted at once, and this one's time had not come
	}
	s := v.sample(f, t)
	v.gate.done(&s)
	v.live.add(&s)
	v.vitals.add(&s)
	if err := v.run.Sink.AddSample(v.point.ID, s); err != nil && v.sinkErr == nil {
		v.sinkErr = err
		v.gate.halt(s.End)
	}
	if stopped(ctx, stop) {
		v.gate.halt(s.End)
	}
	switch {
	case v.sinkErr != nil || v.gate.err != nil || ctx.Err() != nil:
		v.cancel(s.End, func(*flight) bool { return true })
	case v.gate.settled(s.End):
		v.cancel(s.End, func(f *flight) bool { return f.request.Sample.Phase != experiment.Measured })
	default:
		v.send(s.Worker, s.End)
	}
}

// cancel stops requests at now, the present. The engine tells of each in its own time.
func (v *virtualLoop) cancel(now experiment.Instant, which func(*flight) bool) {
	v.cancelled = earlier(v.cancelled, now)
	for _, id := range slices.Sorted(maps.Keys(v.flights)) {
		if which(v.flights[id]) {
			v.loop.Cancel(id)
		}
	}
}

// sample makes of the engine's truth what a client would have seen.
func (v *virtualLoop) sample(f *flight, t sim.Truth) experiment.Sample {
	at := func(d time.Duration) experiment.Instant { return experiment.Instant(d - v.base) }
	s := f.request.Sample
	s.Sent, s.End = at(t.Arrive), at(t.Finish)
	s.PromptHash = textHash([]byte(f.request.Prompt))
	if v.work.spec.KeepText {
		s.Prompt = f.request.Prompt
	}
	if n := len(t.TokenTimes); n > 0 && v.work.spec.Stream {
		s.FirstEvent, s.FirstContent, s.LastContent = at(t.TokenTimes[0]), at(t.TokenTimes[0]), at(t.TokenTimes[n-1])
		s.Events, s.Reads, s.Model = n, n, v.deployment.ServedName
		for i := 1; i < n; i++ {
			s.Gaps = append(s.Gaps, experiment.Gap(t.TokenTimes[i]-t.TokenTimes[i-1]))
		}
	}
	if t.FinishReason == sim.FinishAbort {
		s.Outcome, s.Error = cancelled.outcome, cancelled.sentence
		if s.Events > 0 {
			s.OutputTokens, s.Counted = s.Events, experiment.CountedEvents
		}
		return s
	}
	s.Outcome, s.Finish, s.Model = experiment.OK, t.FinishReason, v.deployment.ServedName
	s.LastContent, s.Reads = s.End, max(s.Reads, 1)
	s.PromptTokens, s.CachedTokens, s.OutputTokens, s.Counted = t.PromptTokens, t.CachedTokens, t.OutputTokens, experiment.CountedUsage
	s.Server = string(v.deployment.Account(t).JSON())
	return s
}
