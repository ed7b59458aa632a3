package dataset

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func lengths(at time.Duration, input, output int) Item {
	return Item{At: at, Turns: []Turn{{Prompt: input, Output: output}}}
}

func user(text string) Message { return Message{"user", text} }

// Each format's file, as it is and recognised by its content, gives these items.
func TestFilesOfEachFormat(t *testing.T) {
	asked := func(m ...Message) Turn { return Turn{Messages: m, Prompt: Unknown, Output: Unknown} }
	answered := func(chars int, m ...Message) Turn { t := asked(m...); t.AnswerChars = chars; return t }
	for _, c := range []struct {
		file string
		want Set
	}{
		{"azure.csv", Set{Format: Azure, Items: []Item{lengths(0, 100, 20), lengths(2250*time.Millisecond, 300, 40)},
			Warnings: []string{"1 of 3 rows left out: 0 input or 0 output tokens"}}},
		{"burstgpt.csv", Set{Format: BurstGPT, Items: []Item{lengths(0, 40, 8), lengths(1750*time.Millisecond, 60, 9)},
			Models: []string{"small", "large"}, Warnings: []string{"1 of 3 rows left out: 0 input or 0 output tokens"}}},
		{"mooncake.jsonl", Set{Format: Mooncake, Items: []Item{
			{Turns: []Turn{{Prompt: 600, Output: 5}}, Blocks: []uint64{1, 2}},
			{At: 250 * time.Millisecond, Turns: []Turn{{Prompt: 512, Output: 6}}, Blocks: []uint64{1}}}}},
		{"sharegpt.json", Set{Format: ShareGPT, Items: []Item{
			{At: Unknown, Turns: []Turn{answered(9, Message{"system", "Be brief."}, user("What is a roofline?")), asked(user("And a knee?"))}},
			{At: Unknown, Turns: []Turn{asked(user("Hi"))}}},
			Warnings: []string{"1 of 3 conversations left out: nothing is asked"}}},
		{"batch.jsonl", Set{Format: Batch, Endpoint: "/v1/chat/completions", Models: []string{"m"}, Items: []Item{
			{At: Unknown, Turns: []Turn{{Prompt: Unknown, Output: 7}}, Body: json.RawMessage(`{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 7}`)},
			{At: Unknown, Turns: []Turn{asked()}, Body: json.RawMessage(`{"model": "m", "messages": [], "stream": true}`)}}}},
		{"own.jsonl", Set{Format: JSONL, Items: []Item{
			{Turns: []Turn{{Messages: []Message{user("Name three rivers.")}, Prompt: Unknown, Output: 30}}},
			{At: 500 * time.Millisecond, Turns: []Turn{asked(Message{"system", "Be brief."}, user("Hi")),
				{Messages: []Message{user("Go on.")}, Prompt: Unknown, Output: Unknown, Think: 2500 * time.Millisecond}}},
			{At: 2 * time.Second, Turns: []Turn{{Prompt: 50, Output: 5}, {Prompt: 60, Output: Unknown, Think: time.Second}}}}}},
	} {
		path := filepath.Join("testdata", c.file)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		plain := string(raw)
		for variant, text := range map[string]string{
			"as it is":                          plain,
			"with CRLF":                         strings.ReplaceAll(plain, "\n", "\r\n"),
			"with a byte order mark":            byteOrderMark + plain,
			"with blank lines":                  "\n \n" + strings.ReplaceAll(plain, "\n", "\n\n"),
			"without a line break at the end":   strings.TrimSpace(plain),
			"compressed":                        compressed(plain),
			"compressed with a byte order mark": compressed(byteOrderMark + plain),
		} {
			sum := sha256.Sum256([]byte(text))
			c.want.SHA256 = hex.EncodeToString(sum[:])
			for _, format := range []string{"", "auto", c.want.Format} {
				got, err := Read(strings.NewReader(text), c.file, format)
				if err != nil {
					t.Errorf("%s %s as %q: %v", c.file, variant, format, err)
				} else if diff := cmp.Diff(&c.want, got); diff != "" {
					t.Errorf("%s %s as %q (-want +got):\n%s", c.file, variant, format, diff)
				}
			}
		}
		if got, err := Open(path, ""); err != nil || got.Format != c.want.Format {
			t.Errorf("Open(%s) = %v, %v", path, got, err)
		}
	}
}

func compressed(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(text))
	z.Close()
	return b.String()
}

const (
	azureHeader = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
	burstHeader = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
)

// What a person writes and other tools save differs in ways that change nothing.
func TestToleratedVariants(t *testing.T) {
	two := []Item{lengths(0, 10, 1), lengths(time.Second, 20, 2)}
	blocks := func(b ...uint64) Item {
		return Item{Turns: []Turn{{Prompt: 10, Output: 1}}, Blocks: b}
	}
	for _, c := range []struct {
		name, format, text string
		want               []Item
		warning            string
	}{
		{"dates with a zone, as in 2024", "", azureHeader + "2024-05-10 00:00:00.009930+00:00,10,1\n2024-05-10 01:00:01.00993+01:00,20,2\n", two, ""},
		{"dates with a T", "", azureHeader + "2024-05-10T00:00:00Z,10,1\n2024-05-10T00:00:01,20,2\n", two, ""},
		{"header in another case and order", "", " generatedtokens ,\"ContextTokens\",TimeStamp,Extra\n1,10,2024-05-10 00:00:00,x\n2,20,2024-05-10 00:00:01,y\n", two, ""},
		{"commas at the end", "", burstHeader + "5,m,10,1,11,x,,\n6,m,20,2,22,x,,\n,,,,,,,\n", two, ""},
		{"quoted fields", "", burstHeader + "\"5\",\"a, b\",\"10\",1,11,\"x\ny\"\n6, \"m\",20,2,22,x\n", two, ""},
		{"whole numbers as fractions", "", burstHeader + "5.0,m,10.0,1.0,11,x\n6.0,m,2e1,2,22,x\n", two, ""},
		{"out of order", "", burstHeader + "6,m,20,2,22,x\n5,m,10,1,11,x\n", two, "the times were not in order (line 3 was the first that came late), so the items are sorted by time"},
		{"fields that mean nothing", "", `{"input_tokens":10,"output_tokens":1,"at":"2026-01-31T10:00:00Z","id":7}` + "\n" + `{"input_tokens":20,"max_tokens":2,"timestamp":"2026-01-31 10:00:01"}`,
			two, "1 line with fields that are not read: id"},
		{"null is none", "", `{"input_tokens":10,"output_tokens":1,"at":null,"prompt":null,"session":null}`, []Item{lengths(Unknown, 10, 1)}, ""},
		{"think time before a first turn", "", `{"input_tokens":10,"output_tokens":1,"think_time":3}`, []Item{lengths(Unknown, 10, 1)},
			"1 first turn with a think_time, which is left out: only a later turn can have one"},
		{"time of a later turn", "", `{"input_tokens":10,"output_tokens":1,"session":1,"at":3}` + "\n" + `{"input_tokens":20,"output_tokens":2,"session":1,"at":4}`,
			[]Item{{Turns: []Turn{{Prompt: 10, Output: 1}, {Prompt: 20, Output: 2}}}},
			"1 later turn with a time, which is left out: a turn of a session follows the answer before it"},
		{"large hashes", "", `{"timestamp":0,"input_length":10,"output_length":1,"hash_ids":[18446744073709551615]}`, []Item{blocks(18446744073709551615)}, ""},
		{"hashes of another block size", "", `{"timestamp":0.5,"input_length":10,"output_length":1,"hash_ids":[1,2,3]}`, []Item{blocks(1, 2, 3)},
			"1 row with another number of hash_ids than the input_length needs at 512 tokens a block"},
		{"conversations one a line", "", `{"conversations":[{"from":"user","value":"A"}]}` + "\n" + `{"conversations":[{"from":"human","value":"B"},{"from":"system","value":"S"},{"from":"bard","value":null},{"from":"human","value":"C"}]}`,
			[]Item{{At: Unknown, Turns: []Turn{{Messages: []Message{user("A")}, Prompt: Unknown, Output: Unknown}}},
				{At: Unknown, Turns: []Turn{{Messages: []Message{user("B")}, Prompt: Unknown, Output: Unknown},
					{Messages: []Message{{"system", "S"}, user("C")}, Prompt: Unknown, Output: Unknown}}}}, ""},
	} {
		got, err := Read(strings.NewReader(c.text), "x", c.format)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if diff := cmp.Diff(c.want, got.Items); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if warning := strings.Join(got.Warnings, "\n"); warning != c.warning {
			t.Errorf("%s warns %q, want %q", c.name, warning, c.warning)
		}
	}
}

func TestMalformed(t *testing.T) {
	const ok = `{"prompt":"a"}` + "\n"
	const chat = `{"custom_id":"1","method":"POST","url":"/v1/completions","body":{}}` + "\n"
	long := strings.Repeat("é", 100)
	for _, c := range []struct{ name, format, text, want string }{
		// Azure
		{"date", "", azureHeader + "yesterday,1,1\n", `x:2: TIMESTAMP is "yesterday"; expected a time such as 2023-11-16 18:15:46.6805900`},
		{"year", "", azureHeader + "0001-01-01 00:00:00,1,1\n", `x:2: TIMESTAMP is "0001-01-01 00:00:00"; expected a time such as 2023-11-16 18:15:46.6805900`},
		{"count", "", azureHeader + "2023-11-16 18:15:46,1,1\n2023-11-16 18:15:46,many,1\n", `x:3: ContextTokens is "many"; expected a whole number from 1 to 100000000`},
		{"negative", "", azureHeader + "2023-11-16 18:15:46,1,-1\n", `x:2: GeneratedTokens is "-1"; expected a whole number from 1 to 100000000`},
		{"fraction", "", azureHeader + "2023-11-16 18:15:46,1,1.5\n", `x:2: GeneratedTokens is "1.5"; expected a whole number from 1 to 100000000`},
		{"too many", "", azureHeader + "2023-11-16 18:15:46,100000001,1\n", `x:2: ContextTokens is "100000001"; expected a whole number from 1 to 100000000`},
		{"short row", "", azureHeader + "\n2023-11-16 18:15:46,1\n", `x:3: 2 columns in "2023-11-16 18:15:46,1"; expected 3 columns, of which number 3 is GeneratedTokens`},
		{"no column", "", "TIMESTAMP,ContextTokens\n", `x:1: no column GeneratedTokens in "TIMESTAMP,ContextTokens"; expected a header with TIMESTAMP, ContextTokens, GeneratedTokens`},
		{"no header", Azure, ",,\n", `x:1: no header; expected a header with TIMESTAMP, ContextTokens, GeneratedTokens`},
		// BurstGPT
		{"seconds", "", burstHeader + "-1,m,1,1,2,x\n", `x:2: Timestamp is "-1"; expected seconds from 0`},
		{"milliseconds since 1970", "", burstHeader + "1700000000000,m,1,1,2,x\n", `x:2: Timestamp is "1700000000000"; expected seconds from 0`},
		{"not a number", "", burstHeader + "NaN,m,1,1,2,x\n", `x:2: Timestamp is "NaN"; expected seconds from 0`},
		{"stray quote", "", burstHeader + "1,m\"m,1,1,2,x\n", `x:2: a quote out of place (bare " in non-quoted-field); expected fields between commas, each plain or in closed quotes`},
		{"open quote", "", burstHeader + "1,\"m,1,1,2,x\n2,m,1,1,2,x\n", `x:2: a quote out of place (extraneous or missing " in quoted-field); expected fields between commas, each plain or in closed quotes`},
		{"line after a quoted line break", "", burstHeader + "1,\"a\nb\",1,1,2,x\n2,m,?,1,2,x\n", `x:4: Request tokens is "?"; expected a whole number from 1 to 100000000`},
		// Mooncake
		{"text", "", `{"timestamp":0,"input_length":"abc","output_length":1}`, `x:1: input_length is "abc"; expected a whole number from 1 to 100000000`},
		{"missing", "", `{"timestamp":0,"input_length":1}`, `x:1: no output_length; expected a whole number from 1 to 100000000`},
		{"no time", "", `{"input_length":1,"output_length":1}`, `x:1: no timestamp; expected a number of milliseconds from 0`},
		{"time as text", "", `{"timestamp":"1","input_length":1,"output_length":1}`, `x:1: timestamp is "1"; expected a number of milliseconds from 0`},
		{"hash", "", `{"timestamp":1,"input_length":1,"output_length":1,"hash_ids":[1,-2]}`, `x:1: hash_ids has -2; expected a list of whole numbers from 0`},
		{"hashes", "", `{"timestamp":1,"input_length":1,"output_length":1,"hash_ids":7}`, `x:1: hash_ids has 7; expected a list of whole numbers from 0`},
		{"Bailian", "", `{"chat_id":1,"timestamp":1.5,"input_length":1,"output_length":1}`, `x:1: chat_id is of a Bailian trace, whose timestamps are seconds and whose blocks are of 16 tokens; expected milliseconds and blocks of 512 tokens; rewrite the file so, without chat_id`},
		// own requests
		{"cut line", "", ok + "\n" + `{"prompt": "a`, `x:3: "{\"prompt\": \"a" is not JSON (unexpected end of JSON input); expected a JSON object`},
		{"two objects", "", ok + `{"prompt":"a"} {"prompt":"b"}`, `x:2: "{\"prompt\":\"a\"} {\"prompt\":\"b\"}" is not JSON (invalid character '{' after top-level value); expected a JSON object`},
		{"a number", "", ok + "7", `x:2: 7; expected a JSON object`},
		{"not UTF-8", "", ok + "{\"prompt\":\"\xff\"}", "x:2: \"{\\\"prompt\\\":\\\"\ufffd\\\"}\" has bytes that are not UTF-8; expected text in UTF-8"},
		{"nothing to ask", "", ok + `{"promt":"a"}`, `x:2: nothing to ask; expected one of prompt, messages, turns and input_tokens, such as {"prompt": "…"}`},
		{"empty prompt", "", `{"prompt":""}`, `x:1: prompt is ""; expected a text`},
		{"long value", "", `{"prompt":["` + long + `"]}`, `x:1: prompt is ["` + strings.Repeat("é", 77) + `…; expected a text`},
		{"prompt and messages", "", `{"prompt":"a","messages":[]}`, `x:1: both prompt and messages; expected one of them`},
		{"no messages", "", `{"messages":[]}`, `x:1: messages is []; expected a list such as [{"role": "user", "content": "…"}]`},
		{"role", "", `{"messages":[{"role":"tool","content":"a"}]}`, `x:1: message 1: role is "tool"; expected system, user or assistant`},
		{"content", "", `{"messages":[{"role":"user"}]}`, `x:1: message 1: content is missing; expected a text`},
		{"message", "", `{"messages":["a"]}`, `x:1: message 1: "a"; expected {"role": …, "content": …}`},
		{"last message", "", `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`, `x:1: the last message is "b" by the assistant; expected a text of the user's at the end`},
		{"zero", "", `{"input_tokens":0}`, `x:1: input_tokens is 0; expected a whole number from 1 to 100000000`},
		{"two limits", "", `{"prompt":"a","output_tokens":1,"max_tokens":2}`, `x:1: output_tokens is 1 and max_tokens 2; expected one of them, or the same number`},
		{"two times", "", `{"prompt":"a","at":1,"timestamp":1}`, `x:1: both timestamp and at; expected one of them`},
		{"a time too many", "", ok + `{"prompt":"a","at":1}`, `x:2: at is given and line 1 has no time; expected none, or one in every line`},
		{"a time too few", "", `{"prompt":"a","at":1}` + "\n" + ok, `x:2: no timestamp, while line 1 has a time; expected a time in every line, or in none`},
		{"two kinds of time", "", `{"prompt":"a","at":1}` + "\n" + `{"prompt":"a","at":"2026-01-31T18:15:46Z"}`, `x:2: at is "2026-01-31T18:15:46Z", and line 1 has the other kind of time; expected either seconds or dates in every line`},
		{"time", "", `{"prompt":"a","at":"noon"}`, `x:1: at is "noon"; expected a number of seconds from 0, or a time such as 2026-01-31T18:15:46.5Z`},
		{"think time", "", `{"prompt":"a","think_time":"5s"}`, `x:1: think_time is "5s"; expected a number of seconds from 0`},
		{"session", "", `{"prompt":"a","session":[]}`, `x:1: session is []; expected a name or a number`},
		{"no turns", "", `{"turns":[]}`, `x:1: turns is []; expected a list of turns such as [{"prompt": "…"}, {"prompt": "…", "think_time": 5}]`},
		{"a turn", "", `{"turns":[{"prompt":"a"},{"messages":[1]}]}`, `x:1: turn 2: message 1: 1; expected {"role": …, "content": …}`},
		{"beside turns", "", `{"turns":[{"prompt":"a"}],"max_tokens":5}`, `x:1: max_tokens beside turns; expected it within the turns`},
		// ShareGPT
		{"from", "", "[\n{\"conversations\":[]},\n{\"conversations\":[\n{\"from\":\"human\",\"value\":\"a\"},\n{\"from\":\"tool\",\"value\":\"a\"}]}]", `x:5: conversation 2: message 2: from is "tool"; expected human, gpt or system`},
		{"value", "", `[{"conversations":[{"from":"human","value":5}]}]`, `x:1: conversation 1: message 1: value is 5; expected a text`},
		{"no value", "", `[{"conversations":[{"from":"human","value":{}}]}]`, `x:1: conversation 1: message 1: value is {}; expected a text`},
		{"no conversations", "", "[\n\n{\"prompt\":\"a\"}]", `x:3: conversation 1: conversations is missing; expected a list such as [{"from": "human", "value": "…"}]`},
		{"text for a message", "", `[{"conversations":["a"]}]`, `x:1: conversation 1: message 1: "a"; expected {"from": …, "value": …}`},
		{"fault within", "", "[{\"conversations\":\n[{\"from\":\n}]}]", `x:3: "{\"conversations\": [{\"from\": }]}" is not JSON (invalid character '}' looking for beginning of value); expected a JSON object`},
		{"cut in a conversation", "", "[\n{\"conversations\":[", `x:2: the file ends within conversation 1, which begins here; expected its end`},
		{"cut after one", "", "[{\"conversations\":[]},\n", `x:2: the file ends within the list; expected ] after the last conversation`},
		{"no comma", "", "[{}\n{}]", `x:1: conversation 1: conversations is missing; expected a list such as [{"from": "human", "value": "…"}]`},
		{"comma forgotten", "", "[{\"conversations\":[]}\n{}]", `x:2: '{' after 1 conversations; expected conversations such as {"conversations": […]}, with commas between them in a list`},
		{"comma at the end", "", "[{\"conversations\":[]},]", `x:1: ']' after 1 conversations; expected conversations such as {"conversations": […]}, with commas between them in a list`},
		{"more after the list", "", "[{\"conversations\":[]}]\n{}", `x:2: '{' after the end of the list; expected nothing`},
		{"a list of numbers", "", "[1]", `x:1: '1' after 0 conversations; expected conversations such as {"conversations": […]}, with commas between them in a list`},
		// OpenAI batch
		{"url", "", `{"url":"/v1/images","body":{}}`, `x:1: url is "/v1/images"; expected one of /v1/chat/completions, /v1/completions, /v1/responses, /v1/embeddings`},
		{"no url", "", `{"custom_id":"1","body":{}}`, `x:1: no url; expected one of /v1/chat/completions, /v1/completions, /v1/responses, /v1/embeddings`},
		{"mixed urls", "", chat + `{"url":"/v1/embeddings","body":{}}`, `x:2: url is "/v1/embeddings"; expected the url of line 1, /v1/completions, in every line`},
		{"method", "", `{"method":"GET","url":"/v1/completions","body":{}}`, `x:1: method is "GET"; expected POST`},
		{"no body", "", chat + `{"url":"/v1/completions"}`, `x:2: no body; expected the request's object`},
		{"body", "", `{"url":"/v1/completions","body":[]}`, `x:1: body: []; expected a JSON object`},
		{"limit", "", `{"url":"/v1/completions","body":{"max_tokens":"all"}}`, `x:1: body: max_tokens is "all"; expected a whole number from 1 to 100000000`},
	} {
		_, err := Read(strings.NewReader(c.text), "x", c.format)
		var malformed *Malformed
		if !errors.As(err, &malformed) {
			t.Errorf("%s: error %v, want *Malformed %s", c.name, err, c.want)
		} else if err.Error() != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, err, c.want)
		}
	}
}

func TestWholeFileErrors(t *testing.T) {
	const tried = `tried jsonl (an object a line with prompt, messages, turns or input_tokens), sharegpt (objects with conversations), mooncake (an object a line with input_length), ` +
		`azure (CSV with the columns TIMESTAMP, ContextTokens, GeneratedTokens), burstgpt (CSV with the columns Timestamp, Request tokens, Response tokens), openai-batch (an object a line with url and body)`
	for _, c := range []struct{ name, format, text, want string }{
		{"empty", "", "", "x is empty; expected at least one request"},
		{"blank", "", " \n\r\n", "x is empty; expected at least one request"},
		{"only a byte order mark", Azure, byteOrderMark, "x is empty; expected at least one request"},
		{"binary", "", "PAR1\x00\x01", "x is a binary file; expected CSV, JSON, or one JSON object a line, plain or in gzip"},
		{"UTF-16", "", "\xff\xfea\x00", "x is text in UTF-16; save it as UTF-8"},
		{"LFS pointer", "", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "x is a Git LFS pointer, not the data that it stands for; fetch that with git lfs pull"},
		{"broken gzip", "", "\x1f\x8b\x08", "decompressing x: unexpected EOF"},
		{"cut gzip", "", compressed(azureHeader + "2023-11-16 18:15:46,1,1\n")[:60], "reading x: unexpected EOF"},
		{"header only", "", azureHeader, "x has no request to send; expected at least one"},
		{"empty list", "", "[]", "x has no request to send; expected at least one"},
		{"failed rows only", "", burstHeader + "1,m,0,0,0,x\n", "x has no request to send: none of its rows (1) has both input and output tokens"},
		{"nothing asked", "", `[{"conversations":[]}]`, "x has no request to send: none of its conversations (1) asks anything"},
		{"unknown format", "parquet", "a", `"parquet" is not a format of data files; write auto, jsonl, sharegpt, mooncake, azure, burstgpt, openai-batch`},
		{"other CSV", "", "a;b\n1;2\n", `the format of x cannot be told from its first line, "a;b"; ` + tried},
		{"other object", "", "{\"text\":1}\n", `the format of x cannot be told from its first line, "{\"text\":1}"; ` + tried},
		{"object over lines", "", "{\n\"prompt\":1}\n", `the format of x cannot be told from its first line, "{"; ` + tried},
	} {
		_, err := Read(strings.NewReader(c.text), "x", c.format)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.name, err, c.want)
		}
	}
	if _, err := Open("testdata", ""); err == nil || err.Error() != "testdata is a directory; name a file in it" {
		t.Errorf("a directory gives %v", err)
	}
	if _, err := Open("none.csv", ""); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "there is no file none.csv") {
		t.Errorf("a missing file gives %v", err)
	}
}

func TestRecognise(t *testing.T) {
	for line, want := range map[string]string{
		`[`:                                       ShareGPT,
		`[{"anything": 1}]`:                       ShareGPT,
		`{"conversations": []}`:                   ShareGPT,
		`{"custom_id": "1", "body": {}}`:          Batch,
		`{"url": "/v1/embeddings","body":{}}`:     Batch,
		`{"input_length": 1}`:                     Mooncake,
		`{"prompt": "{\"input_length\": 1}"}`:     JSONL,
		`{"messages": []}`:                        JSONL,
		`{"turns": []}`:                           JSONL,
		`{"input_tokens": 5}`:                     JSONL,
		`{"body": {"prompt": 1}}`:                 "",
		`{"prompt"`:                               "",
		`TIMESTAMP,ContextTokens,GeneratedTokens`: Azure,
		`TIMESTAMP,NumImages,ContextTokens,GeneratedTokens`:           Azure,
		`"timestamp" , "contexttokens"`:                               Azure,
		`Timestamp,Model,Request tokens,Response tokens,Total tokens`: BurstGPT,
		`response tokens`: BurstGPT,
		`timestamp,model`: "",
		`"prompt"`:        "",
		``:                "",
	} {
		if got := recognise([]byte(line)); got != want {
			t.Errorf("recognise(%s) = %q, want %q", line, got, want)
		}
	}
}

// A line of the greatest length is the last that is read.
func TestLineLimit(t *testing.T) {
	const head, tail = `{"prompt":"`, `"}`
	const longest = 1 << 18
	fill := strings.Repeat("a", longest-len(head)-len(tail))
	for _, c := range []struct{ name, format, text, want string }{
		{"the longest line", "", head + fill[1:] + tail + "\n", ""},
		{"a line too long", JSONL, "\n" + head + fill + "a" + tail + "\n", "x:2: the line goes on for more than 262144 bytes; expected less than that"},
		{"a conversation too long", "", "[\n" + head + fill + fill, "x:2: conversation 1 goes on for more than 262144 bytes; expected less than that"},
		{"an open quote", "", azureHeader + "\"" + fill + fill, "x:1: the record that follows, or an unclosed quote in it, goes on for more than 262144 bytes; expected less than that"},
	} {
		_, err := read(strings.NewReader(c.text), "x", c.format, longest)
		if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%s: %.200v, want %s", c.name, err, c.want)
		}
	}
}

func TestSummary(t *testing.T) {
	evenly := func(n int) (items []Item) {
		for i := range n {
			items = append(items, lengths(time.Duration(i)*250*time.Millisecond, i+1, Unknown))
		}
		return items
	}
	for _, c := range []struct {
		name  string
		items []Item
		want  string
	}{
		{"none", nil, "0 items; without times; input tokens unknown; output tokens unknown"},
		{"evenly", evenly(101), "101 items; 4/s (gap CV 0.00); input tokens mean 51, p50 51, p95 96; output tokens unknown"},
		{"two", evenly(2), "2 items; 4/s; input tokens mean 2, p50 1, p95 2; output tokens unknown"},
		{"one", evenly(1), "1 item; all at one time; input tokens mean 1, p50 1, p95 1; output tokens unknown"},
		// gaps of 1 and 3 s: mean 2, standard deviation √2
		{"unevenly", []Item{lengths(0, 1, 5), lengths(time.Second, 1, 5), lengths(4*time.Second, 1, 5)},
			"3 items; 0.5/s (gap CV 0.71); input tokens mean 1, p50 1, p95 1; output tokens mean 5, p50 5, p95 5"},
		{"turns", []Item{{At: Unknown, Turns: []Turn{{Prompt: 3, Output: 4}, {Prompt: Unknown, Output: 5}}}},
			"1 item of 2 turns; without times; input tokens mean 3, p50 3, p95 3 (known for 1); output tokens mean 5, p50 4, p95 5"},
	} {
		if got := (&Set{Items: c.items}).Summary().String(); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}
