package runner

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/inferbook/inferbook/experiment"
)

// charsPerToken is what a token of English is taken to be worth. The vocabulary
// is made to fit: its words are so common that byte-pair tokenizers keep each,
// with the space before it, as one token, and with the space they are four
// characters long on average.
const charsPerToken = 4

// The start of a warm-up: workers begin staggerStep apart, all within staggerMax.
const (
	staggerStep = 10 * time.Millisecond
	staggerMax  = time.Second
)

//go:embed vocabulary.txt
var vocabularyText string

// vocabulary has 256 different words, so that a byte picks one.
var vocabulary = strings.Fields(vocabularyText)

// lead asks for a long answer. It is left out of prompts too short to spare the
// tokens: one that is mostly lead would have a prefix in common with the others.
const (
	lead          = "write a long story with the words "
	leadMinTokens = 64
)

// workload says what the k-th request of each worker of a point asks for. It is a
// pure function of its fields.
type workload struct {
	spec    experiment.Spec
	seed    uint64
	ordinal int // of the point
	workers int
	// salt is in every nonce. It is the experiment's ID: with the seed alone, doing
	// a run again would measure the prefix cache that the first one has filled.
	salt string
}

// asked is the content of one request.
type asked struct {
	prompt string
	// promptTokens is experiment.Unknown for a fixed prompt: nobody asked for a length.
	promptTokens int
	outputTokens int
}

// request gives what worker asks in its k-th request, both counted from 0.
func (w workload) request(worker, k int) asked {
	rng := rand.New(rand.NewPCG(w.seed, uint64(worker)<<32|uint64(k)))
	a := asked{prompt: w.spec.Prompt, promptTokens: experiment.Unknown}
	in, out := jittered(rng, w.spec.InputTokens.Nominal(), w.spec.Jitter), jittered(rng, w.spec.OutputTokens.Nominal(), w.spec.Jitter)
	a.outputTokens = out
	if k == 0 && w.spec.Warmup > 0 && w.workers > 1 {
		a.outputTokens = 1 + rng.IntN(out)
	}
	// The text comes last: how much of rng it uses depends on the nonce, and the
	// lengths are to be the same in every run of a seed.
	if w.spec.Prompt == "" {
		a.promptTokens = in
		a.prompt = synthetic(rng, w.nonce(worker, k), in)
	}
	return a
}

// stagger is how long after the point's start worker sends its first request.
func (w workload) stagger(worker int) time.Duration {
	if w.spec.Warmup == 0 {
		return 0
	}
	return min(staggerStep, staggerMax/time.Duration(w.workers)) * time.Duration(worker)
}

// nonce gives 8 bytes that no other request has, in this experiment or another.
func (w workload) nonce(worker, k int) [8]byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%d/%d", w.salt, w.seed, worker, k))
	return [8]byte(sum[:8])
}

// synthetic builds a prompt of about tokens tokens: of exactly as many characters
// as that makes, whatever the nonce is, so that the simulated engine counts the
// same in every run of a seed. The first eight words spell the nonce: any prefix
// cache keeps blocks of at least that many tokens, so it finds nothing to reuse. A
// prompt is never shorter than its nonce.
func synthetic(rng *rand.Rand, nonce [8]byte, tokens int) string {
	budget := tokens * charsPerToken
	var b strings.Builder
	b.Grow(budget + len(lead))
	for i, n := range nonce {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(vocabulary[n])
	}
	if tokens >= leadMinTokens {
		b.WriteString(": ")
		b.WriteString(strings.TrimSpace(lead))
	}
	var bits [8]byte
	for i := 0; ; i++ {
		if i%len(bits) == 0 {
			binary.LittleEndian.PutUint64(bits[:], rng.Uint64())
		}
		word := vocabulary[bits[i%len(bits)]]
		room := budget - b.Len()
		if room <= len(word)+1 {
			// The last word is cut to what fits; a single character is filled up, since a
			// space at the end would be trimmed by some servers.
			if room > 1 {
				b.WriteString((" " + word)[:room])
			} else if room == 1 {
				b.WriteByte('.')
			}
			return b.String()
		}
		b.WriteByte(' ')
		b.WriteString(word)
	}
}

// spread gives the shortest and the longest length that jitter makes of nominal.
func spread(nominal int, jitter float64) (lo, hi int) {
	n := float64(nominal)
	return max(1, int(math.Round(n*(1-jitter)))), max(1, int(math.Round(n*(1+jitter))))
}

// jittered draws a length uniformly from its spread.
func jittered(rng *rand.Rand, nominal int, jitter float64) int {
	lo, hi := spread(nominal, jitter)
	return lo + rng.IntN(hi-lo+1)
}

// fixedPromptTokens is a guess on the high side for a text that nobody has
// counted: three characters a token, where English has more than four.
func fixedPromptTokens(text string) int { return (utf8.RuneCountInString(text) + 2) / 3 }

// ahead builds the requests of a worker from the second on, each while the one
// before it is in flight, so that none is built between two requests. The channel
// is closed when ctx is done.
func (w workload) ahead(ctx context.Context, worker int) <-chan asked {
	ch := make(chan asked)
	go func() {
		defer close(ch)
		for k := 1; ; k++ {
			select {
			case ch <- w.request(worker, k):
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch
}

// requestID names the k-th request of a worker. No other request of the
// experiment has the name, and another run of the same plan gives the same names.
func (w workload) requestID(worker, k int) string {
	return fmt.Sprintf("%d-%d-%d", w.ordinal, worker, k)
}

// address makes a request that is ready to send of what is asked.
func (w workload) address(worker, k int, a asked, t ticket, due experiment.Instant) Request {
	s := experiment.NewSample(t.seq)
	s.Worker, s.Phase, s.Scheduled = worker, t.phase, due
	s.PromptAsked, s.OutputAsked = a.promptTokens, a.outputTokens
	return Request{Sample: s, ID: w.salt + "-" + w.requestID(worker, k), Prompt: a.prompt, MaxTokens: a.outputTokens}
}
