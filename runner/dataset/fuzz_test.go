package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// fuzz reads anything as one format and checks what holds for every set.
func fuzz(f *testing.F, format, file string, seeds ...string) {
	raw, err := os.ReadFile("testdata/" + file)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range append(seeds, string(raw), "", "[]", "{}", "\xef\xbb\xbf", "\x1f\x8b") {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := Read(bytes.NewReader(text), "x", format)
		if err != nil {
			checkError(t, err, text)
			return
		}
		if format != "" && set.Format != format {
			t.Fatalf("format %q, want %q", set.Format, format)
		}
		checkSet(t, set)
	})
}

func checkError(t *testing.T, err error, text []byte) {
	var malformed *Malformed
	if errors.As(err, &malformed) {
		if last := bytes.Count(text, []byte("\n")) + 1; !bytes.HasPrefix(text, []byte("\x1f\x8b")) && (malformed.Line < 1 || malformed.Line > last) {
			t.Fatalf("line %d of %d: %v", malformed.Line, last, err)
		}
	}
	if message := err.Error(); len(message) > 2000 || strings.ContainsRune(message, '\n') {
		t.Fatalf("message %q", message)
	}
}

func checkSet(t *testing.T, set *Set) {
	if len(set.Items) == 0 || len(set.SHA256) != 64 {
		t.Fatalf("%d items, hash %q", len(set.Items), set.SHA256)
	}
	if first := set.Items[0].At; first != 0 && first != Unknown {
		t.Fatalf("the first item is at %v", first)
	}
	for i, item := range set.Items {
		if len(item.Turns) == 0 || item.Turns[0].Think != 0 {
			t.Fatalf("item %d: turns %v", i, item.Turns)
		}
		if i > 0 && (item.At < set.Items[i-1].At || (item.At == Unknown) != (set.Items[0].At == Unknown)) {
			t.Fatalf("item %d at %v after %v", i, item.At, set.Items[i-1].At)
		}
		if item.Body != nil && !json.Valid(item.Body) {
			t.Fatalf("item %d: body %s", i, item.Body)
		}
		for _, turn := range item.Turns {
			for _, n := range []int{turn.Prompt, turn.Output} {
				if n != Unknown && (n < 1 || n > MaxTokens) {
					t.Fatalf("item %d: %d tokens", i, n)
				}
			}
			if turn.Think < 0 || turn.AnswerChars < 0 {
				t.Fatalf("item %d: %+v", i, turn)
			}
			if n := len(turn.Messages); n > 0 && (turn.Messages[n-1].Role != "user" || turn.Messages[n-1].Content == "") {
				t.Fatalf("item %d: messages %v", i, turn.Messages)
			} else if n == 0 && turn.Prompt == Unknown && item.Body == nil {
				t.Fatalf("item %d asks nothing", i)
			}
		}
	}
	if s := set.Summary(); s.Items != len(set.Items) || s.String() == "" {
		t.Fatalf("summary %+v", s)
	}
}

func FuzzShareGPT(f *testing.F) {
	fuzz(f, ShareGPT, "sharegpt.json", `{"conversations":[{"from":"human","value":"\u0000\\\""}]}`, `[{"a":"]}","conversations":[{"from":"x"}]},{}]`)
}

func FuzzMooncake(f *testing.F) {
	fuzz(f, Mooncake, "mooncake.jsonl", `{"timestamp":1e300,"input_length":1e2,"output_length":1.0,"hash_ids":[[1],{}]}`)
}

func FuzzAzure(f *testing.F) {
	fuzz(f, Azure, "azure.csv", azureHeader+"2024-05-10 00:00:00.009930+00:00,1,1\n2023-05-10T00:00:00Z,1.0,1e3\n", azureHeader+"\"\n,\"")
}

func FuzzBurstGPT(f *testing.F) {
	fuzz(f, BurstGPT, "burstgpt.csv", burstHeader+"6,m,1,1,2,x\n5,\"m\n\",1,1,2,x\n", burstHeader+"0x1p-2,m,1_0,+1,2,x\n")
}

func FuzzBatch(f *testing.F) {
	fuzz(f, Batch, "batch.jsonl", `{"url":"/v1/embeddings","body":{"input":["a"],"model":null}}`)
}

func FuzzJSONL(f *testing.F) {
	fuzz(f, JSONL, "own.jsonl", `{"prompt":"a","session":1e1,"timestamp":"2026-01-31T18:15:46Z","input_tokens":5}`, `{"prompt":"a","prompt":null,"messages":[]}`)
}

func FuzzSniff(f *testing.F) {
	fuzz(f, "", "own.jsonl", azureHeader, burstHeader+"1,m,1,1,1,x", `[{"conversations":[]}]`, `{"url":"/v1/embeddings","body":{}}`, `{"input_length":1}`, "\n\n[", compressed(`{"prompt":"a"}`))
}

// What is written as own requests is read as it was.
func TestOwnRequestsReadBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		timed := rapid.Bool().Draw(rt, "timed")
		tokens := rapid.OneOf(rapid.Just(Unknown), rapid.IntRange(1, MaxTokens))
		text := rapid.StringN(1, 20, -1).Filter(func(s string) bool { return json.Valid([]byte(quoted(s))) && !strings.ContainsRune(s, '\ufffd') })
		var items []Item
		at := time.Duration(0)
		for i := range rapid.IntRange(1, 8).Draw(rt, "items") {
			item := Item{At: Unknown}
			if timed {
				if i > 0 {
					at += time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(rt, "gap"))
				}
				item.At = at
			}
			for turn := range rapid.IntRange(1, 3).Draw(rt, "turns") {
				tn := Turn{Prompt: tokens.Draw(rt, "prompt"), Output: tokens.Draw(rt, "output")}
				if turn > 0 {
					tn.Think = time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(rt, "think"))
				}
				for range rapid.IntRange(0, 2).Draw(rt, "messages") {
					role := rapid.SampledFrom([]string{"system", "user", "assistant"}).Draw(rt, "role")
					tn.Messages = append(tn.Messages, Message{role, text.Draw(rt, "content")})
				}
				if len(tn.Messages) > 0 || tn.Prompt == Unknown {
					tn.Messages = append(tn.Messages, user(text.Draw(rt, "question")))
				}
				item.Turns = append(item.Turns, tn)
			}
			items = append(items, item)
		}
		file := ownFile(items, rapid.Bool().Draw(rt, "sessions"))
		set, err := Read(strings.NewReader(file), "x", "auto")
		if err != nil {
			rt.Fatalf("%v in\n%s", err, file)
		}
		if diff := cmp.Diff(items, set.Items); diff != "" || len(set.Warnings) > 0 {
			rt.Fatalf("%v %s\n%s", set.Warnings, diff, file)
		}
	})
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// ownFile writes items as lists of turns, or as lines of one session.
func ownFile(items []Item, sessions bool) string {
	var b strings.Builder
	for i, item := range items {
		var turns []string
		for _, t := range item.Turns {
			var fields []string
			number := func(name string, value any) { fields = append(fields, fmt.Sprintf("%q: %v", name, value)) }
			if t.Prompt != Unknown {
				number("input_tokens", t.Prompt)
			}
			if t.Output != Unknown {
				number([]string{"output_tokens", "max_tokens"}[i%2], t.Output)
			}
			if t.Think != 0 {
				number("think_time", fmt.Sprintf("%.9f", t.Think.Seconds()))
			}
			switch {
			case len(t.Messages) == 1 && i%2 == 0:
				number("prompt", quoted(t.Messages[0].Content))
			case len(t.Messages) > 0:
				var list []string
				for _, m := range t.Messages {
					list = append(list, fmt.Sprintf(`{"role": %q, "content": %s}`, m.Role, quoted(m.Content)))
				}
				number("messages", "["+strings.Join(list, ", ")+"]")
			}
			turns = append(turns, strings.Join(fields, ", "))
		}
		at := ""
		if item.At != Unknown {
			at = fmt.Sprintf(`, "at": %.9f`, (item.At + 1700000000).Seconds())
		}
		if !sessions {
			fmt.Fprintf(&b, "{\"turns\": [{%s}]%s}\n", strings.Join(turns, "}, {"), at)
			continue
		}
		for k, turn := range turns {
			fmt.Fprintf(&b, "{%s, \"session\": %d%s}\n", turn, i, at)
			if k == 0 {
				at = ""
			}
		}
	}
	return b.String()
}

// Rows that come in any order are in order of time, and equal times keep theirs.
func TestSortedByTime(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		times := rapid.SliceOfN(rapid.IntRange(0, 20), 1, 50).Draw(rt, "times")
		var b strings.Builder
		b.WriteString(burstHeader)
		for i, at := range times {
			fmt.Fprintf(&b, "%d,m,%d,1,1,x\n", at, i+1)
		}
		set, err := Read(strings.NewReader(b.String()), "x", "")
		if err != nil {
			rt.Fatal(err)
		}
		if sorted := slices.IsSorted(times); sorted != (len(set.Warnings) == 0) {
			rt.Fatalf("%v: warnings %q", times, set.Warnings)
		}
		for i, item := range set.Items {
			k := item.Turns[0].Prompt - 1
			if want := time.Duration(times[k]-slices.Min(times)) * time.Second; item.At != want {
				rt.Fatalf("row %d is at %v, want %v", k, item.At, want)
			}
			if i > 0 && item.At == set.Items[i-1].At && k < set.Items[i-1].Turns[0].Prompt-1 {
				rt.Fatalf("rows of one time have changed places: %v", times)
			}
		}
	})
}

// BenchmarkBurstGPT reads a trace of 200,000 rows.
func BenchmarkBurstGPT(b *testing.B) {
	var text strings.Builder
	text.WriteString(burstHeader)
	const rows = 200_000
	for i := range rows {
		fmt.Fprintf(&text, "%d,ChatGPT,%d,%d,%d,Conversation log\n", i*7/2, 20+i%1500, 1+i%700, 21+i%1500+i%700)
	}
	benchmark(b, text.String(), rows)
}

// BenchmarkMooncake reads a trace of 20,000 rows of 24 blocks each.
func BenchmarkMooncake(b *testing.B) {
	var text strings.Builder
	const rows = 20_000
	for i := range rows {
		ids := make([]string, 24)
		for k := range ids {
			ids[k] = fmt.Sprint(i*24 + k)
		}
		fmt.Fprintf(&text, `{"timestamp": %d, "input_length": 12035, "output_length": 343, "hash_ids": [%s]}`+"\n", i*300, strings.Join(ids, ", "))
	}
	benchmark(b, text.String(), rows)
}

// BenchmarkShareGPT reads 5,000 conversations of four turns.
func BenchmarkShareGPT(b *testing.B) {
	const rows = 5_000
	turn := fmt.Sprintf(`{"from": "human", "value": "%s"}, {"from": "gpt", "value": "%s"}`, strings.Repeat("why is \\\"it\\\" so ", 20), strings.Repeat("because of that\\n", 60))
	conversation := `{"id": "x", "conversations": [` + strings.Join([]string{turn, turn, turn, turn}, ", ") + `]}`
	benchmark(b, "["+strings.Repeat(conversation+",\n", rows-1)+conversation+"]", rows)
}

func benchmark(b *testing.B, text string, rows int) {
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		set, err := Read(strings.NewReader(text), "x", "")
		if err != nil || len(set.Items) != rows {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
