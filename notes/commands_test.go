package notes

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// grammar is what the commands shown in the readings may use: the flags of each
// command, and for those that take a word from a list, that list.
var grammar = map[string]map[string][]string{
	"run": {
		"--base-url": nil, "--model": nil, "-n": nil, "--duration": nil, "--stream": {}, "--no-stream": {},
		"--concurrency": nil, "--input-tokens": nil, "--output-tokens": nil, "--repeat": nil, "--warmup": nil,
		"--rate": nil, "--arrival": nil, "--max-concurrency": nil, "--class": nil, "--slo": nil,
		"--jitter": nil, "--gpus": nil, "--virtual": {}, "--extra": nil, "--name": nil, "--tag": nil, "-m": nil,
		"--gpu":       {"a10g", "l4", "l40s", "a100-40", "a100-80-sxm", "h100-sxm", "h200-sxm"},
		"--runtime":   {"vllm-like", "hf-static"},
		"--precision": {"bf16", "fp8"},
		"--endpoint":  {"completions"},
	},
	"show":            {},
	"curve":           {"-o": nil},
	"cost":            {"--price": nil, "--price-date": nil, "--price-source": nil},
	"note":            {"--reading": nil, "-m": nil},
	"readings":        {},
	"readings show":   {},
	"readings status": {},
	"report new":      {"-o": nil},
	"report html":     {},
	"ls":              {},
}

// simulated are the models that a run without an endpoint knows.
var simulated = []string{"llama-3.1-8b", "llama-3.1-70b", "qwen3-8b", "qwen3-32b", "llama-2-7b"}

// Every command in a code block is one that the program understands.
func TestCommandsKeepToTheGrammar(t *testing.T) {
	names, err := fs.Glob(FS(), "*.md")
	if err != nil {
		t.Fatal(err)
	}
	slugs := []string{}
	for _, e := range readings(t) {
		slugs = append(slugs, e.Slug)
	}
	for _, name := range names {
		seen := 0
		for line := range blockLines(contents(t, name)) {
			seen++
			if fault := commandFault(line, slugs); fault != "" {
				t.Errorf("%s: %s: %s", name, line, fault)
			}
		}
		if seen == 0 {
			t.Errorf("%s shows no command", name)
		}
	}
}

// blockLines yields the lines of the blocks marked sh.
func blockLines(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		in := false
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			switch {
			case line == "```sh":
				in = true
			case line == "```":
				in = false
			case in && !yield(line):
				return
			}
		}
	}
}

// commandFault says what is wrong with a command; empty = nothing.
func commandFault(line string, slugs []string) string {
	words := shellWords(line)
	if len(words) < 2 || words[0] != "inferbook" {
		return "not a command of inferbook"
	}
	command, args := words[1], words[2:]
	if len(args) > 0 {
		if _, ok := grammar[command+" "+args[0]]; ok {
			command, args = command+" "+args[0], args[1:]
		}
	}
	flags, ok := grammar[command]
	if !ok {
		return "no such command"
	}
	endpoint := slices.Contains(args, "--base-url")
	if command == "run" && !endpoint && !slices.Contains(args, "--virtual") {
		return "a simulated run in real time, which may take minutes"
	}
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		values, isFlag := flags[word]
		switch {
		case !isFlag && strings.HasPrefix(word, "-"):
			return "no flag " + word
		case !isFlag && strings.HasPrefix(command, "readings ") && !slices.Contains(slugs, word) && word != "read":
			return "no reading " + word
		case !isFlag || values != nil && len(values) == 0: // an argument, or a flag without a value
			continue
		case len(args) == 0:
			return word + " has no value"
		case values != nil && !slices.Contains(values, args[0]),
			word == "--model" && !endpoint && !slices.Contains(simulated, args[0]),
			word == "--reading" && !slices.Contains(slugs, args[0]):
			return word + " cannot be " + args[0]
		}
		args = args[1:]
	}
	return ""
}

// shellWords splits at blanks outside double quotes and drops a comment.
func shellWords(line string) []string {
	var words []string
	var word strings.Builder
	quoted, started := false, false
	flush := func() {
		if started {
			words = append(words, word.String())
		}
		word.Reset()
		started = false
	}
	for _, r := range line {
		switch {
		case r == '"':
			quoted, started = !quoted, true
		case r == ' ' && !quoted:
			flush()
		case r == '#' && !quoted && !started:
			return words
		default:
			word.WriteRune(r)
			started = true
		}
	}
	flush()
	return words
}
