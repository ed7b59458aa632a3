package experiment_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

// runnable is the default with the one thing that a person must say.
func runnable() experiment.Spec {
	s := experiment.DefaultSpec()
	s.Requests = 40
	return s
}

func TestSpecValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*experiment.Spec)
		want   []string // parts of the errors, one a line; none = valid
	}{
		{"the default and a count", func(*experiment.Spec) {}, nil},
		{"a duration in place of a count", func(s *experiment.Spec) { s.Requests, s.Duration = 0, experiment.Duration(time.Minute) }, nil},
		{"completions", func(s *experiment.Spec) { s.Endpoint = experiment.Completions }, nil},
		{"a fixed prompt needs no length", func(s *experiment.Spec) { s.InputTokens, s.Prompt = experiment.Length{}, "Hello" }, nil},
		{"no warm-up, no jitter", func(s *experiment.Spec) { s.Warmup, s.Jitter = 0, 0 }, nil},
		{"the newer name of the limit", func(s *experiment.Spec) { s.MaxTokensField = "max_completion_tokens" }, nil},
		{"no endpoint", func(s *experiment.Spec) { s.Endpoint = "" }, []string{`endpoint is ""`}},
		{"no prompt", func(s *experiment.Spec) { s.InputTokens = experiment.Length{} }, []string{"input_tokens is 0"}},
		{"no answer", func(s *experiment.Spec) { s.OutputTokens = experiment.Tokens(-1) }, []string{"output_tokens is -1"}},
		{"jitter as a percentage", func(s *experiment.Spec) { s.Jitter = 2 }, []string{"jitter is 2"}},
		{"jitter of 1 would ask for no tokens", func(s *experiment.Spec) { s.Jitter = 1 }, []string{"jitter is 1"}},
		{"negative jitter", func(s *experiment.Spec) { s.Jitter = -0.1 }, []string{"jitter is -0.1"}},
		{"jitter that is no number", func(s *experiment.Spec) { s.Jitter = math.NaN() }, []string{"jitter is NaN"}},
		{"temperature that is no number", func(s *experiment.Spec) { s.Temperature = math.Inf(1) }, []string{"temperature is +Inf"}},
		// Sums with such a time would overflow, and a limit would be over before it begins.
		{"for ever", func(s *experiment.Spec) { s.Duration, s.TotalTimeout = math.MaxInt64, math.MaxInt64 }, []string{"duration is", "total_timeout is"}},
		{"no level", func(s *experiment.Spec) { s.Concurrency = nil }, []string{"concurrency is empty"}},
		{"each bad level is named", func(s *experiment.Spec) { s.Concurrency = []int{0, 4, -2} }, []string{"the level 0", "the level -2"}},
		{"negative count", func(s *experiment.Spec) { s.Requests = -1 }, []string{"cannot be negative"}},
		{"negative duration", func(s *experiment.Spec) { s.Duration = -1 }, []string{"cannot be negative"}},
		{"nothing ends a point", func(s *experiment.Spec) { s.Requests = 0 }, []string{"would never end"}},
		{"negative warm-up", func(s *experiment.Spec) { s.Warmup = -1 }, []string{"warmup is -1"}},
		{"no repeat", func(s *experiment.Spec) { s.Repeats = 0 }, []string{"repeats is 0"}},
		{"a limit of another name", func(s *experiment.Spec) { s.MaxTokensField = "n_predict" }, []string{`max_tokens_field is "n_predict"`}},
		{"each time limit is named", func(s *experiment.Spec) { s.ConnectTimeout, s.IdleTimeout = 0, -1 }, []string{"connect_timeout is 0s", "idle_timeout is -1ns"}},
		{"the other time limits", func(s *experiment.Spec) { s.FirstByteTimeout, s.TotalTimeout = 0, 0 }, []string{"first_byte_timeout is 0s", "total_timeout is 0s"}},
		{"the zero value", func(s *experiment.Spec) { *s = experiment.Spec{} }, []string{
			"endpoint", "input_tokens", "output_tokens", "concurrency", "never end", "repeats", "max_tokens_field",
			"connect_timeout", "first_byte_timeout", "idle_timeout", "total_timeout"}},
	} {
		s := runnable()
		c.change(&s)
		err := s.Validate()
		if len(c.want) == 0 {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s: valid, want %q", c.name, c.want)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(c.want) {
			t.Errorf("%s: %d errors, want %d:\n%v", c.name, len(lines), len(c.want), err)
			continue
		}
		for i, part := range c.want {
			if !strings.Contains(lines[i], part) {
				t.Errorf("%s: %q, want %q in it", c.name, lines[i], part)
			}
		}
	}
}

func TestDurationText(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"90s", 90 * time.Second, true},
		{"1m30s", 90 * time.Second, true},
		{"250ms", 250 * time.Millisecond, true},
		{"0", 0, true}, // zero needs no unit
		{"-1s", -time.Second, true},
		{"90", 0, false}, // of what?
		{"", 0, false},
		{"1 minute", 0, false},
		{"1d", 0, false},
	} {
		var d experiment.Duration
		err := d.UnmarshalText([]byte(c.text))
		if (err == nil) != c.ok || time.Duration(d) != c.want {
			t.Errorf("%q: %v, %v; want %v", c.text, time.Duration(d), err, c.want)
		}
		if err != nil && !strings.Contains(err.Error(), "with a unit, such as 90s") {
			t.Errorf("%q: %v says not what to write", c.text, err)
		}
	}
}

func TestDurationRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type document struct {
			D experiment.Duration `json:"d" yaml:"d"`
		}
		want := document{experiment.Duration(rapid.Int64().Draw(t, "ns"))}
		j, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		y, err := yaml.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var fromJSON, fromYAML document
		if err := json.Unmarshal(j, &fromJSON); err != nil || fromJSON != want {
			t.Fatalf("%s: %v, %v", j, fromJSON, err)
		}
		if err := yaml.Unmarshal(y, &fromYAML); err != nil || fromYAML != want {
			t.Fatalf("%s: %v, %v", y, fromYAML, err)
		}
	})
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"90s", "1m30s", "-2h", "1.5h", "90", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d, again experiment.Duration
		if d.UnmarshalText([]byte(text)) != nil {
			return
		}
		b, err := d.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if err := again.UnmarshalText(b); err != nil || again != d {
			t.Errorf("%q became %q and then %v, %v", text, b, again, err)
		}
	})
}
