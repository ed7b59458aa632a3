package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
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
		Condition: func(name string) (bool, error) {
			if name != "racing" {
				return false, fmt.Errorf("there is no condition %q", name)
			}
			return racing(), nil
		},
		RequireExplicitExec: true,
	})
}

// racing reports whether the race detector is on. It slows a virtual run, which is one
// goroutine, tenfold and finds nothing there.
func racing() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
