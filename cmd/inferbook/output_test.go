package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

// TestUSD: three significant digits, with their zeros.
func TestUSD(t *testing.T) {
	for _, tc := range []struct {
		v    float64
		want string
	}{{14.306, "$14.31"}, {290.4, "$290"}, {0.2, "$0.200"}, {0.11, "$0.110"}, {0.00709, "$0.00709"}, {0, "$0.00"}} {
		if got := usd(tc.v); got != tc.want {
			t.Errorf("usd(%v) = %s, want %s", tc.v, got, tc.want)
		}
	}
}

// TestFitCountsWideCharacters: a name in Japanese takes two columns a character.
func TestFitCountsWideCharacters(t *testing.T) {
	for _, tc := range []struct{ columns, want string }{{"", "tags"}, {"24", "tags"}, {"22", "name"}} {
		var out bytes.Buffer
		p := &program{out: &out, env: func(string) string { return tc.columns }}
		header := p.fit([]any{"name", "tags"}, [][]any{{"日本語の名前", "größe 1234"}}, "tags")
		if got := header[len(header)-1]; got != tc.want {
			t.Errorf("at %q columns the last column is %v, want %s:\n%s", tc.columns, got, tc.want, &out)
		}
	}
}

// fullDisk takes no byte.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// TestLostOutputIsAFailure: a table that could not be written was not printed.
func TestLostOutputIsAFailure(t *testing.T) {
	var said bytes.Buffer
	p := &program{out: fullDisk{}, err: &said, env: func(string) string { return "" }}
	if code := p.run(context.Background(), []string{"version"}); code != exitFailure {
		t.Errorf("exit status %d, want %d", code, exitFailure)
	}
	if !strings.Contains(said.String(), "no space left on device") {
		t.Errorf("stderr says %q", said.String())
	}
}
