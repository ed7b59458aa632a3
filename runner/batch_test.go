package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	openai "github.com/sashabaranov/go-openai"
	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

// clientScript is a body that comes in reads at known times, after which the
// server says nothing more and leaves the connection open.
type clientScript struct {
	reads []string
	gaps  []time.Duration // before each read
	taken int
	at    experiment.Instant
}

var errClientSilence = errors.New("the server says nothing more")

func (s *clientScript) Read(p []byte) (int, error) {
	if s.taken == len(s.reads) {
		return 0, errClientSilence
	}
	s.at = s.at.Add(s.gaps[s.taken])
	n := copy(p, s.reads[s.taken])
	s.taken++
	return n, nil
}

func (s *clientScript) Close() error { return nil }

func (s *clientScript) now() experiment.Instant { return s.at }

// read is what the whole client makes of the script.
func (s *clientScript) read(t interface{ Fatal(...any) }) (experiment.Sample, *stream, string) {
	spec, sample := clientSpec(), experiment.NewSample(0)
	_, w := newWatch(context.Background(), &spec, s.now)
	defer w.stop()
	x, a := &exchange{watch: w}, newAnswer(&sample, 8)
	a.forms.parse = parseChunk
	x.stream = newStream(s, clock{now: s.now}, 4<<10, func() {})
	cfg := openai.DefaultConfig("")
	cfg.HTTPClient = clientMemory{x.stream}
	events, err := openai.NewClientWithConfig(cfg).CreateChatCompletionStream(context.Background(), chatRequest(&Request{}, nil))
	if err != nil {
		t.Fatal(err)
	}
	x.gather(events, a)
	return sample, x.stream, string(a.text)
}

// oracle reads the script without batches and without go-openai: each read is
// parsed as it comes.
func (s *clientScript) oracle() (experiment.Sample, *stream, string) {
	sample := experiment.NewSample(0)
	a := newAnswer(&sample, 8)
	st := newStream(nil, clock{now: s.now}, 4<<10, func() {})
	buffer := make([]byte, 4<<10)
	for st.err == nil && a.garbled == "" {
		n, err := s.Read(buffer)
		if err != nil {
			st.end(s.at, err)
			break
		}
		st.reads++
		st.accept(buffer[:n], st.clock.arrived(st.reads))
		for line := range strings.Lines(string(st.out)) {
			if data := strings.TrimSpace(strings.TrimPrefix(line, "data:")); data != "[DONE]" && a.garbled == "" {
				a.event([]byte(data), st.next())
			}
		}
		st.out = st.out[:0]
	}
	return sample, st, string(a.text)
}

// A batch changes nothing: whatever comes, cut wherever and whenever, the sample
// is that of a client which parses each read as it comes, and the client waits for
// no read after the one that ended the answer.
func TestBatchLaw(t *testing.T) {
	counted := func(text string, n int) string {
		return strings.Replace(clientText(text), "}\n\n", fmt.Sprintf(`,"usage":{"prompt_tokens":9,"total_tokens":%d,"completion_tokens":%d}}`, 9+n, n)+"\n\n", 1)
	}
	rapid.Check(t, func(t *rapid.T) {
		script := &clientScript{}
		n := 0
		event := rapid.Custom(func(t *rapid.T) string {
			n++
			text := rapid.SampledFrom([]string{"a", " word", "é", "\n", `"`, "", `"content":"`}).Draw(t, "text")
			switch rapid.IntRange(0, 20).Draw(t, "kind") {
			case 0:
				return ": comment\n\n"
			case 1:
				return clientRole
			case 2:
				return `data: {"error":{"message":"broken"}}` + "\n\n"
			case 3:
				return clientStop
			case 4:
				return clientDone
			case 5:
				return "data: no JSON\n\n"
			case 6:
				return "event: ping\ndata: {}\n\n"
			case 7:
				return strings.ReplaceAll(clientText(text), "\n\n", "\r\n\r\n")
			case 8, 9:
				return strings.Replace(clientText(text), "data: ", "data:", 1)
			case 10, 11, 12:
				return counted(text, n)
			default:
				return clientText(text)
			}
		})
		rest := ""
		for range rapid.IntRange(1, 40).Draw(t, "reads") {
			read := rest
			for range rapid.SampledFrom([]int{1, 1, 1, 1, 2, 3}).Draw(t, "events") {
				read += event.Draw(t, "event")
			}
			rest = ""
			if rapid.IntRange(0, 9).Draw(t, "cut") == 0 {
				at := rapid.IntRange(1, len(read)-1).Draw(t, "at")
				read, rest = read[:at], read[at:]
			}
			script.reads = append(script.reads, read)
			script.gaps = append(script.gaps, time.Duration(rapid.SampledFrom([]int{0, 1, 10, 30, 100, 300}).Draw(t, "gap"))*ms)
		}
		again := &clientScript{reads: script.reads, gaps: script.gaps}
		got, st, text := script.read(t)
		want, plain, said := again.oracle()
		if d := cmp.Diff(want, got); d != "" || text != said {
			t.Fatalf("text %q, want %q; sample (-want +got):\n%s", text, said, d)
		}
		if st.err != plain.err || st.over != plain.over || st.done != plain.done || st.fault != plain.fault || st.reads != plain.reads || script.taken != again.taken {
			t.Fatalf("ended by %v at %d after %d reads; want %v at %d after %d", st.err, st.over, st.reads, plain.err, plain.over, plain.reads)
		}
	})
}

// What waits is more of the text that was parsed last, and nothing else.
func TestBatchWaits(t *testing.T) {
	for _, row := range []struct {
		name, read string
		waits      int // events
	}{
		{"text", clientText("b"), 1},
		{"text with an escape", clientText("\n"), 0},
		{"two events", clientText("b") + clientText("c"), 2},
		{"no space after the colon", strings.Replace(clientText("b"), "data: ", "data:", 1), 1},
		{"CRLF", strings.ReplaceAll(clientText("b"), "\n\n", "\r\n\r\n"), 1},
		{"an error between texts", clientText("b") + `data: {"error":{"message":"broken"}}` + "\n\n" + clientText("c"), 1},
		{"no text", clientText(""), 0},
		{"no text, then text", clientText("") + clientText("c"), 0},
		{"a comment", ": keep-alive\n\n", 0},
		{"text and a half", clientText("b") + clientText("c")[:20], 1},
		{"half an event", clientText("b")[:20], 0},
		{"a finish reason", clientStop, 0},
		{"text, then a finish reason", clientText("b") + clientStop, 1},
		{"text, then the end", clientText("b") + clientDone, 1},
		{"usage", clientUsage(9, 2), 0},
		{"an error", `data: {"error":{"message":"broken"}}` + "\n\n", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			spec := clientSpec()
			_, w := newWatch(t.Context(), &spec, func() experiment.Instant { return 0 })
			defer w.stop()
			var s experiment.Sample
			b := batch{answer: newAnswer(&s, 8), watch: w}
			b.answer.event([]byte(strings.TrimSpace(strings.TrimPrefix(clientText("a"), "data: "))), arrival{})
			taken := b.add([]byte(row.read), arrival{at: clientAt(5)})
			if moved := experiment.Instant(w.moved.Load()); (moved == clientAt(5)) != (row.waits > 0) {
				t.Errorf("progress at %d", moved)
			}
			if b.settle([]byte(row.read)); b.answer.s.Events != 1+row.waits || taken > 0 && !strings.HasSuffix(row.read[:taken], "\n") {
				t.Errorf("%d of %d bytes, %d events", taken, len(row.read), b.answer.s.Events-1)
			}
		})
	}
}

// What waits to be parsed is seen by the clock: a stream that stands still in the
// middle of a batch is cut off when one would be that has none, and so is a
// stream that hides behind events without text.
func TestBatchTimeLimits(t *testing.T) {
	spec := clientSpec()
	spec.IdleTimeout = experiment.Duration(100 * ms)
	flow := func(n int, every time.Duration, event string) (out []clientPiece) {
		for range n {
			out = append(out, clientAfter(every, event))
		}
		return out
	}
	broken, still := `data: {"error":{"message":"broken"}}`+"\n\n", clientPiece{hold: true}
	text := flow(20, 10*ms, clientText("a"))
	for _, row := range []struct {
		name    string
		answer  []clientPiece
		outcome experiment.Outcome
		end     int // ms
		events  int
	}{
		{"stands still", slices.Concat(text, []clientPiece{still}), experiment.Timeout, 300, 20},
		{"goes on without text", slices.Concat(text, flow(99, 30*ms, clientRole)), experiment.Timeout, 300, 20},
		{"goes on with comments", slices.Concat(text, flow(99, 30*ms, ": c\n\n")), experiment.Timeout, 300, 20},
		{"is slow and within the limit", slices.Concat(flow(5, 90*ms, clientText("a")), flow(1, 0, clientStop+clientDone)), experiment.OK, 450, 5},
		{"ends and leaves the connection open", slices.Concat(text, flow(1, 10*ms, clientStop+clientDone), []clientPiece{still}), experiment.OK, 210, 20},
		{"fails and leaves the connection open", slices.Concat(text, flow(1, 10*ms, broken), []clientPiece{still}), experiment.HTTPError, 210, 20},
		{"is cut off", slices.Concat(text, []clientPiece{{after: 10 * ms, hangup: true}}), experiment.Truncated, 210, 20},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, _ := clientDo(t, clientAlways(clientCut(row.answer...)...), spec)
			if s.Outcome != row.outcome || s.End != clientAt(row.end) || s.Events != row.events {
				t.Errorf("%s at %s with %d events: %s", s.Outcome, time.Duration(s.End), s.Events, s.Error)
			}
			for i, g := range s.Gaps {
				if every := s.FirstContent; g != experiment.Gap(every) {
					t.Errorf("gap %d is %d, want %d", i, g, every)
				}
			}
		})
	}
}
