// Package runner sends the load of an experiment and observes what comes back.
//
// It believes that an instrument must first of all not disturb what it
// measures, and must say how far it did:
//
//   - Everything that can be decided before a point is decided before it. A
//     [Plan] is a function of the specification and of the items of its data file;
//     what the k-th conversation of a worker or of an open loop asks is a function
//     of the plan, so prompts are ready before they are due and none is built while
//     a server waits for it.
//   - Each request has an instant at which it is due, [experiment.Sample.Scheduled].
//     Sent − Scheduled is kept in every sample. It is in no latency that counts from
//     the send, and in each that counts from the schedule.
//   - What was late is sent late; no request is left out because of it, or the
//     load would be lightest just where the server, or the client, is slow.
//   - An event arrived when the kernel received it. Where the connection has its
//     stamps ([github.com/inferbook/inferbook/runner/stamp]) they are the
//     arrivals, and how much later the client read them is kept beside them.
//   - A worker that met an error waits before its next request (100 ms, doubled
//     with each further error, at most 5 s, or the server's Retry-After up to a
//     minute), since a closed loop around a dead server is a busy loop.
//   - Nothing is lost: a request that was cancelled is a sample too, and all
//     samples are in the [Sink] before a run returns.
//
// # Lanes
//
// A point sends by one lane or more. In a closed lane each worker has at most one
// request in flight, and its next one is due when that has ended, after a pause where
// the specification asks for one ([experiment.Spec].ThinkTime). An open lane follows a
// schedule of arrivals, whether or not answers come. Classes with a load of their own
// have a lane each, closed or open as they ask, and make a mix; classes with weights
// share one lane.
//
// The schedule is fixed before the point's first byte: for each arrival its time, its
// class, and the lengths of its turns. It is stored with the point
// ([experiment.Point].Schedule), so that another run can replay it
// ([PlannedPoint].Schedule).
//
// Spec.MaxConcurrency is a cap on the requests of open lanes in flight. What it holds
// back waits in one queue, first come first served, and is sent late;
// [experiment.Health] counts these waits. It is the price of the cap that latency from
// the send then looks better than what users would see, and latency from the schedule
// does not.
//
// # Conversations
//
// What a worker or an arrival sends is a conversation, most often of one turn. A
// later turn is due when the answer before it has ended and its think time has passed,
// carries that answer's text in its history, and in an open lane comes under the cap
// like an arrival. A turn that fails ends its conversation, since the next one would
// ask something else than was planned; its worker goes on with another conversation.
//
// # Request IDs
//
// Each request carries the header X-Request-Id, of parts with hyphens between them:
// the experiment's ID, the point's Ordinal, and what sent it. In a closed lane that is
// the worker and how many requests it sent in the point before, such as
// 01J9ZQ4T8E6Y0V3N5R7W9B1C2D-0-3-17; the last number is the sample's place, from 0,
// among its worker's samples in the order of Seq. In an open lane it is "a" and the
// place of the arrival in the point's schedule, from 0, and for later turns a point and
// the turn: 01J9ZQ4T8E6Y0V3N5R7W9B1C2D-0-a-17.2. So a server's log can be joined with
// the notebook. It holds no secret: an experiment's ID tells when it was made. The
// simulated server serves requests of one instant in the order of their IDs, so that
// a run is repeated exactly.
//
// # Steady state of a closed loop
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
//
// # Steady state of an open loop
//
// The first Spec.Warmup arrivals are warm-up. Measured are those after them, until
// they make Spec.Requests requests or Spec.Duration has passed. Cool-down arrivals of
// the same process follow until the last measured request has ended, as many again as
// were measured at most; what is then in flight is cancelled and recorded as such. Each
// of the three parts has the asked mean rate of its own.
//
// The window ([experiment.SteadyOpen]) reaches from the first measured Sent to the
// last. Throughput counts all that ended within it, whenever it was sent: as many come
// in over its one edge as go out over the other, where only measured ones would be too
// few by what is in flight at its end. In a mix the window is the span in which each
// lane was sending measured requests, and closed lanes, too, keep sending until the last
// measured request of any lane has ended.
//
// A load that changes by its own plan (a ramp, steps, a trace) has no steady state:
// it is measured from its first arrival to its last, without warm-up and cool-down.
//
// # Early ends
//
// A [Rule] is told of each arrival and each end in a point, and may end the sending of
// measured requests: since requests pile up, since a figure is known as well as was
// asked ([experiment.EndPrecise]), or since a limit on errors or cost was met, which
// ends the run too. Only for the sake of precision is the load kept up until the last
// measured request has ended; in the other cases the load itself is the trouble and
// nothing more is sent.
//
// What is in flight is then awaited, and no longer than Spec.Grace where it is given;
// a point whose requests pile up has a limit of 30 s without it, since their queue may
// have no end. What is cut off so is a timeout.
package runner
