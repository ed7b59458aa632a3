// Package experiment is the domain of inferbook: what an experiment, a point
// and a sample are, and where each recorded fact came from.
//
// It believes that only raw samples are truth. A summary can be computed again
// under another definition; a discarded row cannot. So a sample keeps every
// time and count that the client saw, a time that did not happen is [Never]
// rather than zero, a count that nobody gave is [Unknown] rather than zero, and
// a request that failed is kept with its [Outcome] beside the ones that did
// not. The package does no I/O.
package experiment

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Experiment is what one run recorded: one environment, one specification, and
// the points that were measured under them.
type Experiment struct {
	// ID is a ULID: unique over all notebooks, sortable by creation time.
	ID string `json:"id"`
	// Number is the alias of the experiment within one notebook file: exp-Number.
	Number int    `json:"number"`
	Name   string `json:"name"`
	// Message says why the person made this run.
	Message string    `json:"message,omitempty"`
	Status  Status    `json:"status"`
	Started time.Time `json:"started"`
	// Ended is the zero time while the run goes on; after a crash it is the end of
	// the last sample that was kept.
	Ended time.Time `json:"ended,omitzero"`
	// Deleted is the time it was moved to the trash; zero = not deleted.
	Deleted time.Time `json:"deleted,omitzero"`
	Tags    []string  `json:"tags,omitempty"`

	Spec        Spec        `json:"spec"`
	Environment Environment `json:"environment"`
}

// Alias is the name a person types: "exp-12".
func (e *Experiment) Alias() string { return fmt.Sprintf("exp-%d", e.Number) }

// Title is the alias, followed by the name where there is one.
func (e *Experiment) Title() string {
	if e.Name == "" {
		return e.Alias()
	}
	return e.Alias() + " " + e.Name
}

// ParseAlias reads "exp-12" or "12" and gives 12. It reports false for anything
// else, so that the caller can try the text as a ULID or a name.
func ParseAlias(s string) (int, bool) {
	s = strings.TrimPrefix(s, "exp-")
	n, err := strconv.Atoi(s)
	return n, err == nil && n > 0
}

// Status is how far an experiment or a point came.
type Status string

// The states of an experiment or a point. A run whose process died is found as
// [Interrupted] when the notebook is next opened.
const (
	Running     Status = "running"
	Complete    Status = "complete"
	Interrupted Status = "interrupted"
	Failed      Status = "failed"
)

// Point is one load level of an experiment, and one repeat of it.
type Point struct {
	// ID is a ULID, given by whoever starts the point.
	ID           string `json:"id"`
	ExperimentID string `json:"experiment_id"`
	// Ordinal counts the points of an experiment in the order they were run, from 0.
	Ordinal int `json:"ordinal"`
	// Repeat is the round this point belongs to, from 0.
	Repeat int  `json:"repeat"`
	Load   Load `json:"load"`
	// Seed fixes the point's prompts, lengths and stagger.
	Seed   uint64 `json:"seed"`
	Status Status `json:"status"`
	// Anchor is the wall-clock time of Instant 0 of this point's samples.
	Anchor time.Time `json:"anchor"`
	// Window is the measured phase.
	Window Window `json:"window"`
	// Health is what the client says about its own work during the point.
	Health Health `json:"health"`
	// Ended says why the point ended before its plan did; empty = it did not.
	Ended EarlyEnd `json:"ended,omitempty"`
	// Schedule is that of the point's open loops. A notebook gives it on request only.
	Schedule Schedule `json:"-"`
}

// EarlyEnd is why a point ended before all its requests were sent.
type EarlyEnd string

const (
	// EndOversaturated is an open loop whose requests pile up: the server serves
	// fewer than are offered, so that each latency says how long the run was.
	EndOversaturated EarlyEnd = "over-saturated"
	// EndPrecise is a figure known as well as Spec.Until asks.
	EndPrecise EarlyEnd = "precise"
	// EndErrors and EndCost are limits that were met; the run ends with the point.
	EndErrors EarlyEnd = "errors"
	EndCost   EarlyEnd = "cost"
)

// Load is what a point asks of the server. Two loads are the same level if they are equal.
type Load struct {
	// Concurrency is the number of workers of the closed loops, each with at most
	// one request in flight. 0 means that no loop is closed.
	Concurrency int `json:"concurrency,omitempty"`
	// Rate is the mean rate of the open loops in requests per second, as planned;
	// 0 means that no loop is open.
	Rate float64 `json:"rate,omitempty"`
	// Variant is the combination of the matrix's values; empty = no matrix.
	Variant string `json:"variant,omitempty"`
}

// Open reports whether the load is an open loop and nothing else.
func (l Load) Open() bool { return l.Rate > 0 && l.Concurrency == 0 }

// Level is the load as one number: the rate of an open loop in requests per
// second, else the concurrency.
func (l Load) Level() float64 {
	if l.Open() {
		return l.Rate
	}
	return float64(l.Concurrency)
}

// String gives the load as a person names it: "c=8", "rate=2.5", "c=8+rate=2",
// each with the variant behind it.
func (l Load) String() string {
	var parts []string
	if l.Concurrency > 0 || l.Rate == 0 {
		parts = append(parts, fmt.Sprintf("c=%d", l.Concurrency))
	}
	if l.Rate > 0 {
		parts = append(parts, "rate="+strconv.FormatFloat(l.Rate, 'g', 4, 64))
	}
	return strings.TrimSpace(strings.Join(parts, "+") + " " + l.Variant)
}

// Compare orders loads: by variant, closed loops before open ones, then by level.
func (l Load) Compare(m Load) int {
	return cmp.Or(cmp.Compare(l.Variant, m.Variant), cmp.Compare(l.Concurrency, m.Concurrency), cmp.Compare(l.Rate, m.Rate))
}

// Window is the span of a point in which samples are measured. All instants
// count from the point's anchor; an instant that has not come yet is [Never].
type Window struct {
	// Start is where counting for throughput begins: the end of the last worker's
	// warm-up, or the first Sent of the measured phase, as the rule says.
	Start Instant `json:"start"`
	// SendEnd is when sending stopped, or the last measured End under
	// [SteadyLoaded]. Tokens and requests that complete after it count for latency
	// and not for throughput.
	SendEnd Instant `json:"send_end"`
	// End is the last End of any sample: the drain is over.
	End Instant `json:"end"`
	// Rule names the steady-state rule in force, see [SteadyState].
	Rule SteadyState `json:"rule"`
}

// SteadyState names how warm-up and drain were kept out of the figures.
type SteadyState string

const (
	// SteadyClosed is a closed loop that stops sending and drains: each worker's
	// first requests are warm-up, starts are staggered, lengths jittered, and the
	// window ends when sending stops. An interrupted point follows it.
	SteadyClosed SteadyState = "closed/first-request-warm-up+stagger+drain-excluded"
	// SteadyLoaded is the default for closed loops: each worker's first requests are
	// warm-up, starts are staggered, lengths jittered. The window opens when the last
	// worker has finished its warm-up and closes when the last measured request has
	// ended; until then cool-down requests keep the load up, so there is no drain.
	SteadyLoaded SteadyState = "closed/warm-up+stagger+loaded-to-the-end"
	// SteadyOpen is the default for open loops: the first arrivals are warm-up, the
	// window opens with the first measured arrival and closes with the last, and
	// arrivals go on until the last measured request has ended. Throughput counts all
	// that ended within the window, whenever it was sent.
	SteadyOpen SteadyState = "open/warm-up+arrivals-to-the-end"
	// SteadyNone measures every request from the first to the last byte, as a
	// synchronous runner does.
	SteadyNone SteadyState = "none/all-requests"
)

// Health is what the client observed about itself while a point ran: the
// instrument's own error. A field that the platform cannot tell is [Unknown].
type Health struct {
	// SendLagP50 and SendLagP99 are quantiles of Sent − Scheduled, in nanoseconds.
	SendLagP50 int64 `json:"send_lag_p50_ns"`
	SendLagP99 int64 `json:"send_lag_p99_ns"`
	// SendLagMax is the longest of them.
	SendLagMax int64 `json:"send_lag_max_ns"`
	// HeldBack counts measured requests that waited for the cap on concurrency, and
	// HeldMax is the longest such wait in nanoseconds, which is part of the send lag.
	HeldBack int   `json:"held_back,omitempty"`
	HeldMax  int64 `json:"held_max_ns,omitempty"`
	// ReadLagP50, ReadLagP99 and ReadLagMax are quantiles, over all events with text, of the
	// time from the kernel's receive stamp to the moment our read returned, in
	// nanoseconds; unknown where stamps are not the kernel's.
	ReadLagP50 int64 `json:"read_lag_p50_ns"`
	ReadLagP99 int64 `json:"read_lag_p99_ns"`
	ReadLagMax int64 `json:"read_lag_max_ns"`
	// WakeLagP99 is how long a goroutine of this process that could run waited for
	// a processor, 99 % quantile in nanoseconds.
	WakeLagP99 int64 `json:"wake_lag_p99_ns"`
	// CPUShare is CPU time of the client process ÷ (wall time × GOMAXPROCS), 0–1;
	// negative = unknown.
	CPUShare float64 `json:"cpu_share"`
	// GCPauseMax is the longest stop-the-world pause in nanoseconds.
	GCPauseMax int64 `json:"gc_pause_max_ns"`
	// NewConnections counts requests that had to open a connection.
	NewConnections int `json:"new_connections"`
	// EventsPerRead is content events ÷ reads that carried any; 0 = no stream.
	EventsPerRead float64 `json:"events_per_read"`
	// StampSource says where arrival times come from: "kernel" (the receive stamp
	// of the packet), "read" (the moment that Read returned), "kernel+read" where
	// some connections gave no stamps, or "simulator".
	StampSource string `json:"stamp_source"`
}
