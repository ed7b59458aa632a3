package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/inferbook/inferbook/experiment"
)

var update = flag.Bool("update", false, "write the expected outputs again")

// still gives a program whose clock stands still and whose identities are
// fixed, so that what it prints can be compared.
func still(t *testing.T, out *bytes.Buffer, db string) *program {
	t.Helper()
	now := func() time.Time { return time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC) }
	return &program{
		in: strings.NewReader(""), out: out, err: &bytes.Buffer{}, now: now, ids: experiment.NewSeededIDs(1, now),
		host: noHost,
		env: func(name string) string {
			if name == "INFERBOOK_DB" {
				return db
			}
			return ""
		},
	}
}

// TestREADME runs each command of the README's worked example and compares what
// it prints on standard output with what the README shows.
func TestREADME(t *testing.T) {
	if racing() {
		t.Skip("virtual runs alone; make theory runs them without the race detector")
	}
	path, err := filepath.Abs("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TZ", "UTC")
	t.Chdir(t.TempDir())
	var after []string
	inside, ran := false, 0
	var ids *experiment.IDs // of all commands: they write one notebook
	for _, line := range strings.Split(string(before), "\n") {
		switch {
		case line == "```console":
			inside = true
		case line == "```":
			inside = false
		}
		command, is := strings.CutPrefix(line, "$ inferbook ")
		if inside && !is && line != "```console" {
			continue // an output, which the command before it gives again
		}
		after = append(after, line)
		if !inside || !is {
			continue
		}
		ran++
		var out bytes.Buffer
		p := still(t, &out, "experiments.db")
		if ids == nil {
			ids = p.ids
		}
		p.ids = ids
		command, quiet := strings.CutSuffix(command, " > /dev/null")
		if code := p.run(t.Context(), words(t, command)); code != exitOK {
			t.Fatalf("%s: exit status %d: %s", command, code, p.err)
		}
		if text := strings.TrimRight(out.String(), "\n"); text != "" && !quiet {
			after = append(after, strings.Split(text, "\n")...)
		}
	}
	if ran == 0 {
		t.Fatal("the README shows no command with its output")
	}
	if *update {
		if err := os.WriteFile(path, []byte(strings.Join(after, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(string(before), "\n"), after); diff != "" {
		t.Errorf("README.md (−shown +printed); `make golden` writes it again:\n%s", diff)
	}
}

// words splits a command as a shell does, for the quotes that the README uses.
func words(t *testing.T, command string) []string {
	t.Helper()
	parts := strings.Split(command, `"`)
	if len(parts)%2 == 0 {
		t.Fatalf("unbalanced quotes: %s", command)
	}
	var out []string
	for i, part := range parts {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}
