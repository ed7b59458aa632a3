package runner

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/inferbook/inferbook/experiment"
)

// convention is what one kind of server is known to understand beyond the API as
// it is described. What it says is tried first; what the server itself refuses
// is left out all the same, so a row that is out of date costs one request.
type convention struct {
	name string
	// force are the fields that make an answer as long as its limit: ignore_eos is
	// true, and any other the limit itself. Empty = the server has none, or ignores
	// them, which no refusal would show.
	force []string
	// continuous: stream_options takes continuous_usage_stats.
	continuous bool
	// limit is the name of the output limit of a chat to try first.
	limit string
	// tokenizer counts a prompt without generating; nil = there is none.
	tokenizer *tokenizer
	// quirk is what a person has to know to read a result from it; empty = nothing.
	quirk string
}

const (
	maxTokens           = "max_tokens"
	maxCompletionTokens = "max_completion_tokens"
	maxOutputTokens     = "max_output_tokens"
	ignoreEOS           = "ignore_eos"
	minTokens           = "min_tokens"
)

// generic is the dialect of a server that nobody recognised.
const generic = "generic"

// conventions has a row for each dialect that runner/probe recognises, in the same
// order. The sources are the servers' own request schemas.
var conventions = []convention{
	{name: "vllm", force: []string{ignoreEOS, minTokens}, continuous: true, limit: maxTokens, tokenizer: &templateTokenizer,
		quirk: "usage.prompt_tokens_details comes only from a server started with --enable-prompt-tokens-details"},
	// SGLang's own name is min_new_tokens; its OpenAI API takes min_tokens and ignores the other.
	{name: "sglang", force: []string{ignoreEOS, minTokens}, continuous: true, limit: maxTokens, tokenizer: &plainTokenizer,
		quirk: "cached tokens are reported only by a server started with --enable-cache-report"},
	{name: "trtllm", force: []string{ignoreEOS, minTokens}, continuous: true, limit: maxTokens,
		quirk: "its /metrics is JSON; the Prometheus metrics are at /prometheus/metrics with return_perf_metrics"},
	{name: "nim", force: []string{ignoreEOS, minTokens}, limit: maxTokens, tokenizer: &templateTokenizer,
		quirk: "the engine inside is vLLM or TensorRT-LLM, by the profile that it chose for the GPU"},
	{name: "tgi", limit: maxTokens, tokenizer: &inputsTokenizer,
		quirk: "it has no ignore_eos in its OpenAI API and ignores fields that it does not know; usage comes with the finish reason"},
	{name: "llama.cpp", force: []string{ignoreEOS}, limit: maxTokens, tokenizer: &contentTokenizer,
		quirk: "each of its slots has an equal part of the context; its timings are in the last event"},
	{name: "ollama", limit: maxTokens,
		quirk: "it ignores ignore_eos, min_tokens and max_completion_tokens, and silently cuts a prompt to the model's context"},
	{name: "hf", limit: maxTokens,
		quirk: "it refuses fields that it does not know and generates for one request at a time unless continuous batching is on"},
	{name: "databricks", force: []string{ignoreEOS}, limit: maxTokens,
		quirk: "a shared endpoint limits tokens per minute, so a high load measures the limit"},
	{name: "azure", force: []string{ignoreEOS}, limit: maxCompletionTokens,
		quirk: "the default content filter holds text back and sends it in blocks, so gaps between events are the filter's"},
	{name: "openai", force: []string{ignoreEOS}, limit: maxCompletionTokens,
		quirk: "a rate limit per minute applies, and models that reason spend output tokens before any text"},
	{name: generic, force: []string{ignoreEOS}, limit: maxTokens},
}

// Dialects lists the names that Spec.Dialect may have, beside auto.
func Dialects() []string {
	names := make([]string, 0, len(conventions))
	for _, c := range conventions {
		names = append(names, c.name)
	}
	return names
}

// conventionFor gives the row of the dialect that a person named, else of the one
// that was detected, else the generic one.
func conventionFor(named, detected string) (*convention, error) {
	find := func(name string) *convention {
		for i := range conventions {
			if conventions[i].name == name {
				return &conventions[i]
			}
		}
		return nil
	}
	if named != "" && named != "auto" {
		if c := find(named); c != nil {
			return c, nil
		}
		return nil, fmt.Errorf("dialect is %q; write auto or one of %s", named, strings.Join(Dialects(), ", "))
	}
	if c := find(detected); c != nil {
		return c, nil
	}
	return find(generic), nil
}

// forced gives the fields that are to be sent to make answers as long as their
// limit, and whether the server may refuse them.
func (c *convention) forced(spec *experiment.Spec, extra []member) (fields []string, must bool) {
	if spec.Endpoint == experiment.Embeddings || spec.Endpoint == experiment.Responses || spec.IgnoreEOS == "off" {
		return nil, false
	}
	fields = c.force
	must = spec.IgnoreEOS == "on"
	if must && len(fields) == 0 {
		fields = []string{ignoreEOS}
	}
	var out []string
	for _, f := range fields {
		if !hasMember(extra, f) { // the person's own value goes before ours
			out = append(out, f)
		}
	}
	return out, must
}

func hasMember(members []member, key string) bool {
	for _, m := range members {
		if m.key == key {
			return true
		}
	}
	return false
}

// tokenizer is how a server counts the tokens of a text at POST /tokenize, under
// its root.
type tokenizer struct {
	template bool // it applies the chat template to messages
	body     func(model, text string, chat bool) map[string]any
	count    func(answer gjson.Result) int // 0 = the answer tells none
}

func (t *tokenizer) counts(e experiment.Endpoint) bool {
	return e == experiment.Completions || t.template && e == experiment.Chat
}

func countOrTokens(answer gjson.Result) int {
	if n := answer.Get("count"); n.Type == gjson.Number {
		return int(n.Int())
	}
	return int(answer.Get("tokens.#").Int())
}

var (
	// templateTokenizer is vLLM's, and the simulated engine's.
	templateTokenizer = tokenizer{
		template: true, count: countOrTokens,
		body: func(model, text string, chat bool) map[string]any {
			if !chat {
				return map[string]any{"model": model, "prompt": text}
			}
			return map[string]any{"model": model, "add_generation_prompt": true,
				"messages": []map[string]string{{"role": "user", "content": text}}}
		},
	}
	// plainTokenizer is SGLang's.
	plainTokenizer = tokenizer{
		count: countOrTokens,
		body:  func(model, text string, _ bool) map[string]any { return map[string]any{"model": model, "prompt": text} },
	}
	// contentTokenizer is llama.cpp's.
	contentTokenizer = tokenizer{
		count: countOrTokens,
		body: func(_, text string, _ bool) map[string]any {
			return map[string]any{"content": text, "add_special": true}
		},
	}
	// inputsTokenizer is TGI's, which answers with a list of tokens.
	inputsTokenizer = tokenizer{
		count: func(answer gjson.Result) int { return int(answer.Get("#").Int()) },
		body:  func(_, text string, _ bool) map[string]any { return map[string]any{"inputs": text} },
	}
)
