// Package runner sends the load of an experiment and observes what comes back.
//
// It believes that an instrument must first of all not disturb what it
// measures, and must say how far it did:
//
//   - Everything that can be decided before a point is decided before it. A
//     [Plan] is a function of the specification alone; what the k-th request of
//     a worker asks is a function of the plan, so the prompt is ready before the
//     worker is free and no prompt is built while a server waits for it.
//   - A worker has at most one request in flight. Its next request is scheduled
//     for the instant at which the one before it ended, and Sent − Scheduled, the
//     client's own delay, is kept in every sample and is in no latency.
//   - A worker that met an error waits before its next request (100 ms, doubled
//     with each further error, at most 5 s, or the server's Retry-After up to a
//     minute), since a closed loop around a dead server is a busy loop.
//   - Nothing is lost: a request that was cancelled is a sample too, and all
//     samples are in the [Sink] before a run returns.
//
// # Request IDs
//
// Each request carries the header X-Request-Id: the experiment's ID, the point's
// Ordinal, the worker, and how many requests the worker sent in the point before
// it, with hyphens between them, such as 01J9ZQ4T8E6Y0V3N5R7W9B1C2D-0-3-17. The last
// number is the sample's place, from 0, among its worker's samples in the order of
// Seq, so that a server's log can be joined with the notebook. It holds no secret:
// an experiment's ID tells when it was made. The simulated server serves requests
// of one instant in the order of their IDs, so that a run is repeated exactly.
//
// # Steady state
//
// With a warm-up ([experiment.SteadyLoaded]) a point has three overlapping
// phases, decided for each worker on its own so that the load never pauses.
//
// Warm-up: the first Spec.Warmup requests of each worker. Workers start 10 ms
// apart, all within a second, and the first request of each asks for a part of
// the output only, drawn uniformly. So the first requests end at random over the
// duration of one request, whatever that duration is, as they would in a loop
// that has run for long; a delay by the clock would have to know it. Without
// this, workers that begin together keep finishing together, and each finish
// brings a burst of prompts: on the simulated A10G at C = 16 the mean TTFT of a
// run of 80 requests is then 559 ms, where it is 213 ms with it and 207 ms in a
// run of 3,000. On a server that takes long for the first burst of prompts, a
// second warm-up request keeps the end of that burst out of the tail.
//
// Measured: from then on, until Spec.Requests of them have been sent or
// Spec.Duration has passed since the first of them, whichever comes first.
//
// Cool-down: a worker with no measured request left to send sends one more
// request, to keep the load up until the last measured request has ended; then
// what is left is cancelled and recorded as such. Otherwise the last C−1
// measured requests would see a falling load and be too fast (with 40 requests
// at C = 8 that is one in six). The price is at most C−1 requests, and about
// half of their tokens; [Plan.Estimate] includes them.
//
// The window opens when the last worker has finished its warm-up and closes when
// the last measured request has ended. Both are instants at which a request
// ends under full load, so that requests ended within the window ÷ its length is
// an unbiased rate even for a few dozen requests: 40 requests at C = 8 come within
// 0.7 % of the rate of 3,000, on the simulated engine. Counting from the first
// measured Sent would add the rest of C−1 warm-up requests to the time and not to
// the count, and give 15 % less. No measured request may end before the window
// opens; where a warm-up outlasts one, it opens at the last warm-up's end before that.
//
// A point by time ends at its deadline, or when the last request sent before that
// has ended; nobody waits for a worker that sits out an error.
//
// A point that a person interrupts follows [experiment.SteadyClosed]: the window
// closes when sending stops, and what completes in the drain counts for latency
// only. With Spec.Warmup = 0 ([experiment.SteadyNone]) there is no stagger and no
// cool-down: every request is measured, from the first Sent to the last End.
package runner
