package workload

import (
	"fmt"
	"hash/fnv"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/inferbook/inferbook/experiment"
)

// tokenizers count as different kinds of real ones do.
var tokenizers = map[string]func(string) int{
	// Byte-level: a token a character.
	"bytes": func(s string) int { return len(s) },
	// Each word is one token, with its space.
	"words": func(s string) int { return len(strings.Fields(s)) },
	// Each word is two: a prefix of it and the rest.
	"two a word": func(s string) int { return 2 * len(strings.Fields(s)) },
	// A byte-pair tokenizer knows most words with their space and splits the others into
	// pieces; here a tenth of the words is unknown, as to a small vocabulary.
	"byte pairs": func(s string) int {
		n := 0
		for i, w := range strings.Fields(s) {
			h := fnv.New32a()
			h.Write([]byte(w))
			if i > 0 {
				w = " " + w
			}
			switch {
			case h.Sum32()%10 != 0: // known
				n++
			case h.Sum32()%20 == 0:
				n += (len(w) + 2) / 3
			default:
				n += (len(w)+3)/4 + 1
			}
		}
		return n
	},
	// Spaces are tokens of their own.
	"spaces apart": func(s string) int { return 2*len(strings.Fields(s)) - 1 },
	// No words at all: pieces of three characters, wherever they fall.
	"pieces of 3": func(s string) int { return (len(s) + 2) / 3 },
}

// A fit from one probe of each length hits the asked length to 1 % on average.
func TestLearnedFitHitsTheLength(t *testing.T) {
	for name, count := range tokenizers {
		for _, template := range []int{0, 3, 41} {
			server := func(text string) int { return template + count(text) }
			for salt := range 2 {
				var points []Point
				for i, chars := range ProbeChars {
					text := Probe(i, chars, fmt.Sprint(salt))
					points = append(points, Point{len(text), server(text)})
				}
				fit, err := FitLine(points)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				for _, tokens := range []int{64, 200, 1000, 4000} {
					g := generator(t, Config{Fit: fit, Seed: uint64(salt)}, func(s *experiment.Spec) { s.InputTokens, s.Jitter = experiment.Tokens(tokens), 0 })
					sum, chars := 0, 0
					const n = 200
					for k := range n {
						p := Place{Class: -1, K: k}
						c := g.Content(p, g.Entry(p), 0)
						sum += server(c.Prompt)
						chars += len(c.Prompt)
						if k > 0 && chars != (k+1)*len(c.Prompt) {
							t.Fatalf("prompt %d has another length than those before it", k)
						}
					}
					off := float64(sum)/n/float64(tokens) - 1
					tooShort := tokens < fit.Shortest() // the template leaves no room for the nonce
					if math.Abs(off) > 0.01 && !tooShort {
						t.Errorf("%s with a template of %d: %d tokens are asked for and %+.2f %% counted", name, template, tokens, 100*off)
					}
				}
			}
		}
	}
}

func TestFitLineFindsTheLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perToken := rapid.Float64Range(0.5, 8).Draw(t, "chars per token")
		overhead := rapid.Float64Range(0, 300).Draw(t, "overhead")
		var points []Point
		for _, chars := range []int{400, 2000, 2000, 9000, 30000} {
			points = append(points, Point{chars, int(math.Round(float64(chars)/perToken + overhead))})
		}
		fit, err := FitLine(points)
		if err != nil {
			t.Fatal(err)
		}
		if !fit.Learned || math.Abs(fit.CharsPerToken/perToken-1) > 0.003 || math.Abs(fit.Overhead-overhead) > 1 {
			t.Fatalf("%g characters a token and %g before them became %+v", perToken, overhead, fit)
		}
	})
}

func TestFitLineRefusesWhatIsNoLine(t *testing.T) {
	for _, c := range []struct {
		name   string
		points []Point
		want   string
	}{
		{"nothing was probed", nil, "fewer than two different lengths"},
		{"one length says nothing of the template", []Point{{400, 100}, {400, 101}}, "fewer than two different lengths"},
		{"a server without usage", []Point{{400, 100}, {800, 0}}, "counted 0 tokens for a probe of 800"},
		{"a context of 2,048 tokens", []Point{{400, 110}, {4000, 1010}, {9000, 2048}, {16000, 2048}}, "it cuts prompts at about 2048 tokens"},
		{"cut below the second length already", []Point{{400, 110}, {4000, 512}, {9000, 512}}, "only 512 for 9000; it cuts prompts at about 512"},
		{"cut below the shortest", []Point{{400, 64}, {4000, 64}}, "64 tokens for 400 characters and 64 for 4000"},
		{"the end of the last one is cut", []Point{{400, 110}, {4000, 1010}, {9000, 1900}}, "not proportional to the text"},
		{"counts go up and down", []Point{{400, 500}, {4000, 1000}, {9000, 5000}}, "not proportional to the text"},
	} {
		_, err := FitLine(c.points)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v does not say %q", c.name, err, c.want)
		}
	}
}

// A template is no negative number of tokens: a line that starts below the origin is
// drawn through it.
func TestOverheadIsNotNegative(t *testing.T) {
	fit, err := FitLine([]Point{{400, 98}, {4000, 998}})
	if err != nil || fit.Overhead != 0 || math.Abs(fit.CharsPerToken-4) > 0.05 {
		t.Errorf("%+v, %v", fit, err)
	}
}
