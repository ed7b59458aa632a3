package runner

import (
	"strings"
	"testing"
)

// A field that the client or the workload writes itself is refused as an extra:
// it would change what is measured behind their backs.
func TestExtraFieldsThatAreRefused(t *testing.T) {
	for _, tt := range []struct {
		key   string
		value any
		want  string // a part of the sentence; empty = taken
	}{
		{"stream", true, "use --stream"},
		{"n", 2, "leave it out"},
		{"best_of", 3, "leave it out"},
		{"n", 1, ""},
		{"messages", []any{}, "the workload writes"},
		{"prompt", "x", "the workload writes"},
		{"model", "other", "use --model"},
		{"", 1, "no name"},
		{"f", func() {}, "encoding"},
		{"ignore_eos", true, ""},
	} {
		_, err := extraMembers(map[string]any{tt.key: tt.value})
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s = %v is refused: %v", tt.key, tt.value, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s = %v gives %v, want a sentence with %q", tt.key, tt.value, err, tt.want)
		}
	}
}
