// Package sim is a simulated inference engine: a scheduler that runs in
// iterations, a cost for each iteration, and an OpenAI-compatible HTTP server
// around them.
//
// It believes that load curves come from the step loop and from nowhere else.
// A request does not sleep for a drawn latency; it shares every step with the
// others, under a token budget and a pool of KV blocks, so that the knee, the
// queue, head-of-line blocking and preemption appear because they must. The
// time of a step is a sum over classes of operators of each class's own
// roofline, plus the constants of a runtime. Hardware, models, runtimes and fits are
// data with a source for each figure ([Catalogue]), and a user's own rows stand
// beside them. A fit belongs to one runtime, one generation of GPUs and
// the models or families that it names, and is used there only. [Deployment.Trust] says how far from the result
// which published runs were, package published shows it, and every answer says that
// it is simulated.
//
// # One engine, two drivers
//
// The engine is pure: it knows virtual time only, and no clock or goroutine.
// [Loop] runs it as a discrete-event simulation on the caller's goroutine.
// [Server] runs it against the clock on one goroutine and speaks HTTP. Both
// give the same [Truth] for the same arrivals. Replicas are engines alike behind one
// router, in one order of events.
//
// A prompt is a [Content] where its text matters: its blocks of keys and values can
// then be found again by the prompts that begin alike, and so can those of its answer,
// which follows from the prompt alone. Without one it is a length and shares nothing.
//
// The loop takes no event for a token. Whoever decodes does the same in every step, so
// that is counted once for all of them; and where nothing can happen but the same step
// again, steps follow on each other at once, each with its own duration. A test holds
// the truths of this against those of single steps.
//
// # Stages of a request
//
//	Arrive ─ front end ─► Ready ─ queue ─► Scheduled ─ prefill ─► … ─ net ─► FirstToken … Finish
//
// The front end (tokenising, validation, HTTP) serves one request at a time, in
// the order of arrival and, at one instant, of ID; it takes [Runtime].Front for each.
// A step computes tokens at its end, and each token leaves the server
// [Runtime].Net later. That moment is the one in [Truth].TokenTimes and the one
// at which Server writes it, so a client's own stamp can equal it.
//
// # Serving
//
// A [Server] speaks vLLM's dialect of the OpenAI API: chats, completions (several
// prompts too), responses, embeddings, and the metrics of each replica. An answer ends
// at its limit where ignore_eos says so, and else where a draw from the lengths of a
// published trace ends it, which follows from the prompt and the seed. Beside the API
// there are
//
//	GET  /sim/config         the deployment and how it is served
//	GET  /sim/requests/{id}  the truth about a finished request
//	GET  /sim/steps?since=S  the last 65,536 steps, those from second S on
//	GET  /sim/pace           how late tokens leave; POST begins the count anew
//
// [Serving] scales the clock, limits the queue, and names each [Fault] that the server
// has; the header X-Sim-Fault asks for one with one request.
//
// # Determinism
//
// Goroutines that wake at one instant run in any order. The engine does not
// care: an arrival can act no earlier than Front after it, and a cancellation
// acts in the first step that starts strictly after it, so everything that
// bears on a step is known before the step is planned. A router decides on what had
// happened up to the arrival. Under testing/synctest
// two runs therefore give identical truths.
package sim

// version changes whenever the same requests would get other times.
const version = "4"

// Version names the simulation model. Truths of two versions differ.
func Version() string { return version }
