package analysis

import (
	"slices"
	"strings"
)

// list joins names as English does: "a", "a and b", "a, b and c".
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// distinct keeps the first of equal sentences.
func distinct(sentences []string) []string {
	var out []string
	for _, s := range sentences {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
