package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
)

// sampling are the fields that say how an answer is drawn. The engine has no
// text to sample, so that most of them are checked as vLLM checks them and
// change nothing; the answer's end follows from the rest.
type sampling struct {
	MaxTokens           *int            `json:"max_tokens"`
	MaxCompletionTokens *int            `json:"max_completion_tokens"`
	MinTokens           int             `json:"min_tokens"`
	N                   *int            `json:"n"`
	BestOf              *int            `json:"best_of"`
	IgnoreEOS           bool            `json:"ignore_eos"`
	Seed                *int64          `json:"seed"`
	Stop                json.RawMessage `json:"stop"`
	IncludeStop         bool            `json:"include_stop_str_in_output"`

	Temperature       *float64 `json:"temperature"`
	TopP              *float64 `json:"top_p"`
	MinP              *float64 `json:"min_p"`
	TopK              *int     `json:"top_k"`
	PresencePenalty   *float64 `json:"presence_penalty"`
	FrequencyPenalty  *float64 `json:"frequency_penalty"`
	RepetitionPenalty *float64 `json:"repetition_penalty"`

	stops []string
}

// unbounded is more than anybody writes.
const unbounded = 1e9

// check refuses a value out of its range.
func (q *sampling) check() error {
	for _, f := range []struct {
		name       string
		value      *float64
		least, top float64
		open       bool // the least value itself is out of range
	}{
		{"temperature", q.Temperature, 0, unbounded, false},
		{"top_p", q.TopP, 0, 1, true},
		{"min_p", q.MinP, 0, 1, false},
		{"presence_penalty", q.PresencePenalty, -2, 2, false},
		{"frequency_penalty", q.FrequencyPenalty, -2, 2, false},
		{"repetition_penalty", q.RepetitionPenalty, 0, unbounded, true},
	} {
		if v := f.value; v != nil && !(*v >= f.least && *v <= f.top && !(f.open && *v == f.least)) {
			from, to := "at least", ""
			if f.open {
				from = "over"
			}
			if f.top < unbounded {
				to = fmt.Sprintf(" and at most %g", f.top)
			}
			return badRequest(f.name, "%s is %g; it is %s %g%s", f.name, *v, from, f.least, to)
		}
	}
	switch {
	case q.TopK != nil && *q.TopK < -1:
		return badRequest("top_k", "top_k is %d; it is −1 or 0 for no limit, or at least 1", *q.TopK)
	case q.MinTokens < 0:
		return badRequest("min_tokens", "min_tokens is %d; it cannot be negative", q.MinTokens)
	case q.BestOf != nil && *q.BestOf != 1:
		return badRequest("best_of", "best_of is %d; the simulated engine gives one choice", *q.BestOf)
	}
	return q.readStops()
}

// readStops takes a text, a list of texts, or null.
func (q *sampling) readStops() error {
	var one string
	switch {
	case len(q.Stop) == 0 || string(q.Stop) == "null":
		return nil
	case json.Unmarshal(q.Stop, &one) == nil:
		q.stops = []string{one}
	case json.Unmarshal(q.Stop, &q.stops) != nil:
		return badRequest("stop", "stop is neither a text nor a list of texts; send one of them")
	}
	for _, text := range q.stops {
		if text == "" {
			return badRequest("stop", "stop holds an empty text")
		}
	}
	return nil
}

// end decides where an answer ends: at its limit if nothing else ends it.
func (q *sampling) end(p *prompt) {
	if !q.IgnoreEOS {
		if n := max(naturalLength(p.content, q.Seed), q.MinTokens); n < p.output {
			p.output, p.stopped = n, true
		}
	}
	if len(q.stops) > 0 {
		p.stopAt(q.stops, q.MinTokens, q.IncludeStop)
	}
}

// stopAt ends the answer with the token that completes the first stop text
// after the least number of tokens.
func (p *prompt) stopAt(stops []string, least int, include bool) {
	longest := 0
	for _, s := range stops {
		longest = max(longest, len(s))
	}
	var text []byte
	for i := range p.output {
		before := len(text)
		text = append(text, p.content.Answer(i, i+1)...)
		if i < least {
			continue
		}
		from := max(0, before-longest+1)
		at, size := -1, 0
		for _, s := range stops {
			if j := bytes.Index(text[from:], []byte(s)); j >= 0 && (at < 0 || from+j+len(s) < at+size) {
				at, size = from+j, len(s)
			}
		}
		if at < 0 {
			continue
		}
		p.output, p.stopped, p.shown = i+1, true, at
		if include {
			p.shown = at + size
		}
		return
	}
}

// answerLengths are quantiles of output tokens, at the shares beside them: those
// of the conversations of the Azure LLM inference trace of 2023
// (Azure/AzurePublicDataset, CC-BY), with a mean of 211 tokens.
var answerLengths = []struct{ share, tokens float64 }{
	{0, 7}, {.01, 16}, {.05, 41}, {.1, 54}, {.2, 77}, {.3, 91}, {.4, 103}, {.5, 129}, {.6, 177}, {.7, 384},
	{.8, 400}, {.9, 424}, {.95, 451}, {.99, 601}, {1, 1000},
}

// naturalLength is where an answer comes to its own end. It follows from the
// content and the request's seed alone, so a request that is sent again gets the same.
func naturalLength(c *Content, seed *int64) int {
	h := fnv.New64a()
	// Sixteen words tell one answer from another.
	h.Write([]byte(c.Answer(0, 16)))
	if seed != nil {
		h.Write([]byte{byte(*seed), byte(*seed >> 8), byte(*seed >> 16), byte(*seed >> 24)})
	}
	u := fraction(h.Sum64())
	for i := 1; i < len(answerLengths); i++ {
		if lo, hi := answerLengths[i-1], answerLengths[i]; u <= hi.share {
			return int(lo.tokens + (u-lo.share)/(hi.share-lo.share)*(hi.tokens-lo.tokens))
		}
	}
	return int(answerLengths[len(answerLengths)-1].tokens)
}

// fraction turns a hash into a number from 0 to below 1.
func fraction(x uint64) float64 {
	// The low bits of FNV are the well mixed ones; MurmurHash3's finaliser spreads them.
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}
