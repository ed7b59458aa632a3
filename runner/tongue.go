package runner

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/inferbook/inferbook/experiment"
)

// dialect is how requests are worded for one server, as far as that is known.
type dialect struct {
	noStreamOptions bool     // it refuses stream_options
	continuous      bool     // stream_options asks for usage on each event
	limit           string   // the name of the output limit
	renamed         bool     // limit is not the name that was tried first
	dropped         []string // fields it refuses, in the order they were refused
}

// tongue learns the dialect of one server from its refusals. Workers share it:
// each refusal is compared with the dialect that its own request was sent in,
// so a worker that was refused for what another has learned meanwhile just
// sends again.
type tongue struct {
	auto     bool // the name of the output limit may change
	stream   bool // stream_options is sent
	extra    []member
	force    []string // fields for the full output length that are sent until they are refused
	must     bool     // a refusal of those is an error, and nothing to learn from
	accepted atomic.Bool
	short    atomic.Bool // Learn saw that the forced fields change nothing

	mu      sync.Mutex
	current dialect
}

func newTongue(spec *experiment.Spec, row *convention, extra []member) *tongue {
	t := &tongue{
		auto:    spec.MaxTokensField == "auto" || spec.MaxTokensField == "",
		stream:  spec.Stream && (spec.Endpoint == experiment.Chat || spec.Endpoint == experiment.Completions || spec.Endpoint == ""),
		extra:   extra,
		current: dialect{limit: spec.MaxTokensField, continuous: row.continuous},
	}
	t.force, t.must = row.forced(spec, extra)
	if t.auto {
		t.current.limit = row.limit
		if spec.Endpoint == experiment.Completions {
			t.current.limit = maxTokens // the other name is of chats
		}
	}
	if spec.Endpoint == experiment.Responses {
		t.auto, t.current.limit = false, maxOutputTokens
	}
	return t
}

func (t *tongue) now() dialect {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current
}

var (
	// unknownField matches how servers say that they do not know a field, not
	// that its value is wrong: dropping a field for that would hide a mistake.
	unknownField = regexp.MustCompile(`(?i)unknown|unrecogni[sz]ed|unsupported|not supported|does not support|` +
		`not permitted|not allowed|unexpected|extra (inputs|fields)`)
	useCompletionTokens = regexp.MustCompile(`(?i)(use|instead|unsupported|not supported)[^.]{0,60}max_completion_tokens|` +
		`max_completion_tokens\W{0,3}\s*instead`)
)

// learn takes a 400 or 422 to a request sent in the dialect used. It reports
// whether there is another way to say the same thing, and gives it.
func (t *tongue) learn(used dialect, refusal string) (dialect, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.stream && used.continuous && !used.noStreamOptions && strings.Contains(refusal, "continuous_usage_stats"):
		t.current.continuous = false
	case t.stream && !used.noStreamOptions && (strings.Contains(refusal, "stream_options") || strings.Contains(refusal, "include_usage")):
		t.current.noStreamOptions = true
	case t.auto && !used.renamed && used.limit == maxTokens && useCompletionTokens.MatchString(refusal):
		t.current.limit, t.current.renamed = maxCompletionTokens, true
	case t.auto && !used.renamed && used.limit == maxCompletionTokens && unknownField.MatchString(refusal) && wordAt(refusal, maxCompletionTokens) >= 0:
		t.current.limit, t.current.renamed = maxTokens, true
	default:
		key, found := t.refused(used, refusal)
		if !found {
			return used, false
		}
		if !slices.Contains(t.current.dropped, key) {
			// A new slice, since dialects that were handed out share the old one.
			t.current.dropped = append(slices.Clone(t.current.dropped), key)
		}
	}
	return t.current, true
}

// refused finds the field of ours that a refusal does not know: the first that it
// names, since some servers go on to list the fields they do know.
func (t *tongue) refused(used dialect, refusal string) (string, bool) {
	if !unknownField.MatchString(refusal) {
		return "", false
	}
	var keys []string
	for _, m := range t.extra {
		keys = append(keys, m.key)
	}
	if !t.must {
		keys = append(keys, t.force...)
	}
	first, at := "", -1
	for _, key := range keys {
		if slices.Contains(used.dropped, key) {
			continue
		}
		if i := wordAt(refusal, key); i >= 0 && (at < 0 || i < at) {
			first, at = key, i
		}
	}
	return first, at >= 0
}

// wordAt gives the place where word stands in s by itself: top_k is not in
// top_k_max; −1 = nowhere.
func wordAt(s, word string) int {
	part := func(i int) bool {
		return i >= 0 && i < len(s) && (s[i] == '_' || s[i] == '-' || s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z' || s[i] >= '0' && s[i] <= '9')
	}
	for from := 0; ; {
		i := strings.Index(s[from:], word)
		if i < 0 {
			return -1
		}
		i += from
		if !part(i-1) && !part(i+len(word)) {
			return i
		}
		from = i + 1
	}
}

// sentences says what was learned.
func (t *tongue) sentences() []string {
	d := t.now()
	var out []string
	if d.noStreamOptions {
		out = append(out, "stream_options refused, token counts come from events")
	}
	if d.renamed {
		out = append(out, d.limit+" used")
	}
	for _, key := range d.dropped {
		if hasMember(t.extra, key) {
			out = append(out, fmt.Sprintf("extra field %s refused, requests go without it", key))
		} else {
			out = append(out, fmt.Sprintf("%s refused, answers end where the model stops", key))
		}
	}
	return out
}

// inForce gives the fields for the full output length that are sent.
func (t *tongue) inForce() []string {
	d := t.now()
	return slices.DeleteFunc(slices.Clone(t.force), func(f string) bool { return slices.Contains(d.dropped, f) })
}

// OutputControl says in one sentence what makes the answers as long as was asked.
func (c *Client) OutputControl() string {
	const free = "answers end where the model stops"
	t := c.tongue
	var own []string
	for _, f := range []string{ignoreEOS, minTokens, "min_new_tokens"} {
		if hasMember(t.extra, f) && !slices.Contains(t.now().dropped, f) {
			own = append(own, f)
		}
	}
	fields := strings.Join(append(own, t.inForce()...), " and ")
	switch {
	case c.spec.Endpoint == experiment.Embeddings:
		return "embeddings have no output tokens"
	case fields == "" && len(t.force) > 0:
		return strings.Join(t.force, " and ") + " refused, " + free
	case fields == "" && c.spec.IgnoreEOS == "off":
		return free + ", as ignore_eos: off asks"
	case fields == "" && c.spec.Endpoint == experiment.Responses:
		return free + ", since /responses has no field that forces their length"
	case fields == "":
		return fmt.Sprintf("%s, since %s has no field that forces their length", free, c.row.name)
	case t.short.Load():
		return fields + " accepted without effect, " + free
	case t.accepted.Load():
		return fields + " accepted"
	default:
		return fields + " sent, no answer yet"
	}
}
