package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
	"github.com/inferbook/inferbook/runner/workload"
)

// SimulatorConfig gives the simulated engine that a specification asks for. The
// error is a setting that it does not have.
func SimulatorConfig(s experiment.Simulator, seed uint64) (sim.Config, error) {
	cfg := sim.Config{GPU: s.GPU, Count: s.Count, Model: s.Model, Runtime: s.Runtime, Precision: s.Precision, Profiles: s.Profile, Seed: seed}
	for _, name := range slices.Sorted(maps.Keys(s.Options)) {
		if err := cfg.Set(name, s.Options[name]); err != nil {
			return cfg, err
		}
	}
	return cfg, nil
}

// VirtualFit is how the simulated engine counts prompts: four characters a token,
// and the template of a chat's one message.
func VirtualFit(endpoint experiment.Endpoint) workload.Fit {
	f := workload.Fit{CharsPerToken: 4, Learned: true}
	if endpoint == experiment.Chat {
		f.Overhead = float64(sim.ChatContent(make([]sim.Message, 1)).Tokens())
	}
	return f
}

// DoVirtual carries out the same plan on the simulated engine itself, in virtual
// time: no HTTP, no waiting, and the same bytes each time. The engine's time 0 is
// start, the anchor of the first point, and it runs on from point to point.
//
// A sample is the one that Do records against a simulated server: the same times,
// counts and account. Of requests that leave at one instant both take the least ID
// first; only where such a tie decides who sends the last measured request does Do
// leave it to the order of goroutines. What has no counterpart without HTTP stays
// unset: connection, headers and status. Between two points the
// engine comes to rest.
func (r *Run) DoVirtual(ctx context.Context, d sim.Deployment, stop <-chan struct{}, start time.Time) (experiment.Status, error) {
	loop := sim.NewLoop(d, d.Seed, d.Jitter)
	anchor := func() time.Time { return start.Add(loop.Now()) }
	return r.each(ctx, stop, anchor, func(p *running) error {
		v := &virtual{
			running: p, run: r, deployment: &d, loop: loop, base: loop.Now(), ctx: ctx, stop: stop,
			flights: make(map[string]*flight), verdict: cancelled,
		}
		return v.drive()
	})
}

// virtual runs one point on the discrete-event engine.
type virtual struct {
	*running
	run        *Run
	deployment *sim.Deployment
	loop       *sim.Loop
	base       time.Duration // the engine's time at the point's anchor
	ctx        context.Context
	stop       <-chan struct{}

	flights map[string]*flight // in flight, by the engine's ID
	// waiting are the requests that the cap holds back, first come first.
	waiting []virtualWaiter
	busy    int // requests of open lanes under the cap
	// over is set once requests are cancelled, after which nothing is sent.
	over    bool
	begun   bool    // the loop runs
	verdict verdict // of cancelled requests
	grace   bool    // the wait for stragglers has begun
	sinkErr error
	err     error // the engine refused a request
}

// virtualWaiter is a request that waits for room under the cap.
type virtualWaiter struct {
	since experiment.Instant
	phase experiment.Phase
	send  func(now experiment.Instant)
}

// flight is one request in flight.
type flight struct {
	request   Request
	content   *sim.Content
	cancelled bool
	after     func(s *experiment.Sample, answer string) // what its worker or conversation does next
}

func (v *virtual) drive() error {
	workers := 0
	for n, l := range v.lanes {
		for i := range l.workers {
			w := &virtualWorker{virtual: v, lane: n, id: i}
			w.converse(experiment.Instant(stagger(v.spec, v.workers(), workers)))
			workers++
		}
	}
	v.arrive(0)
	v.begun = true
	simErr := errors.Join(v.loop.Run(v.done), v.err)
	v.point.Health = v.vitals.health(stampSimulator)
	v.held.addTo(&v.point.Health)
	err := v.gate.finish(&v.point, v.sinkErr)
	if simErr != nil {
		v.point.Status = experiment.Failed
		err = errors.Join(fmt.Errorf("simulating point %d: %w", v.point.Ordinal, simErr), err)
	}
	last := v.progress(max(v.gate.end, 0))
	last.Finished = true
	v.watch(last)
	return err
}

// at calls f at an instant, unless sending is over by then.
func (v *virtual) at(due experiment.Instant, f func()) {
	v.loop.At(v.base+due.Sub(0), func() {
		if !v.over {
			f()
		}
	})
}

// virtualWorker is a worker of a closed lane.
type virtualWorker struct {
	*virtual
	lane, id          int
	k, sent, failures int
}

// converse begins the worker's next conversation, a pause after an instant.
func (w *virtualWorker) converse(free experiment.Instant) {
	c := w.conversation(w.lane, w.id, w.k)
	due := free.Add(w.gen.Pause(c.place, c.entry.Class))
	w.k++
	w.later(due, func() { w.turn(c, 0, due) })
}

// turn sends a turn that is due now, and what follows from its answer.
func (w *virtualWorker) turn(c *conversation, turn int, due experiment.Instant) {
	t, ok := w.gate.admit(w.lane, w.id, due)
	w.check(due)
	if !ok {
		return
	}
	r := w.request(c, turn, w.sent, t, due)
	w.sent++
	w.submit(r, w.requestID(c, turn, w.sent-1), due, func(s *experiment.Sample, answer string) {
		next := s.End
		if w.failures++; s.Outcome == experiment.OK {
			w.failures = 0
		} else {
			next = next.Add(pause(w.failures, s.RetryAfter))
		}
		if c.answered(&r, s, answer, turn) {
			next = next.Add(c.entry.Turns[turn+1].Think)
			w.later(next, func() { w.turn(c, turn+1, next) })
			return
		}
		if !w.over {
			w.converse(next)
		}
	})
}

// later does at once what is due at once, so that requests which follow on each
// other need no event between them.
func (v *virtual) later(due experiment.Instant, f func()) {
	if v.base+due.Sub(0) > v.loop.Now() || !v.begun {
		v.at(due, f)
	} else if !v.over {
		f()
	}
}

// arrive sets the clock for the i-th entry of the schedule.
func (v *virtual) arrive(i int) {
	if i >= len(v.schedule) {
		return
	}
	e := &v.schedule[i]
	due := experiment.Instant(e.At)
	v.at(due, func() {
		c := v.arrival(i)
		v.enter(e.phase, due, func(now experiment.Instant) { v.arrivalTurn(c, e, 0, due, now) })
		if v.gate.keepsUp() && !v.gate.halted.Happened() && !v.gate.settled(due) {
			v.arrive(i + 1)
		}
	})
}

// enter sends a request of an open lane that is due now, or queues it under the cap.
func (v *virtual) enter(phase experiment.Phase, due experiment.Instant, send func(now experiment.Instant)) {
	v.gate.arrive(due)
	if limit := v.spec.MaxConcurrency; limit > 0 && v.busy >= limit {
		v.waiting = append(v.waiting, virtualWaiter{due, phase, send})
		return
	}
	v.busy++
	send(due)
}

// leave gives the room of a request of an open lane to the next one that waits.
func (v *virtual) leave(now experiment.Instant) {
	v.busy--
	if len(v.waiting) == 0 || v.over {
		return
	}
	next := v.waiting[0]
	v.waiting = v.waiting[1:]
	v.busy++
	v.held.add(next.phase, now.Sub(next.since))
	next.send(now)
}

// arrivalTurn sends a turn of an arrival's conversation at now.
func (v *virtual) arrivalTurn(c *conversation, e *planned, turn int, due, now experiment.Instant) {
	rest := len(c.entry.Turns) - turn
	t, ok := v.gate.admitArrival(e.lane, e.phase, now)
	if !ok {
		v.gate.abandon(e.lane, rest, e.phase)
		v.check(now)
		v.leave(now)
		return
	}
	v.check(now)
	r := v.request(c, turn, 0, t, due)
	v.submit(r, v.requestID(c, turn, 0), now, func(s *experiment.Sample, answer string) {
		if !c.answered(&r, s, answer, turn) {
			v.gate.abandon(e.lane, rest-1, e.phase)
			v.check(s.End)
			v.leave(s.End)
			return
		}
		v.leave(s.End)
		next := s.End.Add(c.entry.Turns[turn+1].Think)
		v.later(next, func() {
			v.enter(e.phase, next, func(now experiment.Instant) { v.arrivalTurn(c, e, turn+1, next, now) })
		})
	})
}

// submit hands a request to the engine at now. Of arrivals at one instant the
// engine serves the one with the least ID first, so these sort as the ones that go
// over HTTP do.
func (v *virtual) submit(r Request, id string, now experiment.Instant, after func(s *experiment.Sample, answer string)) {
	r.Sample.Sent = now
	content := v.content(&r)
	if err := v.deployment.Serves(content.Tokens(), r.MaxTokens); err != nil {
		v.refuse(r, now, err, after)
		return
	}
	err := v.loop.Submit(sim.Request{
		ID: id, Arrive: v.base + now.Sub(0), Content: content, MaxTokens: r.MaxTokens, OutputTokens: r.MaxTokens,
	})
	if err != nil {
		v.err = errors.Join(v.err, err)
		v.gate.halt(now)
		v.cancel(func(*flight) bool { return true })
		return
	}
	v.flights[id] = &flight{request: r, content: content, after: after}
}

// content is the prompt as it reaches the simulated server over HTTP.
func (v *virtual) content(r *Request) *sim.Content {
	if v.spec.Endpoint != experiment.Chat {
		return sim.TextContent(r.text())
	}
	messages := make([]sim.Message, 0, len(r.History)+1)
	for _, m := range r.History {
		messages = append(messages, sim.Message{Role: m.Role, Text: m.Content})
	}
	return sim.ChatContent(append(messages, sim.Message{Role: openai.ChatMessageRoleUser, Text: r.Prompt}))
}

// done takes a request that the engine has finished, and lets its worker go on.
func (v *virtual) done(t sim.Truth) {
	f := v.flights[t.ID]
	delete(v.flights, t.ID)
	answer := ""
	if v.spec.Stream || t.FinishReason != sim.FinishAbort {
		answer = f.content.Answer(0, t.OutputTokens)
	}
	s := v.sample(f, t, answer)
	v.record(&s)
	f.after(&s, answer)
}

// refuse answers a request that the engine can never serve as its server does: at
// once, with status 400. A conversation may outgrow the context.
func (v *virtual) refuse(r Request, now experiment.Instant, why error, after func(s *experiment.Sample, answer string)) {
	v.loop.At(v.base+now.Sub(0), func() {
		s := r.Sample
		s.End, s.Outcome, s.HTTPStatus = now, experiment.HTTPError, http.StatusBadRequest
		s.Error = fmt.Sprintf("the simulated engine answered 400: %s", why)
		v.record(&s)
		after(&s, "")
	})
}

// record hands over a sample that is complete.
func (v *virtual) record(s *experiment.Sample) {
	v.gate.done(s)
	v.live.add(s)
	v.vitals.add(s)
	if err := v.run.Sink.AddSample(v.point.ID, *s); err != nil && v.sinkErr == nil {
		v.sinkErr = err
		v.gate.halt(s.End)
	}
	if stopped(v.ctx, v.stop) {
		v.gate.halt(s.End)
	}
	v.check(s.End)
}

// check does what follows from the gate's state at now.
func (v *virtual) check(now experiment.Instant) {
	switch {
	case v.sinkErr != nil || v.gate.err != nil || v.ctx.Err() != nil:
		v.cancel(func(*flight) bool { return true })
	case v.gate.settled(now):
		v.cancel(func(f *flight) bool { return f.request.Sample.Phase != experiment.Measured })
	}
	if wait := v.gate.patience(now); wait > 0 && !v.grace {
		v.grace = true
		v.at(now.Add(wait), func() {
			limit := graceError(wait)
			v.verdict = verdict{experiment.Timeout, limit.Error()}
			v.cancel(func(*flight) bool { return true })
		})
	}
}

// cancel stops requests in flight, at the present. The engine tells of each in its own time.
func (v *virtual) cancel(which func(*flight) bool) {
	v.over = true
	for _, id := range slices.Sorted(maps.Keys(v.flights)) {
		if f := v.flights[id]; !f.cancelled && which(f) {
			f.cancelled = true // each end of one looks again, and there may be thousands
			v.loop.Cancel(id)
		}
	}
}

// sample makes of the engine's truth what a client would have seen.
func (v *virtual) sample(f *flight, t sim.Truth, answer string) experiment.Sample {
	at := func(d time.Duration) experiment.Instant { return experiment.Instant(d - v.base) }
	s := f.request.Sample
	s.Sent, s.End = at(t.Arrive), at(t.Finish)
	text := f.request.text()
	s.PromptHash, s.OutputHash = textHash([]byte(text)), textHash([]byte(answer))
	if v.spec.KeepText {
		s.Prompt, s.Output = text, answer
	}
	if n := len(t.TokenTimes); n > 0 && v.spec.Stream {
		s.FirstEvent, s.FirstContent, s.LastContent = at(t.TokenTimes[0]), at(t.TokenTimes[0]), at(t.TokenTimes[n-1])
		s.Events, s.Reads, s.Model = n, n, v.deployment.ServedName
		for i := 1; i < n; i++ {
			s.Gaps = append(s.Gaps, experiment.Gap(t.TokenTimes[i]-t.TokenTimes[i-1]))
		}
	}
	if t.FinishReason == sim.FinishAbort {
		s.Outcome, s.Error = v.verdict.outcome, v.verdict.sentence
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
