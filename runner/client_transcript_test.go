package runner

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
)

// clientTranscript reads what a real server sent: the bytes with their HTTP
// framing, and when each read of the socket returned how many of them.
func clientTranscript(t *testing.T, name string) (pieces []clientPiece, times []experiment.Instant) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "transcripts", name+".raw"))
	if err != nil {
		t.Fatal(err)
	}
	timing, err := os.ReadFile(filepath.Join("testdata", "transcripts", name+".timing"))
	if err != nil {
		t.Fatal(err)
	}
	var now time.Duration
	lines := bufio.NewScanner(bytes.NewReader(timing))
	for lines.Scan() {
		var read struct {
			US, Off, N int
			End        string
		}
		if err := json.Unmarshal(lines.Bytes(), &read); err != nil {
			t.Fatal(err)
		}
		at := time.Duration(read.US) * time.Microsecond
		pieces = append(pieces, clientPiece{after: at - now, bytes: string(raw[read.Off : read.Off+read.N]), hangup: read.End != ""})
		times = append(times, experiment.Instant(at))
		now = at
	}
	return pieces, times
}

// Transcripts of real servers, replayed with their reads and times.
func TestTranscripts(t *testing.T) {
	type facts struct {
		Outcome           experiment.Outcome
		Status            int
		Events, Output    int
		Prompt            int
		Counted           experiment.Counted
		Finish, Model     string
		Fingerprint       string
		Shared            int  // events that share a read with the one before
		Text              bool // TTFT is defined
		Error, OutputHash string
	}
	killed := "the stream ended after 68 events with text with neither a finish reason nor [DONE]; look whether the server is still up"
	for _, row := range []struct {
		name     string
		whole    bool
		endpoint experiment.Endpoint
		want     facts
	}{
		// One event a token; finish, usage and [DONE] in one read.
		{"ollama-chat-stream-usage", false, experiment.Chat, facts{Outcome: experiment.OK, Status: 200, Events: 16, Output: 16, Prompt: 46, Counted: experiment.CountedUsage, Finish: "length", Model: "tiny", Fingerprint: "fp_ollama", Shared: 1, Text: true}},
		// No usage was asked for: events are counted.
		{"ollama-chat-stream-nousage", false, experiment.Chat, facts{Outcome: experiment.OK, Status: 200, Events: 16, Output: 16, Prompt: experiment.Unknown, Counted: experiment.CountedEvents, Finish: "length", Model: "tiny", Fingerprint: "fp_ollama", Shared: 14, Text: true}},
		// A stop string swallowed a token.
		{"ollama-chat-stream-stop", false, experiment.Chat, facts{Outcome: experiment.OK, Status: 200, Events: 1, Output: 2, Prompt: 46, Counted: experiment.CountedUsage, Finish: "stop", Model: "tiny", Fingerprint: "fp_ollama", Text: true}},
		// Zeroed usage on each chunk, the real one last.
		{"ollama-comp-stream-usage", false, experiment.Completions, facts{Outcome: experiment.OK, Status: 200, Events: 16, Output: 16, Prompt: 31, Counted: experiment.CountedUsage, Finish: "length", Model: "tiny", Fingerprint: "fp_ollama", Shared: 14, Text: true}},
		// No prompt: the engine only loads the model.
		{"ollama-comp-missing-prompt", false, experiment.Completions, facts{Outcome: experiment.Empty, Status: 200, Prompt: experiment.Unknown, Counted: experiment.CountedEvents, Finish: "load", Model: "tiny", Fingerprint: "fp_ollama",
			Error: "the server only loaded the model, since the request held no prompt; give a prompt"}},
		// One token that is no whole character: a success that shows no text.
		{"ollama-bytes-chat-stream-max1", false, experiment.Chat, facts{Outcome: experiment.OK, Status: 200, Output: 1, Prompt: 46, Counted: experiment.CountedUsage, Finish: "length", Model: "tiny-bytes", Fingerprint: "fp_ollama"}},
		// 16 tokens in a few events.
		{"ollama-bytes-chat-stream-usage", false, experiment.Chat, facts{Outcome: experiment.OK, Status: 200, Events: 5, Output: 16, Prompt: 46, Counted: experiment.CountedUsage, Finish: "length", Model: "tiny-bytes", Fingerprint: "fp_ollama", Shared: 4, Text: true}},
		// The engine died: one more chunk without a model, and a clean end.
		{"ollama-engine-killed-chat-stream-long", false, experiment.Chat, facts{Outcome: experiment.Truncated, Status: 200, Events: 68, Output: 68, Prompt: experiment.Unknown, Counted: experiment.CountedEvents, Model: "mid", Fingerprint: "fp_ollama", Text: true, Error: killed}},
		// The end token counts and has no event.
		{"ollama-eos-chat-stream-stop", false, experiment.Chat, facts{Outcome: experiment.OK, Status: 200, Events: 11, Output: 13, Prompt: 46, Counted: experiment.CountedUsage, Finish: "stop", Model: "tiny-eos", Fingerprint: "fp_ollama", Shared: 9, Text: true}},
		{"ollama-chat-nonstream", true, experiment.Chat, facts{Outcome: experiment.OK, Status: 200, Output: 16, Prompt: 46, Counted: experiment.CountedUsage, Finish: "length", Model: "tiny", Fingerprint: "fp_ollama"}},
		{"ollama-chat-stream-unknown-model", false, experiment.Chat, facts{Outcome: experiment.HTTPError, Status: 404, Output: experiment.Unknown, Prompt: experiment.Unknown, Counted: experiment.CountedNone, Error: "not found"}},
		{"ollama-chat-malformed-json", false, experiment.Chat, facts{Outcome: experiment.HTTPError, Status: 400, Output: experiment.Unknown, Prompt: experiment.Unknown, Counted: experiment.CountedNone, Error: "unexpected EOF"}},
		// A role-only chunk in the read of the first token, and usage: null everywhere.
		{"vllm-like-chat-stream-usage", false, experiment.Chat, facts{Outcome: experiment.OK, Status: 200, Events: 7, Output: 7, Prompt: 20, Counted: experiment.CountedUsage, Finish: "stop", Model: "sim-8b", Text: true}},
		{"vllm-like-comp-stream-usage", false, experiment.Completions, facts{Outcome: experiment.OK, Status: 200, Events: 16, Output: 16, Prompt: 7, Counted: experiment.CountedUsage, Finish: "length", Model: "sim-8b", Text: true}},
		{"vllm-like-inject-ratelimit-chat-stream-usage", false, experiment.Chat, facts{Outcome: experiment.HTTPError, Status: 429, Output: experiment.Unknown, Prompt: experiment.Unknown, Counted: experiment.CountedNone, Error: "Rate limit reached"}},
		{"vllm-like-inject-servererror-chat-stream-usage", false, experiment.Chat, facts{Outcome: experiment.HTTPError, Status: 503, Output: experiment.Unknown, Prompt: experiment.Unknown, Counted: experiment.CountedNone, Error: "overloaded or not ready"}},
		{"vllm-like-chat-stream-unknown-model", false, experiment.Chat, facts{Outcome: experiment.HTTPError, Status: 404, Output: experiment.Unknown, Prompt: experiment.Unknown, Counted: experiment.CountedNone, Error: "does not exist"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			pieces, times := clientTranscript(t, row.name)
			spec := clientSpec()
			spec.Stream, spec.Endpoint = !row.whole, row.endpoint
			s, _ := clientDo(t, clientAlways(pieces...), spec)
			got := facts{
				Outcome: s.Outcome, Status: s.HTTPStatus, Events: s.Events, Output: s.OutputTokens, Prompt: s.PromptTokens, Counted: s.Counted,
				Finish: s.Finish, Model: s.Model, Fingerprint: s.Fingerprint, Text: s.FirstText().Happened(), Error: s.Error,
			}
			for _, g := range s.Gaps {
				if g.Shared() {
					got.Shared++
				}
			}
			if row.want.Error != "" && strings.Contains(got.Error, row.want.Error) {
				got.Error = row.want.Error
			}
			if d := cmp.Diff(row.want, got); d != "" {
				t.Errorf("facts (-want +got):\n%s%s", d, s.Error)
			}
			// What arrived did so at the moment of one of the reads.
			for name, at := range map[string]experiment.Instant{"headers": s.Headers, "first event": s.FirstEvent, "first text": s.FirstText(), "last text": s.LastContent, "end": s.End} {
				if at.Happened() && !slices.Contains(times, at) {
					t.Errorf("%s at %d, when no read returned", name, at)
				}
			}
			if at := s.FirstText(); at.Happened() {
				for _, g := range s.Gaps {
					at = at.Add(g.Duration())
				}
				if at != s.LastContent {
					t.Errorf("the gaps lead to %d, the last text came at %d", at, s.LastContent)
				}
			}
		})
	}
}
