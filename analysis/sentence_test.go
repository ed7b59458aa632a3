package analysis

import (
	"slices"
	"testing"
)

func TestSentences(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{short(0.00012345), "0.000123"}, {short(51.67), "51.7"}, {short(99.96), "100"}, {short(920.9), "921"}, {short(12965.4), "12,965"}, {short(-1234567), "−1,234,567"}, {short(-14.58), "−14.6"},
		{percent(0.025), "2.5 %"}, {percent(10), "1,000 %"},
		{plural(1, "answer"), "1 answer"}, {plural(0, "answer"), "0 answers"},
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
