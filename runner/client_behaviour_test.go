package runner

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/inferbook/inferbook/experiment"
)

// clientBehaviour is one thing that real servers do in a stream, and the
// sample that must come of it.
type clientBehaviour struct {
	name   string
	answer []clientPiece
	want   func(*experiment.Sample) // changes clientWant
	text   string                   // of the answer, for its hash
}

// clientTimes sets the times of a stream whose texts come at the given
// milliseconds, all content, with the end at the last.
func clientTimes(s *experiment.Sample, first int, texts []int, end int) {
	s.FirstEvent, s.End = clientAt(first), clientAt(end)
	s.Events = len(texts)
	for i, at := range texts {
		if i == 0 {
			s.FirstContent = clientAt(at)
		} else {
			s.Gaps = append(s.Gaps, clientGap(at-texts[i-1]))
		}
		s.LastContent = clientAt(at)
	}
	s.OutputTokens, s.Counted = len(texts), experiment.CountedEvents
	s.Finish = "stop"
}

func clientCounts(s *experiment.Sample, prompt, output int) {
	s.PromptTokens, s.OutputTokens, s.Counted = prompt, output, experiment.CountedUsage
}

// The numbers are those of the catalogue of streaming behaviours that the
// project keeps; behaviours of the connection are in TestConnectionBehaviour.
func TestStreamBehaviour(t *testing.T) {
	delta := func(members string) string {
		return clientEnvelope + `{"index":0,"delta":{` + members + `},"finish_reason":null}]}` + "\n\n"
	}
	withUsage := func(text string, n int) string {
		return clientEnvelope + fmt.Sprintf(`{"index":0,"delta":{"content":%q},"finish_reason":null}],"usage":{"prompt_tokens":9,"completion_tokens":%d}}`, text, n) + "\n\n"
	}
	two := func(s *experiment.Sample) { clientTimes(s, 20, []int{20, 30}, 40); s.Reads = 3 }
	long := strings.Repeat("x", 200_000)

	for _, row := range []clientBehaviour{
		{name: "01 the first chunk has only the role, long before the first token",
			answer: clientSSE(clientAfter(20*ms, clientRole), clientAfter(480*ms, clientText("a")), clientAfter(10*ms, clientStop, clientDone)),
			want:   func(s *experiment.Sample) { clientTimes(s, 20, []int{500}, 510); s.Reads = 3 }, text: "a"},
		{name: "02 reasoning_content, then content",
			answer: clientSSE(clientAfter(20*ms, delta(`"reasoning_content":"hm"`)), clientAfter(10*ms, delta(`"content":"a"`)), clientAfter(10*ms, clientStop, clientDone)),
			want: func(s *experiment.Sample) {
				two(s)
				s.FirstReasoning, s.FirstContent = clientAt(20), clientAt(30)
			}, text: "hma"},
		{name: "02 reasoning beside an empty content",
			answer: clientSSE(clientAfter(20*ms, delta(`"content":"","reasoning":"hm"`)), clientAfter(10*ms, delta(`"content":"a"`)), clientAfter(10*ms, clientStop, clientDone)),
			want: func(s *experiment.Sample) {
				two(s)
				s.FirstReasoning, s.FirstContent = clientAt(20), clientAt(30)
			}, text: "hma"},
		{name: "02 the same reasoning under both names counts once",
			answer: clientSSE(clientAfter(20*ms, delta(`"reasoning_content":"hm","reasoning":"hm"`)), clientAfter(10*ms, delta(`"content":"a"`)), clientAfter(10*ms, clientStop, clientDone)),
			want: func(s *experiment.Sample) {
				two(s)
				s.FirstReasoning, s.FirstContent = clientAt(20), clientAt(30)
			}, text: "hma"},
		{name: "03 the usage chunk has no choices and is no token",
			answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, clientText("b")), clientAfter(10*ms, clientStop),
				clientAfter(10*ms, clientUsage(9, 2)), clientAfter(10*ms, clientDone)),
			want: func(s *experiment.Sample) {
				clientTimes(s, 20, []int{20, 30}, 60)
				clientCounts(s, 9, 2)
				s.Reads = 5
			}, text: "ab"},
		{name: "04 usage in the finish chunk",
			answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, clientText("b")), clientAfter(10*ms,
				clientEnvelope, `{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}`+"\n\n", clientDone)),
			want: func(s *experiment.Sample) { two(s); clientCounts(s, 9, 2) }, text: "ab"},
		{name: "04 usage in the last content chunk only, as Gemini sends it",
			answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, withUsage("b", 2)), clientAfter(10*ms, clientStop, clientDone)),
			want:   func(s *experiment.Sample) { two(s); clientCounts(s, 9, 2) }, text: "ab"},
		{name: "04 usage of the whole answer in its only chunk",
			answer: clientSSE(clientAfter(20*ms, withUsage("a b c", 3)), clientAfter(10*ms, clientStop, clientDone)),
			want:   func(s *experiment.Sample) { clientTimes(s, 20, []int{20}, 30); clientCounts(s, 9, 3); s.Reads = 2 }, text: "a b c"},
		{name: "05 no usage: events are counted, not what was asked for",
			answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, clientText("b")), clientAfter(10*ms, clientStop, clientDone)),
			want:   two, text: "ab"},
		{name: "06 cumulative usage on each chunk",
			answer: clientSSE(clientAfter(20*ms, clientEnvelope, `{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":{"prompt_tokens":9,"completion_tokens":0}}`+"\n\n", withUsage("a", 1)),
				clientAfter(10*ms, withUsage("b c d", 4)), clientAfter(10*ms, clientStop, clientUsage(9, 5), clientDone)),
			want: func(s *experiment.Sample) {
				two(s)
				clientCounts(s, 9, 5)
				s.Counted, s.TokensAt = experiment.CountedContinuous, []int32{1, 3}
			}, text: "ab c d"},
		{name: "07 zeroed usage on each chunk: the last that counts is the one",
			answer: clientSSE(clientAfter(20*ms, strings.ReplaceAll(withUsage("a", 0), `"prompt_tokens":9`, `"prompt_tokens":0`)),
				clientAfter(10*ms, strings.ReplaceAll(withUsage("b", 0), `"prompt_tokens":9`, `"prompt_tokens":0`)),
				clientAfter(10*ms, clientStop, clientUsage(9, 2), clientUsage(0, 0), clientDone)),
			want: func(s *experiment.Sample) { two(s); clientCounts(s, 9, 2) }, text: "ab"},
		{name: "08 several tokens a chunk, and tokens without a chunk",
			answer: clientSSE(clientAfter(20*ms, clientText("a b c")), clientAfter(10*ms, clientText("d")), clientAfter(10*ms, clientStop, clientUsage(9, 7), clientDone)),
			want:   func(s *experiment.Sample) { two(s); clientCounts(s, 9, 7) }, text: "a b cd"},
		{name: "09 events of one read share an arrival",
			answer: clientSSE(clientAfter(20*ms, clientText("a"), clientText("b"), clientText("c")), clientAfter(10*ms, clientText("d"), clientStop, clientDone)),
			want: func(s *experiment.Sample) {
				clientTimes(s, 20, []int{20, 20, 20, 30}, 30)
				s.Gaps = []experiment.Gap{experiment.SameRead, experiment.SameRead, clientGap(10)}
				s.Reads = 2
			}, text: "abcd"},
		{name: "09 two reads in one instant are two arrivals with a gap of 0",
			answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(0, clientText("b")), clientAfter(10*ms, clientStop, clientDone)),
			want:   func(s *experiment.Sample) { clientTimes(s, 20, []int{20, 20}, 30); s.Reads = 3 }, text: "ab"},
		{name: "10 an event split over reads arrives with its last byte, also inside a character",
			answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, clientText("é")[:len(clientEnvelope)+32]),
				clientAfter(10*ms, clientText("é")[len(clientEnvelope)+32:]), clientAfter(10*ms, clientStop, clientDone)),
			want: func(s *experiment.Sample) { clientTimes(s, 20, []int{20, 40}, 50); s.Reads = 4 }, text: "aé"},
		{name: "10 a line longer than any buffer",
			answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, clientText(long)), clientAfter(10*ms, clientStop, clientDone)),
			want: func(s *experiment.Sample) {
				two(s)
				s.Reads = 9 // 200 kB in reads of 32 KiB
			}, text: "a" + long},
		{name: "11 carriage returns, no space, comments, other fields, a mark at the start, and an event of several lines",
			answer: clientSSE(clientAfter(20*ms, "\xEF\xBB\xBF"+strings.ReplaceAll(clientText("a"), "\n", "\r\n")[:30]),
				clientAfter(0, strings.ReplaceAll(clientText("a"), "\n", "\r\n")[30:]),
				clientAfter(10*ms, "id: 7\rretry:10\revent:message\rdata:"+clientText("b")[6:len(clientText("b"))-2]+"\r\r"),
				clientAfter(10*ms, "data:{\"choices\":\r\ndata: [{\"finish_reason\":\"stop\"}]\r\ndata\r\ndata:}\r\n\r", "\ndata:[DONE]\n\n")),
			want: func(s *experiment.Sample) { two(s); s.Reads = 4 }, text: "ab"},
		{name: "12 comments and heartbeats are no events",
			answer: clientSSE(clientAfter(10*ms, ": OPENROUTER PROCESSING\n\n"), clientAfter(10*ms, "event: ping\ndata: 2026-01-01\n\n:\n\n\n\ndata:\n\n", clientText("a")),
				clientAfter(10*ms, strings.Repeat(": keep-alive\n\n", 1000), clientText("b")), clientAfter(10*ms, clientStop, clientDone)),
			want: func(s *experiment.Sample) { two(s); s.Headers = clientAt(10); s.Reads = 4 }, text: "ab"},
		{name: "13 an error inside a 200, text kept",
			answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, `data: {"error":{"message":"out of blocks"}}`+"\n\n", clientDone)),
			want:   clientFault("out of blocks"), text: "a"},
		{name: "13 the same with a space that hides it from a prefix test",
			answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, `data: { "error": {"message":"out of blocks"}}`+"\n\n", clientDone)),
			want:   clientFault("out of blocks"), text: "a"},
		{name: "13 error as text", answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, `data:{"error":"out of blocks"}`+"\n\n")),
			want: clientFault("out of blocks"), text: "a"},
		{name: "13 error as an empty object", answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, `data: {"error":{}}`+"\n\n")),
			want: clientFault(`{"error":{}}`), text: "a"},
		{name: "13 object error", answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, `data: {"object":"error","message":"out of blocks","code":500}`+"\n\n", clientDone)),
			want: clientFault("out of blocks"), text: "a"},
		{name: "13 event: error", answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, "event: error\ndata: out of blocks\n\n")),
			want: clientFault("out of blocks"), text: "a"},
		{name: "13 error: null beside a chunk is none",
			answer: clientSSE(clientAfter(20*ms, `data: {"error":null,`+clientText("a")[7:]), clientAfter(10*ms, `data: {"error":null,`+clientText("b")[7:]), clientAfter(10*ms, clientStop, clientDone)),
			want:   two, text: "ab"},
		{name: "14 a finish reason and no token is empty",
			answer: clientSSE(clientAfter(20*ms, clientRole), clientAfter(10*ms, clientStop, clientUsage(9, 0), clientDone)),
			want: func(s *experiment.Sample) {
				clientTimes(s, 20, nil, 30)
				clientCounts(s, 9, 0)
				s.Reads, s.Outcome = 2, experiment.Empty
				s.Error = "the answer ended with the finish reason stop and no output; look at the prompt and the server's log"
			}},
		{name: "14 [DONE] and nothing else is empty", answer: clientSSE(clientAfter(20*ms, clientDone)),
			want: func(s *experiment.Sample) {
				s.Reads, s.Outcome, s.Model, s.End = 1, experiment.Empty, "", clientAt(20)
				s.Error = "the stream ended well and held no output and no finish reason; look at the server's log"
			}},
		{name: "14 no finish reason, but [DONE]", answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, clientText("b")), clientAfter(10*ms, clientDone)),
			want: clientTruncated("the stream ended with [DONE] and no finish reason after 2 events with text; look at the server's log"), text: "ab"},
		{name: "14 a clean end without finish reason and [DONE]", answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, clientText("b")), clientAfter(10*ms, ":\n")),
			want: clientTruncated("the stream ended after 2 events with text with neither a finish reason nor [DONE]; look whether the server is still up"), text: "ab"},
		{name: "14 half an event and a clean end", answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, clientText("b")), clientAfter(10*ms, clientStop[:len(clientStop)-1])),
			want: clientTruncated("the stream ended after 2 events with text with neither a finish reason nor [DONE]; look whether the server is still up"), text: "ab"},
		{name: "14 the connection broke", answer: clientCut(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, clientText("b")), clientPiece{after: 10 * ms, hangup: true}),
			want: func(s *experiment.Sample) {
				clientTruncated("the connection broke after 2 events with text: unexpected EOF; look whether the server is still up")(s)
				s.Reads = 2
			}, text: "ab"},
		{name: "15 no [DONE]: the end of the body ends it", answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, clientText("b")), clientAfter(10*ms, clientStop)),
			want: two, text: "ab"},
		{name: "15 the socket stays open after [DONE]", answer: clientCut(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, clientText("b")), clientAfter(10*ms, clientStop, clientDone), clientPiece{hold: true}),
			want: two, text: "ab"},
		{name: "15 the socket stays open, with a finish reason and no [DONE]", answer: clientCut(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, clientText("b")), clientAfter(10*ms, clientStop), clientPiece{hold: true}),
			want: two, text: "ab"},
		{name: "16 the finish reason is kept as it came", answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, clientText("b")), clientAfter(10*ms, strings.ReplaceAll(clientStop, "stop", "cache_threshold"), clientDone)),
			want: func(s *experiment.Sample) { two(s); s.Finish = "cache_threshold" }, text: "ab"},
		{name: "16 an aborted answer is no success", answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, clientText("b")), clientAfter(10*ms, strings.ReplaceAll(clientStop, "stop", "abort"), clientDone)),
			want: func(s *experiment.Sample) {
				two(s)
				s.Finish, s.Outcome = "abort", experiment.Truncated
				s.Error = "the server aborted the answer after 2 events with text; look at the server's log"
			}, text: "ab"},
		{name: "17 the finish chunk is no token, and neither is a repeated role",
			answer: clientSSE(clientAfter(20*ms, delta(`"role":"assistant","content":"a"`)), clientAfter(10*ms, delta(`"role":"assistant","content":"b"`)),
				clientAfter(5*ms, delta(`"role":"assistant"`)), clientAfter(5*ms, strings.ReplaceAll(clientStop, `"delta":{}`, `"delta":{"role":"assistant","content":""}`), clientDone)),
			want: func(s *experiment.Sample) { two(s); s.Reads = 4 }, text: "ab"},
		{name: "18 Azure's first chunk has no choices, and annotations come between",
			answer: clientSSE(clientAfter(10*ms, `data: {"choices":[],"model":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}`+"\n\n"), clientAfter(10*ms, clientText("a")),
				clientAfter(10*ms, clientText("b")), clientAfter(10*ms, `data: {"choices":[{"index":0,"content_filter_offsets":{"end_offset":3},"content_filter_results":{}}]}`+"\n\n", clientStop, clientDone)),
			want: func(s *experiment.Sample) {
				two(s)
				s.FirstEvent, s.Headers, s.Reads = clientAt(10), clientAt(10), 4
			}, text: "ab"},
		{name: "21 tool_calls: null, and a tool call whose arguments are output",
			answer: clientSSE(clientAfter(20*ms, delta(`"content":null,"tool_calls":null`), delta(`"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":""}}]`)),
				clientAfter(10*ms, delta(`"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]`)), clientAfter(10*ms, strings.ReplaceAll(clientStop, "stop", "tool_calls"), clientDone)),
			want: func(s *experiment.Sample) { two(s); s.Finish = "tool_calls" }, text: "f{}"},
		{name: "22 cached and reasoning tokens",
			answer: clientSSE(clientAfter(20*ms, clientText("a")), clientAfter(10*ms, clientText("b")), clientAfter(10*ms, clientStop, strings.Replace(clientUsage(9, 2), `"completion_tokens":2`,
				`"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":1}`, 1), clientDone)),
			want: func(s *experiment.Sample) {
				two(s)
				clientCounts(s, 9, 2)
				s.CachedTokens, s.ReasoningTokens = 0, 1
			}, text: "ab"},
		{name: "23 llama.cpp: progress before any token, timings at the end",
			answer: clientSSE(clientAfter(10*ms, `data: {"choices":[{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}],"model":"m","prompt_progress":{"total":100,"processed":50}}`+"\n\n"),
				clientAfter(10*ms, clientText("a")), clientAfter(10*ms, clientText("b")),
				clientAfter(10*ms, clientEnvelope, `{"index":0,"delta":{},"finish_reason":"stop"}],"timings":{"cache_n":4,"prompt_n":5,"predicted_ms":12.5}}`+"\n\n", clientDone)),
			want: func(s *experiment.Sample) {
				two(s)
				s.FirstEvent, s.Headers, s.Reads = clientAt(10), clientAt(10), 4
				s.CachedTokens, s.Server = 4, `{"cache_n":4,"prompt_n":5,"predicted_ms":12.5}`
			}, text: "ab"},
		{name: "24 token ids tell the tokens of each event",
			answer: clientSSE(clientAfter(20*ms, clientEnvelope, `{"index":0,"delta":{"content":"a"},"token_ids":[5,6]}]}`+"\n\n"),
				clientAfter(10*ms, clientEnvelope, `{"index":0,"delta":{},"token_ids":[7]}]}`+"\n\n", clientEnvelope, `{"index":0,"delta":{"content":"b"},"token_ids":[8]}]}`+"\n\n"),
				clientAfter(10*ms, clientStop, clientUsage(9, 4), clientDone)),
			want: func(s *experiment.Sample) { two(s); clientCounts(s, 9, 4); s.TokensAt = []int32{2, 2} }, text: "ab"},
		{name: "24 token ids are the count where there is no usage",
			answer: clientSSE(clientAfter(20*ms, clientEnvelope, `{"index":0,"delta":{"content":"a"},"token_ids":[5,6]}]}`+"\n\n"),
				clientAfter(10*ms, clientEnvelope, `{"index":0,"delta":{"content":"b"},"token_ids":[8]}]}`+"\n\n"), clientAfter(10*ms, clientStop, clientDone)),
			want: func(s *experiment.Sample) {
				two(s)
				s.OutputTokens, s.Counted, s.TokensAt = 3, experiment.CountedContinuous, []int32{2, 1}
			}, text: "ab"},
		{name: "26 a stream that a proxy gathered: everything in one read",
			answer: clientSSE(clientAfter(20*ms, clientText("a"), clientText("b"), clientText("c"), clientStop, clientUsage(9, 3), clientDone)),
			want: func(s *experiment.Sample) {
				clientTimes(s, 20, []int{20, 20, 20}, 20)
				clientCounts(s, 9, 3)
				s.Gaps, s.Reads = []experiment.Gap{experiment.SameRead, experiment.SameRead}, 1
			}, text: "abc"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, _ := clientDo(t, clientAlways(row.answer...), clientSpec())
			clientDiff(t, clientWant(func(s *experiment.Sample) { s.OutputHash = textHash([]byte(row.text)); row.want(s) }), s)
		})
	}
}

func clientFault(message string) func(*experiment.Sample) {
	return func(s *experiment.Sample) {
		clientTimes(s, 20, []int{20}, 30)
		s.Finish, s.Reads, s.Outcome = "", 2, experiment.HTTPError
		s.Error = "the server reported an error inside the stream: " + message + "; look at the server's log"
	}
}

func clientTruncated(sentence string) func(*experiment.Sample) {
	return func(s *experiment.Sample) {
		clientTimes(s, 20, []int{20, 30}, 40)
		s.Finish, s.Reads, s.Outcome, s.Error = "", 3, experiment.Truncated, sentence
	}
}

// Completions differ from chat in where the text is.
func TestCompletionsStream(t *testing.T) {
	text := func(s, finish string) string {
		return fmt.Sprintf(`data: {"id":"c","object":"text_completion","choices":[{"text":%q,"index":0,"finish_reason":%s}],"model":"m"}`, s, finish) + "\n\n"
	}
	spec := clientSpec()
	spec.Endpoint = experiment.Completions
	server := clientAlways(clientSSE(clientAfter(20*ms, text("a", "null")), clientAfter(10*ms, text("b", `"length"`)), clientAfter(10*ms, clientDone))...)
	s, _ := clientDo(t, server, spec)
	clientDiff(t, clientWant(func(s *experiment.Sample) {
		clientTimes(s, 20, []int{20, 30}, 40)
		s.Reads, s.Finish, s.OutputHash = 3, "length", textHash([]byte("ab"))
	}), s)
	if server.paths[0] != "/v1/completions" {
		t.Errorf("path %s", server.paths[0])
	}
}

// Without streaming there is no first event: E2E ends with the last byte.
func TestUnstreamed(t *testing.T) {
	spec := clientSpec()
	spec.Stream = false
	body := `{"model":"m","system_fingerprint":"fp","choices":[{"message":{"role":"assistant","reasoning":"hm","content":"a"},"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":9,"completion_tokens":3},"sim":{"queued_s":0.5}}`
	answer := clientWhole(http.StatusOK, "", body)
	answer = []clientPiece{clientAfter(20*ms, answer[0].bytes[:len(answer[0].bytes)-10]), clientAfter(10*ms, answer[0].bytes[len(answer[0].bytes)-10:])}
	s, _ := clientDo(t, clientAlways(answer...), spec)
	clientDiff(t, clientWant(func(s *experiment.Sample) {
		clientCounts(s, 9, 3)
		s.LastContent, s.End, s.Reads = clientAt(30), clientAt(30), 2
		s.Finish, s.Fingerprint, s.Server, s.OutputHash = "stop", "fp", `{"queued_s":0.5}`, textHash([]byte("hma"))
	}), s)
}
