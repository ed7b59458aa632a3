package runner

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
)

// clientEvents parses text that comes in parts that end at the given offsets.
func clientEvents(text string, cuts []int) (events []string) {
	var p eventParser
	from := 0
	for _, to := range append(slices.Sorted(slices.Values(cuts)), len(text)) {
		to = min(max(to, from), len(text))
		p.feed([]byte(text[from:to]), func(name, data []byte) bool {
			events = append(events, string(name)+"|"+string(data))
			return true
		})
		from = to
	}
	return events
}

// The cases that the standard's text and its examples settle.
func TestEventParser(t *testing.T) {
	for _, row := range []struct {
		name, text string
		want       []string
	}{
		{"one event", "data: a\n\n", []string{"|a"}},
		{"no space, and one space only is dropped", "data:a\n\ndata:  b\n\n", []string{"|a", "| b"}},
		{"the three line ends", "data:a\r\rdata:b\r\n\r\ndata:c\n\n", []string{"|a", "|b", "|c"}},
		{"line ends mixed", "data:a\r\n\rdata:b\n\r\n", []string{"|a", "|b"}},
		{"several data lines", "data: YHOO\ndata: +2\ndata: 10\n\n", []string{"|YHOO\n+2\n10"}},
		{"a name goes with one event", "event: add\ndata: 1\n\ndata: 2\n\n", []string{"add|1", "|2"}},
		{"comments and other fields", ": c\nid: 1\nretry: 5\nfoo: x\nfoo\ndata: a\n\n", []string{"|a"}},
		{"a name without data is no event", "event: ping\n\ndata: a\n\n", []string{"|a"}},
		{"data without a value is an event of nothing", "data\n\ndata\ndata\n\n", []string{"|", "|\n"}},
		{"an event that the end leaves open is dropped", "data: a\n\ndata: b\n", []string{"|a"}},
		{"a mark at the start", "\xEF\xBB\xBFdata: a\n\n", []string{"|a"}},
		{"a mark elsewhere is part of the field's name", "data: a\n\n\xEF\xBB\xBFdata: b\n\n", []string{"|a"}},
		{"half a mark is none", "\xEF\xBBdata: a\n\n", nil},
		{"field names are exact", "Data: a\n\n data: b\n\ndata : c\n\n", nil},
		{"a colon in the value", "data: a: b\n\n", []string{"|a: b"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			for cut := range len(row.text) + 1 {
				if d := cmp.Diff(row.want, clientEvents(row.text, []int{cut})); d != "" {
					t.Fatalf("cut at %d (-want +got):\n%s", cut, d)
				}
			}
		})
	}
}

// clientSlowEvents is the standard's algorithm on the whole text at once.
func clientSlowEvents(text string) (events []string) {
	text = strings.TrimPrefix(text, "\xEF\xBB\xBF")
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(text, "\n")
	name, data := "", ""
	for _, line := range lines[:len(lines)-1] { // what follows the last line end is no line
		if line == "" {
			if data != "" {
				events = append(events, name+"|"+strings.TrimSuffix(data, "\n"))
			}
			name, data = "", ""
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "data":
			data += value + "\n"
		case "event":
			name = value
		}
	}
	return events
}

// Any split of the same bytes gives the same events, and these are the standard's.
func FuzzEventParser(f *testing.F) {
	f.Add("data: a\r\n\r\ndata:b\r\rdata: c\n\n", []byte{3, 9, 10, 11})
	f.Add("\xEF\xBB\xBFevent: error\ndata: {}\ndata: x\n\n: c\n", []byte{1, 2, 20})
	f.Add(clientRole+clientText("é")+clientStop+clientDone, []byte{200, 7})
	f.Fuzz(func(t *testing.T, text string, steps []byte) {
		var cuts []int
		at := 0
		for _, s := range steps {
			at += int(s)
			cuts = append(cuts, at)
		}
		if d := cmp.Diff(clientSlowEvents(text), clientEvents(text, cuts)); d != "" {
			t.Errorf("cut at %v (-standard +got):\n%s", cuts, d)
		}
	})
}

// Whatever a server sends, in whatever pieces, a sample comes of it that keeps
// the laws that analysis relies on.
func FuzzStream(f *testing.F) {
	f.Add(clientRole+clientText("a")+clientText("b")+clientStop+clientUsage(9, 2)+clientDone, []byte{10, 255, 80})
	f.Add(`data: {"error":{"message":"x"}}`+"\n\n", []byte{})
	f.Add("data: {\"error\":null,\"choices\":[{\"text\":\"a\"}]}\n\ndata: 7\n\n", []byte{1})
	f.Add("<html>", []byte{2})
	f.Add(`{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}`, []byte{9})
	f.Fuzz(func(t *testing.T, body string, steps []byte) {
		var pieces []clientPiece
		for _, n := range steps {
			if n := min(int(n), len(body)); n > 0 && len(pieces) < 50 {
				pieces = append(pieces, clientAfter(time.Millisecond, body[:n]))
				body = body[n:]
			}
		}
		if body != "" {
			pieces = append(pieces, clientAfter(time.Millisecond, body))
		}
		if len(pieces) == 0 {
			return
		}
		s, _ := clientDo(t, clientAlways(clientSSE(pieces...)...), clientSpec())
		clientLaws(t, s)
	})
}

// clientLaws checks what holds for every sample that a stream gave.
func clientLaws(t *testing.T, s experiment.Sample) {
	t.Helper()
	if !slices.Contains(experiment.Outcomes, s.Outcome) || (s.Outcome == experiment.OK) != (s.Error == "") {
		t.Errorf("outcome %q with error %q", s.Outcome, s.Error)
	}
	if strings.ContainsAny(s.Error, "\r\n") {
		t.Errorf("error of several lines: %q", s.Error)
	}
	if s.Outcome == experiment.OK && (s.Finish == "" || s.OutputTokens < 1 || !s.LastContent.Happened()) {
		t.Errorf("ok with finish %q, %d tokens, last content at %d", s.Finish, s.OutputTokens, s.LastContent)
	}
	if len(s.Gaps) != max(s.Events-1, 0) || s.TokensAt != nil && len(s.TokensAt) != s.Events {
		t.Errorf("%d events, %d gaps, %d token counts", s.Events, len(s.Gaps), len(s.TokensAt))
	}
	if first := s.FirstText(); s.Events > 0 {
		for _, g := range s.Gaps {
			first = first.Add(g.Duration())
		}
		if first != s.LastContent || s.FirstEvent > s.FirstText() || s.End < s.LastContent || s.Headers > s.FirstEvent {
			t.Errorf("times out of order: %+v", s)
		}
	} else if first.Happened() {
		t.Errorf("no events, and first text at %d", first)
	}
}
