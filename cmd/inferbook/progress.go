package main

import (
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/inferbook/inferbook/runner"
)

// progress shows a run on stderr: a bar on a terminal, a line per point elsewhere.
type progress struct {
	p   *program
	p95 string // what the running p95 is of
	bar *progressbar.ProgressBar
	at  string // the point that the bar belongs to
}

func (p *program) newProgress(plan runner.Plan) *progress {
	g := &progress{p: p, p95: "E2E p95"}
	if plan.Spec.Stream {
		g.p95 = "TTFT p95"
	}
	return g
}

// show is called by the runner a few times a second and at the end of each point.
func (g *progress) show(s runner.Progress) {
	name := fmt.Sprintf("%s, %d of %d", s.Point.Load, s.PointIndex+1, s.Points)
	if s.Points == 0 { // a search decides as it goes
		name = fmt.Sprintf("%s, point %d", s.Point.Load, s.PointIndex+1)
	}
	if s.Point.Repeat > 0 {
		name += fmt.Sprintf(" (repeat %d)", s.Point.Repeat+1)
	}
	if !g.p.errTTY || g.p.env("TERM") == "dumb" {
		if s.Finished {
			g.p.hint("  %-22s %4d requests  %d errors  %s", name, s.Done, s.Errors, s.Elapsed.Round(100*time.Millisecond))
		}
		return
	}
	total, done := int64(s.Total), int64(s.Done)
	if total == 0 {
		total, done = int64(s.Limit), min(int64(s.Elapsed), int64(s.Limit))
	}
	if g.bar == nil || g.at != name {
		g.close()
		g.at = name
		g.bar = progressbar.NewOptions64(max(total, 1), progressbar.OptionSetWriter(g.p.err), progressbar.OptionSetWidth(24),
			progressbar.OptionSetPredictTime(true), progressbar.OptionSetElapsedTime(true), progressbar.OptionClearOnFinish(),
			progressbar.OptionThrottle(100*time.Millisecond))
	}
	p95 := ""
	if s.TTFTP95 > 0 {
		p95 = "  " + g.p95 + " " + ms(float64(s.TTFTP95)/1e6)
	}
	g.bar.Describe(fmt.Sprintf("%-18s %5.1f req/s  %s tok/s%s  %d errors", name, s.RequestRate, num(s.OutputTokS), p95, s.Errors))
	// A bar that cannot be drawn is no reason to stop measuring.
	_ = g.bar.Set64(min(done, max(total, 1)))
	if s.Finished {
		g.close()
	}
}

// close ends the bar that is being drawn.
func (g *progress) close() {
	if g.bar != nil {
		_ = g.bar.Finish()
		g.bar = nil
	}
}
