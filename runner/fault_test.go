package runner

import (
	"context"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/runner/sim"
	work "github.com/inferbook/inferbook/runner/workload"
)

// faultSeen is the part of a sample that a fault may change.
type faultSeen struct {
	Outcome        experiment.Outcome
	Status         int
	Prompt, Output int
	Counted        experiment.Counted
	Events, Reads  int
	Reasoning      int
	Finish         string
	Error          string // its beginning
}

// faultAsk sends one request of 200 prompt tokens and 12 output tokens to a
// simulated server that does something wrong.
func faultAsk(t *testing.T, fault string, stream bool) (s experiment.Sample) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server, err := sim.NewServer(sim.Config{GPU: "h100-sxm"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		server.Start(ctx)
		pipes := newDrivePipes()
		web := &http.Server{Handler: server.Handler()}
		go web.Serve(pipes)
		spec := experiment.DefaultSpec()
		spec.BaseURL, spec.Model, spec.Stream, spec.IgnoreEOS = "http://engine.test/v1", "llama-3.1-8b", stream, "on"
		spec.Headers = map[string]string{"X-Sim-Fault": fault}
		client, err := NewClient(ClientConfig{Spec: spec, Detected: "vllm", MaxConns: 1, Dial: pipes.dial})
		if err != nil {
			t.Fatal(err)
		}
		client.UseFit(work.Fit{CharsPerToken: 4, Overhead: 7, Learned: true})
		r := Request{Sample: experiment.NewSample(0), Prompt: strings.Repeat("abcd", 193), MaxTokens: 12}
		r.Sample.PromptAsked, r.Sample.OutputAsked = 200, 12
		s = client.Do(t.Context(), time.Now(), r)
		client.Close()
		stop()
		web.Close()
		synctest.Wait()
	})
	return s
}

// Whatever a server does wrong, the sample says what came of it: only an answer that
// came to its end counts as a success, and no count is made up.
func TestFaults(t *testing.T) {
	const unknown = experiment.Unknown
	good := faultSeen{Outcome: experiment.OK, Status: 200, Prompt: 200, Output: 12, Counted: experiment.CountedContinuous, Events: 12, Reads: 12, Reasoning: unknown, Finish: "length"}
	refused := func(status int) func(*faultSeen) {
		return func(w *faultSeen) {
			*w = faultSeen{Outcome: experiment.HTTPError, Status: status, Prompt: unknown, Output: unknown, Counted: experiment.CountedNone, Reasoning: unknown}
		}
	}
	broken := func(events int, o experiment.Outcome, say string) func(*faultSeen) {
		return func(w *faultSeen) {
			w.Outcome, w.Output, w.Events, w.Reads, w.Finish, w.Error = o, events, events, events, "", say
		}
	}
	for _, row := range []struct {
		fault string
		want  func(*faultSeen)
	}{
		{"429:3", func(w *faultSeen) { refused(429)(w); w.Error = "the server answered 429" }},
		{"503", func(w *faultSeen) { refused(503)(w); w.Error = "the server answered 503" }},
		{"slow-start:20s,refuse", func(w *faultSeen) { refused(503)(w); w.Error = "the server answered 503" }},
		{"slow-start:20s", nil},
		{"truncate:50", func(w *faultSeen) {
			w.Outcome, w.Prompt, w.Error = experiment.Cut, 50, "the prompt was cut: 200 tokens were asked for and the server counted 50"
		}},
		{"stall:20s,3", func(w *faultSeen) { w.Reads = 4 }},
		{"stall:90s,3", func(w *faultSeen) {
			broken(3, experiment.Timeout, "the stream stood still, with no new text within 1m0s")(w)
			w.Counted = experiment.CountedContinuous
		}},
		{"cut:3", broken(3, experiment.Truncated, "the connection broke after 3 events with text")},
		{"end:3", broken(3, experiment.Truncated, "the stream ended after 3 events with text with neither")},
		{"end:12", broken(12, experiment.Truncated, "the stream ended after 12 events with text with neither")},
		{"error:3", broken(3, experiment.HTTPError, "the server reported an error inside the stream: the engine failed")},
		{"huge:20000,3", nil},
		{"lumps", func(w *faultSeen) { w.Reads = 1 }},
		{"lumps:500", nil},
		{"late-headers", nil},
		{"role-first", func(w *faultSeen) { w.Reads = 13 }},
		{"group:5", func(w *faultSeen) { w.Events, w.Reads = 3, 3 }},
		{"reasoning:4", func(w *faultSeen) { w.Reasoning = 4 }},
		{"keep-alive:2ms", nil},
		{"crlf", nil},
		{"no-usage", func(w *faultSeen) { w.Prompt, w.Counted = unknown, experiment.CountedEvents }},
		{"zero-usage", func(w *faultSeen) { w.Counted = experiment.CountedUsage }},
		{"wrong-usage:2", func(w *faultSeen) { w.Output = 24 }}, // nothing contradicts the server here: an event may hold several tokens
		{"no-done", nil},
		{"double-finish", nil},
		{"crlf;keep-alive:3ms;group:2;no-done;huge:10,4", func(w *faultSeen) { w.Events = 6 }},
	} {
		t.Run(row.fault, func(t *testing.T) {
			want := good
			if row.want != nil {
				row.want(&want)
			}
			s := faultAsk(t, row.fault, true)
			got := faultSeen{s.Outcome, s.HTTPStatus, s.PromptTokens, s.OutputTokens, s.Counted, s.Events, s.Reads, s.ReasoningTokens, s.Finish, s.Error}
			if want.Error != "" && strings.HasPrefix(got.Error, want.Error) {
				got.Error = want.Error
			}
			if strings.Contains(row.fault, "keep-alive") || row.fault == "lumps:500" {
				got.Reads = want.Reads // how many follows from when comments come, and how long the events are
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(−want +got):\n%s", d)
			}
		})
	}
}

// The same where the answer comes in one piece.
func TestFaultsWithoutStream(t *testing.T) {
	for fault, want := range map[string]faultSeen{
		"429":         {Outcome: experiment.HTTPError, Output: experiment.Unknown, Finish: ""},
		"cut":         {Outcome: experiment.Truncated, Output: experiment.Unknown, Finish: ""},
		"error":       {Outcome: experiment.HTTPError, Output: experiment.Unknown, Finish: ""},
		"truncate:50": {Outcome: experiment.Cut, Output: 12, Finish: "length"},
		"no-usage":    {Outcome: experiment.OK, Output: experiment.Unknown, Finish: "length"},
		"no-done":     {Outcome: experiment.OK, Output: 12, Finish: "length"},
	} {
		s := faultAsk(t, fault, false)
		if got := (faultSeen{Outcome: s.Outcome, Output: s.OutputTokens, Finish: s.Finish}); got != want {
			t.Errorf("%s: %+v (%s), want %+v", fault, got, s.Error, want)
		}
	}
}

// Every fault there is has a row above.
func TestFaultsAreAllTested(t *testing.T) {
	text, err := os.ReadFile("fault_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range sim.FaultKinds() {
		if !regexp.MustCompile(`\{"` + k.Name + `[":]`).Match(text) {
			t.Errorf("there is no row for the fault %s", k.Name)
		}
	}
}
