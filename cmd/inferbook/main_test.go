package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"inferbook": func() { os.Exit(Main()) },
	})
}

// TestScripts runs the program as a person would: each file in testdata/script
// is a session, with the commands and what they print.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("TZ", "UTC")
			// Under the race detector a program sleeps for a second before it exits,
			// to catch late reports; here that is most of the time.
			e.Setenv("GORACE", "atexit_sleep_ms=10")
			e.Setenv("OPENAI_API_KEY", "")
			e.Setenv("OPENAI_BASE_URL", "")
			return nil
		},
		RequireExplicitExec: true,
	})
}
