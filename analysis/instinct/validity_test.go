package instinct

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/experiment"
)

// subject is one run that rules look at: a point of a level with its samples, and
// the experiment that it belongs to.
type subject struct {
	exp     experiment.Experiment
	point   experiment.Point
	samples []experiment.Sample
}

func ms(x float64) experiment.Instant { return experiment.Instant(math.Round(x * 1e6)) }

// streamOf is a measured, successful answer: its first event after ttft, the others tpot apart.
func streamOf(seq int, sent, ttft float64, tokens int, tpot float64) experiment.Sample {
	s := experiment.NewSample(seq)
	s.Scheduled, s.Sent = ms(sent), ms(sent)
	s.FirstEvent, s.FirstContent = ms(sent+ttft), ms(sent+ttft)
	s.LastContent = ms(sent + ttft + float64(tokens-1)*tpot)
	s.End = s.LastContent
	for range tokens - 1 {
		s.Gaps = append(s.Gaps, experiment.Gap(tpot*1e6))
	}
	s.Events, s.Reads = tokens, tokens
	s.PromptAsked, s.PromptTokens, s.OutputAsked, s.OutputTokens, s.CachedTokens = 500, 500, tokens, tokens, 0
	s.Counted, s.Finish, s.Outcome = experiment.CountedUsage, "length", experiment.OK
	s.PromptHash = fmt.Sprintf("prompt %d", seq)
	return s
}

// closedLoop is two users who send 500 requests each, with nothing to complain about; the
// latencies of a request may be its number's own.
func closedLoop(of func(i int) (ttft, tpot float64)) *subject {
	const users, each = 2, 500
	c := &subject{exp: experiment.Experiment{Number: 1, Status: experiment.Complete, Spec: experiment.DefaultSpec()}}
	c.exp.Spec.Stream = true
	end := 0.0
	var next [users]float64
	for u := range next {
		next[u] = float64(u)
	}
	for i := range users * each {
		u := i % users
		ttft, tpot := of(i)
		s := streamOf(i, next[u], ttft, 20, tpot)
		s.Worker = u
		next[u] += ttft + 19*tpot
		end = max(end, next[u])
		c.samples = append(c.samples, s)
	}
	c.point = experiment.Point{ID: "p", Load: experiment.Load{Concurrency: users}, Status: experiment.Complete,
		Window: experiment.Window{SendEnd: ms(end), End: ms(end), Rule: experiment.SteadyLoaded}, Health: health()}
	return c
}

func steady(int) (ttft, tpot float64) { return 20, 5 }

// openLoop is 2,000 requests, 20 a second and evenly, of 50 ms each.
func openLoop() *subject {
	c := &subject{exp: experiment.Experiment{Number: 1, Status: experiment.Complete, Spec: experiment.DefaultSpec()}}
	c.exp.Spec.Stream, c.exp.Spec.Arrival = true, experiment.Arrival{Kind: experiment.ConstantArrival}
	for i := range 2000 {
		c.samples = append(c.samples, streamOf(i, 50*float64(i), 31, 20, 1))
	}
	c.point = experiment.Point{ID: "p", Load: experiment.Load{Rate: 20}, Status: experiment.Complete,
		Window: experiment.Window{SendEnd: c.samples[1999].Sent, End: c.samples[1999].End, Rule: experiment.SteadyOpen}, Health: health()}
	return c
}

// health is that of an idle client on Linux.
func health() experiment.Health {
	return experiment.Health{SendLagP50: 1e5, SendLagP99: 3e5, SendLagMax: 4e5, ReadLagP50: 1e5, ReadLagP99: 2e5, ReadLagMax: 3e5, WakeLagP99: 1e5, CPUShare: 0.1, StampSource: "kernel"}
}

// summary computes the figures of the point.
func (c *subject) summary() analysis.PointSummary {
	col := analysis.NewCollectorFor(c.point, &c.exp.Spec)
	for i := range c.samples {
		col.Add(&c.samples[i])
	}
	return col.Summary()
}

// with is a case of six repeats of which the last is the subject's own, so that what is
// found is the worst of them.
func (c *subject) with(others analysis.PointSummary) *Case {
	var points []analysis.PointSummary
	for r := range 5 {
		others.Point.Repeat = r
		others.Point.Load = c.point.Load
		points = append(points, others)
	}
	last := c.summary()
	last.Point.Repeat = 5
	return &Case{Experiment: &c.exp, Curves: analysis.NewCurves(&c.exp, append(points, last))}
}

// firedOf lists what fired: "I07 warning: sentence".
func firedOf(findings []Finding) []string {
	var out []string
	for _, f := range findings {
		if f.State == Fired {
			out = append(out, fmt.Sprintf("%s %s: %s", f.Rule, f.Severity, f.Sentence))
		}
	}
	return out
}

// each changes every sample.
func each(change func(*experiment.Sample)) func(*subject) {
	return func(c *subject) {
		for i := range c.samples {
			change(&c.samples[i])
		}
	}
}

// defect is one thing that is wrong with a run, and what fires: no rule but those. A rule that
// stands beside the defect's own sees another side of it.
type defect struct {
	name   string
	from   func() *subject
	change func(*subject)
	want   []string // "rule severity: sentence"
	quiet  string   // settings under which the first of them does not fire: "rule threshold value threshold value"
}

func TestDefects(t *testing.T) {
	clean := map[bool]analysis.PointSummary{true: openLoop().summary(), false: closedLoop(steady).summary()}
	for _, tt := range slices.Concat(streamDefects, tokenDefects, steadyDefects, loadDefects, runDefects) {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.from()
			if tt.change != nil {
				tt.change(c)
			}
			got := c.with(clean[c.point.Load.Open()])
			findings := Validate(got)
			if diff := cmp.Diff(tt.want, firedOf(findings)); diff != "" {
				t.Error(diff)
			}
			for _, f := range findings {
				if f.Sentence != "" && (!strings.HasSuffix(f.Sentence, ".") || strings.ToUpper(f.Sentence[:1]) != f.Sentence[:1]) {
					t.Errorf("%s: %q is no sentence", f.Rule, f.Sentence)
				}
			}
			if tt.quiet == "" {
				return
			}
			x := strings.Fields(tt.quiet)
			for i := 1; i < len(x); i += 2 {
				value, err := strconv.ParseFloat(x[i+1], 64)
				if err != nil {
					t.Fatal(err)
				}
				got.Settings = append(got.Settings, experiment.RuleSetting{Rule: x[0], Threshold: x[i], Value: value})
			}
			if fired := firedOf(Validate(got)); slices.ContainsFunc(fired, func(s string) bool { return strings.HasPrefix(s, x[0]) }) {
				t.Errorf("under %s it still says %q", tt.quiet, fired)
			}
		})
	}
}

// whole makes an answer one that came in one piece, as without a stream.
func whole(s *experiment.Sample) {
	s.FirstEvent, s.FirstContent, s.LastContent, s.Gaps, s.Events, s.Reads = experiment.Never, experiment.Never, experiment.Never, nil, 0, 0
}

// first changes the first n samples.
func first(n int, change func(*experiment.Sample)) func(*subject) {
	return func(c *subject) {
		for i := range c.samples[:n] {
			change(&c.samples[i])
		}
	}
}

// ofPoint changes the point.
func ofPoint(change func(*experiment.Point)) func(*subject) {
	return func(c *subject) { change(&c.point) }
}

// shaped is a closed loop whose latencies are its numbers' own.
func shaped(of func(i int) (ttft, tpot float64)) func() *subject {
	return func() *subject { return closedLoop(of) }
}

func loop() *subject { return closedLoop(steady) }

// across goes evenly from one value to the other over the thousand requests of a closed loop.
func across(i int, from, to float64) float64 { return from + (to-from)*float64(i)/1000 }
