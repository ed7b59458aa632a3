package figure

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/inferbook/inferbook/experiment"
)

// timelineMost is how many requests a timeline has room for: with more, a bar
// is thinner than a printed hair.
const timelineMost = 200

// phase is what a stretch of a bar shows.
type phase int

const (
	waiting phase = iota // sent, no text yet; what the server did is not known
	queued               // of that, in the server's queue
	prefill              // of that, being read by the model
	transit              // of that, the rest: network, client, server's other work
	decode               // from the first text to the end
	failed               // from sending to the end of a request that never had text
	idleWarmup
	busyWarmup
	phases // how many there are
)

// look gives a phase's colour and its entry in the legend. Queue, prefill and
// decode darken in this order, so that the order is seen in greyscale too.
func (p phase) look() entry {
	e := [phases]entry{
		waiting:    {name: "Waiting for first token", details: []string{"queue and prefill, not told apart by the server"}, col: 0xcc79a7ff},
		queued:     {name: "Queue", details: []string{"as the server tells"}, col: 0xe69f00ff},
		prefill:    {name: "Prefill", details: []string{"as the server tells"}, col: 0x009e73ff},
		transit:    {name: "Rest of the wait", details: []string{"network, client, other work"}, col: 0xbbbbbbff},
		decode:     {name: "Decode", details: []string{"first text to end of answer"}, col: 0x0072b2ff},
		failed:     {name: "No answer", details: []string{"sent to the end of the attempt"}, col: 0xf2b5aeff},
		idleWarmup: {name: "Not measured: waiting", details: []string{"warm-up and cool-down"}, col: 0xd9d9d9ff},
		busyWarmup: {name: "Not measured: decode", col: 0xb3b3b3ff},
	}[p]
	e.bar = true
	return e
}

// stretch is a part of one request's bar, in seconds since the point's start.
type stretch struct {
	phase    phase
	row      int
	from, to float64
}

// fault is where a request failed.
type fault struct {
	row int
	at  float64
}

// Timeline draws one bar a request, in the order of sending, over seconds since
// the point's start: the wait for the first token, then decode. Where the
// sample's Server JSON has queue_ns and prefill_ns, as the simulator's has, the
// wait is split into queue, prefill and the rest. Requests outside the measured
// phase are grey, failures are crossed (a cool-down request cut off by the run's end is none), and what lies outside the window is
// shaded. It draws 200 requests at most, from the end of the warm-up on, and says when there were more. Label
// says what was measured on what, as experiment.Environment.Label does. The
// error wraps [ErrNoData] when no sample was sent.
func Timeline(title, label string, samples []experiment.Sample, window experiment.Window) (*Figure, error) {
	sent := make([]experiment.Sample, 0, len(samples))
	for _, s := range samples {
		if s.Sent.Happened() {
			sent = append(sent, s)
		}
	}
	if len(sent) == 0 {
		return nil, fmt.Errorf("drawing a timeline: %w: none of %d samples was sent", ErrNoData, len(samples))
	}
	slices.SortStableFunc(sent, func(a, b experiment.Sample) int {
		if a.Sent != b.Sent {
			return int(max(-1, min(1, a.Sent-b.Sent)))
		}
		return a.Seq - b.Seq
	})
	tl := timeline{total: len(sent), unsent: len(samples) - len(sent)}
	tl.skipped = firstShown(sent)
	for _, s := range sent[tl.skipped:min(len(sent), tl.skipped+timelineMost)] {
		tl.add(&s)
	}
	x := axis{title: "Seconds since the point's start", unit: seconds, labels: 9}
	x.lo, x.hi = tl.extent()
	y := axis{title: "Requests, in the order of sending", unit: plain, down: true, lo: float64(tl.skipped) + 0.5, hi: float64(tl.skipped+tl.rows) + 0.5}
	y.ticks = linearTicks{unit: plain, most: 8, whole: true}

	fr := frame{letters: newLetters(), title: clean(title), footer: tl.footer()}
	fr.subtitle, _, fr.badge = shared([]string{label})
	fr.legend = tl.legend()
	from, to, shaded := windowSeconds(window)
	if shaded {
		fr.legend = append(fr.legend, entry{name: "Outside the window", details: []string{"warm-up before, drain after"}, col: outside, bar: true})
	}
	return &Figure{
		Name: "timeline", Title: clean(title), Caption: joined(" ", tl.caption(), fr.spell()), Alt: tl.alt(clean(title)),
		draw: func(c draw.Canvas) {
			p := panel{x: x, y: y}
			if shaded {
				p.marks = append(p.marks, shade(x, y, from, to))
			}
			p.marks = append(p.marks, tl.bars())
			p.draw(fr.draw(c), fr.letters)
		},
	}, nil
}

// firstShown is the first request to draw where there is no room for all: with
// many workers the first 200 may be warm-up and nothing else.
func firstShown(sent []experiment.Sample) int {
	const before = timelineMost / 4 // of the warm-up, so that its end is seen
	measured := slices.IndexFunc(sent, func(s experiment.Sample) bool { return s.Phase == experiment.Measured })
	return max(0, min(measured-before, len(sent)-timelineMost))
}

// timeline is the bars of a figure.
type timeline struct {
	rows, total, unsent int
	skipped             int     // requests sent before the first that is drawn
	lo, hi              float64 // seconds: the first sending, the last end
	stretches           []stretch
	faults              []fault
}

// add puts a request's bar below the others.
func (tl *timeline) add(s *experiment.Sample) {
	tl.rows++
	end := latest(s.Sent, s.Headers, s.FirstEvent, s.FirstText(), s.LastContent, s.End)
	if tl.rows == 1 {
		tl.lo = inSeconds(s.Sent) // samples come in the order of sending
	}
	tl.hi = max(tl.hi, inSeconds(end))
	first, row := s.FirstText(), tl.skipped+tl.rows
	warm := s.Phase != experiment.Measured
	put := func(p phase, from, to experiment.Instant) {
		if to > from {
			tl.stretches = append(tl.stretches, stretch{p, row, inSeconds(from), inSeconds(to)})
		}
	}
	switch {
	case first.Happened() && warm:
		put(idleWarmup, s.Sent, first)
		put(busyWarmup, first, end)
	case first.Happened():
		at := s.Sent
		rest := waiting
		if q, p, ok := serverTimes(s.Server); ok {
			rest = transit
			for _, part := range []struct {
				phase phase
				d     time.Duration
			}{{queued, q}, {prefill, p}} {
				to := at.Add(min(part.d, first.Sub(at)))
				put(part.phase, at, to)
				at = max(at, to)
			}
		}
		put(rest, at, first)
		put(decode, first, end)
	case warm:
		put(idleWarmup, s.Sent, end)
	default:
		put(failed, s.Sent, end)
	}
	// A cool-down request is cancelled when the last measured one has ended: that
	// is the plan, and no fault.
	planned := s.Phase == experiment.Cooldown && s.Outcome == experiment.Cancelled
	if s.Outcome != experiment.OK && !planned {
		tl.faults = append(tl.faults, fault{row, inSeconds(end)})
	}
}

// serverTimes reads the server's own account of a request's queue and prefill.
// It reports false where there is none.
func serverTimes(server string) (queue, prefill time.Duration, ok bool) {
	var t struct {
		Queue   *float64 `json:"queue_ns"`
		Prefill *float64 `json:"prefill_ns"`
	}
	if server == "" || json.Unmarshal([]byte(server), &t) != nil || t.Queue == nil || t.Prefill == nil {
		return 0, 0, false
	}
	const century = 3.2e18 // ns; more than that is not a time
	if !(*t.Queue >= 0 && *t.Queue < century && *t.Prefill >= 0 && *t.Prefill < century) {
		return 0, 0, false
	}
	return time.Duration(*t.Queue), time.Duration(*t.Prefill), true
}

// latest is the latest of the instants; one that did not happen is before all.
func latest(is ...experiment.Instant) experiment.Instant { return slices.Max(is) }

// inSeconds gives an instant in seconds.
func inSeconds(i experiment.Instant) float64 { return time.Duration(i).Seconds() }

// extent gives the limits of the time axis. It is at least a millisecond wide,
// and wide enough for its position that ticks can be told apart.
func (tl *timeline) extent() (lo, hi float64) {
	lo, hi = tl.lo, tl.hi
	if lo < 0.1*hi {
		lo = 0
	}
	hi += max(0.012*(hi-lo), 1e-3, 1e-6*hi)
	return lo, hi
}

// bars draws all bars and the crosses of the failures. All parts of one colour
// go into one path, which keeps the file small.
func (tl *timeline) bars() mark {
	return func(c draw.Canvas, at func(x, y float64) vg.Point) {
		row := at(tl.lo, 1).Y - at(tl.lo, 2).Y
		half := min(0.42*row, 6)
		var paths [phases]vg.Path
		for _, s := range tl.stretches {
			a, b := at(s.from, float64(s.row)), at(s.to, float64(s.row))
			paths[s.phase] = append(paths[s.phase], box(vg.Rectangle{
				Min: vg.Point{X: a.X, Y: a.Y - half}, Max: vg.Point{X: b.X, Y: b.Y + half}})...)
		}
		for p, path := range paths {
			if len(path) > 0 {
				c.SetColor(phase(p).look().col)
				c.Fill(path)
			}
		}
		for _, f := range tl.faults {
			drawCross(&c, at(f.at, float64(f.row)), max(2, min(half, 3.2)), alarm)
		}
	}
}

// legend lists the phases that occur, in the order of a request's life.
func (tl *timeline) legend() []entry {
	var seen [phases]bool
	for _, s := range tl.stretches {
		seen[s.phase] = true
	}
	var es []entry
	for p := range phases {
		if seen[p] {
			es = append(es, p.look())
		}
	}
	if len(tl.faults) > 0 {
		es = append(es, entry{name: "Failed", details: []string{"any outcome but ok"}, col: alarm, cross: true})
	}
	return es
}

// footer says how many requests are drawn.
func (tl *timeline) footer() string {
	n := fmt.Sprintf("n = %s", counted(tl.rows, "request", "requests"))
	if tl.rows < tl.total {
		n = strings.ToUpper(tl.drawn()[:1]) + tl.drawn()[1:]
	}
	n += ", by the time each was sent. Times are as the client saw them"
	if slices.ContainsFunc(tl.stretches, func(s stretch) bool { return s.phase == queued || s.phase == prefill }) {
		n += ", but for queue and prefill, which the server tells"
	}
	return n + "."
}

// drawn names the requests that are drawn where there is no room for all.
func (tl *timeline) drawn() string {
	total := plain.tick(float64(tl.total), 1)
	if tl.skipped == 0 {
		return fmt.Sprintf("the first %d of %s requests", tl.rows, total)
	}
	return fmt.Sprintf("requests %s to %s of %s", plain.tick(float64(tl.skipped+1), 1), plain.tick(float64(tl.skipped+tl.rows), 1), total)
}

// caption says how to read the figure and what is not in it.
func (tl *timeline) caption() string {
	parts := []string{"One bar a request, the earliest at the top. Bars that begin their decode together were prefilled together; " +
		"a wait that grows from row to row is a queue."}
	if tl.rows < tl.total {
		parts = append(parts, "Only "+tl.drawn()+" are drawn.")
	}
	if n := len(tl.faults); n > 0 {
		parts = append(parts, fmt.Sprintf("%s; each has a cross where it ended.", counted(n, "request failed", "requests failed")))
	}
	if tl.unsent > 0 {
		parts = append(parts, fmt.Sprintf("%s left out: never sent.", counted(tl.unsent, "sample is", "samples are")))
	}
	return strings.Join(parts, " ")
}

// alt describes the bars in words.
func (tl *timeline) alt(title string) string {
	return fmt.Sprintf("%s. %s from %s s to %s s; %s.", strings.TrimSuffix(title, "."), counted(tl.rows, "request", "requests"),
		number(tl.lo, 0.001), number(tl.hi, 0.001), counted(len(tl.faults), "failure", "failures"))
}

// outside is the ground outside the measured window.
const outside ink = 0xf0f0f0ff

// windowSeconds gives the measured window; false when it is not known.
func windowSeconds(w experiment.Window) (from, to float64, ok bool) {
	if !w.Start.Happened() || w.SendEnd <= w.Start {
		return 0, 0, false
	}
	return inSeconds(w.Start), inSeconds(w.SendEnd), true
}

// shade draws the ground before from and after to.
func shade(x, y axis, from, to float64) mark {
	return func(c draw.Canvas, at func(x, y float64) vg.Point) {
		c.SetColor(outside)
		left, right := at(max(x.lo, min(from, x.hi)), y.lo).X, at(max(x.lo, min(to, x.hi)), y.lo).X
		c.Fill(box(vg.Rectangle{Min: c.Min, Max: vg.Point{X: left, Y: c.Max.Y}}))
		c.Fill(box(vg.Rectangle{Min: vg.Point{X: right, Y: c.Min.Y}, Max: c.Max}))
	}
}
