package capacity

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/inferbook/inferbook/runner/sim"
)

// closed is a point of a closed loop: each user asks, reads the answer, thinks, and asks again.
type closed struct {
	loop  *sim.Loop
	work  Workload
	size  size
	users []user

	ended         int
	answers       []answer
	from, to      time.Duration // the window: the ends of the last warm-up and of the last measured request
	stays         time.Duration // of the measured requests
	before, after sim.Usage
	err           error
}

// user draws lengths and think times from a stream of its own, so that one more
// user leaves the others as they are.
type user struct {
	id  string
	rng *rand.Rand
}

// serve lets users ask replicas of a deployment. lone is the time of an answer by an idle engine.
func (q Question) serve(d sim.Deployment, seed uint64, n int, s size, lone time.Duration) (*measurement, error) {
	c := &closed{loop: sim.NewLoop(d, seed, d.Jitter), work: q.Workload, size: s, users: make([]user, n)}
	c.loop.TokenTimes(false)
	cycle := float64(q.Workload.Think.Mean() + lone)
	for i := range c.users {
		c.users[i] = user{strconv.Itoa(i), rand.New(rand.NewPCG(seed^forUsers, uint64(i)))}
		c.ask(i, time.Duration(c.users[i].rng.Float64()*cycle))
	}
	if err := cmp.Or(c.loop.Run(c.done), c.err); err != nil {
		return nil, fmt.Errorf("simulating %d users: %w", n, err)
	}
	window := c.to - c.from
	// Users wait for answers, so that no more requests pile up than there are users.
	return newMeasurement(float64(n), c.answers, true, float64(c.stays)/float64(window), window, c.before, c.after), nil
}

// ask sets the next request of the i-th user.
func (c *closed) ask(i int, at time.Duration) {
	c.loop.At(at, func() {
		if c.over() {
			return
		}
		a := c.work.ask(c.users[i].rng)
		c.err = cmp.Or(c.err, c.loop.Submit(sim.Request{ID: c.users[i].id, Arrive: at, PromptTokens: a.prompt, MaxTokens: a.output, OutputTokens: a.output}))
	})
}

func (c *closed) over() bool { return c.ended == c.size.warmup+c.size.requests || c.err != nil }

func (c *closed) done(t sim.Truth) {
	if c.over() { // it was cancelled
		return
	}
	i, err := strconv.Atoi(t.ID)
	if err != nil {
		c.err = err
		return
	}
	c.ended++
	switch {
	case c.ended == c.size.warmup:
		c.from, c.before = t.Finish, c.loop.Usage()
	case c.ended > c.size.warmup:
		c.answers = append(c.answers, answerOf(t))
		c.stays += t.E2E()
	}
	if c.over() {
		c.to, c.after = t.Finish, c.loop.Usage()
		for j := range c.users {
			c.loop.Cancel(c.users[j].id)
		}
		return
	}
	c.ask(i, t.Finish+c.work.Think.Quantile(c.users[i].rng.Float64()))
}
