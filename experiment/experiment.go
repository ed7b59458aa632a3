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
}

// Load is what a point asks of the server.
type Load struct {
	// Concurrency is the number of workers of a closed loop, each with at most
	// one request in flight. 0 means that the load is not a closed loop.
	Concurrency int `json:"concurrency,omitempty"`
}

// String gives the load as a person names it: "c=8".
func (l Load) String() string { return fmt.Sprintf("c=%d", l.Concurrency) }

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
	// CPUShare is CPU time of the client process ÷ (wall time × GOMAXPROCS), 0–1;
	// negative = unknown.
	CPUShare float64 `json:"cpu_share"`
	// GCPauseMax is the longest stop-the-world pause in nanoseconds.
	GCPauseMax int64 `json:"gc_pause_max_ns"`
	// NewConnections counts requests that had to open a connection.
	NewConnections int `json:"new_connections"`
	// EventsPerRead is content events ÷ reads that carried any; 0 = no stream.
	EventsPerRead float64 `json:"events_per_read"`
	// StampSource says where arrival times come from: "read" (the moment that
	// Read returned), "kernel" or "simulator".
	StampSource string `json:"stamp_source"`
}
