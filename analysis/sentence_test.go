package analysis

import (
	"slices"
	"testing"

	"github.com/inferbook/inferbook/analysis/sentence"
)

func TestSentences(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{sentence.Short(0.00012345), "0.000123"}, {sentence.Short(51.67), "51.7"}, {sentence.Short(99.96), "100"}, {sentence.Short(920.9), "921"}, {sentence.Short(12965.4), "12,965"}, {sentence.Short(-1234567), "−1,234,567"}, {sentence.Short(-14.58), "−14.6"},
		{sentence.Percent(0.025), "2.5 %"}, {sentence.Percent(10), "1,000 %"},
		{sentence.Plural(1, "answer"), "1 answer"}, {sentence.Plural(0, "answer"), "0 answers"},
		{list(nil), ""}, {list([]string{"a"}), "a"}, {list([]string{"a", "b"}), "a and b"}, {list([]string{"a", "b", "c"}), "a, b and c"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
	if got := distinct([]string{"b", "a", "b"}); !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("distinct gives %q", got)
	}
}
