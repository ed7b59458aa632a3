package sim

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is something that a server does wrong on demand, as real ones and the
// proxies before them do. Its text form is NAME[:ARG[,ARG]][@CHANCE].
type Fault struct {
	text   string
	chance float64
	apply  func(*trouble)
}

// String is the fault as it was written.
func (f Fault) String() string { return f.text }

// FaultKind is a row of the list of faults.
type FaultKind struct {
	Name  string `json:"name"`
	Args  string `json:"args"` // with their defaults; empty = none
	Title string `json:"title"`

	parse func(*faultArgs) func(*trouble)
}

// trouble is all that goes wrong with one request. Numbers of tokens are output
// tokens of its first choice; spans are the engine's time.
type trouble struct {
	status     int // the request is refused; 0 = it is not
	retryAfter int // seconds
	slowUntil  time.Duration
	refuseSlow bool
	truncate   int // prompt tokens that are kept; 0 = all

	breaks []fracture // in the order of tokens

	lump         int // bytes that a proxy sends at once; 0 = each event as it comes, −1 = all at the end
	group        int // tokens of an event
	reasoning    int // tokens that are reasoning
	keepAlive    time.Duration
	usageFactor  float64
	roleFirst    bool
	lateHeaders  bool
	crlf         bool
	noUsage      bool
	zeroUsage    bool
	noDone       bool
	doubleFinish bool
}

// direct reports whether the events of the answer go out as they are made.
func (t *trouble) direct() bool {
	return t.lump == 0 && !t.crlf && t.keepAlive == 0 && len(t.breaks) == 0
}

// fracture is what happens once so many tokens have gone out.
type fracture struct {
	after int
	what  fractureKind
	pause time.Duration
	bytes int
}

type fractureKind int

const (
	breakStalls fractureKind = iota
	breakSwells              // a huge event
	breakCuts
	breakEnds
	breakFails
)

// calm is a request that nothing goes wrong with.
func calm() *trouble { return &trouble{group: 1, usageFactor: 1} }

// count is the output tokens that the usage tells.
func (t *trouble) count(produced int) int {
	if t.usageFactor == 1 {
		return produced
	}
	return int(float64(produced)*t.usageFactor + .5)
}

func (t *trouble) fracture(f fracture) {
	t.breaks = append(t.breaks, f)
	slices.SortStableFunc(t.breaks, func(a, b fracture) int { return a.after - b.after })
}

// refused is the refusal that the faults ask for at an engine's time; nil = none.
func (t *trouble) refused(now time.Duration) *refusal {
	switch {
	case t.status == http.StatusTooManyRequests:
		return &refusal{status: t.status, kind: "RateLimitError", message: "the rate limit is reached (a fault on demand)", after: t.retryAfter}
	case t.status != 0:
		return &refusal{status: t.status, kind: "ServiceUnavailableError", message: "the server is overloaded (a fault on demand)", after: t.retryAfter}
	case t.refuseSlow && now < t.slowUntil:
		return &refusal{status: http.StatusServiceUnavailable, kind: "ServiceUnavailableError", message: "the model is being loaded (a fault on demand)"}
	}
	return nil
}

// maxHuge bounds a huge event.
const maxHuge = 64 << 20

var faultKinds = []FaultKind{
	{"429", "RETRY_AFTER=1", "refuse with 429 and a Retry-After of so many seconds", func(a *faultArgs) func(*trouble) {
		after := a.count("1", 0)
		return func(t *trouble) { t.status, t.retryAfter = http.StatusTooManyRequests, after }
	}},
	{"503", "RETRY_AFTER=0", "refuse with 503; 0 = no Retry-After", func(a *faultArgs) func(*trouble) {
		after := a.count("0", 0)
		return func(t *trouble) { t.status, t.retryAfter = http.StatusServiceUnavailable, after }
	}},
	{"slow-start", "TIME=10s,HOW=slow", "until that long after the start hold requests back (slow) or refuse them with 503 (refuse)", func(a *faultArgs) func(*trouble) {
		until, how := a.span("10s"), a.choice("slow", "refuse")
		return func(t *trouble) { t.slowUntil, t.refuseSlow = until, how == "refuse" }
	}},
	{"truncate", "TOKENS=1024", "cut the prompt to so many tokens and say so in the usage alone", func(a *faultArgs) func(*trouble) {
		n := a.count("1024", 1)
		return func(t *trouble) { t.truncate = n }
	}},
	{"stall", "TIME=5s,TOKEN=1", "pause for that long after so many tokens", func(a *faultArgs) func(*trouble) {
		d, n := a.span("5s"), a.count("1", 0)
		return func(t *trouble) { t.fracture(fracture{after: n, what: breakStalls, pause: d}) }
	}},
	{"cut", "TOKEN=1", "reset the connection after so many tokens", func(a *faultArgs) func(*trouble) {
		n := a.count("1", 0)
		return func(t *trouble) { t.fracture(fracture{after: n, what: breakCuts}) }
	}},
	{"end", "TOKEN=1", "end the stream well after so many tokens, without a finish reason", func(a *faultArgs) func(*trouble) {
		n := a.count("1", 0)
		return func(t *trouble) { t.fracture(fracture{after: n, what: breakEnds}) }
	}},
	{"error", "TOKEN=1", "send an error event after so many tokens of a 200", func(a *faultArgs) func(*trouble) {
		n := a.count("1", 0)
		return func(t *trouble) { t.fracture(fracture{after: n, what: breakFails}) }
	}},
	{"huge", "BYTES=1000000,TOKEN=1", "send an event of so many bytes, without output, after so many tokens", func(a *faultArgs) func(*trouble) {
		size, n := a.count("1000000", 1), a.count("1", 0)
		if size > maxHuge {
			a.fail("%d bytes are more than %d", size, maxHuge)
		}
		return func(t *trouble) { t.fracture(fracture{after: n, what: breakSwells, bytes: size}) }
	}},
	{"lumps", "BYTES=0", "hold the stream back and send it so many bytes at a time, as nginx does; 0 = all at the end", func(a *faultArgs) func(*trouble) {
		n := a.count("0", 0)
		return func(t *trouble) {
			if t.lump = n; n == 0 {
				t.lump = -1
			}
		}
	}},
	{"late-headers", "", "send the headers with the first token", func(*faultArgs) func(*trouble) {
		return func(t *trouble) { t.lateHeaders = true }
	}},
	{"role-first", "", "send the event with the role with the headers, long before the first token", func(*faultArgs) func(*trouble) {
		return func(t *trouble) { t.roleFirst = true }
	}},
	{"group", "TOKENS=4", "put so many tokens into an event", func(a *faultArgs) func(*trouble) {
		n := a.count("4", 1)
		return func(t *trouble) { t.group = n }
	}},
	{"reasoning", "TOKENS=16", "send the first so many tokens as reasoning_content", func(a *faultArgs) func(*trouble) {
		n := a.count("16", 1)
		return func(t *trouble) { t.reasoning = n }
	}},
	{"keep-alive", "TIME=1s", "send a comment whenever nothing was sent for that long", func(a *faultArgs) func(*trouble) {
		d := a.span("1s")
		if d < time.Millisecond {
			a.fail("%s is under 1ms", d)
		}
		return func(t *trouble) { t.keepAlive = d }
	}},
	{"crlf", "", "end lines with a carriage return and a line feed", func(*faultArgs) func(*trouble) {
		return func(t *trouble) { t.crlf = true }
	}},
	{"no-usage", "", "send no usage", func(*faultArgs) func(*trouble) {
		return func(t *trouble) { t.noUsage = true }
	}},
	{"zero-usage", "", "send a usage of zeros on each event before the last, as Ollama does", func(*faultArgs) func(*trouble) {
		return func(t *trouble) { t.zeroUsage = true }
	}},
	{"wrong-usage", "FACTOR=2", "multiply the output tokens of the usage", func(a *faultArgs) func(*trouble) {
		f := a.number("2", 0, 1000)
		return func(t *trouble) { t.usageFactor = f }
	}},
	{"no-done", "", "leave out [DONE]", func(*faultArgs) func(*trouble) {
		return func(t *trouble) { t.noDone = true }
	}},
	{"double-finish", "", "send the event with the finish reason twice", func(*faultArgs) func(*trouble) {
		return func(t *trouble) { t.doubleFinish = true }
	}},
}

// FaultKinds lists the faults.
func FaultKinds() []FaultKind { return slices.Clone(faultKinds) }

// ParseFault reads NAME[:ARG[,ARG]][@CHANCE], as in "stall:2s,10@0.25"; an
// argument left out has its default, and the chance is over 0 to 1, by default 1.
func ParseFault(text string) (Fault, error) {
	body, chance, hasChance := strings.Cut(text, "@")
	name, args, _ := strings.Cut(body, ":")
	kind, err := find(faultKinds, func(k FaultKind) string { return k.Name }, "fault", name)
	if err != nil {
		return Fault{}, err
	}
	a := &faultArgs{}
	if args != "" {
		a.left = strings.Split(args, ",")
	}
	f := Fault{text: text, chance: 1, apply: kind.parse(a)}
	if hasChance {
		if f.chance, err = strconv.ParseFloat(chance, 64); err != nil || !(f.chance > 0 && f.chance <= 1) {
			a.fail("the chance is %q and not a share over 0 to 1", chance)
		}
	}
	if len(a.left) > 0 {
		a.fail("there is no place for %q", a.left[0])
	}
	if a.err != nil {
		form := kind.Name
		if kind.Args != "" {
			form += ":" + kind.Args
		}
		return Fault{}, fmt.Errorf("the fault %q: %w; write %s, or with a chance such as @0.1", text, a.err, form)
	}
	return f, nil
}

// faultArgs takes the arguments of a fault in their order.
type faultArgs struct {
	left []string
	err  error
}

func (a *faultArgs) fail(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf(format, args...)
	}
}

func (a *faultArgs) next(otherwise string) string {
	if len(a.left) == 0 {
		return otherwise
	}
	text := strings.TrimSpace(a.left[0])
	a.left = a.left[1:]
	return text
}

func (a *faultArgs) count(otherwise string, least int) int {
	text := a.next(otherwise)
	n, err := strconv.Atoi(text)
	if err != nil || n < least {
		a.fail("%q is not a whole number of at least %d", text, least)
	}
	return n
}

func (a *faultArgs) number(otherwise string, least, most float64) float64 {
	text := a.next(otherwise)
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= least && v <= most) {
		a.fail("%q is not a number from %g to %g", text, least, most)
	}
	return v
}

func (a *faultArgs) span(otherwise string) time.Duration {
	text := a.next(otherwise)
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		a.fail("%q is not a time such as 500ms or 2s", text)
	}
	return d
}

func (a *faultArgs) choice(options ...string) string {
	text := a.next(options[0])
	if !slices.Contains(options, text) {
		a.fail("%q is not one of %s", text, strings.Join(options, ", "))
	}
	return text
}

// faultHeader asks for faults with one request: one or several parted by semicolons.
const faultHeader = "X-Sim-Fault"

// troubles gives what goes wrong with a request: what the server was told to do
// wrong, each with its chance, and what the request itself asks for. A draw
// follows from the seed, the body, and how often that body has come before, so a
// run that is repeated meets the same faults.
func (s *Server) troubles(r *http.Request, digest uint64) (*trouble, error) {
	t := calm()
	faults := s.faults
	for _, header := range r.Header.Values(faultHeader) {
		for text := range strings.SplitSeq(header, ";") {
			f, err := ParseFault(strings.TrimSpace(text))
			if err != nil {
				return nil, badRequest(faultHeader, "%v", err)
			}
			faults = append(slices.Clip(faults), f)
		}
	}
	if len(faults) == 0 {
		return t, nil
	}
	before := s.occurrence(digest)
	for i, f := range faults {
		if f.chance == 1 || draw(s.d.Seed, digest, uint64(before), uint64(i)) < f.chance {
			f.apply(t)
		}
	}
	return t, nil
}

// draw is a number from 0 to below 1 that follows from its arguments.
func draw(of ...uint64) float64 {
	h := fnv.New64a()
	for _, x := range of {
		h.Write(binary.LittleEndian.AppendUint64(nil, x))
	}
	return fraction(h.Sum64())
}

// maxBodies bounds the bodies that are remembered for the draws.
const maxBodies = 1 << 20

// occurrence counts how often a body has come before.
func (s *Server) occurrence(digest uint64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.bodies) >= maxBodies {
		clear(s.bodies)
	}
	n := s.bodies[digest]
	s.bodies[digest]++
	return n
}
