package sim

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestFaultErrors(t *testing.T) {
	for text, want := range map[string]string{
		"stal":                 `unknown fault "stal"; did you mean stall?`,
		"":                     "unknown fault",
		"stall:soon":           `"soon" is not a time such as 500ms or 2s; write stall:TIME=5s,TOKEN=1`,
		"stall:-2s":            "is not a time",
		"cut:-1":               "not a whole number of at least 0",
		"cut:1,2":              `there is no place for "2"`,
		"crlf:1":               "there is no place for",
		"429@0":                "not a share over 0 to 1",
		"429@often":            "not a share",
		"huge:100000000":       "are more than",
		"slow-start:1s,reject": `"reject" is not one of slow, refuse`,
		"wrong-usage:x":        "not a number from 0 to 1000",
		"keep-alive:0s":        "under 1ms",
	} {
		if _, err := ParseFault(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
	inBubble(t, Config{}, func(t *testing.T, l *lab) {
		if status, _, text := l.whole(t, "/v1/chat/completions", chatBody(100, 5), faultHeader, "cut;nothing"); status != http.StatusBadRequest || !strings.Contains(text, "unknown fault") {
			t.Errorf("status %d: %s", status, text)
		}
	})
}

// What each fault does to the bytes of a stream of twelve tokens.
func TestFaultsOnTheWire(t *testing.T) {
	const body = `{"messages":[{"role":"user","content":"hi"}],"max_tokens":12,"ignore_eos":true,"stream":true,"stream_options":{"include_usage":true}}`
	const text = `"delta":{"content":" `
	for _, tc := range []struct {
		fault  string
		status int
		count  map[string]int // how often a text is in the answer
	}{
		{"429:7", 429, map[string]int{"RateLimitError": 1}},
		{"503", 503, map[string]int{"ServiceUnavailableError": 1}},
		{"slow-start:10s,refuse", 503, map[string]int{"being loaded": 1}},
		{"truncate:5", 200, map[string]int{`"prompt_tokens":5,`: 1, "[DONE]": 1}},
		{"cut:3", 200, map[string]int{text: 3, "[DONE]": 0, "ERROR unexpected EOF": 1}},
		{"end:3", 200, map[string]int{text: 3, "[DONE]": 0, "ERROR": 0, `finish_reason":"`: 0}},
		{"end:12", 200, map[string]int{text: 12, "[DONE]": 0, `finish_reason":"`: 0}},
		{"end:13", 200, map[string]int{text: 12, "[DONE]": 1, `finish_reason":"`: 1}},
		{"error:3", 200, map[string]int{text: 3, `data: {"error":{`: 1, "[DONE]": 1}},
		{"huge:5000,3", 200, map[string]int{text: 12, strings.Repeat("x", 5000): 1, "[DONE]": 1}},
		{"group:5", 200, map[string]int{text: 3, "[DONE]": 1}},
		{"reasoning:4", 200, map[string]int{text: 8, `"delta":{"reasoning_content":" `: 4, `"reasoning_tokens":4`: 1}},
		{"reasoning:4;group:3", 200, map[string]int{text: 3, `"delta":{"reasoning_content":" `: 2}},
		{"crlf", 200, map[string]int{"\r\n\r\n": 16, "\n": 32}},
		{"no-usage", 200, map[string]int{`"usage":{`: 0, `"sim":{`: 1, "[DONE]": 1}},
		{"zero-usage", 200, map[string]int{`"completion_tokens":0`: 14, `"completion_tokens":12`: 1}},
		{"wrong-usage:0.5", 200, map[string]int{`"completion_tokens":6,`: 1, text: 12}},
		{"no-done", 200, map[string]int{"[DONE]": 0, `finish_reason":"`: 1}},
		{"double-finish", 200, map[string]int{`finish_reason":"`: 2, `"sim":{`: 1}},
		{"role-first", 200, map[string]int{`"role":"assistant"`: 1, text: 12}},
		{"late-headers", 200, map[string]int{`"role":"assistant"`: 1, text: 12}},
		{"lumps", 200, map[string]int{text: 12, "[DONE]": 1}},
		{"lumps:100", 200, map[string]int{text: 12, "[DONE]": 1}},
		{"stall:5s,3", 200, map[string]int{text: 12, "[DONE]": 1}},
	} {
		t.Run(tc.fault, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, l *lab) {
				status, head, got := l.whole(t, "/v1/chat/completions", body, faultHeader, tc.fault)
				if status != tc.status {
					t.Errorf("status %d", status)
				}
				if status == 429 && head.Get("Retry-After") != "7" {
					t.Errorf("Retry-After is %q", head.Get("Retry-After"))
				}
				for part, want := range tc.count {
					if n := strings.Count(got, part); n != want {
						t.Errorf("%.40q is there %d times, want %d, in\n%.3000s", part, n, want, got)
					}
				}
			})
		})
	}
}

// An answer in one piece can be cut, fail, and lie about its length too.
func TestFaultsOfWholeAnswers(t *testing.T) {
	const body = `{"messages":[{"role":"user","content":"hi"}],"max_tokens":12,"ignore_eos":true}`
	inBubble(t, Config{}, func(t *testing.T, l *lab) {
		for fault, want := range map[string]string{
			"cut": "ERROR unexpected EOF", "error": `"error":{"message"`, "wrong-usage:3": `"completion_tokens":36`, "reasoning:3": `"reasoning_content":" `,
		} {
			if _, _, got := l.whole(t, "/v1/chat/completions", body, faultHeader, fault); !strings.Contains(got, want) {
				t.Errorf("%s: no %s in %s", fault, want, got)
			}
		}
		if _, _, got := l.whole(t, "/v1/chat/completions", body, faultHeader, "no-usage"); strings.Contains(got, "usage") || !json.Valid([]byte(got)) {
			t.Error(got)
		}
	})
}

// With a chance the same requests meet the same faults in each run, repeated
// bodies are drawn anew, and the share is the one that was asked for.
func TestFaultChances(t *testing.T) {
	run := func(seed uint64) (pattern string) {
		var faults []Fault
		for _, text := range []string{"503@0.25", "no-done@0.5"} {
			f, err := ParseFault(text)
			if err != nil {
				t.Fatal(err)
			}
			faults = append(faults, f)
		}
		inBubbleServing(t, Serving{Faults: faults}, Config{Seed: seed}, func(t *testing.T, l *lab) {
			for range 200 {
				status, _, text := l.whole(t, "/v1/chat/completions", chatBody(20, 1))
				switch {
				case status == http.StatusServiceUnavailable:
					pattern += "5"
				case strings.Contains(text, "[DONE]"):
					pattern += "."
				default:
					pattern += "d"
				}
			}
		})
		return pattern
	}
	first := run(1)
	if again := run(1); again != first {
		t.Errorf("two runs differ:\n%s\n%s", first, again)
	}
	if other := run(2); other == first {
		t.Error("another seed gives the same faults")
	}
	refused, bare := strings.Count(first, "5"), strings.Count(first, "d")
	if refused < 30 || refused > 70 || bare < 50 || bare > 100 {
		t.Errorf("%d of 200 refused and %d without [DONE], want about 50 and 75", refused, bare)
	}
}

// Times of faults are the engine's: a scaled clock shortens them.
func TestFaultTimes(t *testing.T) {
	for _, scale := range []float64{1, 10} {
		inBubbleServing(t, Serving{TimeScale: scale}, Config{}, func(t *testing.T, l *lab) {
			begin := time.Now()
			l.whole(t, "/v1/chat/completions", chatBody(20, 5), faultHeader, "stall:50s,2")
			real := time.Duration(50 * float64(time.Second) / scale)
			if took := time.Since(begin); took < real || took > real+time.Second {
				t.Errorf("at %g it took %s, want about %s", scale, took, real)
			}
		})
	}
}
