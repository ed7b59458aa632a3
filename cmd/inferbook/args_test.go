package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPermute puts flags before arguments and leaves the meaning alone.
func TestPermute(t *testing.T) {
	app := (&program{env: func(string) string { return "" }}).app()
	for _, tc := range []struct {
		why      string
		in, want []string
	}{
		{"flags behind the argument go before it", []string{"note", "exp-3", "--reading", "x", "-m", "text"}, []string{"note", "--reading", "x", "-m", "text", "--", "exp-3"}},
		{"a bool flag takes no value", []string{"tag", "exp-3", "--remove", "a"}, []string{"tag", "--remove", "--", "exp-3", "a"}},
		{"--flag=value is one word", []string{"show", "exp-3", "--db=a b.db"}, []string{"show", "--db=a b.db", "--", "exp-3"}},
		{"-- ends the flags", []string{"rename", "exp-3", "--", "--odd"}, []string{"rename", "--", "exp-3", "--odd"}},
		{"subcommands are walked by name", []string{"readings", "show", "x", "--json"}, []string{"readings", "show", "--json", "--", "x"}},
		{"an unknown flag is passed on for cli to report", []string{"show", "exp-3", "--wat"}, []string{"show", "--wat", "--", "exp-3"}},
		{"a value that looks like a flag stays with its flag", []string{"note", "exp-3", "-m", "-1 % is noise"}, []string{"note", "-m", "-1 % is noise", "--", "exp-3"}},
		{"a flag without its value is left for cli to report", []string{"show", "exp-3", "--db"}, []string{"show", "--db", "--", "exp-3"}},
		{"no command, only flags", []string{"--version"}, []string{"--version"}},
		{"nothing at all", nil, nil},
	} {
		got, err := permute(app, tc.in)
		if err != nil {
			t.Errorf("%s: %v", tc.why, err)
			continue
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (−want +got):\n%s", tc.why, diff)
		}
	}
}

// TestPermuteIsIdempotent: what is in order stays in order.
func TestPermuteIsIdempotent(t *testing.T) {
	app := (&program{env: func(string) string { return "" }}).app()
	once, err := permute(app, []string{"note", "exp-3", "--reading", "x", "-m", "text"})
	if err != nil {
		t.Fatal(err)
	}
	twice, err := permute(app, once)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(once, twice); diff != "" {
		t.Error(diff)
	}
}

// TestHelpNamesEveryFlagOfRun keeps the flags that README and readings use.
func TestHelpNamesEveryFlagOfRun(t *testing.T) {
	app := (&program{env: func(string) string { return "" }}).app()
	run := find(app.Commands, "run")
	for _, name := range []string{"base-url", "api-key-file", "model", "stream", "no-stream", "concurrency", "requests", "duration", "input-tokens",
		"output-tokens", "warmup", "repeat", "extra", "virtual", "gpu", "runtime", "yes", "json", "db"} {
		found := false
		for _, f := range run.Flags {
			for _, n := range f.Names() {
				found = found || n == name
			}
		}
		if !found {
			t.Errorf("run has no flag --%s, which the README and the readings name", name)
		}
	}
}
