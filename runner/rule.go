package runner

import "github.com/inferbook/inferbook/experiment"

// Event is something that happened in a point: an arrival of an open loop was due,
// sent or held back by the cap, or a request has ended.
type Event struct {
	At experiment.Instant
	// Due is when the request was to be sent.
	Due experiment.Instant
	// Sample is the request that has ended; nil = one was due. It is the rule's to
	// read until it returns.
	Sample *experiment.Sample
}

// Rule is told every event of a point, one at a time and in about the order of
// time, and says whether the point is to end early and why; empty = it goes on. It must be
// quick: workers wait for it.
type Rule func(Event) experiment.EarlyEnd
