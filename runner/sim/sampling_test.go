package sim

import "testing"

func TestAnswerLength(t *testing.T) {
	s, err := NewServer(Config{MaxModelLen: 1000})
	if err != nil {
		t.Fatal(err)
	}
	hi, four := ChatContent([]Message{{Text: "hi"}}), int64(4)
	natural, other := naturalLength(hi, nil), naturalLength(hi, &four)
	if natural == other {
		t.Errorf("another seed ends the answer at %d too", other)
	}
	for _, tc := range []struct {
		name          string
		api           api
		body          string
		limit, output int
		stopped       bool
	}{
		{"the limit is reached when told to go on", chat, `{"messages":[{"content":"hi"}],"max_tokens":500,"ignore_eos":true}`, 500, 500, false},
		{"the newer name comes first", chat, `{"messages":[{"content":"hi"}],"max_tokens":500,"max_completion_tokens":7}`, 7, 7, false},
		{"else it stops by itself", chat, `{"messages":[{"content":"hi"}],"max_tokens":900}`, 900, natural, true},
		{"with another seed elsewhere", chat, `{"messages":[{"content":"hi"}],"max_tokens":900,"seed":4}`, 900, other, true},
		{"whatever the limit", chat, `{"messages":[{"content":"hi"}]}`, 992, natural, true},
		{"but not before the least asked for", chat, `{"messages":[{"content":"hi"}],"min_tokens":950}`, 992, 950, true},
		{"without a limit and told to go on", chat, `{"messages":[{"content":"hi"}],"ignore_eos":true}`, 992, 992, false},
		{"a completion's own default", completion, `{"prompt":"hi"}`, 16, 16, false},
		{"an embedding has one step", embeddings, `{"input":"hi"}`, 1, 1, false},
	} {
		g, err := s.parse(tc.api, []byte(tc.body), 0)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if p := g.prompts[0]; p.limit != tc.limit || p.output != tc.output || p.stopped != tc.stopped {
			t.Errorf("%s: limit %d, output %d, stopped %v; want %d, %d, %v", tc.name, p.limit, p.output, p.stopped, tc.limit, tc.output, tc.stopped)
		}
	}
}

// Natural lengths have the mean and the tail of the conversations they come from.
func TestNaturalLengths(t *testing.T) {
	const n = 20000
	sum, over := 0, 0
	for i := range n {
		length := naturalLength(TokensContent([]int{i}), nil)
		sum += length
		if length > 424 {
			over++
		}
		if length < 7 || length > 1000 {
			t.Fatalf("a length of %d", length)
		}
	}
	if mean := float64(sum) / n; mean < 205 || mean > 221 {
		t.Errorf("a mean of %.1f tokens, want 213", mean)
	}
	if share := float64(over) / n; share < .09 || share > .11 {
		t.Errorf("%.3f of the answers are over the 90th percentile", share)
	}
}

// A stop text ends the answer with the token that completes it, and is not shown.
func TestStopTexts(t *testing.T) {
	content := TextContent("hi")
	text := content.Answer(0, 20)
	for _, tc := range []struct {
		name    string
		stops   []string
		least   int
		include bool
		output  int
		shown   int
	}{
		{"a token", []string{text[8:12]}, 0, false, 3, 8},
		{"across tokens", []string{text[6:14]}, 0, false, 4, 6},
		{"shown when asked for", []string{text[6:14]}, 0, true, 4, 14},
		{"the first of several", []string{text[40:44], text[6:14]}, 0, false, 4, 6},
		{"one that does not occur", []string{"#"}, 0, false, 20, -1},
		{"not before the least", []string{text[6:14]}, 4, false, 20, -1},
	} {
		p := prompt{content: content, output: 20, limit: 20, shown: -1}
		p.stopAt(tc.stops, tc.least, tc.include)
		if p.output != tc.output || p.shown != tc.shown || p.stopped != (tc.shown >= 0) {
			t.Errorf("%s: output %d, shown %d, stopped %v; want %d and %d", tc.name, p.output, p.shown, p.stopped, tc.output, tc.shown)
		}
	}
}
