package dataset

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/tidwall/gjson"
)

// The formats that are read, by the name that [Open] takes.
const (
	JSONL    = "jsonl"        // one's own requests, an object a line
	ShareGPT = "sharegpt"     // conversations
	Mooncake = "mooncake"     // times, lengths and block hashes, an object a line
	Azure    = "azure"        // the CSV of the Azure LLM inference traces of 2023 and 2024
	BurstGPT = "burstgpt"     // the CSV of the BurstGPT traces
	Batch    = "openai-batch" // whole requests, an object a line
)

// Formats lists the names of the formats.
func Formats() []string { return []string{JSONL, ShareGPT, Mooncake, Azure, BurstGPT, Batch} }

// readers has, for each format, what is read and how a file of it is recognised.
var readers = map[string]struct {
	read  func(*gathering, *bufio.Reader) error
	looks string
}{
	JSONL:    {readJSONL, "an object a line with prompt, messages, turns or input_tokens"},
	ShareGPT: {readShareGPT, "objects with conversations"},
	Mooncake: {readMooncake, "an object a line with input_length"},
	Azure:    {readAzure, "CSV with the columns TIMESTAMP, ContextTokens, GeneratedTokens"},
	BurstGPT: {readBurstGPT, "CSV with the columns Timestamp, Request tokens, Response tokens"},
	Batch:    {readBatch, "an object a line with url and body"},
}

// sniff recognises the format by the first line that is not blank, and gives back
// the whole text.
func sniff(in *bufio.Reader, name string, longest int) (string, *bufio.Reader, error) {
	var taken []byte
	for {
		if head, _ := in.Peek(1); string(head) == "[" {
			// A list may be one line of any length. Only ShareGPT's files are one.
			return ShareGPT, rejoin(taken, in), nil
		}
		start := len(taken)
		chunk, err := in.ReadSlice('\n')
		for err == bufio.ErrBufferFull && len(taken) <= longest {
			taken = append(taken, chunk...)
			chunk, err = in.ReadSlice('\n')
		}
		taken = append(taken, chunk...)
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return "", nil, fmt.Errorf("reading %s: %w", name, err)
		}
		line := bytes.TrimSpace(taken[start:])
		if len(line) == 0 && err == nil && len(taken) <= longest {
			continue
		}
		if format := recognise(line); format != "" {
			return format, rejoin(taken, in), nil
		}
		return "", nil, unrecognised(name, line)
	}
}

func rejoin(taken []byte, rest *bufio.Reader) *bufio.Reader {
	if len(taken) == 0 {
		return rest
	}
	return bufio.NewReaderSize(io.MultiReader(bytes.NewReader(taken), rest), 1<<16)
}

// recognise gives the format that a first line belongs to, or "".
func recognise(line []byte) string {
	if len(line) == 0 {
		return ""
	}
	switch line[0] {
	case '[':
		return ShareGPT
	case '{':
		if !json.Valid(line) {
			return ""
		}
		has := map[string]bool{}
		gjson.ParseBytes(line).ForEach(func(key, _ gjson.Result) bool {
			has[key.Str] = true
			return true
		})
		switch {
		case has["conversations"]:
			return ShareGPT
		case has["body"] && (has["url"] || has["custom_id"]):
			return Batch
		case has["input_length"]:
			return Mooncake
		case has["prompt"], has["messages"], has["turns"], has["input_tokens"]:
			return JSONL
		}
		return ""
	}
	columns := columnsOf(strings.Split(string(line), ","))
	_, context := columns["contexttokens"]
	_, generated := columns["generatedtokens"]
	_, request := columns["request tokens"]
	_, response := columns["response tokens"]
	switch {
	case context || generated:
		return Azure
	case request || response:
		return BurstGPT
	}
	return ""
}

func unrecognised(name string, line []byte) error {
	var tried []string
	for _, format := range Formats() {
		tried = append(tried, format+" ("+readers[format].looks+")")
	}
	return fmt.Errorf("the format of %s cannot be told from its first line, %q; tried %s", name, excerpt(line), strings.Join(tried, ", "))
}

// lines reads text a line at a time.
type lines struct {
	*gathering
	in *bufio.Reader
	// number is that of the last line, from 1.
	number int
	buffer []byte
}

// next gives the next line that is not blank, without white space around it, valid
// until the next call; io.EOF after the last.
func (l *lines) next() ([]byte, error) {
	for {
		l.number++
		line, err := l.in.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			l.buffer = append(l.buffer[:0], line...)
			for err == bufio.ErrBufferFull && len(l.buffer) <= l.longest {
				line, err = l.in.ReadSlice('\n')
				l.buffer = append(l.buffer, line...)
			}
			line = l.buffer
		}
		switch {
		case len(line) > l.longest:
			return nil, l.tooLong(l.number, "the line")
		case err != nil && err != io.EOF:
			return nil, fmt.Errorf("reading line %d of %s: %w", l.number, l.file, err)
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return line, nil
		}
		if err == io.EOF {
			return nil, io.EOF
		}
	}
}

func (g *gathering) tooLong(line int, what string) error {
	return g.malformed(line, "less than that", "%s goes on for more than %d bytes", what, g.longest)
}

// columnsOf gives the place of each column by its name in lower case.
func columnsOf(header []string) map[string]int {
	places := make(map[string]int, len(header))
	for i, name := range header {
		name = strings.ToLower(strings.Trim(name, " \t\r\""))
		if _, twice := places[name]; !twice {
			places[name] = i
		}
	}
	return places
}
